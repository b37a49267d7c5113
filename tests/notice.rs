//! The main journey as a user sees it: a breach becomes a sealed notice that the authority's GnuPG reads and verifies, the
//! authority answers, and the notice is acknowledged with its proof. And what merely looks like an answer.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use breachpost::drill::receiver::{Act, Step};
use serde_json::{Value, json};

use world::gpg::Gpg;
use world::relay::Relay;
use world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, SENDER, World, text, until};

/// An installation, the authority's GnuPG whose certificate it has pinned and which knows ours, and a breach.
fn with_gnupg(relay: &Relay) -> (World, Gpg, String) {
    let world = World::new(relay);
    let gpg = Gpg::new(AUTHORITY_ADDRESS);
    let with = |fingerprint: &str| world.pin(&gpg.certificate, fingerprint, &["--verified", "phone", "--json"]);

    let wrong = "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567";
    with(wrong)
        .exits(2)
        .says(&["error: the certificate was not imported", "by telephone"]);
    world.run(&["authority", "cert", "show", AUTHORITY]).exits(2);
    let pin = with(&gpg.fingerprint).exits(0).json();
    assert_eq!(pin["fingerprint"], gpg.fingerprint);
    assert_eq!(pin["verified"], "phone");

    let ours = world.run(&["key", "export"]).exits(0).stdout;
    gpg.ok(&["--import"], ours.as_bytes());
    let breach = world.open_breach(BREACH);
    (world, gpg, breach)
}

fn send(world: &World, breach: &str) -> Value {
    world.json(&["notice", "send", breach, "--to", AUTHORITY, "--yes"])
}

/// The headers of an answer to a notice.
fn answer_to(notice: &Value, from: &str, subject: &str) -> String {
    format!(
        "From: <{from}>\r\nTo: <{SENDER}>\r\nSubject: {subject}\r\nMessage-ID: <{}@answer.example>\r\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0100\r\nIn-Reply-To: {}\r\n",
        subject.replace(|c: char| !c.is_ascii_alphanumeric(), ""),
        text(&notice["message_id"])
    )
}

const PLAIN: &str =
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

fn ingest(world: &World, mail: &str) -> world::Ran {
    world.run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
}

