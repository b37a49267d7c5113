//! `doctor`: is everything ready for the night?

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::checkup::{self, Grade, deep};
use crate::dispatch::office::Office;
use crate::dispatch::rehearsal;

/// Check settings, key, store, relay, mailbox and certificates; each finding with its remedy. Sends nothing without --deep.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  breachpost doctor\n  breachpost doctor --json\n  breachpost doctor --deep --timeout 1"
)]
pub struct DoctorArgs {
    /// Also send a neutral mail to yourself over the real path, and look at what comes back: what was changed on the way,
    /// plus-addresses, delivery reports, tokens, clocks, and what your server says of its sender.
    #[arg(long)]
    deep: bool,
    /// With --deep: how long to wait for the mail to come back.
    #[arg(long, value_name = "SECONDS", default_value_t = rehearsal::USUAL_WAIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

pub async fn run(args: DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let opened = Office::open(home.clone(), Arc::clone(&context.clock));
    let mut findings = checkup::look(&home, opened.as_ref()).await;
    if let (true, Ok(office)) = (args.deep, &opened) {
        context.out.note(&format!(
            "Sending a mail to ourselves; waiting at most {} s.",
            args.timeout
        ));
        let wait = Duration::from_secs(args.timeout);
        findings.extend(deep::look(office, wait, &context.actor()).await);
    }
    context.out.data(&findings, || {
        let mut text = String::new();
        for finding in &findings {
            let grade = match finding.grade {
                Grade::Good => "good   ",
                Grade::Warning => "WARNING",
                Grade::Bad => "BAD    ",
            };
            text.push_str(&format!("{grade}  {:12}  {}\n", finding.what, finding.text));
            if let Some(remedy) = &finding.remedy {
                text.push_str(&format!("                       do: {remedy}\n"));
            }
        }
        text
    })?;
    Ok(match findings.iter().map(|finding| finding.grade).max() {
        Some(Grade::Bad) => Exit::Person,
        _ => Exit::Done,
    })
}
