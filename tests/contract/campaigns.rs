//! Campaigns and their persons.

use std::collections::BTreeMap;

use breachpost::model::campaign::CampaignState;
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use breachpost::model::id::Actor;
use breachpost::model::recipient::Flags;
use breachpost::store::{
    Account, Campaigns, HeldChoice, LeaseLost, ListTarget, Lists, OtherChannel, Outbox, People, Reach, Reached,
    StoreError, Tally, WhoTold, Whom, Work,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, conflict, deferred, done, in_doubt, intact,
    outcomes, person, put_on_wire, refusal, run_campaign, worker,
};

pub async fn nobody_is_due_before_the_start(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1), person(2)]).await;
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(
        store.tally(campaign).await.unwrap(),
        Tally {
            ready: 2,
            ..Tally::default()
        }
    );

    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(2)).await.unwrap();
    store.start(campaign, &anna(), at(3)).await.unwrap();
    assert_eq!(claim(&store, worker(1), 9, at(4)).await.len(), 2);
    let found = store.find_campaign(campaign).await.unwrap().unwrap();
    assert_eq!(
        (found.state.name(), found.breach, found.content.clone()),
        ("running", breach, json!({}))
    );
    assert_eq!(store.list_campaigns().await.unwrap(), [found]);
    intact(&store).await;
}

pub async fn every_person_is_counted_once(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 7).await;
    let outcomes = [accepted(), in_doubt(), Outcome::Refused { fault: refusal() }];
    for outcome in outcomes {
        let sent = put_on_wire(&store, worker(1), at(1)).await;
        store.step(vec![done(&sent, outcome)], vec![], at(1)).await.unwrap();
    }
    put_on_wire(&store, worker(1), at(1)).await;
    claim(&store, worker(1), 1, at(1)).await;
    let wanted = Tally {
        ready: 2,
        leased: 1,
        on_wire: 1,
        in_doubt: 1,
        handed: 1,
        failed: 1,
        possibly_twice: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    intact(&store).await;
}

pub async fn two_different_persons_agree_to_the_same_content(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1)]).await;
    let bob = Actor::User("bob".into());
    let agree = |hash: char, by: Actor| {
        let (store, hash) = (&store, hash.to_string().repeat(64));
        async move {
            store
                .approve_campaign(campaign, &hash, 2, &by, at(1))
                .await
                .unwrap()
                .len()
        }
    };
    let state = || async { store.find_campaign(campaign).await.unwrap().unwrap().state };
    assert_eq!(agree('a', anna()).await, 1);
    assert_eq!(agree('a', anna()).await, 1, "the same person again");
    assert_eq!(agree('b', bob.clone()).await, 1, "other content");
    assert_eq!(state().await, CampaignState::Draft);
    assert_eq!(agree('a', bob.clone()).await, 2);
    let CampaignState::Approved { hash, by } = state().await else {
        panic!("approved by two");
    };
    assert_eq!((hash, by), ("a".repeat(64), vec![anna(), bob.clone()]));
    // What is edited is a draft, and so is what somebody agrees to in another form.
    assert_eq!(agree('c', anna()).await, 1);
    assert_eq!(state().await, CampaignState::Draft);
    assert_eq!(agree('a', anna()).await, 2);
    store
        .set_content(campaign, json!({ "x": 1 }), &anna(), at(2))
        .await
        .unwrap();
    assert_eq!(state().await, CampaignState::Draft);
    conflict(store.start(campaign, &anna(), at(3)).await);
    approve(&store, campaign).await;
    store.schedule(campaign, at(9), &anna(), at(3)).await.unwrap();
    assert!(
        claim(&store, worker(1), 9, at(10)).await.is_empty(),
        "somebody must start it"
    );
    store.pause(campaign, "not yet", &anna(), at(3)).await.unwrap();
    store.resume(campaign, &anna(), at(4)).await.unwrap();
    assert_eq!(
        state().await,
        CampaignState::Scheduled { at: at(9) },
        "its time is still to come"
    );
    let started_at = || async { store.find_campaign(campaign).await.unwrap().unwrap().started_at };
    assert_eq!(started_at().await, None);
    // What was stopped before its start may be changed, and agreed to anew.
    store.pause(campaign, "not yet", &anna(), at(5)).await.unwrap();
    store
        .set_content(campaign, json!({ "x": 2 }), &anna(), at(5))
        .await
        .unwrap();
    assert_eq!(state().await, CampaignState::Draft);
    conflict(store.resume(campaign, &anna(), at(6)).await);
    approve(&store, campaign).await;
    store.schedule(campaign, at(9), &anna(), at(6)).await.unwrap();
    store.pause(campaign, "not yet", &anna(), at(7)).await.unwrap();
    store.resume(campaign, &anna(), at(9)).await.unwrap();
    assert_eq!(
        (state().await, started_at().await),
        (CampaignState::Running, Some(at(9)))
    );
    let edit = store.set_content(campaign, json!({}), &anna(), at(5)).await;
    conflict(edit);
    assert_eq!(claim(&store, worker(1), 9, at(10)).await.len(), 1);
    intact(&store).await;
}