#[test]
fn a_breach_becomes_a_sealed_notice_that_the_authority_reads_and_acknowledges() {
    let relay = Relay::protected();
    let (world, gpg, breach) = with_gnupg(&relay);
    assert!(breach.starts_with("B-20"), "{breach}");

    let preview = world.json(&["notice", "preview", &breach, "--to", AUTHORITY]);
    assert_eq!(preview["to"], AUTHORITY_ADDRESS);
    assert_eq!(preview["recipient_fingerprint"], gpg.fingerprint);
    assert_eq!(preview["verified"], "phone");
    assert_eq!(preview["language"], "fr");
    assert_eq!(preview["unusable"], Value::Null);
    let shown = text(&preview["text"]);
    for word in ["Brasserie du Kirchberg S.A.", "412", "+352 621 000 111", "Claire Weber"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(
        world.notices().is_empty() && relay.mails().is_empty(),
        "a preview changes nothing"
    );

    let attached = "Liste des mesures – état du 18 novembre\n".repeat(200);
    let file = world.file("mesures été.txt", attached.as_bytes());
    let line = ["notice", "send", &breach, "--to", AUTHORITY, "--attach", &file, "--yes"];
    let sent = world.json(&line);
    assert_eq!(sent["state"], "handed");
    assert_eq!(sent["authority_reference"], Value::Null);
    let reference = text(&sent["reference"]);
    let [attempt] = sent["attempts"].as_array().unwrap().as_slice() else {
        panic!("{sent}")
    };
    assert_eq!(attempt["outcome"], "accepted");
    assert_eq!(attempt["reply"]["code"], 250);
    assert!(text(&attempt["tls"]["version"]).starts_with("TLSv1."), "{attempt}");

    let [mail] = relay.taken(1).try_into().unwrap();
    assert!(mail.tls && mail.user.as_deref() == Some("breach"));
    assert_eq!(mail.envelope_from, SENDER);
    let [recipient] = mail.recipients.as_slice() else {
        panic!("{mail:?}")
    };
    assert_eq!(recipient.address, AUTHORITY_ADDRESS);
    let on_the_wire = String::from_utf8(mail.bytes.clone()).unwrap();
    for hidden in [
        "Brasserie du Kirchberg S.A. -",
        "Payroll",
        "supplier",
        "violation",
        "Auto-Submitted",
        "Precedence",
    ] {
        assert!(!on_the_wire.contains(hidden), "{hidden}");
    }
    assert!(on_the_wire.contains(&format!("Subject: Encrypted message {reference}\r\n")));

    let (content, status) = gpg.decrypt(&on_the_wire);
    let ours = text(&world.json(&["key", "show"])["fingerprint"]);
    assert!(status.contains("GOODSIG") && status.contains(&ours), "{status}");
    assert!(status.contains("GOODMDC"), "{status}");
    let kept = text(&world.json(&["notice", "show", &reference, "--content"])["content"]);
    assert_eq!(content, kept, "what the authority decrypts is what we keep");
    let read = mail_parser::MessageParser::default().parse(content.as_bytes()).unwrap();
    assert!(read.subject().unwrap().contains(&reference));
    // The time of filing stands in the text, so the preview is compared up to its table of facts.
    let same = |text: &str| text.split("Notre référence").next().unwrap().replace("\r\n", "\n");
    assert_eq!(same(&read.body_text(0).unwrap()), same(&shown));
    let attachment = read
        .attachments()
        .find(|part| mail_parser::MimeHeaders::attachment_name(*part) == Some("mesures été.txt"))
        .unwrap();
    assert_eq!(attachment.contents(), attached.as_bytes());
    assert!(
        content.contains("application/pgp-keys"),
        "our certificate comes with it"
    );

    let headers = answer_to(&sent, AUTHORITY_ADDRESS, "Votre message");
    let content = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nMadame, Monsieur,\r\n\
         nous accusons bonne réception de votre notification {reference}.\r\n"
    );
    let acknowledgement = gpg.sealed_mail(&headers, &content);
    let ingested = ingest(&world, &acknowledgement).exits(0).json();
    assert_eq!(ingested["kind"], "acknowledgement");
    assert_eq!(ingested["notice"], reference);
    assert_eq!(ingested["signed_by"], gpg.fingerprint);
    assert_eq!((&ingested["encrypted"], &ingested["new"]), (&json!(true), &json!(true)));

    let shown = world.json(&["notice", "show", &reference]);
    assert_eq!(shown["state"], "acknowledged");
    assert_eq!(shown["acknowledgement"]["proof"]["by"], gpg.fingerprint);

    let length = world.json(&["journal", "verify"])["length"].clone();
    let again = ingest(&world, &acknowledgement).exits(0).json();
    assert_eq!((&again["new"], &again["mail"]), (&json!(false), &ingested["mail"]));
    assert_eq!(
        world.json(&["journal", "verify"])["length"],
        length,
        "twice is harmless"
    );
    world.run(&["mailbox", "tray"]).exits(0);
    world.run(&["status"]).exits(0).says(&["Nothing needs a person."]);
    world.run(&["doctor"]).exits(0);
}

#[test]
fn an_acknowledgement_in_plain_text_counts_and_its_proof_says_how_little_it_proves() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world, world.breach());
    let headers = answer_to(&sent, "notifications@cnpd.lu", "Accuse de reception");
    let body = "Bonjour,\r\nnous avons bien reçu votre notification.\r\n\r\n> nous vous notifions la violation\r\n";
    let ingested = ingest(&world, &format!("{headers}{PLAIN}{body}")).exits(0).json();
    assert_eq!(
        (&ingested["signed_by"], &ingested["encrypted"]),
        (&Value::Null, &json!(false))
    );
    let shown = world.json(&["notice", "show", &text(&sent["reference"])]);
    assert_eq!(shown["state"], "acknowledged");
    let proof = &shown["acknowledgement"]["proof"];
    assert_eq!(
        (&proof["proof"], &proof["mail"]),
        (&json!("threaded"), &ingested["mail"])
    );
}

