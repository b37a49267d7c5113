//! The end of what waits, of campaigns that were called off.

use rusqlite::{Connection, params};
use serde_json::json;

use super::super::rows::{Micros, all, json as json_text, run};
use super::super::{Tx, journal};
use super::CHUNK;
use crate::model::Time;
use crate::model::id::{Actor, CampaignId};
use crate::store::StoreError;

const CANCELLED_WAITING: &str = "SELECT id FROM campaigns c WHERE state = 'cancelled' AND (
         EXISTS (SELECT 1 FROM deliveries WHERE state = 'ready' AND campaign = c.id)
         OR EXISTS (SELECT 1 FROM deliveries WHERE state < 'i' AND campaign = c.id AND state = 'held')
         OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'in_doubt' AND campaign = c.id AND due > 0))";

/// The campaigns that were called off and of which something waits all the same.
pub(super) fn cancelled_waiting(conn: &Connection) -> Result<Vec<CampaignId>, StoreError> {
    all(conn, "look for cancelled campaigns", CANCELLED_WAITING, [], |row| {
        row.get(0).map(CampaignId::new)
    })
}

/// One chunk of what waits; how many they were. What may have left stays in doubt, and is not tried again.
pub(super) fn cancel_waiting(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
    // What was in doubt and waited for another try may have arrived all the same.
    let doubtful = run(
        tx.conn,
        "leave in doubt what may have left",
        "UPDATE deliveries
         SET state = 'in_doubt', due = NULL, lease_by = NULL, lease_until = NULL, since = ?2, detail = NULL
         WHERE possibly_twice = 1 AND campaign = ?1 AND state IN ('ready', 'leased', 'held')",
        params![campaign.row(), Micros(now)],
    )? as u64;
    let cancelled = run(
        tx.conn,
        "cancel what waits",
        "UPDATE deliveries
         SET state = 'cancelled', due = NULL, lease_by = NULL, lease_until = NULL, since = ?2, detail = ?3
         WHERE id IN (SELECT id FROM deliveries WHERE state = 'ready' AND campaign = ?1
                      UNION ALL SELECT id FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 AND state = 'leased'
                      UNION ALL SELECT id FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held'
                      LIMIT ?4)",
        params![campaign.row(), Micros(now), json_text(by), CHUNK],
    )? as u64;
    run(
        tx.conn,
        "try no more",
        "UPDATE deliveries SET due = NULL WHERE campaign = ?1 AND state = 'in_doubt' AND due IS NOT NULL",
        [campaign.row()],
    )?;
    if cancelled + doubtful > 0 {
        let facts = json!({ "campaign": campaign, "deliveries": cancelled, "in_doubt": doubtful });
        journal::append(tx, "campaign.deliveries_cancelled", &facts, by, now)?;
    }
    Ok(cancelled)
}
