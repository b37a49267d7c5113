//! Claims, outcomes and recovery.

use std::collections::BTreeSet;

use breachpost::model::delivery::{DeliveryState, HoldReason, Outcome, RetryPolicy};
use breachpost::model::id::DeliveryId;
use breachpost::model::proof::Proof;
use breachpost::store::{Campaigns, Claim, Done, LeaseLost, Notices, Outbox, Retries, Store, StoreError, Which, Work};
use chrono::TimeDelta;

use crate::bed::{
    Bed, accepted, add_breach, anna, at, claim, conflict, deferred, done, file_notice, in_doubt, intact, lease, notice,
    outcomes, put_on_wire, refusal, retries, retry, run_campaign, state, worker,
};

/// Two workers claim until nothing is left; each delivery must have been claimed by exactly one.
async fn race(stores: [impl Store + Clone + 'static; 2]) {
    run_campaign(&stores[0], 300).await;
    let racers = [1, 2].map(|n| {
        let store = stores[n as usize - 1].clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claims = claim(&store, worker(n), 7, at(1)).await;
                if claims.is_empty() {
                    return mine;
                }
                mine.extend(claims.into_iter().map(|c| c.delivery));
            }
        })
    });
    let mut all = Vec::new();
    for racer in racers {
        all.extend(racer.await.unwrap());
    }
    assert_eq!(all.len(), 300);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 300);
    intact(&stores[0]).await;
}

pub async fn two_workers_never_claim_the_same(bed: &impl Bed) {
    let store = bed.open();
    race([store.clone(), store]).await;
}

pub async fn two_processes_never_claim_the_same(bed: &impl Bed) {
    race([bed.open(), bed.open()]).await;
}

pub async fn notices_are_claimed_before_persons(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 5).await;
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(30)).await.unwrap();
    let claims = claim(&store, worker(1), 3, at(60)).await;
    let Work::Notice {
        envelope_from, sealed, ..
    } = &claims[0].work
    else {
        panic!("{:?}", claims[0].work)
    };
    assert_eq!(
        (envelope_from.as_str(), sealed.as_slice()),
        ("breach@example.lu", b"sealed 1\r\n".as_slice())
    );
    assert_eq!(claims[0].message_id.as_deref(), Some("<1@example.lu>"));
    let people: Vec<_> = claims[1..].iter().map(|c| c.recipient.as_str()).collect();
    assert_eq!(people, ["person0@example.org", "person1@example.org"]);
    let Work::Person {
        campaign: of,
        language,
        fields,
        ..
    } = &claims[1].work
    else {
        panic!("{:?}", claims[1].work)
    };
    assert_eq!(
        (*of, language.as_str(), &fields["name"]),
        (campaign, "de", &serde_json::json!(["Person 0"]))
    );
    intact(&store).await;
}

pub async fn nothing_is_claimed_before_it_is_due(bed: &impl Bed) {
    let store = bed.open();
    assert_eq!(store.next_due().await.unwrap(), None);
    file_notice(&store).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(0)));
    assert!(claim(&store, worker(1), 9, at(-1)).await.is_empty());
    assert!(claim(&store, worker(1), 0, at(1)).await.is_empty());
    let sent = put_on_wire(&store, worker(1), at(0)).await;
    assert_eq!(
        store.next_due().await.unwrap(),
        None,
        "what is on the wire does not wait"
    );
    store.step(vec![done(&sent, deferred())], vec![], at(1)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(61)));
    assert!(claim(&store, worker(1), 9, at(60)).await.is_empty());
    assert_eq!(claim(&store, worker(1), 9, at(61)).await.len(), 1);
    intact(&store).await;
}

pub async fn one_delivery_can_be_claimed_alone(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(0)).await.unwrap();
    let second = store.file_notice(notice(breach, 2), &anna(), at(0)).await.unwrap();
    let second = second.unwrap();
    let alone = async |now| {
        store
            .claim(worker(1), 9, Which::One(second), now, lease())
            .await
            .unwrap()
            .claims
    };
    assert!(alone(at(-1)).await.is_empty(), "not due yet");
    let claims = alone(at(1)).await;
    assert_eq!(claims.iter().map(|c| c.delivery).collect::<Vec<_>>(), [second]);
    assert!(alone(at(1)).await.is_empty(), "claimed already");
    intact(&store).await;
}