/// Mails that look like an acknowledgement or quote our reference, and what a person is told about each.
#[test]
fn what_only_looks_like_an_acknowledgement_waits_for_a_person() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world, world.breach());
    let reference = text(&sent["reference"]);
    let from = |from: &str, subject: &str| answer_to(&sent, from, subject);
    let cases = [
        (
            "autoreply",
            format!(
                "{}Auto-Submitted: auto-replied\r\n{PLAIN}Je suis absent du bureau. Nous avons bien reçu votre message.\r\n",
                from(AUTHORITY_ADDRESS, "Absence du bureau")
            ),
            "away",
        ),
        (
            "reply",
            format!(
                "{}{PLAIN}Nous avons bien reçu votre notification {reference}. Confirmez sur https://cnpd.example\r\n",
                from("databreach@cnpd-lu.example", "Accuse de reception phishing")
            ),
            "does not come from a known sender of lu-cnpd",
        ),
        ("bounce", bounce(&sent), "a delivery status notification"),
        (
            "reply",
            format!(
                "{}{PLAIN}Pardon ?\r\n\r\n> Nous accusons bonne réception\r\n> {reference}\r\n",
                from(AUTHORITY_ADDRESS, "Re quoted")
            ),
            "a person wrote",
        ),
        (
            "reply",
            format!(
                "{}{PLAIN}Combien de personnes habitent en France ?\r\n",
                from("anna@cnpd.lu", "Question")
            ),
            "a person wrote",
        ),
        (
            "other",
            format!("From: <news@vendor.example>\r\nSubject: Offer\r\n{PLAIN}We have received your order.\r\n"),
            "carries no reference of ours",
        ),
    ];
    for (kind, mail, why) in &cases {
        let ingested = ingest(&world, mail).exits(2).json();
        assert_eq!(ingested["kind"], *kind, "{mail}");
        assert!(text(&ingested["why"]).contains(why), "{ingested}");
        let belongs = if *kind == "other" {
            Value::Null
        } else {
            json!(reference)
        };
        assert_eq!(ingested["notice"], belongs, "{mail}");
    }
    let shown = world.notice(&reference);
    assert_eq!(
        (&shown["state"], &shown["acknowledgement"]),
        (&json!("handed"), &Value::Null)
    );
    let tray = world.run(&["mailbox", "tray", "--json"]).exits(2).json();
    assert_eq!(tray.as_array().unwrap().len(), cases.len());
    let first = text(&tray[0]["mail"]);
    world
        .run(&["mailbox", "show", &first])
        .exits(0)
        .says(&["absent du bureau", "not signed: its From address proves nothing"]);
    world.run(&["status"]).exits(2).says(&["breachpost mailbox tray"]);
}

/// What a mail server gives back (RFC 3464), and yet of another recipient: not believed.
fn bounce(notice: &Value) -> String {
    format!(
        "From: Mail Delivery System <MAILER-DAEMON@relay.example>\r\nTo: <{SENDER}>\r\nSubject: Undelivered Mail\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=d\r\n\r\n\
         --d\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n\
         --d\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n\
         Final-Recipient: rfc822; somebody.else@cnpd.lu\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         --d\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {}\r\nSubject: Encrypted message {}\r\n\r\n--d--\r\n",
        text(&notice["message_id"]),
        text(&notice["reference"])
    )
}

