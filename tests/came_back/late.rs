//! Reports that come at a bad moment: before the answer of the relay, after the end, for somebody told by post.

use std::sync::Arc;
use std::time::Duration;

use breachpost::config::Home;
use breachpost::dispatch::intake;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::model::SystemClock;
use breachpost::model::delivery::{Outcome, SmtpReply};
use breachpost::model::id::Actor;
use breachpost::model::pace::Pace;
use breachpost::store::{Done, JournalEntry, Which};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::campaign::Campaign;
use crate::world::dsn::Dsn;
use crate::world::relay::Relay;
use crate::world::{World, until};
use crate::{Sent, campaign, report};

#[test]
fn a_delay_is_told_and_moves_nobody() {
    let sent = Sent::new(&[]);
    let ingested = sent.report("", "anna@example.lu", "delayed").exits(0).json();
    assert_eq!(
        (&ingested["kind"], &ingested["in_tray"]),
        (&json!("delay"), &json!(false))
    );
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0]);
    assert_eq!(report(&sent.world)["came_back"]["delayed"], 1);
    sent.world
        .run(&["campaign", "report", "cmp_1"])
        .exits(0)
        .says(&["delayed, and nothing heard since"]);
    sent.world
        .run(&["campaign", "find", "anna@example.lu"])
        .exits(0)
        .says(&["told: cmp_1", "delayed, a server still tries", "4.4.1"]);

    // It got there, or it did not.
    sent.report("", "ben@example.lu", "delayed").exits(0);
    sent.report("", "anna@example.lu", "delivered").exits(0);
    sent.report("", "ben@example.lu", "failed");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let came_back = report(&sent.world)["came_back"].clone();
    assert_eq!((&came_back["delayed"], &came_back["returned"]), (&json!(0), &json!(1)));
    sent.world.is_intact();
}

/// The other server knows at once that there is nobody, and our disk is slow.
#[test]
fn a_bounce_that_overtakes_the_relays_answer_waits_for_it() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.settle("#verp: none", "verp: plus");
    let address = "anna@example.lu";
    let campaign = Campaign::start(&world, &[address.to_owned()]);
    let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ingested = runtime.block_on(async {
        let (store, now) = (&office.store, office.now());
        let worker = office.sign_on(WorkerKind::Command).await.unwrap();
        let persons = Which::Persons(Pace::default());
        let claimed = store.claim(worker.id(), 1, persons, now, TimeDelta::minutes(5)).await;
        let [claim] = claimed.unwrap().claims.try_into().ok().unwrap();
        assert_eq!(store.step(vec![], vec![claim.clone()], now).await.unwrap(), []);
        let dsn = Dsn {
            to: &office.return_path(office.individuals_sender(), &office.tokens.for_delivery(claim.delivery)),
            envelope_id: None,
            action: "failed",
            recipient: address,
            original: None,
            returned: "Subject: hers\r\n",
        };
        let (apart, mail) = (office.clone(), dsn.write());
        let mut taking_in = tokio::spawn(async move {
            let me = Actor::Os("tester".to_owned());
            intake::ingest(&apart, mail.as_bytes(), "ingest", &me).await
        });
        let early = tokio::time::timeout(Duration::from_millis(400), &mut taking_in).await;
        assert!(early.is_err(), "it does not wait: {early:?}");
        let reply = SmtpReply {
            code: 250,
            enhanced: None,
            text: "taken".to_owned(),
        };
        let done = Done {
            message_id: claim.message_id.clone(),
            outcome: Outcome::Accepted { reply, tls: None },
            retry: office.retries().persons,
            jitter: 0.0,
            claim,
        };
        store.step(vec![done], vec![], now).await.unwrap();
        taking_in.await.unwrap().unwrap()
    });
    assert!(!ingested.understanding.in_tray, "{}", ingested.understanding.why);
    assert_eq!((campaign.tally().failed, campaign.tally().handed), (1, 0));
    world.is_intact();
}

