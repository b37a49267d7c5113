//! One delivery's row: read as a state of the model, moved by `DeliveryState::on`, its attempts appended. The only place
//! that writes the columns of a state, but for the claim (`outbox`), which moves many rows at once.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value, json};

use super::rows::{Json, Micros, Text, all, failed, json, one, run};
use super::writer::Tx;
use super::{journal, pace, register};
use crate::model::Time;
use crate::model::delivery::{DeliveryEvent, DeliveryState, Fault, FaultCause, RetryPolicy, SmtpReply, TlsFacts};
use crate::model::id::{Actor, BreachId, CampaignId, DeliveryId, Reference};
use crate::store::chain::{AttemptRow, AttemptsHash};
use crate::store::{Attempt, Claim, StoreError};

/// Whom a delivery belongs to.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    Notice {
        reference: Reference,
        breach: BreachId,
        authority: String,
    },
    Campaign(CampaignId),
}

/// A delivery's row as it is now.
pub(super) struct Current {
    pub id: DeliveryId,
    pub owner: Owner,
    pub state: DeliveryState,
    pub possibly_twice: bool,
    pub message_id: Option<String>,
    /// Of a person's address, as a pace knows it; not read where the row is taken for granted.
    pub domain: Option<String>,
}
impl Current {
    /// The delivery and whom it belongs to, for a journal entry.
    pub(super) fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::from_iter([("delivery".to_owned(), json!(self.id))]);
        match &self.owner {
            Owner::Notice { reference, .. } => facts.insert("notice".to_owned(), json!(reference)),
            Owner::Campaign(campaign) => facts.insert("campaign".to_owned(), json!(campaign)),
        };
        facts
    }
}

impl Current {
    /// A person's delivery as the worker that claimed it left it, unless it lost the lease: [`try_save`] finds that out
    /// by itself, and a million rows need not be read again twice each. `None` for a notice's.
    pub(super) fn taken_for_granted(claim: &Claim, state: DeliveryState) -> Option<Self> {
        Some(Self {
            id: claim.delivery,
            owner: Owner::Campaign(claim.work.campaign()?),
            state,
            possibly_twice: claim.possibly_twice,
            message_id: claim.message_id.clone(),
            domain: None,
        })
    }
}

/// What is written beside the new state.
#[derive(Default)]
pub(super) struct Beside<'a> {
    /// A try was made.
    pub tried: bool,
    /// From now on for ever.
    pub possibly_twice: bool,
    pub message_id: Option<&'a str>,
}

/// For events whose move takes no next try from the policy.
pub(super) const NO_RETRY: RetryPolicy = RetryPolicy {
    first: chrono::TimeDelta::zero(),
    max: chrono::TimeDelta::zero(),
    until: None,
};

/// The columns of a state, read by name.
pub(super) fn read_state(row: &Row<'_>) -> rusqlite::Result<DeliveryState> {
    let since = || -> rusqlite::Result<Time> { Ok(row.get::<_, Micros>("since")?.0) };
    let by = || -> rusqlite::Result<_> { Ok(row.get::<_, Text<_>>("lease_by")?.0) };
    Ok(match row.get_ref("state")?.as_str()? {
        "ready" => DeliveryState::Ready {
            not_before: row.get::<_, Micros>("due")?.0,
        },
        "leased" => DeliveryState::Leased {
            by: by()?,
            until: row.get::<_, Micros>("lease_until")?.0,
        },
        "on_wire" => DeliveryState::OnWire {
            by: by()?,
            since: since()?,
        },
        "in_doubt" => DeliveryState::InDoubt {
            since: since()?,
            next: row.get::<_, Option<Micros>>("due")?.map(|due| due.0),
        },
        "held" => DeliveryState::Held {
            why: row.get::<_, Json<_>>("detail")?.0,
        },
        "handed" => DeliveryState::Handed {
            at: since()?,
            reply: row.get::<_, Json<_>>("detail")?.0,
        },
        "confirmed" => DeliveryState::Confirmed {
            at: since()?,
            proof: row.get::<_, Json<_>>("detail")?.0,
        },
        "failed" => DeliveryState::Failed {
            at: since()?,
            fault: row.get::<_, Json<_>>("detail")?.0,
        },
        // The table's CHECK leaves no other word.
        _ => DeliveryState::Cancelled {
            by: row.get::<_, Json<_>>("detail")?.0,
            at: since()?,
        },
    })
}

