//! The end of a campaign: settling once every delivery is final, finished once late bounces need not be awaited any more.

use chrono::TimeDelta;

use crate::dispatch::office::{Office, OfficeError};
use crate::model::campaign::CampaignState;
use crate::store::StoreError;

/// Moves each campaign that has come to an end. Deliveries that wait, or another process that was quicker, are no error.
///
/// # Errors
/// The store fails.
pub async fn round(office: &Office) -> Result<(), OfficeError> {
    let (by, now) = (Office::as_loop("courier"), office.now());
    let days = TimeDelta::days(i64::from(office.config.campaign.settle_days));
    for campaign in office.store.list_campaigns().await? {
        let moved = match campaign.state {
            CampaignState::Running => office.store.settle_campaign(campaign.id, now + days, &by, now).await,
            CampaignState::Settling { until } if until <= now => office.store.finish(campaign.id, &by, now).await,
            _ => continue,
        };
        match moved {
            Ok(()) => tracing::info!(campaign = %campaign.id, "a campaign has come to an end"),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
