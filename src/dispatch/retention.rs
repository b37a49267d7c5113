//! The end of personal data (GDPR Art. 5(1)(e)): after the retention time by itself, or when somebody asks. Counts, hashes
//! and proofs remain (design: invariant 10).

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, CampaignId, WorkerId};
use crate::store::{Erased, HealthNote, StoreError, Whom};

use super::office::{Office, OfficeError};

/// Erases the persons of every campaign that ended more than `retention.recipients_days` ago. Returns how many
/// campaigns were erased.
///
/// # Errors
/// The store fails. What is erased by then stays so, and the next round goes on.
pub async fn round(office: &Office) -> Result<u32, OfficeError> {
    let now = office.now();
    // What is erased does not come back when the clock is set right.
    let of_others = |note: &HealthNote| note.what.starts_with("clock:") && note.fault.is_some();
    if office.store.list_health().await?.iter().any(of_others) {
        tracing::warn!("nothing is erased while the clocks of others differ from ours");
        return Ok(0);
    }
    let days = TimeDelta::days(i64::from(office.config.retention.recipients_days));
    let Some(before) = now.checked_sub_signed(days) else {
        return Ok(0);
    };
    let mut campaigns = 0;
    let mut erasable = office.store.list_erasable(before).await?;
    erasable.extend(call_off_unsent(office, before).await?);
    for campaign in erasable {
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

/// Calls off every campaign that was never sent and that nobody did anything about since: its list is no less personal.
async fn call_off_unsent(office: &Office, before: Time) -> Result<Vec<CampaignId>, OfficeError> {
    let mut called_off = Vec::new();
    for (campaign, _) in office.store.list_unattended(before).await? {
        let Some(stored) = office.store.find_campaign(campaign).await? else {
            continue;
        };
        if stored.state.has_begun() || matches!(stored.state, CampaignState::Scheduled { .. }) {
            continue;
        }
        match office
            .store
            .cancel(campaign, &Office::as_loop("clerk"), office.now())
            .await
        {
            Ok(_) => called_off.push(campaign),
            // Somebody was quicker, and does something about it.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(called_off)
}

/// Whom [`erase`] would erase at this address: persons, and rows that could not be used.
///
/// # Errors
/// No such campaign, nobody at this address, or the store fails.
pub async fn at_address(office: &Office, campaign: CampaignId, address: &str) -> Result<Vec<Whom>, OfficeError> {
    let found = office.store.list_at_address(campaign, address).await?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(OfficeError::Store(StoreError::NotFound {
            what: "person of this address in",
            id: campaign.to_string(),
        })),
    }
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
    // What a dead worker had on the wire will not end by itself.
    office.recover(WorkerId::fresh()).await?;
    Ok(match address {
        None => office.store.erase_campaign(campaign, by, now).await?,
        Some(address) => office.store.erase_person(campaign, address, by, now).await?,
    })
}
