//! The whole way round: a real Postfix writes the reports, a real Dovecot holds the mailbox.

use std::fs;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::mail::smtp::{Connection, Mail, Notify};
use serde_json::{Value, json};

use crate::dovecot::{self, Dovecot};
use crate::postfix::{self, Postfix};
use crate::world::campaign::coverage;
use crate::world::relay::Relay;
use crate::world::{World, until};
use crate::{INDIVIDUALS, approved, campaign, report};

/// Sixty rows in six languages: two name a person for the second time, three have no address.
fn list() -> String {
    let here = (0..31).map(|n| format!("here{n}@here.example"));
    let unknown = (0..6).map(|n| format!("nobody{n}@here.example"));
    let gone = (0..10).map(|n| format!("gone{n}@gone.example"));
    let full = (0..5).map(|n| format!("full{n}@full.example"));
    let slow = (0..3).map(|n| format!("slow{n}@slow.example"));
    let none = (0..3).map(|n| format!("nowhere {n}"));
    let persons: Vec<String> = here
        .chain(unknown)
        .chain(gone)
        .chain(full)
        .chain(slow)
        .chain(none)
        .collect();
    let languages = ["fr", "de", "en", "nl", "lb", "pt"].iter().cycle();
    let mut rows: Vec<String> = persons
        .iter()
        .zip(languages)
        .enumerate()
        .map(|(number, (address, language))| format!("{address},Person {number},{language}"))
        .collect();
    rows.extend_from_within(..2);
    assert_eq!(rows.len(), 60);
    format!("email,name,language\n{}\n", rows.join("\n"))
}

/// The server of those who are not there: it takes none of them.
fn refusing() -> Relay {
    let at_rcpt = |reply, domain: &'static str| {
        Trouble::at(Step::Rcpt, Act::reply(reply)).to(move |address| address.ends_with(domain))
    };
    let gone = at_rcpt("550 5.1.1 no such user here", "@gone.example");
    let full = at_rcpt("552 5.2.2 mailbox full", "@full.example");
    Relay::start(Plan::clear().with(gone).with(full))
}

