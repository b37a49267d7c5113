//! One message to one recipient, from ready to final. The moves are pure; who calls them and when is dispatch's.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Time;
use super::id::{Actor, WorkerId};
use super::proof::Proof;

/// A server's reply: RFC 5321 §4.2 code, RFC 3463 enhanced status where given, and the text without both.
/// A multi-line reply's lines are joined by `\n`; at most 2,000 characters are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmtpReply {
    pub code: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<String>,
    pub text: String,
}
impl std::fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(e) = &self.enhanced {
            write!(f, " {e}")?;
        }
        write!(f, " {}", self.text.replace('\n', " / "))
    }
}

/// How the connection to the relay was protected; absent means clear text on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    pub cipher: String,
    /// The name the server's certificate was checked against.
    pub server_name: String,
    /// SHA-256 of the server's certificate, lower-case hex.
    pub certificate_sha256: String,
}

/// Where in the dialogue something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpStep {
    Connect,
    Greeting,
    Ehlo,
    StartTls,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// While the message's bytes were written, before the final dot had left.
    Body,
    /// After the final dot had left: the outcome is known only from the reply.
    FinalDot,
    /// On our side, before anything was written: rendering, sealing, size.
    Prepare,
}
impl std::fmt::Display for SmtpStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SmtpStep::Connect => "connecting",
            SmtpStep::Greeting => "the greeting",
            SmtpStep::Ehlo => "EHLO",
            SmtpStep::StartTls => "STARTTLS",
            SmtpStep::Tls => "the TLS handshake",
            SmtpStep::Auth => "AUTH",
            SmtpStep::Mail => "MAIL FROM",
            SmtpStep::Rcpt => "RCPT TO",
            SmtpStep::Data => "DATA",
            SmtpStep::Body => "sending the message",
            SmtpStep::FinalDot => "the final dot",
            SmtpStep::Prepare => "preparing the message",
        })
    }
}

/// What went wrong, as a fact to keep and to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub step: SmtpStep,
    pub cause: FaultCause,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCause {
    /// The server said so.
    Reply(SmtpReply),
    /// The connection could not be made or broke.
    Network(String),
    /// No answer within the step's time.
    Timeout { seconds: u64 },
    /// No TLS, or a certificate that does not prove the server's name.
    Tls(String),
    /// The server's answer was no SMTP, or something was injected.
    Protocol(String),
    /// Our own side: the server lacks what the message needs (SIZE, SMTPUTF8, AUTH), or a limit of ours.
    Unfit(String),
    /// The authority's or recipient's server gave the mail back later (RFC 3464).
    Bounce(String),
}
impl FaultCause {
    /// What happened, without the step.
    fn words(&self) -> String {
        match self {
            FaultCause::Reply(reply) => reply.to_string(),
            FaultCause::Network(t)
            | FaultCause::Tls(t)
            | FaultCause::Protocol(t)
            | FaultCause::Unfit(t)
            | FaultCause::Bounce(t) => t.clone(),
            FaultCause::Timeout { seconds } => format!("no answer within {seconds} s"),
        }
    }
}
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            // Its words begin with the status, and most repeat it.
            FaultCause::Bounce(t) => match t.split_once(' ') {
                Some((status, words)) if words.contains(status) => write!(f, "returned later: {words}"),
                _ => write!(f, "returned later: {t}"),
            },
            cause => write!(f, "at {}: {}", self.step, cause.words()),
        }
    }
}

/// Why nothing was prepared for a person who would have to have a certificate.
pub const NO_CERTIFICATE: &str = "no usable certificate, and the campaign is encrypted for everybody";

impl Fault {
    /// A word for why a person was not reached, by the enhanced status (RFC 3463 §3) where there is one.
    pub fn reason(&self) -> &'static str {
        let status = match &self.cause {
            FaultCause::Reply(reply) => reply.enhanced.as_deref().unwrap_or_default(),
            // What came back later begins with its status.
            FaultCause::Bounce(text) => text.split_whitespace().next().unwrap_or_default(),
            FaultCause::Unfit(why) if self.step == SmtpStep::Prepare && why == NO_CERTIFICATE => {
                return "no_certificate";
            }
            _ if self.step == SmtpStep::Prepare => return "not_prepared",
            _ => return "no_answer",
        };
        let detail = status.split_once('.').map_or("", |(_, detail)| detail);
        match detail {
            "1.1" | "1.2" | "1.3" | "1.6" | "1.10" => "address_unknown",
            "2.1" => "mailbox_disabled",
            "2.2" => "mailbox_full",
            "2.3" | "3.4" => "too_large",
            detail if detail.starts_with("7.") => "refused_by_policy",
            detail if detail.starts_with("4.") => "not_reachable",
            _ if matches!(self.cause, FaultCause::Bounce(_)) => "returned",
            _ if matches!(&self.cause, FaultCause::Reply(reply) if reply.code < 500) => "put_off",
            _ => "refused",
        }
    }
}

