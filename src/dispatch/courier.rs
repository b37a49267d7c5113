//! The loop that carries: claim, prepare what is not sealed yet, put on the wire, carry, commit the outcome.
//!
//! `on_wire` is committed before MAIL FROM, and a connection takes its next message only with the commit of its last
//! outcome; the store shares one commit among all connections. So a crash leaves in doubt at most what was on the wire.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::mail::smtp::{Connection, Connector, Mail, Notify};
use crate::message::token;
use crate::model::delivery::{Fault, FaultCause, Outcome, RetryPolicy, SmtpStep};
use crate::model::id::{CampaignId, DeliveryId, WorkerId};
use crate::store::{Claim, Done, Work};

use super::campaign::{self, Letter};
use super::checkpoint;
use super::office::{Office, OfficeError};
use super::worker::Worker;

/// How long a claim may be prepared before another worker may take it.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// How often an idle daemon looks for due work; a wake-up hint comes sooner.
const POLL: std::time::Duration = std::time::Duration::from_secs(1);
/// A connection without work is closed after this long.
const IDLE: std::time::Duration = std::time::Duration::from_secs(60);
/// How often the leases of dead workers are looked for, busy or not.
const RECOVER_EVERY: std::time::Duration = std::time::Duration::from_secs(2);
/// Claims per connection and round: enough to keep a connection busy, few enough to give back quickly.
const CLAIMS_PER_CONNECTION: u32 = 16;

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

/// A message that is ready to go.
struct Job {
    claim: Claim,
    envelope_from: String,
    /// Our token (RFC 3461 §4.4): a report that carries it can only be about this message.
    envelope_id: String,
    bytes: Vec<u8>,
    is_notice: bool,
}

/// One worker's courier.
pub struct Courier {
    office: Office,
    worker: WorkerId,
    connector: Arc<Connector>,
    retry: RetryPolicy,
    letters: Mutex<HashMap<CampaignId, Arc<Letter>>>,
}

impl Courier {
    /// A courier that works under `worker`'s lock, over the configured relay.
    ///
    /// # Errors
    /// The relay's settings cannot be used (trust roots, password).
    pub fn new(office: &Office, worker: &Worker) -> Result<Self, OfficeError> {
        let connector = office.connector()?;
        Ok(Self {
            office: office.clone(),
            worker: worker.id(),
            connector: Arc::new(connector),
            retry: office.retry(),
            letters: Mutex::default(),
        })
    }

