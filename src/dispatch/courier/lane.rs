//! One connection's life: takes messages that are ready, carries them, and commits what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::causes::chain;
use super::super::checkpoint;
use super::super::office::{Office, OfficeError};
use super::prepare::Job;
use super::queue::Queue;
use super::{Courier, Line, jitter};
use crate::mail::smtp::{Connection, Mail, Notify};
use crate::model::blame::{Blame, blame};
use crate::model::delivery::{DeliveryState, Fault, FaultCause, Outcome, SmtpStep};
use crate::model::id::{CampaignId, DeliveryId};
use crate::store::{Claim, Done, Work};

/// A connection without work is closed after this long.
const IDLE: Duration = Duration::from_secs(60);
/// A lane whose connection the relay does not want, while it serves others of ours, stays away so long.
const REST: Duration = Duration::from_secs(60);

/// A relay that takes a message in less than this is given several for one commit: their number bounds what is in doubt after
/// a crash, and this time how long an outcome is known to nobody but us. Rates where a commit costs as much as a
/// message (facts: performance).
const QUICK: Duration = Duration::from_millis(5);
/// Persons' messages of one commit and connection at most; a notice has a commit of its own.
const TOGETHER_MOST: usize = 4;

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

/// One connection's loop.
pub(super) struct Lane {
    courier: Arc<Courier>,
    line: Arc<Line>,
    queue: Arc<Mutex<Queue>>,
    stop: CancellationToken,
    connection: Option<Open>,
    /// What came of the last messages, not committed yet.
    done: Vec<Done>,
    /// A notice that came up while persons' messages were taken together.
    waiting: Option<Job>,
    /// The relay took the last messages quickly.
    quick: bool,
}

impl Lane {
    pub(super) fn new(
        courier: Arc<Courier>,
        line: Arc<Line>,
        queue: Arc<Mutex<Queue>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            courier,
            line,
            queue,
            stop,
            connection: None,
            done: Vec::new(),
            waiting: None,
            quick: false,
        }
    }

    /// Until there is nothing more to come. Outcomes of the last messages are committed together with the marks of the
    /// next. Told to stop, it finishes what is marked and gives the others back.
    pub(super) async fn run(mut self) -> Result<(), OfficeError> {
        loop {
            let Some(first) = self.next().await else {
                if self.done.is_empty() {
                    break;
                }
                self.commit(&[]).await?;
                continue;
            };
            if self.stop.is_cancelled() {
                self.commit(&[]).await?;
                self.courier.give_back(vec![first]).await?;
                continue;
            }
            let Some(first) = self.connected(first).await? else {
                continue;
            };
            let mut marked = self.with_more(first);
            let lost = self.commit(&marked).await?;
            marked.retain(|job| !lost.contains(&job.claim.delivery));
            if !marked.is_empty() {
                self.carry(marked).await;
            }
        }
        if let Some(open) = self.connection {
            open.quit().await;
        }
        Ok(())
    }

    /// The next message, if there is one to come; an open connection does not wait for it long.
    async fn next(&mut self) -> Option<Job> {
        if self.waiting.is_some() {
            return self.waiting.take();
        }
        // Never let an outcome wait for work that may not come.
        if !self.done.is_empty() {
            return at_once(&self.queue);
        }
        if self.connection.is_some() {
            let next = async { self.queue.lock().await.next().await };
            match tokio::time::timeout(IDLE, next).await {
                Ok(next) => return next,
                // Relays close idle connections themselves, some with a complaint in their log.
                Err(_) => self.connection.take().expect("just seen").quit().await,
            }
        }
        self.queue.lock().await.next().await
    }

    /// The message, once there is a connection for it. `None`: it went back, or its try ended here.
    async fn connected(&mut self, first: Job) -> Result<Option<Job>, OfficeError> {
        if self.is_reusable() {
            return Ok(Some(first));
        }
        // Connecting may take long: the last outcomes do not wait for it.
        self.commit(&[]).await?;
        if let Some(used_up) = self.connection.take() {
            used_up.quit().await;
        }
        let connected = self
            .courier
            .connect(&self.line, first, &mut self.done, &self.stop)
            .await?;
        Ok(connected.map(|(open, job)| {
            self.connection = Some(open);
            job
        }))
    }

    fn is_reusable(&self) -> bool {
        let open = self.connection.as_ref();
        open.is_some_and(|open| open.connection.reusable())
    }

    /// Those that are marked in one commit with `first`.
    fn with_more(&mut self, first: Job) -> Vec<Job> {
        let mut jobs = vec![first];
        // A notice goes alone: nothing else may cast doubt on it.
        while self.quick && jobs.len() < TOGETHER_MOST && !jobs[0].is_notice() && self.waiting.is_none() {
            match at_once(&self.queue) {
                None => break,
                Some(job) if job.is_notice() => self.waiting = Some(job),
                Some(job) => jobs.push(job),
            }
        }
        jobs
    }

    /// Carries what is marked.
    async fn carry(&mut self, marked: Vec<Job>) {
        let (begun, count) = (Instant::now(), marked.len() as u32);
        let mut rest = marked.into_iter();
        while let Some(job) = rest.next() {
            let (courier, follows) = (&self.courier, rest.as_slice().first());
            let outcome = courier.carry(&self.line, &mut self.connection, &job, follows).await;
            if self.connection.is_some() {
                // It serves this one, whatever it does with others.
                self.line.failures.store(0, Ordering::SeqCst);
            }
            self.done.push(courier.finish(&self.line, job, outcome));
        }
        self.quick = begun.elapsed() / count < QUICK;
    }

    async fn commit(&mut self, next: &[Job]) -> Result<Vec<DeliveryId>, OfficeError> {
        let done = std::mem::take(&mut self.done);
        self.courier.commit(done, next).await
    }
}