/// How one attempt ended. A refusal is an answer, not an error of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The server took responsibility (RFC 5321 §6.1).
    Accepted { reply: SmtpReply, tls: Option<TlsFacts> },
    /// Nothing was handed over; may be tried again.
    Deferred { fault: Fault },
    /// A 5xx in reply to RCPT or to the final dot: this message will never be taken.
    Refused { fault: Fault },
    /// The final dot had left and no answer came: taken or not, nobody knows.
    InDoubt { fault: Fault },
    /// Our side could not write the message, and will not be able to by trying again: a person decides.
    Held { fault: Fault },
}
impl Outcome {
    /// `accepted`, `deferred`, `refused`, `in_doubt` or `held`, as in JSON and in the store.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Refused { .. } => "refused",
            Outcome::InDoubt { .. } => "in_doubt",
            Outcome::Held { .. } => "held",
        }
    }
    /// The server's words where it spoke, else ours.
    pub fn words(&self) -> String {
        match self {
            Outcome::Accepted { reply, .. } => reply.to_string(),
            Outcome::Deferred { fault }
            | Outcome::Refused { fault }
            | Outcome::InDoubt { fault }
            | Outcome::Held { fault } => fault.to_string(),
        }
    }
}

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
/// `Cancelled`, and `InDoubt` without `next`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Entered when filed, released, deferred or recovered; left when a worker claims it after `not_before`.
    Ready { not_before: Time },
    /// A worker prepares it; lasts at most until `until`, then recovery makes it ready again.
    Leased { by: WorkerId, until: Time },
    /// Committed before MAIL FROM; left with the outcome, or by recovery to in doubt when the worker is gone.
    OnWire { by: WorkerId, since: Time },
    /// Whether the server took it is unknown; tried again at `next`, final without it.
    InDoubt { since: Time, next: Option<Time> },
    /// Waits for a person.
    Held { why: HoldReason },
    /// The relay took it. Proves nothing about arrival.
    Handed { at: Time, reply: SmtpReply },
    /// Arrival or receipt is proven.
    Confirmed { at: Time, proof: Proof },
    /// Refused for good, or returned.
    Failed { at: Time, fault: Fault },
    /// Called off before it was handed over.
    Cancelled { by: Actor, at: Time },
}

/// What can happen to a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEvent {
    Claim {
        by: WorkerId,
        now: Time,
        until: Time,
    },
    /// The worker gives it back untried.
    Release {
        by: WorkerId,
        now: Time,
    },
    PutOnWire {
        by: WorkerId,
        now: Time,
    },
    /// `attempt` counts from 1; `jitter` in 0..1 is drawn by the caller.
    Tried {
        by: WorkerId,
        now: Time,
        outcome: Outcome,
        attempt: u32,
        jitter: f64,
    },
    /// The worker's lock is free, or its lease has run out.
    Recover {
        now: Time,
    },
    Hold {
        why: HoldReason,
    },
    Unhold {
        now: Time,
    },
    /// An operator asks for another try of a failed or doubtful delivery, or for the next one now.
    Retry {
        now: Time,
    },
    Confirm {
        now: Time,
        proof: Proof,
    },
    Bounce {
        now: Time,
        fault: Fault,
    },
    Cancel {
        by: Actor,
        now: Time,
    },
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
    /// No try begins after this; `None` for notices, which are retried until accepted, withdrawn or delivered otherwise.
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
            // From `Leased`, here and below: nothing has left yet, and the worker finds its lease lost before MAIL FROM.
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

