//! How long the ledger keeps others waiting: 500 persons are claimed, marked as on the wire, and what came of them is stored, again
//! and again, in a campaign of 20,000 and in one of 1,000,000 (goal: the slowest of a hundred rounds at most 30 ms, whatever
//! the length of the list). Run with `cargo bench --bench ledger`.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several benches, each of which needs a part")]
mod stage;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use breachpost::model::delivery::{Outcome, RetryPolicy, SmtpReply};
use breachpost::model::id::{Actor, WorkerId};
use breachpost::model::pace::Pace;
use breachpost::model::{Clock, SystemClock};
use breachpost::secret::Secret;
use breachpost::store::sqlite::{Sqlite, StoreKey};
use breachpost::store::{Campaigns, Claim, Done, Outbox, Which};
use chrono::TimeDelta;

use stage::Scene;

const FEW: usize = 20_000;
const MANY: usize = 1_000_000;
/// Persons of one round.
const TOGETHER: u32 = 500;
/// As many rounds as the short list has; of the long one, five times as many.
const ROUNDS: usize = FEW / TOGETHER as usize;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    println!("| persons | claimed | marked | outcomes stored | all three: median, p99 | goal |");
    println!("|---|---|---|---|---|---|");
    for (persons, rounds) in [(FEW, ROUNDS), (MANY, 5 * ROUNDS)] {
        let rounds = rounds_of(folder.path(), persons, rounds).await;
        let part = |part: usize| at(rounds.iter().map(|round| round[part]), 0.5);
        let whole = |share| at(rounds.iter().map(|round| round.iter().sum()), share);
        println!(
            "| {persons} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms, {:.1} ms | 30 ms |",
            part(0),
            part(1),
            part(2),
            whole(0.5),
            whole(0.99)
        );
    }
}

/// Milliseconds of each round: claimed, marked, outcomes stored.
async fn rounds_of(folder: &Path, persons: usize, rounds: usize) -> Vec<[f64; 3]> {
    let list = folder.join(format!("{persons}.csv"));
    write_list(&list, persons);
    let scene = Scene::new(folder.join(format!("home-{persons}")), 9);
    let campaign = scene.campaign(&list).parse().unwrap();
    let key = Secret::new(std::fs::read_to_string(scene.path.join("keys/store.key")).unwrap());
    let store = Sqlite::open(&scene.path.join("breachpost.db"), &StoreKey::from_hex(&key).unwrap()).unwrap();
    let (by, worker) = (Actor::Loop("bench".to_owned()), WorkerId::fresh());
    let now = SystemClock.now();
    let hash = "a".repeat(64);
    store.approve_campaign(campaign, &hash, 1, &by, now).await.unwrap();
    store.start(campaign, &by, now).await.unwrap();

    let mut taken = Vec::new();
    for _ in 0..rounds {
        let now = SystemClock.now();
        let begun = Instant::now();
        let which = Which::Persons(Pace::default());
        let claimed = store.claim(worker, TOGETHER, which, now, TimeDelta::minutes(5));
        let claims = claimed.await.unwrap().claims;
        assert_eq!(claims.len(), TOGETHER as usize);
        let claimed = begun.elapsed();
        store.step(Vec::new(), claims.clone(), now).await.unwrap();
        let marked = begun.elapsed();
        store.step(done(claims), Vec::new(), now).await.unwrap();
        let stored = begun.elapsed();
        let millis = |span: std::time::Duration| span.as_secs_f64() * 1e3;
        taken.push([millis(claimed), millis(marked - claimed), millis(stored - marked)]);
    }
    taken
}

fn done(claims: Vec<Claim>) -> Vec<Done> {
    let one = |claim: Claim| Done {
        outcome: Outcome::Accepted {
            reply: SmtpReply {
                code: 250,
                enhanced: Some("2.0.0".to_owned()),
                text: "Ok: queued as 4WxYz1AbCd".to_owned(),
            },
            tls: None,
        },
        message_id: Some(format!("<{}@bench.example>", claim.delivery)),
        retry: RetryPolicy {
            first: TimeDelta::minutes(1),
            max: TimeDelta::hours(1),
            until: None,
        },
        jitter: 0.0,
        claim,
    };
    claims.into_iter().map(one).collect()
}

fn write_list(path: &Path, persons: usize) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(b"email,name,language\n").unwrap();
    for n in 0..persons {
        writeln!(file, "person{n}@provider{}.example,Person {n},fr", n % 500).unwrap();
    }
    file.flush().unwrap();
}

/// The value below which this share of them lies.
fn at(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).ceil() as usize]
}
