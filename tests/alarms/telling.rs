//! What is told, to whom, and how often, with a clock of the test.

use std::collections::BTreeSet;

use breachpost::dispatch::clerk;
use breachpost::dispatch::desk::alert;
use breachpost::drill::receiver::{Act, Receiver, Step, Trouble};
use breachpost::model::Clock;
use breachpost::model::alert::Condition;
use breachpost::model::id::AlertId;
use breachpost::store::{ListTarget, NewList, TellingState};
use chrono::TimeDelta;
use serde_json::Value;

use crate::hook::{Hook, Posted};
use crate::scratch::{PASSWORD, carry, me, sound};
use crate::world::text;
use crate::{CHIEF, House, ON_CALL, SECRET, TOKEN, assert_says_nothing, subjects, with_channels};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_told_once_for_each_stage_and_names_nothing() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    let breach = house.scratch.open_breach().await;
    let mut told = Vec::new();
    for (hours, stage) in [
        (1, None),
        (23, None),
        (24, Some("48h_before")),
        (25, None),
        (48, Some("24h_before")),
        (60, Some("12h_before")),
        (66, Some("6h_before")),
        (70, Some("2h_before")),
        (73, Some("passed")),
    ] {
        let round = house.round_at(start, hours).await;
        assert!(round.leads);
        told.extend(stage.map(|stage| format!("deadline {stage}")));
        // Reminders of a stage repeat its words.
        let stages = hook.stages();
        let distinct: BTreeSet<&String> = stages.iter().collect();
        assert_eq!(distinct, told.iter().collect(), "after {hours} hours");
        assert_eq!(
            house.round().await.told,
            0,
            "a second look at the same time tells nothing"
        );
    }
    let alerts = hook.posts().into_iter().filter(|post| post.body["kind"] == "alert");
    assert_eq!(alerts.count(), 6, "each stage is raised once");
    let wanted = format!("breachpost: something needs you (deadline, {breach})");
    let first = subjects(&receiver, ON_CALL)
        .into_iter()
        .filter(|subject| *subject == wanted);
    assert_eq!(first.count(), 6);
    for mail in receiver.mails() {
        assert_says_nothing(&mail.bytes);
        let text = String::from_utf8_lossy(&mail.bytes);
        assert!(text.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("breachpost alert ack alert_"), "{text}");
        assert_eq!(mail.recipients.len(), 1, "one RCPT TO");
    }
    for post in hook.posts() {
        assert_says_nothing(post.raw.as_bytes());
        assert_eq!(text(&post.body["about"]["breach"]), breach.to_string());
    }
    // Once it is sent, all of it ends by itself.
    let filed = crate::scratch::file_about(&house.scratch.office, breach, Vec::new())
        .await
        .unwrap();
    carry(&house.scratch.office).await.unwrap();
    let ended = house.round().await;
    assert_eq!(
        (ended.changes.raised.len(), ended.changes.resolved.len()),
        (0, 1),
        "{filed:?} was handed over"
    );
    assert!(alert::list(&house.office, false).await.unwrap().is_empty());
    house.scratch.assert_journal_intact().await;
}

