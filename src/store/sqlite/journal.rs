//! The journal: appended to inside the transaction of the change it records, walked from end to end by `verify`.
//! What is hashed is `chain`'s.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::rows::{Json, Micros, Text, all, failed, one, run};
use super::{Sqlite, Tx};
use crate::model::Time;
use crate::model::id::Actor;
use crate::model::plural::counted;
use crate::store::chain::{self, AttemptRow, AttemptsHash, Link, NOTHING_BEFORE};
use crate::store::{Checkpoint, Journal, JournalEntry, JournalVerdict, StoreError};

/// Entries that one reading of `verify` takes, so that other readers come in between.
const PAGE: u32 = 500;

#[async_trait]
impl Journal for Sqlite {
    async fn append(&self, event: &str, details: Value, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (event, by) = (event.to_owned(), by.clone());
        self.write(move |tx| append(tx, &event, &details, &by, now).map(drop))
            .await
    }

    async fn list_journal(&self, after: u64, most: u32) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(move |conn| list(conn, after, most)).await
    }

    async fn head_at(&self, length: u64) -> Result<Option<String>, StoreError> {
        self.read(move |conn| Ok(hash_at(conn, length)?.map(|hash| chain::hex(&hash))))
            .await
    }

    async fn journal_head(&self) -> Result<(u64, String), StoreError> {
        self.read(|conn| {
            let (length, hash) = head(conn)?;
            Ok((length, chain::hex(&hash)))
        })
        .await
    }

    async fn add_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        self.write(move |tx| add_checkpoint(tx, &checkpoint)).await
    }

    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(list_checkpoints).await
    }

    async fn verify_journal(&self) -> Result<JournalVerdict, StoreError> {
        let mut checkpoints = self.read(list_checkpoints).await?;
        // One of an empty journal says nothing.
        checkpoints.retain(|checkpoint| checkpoint.length > 0);
        let mut walk = Walk {
            length: 0,
            head: NOTHING_BEFORE,
            last_attempt: i64::MIN,
            checkpoints,
        };
        loop {
            let step;
            (walk, step) = self
                .read(move |conn| {
                    let step = walk.page(conn)?;
                    Ok((walk, step))
                })
                .await?;
            if let Step::End(verdict) = step {
                return Ok(verdict);
            }
        }
    }
}

/// Appends an entry; returns its number. Details hold ids, references, hashes, counts and states, never personal data.
pub(super) fn append(tx: &mut Tx<'_>, event: &str, details: &Value, by: &Actor, now: Time) -> Result<i64, StoreError> {
    let (length, previous) = head(tx.conn)?;
    let (sequence, actor, details) = (length + 1, by.to_string(), chain::canonical(details));
    let link = Link {
        sequence,
        at_micros: now.timestamp_micros(),
        actor: &actor,
        event,
        details: &details,
        previous: &previous,
    };
    let row = to_row(sequence);
    run(
        tx.conn,
        "append to the journal",
        "INSERT INTO journal (sequence, at, actor, event, details, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![row, Micros(now), actor, event, details, previous, link.hash()],
    )?;
    Ok(row)
}

/// Length and last hash.
pub(super) fn head(conn: &Connection) -> Result<(u64, [u8; 32]), StoreError> {
    let last = one(
        conn,
        "read the journal's head",
        "SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1",
        [],
        |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)),
    )?;
    Ok(last.unwrap_or((0, NOTHING_BEFORE)))
}

/// The hash of the journal's entry of this number.
pub(super) fn hash_at(conn: &Connection, length: u64) -> Result<Option<[u8; 32]>, StoreError> {
    if length == 0 {
        return Ok(Some(NOTHING_BEFORE));
    }
    one(
        conn,
        "read the journal",
        "SELECT hash FROM journal WHERE sequence = ?1",
        [to_row(length)],
        |row| row.get(0),
    )
}

