//! Lists of persons on their way into a campaign: begun, ended and read. How their rows are added is in `adding`, what
//! is told of the persons before the start in `counting`.

mod adding;
mod counting;

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::campaigns::{conflict, get, turn};
use super::rows::{Json, Micros, Text, all, json as json_text, one, only, run};
use super::{Sqlite, Tx, journal, register};
use crate::model::Time;
use crate::model::campaign::CampaignEvent;
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId, DeliveryId, ListId};
use crate::model::recipient::{Flags, PersonKey};
use crate::store::{
    BadRow, FlaggedPerson, ListTarget, Lists, NewList, NewRow, OpenList, PersonCounts, RowCounts, StoreError,
    StoredList, chain,
};
use adding::{ReadyRow, add_rows};
use counting::count_persons;

#[async_trait]
impl Lists for Sqlite {
    async fn begin_list(&self, list: NewList, by: &Actor, now: Time) -> Result<OpenList, StoreError> {
        let by = by.clone();
        self.write(move |tx| begin(tx, &list, &by, now)).await
    }

    async fn add_rows(
        &self,
        list: ListId,
        done: u64,
        rows: Vec<NewRow>,
        by: &Actor,
        now: Time,
    ) -> Result<RowCounts, StoreError> {
        let by = by.clone();
        // Turned into text here, so that the one writing thread only writes.
        let rows: Vec<ReadyRow> = rows.into_iter().map(ReadyRow::of).collect();
        self.write(move |tx| add_rows(tx, list, done, &rows, &by, now)).await
    }

    async fn end_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| close(tx, list, CampaignEvent::ListEnded, "campaign.list_ended", &by, now))
            .await
    }

    async fn abandon_list(&self, list: ListId, by: &Actor, now: Time) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| close(tx, list, CampaignEvent::Cancel, "campaign.list_abandoned", &by, now))
            .await
    }

    async fn lists(&self, campaign: CampaignId) -> Result<Vec<StoredList>, StoreError> {
        self.read(move |conn| {
            all(
                conn,
                "read the campaign's lists",
                "SELECT id, file, sha256, facts, rows_total, rows_done, begun_at, begun_by, ended_at
                 FROM lists WHERE campaign = ?1 ORDER BY id",
                [campaign.row()],
                read_list,
            )
        })
        .await
    }

    async fn row_counts(&self, campaign: CampaignId) -> Result<RowCounts, StoreError> {
        self.read(move |conn| counts(conn, campaign)).await
    }

    async fn person_counts(&self, campaign: CampaignId) -> Result<PersonCounts, StoreError> {
        self.read(move |conn| count_persons(conn, campaign)).await
    }

    async fn any_flagged(&self, campaign: CampaignId, flag: Flags) -> Result<bool, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT EXISTS (SELECT 1 FROM persons WHERE +campaign = ?1 AND flags & ?2 <> 0)";
            only(
                conn,
                "look at the persons",
                sql,
                params![campaign.row(), flag.0],
                |row| row.get(0),
            )
        })
        .await
    }

    async fn list_flagged(
        &self,
        campaign: CampaignId,
        flags: Flags,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<FlaggedPerson>, StoreError> {
        let after = after.map_or(0, DeliveryId::row);
        self.read(move |conn| {
            let sql = "SELECT delivery, address, flags, fields FROM persons
                 WHERE delivery > ?2 AND +campaign = ?1 AND flags & ?3 <> 0 ORDER BY delivery LIMIT ?4";
            let values = params![campaign.row(), after, flags.0, most];
            all(conn, "read who is worth a look", sql, values, |row| {
                Ok(FlaggedPerson {
                    delivery: DeliveryId::new(row.get(0)?),
                    address: row.get(1)?,
                    flags: Flags(row.get(2)?),
                    fields: row.get::<_, Json<_>>(3)?.0,
                })
            })
        })
        .await
    }

    async fn bad_row_reasons(&self, campaign: CampaignId) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT reason, count(*) FROM bad_rows WHERE campaign = ?1 GROUP BY reason";
            let reasons = all(conn, "count the bad rows", sql, [campaign.row()], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
            Ok(reasons.into_iter().collect())
        })
        .await
    }

    async fn find_astray(
        &self,
        campaign: CampaignId,
        rows: Vec<(BadRowId, Option<PersonKey>)>,
    ) -> Result<Vec<usize>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT EXISTS (SELECT 1 FROM bad_rows WHERE id = ?2 AND campaign = ?1)
                           OR EXISTS (SELECT 1 FROM persons WHERE campaign = ?1 AND person = ?3)
                           OR EXISTS (SELECT 1 FROM bad_rows WHERE campaign = ?1 AND person = ?3)";
            let mut astray = Vec::new();
            for (place, (bad, key)) in rows.iter().enumerate() {
                let values = params![campaign.row(), bad.row(), key.map(|key| key.0)];
                let known: bool = only(conn, "look for the corrected rows", sql, values, |row| row.get(0))?;
                if !known {
                    astray.push(place);
                }
            }
            Ok(astray)
        })
        .await
    }

    async fn list_bad_rows(
        &self,
        campaign: CampaignId,
        after: Option<BadRowId>,
        most: u32,
    ) -> Result<Vec<BadRow>, StoreError> {
        let after = after.map_or(0, BadRowId::row);
        self.read(move |conn| {
            all(
                conn,
                "read the bad rows",
                // By the row id: bad rows of one campaign lie together, and a page ends soon.
                "SELECT id, list, row, line, \"column\", reason, cells FROM bad_rows
                 WHERE +campaign = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                params![campaign.row(), after, most],
                read_bad_row,
            )
        })
        .await
    }
}

