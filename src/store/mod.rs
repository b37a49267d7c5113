//! What is kept, by noun: the traits that dispatch works with. One implementation, [`sqlite`]; the contract suite in
//! `tests/contract/` says what any implementation must do.
//!
//! Every function that changes something writes its journal entry in the same transaction, and has returned `Ok` only
//! when both are durable. Knows nothing of mail, OpenPGP or templates.

mod alarms;
pub mod chain;
mod erasure;
mod reach;
pub mod sqlite;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::delivery::{DeliveryState, Fault, HoldReason, Outcome, RetryPolicy, SmtpReply, TlsFacts};
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId, DeliveryId, ListId, MailId, Reference, WorkerId};
use crate::model::inquiry::Inquiry;
use crate::model::notice::{Acknowledgement, Notice, NoticeChannel, NoticeKind, Protection};
use crate::model::pace::Pace;
use crate::model::proof::Proof;
use crate::model::receipt::{Authenticity, Certainty, Mark, ReceiptKind, ReportAction};
use crate::model::recipient::{Fields, Flags, PersonKey, Reason};
use crate::secret::Secret;

pub use alarms::{Alarms, Changes, Health, HealthNote, StoredAlert, Telling, TellingClaim, TellingState, Told};
pub use erasure::{Erased, Erasure};
pub use reach::{
    Breakdown, FoundPerson, NotReached, OtherChannel, PersonRow, Reach, Reached, ToldOtherwise, WhoTold, Whom,
};

/// Our side could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot open the store {path}: the disk is full or does not work; make room and try again")]
    Disk {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the store {path} cannot be read with this store key, or is no store; check `store_key` in config.yaml")]
    WrongKey { path: String },
    #[error("the store {path} is cut short or damaged; put a backup in its place")]
    Damaged { path: String },
    #[error("the store {path} was written by a newer breachpost (schema {found}, this program knows {known})")]
    TooNew { path: String, found: i64, known: i64 },
    #[error("cannot {step}: a part of the store is damaged; put a backup in its place")]
    DamagedPage {
        step: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {step}")]
    Sql {
        step: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// A row that contradicts the model: the store was changed by another hand, or is damaged.
    #[error("the store holds a {what} that cannot be understood: {why}")]
    Corrupt { what: &'static str, why: String },
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// Somebody else was quicker, or the state does not allow it.
    #[error("{what} {id} is {found}; that does not allow {wanted}")]
    Conflict {
        what: &'static str,
        id: String,
        found: String,
        wanted: &'static str,
    },
    /// The commit that this change shared with others failed; nothing of it is stored.
    #[error("the change was not stored")]
    NotCommitted {
        #[source]
        source: std::sync::Arc<StoreError>,
    },
    #[error("cannot use the folder {path}")]
    Folder {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the store's threads")]
    Threads {
        #[source]
        source: std::io::Error,
    },
    #[error("the store's thread has ended")]
    Gone,
}

/// A breach as stored: the record is canonical JSON, understood by `model::breach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBreach {
    pub id: BreachId,
    pub record: serde_json::Value,
    pub opened_at: Time,
    pub opened_by: Actor,
    pub updated_at: Time,
    /// Counts up with every change of the record.
    pub version: u32,
}

/// A line of a breach's timeline: a call, a note, or what the program did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub at: Time,
    /// `call`, `note`, or an event such as `opened`, `updated`, `notice_filed`, `notice_acknowledged`.
    pub kind: String,
    pub text: String,
    pub by: Actor,
}

/// A notice about to be filed, with all that is stored in the one transaction.
#[derive(Debug, Clone)]
pub struct NewNotice {
    pub reference: Reference,
    pub breach: BreachId,
    pub authority: String,
    pub kind: NoticeKind,
    pub channel: NoticeChannel,
    pub language: String,
    pub prior: Option<Reference>,
    pub message_id: Option<String>,
    pub protection: Option<Protection>,
    /// The plain content, exactly as sealed (or a text of what was booked). Encrypted at rest with the store.
    pub content: Vec<u8>,
    pub content_sha256: String,
    /// `None` for what went by another channel.
    pub mail: Option<NewMailOut>,
    pub outside_reference: Option<String>,
    /// A proof that a person gave (a screenshot, a PDF): name, bytes.
    pub proof_file: Option<(String, Vec<u8>)>,
    /// When another channel took it, as the person says; else `now`.
    pub handed_at: Option<Time>,
    /// The override and its reason, where one was used.
    pub decision: Option<String>,
    /// Why its delivery waits for a person from the start.
    pub hold: Option<HoldReason>,
    /// What opens it, where it was sealed with a passphrase; kept with the content, to be told by telephone.
    pub passphrase: Option<Secret>,
    /// The authority's mail that it answers: once it is handed over, that question is closed.
    pub answers: Option<MailId>,
}

/// A proof that a person gave for a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    pub name: String,
    /// Lower-case hex.
    pub sha256: String,
    #[serde(skip)]
    pub content: Vec<u8>,
}

/// A finished mail and its envelope.
#[derive(Debug, Clone)]
pub struct NewMailOut {
    pub envelope_from: String,
    pub recipient: String,
    /// The whole mail with CRLF line ends, as it goes over the wire but for dot-stuffing.
    pub sealed: Vec<u8>,
}

/// One person of a campaign, one row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPerson {
    /// What makes this person one in the campaign. Two persons may share an address, and one person is written to once.
    pub key: PersonKey,
    pub address: String,
    /// Of the address, in A-labels and lower case.
    pub domain: String,
    /// ISO 639-1; empty where the list does not say.
    pub language: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    pub flags: Flags,
    /// Merge fields; erased after the retention time.
    pub fields: Fields,
}

