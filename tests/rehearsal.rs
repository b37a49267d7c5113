//! Rehearsals on the real path: the drill's receiver is the relay, and the test is the server behind it, which delivers
//! into the Maildir what it makes of each mail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use breachpost::config::Home;
use breachpost::dispatch::office::Office;
use breachpost::drill::receiver::{Act, Offers, Plan, Step, TakenMail};
use breachpost::model::{Clock as _, SystemClock};
use breachpost::store::JournalEntry;
use chrono::TimeDelta;
use serde_json::{Value, json};

use world::relay::Relay;
use world::{AUTHORITY, Ran, SENDER, World};

/// What the server behind the relay makes of a mail: the mails it delivers.
type Server = fn(&TakenMail) -> Vec<String>;

/// Findings that are expected: what about, how good, and words in it.
type Expected = &'static [(&'static str, &'static str, &'static str)];

/// A mail server behind the relay: what it is given goes into the Maildir as it makes it.
struct Behind<'w> {
    world: &'w World,
    relay: &'w Relay,
    server: Server,
    /// How many of the relay's mails it has taken on.
    done: &'w AtomicUsize,
}
impl Behind<'_> {
    /// Runs a command while it delivers.
    fn run(&self, line: &[&str]) -> Ran {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    self.relay.wait_beyond(self.done.load(Ordering::SeqCst));
                    self.deliver_new();
                }
            });
            let ran = self.world.run(line);
            over.store(true, Ordering::SeqCst);
            ran
        })
    }
    fn deliver_new(&self) {
        let mails = self.relay.mails();
        let from = self.done.swap(mails.len(), Ordering::SeqCst);
        for (number, mail) in mails.iter().enumerate().skip(from) {
            let made = (self.server)(mail);
            let copies = made.iter().enumerate();
            let named = copies.map(|(copy, text)| (format!("{number}.{copy}.host"), stamped(text, copy).into_bytes()));
            self.world.deliver_together(&named.collect::<Vec<_>>());
        }
    }
}

/// As a server keeps it: its own headers on top, lines with LF.
fn stamped(mail: &str, copy: usize) -> String {
    let now = SystemClock.now().to_rfc2822();
    format!("Return-Path: <{SENDER}>\r\nReceived: from relay.example by mx.example with ESMTP id {copy}; {now} (UTC)\r\n{mail}")
        .replace("\r\n", "\n")
}

fn text_of(mail: &TakenMail) -> String {
    String::from_utf8(mail.bytes.clone()).unwrap()
}

/// The boundary of a mail's outermost multipart.
fn boundary(mail: &str) -> &str {
    let (_, rest) = mail.split_once("boundary=\"").unwrap();
    rest.split_once('"').unwrap().0
}
/// The outer headers without those that describe the body, and the body.
fn halves(mail: &str) -> (String, &str) {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let (head, _) = head.split_once("MIME-Version").unwrap();
    (head.to_owned(), body)
}
fn armor(mail: &str) -> &str {
    const END: &str = "-----END PGP MESSAGE-----";
    let from = mail.find("-----BEGIN PGP MESSAGE-----").unwrap();
    &mail[from..mail.find(END).unwrap() + END.len()]
}

