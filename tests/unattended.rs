//! Campaigns that nobody looks after: nothing starts long after its time, nothing waits for ever without a word, and what
//! was never sent is not kept for ever.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use breachpost::config::Home;
use breachpost::dispatch::campaign::settle;
use breachpost::dispatch::clerk;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::{Clock, SystemClock};
use chrono::TimeDelta;

use scratch::TestClock;
use world::relay::Relay;
use world::{BREACH, Ran, World, text};

/// Ben's server puts everybody off.
fn puts_off() -> Relay {
    let later = Trouble::at(Step::Rcpt, Act::reply("450 4.2.0 greylisted, come back later"));
    Relay::start(Plan::clear().with(later.to(|address| address.ends_with("@puts-off.example"))))
}
/// A draft `cmp_1` of two persons.
fn drafted(relay: &Relay) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world.file(
        "list.csv",
        b"email,name\nanna@example.lu,Anna Weber\nben@puts-off.example,Ben Klein\n",
    );
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world.run(&create).exits(0);
    world
}
fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line, &["--json"]].concat())
}
fn state(world: &World) -> String {
    text(&campaign(world, &["status", "cmp_1"]).json()["state"])
}
/// The daemon's housekeeping so long from now.
fn after(world: &World, time: TimeDelta) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let clock = TestClock::at(SystemClock.now() + time);
        let office = Office::open(Home::at(&world.home()).unwrap(), clock).unwrap();
        let clerk = office.sign_on(WorkerKind::Daemon).await.unwrap();
        assert!(clerk::round(&office, clerk.id()).await.unwrap().leads);
        settle::round(&office).await.unwrap();
    });
}
/// The open alerts, by their names.
fn alerts(world: &World) -> Vec<String> {
    let listed = world.run(&["alert", "list", "--json"]).json();
    let open = listed.as_array().unwrap().iter();
    open.map(|alert| text(&alert["condition"])).collect()
}

/// A machine that was off for weeks writes to nobody when it is switched on.
#[test]
fn a_start_long_past_its_time_waits_for_a_person() {
    let relay = Relay::start(Plan::clear());
    let world = drafted(&relay);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    let soon = (SystemClock.now() + TimeDelta::hours(1)).to_rfc3339();
    campaign(&world, &["start", "cmp_1", "--at", &soon, "--yes"]).exits(0);
    after(&world, TimeDelta::hours(26));
    assert_eq!(state(&world), "paused");
    world
        .run(&["campaign", "status", "cmp_1"])
        .exits(2)
        .says(&["passed more than 24 hours ago"]);
    assert!(alerts(&world).contains(&"campaign_paused".to_owned()));

    // Somebody says that it is still right; some hours late is late, and no reason to stop.
    let later = (SystemClock.now() + TimeDelta::hours(2)).to_rfc3339();
    campaign(&world, &["start", "cmp_1", "--at", &later, "--yes"]).exits(0);
    after(&world, TimeDelta::hours(25));
    assert_eq!(state(&world), "running");
    assert!(relay.mails().is_empty(), "nobody carries it here");
}

/// A server that greylists for ever costs its person five days, and then they get a letter.
#[test]
fn whoever_is_put_off_for_days_is_unreached() {
    let relay = puts_off();
    let world = drafted(&relay);
    world.settle("#give_up_days: 5", "give_up_days: 3");
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    assert_eq!(relay.taken(1).len(), 1);
    after(&world, TimeDelta::hours(25));
    assert!(alerts(&world).contains(&"persons_waiting".to_owned()));
    assert_eq!(state(&world), "running");
    after(&world, TimeDelta::days(4));
    assert_eq!(state(&world), "settling");
    let report = world.run(&["campaign", "report", "cmp_1"]).exits(0);
    report.says(&["their server put us off for days, until we gave up"]);
    let unreached = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(unreached.contains("ben@puts-off.example") && !unreached.contains("anna@"));
    world.is_intact();
}

/// A list that was never sent is personal data too.
#[test]
fn what_was_never_sent_is_named_and_erased_in_the_end() {
    let relay = Relay::start(Plan::clear());
    let world = drafted(&relay);
    after(&world, TimeDelta::days(29));
    assert_eq!(alerts(&world), ["deadline"]);
    after(&world, TimeDelta::days(31));
    assert!(alerts(&world).contains(&"campaign_unfinished".to_owned()));
    assert_eq!(state(&world), "draft");
    after(&world, TimeDelta::days(366));
    assert_eq!(state(&world), "cancelled");
    world
        .run(&["campaign", "erase", "cmp_1", "--yes"])
        .exits(2)
        .says(&["erased already"]);
    world.is_intact();
}
