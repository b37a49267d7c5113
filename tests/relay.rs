//! The SMTP client against a receiver on loopback that misbehaves as planned: every fault has the right outcome, nothing
//! leaks, and what arrives is what was sent. Time is paused, so that waits of minutes pass at once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use breachpost::drill::receiver::{Account, Act, CertificateKind, Offers, Plan, Protection, Receiver, Step, Trouble};
use breachpost::mail::login::Tokens;
use breachpost::mail::smtp::{Connection, Connector, Login, Mail, Notify, Relay, Timeouts, TlsMode};
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use breachpost::secret::Secret;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

const MESSAGE: &[u8] = b"Subject: top-secret-marker\r\n\r\nHello\r\n.\r\n..two\r\nend\r\n";
/// More than the sockets of both ends hold, so that the final dot cannot leave while nobody reads.
const LARGE_BYTES: usize = 24_000_000;

/// A receiver and the way to it.
struct Scene {
    receiver: Receiver,
    connector: Connector,
    _files: TempDir,
}
impl Scene {
    async fn new(plan: Plan) -> Self {
        let password = plan.account.as_ref().map(|a| Secret::new(&a.password));
        let receiver = Receiver::start(plan).await.unwrap();
        let ca_pem = receiver.ca_pem().to_owned();
        Self::trusting(&ca_pem, receiver, password)
    }
    fn trusting(ca_pem: &str, receiver: Receiver, password: Option<Secret>) -> Self {
        let files = TempDir::new().unwrap();
        let mut relay = Relay::from_url(&receiver.url(), password).unwrap();
        relay.ca_file = Some(write(&files, "ca.pem", ca_pem));
        Self {
            receiver,
            connector: Connector::new(relay).unwrap(),
            _files: files,
        }
    }
    async fn open(&self) -> Connection {
        Connection::open(&self.connector).await.unwrap()
    }
    async fn open_fault(&self) -> Fault {
        Connection::open(&self.connector).await.map(|_| ()).unwrap_err()
    }
    fn clear_text(&self) -> String {
        String::from_utf8_lossy(&self.receiver.clear_wire()).into_owned()
    }
}

fn write(files: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = files.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn to(recipient: &str) -> Mail<'_> {
    Mail {
        envelope_from: "breach@example.lu",
        recipient,
        bytes: MESSAGE,
        envid: Some("BP-7K3M-Q2XR"),
        notify: Notify::ALL,
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { reply, .. } => format!("accepted, {}", reply.code),
        Outcome::Deferred { fault }
        | Outcome::Refused { fault }
        | Outcome::InDoubt { fault }
        | Outcome::Held { fault } => format!("{}, {}", outcome.name(), describe_fault(fault)),
    }
}
fn describe_fault(fault: &Fault) -> String {
    let cause = match &fault.cause {
        FaultCause::Reply(reply) => format!("{}", reply.code),
        FaultCause::Network(_) => "network".to_owned(),
        FaultCause::Timeout { seconds } => format!("{seconds} s"),
        FaultCause::Tls(_) => "tls".to_owned(),
        FaultCause::Protocol(_) => "protocol".to_owned(),
        FaultCause::Unfit(_) => "unfit".to_owned(),
        FaultCause::Bounce(_) => "bounce".to_owned(),
    };
    format!("{:?}: {cause}", fault.step)
}

fn every_protection() -> [Plan; 3] {
    [Plan::clear(), Plan::starttls(), Plan::implicit()]
}
fn both_ways(plan: Plan) -> [Plan; 2] {
    let mut in_turn = plan.clone();
    in_turn.offers.pipelining = false;
    [plan, in_turn]
}

