//! The life of a campaign with the program and a relay: nothing leaves without a decision and an approval of exactly what
//! leaves, everybody is accounted for at every moment, and what came of letters and calls is booked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::{Clock, SystemClock};
use breachpost::reading::table::{Options, Table};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use world::campaign::coverage;
use world::relay::Relay;
use world::{BREACH, Ran, World, breach_with, text, until};

/// Anna and Jean can be reached; Marc's server refuses him; Zoé has no address.
const LIST: &str = "person_id,email,name,language,country,street,postcode,city\n\
    1,anna@example.lu,Anna Weber,de,LU,1 rue du Nord,L-1111,Luxembourg\n\
    2,jean@example.fr,Jean Petit,fr,FR,2 rue du Sud,F-57000,Metz\n\
    3,marc@refused.example,=Marc,en,LU,3 rue de l'Est,L-3333,Esch\n\
    4,nowhere,Zoe Muller,lb,LU,4 rue de l'Ouest,L-4444,Wiltz\n";

fn relay() -> Relay {
    let refusal = Act::reply("550 5.1.1 no such user");
    let refused = Trouble::at(Step::Rcpt, refusal).to(|address| address.ends_with("@refused.example"));
    Relay::start(Plan::clear().with(refused))
}

/// An installation with the list as a draft `cmp_1`, and nobody asked anything.
fn drafted(relay: &Relay) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world.file("list.csv", LIST.as_bytes());
    world
        .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
        .exits(2);
    world
}
fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line, &["--json"]].concat())
}
fn state(world: &World) -> String {
    text(&campaign(world, &["status", "cmp_1"]).json()["state"])
}
fn report(world: &World) -> [u64; 5] {
    coverage(&campaign(world, &["report", "cmp_1"]).exits(0).json())
}
/// The record as it is, with a change.
fn change_the_record(world: &World, old: &str, new: &str) {
    let file = world.file("breach.yaml", breach_with(&[(old, new)]).as_bytes());
    world.run(&["breach", "update", world.breach(), &file]).exits(0);
}

#[test]
fn from_a_draft_to_letters() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["is not approved", "breachpost campaign approve cmp_1"]);
    let approved = campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0).json();
    assert_eq!(
        (approved["approved"].as_bool(), approved["needed"].as_u64()),
        (Some(true), Some(1))
    );
    assert_eq!(report(&world), [4, 0, 0, 1, 3]);
    assert!(relay.mails().is_empty());

    let started = campaign(&world, &["start", "cmp_1", "--yes"]).exits(0).json();
    assert_eq!(started["state"], "settling");
    assert_eq!(report(&world), [4, 2, 0, 2, 0]);
    let mails = relay.taken(2);
    assert!(mails.iter().all(|mail| mail.recipients.len() == 1));

    // Told, and what came back.
    let found = campaign(&world, &["find", "ANNA@example.lu"]).exits(0).json();
    assert_eq!(
        (&found[0]["campaign"], &found[0]["informed"]),
        (&"cmp_1".into(), &true.into())
    );
    world
        .run(&["campaign", "find", "marc@refused.example"])
        .exits(2)
        .says(&["not told", "550 5.1.1"]);
    world
        .run(&["campaign", "find", "nobody@example.lu"])
        .exits(2)
        .says(&["in no campaign"]);

    // Letters for the rest: nothing that a spreadsheet program would compute.
    let csv = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = rows
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    let cell = |row: usize, name: &str| rows[row][header.iter().position(|found| found == name).unwrap()].clone();
    assert_eq!(rows.len(), 2, "{csv}");
    assert_eq!(
        (cell(0, "street"), cell(0, "reason")),
        ("3 rue de l'Est".into(), "address_unknown".into())
    );
    assert_eq!((cell(1, "city"), cell(1, "state")), ("Wiltz".into(), "invalid".into()));
    assert!(
        rows.iter()
            .flatten()
            .all(|cell| !cell.starts_with(['=', '+', '-', '@'])),
        "{csv}"
    );
    world
        .run(&["campaign", "unreached", "cmp_1", "-o", "unreached.xlsx"])
        .exits(0);
    let sheet = Table::open(&world.scratch().join("unreached.xlsx"), &Options::default()).unwrap();
    let in_sheet: Vec<Vec<String>> = sheet.rows().unwrap().map(|row| row.unwrap().cells).collect();
    assert_eq!((sheet.columns(), &in_sheet), (&header[..], &rows), "the same as in CSV");
    world
        .run(&["campaign", "unreached", "cmp_1", "-o", "unreached.xlsx"])
        .exits(64)
        .says(&["exists already"]);

    // Booked by our own ids, and again, and with somebody who is not there.
    let told = world.file("told.csv", format!("{csv}dlv_999,,,,,,,,,,,,,,,\n").as_bytes());
    let line = ["record", "cmp_1", "--channel", "post", "--file", &told];
    for _ in 0..2 {
        let named = campaign(&world, &line).exits(2).json();
        assert_eq!((&named["found"], &named["not_found"]), (&2.into(), &1.into()));
        assert_eq!(report(&world), [4, 4, 0, 0, 0]);
    }
    world
        .run(&["campaign", "find", "marc@refused.example"])
        .exits(0)
        .says(&["told by post"]);
    let journal = world.run(&["journal", "verify"]).exits(0);
    assert!(!journal.stdout.contains("anna@"));
}

