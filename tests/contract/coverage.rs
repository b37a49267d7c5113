//! What a report says of a campaign, whatever happened to it: after each of many random moves, from the first list on, the
//! sums, the groups, the reasons and the list of the unreached against a count of every person one by one.

use std::collections::{BTreeMap, BTreeSet};

use breachpost::dispatch::campaign::check::Coverage;
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpReply, SmtpStep};
use breachpost::model::id::{BadRowId, CampaignId, DeliveryId};
use breachpost::model::receipt::{ReceiptKind, ReportAction};
use breachpost::model::recipient::PersonKey;
use breachpost::store::{
    Account, Claim, Consequences, HeldChoice, ListTarget, NewReport, NewRow, OtherChannel, Reached, Store, StoreError,
    Understanding, WhoTold, Whom,
};
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, deferred, done, in_doubt, intact, list, person,
    refusal, retries, row, worker,
};
use crate::lists::bad;

/// Different persons that lists name.
const PERSONS: usize = 7;
/// Different persons that rows name which cannot be used: two of them are in no list otherwise.
const NAMED: usize = PERSONS + 2;
const DAY: i64 = 86_400;

/// A row of a list.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Person(usize),
    /// One that cannot be used, of a person whose number it gives or not.
    Bad(Option<usize>),
    /// In the place of a row that cannot be used: of this person now, or no better.
    Corrected(usize, Option<usize>),
}

fn rows() -> impl Strategy<Value = Vec<Vec<Kind>>> {
    let one = prop_oneof![
        6 => (0..PERSONS).prop_map(Kind::Person),
        2 => prop::option::of(0..NAMED).prop_map(Kind::Bad),
        2 => (0..9_usize, prop::option::of(0..PERSONS)).prop_map(|(which, whose)| Kind::Corrected(which, whose)),
    ];
    prop::collection::vec(prop::collection::vec(one, 1..9), 1..4)
}

/// What happens next. Numbers that name nobody are taken modulo.
#[derive(Debug, Clone)]
enum Move {
    /// Claims so many and puts them on the wire.
    Send(u32),
    /// One on the wire ends: accepted, put off by its server or by the relay, refused, nothing heard.
    End(usize, u8),
    /// A message that is claimed cannot be written.
    Unwritten,
    /// The worker dies.
    Die,
    /// A server reports of a message.
    Report(usize, ReportAction),
    /// A person, or a row that cannot be used, is told by telephone.
    Tell(usize),
    /// Everything at one person's address is erased.
    Erase(usize),
    EraseAll,
    /// Those who are held are tried again, or given up.
    Held(bool),
    Hurry,
    GiveUp,
    Pause,
    Resume,
    Cancel,
    /// To its end, where nothing waits.
    Settle,
    /// The store is lost, and a copy that was made just before goes on in its place.
    Restore,
    Wait(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    use ReportAction::{Delayed, Delivered, Failed};
    let action = prop_oneof![2 => Just(Failed), 1 => Just(Delivered), 1 => Just(Delayed)];
    let one = prop_oneof![
        6 => (1..4_u32).prop_map(Move::Send),
        8 => (0..9_usize, 0..6_u8).prop_map(|(which, how)| Move::End(which, how)),
        1 => Just(Move::Unwritten),
        1 => Just(Move::Die),
        3 => (0..9_usize, action).prop_map(|(which, action)| Move::Report(which, action)),
        2 => (0..20_usize).prop_map(Move::Tell),
        1 => (0..9_usize).prop_map(Move::Erase),
        1 => Just(Move::EraseAll),
        1 => any::<bool>().prop_map(Move::Held),
        1 => Just(Move::Hurry),
        1 => Just(Move::GiveUp),
        1 => Just(Move::Pause),
        2 => Just(Move::Resume),
        1 => Just(Move::Settle),
        3 => prop_oneof![1..400_i64, DAY..6 * DAY].prop_map(Move::Wait),
    ];
    let at_most_once = || prop::option::weighted(0.4, 0..80_usize);
    (prop::collection::vec(one, 10..80), at_most_once(), at_most_once()).prop_map(|(mut moves, cancel, restore)| {
        for (place, step) in [(cancel, Move::Cancel), (restore, Move::Restore)] {
            if let Some(place) = place {
                moves.insert(place.min(moves.len()), step);
            }
        }
        moves
    })
}

pub async fn every_report_adds_up_whatever_happens<B: Bed>(_: &B) {
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..24 {
        let drawn = (rows(), moves()).new_tree(&mut runner).unwrap().current();
        let (lists, moves) = &drawn;
        // A home for each: a copy of it is made once.
        let bed = B::new();
        let mut game = Game::open(bed.open(), lists, moves).await;
        for (made, step) in moves.iter().enumerate() {
            game.made = made + 1;
            game.now += 1;
            if let Move::Restore = step {
                game.store = bed.copied(&game.store).await;
                game.go_on_as_a_copy().await;
            } else {
                game.make(step).await;
            }
            game.holds().await;
        }
        game.ends().await;
    }
}

/// One campaign and what is known of it from outside the store.
struct Game<'m, S> {
    store: S,
    campaign: CampaignId,
    ids: Vec<DeliveryId>,
    bad_rows: Vec<BadRowId>,
    addresses: BTreeMap<DeliveryId, String>,
    on_wire: Vec<Claim>,
    told: BTreeSet<Whom>,
    erased: BTreeSet<DeliveryId>,
    confirmed: BTreeSet<DeliveryId>,
    twice: BTreeSet<DeliveryId>,
    /// Of each, the actions that were reported, in their order.
    reports: BTreeMap<DeliveryId, Vec<ReportAction>>,
    mails: u32,
    worker: u128,
    now: i64,
    lists: &'m [Vec<Kind>],
    moves: &'m [Move],
    made: usize,
}

