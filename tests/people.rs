//! Two persons for one notice: the first seals it, the second, known by a token, lets it go.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use serde_json::Value;

use world::relay::Relay;
use world::{World, text};

/// An installation where notices need two persons, and anna's token file.
fn with_two_persons(relay: &Relay) -> (World, String) {
    let world = World::ready(relay);
    world.settle("#notice: one_person", "notice: two_persons");
    let token = world.scratch().join("anna.token").to_str().unwrap().to_owned();
    world.run(&["user", "add", "anna", "--output", &token]).exits(0);
    (world, token)
}

fn filed(world: &World) -> Value {
    let sent = world.send(&[]).exits(2);
    sent.json()
}

#[test]
fn a_notice_leaves_when_a_second_person_has_approved_it() {
    let relay = Relay::protected();
    let (world, anna) = with_two_persons(&relay);
    let waiting = filed(&world);
    let reference = text(&waiting["reference"]);
    assert_eq!(
        (text(&waiting["state"]), text(&waiting["held"])),
        ("held".into(), "approval".into())
    );
    assert!(relay.mails().is_empty());
    let status = world.run(&["status"]).exits(2);
    status.says(&[&format!("breachpost notice approve {reference}")]);

    // Not by the same person, and not by another try.
    world
        .run(&["notice", "approve", &reference, "--yes"])
        .exits(2)
        .says(&["a second person must approve it"]);
    world
        .run(&["notice", "retry", &reference])
        .exits(2)
        .says(&[&format!("breachpost notice approve {reference}")]);
    assert!(relay.mails().is_empty());

    let line = [
        "--token-file",
        &anna,
        "notice",
        "approve",
        &reference,
        "--yes",
        "--json",
    ];
    let approved = world.run(&line).exits(0).json();
    assert_eq!(approved["state"], "handed");
    assert_eq!(relay.taken(1).len(), 1);
    let breach = world.json(&["breach", "show", world.breach()]);
    let told = breach["timeline"].to_string();
    assert!(told.contains("notice_approved") && told.contains("anna"), "{told}");
    world.run(&["journal", "verify"]).exits(0);
    world.run(&line).exits(2).says(&["does not wait for an approval"]);
}

#[test]
fn what_was_sealed_to_an_earlier_certificate_is_not_approved() {
    let relay = Relay::protected();
    let (world, anna) = with_two_persons(&relay);
    let reference = text(&filed(&world)["reference"]);
    world.import_certificate();
    world
        .run(&["--token-file", &anna, "notice", "approve", &reference, "--yes"])
        .exits(2)
        .says(&["changed or revoked since", &format!("notice withdraw {reference}")]);
    assert!(relay.mails().is_empty());
}

#[test]
fn a_token_names_one_person_until_it_is_renewed_or_disabled() {
    let relay = Relay::protected();
    let (world, anna) = with_two_persons(&relay);
    let check = |file: &str| world.run(&["--token-file", file, "token", "check", "--json"]);
    assert_eq!(check(&anna).exits(0).json()["actor"], "user:anna");
    assert!(text(&world.json(&["token", "check"])["actor"]).starts_with("os:"));
    // It says who somebody is, and makes nobody else.
    world
        .run(&["--token-file", &anna, "user", "add", "bob"])
        .exits(2)
        .says(&["without a token"]);
    world.run(&["user", "add", "anna"]).exits(2).says(&["token renew anna"]);
    world.run(&["user", "add", "anna\nb"]).exits(2);

    let fresh = text(&world.json(&["token", "renew", "anna"])["token"]);
    check(&anna).exits(2).says(&["is nobody's"]);
    let fresh = world.private_file("fresh.token", fresh.as_bytes());
    check(&fresh).exits(0);
    world.run(&["user", "disable", "anna"]).exits(0);
    check(&fresh).exits(2).says(&["was disabled"]);
    let journal = world.run(&["user", "list", "--json"]).exits(0).stdout;
    assert!(!journal.contains("bpt_") && journal.contains("anna"));
    // A token that others could read is none.
    let open = world.file("open.token", b"bpt_00");
    let ran = check(&open);
    assert_ne!(ran.status, 0);
}

#[test]
fn a_decision_about_the_persons_is_written_down_with_its_reason() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let decide = |words: &[&str]| world.run(&[&["breach", "decide", world.breach()], words].concat());
    decide(&["inform"]).exits(64);
    decide(&["inform", "--rationale", " "])
        .exits(2)
        .says(&["needs its reason"]);
    // The sample's risk is high.
    decide(&["not-inform", "--rationale", "too many"])
        .exits(2)
        .says(&["GDPR Art. 34(3)", "public-notice"]);
    decide(&["public-notice", "--rationale", "no addresses"]).exits(0);
    let record = world.json(&["breach", "show", world.breach(), "--record"]);
    let communication = &record["communication"];
    assert_eq!(communication["decision"], "public");
    assert_eq!(communication["exemption"], "c_public_communication");

    decide(&["ordered", "--rationale", "CNPD, letter of 20 November"]).exits(0);
    decide(&["not-inform", "--exemption", "b_risk_removed", "--rationale", "no"])
        .exits(2)
        .says(&["only the authority can take that back"]);
    let shown = world.json(&["breach", "show", world.breach()]);
    assert_eq!(shown["record"]["communication"]["decision"], "ordered");
    let told = shown["timeline"].to_string();
    assert!(
        told.contains("public: no addresses") && told.contains("ordered: CNPD"),
        "{told}"
    );
}
