//! The drill as a user runs it: with nothing configured, it rehearses the whole main job and says how it went.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::process::Command;

use serde_json::Value;

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
    serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn the_verdict_keeps_the_contract_for_any_number_of_individuals() {
    for (individuals, unreached) in [(25, 2), (0, 0), (1, 0)] {
        let verdict = verdict(&["--individuals", &individuals.to_string()]);
        assert_eq!(verdict["ok"], true, "{verdict}");
        assert_eq!(verdict["notices"]["sent"], 1);
        assert_eq!(verdict["notices"]["acknowledged"], 1);
        let persons = &verdict["individuals"];
        let count = |name: &str| persons[name].as_u64().unwrap();
        assert_eq!(count("total"), individuals, "{verdict}");
        assert_eq!(
            count("unreached"),
            unreached,
            "planned refusals end unreached: {verdict}"
        );
        assert_eq!(count("informed"), individuals - unreached, "{verdict}");
        assert_eq!((count("in_doubt"), count("pending")), (0, 0), "{verdict}");
        assert!(verdict["elapsed_ms"].is_u64(), "{verdict}");
    }
}

#[test]
fn a_home_that_was_kept_can_be_looked_at() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = scratch.path().join("kept");
    let kept = kept.to_str().unwrap();
    let told = without_home(&["drill", "--individuals", "12", "--keep", kept]).exits(0);
    let told = told.says(&["A drill:", "STARTTLS", "The drill went well", kept]);
    assert_eq!(told.stderr, "");

    let at = |line: &[&str]| without_home(&[line, &["--home", kept, "--json"]].concat());
    let status = at(&["status"]);
    assert!([0, 2].contains(&status.status), "{status:?}");
    assert_eq!(status.json()["daemon"], false);
    let notices = at(&["notice", "list"]).exits(0).json();
    assert_eq!(notices[0]["state"], "acknowledged");
    assert_eq!(at(&["journal", "verify"]).exits(0).json()["intact"], true);
    without_home(&["drill", "--keep", kept])
        .exits(1)
        .says(&["is not empty"]);
}
