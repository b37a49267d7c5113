//! The store as a thing that can be copied.

use async_trait::async_trait;
use serde::Serialize;

use crate::model::Time;
use crate::model::id::Actor;

use super::StoreError;

/// What was stopped in a store that turned out to be a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub campaigns_paused: u64,
    pub notices_held: u64,
}

/// The store as a thing that can be copied.
#[async_trait]
pub trait Custody: Send + Sync {
    /// Makes sure that this is the store it was: another file is a copy, and so is one that has lost what was stored in
    /// it before. A copy or a restored backup cannot know what was sent since: what is approved, scheduled, running or
    /// paused of its campaigns is paused, and counts as possibly told twice once it goes on; its waiting notices are
    /// held. Once; `None` when it is the store it was.
    async fn settle_identity(&self, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError>;
    /// Writes a consistent copy, encrypted with the same key, to a new file; others may work on meanwhile. Length and head of
    /// the journal in the copy.
    async fn copy_to(&self, to: &std::path::Path) -> Result<(u64, String), StoreError>;
}
