//! `serve`: the daemon, until a signal ends it.

use std::io::IsTerminal;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::daemon;

/// Run the daemon: send what is queued, read the mailbox, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  breachpost serve\n  breachpost serve --once\n  BREACHPOST_LOG=debug breachpost serve"
)]
pub struct ServeArgs {
    /// One round: send what is due, read the mailbox once, and end; for a timer instead of a daemon.
    #[arg(long)]
    once: bool,
}

pub async fn run(args: ServeArgs, context: &Context) -> Result<Exit, Failure> {
    start_log(context.out.json);
    let office = context.office()?;
    if args.once {
        daemon::once(&office).await?;
        return Ok(Exit::Done);
    }
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what is on the wire");
        token.cancel();
    });
    tracing::info!(home = %office.home.root().display(), "breachpost serves");
    daemon::serve(&office, stop).await?;
    tracing::info!("stopped; nothing was left half done");
    Ok(Exit::Done)
}

/// Logs to standard error, as lines or as JSON; `$BREACHPOST_LOG` sets the level.
fn start_log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BREACHPOST_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start in one process keeps the first logger.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
