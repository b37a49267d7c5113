//! Lists of persons, brought in as a user brings them in: every row is accounted for, whatever the file holds and whatever
//! happens while it is read.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::io::Write;
use std::sync::{Arc, LazyLock};

use breachpost::config::Home;
use breachpost::dispatch::campaign::import::{self, ImportError, ImportRequest, Target};
use breachpost::dispatch::office::Office;
use breachpost::model::SystemClock;
use breachpost::model::id::Actor;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use world::relay::Relay;
use world::{BREACH, Ran, World, finish, text};

const SAMPLE: &str = include_str!("data/recipients.csv");

/// An installation with a breach in the register; nothing is ever sent.
fn world() -> World {
    // On a thread of its own: one of the tests has a runtime, in which no other may be started.
    static RELAY: LazyLock<Relay> = LazyLock::new(|| std::thread::spawn(Relay::sound).join().unwrap());
    let world = World::new(&RELAY);
    world.open_breach(BREACH);
    world
}
fn create(world: &World, list: &[u8], more: &[&str]) -> Ran {
    let file = world.file("list", list);
    let line = ["campaign", "create", world.breach(), "--recipients", &file, "--json"];
    world.run(&[&line[..], more].concat())
}
/// Rows, valid, duplicates, invalid.
#[track_caller]
fn counts(campaign: &Value) -> [u64; 4] {
    let counts = ["rows", "valid", "duplicates", "invalid"].map(|name| campaign[name].as_u64().unwrap());
    assert_eq!(counts[0], counts[1] + counts[2] + counts[3], "{campaign}");
    let coverage = &campaign["coverage"];
    let sum: u64 = ["informed", "in_doubt", "unreached", "pending"]
        .map(|name| coverage[name].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(
        (coverage["total"].as_u64(), sum),
        (Some(counts[0] - counts[2]), counts[0] - counts[2])
    );
    counts
}

#[test]
fn the_sample_is_accounted_for_row_by_row() {
    let world = world();
    let made = create(&world, SAMPLE.as_bytes(), &["--bad-rows", "bad.csv"]).exits(2);
    let campaign = made.json();
    assert_eq!(counts(&campaign), [12, 8, 1, 3]);
    assert_eq!(
        (text(&campaign["id"]), text(&campaign["state"])),
        ("cmp_1".into(), "draft".into())
    );
    let bad: Vec<Value> = campaign["bad_rows"].as_array().unwrap().to_vec();
    let shown: Vec<_> = bad
        .iter()
        .map(|row| (&row["row"], &row["line"], &row["column"], &row["reason"]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            [8, 8, "email", "address_without_at"],
            [9, 9, "email", "no_address"],
            [10, 10, "name", "line_break"],
        ])
    );
    let languages = json!({ "": 2, "de": 1, "en": 2, "fr": 1, "lb": 1, "nl": 1 });
    assert_eq!(campaign["languages"], languages);
    for (flag, persons) in [("no_language", 1), ("unknown_language", 1), ("formula", 1)] {
        assert_eq!(campaign["flags"][flag], persons, "{flag}: {campaign}");
    }
    assert_eq!(campaign["lists"][0]["facts"]["format"]["encoding"], "UTF-8");

    // Corrected and added: each takes the place of its bad row.
    let exported = fs::read_to_string(world.scratch().join("bad.csv")).unwrap();
    assert!(exported.contains("\"Eve\nBcc: everyone@example.org\""), "{exported}");
    let corrected = exported
        .replace("not-an-address", "nobody@example.org")
        .replace("Eve\nBcc: everyone@example.org", "Eve");
    let file = world.file("corrected.csv", corrected.as_bytes());
    let added = world
        .run(&["campaign", "add", "cmp_1", "--recipients", &file, "--json"])
        .exits(2);
    assert_eq!(counts(&added.json()), [12, 10, 1, 1]);
    let again = world.run(&["campaign", "add", "cmp_1", "--recipients", &file]).exits(2);
    again.says(&["holding this list already"]);

    let told = world.run(&["campaign", "check", "cmp_1"]).exits(2);
    told.says(&["10 persons can be written to", "there is no address", "Worth a look"]);
    let all = world.json(&["campaign", "list"]);
    assert_eq!(counts(&all[0]), [12, 10, 1, 1]);
    world.is_intact();
}

