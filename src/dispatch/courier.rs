//! The loop that carries: claim, prepare what is not sealed yet, put on the wire, carry, commit the outcome.
//!
//! `on_wire` is committed before MAIL FROM, and a connection takes its next messages (one, or a few where the relay is
//! quick) only with the commit of its last outcomes; the store shares one commit among all connections. So a crash leaves
//! in doubt at most what was marked as on the wire.
//!
//! One feeder claims, a few preparers write letters ahead on blocking threads, and each connection has its lane; between
//! them are short queues, so that memory depends on the number of connections and never on the list. Notices have a feeder
//! and a queue of their own, which every lane looks at first: none waits behind persons' letters that are ready already.

mod lane;
mod prepare;
mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Relay;
use crate::mail::smtp::Connector;
use crate::model::Time;
use crate::model::delivery::RetryPolicy;
use crate::model::id::{CampaignId, DeliveryId, WorkerId};
use crate::model::pace::Pace;
use crate::store::{Claim, Claimed, Which};

use super::campaign::{self, Letter};
use super::office::{Office, OfficeError};
use super::worker::Worker;
use lane::Lane;
use prepare::Job;
use queue::Queue;

/// How long a claim may be prepared before another worker may take it.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// How often an idle daemon looks for due work; a wake-up hint comes sooner.
const POLL: std::time::Duration = std::time::Duration::from_secs(1);
/// Under a pace, messages are claimed for so long at once: one by one, a high rate would need a commit for each.
const PACED_LEAST: std::time::Duration = std::time::Duration::from_millis(20);
/// A run that ends when nothing is due waits so long for the pace, and leaves the rest to the next run.
const PACED_MOST: TimeDelta = TimeDelta::minutes(5);
/// How often the leases of dead workers are looked for, busy or not.
const RECOVER_EVERY: std::time::Duration = std::time::Duration::from_secs(2);
/// How often an idle courier looks whether campaigns have come to their end.
const SETTLE_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// How often one message tries a relay that takes no connection.
const PROBE_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// Claims per connection and round: enough to keep a connection busy, few enough to give back quickly.
const CLAIMS_PER_CONNECTION: u32 = 16;
/// Letters that one preparer writes at a time.
const CHUNK: usize = 16;
/// Messages that wait for a connection, of each: enough that a quick relay finds as many as it may get for one commit.
const READY_PER_CONNECTION: usize = 8;
/// A few connections have more ready: while the store tidies its log nothing leaves, and whoever writes and encrypts goes on
/// meanwhile (8 % more encrypted messages a second than with 64 for eight connections). Not so many that a slow relay lets
/// their leases end.
const READY_FOR_FEW: usize = 32;
/// Of a few connections together.
const READY_MOST_FOR_FEW: usize = 256;
/// One more than there are cores, so that none is idle while a preparer hands over what it wrote; but more than this only
/// wait for the connections.
const PREPARERS_MOST: usize = 8;

/// Which deliveries a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that are due, until told to stop.
    Forever,
    /// All that are due now, then end.
    UntilIdle,
    /// This one, once, whatever comes of it.
    Once(DeliveryId),
}

/// A relay, and what goes over it.
struct Line {
    /// Under which its health is noted.
    name: &'static str,
    connector: Connector,
    connections: u32,
    retry: RetryPolicy,
    notices: bool,
    /// `None` where persons go over another line.
    persons: Option<Pace>,
    /// Connections open now.
    open: Arc<AtomicU32>,
    /// Connections that could not be made since the last one that could.
    failures: AtomicU32,
    /// Nothing more will be claimed.
    ending: CancellationToken,
}
impl Line {
    fn new(office: &Office, name: &'static str, settings: &Relay) -> Result<Self, OfficeError> {
        Ok(Self {
            name,
            connector: office.connector_to(settings)?,
            connections: u32::from(settings.connections.max(1)),
            retry: settings.retry.policy(None),
            notices: false,
            persons: None,
            open: Arc::default(),
            failures: AtomicU32::new(0),
            ending: CancellationToken::new(),
        })
    }
}

impl Line {
    /// Each connection has failed in turn: trying a million persons' messages would only write a million failures down.
    fn is_down(&self) -> bool {
        self.failures.load(Ordering::SeqCst) >= self.connections
    }
}

/// One worker's courier. Each runs once.
pub struct Courier {
    office: Office,
    worker: WorkerId,
    lines: Vec<Arc<Line>>,
    /// With the hash that was approved.
    letters: Mutex<HashMap<CampaignId, (String, Arc<Letter>)>>,
}

