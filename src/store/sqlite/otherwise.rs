//! Persons who were told by another channel: whom a row of a list names, what is booked, and that nothing more is sent to
//! them.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::addresses::{self, AtAddress};
use super::rows::{Json, Micros, Text, all, json as json_text, one, only, run};
use super::{Tx, campaigns, journal, register};
use crate::model::Time;
use crate::model::delivery::DeliveryState;
use crate::model::id::{Actor, BadRowId, CampaignId, DeliveryId};
use crate::model::plural::counted;
use crate::model::recipient::{Fields, fold_address, plain};
use crate::store::{FoundPerson, FoundRow, OtherChannel, StoreError, WhoTold, Whom};

/// Whom each of `persons` names.
pub(super) fn resolve_all(
    conn: &Connection,
    campaign: CampaignId,
    persons: &[WhoTold],
) -> Result<Vec<Vec<Whom>>, StoreError> {
    let addresses = persons.iter().filter_map(|who| match who {
        WhoTold::At { address, .. } => Some(fold_address(address)),
        _ => None,
    });
    let at = addresses::find(conn, campaign, &addresses.collect())?;
    persons.iter().map(|who| resolve(conn, campaign, who, &at)).collect()
}

/// Books the person that each row names. Several are not booked: nobody knows which of them was told.
pub(super) fn tell(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    named: &[Vec<Whom>],
    channel: OtherChannel,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let found = campaigns::get(tx.conn, campaign)?;
    if !found.state.has_begun() {
        let state = found.state.name().to_owned();
        return Err(campaigns::conflict(campaign, state, "booking persons told otherwise"));
    }
    let mut booked = 0;
    for whom in named {
        if let [whom] = whom[..] {
            booked += book(tx.conn, campaign, whom, channel, by, now)?;
        }
    }
    if booked > 0 {
        let text = format!("{campaign}: {} by {}", counted(booked, "person"), channel.name());
        register::add_line(tx, found.breach, "persons_told_otherwise", &text, by, now)?;
        let facts = json!({ "campaign": campaign, "channel": channel, "persons": booked });
        journal::append(tx, "campaign.told_otherwise", &facts, by, now)?;
    }
    Ok(())
}

/// Books one person, and ends what waits for them: a person told is not told again by mail. Returns how many were not
/// booked before.
fn book(
    conn: &Connection,
    campaign: CampaignId,
    whom: Whom,
    channel: OtherChannel,
    by: &Actor,
    now: Time,
) -> Result<usize, StoreError> {
    let (delivery, bad_row) = match whom {
        Whom::Delivery(id) => (Value::Integer(id.row()), Value::Null),
        Whom::BadRow(id) => (Value::Null, Value::Integer(id.row())),
    };
    let booked = run(
        conn,
        "book a person told otherwise",
        "INSERT OR IGNORE INTO told_otherwise (campaign, delivery, bad_row, channel, by, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![campaign.row(), delivery, bad_row, channel.name(), Text(by), Micros(now)],
    )?;
    // What is on the wire ends by itself, and is not tried again (`end_retries`). What may have left stays in doubt.
    run(
        conn,
        "let go of a person told otherwise",
        "UPDATE deliveries
         SET state = CASE possibly_twice WHEN 1 THEN 'in_doubt' ELSE 'cancelled' END,
             detail = CASE possibly_twice WHEN 1 THEN NULL ELSE ?3 END,
             due = NULL, lease_by = NULL, lease_until = NULL, since = ?2
         WHERE id = ?1 AND state IN ('ready', 'leased', 'held')",
        params![delivery, Micros(now), json_text(by)],
    )?;
    let sql = "UPDATE deliveries SET due = NULL WHERE id = ?1 AND state = 'in_doubt' AND due IS NOT NULL";
    run(conn, "try no more", sql, params![delivery])?;
    Ok(booked)
}

/// What becomes of a message that comes back from the wire, when its person was told by another channel meanwhile: it is
/// not tried again.
pub(super) fn end_retries(
    conn: &Connection,
    delivery: DeliveryId,
    possibly_twice: bool,
    to: DeliveryState,
    now: Time,
) -> Result<DeliveryState, StoreError> {
    let waits = matches!(to, DeliveryState::Ready { .. } | DeliveryState::Held { .. })
        || matches!(to, DeliveryState::InDoubt { next: Some(_), .. });
    let sql = "SELECT by FROM told_otherwise WHERE delivery = ?1";
    if !waits {
        return Ok(to);
    }
    let told: Vec<Actor> = all(conn, "look who was told otherwise", sql, [delivery.row()], |row| {
        Ok(row.get::<_, Text<_>>(0)?.0)
    })?;
    Ok(match (told.into_iter().next(), to) {
        (None, to) => to,
        (Some(_), DeliveryState::InDoubt { since, .. }) => DeliveryState::InDoubt { since, next: None },
        (Some(_), _) if possibly_twice => DeliveryState::InDoubt { since: now, next: None },
        (Some(by), _) => DeliveryState::Cancelled { by, at: now },
    })
}

