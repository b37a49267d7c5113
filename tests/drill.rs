//! The drill as a user runs it: with nothing configured, it rehearses the whole main job and says how it went.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::process::Command;

use serde_json::{Value, json};

use world::{Ran, finish};

/// Runs the program where there is no home.
fn without_home(line: &[&str]) -> Ran {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
    command.args(line).current_dir(&scratch).env_remove("BREACHPOST_HOME");
    finish(command, b"")
}

/// The last line of `drill --json`.
fn verdict(line: &[&str]) -> Value {
    let line: Vec<&str> = ["drill", "--json"].iter().chain(line).copied().collect();
    let ran = without_home(&line).exits(0);
    assert_eq!(ran.stderr, "");
    let verdict: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(verdict["ok"], true, "{verdict}");
    assert_eq!(verdict["notices"], json!({ "sent": 1, "acknowledged": 1 }));
    assert!(verdict["elapsed_ms"].is_u64(), "{verdict}");
    verdict
}

#[test]
fn a_thousand_individuals_are_each_accounted_for() {
    let persons = verdict(&[])["individuals"].clone();
    for (name, count) in [
        ("total", 1_000),
        ("informed", 900),
        ("unreached", 100),
        ("in_doubt", 0),
        ("pending", 0),
        ("possibly_twice", 1),
        ("rows", 1_040),
        ("duplicates", 40),
        ("invalid", 40),
        ("decrypted", 40),
        ("returned", 20),
    ] {
        assert_eq!(persons[name], count, "{name}: {persons}");
    }
}

#[test]
fn any_number_of_individuals_will_do() {
    for (total, unreached) in [(0, 0), (1, 0), (25, 3)] {
        let persons = verdict(&["--individuals", &total.to_string()])["individuals"].clone();
        let counts = ["total", "informed", "unreached", "in_doubt", "pending"].map(|name| persons[name].as_u64());
        let expected = [total, total - unreached, unreached, 0, 0];
        assert_eq!(counts, expected.map(Some), "{persons}");
    }
}

#[test]
fn a_home_that_was_kept_can_be_looked_at() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = scratch.path().join("kept");
    let kept = kept.to_str().unwrap();
    let told = without_home(&["drill", "--individuals", "12", "--keep", kept]).exits(0);
    let told = told.says(&[
        "A drill:",
        "STARTTLS",
        "12 persons = 9 informed + 3 unreached + 0 in doubt + 0 pending",
        "The drill went well",
        &format!("breachpost --home {kept} campaign report cmp_1"),
    ]);
    assert_eq!(told.stderr, "");

    let at = |line: &[&str]| without_home(&[line, &["--home", kept, "--json"]].concat());
    let status = at(&["status"]);
    assert!([0, 2].contains(&status.status), "{status:?}");
    assert_eq!(status.json()["daemon"], false);
    let notices = at(&["notice", "list"]).exits(0).json();
    assert_eq!(notices[0]["state"], "acknowledged");
    let report = at(&["campaign", "report", "cmp_1"]).exits(0).json();
    assert_eq!(report["state"], "settling");
    let counts = ["total", "informed", "unreached", "possibly_twice"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [12, 9, 3, 1], "{report}");
    let reasons = json!({ "address_characters": 1, "address_unknown": 1, "mailbox_disabled": 1 });
    assert_eq!(report["reasons"], reasons);

    // One of each kind, and what is known of them.
    for (address, status, outcomes, state) in [
        ("cut-off-1@post.example", 0, &["in_doubt", "accepted"][..], "handed"),
        ("gone-5@post.example", 2, &["refused"], "failed"),
        ("returned-7@office.example", 2, &["accepted"], "failed"),
        ("later-9@post.example", 0, &["deferred", "accepted"], "handed"),
    ] {
        let found = at(&["campaign", "find", address]).exits(status).json();
        let attempts = found[0]["attempts"].as_array().unwrap().iter();
        let had: Vec<&str> = attempts.map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
        assert_eq!(
            (had.as_slice(), &found[0]["state"]),
            (outcomes, &state.into()),
            "{address}"
        );
    }
    // As a person reads it.
    let shown = |line: &[&str]| without_home(&[line, &["--home", kept]].concat());
    shown(&["status"]).says(&["settling  9 informed, 0 pending, 0 in doubt, 3 unreached"]);
    shown(&["campaign", "report", "cmp_1"]).says(&[
        "the address has a space",
        "their server knows no such address",
        "their mailbox is closed",
    ]);
    shown(&["campaign", "find", "cut-off-1@post.example"]).says(&["the relay closed the connection", "twice"]);
    shown(&["campaign", "find", "returned-7@office.example"]).says(&[")  550 5.2.1 the mailbox is closed"]);
    shown(&["campaign", "check", "cmp_1"]).says(&["1 person gets one message in lb, fr, de, pt, en, nl"]);
    let checked = at(&["campaign", "check", "cmp_1"]).json();
    assert_eq!((&checked["rows"], &checked["duplicates"]), (&13.into(), &1.into()));
    assert_eq!(checked["flags"]["certificate"], 1);
    assert_eq!(
        (&checked["in_fallback_language"], &checked["flags"]["formula"]),
        (&0.into(), &Value::Null)
    );

    assert_eq!(at(&["journal", "verify"]).exits(0).json()["intact"], true);
    without_home(&["drill", "--keep", kept])
        .exits(1)
        .says(&["is not empty"]);
}