/// Two persons at one address: a call to one of them does not tell the other.
#[test]
fn a_call_to_one_person_books_nobody_else() {
    let relay = relay();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let list = b"email,first name,last name\nfam@refused.example,Anna,Weber\nfam@refused.example,Ben,Weber\n";
    world.file("list.csv", list);
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world.run(&create).exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(report(&world), [2, 0, 0, 2, 0]);
    let record = |called: &str| {
        let called = world.file("called.csv", called.as_bytes());
        world.run(&["campaign", "record", "cmp_1", "--channel", "phone", "--file", &called])
    };
    record("email\nfam@refused.example\n").exits(2).says(&[
        "1 rows give only an address that several persons share, and book nobody: 2",
        "breachpost campaign find ADDRESS",
    ]);
    assert_eq!(report(&world), [2, 0, 0, 2, 0]);
    record("email,first name,last name\nfam@refused.example,Anna,Weber\n").exits(0);
    assert_eq!(report(&world), [2, 1, 0, 1, 0]);
    let unreached = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(
        unreached.contains("Ben Weber") && !unreached.contains("Anna"),
        "{unreached}"
    );
}

/// Nobody in a list is unknown to us, by whatever address it has of them.
#[test]
fn every_address_of_a_list_leads_to_its_person() {
    let relay = relay();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let list = "person_id,email,name\n1,a@refused.example,Anna\n1,Second@home.example,Anna\n2,no-address,Ben\n\
                3,c@home.example d@home.example,Carl\n";
    world.file("list.csv", list.as_bytes());
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world
        .run(&create)
        .exits(2)
        .says(&["1 with another address in a further row: only the first one is written to"]);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    let find = |address: &str| world.run(&["campaign", "find", address]);
    find("second@HOME.example").exits(2).says(&["not told: cmp_1", "dlv_1"]);
    for (address, row) in [
        ("no-address", "row_1"),
        ("c@home.example", "row_2"),
        ("d@home.example", "row_2"),
    ] {
        find(address)
            .exits(2)
            .says(&["not told: cmp_1", row, "of list.csv cannot be used"]);
        let json = campaign(&world, &["find", address]).json();
        assert_eq!(
            (&json[0]["state"], &json[0]["bad_row"]),
            (&"invalid".into(), &row.into())
        );
    }
    find("e@home.example").exits(2).says(&["in no campaign"]);
    let unreached = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(unreached.contains("Second@home.example"), "{unreached}");
    let told = world.file("told.csv", b"email\nsecond@home.example\nno-address\nd@home.example\n");
    campaign(&world, &["record", "cmp_1", "--channel", "post", "--file", &told]).exits(0);
    assert_eq!(report(&world), [3, 3, 0, 0, 0]);
    find("no-address").exits(0).says(&["told: cmp_1", "told by post"]);
}

/// Makes one person's message impossible to write, past all of our code: what a list brings in can be written.
fn spoil(world: &World, address: &str) {
    let key = fs::read_to_string(world.home().join("keys/store.key")).unwrap();
    let store = rusqlite::Connection::open(world.home().join("breachpost.db")).unwrap();
    let unlock = format!("PRAGMA key = \"x'{}'\"", key.trim());
    store.execute_batch(&unlock).unwrap();
    let sql = "UPDATE persons SET address = 'no ' || address WHERE address = ?1";
    assert_eq!(store.execute(sql, [address]).unwrap(), 1);
}

