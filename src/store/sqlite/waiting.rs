//! Persons who were put off and wait for another try: made due at once, when somebody knows that it will go better now.

use rusqlite::{Connection, params};
use serde_json::json;

use super::campaigns::{self, CHUNK, conflict};
use super::rows::{Micros, only, run};
use super::{Tx, journal};
use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, CampaignId};
use crate::store::StoreError;

/// The next chunk: what is ready and not due yet. What is leased, on the wire or in doubt stays as it is.
pub(super) const HURRY: &str = "UPDATE deliveries SET due = ?2 WHERE id IN (
         SELECT id FROM deliveries WHERE state = 'ready' AND campaign = ?1 AND due > ?2 LIMIT ?3)";

pub(super) const WAITING: &str = "SELECT count(*) FROM deliveries WHERE state = 'ready' AND campaign = ?1 AND due > ?2";

/// How many wait.
pub(super) fn count(conn: &Connection, campaign: CampaignId, now: Time) -> Result<u64, StoreError> {
    let values = params![campaign.row(), Micros(now)];
    let count: i64 = only(conn, "count who waits", WAITING, values, |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Makes the next chunk due, of `most` at most; how many they were.
pub(super) fn hurry(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    most: u64,
    by: &Actor,
    now: Time,
) -> Result<u64, StoreError> {
    let state = campaigns::get(tx.conn, campaign)?.state;
    if state != CampaignState::Running {
        return Err(conflict(campaign, state.name().to_owned(), "another try"));
    }
    let values = params![campaign.row(), Micros(now), most.min(u64::from(CHUNK)).cast_signed()];
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
