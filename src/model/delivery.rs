//! One message to one recipient, from ready to final. The moves are pure; who calls them and when is dispatch's.

mod outcome;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Time;
use super::id::{Actor, WorkerId};
use super::proof::Proof;

pub use outcome::{Fault, FaultCause, NO_CERTIFICATE, Outcome, SmtpReply, SmtpStep, TlsFacts};

/// Why a delivery waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The pinned certificate was revoked after filing.
    Revoked,
    /// The pin of the authority changed after filing.
    PinChanged,
    /// A second person must agree first (`approval.notice: two_persons`).
    Approval,
    /// A person asked for it.
    Asked(String),
    /// The message could not be written for this recipient, for this reason.
    Unwritten(String),
}
impl HoldReason {
    /// The reason as told to a person.
    pub fn words(&self) -> &str {
        match self {
            HoldReason::Revoked => "the certificate was revoked",
            HoldReason::PinChanged => "another certificate was pinned",
            HoldReason::Approval => "a second person must approve it",
            HoldReason::Asked(reason) | HoldReason::Unwritten(reason) => reason,
        }
    }
}

/// The state of a delivery. The data of a state lives in its variant; final are `Handed`, `Confirmed`, `Failed`,
/// `Cancelled`, and `InDoubt` without `next`. A proof that it arrived ([`DeliveryEvent::Confirm`]) ends every state but
/// `Cancelled`, so it is not told of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Entered when filed or imported, given back untried, deferred, let go or asked for again, and by recovery of a
    /// lease; left when a worker claims it, when it is held or called off. Lasts until a worker comes, from
    /// `not_before` on.
    Ready { not_before: Time },
    /// Entered when a worker claims what is ready or in doubt, to prepare it; left when it puts it on the wire, gives
    /// it back or could not prepare it, and when it is held or called off. Lasts at most until `until`, then recovery
    /// makes it ready again; at once where the worker is gone.
    Leased { by: WorkerId, until: Time },
    /// Entered from `Leased` alone, and committed before MAIL FROM; left with the outcome, by a bounce that overtakes
    /// it, or by recovery to in doubt. Lasts as long as its worker lives: there is no other end, as nobody else knows
    /// what has left.
    OnWire { by: WorkerId, since: Time },
    /// Whether the server took it is unknown. Entered when the final dot had left and no answer came, when the worker
    /// died on the wire, and when a campaign is called off that still meant to try such a copy again; left when a
    /// worker claims it after `next`, by a bounce, and when a person asks for another try, holds it or calls it off.
    /// Without `next` no try follows, and it lasts for ever unless one of the others happens.
    InDoubt { since: Time, next: Option<Time> },
    /// Waits for a person. Entered when filed where two persons must agree, when a certificate was revoked or another
    /// one pinned, when asked for, and from `Leased` when the message could not be written; left when a person lets it
    /// go on or calls it off. Lasts until then.
    Held { why: HoldReason },
    /// The relay took it, which proves nothing about arrival. Entered from `OnWire` alone; left by a bounce. Lasts for
    /// ever where nothing comes back.
    Handed { at: Time, reply: SmtpReply },
    /// Arrival or receipt is proven. Entered by a proof, from any state but `Cancelled`; never left.
    Confirmed { at: Time, proof: Proof },
    /// Entered when it was refused for good, when it was deferred after the last try, and when it was returned later;
    /// left when a person asks for another try. Lasts for ever otherwise.
    Failed { at: Time, fault: Fault },
    /// Entered when a person calls it off, or its notice or campaign, before it was handed over; never left.
    Cancelled { by: Actor, at: Time },
}