#[test]
fn one_message_that_cannot_be_written_holds_up_nobody_else() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    spoil(&world, "jean@example.fr");
    let started = campaign(&world, &["start", "cmp_1", "--yes"]).exits(2).json();
    assert_eq!((&started["state"], &started["held"]), (&"running".into(), &1.into()));
    assert_eq!(report(&world), [4, 1, 0, 2, 1], "the others were written to");
    world
        .run(&["campaign", "status", "cmp_1"])
        .exits(2)
        .says(&["could not be written", "breachpost campaign held cmp_1"]);
    world
        .run(&["status"])
        .exits(2)
        .says(&["1 persons could not be written", "breachpost campaign held cmp_1"]);
    world
        .run(&["campaign", "report", "cmp_1"])
        .says(&["a field of this person cannot stand in a mail"]);
    world.run(&["campaign", "find", "no jean@example.fr"]).exits(2).says(&[
        "not told",
        "held",
        "cannot stand in a mail",
    ]);
    let held = campaign(&world, &["held", "cmp_1"]).exits(2).json();
    assert_eq!(
        (&held["held"], &held["persons"][0]["person"]),
        (&1.into(), &"dlv_2".into())
    );

    // Tried again in vain, then told by telephone: nothing is left to decide, and it comes to its end.
    let retried = campaign(&world, &["held", "cmp_1", "--retry"]).exits(0).json();
    assert_eq!(retried["decided"], 1);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    assert_eq!(report(&world), [4, 1, 0, 2, 1]);
    let told = world.file("called.csv", b"person\ndlv_2\n");
    campaign(&world, &["record", "cmp_1", "--channel", "phone", "--file", &told]).exits(0);
    campaign(&world, &["held", "cmp_1"]).exits(0);
    assert_eq!(report(&world), [4, 2, 0, 2, 0]);
    let ended = campaign(&world, &["start", "cmp_1", "--yes"]).exits(0).json();
    assert_eq!(ended["state"], "settling");
    world.is_intact();
}

/// Two dots in a row, letters outside ASCII, an underscore in the domain: a list takes them, so a mail must too.
#[test]
fn whoever_a_list_takes_can_be_written_to() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let odd =
        "email,name\nmüller@example.lu,A\nx..y@example.lu,B\n.a@example.lu,C\na@ex_ample.lu,D\na@bücher.example,E\n";
    world.file("list.csv", odd.as_bytes());
    world
        .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
        .exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(report(&world), [5, 5, 0, 0, 0]);
    let headers: Vec<String> = relay
        .mails()
        .iter()
        .map(|mail| String::from_utf8_lossy(&mail.bytes).into_owned())
        .collect();
    for to in [
        "<müller@example.lu>",
        "<\"x..y\"@example.lu>",
        "<a@xn--bcher-kva.example>",
    ] {
        assert!(headers.iter().any(|mail| mail.contains(to)), "{to}: {headers:?}");
    }
}

#[test]
fn whoever_is_given_up_gets_a_letter() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    spoil(&world, "jean@example.fr");
    let daemon = world.serve();
    campaign(&world, &["start", "cmp_1", "--yes", "--wait"]).exits(2);
    campaign(&world, &["held", "cmp_1", "--give-up"]).exits(0);
    assert_eq!(state(&world), "settling");
    assert_eq!(report(&world), [4, 1, 0, 3, 0]);
    let csv = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(csv.contains("2 rue du Sud"), "{csv}");
    assert_eq!(daemon.stop(), 0);
    world.is_intact();
}

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
        .exits(0);
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
fn unusual_addresses_are_written_to() {
    let list = "email,name\njos\u{e9}@b\u{fc}cher.example,Jos\u{e9}\na..b@docomo.example,Ann\nanna@example.lu,Anna\n";
    for offered in [true, false] {
        let mut plan = Plan::clear();
        plan.offers.smtp_utf8 = offered;
        let relay = Relay::start(plan);
        let world = World::new(&relay);
        world.open_breach(BREACH);
        world.file("list.csv", list.as_bytes());
        world
            .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
            .exits(0);
        campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
        campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
        let told = if offered { 3 } else { 2 };
        let mut to: Vec<String> = relay
            .taken(told)
            .iter()
            .map(|mail| {
                let text = String::from_utf8_lossy(&mail.bytes).into_owned();
                let to = text.lines().find_map(|line| line.strip_prefix("To: "));
                to.unwrap().to_owned()
            })
            .collect();
        to.sort();
        assert!(to.contains(&"Ann <\"a..b\"@docomo.example>".to_owned()), "{to:?}");
        assert_eq!(report(&world), [3, told as u64, 0, 3 - told as u64, 0]);
        let jose = world.run(&["campaign", "find", "jos\u{e9}@b\u{fc}cher.example"]);
        if offered {
            assert!(
                to.iter().any(|to| to.ends_with("<jos\u{e9}@xn--bcher-kva.example>")),
                "{to:?}"
            );
            jose.exits(0);
        } else {
            jose.exits(2).says(&["the relay does not offer SMTPUTF8"]);
        }
    }
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
    let relay = Relay::troubled(Step::Mail, Act::reply("451 4.3.0 later"), 3);
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
    until("all have been tried", || {
        let joined = campaign(&world, &["start", "cmp_1", "--yes"]).json();
        (joined["pending"] == 0).then_some(())
    });
    assert_eq!(relay.taken(3).len(), 3);
    assert_eq!(report(&world), [4, 3, 0, 1, 0]);
}

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
        .says(&["cmp_1 runs, but nothing sends it: 0 persons wait, 1 are in doubt"]);
}

#[test]
fn a_pause_holds_and_a_cancellation_ends() {
    let relay = Relay::troubled(Step::Mail, Act::reply("451 4.3.0 later"), 3);
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
    start_at(SystemClock.now() + TimeDelta::seconds(1));
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
