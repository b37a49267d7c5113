//! The daemon: all loops under one roof. It starts only when everything it needs can be used, keeps its loops running
//! whatever befalls one of them, takes changed settings without losing work, and stops without leaving anything half
//! done. Knows nothing of signals and systemd: it is told what to do, and tells how it is.

mod board;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::causes::chain;
use super::checkpoint;
use super::checkup;
use super::clerk;
use super::courier::{Courier, Scope};
use super::desk::certificate;
use super::office::{Office, OfficeError};
use super::watch::{self, WatchError};
use super::worker::{Worker, WorkerKind};
use board::Board;
use supervisor::{Loop, keep_running};

/// A checkpoint is due this often, whether or not a notice was accepted (design: invariant 9).
const CHECKPOINT_EVERY: TimeDelta = TimeDelta::hours(24);
/// How often the loops that keep house look whether something is due.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// A loop that should wake up every second or two, and has not for so long, is stuck. A store that another process keeps
/// busy makes it wait 10 seconds at most.
const SILENT_MOST: Duration = Duration::from_secs(120);
/// The clerk waits for webhooks and the relay, some at a time, in one round.
const CLERK_SILENT_MOST: Duration = Duration::from_secs(300);
/// What a stop may take beyond the relay's longest answer, for the commands before it and the commit after it.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// What ended a loop.
pub type LoopError = Box<dyn std::error::Error + Send + Sync>;

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the mailbox cannot be used")]
    Mailbox(#[source] WatchError),
    #[error("the {what} cannot go on: the store has failed for good")]
    Store {
        what: &'static str,
        #[source]
        source: LoopError,
    },
    #[error("what was on the wire was not finished in time; it is in doubt, and the next start tries it again")]
    NotFinished,
}

/// What a daemon is told.
pub struct Orders {
    /// Finish what is on the wire, give the rest back, and end.
    pub stop: CancellationToken,
    /// Read settings, profiles and templates anew.
    pub reload: mpsc::Receiver<()>,
    /// How often to report [`News::Alive`].
    pub pulse: Duration,
}

/// What a daemon tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Everything is open and all loops run; also after a reload, whether or not the new settings could be used.
    Ready,
    /// One plain line: what it does, or what is wrong.
    Status(String),
    Reloading,
    /// All loops make progress. Silence means that one does not.
    Alive,
    Stopping,
}

/// Runs until told to stop, without anybody listening.
///
/// # Errors
/// As [`run`].
pub async fn serve(office: &Office, stop: CancellationToken) -> Result<(), DaemonError> {
    // Nobody asks for a reload, as long as this end of it lives.
    let (_asking, reload) = mpsc::channel(1);
    let orders = Orders {
        stop,
        reload,
        pulse: HOUSEKEEPING,
    };
    run(office.clone(), orders, |_| {}).await
}

/// Runs until told to stop; then finishes what is on the wire and gives back what it had claimed.
///
/// # Errors
/// The settings, our key, the relay's password or the mailbox cannot be used at the start; later, the store has failed
/// for good. [`DaemonError::NotFinished`] when a relay took too long at the end.
pub async fn run(office: Office, mut orders: Orders, tell: impl Fn(News)) -> Result<(), DaemonError> {
    let needs = Needs::check(&office).await?;
    for id in office.directory.ids() {
        if let Err(error) = office.directory.find(&id) {
            tracing::error!("the profile {id} cannot be used: {}", chain(&error));
        }
    }
    let worker = office.sign_on(WorkerKind::Daemon).await?;
    let mut house = House {
        loops: Generation::start(&office, &needs),
        leaving: JoinSet::new(),
        worker,
        refused: None,
        noted: false,
        office,
    };
    tell(News::Ready);
    house.say_how_it_is(&tell);
    let mut pulse = tokio::time::interval(orders.pulse.max(Duration::from_millis(1)));
    // A long reload is not followed by a sign of life for each one left out.
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stuck = None;
    let ended = loop {
        tokio::select! {
            () = orders.stop.cancelled() => break Ok(()),
            Some(()) = orders.reload.recv() => {
                tell(News::Reloading);
                house.reload().await;
                tell(News::Ready);
                house.say_how_it_is(&tell);
            }
            Some(ended) = house.loops.running.join_next() => {
                // A loop that was not told to stop ends with an error only.
                break ended.expect("a supervisor does not panic");
            }
            Some(_) = house.leaving.join_next() => {}
            () = house.loops.board.changed() => house.say_how_it_is(&tell),
            _ = pulse.tick() => {
                house.note_health().await;
                let found = house.loops.board.stuck();
                match found {
                    None => tell(News::Alive),
                    Some(name) if found != stuck => tracing::error!("the {name} does nothing any more"),
                    Some(_) => {}
                }
                stuck = found;
            }
        }
    };
    tell(News::Stopping);
    ended.and(house.close().await)
}

