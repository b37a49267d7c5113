//! What comes back of a campaign, as a user sees it: bounces, delays and proofs of delivery from real servers, written by
//! Postfix and read from Dovecot, and those that come late, twice or for somebody told otherwise. Needs the packages that
//! tests/setup installs, and root, which Postfix asks for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../dovecot/mod.rs"]
mod dovecot;
mod late;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../postfix/mod.rs"]
mod postfix;
mod requests;
mod servers;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;

use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::office::Office;
use breachpost::model::SystemClock;
use breachpost::store::JournalEntry;
use serde_json::Value;

use world::campaign::coverage;
use world::dsn::Dsn;
use world::relay::Relay;
use world::{BREACH, Ran, World};

/// Whom campaigns come from.
const INDIVIDUALS: &str = "persons@company.example";

fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line, &["--json"]].concat())
}
fn report(world: &World) -> Value {
    campaign(world, &["report", "cmp_1"]).exits(0).json()
}
/// Makes `cmp_1` of a list and approves it.
fn approved(world: &World, list: &str) {
    world.open_breach(BREACH);
    let list = world.file("list.csv", list.as_bytes());
    world.run(&["campaign", "create", world.breach(), "--recipients", &list]);
    campaign(world, &["approve", "cmp_1", "--yes"]).exits(0);
}

/// A campaign to three that all were taken, and the envelope and headers of what each got.
struct Sent {
    world: World,
    _relay: Relay,
    mails: Vec<(String, String)>,
}
impl Sent {
    fn new(settings: &[(&str, &str)]) -> Self {
        let relay = Relay::sound();
        let world = World::new(&relay);
        world.settle("#verp: none", "verp: plus");
        for (old, new) in settings {
            world.settle(old, new);
        }
        let list = "email,name,language\nanna@example.lu,Anna,de\nben@example.lu,Ben,fr\ncleo@example.lu,Cleo,en\n";
        approved(&world, list);
        campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
        let mails = relay.taken(3).into_iter().map(|mail| {
            let text = String::from_utf8_lossy(&mail.bytes).into_owned();
            let head = text.split_once("\r\n\r\n").unwrap().0.to_owned();
            (mail.envelope_from.clone(), head)
        });
        Self {
            mails: mails.collect(),
            world,
            _relay: relay,
        }
    }
    /// A report about one of them, as a mail server writes it, on top of it what a way adds.
    fn report(&self, on_top: &str, address: &str, action: &str) -> Ran {
        let is_theirs = |head: &str| {
            head.lines()
                .any(|line| line.starts_with("To: ") && line.contains(address))
        };
        let (path, head) = self.mails.iter().find(|(_, head)| is_theirs(head)).unwrap();
        let dsn = Dsn {
            to: path,
            envelope_id: None,
            action,
            recipient: address,
            original: None,
            returned: head,
        };
        let mail = format!("{on_top}{}", dsn.write());
        self.world
            .run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
    }
    fn coverage(&self) -> [u64; 5] {
        coverage(&report(&self.world))
    }
    fn found(&self, address: &str) -> Value {
        campaign(&self.world, &["find", address]).json()[0].clone()
    }
    fn journal(&self) -> Vec<JournalEntry> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let office = Office::open(Home::at(&self.world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        runtime.block_on(office.store.list_journal(0, 10_000)).unwrap()
    }
}