/// Numbers beyond what SQLite counts to mean "after the end".
fn to_row(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn list(conn: &Connection, after: u64, most: u32) -> Result<Vec<JournalEntry>, StoreError> {
    all(
        conn,
        "read the journal",
        "SELECT sequence, at, actor, event, details, previous, hash FROM journal
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        params![to_row(after), most],
        |row| {
            Ok(JournalEntry {
                sequence: row.get::<_, i64>(0)?.cast_unsigned(),
                at: row.get::<_, Micros>(1)?.0,
                actor: row.get(2)?,
                event: row.get(3)?,
                details: row.get::<_, Json<_>>(4)?.0,
                previous: chain::hex(&row.get::<_, [u8; 32]>(5)?),
                hash: chain::hex(&row.get::<_, [u8; 32]>(6)?),
            })
        },
    )
}

fn add_checkpoint(tx: &mut Tx<'_>, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let head = hash_at(tx.conn, checkpoint.length)?;
    if head.map(|hash| chain::hex(&hash)).as_deref() != Some(checkpoint.head.as_str()) {
        return Err(StoreError::Conflict {
            what: "journal of length",
            id: checkpoint.length.to_string(),
            found: "not what was signed".to_owned(),
            wanted: "this checkpoint",
        });
    }
    run(
        tx.conn,
        "add the checkpoint",
        "INSERT INTO checkpoints (length, head, at, signer, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            to_row(checkpoint.length),
            checkpoint.head,
            // Text, to the last digit: the signature covers it.
            checkpoint.at.to_rfc3339(),
            checkpoint.signer,
            checkpoint.signature
        ],
    )?;
    Ok(())
}

fn list_checkpoints(conn: &Connection) -> Result<Vec<Checkpoint>, StoreError> {
    all(
        conn,
        "read the checkpoints",
        "SELECT length, head, at, signer, signature FROM checkpoints ORDER BY length, id",
        [],
        |row| {
            Ok(Checkpoint {
                length: row.get::<_, i64>(0)?.cast_unsigned(),
                head: row.get(1)?,
                at: row.get::<_, Text<Time>>(2)?.0,
                signer: row.get(3)?,
                signature: row.get(4)?,
            })
        },
    )
}

/// A walk along the chain and, beside it, along the attempts it covers; both are ordered by the time of writing.
struct Walk {
    /// Entries found good so far, and the hash of the last.
    length: u64,
    head: [u8; 32],
    /// Row of the last attempt that a good entry covers; below all rows at first.
    last_attempt: i64,
    /// Those not passed yet, in order of length.
    checkpoints: Vec<Checkpoint>,
}
enum Step {
    More,
    End(JournalVerdict),
}

/// An entry as it lies there, nothing about it believed.
struct Found {
    sequence: i64,
    at_micros: i64,
    actor: String,
    event: String,
    details: String,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

/// An attempt as it lies there.
struct FoundAttempt {
    row: i64,
    journal: i64,
    delivery: i64,
    at_micros: i64,
    outcome: String,
    reply: Option<String>,
    fault: Option<String>,
    tls: Option<String>,
    reply_sha256: Option<[u8; 32]>,
    fault_sha256: Option<[u8; 32]>,
}

impl Walk {
    /// Checks the next entries, in one snapshot of both tables.
    fn page(&mut self, conn: &Connection) -> Result<Step, StoreError> {
        let snapshot = conn
            .unchecked_transaction()
            .map_err(failed("begin to read the journal"))?;
        let entries = self.next_entries(&snapshot)?;
        let mut statement = snapshot
            .prepare_cached(
                "SELECT a.id, a.journal, a.delivery, a.at, a.outcome, a.reply, a.fault, t.facts,
                        a.reply_sha256, a.fault_sha256
                 FROM attempts a LEFT JOIN tls_facts t ON t.id = a.tls
                 WHERE a.id > ?1 ORDER BY a.id",
            )
            .map_err(failed("read the attempts"))?;
        // One statement for the page, read row by row: an entry may cover thousands.
        let mut attempts = statement
            .query_map([self.last_attempt], |row| {
                Ok(FoundAttempt {
                    row: row.get(0)?,
                    journal: row.get(1)?,
                    delivery: row.get(2)?,
                    at_micros: row.get(3)?,
                    outcome: row.get(4)?,
                    reply: row.get(5)?,
                    fault: row.get(6)?,
                    tls: row.get(7)?,
                    reply_sha256: row.get(8)?,
                    fault_sha256: row.get(9)?,
                })
            })
            .map_err(failed("read the attempts"))?
            .peekable();
        let full = entries.len() == PAGE as usize;
        for entry in entries {
            let checked = match self.check_link(&entry) {
                Ok(()) => self.check_attempts(&entry, &mut attempts)?,
                broken => broken,
            };
            if let Err(why) = checked.and_then(|()| self.check_checkpoints()) {
                return Ok(self.broken_after_last(why));
            }
        }
        if full {
            return Ok(Step::More);
        }
        if attempts.next().is_some() {
            return Ok(self.broken_after_last("entries of later attempts are missing".to_owned()));
        }
        if let Some(checkpoint) = self.checkpoints.first() {
            let why = format!(
                "a checkpoint was signed at length {}: the end is missing",
                checkpoint.length
            );
            return Ok(self.broken_after_last(why));
        }
        Ok(Step::End(JournalVerdict::Intact {
            length: self.length,
            head: chain::hex(&self.head),
        }))
    }