fn unchanged(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail)]
}
fn lost(_: &TakenMail) -> Vec<String> {
    Vec::new()
}
fn twice(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail), text_of(mail)]
}
fn tagged(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail).replacen("Subject: ", "Subject: [EXTERN] ", 1)]
}
fn retitled(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail).replacen("Subject: Encrypted message (rehearsal)", "Subject: [Secure]", 1)]
}
fn anonymous(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let lines = mail.split_inclusive("\r\n").map(|line| match line.split_once(':') {
        Some(("Message-ID", _)) => "Message-ID: <01020194@relay.example>\r\n".to_owned(),
        Some(("X-Breachpost-Rehearsal", _)) => String::new(),
        _ => line.to_owned(),
    });
    vec![lines.collect()]
}
/// A third part inside multipart/encrypted.
fn with_disclaimer(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let end = format!("--{}--", boundary(&mail));
    let part = format!(
        "--{}\r\nContent-Type: text/plain\r\n\r\nConfidential!\r\n{end}",
        boundary(&mail)
    );
    vec![mail.replace(&end, &part)]
}
fn with_footer_behind(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail) + "\r\nThis e-mail is confidential.\r\n"]
}
fn wrapped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let (head, body) = halves(&mail);
    vec![format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"w\"\r\n\r\n--w\r\nContent-Type: \
         multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"{}\"\r\n\r\n{body}\r\n--w\r\n\
         Content-Type: text/plain\r\n\r\nConfidential!\r\n--w--\r\n",
        boundary(&mail)
    )]
}
/// What Exchange is known for.
fn taken_apart(mail: &TakenMail) -> Vec<String> {
    vec![
        text_of(mail)
            .replace("multipart/encrypted;\r\n", "multipart/mixed;\r\n")
            .replace("multipart/encrypted; ", "multipart/mixed; "),
    ]
}
fn reordered(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let line = format!("--{}", boundary(&mail));
    let pieces: Vec<&str> = mail.split(&line).collect();
    let [head, version, message, end] = pieces.as_slice() else {
        panic!("{mail}")
    };
    vec![[*head, &line, *message, &line, *version, &line, *end].concat()]
}
fn rewrapped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let old = armor(&mail);
    let lines: Vec<&str> = old.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let (sum, data): (Vec<&str>, Vec<&str>) = lines[1..lines.len() - 1].iter().partition(|line| line.starts_with('='));
    let data = data.concat();
    let wrapped: Vec<&str> = data
        .as_bytes()
        .chunks(48)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let new = [&[first, ""], &wrapped[..], &sum[..], &[last]].concat().join("\r\n");
    vec![mail.replace(old, &new)]
}
fn re_encoded(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let encoded = BASE64.encode(armor(&mail));
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let (before, after) = mail.split_once(armor(&mail)).unwrap();
    let before = before.trim_end();
    vec![format!(
        "{before}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}{after}",
        lines.join("\r\n")
    )]
}
fn stripped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    vec![mail.replace(armor(&mail), "The attachment was removed by your administrator.")]
}
fn damaged(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let old = armor(&mail);
    let middle = old.len() / 2;
    let new = format!("{}{}{}", &old[..middle], "AAAAAAAA", &old[middle + 8..]);
    vec![mail.replace(old, &new)]
}
/// Takes the mail and sends it back later.
fn bounced(mail: &TakenMail) -> Vec<String> {
    let sent = text_of(mail);
    let (head, _) = sent.split_once("\r\n\r\n").unwrap();
    vec![format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: {SENDER}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"r\"\r\n\r\n\
         --r\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
         Final-Recipient: rfc822; {SENDER}\r\nAction: failed\r\nStatus: 5.7.1\r\n\
         Diagnostic-Code: smtp; 550 5.7.1 encrypted mail is not allowed\r\n\r\n\
         --r\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--r--\r\n"
    )]
}
/// Delivers, and reports that it did.
fn with_report(mail: &TakenMail) -> Vec<String> {
    let report = bounced(mail).remove(0);
    let report = report
        .replace("failed", "delivered")
        .replace("Status: 5.7.1", "Status: 2.0.0");
    let report = report.replace("550 5.7.1 encrypted mail is not allowed", "250 2.0.0 Ok");
    vec![text_of(mail), report]
}
fn without_plus(mail: &TakenMail) -> Vec<String> {
    if mail.recipients[0].address.contains('+') {
        return Vec::new();
    }
    unchanged(mail)
}

fn vouched(mail: &TakenMail) -> Vec<String> {
    vec![format!(
        "Authentication-Results: mx.example; spf=pass smtp.mailfrom={SENDER};\r\n dkim=pass \
         header.d=brasserie-kirchberg.example; dmarc=pass header.from=brasserie-kirchberg.example\r\n{}",
        text_of(mail)
    )]
}
/// A provider signs with its own domain.
fn unvouched(mail: &TakenMail) -> Vec<String> {
    vec![format!(
        "Authentication-Results: mx.example; spf=pass smtp.mailfrom=bounce@provider.example;\r\n dkim=pass \
         header.d=provider.example; dmarc=fail header.from=brasserie-kirchberg.example\r\n{}",
        text_of(mail)
    )]
}