/// One round for those who run no daemon: sends what is due, reads the mailbox once, raises what needs a person, and ends.
///
/// # Errors
/// As [`run`], and the first error of the round.
pub async fn once(office: &Office) -> Result<(), DaemonError> {
    Needs::check(office).await?;
    let worker = office.sign_on(WorkerKind::Command).await?;
    let courier = Arc::new(Courier::new(office, &worker)?);
    courier.run(Scope::UntilIdle, CancellationToken::new()).await?;
    let read = watch::once(office).await;
    // Last: what was just read is no longer missing, and what the mailbox did not give is for the clerk to tell, too.
    clerk::round(office, worker.id()).await?;
    office.store.end_lead(worker.id()).await.map_err(OfficeError::from)?;
    read.map_err(DaemonError::Mailbox)?;
    Ok(())
}

/// What the settings ask for, found usable: a daemon does not start half-configured, and does not take up settings that
/// it could not start with. Whether a server can be reached is not among it: that may change at any time.
struct Needs {
    mailboxes: bool,
}

impl Needs {
    async fn check(office: &Office) -> Result<Self, DaemonError> {
        if office.our_key().await?.signs_slowly() {
            tracing::warn!("{}", checkup::SIGNS_SLOWLY);
        }
        office.connector()?;
        office.connector_to(office.config.relay_to_individuals())?;
        let mailboxes = watch::check(office).map_err(DaemonError::Mailbox)?;
        Ok(Self { mailboxes })
    }

    /// All loops of the daemon, each with the same settings.
    fn loops(&self, office: &Office) -> Vec<Loop> {
        let mut loops = vec![
            one("courier", SILENT_MOST, office, carry),
            one("clerk", CLERK_SILENT_MOST, office, keep_watch),
            one("keeper of checkpoints", SILENT_MOST, office, keep_checkpoints),
            one("keeper of certificates", SILENT_MOST, office, keep_certificates),
        ];
        if self.mailboxes {
            let watch = |office, stop| async move { Ok(watch::run(office, stop).await?) };
            loops.push(one("mailbox watcher", SILENT_MOST, office, watch));
        }
        loops
    }
}

fn one<F>(
    name: &'static str,
    silent_most: Duration,
    office: &Office,
    work: impl Fn(Office, CancellationToken) -> F + Send + Sync + 'static,
) -> Loop
where
    F: Future<Output = Result<(), LoopError>> + Send + 'static,
{
    let office = office.clone();
    Loop::new(name, silent_most, move |stop| work(office.clone(), stop))
}

/// The loops that run with the same settings.
struct Generation {
    running: JoinSet<Result<(), DaemonError>>,
    stop: CancellationToken,
    board: Arc<Board>,
}

impl Generation {
    fn start(office: &Office, needs: &Needs) -> Self {
        let (stop, board) = (CancellationToken::new(), Arc::new(Board::default()));
        let mut running = JoinSet::new();
        for one in needs.loops(office) {
            running.spawn(keep_running(one, stop.clone(), Arc::clone(&board)));
        }
        Self { running, stop, board }
    }

    /// Told to stop, it ends in its own time.
    async fn finish(mut self) -> Result<(), DaemonError> {
        self.stop.cancel();
        let mut result = Ok(());
        while let Some(ended) = self.running.join_next().await {
            result = result.and(ended.expect("a supervisor does not panic"));
        }
        result
    }
}

struct House {
    office: Office,
    loops: Generation,
    /// Generations that finish what they had on the wire when the settings changed.
    leaving: JoinSet<Result<(), DaemonError>>,
    /// Says that a daemon runs here, and what is wrong with it.
    worker: Worker,
    /// Why the latest settings were not taken.
    refused: Option<String>,
    /// Whether the store has been told of troubles that it must be told the end of.
    noted: bool,
}

impl House {
    /// Starts new loops with the new settings and lets the old ones finish; leases keep them from doing anything twice.
    /// When anything is wrong with the new settings, the old ones stay in force.
    async fn reload(&mut self) {
        let read = match self.office.reread() {
            Ok(office) => Needs::check(&office).await.map(|needs| (office, needs)),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok((office, needs)) => {
                let (new, old) = (&office.config, &self.office.config);
                let other_store = new.store != old.store || new.store_key != old.store_key;
                self.refused = other_store.then(|| {
                    "`store` and `store_key` cannot change while the daemon runs: restart it to use the new ones"
                        .to_owned()
                });
                let new = Generation::start(&office, &needs);
                let old = std::mem::replace(&mut self.loops, new);
                self.leaving.spawn(old.finish());
                self.office = office;
                tracing::info!("settings, profiles and templates were read anew and are in force");
            }
            Err(error) => {
                let why = chain(&error);
                self.refused = Some(format!(
                    "the changed settings were not taken, the old ones stay in force: {why}"
                ));
            }
        }
        if let Some(why) = &self.refused {
            tracing::error!("{why}");
        }
    }

