//! The end of a campaign: settling once every delivery has been tried, finished once late bounces need not be awaited.

use chrono::TimeDelta;

use crate::dispatch::office::{Office, OfficeError};
use crate::store::StoreError;

/// Looks at each campaign that may have come to its end. What others did at the same time is no error.
///
/// # Errors
/// The store fails.
pub async fn round(office: &Office) -> Result<(), OfficeError> {
    Ok(())
}