/// What the journal says of rehearsals, and that everything else is as if there had been none.
fn left_behind(world: &World) -> Vec<JournalEntry> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        assert_eq!(office.store.list_tray().await.unwrap(), [], "the tray");
        assert_eq!(office.store.list_notices(None).await.unwrap(), [], "no notice");
        let entries = office.store.list_journal(0, 10_000).await.unwrap();
        entries
            .into_iter()
            .filter(|entry| entry.event.starts_with("rehearsal."))
            .collect()
    })
}

fn kinds(report: &Value) -> Vec<&str> {
    let changes = report["changes"].as_array().unwrap();
    changes.iter().map(|change| change["kind"].as_str().unwrap()).collect()
}

#[test]
fn what_the_way_does_to_a_notice_is_told_with_what_to_do() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let table: [(&str, Server, &str, &[&str]); 15] = [
        ("unchanged", unchanged, "unchanged", &[]),
        ("subject tagged", tagged, "harmless", &["subject_changed"]),
        ("subject replaced", retitled, "risky", &["subject_changed"]),
        ("armor wrapped anew", rewrapped, "harmless", &["re_wrapped"]),
        ("base64", re_encoded, "harmless", &["re_encoded"]),
        ("footer behind the end", with_footer_behind, "harmless", &["text_added"]),
        ("disclaimer inside", with_disclaimer, "risky", &["text_added"]),
        (
            "wrapped, with a disclaimer",
            wrapped,
            "risky",
            &["wrapped", "text_added"],
        ),
        ("taken apart", taken_apart, "risky", &["taken_apart"]),
        ("reordered", reordered, "risky", &["reordered"]),
        (
            "marks removed",
            anonymous,
            "risky",
            &["header_changed", "header_removed"],
        ),
        ("twice", twice, "twice", &[]),
        ("ciphertext removed", stripped, "broken", &["ciphertext_removed"]),
        ("ciphertext damaged", damaged, "broken", &["ciphertext_damaged"]),
        ("sent back", bounced, "bounced", &[]),
    ];
    for (name, server, verdict, changes) in &table {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server: *server,
            done: &done,
        };
        let ran = behind.run(&["notice", "test", world.breach(), "--yes", "--json", "--timeout", "60"]);
        let report = ran.json();
        let good = ["unchanged", "harmless"].contains(verdict);
        assert_eq!(report["verdict"], json!(verdict), "{name}: {report:#}");
        assert_eq!(
            (ran.status, &report["ok"]),
            (if good { 0 } else { 2 }, &json!(good)),
            "{name}"
        );
        assert_eq!(kinds(&report), *changes, "{name}: {report:#}");
        let intact = !["broken", "bounced"].contains(verdict);
        assert_eq!(report["content"] == "identical", intact, "{name}: {report:#}");
        assert_eq!(report["signature_good"], json!(intact), "{name}");
        assert_eq!(
            report["todo"].as_array().unwrap().is_empty(),
            good && *name != "subject tagged" && *name != "footer behind the end",
            "{name}: {report:#}"
        );
        assert_eq!(report["authority"], json!(AUTHORITY), "{name}");
        assert_eq!(report["relay"]["tls"]["server_name"], "127.0.0.1", "{name}: {report:#}");
        assert_eq!(
            report["hops"],
            if *verdict == "bounced" { Value::Null } else { json!(1) },
            "{name}"
        );
    }
    // Nobody but us was written to, nothing of the breach stood in clear, and no notice came of it.
    for mail in relay.mails() {
        assert_eq!(mail.recipients.len(), 1);
        assert_eq!(mail.recipients[0].address, SENDER);
        assert!(!text_of(&mail).contains("Payroll"));
    }
    let entries = left_behind(&world);
    let ended: Vec<&JournalEntry> = entries
        .iter()
        .filter(|entry| entry.event == "rehearsal.ended")
        .collect();
    assert_eq!((entries.len(), ended.len()), (2 * table.len(), table.len()));
    for (entry, (name, _, verdict, _)) in ended.iter().zip(&table) {
        assert_eq!(entry.details["verdict"], json!(verdict), "{name}");
        assert_eq!(entry.details["breach"], json!(world.breach()), "{name}");
    }
    world.is_intact();
}

