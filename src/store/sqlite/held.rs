//! Persons of a campaign whose message could not be written: who they are, and what a person decides about them.

use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::campaigns::{self, CHUNK, conflict};
use super::rows::{Json, Micros, all, json as json_text, run};
use super::{Tx, journal, register};
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, CampaignId, DeliveryId};
use crate::model::plural::counted;
use crate::store::{HeldChoice, HeldPerson, StoreError};

pub(super) fn list(
    conn: &Connection,
    campaign: CampaignId,
    after: Option<DeliveryId>,
    most: u32,
) -> Result<Vec<HeldPerson>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(HeldPerson {
            delivery: DeliveryId::new(row.get(0)?),
            why: row.get::<_, Json<HoldReason>>(1)?.0.words().to_owned(),
        })
    };
    all(
        conn,
        "list who is held",
        // By the index over the states, which has the row ids in their order.
        "SELECT id, detail FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held' AND id > ?2 ORDER BY id LIMIT ?3",
        params![campaign.row(), after.map_or(0, DeliveryId::row), most],
        read,
    )
}

/// Decides about the next chunk; how many they were.
pub(super) fn decide(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    choice: &HeldChoice,
    by: &Actor,
    now: Time,
) -> Result<u64, StoreError> {
    let found = campaigns::get(tx.conn, campaign)?;
    // What was never started has nobody who is held; what was called off has let go of them.
    if !found.state.has_begun() {
        let state = found.state.name().to_owned();
        return Err(conflict(campaign, state, "deciding about who is held"));
    }
    let waiting = "SELECT id FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held' LIMIT ?3";
    let mut facts = json!({ "campaign": campaign });
    let (moved, event, told) = match choice {
        HeldChoice::Retry => {
            let sql = format!("UPDATE deliveries SET state = 'ready', due = ?2, detail = NULL WHERE id IN ({waiting})");
            let values = params![campaign.row(), Micros(now), CHUNK];
            let moved = run(tx.conn, "try the held again", &sql, values)?;
            (moved, "campaign.held_retried", "persons_retried")
        }
        HeldChoice::RetryWithout {
            field,
            held_for,
            reason,
        } => {
            facts["without"] = json!(field);
            facts["reason"] = json!(reason);
            let why = json_text(&HoldReason::Unwritten((*held_for).to_owned()));
            let moved = retry_without(tx.conn, campaign, field, &why, now)?;
            (moved, "campaign.held_retried", "persons_retried")
        }
        HeldChoice::GiveUp => {
            let sql =
                format!("UPDATE deliveries SET state = 'cancelled', since = ?2, detail = ?4 WHERE id IN ({waiting})");
            let values = params![campaign.row(), Micros(now), CHUNK, json_text(by)];
            let moved = run(tx.conn, "give the held up", &sql, values)?;
            (moved, "campaign.held_given_up", "persons_given_up")
        }
    };
    if moved > 0 {
        let text = format!("{campaign}: {}", counted(moved, "person"));
        register::add_line(tx, found.breach, told, &text, by, now)?;
        facts["deliveries"] = json!(moved);
        journal::append(tx, event, &facts, by, now)?;
    }
    Ok(moved as u64)
}

/// The next chunk of those who are held for this reason, ready again and without this field.
fn retry_without(
    conn: &Connection,
    campaign: CampaignId,
    field: &str,
    why: &str,
    now: Time,
) -> Result<usize, StoreError> {
    let chosen = "SELECT id FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held' AND detail = ?2 ORDER BY id LIMIT ?3";
    let sql =
        format!("UPDATE persons SET fields = json_remove(fields, '$.' || json_quote(?4)) WHERE delivery IN ({chosen})");
    let values = params![campaign.row(), why, CHUNK, field];
    run(conn, "take a field from the held", &sql, values)?;
    let sql = format!("UPDATE deliveries SET state = 'ready', due = ?4, detail = NULL WHERE id IN ({chosen})");
    let values = params![campaign.row(), why, CHUNK, Micros(now)];
    run(conn, "try the held again", &sql, values)
}