    fn next_entries(&self, conn: &Connection) -> Result<Vec<Found>, StoreError> {
        all(
            conn,
            "read the journal",
            "SELECT sequence, at, actor, event, details, previous, hash FROM journal
             WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            params![to_row(self.length), PAGE],
            |row| {
                Ok(Found {
                    sequence: row.get(0)?,
                    at_micros: row.get(1)?,
                    actor: row.get(2)?,
                    event: row.get(3)?,
                    details: row.get(4)?,
                    previous: row.get(5)?,
                    hash: row.get(6)?,
                })
            },
        )
    }

    /// Whether the entry is the next one and follows the last.
    fn check_link(&mut self, entry: &Found) -> Result<(), String> {
        let sequence = self.length + 1;
        if entry.sequence != to_row(sequence) {
            return Err("the entry is missing".to_owned());
        }
        if entry.previous != self.head {
            return Err("the entry does not follow the one before".to_owned());
        }
        let link = Link {
            sequence,
            at_micros: entry.at_micros,
            actor: &entry.actor,
            event: &entry.event,
            details: &entry.details,
            previous: &self.head,
        };
        let hash = link.hash();
        if entry.hash != hash {
            return Err("the entry is not what its hash was made from".to_owned());
        }
        Ok(())
    }

    /// Whether the attempts that name this entry are those it was made from. When all is well the entry is passed.
    fn check_attempts(
        &mut self,
        entry: &Found,
        attempts: &mut std::iter::Peekable<impl Iterator<Item = rusqlite::Result<FoundAttempt>>>,
    ) -> Result<Result<(), String>, StoreError> {
        let mut hash = AttemptsHash::start();
        let mut count: u64 = 0;
        // A row of an earlier entry that was not there before is counted here and makes the hash differ.
        while let Some(next) = attempts.next_if(|a| a.as_ref().map_or(true, |a| a.journal <= entry.sequence)) {
            let attempt = next.map_err(failed("read the attempts"))?;
            let row = AttemptRow {
                delivery: attempt.delivery,
                at_micros: attempt.at_micros,
                outcome: &attempt.outcome,
                reply: attempt.reply.as_deref(),
                fault: attempt.fault.as_deref(),
                tls: attempt.tls.as_deref(),
            };
            hash.add_erased(&row, attempt.reply_sha256, attempt.fault_sha256);
            count += 1;
            self.last_attempt = attempt.row;
        }
        let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
        let rows = details["rows_sha256"].as_str();
        let covered = rows.and(details["attempts"].as_u64()).unwrap_or(0);
        if count != covered {
            return Ok(Err(format!(
                "it covers {}, and the store has {count}",
                counted(covered, "attempt")
            )));
        }
        if rows.is_some_and(|rows| rows != hash.finish()) {
            return Ok(Err("the attempts it covers were altered".to_owned()));
        }
        self.length += 1;
        self.head = entry.hash.as_slice().try_into().unwrap_or(NOTHING_BEFORE);
        Ok(Ok(()))
    }

    /// Whether the checkpoints of this length name its head.
    fn check_checkpoints(&mut self) -> Result<(), String> {
        while let Some(checkpoint) = self.checkpoints.first().filter(|c| c.length <= self.length) {
            if checkpoint.length == self.length && checkpoint.head != chain::hex(&self.head) {
                return Err(format!(
                    "the chain up to entry {} is not the one that was signed",
                    self.length
                ));
            }
            self.checkpoints.remove(0);
        }
        Ok(())
    }

    fn broken_after_last(&self, why: String) -> Step {
        Step::End(JournalVerdict::Broken {
            sequence: self.length + 1,
            why,
        })
    }
}
