//! The store as a file: which one it is, and a consistent copy of it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use async_trait::async_trait;
use rusqlite::params;
use serde_json::json;

use super::rows::{Micros, all, one, run};
use super::{Sqlite, Tx, connect, decisions, folder_error, journal, not_opened};
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, DeliveryId};
use crate::store::{Copied, Custody, StoreError};

/// Told of what the store this one was copied from may have sent since.
const COPIED: &str = "this store is a copy or was restored: what was sent since is not known here";

#[async_trait]
impl Custody for Sqlite {
    async fn settle_identity(&self, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError> {
        let inode = self.inode()?;
        let known = self.read(known_inode).await?;
        if known == Some(inode) {
            return Ok(None);
        }
        let by = by.clone();
        self.write(move |tx| settle(tx, inode, &by, now)).await
    }

    async fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let (place, key, to) = (self.place.path.clone(), self.place.key.clone(), to.to_owned());
        let copy = move || {
            // A connection of its own: a copy of millions of rows takes a while, and nobody waits for it.
            let conn = connect(&place, &key)?;
            let target = to.to_str().ok_or_else(|| StoreError::Folder {
                path: to.display().to_string(),
                source: std::io::Error::other("the path is not Unicode"),
            })?;
            conn.execute("VACUUM INTO ?1", [target])
                .map_err(|e| not_opened(&to, e))?;
            std::fs::File::open(&to)
                .and_then(|file| file.sync_all())
                .map_err(|source| folder_error(&to, source))
        };
        tokio::task::spawn_blocking(copy)
            .await
            .expect("copying the store does not panic")
    }
}

impl Sqlite {
    fn inode(&self) -> Result<i64, StoreError> {
        let path = &self.place.path;
        let facts = std::fs::metadata(path).map_err(|source| folder_error(path, source))?;
        Ok(facts.ino().cast_signed())
    }
}

fn known_inode(conn: &rusqlite::Connection) -> Result<Option<i64>, StoreError> {
    one(
        conn,
        "read the store's identity",
        "SELECT inode FROM identity",
        [],
        |row| row.get(0),
    )
}

/// `None` when the store was new or somebody else was quicker.
fn settle(tx: &mut Tx<'_>, inode: i64, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError> {
    let known = known_inode(tx.conn)?;
    if known == Some(inode) {
        return Ok(None);
    }
    run(
        tx.conn,
        "keep the store's identity",
        "INSERT OR REPLACE INTO identity (only_one, inode, since) VALUES (1, ?1, ?2)",
        params![inode, Micros(now)],
    )?;
    if known.is_none() {
        return Ok(None);
    }
    let paused = run(
        tx.conn,
        "pause the campaigns of a copy",
        "UPDATE campaigns SET state = 'paused', paused_why = ?1 WHERE state IN ('running', 'scheduled')",
        [COPIED],
    )? as u64;
    let waiting = all(tx.conn, "list what a copy would send", WAITING, [], |row| {
        row.get(0).map(DeliveryId::new)
    })?;
    for delivery in &waiting {
        decisions::hold(tx, *delivery, HoldReason::Asked(COPIED.to_owned()), by, now)?;
    }
    let facts = json!({ "campaigns_paused": paused, "notices_held": waiting.len() });
    journal::append(tx, "store.copied", &facts, by, now)?;
    Ok(Some(Copied {
        campaigns_paused: paused,
        notices_held: waiting.len() as u64,
    }))
}

/// Notices that would leave by themselves.
const WAITING: &str = "SELECT id FROM deliveries WHERE notice IS NOT NULL AND state IN ('ready', 'leased', 'in_doubt')";
