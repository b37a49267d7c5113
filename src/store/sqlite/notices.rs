//! Notices, from draft to acknowledged or withdrawn. How far the mail got is its delivery's (`ledger`).

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::rows::{Json, Micros, Text, Word, all, one, only, run};
use super::{Sqlite, Tx, conversation, decisions, journal, ledger, register};
use crate::model::Time;
use crate::model::delivery::{DeliveryEvent, DeliveryState};
use crate::model::id::{Actor, BreachId, DeliveryId, MailId, Reference};
use crate::model::notice::{Acknowledgement, Notice};
use crate::secret::Secret;
use crate::store::{NewNotice, Notices, StoreError, StoredFile, chain};

/// A proof file's name and bytes.
type ProofFile = (String, Vec<u8>);

#[async_trait]
impl Notices for Sqlite {
    async fn file_notice(&self, notice: NewNotice, by: &Actor, now: Time) -> Result<Option<DeliveryId>, StoreError> {
        let by = by.clone();
        self.write(move |tx| file(tx, &notice, &by, now)).await
    }

    async fn keep_draft(&self, notice: NewNotice, reason: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (reason, by) = (reason.to_owned(), by.clone());
        self.write(move |tx| keep_draft(tx, &notice, &reason, &by, now)).await
    }

    async fn find_notice(&self, reference: &Reference) -> Result<Option<Notice>, StoreError> {
        let reference = reference.clone();
        self.read(move |conn| {
            let sql = format!("{NOTICE} WHERE n.reference = ?1");
            one(conn, "read the notice", &sql, [Text(&reference)], read_notice)
        })
        .await
    }

    async fn find_notice_by_message_id(&self, message_id: &str) -> Result<Option<Notice>, StoreError> {
        let message_id = message_id.to_owned();
        self.read(move |conn| {
            let sql = format!("{NOTICE} WHERE n.message_id = ?1");
            one(conn, "read the notice", &sql, [message_id], read_notice)
        })
        .await
    }

    async fn list_notices(&self, breach: Option<BreachId>) -> Result<Vec<Notice>, StoreError> {
        self.read(move |conn| {
            let sql = format!("{NOTICE} WHERE ?1 IS NULL OR n.breach = ?1 ORDER BY n.filed_at, n.id");
            all(conn, "list the notices", &sql, [breach.map(Text)], read_notice)
        })
        .await
    }

    async fn notice_content(&self, reference: &Reference) -> Result<Option<Vec<u8>>, StoreError> {
        let reference = reference.clone();
        self.read(move |conn| content(conn, &reference)).await
    }

    async fn notice_passphrase(&self, reference: &Reference) -> Result<Option<Secret>, StoreError> {
        let reference = reference.clone();
        self.read(move |conn| passphrase(conn, &reference)).await
    }

    async fn list_files(&self, reference: &Reference) -> Result<Vec<StoredFile>, StoreError> {
        let reference = reference.clone();
        self.read(move |conn| files(conn, &reference)).await
    }

    async fn acknowledge(
        &self,
        reference: &Reference,
        acknowledgement: Acknowledgement,
        proof_file: Option<ProofFile>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let (reference, by) = (reference.clone(), by.clone());
        self.write(move |tx| acknowledge(tx, &reference, &acknowledgement, proof_file.as_ref(), &by, now))
            .await
    }

    async fn withdraw(&self, reference: &Reference, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (reference, by) = (reference.clone(), by.clone());
        self.write(move |tx| withdraw(tx, &reference, &by, now)).await
    }
}

/// A notice with the reference of the one before and its delivery.
pub(super) const NOTICE: &str = "SELECT n.*, p.reference AS prior_reference, d.id AS delivery
     FROM notices n LEFT JOIN notices p ON p.id = n.prior LEFT JOIN deliveries d ON d.notice = n.id";

fn read_notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        reference: row.get::<_, Text<_>>("reference")?.0,
        breach: row.get::<_, Text<_>>("breach")?.0,
        authority: row.get("authority")?,
        sequence: row.get("sequence")?,
        kind: row.get::<_, Word<_>>("kind")?.0,
        channel: row.get::<_, Word<_>>("channel")?.0,
        language: row.get("language")?,
        prior: row.get::<_, Option<Text<_>>>("prior_reference")?.map(|t| t.0),
        message_id: row.get("message_id")?,
        protection: row.get::<_, Option<Json<_>>>("protection")?.map(|j| j.0),
        content_sha256: row.get("content_sha256")?,
        filed_at: row.get::<_, Micros>("filed_at")?.0,
        filed_by: row.get::<_, Text<_>>("filed_by")?.0,
        delivery: row.get::<_, Option<i64>>("delivery")?.map(DeliveryId::new),
        acknowledgement: read_acknowledgement(row)?,
        outside_reference: row.get("outside_reference")?,
        withdrawn_at: row.get::<_, Option<Micros>>("withdrawn_at")?.map(|m| m.0),
        draft_reason: row.get("draft_reason")?,
        answers: row.get::<_, Option<i64>>("answers")?.map(MailId::new),
    })
}