#[test]
fn what_is_missing_is_said_before_anything_is_stored() {
    let world = world();
    for (list, more, status, words) in [
        (
            &b"Kontakt,Name\na@b.lu,A\n"[..],
            &[][..],
            2,
            &["no column with the e-mail address", "Kontakt, Name", "--map email="][..],
        ),
        (
            b"emial,name\na@b.lu,A\n",
            &[],
            2,
            &["is it `emial`?", "--map email='emial'"],
        ),
        (b"email,name,email\na@b.lu,A,b\n", &[], 2, &["columns 1 and 3"]),
        (b"email,name\n", &[], 2, &["a header and no rows"]),
        (b"", &[], 2, &["is empty"]),
        (b"email\n\"a@b.lu\nc@d.lu\n", &[], 2, &["never closed"]),
        (
            b"email\na@b.lu\n",
            &["--fallback-language", "xx"],
            64,
            &["no message to individuals in `xx`"],
        ),
        (b"email\na@b.lu\n", &["--sheet", "One"], 2, &["has no sheets"]),
        (b"email\na@b.lu\n", &["--map", "email"], 64, &["NAME=COLUMN"]),
    ] {
        create(&world, list, more).exits(status).says(words);
    }
    let nowhere = ["campaign", "create", "B-2020-099", "--recipients", "list"];
    world.run(&nowhere).exits(64).says(&["no breach B-2020-099"]);
    let missing = ["campaign", "create", world.breach(), "--recipients", "not-there.csv"];
    world.run(&missing).exits(64).says(&["cannot read"]);
    world.file("taken.csv", b"precious");
    create(&world, b"email\na@b.lu\n", &["--bad-rows", "taken.csv"])
        .exits(64)
        .says(&["exists already"]);
    assert_eq!(fs::read(world.scratch().join("taken.csv")).unwrap(), b"precious");
    assert_eq!(world.json(&["campaign", "list"]), json!([]));

    let mapped = create(
        &world,
        b"Kontakt;Wer\na@b.lu;A\n",
        &["--map", "email=kontakt", "--map", "name=Wer"],
    );
    assert_eq!(counts(&mapped.exits(0).json()), [1, 1, 0, 0]);
}

#[test]
fn a_million_ways_to_write_one_person() {
    let world = world();
    let mut list = "Kundennummer,E-Mail,Vorname,Nachname,Daten\n".to_owned();
    for n in 0..10_000 {
        let address = if n % 2 == 0 {
            "anna@example.lu"
        } else {
            "Anna@EXAMPLE.lu"
        };
        list.push_str(&format!(
            "17,{address},Anna,Weber,{}\n",
            if n == 5 { "IBAN" } else { "Name" }
        ));
    }
    list.push_str("18,nowhere,Bob,Weber,Name\n17,nowhere,Anna,Weber,Name\n");
    let made = create(&world, list.as_bytes(), &[]).exits(2).json();
    assert_eq!(
        counts(&made),
        [10_002, 1, 10_000, 1],
        "the second address of 17 does not matter"
    );

    let names = create(
        &world,
        b"email,name\na@b.lu,Anna\nA@B.lu,anna\na@b.lu,Bob\ninfo@b.lu,C\nD <d@b.lu>,D\n",
        &[],
    );
    let names = names.exits(0).json();
    assert_eq!(counts(&names), [5, 4, 1, 0]);
    for flag in ["shared_address", "role_address", "display_form"] {
        assert_eq!(names["flags"][flag], 1, "{flag}: {names}");
    }
}

/// A list of `rows` persons.
fn long_list(rows: usize) -> String {
    let mut list = "email,name\n".to_owned();
    for n in 0..rows {
        list.push_str(&format!("person{n}@example.org,Person {n}\n"));
    }
    list
}

#[test]
fn killed_in_the_middle_and_run_again() {
    const ROWS: usize = 12_000;
    for commit in 1..=5 {
        let world = world();
        let list = long_list(ROWS);
        let file = world.file("list.csv", list.as_bytes());
        let line = ["campaign", "create", world.breach(), "--recipients", &file, "--json"];
        let mut killed = world.command(&line);
        killed.env("BREACHPOST_DIE_AT", format!("before_commit:{commit}"));
        assert_eq!(finish(killed, b"").status, -1, "killed before commit {commit}");
        let left = world.json(&["campaign", "list"]);
        for campaign in left.as_array().unwrap() {
            assert_eq!(campaign["state"], "importing", "commit {commit}");
            assert!(counts(campaign)[0].is_multiple_of(2_000), "whole chunks only");
        }
        let made = world.run(&line).exits(0).json();
        assert_eq!(counts(&made), [ROWS as u64, ROWS as u64, 0, 0]);
        assert_eq!(made["resumed_after"], left[0]["rows"].as_u64().unwrap_or(0));
        assert_eq!(
            world.json(&["campaign", "list"]).as_array().unwrap().len(),
            1,
            "one campaign"
        );
        world.is_intact();
    }
}