impl<S> Drop for Game<'_, S> {
    #[expect(clippy::print_stderr, reason = "the report of a failed test is where a person looks")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { lists, moves, made, .. } = self;
            eprintln!("after the lists {lists:?} and {made} of these moves: {moves:?}");
        }
    }
}

/// What the state of things does not allow changes nothing; any other error is one.
fn tolerated<T>(result: Result<T, StoreError>) -> Option<T> {
    match result {
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => None,
        done => Some(done.unwrap()),
    }
}

/// The rows as the store takes them; what they correct is among the rows that cannot be used by now.
async fn written(store: &impl Store, campaign: CampaignId, kinds: &[Kind], number: &mut u64) -> Vec<NewRow> {
    let of = |n: usize| PersonKey::of_id(&n.to_string());
    let known = store.list_bad_rows(campaign, None, 100).await.unwrap();
    let mut free: Vec<BadRowId> = known.iter().map(|row| row.id).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        *number += 1;
        rows.push(match *kind {
            Kind::Person(n) => row(person(n)),
            Kind::Bad(whose) => bad(*number, whose.map(of)),
            Kind::Corrected(which, whose) => {
                let corrects = (!free.is_empty()).then(|| free.remove(which % free.len()));
                let row = whose.map_or_else(|| bad(*number, None), |n| row(person(n)));
                NewRow { corrects, ..row }
            }
        });
    }
    rows
}

/// A campaign of these lists: between two, somebody agrees to it in vain.
async fn listed(store: &impl Store, lists: &[Vec<Kind>]) -> CampaignId {
    let breach = add_breach(store).await;
    let campaign = add_campaign(store, breach, vec![person(0)]).await;
    let mut number = 0;
    for (mark, kinds) in ('b'..).zip(lists) {
        approve(store, campaign).await;
        let rows = written(store, campaign, kinds, &mut number).await;
        let new = list(ListTarget::Draft(campaign), mark, rows.len() as u64);
        let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
        let counts = store.add_rows(open.list, 0, rows, &anna(), at(0)).await.unwrap();
        store.end_list(open.list, &anna(), at(0)).await.unwrap();
        assert_eq!(counts.rows, counts.valid + counts.duplicates + counts.invalid);
        let text = json!({ "edited": number });
        store.set_content(campaign, text, &anna(), at(0)).await.unwrap();
        let state = store.find_campaign(campaign).await.unwrap().unwrap().state;
        assert_eq!(state.name(), "draft", "what was agreed to is another campaign now");
    }
    campaign
}

