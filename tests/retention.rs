//! The end of personal data in an installation that is used: after `retention.recipients_days` by itself, or at once for
//! one person. What was told, to how many, and the proofs remain; of the persons nothing does, not even in pages of the
//! store that nothing refers to any more.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::path::Path;

use breachpost::config::Home;
use breachpost::dispatch::campaign::settle;
use breachpost::dispatch::clerk;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::model::{Clock, SystemClock, Time};
use chrono::TimeDelta;
use openssl::symm::{Cipher, Crypter, Mode};
use serde_json::Value;

use scratch::TestClock;
use world::relay::Relay;
use world::{BREACH, SENDER, World, text};

/// Enough that the store's pages are divided and joined.
const PERSONS: usize = 400;
/// What tells of a person: in the list, in a row that cannot be used, in a relay's answer, in a mail that came back.
const PERSONAL: [&str; 5] = [
    "quokka-",
    "Wombat",
    "numbat-nowhere",
    "rue du Quoll",
    "gone to Bandicoot",
];

/// A campaign that has told everybody but one, whose mail came back, and one whose row has no address; settling now.
fn told() -> (World, Relay) {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.settle("#recipients_days: 365", "recipients_days: 30");
    world.open_breach(BREACH);
    let rows: String = (1..=PERSONS)
        .map(|n| format!("quokka-{n}@burrow{}.example,Wombat {n},fr,{n} rue du Quoll\n", n % 7))
        .collect();
    let list = format!("email,name,language,street\n{rows}numbat-nowhere,Wombat 0,fr,0 rue du Quoll\n");
    world.file("list.csv", list.as_bytes());
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world.run(&create).exits(2);
    world.run(&["campaign", "approve", "cmp_1", "--yes"]).exits(0);
    world.run(&["campaign", "start", "cmp_1", "--yes"]).exits(0);
    let mails = relay.taken(PERSONS);
    let (headers, _) = mails
        .iter()
        .map(|mail| String::from_utf8_lossy(&mail.bytes).into_owned())
        .find(|mail| mail.contains("quokka-7@"))
        .unwrap()
        .split_once("\r\n\r\n")
        .map(|(headers, body)| (headers.to_owned(), body.to_owned()))
        .unwrap();
    let bounce = format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@burrow0.example\r\nTo: {SENDER}\r\nSubject: failed\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nWombat 7 is gone to Bandicoot.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; burrow0.example\r\n\r\n\
         Final-Recipient: rfc822; quokka-7@burrow0.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 quokka-7 is gone to Bandicoot\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\n{headers}\r\n--b--\r\n"
    );
    world.run_with(&["mailbox", "ingest", "-"], bounce.as_bytes());
    (world, relay)
}
fn report(world: &World) -> Value {
    let mut report = world.json(&["campaign", "report", "cmp_1"]);
    // Domains may be a family's name, and are erased too; what belongs to the campaign's state changes with it.
    for name in ["domains", "state", "until", "ended_at"] {
        report.as_object_mut().unwrap().remove(name);
    }
    report
}
/// The home as the daemon finds it at that moment.
fn at(world: &World, time: Time) -> Office {
    Office::open(Home::at(&world.home()).unwrap(), TestClock::at(time)).unwrap()
}
/// One round of the daemon's housekeeping.
async fn round(office: &Office) {
    settle::round(office).await.unwrap();
    let clerk = office.sign_on(WorkerKind::Daemon).await.unwrap();
    assert!(clerk::round(office, clerk.id()).await.unwrap().leads);
}

/// Every page of the store and of its log, those that nothing refers to any more too, as whoever has the key can read them.
fn pages(home: &Path) -> Vec<u8> {
    const PAGE: usize = 4096;
    /// Initialisation vector and seal, at a page's end.
    const RESERVED: usize = 80;
    let key = fs::read_to_string(home.join("keys/store.key")).unwrap();
    let key: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap())
        .collect();
    let mut plain = Vec::new();
    let mut decrypt = |page: &[u8], is_first: bool| {
        // The first page begins with the salt.
        let from = if is_first { 16 } else { 0 };
        let (content, rest) = page[from..].split_at(PAGE - RESERVED - from);
        let mut cipher = Crypter::new(Cipher::aes_256_cbc(), Mode::Decrypt, &key, Some(&rest[..16])).unwrap();
        cipher.pad(false);
        let mut out = vec![0; content.len() + 16];
        let count = cipher.update(content, &mut out).unwrap();
        plain.extend_from_slice(&out[..count]);
    };
    let store = fs::read(home.join("breachpost.db")).unwrap();
    for (number, page) in store.chunks_exact(PAGE).enumerate() {
        decrypt(page, number == 0);
    }
    let log = fs::read(home.join("breachpost.db-wal")).unwrap_or_default();
    for frame in log.get(32..).unwrap_or_default().chunks_exact(24 + PAGE) {
        decrypt(&frame[24..], frame[..4] == [0, 0, 0, 1]);
    }
    plain
}
#[track_caller]
fn holds(home: &Path, words: &[&str], wanted: bool) {
    let pages = pages(home);
    for word in words {
        let found = pages
            .windows(word.len())
            .filter(|bytes| *bytes == word.as_bytes())
            .count();
        assert_eq!(found > 0, wanted, "`{word}` stands {found} times in the store's pages");
    }
}

