//! What came in: raw mail, what was understood of it, the conversation it belongs to, and how far mailboxes were read.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::id::{Actor, DeliveryId, MailId, Reference};
use crate::model::inquiry::Inquiry;
use crate::model::notice::Acknowledgement;
use crate::model::receipt::{Authenticity, Certainty, Mark, ReceiptKind, ReportAction};

use super::StoreError;

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
    /// Booked as by [`super::Notices::acknowledge`] for the notice that was understood.
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

/// What the person decided.
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
    /// The word of JSON, of the command line, of the journal and of the store.
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

/// How far a folder of a mailbox on a server has been read (RFC 3501 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    /// As long as it stays the same, a UID means the same mail.
    pub uid_validity: u32,
    /// This mail and all before it are stored, or were left alone on purpose.
    pub last_uid: u32,
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
    /// When the mail came that waits in the tray and came first.
    async fn tray_waits_since(&self) -> Result<Option<Time>, StoreError>;
    /// Whether this position of a mailbox (e.g. a Maildir unique name) was stored before.
    async fn seen(&self, source: &str) -> Result<bool, StoreError>;
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
    /// The mails tied to a delivery, oldest first, without bytes.
    async fn list_mails_about(&self, delivery: DeliveryId) -> Result<Vec<StoredMail>, StoreError>;
    /// What was reported of a delivery, oldest first.
    async fn list_reports(&self, delivery: DeliveryId) -> Result<Vec<DeliveryReport>, StoreError>;
}
