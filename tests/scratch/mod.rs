//! A scratch home with all that a notice needs, on a clock that the test moves, and what must hold of every notice
//! whatever happened on its way.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use breachpost::config::ServerSecurity;
use breachpost::dispatch::checkpoint;
use breachpost::dispatch::courier::{Courier, Scope};
use breachpost::dispatch::desk::certificate::{self, Verified, Vouched};
use breachpost::dispatch::desk::notice::{self, NoticeRequest, NoticeView};
use breachpost::dispatch::desk::{DeskError, breach};
use breachpost::dispatch::office::{Office, OfficeError};
use breachpost::dispatch::worker::WorkerKind;
use breachpost::drill::authority::{self, Authority};
use breachpost::drill::receiver::{Plan, Receiver, TakenMail};
use breachpost::drill::stage;
use breachpost::message::mime::Attachment;
use breachpost::model::breach::Record;
use breachpost::model::id::{Actor, BreachId};
use breachpost::model::{Clock, Time};
use breachpost::secret::Secret;
use breachpost::store::StoredDelivery;
use chrono::TimeDelta;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub const USER: &str = "desk";
pub const PASSWORD: &str = "correct-horse-battery";
/// Longer than any wait between two tries in the scratch home.
pub const LATER: TimeDelta = TimeDelta::minutes(10);

/// Words of the breach, of its persons and of our login: none may ever be readable on the way.
const SECRETS: &[&str] = &[
    "quetzalcoatl",
    "wrong company",
    "Bank accounts",
    "Dana Officer",
    "dpo@company.example",
    "+352 111 111",
    "Exercice",
    PASSWORD,
];

/// A clock that stands still until the test moves it.
pub struct TestClock(Mutex<Time>);
impl TestClock {
    pub fn at(time: Time) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }
    pub fn set(&self, time: Time) {
        *self.0.lock().unwrap() = time;
    }
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}
impl Clock for TestClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

pub struct Scratch {
    folder: TempDir,
    pub office: Office,
    pub clock: Arc<TestClock>,
    pub authority: Authority,
}

impl Scratch {
    /// A home whose authority's certificate is pinned; its settings name this receiver as the relay.
    pub async fn over(receiver: &Receiver, now: Time) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = TestClock::at(now);
        let root = folder.path().join("home");
        let office = stage::set(&root, receiver, &Secret::new(PASSWORD), clock.clone()).unwrap();
        let authority = Authority::fresh(&Secret::new("theirs"), now).unwrap();
        certificate::import(
            &office,
            authority::ID,
            authority.certificate().as_bytes(),
            Vouched {
                fingerprint: authority.fingerprint().to_owned(),
                verified: Verified::Phone,
                accepted_user_id: None,
                accept_expired: false,
            },
            &me(),
        )
        .await
        .unwrap();
        Self {
            folder,
            office,
            clock,
            authority,
        }
    }
    /// On a fixed day; its relay is set later, by [`Scratch::towards`].
    pub async fn new() -> Self {
        let nobody = Receiver::start(sound()).await.unwrap();
        Self::over(&nobody, "2026-11-23T08:00:00Z".parse().unwrap()).await
    }

    /// The same office with this receiver as its relay, over one connection.
    pub fn towards(&self, receiver: &Receiver) -> Office {
        self.trusting(receiver, receiver.ca_pem())
    }
    /// As [`Scratch::towards`], trusting another authority of certificates than the receiver's own.
    pub fn trusting(&self, receiver: &Receiver, ca_pem: &str) -> Office {
        self.redirect(self.office.clone(), receiver, ca_pem)
    }
    /// Gives an office this receiver as its relay.
    pub fn redirect(&self, mut office: Office, receiver: &Receiver, ca_pem: &str) -> Office {
        let ca_file = self.folder.path().join(format!("ca-{}.pem", receiver.address().port()));
        std::fs::write(&ca_file, ca_pem).unwrap();
        let mut config = (*office.config).clone();
        config.relay.url = receiver.url().parse().unwrap();
        config.relay.tls.ca_file = (config.relay.url.security != ServerSecurity::None).then_some(ca_file);
        config.relay.connections = 1;
        office.config = Arc::new(config);
        office
    }

    /// A breach we became aware of an hour ago.
    pub async fn open_breach(&self) -> BreachId {
        let mut record = Record::read("breach.yaml", include_bytes!("../../src/drill/breach.yaml")).unwrap();
        record.timeline.aware_at = Some((self.clock.now() - TimeDelta::hours(1)).into());
        breach::open(&self.office, &record, &me()).await.unwrap().id
    }
    /// A notice about a breach of its own, filed and due.
    pub async fn file(&self) -> NoticeView {
        let breach = self.open_breach().await;
        file_about(&self.office, breach, Vec::new()).await.unwrap()
    }

    /// The notice and its delivery as they stand.
    pub async fn look(&self, filed: &NoticeView) -> (NoticeView, StoredDelivery) {
        let view = notice::show(&self.office, &filed.reference).await.unwrap();
        let delivery = self.office.store.find_delivery(filed.delivery.unwrap()).await.unwrap();
        (view, delivery.unwrap())
    }

    /// The copies of a notice among these mails, each proven to be whole: the authority decrypts it, the signature is
    /// ours, and nothing of the breach is readable on the outside.
    pub async fn copies(&self, filed: &NoticeView, mails: &[Arc<TakenMail>]) -> usize {
        let ours = self.office.our_key().await.unwrap();
        let message_id = filed.message_id.as_deref().unwrap();
        let mut copies = 0;
        for mail in mails {
            assert_sealed(&mail.bytes);
            if header(&mail.bytes, "Message-ID").as_deref() != Some(message_id) {
                continue;
            }
            let reading = self.authority.read(&mail.bytes, self.clock.now()).unwrap();
            assert_eq!(reading.reference, filed.reference);
            assert_eq!(reading.signed_by, ours.fingerprint());
            assert!(reading.text.contains("quetzalcoatl"), "the whole content arrived");
            assert_eq!(mail.recipients.len(), 1, "one RCPT TO");
            copies += 1;
        }
        copies
    }

    /// The journal fits itself, the ledger and every checkpoint.
    pub async fn assert_journal_intact(&self) {
        assert_intact(&self.office).await;
    }
}

