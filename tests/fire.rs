//! The ledger under fire: a campaign against a server that defers, refuses, hangs up before and after the final dot and
//! falls silent, takes its time, and ends each connection after 500 mails, while the program is killed (`kill -9`) again and again. At the end nobody is forgotten, nobody counts as
//! informed whom the server did not take, and whoever may have got two messages is marked.
//!
//! 2,000 persons and 8 kills; 20,000 and 50 with BREACHPOST_LONG set. Prints its figures:
//! `BREACHPOST_LONG=1 cargo test --release --test fire -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};

use mail_parser::MessageParser;

use world::World;
use world::campaign::Campaign;
use world::relay::Relay;

const DOMAINS: usize = 50;
const CONNECTIONS: usize = 8;
/// Messages that one connection marks with one commit, where the relay is quick.
const TOGETHER: usize = 4;
/// Fewer than a connection carries between two deaths of the program; providers do so after some hundreds.
const MAILS_OF_A_CONNECTION: u32 = 30;

/// How long a slow server takes; less than the program waits for.
const SLOW: Duration = Duration::from_millis(500);

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
        .with(some(Step::FinalDot, Act::Silence, 500, 7, false))
        .with(some(Step::Rcpt, Act::Close, 500, 8, false))
        .with(some(Step::Data, Act::Slow(SLOW), 100, 9, true))
        .with(some(Step::Taken, Act::Slow(SLOW), 100, 10, true));
    plan.close_after_mails = Some(MAILS_OF_A_CONNECTION);
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
    let mut on_wire = 0;
    for _ in 0..kills {
        let taken = relay.mails().len();
        let daemon = world.start(&["serve"]);
        // At the most a little less than all, however it falls out.
        relay.taken(taken + step / 4 + random(step));
        daemon.kill();
        let left = usize::try_from(campaign.tally().on_wire).unwrap();
        assert!(
            left <= CONNECTIONS * TOGETHER,
            "{left} on the wire of {CONNECTIONS} connections"
        );
        on_wire += left;
    }
    let daemon = world.serve();
    campaign.until_all_final();
    assert_eq!(daemon.stop(), 0);

    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut ids: HashMap<String, String> = HashMap::new();
    for mail in relay.mails() {
        let [recipient] = mail.recipients.as_slice() else {
            panic!("one RCPT TO")
        };
        let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
        let id = parsed.message_id().unwrap().to_owned();
        let first = ids.entry(recipient.address.clone()).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "another try carries the same Message-ID");
        *taken.entry(recipient.address.clone()).or_default() += 1;
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
        "{persons} persons, {kills} kills, {} connections, {:.0} s: {informed} informed, {unreached} unreached, \
         {twice} copies too many, {marked} marked possibly_twice, {doubts} doubts, {recovered} of them by kills \
         ({on_wire} were on the wire)",
        relay.connections(),
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(informed + unreached, persons);
    assert_eq!(unreached, (1..=persons).filter(|number| number % 20 == 2).count());
    assert_eq!(
        recovered, on_wire,
        "in doubt by kills are those that were on the wire, and no others"
    );
    assert!(twice <= doubts, "more copies too many than there were doubts");
    assert!(
        relay.connections() > persons / MAILS_OF_A_CONNECTION as usize,
        "connections were ended"
    );
    // The program counts the same.
    let report = world.json(&["campaign", "report", "cmp_1"]);
    let counted = [
        "total",
        "informed",
        "unreached",
        "in_doubt",
        "pending",
        "possibly_twice",
    ];
    assert_eq!(
        counted.map(|name| report[name].as_u64().unwrap() as usize),
        [persons, informed, unreached, 0, 0, marked],
        "{report}"
    );
    world.is_intact();
}
