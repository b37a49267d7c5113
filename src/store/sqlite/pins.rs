//! Certificates of authorities. A pin is never removed: the next one takes its place.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::rows::{Micros, Text, all, one, run};
use super::{Sqlite, Tx, journal};
use crate::model::Time;
use crate::store::{Pin, Pins, StoreError, chain};

#[async_trait]
impl Pins for Sqlite {
    async fn pin(&self, pin: Pin, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| add(tx, &pin, now)).await
    }

    async fn find_pin(&self, authority: &str) -> Result<Option<Pin>, StoreError> {
        let authority = authority.to_owned();
        self.read(move |conn| find(conn, &authority)).await
    }

    async fn list_pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.read(|conn| {
            let sql = format!("{PIN} ORDER BY authority");
            all(conn, "list the pins", &sql, [], read_pin)
        })
        .await
    }
}

const PIN: &str = "SELECT authority, fingerprint, certificate, verified, imported_by, imported_at, accepted_user_id
     FROM pins WHERE current = 1";

fn read_pin(row: &Row<'_>) -> rusqlite::Result<Pin> {
    Ok(Pin {
        authority: row.get(0)?,
        fingerprint: row.get(1)?,
        certificate: row.get(2)?,
        verified: row.get(3)?,
        imported_by: row.get::<_, Text<_>>(4)?.0,
        imported_at: row.get::<_, Micros>(5)?.0,
        accepted_user_id: row.get(6)?,
    })
}

fn find(conn: &Connection, authority: &str) -> Result<Option<Pin>, StoreError> {
    let sql = format!("{PIN} AND authority = ?1");
    one(conn, "read the pin", &sql, [authority], read_pin)
}

/// Makes it the pin, with the journal entry of the person who imported it.
pub(super) fn add(tx: &mut Tx<'_>, pin: &Pin, now: Time) -> Result<(), StoreError> {
    let before = replace(tx, pin)?;
    let facts = json!({
        "authority": pin.authority, "fingerprint": pin.fingerprint, "verified": pin.verified,
        "certificate_sha256": chain::sha256(&pin.certificate), "fingerprint_before": before,
    });
    journal::append(tx, "certificate.pinned", &facts, &pin.imported_by, now).map(drop)
}

/// Makes it the pin, without a journal entry; returns the fingerprint of the one before.
pub(super) fn replace(tx: &mut Tx<'_>, pin: &Pin) -> Result<Option<String>, StoreError> {
    let before: Option<String> = one(
        tx.conn,
        "replace the pin",
        "UPDATE pins SET current = 0 WHERE authority = ?1 AND current = 1 RETURNING fingerprint",
        [&pin.authority],
        |row| row.get(0),
    )?;
    run(
        tx.conn,
        "add the pin",
        "INSERT INTO pins (authority, fingerprint, certificate, verified, imported_by, imported_at,
             accepted_user_id, current)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
        params![
            pin.authority,
            pin.fingerprint,
            pin.certificate,
            pin.verified,
            Text(&pin.imported_by),
            Micros(pin.imported_at),
            pin.accepted_user_id
        ],
    )?;
    Ok(before)
}
