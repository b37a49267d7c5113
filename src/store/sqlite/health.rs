//! Whether relay, mailbox and other things can be reached. Findings of the moment: not journalled.

use async_trait::async_trait;
use chrono::TimeDelta;
use rusqlite::{Connection, Row, params};

use super::rows::{Micros, all, one, run};
use super::{Sqlite, Tx};
use crate::model::Time;
use crate::store::{Health, HealthNote, StoreError};

/// The same finding is not written again within this time.
const SAME_FINDING: TimeDelta = TimeDelta::minutes(1);

#[async_trait]
impl Health for Sqlite {
    async fn note_health(&self, what: &str, fault: Option<&str>, now: Time) -> Result<(), StoreError> {
        let (what, fault) = (what.to_owned(), fault.map(str::to_owned));
        let known = {
            let what = what.clone();
            self.read(move |conn| find(conn, &what)).await?
        };
        let fresh = |note: &HealthNote| now >= note.at && now - note.at < SAME_FINDING;
        if known.is_some_and(|note| note.fault == fault && fresh(&note)) {
            return Ok(());
        }
        self.write(move |tx| put(tx, &what, fault.as_deref(), now)).await
    }

    async fn list_health(&self) -> Result<Vec<HealthNote>, StoreError> {
        self.read(|conn| {
            let sql = format!("{NOTE} ORDER BY what");
            all(conn, "list what can be reached", &sql, [], read_note)
        })
        .await
    }
}

const NOTE: &str = "SELECT what, since, at, fault FROM health";

fn read_note(row: &Row<'_>) -> rusqlite::Result<HealthNote> {
    Ok(HealthNote {
        what: row.get(0)?,
        since: row.get::<_, Micros>(1)?.0,
        at: row.get::<_, Micros>(2)?.0,
        fault: row.get(3)?,
    })
}

fn find(conn: &Connection, what: &str) -> Result<Option<HealthNote>, StoreError> {
    let sql = format!("{NOTE} WHERE what = ?1");
    one(conn, "read what can be reached", &sql, [what], read_note)
}

/// `since` stays while it keeps working or keeps failing; a clock set back never puts it after `at`.
fn put(tx: &mut Tx<'_>, what: &str, fault: Option<&str>, now: Time) -> Result<(), StoreError> {
    run(
        tx.conn,
        "note what can be reached",
        "INSERT INTO health (what, since, at, fault) VALUES (?1, ?3, ?3, ?2)
         ON CONFLICT (what) DO UPDATE SET
             since = CASE WHEN (fault IS NULL) = (excluded.fault IS NULL) THEN min(since, excluded.since)
                          ELSE excluded.since END,
             at = excluded.at, fault = excluded.fault",
        params![what, fault, Micros(now)],
    )
    .map(drop)
}