/// A campaign that was damaged, or written by another version, is one campaign's trouble.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_cannot_be_read_keeps_no_deadline_from_being_told() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let (start, store) = (house.scratch.clock.now(), &house.office.store);
    let breach = house.scratch.open_breach().await;
    let list = NewList {
        into: ListTarget::Fresh {
            breach,
            content: "no campaign's content".into(),
        },
        fingerprint: "a".repeat(64),
        file: "list.csv".to_owned(),
        sha256: "b".repeat(64),
        facts: Value::Null,
        rows: 0,
    };
    let open = store.begin_list(list, &me(), start).await.unwrap();
    store.end_list(open.list, &me(), start).await.unwrap();
    let (hash, by) = ("c".repeat(64), me());
    let agreed = store.approve_campaign(open.campaign, &hash, 1, &by, start);
    agreed.await.unwrap();
    let at = start + TimeDelta::hours(70);
    store.schedule(open.campaign, at, &me(), start).await.unwrap();

    house.scratch.clock.set(start + TimeDelta::hours(73));
    let failed = clerk::round(&house.office, house.clerk.id()).await.unwrap_err();
    let told = format!("{failed} {failed:?}");
    assert!(told.contains("cmp_1") && !told.contains("no campaign's"), "{told}");
    assert_eq!(hook.stages(), ["deadline passed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ignored_is_repeated_to_more_people_until_somebody_says_so() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let house = House::new(&receiver, None).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    house.round_at(start, 80).await;
    assert_eq!(
        (subjects(&receiver, ON_CALL).len(), subjects(&receiver, CHIEF).len()),
        (1, 0)
    );
    for (minutes, mails) in [
        (59, 1),
        (60, 2),
        (299, 2),
        (300, 3),
        (300 + 24 * 60 - 1, 3),
        (300 + 24 * 60, 4),
    ] {
        house
            .scratch
            .clock
            .set(start + TimeDelta::hours(79) + TimeDelta::minutes(minutes));
        house.round().await;
        let subjects = subjects(&receiver, ON_CALL);
        assert_eq!(subjects.len(), mails, "after {minutes} minutes");
        let again = subjects
            .iter()
            .filter(|subject| subject.contains("still waiting for you"));
        assert_eq!(again.count(), mails - 1);
    }
    assert_eq!(
        subjects(&receiver, CHIEF).len(),
        3,
        "those who are told of what was ignored"
    );
    // Mail programs show the reminders with the first mail.
    let mails = receiver.mails();
    let first = String::from_utf8_lossy(&mails[0].bytes).into_owned();
    let id = first
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: "))
        .unwrap();
    let last = mails
        .iter()
        .rev()
        .find(|mail| mail.recipients[0].address == ON_CALL)
        .unwrap();
    assert!(String::from_utf8_lossy(&last.bytes).contains(&format!("In-Reply-To: {id}")));

    let open = alert::list(&house.office, false).await.unwrap();
    alert::acknowledge(&house.office, open[0].alert.id, Some("on it"), &me())
        .await
        .unwrap();
    house.scratch.clock.advance(TimeDelta::days(9));
    assert_eq!(house.round().await.told, 0, "somebody knows");
    let unknown = alert::acknowledge(&house.office, AlertId::new(99), None, &me()).await;
    assert_eq!(unknown.unwrap_err().to_string(), "there is no alert alert_99");
    house.scratch.assert_journal_intact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_tried_until_it_takes_the_alert_or_is_gone() {
    for (answers, tries, state) in [(vec![500, 302], 3, "sent"), (vec![503, 410], 2, "failed")] {
        let receiver = Receiver::start(sound()).await.unwrap();
        let hook = Hook::start(&answers);
        let house = House::new(&receiver, Some(&hook)).await;
        let start = house.scratch.clock.now();
        house.scratch.open_breach().await;
        house.round_at(start, 80).await;
        assert_eq!(hook.posts().len(), 1);
        assert_eq!(house.round().await.told, 0, "not at once again");
        for _ in 0..5 {
            house.scratch.clock.advance(TimeDelta::minutes(2));
            house.round().await;
        }
        // That the webhook itself does not work is an alert of its own.
        let mut posts = hook.posts();
        posts.retain(|post| post.body["condition"] == "deadline");
        assert_eq!(posts.len(), tries, "{answers:?}");
        let ids: BTreeSet<&str> = posts.iter().map(|post| post.id.as_str()).collect();
        assert_eq!(ids.len(), 1, "a receiver can leave the repeated ones out");
        let open = alert::list(&house.office, false).await.unwrap();
        let told = open[0]
            .told
            .iter()
            .find(|told| told.telling.channel.starts_with("webhook:"))
            .unwrap();
        let found = match told.telling.state {
            TellingState::Sent { .. } => "sent",
            TellingState::Failed { .. } => "failed",
            _ => "neither",
        };
        assert_eq!((found, told.telling.tries as usize), (state, tries));
        assert!(!serde_json::to_string(&open).unwrap().contains(TOKEN));
        let mails = subjects(&receiver, ON_CALL).into_iter();
        let deadline = mails.filter(|subject| subject.contains("(deadline, "));
        assert_eq!(deadline.count(), 1, "the mail had no part in it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_gone_is_told_by_the_webhook() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    drop(receiver);
    let round = house.round_at(start, 80).await;
    assert_eq!((round.told, hook.stages()), (1, vec!["deadline passed".to_owned()]));
    // It is tried again all the while, and so found out to be away for long.
    for _ in 0..12 {
        house.scratch.clock.advance(TimeDelta::minutes(2));
        house.round().await;
    }
    let part = |post: &Posted| post.body["about"]["part"] == "relay";
    let of_relay: Vec<Posted> = hook.posts().into_iter().filter(part).collect();
    assert_eq!(of_relay.len(), 1, "{:?}", hook.stages());
    assert_eq!(of_relay[0].body["condition"], "unreachable");
    let open = alert::list(&house.office, false).await.unwrap();
    let shown = serde_json::to_string(&open).unwrap();
    assert!(!shown.contains(PASSWORD) && !shown.contains(SECRET));

    // When it is back, what is still so is told by mail, and that it was away is over.
    let back = Receiver::start(sound()).await.unwrap();
    let office = with_channels(&house.scratch.towards(&back), Some(&hook));
    house.scratch.clock.advance(TimeDelta::hours(2));
    clerk::round(&office, house.clerk.id()).await.unwrap();
    assert!(
        subjects(&back, ON_CALL)
            .iter()
            .any(|subject| subject.contains("(deadline, "))
    );
    clerk::round(&office, house.clerk.id()).await.unwrap();
    let open = alert::list(&office, false).await.unwrap();
    assert!(
        open.iter()
            .all(|view| view.alert.alarm.condition != Condition::Unreachable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_notice_and_a_silent_authority_are_told() {
    let refusal = Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(|address| address != ON_CALL);
    let receiver = Receiver::start(sound().with(refusal)).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let refused = house.scratch.file().await;
    carry(&house.office).await.unwrap();
    house.round().await;
    assert_eq!(hook.stages(), ["notice_failed now"]);
    let post = &hook.posts()[0].body;
    assert_eq!(text(&post["about"]["notice"]), refused.reference.to_string());
    assert_eq!(
        text(&post["command"]),
        format!("breachpost notice show {}", refused.reference)
    );

    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let silent = house.scratch.file().await;
    carry(&house.office).await.unwrap();
    house.round().await;
    assert_eq!(hook.stages(), Vec::<String>::new());
    house.scratch.clock.advance(TimeDelta::hours(24));
    house.round().await;
    assert_eq!(hook.stages(), ["no_acknowledgement now"]);
    let post = &hook.posts()[0].body;
    let sheet = format!("breachpost notice show {} --call-sheet", silent.reference);
    assert_eq!(text(&post["command"]), sheet);
}