pub async fn retried_until_handed(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let mut now = at(0);
    for attempt in 1..=5 {
        let sent = put_on_wire(&store, worker(1), now).await;
        assert_eq!(sent.attempt, attempt);
        let outcome = if attempt < 5 { deferred() } else { accepted() };
        store.step(vec![done(&sent, outcome)], vec![], now).await.unwrap();
        now = store.next_due().await.unwrap().unwrap_or(now);
    }
    let found = store.find_delivery(delivery).await.unwrap().unwrap();
    assert!(matches!(found.state, DeliveryState::Handed { .. }), "{:?}", found.state);
    assert!(!found.possibly_twice);
    let wanted = ["deferred", "deferred", "deferred", "deferred", "accepted"];
    assert_eq!(outcomes(&store, delivery).await, wanted);
    let Outcome::Accepted { reply, tls } = accepted() else {
        unreachable!()
    };
    assert_eq!(
        (found.attempts[4].reply.clone(), found.attempts[4].tls.clone()),
        (Some(reply), tls)
    );
    assert_eq!(found.attempts[4].at, now);
    assert_eq!(store.next_due().await.unwrap(), None);
    intact(&store).await;
}

/// The Message-ID is stored with the `on_wire` mark, so that the copy after a crash is recognised as the same.
pub async fn a_message_id_survives_the_worker(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 1).await;
    let mut taken = claim(&store, worker(1), 1, at(1)).await.remove(0);
    assert_eq!(taken.message_id, None);
    taken.message_id = Some("<made-while-rendering@example.lu>".into());
    store.step(vec![], vec![taken.clone()], at(1)).await.unwrap();
    store.recover(&[worker(1)], &retries(), at(2)).await.unwrap();
    let again = claim(&store, worker(2), 1, at(100)).await.remove(0);
    assert_eq!(again.message_id, taken.message_id);
    intact(&store).await;
}

pub async fn a_dead_worker_is_recovered(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 4).await;
    let (dead, alive) = (worker(1), worker(2));
    let leased = claim(&store, dead, 1, at(1)).await.remove(0).delivery;
    let on_wire = put_on_wire(&store, dead, at(1)).await.delivery;
    let others = [
        claim(&store, alive, 1, at(1)).await.remove(0),
        put_on_wire(&store, alive, at(1)).await,
    ];
    assert_eq!(store.lease_holders().await.unwrap(), [dead, alive]);

    assert_eq!(store.recover(&[dead], &retries(), at(2)).await.unwrap(), 2);
    assert_eq!(store.lease_holders().await.unwrap(), [alive]);
    let found = store.find_delivery(leased).await.unwrap().unwrap();
    assert_eq!(
        (found.state.name(), found.possibly_twice, found.attempts.len()),
        ("ready", false, 0)
    );
    let found = store.find_delivery(on_wire).await.unwrap().unwrap();
    assert_eq!((found.state.name(), found.possibly_twice), ("in_doubt", true));
    assert_eq!(outcomes(&store, on_wire).await, ["recovered"]);
    assert_eq!(state(&store, others[0].delivery).await, "leased");
    assert_eq!(state(&store, others[1].delivery).await, "on_wire");

    assert_eq!(
        store.recover(&[dead], &retries(), at(3)).await.unwrap(),
        0,
        "nothing is recovered twice"
    );
    let again: Vec<_> = claim(&store, alive, 9, at(100))
        .await
        .into_iter()
        .map(|c| (c.delivery, c.attempt))
        .collect();
    assert_eq!(again, [(leased, 1), (on_wire, 2)]);
    intact(&store).await;
}

