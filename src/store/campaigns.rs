//! Campaigns and their states; the counts of their deliveries.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, BreachId, CampaignId, DeliveryId};

use super::StoreError;

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
    /// When it was started; none while it only waits for its time.
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

/// The deliveries of one campaign, counted; `possibly_twice` are among the others.
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
impl Tally {
    /// All persons with a delivery.
    pub fn total(&self) -> u64 {
        self.ready
            + self.leased
            + self.on_wire
            + self.in_doubt
            + self.held
            + self.handed
            + self.confirmed
            + self.failed
            + self.cancelled
    }
}

/// What of a campaign that has begun waits for somebody, or for long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unattended {
    /// Persons whose message could not be written.
    pub held: bool,
    /// Persons who were first tried long ago and wait for another try.
    pub put_off: bool,
}

/// A person whose message could not be written, and waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldPerson {
    pub delivery: DeliveryId,
    /// Without personal data.
    pub why: String,
}
/// What a person decides about those who are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldChoice {
    /// Another try: what was wrong has been put right.
    Retry,
    /// Another try without this merge field, for those who are held for exactly this reason, because somebody says so.
    RetryWithout {
        field: &'static str,
        held_for: &'static str,
        reason: String,
    },
    /// They are not written to, and count as unreached.
    GiveUp,
}

/// Of a campaign's messages: those that were put off, and wait or are due again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deferred {
    pub persons: u64,
    /// Of these and of those in doubt: when the first is tried again; it may have passed.
    pub next: Option<Time>,
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
    /// different persons have agreed to the same digest and none of them was disabled since. One that was approved with
    /// this digest before and is scheduled, runs or is paused stays as it is. Returns all who have agreed.
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
    /// Gives up, in a running campaign, whose server put us off for the first time before `before`, and does so still: they
    /// failed with the last answer; of whom it is not known whether they have it, it stays so. What is not their server's
    /// answer about them (our relay is gone, refusals of us) gives nobody up. Returns how many.
    async fn give_up(&self, campaign: CampaignId, before: Time, by: &Actor, now: Time) -> Result<u64, StoreError>;
    /// Campaigns that are neither over nor settling, and that nobody did anything about since `before`; with the time when
    /// somebody did: a list came in, it was approved, started.
    async fn list_unattended(&self, before: Time) -> Result<Vec<(CampaignId, Time)>, StoreError>;
    /// Whether anybody is held, or was first tried before `before` and waits still.
    async fn unattended(&self, campaign: CampaignId, before: Time) -> Result<Unattended, StoreError>;
    /// As the second half of [`Campaigns::cancel`], for what came back from the wire meanwhile.
    async fn sweep_cancelled(&self, by: &Actor, now: Time) -> Result<u64, StoreError>;
    /// Who is held, in the order of the ledger, after `after`.
    async fn list_held(
        &self,
        campaign: CampaignId,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<HeldPerson>, StoreError>;
    /// Decides about all who are held, a chunk at a time. Returns how many they were.
    async fn decide_held(
        &self,
        campaign: CampaignId,
        choice: HeldChoice,
        by: &Actor,
        now: Time,
    ) -> Result<u64, StoreError>;
    /// Makes due, in a running campaign, whoever waits for another try, a chunk at a time. What is leased, on the wire or in
    /// doubt stays as it is. Returns how many.
    async fn hurry(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError>;
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
    /// Who was tried and is tried again.
    async fn deferred(&self, campaign: CampaignId) -> Result<Deferred, StoreError>;
}