#[test]
fn a_person_reads_what_happened_and_what_to_do() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let line = [
        "notice",
        "test",
        world.breach(),
        "--to",
        AUTHORITY,
        "--lang",
        "de",
        "--yes",
    ];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    behind.run(&line).exits(0).says(&[
        "an authority could read it",
        "which got nothing",
        "byte for byte what was sealed; our signature is good",
        "clear text on loopback",
    ]);
    let behind = Behind {
        server: with_disclaimer,
        ..behind
    };
    behind.run(&line).exits(2).says(&[
        "an authority may not be able to open it",
        "RISKY: a text, such as a disclaimer, was added inside multipart/encrypted",
        "ask whoever runs the mail server to add no footer",
    ]);
    let without_yes = &line[..line.len() - 1];
    // Without --yes it says what leaves, and where to, before it asks.
    let typed = world.at_terminal(world.command(without_yes), "n\n").exits(2);
    typed.says(&[
        "encrypted to your own key alone",
        SENDER,
        "No authority gets it",
        "nothing was sent, as you wished",
    ]);
    world.run(without_yes).exits(64).says(&["add --yes"]);
    assert_eq!(relay.mails().len(), 2);
}

#[test]
fn what_does_not_come_back_is_explained() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let test = ["notice", "test", world.breach(), "--yes", "--timeout", "5"];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: lost,
        done: &done,
    };
    behind.run(&test).exits(2).says(&[
        "it was not in the mailbox in time",
        SENDER,
        "the junk folder too",
        "Message-ID <rt",
        "--timeout 600",
    ]);
    // A mailbox that cannot be read is named before anything is sent.
    let maildir = format!("maildir:{}", world.maildir().display());
    world.settle(&maildir, "maildir:Nowhere");
    world.run(&test).exits(2).says(&[
        "nothing was sent, because the mailbox cannot be read",
        "breachpost doctor",
    ]);
    assert_eq!(relay.mails().len(), 1);
    world.settle("maildir:Nowhere", &maildir);
    assert_eq!(left_behind(&world).len(), 4);
}

#[test]
fn what_the_relay_does_not_take_is_told() {
    for (act, verdict) in [
        (Act::reply("550 5.7.1 no encrypted mail"), "refused"),
        (Act::reply("451 4.7.1 greylisted"), "not_taken"),
    ] {
        let relay = Relay::troubled(Step::Rcpt, act, 1);
        let world = World::ready(&relay);
        let ran = world
            .run(&["notice", "test", world.breach(), "--yes", "--json"])
            .exits(2);
        assert_eq!(ran.json()["verdict"], verdict, "{ran:?}");
        assert!(ran.json()["summary"].as_str().unwrap().contains("at RCPT"), "{ran:?}");
        assert_eq!(left_behind(&world).len(), 2);
    }
}

#[test]
fn a_daemon_or_a_pipe_brings_it_in_as_well() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let daemon = world.serve();
    let test = ["notice", "test", world.breach(), "--yes", "--json"];
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    assert_eq!(behind.run(&test).exits(0).json()["verdict"], "unchanged");
    assert_eq!(daemon.stop(), 0);

    let mailbox = setting(&world, "maildir:");
    world.settle(&mailbox, "");
    world
        .run(&["notice", "test", world.breach(), "--yes", "--timeout", "5"])
        .exits(2)
        .says(&["no mailbox is configured", "set `mailbox` in config.yaml"]);
    let piped = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mail = relay.taken(3)[2].bytes.clone();
            world.run_with(&["mailbox", "ingest", "--json"], &mail).exits(0)
        });
        world.run(&test)
    });
    assert_eq!(piped.exits(0).json()["verdict"], "unchanged");
    left_behind(&world);
}

