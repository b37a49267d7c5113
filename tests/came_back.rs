//! What comes back of a campaign, as a user sees it: bounces, delays and proofs of delivery from real servers, written by
//! Postfix and read from Dovecot, and those that come late, twice or for somebody told otherwise. Needs the packages that
//! tests/setup installs, and root, which Postfix asks for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod dovecot;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod postfix;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use breachpost::config::Home;
use breachpost::dispatch::intake;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::mail::smtp::{Connection, Mail, Notify};
use breachpost::model::SystemClock;
use breachpost::model::delivery::{Outcome, SmtpReply};
use breachpost::model::id::Actor;
use breachpost::model::pace::Pace;
use breachpost::store::{Done, JournalEntry, Which};
use chrono::TimeDelta;
use serde_json::{Value, json};

use dovecot::Dovecot;
use postfix::Postfix;
use world::campaign::{Campaign, coverage};
use world::dsn::Dsn;
use world::relay::Relay;
use world::{BREACH, Ran, World, until};

/// Whom campaigns come from.
const INDIVIDUALS: &str = "persons@company.example";

fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line, &["--json"]].concat())
}
fn report(world: &World) -> Value {
    campaign(world, &["report", "cmp_1"]).exits(0).json()
}
/// Makes `cmp_1` of a list and approves it.
fn approved(world: &World, list: &str) {
    world.open_breach(BREACH);
    let list = world.file("list.csv", list.as_bytes());
    world.run(&["campaign", "create", world.breach(), "--recipients", &list]);
    campaign(world, &["approve", "cmp_1", "--yes"]).exits(0);
}

mod servers {
    use super::*;

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
transport_maps = texthash:HOME/transport
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
delay_warning_time = 1s
maximal_queue_lifetime = 4s
",
            folder.display(),
            dovecot::USER,
            known.join(", ")
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
}

/// A campaign to three that all were taken, and the envelope and headers of what each got.
struct Sent {
    world: World,
    _relay: Relay,
    mails: Vec<(String, String)>,
}
impl Sent {
    fn new(settings: &[(&str, &str)]) -> Self {
        let relay = Relay::sound();
        let world = World::new(&relay);
        world.settle("#verp: none", "verp: plus");
        for (old, new) in settings {
            world.settle(old, new);
        }
        let list = "email,name,language\nanna@example.lu,Anna,de\nben@example.lu,Ben,fr\ncleo@example.lu,Cleo,en\n";
        approved(&world, list);
        campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
        let mails = relay.taken(3).into_iter().map(|mail| {
            let text = String::from_utf8_lossy(&mail.bytes).into_owned();
            let head = text.split_once("\r\n\r\n").unwrap().0.to_owned();
            (mail.envelope_from.clone(), head)
        });
        Self {
            mails: mails.collect(),
            world,
            _relay: relay,
        }
    }
    /// A report about one of them, as a mail server writes it, on top of it what a way adds.
    fn report(&self, on_top: &str, address: &str, action: &str) -> Ran {
        let is_theirs = |head: &str| {
            head.lines()
                .any(|line| line.starts_with("To: ") && line.contains(address))
        };
        let (path, head) = self.mails.iter().find(|(_, head)| is_theirs(head)).unwrap();
        let dsn = Dsn {
            to: path,
            envelope_id: None,
            action,
            recipient: address,
            original: None,
            returned: head,
        };
        let mail = format!("{on_top}{}", dsn.write());
        self.world
            .run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
    }
    fn coverage(&self) -> [u64; 5] {
        coverage(&report(&self.world))
    }
    fn found(&self, address: &str) -> Value {
        campaign(&self.world, &["find", address]).json()[0].clone()
    }
    fn journal(&self) -> Vec<JournalEntry> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let office = Office::open(Home::at(&self.world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        runtime.block_on(office.store.list_journal(0, 10_000)).unwrap()
    }
}

#[test]
fn a_delay_is_told_and_moves_nobody() {
    let sent = Sent::new(&[]);
    let ingested = sent.report("", "anna@example.lu", "delayed").exits(0).json();
    assert_eq!(
        (&ingested["kind"], &ingested["in_tray"]),
        (&json!("delay"), &json!(false))
    );
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0]);
    assert_eq!(report(&sent.world)["came_back"]["delayed"], 1);
    sent.world
        .run(&["campaign", "report", "cmp_1"])
        .exits(0)
        .says(&["delayed, and nothing heard since"]);
    sent.world
        .run(&["campaign", "find", "anna@example.lu"])
        .exits(0)
        .says(&["told: cmp_1", "delayed, a server still tries", "4.4.1"]);

    // It got there, or it did not.
    sent.report("", "ben@example.lu", "delayed").exits(0);
    sent.report("", "anna@example.lu", "delivered").exits(0);
    sent.report("", "ben@example.lu", "failed");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let came_back = report(&sent.world)["came_back"].clone();
    assert_eq!((&came_back["delayed"], &came_back["returned"]), (&json!(0), &json!(1)));
    sent.world.is_intact();
}

