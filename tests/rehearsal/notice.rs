//! `notice test`: what the way does to a notice, told with what to do.

use std::sync::atomic::AtomicUsize;

use breachpost::drill::receiver::{Act, Step};
use breachpost::store::JournalEntry;
use serde_json::{Value, json};

use crate::server::{
    Server, anonymous, bounced, damaged, lost, re_encoded, reordered, retitled, rewrapped, stripped, tagged,
    taken_apart, text_of, twice, unchanged, with_disclaimer, with_footer_behind, wrapped,
};
use crate::world::relay::Relay;
use crate::world::{AUTHORITY, SENDER, World};
use crate::{Behind, left_behind, setting};

fn kinds(report: &Value) -> Vec<&str> {
    let changes = report["changes"].as_array().unwrap();
    changes.iter().map(|change| change["kind"].as_str().unwrap()).collect()
}

#[test]
fn what_the_way_does_to_a_notice_is_told_with_what_to_do() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let table: [(&str, Server, &str, &[&str]); 15] = [
        ("unchanged", unchanged, "unchanged", &[]),
        ("subject tagged", tagged, "harmless", &["subject_changed"]),
        ("subject replaced", retitled, "risky", &["subject_changed"]),
        ("armor wrapped anew", rewrapped, "harmless", &["re_wrapped"]),
        ("base64", re_encoded, "harmless", &["re_encoded"]),
        ("footer behind the end", with_footer_behind, "harmless", &["text_added"]),
        ("disclaimer inside", with_disclaimer, "risky", &["text_added"]),
        (
            "wrapped, with a disclaimer",
            wrapped,
            "risky",
            &["wrapped", "text_added"],
        ),
        ("taken apart", taken_apart, "risky", &["taken_apart"]),
        ("reordered", reordered, "risky", &["reordered"]),
        (
            "marks removed",
            anonymous,
            "risky",
            &["header_changed", "header_removed"],
        ),
        ("twice", twice, "twice", &[]),
        ("ciphertext removed", stripped, "broken", &["ciphertext_removed"]),
        ("ciphertext damaged", damaged, "broken", &["ciphertext_damaged"]),
        ("sent back", bounced, "bounced", &[]),
    ];
    for (name, server, verdict, changes) in &table {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server: *server,
            done: &done,
        };
        let ran = behind.run(&["notice", "test", world.breach(), "--yes", "--json", "--timeout", "60"]);
        let report = ran.json();
        let good = ["unchanged", "harmless"].contains(verdict);
        assert_eq!(report["verdict"], json!(verdict), "{name}: {report:#}");
        assert_eq!(
            (ran.status, &report["ok"]),
            (if good { 0 } else { 2 }, &json!(good)),
            "{name}"
        );
        assert_eq!(kinds(&report), *changes, "{name}: {report:#}");
        let intact = !["broken", "bounced"].contains(verdict);
        assert_eq!(report["content"] == "identical", intact, "{name}: {report:#}");
        assert_eq!(report["signature_good"], json!(intact), "{name}");
        assert_eq!(
            report["todo"].as_array().unwrap().is_empty(),
            good && *name != "subject tagged" && *name != "footer behind the end",
            "{name}: {report:#}"
        );
        assert_eq!(report["authority"], json!(AUTHORITY), "{name}");
        assert_eq!(report["relay"]["tls"]["server_name"], "127.0.0.1", "{name}: {report:#}");
        assert_eq!(
            report["hops"],
            if *verdict == "bounced" { Value::Null } else { json!(1) },
            "{name}"
        );
    }
    // Nobody but us was written to, nothing of the breach stood in clear, and no notice came of it.
    for mail in relay.mails() {
        assert_eq!(mail.recipients.len(), 1);
        assert_eq!(mail.recipients[0].address, SENDER);
        assert!(!text_of(&mail).contains("Payroll"));
    }
    let entries = left_behind(&world);
    let ended: Vec<&JournalEntry> = entries
        .iter()
        .filter(|entry| entry.event == "rehearsal.ended")
        .collect();
    assert_eq!((entries.len(), ended.len()), (2 * table.len(), table.len()));
    for (entry, (name, _, verdict, _)) in ended.iter().zip(&table) {
        assert_eq!(entry.details["verdict"], json!(verdict), "{name}");
        assert_eq!(entry.details["breach"], json!(world.breach()), "{name}");
    }
    world.is_intact();
}

