//! Alerts: raised, repeated, seen, ended. What is told through which channel lies in `tellings`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::TimeDelta;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::rows::{Json, Micros, Text, Word, all, one, run};
use super::{Sqlite, Tx, journal, tellings};
use crate::model::Time;
use crate::model::alert::{Alarm, Alert, Seen};
use crate::model::id::{Actor, AlertId, WorkerId};
use crate::store::{Alarms, Changes, StoreError, StoredAlert, TellingClaim, Told};

#[async_trait]
impl Alarms for Sqlite {
    async fn lead(
        &self,
        by: WorkerId,
        dead: Option<WorkerId>,
        now: Time,
        lease: TimeDelta,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| lead(tx, by, dead, now, lease)).await
    }

    async fn find_leader(&self) -> Result<Option<WorkerId>, StoreError> {
        self.read(|conn| {
            let sql = "SELECT lease_by FROM clerk";
            one(conn, "find the clerk", sql, [], |row| {
                row.get::<_, Text<_>>(0).map(|t| t.0)
            })
        })
        .await
    }

    async fn end_lead(&self, by: WorkerId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "DELETE FROM clerk WHERE lease_by = ?1";
            run(tx.conn, "end the clerk's lease", sql, [Text(by)]).map(drop)
        })
        .await
    }

    async fn set_alarms(
        &self,
        holding: Vec<Alarm>,
        channels: Vec<String>,
        by: &Actor,
        now: Time,
    ) -> Result<Changes, StoreError> {
        let by = by.clone();
        self.write(move |tx| set(tx, &holding, &channels, &by, now)).await
    }

    async fn repeat_alert(
        &self,
        id: AlertId,
        reminders: u32,
        channels: Vec<String>,
        by: &Actor,
        now: Time,
    ) -> Result<bool, StoreError> {
        let by = by.clone();
        self.write(move |tx| repeat(tx, id, reminders, &channels, &by, now))
            .await
    }

    async fn acknowledge_alert(
        &self,
        id: AlertId,
        note: Option<&str>,
        by: &Actor,
        now: Time,
    ) -> Result<Alert, StoreError> {
        let (note, by) = (note.map(str::to_owned), by.clone());
        self.write(move |tx| acknowledge(tx, id, note.as_deref(), &by, now))
            .await
    }

    async fn list_open_alerts(&self) -> Result<Vec<StoredAlert>, StoreError> {
        self.read(|conn| {
            let sql = format!("{ALERT} WHERE resolved_at IS NULL ORDER BY id");
            with_tellings(conn, all(conn, "list the open alerts", &sql, [], read_alert)?)
        })
        .await
    }

    async fn list_alerts(&self, most: u32) -> Result<Vec<StoredAlert>, StoreError> {
        self.read(move |conn| {
            let sql = format!("{ALERT} ORDER BY id DESC LIMIT ?1");
            with_tellings(conn, all(conn, "list the alerts", &sql, [most], read_alert)?)
        })
        .await
    }

    async fn claim_tellings(
        &self,
        by: WorkerId,
        most: u32,
        now: Time,
        lease: TimeDelta,
    ) -> Result<Vec<TellingClaim>, StoreError> {
        self.write(move |tx| tellings::claim(tx, by, most, now, lease)).await
    }

    async fn told(&self, claim: TellingClaim, outcome: Told, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| tellings::told(tx, &claim, &outcome, now)).await
    }
}

fn lead(
    tx: &mut Tx<'_>,
    by: WorkerId,
    dead: Option<WorkerId>,
    now: Time,
    lease: TimeDelta,
) -> Result<bool, StoreError> {
    let changed = run(
        tx.conn,
        "take the clerk's lease",
        "INSERT INTO clerk (one, lease_by, lease_until) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET lease_by = excluded.lease_by, lease_until = excluded.lease_until
             WHERE lease_by = ?1 OR lease_by = ?3 OR lease_until <= ?4",
        params![Text(by), Micros(now + lease), dead.map(Text), Micros(now)],
    )?;
    Ok(changed == 1)
}

pub(super) const ALERT: &str = "SELECT id, condition, stage, about, due, since, raised_at, reminders, reminded_at,
         acknowledged_at, acknowledged_by, note, resolved_at
     FROM alerts";

pub(super) fn read_alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let time = |name| Ok::<_, rusqlite::Error>(row.get::<_, Option<Micros>>(name)?.map(|m| m.0));
    let acknowledged = match time("acknowledged_at")? {
        None => None,
        Some(at) => Some(Seen {
            at,
            by: row.get::<_, Text<_>>("acknowledged_by")?.0,
            note: row.get("note")?,
        }),
    };
    Ok(Alert {
        id: AlertId::new(row.get("id")?),
        alarm: Alarm {
            condition: row.get::<_, Word<_>>("condition")?.0,
            stage: row.get::<_, Text<_>>("stage")?.0,
            about: row.get::<_, Json<_>>("about")?.0,
            due: time("due")?,
            since: time("since")?,
        },
        raised_at: row.get::<_, Micros>("raised_at")?.0,
        reminders: row.get("reminders")?,
        reminded_at: row.get::<_, Micros>("reminded_at")?.0,
        acknowledged,
        resolved_at: time("resolved_at")?,
    })
}

fn with_tellings(conn: &Connection, alerts: Vec<Alert>) -> Result<Vec<StoredAlert>, StoreError> {
    let stored = alerts.into_iter().map(|alert| {
        let tellings = tellings::of(conn, alert.id)?;
        Ok(StoredAlert { alert, tellings })
    });
    stored.collect()
}