/// A row that cannot be used: a person who is not reached by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBadRow {
    /// Where the row gives the controller's number of the person.
    pub key: Option<PersonKey>,
    /// As a spreadsheet program numbers it.
    pub row: u64,
    pub line: Option<u64>,
    /// As the list calls it.
    pub column: Option<String>,
    pub reason: Reason,
    /// As the list has them, one for each of its columns; erased after the retention time.
    pub cells: Vec<String>,
    pub fields: Fields,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// The bad row of this campaign that this one takes the place of.
    pub corrects: Option<BadRowId>,
    pub content: RowContent,
}
/// What a row came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowContent {
    Person(Box<NewPerson>),
    Bad(Box<NewBadRow>),
}

/// A list about to be imported.
#[derive(Debug, Clone)]
pub struct NewList {
    pub into: ListTarget,
    /// Lower-case hex SHA-256 of the file and of how it is read: the same list, given again, goes on where it was cut off.
    pub fingerprint: String,
    /// The file's name, without folders.
    pub file: String,
    /// Lower-case hex, of the file.
    pub sha256: String,
    /// Format, columns, meanings: what a person needs to understand row numbers later.
    pub facts: serde_json::Value,
    pub rows: u64,
}
/// Where a list goes.
#[derive(Debug, Clone)]
pub enum ListTarget {
    /// A campaign of its own.
    Fresh {
        breach: BreachId,
        content: serde_json::Value,
    },
    /// A draft.
    Draft(CampaignId),
}
/// A list that is being imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenList {
    pub campaign: CampaignId,
    pub list: ListId,
    /// Rows that are in already: more than 0 where an import that was cut off goes on.
    pub done: u64,
}
/// A list of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredList {
    pub id: ListId,
    pub file: String,
    pub sha256: String,
    pub facts: serde_json::Value,
    pub rows: u64,
    pub rows_done: u64,
    pub begun_at: Time,
    pub begun_by: Actor,
    pub ended_at: Option<Time>,
}

/// All rows of a campaign's lists: `rows` is always the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    pub rows: u64,
    /// Persons who can be written to.
    pub valid: u64,
    /// Further rows of a person who is counted already.
    pub duplicates: u64,
    /// Persons who cannot be written to: unreached from the start.
    pub invalid: u64,
}

/// Rows of a campaign that wait to be corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    pub id: BadRowId,
    pub list: ListId,
    pub row: u64,
    pub line: Option<u64>,
    pub column: Option<String>,
    pub reason: Reason,
    #[serde(skip)]
    pub cells: Vec<String>,
}

/// The persons of a campaign who can be written to, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonCounts {
    /// By ISO 639-1 code; the empty one for those whose language is not known.
    pub languages: BTreeMap<String, u64>,
    /// By ISO 3166-1 code; the empty one for those whose country is not known.
    pub countries: BTreeMap<String, u64>,
    /// The domains with the most persons, at most ten, most first.
    pub domains: Vec<(String, u64)>,
    /// For each of [`Flags::ALL`], in its order.
    pub flags: Vec<u64>,
    /// Addresses at which there are persons of different names.
    pub shared_addresses: u64,
}

