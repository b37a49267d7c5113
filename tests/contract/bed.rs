//! What a store is tested on: a home of its own, and the facts that the scenarios share.

use std::fmt::Debug;

use breachpost::model::Time;
use breachpost::model::delivery::{Fault, FaultCause, Outcome, RetryPolicy, SmtpReply, SmtpStep, TlsFacts};
use breachpost::model::id::{Actor, BreachId, CampaignId, DeliveryId, Reference, WorkerId};
use breachpost::model::notice::{NoticeChannel, NoticeKind, Protection};
use breachpost::model::pace::Pace;
use breachpost::model::recipient::{Flags, PersonKey};
use breachpost::store::{
    Claim, Done, JournalVerdict, ListTarget, NewList, NewMailOut, NewNotice, NewPerson, NewRow, Retries, RowContent,
    Store, StoreError, Which,
};
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

/// A place for one store. [`Bed::open`] opens it as another process would: with connections of its own.
pub trait Bed {
    type Store: Store + Clone + 'static;
    fn new() -> Self;
    fn open(&self) -> Self::Store;
    /// A copy of the store as another installation.
    async fn copied(&self, store: &Self::Store) -> Self::Store;
    /// The store, after the last copy was put back over its own file. None may be open meanwhile.
    fn put_back(&self) -> Self::Store;
}

/// Seconds after the start of every test.
pub fn at(seconds: i64) -> Time {
    "2026-11-21T10:00:00.123456Z".parse::<Time>().unwrap() + TimeDelta::seconds(seconds)
}
pub fn anna() -> Actor {
    Actor::Os("anna".into())
}
pub fn worker(n: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(n))
}
pub fn lease() -> TimeDelta {
    TimeDelta::minutes(5)
}
pub fn retry() -> RetryPolicy {
    RetryPolicy {
        first: TimeDelta::seconds(60),
        max: TimeDelta::hours(1),
        until: None,
    }
}
/// One relay for all.
pub fn retries() -> Retries {
    Retries {
        notices: retry(),
        persons: retry(),
    }
}

/// Insists that the state of things does not allow it; any other error is one.
#[track_caller]
pub fn conflict<T: Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}

/// Reference number `n`.
pub fn reference(n: u8) -> Reference {
    Reference::from_bits([1, 2, 3, 4, n])
}
pub fn notice(breach: BreachId, n: u8) -> NewNotice {
    NewNotice {
        reference: reference(n),
        breach,
        authority: "lu-cnpd".into(),
        kind: NoticeKind::Preliminary,
        channel: NoticeChannel::Email,
        language: "fr".into(),
        prior: None,
        message_id: Some(format!("<{n}@example.lu>")),
        protection: Some(Protection::PgpMime {
            recipient: "A".repeat(40),
            signer: "B".repeat(40),
            verified: "phone".into(),
        }),
        content: format!("content {n}").into_bytes(),
        content_sha256: "c".repeat(64),
        mail: Some(NewMailOut {
            envelope_from: "breach@example.lu".into(),
            recipient: "violations@authority.example".into(),
            sealed: format!("sealed {n}\r\n").into_bytes(),
        }),
        outside_reference: None,
        proof_file: None,
        handed_at: None,
        decision: None,
        hold: None,
        passphrase: None,
        answers: None,
    }
}
pub fn person(n: usize) -> NewPerson {
    NewPerson {
        key: PersonKey::of_id(&n.to_string()),
        address: format!("person{n}@example.org"),
        domain: "example.org".into(),
        language: "de".into(),
        country: Some("DE".into()),
        flags: Flags::default(),
        fields: [("name", format!("Person {n}"))].into_iter().collect(),
    }
}
/// A row of a list that names this person.
pub fn row(person: NewPerson) -> NewRow {
    NewRow {
        corrects: None,
        content: RowContent::Person(Box::new(person)),
    }
}
/// A list of so many rows, known by its mark.
pub fn list(into: ListTarget, mark: char, rows: u64) -> NewList {
    NewList {
        into,
        fingerprint: mark.to_string().repeat(64),
        file: "list.csv".into(),
        sha256: "e".repeat(64),
        facts: json!({ "columns": [{ "name": "email", "meaning": "email" }, { "name": "no", "meaning": "person_id" }] }),
        rows,
    }
}
/// A draft campaign of these persons.
pub async fn add_campaign(store: &impl Store, breach: BreachId, persons: Vec<NewPerson>) -> CampaignId {
    let fresh = ListTarget::Fresh {
        breach,
        content: json!({}),
    };
    let unlike = store.list_campaigns().await.unwrap().len() as u64;
    let mut new = list(fresh, 'a', persons.len() as u64);
    new.fingerprint = format!("{unlike:064}");
    let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
    let rows = persons.into_iter().map(row).collect();
    store.add_rows(open.list, 0, rows, &anna(), at(0)).await.unwrap();
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    open.campaign
}