/// A token that was taken out of force may have been stolen before.
pub async fn whoever_is_disabled_has_not_agreed(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1)]).await;
    let (bob, eve) = (Actor::User("bob".into()), Actor::User("eve".into()));
    for (user, token) in [("bob", '1'), ("eve", '2')] {
        let token = token.to_string().repeat(64);
        store.add_user(user, &token, &anna(), at(0)).await.unwrap();
    }
    let hash = "a".repeat(64);
    let agree = |by: &Actor| {
        let (store, hash, by) = (&store, &hash, by.clone());
        async move { store.approve_campaign(campaign, hash, 2, &by, at(1)).await }
    };
    assert_eq!(agree(&eve).await.unwrap(), std::slice::from_ref(&eve));
    store.disable_user("eve", &anna(), at(2)).await.unwrap();
    assert_eq!(
        agree(&bob).await.unwrap(),
        std::slice::from_ref(&bob),
        "eve's does not count"
    );
    let state = || async { store.find_campaign(campaign).await.unwrap().unwrap().state };
    assert_eq!(state().await, CampaignState::Draft);
    assert_eq!(agree(&anna()).await.unwrap(), [bob.clone(), anna()]);
    assert_eq!(state().await.name(), "approved");
    store.disable_user("bob", &anna(), at(3)).await.unwrap();
    let agreed = async || store.list_agreed(&campaign.to_string(), &hash).await.unwrap();
    assert_eq!(agreed().await, [anna()]);
    // What runs with this content may be agreed to by another; other content may not.
    store.start(campaign, &anna(), at(4)).await.unwrap();
    store.renew_token("eve", &"3".repeat(64), &anna(), at(5)).await.unwrap();
    assert_eq!(agreed().await, [eve.clone(), anna()], "enabled again");
    assert_eq!(agree(&eve).await.unwrap(), [eve, anna()]);
    assert_eq!(state().await, CampaignState::Running);
    let other = store
        .approve_campaign(campaign, &"b".repeat(64), 1, &anna(), at(6))
        .await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
    intact(&store).await;
}

