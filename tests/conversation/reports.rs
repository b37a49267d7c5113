//! Reports of mail servers about a notice: those that are believed, and those that are not.

use serde_json::{Value, json};

use crate::world::dsn::Dsn;
use crate::world::relay::Relay;
use crate::world::{AUTHORITY_ADDRESS, SENDER, World, text};
use crate::{headers_of, ingest, send, tray};

#[test]
fn each_report_moves_its_notice_as_far_as_it_proves() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let (reference, returned) = (text(&sent["reference"]), headers_of(&sent));
    let report = |action| Dsn {
        to: SENDER,
        envelope_id: None,
        action,
        recipient: "DataBreach@CNPD.lu",
        original: None,
        returned: &returned,
    };
    for (action, state, words) in [
        ("delayed", "handed", "reported delayed"),
        ("relayed", "handed", "reported relayed"),
        ("failed", "failed", "call them"),
    ] {
        let mail = report(action).write();
        let ingested = ingest(&world, &mail)
            .exits(if action == "failed" { 2 } else { 0 })
            .json();
        assert_eq!(
            (&ingested["notice"], &ingested["in_tray"]),
            (&json!(reference), &json!(false)),
            "{ingested}"
        );
        assert_eq!(
            (&ingested["matched_by"], &ingested["certainty"]),
            (&json!("returned"), &json!("certain"))
        );
        assert_eq!(world.notice(&reference)["state"], state, "{action}");
        world.run(&["notice", "show", &reference]).says(&[words]);
        let length = world.json(&["journal", "verify"])["length"].clone();
        assert_eq!(ingest(&world, &mail).json()["new"], false);
        assert_eq!(
            world.json(&["journal", "verify"])["length"],
            length,
            "twice is harmless"
        );
    }
    world.run(&["status"]).exits(2).says(&[
        "the authority does not have it",
        "said the other server",
        &format!("breachpost notice show {reference}"),
    ]);
    let ladder = &world.notice(&reference)["ladder"]["rungs"];
    assert_eq!(ladder[1]["command"], format!("breachpost notice retry {reference}"));
    assert!(tray(&world).is_empty());
    // Another try, and their server takes it.
    world.run(&["notice", "retry", &reference]).exits(0);
    ingest(&world, &report("delivered").write()).exits(0);
    assert_eq!(world.notice(&reference)["state"], "delivered");
    // What is proven is not undone by a late report, but a person hears of it.
    let late = report("failed").write().replace("This is", "This again is");
    let ingested = ingest(&world, &late).exits(2).json();
    assert!(
        text(&ingested["why"]).contains("receipt was confirmed before"),
        "{ingested}"
    );
    assert_eq!(world.notice(&reference)["state"], "delivered");
    assert_eq!(tray(&world).len(), 1);
    world.is_intact();
}

#[test]
fn a_forged_report_is_not_believed() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let (reference, returned) = (text(&sent["reference"]), headers_of(&sent));
    let draft_like = returned.replace(&reference, "BP-0000-0000");
    let only_reference = format!("Subject: Encrypted message {reference}\r\n");
    let strange = returned.replace(&text(&sent["message_id"]), "<other@evil.example>");
    for (name, returned, recipient, why) in [
        (
            "of another recipient",
            returned.as_str(),
            "somebody@cnpd.lu",
            "not the one we wrote to",
        ),
        (
            "that knows only the reference",
            &only_reference,
            AUTHORITY_ADDRESS,
            "only what a stranger may know",
        ),
        (
            "with another Message-ID",
            &strange,
            AUTHORITY_ADDRESS,
            "only what a stranger may know",
        ),
        (
            "of what we never sent",
            &draft_like.replace(&text(&sent["message_id"]), "<never@sent.example>"),
            AUTHORITY_ADDRESS,
            "no message that was sent from here",
        ),
    ] {
        for action in ["failed", "delivered"] {
            let forged = Dsn {
                to: SENDER,
                envelope_id: Some(&reference),
                action,
                recipient,
                original: None,
                returned,
            };
            let forged = match name {
                "of what we never sent" => Dsn {
                    envelope_id: None,
                    ..forged
                },
                _ => forged,
            };
            let ingested = ingest(&world, &forged.write()).exits(2).json();
            assert_eq!(ingested["in_tray"], true, "{name}");
            assert!(text(&ingested["why"]).contains(why), "{name}: {ingested}");
        }
    }
    assert_eq!(world.notice(&reference)["state"], "handed");
    assert_eq!(tray(&world).len(), 8);
    world.is_intact();
}