pub async fn a_clock_set_back_keeps_nobody_waiting(bed: &impl Bed) {
    let store = bed.open();
    let ahead = 1_000_000;
    let breach = add_breach(&store).await;
    // Filed while the clock was ahead, and tried then, with an open end and with none.
    for n in 1..=3 {
        store.file_notice(notice(breach, n), &anna(), at(ahead)).await.unwrap();
    }
    for outcome in [deferred(), in_doubt()] {
        let sent = put_on_wire(&store, worker(1), at(ahead)).await;
        store.step(vec![done(&sent, outcome)], vec![], at(ahead)).await.unwrap();
    }
    assert!(claim(&store, worker(1), 9, at(10)).await.is_empty());
    assert_eq!(store.recover(&[], &retries(), at(10)).await.unwrap(), 3);
    assert_eq!(
        store.recover(&[], &retries(), at(10)).await.unwrap(),
        0,
        "once is enough"
    );
    let claims = claim(&store, worker(1), 9, at(10)).await;
    assert_eq!(claims.len(), 3);
    assert_eq!(claims.iter().filter(|c| c.possibly_twice).count(), 1);
    // A wait that a clock never set back would allow is not cut short.
    store
        .step(claims.iter().map(|c| done(c, deferred())).collect(), vec![], at(10))
        .await
        .unwrap();
    assert_eq!(store.recover(&[], &retries(), at(10)).await.unwrap(), 0);
    intact(&store).await;
}

pub async fn each_relay_has_its_own_longest_wait(bed: &impl Bed) {
    let store = bed.open();
    file_notice(&store).await;
    run_campaign(&store, 1).await;
    let of = |hours| RetryPolicy {
        first: TimeDelta::hours(hours),
        max: TimeDelta::hours(hours),
        until: None,
    };
    for (notices, persons) in [(1, 9), (9, 1)] {
        let retries = Retries {
            notices: of(notices),
            persons: of(persons),
        };
        let claims = claim(&store, worker(1), 9, at(0)).await;
        assert_eq!(claims.len(), 2);
        let done = |claim: &Claim| Done {
            retry: match claim.work {
                Work::Notice { .. } => retries.notices.clone(),
                Work::Person { .. } => retries.persons.clone(),
            },
            ..done(claim, deferred())
        };
        store.step(vec![], claims.clone(), at(0)).await.unwrap();
        store
            .step(claims.iter().map(done).collect(), vec![], at(0))
            .await
            .unwrap();
        assert_eq!(
            store.recover(&[], &retries, at(1)).await.unwrap(),
            0,
            "nobody is tried earlier"
        );
        for claim in claims {
            store.retry_now(claim.delivery, &anna(), at(0)).await.unwrap();
        }
    }
    intact(&store).await;
}

pub async fn a_lease_ends(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 2).await;
    let leased = claim(&store, worker(1), 1, at(0)).await.remove(0).delivery;
    let on_wire = put_on_wire(&store, worker(1), at(0)).await.delivery;
    assert_eq!(store.recover(&[], &retries(), at(299)).await.unwrap(), 0);
    assert_eq!(store.recover(&[], &retries(), at(300)).await.unwrap(), 1);
    assert_eq!(state(&store, leased).await, "ready");
    assert_eq!(
        state(&store, on_wire).await,
        "on_wire",
        "only its worker, or its death, decides about that"
    );
    intact(&store).await;
}

pub async fn a_lost_lease_skips_nobody(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 3).await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        sent.push(put_on_wire(&store, worker(1), at(1)).await);
    }
    let leased = claim(&store, worker(1), 1, at(1)).await;
    store.recover(&[worker(1)], &retries(), at(2)).await.unwrap();
    let retried = put_on_wire(&store, worker(2), at(100)).await;
    assert_eq!(retried.delivery, leased[0].delivery, "what never left comes first");

    // The worker was alive after all, and reports what it did.
    let outcomes_late = vec![
        done(&sent[0], accepted()),
        done(&sent[1], Outcome::Refused { fault: refusal() }),
    ];
    let lost = store.step(outcomes_late, leased.clone(), at(101)).await.unwrap();
    let wanted: Vec<_> = [&sent[0], &sent[1], &leased[0]].map(|c| LeaseLost(c.delivery)).into();
    assert_eq!(lost, wanted);
    assert_eq!(outcomes(&store, sent[0].delivery).await, ["recovered", "accepted"]);
    assert_eq!(outcomes(&store, sent[1].delivery).await, ["recovered", "refused"]);
    assert_eq!(
        state(&store, leased[0].delivery).await,
        "on_wire",
        "the lease of the other worker holds"
    );
    let waiting: Vec<_> = claim(&store, worker(2), 9, at(200))
        .await
        .into_iter()
        .map(|c| c.delivery)
        .collect();
    assert_eq!(waiting, [sent[0].delivery, sent[1].delivery], "both are tried again");
    intact(&store).await;
}