impl Courier {
    /// A courier that works under `worker`'s lock, over the configured relays.
    ///
    /// # Errors
    /// The relays' settings cannot be used (trust roots, password).
    pub fn new(office: &Office, worker: &Worker) -> Result<Self, OfficeError> {
        let mut main = Line::new(office, "relay", &office.config.relay)?;
        main.notices = true;
        let mut lines = Vec::new();
        match &office.config.individuals.relay {
            None => main.persons = Some(office.config.relay.pace.limits()),
            Some(settings) => {
                let mut line = Line::new(office, "individuals.relay", settings)?;
                line.persons = Some(settings.pace.limits());
                lines.push(Arc::new(line));
            }
        }
        lines.insert(0, Arc::new(main));
        Ok(Self {
            office: office.clone(),
            worker: worker.id(),
            lines,
            letters: Mutex::default(),
        })
    }

    /// Carries what `scope` names until done or told to stop; claims not tried are given back.
    ///
    /// # Errors
    /// The store fails, or our key cannot be used. What was on the wire then is recovered by the next worker.
    pub async fn run(self: Arc<Self>, scope: Scope, stop: CancellationToken) -> Result<(), OfficeError> {
        // One line that fails ends the others too.
        let stop = stop.child_token();
        let lines = match scope {
            Scope::Once(_) => &self.lines[..1],
            Scope::Forever | Scope::UntilIdle => &self.lines[..],
        };
        let mut running = JoinSet::new();
        for line in lines {
            running.spawn(Arc::clone(&self).serve(Arc::clone(line), scope, stop.clone()));
        }
        let mut result = Ok(());
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    None => return result,
                    Some(ended) => {
                        let ended = ended.expect("a line does not panic");
                        if ended.is_err() {
                            stop.cancel();
                        }
                        result = result.and(ended);
                    }
                },
                // Wakes up now and then, so that whoever watches this loop sees that it lives.
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// One line from its first claim to its last outcome.
    async fn serve(self: Arc<Self>, line: Arc<Line>, scope: Scope, stop: CancellationToken) -> Result<(), OfficeError> {
        let connections = match scope {
            Scope::Once(_) => 1,
            Scope::Forever | Scope::UntilIdle => line.connections,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let preparers = (cores + 1).min(PREPARERS_MOST);
        let (claims, claimed) = mpsc::channel::<Vec<Claim>>(preparers);
        let (jobs, persons) = mpsc::channel::<Job>(ready_for(connections as usize));
        // As many as can leave at once.
        let (urgent, notices) = mpsc::channel::<Job>(connections as usize);
        let claimed = Arc::new(Mutex::new(claimed));
        let queue = Arc::new(Mutex::new(Queue::new(notices, persons)));
        let mut parts = JoinSet::new();
        match scope {
            Scope::Forever | Scope::UntilIdle if line.notices => {
                parts.spawn(Arc::clone(&self).feed_notices(Arc::clone(&line), connections, urgent, stop.clone()));
            }
            _ => drop(urgent),
        }
        for _ in 0..preparers {
            let (claimed, jobs) = (Arc::clone(&claimed), jobs.clone());
            parts.spawn(Arc::clone(&self).prepare_all(claimed, jobs, stop.clone()));
        }
        for _ in 0..connections {
            parts.spawn(Lane::new(Arc::clone(&self), Arc::clone(&line), Arc::clone(&queue), stop.clone()).run());
        }
        // Theirs alone: they end when what feeds them does.
        drop((claimed, jobs));
        let mut result = tokio::select! {
            fed = self.feed(&line, scope, connections * CLAIMS_PER_CONNECTION, claims, &stop) => fed,
            failed = first_failure(&mut parts) => Err(failed),
        };
        line.ending.cancel();
        if result.is_err() {
            stop.cancel();
        }
        // The others finish what they have on the wire, whatever became of one.
        while let Some(ended) = parts.join_next().await {
            result = result.and(ended.expect("a part of a line does not panic"));
        }
        result
    }

    /// Claims notices and hands them to the lanes, until nothing more is claimed for persons either.
    async fn feed_notices(
        self: Arc<Self>,
        line: Arc<Line>,
        most: u32,
        jobs: mpsc::Sender<Job>,
        stop: CancellationToken,
    ) -> Result<(), OfficeError> {
        while !stop.is_cancelled() {
            // Asked first: what was filed before the end is still seen.
            let ending = line.ending.is_cancelled();
            let now = self.office.now();
            let claimed = self.office.store.claim(self.worker, most, Which::Notices, now, LEASE);
            let claims = claimed.await?.claims;
            let found = !claims.is_empty();
            self.prepare_and_hand_over(claims, &jobs, &stop).await?;
            if found {
                continue;
            }
            if ending {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = line.ending.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Claims and hands to the preparers. Ends by dropping the channel, which lets them and then the lanes finish.
    async fn feed(
        &self,
        line: &Line,
        scope: Scope,
        most: u32,
        chunks: mpsc::Sender<Vec<Claim>>,
        stop: &CancellationToken,
    ) -> Result<(), OfficeError> {
        let mut recovered = tokio::time::Instant::now();
        let mut settled: Option<tokio::time::Instant> = None;
        let mut probed: Option<tokio::time::Instant> = None;
        loop {
            if scope == Scope::Forever && recovered.elapsed() >= RECOVER_EVERY {
                self.office.recover(self.worker).await?;
                recovered = tokio::time::Instant::now();
            }
            let persons = match line.is_down() {
                false => most,
                true if scope == Scope::Forever && probed.is_none_or(|last| last.elapsed() >= PROBE_EVERY) => 1,
                true => 0,
            };
            if persons == 1 {
                probed = Some(tokio::time::Instant::now());
            }
            let Claimed { claims, again } = self.claim(line, scope, persons).await?;
            let found = !claims.is_empty();
            let mut rest = claims.into_iter();
            loop {
                let chunk: Vec<Claim> = rest.by_ref().take(CHUNK).collect();
                if chunk.is_empty() {
                    break;
                }
                if let Err(mut back) = hand_over(chunk, &chunks, stop).await {
                    back.extend(rest);
                    self.office.store.release(back, self.office.now()).await?;
                    return Ok(());
                }
            }
            if !found
                && !matches!(scope, Scope::Once(_))
                && line.persons.is_some()
                && settled.is_none_or(|last| last.elapsed() >= SETTLE_EVERY)
            {
                campaign::settle::round(&self.office).await?;
                settled = Some(tokio::time::Instant::now());
            }
            let wait = match (scope, again) {
                (Scope::Once(_), _) => return Ok(()),
                (_, None) if found => continue,
                (_, Some(again)) if found => self.until(again),
                (Scope::UntilIdle, Some(again)) if again - self.office.now() <= PACED_MOST => self.until(again),
                (Scope::UntilIdle, _) => return Ok(()),
                (Scope::Forever, again) => again.map_or(POLL, |again| self.until(again)),
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// The one that is asked for, or what is due of persons.
    async fn claim(&self, line: &Line, scope: Scope, persons: u32) -> Result<Claimed, OfficeError> {
        let (most, which) = match (scope, line.persons) {
            (Scope::Once(id), _) => (1, Which::One(id)),
            (_, Some(pace)) if persons > 0 => (persons, Which::Persons(pace)),
            _ => return Ok(Claimed::default()),
        };
        let now = self.office.now();
        Ok(self.office.store.claim(self.worker, most, which, now, LEASE).await?)
    }

    /// How long to sleep until the pace lets more go; a campaign may be started at any time.
    fn until(&self, again: Time) -> std::time::Duration {
        let wait = (again - self.office.now()).to_std().unwrap_or_default();
        wait.clamp(PACED_LEAST, POLL)
    }
}

/// How many messages may wait for so many connections.
fn ready_for(connections: usize) -> usize {
    let few = (connections * READY_FOR_FEW).min(READY_MOST_FOR_FEW);
    few.max(connections * READY_PER_CONNECTION)
}

/// Waits until a part of the line fails; for ever where none does.
async fn first_failure(parts: &mut JoinSet<Result<(), OfficeError>>) -> OfficeError {
    loop {
        match parts.join_next().await {
            Some(Ok(Err(error))) => return error,
            Some(Ok(Ok(()))) => {}
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => std::future::pending().await,
        }
    }
}

/// Waits for a place in a queue. Gives the work back when told to stop, or when nobody takes any more (with errors, which
/// [`Courier::run`] reports).
async fn hand_over<T>(work: T, queue: &mpsc::Sender<T>, stop: &CancellationToken) -> Result<(), T> {
    if stop.is_cancelled() {
        return Err(work);
    }
    tokio::select! {
        place = queue.reserve() => match place {
            Ok(place) => {
                place.send(work);
                Ok(())
            }
            Err(_) => Err(work),
        },
        () = stop.cancelled() => Err(work),
    }
}

/// 0..1 from the operating system; a failing source of randomness only costs the spread.
pub(super) fn jitter() -> f64 {
    getrandom::u32().map_or(0.0, |n| f64::from(n) / f64::from(u32::MAX))
}
