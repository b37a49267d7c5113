//! Whatever the clerks meet: another clerk, a relay that says nothing or is slow, a clock that jumps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use breachpost::dispatch::clerk;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::{Worker, WorkerKind};
use breachpost::drill::receiver::{Act, Receiver, Step, Trouble};
use breachpost::model::Clock;
use chrono::TimeDelta;
use proptest::prelude::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hook::Hook;
use crate::paused::until_paused;
use crate::scratch::{Scratch, sound};
use crate::world::text;
use crate::{House, ON_CALL, subjects, with_channels};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clerks_raise_and_tell_once() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    house.scratch.clock.set(start + TimeDelta::hours(79));
    let other = Office::open(house.office.home.clone(), house.office.clock.clone()).unwrap();
    let other = with_channels(&other, Some(&hook));
    let second = Worker::sign_on(&other.home.workers_dir(), WorkerKind::Command).unwrap();
    let (one, two) = tokio::join!(
        clerk::round(&house.office, house.clerk.id()),
        clerk::round(&other, second.id())
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.leads != two.leads, "one of them leads: {one:?} {two:?}");
    assert_eq!(hook.stages(), ["deadline passed"]);
    assert_eq!(subjects(&receiver, ON_CALL).len(), 1);
    // The one that did not lead takes over when the other one's process ends, and repeats nothing.
    let (gone, other_office, heir) = match one.leads {
        true => (house.clerk, &other, second),
        false => (second, &house.office, house.clerk),
    };
    drop(gone);
    let taken_over = clerk::round(other_office, heir.id()).await.unwrap();
    assert!(taken_over.leads);
    assert_eq!((taken_over.told, hook.stages().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_says_nothing_keeps_the_clerk_neither_from_work_nor_from_the_end() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut scratch = Scratch::new().await;
    let mut config = (*scratch.office.config).clone();
    config.relay.url = format!("smtp://{}?tls=none", mute.local_addr().unwrap())
        .parse()
        .unwrap();
    // More than the daemon's watchdog puts up with.
    config.relay.timeouts.reply_seconds = serde_json::from_str("\"86400\"").unwrap();
    scratch.office.config = Arc::new(config);
    let office = &scratch.office;
    let worker = Worker::sign_on(&office.home.workers_dir(), WorkerKind::Command).unwrap();
    let stop = CancellationToken::new();
    let clerk = tokio::spawn(clerk::run(office.clone(), worker.id(), stop.clone()));
    let leader = async || office.store.find_leader().await.unwrap();
    until_paused(office, || "the clerk is at work".to_owned(), leader).await;
    scratch.clock.advance(TimeDelta::hours(2));
    let (_first, _) = mute.accept().await.unwrap();
    let fault = async || {
        let notes = office.store.list_health().await.unwrap();
        notes.into_iter().find(|note| note.what == "relay")?.fault
    };
    let fault = until_paused(office, || "it has been noted".to_owned(), fault).await;
    assert_eq!(fault, "the relay did not answer within 30 s");

    scratch.clock.advance(TimeDelta::hours(2));
    let (_second, _) = mute.accept().await.unwrap();
    let told = Instant::now();
    stop.cancel();
    clerk.await.unwrap();
    assert_eq!(told.elapsed(), Duration::ZERO, "it did not wait for the relay");
}

#[tokio::test(start_paused = true)]
async fn a_slow_relay_does_not_keep_the_clerk_longer_than_it_may_lead() {
    const MANY: usize = 40;
    let slow = Trouble::at(Step::Mail, Act::Slow(Duration::from_secs(25)));
    let receiver = Receiver::start(sound().with(slow.times(u32::MAX))).await.unwrap();
    let mut house = House::new(&receiver, None).await;
    let mut config = (*house.office.config).clone();
    config.alerts.emails = (0..MANY)
        .map(|n| format!("oncall{n}@company.example").parse().unwrap())
        .collect();
    house.office.config = Arc::new(config);
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;

    let began = Instant::now();
    let first = house.round_at(start, 80).await;
    assert!(
        first.told > 0 && began.elapsed() < Duration::from_secs(4 * 60),
        "{first:?}"
    );
    // Slow is not broken: nobody is called for that.
    let health = house.office.store.list_health().await.unwrap();
    assert!(health.iter().all(|note| note.fault.is_none()), "{health:?}");
    // What was left is told by the next rounds.
    let everybody = async || {
        house.scratch.clock.advance(TimeDelta::minutes(1));
        house.round().await;
        let mails = receiver.mails().into_iter();
        let told: BTreeSet<String> = mails.map(|mail| mail.recipients[0].address.clone()).collect();
        (told.len() == MANY).then_some(())
    };
    until_paused(&house.office, || "everybody is told".to_owned(), everybody).await;
}

/// The looks of one case, in minutes after awareness; time may jump back.
fn looks() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(0..(100 * 60i64), 1..12)
}

#[test]
fn whatever_the_order_of_the_looks_a_stage_is_raised_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
    runner
        .run(&looks(), |looks| {
            runtime.block_on(async {
                let receiver = Receiver::start(sound()).await.unwrap();
                let hook = Hook::start(&[]);
                let house = House::new(&receiver, Some(&hook)).await;
                let start = house.scratch.clock.now() - TimeDelta::hours(1);
                house.scratch.open_breach().await;
                for minute in &looks {
                    house.scratch.clock.set(start + TimeDelta::minutes(*minute));
                    house.round().await;
                    house.round().await;
                }
                let mut seen = BTreeSet::new();
                for post in hook.posts() {
                    let key = (text(&post.body["alert"]), post.body["reminder"].to_string());
                    prop_assert!(seen.insert(key), "told twice: {} in {looks:?}", post.raw);
                }
                let raised = hook.posts().into_iter().filter(|post| post.body["kind"] == "alert");
                let mut stages = BTreeSet::new();
                for post in raised.filter(|post| post.body["condition"] == "deadline") {
                    let stage = text(&post.body["stage"]);
                    prop_assert!(stages.insert(stage), "raised twice: {} in {looks:?}", post.raw);
                }
                house.scratch.assert_journal_intact().await;
                Ok(())
            })
        })
        .unwrap();
}