#[test]
fn what_comes_back_after_the_end_still_counts() {
    let sent = Sent::new(&[("#settle_days: 7", "settle_days: 0")]);
    until("it is finished", || {
        sent.world.run(&["serve", "--once"]);
        (report(&sent.world)["state"] == "finished").then_some(())
    });
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0]);
    sent.report("", "anna@example.lu", "failed");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let told = report(&sent.world);
    assert_eq!(told["state"], "finished");
    assert_eq!(told["reasons"], json!({ "address_unknown": 1 }));
    assert_eq!(told["came_back"]["returned_late"], 1);
    sent.world
        .run(&["campaign", "report", "cmp_1"])
        .exits(0)
        .says(&["after the campaign's end"]);
    sent.world
        .run(&["status"])
        .says(&["2 informed, 0 pending, 0 in doubt, 1 unreached"]);
    let bounced = |entry: &JournalEntry| entry.event == "delivery.bounced";
    let journal = sent.journal();
    let entry = journal.iter().find(|entry| bounced(entry)).unwrap();
    assert_eq!(
        (&entry.details["campaign"], &entry.details["after_end"]),
        (&json!("cmp_1"), &json!(true))
    );

    // The same again, by the same way and by another.
    let before = sent.found("anna@example.lu");
    for on_top in [
        "",
        "Received: from mx2.example by mx.example; Sun, 22 Nov 2026 10:00:00 +0000\r\n",
    ] {
        let again = sent.report(on_top, "anna@example.lu", "failed").json();
        assert_eq!((&again["kind"], &again["in_tray"]), (&json!("bounce"), &json!(false)));
        let after = sent.found("anna@example.lu");
        assert_eq!((&after["state"], &after["at"]), (&before["state"], &before["at"]));
        assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
        let came_back = report(&sent.world)["came_back"].clone();
        assert_eq!(
            (&came_back["returned"], &came_back["returned_late"]),
            (&json!(1), &json!(1))
        );
    }
    assert_eq!(sent.journal().iter().filter(|entry| bounced(entry)).count(), 1);
    sent.world.is_intact();
}

#[test]
fn a_bounce_for_somebody_who_was_erased_counts_and_is_not_kept() {
    let sent = Sent::new(&[("#settle_days: 7", "settle_days: 0")]);
    let erase = ["erase", "cmp_1", "--person", "anna@example.lu", "--yes"];
    campaign(&sent.world, &erase).exits(0);
    let ingested = sent.report("", "anna@example.lu", "failed").json();
    assert_eq!(ingested["in_tray"], json!(false), "{ingested}");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let found = sent.found("anna@example.lu");
    assert_eq!(
        (&found["reports"][0]["status"], &found["reports"][0]["diagnostic"]),
        (&json!("5.1.1"), &Value::Null)
    );
    let shown = sent.world.run(&["mailbox", "show", "mail_1"]);
    assert!(!shown.stdout.contains("anna@"), "{shown:?}");
    sent.world.is_intact();
}

#[test]
fn who_was_told_by_post_stays_told_when_the_mail_comes_back() {
    let sent = Sent::new(&[]);
    let letters = sent.world.file("letters.csv", b"email\nanna@example.lu\n");
    campaign(
        &sent.world,
        &["record", "cmp_1", "--channel", "post", "--file", &letters],
    )
    .exits(0);
    for address in ["anna@example.lu", "ben@example.lu"] {
        sent.report("", address, "failed");
    }
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    assert_eq!(report(&sent.world)["came_back"]["returned"], 2);
    let unreached = sent.world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(
        !unreached.contains("anna@") && unreached.contains("ben@"),
        "{unreached}"
    );
    sent.world
        .run(&["campaign", "find", "anna@example.lu"])
        .exits(0)
        .says(&["told: cmp_1", "came back", "told by post"]);
    sent.world.run(&["campaign", "find", "ben@example.lu"]).exits(2);
    sent.world.is_intact();
}
