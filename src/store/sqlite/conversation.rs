//! What follows from a mail: acknowledgements and reports booked, questions opened and closed, decisions of persons kept.
//! The mails themselves are `intake`'s, the moves of deliveries `decisions`'.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::intake::{MAIL, read_mail};
use super::ledger::{self, Current};
use super::rows::{Json, Micros, Text, Word, all, one, run};
use super::{Sqlite, Tx, decisions, erasure, journal, notices, register};
use crate::model::Time;
use crate::model::delivery::{DeliveryState, Fault, FaultCause, SmtpStep};
use crate::model::id::{Actor, DeliveryId, MailId, Reference};
use crate::model::inquiry::{Closed, Inquiry};
use crate::model::proof::Proof;
use crate::model::receipt::ReportAction;
use crate::store::{
    Consequences, Conversation, DeliveryReport, HowSettled, NewInquiry, NewReport, Settled, StoreError, StoredMail,
    Understanding, chain,
};

#[async_trait]
impl Conversation for Sqlite {
    async fn settle(
        &self,
        id: MailId,
        understanding: Understanding,
        consequences: Consequences,
        settled: Settled,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            understood(tx, id, &understanding, &consequences, &settled.by, settled.at)?;
            leave_the_tray(tx, id, &settled)
        })
        .await
    }

    async fn dismiss(&self, id: MailId, reason: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let settled = Settled {
            at: now,
            by: by.clone(),
            how: HowSettled::Done,
            reason: Some(reason.to_owned()),
        };
        self.write(move |tx| {
            leave_the_tray(tx, id, &settled)?;
            let closed = Closed {
                at: settled.at,
                by: settled.by.clone(),
                answer: None,
                reason: settled.reason.clone(),
            };
            close(tx, id, None, &closed)
        })
        .await
    }

    async fn list_inquiries(&self, open_only: bool) -> Result<Vec<Inquiry>, StoreError> {
        self.read(move |conn| {
            let open = if open_only { "WHERE i.closed IS NULL" } else { "" };
            let sql = format!("{INQUIRY} {open} ORDER BY i.due, i.mail");
            all(conn, "list the inquiries", &sql, [], read_inquiry)
        })
        .await
    }

    async fn find_inquiry(&self, mail: MailId) -> Result<Option<Inquiry>, StoreError> {
        self.read(move |conn| find_inquiry(conn, mail)).await
    }

    async fn list_mails_of(&self, notice: &Reference) -> Result<Vec<StoredMail>, StoreError> {
        let notice = notice.clone();
        self.read(move |conn| {
            let sql = format!("{MAIL} WHERE notice = (SELECT id FROM notices WHERE reference = ?1) ORDER BY id");
            all(conn, "list the notice's mails", &sql, [Text(notice)], |row| {
                read_mail(row, Vec::new())
            })
        })
        .await
    }

    async fn list_mails_about(&self, delivery: DeliveryId) -> Result<Vec<StoredMail>, StoreError> {
        self.read(move |conn| {
            let sql = format!("{MAIL} WHERE delivery = ?1 ORDER BY id");
            all(conn, "list the delivery's mails", &sql, [delivery.row()], |row| {
                read_mail(row, Vec::new())
            })
        })
        .await
    }

    async fn list_reports(&self, delivery: DeliveryId) -> Result<Vec<DeliveryReport>, StoreError> {
        self.read(move |conn| {
            all(
                conn,
                "list the reports",
                "SELECT mail, at, action, status, diagnostic FROM delivery_reports WHERE delivery = ?1 ORDER BY id",
                [delivery.row()],
                |row| {
                    Ok(DeliveryReport {
                        mail: MailId::new(row.get(0)?),
                        at: row.get::<_, Micros>(1)?.0,
                        action: row.get::<_, Word<_>>(2)?.0,
                        status: row.get(3)?,
                        diagnostic: row.get(4)?,
                    })
                },
            )
        })
        .await
    }
}

const INQUIRY: &str = "SELECT i.mail, n.reference, n.breach, n.authority, i.received_at, i.due, i.is_order, i.closed
     FROM inquiries i JOIN notices n ON n.id = i.notice";

