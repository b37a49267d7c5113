//! The store as a file: which one it is, whether it is a copy, and how one is made.
//!
//! A copy is known by its inode and birth, where it lies in another file, and by the mark (`mark`), where it was put back
//! over the file that it was made from.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use serde_json::json;

use super::mark::{self, Mark, Seen};
use super::rows::{Micros, all, one, run};
use super::{Sqlite, Tx, connect, decisions, folder_error, journal, not_opened};
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, CampaignId, DeliveryId};
use crate::store::{Copied, Custody, StoreError, chain};

/// Told of what the store this one was copied from may have sent since.
const COPIED: &str = "this store is a copy or was restored: what was sent since is not known here";

#[async_trait]
impl Custody for Sqlite {
    async fn settle_identity(&self, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError> {
        let facts = std::fs::metadata(&self.place.path).map_err(|source| folder_error(&self.place.path, source))?;
        let here = Here {
            inode: facts.ino().cast_signed(),
            born: born(&facts),
        };
        let mark = Arc::clone(&self.place.mark);
        match self.read(move |conn| whose(conn, here, &mark)).await? {
            Whose::Ours => {
                let mark = &self.place.mark;
                mark.go_on().map_err(|source| mark_error(mark.path(), source))?;
                return Ok(None);
            }
            // Before it counts: a crash in between must not look like a mark that was taken away.
            Whose::Nobodys | Whose::Unmarked => self.begin_mark(&facts).await?,
            Whose::Copy => {}
        }
        let (by, mark) = (by.clone(), Arc::clone(&self.place.mark));
        let copied = self.write(move |tx| settle(tx, here, &mark, &by, now)).await?;
        if copied.is_some() {
            // After it: until all of it is stopped, the mark that tells so stays.
            self.begin_mark(&facts).await?;
        }
        Ok(copied)
    }

    async fn copy_to(&self, to: &Path) -> Result<(u64, String), StoreError> {
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
            let copy = connect(&to, &key)?;
            let (length, hash) = journal::head(&copy)?;
            copy.close().map_err(|(_, e)| not_opened(&to, e))?;
            std::fs::File::open(&to)
                .and_then(|file| file.sync_all())
                .map_err(|source| folder_error(&to, source))?;
            Ok((length, chain::hex(&hash)))
        };
        tokio::task::spawn_blocking(copy)
            .await
            .expect("copying the store does not panic")
    }
}

impl Sqlite {
    async fn begin_mark(&self, store: &Metadata) -> Result<(), StoreError> {
        let head = self.read(mark::head).await?;
        let mark = &self.place.mark;
        mark.begin(head, store)
            .map_err(|source| mark_error(mark.path(), source))
    }
}

pub(super) fn mark_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Mark {
        path: path.display().to_string(),
        source,
    }
}

/// Follows the mark from now on, if this is the store that it was made for. Of any other, nothing may be written over what
/// the mark has seen before it is settled.
pub(super) fn follow_mark(conn: &Connection, mark: &Mark) -> Result<(), StoreError> {
    let failed = |source| mark_error(mark.path(), source);
    let known = known(conn)?.is_some_and(|known| known.marked);
    match mark.read().map_err(failed)? {
        Seen::UpTo(place) if known && mark::holds(conn, place)? => mark.go_on().map_err(failed),
        _ => Ok(()),
    }
}

/// What lies here.
#[derive(Clone, Copy)]
struct Here {
    inode: i64,
    /// Where the file system knows it.
    born: Option<i64>,
}
/// What the store says of itself.
struct Known {
    inode: i64,
    born: Option<i64>,
    marked: bool,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It was never asked, and no other store's mark lies beside it.
    Nobodys,
    /// An earlier version has asked it, which knew no mark.
    Unmarked,
    Ours,
    Copy,
}

fn born(facts: &Metadata) -> Option<i64> {
    let since = facts.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}