pub async fn a_pause_takes_back_what_was_claimed(bed: &impl Bed) {
    let (store, other) = (bed.open(), bed.open());
    let campaign = run_campaign(&store, 4).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let claims = claim(&store, worker(1), 9, at(1)).await;
    assert_eq!(claims.len(), 3);
    other
        .pause(campaign, "the number is wrong", &anna(), at(2))
        .await
        .unwrap();
    // The message on the wire ends; those behind it find that they are not to leave.
    let lost = store.step(vec![done(&sent, accepted())], claims, at(3)).await.unwrap();
    assert_eq!(lost.len(), 3);
    let wanted = Tally {
        ready: 3,
        handed: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    assert!(claim(&store, worker(1), 9, at(4)).await.is_empty());
    store.resume(campaign, &anna(), at(5)).await.unwrap();
    assert_eq!(claim(&store, worker(2), 9, at(6)).await.len(), 3);
    intact(&store).await;
}

pub async fn a_pause_stops_what_was_claimed_before_it(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 3).await;
    let claims = claim(&store, worker(1), 2, at(1)).await;
    store.step(vec![], vec![claims[0].clone()], at(1)).await.unwrap();
    store.pause(campaign, "wrong text", &anna(), at(2)).await.unwrap();
    let lost = store.step(vec![done(&claims[0], accepted())], vec![claims[1].clone()], at(3));
    assert_eq!(
        lost.await.unwrap(),
        [LeaseLost(claims[1].delivery)],
        "it does not leave any more"
    );
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!(
        (tally.handed, tally.ready, tally.leased),
        (1, 2, 0),
        "nothing waits for its lease to end"
    );
    store.resume(campaign, &anna(), at(4)).await.unwrap();
    assert_eq!(claim(&store, worker(2), 9, at(4)).await.len(), 2);
    intact(&store).await;
}

pub async fn a_cancellation_ends_what_waits(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 4).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let doubtful = put_on_wire(&store, worker(1), at(1)).await;
    store
        .step(vec![done(&doubtful, in_doubt())], vec![], at(1))
        .await
        .unwrap();
    claim(&store, worker(2), 1, at(1)).await;
    assert_eq!(store.cancel(campaign, &anna(), at(2)).await.unwrap(), 2);
    // What is on the wire ends by itself; given back, the sweep ends it.
    store
        .step(vec![done(&sent, crate::bed::deferred())], vec![], at(3))
        .await
        .unwrap();
    assert!(claim(&store, worker(1), 9, at(9_999)).await.is_empty());
    assert_eq!(store.sweep_cancelled(&anna(), at(4)).await.unwrap(), 1);
    assert_eq!(store.sweep_cancelled(&anna(), at(5)).await.unwrap(), 0);
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.cancelled, tally.in_doubt), (3, 1));
    intact(&store).await;
}

pub async fn what_may_have_left_stays_in_doubt(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 3).await;
    // Two in doubt; one is put off when it is tried again, the other is claimed again.
    for _ in 0..2 {
        let sent = put_on_wire(&store, worker(1), at(1)).await;
        store.step(vec![done(&sent, in_doubt())], vec![], at(1)).await.unwrap();
    }
    let again = claim(&store, worker(1), 9, at(9_999)).await;
    let again: Vec<_> = again.into_iter().filter(|claim| claim.possibly_twice).collect();
    assert_eq!(again.len(), 2);
    store.step(vec![], vec![again[0].clone()], at(9_999)).await.unwrap();
    store
        .step(vec![done(&again[0], crate::bed::deferred())], vec![], at(9_999))
        .await
        .unwrap();
    store.cancel(campaign, &anna(), at(10_000)).await.unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.cancelled, tally.in_doubt), (1, 2));
    assert_eq!(store.sweep_cancelled(&anna(), at(10_001)).await.unwrap(), 0);
    intact(&store).await;
}

/// A server that gives it back at once: its report is read before the outcome of the sending is stored.
pub async fn a_bounce_may_overtake_the_outcome(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let fault = Fault {
        step: SmtpStep::FinalDot,
        cause: FaultCause::Bounce("5.1.1 no such user".into()),
    };
    store.bounce(sent.delivery, fault, &anna(), at(2)).await.unwrap();
    let lost = store.step(vec![done(&sent, accepted())], vec![], at(3)).await.unwrap();
    assert_eq!(lost, [], "the worker did nothing wrong");
    let wanted = Tally {
        failed: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted, "nobody was told");
    assert_eq!(outcomes(&store, sent.delivery).await, ["accepted"]);
    intact(&store).await;
}