pub async fn doubt_is_never_forgotten(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, in_doubt())], vec![], at(2)).await.unwrap();
    assert_eq!(state(&store, sent.delivery).await, "in_doubt");
    assert_eq!(store.next_due().await.unwrap(), Some(at(62)));
    let again = put_on_wire(&store, worker(1), at(62)).await;
    assert!(again.possibly_twice);
    store
        .step(vec![done(&again, accepted())], vec![], at(63))
        .await
        .unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.in_doubt, tally.possibly_twice), (1, 0, 1));

    // Without a next try the doubt is final.
    let last = run_campaign(&store, 1).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let ended = RetryPolicy {
        until: Some(at(3)),
        ..retry()
    };
    let outcome = breachpost::store::Done {
        retry: ended,
        ..done(&sent, in_doubt())
    };
    store.step(vec![outcome], vec![], at(2)).await.unwrap();
    assert!(claim(&store, worker(1), 9, at(9_999_999)).await.is_empty());
    assert_eq!(store.tally(last).await.unwrap().in_doubt, 1);
    intact(&store).await;
}

pub async fn releasing_gives_back_at_once(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 3).await;
    let claims = claim(&store, worker(1), 3, at(1)).await;
    store.recover(&[], &retries(), at(9_999)).await.unwrap();
    let other = claim(&store, worker(2), 1, at(9_999)).await;
    store.release(claims, at(10_000)).await.unwrap();
    assert_eq!(
        state(&store, other[0].delivery).await,
        "leased",
        "another's lease is not given back"
    );
    assert_eq!(claim(&store, worker(3), 9, at(10_000)).await.len(), 2);
    intact(&store).await;
}

pub async fn a_step_is_all_or_nothing(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 2).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let next = claim(&store, worker(1), 1, at(1)).await;
    let unknown = Claim {
        delivery: DeliveryId::new(999),
        ..sent.clone()
    };
    // Beside it, in the same commit or not, a step that is good.
    let by = anna();
    let (bad, good) = tokio::join!(
        store.step(
            vec![done(&sent, accepted()), done(&unknown, accepted())],
            next.clone(),
            at(2)
        ),
        store.retry_now(next[0].delivery, &by, at(2)),
    );
    assert!(matches!(bad, Err(StoreError::NotFound { .. })), "{bad:?}");
    conflict(good);
    assert_eq!(state(&store, sent.delivery).await, "on_wire");
    assert_eq!(outcomes(&store, sent.delivery).await, Vec::<String>::new());
    assert_eq!(state(&store, next[0].delivery).await, "leased");
    store.step(vec![done(&sent, accepted())], next, at(3)).await.unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.on_wire), (1, 1));
    intact(&store).await;
}

/// Good and bad steps that wait together and share commits: the bad ones leave no trace, not even in the batch's hash.
pub async fn a_failure_takes_nothing_with_it(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 40).await;
    let claims = claim(&store, worker(1), 40, at(1)).await;
    store.step(vec![], claims.clone(), at(1)).await.unwrap();
    let steps: Vec<_> = claims
        .chunks(2)
        .enumerate()
        .map(|(n, pair)| {
            let mut outcomes: Vec<_> = pair.iter().map(|c| done(c, accepted())).collect();
            if n % 2 == 1 {
                outcomes[1].claim.delivery = DeliveryId::new(999);
            }
            let store = store.clone();
            tokio::spawn(async move { store.step(outcomes, vec![], at(2)).await.is_ok() })
        })
        .collect();
    for (n, step) in steps.into_iter().enumerate() {
        assert_eq!(step.await.unwrap(), n % 2 == 0, "{n}");
    }
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.on_wire), (20, 20));
    for claim in &claims {
        let handed = state(&store, claim.delivery).await == "handed";
        assert_eq!(outcomes(&store, claim.delivery).await.len(), usize::from(handed));
    }
    intact(&store).await;
}