/// The other server knows at once that there is nobody, and our disk is slow.
#[test]
fn a_bounce_that_overtakes_the_relays_answer_waits_for_it() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.settle("#verp: none", "verp: plus");
    let address = "anna@example.lu";
    let campaign = Campaign::start(&world, &[address.to_owned()]);
    let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ingested = runtime.block_on(async {
        let (store, now) = (&office.store, office.now());
        let worker = office.sign_on(WorkerKind::Command).await.unwrap();
        let persons = Which::Persons(Pace::default());
        let claimed = store.claim(worker.id(), 1, persons, now, TimeDelta::minutes(5)).await;
        let [claim] = claimed.unwrap().claims.try_into().ok().unwrap();
        assert_eq!(store.step(vec![], vec![claim.clone()], now).await.unwrap(), []);
        let dsn = Dsn {
            to: &office.return_path(office.individuals_sender(), &office.tokens.for_delivery(claim.delivery)),
            envelope_id: None,
            action: "failed",
            recipient: address,
            original: None,
            returned: "Subject: hers\r\n",
        };
        let (apart, mail) = (office.clone(), dsn.write());
        let mut taking_in = tokio::spawn(async move {
            let me = Actor::Os("tester".to_owned());
            intake::ingest(&apart, mail.as_bytes(), "ingest", &me).await
        });
        let early = tokio::time::timeout(Duration::from_millis(400), &mut taking_in).await;
        assert!(early.is_err(), "it does not wait: {early:?}");
        let reply = SmtpReply {
            code: 250,
            enhanced: None,
            text: "taken".to_owned(),
        };
        let done = Done {
            message_id: claim.message_id.clone(),
            outcome: Outcome::Accepted { reply, tls: None },
            retry: office.retries().persons,
            jitter: 0.0,
            claim,
        };
        store.step(vec![done], vec![], now).await.unwrap();
        taking_in.await.unwrap().unwrap()
    });
    assert!(!ingested.understanding.in_tray, "{}", ingested.understanding.why);
    assert_eq!((campaign.tally().failed, campaign.tally().handed), (1, 0));
    world.is_intact();
}

#[test]
fn what_comes_back_after_the_end_still_counts() {
    let sent = Sent::new(&[("#settle_days: 7", "settle_days: 0")]);
    until("it is finished", || {
        sent.world.run(&["serve", "--once"]);
        (report(&sent.world)["state"] == "finished").then_some(())
    });
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0]);
    sent.report("", "anna@example.lu", "failed");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let told = report(&sent.world);
    assert_eq!(told["state"], "finished");
    assert_eq!(told["reasons"], json!({ "address_unknown": 1 }));
    assert_eq!(told["came_back"]["returned_late"], 1);
    sent.world
        .run(&["campaign", "report", "cmp_1"])
        .exits(0)
        .says(&["after the campaign's end"]);
    sent.world
        .run(&["status"])
        .says(&["2 informed, 0 pending, 0 in doubt, 1 unreached"]);
    let bounced = |entry: &JournalEntry| entry.event == "delivery.bounced";
    let journal = sent.journal();
    let entry = journal.iter().find(|entry| bounced(entry)).unwrap();
    assert_eq!(
        (&entry.details["campaign"], &entry.details["after_end"]),
        (&json!("cmp_1"), &json!(true))
    );

    // The same again, by the same way and by another.
    let before = sent.found("anna@example.lu");
    for on_top in [
        "",
        "Received: from mx2.example by mx.example; Sun, 22 Nov 2026 10:00:00 +0000\r\n",
    ] {
        let again = sent.report(on_top, "anna@example.lu", "failed").json();
        assert_eq!((&again["kind"], &again["in_tray"]), (&json!("bounce"), &json!(false)));
        let after = sent.found("anna@example.lu");
        assert_eq!((&after["state"], &after["at"]), (&before["state"], &before["at"]));
        assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
        let came_back = report(&sent.world)["came_back"].clone();
        assert_eq!(
            (&came_back["returned"], &came_back["returned_late"]),
            (&json!(1), &json!(1))
        );
    }
    assert_eq!(sent.journal().iter().filter(|entry| bounced(entry)).count(), 1);
    sent.world.is_intact();
}

