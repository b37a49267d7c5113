//! One communication about a breach to one authority.

use serde::{Deserialize, Serialize};

use super::Time;
use super::delivery::DeliveryState;
use super::id::{Actor, BreachId, DeliveryId, MailId, Reference};
use super::proof::Proof;

/// GDPR Art. 33(4): notices may come in phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The first one, while facts are missing; more will follow (GDPR Art. 33(4)).
    Preliminary,
    /// Adds what was not known before.
    Supplementary,
    /// All that is asked for: the first and only one, or the last.
    Complete,
    /// Corrects what an earlier one said.
    Amendment,
    /// Takes back what was filed: there was no breach after all, or none to notify.
    Withdrawal,
    /// Answers a question of the authority, in its thread.
    Answer,
}
impl NoticeKind {
    /// Every kind.
    pub const ALL: [NoticeKind; 6] = [
        NoticeKind::Preliminary,
        NoticeKind::Supplementary,
        NoticeKind::Complete,
        NoticeKind::Amendment,
        NoticeKind::Withdrawal,
        NoticeKind::Answer,
    ];
    /// The word of the command line, of JSON, of templates and of the store.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Preliminary => "preliminary",
            NoticeKind::Supplementary => "supplementary",
            NoticeKind::Complete => "complete",
            NoticeKind::Amendment => "amendment",
            NoticeKind::Withdrawal => "withdrawal",
            NoticeKind::Answer => "answer",
        }
    }
}

/// How a notice went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeChannel {
    /// Sealed and carried by us; the others went out in another way, and a person booked them.
    Email,
    /// The authority's portal, with an account.
    Portal,
    /// A form on the authority's pages.
    Webform,
    /// Told by telephone.
    Phone,
    /// A letter.
    Post,
    /// Handed over.
    Hand,
}
impl NoticeChannel {
    /// The word of the command line, of JSON and of the store.
    pub fn name(self) -> &'static str {
        match self {
            NoticeChannel::Email => "email",
            NoticeChannel::Portal => "portal",
            NoticeChannel::Webform => "webform",
            NoticeChannel::Phone => "phone",
            NoticeChannel::Post => "post",
            NoticeChannel::Hand => "hand",
        }
    }
}

/// How far a notice has got; computed from its delivery and receipts, never stored on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// Kept, not filed: something must be decided first.
    Draft,
    /// Filed, waits for a person.
    Held,
    /// Filed, waits for the relay.
    Queued,
    /// The relay may or may not have taken it.
    InDoubt,
    /// The relay took it, or a person booked another channel.
    Handed,
    /// A delivery status notification proves that their server took it.
    Delivered,
    /// The authority confirmed receipt.
    Acknowledged,
    /// Refused for good or returned.
    Failed,
    /// Called off.
    Withdrawn,
}
impl NoticeState {
    /// The word of JSON and of the command line.
    pub fn name(self) -> &'static str {
        match self {
            NoticeState::Draft => "draft",
            NoticeState::Held => "held",
            NoticeState::Queued => "queued",
            NoticeState::InDoubt => "in_doubt",
            NoticeState::Handed => "handed",
            NoticeState::Delivered => "delivered",
            NoticeState::Acknowledged => "acknowledged",
            NoticeState::Failed => "failed",
            NoticeState::Withdrawn => "withdrawn",
        }
    }
    /// What the state proves and what it does not, for a person.
    pub fn meaning(self) -> &'static str {
        match self {
            NoticeState::Draft => "kept here, not sent: something must be decided first",
            NoticeState::Held => "not sent: waits for a person's decision",
            NoticeState::Queued => "not handed over yet: waits for the relay and will be tried again",
            NoticeState::InDoubt => {
                "the connection broke at the end: it may have been taken or not, and will be tried again"
            }
            NoticeState::Handed => "handed over; that it arrived is not proven yet",
            NoticeState::Delivered => "the authority's server took it; nobody has confirmed receipt yet",
            NoticeState::Acknowledged => "the authority has confirmed receipt",
            NoticeState::Failed => "refused or returned: the authority does not have it",
            NoticeState::Withdrawn => "called off",
        }
    }
}