impl Courier {
    /// A fresh connection for this message. `None`: it went back, or its try ended here.
    async fn connect(
        &self,
        line: &Line,
        job: Job,
        done: &mut Vec<Done>,
        stop: &CancellationToken,
    ) -> Result<Option<(Open, Job)>, OfficeError> {
        if !self.holds(&job.claim).await? {
            return Ok(None);
        }
        let opened = tokio::select! {
            opened = Open::open(line) => opened,
            () = stop.cancelled() => {
                self.give_back(vec![job]).await?;
                return Ok(None);
            }
        };
        if let Err(fault) = &opened
            && is_full(line, fault)
        {
            tracing::info!(relay = line.name, "the relay wants fewer connections");
            self.give_back(vec![job]).await?;
            rest(line, stop).await;
            return Ok(None);
        }
        self.note_relay(line, opened.as_ref().err()).await?;
        match opened {
            Ok(open) => {
                line.failures.store(0, Ordering::SeqCst);
                Ok(Some((open, job)))
            }
            Err(fault) => {
                line.failures.fetch_add(1, Ordering::SeqCst);
                // Nothing was on the wire: the attempt ends in the state it was leased in.
                done.push(self.finish(line, job, Outcome::Deferred { fault }));
                Ok(None)
            }
        }
    }

    /// Whether the lease is ours still. Of a campaign that was paused because the relay refuses us, no message that waits
    /// here is reason enough to knock again.
    async fn holds(&self, claim: &Claim) -> Result<bool, OfficeError> {
        let found = self.office.store.find_delivery(claim.delivery).await?;
        Ok(found.is_some_and(|found| matches!(found.state, DeliveryState::Leased { by, .. } if by == claim.by)))
    }

    async fn give_back(&self, jobs: Vec<Job>) -> Result<(), OfficeError> {
        let claims = jobs.into_iter().map(|job| job.claim).collect();
        Ok(self.office.store.release(claims, self.office.now()).await?)
    }