#[test]
fn a_stranger_cannot_pass_mail_off_as_a_rehearsal() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let guess = "rt0123456789abcdef0123456789abcd";
    for (name, head) in [
        ("header", format!("X-Breachpost-Rehearsal: {guess}\r\n")),
        (
            "message id",
            format!("Message-ID: <{guess}@brasserie-kirchberg.example>\r\n"),
        ),
        (
            "answer",
            format!("In-Reply-To: <{guess}@brasserie-kirchberg.example>\r\n"),
        ),
    ] {
        let mail =
            format!("From: {SENDER}\r\nSubject: Encrypted message (rehearsal)\r\n{head}\r\nFrom {name}: urgent.\r\n");
        world.run_with(&["mailbox", "ingest"], mail.as_bytes()).exits(2);
    }
    assert_eq!(
        world
            .run(&["mailbox", "tray", "--json"])
            .exits(2)
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

/// The line of config.yaml that holds this.
fn setting(world: &World, held: &str) -> String {
    let config = std::fs::read_to_string(world.home().join("config.yaml")).unwrap();
    let is_setting = |text: &&str| text.contains(held) && !text.trim_start().starts_with('#');
    config.lines().find(is_setting).unwrap().to_owned()
}

/// One finding of `doctor`.
fn finding<'v>(findings: &'v Value, what: &str) -> &'v Value {
    let found = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("no finding about {what}: {findings:#}"))
}

#[test]
fn doctor_looks_at_the_whole_path() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    world.settle("#verp: none", "verp: plus");
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let mailbox = setting(&world, "maildir:");
    world.settle(&mailbox, &mailbox.replace(" }", ", trusted_authserv_id: mx.example }"));
    let table: [(&str, Server, Expected); 7] = [
        (
            "all is well",
            with_report,
            &[
                ("path", "good", "as it was sent"),
                ("plus", "good", "arrives"),
                ("reports", "good", "came back"),
                ("clock", "good", "agree"),
            ],
        ),
        (
            "sender proven",
            vouched,
            &[
                ("path", "good", "as it was sent"),
                ("sender", "good", "DMARC says pass"),
            ],
        ),
        (
            "sender not aligned",
            unvouched,
            &[(
                "sender",
                "bad",
                "DKIM says pass of provider.example, which does not speak for the From address",
            )],
        ),
        (
            "no report",
            unchanged,
            &[("reports", "good", "none came within the wait")],
        ),
        (
            "no plus",
            without_plus,
            &[("path", "good", ""), ("plus", "bad", "did not come back")],
        ),
        ("a disclaimer", with_disclaimer, &[("path", "bad", "disclaimer")]),
        ("nothing", lost, &[("path", "bad", "not in the mailbox")]),
    ];
    for (name, server, expected) in table {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server,
            done: &done,
        };
        let ran = behind.run(&deep);
        let findings = ran.json();
        for (what, grade, words) in expected {
            let found = finding(&findings, what);
            assert_eq!(found["grade"], *grade, "{name}: {findings:#}");
            assert!(found["text"].as_str().unwrap().contains(words), "{name}: {findings:#}");
            assert_eq!(found["remedy"].is_null(), *grade == "good", "{name}: {findings:#}");
        }
        let bad = findings
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["grade"] == "bad");
        assert_eq!(ran.status, if bad { 2 } else { 0 }, "{name}: {findings:#}");
    }
    left_behind(&world);
}

/// Mail to the sender of campaigns goes nowhere, or not where it is looked for.
fn without_individuals(mail: &TakenMail) -> Vec<String> {
    match mail.recipients[0].address.starts_with("info") {
        true => Vec::new(),
        false => unchanged(mail),
    }
}

