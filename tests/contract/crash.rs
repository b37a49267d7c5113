//! A process that is killed in the middle of its work: nothing that was answered `Ok` may be gone. The test program
//! starts itself as the process to be killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use breachpost::model::id::{CampaignId, DeliveryId};
use breachpost::store::sqlite::Sqlite;
use breachpost::store::{Campaigns, Claim, Journal, Notices, Outbox};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, anna, at, claim, done, intact, notice, retries, run_campaign, state, worker,
};
use crate::sqlite::{Home, key};

/// Where the child finds its store; also what makes it the child.
const STORE: &str = "BREACHPOST_TEST_CRASH_STORE";
const PERSONS: usize = 3_000;

/// One line for each answer, written after it came.
fn say(line: String) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// The process to be killed. Does nothing unless [`killed_in_mid_work`] started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else {
        return;
    };
    let store = Sqlite::open(&path, &key()).unwrap();
    let connections = (1..=4).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut last: Vec<Claim> = Vec::new();
            let mut next = claim(&store, worker(n), 3, at(1)).await;
            while !(last.is_empty() && next.is_empty()) {
                let outcomes = last.iter().map(|c| done(c, accepted())).collect();
                assert_eq!(store.step(outcomes, next.clone(), at(2)).await.unwrap(), []);
                let said = last.iter().map(|c| format!("\nhanded {}\n", c.delivery));
                say(said
                    .chain(next.iter().map(|c| format!("\nwire {}\n", c.delivery)))
                    .collect());
                last = next;
                next = claim(&store, worker(n), 3, at(1)).await;
            }
        })
    });
    let connections: Vec<_> = connections.collect();
    let breach = add_breach(&store).await;
    for n in 0..=255 {
        let filed = store
            .file_notice(notice(breach, n), &anna(), at(1_000_000))
            .await
            .unwrap()
            .unwrap();
        say(format!("\nfiled {filed}\n"));
    }
    for connection in connections {
        connection.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_work() {
    // Killed at different moments: after so many answers.
    for answers in [1, 40, 400] {
        let home = Home::new();
        // Stays open and writes too: two processes share the file, and one of them is killed.
        let store = home.open();
        let campaign = run_campaign(&store, PERSONS).await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(STORE, home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said: Vec<(String, DeliveryId)> = Vec::new();
        let mut killed = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((word, id)) = line
                .split_once(' ')
                .filter(|(word, _)| ["handed", "wire", "filed"].contains(word))
            {
                // The last line may be half.
                said.extend(id.parse().ok().map(|id| (word.to_owned(), id)));
            }
            if said.len() % 20 == 1 {
                store.append("test.parent", json!({}), &anna(), at(3)).await.unwrap();
            }
            if said.len() >= answers && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        let status = child.wait().unwrap();
        assert!(
            killed && !status.success(),
            "ended by itself after {} answers",
            said.len()
        );
        check(&store, campaign, &said).await;
        drop(store);
        intact(&home.open()).await;
    }
}

async fn check(store: &Sqlite, campaign: CampaignId, said: &[(String, DeliveryId)]) {
    let of =
        |word: &str| -> BTreeSet<DeliveryId> { said.iter().filter(|(w, _)| w == word).map(|(_, id)| *id).collect() };
    for id in of("filed") {
        assert_eq!(state(store, id).await, "ready", "{id}");
    }
    for id in of("handed") {
        assert_eq!(state(store, id).await, "handed", "{id}");
    }
    for id in of("wire").difference(&of("handed")) {
        let state = state(store, *id).await;
        assert!(["on_wire", "handed"].contains(&state), "{id} is {state}");
    }
    intact(store).await;

    // Nobody is skipped, and doubt is bounded by what was on the wire: 4 connections of 3.
    let dead: Vec<_> = (1..=4).map(worker).collect();
    store.recover(&dead, &retries(), at(10)).await.unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!(tally.ready + tally.in_doubt + tally.handed, PERSONS as u64, "{tally:?}");
    assert!(
        tally.in_doubt <= 12 && tally.possibly_twice == tally.in_doubt,
        "{tally:?}"
    );
    intact(store).await;
}