fn read_acknowledgement(row: &Row<'_>) -> rusqlite::Result<Option<Acknowledgement>> {
    let Some(at) = row.get::<_, Option<Micros>>("ack_at")? else {
        return Ok(None);
    };
    Ok(Some(Acknowledgement {
        at: at.0,
        proof: row.get::<_, Json<_>>("ack_proof")?.0,
        authority_reference: row.get("ack_reference")?,
        mail: row.get::<_, Option<i64>>("ack_mail")?.map(MailId::new),
    }))
}

/// A notice by its reference, with its row; an error when there is none.
pub(super) fn get(conn: &Connection, reference: &Reference) -> Result<(i64, Notice), StoreError> {
    let sql = format!("{NOTICE} WHERE n.reference = ?1");
    let found = one(conn, "read the notice", &sql, [Text(reference)], |row| {
        Ok((row.get("id")?, read_notice(row)?))
    })?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "notice",
        id: reference.to_string(),
    })
}

fn conflict(reference: &Reference, found: &str, wanted: &'static str) -> StoreError {
    StoreError::Conflict {
        what: "notice",
        id: reference.to_string(),
        found: found.to_owned(),
        wanted,
    }
}

fn file(tx: &mut Tx<'_>, new: &NewNotice, by: &Actor, now: Time) -> Result<Option<DeliveryId>, StoreError> {
    let at = new.handed_at.unwrap_or(now);
    let (row, sequence) = put(tx, new, None, by, at)?;
    let delivery = match &new.mail {
        Some(mail) => {
            let delivery = ledger::add(tx.conn, Some(row), None, new.message_id.as_deref(), now)?;
            run(
                tx.conn,
                "keep the sealed mail",
                "INSERT INTO sealed (delivery, envelope_from, recipient, mail) VALUES (?1, ?2, ?3, ?4)",
                params![delivery.row(), mail.envelope_from, mail.recipient, mail.sealed],
            )?;
            if let Some(why) = &new.hold {
                decisions::hold(tx, delivery, why.clone(), by, now)?;
            }
            Some(delivery)
        }
        None => None,
    };
    if let Some(file) = &new.proof_file {
        add_file(tx, row, file, by, now)?;
    }
    if delivery.is_none() {
        conversation::answered(tx, &new.reference, by, at)?;
    }
    let (kind, channel) = (new.kind.name(), new.channel.name());
    let text = format!("{} to {} ({kind}, {channel})", new.reference, new.authority);
    register::add_line(tx, new.breach, "notice_filed", &text, by, at)?;
    if let Some(decision) = &new.decision {
        let text = format!("{}: {decision}", new.reference);
        register::add_line(tx, new.breach, "notice_decision", &text, by, now)?;
    }
    let facts = json!({
        "notice": new.reference, "breach": new.breach, "authority": new.authority, "sequence": sequence,
        "kind": kind, "channel": channel, "prior": new.prior, "delivery": delivery, "handed_at": new.handed_at,
        "answers": new.answers,
        "protection": new.protection, "content_sha256": new.content_sha256,
        "sealed_sha256": new.mail.as_ref().map(|mail| chain::sha256(&mail.sealed)),
        "file_sha256": new.proof_file.as_ref().map(|(_, bytes)| chain::sha256(bytes)),
        "decision_sha256": new.decision.as_ref().map(chain::sha256),
    });
    journal::append(tx, "notice.filed", &facts, by, now)?;
    Ok(delivery)
}

fn keep_draft(tx: &mut Tx<'_>, new: &NewNotice, reason: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
    put(tx, new, Some(reason), by, now)?;
    let text = format!("{} to {}: {reason}", new.reference, new.authority);
    register::add_line(tx, new.breach, "notice_draft", &text, by, now)?;
    let facts = json!({
        "notice": new.reference, "breach": new.breach, "authority": new.authority, "kind": new.kind.name(),
        "content_sha256": new.content_sha256,
    });
    journal::append(tx, "notice.drafted", &facts, by, now).map(drop)
}

