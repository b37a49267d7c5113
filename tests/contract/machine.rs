//! Two workers, deaths, bounces, pauses, a cancellation and a clock that only goes forward, at random: the store against a plain model of what each
//! delivery may be.

use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use breachpost::model::id::DeliveryId;
use breachpost::store::{Campaigns, Claim, HeldChoice, Outbox};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::bed::{
    Bed, accepted, anna, at, claim, deferred, done, in_doubt, intact, refusal, retries, run_campaign, worker,
};

const PERSONS: usize = 6;

/// What happens next.
#[derive(Debug, Clone)]
enum Move {
    /// A worker (0 or 1) claims so many.
    Claim(usize, u32),
    /// A worker puts one of its claims on the wire.
    Begin(usize, usize),
    /// A worker hears of one that is on the wire: 0 accepted, 1 deferred, 2 refused, 3 nothing.
    End(usize, usize, u8),
    Release(usize),
    /// A worker dies; another one with a new lock takes its place.
    Die(usize),
    /// A report comes back about a delivery.
    Bounce(usize),
    /// A worker could not write one of its claims: a person decides.
    Unwritten(usize, usize),
    /// A person has those tried again who are held.
    Unhold,
    Pause,
    Resume,
    /// For good.
    Cancel,
    Wait(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..2_usize, 1..4_u32).prop_map(|(by, most)| Move::Claim(by, most)),
        4 => (0..2_usize, 0..4_usize).prop_map(|(by, which)| Move::Begin(by, which)),
        5 => (0..2_usize, 0..4_usize, 0..4_u8).prop_map(|(by, which, how)| Move::End(by, which, how)),
        1 => (0..2_usize).prop_map(Move::Release),
        1 => (0..2_usize).prop_map(Move::Die),
        1 => (0..PERSONS).prop_map(Move::Bounce),
        1 => (0..2_usize, 0..4_usize).prop_map(|(by, which)| Move::Unwritten(by, which)),
        1 => Just(Move::Unhold),
        1 => Just(Move::Pause),
        2 => Just(Move::Resume),
        3 => (1..400_i64).prop_map(Move::Wait),
    ];
    // Some runs are called off on their way, and go on for those whose messages are under way.
    (
        prop::collection::vec(one, 1..60),
        prop::option::weighted(0.3, 0..60_usize),
    )
        .prop_map(|(mut moves, cancelled)| {
            if let Some(place) = cancelled {
                moves.insert(place.min(moves.len()), Move::Cancel);
            }
            moves
        })
}

/// What the other side knows of one person.
#[derive(Debug, Clone, Default)]
struct Person {
    /// Copies that their server has taken, and those it may have taken.
    copies: u32,
    maybe: u32,
    /// It refused, or gave the mail back.
    refused: bool,
}

/// One worker: what it has claimed, and what it has on the wire.
struct Hands {
    number: u128,
    claimed: Vec<Claim>,
    on_wire: Vec<Claim>,
}

pub async fn two_workers_at_random(bed: &impl Bed) {
    // Each run has a store of its own: few runs of many moves.
    let mut runner = TestRunner::new(Config {
        cases: 24,
        ..Config::default()
    });
    for _ in 0..24 {
        let moves = moves().new_tree(&mut runner).unwrap().current();
        play(bed, moves).await;
    }
}