/// How the content was protected when it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protection", rename_all = "snake_case")]
pub enum Protection {
    /// PGP/MIME (RFC 3156), signed and encrypted to this certificate and to ourselves. Fingerprints are upper-case hex.
    PgpMime {
        recipient: String,
        signer: String,
        verified: String,
    },
    /// Each file signed and encrypted on its own, beside a neutral cover text, for readers without a mail plug-in.
    EncryptedFiles {
        recipient: String,
        signer: String,
        verified: String,
    },
    /// Files encrypted with a passphrase that is told by telephone.
    Passphrase { signer: String },
    /// A content-free mail only; the notice itself must go by another channel.
    Stub,
    /// Signed clear text over TLS, where the authority's profile allows it, with this source.
    SignedClear { signer: String, source: String },
    /// Not sent by us: booked from another channel.
    Outside,
}

/// A rung of the ladder: how to get through when the certificate cannot be used as it should. Each is a person's
/// decision, with a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Encrypt to the expired certificate all the same.
    Expired,
    /// Encrypt to the certificate whose fingerprint was not verified.
    Unverified,
    /// Encrypt with a passphrase, told by telephone.
    Passphrase,
    /// Send a content-free mail, and the notice by another channel.
    Stub,
    /// Send signed clear text over TLS.
    Tls,
}
impl Rung {
    /// The word of `--override`, which the store keeps with the reason.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Expired => "expired",
            Rung::Unverified => "unverified",
            Rung::Passphrase => "passphrase",
            Rung::Stub => "stub",
            Rung::Tls => "tls",
        }
    }
}

/// A person's decision to take a rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub rung: Rung,
    pub reason: String,
}

/// The authority's confirmation of receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub at: Time,
    pub proof: Proof,
    pub authority_reference: Option<String>,
    pub mail: Option<MailId>,
}

/// A notice as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub reference: Reference,
    pub breach: BreachId,
    /// The profile's id.
    pub authority: String,
    /// 1 for the first notice about this breach to this authority.
    pub sequence: u32,
    pub kind: NoticeKind,
    pub channel: NoticeChannel,
    pub language: String,
    /// The notice this one continues.
    pub prior: Option<Reference>,
    /// With angle brackets; `None` outside the e-mail channel and for drafts.
    pub message_id: Option<String>,
    pub protection: Option<Protection>,
    /// SHA-256 of the plain content that was sealed, lower-case hex.
    pub content_sha256: Option<String>,
    pub filed_at: Time,
    pub filed_by: Actor,
    pub delivery: Option<DeliveryId>,
    pub acknowledgement: Option<Acknowledgement>,
    /// A reference that the authority gave on another channel (`notice record --reference`).
    pub outside_reference: Option<String>,
    pub withdrawn_at: Option<Time>,
    /// Why it is a draft: the one-line reason it could not be filed.
    pub draft_reason: Option<String>,
    /// The authority's mail that it answers.
    #[serde(default)]
    pub answers: Option<MailId>,
}

impl Notice {
    /// How far it has got, from what is stored of it and its delivery's state.
    pub fn state(&self, delivery: Option<&DeliveryState>) -> NoticeState {
        if self.withdrawn_at.is_some() {
            return NoticeState::Withdrawn;
        }
        if self.acknowledgement.is_some() {
            return NoticeState::Acknowledged;
        }
        match delivery {
            None if self.draft_reason.is_some() => NoticeState::Draft,
            // Another channel took it, as a person booked.
            None => NoticeState::Handed,
            Some(DeliveryState::Ready { .. } | DeliveryState::Leased { .. } | DeliveryState::OnWire { .. }) => {
                NoticeState::Queued
            }
            Some(DeliveryState::InDoubt { .. }) => NoticeState::InDoubt,
            Some(DeliveryState::Held { .. }) => NoticeState::Held,
            Some(DeliveryState::Handed { .. }) => NoticeState::Handed,
            Some(DeliveryState::Confirmed { .. }) => NoticeState::Delivered,
            Some(DeliveryState::Failed { .. }) => NoticeState::Failed,
            Some(DeliveryState::Cancelled { .. }) => NoticeState::Withdrawn,
        }
    }
}
