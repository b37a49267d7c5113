//! Measures the ledger at a size that matters; asserts only what must hold at any speed. Not part of a usual run:
//! `cargo test --release --test contract -- --ignored --nocapture scale`.

use std::time::{Duration, Instant};

use breachpost::store::sqlite::Sqlite;
use breachpost::store::{Campaigns, ListTarget, Lists, Outbox, Tally};
use serde_json::json;

use crate::bed::{Bed, accepted, add_breach, anna, approve, at, claim, done, intact, list, person, row, worker};
use crate::sqlite::Home;

const PERSONS: usize = 1_000_000;
const CHUNK: usize = 5_000;
const BATCH: u32 = 500;

/// Claims a batch, puts it on the wire, and stores its outcomes with the next batch's marks.
async fn batches(store: &Sqlite, count: u32) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut last = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let next = claim(store, worker(1), BATCH, at(1)).await;
        assert_eq!(next.len(), BATCH as usize);
        let outcomes = last.iter().map(|c| done(c, accepted())).collect();
        assert_eq!(store.step(outcomes, next.clone(), at(2)).await.unwrap(), []);
        times.push(start.elapsed());
        last = next;
    }
    let outcomes = last.iter().map(|c| done(c, accepted())).collect();
    store.step(outcomes, vec![], at(2)).await.unwrap();
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of about a minute"]
async fn a_million_persons() {
    let home = Home::new();
    let store = home.open();
    let breach = add_breach(&store).await;
    let content = json!({});
    let new = list(ListTarget::Fresh { breach, content }, 'a', PERSONS as u64);
    let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
    let campaign = open.campaign;
    let start = Instant::now();
    for first in (0..PERSONS).step_by(CHUNK) {
        let chunk = (first..first + CHUNK).map(|n| row(person(n))).collect();
        store
            .add_rows(open.list, first as u64, chunk, &anna(), at(0))
            .await
            .unwrap();
    }
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    let rate = PERSONS as f64 / start.elapsed().as_secs_f64();
    println!("import: {rate:.0} persons/s");
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();

    let batches = batches(&store, 200).await;
    let rate = batches.len() as f64 * f64::from(BATCH) / batches.iter().sum::<Duration>().as_secs_f64();
    let (middle, slow) = (batches[batches.len() / 2], batches[batches.len() * 99 / 100]);
    println!("claim, on wire, outcome: {rate:.0} messages/s; a batch of {BATCH}: p50 {middle:?}, p99 {slow:?}");

    let start = Instant::now();
    let tally = store.tally(campaign).await.unwrap();
    println!("tally: {:?}", start.elapsed());
    let handed = u64::from(BATCH) * batches.len() as u64;
    let ready = PERSONS as u64 - handed;
    assert_eq!(
        tally,
        Tally {
            ready,
            handed,
            ..Tally::default()
        }
    );
    let start = Instant::now();
    intact(&store).await;
    println!("verify: {:?}", start.elapsed());
    println!("file: {} MiB", std::fs::metadata(home.path()).unwrap().len() >> 20);
}