    /// Sends one message, and announces the one after it; a connection that the relay has closed or closes between two
    /// messages is replaced at once.
    async fn carry(&self, line: &Line, connection: &mut Option<Open>, job: &Job, next: Option<&Job>) -> Outcome {
        let (mail, next) = (self.mail(job), next.map(|next| self.mail(next)));
        // Between two messages of one commit it may have been lost.
        if let Some(open) = connection.as_mut().filter(|open| open.connection.reusable()) {
            let outcome = open.connection.carry_before(&mail, next.as_ref()).await;
            open.carried += 1;
            if !open.has_served(&outcome) {
                return outcome;
            }
        }
        if let Some(used_up) = connection.take() {
            used_up.quit().await;
        }
        match Open::open(line).await {
            Ok(mut fresh) => {
                let outcome = fresh.connection.carry_before(&mail, next.as_ref()).await;
                fresh.carried += 1;
                *connection = Some(fresh);
                outcome
            }
            Err(fault) => Outcome::Deferred { fault },
        }
    }

    fn mail<'a>(&self, job: &'a Job) -> Mail<'a> {
        let success = self.office.config.campaign.dsn_success;
        Mail {
            envelope_from: &job.envelope_from,
            recipient: &job.claim.recipient,
            bytes: &job.bytes,
            envid: Some(&job.envelope_id),
            notify: match job.is_notice() {
                true => Notify::ALL,
                false => Notify {
                    success,
                    ..Notify::TROUBLE
                },
            },
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
        // A line for each of a million persons would say nothing; the ledger has it.
        match job.is_notice() {
            true => tracing::info!(delivery = %job.claim.delivery, outcome = outcome.name(), "tried a delivery"),
            false => tracing::debug!(delivery = %job.claim.delivery, outcome = outcome.name(), "tried a delivery"),
        }
        let is_over = matches!(outcome, Outcome::Accepted { .. });
        Done {
            message_id: job.claim.message_id.clone(),
            claim: job.claim,
            outcome,
            retry: line.retry.clone(),
            // Spreads the next try, if there is one.
            jitter: if is_over { 0.0 } else { jitter() },
        }
    }

    /// Commits the last outcomes and the next marks together; says of which of the next the lease was lost.
    async fn commit(&self, done: Vec<Done>, next: &[Job]) -> Result<Vec<DeliveryId>, OfficeError> {
        if done.is_empty() && next.is_empty() {
            return Ok(Vec::new());
        }
        let accepted_notice = done.iter().any(|done| {
            matches!(
                (&done.outcome, &done.claim.work),
                (Outcome::Accepted { .. }, Work::Notice { .. })
            )
        });
        let refused_us: BTreeSet<CampaignId> = done.iter().filter_map(refused_us).collect();
        let marks = next.iter().map(|job| job.claim.clone()).collect();
        let lost = self.office.store.step(done, marks, self.office.now()).await?;
        for lost in &lost {
            tracing::debug!(delivery = %lost.0, "gave a delivery back: its lease was lost, or its campaign was paused");
        }
        if accepted_notice && let Err(error) = checkpoint::write(&self.office).await {
            tracing::error!(error = chain(&error), "the journal's checkpoint could not be written");
        }
        for campaign in refused_us {
            let (store, budget) = (&self.office.store, self.office.config.campaign.error_budget);
            let by = Office::as_loop("courier");
            if let Some(why) = store.spend_budget(campaign, budget, &by, self.office.now()).await? {
                tracing::error!(%campaign, why, "paused a campaign: breachpost status");
                self.office.nudge();
            }
        }
        Ok(lost.into_iter().map(|lost| lost.0).collect())
    }
}

/// A message that is ready now.
fn at_once(queue: &Mutex<Queue>) -> Option<Job> {
    queue.try_lock().ok().and_then(|mut queue| queue.next_at_once())
}

/// The campaign of a person's message that was not taken because of us.
fn refused_us(done: &Done) -> Option<CampaignId> {
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