pub async fn it_settles_when_nothing_waits(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    for early in [
        store.settle_campaign(campaign, at(99), &anna(), at(1)).await,
        store.finish(campaign, &anna(), at(1)).await,
    ] {
        conflict(early);
    }
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(1)).await.unwrap();
    store.settle_campaign(campaign, at(99), &anna(), at(2)).await.unwrap();
    store.finish(campaign, &anna(), at(100)).await.unwrap();
    let found = store.find_campaign(campaign).await.unwrap().unwrap();
    assert_eq!((found.state, found.ended_at), (CampaignState::Finished, Some(at(100))));
    conflict(store.cancel(campaign, &anna(), at(101)).await);
    intact(&store).await;
}

/// The others are told meanwhile; the campaign ends once somebody has decided about each who is held.
pub async fn who_cannot_be_written_to_is_held_until_a_person_decides(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 4).await;
    let hold = |why: &str| Outcome::Held {
        fault: Fault {
            step: SmtpStep::Prepare,
            cause: FaultCause::Unfit(why.to_owned()),
        },
    };
    let claims = claim(&store, worker(1), 4, at(1)).await;
    let unwritten = claims[..3].iter().map(|claim| done(claim, hold("no such word")));
    store
        .step(unwritten.collect(), vec![claims[3].clone()], at(1))
        .await
        .unwrap();
    store
        .step(vec![done(&claims[3], accepted())], vec![], at(2))
        .await
        .unwrap();
    assert!(
        claim(&store, worker(1), 9, at(9_999)).await.is_empty(),
        "nothing tries it by itself"
    );
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.held, tally.handed), (3, 1));
    let found = store.account(campaign).await.unwrap().groups;
    assert_eq!(found.held_reasons, BTreeMap::from([("no such word".to_owned(), 3)]));
    assert_eq!(crate::bed::outcomes(&store, claims[0].delivery).await, ["held"]);
    let settled = store.settle_campaign(campaign, at(99), &anna(), at(3)).await;
    conflict(settled);

    let first = store.list_held(campaign, None, 1).await.unwrap();
    let rest = store.list_held(campaign, Some(first[0].delivery), 9).await.unwrap();
    let listed: Vec<_> = first.iter().chain(&rest).map(|held| held.delivery).collect();
    assert_eq!(
        listed,
        claims[..3].iter().map(|claim| claim.delivery).collect::<Vec<_>>()
    );
    assert_eq!(first[0].why, "no such word");

    // One gets a letter, one is written to after all, one is given up.
    let letter = vec![WhoTold::Whom(Whom::Delivery(claims[0].delivery))];
    store
        .tell_otherwise(campaign, letter, OtherChannel::Post, &anna(), at(4))
        .await
        .unwrap();
    let again = store.decide_held(campaign, HeldChoice::Retry, &anna(), at(5)).await;
    assert_eq!(again.unwrap(), 2, "whoever got a letter is not tried again");
    let claims = claim(&store, worker(1), 9, at(5)).await;
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 2]);
    store
        .step(
            vec![done(&claims[0], hold("still not"))],
            vec![claims[1].clone()],
            at(6),
        )
        .await
        .unwrap();
    store
        .step(vec![done(&claims[1], accepted())], vec![], at(6))
        .await
        .unwrap();
    let given_up = store.decide_held(campaign, HeldChoice::GiveUp, &anna(), at(7)).await;
    assert_eq!(given_up.unwrap(), 1);
    let unreached = store.list_unreached(campaign, false, None, 9).await.unwrap();
    assert_eq!(unreached.len(), 1);
    assert_eq!(unreached[0].whom, Whom::Delivery(claims[0].delivery));
    store.settle_campaign(campaign, at(99), &anna(), at(8)).await.unwrap();
    let (_, tally, otherwise) = store.counted(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.cancelled, otherwise.by_post), (2, 2, 1));
    intact(&store).await;
    let draft = add_campaign(&store, add_breach(&store).await, vec![person(9)]).await;
    let early = store.decide_held(draft, HeldChoice::GiveUp, &anna(), at(9)).await;
    conflict(early);
}