fn read_inquiry(row: &Row<'_>) -> rusqlite::Result<Inquiry> {
    Ok(Inquiry {
        mail: MailId::new(row.get(0)?),
        notice: row.get::<_, Text<_>>(1)?.0,
        breach: row.get::<_, Text<_>>(2)?.0,
        authority: row.get(3)?,
        received_at: row.get::<_, Micros>(4)?.0,
        due: row.get::<_, Micros>(5)?.0,
        order: row.get(6)?,
        closed: row.get::<_, Option<Json<_>>>(7)?.map(|json| json.0),
    })
}

fn find_inquiry(conn: &Connection, mail: MailId) -> Result<Option<Inquiry>, StoreError> {
    let sql = format!("{INQUIRY} WHERE i.mail = ?1");
    one(conn, "read the inquiry", &sql, [mail.row()], read_inquiry)
}

/// Keeps what was understood and books what follows from it.
pub(super) fn understood(
    tx: &mut Tx<'_>,
    id: MailId,
    understanding: &Understanding,
    consequences: &Consequences,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let notice = understanding
        .notice
        .as_ref()
        .map(|reference| notices::get(tx.conn, reference))
        .transpose()?
        .map(|(row, _)| row);
    // Names what is not there; the foreign key would not.
    let delivery = understanding.delivery.map(|id| ledger::get(tx.conn, id)).transpose()?;
    let changed = run(
        tx.conn,
        "keep what was understood",
        "UPDATE mails SET understanding = ?2, in_tray = ?3, notice = ?4, delivery = ?5 WHERE id = ?1",
        params![
            id.row(),
            Json(understanding),
            understanding.in_tray,
            notice,
            delivery.map(|delivery| delivery.id.row())
        ],
    )?;
    if changed == 0 {
        return Err(no_mail(id));
    }
    let facts = json!({
        "mail": id, "kind": understanding.kind.name(), "notice": understanding.notice,
        "delivery": understanding.delivery, "matched_by": understanding.matched_by,
        "certainty": understanding.certainty, "in_tray": understanding.in_tray,
        "encrypted": understanding.encrypted, "signed_by": understanding.signed_by,
        "authenticity": understanding.authenticity.by, "authenticity_result": understanding.authenticity.result,
    });
    journal::append(tx, "mail.understood", &facts, by, now)?;
    if let Some(acknowledgement) = &consequences.acknowledgement {
        let reference = understanding
            .notice
            .as_ref()
            .ok_or_else(|| unmatched(id, "an acknowledgement"))?;
        notices::acknowledge(tx, reference, acknowledgement, None, by, now)?;
    }
    let erased = match understanding.delivery {
        Some(delivery) => erasure::is_erased(tx.conn, delivery)?,
        None => false,
    };
    if !consequences.reports.is_empty() {
        let delivery = understanding
            .delivery
            .ok_or_else(|| unmatched(id, "a delivery report"))?;
        for report in &consequences.reports {
            let mut report = report.clone();
            // It may name the person.
            report.diagnostic = report.diagnostic.filter(|_| !erased);
            book_report(tx, id, delivery, &report, by, now)?;
        }
    }
    // What a person must read is kept until then.
    if erased && !understanding.in_tray {
        erasure::erase_mail(tx.conn, id)?;
    }
    if let Some(inquiry) = &consequences.inquiry {
        let reference = understanding
            .notice
            .as_ref()
            .ok_or_else(|| unmatched(id, "a question"))?;
        open_inquiry(tx, id, reference, inquiry, by, now)?;
    }
    Ok(())
}

fn no_mail(id: MailId) -> StoreError {
    StoreError::NotFound {
        what: "mail",
        id: id.to_string(),
    }
}

fn unmatched(id: MailId, wanted: &'static str) -> StoreError {
    StoreError::Conflict {
        what: "mail",
        id: id.to_string(),
        found: "not matched".to_owned(),
        wanted,
    }
}

