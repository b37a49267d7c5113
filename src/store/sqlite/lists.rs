//! Lists of persons on their way into a campaign: one transaction for each chunk of rows, which also says how far the list
//! is in. Duplicates are found by an index, never in memory.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::campaigns::{conflict, get, turn};
use super::rows::{Json, Micros, Text, all, failed, json as json_text, one, only, run};
use super::{Sqlite, Tx, journal, ledger, register};
use crate::model::Time;
use crate::model::campaign::CampaignEvent;
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId, DeliveryId, ListId};
use crate::model::recipient::{Fields, Flags, OTHER_EMAIL, PersonKey, fold_address};
use crate::store::{
    BadRow, FLAGGED_SHOWN, FlaggedPerson, ListTarget, Lists, NewBadRow, NewList, NewPerson, NewRow, OpenList,
    PersonCounts, RowContent, RowCounts, StoreError, StoredList, chain,
};

/// Different domains that are counted; those that first occur later are not among the top ten.
const DOMAINS_COUNTED: usize = 100_000;
/// Domains that are told.
const DOMAINS_TOLD: usize = 10;

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

/// A row with its fields written out.
struct ReadyRow {
    row: NewRow,
    fields: String,
}
impl ReadyRow {
    fn of(row: NewRow) -> Self {
        let fields = match &row.content {
            RowContent::Person(person) => json_text(&person.fields),
            RowContent::Bad(bad) => json_text(&bad.fields),
        };
        Self { row, fields }
    }
}

fn add_rows(
    tx: &mut Tx<'_>,
    list: ListId,
    done: u64,
    rows: &[ReadyRow],
    by: &Actor,
    now: Time,
) -> Result<RowCounts, StoreError> {
    let moved = one(
        tx.conn,
        "count the list's rows",
        "UPDATE lists SET rows_done = rows_done + ?3 WHERE id = ?1 AND rows_done = ?2 AND ended_at IS NULL
         RETURNING campaign",
        params![list.row(), done.cast_signed(), (rows.len() as u64).cast_signed()],
        |row| row.get(0),
    )?;
    let Some(campaign) = moved.map(CampaignId::new) else {
        return Err(StoreError::Conflict {
            what: "list",
            id: list.to_string(),
            found: "imported by another process".to_owned(),
            wanted: "importing it twice",
        });
    };
    let before = counts(tx.conn, campaign)?;
    let mut adding = Adding::new(tx.conn, campaign, list, before, now)?;
    for row in rows {
        adding.add(row)?;
    }
    let after = adding.counts;
    drop(adding);
    run(
        tx.conn,
        "count the campaign's rows",
        "UPDATE campaigns SET rows = ?2, valid = ?3, duplicates = ?4, invalid = ?5 WHERE id = ?1",
        params![
            campaign.row(),
            after.rows.cast_signed(),
            after.valid.cast_signed(),
            after.duplicates.cast_signed(),
            after.invalid.cast_signed()
        ],
    )?;
    let facts = json!({ "campaign": campaign, "list": list, "done": done + rows.len() as u64, "counts": after });
    journal::append(tx, "campaign.rows_added", &facts, by, now)?;
    Ok(after)
}

/// The statements that each row needs, compiled once for a chunk.
struct Adding<'c> {
    conn: &'c Connection,
    campaign: CampaignId,
    list: ListId,
    now: Time,
    counts: RowCounts,
    known: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    bad_of_person: CachedStatement<'c>,
    /// Whether any bad row names its person: else none needs to be looked for.
    bad_rows_name_persons: bool,
}

