//! The register of breaches and the notices about them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, BreachId, DeliveryId, MailId, Reference};
use crate::model::notice::{Acknowledgement, Notice, NoticeChannel, NoticeKind, Protection};
use crate::secret::Secret;

use super::StoreError;

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
