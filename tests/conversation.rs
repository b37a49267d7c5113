//! What comes back after a notice has left, as a user sees it: reports that are believed and reports that are not,
//! questions of the authority and our answers in its thread, and a tray that nothing leaves by itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use world::dsn::Dsn;
use world::gpg::Gpg;
use world::relay::Relay;
use world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, Ran, SENDER, World, text};

const PLAIN: &str =
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

fn ingest(world: &World, mail: &str) -> Ran {
    world.run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
}
fn tray(world: &World) -> Vec<Value> {
    world
        .run(&["mailbox", "tray", "--json"])
        .json()
        .as_array()
        .unwrap()
        .clone()
}

/// The headers of a notice as a server gives them back.
fn headers_of(notice: &Value) -> String {
    format!(
        "From: <{SENDER}>\r\nTo: <{AUTHORITY_ADDRESS}>\r\nSubject: Encrypted message {}\r\nMessage-ID: {}\r\n",
        text(&notice["reference"]),
        text(&notice["message_id"])
    )
}

fn send(world: &World) -> Value {
    world.send(&[]).exits(0).json()
}

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
fn a_question_is_answered_sealed_in_its_thread() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    let gpg = Gpg::new(AUTHORITY_ADDRESS);
    world
        .pin(&gpg.certificate, &gpg.fingerprint, &["--verified", "phone"])
        .exits(0);
    let ours = world.run(&["key", "export"]).exits(0).stdout;
    gpg.ok(&["--import"], ours.as_bytes());
    let breach = world.open_breach(BREACH);
    let sent = send(&world);
    let reference = text(&sent["reference"]);

    let headers = format!(
        "From: <anna@cnpd.lu>\r\nTo: <{SENDER}>\r\nSubject: Votre notification {reference}\r\nMessage-ID: <q1@cnpd.lu>\r\n\
         References: <x@cnpd.lu> {id}\r\nIn-Reply-To: {id}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0100\r\n",
        id = text(&sent["message_id"])
    );
    let question = gpg.sealed_mail(&headers, "Content-Type: text/plain\r\n\r\nCombien de personnes ?\r\n");
    let ingested = ingest(&world, &question).exits(2).json();
    assert_eq!(ingested["kind"], "reply");
    assert_eq!(ingested["authenticity"]["by"], "openpgp", "{ingested}");
    let mail = text(&ingested["mail"]);
    world.run(&["mailbox", "show", &mail]).exits(0).says(&[
        "Combien de personnes ?",
        "proven: signed with OpenPGP by the authority's pinned certificate",
        "answer due",
    ]);
    for line in [
        vec!["status"],
        vec!["notice", "show", &reference],
        vec!["breach", "show", &breach],
    ] {
        world.run(&line).says(&["asks a question", &mail]);
    }

    let answer = [
        "notice",
        "send",
        &breach,
        "--to",
        AUTHORITY,
        "--kind",
        "answer",
        "--in-reply-to",
        &mail,
        "--yes",
        "--json",
    ];
    world.run(&answer).exits(2).says(&["an answer needs your words"]);
    let words = world.file(
        "answer.txt",
        "Quatre cent douze personnes, dont trois en France.\n".as_bytes(),
    );
    let preview = [
        "notice",
        "preview",
        &breach,
        "--to",
        AUTHORITY,
        "--in-reply-to",
        &mail,
        "--text-file",
        &words,
    ];
    world
        .run(&preview)
        .exits(0)
        .says(&["answer", "Quatre cent douze", AUTHORITY_ADDRESS]);
    assert_eq!(tray(&world).len(), 1, "a preview answers nothing");
    let done = world
        .run(&[&answer[..], &["--text-file", &words]].concat())
        .exits(0)
        .json();
    assert_eq!((&done["kind"], &done["answers"]), (&json!("answer"), &json!(mail)));

    let [_, taken] = relay.taken(2).try_into().unwrap();
    let on_the_wire = String::from_utf8(taken.bytes.clone()).unwrap();
    assert!(on_the_wire.contains("In-Reply-To: <q1@cnpd.lu>"), "{on_the_wire}");
    assert!(!on_the_wire.contains("Quatre"), "sealed");
    let (content, status) = gpg.decrypt(&on_the_wire);
    assert!(status.contains("GOODSIG"), "{status}");
    let read = mail_parser::MessageParser::default().parse(content.as_bytes()).unwrap();
    assert!(read.body_text(0).unwrap().contains("Quatre cent douze personnes"));
    let subject = read.subject().unwrap();
    assert!(subject.contains(&text(&done["reference"])), "{subject}");
    let references = on_the_wire.replace("\r\n ", " ");
    assert!(
        references.contains("References: <x@cnpd.lu>") && references.contains("<q1@cnpd.lu>\r\n"),
        "{on_the_wire}"
    );

    assert!(tray(&world).is_empty());
    let inquiry = &world.notice(&reference)["inquiries"][0];
    assert_eq!(inquiry["closed"]["answer"], done["reference"], "{inquiry}");
    // They answer our answer: that is another question, and nothing was ever sent by itself.
    let again = headers
        .replace("<q1@cnpd.lu>", "<q2@cnpd.lu>")
        .replace(&text(&sent["message_id"]), &text(&done["message_id"]));
    let again = ingest(&world, &format!("{again}{PLAIN}Et en Belgique ?\r\n"))
        .exits(2)
        .json();
    assert_eq!(again["kind"], "reply", "{again}");
    assert_eq!(relay.mails().len(), 2);
    assert_eq!(tray(&world).len(), 1);
    world.is_intact();
}