impl<'c> Adding<'c> {
    fn new(
        conn: &'c Connection,
        campaign: CampaignId,
        list: ListId,
        counts: RowCounts,
        now: Time,
    ) -> Result<Self, StoreError> {
        let prepare = |sql| conn.prepare_cached(sql).map_err(failed("add the rows"));
        let named = "SELECT EXISTS (SELECT 1 FROM bad_rows WHERE campaign = ?1 AND person IS NOT NULL)";
        Ok(Self {
            known: prepare("SELECT delivery FROM persons WHERE campaign = ?1 AND person = ?2")?,
            insert: prepare(
                "INSERT INTO persons (delivery, campaign, person, address, domain, language, country, flags, fields)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            bad_of_person: prepare("SELECT id, fields FROM bad_rows WHERE campaign = ?1 AND person = ?2")?,
            bad_rows_name_persons: only(conn, "look for bad rows", named, [campaign.row()], |row| row.get(0))?,
            conn,
            campaign,
            list,
            now,
            counts,
        })
    }

    fn add(&mut self, ready: &ReadyRow) -> Result<(), StoreError> {
        if let (Some(corrected), RowContent::Bad(bad)) = (ready.row.corrects, &ready.row.content)
            && self.rewrite_bad_row(corrected, bad, &ready.fields)?
        {
            return Ok(());
        }
        if let Some(corrected) = ready.row.corrects
            && self.drop_bad_row(corrected)?
        {
            self.counts.rows -= 1;
            self.counts.invalid -= 1;
        }
        self.counts.rows += 1;
        match &ready.row.content {
            RowContent::Person(person) => self.add_person(person, &ready.fields),
            RowContent::Bad(bad) => self.add_bad_row(bad, &ready.fields),
        }
    }

    fn add_person(&mut self, person: &NewPerson, fields: &str) -> Result<(), StoreError> {
        if let Some(delivery) = self.delivery_of(person.key)? {
            self.counts.duplicates += 1;
            return match self.is_elsewhere(delivery, &person.address)? {
                false => self.unite(delivery, &person.fields, person.flags),
                true => {
                    let (mut fields, mut flags) = (person.fields.clone(), person.flags);
                    fields.add(OTHER_EMAIL, person.address.clone());
                    flags.set(Flags::OTHER_ADDRESS);
                    self.unite(delivery, &fields, flags)
                }
            };
        }
        let delivery = ledger::add(self.conn, None, Some((self.campaign, &person.domain)), None, self.now)?.row();
        let values = params![
            delivery,
            self.campaign.row(),
            person.key.0,
            person.address,
            person.domain,
            person.language,
            person.country,
            person.flags.0,
            fields
        ];
        self.insert.execute(values).map_err(failed("add the person"))?;
        self.counts.valid += 1;
        // A row of this person that could not be used before: now the person is reached, and the message names its data.
        if let Some((bad, fields)) = self.bad_row_of(person.key)? {
            self.unite(delivery, &fields, Flags::default())?;
            self.drop_bad_row(bad)?;
            self.counts.invalid -= 1;
            self.counts.duplicates += 1;
        }
        Ok(())
    }

    fn add_bad_row(&mut self, bad: &NewBadRow, fields: &str) -> Result<(), StoreError> {
        if let Some(key) = bad.key {
            if let Some(delivery) = self.delivery_of(key)? {
                self.counts.duplicates += 1;
                return self.unite(delivery, &bad.fields, Flags::default());
            }
            if let Some((known, mut united)) = self.bad_row_of(key)? {
                self.counts.duplicates += 1;
                united.unite(bad.fields.clone());
                let sql = "UPDATE bad_rows SET fields = ?2 WHERE id = ?1";
                let values = params![known.row(), json_text(&united)];
                return run(self.conn, "unite the bad rows", sql, values).map(drop);
            }
            self.bad_rows_name_persons = true;
        }
        self.counts.invalid += 1;
        run(
            self.conn,
            "keep the bad row",
            "INSERT INTO bad_rows (campaign, list, row, line, \"column\", reason, person, cells, fields)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                self.campaign.row(),
                self.list.row(),
                bad.row.cast_signed(),
                bad.line.map(u64::cast_signed),
                bad.column,
                bad.reason.word(),
                bad.key.map(|key| key.0),
                json_text(&bad.cells),
                fields
            ],
        )
        .map(drop)
    }