#[test]
fn an_answer_that_was_changed_on_the_way_is_no_acknowledgement() {
    let relay = Relay::sound();
    let (world, gpg, breach) = with_gnupg(&relay);
    let sent = send(&world, &breach);
    let words = "Content-Type: text/plain\r\n\r\nWe have received your notification, our number is 12/34.\r\n";
    let signature = gpg.ok(&["--armor", "--detach-sign"], words.as_bytes());
    let changed = format!(
        "{}MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\r\n\r\n\
         --s\r\n{}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n{signature}\r\n--s--\r\n",
        answer_to(&sent, AUTHORITY_ADDRESS, "Receipt"),
        words.replace("12/34", "12/35")
    );
    let ingested = ingest(&world, &changed).exits(2).json();
    assert!(text(&ingested["why"]).contains("signature is bad"), "{ingested}");
    assert_eq!(world.notice(&text(&sent["reference"]))["state"], "handed");
}

#[test]
fn notices_of_every_kind_continue_the_first() {
    let relay = Relay::sound();
    let (world, gpg, breach) = with_gnupg(&relay);
    let kinds = [
        "preliminary",
        "supplementary",
        "complete",
        "amendment",
        "answer",
        "withdrawal",
    ];
    let mut earlier: Vec<(String, String)> = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let why = format!("Raison {number} : précision demandée");
        let mut line = vec!["notice", "send", &breach, "--to", AUTHORITY, "--yes", "--kind", kind];
        if number > 0 {
            line.extend(["--text", &why]);
        }
        let sent = world.json(&line);
        assert_eq!((&sent["kind"], &sent["sequence"]), (&json!(kind), &json!(number + 1)));
        assert_eq!(
            sent["prior"].as_str(),
            earlier.last().map(|(reference, _)| reference.as_str())
        );

        let mails = relay.taken(number + 1);
        let mail = String::from_utf8(mails[number].bytes.clone()).unwrap();
        let parsed = mail_parser::MessageParser::default().parse(mail.as_bytes()).unwrap();
        let linked = parsed.references().as_text_list().unwrap_or_default().to_vec();
        let wanted: Vec<&str> = earlier.iter().map(|(_, id)| id.trim_matches(['<', '>'])).collect();
        assert_eq!(linked, wanted, "{kind}");

        let (content, _) = gpg.decrypt(&mail);
        let read = mail_parser::MessageParser::default().parse(content.as_bytes()).unwrap();
        let body = read.body_text(0).unwrap();
        assert_eq!(body.contains(&why), number > 0, "{kind}: {body}");
        if let Some((first, _)) = earlier.first() {
            assert!(body.contains(first), "{kind} names what it continues: {body}");
        }
        earlier.push((text(&sent["reference"]), text(&sent["message_id"])));
    }
    assert_eq!(
        world.json(&["notice", "list", &breach]).as_array().unwrap().len(),
        kinds.len()
    );
}

#[test]
fn what_went_by_portal_and_letter_is_booked_with_its_proof() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let proof = world.file("confirmation.pdf", b"%PDF-1.7 confirmed");
    let line = [
        "notice",
        "record",
        world.breach(),
        "--to",
        "be-apd-gba",
        "--channel",
        "portal",
        "--reference",
    ];
    let booked = world.json(
        &[
            &line[..],
            &["DBN-2026-123", "--proof", &proof, "--note", "Formulaire rempli"],
        ]
        .concat(),
    );
    assert_eq!(
        (&booked["channel"], &booked["state"]),
        (&json!("portal"), &json!("handed"))
    );
    assert_eq!(booked["authority_reference"], "DBN-2026-123");
    let reference = text(&booked["reference"]);

    let future = [&line[..], &["X", "--at", "2999-01-01T00:00:00Z"]].concat();
    world.run(&future).exits(2).says(&["lies in the future"]);

    let letter = world.file("letter.pdf", b"%PDF-1.7 letter");
    let ack = ["notice", "ack", &reference, "--reference", "APD/7", "--proof", &letter];
    world.run(&ack).exits(64).says(&["--attested"]);
    let acknowledged = world.json(&[&ack[..], &["--attested"]].concat());
    assert_eq!(acknowledged["state"], "acknowledged");
    assert_eq!(acknowledged["authority_reference"], "APD/7");
    let proof = &acknowledged["acknowledgement"]["proof"];
    assert_eq!(text(&proof["file_sha256"]), sha256("%PDF-1.7 letter"));
    assert!(relay.mails().is_empty());
    world.is_intact();
}

