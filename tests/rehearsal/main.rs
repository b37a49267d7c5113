//! Rehearsals on the real path: the drill's receiver is the relay, and the test is the server behind it (`server`), which
//! delivers into the Maildir what it makes of each mail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod doctor;
mod notice;
mod server;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use breachpost::config::Home;
use breachpost::dispatch::office::Office;
use breachpost::model::SystemClock;
use breachpost::store::JournalEntry;

use server::{Server, stamped};
use world::relay::Relay;
use world::{Ran, World};

/// A mail server behind the relay: what it is given goes into the Maildir as it makes it.
struct Behind<'w> {
    world: &'w World,
    relay: &'w Relay,
    server: Server,
    /// How many of the relay's mails it has taken on.
    done: &'w AtomicUsize,
}
impl Behind<'_> {
    /// Runs a command while it delivers.
    fn run(&self, line: &[&str]) -> Ran {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    self.relay.wait_beyond(self.done.load(Ordering::SeqCst));
                    self.deliver_new();
                }
            });
            let ran = self.world.run(line);
            over.store(true, Ordering::SeqCst);
            ran
        })
    }
    fn deliver_new(&self) {
        let mails = self.relay.mails();
        let from = self.done.swap(mails.len(), Ordering::SeqCst);
        for (number, mail) in mails.iter().enumerate().skip(from) {
            let made = (self.server)(mail);
            let copies = made.iter().enumerate();
            let named = copies.map(|(copy, text)| (format!("{number}.{copy}.host"), stamped(text, copy).into_bytes()));
            self.world.deliver_together(&named.collect::<Vec<_>>());
        }
    }
}

/// What the journal says of rehearsals, and that everything else is as if there had been none.
fn left_behind(world: &World) -> Vec<JournalEntry> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        assert_eq!(office.store.list_tray().await.unwrap(), [], "the tray");
        assert_eq!(office.store.list_notices(None).await.unwrap(), [], "no notice");
        let entries = office.store.list_journal(0, 10_000).await.unwrap();
        entries
            .into_iter()
            .filter(|entry| entry.event.starts_with("rehearsal."))
            .collect()
    })
}

/// The line of config.yaml that holds this.
fn setting(world: &World, held: &str) -> String {
    let config = std::fs::read_to_string(world.home().join("config.yaml")).unwrap();
    let is_setting = |text: &&str| text.contains(held) && !text.trim_start().starts_with('#');
    config.lines().find(is_setting).unwrap().to_owned()
}