    /// What was corrected and still cannot be used keeps its id, so that the same file, corrected further, names it. False
    /// where there is no such row, or its person stands elsewhere.
    fn rewrite_bad_row(&mut self, id: BadRowId, bad: &NewBadRow, fields: &str) -> Result<bool, StoreError> {
        if let Some(key) = bad.key {
            let elsewhere = self.bad_row_of(key)?.is_some_and(|(other, _)| other != id);
            if elsewhere || self.delivery_of(key)?.is_some() {
                return Ok(false);
            }
        }
        let rewritten = run(
            self.conn,
            "rewrite the bad row",
            "UPDATE bad_rows SET list = ?3, row = ?4, line = ?5, \"column\" = ?6, reason = ?7, person = ?8, cells = ?9, fields = ?10
             WHERE id = ?1 AND campaign = ?2",
            params![
                id.row(),
                self.campaign.row(),
                self.list.row(),
                bad.row.cast_signed(),
                bad.line.map(u64::cast_signed),
                bad.column,
                bad.reason.word(),
                bad.key.map(|key| key.0),
                json_text(&bad.cells),
                fields
            ],
        )?;
        self.bad_rows_name_persons |= rewritten == 1 && bad.key.is_some();
        Ok(rewritten == 1)
    }

    fn delivery_of(&mut self, key: PersonKey) -> Result<Option<i64>, StoreError> {
        let found = self
            .known
            .query_row(params![self.campaign.row(), key.0], |row| row.get(0));
        found.optional().map_err(failed("look for the person"))
    }

    /// Whether a person who is in is written to at another address than this.
    fn is_elsewhere(&self, delivery: i64, address: &str) -> Result<bool, StoreError> {
        let sql = "SELECT address FROM persons WHERE delivery = ?1";
        let known: String = only(self.conn, "read the person", sql, [delivery], |row| row.get(0))?;
        Ok(known != address && fold_address(&known) != fold_address(address))
    }

    fn bad_row_of(&mut self, key: PersonKey) -> Result<Option<(BadRowId, Fields)>, StoreError> {
        if !self.bad_rows_name_persons {
            return Ok(None);
        }
        let read = |row: &Row<'_>| Ok((BadRowId::new(row.get(0)?), row.get::<_, Json<_>>(1)?.0));
        let found = self.bad_of_person.query_row(params![self.campaign.row(), key.0], read);
        found.optional().map_err(failed("look for a bad row of the person"))
    }

    /// Adds what another row says about a person who is in already.
    fn unite(&self, delivery: i64, fields: &Fields, flags: Flags) -> Result<(), StoreError> {
        // Languages and names differ between rows of one person: what the first row said stands.
        let kept = flags.0
            & (Flags::UNKNOWN_DATA.0
                | Flags::FORMULA.0
                | Flags::OTHER_ADDRESS.0
                | Flags::VALUES_LEFT_OUT.0
                | Flags::CERTIFICATE.0
                | Flags::BAD_CERTIFICATE.0);
        let sql = "SELECT fields, flags FROM persons WHERE delivery = ?1";
        let (mut united, mut all_flags): (Fields, Flags) =
            only(self.conn, "read the person", sql, [delivery], |row| {
                Ok((row.get::<_, Json<_>>(0)?.0, Flags(row.get(1)?)))
            })?;
        let before = (united.clone(), all_flags);
        if !united.unite(fields.clone()) {
            all_flags.set(Flags::VALUES_LEFT_OUT);
        }
        all_flags.0 |= kept;
        if before == (united.clone(), all_flags) {
            return Ok(());
        }
        let sql = "UPDATE persons SET fields = ?2, flags = ?3 WHERE delivery = ?1";
        let values = params![delivery, json_text(&united), all_flags.0];
        run(self.conn, "unite the person's rows", sql, values).map(drop)
    }