fn sha256(text: &str) -> String {
    breachpost::message::token::sha256_hex(text.as_bytes())
}

#[test]
fn a_notice_is_called_off_until_it_has_left_and_never_after() {
    let relay = Relay::troubled(Step::Rcpt, Act::reply("451 4.7.1 greylisted"), 1);
    let world = World::ready(&relay);
    let line = ["notice", "send", world.breach(), "--to", AUTHORITY, "--yes", "--json"];
    let queued = world.run(&line).exits(2).json();
    assert_eq!(queued["state"], "queued");
    let withdrawn = world.json(&["notice", "withdraw", &text(&queued["reference"])]);
    assert_eq!(withdrawn["state"], "withdrawn");

    let handed = send(&world, world.breach());
    assert_eq!(
        handed["prior"],
        Value::Null,
        "what was called off is continued by nothing"
    );
    world
        .run(&["notice", "withdraw", &text(&handed["reference"])])
        .exits(2)
        .says(&["has left already", "--kind withdrawal"]);
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn a_daemon_carries_what_is_queued_and_picks_the_answer_up() {
    let relay = Relay::protected();
    let (world, gpg, breach) = with_gnupg(&relay);
    let daemon = world.serve();
    let line = ["notice", "send", &breach, "--to", AUTHORITY, "--yes"];
    let queued = world.json(&line);
    assert_eq!(queued["state"], "queued", "left to the daemon");
    let followed = world.json(&[&line[..], &["--wait"]].concat());
    assert_eq!(followed["state"], "handed");
    let reference = text(&queued["reference"]);
    world.until_notice(&reference, "handed");

    let content = "Content-Type: text/plain\r\n\r\nEingangsbestätigung: Ihre Meldung ist bei uns eingegangen.\r\n";
    let headers = answer_to(&queued, "databreach@mail.cnpd.lu", "Encrypted");
    world.deliver("1763722800.M1P1.cnpd", gpg.sealed_mail(&headers, content).as_bytes());
    let shown = world.until_notice(&reference, "acknowledged");
    assert_eq!(shown["acknowledgement"]["proof"]["by"], gpg.fingerprint);
    assert_eq!(
        world.notice(&text(&followed["reference"]))["state"],
        "handed",
        "each has its own answer"
    );

    let log = daemon.log();
    assert_eq!(daemon.stop(), 0, "{log}");
    assert_eq!(relay.mails().len(), 2);
    until("the Maildir is as it was", || {
        world.maildir().join("new/1763722800.M1P1.cnpd").exists().then_some(())
    });
    assert_eq!(world.run(&["status", "--json"]).json()["daemon"], false);
    world.is_intact();
}

#[test]
fn at_a_terminal_the_six_things_that_matter_are_asked_and_nothing_leaves_without_a_yes() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.import_certificate();
    let ask = |line: &[&str], typed: &str| world.at_terminal(world.command(line), typed);

    let half_way = ask(&["breach", "open"], "A lost laptop\n");
    let opened = half_way.says(&["Left half-way", "is in the register: A lost laptop"]);
    assert_eq!(opened.status, 0, "what was said so far is kept: {opened:?}");

    let breach = world.open_breach(BREACH);
    let line = ["notice", "send", &breach, "--to", AUTHORITY];
    let shown = ["databreach@cnpd.lu", "fingerprint verified: phone", "Send this now?"];
    ask(&line, "no\n")
        .exits(2)
        .says(&shown)
        .says(&["nothing was sent, as you wished"]);
    ask(&line, "").exits(2);
    assert!(world.notices().is_empty() && relay.connections() == 0);
    ask(&line, "perhaps\nyes\n")
        .exits(0)
        .says(&shown)
        .says(&["answer with yes or no", "handed over"]);
    assert_eq!(relay.mails().len(), 1);
}