/// The persons of this campaign that are meant.
fn resolve(conn: &Connection, campaign: CampaignId, who: &WhoTold, at: &AtAddress) -> Result<Vec<Whom>, StoreError> {
    let step = "find a person";
    let delivery = |row: &Row<'_>| row.get(0).map(|id| Whom::Delivery(DeliveryId::new(id)));
    let bad_row = |row: &Row<'_>| row.get(0).map(|id| Whom::BadRow(BadRowId::new(id)));
    match who {
        WhoTold::Whom(Whom::Delivery(id)) => {
            let sql = "SELECT id FROM deliveries WHERE id = ?2 AND campaign = ?1";
            all(conn, step, sql, [campaign.row(), id.row()], delivery)
        }
        WhoTold::Whom(Whom::BadRow(id)) => {
            let sql = "SELECT id FROM bad_rows WHERE id = ?2 AND campaign = ?1";
            all(conn, step, sql, [campaign.row(), id.row()], bad_row)
        }
        WhoTold::Key(key) => {
            let values = params![campaign.row(), key.0];
            let sql = "SELECT delivery FROM persons WHERE campaign = ?1 AND person = ?2";
            let mut found = all(conn, step, sql, values, delivery)?;
            let sql = "SELECT id FROM bad_rows WHERE campaign = ?1 AND person = ?2";
            found.extend(all(conn, step, sql, values, bad_row)?);
            Ok(found)
        }
        WhoTold::At { address, name } => {
            let found = at.get(&fold_address(address)).cloned().unwrap_or_default();
            match name {
                Some(name) => of_name(conn, found, &plain(name)),
                None => Ok(found),
            }
        }
    }
}

/// Those of one address who have this name; where none has, whoever has no name there.
fn of_name(conn: &Connection, found: Vec<Whom>, wanted: &str) -> Result<Vec<Whom>, StoreError> {
    let (mut named, mut nameless) = (Vec::new(), Vec::new());
    for whom in found {
        let (sql, id) = match whom {
            Whom::Delivery(id) => ("SELECT fields FROM persons WHERE delivery = ?1", id.row()),
            Whom::BadRow(id) => ("SELECT fields FROM bad_rows WHERE id = ?1", id.row()),
        };
        let fields: Fields = only(conn, "read a person's name", sql, [id], |row| {
            Ok(row.get::<_, Json<_>>(0)?.0)
        })?;
        let names = fields.all("name");
        if names.iter().any(|name| plain(name) == wanted) {
            named.push(whom);
        } else if names.is_empty() {
            nameless.push(whom);
        }
    }
    Ok(if named.is_empty() { nameless } else { named })
}

/// What is known of one person of the ledger.
pub(super) fn found(conn: &Connection, delivery: DeliveryId) -> Result<Option<FoundPerson>, StoreError> {
    let sql = "SELECT d.campaign, d.id, t.channel, t.at, t.by
               FROM deliveries d LEFT JOIN told_otherwise t ON t.delivery = d.id WHERE d.id = ?1";
    one(conn, "read a person who was found", sql, [delivery.row()], read_found)
}

/// What is known of one row that cannot be used.
pub(super) fn found_row(conn: &Connection, row: BadRowId) -> Result<Option<FoundRow>, StoreError> {
    let sql = "SELECT b.campaign, b.id, t.channel, t.at, l.file, b.row, b.reason
               FROM bad_rows b JOIN lists l ON l.id = b.list LEFT JOIN told_otherwise t ON t.bad_row = b.id WHERE b.id = ?1";
    one(conn, "read a bad row that was found", sql, [row.row()], |row| {
        Ok(FoundRow {
            campaign: CampaignId::new(row.get(0)?),
            bad_row: BadRowId::new(row.get(1)?),
            file: row.get(4)?,
            row: row.get::<_, i64>(5)?.cast_unsigned(),
            reason: row.get(6)?,
            told_otherwise: read_told(row)?,
        })
    })
}

/// By which channel, in column 2, and when, in column 3.
fn read_told(row: &Row<'_>) -> rusqlite::Result<Option<(OtherChannel, Time)>> {
    let channel = match row.get::<_, Option<String>>(2)?.as_deref() {
        None => return Ok(None),
        Some("post") => OtherChannel::Post,
        Some(_) => OtherChannel::Phone,
    };
    Ok(Some((channel, row.get::<_, Micros>(3)?.0)))
}

fn read_found(row: &Row<'_>) -> rusqlite::Result<FoundPerson> {
    let told_otherwise = match read_told(row)? {
        Some((channel, at)) => Some((channel, at, row.get::<_, Text<_>>(4)?.0)),
        None => None,
    };
    Ok(FoundPerson {
        campaign: CampaignId::new(row.get(0)?),
        delivery: DeliveryId::new(row.get(1)?),
        told_otherwise,
    })
}