#[test]
fn a_person_reads_what_happened_and_what_to_do() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let line = [
        "notice",
        "test",
        world.breach(),
        "--to",
        AUTHORITY,
        "--lang",
        "de",
        "--yes",
    ];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    behind.run(&line).exits(0).says(&[
        "an authority could read it",
        "which got nothing",
        "byte for byte what was sealed; our signature is good",
        "clear text on loopback",
    ]);
    let behind = Behind {
        server: with_disclaimer,
        ..behind
    };
    behind.run(&line).exits(2).says(&[
        "an authority may not be able to open it",
        "RISKY: a text, such as a disclaimer, was added inside multipart/encrypted",
        "ask whoever runs the mail server to add no footer",
    ]);
    let without_yes = &line[..line.len() - 1];
    // Without --yes it says what leaves, and where to, before it asks.
    let typed = world.at_terminal(world.command(without_yes), "n\n").exits(2);
    typed.says(&[
        "encrypted to your own key alone",
        SENDER,
        "No authority gets it",
        "nothing was sent, as you wished",
    ]);
    world.run(without_yes).exits(64).says(&["add --yes"]);
    assert_eq!(relay.mails().len(), 2);
}

#[test]
fn what_does_not_come_back_is_explained() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let test = ["notice", "test", world.breach(), "--yes", "--timeout", "5"];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: lost,
        done: &done,
    };
    behind.run(&test).exits(2).says(&[
        "it was not in the mailbox in time",
        SENDER,
        "the junk folder too",
        "Message-ID <rt",
        "--timeout 600",
    ]);
    // A mailbox that cannot be read is named before anything is sent.
    let maildir = format!("maildir:{}", world.maildir().display());
    world.settle(&maildir, "maildir:Nowhere");
    world.run(&test).exits(2).says(&[
        "nothing was sent, because the mailbox cannot be read",
        "breachpost doctor",
    ]);
    assert_eq!(relay.mails().len(), 1);
    world.settle("maildir:Nowhere", &maildir);
    assert_eq!(left_behind(&world).len(), 4);
}

#[test]
fn what_the_relay_does_not_take_is_told() {
    for (act, verdict) in [
        (Act::reply("550 5.7.1 no encrypted mail"), "refused"),
        (Act::reply("451 4.7.1 greylisted"), "not_taken"),
    ] {
        let relay = Relay::troubled(Step::Rcpt, act, 1);
        let world = World::ready(&relay);
        let ran = world
            .run(&["notice", "test", world.breach(), "--yes", "--json"])
            .exits(2);
        assert_eq!(ran.json()["verdict"], verdict, "{ran:?}");
        assert!(ran.json()["summary"].as_str().unwrap().contains("at RCPT"), "{ran:?}");
        assert_eq!(left_behind(&world).len(), 2);
    }
}

#[test]
fn a_daemon_or_a_pipe_brings_it_in_as_well() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let daemon = world.serve();
    let test = ["notice", "test", world.breach(), "--yes", "--json"];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    assert_eq!(behind.run(&test).exits(0).json()["verdict"], "unchanged");
    assert_eq!(daemon.stop(), 0);

    let mailbox = setting(&world, "maildir:");
    world.settle(&mailbox, "");
    world
        .run(&["notice", "test", world.breach(), "--yes", "--timeout", "5"])
        .exits(2)
        .says(&["no mailbox is configured", "set `mailbox` in config.yaml"]);
    let piped = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mail = relay.taken(3)[2].bytes.clone();
            world.run_with(&["mailbox", "ingest", "--json"], &mail).exits(0)
        });
        world.run(&test)
    });
    assert_eq!(piped.exits(0).json()["verdict"], "unchanged");
    left_behind(&world);
}

#[test]
fn a_stranger_cannot_pass_mail_off_as_a_rehearsal() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let guess = "rt0123456789abcdef0123456789abcd";
    for (name, head) in [
        ("header", format!("X-Breachpost-Rehearsal: {guess}\r\n")),
        (
            "message id",
            format!("Message-ID: <{guess}@brasserie-kirchberg.example>\r\n"),
        ),
        (
            "answer",
            format!("In-Reply-To: <{guess}@brasserie-kirchberg.example>\r\n"),
        ),
    ] {
        let mail =
            format!("From: {SENDER}\r\nSubject: Encrypted message (rehearsal)\r\n{head}\r\nFrom {name}: urgent.\r\n");
        world.run_with(&["mailbox", "ingest"], mail.as_bytes()).exits(2);
    }
    assert_eq!(
        world
            .run(&["mailbox", "tray", "--json"])
            .exits(2)
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
}
