//! The ledger at the size of a campaign: 20,000 persons, or a million with `BREACHPOST_LONG`. What it costs is measured by
//! the benches; here stands what must hold at any size.

use breachpost::store::sqlite::Sqlite;
use breachpost::store::{Campaigns, ListTarget, Lists, Outbox, Tally};
use serde_json::json;

use crate::bed::{Bed, accepted, add_breach, anna, approve, at, claim, done, intact, list, person, row, worker};
use crate::sqlite::Home;

const CHUNK: usize = 5_000;
const BATCH: u32 = 500;

/// Claims a batch, puts it on the wire, and stores its outcomes with the next batch's marks.
async fn batches(store: &Sqlite, count: u32) {
    let mut last = Vec::new();
    for _ in 0..count {
        let next = claim(store, worker(1), BATCH, at(1)).await;
        assert_eq!(next.len(), BATCH as usize);
        let outcomes = last.iter().map(|c| done(c, accepted())).collect();
        assert_eq!(store.step(outcomes, next.clone(), at(2)).await.unwrap(), []);
        last = next;
    }
    let outcomes = last.iter().map(|c| done(c, accepted())).collect();
    store.step(outcomes, vec![], at(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_campaign_is_counted_right() {
    let (persons, count): (usize, u32) = match std::env::var_os("BREACHPOST_LONG") {
        Some(_) => (1_000_000, 200),
        None => (20_000, 10),
    };
    let home = Home::new();
    let store = home.open();
    let breach = add_breach(&store).await;
    let content = json!({});
    let new = list(ListTarget::Fresh { breach, content }, 'a', persons as u64);
    let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
    let campaign = open.campaign;
    for first in (0..persons).step_by(CHUNK) {
        let chunk = (first..first + CHUNK).map(|n| row(person(n))).collect();
        store
            .add_rows(open.list, first as u64, chunk, &anna(), at(0))
            .await
            .unwrap();
    }
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();

    batches(&store, count).await;
    let handed = u64::from(BATCH * count);
    let wanted = Tally {
        ready: persons as u64 - handed,
        handed,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    intact(&store).await;
}