    /// Whether it was there.
    fn drop_bad_row(&self, bad: BadRowId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM bad_rows WHERE id = ?1 AND campaign = ?2";
        let dropped = run(
            self.conn,
            "drop the bad row",
            sql,
            params![bad.row(), self.campaign.row()],
        )?;
        Ok(dropped == 1)
    }
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

/// One walk over the persons, and one over the index of their keys: at 1,000,000 persons about a second.
fn count_persons(conn: &Connection, campaign: CampaignId) -> Result<PersonCounts, StoreError> {
    let step = failed("count the persons");
    let mut languages: HashMap<String, u64> = HashMap::new();
    let mut countries: HashMap<String, u64> = HashMap::new();
    let mut domains: HashMap<String, u64> = HashMap::new();
    let mut flags = vec![0; Flags::ALL.len()];
    let mut flagged = vec![Vec::new(); Flags::ALL.len()];
    let count = |counted: &mut HashMap<String, u64>, name: &str, most: usize| {
        if let Some(times) = counted.get_mut(name) {
            *times += 1;
        } else if counted.len() < most {
            counted.insert(name.to_owned(), 1);
        }
    };
    // In the order of the table: the index by campaign would fetch each row from another place.
    let sql = "SELECT language, country, domain, flags, delivery FROM persons WHERE +campaign = ?1";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let mut rows = statement.query([campaign.row()]).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        let text = |place| row.get_ref(place).ok()?.as_str_or_null().ok().flatten();
        count(&mut languages, text(0).unwrap_or_default(), usize::MAX);
        count(&mut countries, text(1).unwrap_or_default(), usize::MAX);
        count(&mut domains, text(2).unwrap_or_default(), DOMAINS_COUNTED);
        let raised = Flags(row.get(3).map_err(&step)?);
        for (place, (flag, _, _)) in Flags::ALL
            .iter()
            .enumerate()
            .filter(|(_, (flag, _, _))| raised.has(*flag))
        {
            flags[place] += 1;
            if *flag != Flags::CERTIFICATE && flagged[place].len() < FLAGGED_SHOWN {
                flagged[place].push(DeliveryId::new(row.get(4).map_err(&step)?));
            }
        }
    }
    let mut domains: Vec<(String, u64)> = domains.into_iter().collect();
    domains.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    domains.truncate(DOMAINS_TOLD);
    let (shared_addresses, at_shared) = count_shared(conn, campaign)?;
    flagged.push(at_shared);
    Ok(PersonCounts {
        languages: languages.into_iter().collect(),
        countries: countries.into_iter().collect(),
        domains,
        flags,
        shared_addresses,
        flagged,
    })
}

/// How many, and the first persons at them. Keys of one address begin alike, so they are neighbours in the index.
fn count_shared(conn: &Connection, campaign: CampaignId) -> Result<(u64, Vec<DeliveryId>), StoreError> {
    let step = failed("count the addresses");
    let sql = "SELECT person, delivery FROM persons WHERE campaign = ?1 ORDER BY person";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let mut rows = statement.query([campaign.row()]).map_err(&step)?;
    let mut last = None;
    let mut counted = false;
    let mut shared = 0;
    let mut at_shared = Vec::new();
    let mut before = None;
    while let Some(row) = rows.next().map_err(&step)? {
        let key: [u8; 16] = row.get(0).map_err(&step)?;
        let address: [u8; 8] = key[..8].try_into().expect("eight of sixteen bytes");
        let again = last == Some(address);
        let here = DeliveryId::new(row.get(1).map_err(&step)?);
        if again && at_shared.len() < FLAGGED_SHOWN {
            at_shared.extend(before.filter(|_| !counted));
            at_shared.push(here);
        }
        shared += u64::from(again && !counted);
        counted = again;
        last = Some(address);
        before = Some(here);
    }
    at_shared.sort();
    Ok((shared, at_shared))
}
