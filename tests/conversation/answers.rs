//! What the authority writes: questions and our answers, confirmations, and what only seems to come from it.

use std::fs;

use serde_json::json;

use crate::world::dsn::Dsn;
use crate::world::gpg::Gpg;
use crate::world::relay::Relay;
use crate::world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, SENDER, World, text};
use crate::{PLAIN, headers_of, ingest, reply, send, tray};

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