/// What can happen to a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEvent {
    /// A worker takes what is due, and may keep it until `until`.
    Claim { by: WorkerId, now: Time, until: Time },
    /// The worker gives it back untried.
    Release { by: WorkerId, now: Time },
    /// The worker is about to say MAIL FROM; nobody else may be doing the same.
    PutOnWire { by: WorkerId, now: Time },
    /// One try has ended, or could not begin. `attempt` counts from 1; `jitter` in 0..1 is drawn by the caller.
    Tried {
        by: WorkerId,
        now: Time,
        outcome: Outcome,
        attempt: u32,
        jitter: f64,
    },
    /// The worker's lock is free, or its lease has run out.
    Recover { now: Time },
    /// It shall not leave before a person has looked; too late for what is on the wire or was taken.
    Hold { why: HoldReason },
    /// A person lets go of what was held.
    Unhold { now: Time },
    /// An operator asks for another try of a failed or doubtful delivery, or for the next one now.
    Retry { now: Time },
    /// A proof came that it arrived: by their server, by an answer, or by a person's word.
    Confirm { now: Time, proof: Proof },
    /// A server gave back what had been taken, or may have been.
    Bounce { now: Time, fault: Fault },
    /// A person calls it off; too late for what is on the wire or was taken.
    Cancel { by: Actor, now: Time },
}

/// A move the state does not allow; the caller lost a race or is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state} cannot take the event {event}")]
pub struct IllegalMove {
    pub state: &'static str,
    pub event: &'static str,
}

/// Backoff between attempts and when to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    pub first: TimeDelta,
    pub max: TimeDelta,
    /// No try begins after this; `None` for notices, which are retried until accepted, withdrawn or delivered
    /// otherwise.
    pub until: Option<Time>,
}
impl RetryPolicy {
    /// The wait after failed attempt number `attempt` (from 1): doubling from `first`, at most `max`, less up to a
    /// quarter by `jitter` in 0..1.
    pub fn wait(&self, attempt: u32, jitter: f64) -> TimeDelta {
        let doublings = attempt.saturating_sub(1).min(30);
        let full = self
            .first
            .num_milliseconds()
            .saturating_mul(1_i64 << doublings)
            .min(self.max.num_milliseconds());
        TimeDelta::milliseconds((full as f64 * (1.0 - 0.25 * jitter.clamp(0.0, 1.0))) as i64)
    }
    fn next(&self, now: Time, attempt: u32, jitter: f64) -> Option<Time> {
        let at = now + self.wait(attempt, jitter);
        (self.until.is_none_or(|end| at < end)).then_some(at)
    }
}