    /// Carries what `scope` names until done or told to stop; claims not tried are given back.
    ///
    /// # Errors
    /// The store fails, or our key cannot be used. What was on the wire then is recovered by the next worker.
    pub async fn run(self: Arc<Self>, scope: Scope, stop: CancellationToken) -> Result<(), OfficeError> {
        let connections = match scope {
            Scope::Once(_) => 1,
            Scope::Forever | Scope::UntilIdle => u32::from(self.office.config.relay.connections.max(1)),
        };
        let (jobs, queue) = mpsc::channel::<Job>(connections as usize * 2);
        let queue = Arc::new(Mutex::new(queue));
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..connections {
            lanes.spawn(Arc::clone(&self).lane(Arc::clone(&queue), stop.clone()));
        }
        let mut result = self.feed(scope, connections, jobs, &mut lanes, &stop).await;
        // The others finish what they have on the wire, whatever became of one.
        loop {
            tokio::select! {
                ended = lanes.join_next() => match ended {
                    None => return result,
                    Some(ended) => result = result.and(ended.expect("a lane does not panic")),
                },
                // Wakes up now and then, so that whoever watches this loop sees that it lives.
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Claims, prepares and hands to the lanes. Ends by dropping the channel, which lets the lanes finish.
    async fn feed(
        &self,
        scope: Scope,
        connections: u32,
        jobs: mpsc::Sender<Job>,
        lanes: &mut tokio::task::JoinSet<Result<(), OfficeError>>,
        stop: &CancellationToken,
    ) -> Result<(), OfficeError> {
        let most = connections * CLAIMS_PER_CONNECTION;
        let mut recovered = tokio::time::Instant::now();
        loop {
            if scope == Scope::Forever && recovered.elapsed() >= RECOVER_EVERY {
                self.office.recover().await?;
                recovered = tokio::time::Instant::now();
            }
            let only = if let Scope::Once(id) = scope { Some(id) } else { None };
            let claims = self
                .office
                .store
                .claim(self.worker, most, only, self.office.now(), LEASE)
                .await?;
            let found = !claims.is_empty();
            let mut rest = claims.into_iter();
            while let Some(claim) = rest.next() {
                if stop.is_cancelled() {
                    let mut back = vec![claim];
                    back.extend(rest);
                    self.office.store.release(back, self.office.now()).await?;
                    return Ok(());
                }
                let Some(job) = self.prepare(claim).await? else {
                    continue;
                };
                if let Err(job) = hand_over(job, &jobs, stop).await {
                    let back = std::iter::once(job.claim).chain(rest).collect();
                    self.office.store.release(back, self.office.now()).await?;
                    return Ok(());
                }
            }
            match scope {
                Scope::Once(_) => return Ok(()),
                Scope::Forever | Scope::UntilIdle if found => {}
                Scope::UntilIdle => return Ok(()),
                Scope::Forever => {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        Some(ended) = lanes.join_next() => return ended.expect("a lane does not panic"),
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
            }
        }
    }

    /// Makes a claim's bytes. A message that cannot be made is an attempt that failed on our side, kept like any other.
    async fn prepare(&self, mut claim: Claim) -> Result<Option<Job>, OfficeError> {
        let (campaign, language, fields) = match &claim.work {
            Work::Notice {
                reference,
                envelope_from,
                sealed,
            } => {
                return Ok(Some(Job {
                    envelope_from: envelope_from.clone(),
                    envelope_id: self.office.tokens.for_notice(reference),
                    bytes: sealed.clone(),
                    is_notice: true,
                    claim,
                }));
            }
            Work::Person {
                campaign,
                language,
                fields,
            } => (*campaign, language.clone(), fields.clone()),
        };
        let Some(letter) = self.letter(campaign).await? else {
            self.office.store.release(vec![claim], self.office.now()).await?;
            return Ok(None);
        };
        let now = self.office.now();
        let token = self.office.tokens.for_delivery(claim.delivery);
        let message_id = claim
            .message_id
            .clone()
            .unwrap_or_else(|| token::message_id_of(&token, &letter.sender.address));
        let (recipient, id) = (claim.recipient.clone(), message_id.clone());
        let made = {
            let letter = Arc::clone(&letter);
            tokio::task::spawn_blocking(move || letter.write(&recipient, &language, &fields, &id, now))
                .await
                .expect("rendering does not panic")
        };
        match made {
            Ok(bytes) => {
                // Kept with the `on_wire` mark: a retry after a crash carries the same one.
                claim.message_id = Some(message_id);
                Ok(Some(Job {
                    envelope_from: self.office.return_path(&self.office.config.sender, &token),
                    envelope_id: token,
                    bytes,
                    is_notice: false,
                    claim,
                }))
            }
            Err(error) => {
                let fault = Fault {
                    step: SmtpStep::Prepare,
                    cause: FaultCause::Unfit(campaign::why(&error)),
                };
                let done = self.done(claim, Outcome::Refused { fault });
                self.office.store.step(vec![done], Vec::new(), now).await?;
                Ok(None)
            }
        }
    }

    /// One campaign's letter, compiled once; `None` when it is not what was approved.
    async fn letter(&self, id: CampaignId) -> Result<Option<Arc<Letter>>, OfficeError> {
        let mut letters = self.letters.lock().await;
        if let Some(letter) = letters.get(&id) {
            return Ok(Some(Arc::clone(letter)));
        }
        let Some(letter) = Letter::approved(&self.office, id).await? else {
            return Ok(None);
        };
        let letter = Arc::new(letter);
        letters.insert(id, Arc::clone(&letter));
        Ok(Some(letter))
    }

    /// One connection's life: outcomes of the last message are committed together with the mark of the next.
    /// Told to stop, it finishes the message on the wire and gives the others back.
    async fn lane(
        self: Arc<Self>,
        queue: Arc<Mutex<mpsc::Receiver<Job>>>,
        stop: CancellationToken,
    ) -> Result<(), OfficeError> {
        let mut connection: Option<Connection> = None;
        let mut last: Option<Done> = None;
        loop {
            let next = match last {
                None if connection.is_some() => {
                    match tokio::time::timeout(IDLE, async { queue.lock().await.recv().await }).await {
                        Ok(next) => next,
                        Err(_) => {
                            // Relays close idle connections themselves, some with a complaint in their log.
                            connection.take().expect("just seen").quit().await;
                            continue;
                        }
                    }
                }
                None => queue.lock().await.recv().await,
                // Never let an outcome wait for work that may not come.
                Some(_) => queue.try_lock().ok().and_then(|mut queue| queue.try_recv().ok()),
            };
            let Some(job) = next else {
                if last.is_none() {
                    break;
                }
                self.commit(last.take(), None).await?;
                continue;
            };
            if stop.is_cancelled() {
                self.commit(last.take(), None).await?;
                self.office.store.release(vec![job.claim], self.office.now()).await?;
                continue;
            }
            if connection.as_ref().is_none_or(|c| !c.reusable()) {
                // Connecting may take long: the last outcome does not wait for it.
                self.commit(last.take(), None).await?;
                let opened = tokio::select! {
                    opened = Connection::open(&self.connector) => opened,
                    () = stop.cancelled() => {
                        self.office.store.release(vec![job.claim], self.office.now()).await?;
                        continue;
                    }
                };
                self.note_relay(opened.as_ref().err()).await?;
                match opened {
                    Ok(open) => connection = Some(open),
                    Err(fault) => {
                        // Nothing was on the wire: the attempt ends in the state it was leased in.
                        last = Some(self.finish(job, Outcome::Deferred { fault }));
                        continue;
                    }
                }
            }
            if self.commit(last.take(), Some(&job.claim)).await? {
                continue;
            }
            let outcome = self.carry(&mut connection, &job).await;
            last = Some(self.finish(job, outcome));
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        Ok(())
    }

    /// Sends one message; a connection that the relay closed while idle is replaced at once, without counting an attempt.
    async fn carry(&self, connection: &mut Option<Connection>, job: &Job) -> Outcome {
        let mail = Mail {
            envelope_from: &job.envelope_from,
            recipient: &job.claim.recipient,
            bytes: &job.bytes,
            envid: Some(&job.envelope_id),
            notify: if job.is_notice { Notify::ALL } else { Notify::TROUBLE },
        };
        let open = connection
            .as_mut()
            .expect("opened before the claim was put on the wire");
        let outcome = open.carry(&mail).await;
        if !open.is_stale() {
            return outcome;
        }
        match Connection::open(&self.connector).await {
            Ok(mut fresh) => {
                let outcome = fresh.carry(&mail).await;
                *connection = Some(fresh);
                outcome
            }
            Err(fault) => {
                *connection = None;
                Outcome::Deferred { fault }
            }
        }
    }

    /// Whether the relay takes us; the clerk tells a person when it does not for long.
    async fn note_relay(&self, fault: Option<&Fault>) -> Result<(), OfficeError> {
        let text = fault.map(ToString::to_string);
        let (store, now) = (&self.office.store, self.office.now());
        Ok(store.note_health("relay", text.as_deref(), now).await?)
    }

    fn finish(&self, job: Job, outcome: Outcome) -> Done {
        if matches!(outcome, Outcome::Refused { .. } | Outcome::InDoubt { .. }) && job.is_notice {
            self.office.nudge();
        }
        tracing::info!(delivery = %job.claim.delivery, outcome = outcome.name(), "tried a delivery");
        self.done(job.claim, outcome)
    }

    fn done(&self, claim: Claim, outcome: Outcome) -> Done {
        Done {
            message_id: claim.message_id.clone(),
            claim,
            outcome,
            retry: self.retry.clone(),
            jitter: jitter(),
        }
    }

    /// Commits the last outcome and the next mark together; says whether the next one's lease was lost.
    async fn commit(&self, last: Option<Done>, next: Option<&Claim>) -> Result<bool, OfficeError> {
        if last.is_none() && next.is_none() {
            return Ok(false);
        }
        let accepted_notice = last.as_ref().is_some_and(|done| {
            matches!(
                (&done.outcome, &done.claim.work),
                (Outcome::Accepted { .. }, Work::Notice { .. })
            )
        });
        let (last, marks) = (last.into_iter().collect(), next.cloned().into_iter().collect());
        let lost = self.office.store.step(last, marks, self.office.now()).await?;
        for lost in &lost {
            tracing::warn!(delivery = %lost.0, "lost the lease on a delivery");
        }
        if accepted_notice && let Err(error) = checkpoint::write(&self.office).await {
            tracing::error!(error = %error, "the journal's checkpoint could not be written");
        }
        Ok(next.is_some_and(|claim| lost.iter().any(|l| l.0 == claim.delivery)))
    }
}

/// Waits for a free lane. Gives the job back when told to stop, or when every lane has ended (with errors, which
/// [`Courier::run`] reports).
async fn hand_over(job: Job, jobs: &mpsc::Sender<Job>, stop: &CancellationToken) -> Result<(), Job> {
    loop {
        tokio::select! {
            free = jobs.reserve() => return match free {
                Ok(free) => {
                    free.send(job);
                    Ok(())
                }
                Err(_) => Err(job),
            },
            () = stop.cancelled() => return Err(job),
            // As in `run`: relays may be slow, and this loop is alive all the same.
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// 0..1 from the operating system; a failing source of randomness only costs the spread.
pub(super) fn jitter() -> f64 {
    getrandom::u32().map_or(0.0, |n| f64::from(n) / f64::from(u32::MAX))
}
