//! `drill`: rehearse the whole main job on loopback.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Context;
use super::campaign::run::Bar;
use super::output::{Exit, Failure};
use crate::drill::play::{self, Options, Told, Verdict};

/// Rehearse the whole main job on this machine, with nothing to configure: a breach, a sealed notice, a real
/// acknowledgement, and a campaign to individuals in six languages, faults and late bounces included.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  breachpost drill\n  breachpost drill --individuals 100\n  breachpost drill --individuals 3 --json"
)]
pub struct DrillArgs {
    /// How many individuals to inform. Of every 25, some are refused, put off, bounce later, or have a key, by plan.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    individuals: usize,
    /// Keep the home here, to look at it with the other commands.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub async fn run(args: DrillArgs, context: &Context) -> Result<Exit, Failure> {
    let out = context.out;
    let begun = context.clock.now();
    let clock = Arc::clone(&context.clock);
    let mut bar: Option<Bar> = None;
    let mut tell = |told: Told<'_>| match told {
        Told::Line { who, what } if !out.json => {
            let _ = out.text(&format!("{}  {who:9}  {what}\n", play::elapsed(begun, clock.now())));
        }
        Told::Line { .. } => {}
        Told::Sending(status) => bar.get_or_insert_with(|| Bar::new(context, status)).shows(status),
        Told::Sent => {
            if let Some(bar) = bar.take() {
                bar.ends();
            }
        }
    };
    if !out.json {
        out.text("A drill: all of this really happens, on this machine only.\n\n")?;
    }
    let options = Options {
        individuals: args.individuals,
        keep: args.keep,
    };
    let verdict = play::play(&options, Arc::clone(&context.clock), &mut tell)
        .await
        .map_err(|error| Failure::new(Exit::Ours, error))?;
    if out.json {
        out.line(&verdict)?;
    } else {
        out.text(&human(&verdict))?;
        if let Some(home) = &options.keep {
            out.text(&kept(&verdict, home))?;
        }
    }
    Ok(if verdict.ok { Exit::Done } else { Exit::Ours })
}

fn human(verdict: &Verdict) -> String {
    let mut text = String::from("\nWhat was expected\n");
    for check in &verdict.checks {
        text.push_str(&format!("  {}  {}\n", if check.ok { "yes" } else { "NO " }, check.what));
    }
    let met = verdict.checks.iter().filter(|check| check.ok).count();
    text.push_str(&format!(
        "\n{}: {met} of {} expectations met in {:.1} s.\n",
        if verdict.ok {
            "The drill went well"
        } else {
            "THE DRILL FAILED"
        },
        verdict.checks.len(),
        verdict.elapsed_ms as f64 / 1000.0
    ));
    text
}

/// What can be looked at, with the commands.
fn kept(verdict: &Verdict, home: &std::path::Path) -> String {
    let home = home.display();
    let mut text = format!("\nKept, to look at:\n  breachpost --home {home} status\n");
    if let Some(id) = verdict.individuals.campaign {
        text.push_str(&format!(
            "  breachpost --home {home} campaign report {id}\n  breachpost --home {home} campaign preview {id} --row 2\n"
        ));
    }
    text
}