#[test]
fn a_file_that_may_not_grow_is_no_end() {
    let world = world();
    let file = world.file("list.csv", long_list(30_000).as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", &file, "--json"];
    let full = world.command(&line);
    // In units of 512 bytes (POSIX); the signal that comes with the limit is ignored, as a full disk sends none.
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", "6000"])
        .arg(full.get_program())
        .args(full.get_args())
        .env("BREACHPOST_HOME", world.home())
        .current_dir(world.scratch());
    let ran = finish(limited, b"").exits(1);
    ran.says(&["was cut off after", "hint: breachpost campaign create"]);
    assert_eq!(world.json(&["campaign", "list"])[0]["state"], "importing");
    let made = world.run(&line).exits(0).json();
    assert_eq!(counts(&made), [30_000, 30_000, 0, 0]);
    world.is_intact();
}

#[test]
fn another_list_does_not_go_on_where_the_first_was_cut_off() {
    let world = world();
    let file = world.file("list.csv", long_list(12_000).as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", &file, "--json"];
    let mut killed = world.command(&line);
    killed.env("BREACHPOST_DIE_AT", "before_commit:3");
    finish(killed, b"");
    // Replaced by another of the same length.
    world.file("list.csv", long_list(12_000).replace("person", "people").as_bytes());
    let made = world.run(&line).exits(0).json();
    assert_eq!(
        (counts(&made), &made["resumed_after"]),
        ([12_000, 12_000, 0, 0], &json!(0))
    );
    let states: Vec<String> = world
        .json(&["campaign", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|c| text(&c["state"]))
        .collect();
    assert_eq!(states, ["importing", "draft"]);
    world
        .run(&["campaign", "check", "cmp_1"])
        .exits(2)
        .says(&["Run the same command again"]);
}

/// The list is changed while it is read: by a program that goes on writing it, or a person who saves it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_replaced_while_it_is_read_is_given_up() {
    let world = world();
    let file = world.file("list.csv", long_list(60_000).as_bytes());
    let office = Office::open(Home::find(Some(&world.home())).unwrap(), Arc::new(SystemClock)).unwrap();
    let breach = world.breach().parse().unwrap();
    let content = Box::new(import::content(&office, breach, None).await.unwrap());
    let request = ImportRequest::new(file.clone().into(), Target::Fresh { breach, content });
    let by = Actor::Os("tester".to_owned());
    let outcome = import::import(&office, request, &by, |progress| {
        if progress.done == 4_000 {
            let mut file = fs::OpenOptions::new().append(true).open(&file).unwrap();
            file.write_all(b"late@example.org,Late\n").unwrap();
        }
    });
    let error = outcome.await.unwrap_err();
    assert!(matches!(error, ImportError::Replaced { .. }), "{error}");
    let all = world.json(&["campaign", "list"]);
    assert_eq!(all[0]["state"], "cancelled");
    counts(&all[0]);
    let again = world.run(&["campaign", "create", world.breach(), "--recipients", &file, "--json"]);
    assert_eq!(counts(&again.exits(0).json()), [60_001, 60_001, 0, 0]);
}

#[test]
fn every_row_of_any_table_is_accounted_for() {
    let world = world();
    let cell = prop_oneof![
        "[a-c]@[a-b]\\.lu",
        Just(String::new()),
        Just("=1+1".to_owned()),
        "[A-C é\"\n,;]{0,6}",
    ];
    let tables = prop::collection::vec(prop::collection::vec(cell, 1..5), 1..30);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&tables, |rows| {
        let mut list = "email,name,language\n".to_owned();
        for row in &rows {
            let quoted: Vec<String> = row
                .iter()
                .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
                .collect();
            list.push_str(&format!("{}\n", quoted.join(",")));
        }
        let ran = create(&world, list.as_bytes(), &[]);
        let blank = |row: &&Vec<String>| row.iter().all(|cell| cell.trim().is_empty());
        let wanted = rows.iter().filter(|row| !blank(row)).count() as u64;
        prop_assert!([0, 2].contains(&ran.status), "{ran:?}");
        if wanted > 0 {
            prop_assert_eq!(counts(&ran.json())[0], wanted, "{}", list);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn progress_is_for_terminals_only() {
    let world = world();
    let file = world.file("list.csv", long_list(10).as_bytes());
    let ran = world
        .run(&["campaign", "create", world.breach(), "--recipients", &file])
        .exits(0);
    assert_eq!(ran.stderr, "", "{ran:?}");
    let shell = world.command(&["campaign", "create", world.breach(), "--recipients", &file]);
    assert_eq!(world.at_terminal(shell, "").status, 0);
}
