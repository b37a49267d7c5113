//! The end of personal data. Freed space is overwritten (`secure_delete`) and the log emptied; rows stay, so that counts
//! and the journal do.

use std::collections::HashSet;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::addresses::{self, Cells};
use super::campaigns::{self, conflict};
use super::rows::{Json, Micros, all, json as json_text, one, only, run};
use super::{Sqlite, Tx, journal, ledger, lists, pace};
use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::delivery::{DeliveryState, Fault, FaultCause, Outcome, SmtpReply};
use crate::model::id::{Actor, BadRowId, CampaignId, DeliveryId, MailId};
use crate::model::recipient::fold_address;
use crate::store::{Erased, Erasure, RowCounts, StoreError, Whom};

/// Persons of one transaction, or rows that cannot be used: others wait less than a second.
const CHUNK: u32 = 2_000;
/// Mails of one transaction: most have some thousand bytes, and one may have millions.
const MAILS: u32 = 100;

#[async_trait]
impl Erasure for Sqlite {
    async fn list_erasable(&self, before: Time) -> Result<Vec<CampaignId>, StoreError> {
        self.read(move |conn| {
            all(
                conn,
                "look for campaigns to erase",
                // A list that was given up has no end of its own.
                "SELECT id FROM campaigns WHERE state IN ('finished', 'cancelled') AND erased_at IS NULL
                   AND coalesce(ended_at, created_at) < ?1 ORDER BY id",
                [Micros(before)],
                |row| row.get(0).map(CampaignId::new),
            )
        })
        .await
    }