impl<'m, S: Store> Game<'m, S> {
    async fn open(store: S, lists: &'m [Vec<Kind>], moves: &'m [Move]) -> Self {
        store.settle_identity(&anna(), at(0)).await.unwrap();
        let campaign = listed(&store, lists).await;
        approve(&store, campaign).await;
        store.start(campaign, &anna(), at(0)).await.unwrap();
        let all = claim(&store, worker(99), 100, at(0)).await;
        let addresses: BTreeMap<_, _> = all.iter().map(|c| (c.delivery, c.recipient.clone())).collect();
        store.release(all, at(0)).await.unwrap();
        let bad_rows = store.list_bad_rows(campaign, None, 100).await.unwrap();
        let mut game = Self {
            ids: addresses.keys().copied().collect(),
            bad_rows: bad_rows.iter().map(|row| row.id).collect(),
            store,
            campaign,
            addresses,
            on_wire: vec![],
            told: BTreeSet::new(),
            erased: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            twice: BTreeSet::new(),
            reports: BTreeMap::new(),
            mails: 0,
            worker: 1,
            now: 1,
            lists,
            moves,
            made: 0,
        };
        let addresses: BTreeSet<_> = game.addresses.values().collect();
        assert_eq!(addresses.len(), game.ids.len(), "each person is in once");
        game.holds().await;
        game
    }

    async fn make(&mut self, step: &Move) {
        let (campaign, by, now) = (self.campaign, anna(), at(self.now));
        match *step {
            Move::Send(most) => {
                let claims = claim(&self.store, worker(self.worker), most, now).await;
                for claim in &claims {
                    assert!(!claim.recipient.is_empty(), "{} was erased", claim.delivery);
                    assert!(!self.told.contains(&Whom::Delivery(claim.delivery)), "told already");
                }
                let lost = self.store.step(vec![], claims.clone(), now).await.unwrap();
                assert_eq!(lost, []);
                self.on_wire.extend(claims);
            }
            Move::End(which, how) if !self.on_wire.is_empty() => {
                let sent = self.on_wire.remove(which % self.on_wire.len());
                let done = vec![done(&sent, outcome(how, &sent.recipient))];
                self.store.step(done, vec![], now).await.unwrap();
            }
            Move::Unwritten => {
                for claim in claim(&self.store, worker(self.worker), 1, now).await {
                    let fault = Fault {
                        step: SmtpStep::Prepare,
                        cause: FaultCause::Unfit("no such word".into()),
                    };
                    let unwritten = done(&claim, Outcome::Held { fault });
                    self.store.step(vec![unwritten], vec![], now).await.unwrap();
                }
            }
            Move::Die => self.die().await,
            Move::Report(which, action) => self.report(self.ids[which % self.ids.len()], action).await,
            Move::Tell(which) => {
                let which = which % (self.ids.len() + self.bad_rows.len());
                let bad_row = || Whom::BadRow(self.bad_rows[which - self.ids.len()]);
                let whom = self.ids.get(which).map_or_else(bad_row, |id| Whom::Delivery(*id));
                let who = vec![WhoTold::Whom(whom)];
                let told = self.store.tell_otherwise(campaign, who, OtherChannel::Phone, &by, now);
                assert_eq!(told.await.unwrap(), [1]);
                self.told.insert(whom);
            }
            Move::Erase(which) => {
                let id = self.ids[which % self.ids.len()];
                let erased = self.store.erase_person(campaign, &self.addresses[&id], &by, now).await;
                if tolerated(erased).is_some() {
                    self.erased.insert(id);
                }
            }
            Move::EraseAll => {
                if let Some(erased) = tolerated(self.store.erase_campaign(campaign, &by, now).await) {
                    assert_eq!(erased.persons, self.ids.len() as u64);
                    self.erased.extend(&self.ids);
                }
            }
            Move::Held(again) => {
                let choice = if again { HeldChoice::Retry } else { HeldChoice::GiveUp };
                tolerated(self.store.decide_held(campaign, choice, &by, now).await);
            }
            Move::Hurry => drop(tolerated(self.store.hurry(campaign, &by, now).await)),
            Move::GiveUp => {
                let before = now - TimeDelta::days(5);
                self.store.give_up(campaign, before, &by, now).await.unwrap();
            }
            Move::Pause => drop(tolerated(self.store.pause(campaign, "wait", &by, now).await)),
            Move::Resume => drop(tolerated(self.store.resume(campaign, &by, now).await)),
            Move::Cancel => drop(tolerated(self.store.cancel(campaign, &by, now).await)),
            Move::Settle => {
                tolerated(self.store.settle_campaign(campaign, now, &by, now).await);
                tolerated(self.store.finish(campaign, &by, now).await);
            }
            Move::Wait(seconds) => self.now += seconds,
            Move::End(..) | Move::Restore => {}
        }
    }

