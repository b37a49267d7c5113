//! The SMTP client against a real relay, an instance of Postfix, and the reports that it writes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod postfix;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use breachpost::mail::smtp::{Connection, Mail, Notify};
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};

use postfix::until_async::until_async;
use postfix::{PASSWORD, Postfix, SIZE_LIMIT, USER};
use world::{AUTHORITY_ADDRESS, World, text};

fn mail<'a>(recipient: &'a str, bytes: &'a [u8]) -> Mail<'a> {
    Mail {
        envelope_from: USER,
        recipient,
        bytes,
        envid: Some("BP-7K3M-Q2XR"),
        notify: Notify::ALL,
    }
}

#[tokio::test]
async fn a_real_relay_takes_delivers_refuses_and_reports() {
    let postfix = Postfix::start();
    let connector = postfix.connector(PASSWORD);
    let mut connection = Connection::open(&connector)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", postfix.log()));
    let offered = connection.capabilities().clone();
    assert!(
        offered.pipelining && offered.dsn && offered.eight_bit_mime && offered.smtp_utf8,
        "{offered:?}"
    );
    assert_eq!(offered.size, Some(SIZE_LIMIT as u64));
    assert_eq!(connection.tls_facts().unwrap().server_name, "localhost");

    let bytes = "From: breach@example.lu\r\nTo: dpo@authority.example\r\nMessage-ID: <1@example.lu>\r\n\
                 Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: BP-7K3M-Q2XR\r\n\r\n.\r\n..\r\nGrüße\r\n.end\r\n";
    let accepted = connection.carry(&mail("dpo@authority.example", bytes.as_bytes())).await;
    let Outcome::Accepted { reply, tls: Some(tls) } = &accepted else {
        panic!("{accepted:?}\n{}", postfix.log())
    };
    assert_eq!((reply.code, reply.enhanced.as_deref()), (250, Some("2.0.0")));
    assert!(tls.version.starts_with("TLSv1."));

    // Postfix refuses at RCPT; the connection goes on.
    let refused = connection
        .carry(&mail("nobody@authority.example", bytes.as_bytes()))
        .await;
    let Outcome::Refused {
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause: FaultCause::Reply(reply),
        },
    } = &refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!((reply.code, reply.enhanced.as_deref()), (550, Some("5.1.1")));
    let large = format!("{}{}", bytes, "0123456789\r\n".repeat(SIZE_LIMIT / 12));
    let unfit = connection.carry(&mail("dpo@authority.example", large.as_bytes())).await;
    assert!(
        matches!(&unfit, Outcome::Refused { fault } if fault.step == SmtpStep::Prepare),
        "{unfit:?}"
    );
    let again = connection.carry(&mail("dpo@authority.example", bytes.as_bytes())).await;
    assert_eq!(again.name(), "accepted", "{again:?}");
    assert!(connection.reusable());
    connection.quit().await;

    let (_, body) = bytes.split_once("\r\n\r\n").unwrap();
    for arrived in postfix.mails_of("dpo", 2).await {
        // A Maildir holds lines with LF alone.
        assert!(
            arrived.ends_with(&format!("\n\n{}", body.replace("\r\n", "\n"))),
            "{arrived}"
        );
        assert!(arrived.contains("ESMTPSA"), "neither TLS nor login in: {arrived}");
    }
    // The report of success comes back to the return path with what we asked for (RFC 3464).
    for report in postfix.mails_of("breach", 2).await {
        for line in [
            "Original-Envelope-Id: BP-7K3M-Q2XR",
            "Original-Recipient: rfc822;dpo@authority.example",
            "Action: delivered",
        ] {
            assert!(report.contains(line), "{report}");
        }
    }

    let fault = Connection::open(&postfix.connector("wrong")).await.unwrap_err();
    assert!(
        matches!(&fault, Fault { step: SmtpStep::Auth, cause: FaultCause::Reply(r) } if r.code == 535),
        "{fault}"
    );
}

/// Clear text for those on this machine, and both ends of the conversation.
const BOTH_ENDS: &str = "
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = cnpd.lu, brasserie-kirchberg.example
virtual_mailbox_maps = inline:{ databreach@cnpd.lu=dpo/, breach@brasserie-kirchberg.example=breach/ }
recipient_delimiter = +
";

#[tokio::test]
async fn the_reports_of_a_real_server_move_our_notices() {
    let postfix = Postfix::start_with(&format!("{BOTH_ENDS}{}", postfix::IMPATIENT));
    // Only to make the home; its place is taken by Postfix.
    let (world, unused) = tokio::task::spawn_blocking(|| {
        let unused = world::relay::Relay::sound();
        (World::ready(&unused), unused)
    })
    .await
    .unwrap();
    world.settle(&unused.url(), &format!("smtp://127.0.0.1:{}?tls=none", postfix.port));
    let mut seen = Vec::new();
    let delivered = [("delivered", "2.0.0", "delivered", "envelope_id")];
    take_reports(&world, &postfix, &mut seen, &delivered).await;

    // Their server does not answer: first a warning, in the end it comes back.
    world.settle("#verp: none", "verp: plus");
    postfix.route(&format!("{AUTHORITY_ADDRESS} smtp:[127.0.0.1]:1"));
    let reports = [
        ("delayed", "4.4.1", "handed", "return_path"),
        ("failed", "4.4.1", "failed", "return_path"),
    ];
    take_reports(&world, &postfix, &mut seen, &reports).await;
    world.is_intact();
    tokio::task::spawn_blocking(move || drop(unused)).await.unwrap();
}

/// Sends a notice and takes in what is reported of it: action, status, the notice's state then, and by which mark it was
/// tied. `seen` holds the reports that have come so far.
async fn take_reports(world: &World, postfix: &Postfix, seen: &mut Vec<String>, expected: &[(&str, &str, &str, &str)]) {
    let sent = world.send(&[]).exits(0).json();
    assert_eq!(sent["state"], "handed", "{}", postfix.log());
    let reference = text(&sent["reference"]);
    for (number, (action, status, state, mark)) in expected.iter().enumerate() {
        // On a slow machine the next one may have come already: it waits for its turn.
        let is_next = |mail: &String| !seen.contains(mail) && mail.contains(&format!("Action: {action}"));
        let report = until_async(
            || format!("a report says {action}: {}", postfix.log()),
            async || postfix.mails_of("breach", 0).await.into_iter().find(is_next),
        )
        .await;
        let original = format!("Original-Recipient: rfc822;{AUTHORITY_ADDRESS}");
        assert!(report.contains(&original), "{report}");
        let ingest = world.run_with(&["mailbox", "ingest", "-", "--json"], report.as_bytes());
        let ingested = ingest.json();
        assert_eq!(ingested["notice"], reference, "{ingested}");
        let tied = (&ingested["matched_by"], &ingested["in_tray"]);
        assert_eq!(tied, (&(*mark).into(), &false.into()), "{report}");
        let shown = world.notice(&reference);
        assert_eq!(shown["state"], *state, "{shown}");
        let kept = &shown["reports"][number];
        assert_eq!(
            (&kept["action"], &kept["status"]),
            (&(*action).into(), &(*status).into())
        );
        seen.push(report);
    }
}