/// Writes the notice's row and content, over a draft of the same reference if there is one. Returns its row and sequence.
fn put(
    tx: &mut Tx<'_>,
    new: &NewNotice,
    draft_reason: Option<&str>,
    by: &Actor,
    at: Time,
) -> Result<(i64, u32), StoreError> {
    register::must_exist(tx.conn, new.breach)?;
    let prior = new
        .prior
        .as_ref()
        .map(|prior| get(tx.conn, prior))
        .transpose()?
        .map(|(row, _)| row);
    let draft = one(
        tx.conn,
        "look for a draft",
        "SELECT id, sequence, draft_reason IS NOT NULL AND withdrawn_at IS NULL AND breach = ?2 AND authority = ?3
         FROM notices WHERE reference = ?1",
        params![Text(&new.reference), Text(new.breach), new.authority],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (row, sequence): (Option<i64>, u32) = match draft {
        Some((row, sequence, true)) => (Some(row), sequence),
        Some(_) => return Err(conflict(&new.reference, "in use", "another notice of this reference")),
        None => (None, next_sequence(tx.conn, new)?),
    };
    let row = only(
        tx.conn,
        "store the notice",
        "INSERT INTO notices (id, reference, breach, authority, sequence, kind, channel, language, prior, message_id,
                              protection, content_sha256, filed_at, filed_by, outside_reference, decision, draft_reason,
                              answers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (id) DO UPDATE SET
             kind = excluded.kind, channel = excluded.channel, language = excluded.language, prior = excluded.prior,
             message_id = excluded.message_id, protection = excluded.protection,
             content_sha256 = excluded.content_sha256, filed_at = excluded.filed_at, filed_by = excluded.filed_by,
             outside_reference = excluded.outside_reference, decision = excluded.decision,
             draft_reason = excluded.draft_reason, answers = excluded.answers
         RETURNING id",
        params![
            row,
            Text(&new.reference),
            Text(new.breach),
            new.authority,
            sequence,
            new.kind.name(),
            new.channel.name(),
            new.language,
            prior,
            // A draft has not been sealed: the Message-ID comes with the mail.
            new.message_id.as_ref().filter(|_| draft_reason.is_none()),
            new.protection.as_ref().map(Json),
            new.content_sha256,
            Micros(at),
            Text(by),
            new.outside_reference,
            new.decision,
            draft_reason,
            new.answers.map(|mail| mail.row()),
        ],
        |row| row.get(0),
    )?;
    run(
        tx.conn,
        "store the notice's content",
        "INSERT INTO notice_contents (notice, content, passphrase) VALUES (?1, ?2, ?3)
         ON CONFLICT (notice) DO UPDATE SET content = excluded.content, passphrase = excluded.passphrase",
        params![row, new.content, new.passphrase.as_ref().map(Secret::expose)],
    )?;
    Ok((row, sequence))
}

fn next_sequence(conn: &Connection, new: &NewNotice) -> Result<u32, StoreError> {
    only(
        conn,
        "number the notice",
        "SELECT coalesce(max(sequence), 0) + 1 FROM notices WHERE breach = ?1 AND authority = ?2",
        params![Text(new.breach), new.authority],
        |row| row.get(0),
    )
}

fn content(conn: &Connection, reference: &Reference) -> Result<Option<Vec<u8>>, StoreError> {
    one(
        conn,
        "read the notice's content",
        "SELECT c.content FROM notices n JOIN notice_contents c ON c.notice = n.id WHERE n.reference = ?1",
        [Text(reference)],
        |row| row.get(0),
    )
}

fn passphrase(conn: &Connection, reference: &Reference) -> Result<Option<Secret>, StoreError> {
    let found: Option<Option<String>> = one(
        conn,
        "read the notice's passphrase",
        "SELECT c.passphrase FROM notices n JOIN notice_contents c ON c.notice = n.id WHERE n.reference = ?1",
        [Text(reference)],
        |row| row.get(0),
    )?;
    Ok(found.flatten().map(Secret::new))
}

/// The same file given twice is kept once.
fn add_file(tx: &mut Tx<'_>, notice: i64, file: &ProofFile, by: &Actor, now: Time) -> Result<(), StoreError> {
    let (name, content) = file;
    run(
        tx.conn,
        "keep the proof file",
        "INSERT INTO files (notice, name, sha256, content, added_at, added_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (notice, sha256) DO NOTHING",
        params![notice, name, chain::sha256(content), content, Micros(now), Text(by)],
    )?;
    Ok(())
}

fn files(conn: &Connection, reference: &Reference) -> Result<Vec<StoredFile>, StoreError> {
    all(
        conn,
        "read the proof files",
        "SELECT f.name, f.sha256, f.content FROM notices n JOIN files f ON f.notice = n.id
         WHERE n.reference = ?1 ORDER BY f.id",
        [Text(reference)],
        |row| {
            Ok(StoredFile {
                name: row.get(0)?,
                sha256: row.get(1)?,
                content: row.get(2)?,
            })
        },
    )
}

/// Books a confirmation of receipt. The first one stands; a later one adds an authority reference that was missing, and
/// a proof file. Says nothing twice.
pub(super) fn acknowledge(
    tx: &mut Tx<'_>,
    reference: &Reference,
    given: &Acknowledgement,
    proof_file: Option<&ProofFile>,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let (row, notice) = get(tx.conn, reference)?;
    if notice.draft_reason.is_some() {
        return Err(conflict(reference, "a draft", "an acknowledgement"));
    }
    let first = notice.acknowledgement.is_none();
    let adds_reference = given.authority_reference.is_some()
        && notice
            .acknowledgement
            .is_none_or(|known| known.authority_reference.is_none());
    if first {
        run(
            tx.conn,
            "acknowledge the notice",
            "UPDATE notices SET ack_at = ?2, ack_proof = ?3, ack_mail = ?4 WHERE id = ?1 AND ack_at IS NULL",
            params![
                row,
                Micros(given.at),
                Json(&given.proof),
                given.mail.map(|mail| mail.row())
            ],
        )?;
    }
    if adds_reference {
        run(
            tx.conn,
            "keep the authority's reference",
            "UPDATE notices SET ack_reference = ?2 WHERE id = ?1 AND ack_reference IS NULL",
            params![row, given.authority_reference],
        )?;
    }
    if let Some(file) = proof_file {
        add_file(tx, row, file, by, now)?;
    }
    if let Some(delivery) = notice.delivery {
        decisions::confirm_where_allowed(tx, delivery, &given.proof, by, now)?;
    }
    if first || adds_reference {
        let kind = if first {
            "notice_acknowledged"
        } else {
            "notice_reference"
        };
        let text = match &given.authority_reference {
            Some(theirs) => format!("{reference} by {}: {theirs}", notice.authority),
            None => format!("{reference} by {}", notice.authority),
        };
        register::add_line(tx, notice.breach, kind, &text, by, given.at)?;
    }
    if first || adds_reference || proof_file.is_some() {
        let mut facts = decisions::proof_facts(&given.proof);
        facts["notice"] = json!(reference);
        facts["first"] = json!(first);
        facts["has_reference"] = json!(given.authority_reference.is_some());
        facts["added_file_sha256"] = proof_file.map_or(Value::Null, |(_, bytes)| json!(chain::sha256(bytes)));
        journal::append(tx, "notice.acknowledged", &facts, by, now)?;
    }
    Ok(())
}

fn withdraw(tx: &mut Tx<'_>, reference: &Reference, by: &Actor, now: Time) -> Result<(), StoreError> {
    const WANTED: &str = "withdrawing it";
    let (row, notice) = get(tx.conn, reference)?;
    if notice.withdrawn_at.is_some() {
        return Err(conflict(reference, "withdrawn", WANTED));
    }
    match notice.delivery {
        Some(delivery) => {
            let current = ledger::get(tx.conn, delivery)?;
            // What has failed is final already; its fault stays on record.
            if !matches!(current.state, DeliveryState::Failed { .. }) {
                let event = DeliveryEvent::Cancel { by: by.clone(), now };
                ledger::move_on(tx, &current, event, WANTED)?;
            }
        }
        None if notice.draft_reason.is_none() => return Err(conflict(reference, "handed", WANTED)),
        None => {}
    }
    run(
        tx.conn,
        "withdraw the notice",
        "UPDATE notices SET withdrawn_at = ?2 WHERE id = ?1 AND withdrawn_at IS NULL",
        params![row, Micros(now)],
    )?;
    let text = format!("{reference} to {}", notice.authority);
    register::add_line(tx, notice.breach, "notice_withdrawn", &text, by, now)?;
    let facts = json!({ "notice": reference, "breach": notice.breach, "delivery": notice.delivery });
    journal::append(tx, "notice.withdrawn", &facts, by, now).map(drop)
}