    /// What was on the wire is in doubt.
    async fn die(&mut self) {
        self.on_wire.clear();
        let dead = [worker(self.worker)];
        self.store.recover(&dead, &retries(), at(self.now)).await.unwrap();
        self.worker += 1;
        self.store.sweep_cancelled(&anna(), at(self.now)).await.unwrap();
    }

    async fn go_on_as_a_copy(&mut self) {
        self.store.settle_identity(&anna(), at(self.now)).await.unwrap();
        let waiting = claim(&self.store, worker(self.worker), 9, at(self.now)).await;
        assert!(waiting.is_empty(), "a copy sends nothing by itself");
        self.die().await;
    }

    /// A mail of a server about one message.
    async fn report(&mut self, id: DeliveryId, action: ReportAction) {
        self.mails += 1;
        let (now, address) = (at(self.now), &self.addresses[&id]);
        let raw = format!("Subject: {}\r\n\r\nabout {address}\r\n", self.mails);
        let (mail, _) = self.store.add_mail(raw.as_bytes(), "test", now).await.unwrap();
        let known = Understanding {
            kind: ReceiptKind::Bounce,
            notice: None,
            why: format!("about {address}"),
            in_tray: false,
            authority_reference: None,
            signed_by: None,
            encrypted: false,
            delivery: Some(id),
            matched_by: None,
            certainty: None,
            proposed: Vec::new(),
            authenticity: Default::default(),
            order_hint: None,
        };
        let report = NewReport {
            action,
            status: Some("5.1.1".into()),
            diagnostic: Some(format!("unknown: {address}")),
        };
        let consequences = Consequences {
            reports: vec![report],
            ..Consequences::default()
        };
        self.store
            .understood(mail, known, consequences, &anna(), now)
            .await
            .unwrap();
        self.reports.entry(id).or_default().push(action);
    }

    /// What must be so after every move.
    async fn holds(&mut self) {
        let (mut wanted, mut unreached) = (Reached::default(), BTreeSet::new());
        let (mut doubtful, mut returned, mut delayed) = (BTreeSet::new(), 0, 0);
        for id in &self.ids {
            let found = self.store.find_delivery(*id).await.unwrap().unwrap();
            let (state, told) = (found.state.name(), self.told.contains(&Whom::Delivery(*id)));
            let reported = self.reports.get(id).map_or(&[][..], Vec::as_slice);
            let place = match state {
                "handed" | "confirmed" => &mut wanted.informed,
                _ if told => {
                    assert!(
                        !["ready", "leased", "held"].contains(&state),
                        "{id} is {state} and told"
                    );
                    &mut wanted.informed
                }
                "in_doubt" => {
                    doubtful.insert(Whom::Delivery(*id));
                    &mut wanted.in_doubt
                }
                "failed" | "cancelled" => {
                    unreached.insert(Whom::Delivery(*id));
                    &mut wanted.unreached
                }
                _ => &mut wanted.pending,
            };
            *place += 1;
            returned += u64::from(state == "failed" && reported.contains(&ReportAction::Failed));
            let waits = ["handed", "in_doubt"].contains(&state) && reported.last() == Some(&ReportAction::Delayed);
            delayed += u64::from(waits);
            assert!(
                state == "confirmed" || !self.confirmed.contains(id),
                "{id} left confirmed"
            );
            assert!(
                found.possibly_twice || !self.twice.contains(id),
                "{id} forgot its doubt"
            );
            if state == "confirmed" {
                self.confirmed.insert(*id);
            }
            if found.possibly_twice {
                self.twice.insert(*id);
            }
            if self.erased.contains(id) {
                let kept = format!("{found:?} {:?}", self.store.list_reports(*id).await.unwrap());
                assert!(!kept.contains("@example.org"), "{id} was erased: {kept}");
            }
        }
        for row in &self.bad_rows {
            match self.told.contains(&Whom::BadRow(*row)) {
                true => wanted.informed += 1,
                false => {
                    unreached.insert(Whom::BadRow(*row));
                    wanted.unreached += 1;
                }
            }
        }
        self.reported(wanted, (returned, delayed)).await;
        for in_doubt in [false, true] {
            let mut wanted = unreached.clone();
            if in_doubt {
                wanted.extend(&doubtful);
            }
            let listed = self
                .store
                .list_unreached(self.campaign, in_doubt, None, 100)
                .await
                .unwrap();
            let listed: Vec<Whom> = listed.iter().map(|person| person.whom).collect();
            assert_eq!(listed, wanted.into_iter().collect::<Vec<_>>());
        }
    }

