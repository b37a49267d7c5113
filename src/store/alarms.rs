//! What is kept for the clerk: alerts, who was told of them, and whether what we depend on can be reached.

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::Time;
use crate::model::alert::{Alarm, Alert};
use crate::model::id::{Actor, AlertId, WorkerId};

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

/// An alert with what was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAlert {
    #[serde(flatten)]
    pub alert: Alert,
    /// Oldest first.
    pub tellings: Vec<Telling>,
}

/// One telling of an alert through one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// `email:…` or `webhook:…` and a part of a hash: neither address nor URL.
    pub channel: String,
    /// 0 when it was raised, 1 and more when it was repeated.
    pub round: u32,
    #[serde(flatten)]
    pub state: TellingState,
    /// Tries that have ended.
    pub tries: u32,
    /// Why the last try failed; without secrets, addresses and URLs.
    pub fault: Option<String>,
}

/// How far a telling has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TellingState {
    /// To be sent, not before this instant. From the start, and again after a try that failed.
    Due { not_before: Time },
    /// A clerk is at it. The next clerk takes it when this one dies or is too slow.
    Leased { by: WorkerId, until: Time },
    /// The relay or the other server took it.
    Sent { at: Time },
    /// Given up after many tries, or because the other side said so.
    Failed { at: Time },
    /// Not needed any more: acknowledged or resolved before it was sent.
    Dropped { at: Time },
}

/// A telling to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TellingClaim {
    /// Row of the telling.
    pub telling: i64,
    pub by: WorkerId,
    pub alert: Alert,
    pub channel: String,
    pub round: u32,
    /// Tries before this one.
    pub tries: u32,
}

/// How a try to tell ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Sent,
    /// To be tried again at `next`.
    Again {
        fault: String,
        next: Time,
    },
    /// Given up.
    Failed {
        fault: String,
    },
    /// Its turn did not come: nothing was tried.
    Untried,
}

/// What a round changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Raised for the first time.
    pub raised: Vec<AlertId>,
    /// Had ended, and are so again.
    pub reopened: Vec<AlertId>,
    /// Have ended.
    pub resolved: Vec<AlertId>,
}

/// What needs a person, who was told, and who has seen it.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// The clerk's lease: true when `by` leads now, until `now + lease`. It does when it led before, nobody leads, the
    /// lease has ended, or the leader is `dead`.
    async fn lead(&self, by: WorkerId, dead: Option<WorkerId>, now: Time, lease: TimeDelta)
    -> Result<bool, StoreError>;
    /// Who leads or last led.
    async fn find_leader(&self) -> Result<Option<WorkerId>, StoreError>;
    /// Ends the lease, if `by` leads.
    async fn end_lead(&self, by: WorkerId) -> Result<(), StoreError>;
    /// Makes the open alerts those that hold: raises the new ones, with a telling due for each channel, reopens those that
    /// had ended, and resolves the rest, all in one transaction. Raising what was raised before changes nothing; what is
    /// reopened is told again only as a reminder, and must be acknowledged anew.
    async fn set_alarms(
        &self,
        holding: Vec<Alarm>,
        channels: Vec<String>,
        by: &Actor,
        now: Time,
    ) -> Result<Changes, StoreError>;
    /// Tells it once more through these channels; nothing when it was repeated meanwhile (its reminders are not
    /// `reminders`), acknowledged or resolved. Says whether it was repeated.
    async fn repeat_alert(
        &self,
        id: AlertId,
        reminders: u32,
        channels: Vec<String>,
        by: &Actor,
        now: Time,
    ) -> Result<bool, StoreError>;
    /// Somebody has seen it: what is not sent yet is dropped, and it is not repeated. The first to say so stays on record.
    async fn acknowledge_alert(
        &self,
        id: AlertId,
        note: Option<&str>,
        by: &Actor,
        now: Time,
    ) -> Result<Alert, StoreError>;
    /// The open ones, oldest first.
    async fn list_open_alerts(&self) -> Result<Vec<StoredAlert>, StoreError>;
    /// All, newest first, at most `most`.
    async fn list_alerts(&self, most: u32) -> Result<Vec<StoredAlert>, StoreError>;
    /// Takes up to `most` tellings that are due under a lease, oldest first. What another worker has leased is taken too:
    /// there is one clerk, so that worker leads no more.
    async fn claim_tellings(
        &self,
        by: WorkerId,
        most: u32,
        now: Time,
        lease: TimeDelta,
    ) -> Result<Vec<TellingClaim>, StoreError>;
    /// Books how a try ended; nothing when another clerk has taken the telling over, or it was dropped.
    async fn told(&self, claim: TellingClaim, outcome: Told, now: Time) -> Result<(), StoreError>;
}