pub async fn add_breach(store: &impl Store) -> BreachId {
    store
        .add_breach(json!({ "title": "lost laptop" }), &anna(), at(0))
        .await
        .unwrap()
}
/// A breach with one notice that is ready.
pub async fn file_notice(store: &impl Store) -> DeliveryId {
    let breach = add_breach(store).await;
    let filed = store.file_notice(notice(breach, 1), &anna(), at(0)).await;
    filed.unwrap().unwrap()
}
/// Approves a draft, by one person.
pub async fn approve(store: &impl Store, campaign: CampaignId) {
    let hash = "a".repeat(64);
    store
        .approve_campaign(campaign, &hash, 1, &anna(), at(0))
        .await
        .unwrap();
}
/// A running campaign of `persons`.
pub async fn run_campaign(store: &impl Store, persons: usize) -> CampaignId {
    let breach = add_breach(store).await;
    let campaign = add_campaign(store, breach, (0..persons).map(person).collect()).await;
    approve(store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    campaign
}

/// Notices first, then persons, without any limit.
pub async fn claim(store: &impl Store, by: WorkerId, most: u32, now: Time) -> Vec<Claim> {
    let mut claims = store
        .claim(by, most, Which::Notices, now, lease())
        .await
        .unwrap()
        .claims;
    let left = most - claims.len() as u32;
    let persons = Which::Persons(Pace::default());
    claims.extend(store.claim(by, left, persons, now, lease()).await.unwrap().claims);
    claims
}
/// Claims one delivery and puts it on the wire.
pub async fn put_on_wire(store: &impl Store, by: WorkerId, now: Time) -> Claim {
    let claim = claim(store, by, 1, now).await.remove(0);
    assert_eq!(store.step(vec![], vec![claim.clone()], now).await.unwrap(), []);
    claim
}

pub fn done(claim: &Claim, outcome: Outcome) -> Done {
    Done {
        claim: claim.clone(),
        outcome,
        message_id: claim.message_id.clone(),
        retry: retry(),
        jitter: 0.0,
    }
}
pub fn accepted() -> Outcome {
    Outcome::Accepted {
        reply: SmtpReply {
            code: 250,
            enhanced: Some("2.0.0".into()),
            text: "queued as 4F2".into(),
        },
        tls: Some(TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            server_name: "relay.example".into(),
            certificate_sha256: "d".repeat(64),
        }),
    }
}
pub fn refusal() -> Fault {
    Fault {
        step: SmtpStep::Rcpt,
        cause: FaultCause::Reply(SmtpReply {
            code: 550,
            enhanced: Some("5.1.1".into()),
            text: "no such user violations@authority.example".into(),
        }),
    }
}
pub fn deferred() -> Outcome {
    Outcome::Deferred {
        fault: Fault {
            step: SmtpStep::Connect,
            cause: FaultCause::Network("connection refused".into()),
        },
    }
}
pub fn in_doubt() -> Outcome {
    Outcome::InDoubt {
        fault: Fault {
            step: SmtpStep::FinalDot,
            cause: FaultCause::Timeout { seconds: 600 },
        },
    }
}

/// The name of a delivery's state now.
pub async fn state(store: &impl Store, id: DeliveryId) -> &'static str {
    store.find_delivery(id).await.unwrap().unwrap().state.name()
}
/// The outcomes of a delivery's attempts, oldest first.
pub async fn outcomes(store: &impl Store, id: DeliveryId) -> Vec<String> {
    let delivery = store.find_delivery(id).await.unwrap().unwrap();
    delivery.attempts.into_iter().map(|a| a.outcome).collect()
}
/// Every scenario ends here: whatever happened, the journal must be whole, and hold nothing personal.
pub async fn intact(store: &impl Store) {
    let verdict = store.verify_journal().await.unwrap();
    assert!(matches!(verdict, JournalVerdict::Intact { .. }), "{verdict:?}");
    for entry in store.list_journal(0, 1000).await.unwrap() {
        let text = entry.details.to_string();
        for personal in ["@", "Person", "laptop", "person"] {
            let found = text.replace("\"persons\"", "").contains(personal);
            assert!(!found, "{} says {text}", entry.event);
        }
        assert_eq!(entry.expected_hash(), Some(entry.hash), "{}", entry.sequence);
    }
}
