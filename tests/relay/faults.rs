//! What the relay answers, or fails to, and what comes of the message and of the connection.

use std::time::Duration;

use breachpost::drill::receiver::{Act, Plan, Receiver, Step, Trouble};
use breachpost::mail::smtp::{Connection, Connector, Mail, Relay, Timeouts};
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use tokio::time::Instant;

use crate::{LARGE_BYTES, MESSAGE, Scene, both_ways, describe, describe_fault, every_protection, to};

/// What the server does, and what comes of the message.
type Fate = (Step, Act, &'static str);

/// An answer within the rules, after which the connection serves the next message. Nothing was taken.
fn answered() -> Vec<Fate> {
    use Step::{Data, FinalDot, Mail, Rcpt};
    let reply = |text: &str| Act::reply(text);
    vec![
        (Mail, reply("451 4.3.0 later"), "deferred, Mail: 451"),
        (Mail, reply("550 5.7.1 not you"), "deferred, Mail: 550"),
        (Rcpt, reply("450 4.2.0 greylisted"), "deferred, Rcpt: 450"),
        (Rcpt, reply("550-5.1.1 no such\r\n550 5.1.1 user"), "refused, Rcpt: 550"),
        (Data, reply("451 4.3.0 later"), "deferred, Data: 451"),
        (Data, reply("554 5.7.1 no"), "deferred, Data: 554"),
        (FinalDot, reply("452 4.3.1 full"), "deferred, FinalDot: 452"),
        (FinalDot, reply("554 5.6.0 spam"), "refused, FinalDot: 554"),
    ]
}

/// The end of the connection, with nothing taken.
fn broken() -> Vec<Fate> {
    use Step::{Data, FinalDot, Mail, Rcpt};
    let garbage = || Act::reply("oops");
    let bye = || Act::reply_and_close("421 4.4.2 bye");
    vec![
        (Mail, bye(), "deferred, Mail: 421"),
        (Mail, Act::reply("421 4.4.2 bye"), "deferred, Mail: 421"),
        (Mail, Act::Close, "deferred, Mail: network"),
        (Mail, Act::Silence, "deferred, Mail: 300 s"),
        (Mail, garbage(), "deferred, Mail: protocol"),
        (Rcpt, bye(), "deferred, Rcpt: 421"),
        (Rcpt, Act::Close, "deferred, Rcpt: network"),
        (Rcpt, Act::Silence, "deferred, Rcpt: 300 s"),
        (Rcpt, garbage(), "deferred, Rcpt: protocol"),
        (Rcpt, Act::inject("250 2.0.0 injected"), "deferred, Data: protocol"),
        (Data, Act::reply("250 2.0.0 thanks"), "deferred, Data: protocol"),
        (Data, bye(), "deferred, Data: 421"),
        (Data, Act::Close, "deferred, Data: network"),
        (Data, Act::Silence, "deferred, Data: 300 s"),
        (Data, garbage(), "deferred, Data: protocol"),
        // A reply that waits before the message is written must never be taken for the reply to its final dot.
        (Data, Act::inject("250 2.0.0 injected"), "deferred, Body: protocol"),
        (FinalDot, bye(), "deferred, FinalDot: 421"),
        (FinalDot, Act::Close, "in_doubt, FinalDot: network"),
        (FinalDot, Act::Silence, "in_doubt, FinalDot: 600 s"),
        (FinalDot, garbage(), "in_doubt, FinalDot: protocol"),
    ]
}

/// The message was taken, and the answer that says so is lost or makes no sense.
fn taken_untold() -> Vec<Fate> {
    let half = || Act::ReplyAndClose(b"250 2.0.0 half a re".to_vec());
    vec![
        (Step::Taken, Act::Close, "in_doubt, FinalDot: network"),
        (Step::Taken, Act::Silence, "in_doubt, FinalDot: 600 s"),
        (Step::Taken, half(), "in_doubt, FinalDot: network"),
        (Step::Taken, Act::reply("354 go on"), "in_doubt, FinalDot: protocol"),
    ]
}

/// The message was taken, and the answer is one that RFC 5321 asks clients to take.
fn taken() -> Vec<Fate> {
    let raw = |bytes: &[u8]| Act::Reply(bytes.to_vec());
    let long = format!("250 {}", "x".repeat(5_000));
    vec![
        (Step::Taken, raw(b"250\r\n"), "accepted, 250"),
        (Step::Taken, raw(b"250 d\xe9j\xe0 vu\n"), "accepted, 250"),
        (Step::Taken, Act::reply(long), "accepted, 250"),
        (Step::Rcpt, Act::Hide, "accepted, 250"),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_outcome() {
    for (fates, reusable, mails) in [
        (answered(), true, 0),
        (broken(), false, 0),
        (taken_untold(), false, 1),
        (taken(), true, 1),
    ] {
        for (step, act, expected) in fates {
            for plan in every_protection().into_iter().flat_map(both_ways) {
                let case = format!("{step:?} {act:?} {:?} {:?}", plan.protection, plan.offers.pipelining);
                let scene = Scene::new(plan.with(Trouble::at(step, act.clone()))).await;
                let mut connection = scene.open().await;
                let outcome = connection.carry(&to("dpo@authority.example")).await;
                assert_eq!(describe(&outcome), expected, "{case}");
                let found = (connection.reusable(), connection.is_stale());
                assert_eq!(found, (reusable, false), "{case}");
                assert_eq!(scene.receiver.mails().len(), mails, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_the_relays_words() {
    let refusal = Trouble::at(Step::Rcpt, Act::reply("550-5.1.1 no such\r\n550 5.1.1 \x07user"));
    let scene = Scene::new(Plan::clear().with(refusal)).await;
    let outcome = scene.open().await.carry(&to("gone@authority.example")).await;
    let Outcome::Refused {
        fault: Fault {
            cause: FaultCause::Reply(reply),
            ..
        },
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((reply.code, reply.enhanced.as_deref()), (550, Some("5.1.1")));
    assert_eq!(reply.text, "no such\n\u{FFFD}user");
}

#[tokio::test(start_paused = true)]
async fn waits_are_as_long_as_set() {
    let timeouts = Timeouts {
        connect: Duration::from_secs(1),
        greeting: Duration::from_secs(2),
        command: Duration::from_secs(3),
        data: Duration::from_secs(4),
        final_dot: Duration::from_secs(5),
    };
    for (step, seconds) in [
        (Step::Greeting, 2),
        (Step::Ehlo, 3),
        (Step::Rcpt, 3),
        (Step::FinalDot, 5),
    ] {
        let mut scene = Scene::new(Plan::clear().with(Trouble::at(step, Act::Silence))).await;
        scene.connector = Connector::new(Relay {
            timeouts,
            ..scene.connector.relay().clone()
        })
        .unwrap();
        let begin = Instant::now();
        let ended = match Connection::open(&scene.connector).await {
            Ok(mut connection) => describe(&connection.carry(&to("dpo@authority.example")).await),
            Err(fault) => describe_fault(&fault),
        };
        assert!(ended.ends_with(&format!(": {seconds} s")), "{ended}");
        assert_eq!(begin.elapsed().as_secs(), seconds, "{step:?}");
    }
}

/// The relay answers MAIL with nonsense but takes recipient and DATA: a lone dot would deliver an empty message.
#[tokio::test(start_paused = true)]
async fn an_empty_message_is_never_delivered() {
    let scene = Scene::new(Plan::clear().with(Trouble::at(Step::Mail, Act::disguise("354 nonsense")))).await;
    let outcome = scene.open().await.carry(&to("dpo@authority.example")).await;
    assert_eq!(describe(&outcome), "deferred, Mail: protocol");
    assert!(scene.receiver.mails().is_empty());
}

/// A final dot that never left leaves no doubt.
#[tokio::test(start_paused = true)]
async fn before_the_final_dot_there_is_no_doubt() {
    let line = format!("{}\r\n", "x".repeat(998));
    let bytes = line.repeat(LARGE_BYTES / line.len());
    for (act, expected) in [
        (Act::Close, "deferred, Body: network"),
        (Act::Silence, "deferred, Body: 180 s"),
    ] {
        for plan in every_protection() {
            let scene = Scene::new(plan.with(Trouble::at(Step::Body, act.clone()))).await;
            let mut connection = scene.open().await;
            let mail = Mail {
                bytes: bytes.as_bytes(),
                ..to("dpo@authority.example")
            };
            assert_eq!(describe(&connection.carry(&mail).await), expected);
            assert!(!connection.reusable());
            assert!(scene.receiver.mails().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_outlives_refusals() {
    let gone = |address: &str| address.starts_with("gone");
    let quirk = Trouble::at(Step::Data, Act::reply("354 go on, though there is no recipient")).times(1);
    for plan in both_ways(Plan::starttls()) {
        for quirk in [None, Some(quirk.clone())] {
            let refusal = Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(gone);
            let full = Trouble::at(Step::FinalDot, Act::reply("452 4.3.1 full")).to(|a| a.starts_with("full"));
            // In turn, DATA is not said after a refusal, so the quirk would hit the next mail.
            let quirk = quirk.filter(|_| plan.offers.pipelining);
            let mut plan = plan.clone().with(refusal).with(full);
            plan.troubles.extend(quirk);
            let scene = Scene::new(plan).await;
            let mut connection = scene.open().await;
            for (recipient, expected) in [
                ("gone1@authority.example", "refused, Rcpt: 550"),
                ("gone2@authority.example", "refused, Rcpt: 550"),
                ("one@authority.example", "accepted, 250"),
                ("full@authority.example", "deferred, FinalDot: 452"),
                ("not an address", "refused, Prepare: unfit"),
                ("two@authority.example", "accepted, 250"),
            ] {
                assert_eq!(
                    describe(&connection.carry(&to(recipient)).await),
                    expected,
                    "{recipient}"
                );
                assert!(connection.reusable());
            }
            let mails = scene.receiver.wait_for(2).await;
            assert_eq!(
                mails
                    .iter()
                    .map(|m| m.recipients[0].address.as_str())
                    .collect::<Vec<_>>(),
                ["one@authority.example", "two@authority.example"]
            );
            assert!(mails.iter().all(|m| m.bytes == MESSAGE && m.connection == 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_the_relay_closed_meanwhile_is_stale() {
    let leaves_word = Trouble::at(
        Step::Taken,
        Act::ReplyAndClose(b"250 ok\r\n421 4.7.0 enough\r\n".to_vec()),
    );
    for base in every_protection().into_iter().flat_map(both_ways) {
        let silently = Plan {
            close_after_mails: Some(1),
            ..base.clone()
        };
        for plan in [silently, base.with(leaves_word.clone())] {
            let scene = Scene::new(plan).await;
            let mut connection = scene.open().await;
            assert_eq!(
                describe(&connection.carry(&to("one@authority.example")).await),
                "accepted, 250"
            );
            let outcome = connection.carry(&to("two@authority.example")).await;
            assert!(
                matches!(&outcome, Outcome::Deferred { fault } if fault.step == SmtpStep::Mail),
                "{outcome:?}"
            );
            assert!(connection.is_stale() && !connection.reusable());

            let mut fresh = scene.open().await;
            assert_eq!(
                describe(&fresh.carry(&to("two@authority.example")).await),
                "accepted, 250"
            );
            assert_eq!(scene.receiver.connections(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stays_one_when_the_relay_hangs_up_with_it() {
    for plan in every_protection().into_iter().flat_map(both_ways) {
        let refusal = Trouble::at(Step::Rcpt, Act::reply_and_close("550 5.1.1 no such user"));
        let outcome = Scene::new(plan.with(refusal))
            .await
            .open()
            .await
            .carry(&to("gone@authority.example"))
            .await;
        assert_eq!(describe(&outcome), "refused, Rcpt: 550");
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_transaction_makes_the_connection_unusable() {
    let scene = Scene::new(Plan::clear().with(Trouble::at(Step::FinalDot, Act::Silence))).await;
    let mut connection = scene.open().await;
    let recipient = to("dpo@authority.example");
    let patience = std::time::Duration::from_secs(1);
    assert!(
        tokio::time::timeout(patience, connection.carry(&recipient))
            .await
            .is_err()
    );
    assert!(!connection.reusable());
    assert_eq!(describe(&connection.carry(&recipient).await), "deferred, Mail: network");
}

#[tokio::test]
async fn nobody_there() {
    let receiver = Receiver::start(Plan::clear()).await.unwrap();
    let connector = Connector::new(Relay::from_url(&receiver.url(), None).unwrap()).unwrap();
    let address = receiver.address();
    drop(receiver);
    let fault = loop {
        // The port is free once the runtime has dropped the listener.
        match Connection::open(&connector).await {
            Err(fault) if fault.step == SmtpStep::Connect => break fault,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(describe_fault(&fault), "Connect: network");
    assert!(fault.to_string().contains(&address.to_string()), "{fault}");
}
