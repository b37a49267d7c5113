//! Which alert was or is to be told through which channel.

use chrono::TimeDelta;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::alarms::read_alert;
use super::rows::{Micros, Text, all, only, run};
use super::{Tx, journal};
use crate::model::Time;
use crate::model::id::{Actor, AlertId, WorkerId};
use crate::store::{StoreError, Telling, TellingClaim, TellingState, Told};

/// Makes a round's tellings, due at once.
pub(super) fn add(
    tx: &mut Tx<'_>,
    alert: AlertId,
    round: u32,
    channels: &[String],
    now: Time,
) -> Result<(), StoreError> {
    for channel in channels {
        run(
            tx.conn,
            "add the telling",
            "INSERT INTO alert_tellings (alert, channel, round, state, due) VALUES (?1, ?2, ?3, 'due', ?4)
             ON CONFLICT (alert, channel, round) DO NOTHING",
            params![alert.row(), channel, round, Micros(now)],
        )?;
    }
    Ok(())
}

/// Ends what was not sent yet; what is being sent finds out when it is done.
pub(super) fn drop_unsent(tx: &mut Tx<'_>, alert: AlertId, now: Time) -> Result<(), StoreError> {
    run(
        tx.conn,
        "drop what was not told yet",
        "UPDATE alert_tellings SET state = 'dropped', at = ?2, due = NULL, lease_by = NULL, lease_until = NULL
         WHERE alert = ?1 AND state IN ('due', 'leased')",
        params![alert.row(), Micros(now)],
    )
    .map(drop)
}

/// Oldest first.
pub(super) fn of(conn: &Connection, alert: AlertId) -> Result<Vec<Telling>, StoreError> {
    all(
        conn,
        "list what was told",
        "SELECT channel, round, state, tries, due, lease_by, lease_until, at, fault FROM alert_tellings
         WHERE alert = ?1 ORDER BY round, id",
        [alert.row()],
        |row| {
            Ok(Telling {
                channel: row.get("channel")?,
                round: row.get("round")?,
                state: read_state(row)?,
                tries: row.get("tries")?,
                fault: row.get("fault")?,
            })
        },
    )
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<TellingState> {
    let time = |name| row.get::<_, Micros>(name).map(|m| m.0);
    Ok(match row.get_ref("state")?.as_str()? {
        "due" => TellingState::Due {
            not_before: time("due")?,
        },
        "leased" => TellingState::Leased {
            by: row.get::<_, Text<_>>("lease_by")?.0,
            until: time("lease_until")?,
        },
        "sent" => TellingState::Sent { at: time("at")? },
        "failed" => TellingState::Failed { at: time("at")? },
        // The table's CHECK leaves no other word.
        _ => TellingState::Dropped { at: time("at")? },
    })
}

pub(super) fn claim(
    tx: &mut Tx<'_>,
    by: WorkerId,
    most: u32,
    now: Time,
    lease: TimeDelta,
) -> Result<Vec<TellingClaim>, StoreError> {
    let mut rows = all(
        tx.conn,
        "claim what is to be told",
        "UPDATE alert_tellings SET state = 'leased', due = NULL, lease_by = ?1, lease_until = ?2
         WHERE id IN (SELECT id FROM alert_tellings
                      WHERE (state = 'due' AND due <= ?3)
                         OR (state = 'leased' AND (lease_by <> ?1 OR lease_until <= ?3))
                      ORDER BY id LIMIT ?4)
         RETURNING id",
        params![Text(by), Micros(now + lease), Micros(now), most],
        |row| row.get::<_, i64>(0),
    )?;
    // RETURNING has no order and joins nothing.
    rows.sort_unstable();
    let claims = rows.into_iter().map(|telling| {
        only(
            tx.conn,
            "read what is to be told",
            "SELECT t.channel, t.round, t.tries, a.* FROM alert_tellings t JOIN alerts a ON a.id = t.alert
             WHERE t.id = ?1",
            [telling],
            |row| {
                Ok(TellingClaim {
                    telling,
                    by,
                    alert: read_alert(row)?,
                    channel: row.get("channel")?,
                    round: row.get("round")?,
                    tries: row.get("tries")?,
                })
            },
        )
    });
    claims.collect()
}

pub(super) fn told(tx: &mut Tx<'_>, claim: &TellingClaim, outcome: &Told, now: Time) -> Result<(), StoreError> {
    let (state, due, at, fault) = match outcome {
        Told::Sent => ("sent", None, Some(now), None),
        Told::Again { fault, next } => ("due", Some(*next), None, Some(fault)),
        Told::Failed { fault } => ("failed", None, Some(now), Some(fault)),
        Told::Untried => ("due", Some(now), None, None),
    };
    let changed = run(
        tx.conn,
        "book what was told",
        "UPDATE alert_tellings SET state = ?3, due = ?4, at = ?5, fault = coalesce(?6, fault), tries = tries + ?7,
             lease_by = NULL, lease_until = NULL
         WHERE id = ?1 AND state = 'leased' AND lease_by = ?2",
        params![
            claim.telling,
            Text(claim.by),
            state,
            due.map(Micros),
            at.map(Micros),
            fault,
            !matches!(outcome, Told::Untried)
        ],
    )?;
    if changed == 0 || matches!(outcome, Told::Again { .. } | Told::Untried) {
        return Ok(());
    }
    let facts = json!({ "alert": claim.alert.id, "channel": claim.channel, "round": claim.round, "outcome": state });
    let clerk = Actor::Loop("clerk".to_owned());
    journal::append(tx, "alert.told", &facts, &clerk, now).map(drop)
}
