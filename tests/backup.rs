//! A backup is complete, comes back as a home, and never sends by itself what the original may have sent since.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use breachpost::drill::receiver::{Act, Step};

use world::campaign::Campaign;
use world::relay::Relay;
use world::{BREACH, World, text};

fn path(world: &World, name: &str) -> String {
    world.scratch().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_backup_comes_back_as_it_was_and_holds_what_waited() {
    let relay = Relay::troubled(Step::Rcpt, Act::reply("451 4.3.0 later"), 1);
    let world = World::ready(&relay);
    let waiting = text(&world.send(&[]).exits(2).json()["reference"]);
    let backup = path(&world, "backup");
    let made = world.json(&["backup", "-o", &backup]);
    let names = made["backup"]["files"].to_string();
    for name in ["breachpost.db", "config.yaml", "keys/sender.asc", "keys/store.key"] {
        assert!(names.contains(name), "{name}: {names}");
    }
    for folder in [Path::new(&backup), &Path::new(&backup).join("keys")] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o077, 0);
    }
    // Meanwhile the original sends it.
    world.run(&["notice", "retry", &waiting]).exits(0);
    assert_eq!(relay.taken(1).len(), 1);

    let home = path(&world, "restored");
    world
        .run(&["restore", &backup, "--home", &home])
        .exits(0)
        .says(&["is a home again", "held"]);
    world.run(&["journal", "verify", "--home", &home]).exits(0);
    let listed = world.json(&["notice", "list", "--home", &home]);
    assert!(listed.to_string().contains("held"), "at once: {listed}");
    world.run(&["serve", "--once", "--home", &home]);
    let shown = world
        .run(&["notice", "show", &waiting, "--home", &home, "--json"])
        .exits(2)
        .json();
    assert_eq!(shown["state"], "held");
    assert!(shown["held"].to_string().contains("was restored"), "{shown}");
    assert_eq!(relay.mails().len(), 1, "nothing left a second time");
    // A person says otherwise.
    world.run(&["notice", "retry", &waiting, "--home", &home]).exits(0);
    assert_eq!(relay.mails().len(), 2);
}

#[test]
fn a_store_copied_back_over_itself_writes_to_nobody_again() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let backup = path(&world, "backup");
    let addresses: Vec<String> = (0..5).map(|n| format!("person{n}@example.lu")).collect();
    drop(Campaign::start(&world, &addresses));
    world.run(&["backup", "-o", &backup]).exits(0);
    world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(5).len(), 5);

    // `cp`, as after a disk that failed: it stays the same file.
    fs::copy(
        Path::new(&backup).join("breachpost.db"),
        world.home().join("breachpost.db"),
    )
    .unwrap();
    world
        .run(&["campaign", "start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["was restored", "campaign resume cmp_1"]);
    world.run(&["serve", "--once"]);
    assert_eq!(relay.mails().len(), 5, "nobody is told again by itself");
    // A person says otherwise, and everybody may have been told twice.
    world.run(&["campaign", "resume", "cmp_1"]).exits(0);
    world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.mails().len(), 10);
    let report = world.json(&["campaign", "report", "cmp_1"]);
    assert_eq!((&report["informed"], &report["possibly_twice"]), (&5.into(), &5.into()));
    world.is_intact();
}

#[test]
fn what_was_approved_does_not_start_from_a_backup() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let (backup, home) = (path(&world, "backup"), path(&world, "restored"));
    let breach = world.open_breach(BREACH);
    let list = world.file("list.csv", b"email,name,language\nanna@example.lu,Anna,en\n");
    world
        .run(&["campaign", "create", &breach, "--recipients", &list])
        .exits(0);
    world
        .run(&["breach", "decide", &breach, "inform", "--rationale", "high risk"])
        .exits(0);
    world.run(&["campaign", "approve", "cmp_1", "--yes"]).exits(0);
    world.run(&["backup", "-o", &backup]).exits(0);
    world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(1).len(), 1);

    world.run(&["restore", &backup, "--home", &home]).exits(0);
    let start = ["campaign", "start", "cmp_1", "--yes", "--home", &home];
    world.run(&start).exits(2).says(&["was restored"]);
    assert_eq!(relay.mails().len(), 1);
    let status = world.run(&["status", "--home", &home]);
    status.exits(2).says(&["cmp_1", "was restored"]);
    world.run(&["campaign", "resume", "cmp_1", "--home", &home]).exits(0);
    world.run(&start).exits(0);
    let report = world.json(&["campaign", "report", "cmp_1", "--home", &home]);
    assert_eq!((&report["informed"], &report["possibly_twice"]), (&1.into(), &1.into()));
}

#[test]
fn a_backup_that_was_changed_or_cut_is_refused() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let (backup, home) = (path(&world, "backup"), path(&world, "restored"));
    world.run(&["backup", "-o", &backup]).exits(0);
    world.run(&["backup", "-o", &backup]).exits(64).says(&["not empty"]);
    let config = Path::new(&backup).join("config.yaml");
    let whole = fs::read(&config).unwrap();
    fs::write(&config, &whole[1..]).unwrap();
    world
        .run(&["restore", &backup, "--home", &home])
        .exits(2)
        .says(&["config.yaml is missing or was changed"]);
    fs::write(&config, &whole).unwrap();
    let list = Path::new(&backup).join("backup.json");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("\"config.yaml\"", "\"../config.yaml\"")).unwrap();
    world.run(&["restore", &backup, "--home", &home]).exits(2);
    fs::remove_file(&list).unwrap();
    world
        .run(&["restore", &backup, "--home", &home])
        .exits(64)
        .says(&["no complete backup"]);
    assert!(!Path::new(&home).exists(), "nothing half-restored");
}

/// It has a store of its own, wherever the original's lies.
#[test]
fn a_store_outside_the_home_comes_back_into_it() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    let elsewhere = world.scratch().join("elsewhere.db");
    for (number, place) in ["../elsewhere.db", elsewhere.to_str().unwrap()].into_iter().enumerate() {
        let config = fs::read_to_string(world.home().join("config.yaml")).unwrap();
        let lines = config
            .lines()
            .filter(|line| !line.trim_start_matches('#').starts_with("store:"));
        let lines: Vec<&str> = lines.collect();
        let config = format!("{}\nstore: \"sqlite:{place}\"\n", lines.join("\n"));
        fs::write(world.home().join("config.yaml"), config).unwrap();
        world.open_breach(BREACH);
        let backup = path(&world, &format!("backup{number}"));
        let home = path(&world, &format!("restored{number}"));
        world.run(&["backup", "-o", &backup]).exits(0);
        world.run(&["restore", &backup, "--home", &home]).exits(0);
        let counted = |more: &[&str]| {
            let listed = world.json(&[&["breach", "list"][..], more].concat());
            listed.to_string().matches("\"B-20").count()
        };
        let ours = counted(&[]);
        assert_eq!(counted(&["--home", &home]), ours, "{place}");
        let closed = ["breach", "open", "-", "--home", &home];
        world.run_with(&closed, BREACH.as_bytes()).exits(0);
        assert!(counted(&["--home", &home]) > ours, "{place}");
        assert_eq!(counted(&[]), ours, "the original's store is its own: {place}");
    }
}

#[test]
fn without_keys_the_copy_holds_none() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let backup = path(&world, "backup");
    world
        .run(&["backup", "-o", &backup, "--without-keys"])
        .exits(0)
        .says(&["cannot be opened"]);
    assert!(!Path::new(&backup).join("keys").exists());
}
