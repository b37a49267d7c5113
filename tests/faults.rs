//! Every trouble on the way to the relay, through the real desk, courier and store: the right outcome and state, nothing
//! lost, nothing sent twice without saying so, and not one readable byte of the breach on the wire.
//!
//! `cargo test --test faults -- --nocapture` prints the matrix; `UPDATE_GOLDEN=1` rewrites `golden/fault-matrix.txt`.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod scratch;

use std::fmt::Write as _;
use std::path::Path;

use breachpost::dispatch::desk::overview;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::drill::receiver::{Act, CertificateKind, Plan, Receiver, Step, Trouble};
use breachpost::message::mime::Attachment;
use breachpost::model::Clock;
use breachpost::model::delivery::{DeliveryState, FaultCause};
use breachpost::model::notice::NoticeState;
use breachpost::store::Attempt;
use chrono::TimeDelta;

use scratch::{LATER, PASSWORD, Scratch, USER, assert_wire_says_nothing, carry, file_about, me, sound};

/// More than the sockets of both ends hold, so that the final dot cannot leave while nobody reads.
const LARGE_BYTES: usize = 12_000_000;

/// One line of the matrix.
struct Case {
    step: &'static str,
    kind: &'static str,
    plan: Plan,
    /// The trouble goes away by itself; otherwise a sound relay takes its place.
    passes: bool,
    large: bool,
    distrusted: bool,
}
impl Case {
    fn new(step: &'static str, kind: &'static str, plan: Plan) -> Self {
        Self {
            step,
            kind,
            plan,
            passes: false,
            large: false,
            distrusted: false,
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let steps = [
        (Step::Greeting, "greeting"),
        (Step::Ehlo, "EHLO"),
        (Step::StartTls, "STARTTLS"),
        (Step::Auth, "AUTH"),
        (Step::Mail, "MAIL"),
        (Step::Rcpt, "RCPT"),
        (Step::Data, "DATA"),
        (Step::FinalDot, "final dot"),
    ];
    for (step, name) in steps {
        let later = Act::reply("451 4.3.0 come back later");
        let once = sound().with(Trouble::at(step, later.clone()).times(1));
        cases.push(Case {
            passes: true,
            ..Case::new(name, "4xx, then accepts", once)
        });
        for (kind, act) in [
            ("4xx", later),
            ("5xx", Act::reply("554 5.7.1 no")),
            ("421 and closes", Act::reply_and_close("421 4.3.2 shutting down")),
            ("garbage", Act::reply("HTTP/1.1 400 Bad Request")),
            ("drops", Act::Close),
            ("never answers", Act::Silence),
        ] {
            cases.push(Case::new(name, kind, sound().with(Trouble::at(step, act))));
        }
    }
    cases.extend(around_tls());
    cases.extend(around_the_message());
    cases
}

/// TLS is had or nothing is said.
fn around_tls() -> Vec<Case> {
    let trouble = |step, act| sound().with(Trouble::at(step, act));
    let injected = Act::inject("250-injected\r\n250 AUTH PLAIN");
    let mut cases = vec![
        Case::new("STARTTLS", "stripped", trouble(Step::StartTls, Act::Hide)),
        Case::new("STARTTLS", "replies injected", trouble(Step::StartTls, injected)),
        Case::new("handshake", "drops", trouble(Step::Tls, Act::Close)),
        Case::new("handshake", "never answers", trouble(Step::Tls, Act::Silence)),
        Case::new(
            "handshake",
            "garbage",
            trouble(Step::Tls, Act::reply("no TLS after all")),
        ),
    ];
    for (kind, name) in [
        (CertificateKind::WrongName, "wrong name"),
        (CertificateKind::Expired, "expired"),
    ] {
        for (step, mut plan) in [("certificate", sound()), ("certificate, smtps", implicit())] {
            plan.certificate = kind;
            cases.push(Case::new(step, name, plan));
        }
    }
    for (step, plan) in [("certificate", sound()), ("certificate, smtps", implicit())] {
        cases.push(Case {
            distrusted: true,
            ..Case::new(step, "unknown authority", plan)
        });
    }
    cases
}
fn implicit() -> Plan {
    Plan::implicit().with_account(USER, PASSWORD)
}

fn around_the_message() -> Vec<Case> {
    let trouble = |step, act| sound().with(Trouble::at(step, act));
    let large = |kind, act| Case {
        large: true,
        ..Case::new("before the dot", kind, trouble(Step::Body, act))
    };
    let mut small = sound();
    small.offers.size = Some(1_000);
    vec![
        Case::new("AUTH", "other password", Plan::starttls().with_account(USER, "changed")),
        Case::new("MAIL", "SIZE too small", small),
        large("drops", Act::Close),
        large("never reads on", Act::Silence),
        Case::new("taken", "drops", trouble(Step::Taken, Act::Close)),
        Case::new("taken", "never answers", trouble(Step::Taken, Act::Silence)),
        Case::new(
            "taken",
            "garbage",
            trouble(Step::Taken, Act::disguise("HTTP/1.1 200 OK")),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_step_and_every_kind() {
    let scratch = Scratch::new().await;
    let good = Receiver::start(sound()).await.unwrap();
    let stranger = Receiver::start(Plan::starttls()).await.unwrap();
    let mut rows = vec![["step", "kind", "outcome", "state", "then"].map(str::to_owned)];
    for case in cases() {
        rows.push(play(&scratch, &good, &stranger, case).await);
    }
    rows.extend(disconnects(&scratch).await);
    scratch.assert_journal_intact().await;
    let table = aligned(&rows);
    println!("{table}");
    assert_golden("fault-matrix.txt", &table);
}

/// Sends one notice into the trouble and then past it.
async fn play(scratch: &Scratch, good: &Receiver, stranger: &Receiver, case: Case) -> [String; 5] {
    let named = format!("{}: {}", case.step, case.kind);
    let bad = Receiver::start(case.plan).await.unwrap();
    let trusted = if case.distrusted { stranger } else { &bad };
    let mut troubled = scratch.trusting(&bad, trusted.ca_pem());
    let filed = if case.large {
        let mut config = (*troubled.config).clone();
        config.limits.sealed_bytes = 3 * LARGE_BYTES as u64;
        troubled.config = config.into();
        let attachment = Attachment {
            name: "log.bin".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            bytes: vec![0x5a; LARGE_BYTES],
        };
        let breach = scratch.open_breach().await;
        file_about(&troubled, breach, vec![attachment]).await.unwrap()
    } else {
        scratch.file().await
    };
    carry(&troubled).await.unwrap();

    let (view, delivery) = scratch.look(&filed).await;
    let [attempt] = view.attempts.as_slice() else {
        panic!("{named}: one attempt, not {:?}", view.attempts)
    };
    let in_doubt = attempt.outcome == "in_doubt";
    assert_eq!(delivery.possibly_twice, in_doubt, "{named}");
    assert_eq!(view.state == NoticeState::InDoubt, in_doubt, "{named}");
    let overview = overview::look(&troubled).await.unwrap();
    assert!(
        overview
            .needs_person
            .iter()
            .any(|need| need.text.contains(view.reference.as_str())),
        "{named}: status must say that it waits"
    );
    let outcome = describe(attempt);
    let state = format!("{}, {}", delivery.state.name(), view.state.name());

    let mut then = String::new();
    match delivery.state.next_try() {
        Some(next) => assert!(
            next > scratch.clock.now() && next < scratch.clock.now() + LATER,
            "{named}"
        ),
        None => {
            assert!(matches!(delivery.state, DeliveryState::Failed { .. }), "{named}");
            then.push_str("retried by a person, ");
            let store = &scratch.office.store;
            store.retry_now(delivery.id, &me(), scratch.clock.now()).await.unwrap();
        }
    }
    scratch.clock.advance(LATER);
    let taken_before = good.mails().len();
    let cured = if case.passes { troubled } else { scratch.towards(good) };
    carry(&cured).await.unwrap();

    let (view, delivery) = scratch.look(&filed).await;
    assert_eq!(delivery.state.name(), "handed", "{named}");
    assert_eq!(view.message_id, filed.message_id, "{named}");
    let mut taken = bad.mails();
    taken.extend(good.mails().split_off(taken_before));
    let copies = scratch.copies(&filed, &taken).await;
    assert_eq!(delivery.possibly_twice, in_doubt, "{named}: the doubt is kept");
    assert!(copies == 1 || (copies == 2 && in_doubt), "{named}: {copies} copies");
    assert_wire_says_nothing(&bad);
    write!(then, "handed, {copies} cop{}", if copies == 1 { "y" } else { "ies" }).unwrap();
    if delivery.possibly_twice {
        then.push_str(", possibly twice");
    }
    [case.step.to_owned(), case.kind.to_owned(), outcome, state, then]
}

/// Providers that close after so many mails: the message in flight decides alone.
async fn disconnects(scratch: &Scratch) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for (most, kind) in [(1, "after every mail"), (2, "after every second mail")] {
        let mut plan = sound();
        plan.close_after_mails = Some(most);
        let receiver = Receiver::start(plan).await.unwrap();
        let mut filed = Vec::new();
        for _ in 0..5 {
            filed.push(scratch.file().await);
        }
        carry(&scratch.towards(&receiver)).await.unwrap();
        for notice in &filed {
            let (view, delivery) = scratch.look(notice).await;
            let outcomes: Vec<&str> = view.attempts.iter().map(|a| a.outcome.as_str()).collect();
            assert_eq!(outcomes, ["accepted"], "{kind}");
            assert!(delivery.state.name() == "handed" && !delivery.possibly_twice, "{kind}");
            assert_eq!(scratch.copies(notice, &receiver.mails()).await, 1, "{kind}");
        }
        assert_eq!(receiver.connections(), 5_usize.div_ceil(most as usize), "{kind}");
        assert_wire_says_nothing(&receiver);
        let cells = [
            "disconnect",
            kind,
            "5 × accepted: 250",
            "handed, handed",
            "handed, 1 copy each",
        ];
        rows.push(cells.map(str::to_owned));
    }
    rows
}

/// The relay says no for days: tried again for as long as it takes, and after the deadline everybody sees that it is late.
#[tokio::test(start_paused = true)]
async fn deferred_past_the_deadline() {
    let scratch = Scratch::new().await;
    let later = Trouble::at(Step::Rcpt, Act::reply("450 4.2.0 come back later"));
    let receiver = Receiver::start(sound().with(later)).await.unwrap();
    let office = scratch.towards(&receiver);
    let filed = scratch.file().await;
    let deadline = scratch.clock.now() + TimeDelta::hours(71);
    let mut tries = 0;
    while scratch.clock.now() < deadline + TimeDelta::days(4) {
        carry(&office).await.unwrap();
        tries += 1;
        let (view, delivery) = scratch.look(&filed).await;
        assert_eq!((view.state, view.attempts.len()), (NoticeState::Queued, tries));
        let wait = delivery.state.next_try().unwrap() - scratch.clock.now();
        assert!(wait > TimeDelta::zero() && wait < LATER, "{wait}");
        let overview = overview::look(&office).await.unwrap();
        let clock = overview.breaches[0].clock.clone().unwrap();
        assert_eq!(clock.late, scratch.clock.now() > deadline);
        assert_eq!(clock.left.contains("late"), clock.late, "{}", clock.left);
        assert!(!overview.needs_person.is_empty());
        scratch.clock.advance(TimeDelta::hours(5));
    }
    let good = Receiver::start(sound()).await.unwrap();
    carry(&scratch.towards(&good)).await.unwrap();
    let (view, delivery) = scratch.look(&filed).await;
    assert_eq!((view.state, delivery.possibly_twice), (NoticeState::Handed, false));
    assert_eq!(scratch.copies(&filed, &good.mails()).await, 1);
    assert!(receiver.mails().is_empty());
    scratch.assert_journal_intact().await;
}

/// Nobody listens at all.
#[tokio::test(start_paused = true)]
async fn a_relay_that_is_not_there() {
    let scratch = Scratch::new().await;
    let gone = Receiver::start(sound()).await.unwrap();
    let office: Office = scratch.towards(&gone);
    drop(gone);
    tokio::task::yield_now().await;
    let filed = scratch.file().await;
    carry(&office).await.unwrap();
    let (view, _) = scratch.look(&filed).await;
    assert_eq!(view.state, NoticeState::Queued);
    assert_eq!(describe(&view.attempts[0]), "deferred: network at connect");
    scratch.clock.advance(LATER);
    let good = Receiver::start(sound()).await.unwrap();
    carry(&scratch.towards(&good)).await.unwrap();
    assert_eq!(scratch.copies(&filed, &good.mails()).await, 1);
}

/// Put off, doubted and filed while the clock was a year ahead: set right again, nobody waits a year.
#[tokio::test(start_paused = true)]
async fn the_clock_is_set_back() {
    let scratch = Scratch::new().await;
    let right = scratch.clock.now();
    scratch.clock.advance(TimeDelta::days(365));
    let mut filed = Vec::new();
    for act in [Act::reply("451 4.3.0 later"), Act::Close] {
        let receiver = Receiver::start(sound().with(Trouble::at(Step::FinalDot, act)))
            .await
            .unwrap();
        filed.push(scratch.file().await);
        carry(&scratch.towards(&receiver)).await.unwrap();
    }
    filed.push(scratch.file().await);

    scratch.clock.set(right + TimeDelta::minutes(1));
    let good = Receiver::start(sound()).await.unwrap();
    carry(&scratch.towards(&good)).await.unwrap();
    for (notice, in_doubt) in filed.iter().zip([false, true, false]) {
        let (view, delivery) = scratch.look(notice).await;
        assert_eq!((view.state, delivery.possibly_twice), (NoticeState::Handed, in_doubt));
        let mail_time = right + TimeDelta::days(366);
        scratch.clock.set(mail_time);
        assert_eq!(scratch.copies(notice, &good.mails()).await, 1);
        scratch.clock.set(right);
    }
    scratch.clock.advance(TimeDelta::days(366));
    scratch.assert_journal_intact().await;
}

/// The clock jumps while a worker prepares a message: its lease seems to have ended, another takes over, and the first
/// finds that out before it says a word.
#[tokio::test(start_paused = true)]
async fn the_clock_is_set_forward() {
    let scratch = Scratch::new().await;
    let good = Receiver::start(sound()).await.unwrap();
    let office = scratch.towards(&good);
    let filed = scratch.file().await;
    let slow = office.sign_on(WorkerKind::Command).await.unwrap();
    let lease = TimeDelta::minutes(5);
    let claims = office
        .store
        .claim(slow.id(), 9, breachpost::store::Which::Notices, office.now(), lease)
        .await
        .unwrap()
        .claims;
    assert_eq!(claims.len(), 1);
    carry(&office).await.unwrap();
    assert!(good.mails().is_empty(), "a living worker keeps its lease");

    scratch.clock.advance(TimeDelta::days(30));
    carry(&office).await.unwrap();
    let lost = office.store.step(Vec::new(), claims, office.now()).await.unwrap();
    assert_eq!(lost.len(), 1, "the slow worker may not send");
    // And back again.
    scratch.clock.advance(TimeDelta::days(-30));
    carry(&office).await.unwrap();
    let (view, delivery) = scratch.look(&filed).await;
    assert_eq!((view.state, delivery.possibly_twice), (NoticeState::Handed, false));
    assert_eq!(scratch.copies(&filed, &good.mails()).await, 1);
    scratch.assert_journal_intact().await;
}

/// Its own file is gone, or cannot be looked at: a worker still does not take itself for dead.
#[tokio::test(start_paused = true)]
async fn nobody_recovers_what_it_holds_itself() {
    let scratch = Scratch::new().await;
    let good = Receiver::start(sound()).await.unwrap();
    let office = scratch.towards(&good);
    scratch.file().await;
    let worker = office.sign_on(WorkerKind::Command).await.unwrap();
    let notices = breachpost::store::Which::Notices;
    let claimed = office
        .store
        .claim(worker.id(), 9, notices, office.now(), TimeDelta::minutes(5));
    let claims = claimed.await.unwrap().claims;
    office.store.step(Vec::new(), claims, office.now()).await.unwrap();
    std::fs::remove_dir_all(office.home.workers_dir()).unwrap();
    assert_eq!(office.recover(worker.id()).await.unwrap(), 0);
    let other = office.sign_on(WorkerKind::Command).await.unwrap();
    assert_eq!(office.recover(other.id()).await.unwrap(), 0, "found when it signed on");
    let moved = office.store.lease_holders().await.unwrap();
    assert!(moved.is_empty(), "others find no sign of life: {moved:?}");
}

/// Two couriers, each with a store of its own on the same file, work on one queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_couriers_share_a_queue() {
    let scratch = Scratch::new().await;
    let receiver = Receiver::start(sound()).await.unwrap();
    let mut filed = Vec::new();
    for _ in 0..40 {
        filed.push(scratch.file().await);
    }
    let mut first = scratch.towards(&receiver);
    let mut second = Office::open(first.home.clone(), scratch.clock.clone()).unwrap();
    second.config = first.config.clone();
    for office in [&mut first, &mut second] {
        let mut config = (*office.config).clone();
        config.relay.connections = 2;
        office.config = config.into();
    }
    // The first to come would claim them all at once: the second takes its share while the first is at work.
    let (a, b) = tokio::join!(carry(&first), carry(&second));
    a.and(b).unwrap();
    for notice in &filed {
        let (view, delivery) = scratch.look(notice).await;
        assert_eq!((view.state, view.attempts.len()), (NoticeState::Handed, 1));
        assert!(!delivery.possibly_twice);
        assert_eq!(scratch.copies(notice, &receiver.mails()).await, 1);
    }
    assert_eq!(receiver.mails().len(), filed.len());
    scratch.assert_journal_intact().await;
}

/// Such as `deferred: 451 at rcpt`.
fn describe(attempt: &Attempt) -> String {
    let (what, at) = match (&attempt.reply, &attempt.fault) {
        (Some(reply), _) => return format!("{}: {}", attempt.outcome, reply.code),
        (None, Some(fault)) => (&fault.cause, serde_json::to_value(fault.step).unwrap()),
        (None, None) => return attempt.outcome.clone(),
    };
    let what = match what {
        FaultCause::Reply(reply) => reply.code.to_string(),
        FaultCause::Network(_) => "network".to_owned(),
        FaultCause::Timeout { seconds } => format!("silence ({seconds} s)"),
        FaultCause::Tls(_) => "tls".to_owned(),
        FaultCause::Protocol(_) => "protocol".to_owned(),
        FaultCause::Unfit(_) => "unfit".to_owned(),
        FaultCause::Bounce(_) => "bounce".to_owned(),
    };
    format!("{}: {what} at {}", attempt.outcome, at.as_str().unwrap())
}

fn aligned(rows: &[[String; 5]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} differs; see it with UPDATE_GOLDEN=1 and git diff",
        path.display()
    );
}
