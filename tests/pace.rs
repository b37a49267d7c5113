//! How a campaign leaves: over a relay of its own, over as many connections as the relay wants, and not on and on when the
//! world refuses us.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::campaign::CampaignState;
use breachpost::model::{Clock, SystemClock, Time};
use chrono::TimeDelta;
use serde_json::{Value, json};

use world::campaign::Campaign;
use world::relay::Relay;
use world::{World, text, until};

fn addresses(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("person{n}@provider{}.example", n % 3))
        .collect()
}
/// Each was taken by its first attempt, once.
fn all_at_once(campaign: &Campaign) {
    campaign.until_all_final();
    for delivery in campaign.deliveries() {
        let outcomes: Vec<&str> = delivery
            .attempts
            .iter()
            .map(|attempt| attempt.outcome.as_str())
            .collect();
        assert_eq!(outcomes, ["accepted"], "{}", delivery.id);
        assert!(!delivery.possibly_twice);
    }
}

/// Persons are written to by a sender and over a relay of their own.
fn apart(world: &World, individuals: &Relay) {
    world.settle_individuals(&format!(
        "sender: {{ address: \"info@brasserie.example\", verp: plus }}, relay: {{ url: \"{}\" }}",
        individuals.url()
    ));
}

#[test]
fn a_test_goes_the_way_of_the_real_ones() {
    let (notices, individuals) = (Relay::sound(), Relay::sound());
    let world = World::new(&notices);
    apart(&world, &individuals);
    let _campaign = Campaign::start(&world, &addresses(2));
    world
        .run(&["campaign", "test", "cmp_1", "--to", "team@example.lu"])
        .exits(0);
    assert_eq!((notices.mails().len(), individuals.mails().len()), (0, 1));
}

