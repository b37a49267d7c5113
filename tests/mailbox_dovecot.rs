//! Mailboxes on a real server: an instance of Dovecot on loopback, read by the program's own loops. Needs the packages
//! that tests/setup installs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod dovecot;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;
#[path = "world/until_async.rs"]
mod until_async;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use breachpost::dispatch::office::Office;
use breachpost::dispatch::watch::{self, WatchError};
use breachpost::model::id::MailId;
use breachpost::model::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use dovecot::{Dovecot, PASSWORD, USER};
use scratch::Scratch;
use until_async::until_async;
use world::relay::Relay;
use world::{AUTHORITY, SENDER, World, text, until};

/// The n-th of many mails that say nothing in particular.
fn mail(n: usize) -> Vec<u8> {
    format!(
        "From: <somebody{n}@elsewhere.example>\nTo: <breach@company.example>\nSubject: question {n}\n\
         Message-ID: <{n}@elsewhere.example>\n\nWho are you? ({n})\n"
    )
    .into_bytes()
}

/// An office that reads this mailbox.
struct Reading {
    scratch: Scratch,
    office: Office,
}
impl Reading {
    async fn new(dovecot: &Dovecot, more: Value) -> Self {
        let scratch = Scratch::new().await;
        let office = scratch.office.clone();
        let reading = Self { scratch, office };
        reading.private_file("mailbox.password", PASSWORD);
        reading.with(usual(dovecot, more))
    }
    /// The same home with other settings of the mailbox.
    fn with(mut self, mailbox: Value) -> Self {
        let mut config = (*self.office.config).clone();
        config.mailbox = Some(serde_json::from_value(mailbox).unwrap());
        self.office.config = Arc::new(config);
        self
    }
    fn private_file(&self, name: &str, content: &str) {
        std::fs::write(self.office.home.keys_dir().join(name), content).unwrap();
    }
    async fn once(&self) -> Result<usize, WatchError> {
        watch::once(&self.office).await
    }
    /// How many mails are stored.
    async fn stored(&self) -> usize {
        let mut count = 0;
        while self.raw(count + 1).await.is_some() {
            count += 1;
        }
        count
    }
    async fn raw(&self, number: usize) -> Option<Vec<u8>> {
        let mail = self.office.store.find_mail(MailId::new(number as i64)).await.unwrap();
        mail.map(|mail| mail.raw)
    }
    /// Starts the loops.
    fn watch(&self) -> Watching {
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch::run(self.office.clone(), stop.clone()));
        Watching { stop, task }
    }
    async fn until_stored(&self, count: usize, dovecot: &Dovecot) {
        let what = || format!("{count} mails are stored; {}", dovecot.log());
        until_async(what, async || (self.stored().await >= count).then_some(())).await;
    }
    /// Until the clerk may know that this works, or why it does not.
    async fn until_noted(&self, what: &str, fault: Option<&str>) {
        let noted = async || {
            let notes = self.office.store.list_health().await.unwrap();
            let note = notes.into_iter().find(|note| note.what == what);
            match (note.map(|note| note.fault), fault) {
                (Some(Some(found)), Some(fault)) => found.contains(fault),
                (Some(found), None) => found.is_none(),
                _ => false,
            }
        };
        until_async(|| format!("{what}: {fault:?}"), async || noted().await.then_some(())).await;
    }
}
struct Watching {
    stop: CancellationToken,
    task: JoinHandle<Result<(), WatchError>>,
}
impl Watching {
    /// It ends at once, whatever it waits for.
    async fn ends(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(world::PATIENCE, self.task).await;
        ended.unwrap().unwrap().unwrap();
    }
}