pub async fn steps_of_many_connections_keep_every_outcome(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 64).await;
    let connections: Vec<_> = (0..16)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut last: Vec<Claim> = Vec::new();
                loop {
                    let next = claim(&store, worker(n), 1, at(1)).await;
                    let finished = last.is_empty() && next.is_empty();
                    let outcomes = last.iter().map(|c| done(c, accepted())).collect();
                    assert_eq!(store.step(outcomes, next.clone(), at(2)).await.unwrap(), []);
                    if finished {
                        return;
                    }
                    last = next;
                }
            })
        })
        .collect();
    for connection in connections {
        connection.await.unwrap();
    }
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.possibly_twice), (64, 0));
    intact(&store).await;
}

pub async fn confirmed_never_leaves(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    let proof = Proof::Attested {
        by: anna(),
        file_sha256: None,
    };
    store.confirm(delivery, proof.clone(), &anna(), at(3)).await.unwrap();

    let later = Proof::Attested {
        by: anna(),
        file_sha256: Some("e".repeat(64)),
    };
    store.confirm(delivery, later, &anna(), at(4)).await.unwrap();
    conflict(store.bounce(delivery, refusal(), &anna(), at(4)).await);
    conflict(store.retry_now(delivery, &anna(), at(4)).await);
    conflict(store.hold(delivery, HoldReason::Revoked, &anna(), at(4)).await);
    store
        .step(
            vec![done(&sent, Outcome::Refused { fault: refusal() })],
            vec![sent],
            at(4),
        )
        .await
        .unwrap();
    store.recover(&[worker(1)], &retries(), at(99_999)).await.unwrap();
    assert!(claim(&store, worker(1), 9, at(999_999)).await.is_empty());
    let found = store.find_delivery(delivery).await.unwrap().unwrap();
    assert_eq!(found.state, DeliveryState::Confirmed { at: at(3), proof });
    intact(&store).await;
}

pub async fn a_person_decides_about_one_delivery(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let reason = HoldReason::Asked("wait for the lawyer".into());
    store.hold(delivery, reason.clone(), &anna(), at(1)).await.unwrap();
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());
    let found = store.find_delivery(delivery).await.unwrap().unwrap();
    assert_eq!(found.state, DeliveryState::Held { why: reason });

    store.retry_now(delivery, &anna(), at(10)).await.unwrap();
    let sent = put_on_wire(&store, worker(1), at(10)).await;
    assert_eq!(sent.attempt, 1, "being held is no try");
    store.step(vec![done(&sent, deferred())], vec![], at(11)).await.unwrap();
    store.retry_now(delivery, &anna(), at(12)).await.unwrap();
    let sent = put_on_wire(&store, worker(1), at(12)).await;
    store
        .step(vec![done(&sent, Outcome::Refused { fault: refusal() })], vec![], at(13))
        .await
        .unwrap();
    assert_eq!(state(&store, delivery).await, "failed");
    store.retry_now(delivery, &anna(), at(14)).await.unwrap();
    assert_eq!(outcomes(&store, delivery).await, ["held", "deferred", "refused"]);
    assert_eq!(claim(&store, worker(1), 9, at(14)).await[0].attempt, 3);
    intact(&store).await;
}

pub async fn a_late_bounce_is_kept(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let early = store.bounce(DeliveryId::new(1), refusal(), &anna(), at(1)).await;
    conflict(early);
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    store.bounce(sent.delivery, refusal(), &anna(), at(3)).await.unwrap();
    let found = store.find_delivery(sent.delivery).await.unwrap().unwrap();
    assert_eq!(
        found.state,
        DeliveryState::Failed {
            at: at(3),
            fault: refusal()
        }
    );
    assert_eq!(store.tally(campaign).await.unwrap().failed, 1);
    intact(&store).await;
}
