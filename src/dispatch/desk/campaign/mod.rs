//! What an operator may do with a campaign once its persons are in: look at it, try it out, approve it, run it, and find
//! out who was reached. How lists come in is `dispatch::campaign`'s; sending is the courier's.

pub(super) mod day;
mod held;
mod life;
mod preview;
mod ready;
mod report;

pub use held::{Held, HeldList, decide_held, held, in_clear};
pub use life::{
    Approved, Started, approve, cancel, follow_up, pause, resume, retry, settle_if_done, start, start_due, startable,
    update,
};
pub use preview::{Others, Preview, Tested, Whose, others, preview, public_notice, test};
pub use ready::{Estimate, POINTS, Point, Protection, Ready, check_off, ready};
pub use report::{
    Found, FoundUnusable, Named, RecordError, Report, Status, UNREACHED_COLUMNS, find, find_unusable, record, report,
    status, unreached, unreached_cells, unreached_row, unreached_sheet_row, why_unreached,
};

use super::DeskError;
use crate::dispatch::campaign::CampaignContent;
use crate::dispatch::office::Office;
use crate::model::id::CampaignId;
use crate::store::{StoreError, StoredCampaign};

/// A campaign that must be there, and what its messages are made from.
///
/// # Errors
/// No such campaign, content that another version wrote, or the store fails.
pub async fn get(office: &Office, id: CampaignId) -> Result<(StoredCampaign, CampaignContent), DeskError> {
    let stored = office.store.find_campaign(id).await?.ok_or(DeskError::NoCampaign(id))?;
    let content = CampaignContent::read(id, stored.content.clone())?;
    Ok((stored, content))
}

/// A move that the state does not allow needs a person; all else is our side's failure.
fn refused(error: StoreError) -> DeskError {
    match error {
        conflict @ StoreError::Conflict { .. } => DeskError::Refused(conflict.to_string()),
        other => other.into(),
    }
}
