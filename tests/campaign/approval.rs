//! What must be decided and agreed before anybody is written to, and what voids it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::{Clock, SystemClock};
use chrono::TimeDelta;

use crate::world::relay::Relay;
use crate::world::{World, breach_with, until};
use crate::{LIST, campaign, change_the_record, drafted, relay, report, state};

#[test]
fn nothing_starts_without_a_decision() {
    let relay = relay();
    let world = World::new(&relay);
    let decision = "communication: { decision: required, rationale: High risk; no exemption of Art. 34(3) applies. }";
    world.open_breach(&breach_with(&[(decision, "")]));
    world.file("list.csv", LIST.as_bytes());
    world
        .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
        .exits(2);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2).says(&[
        "nobody has decided",
        &format!("breachpost breach decide {} inform", world.breach()),
    ]);
    assert!(relay.mails().is_empty());
    // The decision is in no message, so it voids no approval.
    world
        .run(&["breach", "decide", world.breach(), "inform", "--rationale", "high risk"])
        .exits(0)
        .says(&["To tell the persons: breachpost campaign create B-"]);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(2).len(), 2);
}

#[test]
fn two_persons_agree_to_the_same_content() {
    let relay = relay();
    let world = drafted(&relay);
    world.settle("#campaign: one_person", "campaign: two_persons");
    let anna = world.scratch().join("anna.token").to_str().unwrap().to_owned();
    world.run(&["user", "add", "anna", "--output", &anna]).exits(0);
    for _ in 0..2 {
        let first = campaign(&world, &["approve", "cmp_1", "--yes"]).exits(2).json();
        assert_eq!(first["approved"], false, "one person, however often");
    }
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["is not approved"]);
    let second = campaign(&world, &["approve", "cmp_1", "--yes", "--token-file", &anna])
        .exits(0)
        .json();
    assert_eq!(
        (&second["approved"], second["by"].as_array().unwrap().len()),
        (&true.into(), 2)
    );
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
}

/// A token that was taken out of force may have been stolen before: what was agreed to with it counts no more.
#[test]
fn the_approval_of_a_disabled_user_does_not_count() {
    let relay = relay();
    let world = drafted(&relay);
    world.settle("#campaign: one_person", "campaign: two_persons");
    let user = |name: &str| {
        let token = world.scratch().join(name).to_str().unwrap().to_owned();
        world.run(&["user", "add", name, "--output", &token]).exits(0);
        token
    };
    let (rogue, olga, emil) = (user("rogue"), user("olga"), user("emil"));
    let agree = |token: &str| campaign(&world, &["approve", "cmp_1", "--yes", "--token-file", token]);
    let disable = |name: &str, state: &str| {
        let words = format!("{name} had agreed to cmp_1 ({state}), which counts no more");
        world.run(&["user", "disable", name]).exits(0).says(&[&words]);
    };
    agree(&rogue).exits(2);
    disable("rogue", "draft");
    assert_eq!(agree(&olga).exits(2).json()["approved"], false, "olga is alone");
    agree(&emil).exits(0);
    disable("emil", "approved");
    let start = || campaign(&world, &["start", "cmp_1", "--yes"]);
    let needs = ["user:emil agreed to cmp_1", "breachpost campaign approve cmp_1"];
    start().exits(2).says(&needs);
    assert!(relay.mails().is_empty());

    // One that waits for its time, or was stopped, goes on as soon as somebody else agrees.
    let otto = user("otto");
    agree(&otto).exits(0);
    let later = (SystemClock.now() + TimeDelta::days(30)).to_rfc3339();
    campaign(&world, &["start", "cmp_1", "--at", &later, "--yes"]).exits(0);
    campaign(&world, &["pause", "cmp_1", "--reason", "otto is suspected"]).exits(0);
    disable("otto", "paused");
    campaign(&world, &["resume", "cmp_1"]).exits(2).says(&["user:otto"]);
    let pia = user("pia");
    agree(&pia).exits(0);
    campaign(&world, &["resume", "cmp_1"]).exits(0);
    assert_eq!(state(&world), "scheduled");
    start().exits(0);
    assert_eq!(relay.taken(2).len(), 2);
}

