//! Long work as somebody sees it who sits at a terminal, narrow or wide, and who stops it with Ctrl-C; elsewhere nothing of
//! the kind is written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use serde_json::Value;

use world::relay::Relay;
use world::screen::{Screen, stands};
use world::{BREACH, World};

/// An approved campaign `cmp_1` of so many persons; the first is refused, the second deferred for long.
fn approved(relay: &Relay, persons: usize) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world.settle(
        "first_seconds: 1, max_seconds: 2",
        "first_seconds: 600, max_seconds: 600",
    );
    let mut list = "email,name,language\nnobody@refused.example,Marc,fr\nlater@later.example,Lena,fr\n".to_owned();
    for n in 2..persons {
        list.push_str(&format!("person{n}@example.lu,Person {n},fr\n"));
    }
    world.file("list.csv", list.as_bytes());
    for line in [
        &["campaign", "create", world.breach(), "--recipients", "list.csv"][..],
        &["campaign", "approve", "cmp_1", "--yes"],
    ] {
        world.run(line).exits(0);
    }
    world
}
fn relay() -> Relay {
    let refused = Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user"));
    let deferred = Trouble::at(Step::Rcpt, Act::reply("450 4.2.1 later"));
    Relay::start(
        Plan::clear()
            .with(refused.to(|address| address.ends_with("@refused.example")))
            .with(deferred.to(|address| address.ends_with("@later.example"))),
    )
}
fn status(world: &World) -> Value {
    world.run(&["campaign", "status", "cmp_1", "--json"]).json()
}
/// No line of the progress is as wide as the terminal, which would break it anywhere. Notes are no part of it.
#[track_caller]
fn fits(written: &str, columns: usize) {
    for part in written.split(['\r', '\n']).filter(|part| !part.contains("breachpost")) {
        let seen = stands(part);
        assert!(seen.chars().count() < columns, "{seen:?} in {columns} columns");
    }
}

#[test]
fn a_run_shows_how_far_it_is_and_leaves_nothing_behind() {
    let relay = relay();
    for (columns, bar) in [(40, false), (120, true)] {
        let world = approved(&relay, 12);
        let screen = Screen::of(world.command(&["campaign", "start", "cmp_1", "--yes"]), columns);
        for words in [
            "0 of 12",
            "11 of 12",
            "10 informed",
            "1 deferred",
            "1 unreached",
            "0 in doubt",
            "left",
        ] {
            screen.until_written(words);
        }
        let written = screen.written();
        assert_eq!(written.contains("░"), bar, "{written:?}");
        fits(&written, columns.into());
        let ran = screen.ends().exits(2);
        assert_eq!(
            ran.stderr,
            "Some wait for another try. It goes on with: breachpost serve, or: breachpost campaign start cmp_1"
        );
        assert!(ran.stdout.contains("informed   10"), "{}", ran.stdout);
        let status = status(&world);
        assert_eq!((&status["deferred"], &status["pending"]), (&1.into(), &1.into()));
    }
}

#[test]
fn nothing_of_the_kind_where_nobody_watches() {
    let relay = relay();
    let world = approved(&relay, 12);
    let ran = world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(2);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    let world = approved(&relay, 12);
    let mut line = world.command(&["campaign", "start", "cmp_1", "--yes"]);
    let screen = Screen::of(
        {
            line.arg("--json");
            line
        },
        80,
    );
    let ran = screen.ends().exits(2);
    assert_eq!(ran.json()["deferred"], 1, "a program reads one document");
    assert!(!ran.stderr.contains("left"), "{}", ran.stderr);
}

#[test]
fn ctrl_c_ends_what_is_on_the_wire_and_says_how_to_go_on() {
    let relay = Relay::sound();
    let world = approved(&relay, 30);
    world.settle("#e.g. per_second: 20", "per_second: 2");
    let screen = Screen::of(world.command(&["campaign", "start", "cmp_1", "--yes"]), 40);
    // The line may skip a number; the relay counts each.
    relay.taken(3);
    screen.until_written("of 30,");
    screen.interrupt();
    let ran = screen.ends().exits(2).says(&[
        "Stopping: what is on the wire ends first.",
        "have not been written to. It goes on with: breachpost serve, or: breachpost campaign start cmp_1",
    ]);
    assert!(!ran.stderr.contains("of 30"), "{}", ran.stderr);
    let told = relay.mails().len();
    let stopped = status(&world);
    assert_eq!(
        (
            &stopped["state"],
            &stopped["informed"],
            &stopped["in_doubt"],
            &stopped["pending"]
        ),
        (&"running".into(), &told.into(), &0.into(), &(30 - told).into())
    );

    // Nobody twice, nobody skipped.
    world.settle("per_second: 2\n", "#per_second: 2\n");
    world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(0);
    let mut told: Vec<String> = relay
        .taken(30)
        .iter()
        .map(|mail| mail.recipients[0].address.clone())
        .collect();
    told.sort();
    told.dedup();
    assert_eq!((told.len(), relay.mails().len()), (30, 30));
    assert_eq!(status(&world)["possibly_twice"], 0);
}

#[test]
fn who_follows_a_daemon_may_stop_following() {
    let relay = Relay::sound();
    let world = approved(&relay, 40);
    world.settle("#e.g. per_second: 20", "per_second: 2");
    let daemon = world.serve();
    let screen = Screen::of(world.command(&["campaign", "start", "cmp_1", "--yes", "--wait"]), 80);
    screen.until_written("left");
    screen.interrupt();
    screen
        .ends()
        .exits(0)
        .says(&["It goes on without you.", "breachpost campaign status cmp_1 --watch"]);
    assert_eq!(status(&world)["state"], "running");
    daemon.stop();
}

#[test]
fn an_import_shows_its_rows_and_goes_on_after_ctrl_c() {
    const ROWS: usize = 30_000;
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let mut list = "email,name\n".to_owned();
    for n in 0..ROWS {
        list.push_str(&format!("person{n}@example.lu,Person {n}\n"));
    }
    world.file("list.csv", list.as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    let screen = Screen::of(world.command(&line), 40);
    screen.until_written("of 30,000 rows");
    screen.interrupt();
    fits(&screen.written(), 40);
    let ran = screen.ends().exits(2).says(&[
        "rows are in, and stay in",
        &format!("breachpost campaign create {} --recipients 'list.csv'", world.breach()),
    ]);
    assert!(!ran.stderr.contains("cannot be used"), "{}", ran.stderr);

    let screen = Screen::of(world.command(&line), 100);
    let ran = screen.ends().exits(0).says(&["An earlier run had brought in"]);
    assert_eq!(ran.stderr, "", "the line is gone");
    assert!(ran.stdout.contains("30,000 rows: 30,000 persons"), "{}", ran.stdout);
}