#[test]
fn after_the_retention_time_nothing_tells_of_a_person() {
    let (world, _relay) = told();
    let before = report(&world);
    assert_eq!(
        (&before["informed"], &before["unreached"]),
        (&399.into(), &2.into()),
        "{before}"
    );
    holds(&world.home(), &PERSONAL, true);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = SystemClock.now();
        let office = at(&world, now + TimeDelta::days(8));
        round(&office).await;
        assert_eq!(world.json(&["campaign", "status", "cmp_1"])["state"], "finished");
        let office = at(&world, now + TimeDelta::days(8 + 29));
        round(&office).await;
        world
            .run(&["campaign", "unreached", "cmp_1"])
            .exits(0)
            .says(&["Wombat 7", "Wombat 0"]);
        // Open, as in a daemon, when it happens and after it.
        let office = at(&world, now + TimeDelta::days(8 + 31));
        round(&office).await;
        holds(&world.home(), &PERSONAL, false);
    });
    holds(&world.home(), &PERSONAL, false);

    assert_eq!(report(&world), before, "counts and reasons stay");
    let told = world.run(&["campaign", "find", "Quokka-8@BURROW1.example"]).exits(0);
    told.says(&["told: cmp_1", "accepted"]);
    world
        .run(&["campaign", "find", "quokka-7@burrow0.example"])
        .exits(2)
        .says(&["not told", "5.1.1"]);
    world
        .run(&["campaign", "find", "quokka-999@burrow0.example"])
        .exits(2)
        .says(&["in no campaign"]);
    let rows = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(PERSONAL.iter().all(|word| !rows.contains(word)), "{rows}");
    let mail = world.run(&["mailbox", "show", "mail_1", "--json"]).stdout;
    assert!(PERSONAL.iter().all(|word| !mail.contains(word)), "{mail}");
    world.is_intact();

    let forgotten = world.json(&["campaign", "forget-hashes", "cmp_1", "--yes"]);
    assert_eq!(forgotten["forgotten"], true);
    world
        .run(&["campaign", "find", "quokka-8@burrow1.example"])
        .exits(2)
        .says(&["in no campaign"]);
    assert_eq!(report(&world), before);
    world.is_intact();
}

/// Whom an address stands for is said before they are gone.
#[test]
fn who_would_be_erased_is_named_first() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let list = b"email,name\nfam@home.example,Anna Weber\nfam@home.example,Ben Weber\nfam@home.example solo@home.example,Eva\n\
                 olfam@home.example also@home.example,Dana\n";
    world.file("list.csv", list);
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world.run(&create).exits(2);
    world.run(&["campaign", "cancel", "cmp_1", "--yes"]).exits(0);
    let erase = ["campaign", "erase", "cmp_1", "--person", "fam@home.example"];
    world.run(&erase).exits(2).says(&[
        "stands for 3 of cmp_1: dlv_1, dlv_2, bad_1",
        "nothing was erased: it was not confirmed",
    ]);
    let erased = world.json(&[&erase[..], &["--yes"]].concat());
    assert_eq!((&erased["persons"], &erased["bad_rows"]), (&2.into(), &1.into()));
    holds(&world.home(), &["Dana", "olfam@"], true);
}

#[test]
fn one_person_who_asks_is_erased_and_the_others_stay() {
    let (world, _relay) = told();
    let before = report(&world);
    let erase = [
        "campaign",
        "erase",
        "cmp_1",
        "--person",
        "QUOKKA-7@burrow0.example",
        "--yes",
    ];
    let erased = world.json(&erase);
    assert_eq!(
        (&erased["persons"], &erased["mails"]),
        (&1.into(), &1.into()),
        "{erased}"
    );
    holds(
        &world.home(),
        &["quokka-7@", "Wombat 7\"", "\"7 rue du Quoll", "gone to Bandicoot"],
        false,
    );
    holds(&world.home(), &["quokka-70@", "Wombat 8\"", "numbat-nowhere"], true);
    assert_eq!(report(&world), before);
    world
        .run(&["campaign", "find", "quokka-7@burrow0.example"])
        .exits(2)
        .says(&["not told", "5.1.1"]);
    world.run(&erase).exits(64).says(&["person of this address"]);
    let journal = world.run(&["journal", "verify"]).exits(0).stdout;
    assert!(!journal.contains("quokka"), "{journal}");
    assert_eq!(text(&world.json(&["campaign", "status", "cmp_1"])["state"]), "settling");
    world.is_intact();
}
