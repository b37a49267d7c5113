//! A campaign on its way: started, paused, cancelled, mended; tried out before, and followed by the command.

use std::sync::Arc;
use std::time::Duration;

use breachpost::drill::receiver::{Act, Plan, Step, TakenMail, Trouble};
use breachpost::model::{Clock, SystemClock};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::world::relay::Relay;
use crate::world::{AUTHORITY_ADDRESS, BREACH, World, text, until};
use crate::{LIST, campaign, change_the_record, drafted, relay, report, state};

#[test]
fn what_is_in_doubt_is_not_forgotten() {
    let relay = Relay::troubled(Step::Taken, Act::Close, 1);
    let world = drafted(&relay);
    world.settle(
        "retry: { first_seconds: 1, max_seconds: 2 }",
        "retry: { first_seconds: 600, max_seconds: 600 }",
    );
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["Some wait for another try"]);
    assert_eq!(report(&world), [4, 2, 1, 1, 0]);
    world
        .run(&["status"])
        .exits(2)
        .says(&["cmp_1 runs, but nothing sends it: 0 persons wait, 1 is in doubt"]);
}

#[test]
fn a_pause_holds_and_a_cancellation_ends() {
    let relay = Relay::troubled(Step::Mail, Act::reply("451 4.3.0 later"), u32::MAX);
    let world = drafted(&relay);
    campaign(&world, &["pause", "cmp_1", "--reason", "too early"]).exits(2);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    world
        .run(&["status"])
        .exits(2)
        .says(&["cmp_1 runs, but nothing sends it: 3 persons wait"]);
    world
        .run(&["campaign", "find", "anna@example.lu"])
        .exits(2)
        .says(&["not told yet"]);
    campaign(&world, &["pause", "cmp_1", "--reason", "wrong number"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["wrong number", "campaign resume cmp_1"]);
    world.run(&["status"]).exits(2).says(&[
        "cmp_1 is paused, and 3 persons wait: wrong number",
        "breachpost campaign resume cmp_1",
        "3 pending, 0 in doubt, 1 unreached",
    ]);
    campaign(&world, &["cancel", "cmp_1"]).exits(64);
    campaign(&world, &["cancel", "cmp_1", "--yes"]).exits(0);
    assert_eq!((state(&world), report(&world)), ("cancelled".into(), [4, 0, 0, 4, 0]));
    campaign(&world, &["cancel", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    assert!(relay.mails().is_empty());
    // Who was not reached is told by another campaign.
    let list = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    let file = world.file("again.csv", list.as_bytes());
    world
        .run(&[
            "campaign",
            "create",
            world.breach(),
            "--recipients",
            &file,
            "--follow-up",
            "cmp_1",
        ])
        .exits(2);
    let status: Value = campaign(&world, &["status", "cmp_2"]).exits(0).json();
    assert_eq!(status["follows"], "cmp_1");
    let status: Value = campaign(&world, &["status", "cmp_1"]).exits(0).json();
    assert_eq!(status["followed_by"], serde_json::json!(["cmp_2"]));
    assert_eq!(campaign(&world, &["check", "cmp_2"]).json()["told_before"], 0);
}

#[test]
fn who_would_get_a_second_message_is_said_before_it_leaves() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    let create = |list: &str, file: &str| {
        world.file(file, list.as_bytes());
        world.run(&["campaign", "create", world.breach(), "--recipients", file]);
    };
    create(LIST, "again.csv");
    let told = "Get a second message: 2 persons";
    world.run(&["campaign", "check", "cmp_2"]).says(&[told]);
    world.run(&["campaign", "approve", "cmp_2"]).exits(64).says(&[told]);
    // Another breach is another matter.
    let other = world.open_breach(BREACH);
    world.run(&["campaign", "create", &other, "--recipients", "again.csv"]);
    assert_eq!(campaign(&world, &["check", "cmp_3"]).json()["told_before"], 0);
}

#[test]
fn looking_and_trying_out_informs_nobody() {
    let relay = relay();
    let world = drafted(&relay);
    let first = campaign(&world, &["preview", "cmp_1"]).exits(0).json();
    assert_eq!(first["language"], "de");
    let other = campaign(&world, &["preview", "cmp_1", "--person", "jean@example.fr"])
        .exits(0)
        .json();
    assert_eq!(other["language"], "fr");
    assert!(text(&other["text"]).contains("Jean Petit"));
    let html = world
        .run(&["campaign", "preview", "cmp_1", "--row", "3", "--lang", "pt", "--html"])
        .exits(0);
    assert!(
        html.stdout.starts_with("<!DOCTYPE html>") && html.stdout.contains("lang=\"pt\""),
        "{html:?}"
    );
    for (language, authority) in [
        ("fr", "Commission nationale pour la protection des données"),
        ("en", "National Data Protection Commission"),
    ] {
        let shown = world
            .run(&["campaign", "preview", "cmp_1", "--lang", language])
            .exits(0);
        let words: Vec<&str> = shown.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(authority), "{language}: {}", shown.stdout);
    }
    campaign(&world, &["preview", "cmp_1", "--lang", "ja"]).exits(2);
    campaign(&world, &["preview", "cmp_1", "--row", "9"]).exits(2);

    let tested = campaign(&world, &["test", "cmp_1", "--to", "team@example.lu"])
        .exits(0)
        .json();
    assert_eq!(tested.as_array().unwrap().len(), 3, "de, fr, en");
    for mail in relay.taken(3) {
        assert!(String::from_utf8_lossy(&mail.bytes).contains("[TEST]"));
    }
    assert_eq!(report(&world), [4, 0, 0, 1, 3]);
    world.run(&["campaign", "find", "team@example.lu"]).exits(2);

    campaign(&world, &["checklist", "cmp_1", "--done", "coffee"])
        .exits(2)
        .says(&["official-site"]);
    campaign(
        &world,
        &["checklist", "cmp_1", "--done", "telephone", "--note", "ten colleagues"],
    )
    .exits(0);
    let checked = world.run(&["campaign", "check", "cmp_1"]).exits(2);
    checked.says(&["ten colleagues", "official-site", "dmarc"]);
    world.settle("#e.g. per_second: 20", "per_second: 0.5");
    let estimate = campaign(&world, &["check", "cmp_1"]).json()["estimate"].clone();
    assert_eq!(
        (&estimate["messages"], &estimate["bound_by"]),
        (&3.into(), &"per_second".into())
    );
    let public = world
        .run(&["campaign", "public-notice", world.breach(), "--lang", "de"])
        .exits(0);
    assert!(public.stdout.lines().count() > 20);
}

#[test]
fn a_test_goes_the_way_of_the_campaign() {
    let (main, bulk) = (relay(), Relay::sound());
    let world = drafted(&main);
    world.settle_individuals(&format!(
        "sender: {{ address: info@brasserie.example, verp: plus }}, relay: {{ url: \"{}\" }}",
        bulk.url()
    ));
    let place = bulk.address().to_string();
    let line = ["campaign", "test", "cmp_1", "--to", "team@example.lu", "--lang", "de"];
    let told = world.run(&line).exits(0);
    told.says(&[
        "info@brasserie.example",
        &format!("through {place}"),
        "bounces to info+",
    ]);
    let tested = campaign(&world, &line[1..]).exits(0).json();
    assert_eq!(
        (&tested[0]["relay"], &tested[0]["outcome"]),
        (&place.into(), &"accepted".into())
    );
    for mail in bulk.taken(2) {
        let (path, text) = (&mail.envelope_from, String::from_utf8_lossy(&mail.bytes));
        assert!(
            path.starts_with("info+") && path.ends_with("@brasserie.example"),
            "{path}"
        );
        assert!(text.contains("<info@brasserie.example>"), "{text}");
    }
    assert!(main.mails().is_empty());
}

#[test]
fn it_starts_at_its_time_or_sooner() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let start_at = |at: DateTime<Utc>| {
        let line = ["start", "cmp_1", "--at", &at.to_rfc3339(), "--yes"];
        text(&campaign(&world, &line).exits(0).json()["state"])
    };
    let now = SystemClock.now();
    assert_eq!(start_at(now + TimeDelta::days(90)), "scheduled");
    world.run(&["serve", "--once"]);
    assert_eq!(state(&world), "scheduled");
    assert_eq!(start_at(now + TimeDelta::days(30)), "scheduled", "another time");
    start_at(SystemClock.now() + TimeDelta::seconds(5));
    until("its time has come", || {
        world.run(&["serve", "--once"]);
        (state(&world) != "scheduled").then_some(())
    });
    until("the daemon has sent", || {
        world.run(&["serve", "--once"]);
        (campaign(&world, &["status", "cmp_1"]).json()["pending"] == 0).then_some(())
    });
    assert_eq!(relay.taken(2).len(), 2);
    assert_eq!(report(&world), [4, 2, 0, 2, 0]);
}

