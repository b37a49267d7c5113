//! Two workers, deaths, bounces, pauses, a cancellation and a clock that only goes forward, at random: the store against
//! a plain model of what each delivery may be.

use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use breachpost::model::id::{CampaignId, DeliveryId};
use breachpost::store::{Claim, HeldChoice, Store, StoreError};
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
        play(bed, &moves).await;
    }
}

async fn play(bed: &impl Bed, moves: &[Move]) {
    let mut game = Game::open(bed.open(), moves).await;
    for (made, step) in moves.iter().enumerate() {
        game.made = made + 1;
        game.make(step).await;
        game.holds().await;
    }
    game.finish().await;
    game.holds().await;
    game.ends().await;
}

/// One campaign, the two who work on it, and what the model says of its persons.
struct Game<'m, S> {
    store: S,
    campaign: CampaignId,
    ids: Vec<DeliveryId>,
    /// In the order of `ids`.
    people: Vec<Person>,
    hands: [Hands; 2],
    /// Seconds after the start.
    now: i64,
    /// The number of the next worker, who takes the place of a dead one.
    fresh: u128,
    paused: bool,
    cancelled: bool,
    moves: &'m [Move],
    made: usize,
}

/// The moves are drawn anew in every run: whatever fails, they are what it takes to see it again.
impl<S> Drop for Game<'_, S> {
    #[expect(clippy::print_stderr, reason = "the report of a failed test is where a person looks")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (made, moves) = (self.made, self.moves);
            eprintln!("after {made} of these moves, which `play` takes as they stand after `use Move::*`: {moves:?}");
        }
    }
}

impl<'m, S: Store> Game<'m, S> {
    async fn open(store: S, moves: &'m [Move]) -> Self {
        let campaign = run_campaign(&store, PERSONS).await;
        let all = claim(&store, worker(99), 100, at(0)).await;
        let ids: Vec<DeliveryId> = all.iter().map(|claim| claim.delivery).collect();
        store.release(all, at(0)).await.unwrap();
        assert_eq!(ids.len(), PERSONS, "those of {campaign}: the runs before have ended");
        Self {
            store,
            campaign,
            ids,
            people: vec![Person::default(); PERSONS],
            hands: [1, 2].map(|number| Hands {
                number,
                claimed: vec![],
                on_wire: vec![],
            }),
            now: 1,
            fresh: 3,
            paused: false,
            cancelled: false,
            moves,
            made: 0,
        }
    }

    fn person(&mut self, id: DeliveryId) -> &mut Person {
        let place = self.ids.iter().position(|known| *known == id).unwrap();
        &mut self.people[place]
    }

    /// Makes one move; one that has nothing to move changes only the time.
    async fn make(&mut self, step: &Move) {
        self.now += 1;
        let now = at(self.now);
        match *step {
            Move::Claim(by, most) => {
                let claims = claim(&self.store, worker(self.hands[by].number), most, now).await;
                let allowed = !self.paused && !self.cancelled;
                assert!(allowed || claims.is_empty(), "claimed all the same: {claims:?}");
                self.hands[by].claimed.extend(claims);
            }
            Move::Begin(by, which) => {
                let Some(next) = nth(&mut self.hands[by].claimed, which) else {
                    return;
                };
                let lost = self.store.step(vec![], vec![next.clone()], now).await.unwrap();
                if lost.is_empty() {
                    self.hands[by].on_wire.push(next);
                }
            }
            Move::End(by, which, how) => self.end(by, which, how).await,
            Move::Release(by) => {
                let claims = std::mem::take(&mut self.hands[by].claimed);
                self.store.release(claims, now).await.unwrap();
            }
            Move::Die(by) => self.die(by).await,
            Move::Bounce(which) => self.bounce(which).await,
            Move::Unwritten(by, which) => {
                if let Some(unwritten) = nth(&mut self.hands[by].claimed, which) {
                    let fault = Fault {
                        step: SmtpStep::Prepare,
                        cause: FaultCause::Unfit("no such word".into()),
                    };
                    self.tried(&unwritten, Outcome::Held { fault }).await;
                }
            }
            Move::Unhold => self.unhold().await,
            Move::Pause if !self.cancelled => {
                self.store.pause(self.campaign, "wait", &anna(), now).await.unwrap();
                self.paused = true;
            }
            Move::Resume if !self.cancelled => self.resume().await,
            Move::Cancel => {
                self.store.cancel(self.campaign, &anna(), now).await.unwrap();
                self.cancelled = true;
            }
            Move::Wait(seconds) => self.now += seconds,
            Move::Pause | Move::Resume => {}
        }
    }

