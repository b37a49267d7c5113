//! Who of a campaign was reached, and who was not and why: what reports, letters and calls are made from.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{RowCounts, StoreError, Tally};
use crate::model::Time;
use crate::model::id::{Actor, BadRowId, CampaignId, DeliveryId};
use crate::model::recipient::{Fields, PersonKey};

/// How many of a group are informed, and so on; the sum is the number of its persons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// Handed over, confirmed, or told by another channel.
    pub informed: u64,
    pub in_doubt: u64,
    /// Failed, cancelled, or without a usable row, and not told by another channel.
    pub unreached: u64,
    pub pending: u64,
}
/// A campaign's persons by group. Each grouping covers every person; those of whom it is not known are in the one without a
/// name. Rows that cannot be used count with the language and country that they give, and in no domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Breakdown {
    pub languages: BTreeMap<String, Reached>,
    pub countries: BTreeMap<String, Reached>,
    pub domains: BTreeMap<String, Reached>,
    /// Why persons are unreached; the sum is their number.
    pub reasons: BTreeMap<String, u64>,
    /// Why the messages of those who are held could not be written, without personal data.
    pub held_reasons: BTreeMap<String, u64>,
}

/// All that a report counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub rows: RowCounts,
    pub tally: Tally,
    pub told: ToldOtherwise,
    pub groups: Breakdown,
    pub came_back: CameBack,
}

/// How persons are told where mail does not reach them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherChannel {
    Post,
    Phone,
}
impl OtherChannel {
    pub fn name(self) -> &'static str {
        match self {
            OtherChannel::Post => "post",
            OtherChannel::Phone => "phone",
        }
    }
}
/// Persons told by another channel, by what had become of their message. Those whose message was handed over all the
/// same are not counted: they are informed already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ToldOtherwise {
    pub unreached: u64,
    pub in_doubt: u64,
    /// Their message is on the wire just now; it is not tried again.
    pub pending: u64,
    pub by_post: u64,
    pub by_phone: u64,
}
/// What came back of a campaign's messages: how many persons each is true of. Beside the sums of [`Reached`], for one
/// person may have been away, and have written later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CameBack {
    /// The message was handed over, and returned later.
    pub returned: u64,
    /// Of these: after the campaign had ended, when nobody waits for it any more.
    pub returned_late: u64,
    /// A server still tried, and nothing was heard since; they count as informed until it gives up.
    pub delayed: u64,
    /// Something answered by itself.
    pub autoreplies: u64,
    /// The person wrote.
    pub replies: u64,
}
/// A person of a campaign, in the ledger or among the rows that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Whom {
    Delivery(DeliveryId),
    BadRow(BadRowId),
}
impl std::fmt::Display for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whom::Delivery(id) => id.fmt(f),
            Whom::BadRow(id) => id.fmt(f),
        }
    }
}
/// How a list names a person.
#[derive(Clone, PartialEq, Eq)]
pub enum WhoTold {
    /// By our own id, as it stands in an export.
    Whom(Whom),
    /// By the controller's number.
    Key(PersonKey),
    /// Whoever is at this address; several persons may be, and then the name tells which of them.
    At { address: String, name: Option<String> },
}

/// A person who was not reached by mail.
#[derive(Clone, PartialEq, Eq)]
pub struct NotReached {
    pub whom: Whom,
    /// Of a row that cannot be used: its list's file, and its number there.
    pub place: Option<(String, u64)>,
    /// Of a row that cannot be used: none.
    pub address: Option<String>,
    pub language: String,
    pub country: Option<String>,
    pub fields: Fields,
    /// `failed`, `cancelled`, `in_doubt` or `invalid`.
    pub state: String,
    /// A word for the reason; see [`Breakdown::reasons`].
    pub reason: String,
    /// What the other server or the check said; may name the person.
    pub detail: Option<String>,
}
/// A person's row, to write a letter for.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub delivery: DeliveryId,
    pub address: String,
    pub language: String,
    pub fields: Fields,
}
/// A person found by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPerson {
    pub campaign: CampaignId,
    pub delivery: DeliveryId,
    /// How and when they were told otherwise, and who booked it.
    pub told_otherwise: Option<(OtherChannel, Time, Actor)>,
}

/// A row that cannot be used, found by what it gives as the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    pub campaign: CampaignId,
    pub bad_row: BadRowId,
    /// The list's file, and the row's number there.
    pub file: String,
    pub row: u64,
    /// A word for why it cannot be used.
    pub reason: String,
    /// How and when its person was told otherwise.
    pub told_otherwise: Option<(OtherChannel, Time)>,
}

/// Who of a campaign was reached.
#[async_trait]
pub trait Reach: Send + Sync {
    /// All that a report counts, as of one moment, so that its sums fit while others work.
    async fn account(&self, campaign: CampaignId) -> Result<Account, StoreError>;
    /// Those who were not reached, in the order of the ledger, after `after`; with `in_doubt` also those of whom it is
    /// not known. Without those told by another channel.
    async fn list_unreached(
        &self,
        campaign: CampaignId,
        in_doubt: bool,
        after: Option<Whom>,
        most: u32,
    ) -> Result<Vec<NotReached>, StoreError>;
    /// Books persons told by another channel; one who is booked already keeps the first entry, and a message that waits is
    /// not sent any more. For each of `persons` how many of the campaign it names: several are not booked, for only one
    /// was told.
    async fn tell_otherwise(
        &self,
        campaign: CampaignId,
        persons: Vec<WhoTold>,
        channel: OtherChannel,
        by: &Actor,
        now: Time,
    ) -> Result<Vec<u64>, StoreError>;
    /// Rows, deliveries and persons told otherwise, all as of one moment: [`Reach::account`] without its walks.
    async fn counted(&self, campaign: CampaignId) -> Result<(RowCounts, Tally, ToldOtherwise), StoreError>;
    /// Every person at this address, also where it is the one of a further row, in all campaigns, oldest first; those who were erased too, while the hashes of their
    /// addresses exist.
    async fn find_by_address(&self, address: &str) -> Result<Vec<FoundPerson>, StoreError>;
    /// Every row that cannot be used and gives this as its address, or among several, in all campaigns, oldest first.
    async fn find_bad_rows(&self, address: &str) -> Result<Vec<FoundRow>, StoreError>;
    /// How many persons of this campaign were told by another one about the same breach, or may have been: by their number
    /// where the lists have one, else by address and name.
    async fn told_before(&self, campaign: CampaignId) -> Result<u64, StoreError>;
    /// What the last answers were to messages that wait for another try, and to how many: step and code, without a text that
    /// may name a person.
    async fn waits(&self, campaign: CampaignId) -> Result<BTreeMap<String, u64>, StoreError>;
    /// The person at this place of the list of those who can be written to, from 1.
    async fn person_at(&self, campaign: CampaignId, place: u64) -> Result<Option<PersonRow>, StoreError>;
    /// One person of the ledger; `None` when erased.
    async fn person_of(&self, delivery: DeliveryId) -> Result<Option<PersonRow>, StoreError>;
}