async fn play(bed: &impl Bed, moves: Vec<Move>) {
    let store = bed.open();
    let campaign = run_campaign(&store, PERSONS).await;
    let all = claim(&store, worker(99), 100, at(0)).await;
    let ids: Vec<DeliveryId> = all.iter().map(|claim| claim.delivery).collect();
    store.release(all, at(0)).await.unwrap();
    assert_eq!(ids.len(), PERSONS, "those of {campaign}: the runs before have ended");

    let mut people = vec![Person::default(); PERSONS];
    let place = |id: DeliveryId| ids.iter().position(|known| *known == id).unwrap();
    let mut hands = [1, 2].map(|number| Hands {
        number,
        claimed: vec![],
        on_wire: vec![],
    });
    let (mut now, mut fresh) = (1, 3);
    let (mut paused, mut cancelled) = (false, false);
    for step in &moves {
        now += 1;
        match *step {
            Move::Claim(by, most) => {
                let claims = claim(&store, worker(hands[by].number), most, at(now)).await;
                assert!(
                    claims.is_empty() || !(paused || cancelled),
                    "claimed all the same: {moves:?}"
                );
                hands[by].claimed.extend(claims);
            }
            Move::Begin(by, which) if which < hands[by].claimed.len() => {
                let next = hands[by].claimed.remove(which);
                if store
                    .step(vec![], vec![next.clone()], at(now))
                    .await
                    .unwrap()
                    .is_empty()
                {
                    hands[by].on_wire.push(next);
                }
            }
            Move::End(by, which, how) if which < hands[by].on_wire.len() => {
                let sent = hands[by].on_wire.remove(which);
                let person = &mut people[place(sent.delivery)];
                let outcome = match how {
                    0 => {
                        person.copies += 1;
                        accepted()
                    }
                    1 => deferred(),
                    2 => {
                        person.refused = true;
                        Outcome::Refused { fault: refusal() }
                    }
                    _ => {
                        person.maybe += 1;
                        in_doubt()
                    }
                };
                store.step(vec![done(&sent, outcome)], vec![], at(now)).await.unwrap();
            }
            Move::Release(by) => {
                let claims = std::mem::take(&mut hands[by].claimed);
                store.release(claims, at(now)).await.unwrap();
            }
            Move::Die(by) => {
                for sent in std::mem::take(&mut hands[by].on_wire) {
                    people[place(sent.delivery)].maybe += 1;
                }
                hands[by].claimed.clear();
                store
                    .recover(&[worker(hands[by].number)], &retries(), at(now))
                    .await
                    .unwrap();
                hands[by].number = fresh;
                fresh += 1;
            }
            Move::Bounce(which) => {
                let fault = Fault {
                    step: SmtpStep::FinalDot,
                    cause: FaultCause::Bounce("5.1.1".to_owned()),
                };
                if store.bounce(ids[which], fault, &anna(), at(now)).await.is_err() {
                    continue;
                }
                people[which].refused = true;
                // It overtook the outcome: what came back had been taken, whatever the worker hears or not.
                for hand in &mut hands {
                    if let Some(at_hand) = hand.on_wire.iter().position(|sent| sent.delivery == ids[which]) {
                        let sent = hand.on_wire.remove(at_hand);
                        people[which].copies += 1;
                        store
                            .step(vec![done(&sent, accepted())], vec![], at(now))
                            .await
                            .unwrap();
                    }
                }
            }
            Move::Unwritten(by, which) if which < hands[by].claimed.len() => {
                let unwritten = hands[by].claimed.remove(which);
                let fault = Fault {
                    step: SmtpStep::Prepare,
                    cause: FaultCause::Unfit("no such word".into()),
                };
                let done = done(&unwritten, Outcome::Held { fault });
                store.step(vec![done], vec![], at(now)).await.unwrap();
            }
            Move::Unhold => {
                store
                    .decide_held(campaign, HeldChoice::Retry, &anna(), at(now))
                    .await
                    .unwrap();
            }
            Move::Pause if !cancelled => {
                store.pause(campaign, "wait", &anna(), at(now)).await.unwrap();
                paused = true;
            }
            Move::Resume if paused && !cancelled => {
                store.resume(campaign, &anna(), at(now)).await.unwrap();
                paused = false;
            }
            Move::Cancel => {
                store.cancel(campaign, &anna(), at(now)).await.unwrap();
                cancelled = true;
            }
            Move::Wait(seconds) => now += seconds,
            Move::Begin(..) | Move::End(..) | Move::Unwritten(..) | Move::Pause | Move::Resume => {}
        }
        for (id, person) in ids.iter().zip(&people) {
            holds(&store, *id, person, &moves).await;
        }
    }
    if paused && !cancelled {
        store.resume(campaign, &anna(), at(now)).await.unwrap();
    }
    // Nobody is skipped: what has no last state is tried until it has one.
    for hand in &hands {
        let dead = [worker(hand.number)];
        store.recover(&dead, &retries(), at(now)).await.unwrap();
    }
    if cancelled {
        store.sweep_cancelled(&anna(), at(now)).await.unwrap();
    } else {
        let held = store.decide_held(campaign, HeldChoice::Retry, &anna(), at(now)).await;
        held.unwrap();
    }
    for _ in 0..3 {
        now += 7_200;
        for next in claim(&store, worker(50), 100, at(now)).await {
            people[place(next.delivery)].copies += 1;
            assert_eq!(store.step(vec![], vec![next.clone()], at(now)).await.unwrap(), []);
            store
                .step(vec![done(&next, accepted())], vec![], at(now))
                .await
                .unwrap();
        }
    }
    for (id, person) in ids.iter().zip(&people) {
        let found = store.find_delivery(*id).await.unwrap().unwrap();
        let name = found.state.name();
        let ends = ["handed", "failed"].contains(&name)
            || cancelled && (name == "cancelled" || name == "in_doubt" && found.state.is_final());
        assert!(ends, "{id} is {name}: {moves:?}");
        assert!(name != "handed" || person.copies > 0, "{id}: {moves:?}");
        holds(&store, *id, person, &moves).await;
    }
    intact(&store).await;
}

/// What must be so after every move.
async fn holds(store: &impl Outbox, id: DeliveryId, person: &Person, moves: &[Move]) {
    let found = store.find_delivery(id).await.unwrap().unwrap();
    let name = found.state.name();
    assert!(
        name != "handed" || person.copies > 0,
        "{id} counts as informed: {moves:?}"
    );
    assert!(
        name != "failed" || person.refused,
        "{id} counts as unreached: {moves:?}"
    );
    assert!(
        person.copies <= 1 || found.possibly_twice,
        "{id} got {} copies: {moves:?}",
        person.copies
    );
    assert!(person.maybe == 0 || found.possibly_twice, "{id} is in doubt: {moves:?}");
    assert!(
        person.copies <= 1 + person.maybe,
        "{id} was sent again without a doubt: {moves:?}"
    );
}