/// A mail from the authority's domain that answers a notice.
fn reply(sent: &Value, from: &str, text_of: &str) -> String {
    format!(
        "From: <{from}>\r\nTo: <{SENDER}>\r\nSubject: Re: {}\r\nIn-Reply-To: {}\r\n{PLAIN}{text_of}\r\n",
        text(&sent["reference"]),
        text(&sent["message_id"])
    )
}

#[test]
fn our_own_words_in_their_answer_are_not_theirs() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    // Its words are such as an authority confirms receipt by: "No other body has been recorded".
    let sent = world.send(&["--lang", "en"]).exits(0).json();
    let reference = text(&sent["reference"]);
    let [taken] = relay.taken(1).try_into().unwrap();
    let sealed = String::from_utf8(taken.bytes.clone()).unwrap();
    let armor = {
        let begin = sealed.find("-----BEGIN PGP MESSAGE-----").unwrap();
        let end = "-----END PGP MESSAGE-----";
        &sealed[begin..sealed.find(end).unwrap() + end.len()]
    };
    let words = "What is this? We cannot make sense of it.";
    let attached = format!(
        "From: <anna@cnpd.lu>\r\nSubject: Re: {reference}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\n{words}\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"encrypted.asc\"\r\n\r\n\
         {armor}\r\n--b--\r\n"
    );
    for (how, mail, theirs) in [
        ("attached", attached, Some(words)),
        (
            "pasted",
            reply(&sent, "anna@cnpd.lu", &format!("{words}\r\n\r\n{armor}")),
            Some(words),
        ),
        (
            "above",
            reply(&sent, "anna@cnpd.lu", &format!("{armor}\r\n\r\n{words}")),
            Some(words),
        ),
        ("alone", reply(&sent, "anna@cnpd.lu", armor), None),
        ("resent", sealed.replacen(SENDER, "anna@cnpd.lu", 1), None),
    ] {
        let ingested = ingest(&world, &mail).exits(2).json();
        assert_eq!(
            (&ingested["kind"], &ingested["in_tray"], &ingested["notice"]),
            (&json!("reply"), &json!(true), &json!(reference)),
            "{how}: {ingested}"
        );
        assert_eq!(world.notice(&reference)["state"], "handed", "{how}");
        let shown = world.run(&["mailbox", "show", &text(&ingested["mail"])]).exits(0);
        if let Some(theirs) = theirs {
            assert!(shown.stdout.contains(theirs), "{how}: {}", shown.stdout);
            assert!(
                !shown.stdout.contains("good OpenPGP signature"),
                "{how}: {}",
                shown.stdout
            );
        }
    }
    world.is_intact();
}

#[test]
fn what_nobody_can_read_here_confirms_nothing() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let reference = text(&sent["reference"]);
    let sealed = reply(&sent, AUTHORITY_ADDRESS, "").replace(
        PLAIN,
        "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3DQEHA6CAMIACAQA=\r\n",
    );
    let sealed = sealed.replace("Subject: ", "Subject: Acknowledgement of receipt ");
    let ingested = ingest(&world, &sealed).exits(2).json();
    assert_eq!(
        (&ingested["notice"], &ingested["in_tray"], &ingested["kind"]),
        (&json!(reference), &json!(true), &json!("reply")),
        "{ingested}"
    );
    let why = text(&ingested["why"]);
    assert_eq!(
        why.matches("it is S/MIME, which is not opened here").count(),
        1,
        "{why}"
    );
    assert_eq!(world.notice(&reference)["state"], "handed");
    // It waits as a question that somebody must answer.
    world
        .run(&["status"])
        .exits(2)
        .says(&["asks a question", "breachpost mailbox show mail_1"]);
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

