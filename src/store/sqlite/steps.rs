//! What comes of a claim: the mark that it is on the wire, the outcome, the lease given back. A person's row is moved without
//! being read first, a notice's is read and told of.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::Connection;

use super::ledger::{self, Beside, Current};
use super::rows::only;
use super::{Tx, conversation, erasure, otherwise, pace};
use crate::model::Time;
use crate::model::delivery::{DeliveryEvent, DeliveryState, FaultCause, Outcome};
use crate::model::id::{Actor, CampaignId};
use crate::store::{Claim, Done, LeaseLost, StoreError};

/// Stores outcomes; says whose lease was lost.
pub(super) fn finish(tx: &mut Tx<'_>, done: &[Done], now: Time) -> Result<Vec<LeaseLost>, StoreError> {
    let (mut accepted, mut lost) = (Vec::new(), Vec::new());
    for done in done {
        if finish_accepted(tx, done, now)? {
            accepted.push(done.claim.delivery);
        } else {
            lost.extend(finish_otherwise(tx, done, now)?);
        }
    }
    pace::speak_again(tx.conn, &accepted)?;
    Ok(lost)
}

/// Stores one outcome. A proof or a bounce that came before the outcome keeps its place; any other state means the lease was lost:
/// the attempt is kept all the same, and marked when a copy left or may have left.
fn finish_otherwise(tx: &mut Tx<'_>, done: &Done, now: Time) -> Result<Option<LeaseLost>, StoreError> {
    let current = ledger::get(tx.conn, done.claim.delivery)?;
    let courier = Actor::Loop("courier".to_owned());
    let overtaken_by_erasure =
        !matches!(current.state, DeliveryState::OnWire { .. }) && erasure::is_erased(tx.conn, current.id)?;
    let kept = overtaken_by_erasure.then(|| erasure::outcome_without_words(&done.outcome));
    let parts = match kept.as_ref().unwrap_or(&done.outcome) {
        Outcome::Accepted { reply, tls } => (Some(reply), None, tls.as_ref()),
        Outcome::Deferred { fault }
        | Outcome::Refused { fault }
        | Outcome::InDoubt { fault }
        | Outcome::Held { fault } => (None, Some(fault), None),
    };
    ledger::add_attempt(tx, &current, done.outcome.name(), parts, &courier, now)?;
    if let Some(domain) = &current.domain {
        pace::learn(tx.conn, current.id, domain, &done.outcome, &done.retry, now)?;
    }
    let event = DeliveryEvent::Tried {
        by: done.claim.by,
        now,
        outcome: done.outcome.clone(),
        attempt: done.claim.attempt,
        jitter: done.jitter,
    };
    let Ok(to) = current.state.clone().on(event, &done.retry) else {
        if overtaken(&current.state) {
            return Ok(None);
        }
        if matches!(done.outcome, Outcome::Accepted { .. } | Outcome::InDoubt { .. }) {
            ledger::mark_twice(tx.conn, current.id)?;
        }
        return Ok(Some(LeaseLost(current.id)));
    };
    let to = otherwise::end_retries(tx.conn, current.id, current.possibly_twice, to, now)?;
    let beside = Beside {
        tried: true,
        possibly_twice: matches!(done.outcome, Outcome::InDoubt { .. }),
        message_id: done.message_id.as_deref(),
    };
    ledger::save(tx.conn, &current, &to, &beside)?;
    let kind = match to {
        DeliveryState::Handed { .. } => "notice_handed",
        DeliveryState::Failed { .. } => "notice_failed",
        DeliveryState::InDoubt { .. } => "notice_in_doubt",
        // Another try will follow: the attempts tell of it.
        _ => return Ok(None),
    };
    ledger::tell(tx, &current, kind, &done.outcome.words(), &courier, now)?;
    if let (DeliveryState::Handed { .. }, ledger::Owner::Notice { reference, .. }) = (&to, &current.owner) {
        conversation::answered(tx, reference, &courier, now)?;
    }
    Ok(None)
}

/// What their server said of it came before the relay's answer was stored.
fn overtaken(state: &DeliveryState) -> bool {
    match state {
        DeliveryState::Confirmed { .. } => true,
        DeliveryState::Failed { fault, .. } => matches!(fault.cause, FaultCause::Bounce(_)),
        _ => false,
    }
}