#[test]
fn an_edit_voids_an_approval() {
    let relay = relay();
    let world = drafted(&relay);
    let approve = || campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let start = || campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    approve();

    // A template of the operator's.
    let overlay = world.home().join("templates/individual");
    fs::create_dir_all(&overlay).unwrap();
    let shown = world.run(&["templates", "show", "individual", "de"]).exits(0).stdout;
    fs::write(overlay.join("de.hbs"), format!("{shown}\nGruss\n")).unwrap();
    start().says(&["has changed since", "breachpost campaign approve cmp_1"]);
    approve();

    // The breach record, where the messages show it.
    change_the_record(
        &world,
        "A payroll export (XLSX, not encrypted)",
        "A payroll export (ODS, not encrypted)",
    );
    start().says(&["has changed", "breachpost campaign update cmp_1"]);
    campaign(&world, &["approve", "cmp_1", "--yes"])
        .exits(2)
        .says(&["campaign update"]);
    campaign(&world, &["update", "cmp_1"]).exits(0);
    assert_eq!(state(&world), "draft");
    approve();

    // The list.
    world.file("more.csv", b"email,name\nlea@example.lu,Lea\n");
    world
        .run(&["campaign", "add", "cmp_1", "--recipients", "more.csv"])
        .exits(2);
    assert_eq!(state(&world), "draft");
    start().says(&["is not approved"]);
    assert!(relay.mails().is_empty());
}

#[test]
fn nobody_is_written_to_in_clear_after_encryption_was_made_a_must() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let checked = campaign(&world, &["check", "cmp_1"]).json();
    assert_eq!(
        (&checked["protection"]["clear"], &checked["protection"]["encrypted"]),
        (&3.into(), &0.into())
    );
    world.settle("#encrypt: when_known", "encrypt: required");
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["campaign.encrypt is required now", "breachpost campaign update cmp_1"]);
    world
        .run(&["campaign", "check", "cmp_1"])
        .exits(2)
        .says(&["config.yaml says otherwise by now"]);
    campaign(&world, &["approve", "cmp_1", "--yes"])
        .exits(2)
        .says(&["campaign update cmp_1"]);
    campaign(&world, &["update", "cmp_1"]).exits(0);
    world
        .run(&["campaign", "check", "cmp_1"])
        .says(&["3 persons have no certificate that can be used and are NOT written to"]);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(report(&world), [4, 0, 0, 4, 0]);
    assert!(relay.mails().is_empty());
}

#[test]
fn what_was_edited_while_it_ran_does_not_leave() {
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&is_open);
    // However often they are tried.
    let later = Trouble::at(Step::Rcpt, Act::reply("451 4.3.0 later")).to(move |_| !opened.load(Ordering::SeqCst));
    let relay = Relay::start(Plan::clear().with(later));
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let waiting = campaign(&world, &["start", "cmp_1", "--yes"]).exits(2).json();
    assert_eq!((&waiting["state"], &waiting["pending"]), (&"running".into(), &3.into()));
    world.settle("Brasserie du Kirchberg S.A.", "Somebody Else");
    // The same command joins in; by now the messages would name another sender.
    until("the messages are due again", || {
        let joined = campaign(&world, &["start", "cmp_1", "--yes"]).json();
        (joined["state"] == "paused").then_some(())
    });
    assert!(relay.mails().is_empty());
    campaign(&world, &["status", "cmp_1"])
        .exits(2)
        .says(&["not what was approved"]);
    campaign(&world, &["resume", "cmp_1"])
        .exits(2)
        .says(&["other messages than were approved"]);
    world.settle("Somebody Else", "Brasserie du Kirchberg S.A.");
    campaign(&world, &["resume", "cmp_1"]).exits(0);
    is_open.store(true, Ordering::SeqCst);
    until("all have been tried", || {
        let joined = campaign(&world, &["start", "cmp_1", "--yes"]).json();
        (joined["pending"] == 0).then_some(())
    });
    assert_eq!(relay.taken(3).len(), 3);
    assert_eq!(report(&world), [4, 3, 0, 1, 0]);
}
