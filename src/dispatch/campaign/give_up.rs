//! The end of trying: whose server puts us off for days is not reached by mail, and gets a letter (GDPR Art. 34: without
//! undue delay).

use chrono::TimeDelta;

use crate::dispatch::office::{Office, OfficeError};
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, CampaignId};

/// Gives up, in each running campaign, who was put off for `campaign.give_up_days` since the first answer (RFC 5321
/// §4.5.4.1: at least four to five days).
///
/// # Errors
/// The store fails.
pub async fn round(office: &Office) -> Result<(), OfficeError> {
    for campaign in office.store.list_campaigns().await? {
        if campaign.state == CampaignState::Running {
            of(office, campaign.id, &Office::as_loop("clerk")).await?;
        }
    }
    Ok(())
}

/// As [`round`], of one campaign.
///
/// # Errors
/// The store fails.
pub async fn of(office: &Office, campaign: CampaignId, by: &Actor) -> Result<u64, OfficeError> {
    let now = office.now();
    let days = TimeDelta::days(i64::from(office.config.campaign.give_up_days));
    let Some(before) = now.checked_sub_signed(days) else {
        return Ok(0);
    };
    let given_up = office.store.give_up(campaign, before, by, now).await?;
    if given_up > 0 {
        tracing::warn!(%campaign, persons = given_up, "gave up persons whose server put us off for days: breachpost campaign unreached");
    }
    Ok(given_up)
}