#[test]
fn what_was_stopped_before_its_start_can_be_mended() {
    let relay = relay();
    let world = drafted(&relay);
    let approve = || campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    approve();
    campaign(&world, &["start", "cmp_1", "--at", "2020-01-01 09:00", "--yes"])
        .exits(2)
        .says(&["lies in the past, so nothing was started"]);
    let later = (SystemClock.now() + TimeDelta::days(30)).to_rfc3339();
    let schedule = || campaign(&world, &["start", "cmp_1", "--at", &later, "--yes"]).exits(0);
    schedule();
    assert!(campaign(&world, &["status", "cmp_1"]).json()["started_at"].is_null());
    campaign(&world, &["pause", "cmp_1", "--reason", "wrong number"]).exits(0);
    campaign(&world, &["status", "cmp_1"]).exits(2);
    campaign(&world, &["resume", "cmp_1"]).exits(0);
    assert_eq!(state(&world), "scheduled", "it is not its time");

    // The record changes meanwhile: what was approved is stopped at its time, and the way out works.
    campaign(&world, &["pause", "cmp_1", "--reason", "wrong number"]).exits(0);
    change_the_record(
        &world,
        "A payroll export (XLSX, not encrypted)",
        "A payroll export (ODS, not encrypted)",
    );
    campaign(&world, &["resume", "cmp_1"])
        .exits(2)
        .says(&["has changed", "breachpost campaign update cmp_1"]);
    campaign(&world, &["update", "cmp_1"]).exits(0);
    assert_eq!(state(&world), "draft");
    approve();
    schedule();
    campaign(&world, &["update", "cmp_1"]).exits(0);
    assert_eq!(state(&world), "draft", "an edit takes the time too");
    approve();
    assert!(relay.mails().is_empty());
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(2).len(), 2);
}