    /// What the store's own account says.
    async fn reported(&self, wanted: Reached, (returned, delayed): (u64, u64)) {
        let account = self.store.account(self.campaign).await.unwrap();
        let Account {
            rows,
            tally,
            told,
            groups,
            came_back,
        } = account;
        assert_eq!(self.store.counted(self.campaign).await.unwrap(), (rows, tally, told));
        let coverage = Coverage::of(&rows, &tally, &told);
        assert_eq!(coverage.total, (self.ids.len() + self.bad_rows.len()) as u64);
        let sums = Reached {
            informed: coverage.informed,
            in_doubt: coverage.in_doubt,
            unreached: coverage.unreached,
            pending: coverage.pending,
        };
        assert_eq!(sums, wanted);
        for group in [&groups.languages, &groups.countries, &groups.domains] {
            let sum = group.values().fold(Reached::default(), |sum, one| Reached {
                informed: sum.informed + one.informed,
                in_doubt: sum.in_doubt + one.in_doubt,
                unreached: sum.unreached + one.unreached,
                pending: sum.pending + one.pending,
            });
            assert_eq!(sum, wanted);
        }
        assert_eq!(
            groups.reasons.values().sum::<u64>(),
            wanted.unreached,
            "{:?}",
            groups.reasons
        );
        assert_eq!(groups.held_reasons.values().sum::<u64>(), coverage.held);
        assert_eq!(coverage.possibly_twice, self.twice.len() as u64);
        assert_eq!((came_back.returned, came_back.delayed), (returned, delayed));
    }

    /// Called off and with nothing under way, nobody is pending for ever, and all can be erased.
    async fn ends(&mut self) {
        let now = at(self.now);
        self.die().await;
        tolerated(self.store.cancel(self.campaign, &anna(), now).await);
        self.holds().await;
        let tally = self.store.tally(self.campaign).await.unwrap();
        let ended = self.store.find_campaign(self.campaign).await.unwrap().unwrap().state;
        let pending = tally.ready + tally.leased + tally.on_wire + tally.held;
        assert_eq!(pending, 0, "{ended:?}: {tally:?}");
        if !matches!(ended.name(), "settling") {
            self.make(&Move::EraseAll).await;
            assert_eq!(self.erased.len(), self.ids.len(), "{ended:?}");
        }
        self.holds().await;
        intact(&self.store).await;
    }
}

/// How a try ends; servers name the person in what they say.
fn outcome(how: u8, address: &str) -> Outcome {
    let said = |code, enhanced: &str| Fault {
        step: SmtpStep::Rcpt,
        cause: FaultCause::Reply(SmtpReply {
            code,
            enhanced: Some(enhanced.to_owned()),
            text: format!("says no to {address}"),
        }),
    };
    match how {
        0 | 1 => accepted(),
        2 => Outcome::Deferred {
            fault: said(450, "4.2.0"),
        },
        3 => deferred(),
        4 if address.contains('1') => Outcome::Refused { fault: refusal() },
        4 => Outcome::Refused {
            fault: said(550, "5.1.1"),
        },
        _ => in_doubt(),
    }
}