fn known(conn: &Connection) -> Result<Option<Known>, StoreError> {
    one(
        conn,
        "read the store's identity",
        "SELECT inode, born, marked FROM identity",
        [],
        |row| {
            Ok(Known {
                inode: row.get(0)?,
                born: row.get(1)?,
                marked: row.get(2)?,
            })
        },
    )
}

fn whose(conn: &Connection, here: Here, mark: &Mark) -> Result<Whose, StoreError> {
    // In this order: whoever calls the store marked has made the mark before, and what the mark has seen is committed.
    // Another process may be at either just now.
    let known = known(conn)?;
    let seen = mark.read().map_err(|source| mark_error(mark.path(), source))?;
    let held = match seen {
        Seen::Nothing => None,
        Seen::UpTo(place) => Some(mark::holds(conn, place)?),
    };
    let moved = |known: &Known| {
        let born_elsewhere = known.born.zip(here.born).is_some_and(|(known, here)| known != here);
        known.inode != here.inode || born_elsewhere
    };
    Ok(match (known, held) {
        // Whatever the store says of itself: more was stored in this place than is in it.
        (_, Some(false)) => Whose::Copy,
        (None, _) => Whose::Nobodys,
        (Some(known), _) if moved(&known) => Whose::Copy,
        (Some(Known { marked: false, .. }), _) => Whose::Unmarked,
        (Some(_), Some(true)) => Whose::Ours,
        (Some(_), None) => Whose::Copy,
    })
}

/// `None` when the store was new or somebody else was quicker.
fn settle(tx: &mut Tx<'_>, here: Here, mark: &Mark, by: &Actor, now: Time) -> Result<Option<Copied>, StoreError> {
    let whose = whose(tx.conn, here, mark)?;
    if whose == Whose::Ours {
        return Ok(None);
    }
    run(
        tx.conn,
        "keep the store's identity",
        "INSERT OR REPLACE INTO identity (only_one, inode, since, born, marked) VALUES (1, ?1, ?2, ?3, 1)",
        params![here.inode, Micros(now), here.born],
    )?;
    if whose != Whose::Copy {
        return Ok(None);
    }
    let paused = run(
        tx.conn,
        "pause the campaigns of a copy",
        PAUSE,
        params![COPIED, Micros(now)],
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

/// Whatever would be sent by itself or by one command. One that was approved, and had no time yet, is as one whose time
/// has come: whoever resumes it starts it. What was paused before keeps its own reason too.
const PAUSE: &str = "UPDATE campaigns
     SET copied = 1, scheduled_at = CASE state WHEN 'approved' THEN ?2 ELSE scheduled_at END,
         started_at = coalesce(started_at, ?2),
         paused_why = CASE WHEN state <> 'paused' THEN ?1
                           WHEN copied THEN paused_why
                           ELSE ?1 || '; it was paused before: ' || coalesce(paused_why, '') END,
         state = 'paused'
     WHERE state IN ('approved', 'scheduled', 'running', 'paused')";

/// The original may have told whom this campaign, once it goes on, tells. In one transaction, so that nobody leaves unmarked:
/// of 1,000,000 persons it takes 1.7 s and 64 MB of the log, which others who write wait out.
pub(super) fn doubt_what_waits(conn: &Connection, campaign: CampaignId) -> Result<(), StoreError> {
    let sql = "UPDATE campaigns SET copied = 0 WHERE id = ?1 AND copied";
    if run(conn, "take in that it is a copy", sql, [campaign.row()])? == 0 {
        return Ok(());
    }
    run(
        conn,
        "mark who may have been told",
        "UPDATE deliveries SET possibly_twice = 1
         WHERE possibly_twice = 0 AND id IN (
             SELECT id FROM deliveries WHERE state = 'ready' AND campaign = ?1
             UNION ALL SELECT id FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 AND state = 'leased'
             UNION ALL SELECT id FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held')",
        [campaign.row()],
    )
    .map(drop)
}

/// Notices that would leave by themselves.
const WAITING: &str = "SELECT id FROM deliveries WHERE notice IS NOT NULL AND state IN ('ready', 'leased', 'in_doubt')";