    /// Stores how a try has ended.
    async fn tried(&self, claim: &Claim, outcome: Outcome) {
        let done = vec![done(claim, outcome)];
        self.store.step(done, vec![], at(self.now)).await.unwrap();
    }

    async fn end(&mut self, by: usize, which: usize, how: u8) {
        let Some(sent) = nth(&mut self.hands[by].on_wire, which) else {
            return;
        };
        let person = self.person(sent.delivery);
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
        self.tried(&sent, outcome).await;
    }

    async fn die(&mut self, by: usize) {
        for sent in std::mem::take(&mut self.hands[by].on_wire) {
            self.person(sent.delivery).maybe += 1;
        }
        self.hands[by].claimed.clear();
        self.recover(self.hands[by].number).await;
        self.hands[by].number = self.fresh;
        self.fresh += 1;
    }

    async fn recover(&self, dead: u128) {
        let now = at(self.now);
        self.store.recover(&[worker(dead)], &retries(), now).await.unwrap();
    }

    async fn bounce(&mut self, which: usize) {
        let id = self.ids[which];
        let fault = Fault {
            step: SmtpStep::FinalDot,
            cause: FaultCause::Bounce("5.1.1".to_owned()),
        };
        match self.store.bounce(id, fault, &anna(), at(self.now)).await {
            // Nothing has left yet, or it has come back before.
            Err(StoreError::Conflict { .. }) => return,
            booked => booked.unwrap(),
        }
        self.person(id).refused = true;
        // It overtook the outcome: what came back had been taken, whatever the worker hears or not.
        for by in 0..self.hands.len() {
            let on_wire = &mut self.hands[by].on_wire;
            if let Some(at_hand) = on_wire.iter().position(|sent| sent.delivery == id) {
                let sent = on_wire.remove(at_hand);
                self.person(id).copies += 1;
                self.tried(&sent, accepted()).await;
            }
        }
    }

    async fn unhold(&self) {
        let (retry, now) = (HeldChoice::Retry, at(self.now));
        self.store
            .decide_held(self.campaign, retry, &anna(), now)
            .await
            .unwrap();
    }

    async fn resume(&mut self) {
        if self.paused {
            let now = at(self.now);
            self.store.resume(self.campaign, &anna(), now).await.unwrap();
            self.paused = false;
        }
    }

    /// Nobody is skipped: what has no last state is tried until it has one.
    async fn finish(&mut self) {
        if !self.cancelled {
            self.resume().await;
        }
        for hand in &self.hands {
            self.recover(hand.number).await;
        }
        if self.cancelled {
            self.store.sweep_cancelled(&anna(), at(self.now)).await.unwrap();
        } else {
            self.unhold().await;
        }
        for _ in 0..3 {
            self.now += 7_200;
            let now = at(self.now);
            for next in claim(&self.store, worker(50), 100, now).await {
                self.person(next.delivery).copies += 1;
                let lost = self.store.step(vec![], vec![next.clone()], now).await.unwrap();
                assert_eq!(lost, []);
                self.tried(&next, accepted()).await;
            }
        }
    }

    /// What must be so after every move.
    async fn holds(&self) {
        for (id, person) in self.ids.iter().zip(&self.people) {
            let found = self.store.find_delivery(*id).await.unwrap().unwrap();
            let (name, twice) = (found.state.name(), found.possibly_twice);
            let &Person { copies, maybe, refused } = person;
            assert!(name != "handed" || copies > 0, "{id} counts as informed");
            assert!(name != "failed" || refused, "{id} counts as unreached");
            assert!(copies <= 1 || twice, "{id} got {copies} copies");
            assert!(maybe == 0 || twice, "{id} is in doubt");
            assert!(copies <= 1 + maybe, "{id} was sent again without a doubt");
        }
    }

    /// What must be so when nothing more can be tried.
    async fn ends(&self) {
        for id in &self.ids {
            let found = self.store.find_delivery(*id).await.unwrap().unwrap();
            let name = found.state.name();
            let ends = ["handed", "failed"].contains(&name)
                || self.cancelled && (name == "cancelled" || name == "in_doubt" && found.state.is_final());
            assert!(ends, "{id} is {name}");
        }
        intact(&self.store).await;
    }
}

/// Takes the claim at that place, where there is one.
fn nth(claims: &mut Vec<Claim>, place: usize) -> Option<Claim> {
    (place < claims.len()).then(|| claims.remove(place))
}