/// Settings for `imaps://` with the password, and others on top.
fn usual(dovecot: &Dovecot, more: Value) -> Value {
    let mut settings = json!({
        "url": format!("imaps://{USER}@localhost:{}", dovecot.tls_port),
        "password": { "file": "keys/mailbox.password" },
        "tls": { "ca_file": dovecot.ca_file() },
    });
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            settings.as_object_mut().unwrap().remove(name);
        } else {
            settings[name] = value.clone();
        }
    }
    settings
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_reads_the_same_mail_once() {
    let dovecot = Dovecot::start();
    dovecot.deliver("INBOX", "1.first", &mail(1));
    let (clear, tls) = (dovecot.port, dovecot.tls_port);
    let token = json!({ "token": { "file": "keys/token" } });
    let command = json!({ "token": { "command": "cat keys/token" } });
    let mut reading = Reading::new(&dovecot, json!({})).await;
    reading.private_file("token", &dovecot.token(SystemClock.now(), 600));
    for (way, expected) in [
        (json!({}), 1),
        (json!({ "url": format!("imap://{USER}@localhost:{clear}") }), 1),
        (
            json!({ "url": format!("imap://{USER}@127.0.0.1:{clear}?tls=none"), "tls": null }),
            0,
        ),
        (json!({ "password": null, "oauth2": token }), 0),
        (
            json!({ "url": format!("imaps://{USER}@localhost:{tls}"), "password": null, "oauth2": command }),
            0,
        ),
    ] {
        reading = reading.with(usual(&dovecot, way.clone()));
        let taken = reading.once().await.unwrap_or_else(|e| panic!("{way}: {}", chain(&e)));
        // Another port or host is another account: the bytes are known all the same.
        assert_eq!((taken, reading.stored().await), (expected.min(taken), 1), "{way}");
        assert_eq!(reading.once().await.unwrap(), 0, "{way}");
    }
    for (method, protection) in [("PLAIN", "TLS"), ("XOAUTH2", "TLS"), ("PLAIN", "secured")] {
        let logged_in = |line: &str| line.contains(&format!("method={method}")) && line.contains(protection);
        // Its log is written by a process of its own.
        until_async(
            || format!("{method} {protection} is logged: {}", dovecot.log()),
            async || dovecot.log().lines().any(logged_in).then_some(()),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_learns_why_and_nothing_secret_is_said() {
    let dovecot = Dovecot::start();
    dovecot.deliver("INBOX", "1.first", &mail(1));
    let mut reading = Reading::new(&dovecot, json!({})).await;
    let expired = dovecot.token(SystemClock.now(), -600);
    for (name, content) in [("wrong", "hunter2"), ("expired", expired.as_str())] {
        reading.private_file(name, content);
    }
    let token = |place: Value| json!({ "password": null, "oauth2": { "token": place } });
    for (settings, reasons) in [
        (
            json!({ "password": { "file": "keys/wrong" } }),
            vec!["cannot log in to the mailbox as breach", "Authentication failed"],
        ),
        (
            token(json!({ "file": "keys/expired" })),
            vec![
                "Authentication failed",
                "the token was not taken (status 401)",
                "renew it",
            ],
        ),
        (
            token(json!({ "command": "echo hunter2 >&2; exit 7" })),
            vec!["the command of `oauth2`", "ended with status 7"],
        ),
        (json!({ "tls": null }), vec!["UnknownIssuer", "set mailbox.tls.ca_file"]),
        (
            json!({ "url": format!("imaps://{USER}@127.0.0.1:{}", dovecot.tls_port) }),
            vec!["cannot be trusted", "not valid for name"],
        ),
        (
            json!({ "url": format!("imaps://{USER}@localhost:{}", dovecot.port) }),
            vec!["does the server speak TLS on this port"],
        ),
        (
            json!({ "folder": "Nowhere" }),
            vec!["the folder Nowhere cannot be opened", "doesn't exist"],
        ),
        (
            json!({ "url": format!("imaps://{USER}@localhost:1") }),
            vec!["cannot connect to localhost", "refused"],
        ),
    ] {
        reading = reading.with(usual(&dovecot, settings));
        let told = chain(&reading.once().await.unwrap_err());
        for reason in reasons {
            assert!(told.contains(reason), "`{reason}` is missing: {told}");
        }
        for secret in [PASSWORD, "hunter2", &expired] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    assert_eq!(reading.stored().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_the_mailbox_untouched() {
    let dovecot = Dovecot::start();
    for n in 1..=3 {
        dovecot.deliver("INBOX", &format!("{n}.unread"), &mail(n));
    }
    dovecot.doveadm(&["flags", "add", "-u", USER, "\\Seen", "mailbox", "INBOX", "uid", "2"]);
    let before = dovecot.mails("INBOX");
    assert_eq!(before.matches("\\Seen").count(), 1, "{before}");
    let reading = Reading::new(&dovecot, json!({})).await;
    assert_eq!(reading.once().await.unwrap(), 3);
    assert_eq!(dovecot.mails("INBOX"), before);
    let stored = reading.raw(1).await.unwrap();
    assert_eq!(
        stored,
        String::from_utf8(mail(1)).unwrap().replace('\n', "\r\n").into_bytes()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_mail_is_left_alone_and_nothing_is_downloaded_twice() {
    let dovecot = Dovecot::start();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    for n in 0..2000 {
        dovecot.deliver_at("INBOX", &format!("{n:05}.old"), &mail(n), Some(long_ago));
    }
    // So that the old ones have the smaller UIDs, as in any mailbox that was used.
    dovecot.mails("INBOX");
    for n in 2000..2025 {
        dovecot.deliver("INBOX", &format!("{n:05}.new"), &mail(n));
    }
    let reading = Reading::new(&dovecot, json!({})).await;
    assert_eq!(reading.once().await.unwrap(), 25);
    assert_eq!(reading.once().await.unwrap(), 0);
    // An old mail that a person moves here later is news.
    dovecot.deliver_at("INBOX", "00000.moved", &mail(3000), Some(long_ago));
    assert_eq!(reading.once().await.unwrap(), 1);
    assert_eq!(reading.stored().await, 26);

    assert_eq!(downloads(&dovecot, 3), ["25", "0", "1"]);
}

/// How many mails each of so many connections took, as Dovecot counted.
fn downloads(dovecot: &Dovecot, connections: usize) -> Vec<String> {
    until("Dovecot has counted", || {
        let log = dovecot.log();
        let counts = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once("body_count=")?;
            Some(rest.split(' ').next()?.to_owned())
        });
        Some(counts.collect::<Vec<_>>()).filter(|counts| counts.len() == connections)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_numbering_brings_nothing_twice_and_loses_nothing() {
    let dovecot = Dovecot::start();
    for n in 1..=5 {
        dovecot.deliver("INBOX", &format!("{n}.mail"), &mail(n));
    }
    let reading = Reading::new(&dovecot, json!({})).await;
    assert_eq!(reading.once().await.unwrap(), 5);
    dovecot.doveadm(&["mailbox", "update", "-u", USER, "--uid-validity", "12345", "INBOX"]);
    dovecot.deliver("INBOX", "6.mail", &mail(6));
    assert_eq!(reading.once().await.unwrap(), 1);
    assert_eq!(reading.stored().await, 6);
    assert_eq!(reading.once().await.unwrap(), 0);
    assert_eq!(downloads(&dovecot, 3), ["5", "6", "0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_too_large_leaves_a_note_and_the_next_one_comes_in() {
    let dovecot = Dovecot::start();
    let mut large = b"From: <databreach@cnpd.lu>\nSubject: Our measures\nMessage-ID: <large@cnpd.lu>\n\n".to_vec();
    large.resize(33 * 1024 * 1024, b'x');
    dovecot.deliver("INBOX", "1.large", &large);
    dovecot.deliver("INBOX", "2.small", &mail(2));
    let before = dovecot.mails("INBOX");
    let reading = Reading::new(&dovecot, json!({})).await;
    assert_eq!(reading.once().await.unwrap(), 2);
    let note = String::from_utf8(reading.raw(1).await.unwrap()).unwrap();
    for words in [
        "Mail too large to take in",
        "bytes",
        "INBOX",
        "<large@cnpd.lu>",
        "Our measures",
    ] {
        assert!(note.contains(words), "`{words}` is missing: {note}");
    }
    assert!(note.len() < 10_000);
    let tray = reading.office.store.list_tray().await.unwrap();
    assert!(tray.iter().any(|mail| mail.id == MailId::new(1)), "{tray:?}");
    assert_eq!(dovecot.mails("INBOX"), before);
    assert_eq!(reading.once().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_are_read_by_their_names_whatever_the_letters() {
    let dovecot = Dovecot::start();
    for folder in ["Réponses & Co", "Junk"] {
        dovecot.doveadm(&["mailbox", "create", "-u", USER, folder]);
    }
    dovecot.deliver("INBOX", "1.inbox", &mail(1));
    dovecot.deliver("Junk", "2.junk", &mail(2));
    dovecot.deliver("R&AOk-ponses &- Co", "3.answers", &mail(3));
    let one = Reading::new(&dovecot, json!({ "folder": "Réponses & Co" })).await;
    assert_eq!(one.once().await.unwrap(), 1);
    let both = one.with(usual(
        &dovecot,
        json!({ "folders": ["INBOX", "Junk", "Réponses & Co"] }),
    ));
    assert_eq!(both.once().await.unwrap(), 2);
    assert_eq!(both.stored().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_in_while_waiting_and_after_the_server_was_away() {
    let dovecot = Dovecot::start();
    dovecot.deliver("INBOX", "1.before", &mail(1));
    let reading = Reading::new(&dovecot, json!({})).await;
    let watching = reading.watch();
    reading.until_stored(1, &dovecot).await;
    for n in 2..=4 {
        dovecot.deliver("INBOX", &format!("{n}.idle"), &mail(n));
        reading.until_stored(n, &dovecot).await;
    }
    dovecot.stop();
    dovecot.deliver("INBOX", "5.away", &mail(5));
    dovecot.start_again();
    reading.until_stored(5, &dovecot).await;
    dovecot.deliver("INBOX", "6.back", &mail(6));
    reading.until_stored(6, &dovecot).await;
    watching.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_the_start_stops_nothing_else() {
    let dovecot = Dovecot::start();
    let reading = Reading::new(&dovecot, json!({})).await;
    let mut office = reading.office.clone();
    // Answers to campaigns come to another mailbox, and both are watched.
    let mut config = (*office.config).clone();
    config.individuals.mailbox = Some(serde_json::from_value(json!({ "url": "maildir:Maildir" })).unwrap());
    office.config = Arc::new(config);
    let reading = Reading { office, ..reading };
    dovecot.stop();
    let watching = reading.watch();
    breachpost::drill::stage::deliver(reading.office.home.root(), "1.other", &mail(1)).unwrap();
    reading.until_stored(1, &dovecot).await;
    reading
        .until_noted("mailbox", Some("cannot connect to localhost"))
        .await;
    reading.until_noted("individuals.mailbox", None).await;
    dovecot.start_again();
    dovecot.deliver("INBOX", "2.back", &mail(2));
    reading.until_stored(2, &dovecot).await;
    reading.until_noted("mailbox", None).await;
    watching.ends().await;
    drop(reading.scratch);
}

/// The mailbox is on Dovecot from now on.
fn over_imap(world: &World, dovecot: &Dovecot) {
    let password = world.private_file("mailbox.password", PASSWORD.as_bytes());
    let maildir = format!("{{ url: \"maildir:{}\" }}", world.maildir().display());
    let imap = format!(
        "{{ url: \"imap://{USER}@localhost:{}\", password: {{ file: {password} }}, tls: {{ ca_file: {} }} }}",
        dovecot.port,
        dovecot.ca_file().display()
    );
    world.settle(&maildir, &imap);
}

#[test]
fn a_notice_is_acknowledged_through_a_real_mailbox() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let dovecot = Dovecot::start();
    over_imap(&world, &dovecot);
    world.run(&["doctor"]).says(&[
        "localhost reached, logged in",
        "INBOX with 0 mails tells when mail comes",
    ]);

    let mut command = world.command(&["serve"]);
    command.env("BREACHPOST_LOG", "trace");
    let daemon = world.serve_by(command);
    let notice = world.json(&["notice", "send", world.breach(), "--to", AUTHORITY, "--yes", "--wait"]);
    let reference = text(&notice["reference"]);
    world.until_notice(&reference, "handed");
    let answer = format!(
        "From: <databreach@mail.cnpd.lu>\nTo: <{SENDER}>\nSubject: Accusé de réception\nMessage-ID: <ack@cnpd.example>\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0100\nIn-Reply-To: {}\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Nous accusons réception de votre notification.\n",
        text(&notice["message_id"])
    );
    dovecot.deliver("INBOX", "1.ack", answer.as_bytes());
    world.until_notice(&reference, "acknowledged");
    let log = daemon.log();
    assert_eq!(daemon.stop(), 0, "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("Nous accusons"), "{log}");
    assert!(!dovecot.mails("INBOX").contains("\\Seen"));
    world.is_intact();
}

#[test]
fn a_rehearsal_comes_back_through_a_real_mailbox() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let dovecot = Dovecot::start();
    over_imap(&world, &dovecot);
    let rehearsed = std::thread::scope(|scope| {
        scope.spawn(|| dovecot.deliver("INBOX", "1.rehearsal", &relay.taken(1)[0].bytes));
        world.run(&["notice", "test", world.breach(), "--to", AUTHORITY, "--yes", "--json"])
    });
    let report = rehearsed.exits(0).json();
    assert_eq!(
        (&report["verdict"], &report["content"]),
        (&json!("unchanged"), &json!("identical"))
    );
    assert_eq!(world.json(&["mailbox", "tray"]), json!([]));
    assert_eq!(world.json(&["notice", "list"]), json!([]));
    assert!(!dovecot.mails("INBOX").contains("\\Seen"));
    world.is_intact();
}