/// The usual end of a person's message, without reading the row first; false where it is another, or not as expected.
fn finish_accepted(tx: &mut Tx<'_>, done: &Done, now: Time) -> Result<bool, StoreError> {
    let Outcome::Accepted { reply, tls } = &done.outcome else {
        return Ok(false);
    };
    let (by, attempt) = (done.claim.by, done.claim.attempt);
    let on_wire = DeliveryState::OnWire { by, since: now };
    let Some(current) = Current::taken_for_granted(&done.claim, on_wire) else {
        return Ok(false);
    };
    let event = DeliveryEvent::Tried {
        by,
        now,
        outcome: done.outcome.clone(),
        attempt,
        jitter: done.jitter,
    };
    let to = current.state.clone().on(event, &done.retry);
    let to = to.expect("what is on the wire may be accepted");
    let beside = Beside {
        tried: true,
        message_id: done.message_id.as_deref(),
        ..Beside::default()
    };
    if !ledger::try_save(tx.conn, &current, &to, &beside)? {
        return Ok(false);
    }
    let courier = Actor::Loop("courier".to_owned());
    ledger::add_attempt(
        tx,
        &current,
        done.outcome.name(),
        (Some(reply), None, tls.as_ref()),
        &courier,
        now,
    )?;
    Ok(true)
}

/// Marks claims as on the wire; says whose lease was lost. Nothing more goes on the wire for a campaign that was paused
/// after the claim: then the lease is given back.
pub(super) fn put_on_wire(conn: &Connection, claims: &[Claim], now: Time) -> Result<Vec<LeaseLost>, StoreError> {
    let mut running: BTreeMap<CampaignId, bool> = BTreeMap::new();
    let mut lost = Vec::new();
    for claim in claims {
        let may_go = match claim.work.campaign() {
            None => true,
            Some(campaign) => match running.entry(campaign) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(is_running(conn, campaign)?),
            },
        };
        if may_go {
            lost.extend(put_one_on_wire(conn, claim, now)?);
        } else {
            release(conn, claim, now)?;
            lost.push(LeaseLost(claim.delivery));
        }
    }
    Ok(lost)
}

fn put_one_on_wire(conn: &Connection, claim: &Claim, now: Time) -> Result<Option<LeaseLost>, StoreError> {
    let put = DeliveryEvent::PutOnWire { by: claim.by, now };
    let beside = Beside {
        message_id: claim.message_id.as_deref(),
        ..Beside::default()
    };
    let leased = DeliveryState::Leased {
        by: claim.by,
        until: now,
    };
    if let Some(current) = Current::taken_for_granted(claim, leased) {
        let to = current.state.clone().on(put, &ledger::NO_RETRY);
        let to = to.expect("what is leased may be put on the wire");
        let saved = ledger::try_save(conn, &current, &to, &beside)?;
        return Ok((!saved).then_some(LeaseLost(claim.delivery)));
    }
    let current = ledger::get(conn, claim.delivery)?;
    match current.state.clone().on(put, &ledger::NO_RETRY) {
        Ok(to) => {
            ledger::save(conn, &current, &to, &beside)?;
            Ok(None)
        }
        Err(_) => Ok(Some(LeaseLost(current.id))),
    }
}

fn is_running(conn: &Connection, campaign: CampaignId) -> Result<bool, StoreError> {
    let sql = "SELECT state = 'running' FROM campaigns WHERE id = ?1";
    only(conn, "look at the campaign", sql, [campaign.row()], |row| row.get(0))
}

/// A lease that was lost meanwhile needs no giving back.
pub(super) fn release(conn: &Connection, claim: &Claim, now: Time) -> Result<(), StoreError> {
    let current = ledger::get(conn, claim.delivery)?;
    match current
        .state
        .clone()
        .on(DeliveryEvent::Release { by: claim.by, now }, &ledger::NO_RETRY)
    {
        Ok(to) => ledger::save(conn, &current, &to, &Beside::default()),
        Err(_) => Ok(()),
    }
}
