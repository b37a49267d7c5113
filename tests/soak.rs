//! Many mixed mails, one after the other, as a mailbox brings them: whatever they are, each is stored, understood and
//! counted once, and none stops the next. 2,000 of them; with `tests/run --long` 100,000.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use breachpost::dispatch::dkim::{Names, NoAnswer};
use breachpost::dispatch::intake;
use breachpost::store::JournalVerdict;

use scratch::{Scratch, me};

/// Every mail of the corpus.
fn corpus() -> Vec<Vec<u8>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail")];
    let mut mails = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "eml") {
                mails.push(std::fs::read(path).unwrap());
            }
        }
    }
    mails
}

/// No name server, whatever machine this runs on.
struct Nobody;
#[async_trait::async_trait]
impl Names for Nobody {
    async fn texts(&self, _: &str) -> Result<Vec<Vec<u8>>, NoAnswer> {
        Err(NoAnswer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mail_is_counted_once() {
    let wanted = match std::env::var_os("BREACHPOST_LONG") {
        Some(_) => 100_000,
        None => 2_000,
    };
    let scratch = Scratch::new().await;
    let mut office = scratch.office.clone();
    office.names = Arc::new(Nobody);
    let corpus = corpus();
    assert!(corpus.len() > 400);

    let (mut new, mut known, mut waiting) = (0, 0, 0);
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    for n in 0..wanted {
        // Every tenth comes a second time, as after a crash of whoever fetched it.
        let original = if n % 10 == 9 { n - 1 } else { n };
        let mut mail = corpus[original % corpus.len()].clone();
        mail.extend_from_slice(format!("\r\nsoak {original}\r\n").as_bytes());
        let taken = intake::ingest(&office, &mail, &format!("soak:{n}"), &me())
            .await
            .unwrap();
        assert_eq!(taken.new, original == n, "{n}");
        if !taken.new {
            known += 1;
            continue;
        }
        new += 1;
        waiting += usize::from(taken.understanding.in_tray);
        *kinds.entry(taken.understanding.kind.name()).or_default() += 1;
    }
    println!("{wanted} mails: {new} new, {known} known, {waiting} in the tray; {kinds:?}");
    assert_eq!((new, known), (wanted - wanted / 10, wanted / 10));
    assert_eq!(kinds.values().sum::<usize>(), new);
    for kind in ["bounce", "delay", "delivered", "autoreply", "reply", "report", "other"] {
        assert!(kinds[kind] > 0, "{kind}: {kinds:?}");
    }
    assert_eq!(office.store.list_tray().await.unwrap().len(), waiting);
    assert!(office.store.list_unread().await.unwrap().is_empty());
    assert!(matches!(
        office.store.verify_journal().await.unwrap(),
        JournalVerdict::Intact { .. }
    ));
}
