//! The deliveries: what is claimed, carried and finished, whether a notice or one person's message.

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::delivery::{DeliveryState, Fault, HoldReason, Outcome, RetryPolicy, SmtpReply, TlsFacts};
use crate::model::id::{Actor, CampaignId, DeliveryId, Reference, WorkerId};
use crate::model::pace::Pace;
use crate::model::proof::Proof;

use super::StoreError;

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
        /// The content that was agreed to when it was claimed, by its hash.
        approved: Option<std::sync::Arc<str>>,
        language: String,
        fields: serde_json::Value,
    },
}
impl Work {
    /// `None` for a notice.
    pub fn campaign(&self) -> Option<CampaignId> {
        match self {
            Self::Notice { .. } => None,
            Self::Person { campaign, .. } => Some(*campaign),
        }
    }
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
impl Attempt {
    /// The server's words where it spoke, else ours; empty where there are none.
    pub fn words(&self) -> String {
        match (&self.reply, &self.fault) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(fault)) => fault.to_string(),
            (None, None) => String::new(),
        }
    }
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

/// How often a delivery is tried again: each kind goes over a relay of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Retries {
    pub notices: RetryPolicy,
    pub persons: RetryPolicy,
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
    /// When a day that has seen `per_day` messages to persons lets more go; `None` while it does. Of any 24 hours.
    async fn day_full_until(&self, per_day: u64, now: Time) -> Result<Option<Time>, StoreError>;
    /// Commits outcomes and the next `on_wire` marks together. Concurrent calls share one commit. A claim's `message_id`,
    /// where the worker has set it, is kept with its `on_wire` mark, so that a retry after a crash carries the same one.
    /// For a lost lease the attempt is kept all the same, with `possibly_twice` when a copy left or may have left.
    async fn step(&self, done: Vec<Done>, next_on_wire: Vec<Claim>, now: Time) -> Result<Vec<LeaseLost>, StoreError>;
    /// Gives back what was claimed and not tried.
    async fn release(&self, claims: Vec<Claim>, now: Time) -> Result<(), StoreError>;
    /// Workers that hold leases or have something on the wire.
    async fn lease_holders(&self) -> Result<Vec<WorkerId>, StoreError>;
    /// `leased` of the dead or past its end becomes `ready`, `on_wire` of the dead becomes `in_doubt` with `possibly_twice`
    /// and an attempt `recovered`. What waits longer than its relay's `max` was put off under a clock that has been set back
    /// since, and becomes due. Returns how many moved.
    async fn recover(&self, dead: &[WorkerId], retry: &Retries, now: Time) -> Result<u64, StoreError>;
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