#[test]
fn a_confirmation_that_also_asks_or_orders_is_booked_and_shown() {
    let relay = Relay::sound();
    for (words, machine, shown) in [
        ("We acknowledge receipt of your notification.", false, None),
        (
            "We acknowledge receipt of your notification. Please send the rest.",
            true,
            None,
        ),
        (
            "We acknowledge receipt of your notification. Please send the rest no later than 30 November 2026.",
            false,
            Some("please send"),
        ),
        (
            "Nous accusons réception de votre notification. Peut-on vous appeler demain ?",
            false,
            Some("asks something"),
        ),
        (
            "Confermiamo la ricezione. Ai sensi dell'articolo 34, paragrafo 4, si comunichi la violazione agli interessati.",
            false,
            Some("may also order"),
        ),
        (
            "We acknowledge receipt of your notification. You are ordered under Article 58(2)(e) GDPR to tell them.",
            true,
            Some("may also order"),
        ),
    ] {
        let world = World::ready(&relay);
        let sent = send(&world);
        let reference = text(&sent["reference"]);
        let mail = reply(&sent, "anna@cnpd.lu", words);
        let mail = match machine {
            true => format!("Auto-Submitted: auto-generated\r\n{mail}"),
            false => mail,
        };
        let ingested = ingest(&world, &mail).exits(if shown.is_some() { 2 } else { 0 }).json();
        assert_eq!(
            (&ingested["kind"], &ingested["in_tray"]),
            (&json!("acknowledgement"), &json!(shown.is_some())),
            "{words}: {ingested}"
        );
        let notice = world.notice(&reference);
        assert_eq!(notice["state"], "acknowledged", "{words}");
        let open = notice["inquiries"].as_array().map_or(0, Vec::len);
        assert_eq!(open, usize::from(shown.is_some()), "{words}: {notice}");
        if let Some(shown) = shown {
            assert!(text(&ingested["why"]).contains(shown), "{words}: {ingested}");
            world
                .run(&["status"])
                .exits(2)
                .says(&["asks a question", &text(&ingested["mail"])]);
        }
    }
}

#[test]
fn what_waits_leaves_the_tray_only_by_a_person() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let reference = text(&sent["reference"]);
    let mails: Vec<String> = [
        reply(
            &sent,
            "anna@cnpd.lu",
            "Please communicate the personal data breach to the data subjects (Art. 34(4)).",
        ),
        reply(
            &sent,
            "databreach@cnpd-lu.example",
            "We have received your notification.",
        ),
        format!("From: <anna@cnpd.lu>\r\nSubject: hello\r\n{PLAIN}Call me.\r\n"),
        format!("From: <news@vendor.example>\r\nSubject: Offer\r\n{PLAIN}Buy this.\r\n"),
    ]
    .iter()
    .map(|mail| text(&ingest(&world, mail).exits(2).json()["mail"]))
    .collect();
    let [order, phish, unmarked, spam] = mails.try_into().unwrap();
    let daemon = world.serve();
    daemon.stop();
    let lines = tray(&world);
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(
            !text(&line["why"]).is_empty() && !line["commands"].as_array().unwrap().is_empty(),
            "{line}"
        );
    }
    assert_eq!(lines[2]["proposed"], json!([reference]), "only its sender fits");
    assert_eq!(lines[2]["notice"], Value::Null);

    world
        .run(&["mailbox", "show", &order])
        .says(&["may be an order", "--order inform"]);
    assert_eq!(
        world.notice(&reference)["inquiries"].as_array().unwrap().len(),
        1,
        "phishing asks nothing"
    );
    world
        .run(&[
            "mailbox", "match", &order, &reference, "--order", "inform", "--reason", "page 2",
        ])
        .exits(0);
    world.run(&["status"]).exits(2).says(&["ORDERS you to inform"]);
    world
        .run(&[
            "mailbox",
            "match",
            &unmarked,
            &reference,
            "--as",
            "acknowledgement",
            "--reason",
            "asked them",
        ])
        .exits(0);
    let shown = world.notice(&reference);
    assert_eq!(shown["state"], "acknowledged");
    assert_eq!(
        shown["acknowledgement"]["proof"]["proof"], "attested",
        "nothing in it ties it to the notice: {shown}"
    );
    world.run(&["mailbox", "done", &spam]).exits(64);
    world.run(&["mailbox", "done", &spam, "--reason", " "]).exits(2);
    world
        .run(&["mailbox", "done", &spam, "--reason", "an advertisement"])
        .exits(0);
    world.run(&["mailbox", "match", &phish, "BP-0000-0000"]).exits(64);
    world.run(&["mailbox", "match", &phish, "dlv_99"]).exits(64);
    world.run(&["mailbox", "match", "mail_99", &reference]).exits(64);
    assert_eq!(tray(&world).len(), 1);
    world
        .run(&["mailbox", "show", &spam])
        .says(&["Decided: done by", "an advertisement"]);
    // The order still waits for an answer, though nothing of it lies in the tray.
    world
        .run(&["mailbox", "done", &order, "--reason", "the campaign has started"])
        .exits(0);
    assert_eq!(
        world.notice(&reference)["inquiries"][0]["closed"]["reason"],
        "the campaign has started"
    );
    world.is_intact();
}

