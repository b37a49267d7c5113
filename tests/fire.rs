//! The ledger under fire: a campaign against a server that defers, refuses, hangs up before and after the final dot and
//! falls silent, while the program is killed (`kill -9`) again and again. At the end nobody is forgotten, nobody counts as
//! informed whom the server did not take, and whoever may have got two messages is marked.
//!
//! 2,000 persons and 8 kills; 20,000 and 50 with BREACHPOST_LONG set. Prints its figures:
//! `BREACHPOST_LONG=1 cargo test --release --test fire -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]
#![expect(clippy::print_stdout, reason = "the figures are a part of the proof")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use breachpost::config::Home;
use breachpost::dispatch::office::Office;
use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::SystemClock;
use breachpost::model::id::{Actor, CampaignId, DeliveryId};
use breachpost::store::{StoredDelivery, Tally};

use world::relay::Relay;
use world::{BREACH, World, text, until};

const DOMAINS: usize = 50;
const CONNECTIONS: usize = 8;

fn address(number: usize) -> String {
    format!("person{number}@provider{}.example", number % DOMAINS)
}

/// One person in `of` gets this trouble, the first time or always.
fn some(step: Step, act: Act, of: usize, which: usize, always: bool) -> Trouble {
    let struck = Arc::new(Mutex::new(HashSet::new()));
    Trouble::at(step, act).to(move |address| {
        let digits: String = address.chars().skip(6).take_while(char::is_ascii_digit).collect();
        let meant = digits.parse::<usize>().is_ok_and(|number| number % of == which);
        meant && (always || struck.lock().unwrap().insert(address.to_owned()))
    })
}

fn fire() -> Plan {
    let mut plan = Plan::clear()
        .with(some(Step::Rcpt, Act::reply("451 4.7.1 slow down"), 60, 1, false))
        .with(some(Step::Rcpt, Act::reply("550 5.1.1 no such user"), 20, 2, true))
        .with(some(Step::Body, Act::Close, 20, 3, false))
        .with(some(Step::Taken, Act::Close, 20, 4, false))
        .with(some(Step::FinalDot, Act::Close, 20, 5, false))
        .with(some(Step::FinalDot, Act::reply("452 4.3.1 disk full"), 20, 6, false))
        .with(some(Step::FinalDot, Act::Silence, 500, 7, false));
    plan.close_after_mails = Some(500);
    plan
}

/// A home with a running campaign of so many persons.
struct Fire {
    world: World,
    runtime: tokio::runtime::Runtime,
    office: Office,
    campaign: CampaignId,
    persons: usize,
}
impl Fire {
    fn set(relay: &Relay, persons: usize) -> Self {
        let world = World::new(relay);
        world.settle(
            "#timeouts: { connect_seconds: 30, reply_seconds: 300, final_dot_seconds: 600 }",
            "timeouts: { connect_seconds: 5, reply_seconds: 5, final_dot_seconds: 2 }",
        );
        let breach = world.open_breach(BREACH);
        let rows = (1..=persons).map(|number| format!("{},Person {number},fr\n", address(number)));
        let list = format!("email,name,language\n{}", rows.collect::<String>());
        let list = world.file("persons.csv", list.as_bytes());
        let created = world.json(&["campaign", "create", &breach, "--recipients", &list]);
        let campaign: CampaignId = text(&created["id"]).parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = Home::at(&world.home()).unwrap();
        let office = Office::open(home, Arc::new(SystemClock)).unwrap();
        let (store, by) = (&office.store, Actor::Os("tester".to_owned()));
        runtime.block_on(async {
            store
                .approve_campaign(campaign, &"0".repeat(64), 1, &by, office.now())
                .await
                .unwrap();
            store.start(campaign, &by, office.now()).await.unwrap();
        });
        Self {
            world,
            runtime,
            office,
            campaign,
            persons,
        }
    }
    fn tally(&self) -> Tally {
        self.runtime.block_on(self.office.store.tally(self.campaign)).unwrap()
    }
    /// Waits until every delivery has its last state; patience is for standing still only.
    fn burn_out(&self) {
        let mut tally = self.tally();
        while tally.ready + tally.leased + tally.on_wire + tally.in_doubt + tally.held > 0 {
            let before = tally;
            tally = until("the campaign goes on", || {
                Some(self.tally()).filter(|now| *now != before)
            });
        }
    }
    fn deliveries(&self) -> Vec<StoredDelivery> {
        let find = |number: usize| self.office.store.find_delivery(DeliveryId::new(number as i64));
        let all = (1..=self.persons).map(|number| self.runtime.block_on(find(number)).unwrap().unwrap());
        all.collect()
    }
}

/// A little generator of numbers: the moments of death differ from run to run.
fn random(most: usize) -> usize {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    (u64::from_le_bytes(bytes) % most as u64) as usize
}

#[test]
fn nobody_is_forgotten_and_nobody_is_told_twice_unmarked() {
    let (persons, kills) = match std::env::var_os("BREACHPOST_LONG") {
        Some(_) => (20_000, 50),
        None => (2_000, 8),
    };
    let begun = Instant::now();
    let relay = Relay::start(fire());
    let fire = Fire::set(&relay, persons);

    let step = persons * 8 / 10 / kills;
    for kill in 0..kills {
        let daemon = fire.world.start(&["serve"]);
        relay.taken(kill * step + 1 + random(step));
        daemon.kill();
    }
    let daemon = fire.world.serve();
    fire.burn_out();
    assert_eq!(daemon.stop(), 0);

    let mut taken: HashMap<String, usize> = HashMap::new();
    for mail in relay.mails() {
        assert_eq!(mail.recipients.len(), 1, "one RCPT TO");
        *taken.entry(mail.recipients[0].address.clone()).or_default() += 1;
    }
    let (mut informed, mut unreached, mut marked, mut doubts, mut recovered, mut twice) = (0, 0, 0, 0, 0, 0);
    for delivery in fire.deliveries() {
        let copies = taken.get(&delivery.recipient).copied().unwrap_or(0);
        let outcomes: Vec<&str> = delivery
            .attempts
            .iter()
            .map(|attempt| attempt.outcome.as_str())
            .collect();
        let doubtful = outcomes
            .iter()
            .filter(|o| ["in_doubt", "recovered"].contains(o))
            .count();
        let state = delivery.state.name();
        match state {
            "handed" => assert!(copies >= 1, "{} counts as informed: {outcomes:?}", delivery.id),
            "failed" => assert_eq!(copies, 0, "{} counts as unreached: {outcomes:?}", delivery.id),
            other => panic!("{} ended as {other}", delivery.id),
        }
        assert!(
            copies <= 1 + doubtful,
            "{} went out {copies} times: {outcomes:?}",
            delivery.id
        );
        assert!(copies <= 1 || delivery.possibly_twice, "{} is not marked", delivery.id);
        informed += usize::from(state == "handed");
        unreached += usize::from(state == "failed");
        marked += usize::from(delivery.possibly_twice);
        doubts += doubtful;
        recovered += outcomes.iter().filter(|o| **o == "recovered").count();
        twice += copies.saturating_sub(1);
    }
    println!(
        "{persons} persons, {kills} kills, {:.0} s: {informed} informed, {unreached} unreached, {twice} copies too many, \
         {marked} marked possibly_twice, {doubts} doubts, {recovered} of them by kills",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(informed + unreached, persons);
    assert_eq!(unreached, (1..=persons).filter(|number| number % 20 == 2).count());
    assert!(recovered <= kills * CONNECTIONS, "more in doubt than were on the wire");
    fire.world.is_intact();
}
