//! The moves of a delivery: the usual ways, who may not move it, and walks at random.

use super::*;
use crate::model::id::MailId;
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
