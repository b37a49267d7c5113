//! The ledger under fire: a campaign against a server that defers, refuses, hangs up before and after the final dot and
//! falls silent, while the program is killed (`kill -9`) again and again. At the end nobody is forgotten, nobody counts as
//! informed whom the server did not take, and whoever may have got two messages is marked.
//!
//! 2,000 persons and 8 kills; 20,000 and 50 with BREACHPOST_LONG set. Prints its figures:
//! `BREACHPOST_LONG=1 cargo test --release --test fire -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};

use world::World;
use world::campaign::Campaign;
use world::relay::Relay;

const DOMAINS: usize = 50;
const CONNECTIONS: usize = 8;
/// Messages that one connection may mark with one commit.
const TOGETHER: usize = 4;

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
    let world = World::new(&relay);
    world.settle(
        "#timeouts: { connect_seconds: 30, reply_seconds: 300, final_dot_seconds: 600 }",
        "timeouts: { connect_seconds: 5, reply_seconds: 5, final_dot_seconds: 2 }",
    );
    let addresses: Vec<String> = (1..=persons).map(address).collect();
    let campaign = Campaign::start(&world, &addresses);

    let step = persons * 8 / 10 / kills;
    for kill in 0..kills {
        let daemon = world.start(&["serve"]);
        relay.taken(kill * step + 1 + random(step));
        daemon.kill();
    }
    let daemon = world.serve();
    campaign.until_all_final();
    assert_eq!(daemon.stop(), 0);

    let mut taken: HashMap<String, usize> = HashMap::new();
    for mail in relay.mails() {
        assert_eq!(mail.recipients.len(), 1, "one RCPT TO");
        *taken.entry(mail.recipients[0].address.clone()).or_default() += 1;
    }
    let (mut informed, mut unreached, mut marked, mut doubts, mut recovered, mut twice) = (0, 0, 0, 0, 0, 0);
    for delivery in campaign.deliveries() {
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
    assert!(
        recovered <= kills * CONNECTIONS * TOGETHER,
        "more in doubt than were marked as on the wire"
    );
    world.is_intact();
}