fn read_list(row: &Row<'_>) -> rusqlite::Result<StoredList> {
    Ok(StoredList {
        id: ListId::new(row.get(0)?),
        file: row.get(1)?,
        sha256: row.get(2)?,
        facts: row.get::<_, Json<_>>(3)?.0,
        rows: row.get::<_, i64>(4)?.cast_unsigned(),
        rows_done: row.get::<_, i64>(5)?.cast_unsigned(),
        begun_at: row.get::<_, Micros>(6)?.0,
        begun_by: row.get::<_, Text<_>>(7)?.0,
        ended_at: row.get::<_, Option<Micros>>(8)?.map(|at| at.0),
    })
}

fn read_bad_row(row: &Row<'_>) -> rusqlite::Result<BadRow> {
    Ok(BadRow {
        id: BadRowId::new(row.get(0)?),
        list: ListId::new(row.get(1)?),
        row: row.get::<_, i64>(2)?.cast_unsigned(),
        line: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
        column: row.get(4)?,
        reason: row.get::<_, Text<_>>(5)?.0,
        cells: row.get::<_, Json<_>>(6)?.0,
    })
}

fn begin(tx: &mut Tx<'_>, list: &NewList, by: &Actor, now: Time) -> Result<OpenList, StoreError> {
    let campaign = match &list.into {
        ListTarget::Fresh { breach, content } => {
            let cut_off = "SELECT l.campaign FROM lists l JOIN campaigns c ON c.id = l.campaign
                 WHERE c.state = 'importing' AND c.breach = ?1 AND l.ended_at IS NULL AND l.fingerprint = ?2
                   AND NOT EXISTS (SELECT 1 FROM lists e WHERE e.campaign = l.campaign AND e.id < l.id)";
            let known = one(
                tx.conn,
                "look for the list",
                cut_off,
                params![Text(*breach), list.fingerprint],
                |row| row.get(0),
            )?;
            match known.map(CampaignId::new) {
                Some(campaign) => campaign,
                None => add_campaign(tx, *breach, content, by, now)?,
            }
        }
        ListTarget::Draft(campaign) => *campaign,
    };
    let known = one(
        tx.conn,
        "look for the list",
        "SELECT id, rows_done, ended_at IS NOT NULL FROM lists WHERE campaign = ?1 AND fingerprint = ?2",
        params![campaign.row(), list.fingerprint],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)),
    )?;
    match (get(tx.conn, campaign)?.state.name(), known) {
        ("importing", Some((id, done, false))) => {
            return Ok(OpenList {
                campaign,
                list: ListId::new(id),
                done: done.cast_unsigned(),
            });
        }
        (_, Some((_, _, true))) => {
            return Err(conflict(
                campaign,
                "holding this list already".to_owned(),
                "adding it again",
            ));
        }
        ("draft" | "approved" | "importing", None) if not_ended(tx.conn, campaign)?.is_none() => {}
        (found, _) => return Err(conflict(campaign, found.to_owned(), "adding a list")),
    }
    run(
        tx.conn,
        "add the list",
        "INSERT INTO lists (campaign, fingerprint, file, sha256, facts, rows_total, begun_at, begun_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            campaign.row(),
            list.fingerprint,
            list.file,
            list.sha256,
            json_text(&list.facts),
            list.rows.cast_signed(),
            Micros(now),
            Text(by)
        ],
    )?;
    let id = ListId::new(tx.conn.last_insert_rowid());
    turn(tx, campaign, CampaignEvent::ListBegun, "adding a list", by, now)?;
    let facts = json!({ "campaign": campaign, "list": id, "rows": list.rows, "sha256": list.sha256 });
    journal::append(tx, "campaign.list_begun", &facts, by, now)?;
    Ok(OpenList {
        campaign,
        list: id,
        done: 0,
    })
}