/// A relay as it should be: STARTTLS, and a login.
pub fn sound() -> Plan {
    Plan::starttls().with_account(USER, PASSWORD)
}

pub fn me() -> Actor {
    Actor::Os("tester".to_owned())
}

/// Files a notice about a breach.
pub async fn file_about(
    office: &Office,
    breach: BreachId,
    attachments: Vec<Attachment>,
) -> Result<NoticeView, DeskError> {
    let request = NoticeRequest {
        breach,
        authority: authority::ID.to_owned(),
        kind: None,
        language: None,
        attachments,
        explanation: None,
        decision: None,
        in_reply_to: None,
    };
    let prepared = notice::prepare(office, request).await?;
    notice::file(office, prepared, &me()).await
}

/// One run of a courier: all that is due.
pub async fn carry(office: &Office) -> Result<(), OfficeError> {
    let worker = office.sign_on(WorkerKind::Command).await?;
    let courier = Arc::new(Courier::new(office, &worker)?);
    courier.run(Scope::UntilIdle, CancellationToken::new()).await
}

pub async fn assert_intact(office: &Office) {
    let audit = checkpoint::audit(office).await.unwrap();
    assert!(audit.intact, "{:?}", audit.findings);
}

/// Nothing of the breach stands in these bytes, neither plain nor in base64.
pub fn assert_sealed(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines_joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let packed: String = text.split_whitespace().collect();
    for secret in SECRETS {
        assert!(!lines_joined.contains(secret), "`{secret}` is readable");
        for shift in 0..3 {
            // The symbols that depend on this word alone, whatever stands before and after it.
            let shifted = [&b"\0\0\0"[..shift], secret.as_bytes()].concat();
            let whole = BASE64.encode(&shifted[..shifted.len() / 3 * 3]);
            let sure = &whole[if shift == 0 { 0 } else { 4 }..];
            assert!(!packed.contains(sure), "`{secret}` is readable in base64");
        }
    }
}

/// As [`assert_sealed`], for what went outside TLS to a relay that should have spoken TLS: not even who writes to whom.
pub fn assert_wire_says_nothing(receiver: &Receiver) {
    let wire = receiver.clear_wire();
    assert_sealed(&wire);
    let text = String::from_utf8_lossy(&wire);
    for word in ["AUTH", "MAIL", "RCPT", "authority.example", "company.example", "BP-"] {
        assert!(!text.contains(word), "{text}");
    }
}

fn header(mail: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(mail);
    text.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
