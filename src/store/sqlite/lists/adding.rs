//! The rows of a list on their way in: one transaction for each chunk, which also says how far the list is in.
//! Duplicates are found by an index, never in memory.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::super::rows::{Json, failed, json as json_text, one, only, run};
use super::super::{Tx, journal, ledger};
use super::counts;
use crate::model::Time;
use crate::model::id::{Actor, BadRowId, CampaignId, ListId};
use crate::model::recipient::{Fields, Flags, OTHER_EMAIL, PersonKey, fold_address};
use crate::store::{NewBadRow, NewPerson, NewRow, RowContent, RowCounts, StoreError};

/// A row with its fields written out.
pub(super) struct ReadyRow {
    row: NewRow,
    fields: String,
}
impl ReadyRow {
    pub(super) fn of(row: NewRow) -> Self {
        let fields = match &row.content {
            RowContent::Person(person) => json_text(&person.fields),
            RowContent::Bad(bad) => json_text(&bad.fields),
        };
        Self { row, fields }
    }
}

pub(super) fn add_rows(
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