fn add_campaign(
    tx: &mut Tx<'_>,
    breach: BreachId,
    content: &serde_json::Value,
    by: &Actor,
    now: Time,
) -> Result<CampaignId, StoreError> {
    register::must_exist(tx.conn, breach)?;
    let content = chain::canonical(content);
    run(
        tx.conn,
        "add the campaign",
        "INSERT INTO campaigns (breach, state, content, created_at) VALUES (?1, 'importing', ?2, ?3)",
        params![Text(breach), content, Micros(now)],
    )?;
    let id = CampaignId::new(tx.conn.last_insert_rowid());
    register::add_line(tx, breach, "campaign_created", &id.to_string(), by, now)?;
    let facts = json!({ "campaign": id, "breach": breach, "content_sha256": chain::sha256(content) });
    journal::append(tx, "campaign.created", &facts, by, now)?;
    Ok(id)
}

/// The list that the campaign imports now.
fn not_ended(conn: &Connection, campaign: CampaignId) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM lists WHERE campaign = ?1 AND ended_at IS NULL";
    one(conn, "look for the list", sql, [campaign.row()], |row| row.get(0))
}

pub(super) fn counts(conn: &Connection, campaign: CampaignId) -> Result<RowCounts, StoreError> {
    let sql = "SELECT rows, valid, duplicates, invalid FROM campaigns WHERE id = ?1";
    let found = one(conn, "read the campaign's counts", sql, [campaign.row()], |row| {
        let count = |place| row.get::<_, i64>(place).map(i64::cast_unsigned);
        Ok(RowCounts {
            rows: count(0)?,
            valid: count(1)?,
            duplicates: count(2)?,
            invalid: count(3)?,
        })
    })?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "campaign",
        id: campaign.to_string(),
    })
}

/// Ends a list and gives its campaign the next state.
fn close(
    tx: &mut Tx<'_>,
    list: ListId,
    next: CampaignEvent,
    event: &'static str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let ended = one(
        tx.conn,
        "end the list",
        "UPDATE lists SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL AND (rows_done = rows_total OR ?3)
         RETURNING campaign",
        params![list.row(), Micros(now), next == CampaignEvent::Cancel],
        |row| row.get(0),
    )?;
    let Some(campaign) = ended.map(CampaignId::new) else {
        return Err(StoreError::Conflict {
            what: "list",
            id: list.to_string(),
            found: "ended, or not all in".to_owned(),
            wanted: "ending it",
        });
    };
    turn(tx, campaign, next, "ending its list", by, now)?;
    let facts = json!({ "campaign": campaign, "list": list, "counts": counts(tx.conn, campaign)? });
    journal::append(tx, event, &facts, by, now).map(drop)
}
