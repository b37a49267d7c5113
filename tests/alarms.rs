//! What needs a person reaches one: by mail and by webhook, once for each stage, again when nobody says that they know,
//! whatever fails on the way, and with nothing of the breach in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "scratch/paused.rs"]
mod paused;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breachpost::config::{SecretSource, Webhook};
use breachpost::dispatch::clerk;
use breachpost::dispatch::desk::alert;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::{Worker, WorkerKind};
use breachpost::drill::receiver::{Act, Receiver, Step, Trouble};
use breachpost::mail::webhook::signature;
use breachpost::model::alert::Condition;
use breachpost::model::id::AlertId;
use breachpost::model::{Clock, Time};
use breachpost::secret::Secret;
use breachpost::store::{ListTarget, NewList, TellingState};
use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use paused::until_paused;
use scratch::{PASSWORD, Scratch, assert_sealed, carry, me, sound};
use world::relay::Relay;
use world::{BREACH, World, text, until};

const ON_CALL: &str = "oncall@company.example";
const CHIEF: &str = "chief@company.example";
const SECRET: &str = "shared-secret-of-the-webhook";
/// A part of the URL that no log and no list may show.
const TOKEN: &str = "token-in-the-path";

/// A post as it came.
#[derive(Debug, Clone)]
struct Posted {
    id: String,
    body: Value,
    raw: String,
}

/// A webhook's receiver, which checks every signature; it answers as planned, and 204 after that.
struct Hook {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Posted>>>,
}
impl Hook {
    fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (Arc::clone(&posts), VecDeque::from(answers.to_vec()));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let socket = socket.unwrap();
                // Whoever was killed while it posted is not answered.
                let Some(posted) = read_post(&socket) else {
                    continue;
                };
                kept.lock().unwrap().push(posted);
                let status = answers.pop_front().unwrap_or(204);
                let _ = write!(&socket, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { address, posts }
    }
    fn url(&self) -> String {
        format!("http://{}/{TOKEN}", self.address)
    }
    fn posts(&self) -> Vec<Posted> {
        self.posts.lock().unwrap().clone()
    }
    /// `condition stage` of each post.
    fn stages(&self) -> Vec<String> {
        let shown = |post: Posted| format!("{} {}", text(&post.body["condition"]), text(&post.body["stage"]));
        self.posts().into_iter().map(shown).collect()
    }
}