    /// What is wrong, a line each.
    fn troubles(&self) -> Vec<String> {
        let refused = self.refused.iter().cloned();
        refused.chain(self.loops.board.troubles()).collect()
    }

    /// Keeps what is wrong where the clerk sees it, who tells a person when it lasts.
    async fn note_health(&mut self) {
        let troubles = self.troubles();
        if troubles.is_empty() && !self.noted {
            return;
        }
        let fault = (!troubles.is_empty()).then(|| troubles.join("; "));
        let noted = self
            .office
            .store
            .note_health("daemon", fault.as_deref(), self.office.now());
        match noted.await {
            Ok(()) => self.noted = fault.is_some(),
            Err(error) => tracing::warn!("the store cannot be told how the daemon is: {}", chain(&error)),
        }
    }

    /// Tells what is wrong, or that nothing is: to whoever listens, and in the worker's file to whoever looks.
    fn say_how_it_is(&self, tell: &impl Fn(News)) {
        let troubles = self.troubles();
        if let Err(error) = self.worker.tell(&troubles) {
            // A full disk, perhaps: then this is the smallest trouble, and the log has the others.
            tracing::warn!(error = %error, "`status` cannot be told how the daemon is");
        }
        tell(News::Status(match troubles.as_slice() {
            [] => "sends what is queued and reads what comes back".to_owned(),
            _ => troubles.join("; "),
        }));
    }

    /// Ends all loops, within the time that a relay may take for its last answer.
    async fn close(mut self) -> Result<(), DaemonError> {
        let most = self.office.config.relay.timeouts.final_dot_seconds.duration() + STOP_MARGIN;
        self.leaving.spawn(self.loops.finish());
        let all = async {
            let mut result = Ok(());
            while let Some(ended) = self.leaving.join_next().await {
                result = result.and(ended.expect("a generation does not panic"));
            }
            result
        };
        tokio::time::timeout(most, all)
            .await
            .unwrap_or(Err(DaemonError::NotFinished))
    }
}

/// Under a lock of its own: should this loop fail, what it held is recovered as soon as the lock is free.
async fn carry(office: Office, stop: CancellationToken) -> Result<(), LoopError> {
    let worker = office.sign_on(WorkerKind::Daemon).await?;
    let courier = Arc::new(Courier::new(&office, &worker)?);
    Ok(courier.run(Scope::Forever, stop).await?)
}

/// One clerk leads at a time, whatever the number of daemons.
async fn keep_watch(office: Office, stop: CancellationToken) -> Result<(), LoopError> {
    let worker = office.sign_on(WorkerKind::Daemon).await?;
    clerk::run(office, worker.id(), stop).await;
    Ok(())
}

/// Newer states and revocations of the pinned certificates, once a week each.
async fn keep_certificates(office: Office, stop: CancellationToken) -> Result<(), LoopError> {
    let by = Office::as_loop("certificates");
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(HOUSEKEEPING) => {}
        }
        let (apart, by, until) = (office.clone(), by.clone(), stop.clone());
        let handle = Handle::current();
        // What is fetched is a stranger's, up to a megabyte of keys and signatures to verify: no connection waits for that.
        let look = move || handle.block_on(until.run_until_cancelled(certificate::refetch(&apart, &by)));
        let mut looking = tokio::task::spawn_blocking(look);
        let looked = loop {
            tokio::select! {
                looked = &mut looking => break looked,
                // Waiting for other people's servers is no standstill: whoever watches this loop sees it wake up.
                () = tokio::time::sleep(HOUSEKEEPING) => {}
            }
        };
        match looked.expect("looking at a certificate does not panic") {
            None => return Ok(()),
            Some(looked) => looked?,
        };
    }
}

async fn keep_checkpoints(office: Office, stop: CancellationToken) -> Result<(), LoopError> {
    let started = office.now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(HOUSEKEEPING) => {}
        }
        let last = office.store.list_checkpoints().await?.pop();
        let since = last.map_or(started, |last| last.at);
        if office.now() - since >= CHECKPOINT_EVERY {
            checkpoint::write(&office).await?;
        }
    }
}
