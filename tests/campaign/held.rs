//! Persons whose message cannot be written, and what a person decides about them.

use std::fs;

use crate::world::relay::Relay;
use crate::world::{BREACH, World};
use crate::{campaign, drafted, relay, report, state};

/// Makes one person's message impossible to write, past all of our code: what a list brings in can be written.
fn spoil(world: &World, address: &str) {
    let key = fs::read_to_string(world.home().join("keys/store.key")).unwrap();
    let store = rusqlite::Connection::open(world.home().join("breachpost.db")).unwrap();
    let unlock = format!(
        "PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256; PRAGMA key = \"x'{}'\"",
        key.trim()
    );
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
    world.run(&["status"]).exits(2).says(&[
        "the message of 1 person could not be written",
        "breachpost campaign held cmp_1",
    ]);
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
