//! Persons with tokens, and what they agreed to.

use async_trait::async_trait;
use serde::Serialize;

use crate::model::Time;
use crate::model::id::{Actor, DeliveryId, Reference};

use super::StoreError;

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
    /// Who agreed to this content, without those whose token was taken out of force: whoever held it may not have been
    /// they. Once enabled again they count again.
    async fn list_agreed(&self, subject: &str, content_sha256: &str) -> Result<Vec<Actor>, StoreError>;
    /// All that were ever given, oldest first.
    async fn list_approvals(&self, subject: &str) -> Result<Vec<Approval>, StoreError>;
}