pub async fn who_is_held_goes_on_without_a_field_where_somebody_says_so(bed: &impl Bed) {
    let store = bed.open();
    let persons = (0..3).map(|n| {
        let mut person = person(n);
        person.flags.set(Flags::CERTIFICATE);
        person.fields.add("certificate", "mQ".to_owned());
        person
    });
    let campaign = add_campaign(&store, add_breach(&store).await, persons.collect()).await;
    let first = store.list_flagged(campaign, Flags::CERTIFICATE, None, 2).await.unwrap();
    let rest = store.list_flagged(campaign, Flags::CERTIFICATE, Some(first[1].delivery), 9);
    let rest = rest.await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 1));
    assert_eq!(rest[0].address, "person2@example.org");
    assert_eq!(rest[0].fields.first("certificate"), Some("mQ"));
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    let claims = claim(&store, worker(1), 9, at(1)).await;
    let held = claims
        .iter()
        .zip(["ended", "ended", "no such word"])
        .map(|(claim, why)| {
            let fault = Fault {
                step: SmtpStep::Prepare,
                cause: FaultCause::Unfit(why.to_owned()),
            };
            done(claim, Outcome::Held { fault })
        });
    store.step(held.collect(), vec![], at(1)).await.unwrap();
    let choice = HeldChoice::RetryWithout {
        field: "certificate",
        held_for: "ended",
        reason: "asked by telephone".to_owned(),
    };
    assert_eq!(store.decide_held(campaign, choice, &anna(), at(2)).await.unwrap(), 2);
    let again = claim(&store, worker(1), 9, at(3)).await;
    assert_eq!(again.len(), 2);
    for claim in &again {
        let Work::Person { fields, .. } = &claim.work else {
            panic!("{claim:?}")
        };
        assert!(fields["certificate"].is_null() && !fields["name"].is_null(), "{fields}");
    }
    let left = store.list_held(campaign, None, 9).await.unwrap();
    assert_eq!(
        left.iter().map(|held| held.why.as_str()).collect::<Vec<_>>(),
        ["no such word"]
    );
    intact(&store).await;
}

/// Random outcomes, letters and rows that cannot be used: every grouping adds up to the same, and to the number of persons.
pub async fn the_sums_fit_whatever_happens(bed: &impl Bed) {
    let store = bed.open();
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec((0..5_u8, 0..4_u8), 1..12);
    for round in 0..12 {
        let fates = strategy.new_tree(&mut runner).unwrap().current();
        let breach = add_breach(&store).await;
        let campaign = add_campaign(&store, breach, (0..fates.len()).map(person).collect()).await;
        let bad = crate::lists::bad(9, None);
        let list = crate::bed::list(ListTarget::Draft(campaign), 'f', 1);
        let open = store.begin_list(list, &anna(), at(0)).await.unwrap();
        store.add_rows(open.list, 0, vec![bad], &anna(), at(0)).await.unwrap();
        store.end_list(open.list, &anna(), at(0)).await.unwrap();
        approve(&store, campaign).await;
        store.start(campaign, &anna(), at(0)).await.unwrap();
        let mut told = Vec::new();
        for (fate, otherwise) in &fates {
            let sent = put_on_wire(&store, worker(1), at(1)).await;
            let outcome = match fate {
                0 => accepted(),
                1 => in_doubt(),
                2 => Outcome::Refused { fault: refusal() },
                3 => crate::bed::deferred(),
                _ => {
                    store.step(vec![done(&sent, accepted())], vec![], at(1)).await.unwrap();
                    store.bounce(sent.delivery, refusal(), &anna(), at(2)).await.unwrap();
                    continue;
                }
            };
            store.step(vec![done(&sent, outcome)], vec![], at(1)).await.unwrap();
            if *otherwise == 0 {
                told.push(WhoTold::Whom(Whom::Delivery(sent.delivery)));
            }
        }
        let named = store
            .tell_otherwise(campaign, told.clone(), OtherChannel::Post, &anna(), at(3))
            .await;
        assert!(named.unwrap().iter().all(|persons| *persons == 1));
        let Account {
            rows,
            tally,
            told: otherwise,
            groups: found,
            ..
        } = store.account(campaign).await.unwrap();
        assert_eq!(store.counted(campaign).await.unwrap(), (rows, tally, otherwise));
        let wanted = Reached {
            informed: tally.handed + otherwise.unreached + otherwise.in_doubt + otherwise.pending,
            in_doubt: tally.in_doubt - otherwise.in_doubt,
            unreached: tally.failed + tally.cancelled + rows.invalid - otherwise.unreached,
            pending: tally.ready - otherwise.pending,
        };
        let persons = wanted.informed + wanted.in_doubt + wanted.unreached + wanted.pending;
        assert_eq!(persons, fates.len() as u64 + 1, "round {round}: {fates:?}");
        for group in [&found.languages, &found.countries, &found.domains] {
            let sum = group.values().fold(Reached::default(), |sum, one| Reached {
                informed: sum.informed + one.informed,
                in_doubt: sum.in_doubt + one.in_doubt,
                unreached: sum.unreached + one.unreached,
                pending: sum.pending + one.pending,
            });
            assert_eq!(sum, wanted, "round {round}: {fates:?}");
        }
        assert_eq!(found.reasons.values().sum::<u64>(), wanted.unreached, "round {round}");
        let listed = store.list_unreached(campaign, false, None, 1_000).await.unwrap();
        assert_eq!(listed.len() as u64, wanted.unreached, "round {round}");
        store.cancel(campaign, &anna(), at(4)).await.unwrap();
    }
    intact(&store).await;
}