#[test]
fn a_daemon_sends_and_the_command_follows() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let daemon = world.serve();
    campaign(&world, &["start", "cmp_1", "--yes", "--wait"]).exits(0);
    campaign(&world, &["status", "cmp_1", "--watch"]).exits(0);
    assert_eq!(relay.taken(2).len(), 2);
    assert_eq!(report(&world), [4, 2, 0, 2, 0]);
    assert_eq!(daemon.stop(), 0);
}

/// The relay takes twenty messages a second, and the letters of the next seconds are ready.
#[test]
fn an_authority_does_not_wait_behind_persons() {
    let slow = Trouble::at(Step::Taken, Act::Slow(Duration::from_millis(100)));
    let relay = Relay::start(Plan::clear().with(slow));
    let world = World::ready(&relay);
    world.settle("\nrelay:\n", "\nrelay:\n  connections: 2\n");
    let persons: String = (0..300).map(|n| format!("p{n}@example.lu,Person {n}\n")).collect();
    let list = world.file("list.csv", format!("email,name\n{persons}").as_bytes());
    campaign(&world, &["create", world.breach(), "--recipients", &list]);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let daemon = world.serve();
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    relay.taken(10);
    world.send(&[]).exits(0);
    let before = relay.mails().len();
    let is_notice = |mail: &Arc<TakenMail>| mail.recipients[0].address == AUTHORITY_ADDRESS;
    let place = until("the notice leaves", || relay.mails().iter().position(is_notice));
    // One look for notices a second; of persons' letters, more than a hundred are under way within the daemon.
    assert!(
        place < before + 60,
        "{before} had left when it was filed, {place} before it"
    );
    daemon.kill();
}
