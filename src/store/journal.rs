//! The hash-chained record of every change that matters, and its signed checkpoints.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::id::Actor;

use super::StoreError;

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