/// Postfix, which takes mail for everybody from us, knows some at once, and has Dovecot's Maildirs as mailboxes. What
/// it cannot pass on it tells of after a second, and gives back after four.
fn relay(dovecot: &Dovecot) -> Postfix {
    let (folder, uid, gid) = dovecot.mail_folder();
    let known: Vec<String> = (0..31).map(|n| format!("here{n}@here.example=persons/")).collect();
    Postfix::start_with(&format!(
        "virtual_mailbox_domains = company.example, here.example
virtual_mailbox_base = {}
virtual_mailbox_maps = inline:{{ {INDIVIDUALS}={}/, {} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
recipient_delimiter = +
{}",
        folder.display(),
        dovecot::USER,
        known.join(", "),
        postfix::IMPATIENT
    ))
}

fn settle(world: &World, postfix: &Postfix, dovecot: &Dovecot) {
    let relay = world.private_file("individuals.password", postfix::PASSWORD.as_bytes());
    let mailbox = world.private_file("mailbox.password", dovecot::PASSWORD.as_bytes());
    world.settle_individuals(&format!(
        "sender: {{ address: {INDIVIDUALS}, verp: plus }},
         relay: {{ url: \"{}\", password: {{ file: {relay} }}, tls: {{ ca_file: {} }} }},
         mailbox: {{ url: \"imaps://{}@localhost:{}\", password: {{ file: {mailbox} }}, tls: {{ ca_file: {} }} }}",
        postfix.url(),
        postfix.ca_file().display(),
        dovecot::USER,
        dovecot.tls_port,
        dovecot.ca_file().display()
    ));
    world.settle("#dsn_success: false", "dsn_success: true");
}

/// What a server put on top of a mail, and two headers of ours: for whom, return path, Message-ID.
fn taken(dovecot: &Dovecot, address: &str) -> (String, String) {
    let folder = dovecot.mail_folder().0.join("persons/new");
    let mails = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap());
    let mails = mails.map(|mail| String::from_utf8_lossy(&mail).into_owned());
    let header = |mail: &str, name: &str| {
        let line = mail.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {mail}"))
            .trim_matches(['<', '>'])
            .to_owned()
    };
    let mail = mails
        .into_iter()
        .find(|mail| header(mail, "Delivered-To") == address)
        .unwrap();
    (header(&mail, "Return-Path"), header(&mail, "Message-ID"))
}

/// Posts a mail of a person at Postfix.
fn post(postfix: &Postfix, from: &str, to: &str, mail: &str) {
    let mail = Mail {
        envelope_from: from,
        recipient: to,
        bytes: mail.as_bytes(),
        envid: None,
        notify: Notify::TROUBLE,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(async {
        let mut connection = Connection::open(&postfix.connector(postfix::PASSWORD)).await.unwrap();
        connection.carry(&mail).await
    });
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
}

/// Before anything is sent, the way there and back is rehearsed; the other way is closed.
fn both_ways_are_rehearsed(world: &World, postfix: &Postfix) {
    let deep = ["doctor", "--deep", "--json", "--timeout", "30"];
    let mut findings = world.run(&deep).exits(2).json();
    // A report comes some moments behind its mail: on a busy machine too late for one look, and not for several.
    for _ in 0..3 {
        if !findings.to_string().contains("none came within the wait") {
            break;
        }
        findings = world.run(&deep).exits(2).json();
    }
    for (what, grade, words) in [
        ("individuals.relay", "good", "logged in"),
        ("individuals.mailbox", "good", "INBOX"),
        ("path", "bad", "not from you"),
        ("individuals.path", "good", "a person could read it"),
        ("individuals.plus", "good", "bounces find their person"),
        ("individuals.reports", "good", "came back"),
    ] {
        let found = findings
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{what}: {findings:#}\n{}", postfix.log()));
        let is_so = found["grade"] == grade && found["text"].as_str().unwrap().contains(words);
        assert!(is_so, "{what}: {findings:#}\n{}", postfix.log());
    }
}

/// What each of them was told, and what came of it.
fn each_is_told_of(world: &World) {
    for (address, status, words) in [
        ("here7@here.example", 0, &["told: cmp_1", "confirmed", "delivered"][..]),
        ("nobody2@here.example", 2, &["not told", "refused", "550 5.1.1"]),
        (
            "gone3@gone.example",
            2,
            &["not told", "accepted", "came back", "no such user here"],
        ),
        ("full1@full.example", 2, &["came back", "5.2.2", "mailbox full"]),
        (
            "slow2@slow.example",
            2,
            &["delayed, a server still tries", "came back", "4.4.1"],
        ),
    ] {
        world.run(&["campaign", "find", address]).exits(status).says(words);
    }
    let csv = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    for (word, rows) in [
        ("@gone.example", 10),
        ("@here.example", 6),
        ("mailbox_full", 5),
        ("not_reachable", 3),
    ] {
        assert_eq!(
            csv.lines().filter(|line| line.contains(word)).count(),
            rows,
            "{word}: {csv}"
        );
    }
    assert_eq!(csv.lines().count(), 1 + 27, "{csv}");
}

/// Who is away says so by itself; who writes waits for an answer. Neither moves a row.
fn who_is_away_and_who_writes(world: &World, postfix: &Postfix, dovecot: &Dovecot) {
    let (return_path, message_id) = taken(dovecot, "here4@here.example");
    assert!(
        return_path.starts_with("persons+") && return_path.ends_with("@company.example"),
        "{return_path}"
    );
    let written = |from: &str, to: &str, id: &str, more: &str| {
        format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: Re: your letter\r\nMessage-ID: <reply-{from}>\r\n\
             Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nIn-Reply-To: <{id}>\r\n{more}MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nI am here until Friday. Which data was it?\r\n"
        )
    };
    let away = "Auto-Submitted: auto-replied\r\n";
    let from = "here4@here.example";
    post(
        postfix,
        from,
        &return_path,
        &written(from, &return_path, &message_id, away),
    );
    let (_, message_id) = taken(dovecot, "here9@here.example");
    let from = "here9@here.example";
    post(postfix, from, INDIVIDUALS, &written(from, INDIVIDUALS, &message_id, ""));
    let told = until("both are counted", || {
        let report = report(world);
        (report["came_back"]["replies"] == 1 && report["came_back"]["autoreplies"] == 1).then_some(report)
    });
    let came_back = json!({ "returned": 18, "returned_late": 0, "delayed": 0, "autoreplies": 1, "replies": 1 });
    assert_eq!(told["came_back"], came_back);
    assert_eq!(coverage(&told), [58, 31, 0, 27, 0]);
    let tray = world.run(&["mailbox", "tray", "--json"]).exits(2).json();
    let waits: Vec<(&Value, &Value)> = tray
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["kind"], &line["campaign"]))
        .collect();
    assert_eq!(waits, [(&json!("reply"), &json!("cmp_1"))], "{tray:#}");
    world
        .run(&["mailbox", "tray"])
        .exits(2)
        .says(&["reply  cmp_1 (dlv_10)"]);
    world
        .run(&["campaign", "find", "here4@here.example"])
        .exits(0)
        .says(&["confirmed", "autoreply"]);
    world
        .run(&["campaign", "find", "here9@here.example"])
        .exits(0)
        .says(&["reply", "waits in the tray"]);
}

#[test]
fn real_bounces_and_proofs_flow_into_the_coverage_report() {
    let refusal = Act::reply("550 5.7.1 not from you");
    let main = Relay::start(Plan::clear().with(Trouble::at(Step::Rcpt, refusal)));
    let world = World::new(&main);
    let dovecot = Dovecot::start();
    let postfix = relay(&dovecot);
    let elsewhere = refusing();
    postfix.route(&format!(
        "gone.example smtp:[127.0.0.1]:{port}\nfull.example smtp:[127.0.0.1]:{port}\nslow.example smtp:[127.0.0.1]:1",
        port = elsewhere.address().port()
    ));
    settle(&world, &postfix, &dovecot);

    both_ways_are_rehearsed(&world, &postfix);

    approved(&world, &list());
    let daemon = world.serve();
    campaign(&world, &["start", "cmp_1", "--yes", "--wait"]).exits(0);
    let told = until("the servers have said all there is to say", || {
        let report = report(&world);
        // At each moment.
        let [_, _, _, unreached, _] = coverage(&report);
        ((unreached, &report["confirmed"]) == (27, &json!(31))).then_some(report)
    });
    assert_eq!(coverage(&told), [58, 31, 0, 27, 0], "{told:#}");
    assert_eq!(told["duplicates"], 2);
    let reasons = json!({
        "address_unknown": 16, "mailbox_full": 5, "not_reachable": 3, "address_characters": 3
    });
    assert_eq!(told["reasons"], reasons);

    each_is_told_of(&world);
    who_is_away_and_who_writes(&world, &postfix, &dovecot);

    assert_eq!(daemon.stop(), 0);
    assert!(!dovecot.mails("INBOX").contains("\\Seen"));
    world.is_intact();
}