#[test]
fn individuals_are_written_to_by_their_own_sender_over_their_own_relay() {
    let (notices, individuals) = (Relay::sound(), Relay::sound());
    let world = World::new(&notices);
    apart(&world, &individuals);
    let campaign = Campaign::start(&world, &addresses(20));
    let daemon = world.serve();
    all_at_once(&campaign);
    assert_eq!((notices.mails().len(), individuals.mails().len()), (0, 20));
    let mut paths: Vec<String> = individuals
        .mails()
        .iter()
        .map(|mail| mail.envelope_from.clone())
        .collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 20, "each has a return path of its own");
    for mail in individuals.mails() {
        assert!(mail.envelope_from.starts_with("info+") && mail.envelope_from.ends_with("@brasserie.example"));
        assert!(String::from_utf8_lossy(&mail.bytes).contains("<info@brasserie.example>"));
    }
    until("all have been tried", || {
        matches!(campaign.state(), CampaignState::Settling { .. }).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    world.is_intact();
}

#[test]
fn a_relay_that_counts_connections_and_messages_is_no_failure() {
    let mut plan = Plan::clear();
    plan.connections_most = Some(2);
    plan.close_after_mails = Some(5);
    let relay = Relay::start(plan);
    let world = World::new(&relay);
    let campaign = Campaign::start(&world, &addresses(60));
    let daemon = world.serve();
    all_at_once(&campaign);
    assert_eq!(relay.mails().len(), 60, "each once");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_world_that_refuses_us_pauses_the_campaign() {
    let refused = Trouble::at(Step::Rcpt, Act::reply("550 5.7.1 your network is on our blocklist"));
    let relay = Relay::start(Plan::clear().with(refused));
    let world = World::new(&relay);
    let campaign = Campaign::start(&world, &addresses(400));
    let daemon = world.serve();
    let why = until("the campaign is paused", || match campaign.state() {
        CampaignState::Paused { why, .. } => Some(why),
        _ => None,
    });
    assert!(
        why.contains("refused us and not the recipient") && why.contains("550 5.7.1"),
        "{why}"
    );
    assert_eq!(daemon.stop(), 0);
    let tally = campaign.tally();
    assert!(tally.failed >= 5, "{tally:?}");
    // Those on the wire when it was paused and those marked with them, at most four for each connection, and nobody more.
    assert!(
        tally.failed <= 5 + 2 * 8 * 4 && tally.leased == 0,
        "most are spared: {tally:?}"
    );
    world.is_intact();
}

#[test]
fn a_day_that_is_full_is_said_with_its_end() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.settle("#e.g. per_day: 50000", "per_day: 2");
    let _campaign = Campaign::start(&world, &addresses(5));
    assert_eq!(world.run(&["status", "--json"]).json()["day_full"], Value::Null);
    let words = "The limit of 2 messages a day (relay.pace.per_day) is reached: it goes on at ";
    world
        .run(&["campaign", "start", "cmp_1", "--yes"])
        .exits(2)
        .says(&[words, "3 persons are written to when the day's limit allows"]);
    assert_eq!(relay.mails().len(), 2);
    world.run(&["status"]).exits(2).says(&[words]);
    for command in ["status", "report"] {
        world.run(&["campaign", command, "cmp_1"]).exits(0).says(&[words]);
        let full = &world.json(&["campaign", command, "cmp_1"])["day_full"];
        assert_eq!(
            (&full["per_day"], &full["setting"]),
            (&json!(2), &json!("relay.pace.per_day"))
        );
        let until: Time = text(&full["until"]).parse().unwrap();
        let wait = until - SystemClock.now();
        // A day, and at most one of the slots in which it is counted.
        assert!(
            wait > TimeDelta::hours(23) && wait <= TimeDelta::minutes(24 * 60 + 10),
            "{wait}"
        );
    }
    assert_eq!(
        world.run(&["status", "--json"]).json()["day_full"],
        world.json(&["campaign", "status", "cmp_1"])["day_full"]
    );
    // Who follows it is told so too, once.
    let daemon = world.serve();
    let watching = world.start(&["campaign", "status", "cmp_1", "--watch"]);
    until("the limit is said", || watching.log().contains(words).then_some(()));
    drop(watching);
    assert_eq!(daemon.stop(), 0);
    // Nobody waits for it any more.
    world.run(&["campaign", "cancel", "cmp_1", "--yes"]).exits(0);
    assert_eq!(world.run(&["status", "--json"]).json()["day_full"], Value::Null);
}

#[test]
fn a_relay_that_is_gone_is_not_tried_for_each_person() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    let campaign = Campaign::start(&world, &addresses(1_000));
    drop(relay);
    world
        .run(&["campaign", "start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["The last answers to those who wait", "persons: at connecting"]);
    let tried = campaign
        .deliveries()
        .iter()
        .filter(|person| !person.attempts.is_empty())
        .count();
    // What was claimed when it was found out, a few hundred at most, however many persons there are.
    assert!((8..=400).contains(&tried), "{tried} persons' messages were tried");
}

#[test]
fn who_waits_is_tried_at_once_when_somebody_says_so() {
    let later = Act::reply("451 4.3.0 come back later");
    let relay = Relay::troubled(Step::Rcpt, later, 4);
    let world = World::new(&relay);
    world.settle(
        "retry: { first_seconds: 1, max_seconds: 2 }",
        "retry: { first_seconds: 3600, max_seconds: 3600 }",
    );
    let campaign = Campaign::start(&world, &addresses(2));
    let command = "breachpost campaign retry cmp_1";
    world
        .run(&["campaign", "start", "cmp_1", "--yes"])
        .exits(2)
        .says(&[command]);
    world
        .run(&["campaign", "pause", "cmp_1", "--reason", "a look"])
        .exits(0);
    world
        .run(&["campaign", "retry", "cmp_1"])
        .exits(2)
        .says(&["is paused: a look", "breachpost campaign resume cmp_1"]);
    assert!(relay.mails().is_empty());
    world.run(&["campaign", "resume", "cmp_1"]).exits(0);
    // Without a daemon the command itself sends, and they are put off once more.
    world
        .run(&["campaign", "retry", "cmp_1"])
        .exits(2)
        .says(&["2 persons who waited for another try are due now"]);
    let daemon = world.serve();
    world
        .run(&["campaign", "retry", "cmp_1"])
        .exits(0)
        .says(&["The daemon sends"]);
    campaign.until_all_final();
    for delivery in campaign.deliveries() {
        let outcomes: Vec<&str> = delivery.attempts.iter().map(|one| one.outcome.as_str()).collect();
        assert_eq!(outcomes, ["deferred", "deferred", "accepted"]);
    }
    assert_eq!((relay.mails().len(), daemon.stop()), (2, 0));
    world.is_intact();
}

#[test]
fn a_relay_that_turns_us_away_is_not_asked_for_each_person() {
    let turned_away = Trouble::at(
        Step::Greeting,
        Act::reply_and_close("554 5.7.1 your network is on our blocklist"),
    );
    let relay = Relay::start(Plan::clear().with(turned_away));
    let world = World::new(&relay);
    let campaign = Campaign::start(&world, &addresses(200));
    let daemon = world.serve();
    until("the campaign is paused", || {
        matches!(campaign.state(), CampaignState::Paused { .. }).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    let tried = campaign
        .deliveries()
        .iter()
        .filter(|person| !person.attempts.is_empty())
        .count();
    assert!((5..=5 + 2 * 8).contains(&tried), "{tried} persons' messages were tried");
    assert_eq!(campaign.tally().ready, 200);
}
