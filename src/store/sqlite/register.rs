//! The register of breaches: records in versions, and each breach's timeline.

use async_trait::async_trait;
use chrono::Datelike;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::rows::{Json, Micros, Text, all, one, only, run};
use super::{Sqlite, Tx, journal};
use crate::model::Time;
use crate::model::id::{Actor, BreachId};
use crate::store::{LogEntry, Register, StoreError, StoredBreach, chain};

#[async_trait]
impl Register for Sqlite {
    async fn add_breach(&self, record: Value, by: &Actor, now: Time) -> Result<BreachId, StoreError> {
        let by = by.clone();
        self.write(move |tx| add_breach(tx, &record, &by, now)).await
    }

    async fn find_breach(&self, id: BreachId) -> Result<Option<StoredBreach>, StoreError> {
        self.read(move |conn| find_breach(conn, id)).await
    }

    async fn list_breaches(&self) -> Result<Vec<StoredBreach>, StoreError> {
        self.read(list_breaches).await
    }

    async fn update_breach(
        &self,
        id: BreachId,
        record: Value,
        event: &'static str,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| update_breach(tx, id, &record, event, &by, now))
            .await
    }

    async fn log(&self, id: BreachId, kind: &str, text: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (kind, text, by) = (kind.to_owned(), text.to_owned(), by.clone());
        self.write(move |tx| log(tx, id, &kind, &text, &by, now)).await
    }

    async fn timeline(&self, id: BreachId) -> Result<Vec<LogEntry>, StoreError> {
        self.read(move |conn| timeline(conn, id)).await
    }
}

/// The number is the next of the year; the transaction is IMMEDIATE, so nobody else takes it.
fn add_breach(tx: &mut Tx<'_>, record: &Value, by: &Actor, now: Time) -> Result<BreachId, StoreError> {
    let year = now.year();
    let number = only(
        tx.conn,
        "number the breach",
        "SELECT coalesce(max(number), 0) + 1 FROM breaches WHERE year = ?1",
        [year],
        |row| row.get(0),
    )?;
    let id = BreachId { year, number };
    run(
        tx.conn,
        "add the breach",
        "INSERT INTO breaches (id, year, number, version, opened_at, opened_by, updated_at)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?4)",
        params![Text(id), year, number, Micros(now), Text(by)],
    )?;
    add_version(tx, id, 1, record, by, now)?;
    add_line(tx, id, "opened", "", by, now)?;
    journal::append(tx, "breach.opened", &version_facts(id, 1, record), by, now)?;
    Ok(id)
}

fn add_version(
    tx: &mut Tx<'_>,
    id: BreachId,
    version: u32,
    record: &Value,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    run(
        tx.conn,
        "add the breach's record",
        "INSERT INTO breach_versions (breach, version, record, at, by) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![Text(id), version, chain::canonical(record), Micros(now), Text(by)],
    )?;
    Ok(())
}

fn version_facts(id: BreachId, version: u32, record: &Value) -> Value {
    json!({ "breach": id, "version": version, "record_sha256": chain::sha256(chain::canonical(record)) })
}

/// The breach with its current record.
const BREACH: &str = "SELECT b.id, v.record, b.opened_at, b.opened_by, b.updated_at, b.version
     FROM breaches b JOIN breach_versions v ON v.breach = b.id AND v.version = b.version";

fn read_breach(row: &Row<'_>) -> rusqlite::Result<StoredBreach> {
    Ok(StoredBreach {
        id: row.get::<_, Text<_>>(0)?.0,
        record: row.get::<_, Json<_>>(1)?.0,
        opened_at: row.get::<_, Micros>(2)?.0,
        opened_by: row.get::<_, Text<_>>(3)?.0,
        updated_at: row.get::<_, Micros>(4)?.0,
        version: row.get(5)?,
    })
}

fn find_breach(conn: &Connection, id: BreachId) -> Result<Option<StoredBreach>, StoreError> {
    one(
        conn,
        "read the breach",
        &format!("{BREACH} WHERE b.id = ?1"),
        [Text(id)],
        read_breach,
    )
}

fn list_breaches(conn: &Connection) -> Result<Vec<StoredBreach>, StoreError> {
    all(
        conn,
        "list the breaches",
        &format!("{BREACH} ORDER BY b.year DESC, b.number DESC"),
        [],
        read_breach,
    )
}

fn update_breach(
    tx: &mut Tx<'_>,
    id: BreachId,
    record: &Value,
    event: &str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let version = one(
        tx.conn,
        "update the breach",
        "UPDATE breaches SET version = version + 1, updated_at = ?2 WHERE id = ?1 RETURNING version",
        params![Text(id), Micros(now)],
        |row| row.get(0),
    )?
    .ok_or_else(|| missing(id))?;
    add_version(tx, id, version, record, by, now)?;
    let kind = event.strip_prefix("breach.").unwrap_or(event);
    add_line(tx, id, kind, &format!("record version {version}"), by, now)?;
    journal::append(tx, event, &version_facts(id, version, record), by, now).map(drop)
}

fn log(tx: &mut Tx<'_>, id: BreachId, kind: &str, text: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
    must_exist(tx.conn, id)?;
    add_line(tx, id, kind, text, by, now)?;
    let facts = json!({ "breach": id, "kind": kind, "text_sha256": chain::sha256(text) });
    journal::append(tx, "breach.logged", &facts, by, now).map(drop)
}

/// Adds a line to a breach's timeline; its journal entry is the caller's.
pub(super) fn add_line(
    tx: &mut Tx<'_>,
    id: BreachId,
    kind: &str,
    text: &str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    run(
        tx.conn,
        "add to the timeline",
        "INSERT INTO breach_log (breach, at, kind, text, by) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![Text(id), Micros(now), kind, text, Text(by)],
    )?;
    Ok(())
}

fn timeline(conn: &Connection, id: BreachId) -> Result<Vec<LogEntry>, StoreError> {
    all(
        conn,
        "read the timeline",
        "SELECT at, kind, text, by FROM breach_log WHERE breach = ?1 ORDER BY at, id",
        [Text(id)],
        |row| {
            Ok(LogEntry {
                at: row.get::<_, Micros>(0)?.0,
                kind: row.get(1)?,
                text: row.get(2)?,
                by: row.get::<_, Text<_>>(3)?.0,
            })
        },
    )
}

/// An error that names the breach, where a foreign key would only say that one failed.
pub(super) fn must_exist(conn: &Connection, id: BreachId) -> Result<(), StoreError> {
    one(
        conn,
        "look for the breach",
        "SELECT 1 FROM breaches WHERE id = ?1",
        [Text(id)],
        |_| Ok(()),
    )?
    .ok_or_else(|| missing(id))
}

fn missing(id: BreachId) -> StoreError {
    StoreError::NotFound {
        what: "breach",
        id: id.to_string(),
    }
}