impl DeliveryState {
    /// The state's name as in JSON and in the store.
    pub fn name(&self) -> &'static str {
        match self {
            DeliveryState::Ready { .. } => "ready",
            DeliveryState::Leased { .. } => "leased",
            DeliveryState::OnWire { .. } => "on_wire",
            DeliveryState::InDoubt { .. } => "in_doubt",
            DeliveryState::Held { .. } => "held",
            DeliveryState::Handed { .. } => "handed",
            DeliveryState::Confirmed { .. } => "confirmed",
            DeliveryState::Failed { .. } => "failed",
            DeliveryState::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether nothing more will be tried.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            DeliveryState::Handed { .. }
                | DeliveryState::Confirmed { .. }
                | DeliveryState::Failed { .. }
                | DeliveryState::Cancelled { .. }
                | DeliveryState::InDoubt { next: None, .. }
        )
    }

    /// When it will be tried (again); `None` when nothing is planned.
    pub fn next_try(&self) -> Option<Time> {
        match self {
            DeliveryState::Ready { not_before } => Some(*not_before),
            DeliveryState::InDoubt { next, .. } => *next,
            _ => None,
        }
    }

    /// The only way from one state to the next.
    ///
    /// # Errors
    /// [`IllegalMove`] when the event does not fit the state; nothing has changed then.
    pub fn on(self, event: DeliveryEvent, retry: &RetryPolicy) -> Result<Self, IllegalMove> {
        use DeliveryEvent as E;
        use DeliveryState as S;
        let illegal = IllegalMove {
            state: self.name(),
            event: event.name(),
        };
        Ok(match (self, event) {
            (S::Ready { not_before }, E::Claim { by, now, until }) if not_before <= now => S::Leased { by, until },
            (S::InDoubt { next: Some(next), .. }, E::Claim { by, now, until }) if next <= now => {
                S::Leased { by, until }
            }
            (S::Leased { by, .. }, E::Release { by: me, now }) if by == me => S::Ready { not_before: now },
            (S::Leased { by, .. }, E::PutOnWire { by: me, now }) if by == me => S::OnWire { by, since: now },
            // Preparing failed: nothing was on the wire.
            (
                S::Leased { by, .. },
                E::Tried {
                    by: me,
                    now,
                    outcome,
                    attempt,
                    jitter,
                },
            ) if by == me => match outcome {
                Outcome::Deferred { fault } => Self::again(now, fault, attempt, jitter, retry),
                Outcome::Refused { fault } => S::Failed { at: now, fault },
                Outcome::Held { fault } => S::Held {
                    why: HoldReason::Unwritten(fault.cause.words()),
                },
                Outcome::Accepted { .. } | Outcome::InDoubt { .. } => return Err(illegal),
            },
            (
                S::OnWire { by, .. },
                E::Tried {
                    by: me,
                    now,
                    outcome,
                    attempt,
                    jitter,
                },
            ) if by == me => match outcome {
                Outcome::Accepted { reply, .. } => S::Handed { at: now, reply },
                Outcome::Refused { fault } => S::Failed { at: now, fault },
                Outcome::InDoubt { .. } => S::InDoubt {
                    since: now,
                    next: retry.next(now, attempt, jitter),
                },
                Outcome::Deferred { fault } => Self::again(now, fault, attempt, jitter, retry),
                // What is on the wire was written.
                Outcome::Held { .. } => return Err(illegal),
            },
            (S::Leased { .. }, E::Recover { now }) => S::Ready { not_before: now },
            (S::OnWire { since, .. }, E::Recover { now }) => S::InDoubt {
                since,
                next: retry.next(now, 1, 0.0),
            },
            // From `Leased`, here and below: nothing has left yet, and the worker finds its lease lost before MAIL
            // FROM.
            (S::Ready { .. } | S::Leased { .. } | S::InDoubt { .. }, E::Hold { why }) => S::Held { why },
            (S::Held { .. }, E::Unhold { now }) => S::Ready { not_before: now },
            (S::Ready { .. } | S::Failed { .. } | S::InDoubt { .. }, E::Retry { now }) => S::Ready { not_before: now },
            (S::Confirmed { .. } | S::Cancelled { .. }, E::Confirm { .. }) => return Err(illegal),
            // A proof may overtake the outcome, or come while a copy that was in doubt waits to be sent again: whatever
            // we were about to do, they have it.
            (_, E::Confirm { now, proof }) => S::Confirmed { at: now, proof },
            // It may overtake the outcome too: what came back had been taken.
            (S::Handed { .. } | S::InDoubt { .. } | S::OnWire { .. }, E::Bounce { now, fault }) => {
                S::Failed { at: now, fault }
            }
            (S::Ready { .. } | S::Leased { .. } | S::Held { .. } | S::InDoubt { .. }, E::Cancel { by, now }) => {
                S::Cancelled { by, at: now }
            }
            _ => return Err(illegal),
        })
    }

    fn again(now: Time, fault: Fault, attempt: u32, jitter: f64, retry: &RetryPolicy) -> Self {
        match retry.next(now, attempt, jitter) {
            Some(not_before) => DeliveryState::Ready { not_before },
            None => DeliveryState::Failed { at: now, fault },
        }
    }
}
impl DeliveryEvent {
    fn name(&self) -> &'static str {
        match self {
            DeliveryEvent::Claim { .. } => "claim",
            DeliveryEvent::Release { .. } => "release",
            DeliveryEvent::PutOnWire { .. } => "put on wire",
            DeliveryEvent::Tried { .. } => "tried",
            DeliveryEvent::Recover { .. } => "recover",
            DeliveryEvent::Hold { .. } => "hold",
            DeliveryEvent::Unhold { .. } => "unhold",
            DeliveryEvent::Retry { .. } => "retry",
            DeliveryEvent::Confirm { .. } => "confirm",
            DeliveryEvent::Bounce { .. } => "bounce",
            DeliveryEvent::Cancel { .. } => "cancel",
        }
    }
}