#[test]
fn a_bounce_for_somebody_who_was_erased_counts_and_is_not_kept() {
    let sent = Sent::new(&[("#settle_days: 7", "settle_days: 0")]);
    let erase = ["erase", "cmp_1", "--person", "anna@example.lu", "--yes"];
    campaign(&sent.world, &erase).exits(0);
    let ingested = sent.report("", "anna@example.lu", "failed").json();
    assert_eq!(ingested["in_tray"], json!(false), "{ingested}");
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    let found = sent.found("anna@example.lu");
    assert_eq!(
        (&found["reports"][0]["status"], &found["reports"][0]["diagnostic"]),
        (&json!("5.1.1"), &Value::Null)
    );
    let shown = sent.world.run(&["mailbox", "show", "mail_1"]);
    assert!(!shown.stdout.contains("anna@"), "{shown:?}");
    sent.world.is_intact();
}

#[test]
fn who_was_told_by_post_stays_told_when_the_mail_comes_back() {
    let sent = Sent::new(&[]);
    let letters = sent.world.file("letters.csv", b"email\nanna@example.lu\n");
    campaign(
        &sent.world,
        &["record", "cmp_1", "--channel", "post", "--file", &letters],
    )
    .exits(0);
    for address in ["anna@example.lu", "ben@example.lu"] {
        sent.report("", address, "failed");
    }
    assert_eq!(sent.coverage(), [3, 2, 0, 1, 0]);
    assert_eq!(report(&sent.world)["came_back"]["returned"], 2);
    let unreached = sent.world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(
        !unreached.contains("anna@") && unreached.contains("ben@"),
        "{unreached}"
    );
    sent.world
        .run(&["campaign", "find", "anna@example.lu"])
        .exits(0)
        .says(&["told: cmp_1", "came back", "told by post"]);
    sent.world.run(&["campaign", "find", "ben@example.lu"]).exits(2);
    sent.world.is_intact();
}

impl Sent {
    /// What a person's mailbox sends in answer to what it got.
    fn answer(&self, address: &str, on_top: &str, words: &str) -> Value {
        let (_, head) = self.mails.iter().find(|(_, head)| head.contains(address)).unwrap();
        let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
        let mail = format!(
            "From: <{address}>\r\nSubject: Re: Example S.A.\r\nIn-Reply-To: {id}\r\n{on_top}MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n"
        );
        self.world
            .run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
            .json()
    }
}

/// Access and erasure must be answered within a month (GDPR Art. 12(3)).
#[test]
fn a_persons_request_is_shown_whatever_words_it_uses() {
    let sent = Sent::new(&[]);
    let machine = "Auto-Submitted: auto-replied\r\n";
    for (headers, words, shown) in [
        (
            "",
            "Bitte meine Anfrage schnellstmöglich bearbeiten: ich verlange Auskunft.",
            true,
        ),
        (
            "",
            "Merci de me dire dans les meilleurs délais si mon IBAN est concerné.",
            true,
        ),
        (
            "",
            "My case number is B-2026-001. I demand the erasure of my data.",
            true,
        ),
        (
            "",
            "Mi número de expediente es B-2026-001. Solicito la supresión.",
            true,
        ),
        ("", "Ich bin im Urlaub bis Freitag. Ich verlange Auskunft.", true),
        (
            "",
            "I object.\r\n\r\n-- \r\nThis e-mail was sent automatically after a virus scan.",
            true,
        ),
        (machine, "I am out of the office until Friday.", false),
        // Not read there: nobody was informed (Art. 34(1)).
        (
            machine,
            "Ben no longer works for us. Your message will not be read.",
            true,
        ),
        (machine, "Diese Adresse wird nicht mehr abgerufen.", true),
        (
            machine,
            "Your message is being held until you confirm that you are human.",
            true,
        ),
        // Only a person: no server wrote that her mailbox is full.
        (
            "",
            "Your message to ben@example.lu could not be delivered to my telephone: mailbox full. Which data?",
            true,
        ),
    ] {
        let ingested = sent.answer("ben@example.lu", headers, words);
        assert_eq!(ingested["in_tray"], json!(shown), "{words}: {ingested}");
        assert_eq!(ingested["certainty"], "certain", "{words}: {ingested}");
    }
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0], "nobody was moved");
}