/// Reads one delivery's row.
pub(super) fn find(conn: &Connection, id: DeliveryId) -> Result<Option<Current>, StoreError> {
    one(
        conn,
        "read the delivery",
        "SELECT d.campaign, d.possibly_twice, d.message_id, d.state, d.due, d.lease_by, d.lease_until, d.since,
                d.detail, d.domain, n.reference, n.breach, n.authority
         FROM deliveries d LEFT JOIN notices n ON n.id = d.notice
         WHERE d.id = ?1",
        [id.row()],
        |row| {
            let owner = match row.get::<_, Option<i64>>("campaign")? {
                Some(campaign) => Owner::Campaign(CampaignId::new(campaign)),
                None => Owner::Notice {
                    reference: row.get::<_, Text<_>>("reference")?.0,
                    breach: row.get::<_, Text<_>>("breach")?.0,
                    authority: row.get("authority")?,
                },
            };
            Ok(Current {
                id,
                owner,
                state: read_state(row)?,
                possibly_twice: row.get("possibly_twice")?,
                message_id: row.get("message_id")?,
                domain: row.get("domain")?,
            })
        },
    )
}

/// As [`find`], for a delivery that must be there.
pub(super) fn get(conn: &Connection, id: DeliveryId) -> Result<Current, StoreError> {
    find(conn, id)?.ok_or_else(|| StoreError::NotFound {
        what: "delivery",
        id: id.to_string(),
    })
}

/// Adds a delivery that is ready at `due`; exactly one of notice and campaign is given, a campaign with the domain of the
/// person's address.
pub(super) fn add(
    conn: &Connection,
    notice: Option<i64>,
    campaign: Option<(CampaignId, &str)>,
    message_id: Option<&str>,
    due: Time,
) -> Result<DeliveryId, StoreError> {
    run(
        conn,
        "add the delivery",
        "INSERT INTO deliveries (notice, campaign, domain, message_id, state, due) VALUES (?1, ?2, ?3, ?4, 'ready', ?5)",
        params![
            notice,
            campaign.map(|(campaign, _)| campaign.row()),
            campaign.map(|(_, domain)| domain),
            message_id,
            Micros(due)
        ],
    )?;
    Ok(DeliveryId::new(conn.last_insert_rowid()))
}

/// Moves a delivery by an event, where its state allows that; `wanted` says in an error what was asked for.
pub(super) fn move_on(
    tx: &mut Tx<'_>,
    current: &Current,
    event: DeliveryEvent,
    wanted: &'static str,
) -> Result<(), StoreError> {
    match current.state.clone().on(event, &NO_RETRY) {
        Ok(to) => save(tx.conn, current, &to, &Beside::default()),
        Err(illegal) => Err(StoreError::Conflict {
            what: "delivery",
            id: current.id.to_string(),
            found: illegal.state.to_owned(),
            wanted,
        }),
    }
}

/// `+state`: a plain comparison with a parameter would be planned anew whenever it changes, for the partial indexes.
pub(super) const MOVE: &str = "UPDATE deliveries
     SET state = ?4, due = ?5, lease_by = ?6, lease_until = ?7, since = ?8, detail = ?9, tries = tries + ?10,
         possibly_twice = max(possibly_twice, ?11), message_id = coalesce(?12, message_id)
     WHERE id = ?1 AND +state = ?2 AND lease_by IS ?3";

/// Writes a new state over the one that was read, and fails when that is no longer there.
pub(super) fn save(
    conn: &Connection,
    current: &Current,
    to: &DeliveryState,
    beside: &Beside<'_>,
) -> Result<(), StoreError> {
    if try_save(conn, current, to, beside)? {
        return Ok(());
    }
    Err(StoreError::Conflict {
        what: "delivery",
        id: current.id.to_string(),
        found: "changed meanwhile".to_owned(),
        wanted: to.name(),
    })
}

