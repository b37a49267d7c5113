//! Persons who were put off and wait for another try: made due at once, when somebody knows that it will go better now.

use rusqlite::params;
use serde_json::json;

use super::campaigns::{self, CHUNK, conflict};
use super::rows::{Micros, run};
use super::{Tx, journal};
use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, CampaignId};
use crate::store::StoreError;

/// The next chunk: what is ready and not due yet. What is leased, on the wire or in doubt stays as it is.
pub(super) const HURRY: &str = "UPDATE deliveries SET due = ?2 WHERE id IN (
         SELECT id FROM deliveries WHERE state = 'ready' AND campaign = ?1 AND due > ?2 LIMIT ?3)";

/// Makes the next chunk due; how many they were.
pub(super) fn hurry(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
    let state = campaigns::get(tx.conn, campaign)?.state;
    if state != CampaignState::Running {
        return Err(conflict(campaign, state.name().to_owned(), "another try"));
    }
    let values = params![campaign.row(), Micros(now), CHUNK];
    let hurried = run(tx.conn, "make due who waits", HURRY, values)?;
    // Each slow domain is asked again too, by one message as ever; one that is being asked answers first.
    let sql = "UPDATE slow_domains SET until = ?1 WHERE until > ?1 AND probe IS NULL";
    run(tx.conn, "ask the slow domains", sql, [Micros(now)])?;
    if hurried > 0 {
        let facts = json!({ "campaign": campaign, "deliveries": hurried });
        journal::append(tx, "campaign.retried", &facts, by, now)?;
    }
    Ok(hurried as u64)
}
