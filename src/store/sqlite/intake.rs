//! Mail as it came in: the bytes first, what was understood of them later.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::rows::{Json, Micros, all, one, only, run};
use super::{Sqlite, Tx, conversation, journal};
use crate::model::Time;
use crate::model::id::{Actor, MailId};
use crate::store::{Consequences, Intake, StoreError, StoredMail, Understanding, chain};

#[async_trait]
impl Intake for Sqlite {
    async fn add_mail(&self, raw: &[u8], source: &str, now: Time) -> Result<(MailId, bool), StoreError> {
        let (raw, source) = (raw.to_vec(), source.to_owned());
        self.write(move |tx| add_mail(tx, &raw, &source, now)).await
    }

    async fn find_mail(&self, id: MailId) -> Result<Option<StoredMail>, StoreError> {
        self.read(move |conn| find_mail(conn, id)).await
    }

    async fn newest_mail(&self) -> Result<Option<MailId>, StoreError> {
        self.read(|conn| {
            let sql = "SELECT MAX(id) FROM mails";
            only(conn, "look for the newest mail", sql, [], |row| {
                Ok(row.get::<_, Option<i64>>(0)?.map(MailId::new))
            })
        })
        .await
    }

    async fn list_unread(&self) -> Result<Vec<MailId>, StoreError> {
        self.read(|conn| {
            let sql = "SELECT id FROM mails WHERE understanding IS NULL ORDER BY id";
            all(conn, "list the unread mails", sql, [], |row| {
                row.get(0).map(MailId::new)
            })
        })
        .await
    }

    async fn understood(
        &self,
        id: MailId,
        understanding: Understanding,
        consequences: Consequences,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| conversation::understood(tx, id, &understanding, &consequences, &by, now))
            .await
    }

    async fn list_tray(&self) -> Result<Vec<StoredMail>, StoreError> {
        self.read(|conn| {
            let sql = format!("{MAIL} WHERE in_tray = 1 ORDER BY id");
            all(conn, "list the tray", &sql, [], |row| read_mail(row, Vec::new()))
        })
        .await
    }

    async fn tray_waits_since(&self) -> Result<Option<Time>, StoreError> {
        self.read(|conn| {
            one(conn, "look into the tray", FIRST_IN_TRAY, [], |row| {
                Ok(row.get::<_, Micros>(0)?.0)
            })
        })
        .await
    }

    async fn seen(&self, source: &str) -> Result<bool, StoreError> {
        let source = source.to_owned();
        self.read(move |conn| {
            let sql = "SELECT EXISTS (SELECT 1 FROM mail_positions WHERE source = ?1)";
            only(conn, "look for the position", sql, [source], |row| row.get(0))
        })
        .await
    }
}

/// In the order in which they came: thousands may wait, and one is read.
pub(super) const FIRST_IN_TRAY: &str = "SELECT received_at FROM mails WHERE in_tray = 1 ORDER BY id LIMIT 1";

fn add_mail(tx: &mut Tx<'_>, raw: &[u8], source: &str, now: Time) -> Result<(MailId, bool), StoreError> {
    let sha256 = chain::sha256(raw);
    let sql = "SELECT id FROM mails WHERE sha256 = ?1";
    let known = one(tx.conn, "look for the mail", sql, [&sha256], |row| {
        row.get(0).map(MailId::new)
    })?;
    let id = match known {
        Some(id) => id,
        None => {
            run(
                tx.conn,
                "add the mail",
                "INSERT INTO mails (received_at, source, sha256) VALUES (?1, ?2, ?3)",
                params![Micros(now), source, sha256],
            )?;
            let id = MailId::new(tx.conn.last_insert_rowid());
            run(
                tx.conn,
                "add the mail's bytes",
                "INSERT INTO mail_bytes (mail, raw) VALUES (?1, ?2)",
                params![id.row(), raw],
            )?;
            let facts = json!({ "mail": id, "sha256": sha256, "size_bytes": raw.len() });
            let intake = Actor::Loop("intake".to_owned());
            journal::append(tx, "mail.received", &facts, &intake, now)?;
            id
        }
    };
    run(
        tx.conn,
        "keep the mail's position",
        "INSERT INTO mail_positions (source, mail) VALUES (?1, ?2) ON CONFLICT (source) DO NOTHING",
        params![source, id.row()],
    )?;
    Ok((id, known.is_none()))
}

/// A mail without its bytes.
pub(super) const MAIL: &str = "SELECT id, received_at, source, sha256, understanding, in_tray, settled FROM mails";

pub(super) fn read_mail(row: &Row<'_>, raw: Vec<u8>) -> rusqlite::Result<StoredMail> {
    Ok(StoredMail {
        id: MailId::new(row.get(0)?),
        received_at: row.get::<_, Micros>(1)?.0,
        source: row.get(2)?,
        sha256: row.get(3)?,
        raw,
        understanding: row.get::<_, Option<Json<_>>>(4)?.map(|json| json.0),
        in_tray: row.get(5)?,
        settled: row.get::<_, Option<Json<_>>>(6)?.map(|json| json.0),
    })
}

fn find_mail(conn: &Connection, id: MailId) -> Result<Option<StoredMail>, StoreError> {
    let step = "read the mail";
    let sql = "SELECT raw FROM mail_bytes WHERE mail = ?1";
    let raw: Option<Vec<u8>> = one(conn, step, sql, [id.row()], |row| row.get(0))?;
    let sql = format!("{MAIL} WHERE id = ?1");
    one(conn, step, &sql, [id.row()], |row| {
        read_mail(row, raw.unwrap_or_default())
    })
}