#[test]
fn a_refuted_sender_is_not_believed() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.settle(
        "# Other addresses and another relay for campaigns",
        "# settled by a test\n# Other addresses and another relay for campaigns",
    );
    let config = fs::read_to_string(world.home().join("config.yaml")).unwrap();
    let line = config
        .lines()
        .find(|line| line.starts_with("mailbox:"))
        .unwrap_or_else(|| panic!("{config}"))
        .to_owned();
    let trusting = match line.strip_suffix(" }") {
        Some(open) => format!("{open}, trusted_authserv_id: mx.example.lu }}"),
        None => format!("{line}\n  trusted_authserv_id: mx.example.lu"),
    };
    world.settle(&line, &trusting);
    let sent = send(&world);
    let reference = text(&sent["reference"]);
    let claims = reply(&sent, "databreach@cnpd.lu", "We have received your notification.");
    let with = |results: &str| format!("Authentication-Results: {results}\r\n{claims}");
    let refuted = ingest(&world, &with("mx.example.lu; dmarc=fail header.from=cnpd.lu"))
        .exits(2)
        .json();
    assert_eq!(refuted["authenticity"]["result"], "failed", "{refuted}");
    assert_eq!(world.notice(&reference)["state"], "handed");
    let mail = text(&refuted["mail"]);
    world
        .run(&["mailbox", "show", &mail])
        .says(&["REFUTED by your own mail server"]);
    // A header under another name proves nothing, and refutes nothing.
    let forged = format!(
        "Authentication-Results: evil.example; dmarc=fail header.from=cnpd.lu\r\n{}",
        with("mx.example.lu; dmarc=pass header.from=cnpd.lu")
    );
    let passed = ingest(&world, &forged).exits(0).json();
    assert_eq!(
        passed["authenticity"],
        json!({ "by": "authentication_results", "result": "passed", "domain": "cnpd.lu", "note": "dmarc" })
    );
    assert_eq!(world.notice(&reference)["state"], "acknowledged");
    // A bounce does not un-acknowledge.
    let bounce = Dsn {
        to: SENDER,
        envelope_id: None,
        action: "failed",
        recipient: AUTHORITY_ADDRESS,
        original: None,
        returned: &headers_of(&sent),
    };
    ingest(&world, &bounce.write()).exits(2);
    assert_eq!(world.notice(&reference)["state"], "acknowledged");
}

#[test]
fn attachments_are_saved_under_safe_names_and_raw_is_raw() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let mail = format!(
        "From: <anna@cnpd.lu>\r\nSubject: Re: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSee the form.\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../../form.pdf\"\r\n\r\n%PDF\r\n--b--\r\n",
        text(&sent["reference"])
    );
    let id = text(&ingest(&world, &mail).exits(2).json()["mail"]);
    let folder = world.scratch().join("saved");
    let shown = world.json(&["mailbox", "show", &id, "--save", folder.to_str().unwrap()]);
    assert_eq!(shown["saved"], json!([folder.join("form.pdf")]));
    assert_eq!(fs::read(folder.join("form.pdf")).unwrap(), b"%PDF");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("form.pdf"))), (0o700, 0o600));
    assert_eq!(world.run(&["mailbox", "show", &id, "--raw"]).exits(0).stdout, mail);
}
