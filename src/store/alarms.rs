//! What is kept for the clerk: whether what we depend on can be reached.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::Time;

/// What was last found of one thing that the house depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthNote {
    /// `relay`, `mailbox`, `webhook:…`, `disk`, `clock`, `tray`.
    pub what: String,
    /// When the present finding (works, or fails in whatever way) was first made.
    pub since: Time,
    /// When it was last made; at most a minute behind.
    pub at: Time,
    /// Why it fails, without secrets and personal data; `None`: it works.
    pub fault: Option<String>,
}

/// Whether what we depend on can be reached, as the loops find it in passing.
#[async_trait]
pub trait Health: Send + Sync {
    /// Notes that `what` works (`fault` is `None`) or why it fails. Cheap enough for every connection: the same finding
    /// within a minute is not written again.
    async fn note_health(&self, what: &str, fault: Option<&str>, now: Time) -> Result<(), StoreError>;
    /// In the order of their names.
    async fn list_health(&self) -> Result<Vec<HealthNote>, StoreError>;
}