/// Keeps what was reported, once, and moves the delivery where its state allows it.
fn book_report(
    tx: &mut Tx<'_>,
    mail: MailId,
    delivery: DeliveryId,
    report: &NewReport,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let current = ledger::get(tx.conn, delivery)?;
    let new = run(
        tx.conn,
        "keep the report",
        "INSERT INTO delivery_reports (delivery, mail, at, action, status, diagnostic) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (delivery, mail, action) DO NOTHING",
        params![
            delivery.row(),
            mail.row(),
            Micros(now),
            report.action.name(),
            report.status,
            report.diagnostic
        ],
    )?;
    if new == 0 {
        return Ok(());
    }
    let mut facts = current.facts();
    facts.insert("mail".to_owned(), json!(mail));
    facts.insert("action".to_owned(), json!(report.action));
    // Comes from the other side: only digits and dots (RFC 3463 §2) may pass.
    let status = report.status.as_deref();
    let status = status.filter(|status| status.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    facts.insert("status".to_owned(), json!(status));
    journal::append(tx, "delivery.reported", &serde_json::Value::Object(facts), by, now)?;
    match report.action {
        ReportAction::Failed if may_bounce(&current) => {
            let fault = Fault {
                step: SmtpStep::FinalDot,
                cause: FaultCause::Bounce(words(report)),
            };
            decisions::bounce(tx, delivery, fault, by, now)
        }
        ReportAction::Delivered => {
            decisions::confirm_where_allowed(tx, delivery, &Proof::DsnDelivered { mail }, by, now)
        }
        action => {
            let kind = match action {
                ReportAction::Failed => "notice_returned_late",
                ReportAction::Delayed => "notice_delayed",
                _ => "notice_relayed",
            };
            ledger::tell(tx, &current, kind, &words(report), by, now)
        }
    }
}

fn may_bounce(current: &Current) -> bool {
    matches!(
        current.state,
        DeliveryState::Handed { .. } | DeliveryState::InDoubt { .. } | DeliveryState::OnWire { .. }
    )
}

/// The other server's words, or at least its status.
fn words(report: &NewReport) -> String {
    let said = [report.status.as_deref(), report.diagnostic.as_deref()];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    if said.is_empty() {
        "no reason was given".to_owned()
    } else {
        said.join(" ")
    }
}

/// Opens a question, or gives the open one another due date; what a person has read in it stays.
fn open_inquiry(
    tx: &mut Tx<'_>,
    mail: MailId,
    reference: &Reference,
    new: &NewInquiry,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let (row, notice) = notices::get(tx.conn, reference)?;
    let known = find_inquiry(tx.conn, mail)?;
    let received: Option<Micros> = one(
        tx.conn,
        "read when the mail came",
        "SELECT received_at FROM mails WHERE id = ?1",
        [mail.row()],
        |row| row.get(0),
    )?;
    let received = received.ok_or_else(|| no_mail(mail))?;
    run(
        tx.conn,
        "open the inquiry",
        "INSERT INTO inquiries (mail, notice, received_at, due, is_order) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (mail) DO UPDATE SET
             notice = excluded.notice, due = excluded.due, is_order = max(is_order, excluded.is_order)",
        params![mail.row(), row, received, Micros(new.due), new.order],
    )?;
    let first = known.is_none();
    if first {
        let what = if new.order {
            "an order to inform the persons concerned"
        } else {
            "a question"
        };
        let due = new.due.format("%Y-%m-%d %H:%M UTC");
        let text = format!("{reference}: {what} of {} in {mail}, due {due}", notice.authority);
        register::add_line(tx, notice.breach, "inquiry_opened", &text, by, now)?;
    } else if new.order && known.is_some_and(|known| !known.order) {
        let text = format!(
            "{reference}: {mail} of {} orders to inform the persons concerned",
            notice.authority
        );
        register::add_line(tx, notice.breach, "inquiry_order", &text, by, now)?;
    }
    let facts = json!({ "mail": mail, "notice": reference, "due": new.due, "order": new.order, "first": first });
    journal::append(tx, "inquiry.opened", &facts, by, now).map(drop)
}

fn leave_the_tray(tx: &mut Tx<'_>, id: MailId, settled: &Settled) -> Result<(), StoreError> {
    let changed = run(
        tx.conn,
        "take the mail out of the tray",
        "UPDATE mails SET in_tray = 0, settled = ?2 WHERE id = ?1 AND understanding IS NOT NULL",
        params![id.row(), Json(settled)],
    )?;
    if changed == 0 {
        return Err(no_mail(id));
    }
    let facts = json!({
        "mail": id, "how": settled.how, "reason_sha256": settled.reason.as_ref().map(chain::sha256),
    });
    journal::append(tx, "mail.settled", &facts, &settled.by, settled.at).map(drop)
}

/// Closes a mail's question if one is open.
fn close(tx: &mut Tx<'_>, mail: MailId, answer: Option<i64>, closed: &Closed) -> Result<(), StoreError> {
    let changed = run(
        tx.conn,
        "close the inquiry",
        "UPDATE inquiries SET closed = ?2, answer = ?3 WHERE mail = ?1 AND closed IS NULL",
        params![mail.row(), Json(closed), answer],
    )?;
    let Some(inquiry) = find_inquiry(tx.conn, mail)?.filter(|_| changed == 1) else {
        return Ok(());
    };
    let how = match (&closed.answer, &closed.reason) {
        (Some(answer), _) => format!("answered by {answer}"),
        (None, Some(reason)) => reason.clone(),
        (None, None) => "closed".to_owned(),
    };
    let text = format!("{}: {mail} of {}: {how}", inquiry.notice, inquiry.authority);
    register::add_line(tx, inquiry.breach, "inquiry_closed", &text, &closed.by, closed.at)?;
    let facts = json!({ "mail": mail, "notice": inquiry.notice, "answer": closed.answer });
    journal::append(tx, "inquiry.closed", &facts, &closed.by, closed.at).map(drop)
}

/// A notice has left: if it answers a mail, that one is done with, and its question is closed.
pub(super) fn answered(tx: &mut Tx<'_>, reference: &Reference, by: &Actor, now: Time) -> Result<(), StoreError> {
    let (row, notice) = notices::get(tx.conn, reference)?;
    let Some(mail) = notice.answers else { return Ok(()) };
    let before: Option<Option<Json<Settled>>> = one(
        tx.conn,
        "read what was decided about the mail",
        "SELECT settled FROM mails WHERE id = ?1",
        [mail.row()],
        |row| row.get(0),
    )?;
    if before
        .flatten()
        .is_some_and(|before| before.0.how == HowSettled::Answered)
    {
        return Ok(());
    }
    let settled = Settled {
        at: now,
        by: notice.filed_by,
        how: HowSettled::Answered,
        reason: None,
    };
    leave_the_tray(tx, mail, &settled)?;
    let closed = Closed {
        at: now,
        by: by.clone(),
        answer: Some(reference.clone()),
        reason: None,
    };
    close(tx, mail, Some(row), &closed)
}

/// An answer was given back: what it answered waits for a person again.
pub(super) fn answer_came_back(
    tx: &mut Tx<'_>,
    reference: &Reference,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let (row, notice) = notices::get(tx.conn, reference)?;
    let Some(mail) = notice.answers else { return Ok(()) };
    let changed = run(
        tx.conn,
        "open the inquiry again",
        "UPDATE inquiries SET closed = NULL, answer = NULL WHERE mail = ?1 AND answer = ?2",
        params![mail.row(), row],
    )?;
    if changed == 0 {
        return Ok(());
    }
    run(
        tx.conn,
        "put the mail back into the tray",
        "UPDATE mails SET in_tray = 1, settled = NULL WHERE id = ?1",
        [mail.row()],
    )?;
    let text = format!("{mail} of {}: the answer {reference} came back", notice.authority);
    register::add_line(tx, notice.breach, "inquiry_reopened", &text, by, now)?;
    let facts = json!({ "mail": mail, "answer": reference });
    journal::append(tx, "inquiry.reopened", &facts, by, now).map(drop)
}