    async fn erase_campaign(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<Erased, StoreError> {
        let mut after = Some(0);
        while let Some(delivery) = after {
            after = self.write(move |tx| erase_chunk(tx, campaign, delivery)).await?;
        }
        let mut after = Some(0);
        while let Some(row) = after {
            after = self.write(move |tx| erase_bad_chunk(tx, campaign, row)).await?;
        }
        let mut after = Some(0);
        while let Some(mail) = after {
            after = self.write(move |tx| erase_mails(tx, campaign, mail)).await?;
        }
        let by = by.clone();
        let erased = self.write(move |tx| end_erasure(tx, campaign, &by, now)).await?;
        self.empty_log().await;
        Ok(erased)
    }

    async fn erase_person(
        &self,
        campaign: CampaignId,
        address: &str,
        by: &Actor,
        now: Time,
    ) -> Result<Erased, StoreError> {
        // Looked for without holding up those who write; once more while a list comes in.
        loop {
            let (address, by) = (address.to_owned(), by.clone());
            let there = self.read(move |conn| look_for(conn, campaign, &address)).await?;
            let erased = self
                .write(move |tx| erase_person(tx, campaign, &there, &by, now))
                .await?;
            if let Some(erased) = erased {
                self.empty_log().await;
                return Ok(erased);
            }
        }
    }

    async fn list_at_address(&self, campaign: CampaignId, address: &str) -> Result<Vec<Whom>, StoreError> {
        let address = address.to_owned();
        self.read(move |conn| {
            campaigns::get(conn, campaign)?;
            let there = look_for(conn, campaign, &address)?;
            let persons = there.persons.into_iter().map(Whom::Delivery);
            Ok(persons.chain(there.bad_rows.into_iter().map(Whom::BadRow)).collect())
        })
        .await
    }

    async fn find_erased(&self, address: &str) -> Result<Vec<(CampaignId, DeliveryId)>, StoreError> {
        let address = address.to_owned();
        self.read(move |conn| find_erased(conn, &address)).await
    }

    async fn forget_hashes(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<bool, StoreError> {
        let by = by.clone();
        let forgotten = self.write(move |tx| forget_hashes(tx, campaign, &by, now)).await?;
        self.empty_log().await;
        Ok(forgotten)
    }
}

impl Sqlite {
    /// The log beside the store has the pages as they were, until others are written over them: with a daemon on a quiet
    /// home that may be never. Who reads just now keeps it; it is removed when the last process closes the store.
    async fn empty_log(&self) {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy = self.read(move |conn| only(conn, "empty the log", sql, [], |row| row.get::<_, i64>(0)));
        if !matches!(busy.await, Ok(0)) {
            tracing::warn!("what was erased stays in the store's log until no other process reads it");
        }
    }
}

fn has_ended(state: &CampaignState) -> bool {
    matches!(state, CampaignState::Finished | CampaignState::Cancelled)
}

/// A campaign that sends nothing any more and holds persons. What the server says of a message that is on the wire still
/// would be kept after all was erased.
fn must_be_erasable(conn: &Connection, campaign: CampaignId) -> Result<(), StoreError> {
    let found = campaigns::get(conn, campaign)?.state;
    if !has_ended(&found) {
        return Err(conflict(
            campaign,
            found.name().to_owned(),
            "erasing its persons; it must be finished or cancelled first",
        ));
    }
    let sql = "SELECT erased_at IS NOT NULL FROM campaigns WHERE id = ?1";
    if only(conn, "read the campaign", sql, [campaign.row()], |row| row.get(0))? {
        return Err(conflict(campaign, "erased already".to_owned(), "erasing it again"));
    }
    match only(conn, "look for what is on the wire", ON_WIRE, [campaign.row()], |row| {
        row.get(0)
    })? {
        true => Err(conflict(
            campaign,
            format!("{} with a message on the wire", found.name()),
            "erasing its persons; wait some minutes for the end of that message",
        )),
        false => Ok(()),
    }
}

pub(super) const ON_WIRE: &str =
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 AND state = 'on_wire')";

/// Erases the next persons in the order of their deliveries; the last one's delivery, while there are more.
fn erase_chunk(tx: &mut Tx<'_>, campaign: CampaignId, after: i64) -> Result<Option<i64>, StoreError> {
    must_be_erasable(tx.conn, campaign)?;
    let persons: Vec<(i64, String)> = all(
        tx.conn,
        "read the persons",
        "SELECT delivery, address FROM persons
         WHERE +campaign = ?1 AND delivery > ?2 AND address <> '' ORDER BY delivery LIMIT ?3",
        params![campaign.row(), after, CHUNK],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    erase(tx.conn, campaign, &persons)?;
    Ok(persons.last().map(|(delivery, _)| *delivery))
}

/// Erases the next rows that cannot be used, in the order of their ids; the last one's id, while there are more.
fn erase_bad_chunk(tx: &mut Tx<'_>, campaign: CampaignId, after: i64) -> Result<Option<i64>, StoreError> {
    must_be_erasable(tx.conn, campaign)?;
    let sql = "SELECT id FROM bad_rows WHERE id > ?2 AND +campaign = ?1 AND cells <> '[]' ORDER BY id LIMIT ?3";
    let values = params![campaign.row(), after, CHUNK];
    let rows: Vec<i64> = all(tx.conn, "read the bad rows", sql, values, |row| row.get(0))?;
    for row in &rows {
        erase_bad_row(tx.conn, *row)?;
    }
    Ok(rows.last().copied())
}

/// Erases the next mails that came back, in the order in which they came; the last one's id, while there are more.
fn erase_mails(tx: &mut Tx<'_>, campaign: CampaignId, after: i64) -> Result<Option<i64>, StoreError> {
    must_be_erasable(tx.conn, campaign)?;
    let values = params![campaign.row(), after, MAILS];
    let mails: Vec<i64> = all(tx.conn, "read the mails", MAILS_OF, values, |row| row.get(0))?;
    for mail in &mails {
        erase_mail(tx.conn, MailId::new(*mail))?;
    }
    Ok(mails.last().copied())
}

/// The next mails of a campaign: a walk over the mails of persons, never over the persons.
pub(super) const MAILS_OF: &str = "SELECT m.id FROM mails m CROSS JOIN deliveries d ON d.id = m.delivery
     WHERE m.id > ?2 AND d.campaign = ?1 ORDER BY m.id LIMIT ?3";

/// All is erased, and the journal says so: how much that is, whoever erased it and when.
fn end_erasure(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<Erased, StoreError> {
    must_be_erasable(tx.conn, campaign)?;
    let count = |sql| -> Result<u64, StoreError> {
        let count: i64 = only(tx.conn, "count what was erased", sql, [campaign.row()], |row| {
            row.get(0)
        })?;
        Ok(count.cast_unsigned())
    };
    let erased = Erased {
        persons: count("SELECT count(*) FROM persons WHERE +campaign = ?1")?,
        bad_rows: count("SELECT count(*) FROM bad_rows WHERE campaign = ?1")?,
        mails: count(
            "SELECT count(*) FROM mails m CROSS JOIN deliveries d ON d.id = m.delivery
             WHERE m.delivery IS NOT NULL AND d.campaign = ?1",
        )?,
    };
    let sql = "UPDATE campaigns SET erased_at = ?2, domain_cursor = '' WHERE id = ?1";
    run(tx.conn, "note the erasure", sql, params![campaign.row(), Micros(now)])?;
    // A pace whose time is past holds nobody back.
    for sql in [
        "DELETE FROM pace_next WHERE next < ?1",
        "DELETE FROM slow_domains WHERE until < ?1",
    ] {
        run(tx.conn, "forget the domains' pace", sql, [Micros(now)])?;
    }
    let facts = json!({ "campaign": campaign, "erased": erased });
    journal::append(tx, "campaign.erased", &facts, by, now)?;
    Ok(erased)
}

/// Who is at one address: the persons, and the rows that could not be used and hold it in any cell.
#[derive(Clone)]
struct There {
    /// Of the campaign when they were looked for: where it has changed, somebody may have come.
    counts: RowCounts,
    persons: Vec<DeliveryId>,
    bad_rows: Vec<BadRowId>,
}

/// Each walk goes over all persons, or all bad rows: never within a write.
fn look_for(conn: &Connection, campaign: CampaignId, address: &str) -> Result<There, StoreError> {
    let counts = lists::counts(conn, campaign)?;
    let wanted = HashSet::from([fold_address(address)]);
    let at = addresses::persons(conn, Some(campaign), &wanted)?;
    let rows = addresses::bad_rows(conn, Some(campaign), &wanted, Cells::All)?;
    let (mut persons, mut bad_rows) = (Vec::new(), Vec::new());
    for whom in at.into_values().chain(rows.into_values()).flatten() {
        match whom {
            Whom::Delivery(id) => persons.push(id),
            Whom::BadRow(id) => bad_rows.push(id),
        }
    }
    Ok(There {
        counts,
        persons,
        bad_rows,
    })
}

/// `None` when rows came in since they were looked for.
fn erase_person(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    there: &There,
    by: &Actor,
    now: Time,
) -> Result<Option<Erased>, StoreError> {
    let ended = has_ended(&campaigns::get(tx.conn, campaign)?.state);
    if lists::counts(tx.conn, campaign)? != there.counts {
        return Ok(None);
    }
    let mut persons: Vec<(i64, String)> = Vec::new();
    for delivery in &there.persons {
        // Somebody else may have erased them meanwhile.
        let sql = "SELECT address FROM persons WHERE delivery = ?1 AND address <> ''";
        let address = one(tx.conn, "look for the person", sql, [delivery.row()], |row| row.get(0))?;
        persons.extend(address.map(|address| (delivery.row(), address)));
    }
    let bad_rows = &there.bad_rows;
    if persons.is_empty() && bad_rows.is_empty() {
        return Err(StoreError::NotFound {
            what: "person of this address in",
            id: campaign.to_string(),
        });
    }
    for (delivery, _) in &persons {
        let current = ledger::get(tx.conn, DeliveryId::new(*delivery))?;
        let on_wire = matches!(current.state, DeliveryState::OnWire { .. });
        if on_wire || (!ended && !is_final(&current.state)) {
            return Err(StoreError::Conflict {
                what: "delivery",
                id: current.id.to_string(),
                found: format!("{}: the message may still leave", current.state.name()),
                wanted: "erasing the person; wait for its end, or cancel the campaign",
            });
        }
    }
    erase(tx.conn, campaign, &persons)?;
    let mut erased = Erased {
        persons: persons.len() as u64,
        ..Erased::default()
    };
    for row in bad_rows {
        erased.bad_rows += erase_bad_row(tx.conn, row.row())?;
    }
    for (delivery, _) in &persons {
        let sql = "SELECT id FROM mails WHERE delivery = ?1";
        let mails: Vec<i64> = all(tx.conn, "read the mails", sql, [delivery], |row| row.get(0))?;
        for mail in mails {
            erased.mails += erase_mail(tx.conn, MailId::new(mail))?;
        }
    }
    let facts = json!({ "campaign": campaign, "erased": erased });
    journal::append(tx, "campaign.person_erased", &facts, by, now)?;
    Ok(Some(erased))
}

/// Nobody can be written to any more whose address is gone.
pub(super) fn refuse_erased(conn: &Connection, id: DeliveryId) -> Result<(), StoreError> {
    match is_erased(conn, id)? {
        true => Err(StoreError::Conflict {
            what: "delivery",
            id: id.to_string(),
            found: "to a person who was erased".to_owned(),
            wanted: "another try",
        }),
        false => Ok(()),
    }
}

/// Whether the delivery's person was erased.
pub(super) fn is_erased(conn: &Connection, id: DeliveryId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM persons WHERE delivery = ?1 AND address = '')";
    only(conn, "look for the person", sql, [id.row()], |row| row.get(0))
}

fn is_final(state: &DeliveryState) -> bool {
    match state {
        DeliveryState::InDoubt { next, .. } => next.is_none(),
        DeliveryState::Handed { .. }
        | DeliveryState::Confirmed { .. }
        | DeliveryState::Failed { .. }
        | DeliveryState::Cancelled { .. } => true,
        _ => false,
    }
}

/// Erases these persons and what their servers said of them; a keyed hash of each address stays.
fn erase(conn: &Connection, campaign: CampaignId, persons: &[(i64, String)]) -> Result<(), StoreError> {
    if persons.is_empty() {
        return Ok(());
    }
    let key = key(conn, campaign)?;
    for (delivery, address) in persons {
        let hash = keyed(&key, address);
        let sql = "INSERT INTO told_hashes (campaign, hash, delivery) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        run(conn, "keep the hash", sql, params![campaign.row(), hash, delivery])?;
        // Languages and countries are counted in reports and tell of nobody; a domain may be a family's name.
        let sql = "UPDATE persons SET person = randomblob(16), address = '', domain = '', fields = '{}'
                   WHERE delivery = ?1";
        run(conn, "erase the person", sql, [delivery])?;
        let sql = "UPDATE deliveries SET domain = NULL WHERE id = ?1";
        run(conn, "erase the domain", sql, [delivery])?;
        let sql = "UPDATE delivery_reports SET diagnostic = NULL WHERE delivery = ?1";
        run(conn, "erase the diagnostics", sql, [delivery])?;
        erase_attempts(conn, *delivery)?;
        erase_detail(conn, *delivery)?;
    }
    pace::forget(conn, campaign)
}

/// The words of each attempt go; their digests, which the journal covers, stay.
fn erase_attempts(conn: &Connection, delivery: i64) -> Result<(), StoreError> {
    type Texts = (i64, Option<String>, Option<String>);
    let attempts: Vec<Texts> = all(
        conn,
        "read the attempts",
        "SELECT id, reply, fault FROM attempts WHERE delivery = ?1 AND (reply IS NOT NULL OR fault IS NOT NULL)",
        [delivery],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let digest = |text: Option<String>| -> Option<[u8; 32]> { text.map(|text| Sha256::digest(text).into()) };
    for (id, reply, fault) in attempts {
        run(
            conn,
            "erase the attempt's words",
            "UPDATE attempts SET reply = NULL, fault = NULL, reply_sha256 = ?2, fault_sha256 = ?3 WHERE id = ?1",
            params![id, digest(reply), digest(fault)],
        )?;
    }
    Ok(())
}

/// Of the last answer the code stays: reports count by it.
fn erase_detail(conn: &Connection, delivery: i64) -> Result<(), StoreError> {
    let detail = match ledger::get(conn, DeliveryId::new(delivery))?.state {
        DeliveryState::Handed { reply, .. } => json_text(&wordless(&reply)),
        DeliveryState::Failed { fault, .. } => json_text(&without_words(&fault)),
        _ => return Ok(()),
    };
    let sql = "UPDATE deliveries SET detail = ?2 WHERE id = ?1";
    run(conn, "erase the answer's words", sql, params![delivery, detail]).map(drop)
}

fn wordless(reply: &SmtpReply) -> SmtpReply {
    SmtpReply {
        text: String::new(),
        ..reply.clone()
    }
}

fn without_words(fault: &Fault) -> Fault {
    Fault {
        cause: match &fault.cause {
            FaultCause::Reply(reply) => FaultCause::Reply(wordless(reply)),
            FaultCause::Bounce(words) => FaultCause::Bounce(status(words).to_owned()),
            ours => ours.clone(),
        },
        ..fault.clone()
    }
}

/// What is kept of a try whose person was erased before it was over: a report had come before the server's answer.
pub(super) fn outcome_without_words(outcome: &Outcome) -> Outcome {
    match outcome.clone() {
        Outcome::Accepted { reply, tls } => Outcome::Accepted {
            reply: wordless(&reply),
            tls,
        },
        Outcome::Deferred { fault } => Outcome::Deferred {
            fault: without_words(&fault),
        },
        Outcome::Refused { fault } => Outcome::Refused {
            fault: without_words(&fault),
        },
        Outcome::InDoubt { fault } => Outcome::InDoubt {
            fault: without_words(&fault),
        },
        Outcome::Held { fault } => Outcome::Held {
            fault: without_words(&fault),
        },
    }
}

/// The status (RFC 3463 §2) that a bounce's words begin with.
fn status(words: &str) -> &str {
    let first = words
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .trim_end_matches(':');
    match first.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        true => first,
        false => "",
    }
}

/// A row that could not be used. How many were not erased before.
fn erase_bad_row(conn: &Connection, row: i64) -> Result<u64, StoreError> {
    let changed = run(
        conn,
        "erase the bad row",
        // Codes of a language and a country stay, as those of persons do: reports count by them.
        "UPDATE bad_rows SET person = NULL, cells = '[]', fields = json_patch(
             CASE length(fields ->> '$.language[0]')
                 WHEN 2 THEN json_object('language', json_array(fields ->> '$.language[0]')) ELSE '{}' END,
             CASE length(fields ->> '$.country[0]')
                 WHEN 2 THEN json_object('country', json_array(fields ->> '$.country[0]')) ELSE '{}' END)
         WHERE id = ?1 AND cells <> '[]'",
        [row],
    )?;
    Ok(changed as u64)
}

/// The bytes of a mail that came back. What was understood stays, without words of the mail. How many were not erased before.
pub(super) fn erase_mail(conn: &Connection, mail: MailId) -> Result<u64, StoreError> {
    let sql = "UPDATE mail_bytes SET raw = x'' WHERE mail = ?1 AND length(raw) > 0";
    let changed = run(conn, "erase the mail", sql, [mail.row()])?;
    let sql = "UPDATE mails SET in_tray = 0,
                understanding = json_set(understanding, '$.why', 'erased', '$.order_hint', NULL,
                                         '$.authority_reference', NULL, '$.authenticity', json(?2))
         WHERE id = ?1";
    let nothing = Json(crate::model::receipt::Authenticity::default());
    run(conn, "erase what was understood", sql, params![mail.row(), nothing])?;
    Ok(changed as u64)
}

/// The key of a campaign's hashes, made at first use; SQLite's randomness is ChaCha20, seeded by the system.
fn key(conn: &Connection, campaign: CampaignId) -> Result<[u8; 32], StoreError> {
    let step = "read the key of the hashes";
    let sql = "INSERT INTO told_keys (campaign, key) VALUES (?1, randomblob(32)) ON CONFLICT DO NOTHING";
    run(conn, step, sql, [campaign.row()])?;
    let sql = "SELECT key FROM told_keys WHERE campaign = ?1";
    only(conn, step, sql, [campaign.row()], |row| row.get(0))
}

fn keyed(key: &[u8; 32], address: &str) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(fold_address(address).as_bytes());
    let digest = mac.finalize().into_bytes();
    digest[..16].try_into().expect("sixteen of thirty-two bytes")
}

