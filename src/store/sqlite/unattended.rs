//! Campaigns that would have no end by themselves: persons whose server puts them off for days, lists that were never
//! sent.

use rusqlite::{Connection, params};
use serde_json::json;

use super::campaigns::get;
use super::rows::{Json, Micros, all, json as json_text, only, run};
use super::{Tx, journal, register};
use crate::model::Time;
use crate::model::blame::{Blame, blame};
use crate::model::campaign::CampaignState;
use crate::model::delivery::{Fault, SmtpStep};
use crate::model::id::{Actor, CampaignId};
use crate::model::plural::counted;
use crate::store::{StoreError, Unattended};

/// Persons given up in one transaction.
const CHUNK: usize = 1_000;

/// A person whom we gave up trying.
pub(super) struct Overdue {
    delivery: i64,
    /// The last answer; none for a message of which it is not known whether it was taken.
    fault: Option<Fault>,
}

/// Those who were tried before and wait for another try; a list is in before the start, so nobody who was never tried is
/// due after it. `+`: each was tried at least once before ?3, and of most only the first attempt is read.
pub(super) const TRIED_BEFORE: &str = "SELECT d.id, d.state = 'in_doubt' OR d.possibly_twice FROM (
         SELECT * FROM (SELECT id, state, possibly_twice FROM deliveries
                        WHERE state = 'ready' AND campaign = ?1 AND due > ?2)
         UNION ALL
         SELECT * FROM (SELECT id, state, possibly_twice FROM deliveries
                        WHERE state = 'in_doubt' AND campaign = ?1 AND due > ?2)) d
     WHERE (SELECT at FROM attempts WHERE delivery = d.id ORDER BY id LIMIT 1) <= ?3";

/// Of the campaign, who must be given up by now: their server's first answer came before, and so did its last.
pub(super) fn overdue(conn: &Connection, campaign: CampaignId, before: Time) -> Result<Vec<Overdue>, StoreError> {
    let found = get(conn, campaign)?;
    let started = match (&found.state, found.started_at) {
        (CampaignState::Running, Some(started)) if started <= before => started,
        _ => return Ok(Vec::new()),
    };
    let values = params![campaign.row(), Micros(started), Micros(before)];
    let tried: Vec<(i64, bool)> = all(conn, "look who was put off for long", TRIED_BEFORE, values, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let mut overdue = Vec::new();
    for (delivery, doubtful) in tried {
        if overdue.len() == CHUNK {
            break;
        }
        let sql = "SELECT at, fault FROM attempts WHERE delivery = ?1 ORDER BY id";
        let attempts: Vec<(Time, Option<Fault>)> = all(conn, "read the attempts", sql, [delivery], |row| {
            Ok((
                row.get::<_, Micros>(0)?.0,
                row.get::<_, Option<Json<Fault>>>(1)?.map(|fault| fault.0),
            ))
        })?;
        let answered = |(_, fault): &&(Time, Option<Fault>)| match fault {
            Some(fault) => is_theirs(fault) || (doubtful && fault.step == SmtpStep::FinalDot),
            // Its worker died while it was on the wire.
            None => doubtful,
        };
        let first = attempts.iter().find(answered);
        let last = attempts.last().filter(answered);
        if let (Some((at, _)), Some((_, fault))) = (first, last)
            && *at <= before
        {
            let fault = fault.clone().filter(|_| !doubtful);
            overdue.push(Overdue { delivery, fault });
        }
    }
    Ok(overdue)
}

/// Whether their server said it about them: not what is our fault, the relay's, or about connections.
fn is_theirs(fault: &Fault) -> bool {
    matches!(fault.step, SmtpStep::Rcpt | SmtpStep::FinalDot)
        && matches!(blame(fault), Blame::Recipient | Blame::Domain)
}

/// Gives them up: refused with the last answer, or in doubt for good. Whoever was claimed meanwhile is left alone.
pub(super) fn give_up(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    overdue: &[Overdue],
    by: &Actor,
    now: Time,
) -> Result<u64, StoreError> {
    let found = get(tx.conn, campaign)?;
    // Paused since it was looked at: whoever paused it decides.
    if found.state != CampaignState::Running {
        return Ok(0);
    }
    let breach = found.breach;
    let (mut failed, mut in_doubt) = (0, 0);
    for person in overdue {
        match &person.fault {
            Some(fault) => {
                let sql = "UPDATE deliveries SET state = 'failed', due = NULL, since = ?2, detail = ?3
                           WHERE id = ?1 AND state = 'ready' AND possibly_twice = 0";
                let values = params![person.delivery, Micros(now), json_text(fault)];
                failed += run(tx.conn, "give a person up", sql, values)?;
            }
            None => {
                let sql = "UPDATE deliveries SET state = 'in_doubt', due = NULL, since = coalesce(since, ?2)
                           WHERE id = ?1 AND state IN ('ready', 'in_doubt') AND possibly_twice = 1";
                in_doubt += run(tx.conn, "try no more", sql, params![person.delivery, Micros(now)])?;
            }
        }
    }
    let all = failed + in_doubt;
    if all > 0 {
        let text = format!("{campaign}: {} after days of trying", counted(all, "person"));
        register::add_line(tx, breach, "persons_given_up", &text, by, now)?;
        let facts = json!({ "campaign": campaign, "failed": failed, "in_doubt": in_doubt });
        journal::append(tx, "campaign.given_up", &facts, by, now)?;
    }
    Ok(all as u64)
}

/// When somebody last did something about it, of each campaign that is not over and not settling.
const UNATTENDED: &str = "SELECT id, last FROM (
         SELECT c.id, max(c.created_at, coalesce(c.started_at, 0), coalesce(c.scheduled_at, 0),
             coalesce((SELECT max(coalesce(ended_at, begun_at)) FROM lists WHERE campaign = c.id), 0),
             coalesce((SELECT max(at) FROM campaign_checklist WHERE campaign = c.id), 0),
             coalesce((SELECT max(at) FROM approvals WHERE subject = ?2 || c.id), 0)) AS last
         FROM campaigns c WHERE c.state NOT IN ('settling', 'finished', 'cancelled'))
     WHERE last < ?1 ORDER BY id";

pub(super) fn list(conn: &Connection, before: Time) -> Result<Vec<(CampaignId, Time)>, StoreError> {
    let prefix = CampaignId::new(0).to_string();
    let prefix = prefix.trim_end_matches('0');
    let values = params![Micros(before), prefix];
    all(conn, "look for forgotten campaigns", UNATTENDED, values, |row| {
        Ok((CampaignId::new(row.get(0)?), row.get::<_, Micros>(1)?.0))
    })
}

/// What of a campaign waits for somebody, or for long.
pub(super) fn look(conn: &Connection, campaign: CampaignId, before: Time) -> Result<Unattended, StoreError> {
    let held = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held')";
    let held = only(conn, "look who is held", held, [campaign.row()], |row| row.get(0))?;
    let found = get(conn, campaign)?;
    let put_off = match (&found.state, found.started_at) {
        (CampaignState::Running, Some(started)) if started <= before => {
            let sql = format!("SELECT EXISTS ({TRIED_BEFORE})");
            let values = params![campaign.row(), Micros(started), Micros(before)];
            only(conn, "look who was put off for long", &sql, values, |row| row.get(0))?
        }
        _ => false,
    };
    Ok(Unattended { held, put_off })
}