/// What a worker must do for one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub delivery: DeliveryId,
    pub by: WorkerId,
    pub recipient: String,
    /// Empty until the message is rendered, for campaign messages.
    pub message_id: Option<String>,
    /// Counts from 1: the attempt this claim is for.
    pub attempt: u32,
    pub possibly_twice: bool,
    pub work: Work,
}
/// Which deliveries are claimed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Which {
    /// Notices to authorities: no pace holds them back.
    Notices,
    /// Persons of the running campaigns, in the order of their start, as fast as this allows.
    Persons(Pace),
    One(DeliveryId),
}
/// What was claimed.
#[derive(Debug, Default)]
pub struct Claimed {
    pub claims: Vec<Claim>,
    /// When the pace lets more go; `None` where it held nothing back.
    pub again: Option<Time>,
}
/// Where a claim's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Sealed when it was filed.
    Notice {
        reference: Reference,
        envelope_from: String,
        sealed: Vec<u8>,
    },
    /// To be rendered and sealed now, from the campaign's approved template and this person's fields.
    Person {
        campaign: CampaignId,
        language: String,
        fields: serde_json::Value,
    },
}

/// One finished attempt, to be committed.
#[derive(Debug, Clone)]
pub struct Done {
    pub claim: Claim,
    pub outcome: Outcome,
    /// The Message-ID that went out, so that a retry carries the same one.
    pub message_id: Option<String>,
    pub retry: RetryPolicy,
    /// 0..1, drawn by the caller.
    pub jitter: f64,
}
/// A worker lost its lease before it finished; what it did is recorded as far as the state allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLost(pub DeliveryId);

/// One line of a delivery's append-only history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: Time,
    /// `accepted`, `deferred`, `refused`, `in_doubt`, `held`, and `recovered` for one whose worker died.
    pub outcome: String,
    pub reply: Option<SmtpReply>,
    pub fault: Option<Fault>,
    pub tls: Option<TlsFacts>,
}
/// A delivery with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredDelivery {
    pub id: DeliveryId,
    pub notice: Option<Reference>,
    pub campaign: Option<CampaignId>,
    #[serde(skip)]
    pub recipient: String,
    #[serde(flatten)]
    pub state: DeliveryState,
    pub possibly_twice: bool,
    pub message_id: Option<String>,
    pub attempts: Vec<Attempt>,
}

/// A campaign without its persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredCampaign {
    pub id: CampaignId,
    pub breach: BreachId,
    #[serde(flatten)]
    pub state: CampaignState,
    /// What the messages are made from; fixed when approved.
    #[serde(skip)]
    pub content: serde_json::Value,
    pub created_at: Time,
    /// The digest that was approved last; stays when it runs, so that what is sent can be compared with it.
    pub approved_hash: Option<String>,
    /// When it was started; for one that is scheduled, when it will be.
    pub started_at: Option<Time>,
    pub started_by: Option<Actor>,
    /// When it was finished or cancelled.
    pub ended_at: Option<Time>,
    /// The campaign that this one follows up.
    pub follows: Option<CampaignId>,
}
/// Something of the checklist that a person has seen to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub name: String,
    pub note: Option<String>,
    pub by: Actor,
    pub at: Time,
}
/// The deliveries of one campaign, counted; the sum of all but `possibly_twice` is the number of persons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub ready: u64,
    pub leased: u64,
    pub on_wire: u64,
    pub in_doubt: u64,
    pub held: u64,
    pub handed: u64,
    pub confirmed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub possibly_twice: u64,
}

/// A certificate imported for an authority. At most one is the current pin; earlier ones stay for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub authority: String,
    /// Upper-case hex, no spaces.
    pub fingerprint: String,
    /// Binary OpenPGP certificate.
    #[serde(skip)]
    pub certificate: Vec<u8>,
    /// `phone`, `two-sources`, `website` or `none`: how the fingerprint was verified.
    pub verified: String,
    /// Why a certificate without the authority's address was accepted all the same, as a person said.
    pub accepted_user_id: Option<String>,
    pub imported_by: Actor,
    pub imported_at: Time,
}

/// A certificate that was fetched for an authority. It is used for nothing before a person, or the profile's rule,
/// makes it the pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub authority: String,
    /// Upper-case hex, no spaces.
    pub fingerprint: String,
    /// Binary OpenPGP certificate.
    #[serde(skip)]
    pub certificate: Vec<u8>,
    /// The URL it came from.
    pub source: String,
    /// When it was first seen there.
    pub fetched_at: Time,
    pub state: ProposalState,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<Time>,
    /// Why a person refused it.
    pub reason: Option<String>,
}
/// How far a [`Proposal`] has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// For a person. At most one of each authority.
    Waiting,
    /// A person made it the pin.
    Approved,
    /// A person refused it; the same bytes are not proposed again.
    Refused,
    /// Taken by the profile's rule: a newer state of the pinned certificate, or its revocation.
    Automatic,
    /// Something newer was fetched before anybody decided.
    Replaced,
}
/// The latest look for an authority's certificate on the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub at: Time,
    /// When to look again.
    pub next: Time,
    /// What came of it, in words.
    pub result: String,
}

