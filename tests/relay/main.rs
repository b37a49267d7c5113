//! The SMTP client against a receiver on loopback that misbehaves as planned: every fault has the right outcome, nothing
//! leaks, and what arrives is what was sent. Time is paused, so that waits of minutes pass at once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod in_a_row;
mod login;
mod offers;
mod protection;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use breachpost::drill::receiver::{Plan, Protection, Receiver};
use breachpost::mail::smtp::{Connection, Connector, Mail, Notify, Relay};
use breachpost::model::delivery::{Fault, FaultCause, Outcome};
use breachpost::secret::Secret;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tokio::task::JoinSet;

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