pub(super) fn find(conn: &Connection, id: AlertId) -> Result<Alert, StoreError> {
    let sql = format!("{ALERT} WHERE id = ?1");
    one(conn, "read the alert", &sql, [id.row()], read_alert)?.ok_or_else(|| StoreError::NotFound {
        what: "alert",
        id: id.to_string(),
    })
}

fn set(tx: &mut Tx<'_>, holding: &[Alarm], channels: &[String], by: &Actor, now: Time) -> Result<Changes, StoreError> {
    let sql = "SELECT key, id FROM alerts WHERE resolved_at IS NULL";
    let open = all(tx.conn, "list the open alerts", sql, [], |row| {
        Ok((row.get::<_, String>(0)?, AlertId::new(row.get(1)?)))
    })?;
    let mut ended: BTreeMap<String, AlertId> = open.into_iter().collect();
    let mut changes = Changes::default();
    for alarm in holding {
        let key = alarm.key();
        // Still open. An alarm that is listed twice is found open by the question below.
        if ended.remove(&key).is_some() {
            continue;
        }
        let sql = "SELECT id, resolved_at IS NULL FROM alerts WHERE key = ?1";
        let known = one(tx.conn, "look for the alert", sql, [&key], |row| {
            Ok((AlertId::new(row.get(0)?), row.get(1)?))
        })?;
        match known {
            Some((_, true)) => {}
            Some((id, false)) => {
                reopen(tx, id, alarm, by, now)?;
                changes.reopened.push(id);
            }
            None => changes.raised.push(raise(tx, &key, alarm, channels, by, now)?),
        }
    }
    for id in ended.into_values() {
        resolve(tx, id, by, now)?;
        changes.resolved.push(id);
    }
    Ok(changes)
}

fn raise(
    tx: &mut Tx<'_>,
    key: &str,
    alarm: &Alarm,
    channels: &[String],
    by: &Actor,
    now: Time,
) -> Result<AlertId, StoreError> {
    run(
        tx.conn,
        "raise the alert",
        "INSERT INTO alerts (key, condition, stage, about, due, since, raised_at, reminded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![
            key,
            alarm.condition.name(),
            Text(alarm.stage),
            Json(&alarm.about),
            alarm.due.map(Micros),
            alarm.since.map(Micros),
            Micros(now)
        ],
    )?;
    let id = AlertId::new(tx.conn.last_insert_rowid());
    tellings::add(tx, id, 0, channels, now)?;
    let mut facts = facts(id, alarm);
    facts["channels"] = json!(channels);
    journal::append(tx, "alert.raised", &facts, by, now)?;
    Ok(id)
}

/// Keeps `reminded_at`: however often it comes and goes, it is not told more often than a reminder would be.
fn reopen(tx: &mut Tx<'_>, id: AlertId, alarm: &Alarm, by: &Actor, now: Time) -> Result<(), StoreError> {
    run(
        tx.conn,
        "reopen the alert",
        "UPDATE alerts SET resolved_at = NULL, acknowledged_at = NULL, acknowledged_by = NULL, note = NULL
         WHERE id = ?1 AND resolved_at IS NOT NULL",
        [id.row()],
    )?;
    journal::append(tx, "alert.reopened", &facts(id, alarm), by, now).map(drop)
}

fn resolve(tx: &mut Tx<'_>, id: AlertId, by: &Actor, now: Time) -> Result<(), StoreError> {
    run(
        tx.conn,
        "end the alert",
        "UPDATE alerts SET resolved_at = ?2 WHERE id = ?1 AND resolved_at IS NULL",
        params![id.row(), Micros(now)],
    )?;
    tellings::drop_unsent(tx, id, now)?;
    journal::append(tx, "alert.resolved", &json!({ "alert": id }), by, now).map(drop)
}

fn repeat(
    tx: &mut Tx<'_>,
    id: AlertId,
    reminders: u32,
    channels: &[String],
    by: &Actor,
    now: Time,
) -> Result<bool, StoreError> {
    let changed = run(
        tx.conn,
        "repeat the alert",
        "UPDATE alerts SET reminders = reminders + 1, reminded_at = ?3
         WHERE id = ?1 AND reminders = ?2 AND acknowledged_at IS NULL AND resolved_at IS NULL",
        params![id.row(), reminders, Micros(now)],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    let round = reminders + 1;
    // What the last round could not send says the same.
    tellings::drop_unsent(tx, id, now)?;
    tellings::add(tx, id, round, channels, now)?;
    let facts = json!({ "alert": id, "round": round, "channels": channels });
    journal::append(tx, "alert.repeated", &facts, by, now)?;
    Ok(true)
}

fn acknowledge(tx: &mut Tx<'_>, id: AlertId, note: Option<&str>, by: &Actor, now: Time) -> Result<Alert, StoreError> {
    let changed = run(
        tx.conn,
        "acknowledge the alert",
        "UPDATE alerts SET acknowledged_at = ?2, acknowledged_by = ?3, note = ?4
         WHERE id = ?1 AND acknowledged_at IS NULL",
        params![id.row(), Micros(now), Text(by), note],
    )?;
    if changed == 1 {
        tellings::drop_unsent(tx, id, now)?;
        journal::append(tx, "alert.acknowledged", &json!({ "alert": id }), by, now)?;
    }
    find(tx.conn, id)
}

/// What the journal keeps of it: ids and words of ours.
fn facts(id: AlertId, alarm: &Alarm) -> Value {
    let about = &alarm.about;
    json!({
        "alert": id, "condition": alarm.condition.name(), "stage": alarm.stage, "breach": about.breach,
        "notice": about.notice, "authority": about.authority, "fingerprint": about.fingerprint,
        "campaign": about.campaign, "mail": about.mail, "part": about.part,
    })
}
