//! `doctor`: is everything ready for the night?

use std::sync::Arc;

use clap::Args;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::checkup::{self, Grade};
use crate::dispatch::office::Office;

/// Check settings, key, store, relay, mailbox and certificates; each finding with its remedy. Sends nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  breachpost doctor\n  breachpost doctor --json")]
pub struct DoctorArgs {}

pub async fn run(DoctorArgs {}: DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let opened = Office::open(home.clone(), Arc::clone(&context.clock));
    let findings = checkup::look(&home, opened.as_ref()).await;
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
