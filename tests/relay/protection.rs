//! TLS as asked for or nothing at all: no login, no address and no word of the message goes before it.

use breachpost::drill::receiver::{Act, CertificateKind, Plan, Receiver, Step, Trouble};
use breachpost::mail::smtp::{Connector, Relay, TlsMode};
use breachpost::secret::Secret;
use tempfile::TempDir;

use crate::{Scene, describe_fault, every_protection, write};

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