/// Reads one request, and insists that it is signed as promised; `None` if it breaks off.
fn read_post(socket: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(socket);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    if !line.ends_with('\n') {
        return None;
    }
    assert!(line.starts_with(&format!("POST /{TOKEN} ")), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if !line.ends_with('\n') {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let raw = String::from_utf8(body).unwrap();
    let timestamp = headers["breachpost-timestamp"].parse().unwrap();
    assert_eq!(
        headers["breachpost-signature"],
        signature(&Secret::new(SECRET), timestamp, &raw)
    );
    assert_eq!(headers["content-type"], "application/json");
    Some(Posted {
        id: headers["breachpost-id"].clone(),
        body: serde_json::from_str(&raw).unwrap(),
        raw,
    })
}

/// A scratch home with alert channels, and a clerk's worker.
struct House {
    scratch: Scratch,
    office: Office,
    clerk: Worker,
}
impl House {
    async fn new(receiver: &Receiver, hook: Option<&Hook>) -> Self {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        let scratch = Scratch::over(receiver, now).await;
        let office = with_channels(&scratch.office, hook);
        let clerk = Worker::sign_on(&office.home.workers_dir(), WorkerKind::Command).unwrap();
        Self { scratch, office, clerk }
    }
    async fn round(&self) -> clerk::Round {
        clerk::round(&self.office, self.clerk.id()).await.unwrap()
    }
    /// A round at so many hours after the breach became known, an hour before the start.
    async fn round_at(&self, start: Time, hours: i64) -> clerk::Round {
        self.scratch.clock.set(start + TimeDelta::hours(hours - 1));
        self.round().await
    }
}

fn with_channels(office: &Office, hook: Option<&Hook>) -> Office {
    let mut office = office.clone();
    let mut config = (*office.config).clone();
    config.alerts.emails = vec![ON_CALL.parse().unwrap()];
    config.alerts.escalate_emails = vec![CHIEF.parse().unwrap()];
    if let Some(hook) = hook {
        let path = office.home.root().join("keys/webhook.secret");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(&path).unwrap();
        file.write_all(SECRET.as_bytes()).unwrap();
        config.alerts.webhooks = vec![Webhook {
            url: hook.url().parse().unwrap(),
            secret: Some(SecretSource::File(path)),
        }];
    }
    office.config = Arc::new(config);
    office
}

/// The subjects of the mails to one address, unfolded.
fn subjects(receiver: &Receiver, to: &str) -> Vec<String> {
    let mails = receiver.mails().into_iter();
    let theirs = mails.filter(|mail| mail.recipients.iter().any(|r| r.address == to));
    let subject = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ");
        let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap().to_owned()
    };
    theirs.map(|mail| subject(&mail.bytes)).collect()
}

/// Nothing of the breach, of its persons and of us, but ids.
fn assert_says_nothing(bytes: &[u8]) {
    assert_sealed(bytes);
    let text = String::from_utf8_lossy(bytes);
    for word in [
        "staff list",
        "Company S.A.",
        "rue de l'",
        "high_risk",
        "misdirected",
        SECRET,
        TOKEN,
    ] {
        assert!(!text.contains(word), "`{word}` is readable: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_told_once_for_each_stage_and_names_nothing() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    let breach = house.scratch.open_breach().await;
    let mut told = Vec::new();
    for (hours, stage) in [
        (1, None),
        (23, None),
        (24, Some("48h_before")),
        (25, None),
        (48, Some("24h_before")),
        (60, Some("12h_before")),
        (66, Some("6h_before")),
        (70, Some("2h_before")),
        (73, Some("passed")),
    ] {
        let round = house.round_at(start, hours).await;
        assert!(round.leads);
        told.extend(stage.map(|stage| format!("deadline {stage}")));
        // Reminders of a stage repeat its words.
        let stages = hook.stages();
        let distinct: BTreeSet<&String> = stages.iter().collect();
        assert_eq!(distinct, told.iter().collect(), "after {hours} hours");
        assert_eq!(
            house.round().await.told,
            0,
            "a second look at the same time tells nothing"
        );
    }
    let alerts = hook.posts().into_iter().filter(|post| post.body["kind"] == "alert");
    assert_eq!(alerts.count(), 6, "each stage is raised once");
    let wanted = format!("breachpost: something needs you (deadline, {breach})");
    let first = subjects(&receiver, ON_CALL)
        .into_iter()
        .filter(|subject| *subject == wanted);
    assert_eq!(first.count(), 6);
    for mail in receiver.mails() {
        assert_says_nothing(&mail.bytes);
        let text = String::from_utf8_lossy(&mail.bytes);
        assert!(text.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("breachpost alert ack alert_"), "{text}");
        assert_eq!(mail.recipients.len(), 1, "one RCPT TO");
    }
    for post in hook.posts() {
        assert_says_nothing(post.raw.as_bytes());
        assert_eq!(text(&post.body["about"]["breach"]), breach.to_string());
    }
    // Once it is sent, all of it ends by itself.
    let filed = scratch::file_about(&house.scratch.office, breach, Vec::new())
        .await
        .unwrap();
    carry(&house.scratch.office).await.unwrap();
    let ended = house.round().await;
    assert_eq!(
        (ended.changes.raised.len(), ended.changes.resolved.len()),
        (0, 1),
        "{filed:?} was handed over"
    );
    assert!(alert::list(&house.office, false).await.unwrap().is_empty());
    house.scratch.assert_journal_intact().await;
}

/// A campaign that was damaged, or written by another version, is one campaign's trouble.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_cannot_be_read_keeps_no_deadline_from_being_told() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let (start, store) = (house.scratch.clock.now(), &house.office.store);
    let breach = house.scratch.open_breach().await;
    let list = NewList {
        into: ListTarget::Fresh {
            breach,
            content: "no campaign's content".into(),
        },
        fingerprint: "a".repeat(64),
        file: "list.csv".to_owned(),
        sha256: "b".repeat(64),
        facts: Value::Null,
        rows: 0,
    };
    let open = store.begin_list(list, &me(), start).await.unwrap();
    store.end_list(open.list, &me(), start).await.unwrap();
    let (hash, by) = ("c".repeat(64), me());
    let agreed = store.approve_campaign(open.campaign, &hash, 1, &by, start);
    agreed.await.unwrap();
    let at = start + TimeDelta::hours(70);
    store.schedule(open.campaign, at, &me(), start).await.unwrap();

    house.scratch.clock.set(start + TimeDelta::hours(73));
    let failed = clerk::round(&house.office, house.clerk.id()).await.unwrap_err();
    let told = format!("{failed} {failed:?}");
    assert!(told.contains("cmp_1") && !told.contains("no campaign's"), "{told}");
    assert_eq!(hook.stages(), ["deadline passed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ignored_is_repeated_to_more_people_until_somebody_says_so() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let house = House::new(&receiver, None).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    house.round_at(start, 80).await;
    assert_eq!(
        (subjects(&receiver, ON_CALL).len(), subjects(&receiver, CHIEF).len()),
        (1, 0)
    );
    for (minutes, mails) in [
        (59, 1),
        (60, 2),
        (299, 2),
        (300, 3),
        (300 + 24 * 60 - 1, 3),
        (300 + 24 * 60, 4),
    ] {
        house
            .scratch
            .clock
            .set(start + TimeDelta::hours(79) + TimeDelta::minutes(minutes));
        house.round().await;
        let subjects = subjects(&receiver, ON_CALL);
        assert_eq!(subjects.len(), mails, "after {minutes} minutes");
        let again = subjects
            .iter()
            .filter(|subject| subject.contains("still waiting for you"));
        assert_eq!(again.count(), mails - 1);
    }
    assert_eq!(
        subjects(&receiver, CHIEF).len(),
        3,
        "those who are told of what was ignored"
    );
    // Mail programs show the reminders with the first mail.
    let mails = receiver.mails();
    let first = String::from_utf8_lossy(&mails[0].bytes).into_owned();
    let id = first
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: "))
        .unwrap();
    let last = mails
        .iter()
        .rev()
        .find(|mail| mail.recipients[0].address == ON_CALL)
        .unwrap();
    assert!(String::from_utf8_lossy(&last.bytes).contains(&format!("In-Reply-To: {id}")));

    let open = alert::list(&house.office, false).await.unwrap();
    alert::acknowledge(&house.office, open[0].alert.id, Some("on it"), &me())
        .await
        .unwrap();
    house.scratch.clock.advance(TimeDelta::days(9));
    assert_eq!(house.round().await.told, 0, "somebody knows");
    let unknown = alert::acknowledge(&house.office, AlertId::new(99), None, &me()).await;
    assert_eq!(unknown.unwrap_err().to_string(), "there is no alert alert_99");
    house.scratch.assert_journal_intact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_tried_until_it_takes_the_alert_or_is_gone() {
    for (answers, tries, state) in [(vec![500, 302], 3, "sent"), (vec![503, 410], 2, "failed")] {
        let receiver = Receiver::start(sound()).await.unwrap();
        let hook = Hook::start(&answers);
        let house = House::new(&receiver, Some(&hook)).await;
        let start = house.scratch.clock.now();
        house.scratch.open_breach().await;
        house.round_at(start, 80).await;
        assert_eq!(hook.posts().len(), 1);
        assert_eq!(house.round().await.told, 0, "not at once again");
        for _ in 0..5 {
            house.scratch.clock.advance(TimeDelta::minutes(2));
            house.round().await;
        }
        // That the webhook itself does not work is an alert of its own.
        let mut posts = hook.posts();
        posts.retain(|post| post.body["condition"] == "deadline");
        assert_eq!(posts.len(), tries, "{answers:?}");
        let ids: BTreeSet<&str> = posts.iter().map(|post| post.id.as_str()).collect();
        assert_eq!(ids.len(), 1, "a receiver can leave the repeated ones out");
        let open = alert::list(&house.office, false).await.unwrap();
        let told = open[0]
            .told
            .iter()
            .find(|told| told.telling.channel.starts_with("webhook:"))
            .unwrap();
        let found = match told.telling.state {
            TellingState::Sent { .. } => "sent",
            TellingState::Failed { .. } => "failed",
            _ => "neither",
        };
        assert_eq!((found, told.telling.tries as usize), (state, tries));
        assert!(!serde_json::to_string(&open).unwrap().contains(TOKEN));
        let mails = subjects(&receiver, ON_CALL).into_iter();
        let deadline = mails.filter(|subject| subject.contains("(deadline, "));
        assert_eq!(deadline.count(), 1, "the mail had no part in it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_gone_is_told_by_the_webhook() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    drop(receiver);
    let round = house.round_at(start, 80).await;
    assert_eq!((round.told, hook.stages()), (1, vec!["deadline passed".to_owned()]));
    // It is tried again all the while, and so found out to be away for long.
    for _ in 0..12 {
        house.scratch.clock.advance(TimeDelta::minutes(2));
        house.round().await;
    }
    let part = |post: &Posted| post.body["about"]["part"] == "relay";
    let of_relay: Vec<Posted> = hook.posts().into_iter().filter(part).collect();
    assert_eq!(of_relay.len(), 1, "{:?}", hook.stages());
    assert_eq!(of_relay[0].body["condition"], "unreachable");
    let open = alert::list(&house.office, false).await.unwrap();
    let shown = serde_json::to_string(&open).unwrap();
    assert!(!shown.contains(PASSWORD) && !shown.contains(SECRET));

    // When it is back, what is still so is told by mail, and that it was away is over.
    let back = Receiver::start(sound()).await.unwrap();
    let office = with_channels(&house.scratch.towards(&back), Some(&hook));
    house.scratch.clock.advance(TimeDelta::hours(2));
    clerk::round(&office, house.clerk.id()).await.unwrap();
    assert!(
        subjects(&back, ON_CALL)
            .iter()
            .any(|subject| subject.contains("(deadline, "))
    );
    clerk::round(&office, house.clerk.id()).await.unwrap();
    let open = alert::list(&office, false).await.unwrap();
    assert!(
        open.iter()
            .all(|view| view.alert.alarm.condition != Condition::Unreachable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_notice_and_a_silent_authority_are_told() {
    let refusal = Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(|address| address != ON_CALL);
    let receiver = Receiver::start(sound().with(refusal)).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let refused = house.scratch.file().await;
    carry(&house.office).await.unwrap();
    house.round().await;
    assert_eq!(hook.stages(), ["notice_failed now"]);
    let post = &hook.posts()[0].body;
    assert_eq!(text(&post["about"]["notice"]), refused.reference.to_string());
    assert_eq!(
        text(&post["command"]),
        format!("breachpost notice show {}", refused.reference)
    );

    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let silent = house.scratch.file().await;
    carry(&house.office).await.unwrap();
    house.round().await;
    assert_eq!(hook.stages(), Vec::<String>::new());
    house.scratch.clock.advance(TimeDelta::hours(24));
    house.round().await;
    assert_eq!(hook.stages(), ["no_acknowledgement now"]);
    let post = &hook.posts()[0].body;
    let sheet = format!("breachpost notice show {} --call-sheet", silent.reference);
    assert_eq!(text(&post["command"]), sheet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clerks_raise_and_tell_once() {
    let receiver = Receiver::start(sound()).await.unwrap();
    let hook = Hook::start(&[]);
    let house = House::new(&receiver, Some(&hook)).await;
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;
    house.scratch.clock.set(start + TimeDelta::hours(79));
    let other = Office::open(house.office.home.clone(), house.office.clock.clone()).unwrap();
    let other = with_channels(&other, Some(&hook));
    let second = Worker::sign_on(&other.home.workers_dir(), WorkerKind::Command).unwrap();
    let (one, two) = tokio::join!(
        clerk::round(&house.office, house.clerk.id()),
        clerk::round(&other, second.id())
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.leads != two.leads, "one of them leads: {one:?} {two:?}");
    assert_eq!(hook.stages(), ["deadline passed"]);
    assert_eq!(subjects(&receiver, ON_CALL).len(), 1);
    // The one that did not lead takes over when the other one's process ends, and repeats nothing.
    let (gone, other_office, heir) = match one.leads {
        true => (house.clerk, &other, second),
        false => (second, &house.office, house.clerk),
    };
    drop(gone);
    let taken_over = clerk::round(other_office, heir.id()).await.unwrap();
    assert!(taken_over.leads);
    assert_eq!((taken_over.told, hook.stages().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_says_nothing_keeps_the_clerk_neither_from_work_nor_from_the_end() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut scratch = Scratch::new().await;
    let mut config = (*scratch.office.config).clone();
    config.relay.url = format!("smtp://{}?tls=none", mute.local_addr().unwrap())
        .parse()
        .unwrap();
    // More than the daemon's watchdog puts up with.
    config.relay.timeouts.reply_seconds = serde_json::from_str("\"86400\"").unwrap();
    scratch.office.config = Arc::new(config);
    let office = &scratch.office;
    let worker = Worker::sign_on(&office.home.workers_dir(), WorkerKind::Command).unwrap();
    let stop = CancellationToken::new();
    let clerk = tokio::spawn(clerk::run(office.clone(), worker.id(), stop.clone()));
    let leader = async || office.store.find_leader().await.unwrap();
    until_paused(office, || "the clerk is at work".to_owned(), leader).await;
    scratch.clock.advance(TimeDelta::hours(2));
    let (_first, _) = mute.accept().await.unwrap();
    let fault = async || {
        let notes = office.store.list_health().await.unwrap();
        notes.into_iter().find(|note| note.what == "relay")?.fault
    };
    let fault = until_paused(office, || "it has been noted".to_owned(), fault).await;
    assert_eq!(fault, "the relay did not answer within 30 s");

    scratch.clock.advance(TimeDelta::hours(2));
    let (_second, _) = mute.accept().await.unwrap();
    let told = Instant::now();
    stop.cancel();
    clerk.await.unwrap();
    assert_eq!(told.elapsed(), Duration::ZERO, "it did not wait for the relay");
}

#[tokio::test(start_paused = true)]
async fn a_slow_relay_does_not_keep_the_clerk_longer_than_it_may_lead() {
    const MANY: usize = 40;
    let slow = Trouble::at(Step::Mail, Act::Slow(Duration::from_secs(25)));
    let receiver = Receiver::start(sound().with(slow.times(u32::MAX))).await.unwrap();
    let mut house = House::new(&receiver, None).await;
    let mut config = (*house.office.config).clone();
    config.alerts.emails = (0..MANY)
        .map(|n| format!("oncall{n}@company.example").parse().unwrap())
        .collect();
    house.office.config = Arc::new(config);
    let start = house.scratch.clock.now();
    house.scratch.open_breach().await;

    let began = Instant::now();
    let first = house.round_at(start, 80).await;
    assert!(
        first.told > 0 && began.elapsed() < Duration::from_secs(4 * 60),
        "{first:?}"
    );
    // Slow is not broken: nobody is called for that.
    let health = house.office.store.list_health().await.unwrap();
    assert!(health.iter().all(|note| note.fault.is_none()), "{health:?}");
    // What was left is told by the next rounds.
    let everybody = async || {
        house.scratch.clock.advance(TimeDelta::minutes(1));
        house.round().await;
        let mails = receiver.mails().into_iter();
        let told: BTreeSet<String> = mails.map(|mail| mail.recipients[0].address.clone()).collect();
        (told.len() == MANY).then_some(())
    };
    until_paused(&house.office, || "everybody is told".to_owned(), everybody).await;
}

/// The looks of one case, in minutes after awareness; time may jump back.
fn looks() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(0..(100 * 60i64), 1..12)
}

#[test]
fn whatever_the_order_of_the_looks_a_stage_is_raised_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
    runner
        .run(&looks(), |looks| {
            runtime.block_on(async {
                let receiver = Receiver::start(sound()).await.unwrap();
                let hook = Hook::start(&[]);
                let house = House::new(&receiver, Some(&hook)).await;
                let start = house.scratch.clock.now() - TimeDelta::hours(1);
                house.scratch.open_breach().await;
                for minute in &looks {
                    house.scratch.clock.set(start + TimeDelta::minutes(*minute));
                    house.round().await;
                    house.round().await;
                }
                let mut seen = BTreeSet::new();
                for post in hook.posts() {
                    let key = (text(&post.body["alert"]), post.body["reminder"].to_string());
                    prop_assert!(seen.insert(key), "told twice: {} in {looks:?}", post.raw);
                }
                let raised = hook.posts().into_iter().filter(|post| post.body["kind"] == "alert");
                let mut stages = BTreeSet::new();
                for post in raised.filter(|post| post.body["condition"] == "deadline") {
                    let stage = text(&post.body["stage"]);
                    prop_assert!(stages.insert(stage), "raised twice: {} in {looks:?}", post.raw);
                }
                house.scratch.assert_journal_intact().await;
                Ok(())
            })
        })
        .unwrap();
}

/// An installation whose alerts go to this hook and by mail.
fn alarmed(relay: &Relay, hook: &Hook) -> World {
    let world = World::new(relay);
    let secret = world.private_file("webhook.secret", SECRET.as_bytes());
    world.settle("#emails: []", &format!("emails: [\"{ON_CALL}\"]"));
    world.settle(
        "#webhooks: []",
        &format!(
            "webhooks: [{{ url: \"{}\", secret: {{ file: {secret} }} }}]",
            hook.url()
        ),
    );
    world
}

#[test]
fn the_daemon_tells_and_a_person_answers() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    let trial = world.json(&["alert", "test"]);
    assert_eq!(
        trial.as_array().unwrap().iter().filter(|t| t["taken"] == true).count(),
        2,
        "{trial}"
    );
    assert_eq!(hook.posts()[0].body["kind"], "test");
    world.run(&["alert", "list"]).exits(0).says(&["No alert."]);
    // Its 72 hours are over.
    world.open_breach(BREACH);
    let daemon = world.serve();
    let mails = relay.taken(2);
    until("the webhook has it", || (hook.posts().len() == 2).then_some(()));
    let mail = String::from_utf8_lossy(&mails[1].bytes).into_owned();
    for word in ["Payroll", "Kirchberg S.A.", "Claire Weber", "+352 621", "dpo@", TOKEN] {
        assert!(!mail.contains(word), "`{word}` is readable: {mail}");
        assert!(!hook.posts()[1].raw.contains(word), "`{word}` is readable");
    }
    let status = world.run(&["status"]).exits(2);
    assert!(status.stdout.starts_with("Alerts\n! alert_1  "), "{status:#?}");
    let listed = world.run(&["alert", "list", "--json"]).exits(2).json();
    assert_eq!(listed[0]["condition"], "deadline");
    world.run(&["alert", "ack", "alert_1", "--note", "on it"]).exits(0);
    let listed = world.json(&["alert", "list"]);
    assert_eq!(listed[0]["acknowledged"]["note"], "on it");
    world
        .run(&["alert", "ack", "alert_9"])
        .exits(64)
        .says(&["there is no alert alert_9", "breachpost alert list"]);
    let log = daemon.log();
    assert!(log.contains("something needs a person"), "{log}");
    for secret in [SECRET, TOKEN, ON_CALL, "Payroll"] {
        assert!(!log.contains(secret), "`{secret}` is in the log: {log}");
    }
    assert_eq!(daemon.stop(), 0);
    world.is_intact();
}

#[test]
fn without_a_channel_it_stands_in_status() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    world.run(&["doctor"]).says(&["nobody is told when a deadline is near"]);
    world
        .run(&["alert", "test"])
        .exits(2)
        .says(&["no alert channel is configured"]);
    world
        .run(&["serve", "--once"])
        .exits(0)
        .says(&["something needs a person"]);
    world
        .run(&["status"])
        .exits(2)
        .says(&["! alert_1", "told to nobody: no channel is configured"]);
}

#[test]
fn a_question_of_an_authority_is_told() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    world.import_certificate();
    world.open_breach(BREACH);
    let reference = text(&world.send(&[]).exits(0).json()["reference"]);
    let mail = format!("From: <anna@cnpd.lu>\r\nSubject: Re: {reference}\r\n\r\nHow many persons are concerned?\r\n");
    world.run_with(&["mailbox", "ingest", "-"], mail.as_bytes()).exits(2);
    world.run(&["serve", "--once"]).exits(0);
    let question = hook
        .posts()
        .into_iter()
        .find(|post| post.body["condition"] == "inquiry_due");
    let body = question.expect("the question is told").body;
    assert_eq!(text(&body["about"]["notice"]), reference);
    assert_eq!(
        text(&body["command"]),
        format!("breachpost mailbox show {}", text(&body["about"]["mail"]))
    );
}

/// Whenever the process dies, each alert is told at least once and at most twice, and a repeated one can be recognised.
#[test]
fn killed_between_raising_and_sending() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    let mut deaths = 0;
    for hit in 1..=14 {
        let breach = world.open_breach(BREACH);
        let mut command = world.command(&["serve", "--once"]);
        command.env("BREACHPOST_DIE_AT", format!("after_commit:{hit}"));
        deaths += u32::from(world::finish(command, b"").status != 0);
        world.run(&["serve", "--once"]).exits(0);
        let posts: Vec<Posted> = hook.posts();
        let ours: Vec<&Posted> = posts.iter().filter(|p| p.body["about"]["breach"] == breach).collect();
        assert!((1..=2).contains(&ours.len()), "{hit}: {ours:?}");
        assert!(ours.iter().all(|post| post.id == ours[0].id), "{hit}");
        let subject = format!("breachpost: something needs you (deadline, {breach})");
        let mails = subjects(&relay, ON_CALL).into_iter().filter(|s| *s == subject).count();
        assert!((1..=2).contains(&mails), "{hit}: {mails}");
    }
    assert!(deaths >= 5, "it died {deaths} times");
    world.is_intact();
}
