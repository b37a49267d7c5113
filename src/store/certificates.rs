//! Authorities' certificates: what a person has pinned, and what was fetched and waits.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::id::Actor;

use super::StoreError;

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