#[tokio::test(start_paused = true)]
async fn a_mail_arrives_as_it_was_sent() {
    for plan in every_protection().into_iter().flat_map(both_ways) {
        let protection = plan.protection;
        let scene = Scene::new(plan).await;
        let mut connection = scene.open().await;
        let outcome = connection.carry(&to("dpo@authority.example")).await;

        let Outcome::Accepted { reply, tls } = &outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((reply.code, reply.enhanced.as_deref()), (250, Some("2.0.0")));
        assert_eq!(tls.as_ref(), connection.tls_facts());
        assert!(connection.reusable() && !connection.is_stale());
        connection.quit().await;

        let [mail] = scene.receiver.wait_for(1).await.try_into().unwrap();
        assert_eq!(mail.bytes, MESSAGE);
        assert_eq!(mail.envelope_from, "breach@example.lu");
        assert_eq!(
            mail.from_parameters,
            [
                format!("SIZE={}", MESSAGE.len()).as_str(),
                "RET=HDRS",
                "ENVID=BP-7K3M-Q2XR"
            ]
        );
        let [recipient] = mail.recipients.as_slice() else {
            panic!("{mail:?}")
        };
        assert_eq!(recipient.address, "dpo@authority.example");
        assert_eq!(
            recipient.parameters,
            ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;dpo@authority.example"]
        );

        assert_eq!(mail.tls, protection != Protection::Clear);
        if let Some(facts) = tls {
            assert!(["TLSv1.3", "TLSv1.2"].contains(&facts.version.as_str()) && !facts.cipher.is_empty());
            assert_eq!(
                (facts.server_name.as_str(), facts.certificate_sha256.len()),
                ("127.0.0.1", 64)
            );
        }
        if protection == Protection::StartTls {
            assert_eq!(scene.clear_text(), "EHLO [127.0.0.1]\r\nSTARTTLS\r\n");
        }
        if protection == Protection::Implicit {
            assert_eq!(scene.clear_text(), "");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_before_the_envelope_ends_the_connection() {
    let garbage = || Act::reply("HTTP/1.1 400 Bad Request");
    for (step, act, expected) in [
        (Step::Greeting, Act::reply("421 4.3.2 too busy"), "Greeting: 421"),
        (Step::Greeting, Act::reply("554 5.7.1 go away"), "Greeting: 554"),
        (Step::Greeting, Act::reply("354 what"), "Greeting: protocol"),
        (Step::Greeting, Act::Close, "Greeting: network"),
        (Step::Greeting, Act::Silence, "Greeting: 300 s"),
        (Step::Greeting, garbage(), "Greeting: protocol"),
        (Step::Greeting, Act::reply("220-"), "Greeting: 300 s"),
        (
            Step::Greeting,
            Act::reply("220-a\r\n".repeat(20_000)),
            "Greeting: protocol",
        ),
        (Step::Ehlo, Act::reply("502 5.5.1 unknown"), "Ehlo: 502"),
        (Step::Ehlo, Act::reply("421 4.3.2 too busy"), "Ehlo: 421"),
        (Step::Ehlo, Act::Close, "Ehlo: network"),
        (Step::Ehlo, Act::Silence, "Ehlo: 300 s"),
        (Step::Ehlo, garbage(), "Ehlo: protocol"),
    ] {
        for plan in every_protection() {
            let scene = Scene::new(plan.with(Trouble::at(step, act.clone()))).await;
            assert_eq!(describe_fault(&scene.open_fault().await), expected, "{act:?}");
            assert!(scene.receiver.mails().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tls_is_had_or_nothing_is_said() {
    for (step, act, expected) in [
        (Step::StartTls, Act::Hide, "StartTls: tls"),
        (
            Step::StartTls,
            Act::reply("454 4.7.0 TLS not available"),
            "StartTls: 454",
        ),
        (Step::StartTls, Act::reply("502 5.5.1 no"), "StartTls: 502"),
        (Step::StartTls, Act::reply("STARTTLS"), "StartTls: protocol"),
        (Step::StartTls, Act::Close, "StartTls: network"),
        (Step::StartTls, Act::Silence, "StartTls: 300 s"),
        // Replies injected before the handshake, to be believed after it (CVE-2011-0411).
        (
            Step::StartTls,
            Act::inject("250-injected\r\n250 AUTH PLAIN"),
            "Tls: protocol",
        ),
        (Step::StartTls, Act::inject("2"), "Tls: protocol"),
        (Step::Tls, Act::Close, "Tls: network"),
        (Step::Tls, Act::Silence, "Tls: 300 s"),
        (Step::Tls, Act::reply("454 no TLS after all"), "Tls: tls"),
    ] {
        let plan = Plan::starttls()
            .with_account("ann", "hunter2")
            .with(Trouble::at(step, act.clone()));
        let scene = Scene::new(plan).await;
        assert_eq!(describe_fault(&scene.open_fault().await), expected, "{act:?}");
        assert_nothing_leaked(&scene);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_must_prove_the_relays_name() {
    let stranger = Receiver::start(Plan::implicit()).await.unwrap();
    for base in [Plan::starttls(), Plan::implicit()] {
        for (kind, trusted, complaint) in [
            (CertificateKind::WrongName, true, "not valid for name"),
            (CertificateKind::Expired, true, "expired"),
            (CertificateKind::Sound, false, "relay.tls.ca_file"),
        ] {
            let mut plan = base.clone().with_account("ann", "hunter2");
            plan.certificate = kind;
            let receiver = Receiver::start(plan).await.unwrap();
            let ca_pem = if trusted { receiver.ca_pem() } else { stranger.ca_pem() }.to_owned();
            let scene = Scene::trusting(&ca_pem, receiver, Some(Secret::new("hunter2")));
            let fault = scene.open_fault().await;
            assert_eq!(describe_fault(&fault), "Tls: tls");
            assert!(fault.to_string().contains(complaint), "{fault}");
            assert_nothing_leaked(&scene);
        }
    }
}

fn assert_nothing_leaked(scene: &Scene) {
    let clear = scene.clear_text();
    for word in [
        "AUTH",
        "MAIL",
        "RCPT",
        "top-secret-marker",
        "hunter2",
        "AGFubgBodW50ZXIy",
    ] {
        assert!(!clear.contains(word), "{clear}");
    }
    assert!(scene.receiver.mails().is_empty());
}

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
async fn a_large_message_arrives_whole() {
    let line = format!("{}\r\n", ".".repeat(998));
    let bytes = line.repeat(3_000);
    for plan in every_protection() {
        let scene = Scene::new(plan).await;
        let mail = Mail {
            bytes: bytes.as_bytes(),
            ..to("dpo@authority.example")
        };
        assert_eq!(describe(&scene.open().await.carry(&mail).await), "accepted, 250");
        assert!(scene.receiver.wait_for(1).await[0].bytes == bytes.as_bytes());
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

#[tokio::test(start_paused = true)]
async fn logging_in() {
    let account = |mechanisms: &[&str]| {
        let mechanisms = mechanisms.iter().map(|m| (*m).to_owned()).collect();
        Some(Account {
            user: "ann@example.lu".to_owned(),
            password: "hunter2 é".to_owned(),
            mechanisms,
        })
    };
    for base in every_protection() {
        for mechanisms in [&["PLAIN", "LOGIN"][..], &["PLAIN"], &["LOGIN"], &["CRAM-MD5", "LOGIN"]] {
            let scene = Scene::new(Plan {
                account: account(mechanisms),
                ..base.clone()
            })
            .await;
            assert_eq!(
                describe(&scene.open().await.carry(&to("a@b.example")).await),
                "accepted, 250"
            );
            let mails = scene.receiver.wait_for(1).await;
            assert_eq!(mails[0].user.as_deref(), Some("ann@example.lu"));
            assert!(base.protection == Protection::Clear || !scene.clear_text().contains("AUTH"));
        }
        for (plan, expected) in [
            (
                Plan {
                    account: account(&["CRAM-MD5"]),
                    ..base.clone()
                },
                "Auth: unfit",
            ),
            (
                Plan {
                    account: account(&["PLAIN"]),
                    ..base.clone()
                }
                .with(Trouble::at(Step::Auth, Act::reply("454 4.7.0 later"))),
                "Auth: 454",
            ),
            (
                Plan {
                    account: account(&["LOGIN"]),
                    ..base.clone()
                }
                .with(Trouble::at(Step::Auth, Act::Silence)),
                "Auth: 300 s",
            ),
        ] {
            assert_eq!(describe_fault(&Scene::new(plan).await.open_fault().await), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_a_fault_of_the_connection() {
    let receiver = Receiver::start(Plan::starttls().with_account("ann", "hunter2"))
        .await
        .unwrap();
    let ca_pem = receiver.ca_pem().to_owned();
    let scene = Scene::trusting(&ca_pem, receiver, Some(Secret::new("wrong-one")));
    let fault = scene.open_fault().await;
    assert_eq!(describe_fault(&fault), "Auth: 535");
    assert!(!format!("{fault:?} {fault}").contains("wrong-one"));
}

/// Gives the same token each time, and counts how often it was refused.
struct Given(Result<&'static str, &'static str>, AtomicU32);
#[async_trait::async_trait]
impl Tokens for Given {
    async fn token(&self) -> Result<Secret, String> {
        self.0.map(Secret::new).map_err(str::to_owned)
    }
    fn refused(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn logging_in_by_token() {
    const SHORT: &str = "ya29.short";
    static LONG: LazyLock<String> = LazyLock::new(|| "t".repeat(2000));
    static ENDLESS: LazyLock<String> = LazyLock::new(|| "t".repeat(10_000));
    for (token, at_once, expected) in [
        (Ok(SHORT), true, Ok(())),
        // RFC 4954 §4: a command that would be too long carries no answer.
        (Ok(LONG.as_str()), false, Ok(())),
        (
            Ok("ya29.expired"),
            true,
            Err(("Auth: 535", vec!["not taken (status 401)", "renew it at its place"])),
        ),
        (
            Ok(ENDLESS.as_str()),
            true,
            Err(("Auth: unfit", vec!["longer than 12286 bytes"])),
        ),
        (
            Err("the helper is locked"),
            true,
            Err(("Auth: unfit", vec!["the helper is locked"])),
        ),
    ] {
        let good = token.ok().filter(|token| *token != "ya29.expired").unwrap_or(SHORT);
        let mut plan = Plan::clear().with_account("ann@example.lu", good);
        plan.account.as_mut().unwrap().mechanisms = vec!["PLAIN".to_owned(), "XOAUTH2".to_owned()];
        let receiver = Receiver::start(plan).await.unwrap();
        let mut relay = Relay::from_url(&receiver.url(), Some(Secret::new("replaced below"))).unwrap();
        let tokens = Arc::new(Given(token, AtomicU32::new(0)));
        relay.login = Some(Login::by_tokens("ann@example.lu", tokens.clone()));
        let opened = Connection::open(&Connector::new(relay).unwrap()).await;
        let wire = String::from_utf8_lossy(&receiver.clear_wire()).into_owned();
        match expected {
            Ok(()) => {
                opened.unwrap();
                assert_eq!(wire.contains("AUTH XOAUTH2 "), at_once, "{wire}");
            }
            Err((kind, words)) => {
                let fault = opened.unwrap_err();
                assert_eq!(describe_fault(&fault), kind);
                for word in words {
                    assert!(fault.to_string().contains(word), "{fault}");
                }
                assert!(!fault.to_string().contains("ya29") && !wire.contains("AUTH PLAIN"));
                assert_eq!(tokens.1.load(Ordering::SeqCst), u32::from(kind == "Auth: 535"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_nobody_offers_is_said_so() {
    let receiver = Receiver::start(Plan::clear()).await.unwrap();
    let mut relay = Relay::from_url(&receiver.url(), None).unwrap();
    relay.login = Some(Login::by_password("ann", Secret::new("hunter2")));
    let fault = Connection::open(&Connector::new(relay).unwrap()).await.unwrap_err();
    assert_eq!(describe_fault(&fault), "Auth: unfit");
    assert!(receiver.clear_wire().starts_with(b"EHLO"));
    assert!(!String::from_utf8_lossy(&receiver.clear_wire()).contains("AUTH"));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_offered_is_used() {
    let international = "jösé@bücher.example";
    let eight_bit = "Subject: x\r\n\r\nGrüße\r\n".as_bytes();
    let basic = Offers::nothing;
    for (offers, mail, expected) in [
        (basic(), to("a@b.example"), "accepted, 250"),
        (basic(), to("info@bücher.example"), "accepted, 250"),
        (basic(), to(international), "refused, Prepare: unfit"),
        (
            basic(),
            Mail {
                bytes: eight_bit,
                ..to("a@b.example")
            },
            "refused, Prepare: unfit",
        ),
        (Offers::default(), to(international), "accepted, 250"),
        (
            Offers::default(),
            Mail {
                bytes: eight_bit,
                ..to(international)
            },
            "accepted, 250",
        ),
        (
            Offers {
                eight_bit_mime: true,
                ..basic()
            },
            Mail {
                bytes: eight_bit,
                ..to("a@b.example")
            },
            "accepted, 250",
        ),
        (
            Offers { dsn: true, ..basic() },
            Mail {
                envelope_from: "",
                ..to("a@b.example")
            },
            "accepted, 250",
        ),
        (
            Offers {
                size: Some(20),
                ..basic()
            },
            to("a@b.example"),
            "refused, Prepare: unfit",
        ),
        (
            Offers {
                size: Some(MESSAGE.len() as u64),
                ..basic()
            },
            to("a@b.example"),
            "accepted, 250",
        ),
    ] {
        let scene = Scene::new(Plan {
            offers,
            ..Plan::clear()
        })
        .await;
        let mut connection = scene.open().await;
        assert_eq!(describe(&connection.carry(&mail).await), expected, "{mail:?}");
        assert!(connection.reusable());
        if expected.starts_with("refused") {
            assert!(!scene.clear_text().contains("MAIL"));
        } else {
            assert_eq!(scene.receiver.wait_for(1).await[0].bytes, mail.bytes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn international_addresses_on_the_wire() {
    let scene = Scene::new(Plan::clear()).await;
    let mut connection = scene.open().await;
    connection.carry(&to("jösé@bücher.example")).await;
    connection
        .carry(&Mail {
            envelope_from: "info@BÜCHER.example",
            ..to("a+b@b.example")
        })
        .await;
    let mails = scene.receiver.wait_for(2).await;
    assert_eq!(mails[0].recipients[0].address, "jösé@xn--bcher-kva.example");
    assert!(mails[0].from_parameters.contains(&"SMTPUTF8".to_owned()));
    assert_eq!(
        mails[0].recipients[0].parameters[1],
        "ORCPT=utf-8;j\\x{F6}s\\x{E9}@xn--bcher-kva.example"
    );
    assert_eq!(mails[1].envelope_from, "info@xn--bcher-kva.example");
    assert!(!mails[1].from_parameters.contains(&"SMTPUTF8".to_owned()));
    assert_eq!(mails[1].recipients[0].parameters[1], "ORCPT=rfc822;a+2Bb@b.example");
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_those_of_the_protected_connection() {
    let scene = Scene::new(Plan::starttls().with_account("ann", "hunter2")).await;
    let connection = scene.open().await;
    let offered = connection.capabilities();
    assert_eq!(
        (offered.starttls, offered.size, offered.auth.as_slice()),
        (false, Some(25_000_000), &["PLAIN".to_owned(), "LOGIN".to_owned()][..])
    );
    assert!(offered.pipelining && offered.dsn && offered.eight_bit_mime && offered.smtp_utf8);
    assert!(offered.enhanced_status_codes && !offered.require_tls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once() {
    let scene = Arc::new(Scene::new(Plan::starttls()).await);
    let mut couriers = JoinSet::new();
    for courier in 0..8 {
        let scene = Arc::clone(&scene);
        couriers.spawn(async move {
            let mut connection = scene.open().await;
            for n in 0..20 {
                let outcome = connection.carry(&to(&format!("{courier}-{n}@authority.example"))).await;
                assert_eq!(describe(&outcome), "accepted, 250");
            }
            connection.quit().await;
        });
    }
    couriers.join_all().await;
    let mails = scene.receiver.wait_for(160).await;
    let recipients: HashSet<_> = mails.iter().map(|m| m.recipients[0].address.as_str()).collect();
    assert_eq!(
        (mails.len(), recipients.len(), scene.receiver.connections()),
        (160, 160, 8)
    );
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

#[tokio::test]
async fn a_file_of_trusted_certificates_must_hold_some() {
    let files = TempDir::new().unwrap();
    for (path, complaint) in [
        (files.path().join("absent.pem"), "cannot read the certificates in"),
        (write(&files, "empty.pem", ""), "holds no certificate"),
        (write(&files, "text.pem", "no PEM at all"), "holds no certificate"),
        (
            write(
                &files,
                "broken.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "holds no certificate",
        ),
    ] {
        let mut relay = Relay::from_url("smtps://mail.example.lu", None).unwrap();
        assert_eq!(relay.tls, TlsMode::Implicit);
        relay.ca_file = Some(path);
        let error = Connector::new(relay).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

/// RFC 5321 §4.5.2: whatever lines a message has, dots first of all, it arrives byte for byte.
#[test]
fn any_message_arrives_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (scene, connection) = runtime.block_on(async {
        let scene = Scene::new(Plan::starttls()).await;
        let connection = scene.open().await;
        (scene, Mutex::new((connection, 0)))
    });
    let lines = prop::collection::vec("\\.{0,3}[ -~\\té]{0,60}\\.{0,2}", 1..20);
    let mut runner = TestRunner::new(Config {
        cases: 300,
        ..Config::default()
    });
    let verdict = runner.run(&lines, |lines| {
        let bytes = format!("{}\r\n", lines.join("\r\n"));
        let mail = Mail {
            bytes: bytes.as_bytes(),
            ..to("dpo@authority.example")
        };
        let (connection, sent) = &mut *connection.lock().unwrap();
        let outcome = runtime.block_on(connection.carry(&mail));
        prop_assert_eq!(describe(&outcome), "accepted, 250");
        *sent += 1;
        let mails = runtime.block_on(scene.receiver.wait_for(*sent));
        prop_assert_eq!(&mails[*sent - 1].bytes, bytes.as_bytes());
        Ok(())
    });
    verdict.unwrap();
}
