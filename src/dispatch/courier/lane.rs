//! One connection's life: takes messages that are ready, carries them, and commits what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::super::checkpoint;
use super::super::office::{Office, OfficeError};
use super::prepare::Job;
use super::{Courier, Line, jitter};
use crate::mail::smtp::{Connection, Mail, Notify};
use crate::model::blame::{Blame, blame};
use crate::model::delivery::{DeliveryState, Fault, FaultCause, Outcome, SmtpStep};
use crate::store::{Claim, Done, Work};

/// A connection without work is closed after this long.
const IDLE: Duration = Duration::from_secs(60);
/// A lane whose connection the relay does not want, while it serves others of ours, stays away so long.
const REST: Duration = Duration::from_secs(60);

/// One of the line's connections, counted from its first packet until it is dropped: of several that open at once, a relay
/// that wants fewer sends some away.
struct Counted(Arc<AtomicU32>);
impl Counted {
    fn among(open: &Arc<AtomicU32>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An open connection.
struct Open {
    connection: Connection,
    counted: Counted,
    /// Messages it has carried.
    carried: u32,
}
impl Open {
    async fn open(line: &Line) -> Result<Self, Fault> {
        let counted = Counted::among(&line.open);
        Ok(Self {
            connection: Connection::open(&line.connector).await?,
            counted,
            carried: 0,
        })
    }
    async fn quit(self) {
        let Self {
            connection, counted, ..
        } = self;
        connection.quit().await;
        drop(counted);
    }
    /// The relay had closed it, or closes it now instead of taking this message: it has carried enough. That says nothing
    /// about the message, which goes over a fresh one without counting an attempt.
    fn has_served(&self, outcome: &Outcome) -> bool {
        let ends = |fault: &Fault| fault.step == SmtpStep::Mail && blame(fault) == Blame::Connections;
        self.connection.is_stale()
            || (self.carried > 1 && matches!(outcome, Outcome::Deferred { fault } if ends(fault)))
    }
}

impl Courier {
    /// Outcomes of the last message are committed together with the mark of the next. Told to stop, it finishes the
    /// message on the wire and gives the others back.
    pub(super) async fn lane(
        self: Arc<Self>,
        line: Arc<Line>,
        queue: Arc<Mutex<mpsc::Receiver<Job>>>,
        stop: CancellationToken,
    ) -> Result<(), OfficeError> {
        let mut connection: Option<Open> = None;
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
                self.give_back(job).await?;
                continue;
            }
            if connection.as_ref().is_none_or(|c| !c.connection.reusable()) {
                // Connecting may take long: the last outcome does not wait for it.
                self.commit(last.take(), None).await?;
                if let Some(used_up) = connection.take() {
                    used_up.quit().await;
                }
                if !self.holds(&job.claim).await? {
                    continue;
                }
                let opened = tokio::select! {
                    opened = Open::open(&line) => opened,
                    () = stop.cancelled() => {
                        self.give_back(job).await?;
                        continue;
                    }
                };
                match opened {
                    Err(fault) if is_full(&line, &fault) => {
                        tracing::info!(relay = line.name, "the relay wants fewer connections");
                        self.give_back(job).await?;
                        rest(&line, &stop).await;
                        continue;
                    }
                    opened => {
                        self.note_relay(&line, opened.as_ref().err()).await?;
                        match opened {
                            Ok(open) => {
                                line.failures.store(0, Ordering::SeqCst);
                                connection = Some(open);
                            }
                            Err(fault) => {
                                line.failures.fetch_add(1, Ordering::SeqCst);
                                // Nothing was on the wire: the attempt ends in the state it was leased in.
                                last = Some(self.finish(&line, job, Outcome::Deferred { fault }));
                                continue;
                            }
                        }
                    }
                }
            }
            if self.commit(last.take(), Some(&job.claim)).await? {
                continue;
            }
            let outcome = self.carry(&line, &mut connection, &job).await;
            if connection.is_some() {
                // It serves this one, whatever it does with others.
                line.failures.store(0, Ordering::SeqCst);
            }
            last = Some(self.finish(&line, job, outcome));
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        Ok(())
    }

    /// Whether the lease is ours still. Of a campaign that was paused because the relay refuses us, no message that waits
    /// here is reason enough to knock again.
    async fn holds(&self, claim: &Claim) -> Result<bool, OfficeError> {
        let found = self.office.store.find_delivery(claim.delivery).await?;
        Ok(found.is_some_and(|found| matches!(found.state, DeliveryState::Leased { by, .. } if by == claim.by)))
    }

    async fn give_back(&self, job: Job) -> Result<(), OfficeError> {
        Ok(self.office.store.release(vec![job.claim], self.office.now()).await?)
    }

    /// Sends one message; a connection that the relay has closed or closes between two messages is replaced at once.
    async fn carry(&self, line: &Line, connection: &mut Option<Open>, job: &Job) -> Outcome {
        let success = self.office.config.campaign.dsn_success;
        let mail = Mail {
            envelope_from: &job.envelope_from,
            recipient: &job.claim.recipient,
            bytes: &job.bytes,
            envid: Some(&job.envelope_id),
            notify: if job.is_notice() {
                Notify::ALL
            } else {
                Notify {
                    success,
                    ..Notify::TROUBLE
                }
            },
        };
        let open = connection
            .as_mut()
            .expect("opened before the claim was put on the wire");
        let outcome = open.connection.carry(&mail).await;
        open.carried += 1;
        if !open.has_served(&outcome) {
            return outcome;
        }
        if let Some(used_up) = connection.take() {
            used_up.quit().await;
        }
        match Open::open(line).await {
            Ok(mut fresh) => {
                let outcome = fresh.connection.carry(&mail).await;
                fresh.carried += 1;
                *connection = Some(fresh);
                outcome
            }
            Err(fault) => Outcome::Deferred { fault },
        }
    }

    /// Whether the relay takes us; the clerk tells a person when it does not for long.
    async fn note_relay(&self, line: &Line, fault: Option<&Fault>) -> Result<(), OfficeError> {
        let text = fault.map(ToString::to_string);
        let (store, now) = (&self.office.store, self.office.now());
        Ok(store.note_health(line.name, text.as_deref(), now).await?)
    }

    fn finish(&self, line: &Line, job: Job, outcome: Outcome) -> Done {
        if matches!(outcome, Outcome::Refused { .. } | Outcome::InDoubt { .. }) && job.is_notice() {
            self.office.nudge();
        }
        tracing::info!(delivery = %job.claim.delivery, outcome = outcome.name(), "tried a delivery");
        Done {
            message_id: job.claim.message_id.clone(),
            claim: job.claim,
            outcome,
            retry: line.retry.clone(),
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
        let refused_us = last.as_ref().and_then(refused_us);
        let (last, marks) = (last.into_iter().collect(), next.cloned().into_iter().collect());
        let lost = self.office.store.step(last, marks, self.office.now()).await?;
        for lost in &lost {
            tracing::warn!(delivery = %lost.0, "lost the lease on a delivery");
        }
        if accepted_notice && let Err(error) = checkpoint::write(&self.office).await {
            tracing::error!(error = %error, "the journal's checkpoint could not be written");
        }
        if let Some(campaign) = refused_us {
            let (store, budget) = (&self.office.store, self.office.config.campaign.error_budget);
            let by = Office::as_loop("courier");
            if let Some(why) = store.spend_budget(campaign, budget, &by, self.office.now()).await? {
                tracing::error!(%campaign, why, "paused a campaign: breachpost status");
                self.office.nudge();
            }
        }
        Ok(next.is_some_and(|claim| lost.iter().any(|l| l.0 == claim.delivery)))
    }
}

/// The campaign of a person's message that was not taken because of us.
fn refused_us(done: &Done) -> Option<crate::model::id::CampaignId> {
    let Work::Person { campaign, .. } = done.claim.work else {
        return None;
    };
    match &done.outcome {
        Outcome::Refused { fault } | Outcome::Deferred { fault } => (blame(fault) == Blame::Us).then_some(campaign),
        _ => None,
    }
}

/// The relay has as many connections of ours as it wants: no failure, as long as it serves those. Some say so, some only
/// close.
fn is_full(line: &Line, fault: &Fault) -> bool {
    let closed = matches!(fault.cause, FaultCause::Network(_)) && fault.step == SmtpStep::Greeting;
    (blame(fault) == Blame::Connections || closed) && line.open.load(Ordering::SeqCst) > 0
}

/// Leaves the work to the other lanes for a while.
async fn rest(line: &Line, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = line.ending.cancelled() => {}
        () = tokio::time::sleep(REST) => {}
    }
}
