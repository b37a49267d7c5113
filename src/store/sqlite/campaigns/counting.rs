//! What is told of a campaign's deliveries: how many are in which state, whether any waits, and until when.

use rusqlite::{Connection, Row};

use super::super::rows::{Micros, all, only};
use crate::model::id::CampaignId;
use crate::store::{Deferred, StoreError, Tally};

/// Whether anything of a campaign is still to be tried, or being tried.
pub(in crate::store::sqlite) const NOT_FINAL: &str =
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'ready' AND campaign = ?1)
     OR EXISTS (SELECT 1 FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1)
     OR EXISTS (SELECT 1 FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held')
     OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'in_doubt' AND campaign = ?1 AND due > 0)";

/// Read from the indexes, but for the few under way: the rows themselves are not touched.
pub(in crate::store::sqlite) const TALLY: &str =
    "SELECT 'ready', count(*) FROM deliveries WHERE state = 'ready' AND campaign = ?1
     UNION ALL SELECT 'in_doubt', count(*) FROM deliveries WHERE state = 'in_doubt' AND campaign = ?1
     UNION ALL SELECT state, count(*) FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 GROUP BY state
     UNION ALL SELECT state, count(*) FROM deliveries WHERE state < 'i' AND campaign = ?1 GROUP BY state
     UNION ALL SELECT 'possibly_twice', count(*) FROM deliveries WHERE possibly_twice = 1 AND campaign = ?1";

pub(in crate::store::sqlite) fn tally(conn: &Connection, campaign: CampaignId) -> Result<Tally, StoreError> {
    let counts = all(conn, "count the deliveries", TALLY, [campaign.row()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    let mut tally = Tally::default();
    for (state, count) in counts {
        let place = match state.as_str() {
            "ready" => &mut tally.ready,
            "leased" => &mut tally.leased,
            "on_wire" => &mut tally.on_wire,
            "in_doubt" => &mut tally.in_doubt,
            "held" => &mut tally.held,
            "handed" => &mut tally.handed,
            "confirmed" => &mut tally.confirmed,
            "failed" => &mut tally.failed,
            "possibly_twice" => &mut tally.possibly_twice,
            // The table's CHECK leaves no other word.
            _ => &mut tally.cancelled,
        };
        *place = count;
    }
    Ok(tally)
}

/// Who was put off, and when the next of them is tried again.
pub(super) fn deferred(conn: &Connection, campaign: CampaignId) -> Result<Deferred, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Deferred {
            persons: row.get::<_, i64>(0)?.cast_unsigned(),
            next: row.get::<_, Option<Micros>>(1)?.map(|at| at.0),
        })
    };
    // Reads only the end of the index: what waits for its first try has been due since before the start.
    let sql = "SELECT count(*), min(due) FROM deliveries
         WHERE campaign = ?1 AND state = 'ready' AND tries > 0
           AND due > (SELECT coalesce(started_at, 0) FROM campaigns WHERE id = ?1)";
    let put_off = only(conn, "count the deferred", sql, [campaign.row()], read)?;
    let sql = "SELECT count(*), min(due) FROM deliveries WHERE campaign = ?1 AND state = 'in_doubt' AND due > 0";
    let in_doubt = only(conn, "look for the next try", sql, [campaign.row()], read)?;
    Ok(Deferred {
        persons: put_off.persons,
        next: [put_off.next, in_doubt.next].into_iter().flatten().min(),
    })
}
