//! Lists of persons on their way into a campaign: rows, persons, rows that cannot be used.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Time;
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId, DeliveryId, ListId};
use crate::model::recipient::{Fields, Flags, PersonKey, Reason};

use super::StoreError;

/// A person who has a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flagged {
    pub delivery: DeliveryId,
    pub address: String,
    pub fields: Fields,
}

/// One person of a campaign, one row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPerson {
    /// What makes this person one in the campaign. Two persons may share an address, and one person is written to once.
    pub key: PersonKey,
    pub address: String,
    /// Of the address, in A-labels and lower case.
    pub domain: String,
    /// ISO 639-1; empty where the list does not say.
    pub language: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    pub flags: Flags,
    /// Merge fields; erased after the retention time.
    pub fields: Fields,
}

/// A row that cannot be used: a person who is not reached by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBadRow {
    /// Where the row gives the controller's number of the person.
    pub key: Option<PersonKey>,
    /// As a spreadsheet program numbers it.
    pub row: u64,
    pub line: Option<u64>,
    /// As the list calls it.
    pub column: Option<String>,
    pub reason: Reason,
    /// As the list has them, one for each of its columns; erased after the retention time.
    pub cells: Vec<String>,
    pub fields: Fields,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// The bad row of this campaign that this one takes the place of.
    pub corrects: Option<BadRowId>,
    pub content: RowContent,
}

/// What a row came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowContent {
    Person(Box<NewPerson>),
    Bad(Box<NewBadRow>),
}

/// A list about to be imported.
#[derive(Debug, Clone)]
pub struct NewList {
    pub into: ListTarget,
    /// Lower-case hex SHA-256 of the file and of how it is read: the same list, given again, goes on where it was cut off.
    pub fingerprint: String,
    /// The file's name, without folders.
    pub file: String,
    /// Lower-case hex, of the file.
    pub sha256: String,
    /// Format, columns, meanings: what a person needs to understand row numbers later.
    pub facts: serde_json::Value,
    pub rows: u64,
}

/// Where a list goes.
#[derive(Debug, Clone)]
pub enum ListTarget {
    /// A campaign of its own.
    Fresh {
        breach: BreachId,
        content: serde_json::Value,
    },
    /// A draft.
    Draft(CampaignId),
}

/// A list that is being imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenList {
    pub campaign: CampaignId,
    pub list: ListId,
    /// Rows that are in already: more than 0 where an import that was cut off goes on.
    pub done: u64,
}

/// A list of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredList {
    pub id: ListId,
    pub file: String,
    pub sha256: String,
    pub facts: serde_json::Value,
    pub rows: u64,
    pub rows_done: u64,
    pub begun_at: Time,
    pub begun_by: Actor,
    pub ended_at: Option<Time>,
}

/// All rows of a campaign's lists: `rows` is always the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    pub rows: u64,
    /// Persons who can be written to.
    pub valid: u64,
    /// Further rows of a person who is counted already.
    pub duplicates: u64,
    /// Persons who cannot be written to: unreached from the start.
    pub invalid: u64,
}

/// Rows of a campaign that wait to be corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    pub id: BadRowId,
    pub list: ListId,
    pub row: u64,
    pub line: Option<u64>,
    pub column: Option<String>,
    pub reason: Reason,
    #[serde(skip)]
    pub cells: Vec<String>,
}

/// The persons of a campaign who can be written to, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonCounts {
    /// By ISO 639-1 code; the empty one for those whose language is not known.
    pub languages: BTreeMap<String, u64>,
    /// By ISO 3166-1 code; the empty one for those whose country is not known.
    pub countries: BTreeMap<String, u64>,
    /// The domains with the most persons, at most ten, most first.
    pub domains: Vec<(String, u64)>,
    /// For each of [`Flags::ALL`], in its order.
    pub flags: Vec<u64>,
    /// Addresses at which there are persons of different names.
    pub shared_addresses: u64,
}

/// Lists of persons, on their way into a campaign. The campaign is `importing` from the first row to the last; then it is a
/// draft.
#[async_trait]
pub trait Lists: Send + Sync {
    /// Begins a list, or goes on with the same one where its import was cut off.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the campaign takes no more persons, imports another list, or has had this one.
    async fn begin_list(&self, list: NewList, by: &Actor, now: Time) -> Result<OpenList, StoreError>;
    /// Adds the rows that follow the first `done` in one transaction. A person whose key the campaign has is a duplicate,
    /// whose fields are united with those that are there. Returns the campaign's counts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when other than `done` rows are in: another process imports the same list.
    async fn add_rows(
        &self,
        list: ListId,
        done: u64,
        rows: Vec<NewRow>,
        by: &Actor,
        now: Time,
    ) -> Result<RowCounts, StoreError>;
    /// All rows are in: the campaign is a draft.
    async fn end_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// The list cannot be trusted any more, for instance because its file was replaced: the campaign is cancelled.
    async fn abandon_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError>;
    /// Of one campaign, oldest first.
    async fn lists(&self, campaign: CampaignId) -> Result<Vec<StoredList>, StoreError>;
    async fn row_counts(&self, campaign: CampaignId) -> Result<RowCounts, StoreError>;
    async fn person_counts(&self, campaign: CampaignId) -> Result<PersonCounts, StoreError>;
    /// Whether some person has this flag.
    async fn any_flagged(&self, campaign: CampaignId, flag: Flags) -> Result<bool, StoreError>;
    /// Who has this flag, in the order of the ledger, after `after`, at most `most`.
    async fn list_flagged(
        &self,
        campaign: CampaignId,
        flag: Flags,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<Flagged>, StoreError>;
    /// How often each reason occurs.
    async fn bad_row_reasons(&self, campaign: CampaignId) -> Result<BTreeMap<String, u64>, StoreError>;
    /// In the order of the lists, after `after`, at most `most`.
    async fn list_bad_rows(
        &self,
        campaign: CampaignId,
        after: Option<BadRowId>,
        most: u32,
    ) -> Result<Vec<BadRow>, StoreError>;
}
