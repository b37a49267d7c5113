//! `serve`: the daemon, until a signal ends it. Here the daemon meets its surroundings: signals, systemd, the log.

mod systemd;

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::causes::words_of;
use crate::dispatch::daemon::{self, DaemonError, News, Orders};
use systemd::Systemd;

/// How often the daemon looks whether all its loops make progress, where nobody else asks.
const PULSE: Duration = Duration::from_secs(30);

/// Run the daemon: send what is queued, read the mailbox, until SIGTERM or Ctrl-C.
///
/// SIGHUP reads settings, profiles and templates anew; if anything is wrong with them, the old ones stay in force and
/// `status` says so. A second SIGTERM or Ctrl-C ends at once: what is on the wire then is in doubt, and tried again.
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
    let (ask, reload) = mpsc::channel(1);
    // Half of what the supervisor waits for, as sd_watchdog_enabled(3) asks.
    let pulse = sd_notify::watchdog_enabled().map_or(PULSE, |watchdog| watchdog / 2);
    let orders = Orders {
        stop: stop.clone(),
        reload,
        pulse,
    };
    tracing::info!(home = %office.home.root().display(), "breachpost serves");
    let systemd = Systemd::start()?;
    let tell = |news: News| {
        log(&news);
        systemd.tell(&news);
    };
    let ended = tokio::select! {
        ended = daemon::run(office, orders, tell) => ended,
        given_up = obey_signals(stop, ask) => {
            given_up?;
            return Err(Failure::new(Exit::Ours, DaemonError::NotFinished));
        }
    };
    systemd.close();
    ended?;
    tracing::info!("stopped; nothing was left half done");
    Ok(Exit::Done)
}

/// SIGHUP reloads, SIGTERM and SIGINT stop; returns when another one of these asks to end at once.
async fn obey_signals(stop: CancellationToken, reload: mpsc::Sender<()>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                // One that waits to be heard covers all changes made until then.
                let _ = reload.try_send(());
                continue;
            }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        stop.cancel();
    }
}

fn log(news: &News) {
    match news {
        News::Ready => tracing::info!("ready"),
        News::Reloading => tracing::info!("reading settings, profiles and templates anew"),
        News::Stopping => tracing::info!("stopping: finishing what is on the wire; a second signal ends at once"),
        // What is wrong is logged where it is found.
        News::Status(_) | News::Alive => {}
    }
}

/// Logs to standard error, as lines or as JSON; `$BREACHPOST_LOG` sets the level. A panic is a line like any other, and
/// quotes nothing of what was being read.
fn start_log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BREACHPOST_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let words = words_of(panic.payload());
        tracing::error!(place, words, "a mistake in breachpost; please report it");
    }));
    // A second start in one process keeps the first logger.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