/// What was understood of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understanding {
    pub kind: ReceiptKind,
    /// The notice it belongs to.
    pub notice: Option<Reference>,
    /// One line for a person: what it is and why.
    pub why: String,
    /// `acknowledgement` matched, else waits in the tray for a person.
    pub in_tray: bool,
    pub authority_reference: Option<String>,
    /// The fingerprint of a good signature by a pinned certificate.
    pub signed_by: Option<String>,
    pub encrypted: bool,
    /// The delivery it belongs to: the notice's, or that of one person of a campaign.
    #[serde(default)]
    pub delivery: Option<DeliveryId>,
    /// By which mark it was tied, and how sure that is.
    #[serde(default)]
    pub matched_by: Option<Mark>,
    #[serde(default)]
    pub certainty: Option<Certainty>,
    /// Notices it may belong to, for a person to say: only sender and time fit.
    #[serde(default)]
    pub proposed: Vec<Reference>,
    /// What is proven about its sender.
    #[serde(default)]
    pub authenticity: Authenticity,
    /// A phrase in it that may mean an order to inform the persons concerned (GDPR Art. 34(4)): a hint for the reader.
    #[serde(default)]
    pub order_hint: Option<String>,
}

/// What follows from a mail, beside what was understood of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consequences {
    /// Booked as by [`Notices::acknowledge`] for the notice that was understood.
    pub acknowledgement: Option<Acknowledgement>,
    /// What it reports of the delivery that was understood.
    pub reports: Vec<NewReport>,
    /// It asks something: open until answered.
    pub inquiry: Option<NewInquiry>,
}
/// What a report says of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReport {
    pub action: ReportAction,
    /// RFC 3463, such as `5.1.1`.
    pub status: Option<String>,
    /// The other server's words, at most some hundred characters; they may name the recipient.
    pub diagnostic: Option<String>,
}
/// A question about the notice that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInquiry {
    pub due: Time,
    /// A person has read an order in it (GDPR Art. 34(4)).
    pub order: bool,
}
/// What was reported of a delivery after it had left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryReport {
    pub mail: MailId,
    pub at: Time,
    pub action: ReportAction,
    pub status: Option<String>,
    pub diagnostic: Option<String>,
}
/// A person's decision that took a mail out of the tray.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub at: Time,
    pub by: Actor,
    pub how: HowSettled,
    /// Why, as the person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowSettled {
    /// Attached to what it belongs to.
    Matched,
    /// Looked at; nothing more to do.
    Done,
    /// A notice that answers it was handed over.
    Answered,
}
impl HowSettled {
    pub fn name(self) -> &'static str {
        match self {
            HowSettled::Matched => "matched",
            HowSettled::Done => "done",
            HowSettled::Answered => "answered",
        }
    }
}
/// A mail as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredMail {
    pub id: MailId,
    pub received_at: Time,
    /// `ingest`, `maildir:NAME`, later IMAP positions.
    pub source: String,
    pub sha256: String,
    #[serde(skip)]
    pub raw: Vec<u8>,
    pub understanding: Option<Understanding>,
    /// Whether it waits for a person.
    pub in_tray: bool,
    /// The decision that took it out of the tray.
    pub settled: Option<Settled>,
}

/// A person with a token of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    pub name: String,
    pub added_at: Time,
    pub added_by: Actor,
    /// Their token opens nothing from then on.
    pub disabled_at: Option<Time>,
}
/// That somebody agreed to exactly this content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// Lower-case hex.
    pub content_sha256: String,
    pub by: Actor,
    pub at: Time,
}

/// What was stopped in a store that turned out to be a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub campaigns_paused: u64,
    pub notices_held: u64,
}

/// How far a folder of a mailbox on a server has been read (RFC 3501 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    /// As long as it stays the same, a UID means the same mail.
    pub uid_validity: u32,
    /// This mail and all before it are stored, or were left alone on purpose.
    pub last_uid: u32,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    pub at: Time,
    pub actor: String,
    /// `breach.opened`, `notice.filed`, `delivery.attempt`, `certificate.pinned`…
    pub event: String,
    /// Ids, hashes, counts, states; never personal data.
    pub details: serde_json::Value,
    /// Lower-case hex SHA-256 of the entry before; 64 zeros for the first.
    pub previous: String,
    /// Lower-case hex SHA-256 over sequence, time, actor, event, details and `previous`.
    pub hash: String,
}
/// Length and head of the journal, signed with our key; a copy lies outside the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub length: u64,
    pub head: String,
    pub at: Time,
    /// Fingerprint of the signer, upper-case hex.
    pub signer: String,
    /// Armored detached signature over [`Checkpoint::signed_bytes`].
    pub signature: String,
}
impl Checkpoint {
    /// What the signature covers.
    pub fn signed_bytes(length: u64, head: &str, at: Time) -> Vec<u8> {
        format!(
            "breachpost journal checkpoint\nlength {length}\nhead {head}\nat {}\n",
            at.to_rfc3339()
        )
        .into_bytes()
    }
}
/// What a walk over the whole journal found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum JournalVerdict {
    Intact {
        length: u64,
        head: String,
    },
    /// The first entry that does not fit, and how.
    Broken {
        sequence: u64,
        why: String,
    },
}