/// Writes a new state over the one that was read or is taken for granted; false when that is not there.
pub(super) fn try_save(
    conn: &Connection,
    current: &Current,
    to: &DeliveryState,
    beside: &Beside<'_>,
) -> Result<bool, StoreError> {
    use DeliveryState as S;
    let (mut due, mut lease_by, mut lease_until, mut since, mut detail) = (None, None, None, None, None);
    match to {
        S::Ready { not_before } => due = Some(*not_before),
        S::Leased { by, until } => (lease_by, lease_until) = (Some(*by), Some(*until)),
        S::OnWire { by, since: at } => (lease_by, since) = (Some(*by), Some(*at)),
        S::InDoubt { since: at, next } => (since, due) = (Some(*at), *next),
        S::Held { why } => detail = Some(json(why)),
        S::Handed { at, reply } => (since, detail) = (Some(*at), Some(json(reply))),
        S::Confirmed { at, proof } => (since, detail) = (Some(*at), Some(json(proof))),
        S::Failed { at, fault } => (since, detail) = (Some(*at), Some(json(fault))),
        S::Cancelled { by, at } => (since, detail) = (Some(*at), Some(json(by))),
    }
    let was_by = match &current.state {
        S::Leased { by, .. } | S::OnWire { by, .. } => Some(*by),
        _ => None,
    };
    let changed = run(
        conn,
        "move the delivery",
        MOVE,
        params![
            current.id.row(),
            current.state.name(),
            was_by.map(Text),
            to.name(),
            due.map(Micros),
            lease_by.map(Text),
            lease_until.map(Micros),
            since.map(Micros),
            detail,
            beside.tried,
            beside.possibly_twice,
            beside.message_id,
        ],
    )?;
    Ok(changed == 1)
}

/// Adds a line to the breach's timeline, when the delivery is a notice's.
pub(super) fn tell(
    tx: &mut Tx<'_>,
    current: &Current,
    kind: &str,
    words: &str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let Owner::Notice {
        reference,
        breach,
        authority,
    } = &current.owner
    else {
        return Ok(());
    };
    let text = match words {
        "" => format!("{reference} to {authority}"),
        words => format!("{reference} to {authority}: {words}"),
    };
    register::add_line(tx, *breach, kind, &text, by, now)
}

/// Outcomes of messages that the relay has, or may have.
const HAS_LEFT: [&str; 3] = ["accepted", "in_doubt", "recovered"];

/// An attempt on its way to the history.
#[derive(Debug, Clone)]
pub(super) struct NewAttempt {
    delivery: DeliveryId,
    campaign: Option<CampaignId>,
    at: Time,
    outcome: &'static str,
    reply: Option<String>,
    fault: Option<String>,
    tls: Option<String>,
}

/// Appends to a delivery's history. A notice's attempt has its own journal entry now; a campaign's waits for the batch.
pub(super) fn add_attempt(
    tx: &mut Tx<'_>,
    current: &Current,
    outcome: &'static str,
    (reply, fault, tls): (Option<&SmtpReply>, Option<&Fault>, Option<&TlsFacts>),
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let mut attempt = NewAttempt {
        delivery: current.id,
        campaign: None,
        at: now,
        outcome,
        reply: reply.map(json),
        fault: fault.map(json),
        tls: tls.map(json),
    };
    if let Owner::Campaign(campaign) = current.owner {
        attempt.campaign = Some(campaign);
        tx.batch.push(attempt);
        return Ok(());
    }
    let mut facts = current.facts();
    facts.insert("outcome".to_owned(), json!(outcome));
    facts.extend(code_facts(reply, fault));
    store_attempts(tx, "delivery.attempt", facts, &[attempt], by, now)
}

/// Code, enhanced status and step: what a journal entry may say of an answer, for its text may name the recipient.
fn code_facts(reply: Option<&SmtpReply>, fault: Option<&Fault>) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut said = reply;
    if let Some(fault) = fault {
        facts.insert("step".to_owned(), json!(fault.step));
        if let FaultCause::Reply(reply) = &fault.cause {
            said = Some(reply);
        }
    }
    if let Some(reply) = said {
        facts.insert("code".to_owned(), json!(reply.code));
        // Comes from the other side: only digits and dots (RFC 3463 §2) may pass.
        let status = reply.enhanced.as_deref();
        if let Some(status) = status.filter(|s| s.bytes().all(|b| b.is_ascii_digit() || b == b'.')) {
            facts.insert("enhanced".to_owned(), json!(status));
        }
    }
    facts
}

/// How many of these have left, or may have.
pub(super) fn left_in_batch(attempts: &[NewAttempt]) -> u64 {
    attempts.iter().filter(|a| HAS_LEFT.contains(&a.outcome)).count() as u64
}