#[cfg(test)]
mod tests {
    use super::super::id::MailId;
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }
    fn worker(n: u128) -> WorkerId {
        WorkerId(Uuid::from_u128(n))
    }
    fn retry() -> RetryPolicy {
        RetryPolicy {
            first: TimeDelta::seconds(60),
            max: TimeDelta::seconds(3600),
            until: Some(at(10_000)),
        }
    }
    fn reply() -> SmtpReply {
        SmtpReply {
            code: 250,
            enhanced: None,
            text: "taken".into(),
        }
    }
    fn fault() -> Fault {
        Fault {
            step: SmtpStep::FinalDot,
            cause: FaultCause::Timeout { seconds: 600 },
        }
    }
    fn proof() -> Proof {
        Proof::Threaded { mail: MailId::new(1) }
    }
    fn tried(by: WorkerId, seconds: i64, outcome: Outcome, attempt: u32) -> DeliveryEvent {
        DeliveryEvent::Tried {
            by,
            now: at(seconds),
            outcome,
            attempt,
            jitter: 0.0,
        }
    }

    #[test]
    fn the_way_of_a_delivery_that_is_deferred_and_then_taken() {
        let me = worker(1);
        let (now, until) = (at(0), at(300));
        let ready = DeliveryState::Ready { not_before: now };
        let leased = ready.on(DeliveryEvent::Claim { by: me, now, until }, &retry()).unwrap();
        assert_eq!(leased, DeliveryState::Leased { by: me, until });
        let on_wire = leased.on(DeliveryEvent::PutOnWire { by: me, now }, &retry()).unwrap();
        let waits = on_wire
            .on(tried(me, 10, Outcome::Deferred { fault: fault() }, 1), &retry())
            .unwrap();
        assert_eq!(waits, DeliveryState::Ready { not_before: at(70) });
        let too_early = DeliveryEvent::Claim {
            by: me,
            now: at(69),
            until,
        };
        assert!(waits.clone().on(too_early, &retry()).is_err());
        let handed = waits
            .on(
                DeliveryEvent::Claim {
                    by: me,
                    now: at(70),
                    until,
                },
                &retry(),
            )
            .and_then(|s| s.on(DeliveryEvent::PutOnWire { by: me, now: at(70) }, &retry()))
            .and_then(|s| {
                s.on(
                    tried(
                        me,
                        71,
                        Outcome::Accepted {
                            reply: reply(),
                            tls: None,
                        },
                        2,
                    ),
                    &retry(),
                )
            })
            .unwrap();
        assert_eq!(
            handed,
            DeliveryState::Handed {
                at: at(71),
                reply: reply()
            }
        );
        assert!(handed.is_final());
    }

    #[test]
    fn another_worker_changes_nothing() {
        let (me, other) = (worker(1), worker(2));
        let states = [
            DeliveryState::Leased { by: me, until: at(9) },
            DeliveryState::OnWire { by: me, since: at(0) },
        ];
        for state in states {
            for event in [
                DeliveryEvent::PutOnWire { by: other, now: at(1) },
                DeliveryEvent::Release { by: other, now: at(1) },
                tried(
                    other,
                    1,
                    Outcome::Accepted {
                        reply: reply(),
                        tls: None,
                    },
                    1,
                ),
                DeliveryEvent::Claim {
                    by: other,
                    now: at(99),
                    until: at(199),
                },
            ] {
                assert!(
                    state.clone().on(event.clone(), &retry()).is_err(),
                    "{state:?} {event:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_goes_on_after_the_last_try() {
        let me = worker(1);
        let on_wire = DeliveryState::OnWire { by: me, since: at(0) };
        let late = |outcome| on_wire.clone().on(tried(me, 9_999, outcome, 9), &retry()).unwrap();
        let failed = late(Outcome::Deferred { fault: fault() });
        assert_eq!(
            failed,
            DeliveryState::Failed {
                at: at(9_999),
                fault: fault()
            }
        );
        let doubt = late(Outcome::InDoubt { fault: fault() });
        assert_eq!(
            doubt,
            DeliveryState::InDoubt {
                since: at(9_999),
                next: None
            }
        );
        assert!(doubt.is_final());
    }

    /// The acknowledgement of a fast authority arrives before the reply to the final dot is stored; that of a copy in
    /// doubt arrives while the next try waits. Neither may be lost, and no copy may follow.
    #[test]
    fn a_proof_ends_whatever_was_under_way() {
        let me = worker(1);
        let states = [
            DeliveryState::Ready { not_before: at(9) },
            DeliveryState::Leased { by: me, until: at(9) },
            DeliveryState::OnWire { by: me, since: at(0) },
            DeliveryState::InDoubt {
                since: at(0),
                next: Some(at(9)),
            },
            DeliveryState::Held {
                why: HoldReason::Revoked,
            },
            DeliveryState::Handed {
                at: at(0),
                reply: reply(),
            },
            DeliveryState::Failed {
                at: at(0),
                fault: fault(),
            },
        ];
        for state in states {
            let event = DeliveryEvent::Confirm {
                now: at(5),
                proof: proof(),
            };
            let confirmed = state.on(event, &retry()).unwrap();
            assert_eq!(
                confirmed,
                DeliveryState::Confirmed {
                    at: at(5),
                    proof: proof()
                }
            );
        }
    }

    #[test]
    fn what_is_leased_can_be_called_off_and_what_is_on_the_wire_cannot() {
        let me = worker(1);
        let events = [
            DeliveryEvent::Cancel {
                by: Actor::Os("anna".into()),
                now: at(1),
            },
            DeliveryEvent::Hold {
                why: HoldReason::PinChanged,
            },
        ];
        for event in events {
            let leased = DeliveryState::Leased { by: me, until: at(9) };
            let after = leased.on(event.clone(), &retry()).unwrap();
            assert!(
                after
                    .on(DeliveryEvent::PutOnWire { by: me, now: at(2) }, &retry())
                    .is_err()
            );
            assert!(
                DeliveryState::OnWire { by: me, since: at(0) }
                    .on(event, &retry())
                    .is_err()
            );
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<i64> = (1..=8).map(|n| retry().wait(n, 0.0).num_seconds()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(retry().wait(1, 1.0).num_seconds(), 45);
        assert_eq!(retry().wait(u32::MAX, 0.0).num_seconds(), 3600);
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Accepted {
                reply: reply(),
                tls: None
            }),
            Just(Outcome::Deferred { fault: fault() }),
            Just(Outcome::Refused { fault: fault() }),
            Just(Outcome::Held { fault: fault() }),
            Just(Outcome::InDoubt { fault: fault() }),
        ]
    }

    fn any_event() -> impl Strategy<Value = DeliveryEvent> {
        let by = (1_u128..=2).prop_map(worker);
        let now = (0_i64..20_000).prop_map(at);
        let of_worker = (by, now.clone(), any_outcome(), 1..40_u32, 0.0..1.0_f64).prop_flat_map(
            |(by, now, outcome, attempt, jitter)| {
                prop_oneof![
                    Just(DeliveryEvent::Claim {
                        by,
                        now,
                        until: now + TimeDelta::minutes(5)
                    }),
                    Just(DeliveryEvent::Release { by, now }),
                    Just(DeliveryEvent::PutOnWire { by, now }),
                    Just(DeliveryEvent::Tried {
                        by,
                        now,
                        outcome,
                        attempt,
                        jitter
                    }),
                ]
            },
        );
        let of_others = now.prop_flat_map(|now| {
            prop_oneof![
                Just(DeliveryEvent::Recover { now }),
                Just(DeliveryEvent::Hold {
                    why: HoldReason::Asked("wait".into())
                }),
                Just(DeliveryEvent::Unhold { now }),
                Just(DeliveryEvent::Retry { now }),
                Just(DeliveryEvent::Confirm { now, proof: proof() }),
                Just(DeliveryEvent::Bounce { now, fault: fault() }),
                Just(DeliveryEvent::Cancel {
                    by: Actor::User("anna".into()),
                    now
                }),
            ]
        });
        prop_oneof![3 => of_worker, 1 => of_others]
    }

    proptest! {
        /// Walks at random from ready, and looks at each move that was allowed.
        #[test]
        fn no_walk_breaks_the_rules(events in prop::collection::vec(any_event(), 0..60)) {
            use DeliveryEvent as E;
            use DeliveryState as S;
            let mut state = S::Ready { not_before: at(0) };
            for event in events {
                let Ok(next) = state.clone().on(event.clone(), &retry()) else { continue };
                let may_leave = match &state {
                    S::Confirmed { .. } | S::Cancelled { .. } => false,
                    S::Failed { .. } => matches!(event, E::Retry { .. } | E::Confirm { .. }),
                    S::Held { .. } => matches!(event, E::Unhold { .. } | E::Cancel { .. } | E::Confirm { .. }),
                    S::Handed { .. } => matches!(event, E::Confirm { .. } | E::Bounce { .. }),
                    S::OnWire { .. } => matches!(
                        event,
                        E::Tried { .. } | E::Recover { .. } | E::Confirm { .. } | E::Bounce { .. }
                    ),
                    S::Ready { .. } | S::Leased { .. } | S::InDoubt { .. } => true,
                };
                prop_assert!(may_leave, "{:?} was left by {:?}", state, event);
                let may_enter = match &next {
                    S::OnWire { by, .. } => matches!(&state, S::Leased { by: holder, .. } if holder == by),
                    S::Handed { .. } => matches!(state, S::OnWire { .. }),
                    S::Leased { .. } => !state.is_final(),
                    _ => true,
                };
                prop_assert!(may_enter, "{:?} was entered from {:?}", next, state);
                state = next;
            }
        }

        #[test]
        fn a_wait_is_never_longer_than_its_limit(attempt in any::<u32>(), jitter in any::<f64>()) {
            let wait = retry().wait(attempt, jitter);
            prop_assert!(wait >= TimeDelta::zero() && wait <= retry().max);
        }

        #[test]
        fn states_survive_json(events in prop::collection::vec(any_event(), 0..20)) {
            let mut state = DeliveryState::Ready { not_before: at(0) };
            for event in events {
                state = state.clone().on(event, &retry()).unwrap_or(state);
                let text = serde_json::to_string(&state).unwrap();
                prop_assert_eq!(serde_json::from_str::<DeliveryState>(&text).unwrap(), state.clone());
            }
        }
    }
}
