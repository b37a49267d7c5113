//! The end of personal data (GDPR Art. 5(1)(e)): what goes, and what may still be asked afterwards.

use async_trait::async_trait;
use serde::Serialize;

use super::{StoreError, Whom};
use crate::model::Time;
use crate::model::id::{Actor, CampaignId, DeliveryId};

/// What was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Persons whose address, name and fields are gone, with what their servers said.
    pub persons: u64,
    /// Rows of lists that could not be used.
    pub bad_rows: u64,
    /// Mails that came back, whose bytes are gone.
    pub mails: u64,
}

/// Erasing the persons of campaigns. Rows, states, counts, hashes and the journal stay, so that every sum stays what it was
/// and `journal verify` still holds.
#[async_trait]
pub trait Erasure: Send + Sync {
    /// Campaigns that ended before this and whose persons are not erased, oldest first.
    async fn list_erasable(&self, before: Time) -> Result<Vec<CampaignId>, StoreError>;
    /// Erases all persons of an ended campaign, in several transactions; cut off, the same call goes on. A keyed hash of
    /// each address stays.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the campaign has not ended, or is erased already.
    async fn erase_campaign(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<Erased, StoreError>;
    /// Those at one address, in whatever spelling, and the rows that cannot be used and hold it as a whole: whom
    /// [`Erasure::erase_person`] would erase.
    async fn list_at_address(&self, campaign: CampaignId, address: &str) -> Result<Vec<Whom>, StoreError>;
    /// Erases all of [`Erasure::list_at_address`], and nobody else.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a message to them may still leave; [`StoreError::NotFound`] when nobody is there.
    async fn erase_person(
        &self,
        campaign: CampaignId,
        address: &str,
        by: &Actor,
        now: Time,
    ) -> Result<Erased, StoreError>;
    /// The deliveries to this address among those that were erased, while the keys of their hashes exist.
    async fn find_erased(&self, address: &str) -> Result<Vec<(CampaignId, DeliveryId)>, StoreError>;
    /// Deletes the key and the hashes of a campaign: then nobody can ask any more whether an address was told. False when
    /// there was none.
    async fn forget_hashes(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<bool, StoreError>;
}
