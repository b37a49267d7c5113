//! Whoever runs a campaign for the first time, at night: what they get wrong is refused or named, nobody of their list is
//! lost by it, and each hint that is printed leads on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::campaign::Letter;
use breachpost::dispatch::office::Office;
use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::SystemClock;
use breachpost::model::id::{Actor, CampaignId};
use serde_json::{Value, json};

use world::campaign::coverage;
use world::relay::Relay;
use world::{BREACH, Ran, World, text};

fn world(relay: &Relay) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world
}
/// A campaign from this list; its id is cmp_1, cmp_2 and so on.
fn create(world: &World, name: &str, list: &str, more: &[&str]) -> Ran {
    let file = world.file(name, list.as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", &file];
    world.run(&[&line[..], more].concat())
}
fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line].concat())
}
fn as_json(world: &World, line: &[&str]) -> Value {
    campaign(world, &[line, &["--json"]].concat()).json()
}
/// The rows of a CSV text, each by the names of its columns.
fn table(csv: &str) -> Vec<Value> {
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header = rows.headers().unwrap().clone();
    let named = |row: csv::StringRecord| json!(header.iter().zip(&row).collect::<std::collections::BTreeMap<_, _>>());
    rows.records().map(|row| named(row.unwrap())).collect()
}

const BLANK: &str = "texts:\n  en: { what_happened: '[NAME] TODO ____ account LU28 0019 4006 4475 0000.' }\n";
const ENGLISH: &str = "email,name,language\nanna@example.lu,Anna,en\n";

#[test]
fn what_must_not_be_sent_is_not_approved_without_a_reason() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = world.file("texts.yaml", BLANK.as_bytes());
    create(&world, "list.csv", ENGLISH, &["--texts", &texts]).exits(0);
    let refused = campaign(&world, &["approve", "cmp_1", "--yes"]).exits(2);
    refused.says(&["must not be sent", "hint: breachpost campaign check cmp_1", "--despite-errors"]);
    campaign(&world, &["approve", "cmp_1", "--yes", "--despite-errors"]).exits(64);
    campaign(&world, &["approve", "cmp_1", "--yes", "--despite-errors", "--reason", " "]).exits(2);
    assert_eq!(as_json(&world, &["status", "cmp_1"])["state"], "draft");

    let reason = "the account number is the one that was published";
    let line = ["approve", "cmp_1", "--yes", "--despite-errors", "--reason", reason];
    campaign(&world, &line).exits(0);
    world
        .run(&["breach", "show", world.breach()])
        .exits(0)
        .says(&["cmp_1", reason]);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(1).len(), 1);

    // Where nothing is wrong, there is nothing to overrule.
    create(&world, "sound.csv", ENGLISH, &[]).exits(0);
    let needless = ["approve", "cmp_2", "--yes", "--despite-errors", "--reason", reason];
    campaign(&world, &needless).exits(2).says(&["no error"]);
    world.is_intact();
}

/// Agreed to in another way than by the command, such as by a version that did not look.
#[test]
fn what_must_not_be_sent_is_not_started_either() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = world.file("texts.yaml", BLANK.as_bytes());
    create(&world, "list.csv", ENGLISH, &["--texts", &texts]).exits(0);
    let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let id: CampaignId = "cmp_1".parse().unwrap();
        let hash = Letter::of(&office, id).await.unwrap().digest(&office, id).await.unwrap();
        let by = Actor::Os("tester".to_owned());
        let agreed = office.store.approve_campaign(id, &hash, 1, &by, office.now()).await;
        agreed.unwrap();
    });
    drop(office);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["must not be sent", "breachpost campaign check cmp_1"]);
    assert!(relay.mails().is_empty());
}