/// The deliveries to this address among those that were erased.
pub(super) fn find_erased(conn: &Connection, address: &str) -> Result<Vec<(CampaignId, DeliveryId)>, StoreError> {
    let step = "look for the hash";
    let sql = "SELECT campaign, key FROM told_keys ORDER BY campaign";
    let keys: Vec<(i64, [u8; 32])> = all(conn, step, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut found = Vec::new();
    for (campaign, key) in keys {
        let sql = "SELECT delivery FROM told_hashes WHERE campaign = ?1 AND hash = ?2 ORDER BY delivery";
        let hash = keyed(&key, address);
        let deliveries = all(conn, step, sql, params![campaign, hash], |row| row.get(0))?;
        let campaign = CampaignId::new(campaign);
        found.extend(
            deliveries
                .into_iter()
                .map(|delivery| (campaign, DeliveryId::new(delivery))),
        );
    }
    Ok(found)
}

fn forget_hashes(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<bool, StoreError> {
    campaigns::get(tx.conn, campaign)?;
    let step = "forget the hashes";
    let sql = "DELETE FROM told_keys WHERE campaign = ?1 RETURNING campaign";
    let had: Option<i64> = one(tx.conn, step, sql, [campaign.row()], |row| row.get(0))?;
    if had.is_none() {
        return Ok(false);
    }
    let sql = "DELETE FROM told_hashes WHERE campaign = ?1";
    let hashes = run(tx.conn, step, sql, [campaign.row()])?;
    let facts = json!({ "campaign": campaign, "hashes": hashes });
    journal::append(tx, "campaign.hashes_forgotten", &facts, by, now)?;
    Ok(true)
}
