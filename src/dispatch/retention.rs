//! The end of personal data: after the retention time by itself, or when somebody asks. Counts, hashes and proofs remain
//! (design: invariant 10).

use chrono::TimeDelta;
use serde::Serialize;

use crate::model::Time;
use crate::model::id::{Actor, CampaignId, DeliveryId};
use crate::store::{Erased, StoreError};

use super::office::{Office, OfficeError};

/// Erases the persons of every campaign that ended more than `retention.recipients_days` ago. Returns how many
/// campaigns were erased.
///
/// # Errors
/// The store fails. What is erased by then stays so, and the next round goes on.
pub async fn round(office: &Office) -> Result<u32, OfficeError> {
    let now = office.now();
    let days = TimeDelta::days(i64::from(office.config.retention.recipients_days));
    let Some(before) = now.checked_sub_signed(days) else {
        return Ok(0);
    };
    let mut campaigns = 0;
    for campaign in office.store.list_erasable(before).await? {
        match office
            .store
            .erase_campaign(campaign, &Office::as_loop("clerk"), now)
            .await
        {
            Ok(erased) => {
                tracing::info!(%campaign, persons = erased.persons, "erased the persons of a campaign after the retention time");
                campaigns += 1;
            }
            // Another process was quicker.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(campaigns)
}

/// Erases all persons of an ended campaign, or those at one address.
///
/// # Errors
/// No such campaign or person; a message may still leave; the store fails.
pub async fn erase(
    office: &Office,
    campaign: CampaignId,
    address: Option<&str>,
    by: &Actor,
) -> Result<Erased, OfficeError> {
    let now = office.now();
    Ok(match address {
        None => office.store.erase_campaign(campaign, by, now).await?,
        Some(address) => office.store.erase_person(campaign, address, by, now).await?,
    })
}

/// A message to somebody who has been erased since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasedDelivery {
    pub campaign: CampaignId,
    pub delivery: DeliveryId,
    /// As in the ledger: `handed`, `confirmed`, `failed`…
    pub state: &'static str,
    /// When that state began; none where the message never left.
    pub since: Option<Time>,
}

/// Whether this address was told by a campaign whose persons are erased, while the keyed hashes exist.
///
/// # Errors
/// The store fails.
pub async fn find(office: &Office, address: &str) -> Result<Vec<ErasedDelivery>, OfficeError> {
    use crate::model::delivery::DeliveryState as State;
    let mut found = Vec::new();
    for (campaign, delivery) in office.store.find_erased(address).await? {
        let Some(stored) = office.store.find_delivery(delivery).await? else {
            continue;
        };
        let since = match &stored.state {
            State::Handed { at, .. } | State::Confirmed { at, .. } | State::Failed { at, .. } => Some(*at),
            State::Cancelled { at, .. } => Some(*at),
            State::InDoubt { since, .. } | State::OnWire { since, .. } => Some(*since),
            State::Ready { .. } | State::Leased { .. } | State::Held { .. } => None,
        };
        found.push(ErasedDelivery {
            campaign,
            delivery,
            state: stored.state.name(),
            since,
        });
    }
    Ok(found)
}