#[test]
fn doctor_looks_at_the_way_of_campaigns_too() {
    let (relay, gone) = (Relay::sound(), Relay::sound());
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let behind = |server: Server, line: &[&str]| {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server,
            done: &done,
        };
        behind.run(line)
    };
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let main = ["path", "relay", "mailbox"];
    let about_individuals = |findings: &Value| {
        let all = findings.as_array().unwrap().iter();
        all.filter(|finding| finding["what"].as_str().unwrap().starts_with("individuals."))
            .count()
    };
    let findings = behind(unchanged, &deep).exits(0).json();
    assert_eq!(
        about_individuals(&findings),
        0,
        "the same way is not gone twice: {findings:#}"
    );

    let sender = "sender: { address: info@brasserie-kirchberg.example, verp: plus }";
    world.settle_individuals(sender);
    let table: [(Server, Expected); 3] = [
        (
            unchanged,
            &[
                ("individuals.path", "good", "a person could read it"),
                ("individuals.plus", "good", "bounces find their person"),
            ],
        ),
        (
            without_individuals,
            &[("individuals.path", "bad", "not in the mailbox")],
        ),
        (
            without_plus,
            &[
                ("individuals.path", "good", "as it was sent"),
                ("individuals.plus", "bad", "did not come back"),
            ],
        ),
    ];
    for (server, expected) in table {
        let findings = behind(server, &deep).json();
        for (what, grade, words) in expected {
            let found = finding(&findings, what);
            assert_eq!(found["grade"], *grade, "{findings:#}");
            assert!(found["text"].as_str().unwrap().contains(words), "{findings:#}");
        }
        for what in main {
            assert_eq!(finding(&findings, what)["grade"], "good", "{findings:#}");
        }
        let path = finding(&findings, "individuals.path");
        let remedy = path["remedy"].as_str().unwrap_or("set `individuals.mailbox`");
        assert!(remedy.contains("set `individuals.mailbox`"), "{path}");
    }

    // A relay and a mailbox of their own, of which neither is there.
    let (url, mailbox) = (gone.url(), world.scratch().join("nowhere"));
    drop(gone);
    let own = format!(
        "relay: {{ url: \"{url}\" }}, mailbox: {{ url: \"maildir:{}\" }}",
        mailbox.display()
    );
    world.settle(sender, &format!("{sender}, {own}"));
    let findings = world.run(&["doctor", "--json"]).exits(2).json();
    for what in ["individuals.relay", "individuals.mailbox"] {
        let found = finding(&findings, what);
        assert_eq!(found["grade"], "bad", "{findings:#}");
        assert!(
            found["remedy"].as_str().unwrap().contains(&format!("mend `{what}`")),
            "{found}"
        );
    }
    for what in &main[1..] {
        assert_eq!(finding(&findings, what)["grade"], "good", "{findings:#}");
    }
    left_behind(&world);
}

#[test]
fn doctor_says_what_the_relay_lacks_and_how_long_the_token_lives() {
    let offers = Offers {
        dsn: false,
        ..Offers::default()
    };
    let relay = Relay::start(Plan {
        offers,
        ..Plan::implicit().with_account("breach", world::RELAY_PASSWORD)
    });
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let findings = behind.run(&deep).exits(0).json();
    assert_eq!(finding(&findings, "reports")["grade"], "warning", "{findings:#}");

    let config = std::fs::read_to_string(world.home().join("config.yaml")).unwrap();
    let password = config
        .lines()
        .find(|line| line.contains("password: { file: ") && line.contains("relay"))
        .unwrap();
    world.settle(password, "  oauth2: { token: { file: token } }");
    for (minutes, grade, words) in [(-1, "bad", "EXPIRED"), (2, "warning", "in 1"), (60, "good", "minutes")] {
        let end = (SystemClock.now() + TimeDelta::minutes(minutes)).timestamp();
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
        let path = world.home().join("token");
        let _ = std::fs::remove_file(&path);
        std::fs::rename(
            world.private_file("a.token", format!("e30.{claims}.c2ln").as_bytes()),
            path,
        )
        .unwrap();
        let findings = behind.run(&deep).exits(2).json();
        let found = finding(&findings, "token");
        assert_eq!(found["grade"], grade, "{findings:#}");
        assert!(found["text"].as_str().unwrap().contains(words), "{findings:#}");
        // The relay knows no tokens: that is a finding of its own and stops nothing.
        assert_eq!(finding(&findings, "path")["grade"], "bad");
        assert!(!findings.to_string().contains(&claims));
    }
}