/// While persons move, every account adds up.
pub async fn an_account_is_of_one_moment(bed: &impl Bed) {
    const PERSONS: usize = 200;
    let store = bed.open();
    let campaign = run_campaign(&store, PERSONS).await;
    let other = bed.open();
    let work = tokio::spawn(async move {
        let claims = claim(&other, worker(1), PERSONS as u32, at(1)).await;
        other.step(vec![], claims.clone(), at(1)).await.unwrap();
        for claim in claims {
            other.step(vec![done(&claim, accepted())], vec![], at(2)).await.unwrap();
            other.bounce(claim.delivery, refusal(), &anna(), at(3)).await.unwrap();
        }
    });
    while !work.is_finished() {
        let account = store.account(campaign).await.unwrap();
        let tally = account.tally;
        let pending = tally.ready + tally.leased + tally.on_wire;
        assert_eq!(pending + tally.handed + tally.failed, PERSONS as u64);
        let german = account.groups.languages["de"];
        assert_eq!(
            (german.pending, german.informed, german.unreached),
            (pending, tally.handed, tally.failed)
        );
        assert_eq!(account.groups.reasons.values().sum::<u64>(), tally.failed);
    }
    work.await.unwrap();
    assert_eq!(store.tally(campaign).await.unwrap().failed, PERSONS as u64);
}

pub async fn who_was_put_off_is_known(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 3).await;
    let nobody = store.deferred(campaign).await.unwrap();
    assert_eq!((nobody.persons, nobody.next), (0, None), "nobody was tried yet");
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, deferred())], vec![], at(2)).await.unwrap();
    let sent = put_on_wire(&store, worker(1), at(3)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(4)).await.unwrap();
    let due = store.next_due().await.unwrap().unwrap();
    assert!(due <= at(4), "one was never put off");
    // Whether its time has come or not: it was put off.
    let one = store.deferred(campaign).await.unwrap();
    assert_eq!(one.persons, 1);
    assert!(one.next.unwrap() > at(2), "{one:?}");
    let waits = store.waits(campaign).await.unwrap();
    assert_eq!(waits.values().sum::<u64>(), 1);
    // Tried again in vain, it still waits with one answer: its last.
    let again = claim(&store, worker(1), 9, at(1_000_000)).await;
    store.step(vec![], again.clone(), at(1_000_000)).await.unwrap();
    for claim in again {
        store
            .step(vec![done(&claim, deferred())], vec![], at(1_000_001))
            .await
            .unwrap();
    }
    assert_eq!(store.deferred(campaign).await.unwrap().persons, 2);
    assert_eq!(store.waits(campaign).await.unwrap().values().sum::<u64>(), 2);
    intact(&store).await;
}