#[test]
fn a_return_path_with_our_token_tells_a_bounce_from_any_other() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.settle("#verp: none", "verp: plus");
    let sent = send(&world);
    let reference = text(&sent["reference"]);
    let [mail] = relay.taken(1).try_into().unwrap();
    let path = mail.envelope_from.clone();
    let (local, domain) = SENDER.split_once('@').unwrap();
    let token = path
        .strip_prefix(&format!("{local}+"))
        .and_then(|rest| rest.strip_suffix(&format!("@{domain}")))
        .unwrap();
    assert!(token.starts_with(&reference.replace('-', "").to_lowercase()), "{path}");

    // A server that says nothing but that it failed, to the token in capitals.
    let bare = |to: &str| {
        format!(
            "From: MAILER-DAEMON@mx.example\r\nTo: <{to}>\r\nSubject: failure notice\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nCould not be delivered.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n--b--\r\n"
        )
    };
    let tampered = path.replace(&token[..12], &format!("{}0", &token[..11]));
    let tampered = if tampered == path {
        path.replace(&token[..12], &format!("{}1", &token[..11]))
    } else {
        tampered
    };
    let ingested = ingest(&world, &bare(&tampered)).exits(2).json();
    assert_eq!(ingested["notice"], Value::Null, "{ingested}");
    assert_eq!(world.notice(&reference)["state"], "handed");
    let ingested = ingest(&world, &bare(&path.to_uppercase())).json();
    assert_eq!(
        (&ingested["matched_by"], &ingested["notice"]),
        (&json!("return_path"), &json!(reference)),
        "{ingested}"
    );
    assert_eq!(world.notice(&reference)["state"], "failed");
}

#[test]
fn a_receipt_of_certified_mail_proves_delivery_to_whom_it_names() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let (reference, id) = (text(&sent["reference"]), text(&sent["message_id"]));
    let receipt = |receipt: &str, to: &str| {
        format!(
            "Return-Path: <>\r\nFrom: posta-certificata@pec.gestore.example\r\nTo: {SENDER}\r\nX-Ricevuta: {receipt}\r\n\
             X-Riferimento-Message-ID: {id}\r\nSubject: CONSEGNA: Encrypted message\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nRicevuta\r\n\
             --b\r\nContent-Type: application/xml; name=daticert.xml\r\n\r\n\
             <postacert tipo=\"{receipt}\"><consegna>{to}</consegna></postacert>\r\n--b--\r\n"
        )
    };
    let accepted = ingest(&world, &receipt("accettazione", AUTHORITY_ADDRESS))
        .exits(2)
        .json();
    assert_eq!(
        (&accepted["kind"], &accepted["in_tray"]),
        (&json!("report"), &json!(true))
    );
    let stranger = ingest(&world, &receipt("avvenuta-consegna", "somebody@cnpd.lu"))
        .exits(2)
        .json();
    assert!(text(&stranger["why"]).contains("not the one we wrote to"), "{stranger}");
    assert_eq!(world.notice(&reference)["state"], "handed");
    let delivered = ingest(&world, &receipt("avvenuta-consegna", AUTHORITY_ADDRESS))
        .exits(0)
        .json();
    assert_eq!(delivered["notice"], json!(reference), "{delivered}");
    assert_eq!(world.notice(&reference)["state"], "delivered");
}