/// Stores the campaign attempts that gathered in this transaction, with one journal entry for each campaign, and counts
/// those that left, or may have, for the limit of a day.
pub(super) fn close_batch(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut by_campaign: BTreeMap<i64, Vec<NewAttempt>> = BTreeMap::new();
    for attempt in std::mem::take(&mut tx.batch) {
        let campaign = attempt.campaign.map_or(0, |c| c.row());
        by_campaign.entry(campaign).or_default().push(attempt);
    }
    let courier = Actor::Loop("courier".to_owned());
    for (campaign, attempts) in by_campaign {
        let mut facts = Map::from_iter([("campaign".to_owned(), json!(CampaignId::new(campaign)))]);
        for attempt in &attempts {
            let count = facts.entry(attempt.outcome).or_insert_with(|| json!(0));
            *count = json!(count.as_u64().unwrap_or(0) + 1);
        }
        let at = attempts
            .iter()
            .map(|a| a.at)
            .max()
            .expect("a campaign stands here for its attempts");
        pace::count_left(tx.conn, left_in_batch(&attempts).cast_signed(), at)?;
        store_attempts(tx, "campaign.attempts", facts, &attempts, &courier, at)?;
    }
    Ok(())
}

pub(super) const ADD_ATTEMPT: &str =
    "INSERT INTO attempts (delivery, at, outcome, reply, fault, tls, journal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The journal entry of some attempts, with their number and hash, then the rows with the entry's number.
fn store_attempts(
    tx: &mut Tx<'_>,
    event: &str,
    mut facts: Map<String, Value>,
    attempts: &[NewAttempt],
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let mut hash = AttemptsHash::start();
    for attempt in attempts {
        hash.add(&AttemptRow {
            delivery: attempt.delivery.row(),
            at_micros: attempt.at.timestamp_micros(),
            outcome: attempt.outcome,
            reply: attempt.reply.as_deref(),
            fault: attempt.fault.as_deref(),
            tls: attempt.tls.as_deref(),
        });
    }
    facts.insert("attempts".to_owned(), json!(attempts.len()));
    facts.insert("rows_sha256".to_owned(), json!(hash.finish()));
    let sequence = journal::append(tx, event, &Value::Object(facts), by, now)?;
    for attempt in attempts {
        let tls = attempt
            .tls
            .as_deref()
            .map(|facts| tls_row(tx.conn, facts))
            .transpose()?;
        run(
            tx.conn,
            "add the attempt",
            ADD_ATTEMPT,
            params![
                attempt.delivery.row(),
                Micros(attempt.at),
                attempt.outcome,
                attempt.reply,
                attempt.fault,
                tls,
                sequence
            ],
        )?;
    }
    Ok(())
}

/// The row of these TLS facts, added when they are new.
fn tls_row(conn: &Connection, facts: &str) -> Result<i64, StoreError> {
    let step = "keep the TLS facts";
    if let Some(row) = one(conn, step, "SELECT id FROM tls_facts WHERE facts = ?1", [facts], |r| {
        r.get(0)
    })? {
        return Ok(row);
    }
    run(conn, step, "INSERT INTO tls_facts (facts) VALUES (?1)", [facts])?;
    Ok(conn.last_insert_rowid())
}

/// A delivery's history, oldest first.
pub(super) fn attempts(conn: &Connection, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    all(
        conn,
        "read the attempts",
        "SELECT a.at, a.outcome, a.reply, a.fault, t.facts
         FROM attempts a LEFT JOIN tls_facts t ON t.id = a.tls
         WHERE a.delivery = ?1 ORDER BY a.id",
        [id.row()],
        |row| {
            Ok(Attempt {
                at: row.get::<_, Micros>(0)?.0,
                outcome: row.get(1)?,
                reply: row.get::<_, Option<Json<_>>>(2)?.map(|json| json.0),
                fault: row.get::<_, Option<Json<_>>>(3)?.map(|json| json.0),
                tls: row.get::<_, Option<Json<_>>>(4)?.map(|json| json.0),
            })
        },
    )
}

/// Sets the flag of a delivery whose lease was lost while a copy left or may have left, and counts the try.
pub(super) fn mark_twice(conn: &Connection, id: DeliveryId) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE deliveries SET possibly_twice = 1, tries = tries + 1 WHERE id = ?1")
        .and_then(|mut statement| statement.execute([id.row()]))
        .map(drop)
        .map_err(failed("mark the delivery"))
}