/// The register of breaches (GDPR Art. 33(5)).
#[async_trait]
pub trait Register: Send + Sync {
    /// Adds a breach under the next number of the year of `now`.
    async fn add_breach(&self, record: serde_json::Value, by: &Actor, now: Time) -> Result<BreachId, StoreError>;
    async fn find_breach(&self, id: BreachId) -> Result<Option<StoredBreach>, StoreError>;
    /// Newest first.
    async fn list_breaches(&self) -> Result<Vec<StoredBreach>, StoreError>;
    /// Replaces the record; the earlier version is kept. `event` names the change (`breach.updated`, `breach.decided`, `breach.closed`).
    async fn update_breach(
        &self,
        id: BreachId,
        record: serde_json::Value,
        event: &'static str,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    async fn log(&self, id: BreachId, kind: &str, text: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Oldest first.
    async fn timeline(&self, id: BreachId) -> Result<Vec<LogEntry>, StoreError>;
}

/// Notices, from draft to acknowledged.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Stores notice, content, delivery (`ready`, when there is mail) and journal entry in one transaction. Replaces a
    /// draft of the same reference.
    async fn file_notice(&self, notice: NewNotice, by: &Actor, now: Time) -> Result<Option<DeliveryId>, StoreError>;
    /// Keeps a notice that could not be filed, with why. Replaces a draft of the same reference.
    async fn keep_draft(&self, notice: NewNotice, reason: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    async fn find_notice(&self, reference: &Reference) -> Result<Option<Notice>, StoreError>;
    async fn find_notice_by_message_id(&self, message_id: &str) -> Result<Option<Notice>, StoreError>;
    /// Oldest first; of one breach or of all.
    async fn list_notices(&self, breach: Option<BreachId>) -> Result<Vec<Notice>, StoreError>;
    /// The plain content as it was sealed.
    async fn notice_content(&self, reference: &Reference) -> Result<Option<Vec<u8>>, StoreError>;
    /// The passphrase it was sealed with, if it was.
    async fn notice_passphrase(&self, reference: &Reference) -> Result<Option<Secret>, StoreError>;
    /// The proofs that persons gave for this notice, oldest first.
    async fn list_files(&self, reference: &Reference) -> Result<Vec<StoredFile>, StoreError>;
    /// Books the authority's confirmation; a second one keeps the first and adds a missing authority reference. Moves the
    /// delivery to `confirmed` where its state allows it.
    async fn acknowledge(
        &self,
        reference: &Reference,
        acknowledgement: Acknowledgement,
        proof_file: Option<(String, Vec<u8>)>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    /// Calls off a draft or a notice whose delivery is neither on the wire nor handed.
    async fn withdraw(&self, reference: &Reference, by: &Actor, now: Time) -> Result<(), StoreError>;
}

/// The deliveries: outbox and ledger in one table.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes up to `most` due deliveries (ready or in doubt) under a lease, oldest due first. Persons as far as the pace
    /// allows and their domains are not slow: then each domain has its turn. What is claimed counts against the pace,
    /// whoever claims it.
    async fn claim(
        &self,
        by: WorkerId,
        most: u32,
        which: Which,
        now: Time,
        lease: TimeDelta,
    ) -> Result<Claimed, StoreError>;
    /// Pauses a running campaign when at least this share of its last outcomes were refusals of us, not of the
    /// recipient (see [`crate::model::blame`]); returns the reason if it did. To be asked after such a refusal.
    async fn spend_budget(
        &self,
        campaign: CampaignId,
        budget: f64,
        by: &Actor,
        now: Time,
    ) -> Result<Option<String>, StoreError>;
    /// Commits outcomes and the next `on_wire` marks together. Concurrent calls share one commit. A claim's `message_id`,
    /// where the worker has set it, is kept with its `on_wire` mark, so that a retry after a crash carries the same one.
    /// For a lost lease the attempt is kept all the same, with `possibly_twice` when a copy left or may have left.
    async fn step(&self, done: Vec<Done>, next_on_wire: Vec<Claim>, now: Time) -> Result<Vec<LeaseLost>, StoreError>;
    /// Gives back what was claimed and not tried.
    async fn release(&self, claims: Vec<Claim>, now: Time) -> Result<(), StoreError>;
    /// Workers that hold leases or have something on the wire.
    async fn lease_holders(&self) -> Result<Vec<WorkerId>, StoreError>;
    /// `leased` of the dead or past its end becomes `ready`, `on_wire` of the dead becomes `in_doubt` with `possibly_twice`
    /// and an attempt `recovered`. What waits longer than `retry.max` was put off under a clock that has been set back
    /// since, and becomes due. Returns how many moved.
    async fn recover(&self, dead: &[WorkerId], retry: &RetryPolicy, now: Time) -> Result<u64, StoreError>;
    async fn find_delivery(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, StoreError>;
    /// When the next delivery is due; `None` when nothing waits.
    async fn next_due(&self) -> Result<Option<Time>, StoreError>;
    /// Puts a held, failed or doubtful delivery back to ready, or one that waits for its next try, by a person's decision.
    async fn retry_now(&self, id: DeliveryId, by: &Actor, now: Time) -> Result<(), StoreError>;
    async fn hold(&self, id: DeliveryId, why: HoldReason, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// A bounce arrived for what was handed.
    async fn bounce(&self, id: DeliveryId, fault: Fault, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Proof of arrival other than an acknowledgement. What is confirmed already keeps its first proof.
    async fn confirm(&self, id: DeliveryId, proof: Proof, by: &Actor, now: Time) -> Result<(), StoreError>;
}

/// Communications to many individuals. Each verb is a move of [`CampaignState`]; one that the state does not allow is a
/// [`StoreError::Conflict`].
#[async_trait]
pub trait Campaigns: Send + Sync {
    /// Other content for a draft, or for what was approved, which is a draft again.
    async fn set_content(
        &self,
        campaign: CampaignId,
        content: serde_json::Value,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    /// Keeps that `by` agrees to the content with this digest (lower-case hex SHA-256). It is approved once `needed`
    /// different persons have agreed to the same digest. Returns all who have.
    async fn approve_campaign(
        &self,
        campaign: CampaignId,
        hash: &str,
        needed: usize,
        by: &Actor,
        now: Time,
    ) -> Result<Vec<Actor>, StoreError>;
    /// What is approved starts at this time, when somebody calls [`Campaigns::start`].
    async fn schedule(&self, campaign: CampaignId, at: Time, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Makes the persons due; one that runs already stays as it is.
    async fn start(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Nothing more is claimed; what is on the wire ends. One that is paused keeps its first reason.
    async fn pause(&self, campaign: CampaignId, why: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    async fn resume(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Calls it off; then cancels what waits, a chunk at a time. Cut off, calling it again goes on. Returns how many
    /// deliveries were cancelled now.
    async fn cancel(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError>;
    /// As the second half of [`Campaigns::cancel`], for what came back from the wire meanwhile.
    async fn sweep_cancelled(&self, by: &Actor, now: Time) -> Result<u64, StoreError>;
    /// All have been tried. [`StoreError::Conflict`] while a delivery is not final.
    async fn settle_campaign(&self, campaign: CampaignId, until: Time, by: &Actor, now: Time)
    -> Result<(), StoreError>;
    /// Nothing more is awaited. [`StoreError::Conflict`] while a delivery is not final.
    async fn finish(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Keeps that this campaign follows up an earlier one.
    async fn link(&self, campaign: CampaignId, earlier: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Ticks off a point of the checklist; once more with another note replaces it.
    async fn check_off(
        &self,
        campaign: CampaignId,
        name: &str,
        note: Option<&str>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    /// By name.
    async fn checklist(&self, campaign: CampaignId) -> Result<Vec<Checked>, StoreError>;
    async fn find_campaign(&self, campaign: CampaignId) -> Result<Option<StoredCampaign>, StoreError>;
    async fn list_campaigns(&self) -> Result<Vec<StoredCampaign>, StoreError>;
    async fn tally(&self, campaign: CampaignId) -> Result<Tally, StoreError>;
}

/// Lists of persons, on their way into a campaign. The campaign is `importing` from the first row to the last; then it is a
/// draft.
#[async_trait]
pub trait Lists: Send + Sync {
    /// Begins a list, or goes on with the same one where its import was cut off.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the campaign takes no more persons, imports another list, or has had this one.
    async fn begin_list(&self, list: NewList, by: &Actor, now: Time) -> Result<OpenList, StoreError>;
    /// Adds the rows that follow the first `done` in one transaction. A person whose key the campaign has is a duplicate,
    /// whose fields are united with those that are there. Returns the campaign's counts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when other than `done` rows are in: another process imports the same list.
    async fn add_rows(
        &self,
        list: ListId,
        done: u64,
        rows: Vec<NewRow>,
        by: &Actor,
        now: Time,
    ) -> Result<RowCounts, StoreError>;
    /// All rows are in: the campaign is a draft.
    async fn end_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// The list cannot be trusted any more, for instance because its file was replaced: the campaign is cancelled.
    async fn abandon_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Of one campaign, oldest first.
    async fn lists(&self, campaign: CampaignId) -> Result<Vec<StoredList>, StoreError>;
    async fn row_counts(&self, campaign: CampaignId) -> Result<RowCounts, StoreError>;
    async fn person_counts(&self, campaign: CampaignId) -> Result<PersonCounts, StoreError>;
    /// Whether some person has this flag.
    async fn any_flagged(&self, campaign: CampaignId, flag: Flags) -> Result<bool, StoreError>;
    /// How often each reason occurs.
    async fn bad_row_reasons(&self, campaign: CampaignId) -> Result<BTreeMap<String, u64>, StoreError>;
    /// In the order of the lists, after `after`, at most `most`.
    async fn list_bad_rows(
        &self,
        campaign: CampaignId,
        after: Option<BadRowId>,
        most: u32,
    ) -> Result<Vec<BadRow>, StoreError>;
}

/// Certificates of authorities, pinned by a person.
#[async_trait]
pub trait Pins: Send + Sync {
    /// Makes this the authority's pin; the one before stays on record.
    async fn pin(&self, pin: Pin, now: Time) -> Result<(), StoreError>;
    async fn find_pin(&self, authority: &str) -> Result<Option<Pin>, StoreError>;
    /// The current pin of every authority that has one.
    async fn list_pins(&self) -> Result<Vec<Pin>, StoreError>;
}

/// Certificates fetched from the web, which wait to be pinned.
#[async_trait]
pub trait Proposals: Send + Sync {
    /// Keeps a fetched certificate (its state is not looked at) and returns it as it is kept: `waiting`, in the place of
    /// what waited before; the same bytes as a waiting or refused one change nothing.
    async fn propose(&self, fetched: Proposal, by: &Actor, now: Time) -> Result<Proposal, StoreError>;
    /// What waits for this authority.
    async fn find_proposal(&self, authority: &str) -> Result<Option<Proposal>, StoreError>;
    /// All that wait.
    async fn list_proposals(&self) -> Result<Vec<Proposal>, StoreError>;
    /// Ends a proposal as approved, refused or automatic, together with the pin that it becomes.
    /// [`StoreError::Conflict`] when it does not wait any more.
    async fn decide(
        &self,
        proposal: &Proposal,
        state: ProposalState,
        pin: Option<Pin>,
        reason: Option<String>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    /// Whether the authority is due to be looked for; puts it off until `next` in the same step, so that of several
    /// processes one looks.
    async fn claim_look(&self, authority: &str, now: Time, next: Time) -> Result<bool, StoreError>;
    /// Records what came of a look.
    async fn looked(&self, authority: &str, look: Look) -> Result<(), StoreError>;
    async fn last_look(&self, authority: &str) -> Result<Option<Look>, StoreError>;
}

/// Mail as it came in.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Stores the raw bytes, unique by digest; returns the id and whether it is new.
    async fn add_mail(&self, raw: &[u8], source: &str, now: Time) -> Result<(MailId, bool), StoreError>;
    async fn find_mail(&self, id: MailId) -> Result<Option<StoredMail>, StoreError>;
    /// The last mail that came in; ids count up in the order in which mails were stored.
    async fn newest_mail(&self) -> Result<Option<MailId>, StoreError>;
    /// Mails stored but not understood yet (a crash in between), oldest first, without their bytes.
    async fn list_unread(&self) -> Result<Vec<MailId>, StoreError>;
    /// Records what was understood, books what follows, and journals, in one transaction. Of the reports, `failed` moves
    /// what was handed or is in doubt to `failed`, `delivered` confirms it; the others, and those that come too late for
    /// the state, are kept beside the delivery without moving it. Doing it twice is harmless.
    async fn understood(
        &self,
        id: MailId,
        understanding: Understanding,
        consequences: Consequences,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError>;
    /// What waits for a person, oldest first, without bytes.
    async fn list_tray(&self) -> Result<Vec<StoredMail>, StoreError>;
    /// Whether this position of a mailbox (e.g. a Maildir unique name) was stored before.
    async fn seen(&self, source: &str) -> Result<bool, StoreError>;
}

/// Persons with tokens, and what they agreed to. Tokens are known by their SHA-256 (lower-case hex) alone.
#[async_trait]
pub trait People: Send + Sync {
    async fn add_user(&self, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// A new token takes the old one's place; a disabled user is enabled again.
    async fn renew_token(&self, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    async fn disable_user(&self, name: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Disabled users are found too: what that means is the caller's.
    async fn find_user_by_token(&self, token_sha256: &str) -> Result<Option<User>, StoreError>;
    async fn list_users(&self) -> Result<Vec<User>, StoreError>;
    /// Lets a notice go that waits for a second person. [`StoreError::Conflict`] when it does not wait for one, or `by`
    /// has filed it.
    async fn approve_notice(&self, reference: &Reference, by: &Actor, now: Time) -> Result<DeliveryId, StoreError>;
    /// Oldest first.
    async fn list_approvals(&self, subject: &str) -> Result<Vec<Approval>, StoreError>;
}

/// The store as a thing that can be copied.
#[async_trait]
pub trait Custody: Send + Sync {
    /// Makes sure that this is the store it was. A copy or a restored backup cannot know what was sent since: its running
    /// and scheduled campaigns are paused and its waiting notices held, once. `None` when it is the store it was.
    async fn settle_identity(&self, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError>;
    /// Writes a consistent copy, encrypted with the same key, to a new file; others may work on meanwhile.
    async fn copy_to(&self, to: &std::path::Path) -> Result<(), StoreError>;
}

/// How far mailboxes have been read. Not journalled: what was read is, mail by mail.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    async fn find_mark(&self, account: &str, folder: &str) -> Result<Option<ReadMark>, StoreError>;
    /// To be called when all that the mark covers is stored. Under the same UIDVALIDITY it never goes back.
    async fn move_mark(&self, account: &str, folder: &str, mark: ReadMark, now: Time) -> Result<(), StoreError>;
}

/// The conversation with those we wrote to: what persons decide about mails, questions that wait, what was reported.
#[async_trait]
pub trait Conversation: Send + Sync {
    /// A person's decision about a mail: as [`Intake::understood`], and the mail leaves the tray.
    async fn settle(
        &self,
        id: MailId,
        understanding: Understanding,
        consequences: Consequences,
        settled: Settled,
    ) -> Result<(), StoreError>;
    /// A person has looked at a mail and nothing more is to be done: it leaves the tray, and its question is closed.
    async fn dismiss(&self, id: MailId, reason: &str, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Questions, the one due first first; only the open ones, or all.
    async fn list_inquiries(&self, open_only: bool) -> Result<Vec<Inquiry>, StoreError>;
    async fn find_inquiry(&self, mail: MailId) -> Result<Option<Inquiry>, StoreError>;
    /// The mails tied to a notice, oldest first, without bytes.
    async fn list_mails_of(&self, notice: &Reference) -> Result<Vec<StoredMail>, StoreError>;
    /// What was reported of a delivery, oldest first.
    async fn list_reports(&self, delivery: DeliveryId) -> Result<Vec<DeliveryReport>, StoreError>;
}

/// The hash-chained record of every change that matters.
#[async_trait]
pub trait Journal: Send + Sync {
    async fn append(&self, event: &str, details: serde_json::Value, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Oldest first, from `after` (0 for the start), at most `most`.
    async fn list_journal(&self, after: u64, most: u32) -> Result<Vec<JournalEntry>, StoreError>;
    /// The hash of entry number `length`: the head the journal had when it was that long (64 zeros for 0). `None` when it
    /// is shorter now. An earlier checkpoint holds when its head is the one found here.
    async fn head_at(&self, length: u64) -> Result<Option<String>, StoreError>;
    /// Length and head.
    async fn journal_head(&self) -> Result<(u64, String), StoreError>;
    /// Keeps a checkpoint; it is signed and therefore not journalled itself. [`StoreError::Conflict`] when the journal
    /// did not have this head at this length.
    async fn add_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), StoreError>;
    /// Oldest first.
    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError>;
    /// Walks the whole chain, the ledger's batch hashes, and the lengths and heads of the checkpoints (their signatures
    /// are the caller's).
    async fn verify_journal(&self) -> Result<JournalVerdict, StoreError>;
}

/// All nouns together: what dispatch is given.
pub trait Store:
    Register
    + Notices
    + Outbox
    + Campaigns
    + Lists
    + Reach
    + Pins
    + Proposals
    + Intake
    + Conversation
    + Mailboxes
    + People
    + Health
    + Alarms
    + Custody
    + Erasure
    + Journal
{
}
impl<T> Store for T where
    T: Register
        + Notices
        + Outbox
        + Campaigns
        + Lists
        + Reach
        + Pins
        + Proposals
        + Intake
        + Conversation
        + Mailboxes
        + People
        + Health
        + Alarms
        + Custody
        + Erasure
        + Journal
{
}
