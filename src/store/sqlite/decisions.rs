//! What a person, a bounce or a proof decides about one delivery. Each decision is a journal entry and, for a notice, a
//! line of the breach's timeline.

use serde_json::{Value, json};

use super::ledger::{self, Current, Owner};
use super::{Tx, campaigns, conversation, erasure, journal};
use crate::model::Time;
use crate::model::delivery::{DeliveryEvent, DeliveryState, Fault, FaultCause, HoldReason};
use crate::model::id::{Actor, DeliveryId};
use crate::model::proof::Proof;
use crate::store::StoreError;

/// Back to ready, now.
pub(super) fn retry_now(tx: &mut Tx<'_>, id: DeliveryId, by: &Actor, now: Time) -> Result<(), StoreError> {
    let current = ledger::get(tx.conn, id)?;
    let event = match &current.state {
        // Only `People::approve_notice` lets go of that.
        DeliveryState::Held {
            why: HoldReason::Approval,
        } => {
            return Err(StoreError::Conflict {
                what: "delivery",
                id: id.to_string(),
                found: "waiting for a second person's approval".to_owned(),
                wanted: "another try",
            });
        }
        DeliveryState::Held { .. } => DeliveryEvent::Unhold { now },
        _ => DeliveryEvent::Retry { now },
    };
    erasure::refuse_erased(tx.conn, id)?;
    ledger::move_on(tx, &current, event, "another try")?;
    ledger::tell(tx, &current, "notice_retried", "", by, now)?;
    note(
        tx,
        "delivery.retried",
        &current,
        json!({ "was": current.state.name() }),
        by,
        now,
    )
}

/// Takes it out of the queue until a person lets it go on.
pub(super) fn hold(tx: &mut Tx<'_>, id: DeliveryId, why: HoldReason, by: &Actor, now: Time) -> Result<(), StoreError> {
    let current = ledger::get(tx.conn, id)?;
    let word = match &why {
        HoldReason::Revoked => "revoked",
        HoldReason::PinChanged => "pin_changed",
        HoldReason::Approval => "approval",
        HoldReason::Asked(_) => "asked",
    };
    let event = DeliveryEvent::Hold { why: why.clone() };
    ledger::move_on(tx, &current, event, "holding it")?;
    ledger::add_attempt(tx, &current, "held", (None, None, None), by, now)?;
    ledger::tell(tx, &current, "notice_held", why.words(), by, now)?;
    note(tx, "delivery.held", &current, json!({ "why": word }), by, now)
}

/// Lets go of what was held.
pub(super) fn release(
    tx: &mut Tx<'_>,
    current: &Current,
    told_as: &str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    ledger::move_on(tx, current, DeliveryEvent::Unhold { now }, "letting it go on")?;
    ledger::tell(tx, current, told_as, "", by, now)?;
    note(tx, "delivery.released", current, Value::Null, by, now)
}

/// Books that what was handed, or may have been, came back.
pub(super) fn bounce(tx: &mut Tx<'_>, id: DeliveryId, fault: Fault, by: &Actor, now: Time) -> Result<(), StoreError> {
    let current = ledger::get(tx.conn, id)?;
    let words = fault.to_string();
    let code = match &fault.cause {
        FaultCause::Reply(reply) => json!(reply.code),
        _ => Value::Null,
    };
    let event = DeliveryEvent::Bounce { now, fault };
    ledger::move_on(tx, &current, event, "a bounce")?;
    ledger::tell(tx, &current, "notice_bounced", &words, by, now)?;
    let mut facts = json!({ "code": code });
    match &current.owner {
        Owner::Notice { reference, .. } => conversation::answer_came_back(tx, reference, by, now)?,
        // The numbers at its end were others.
        Owner::Campaign(campaign) if campaigns::has_ended(tx.conn, *campaign)? => facts["after_end"] = json!(true),
        Owner::Campaign(_) => {}
    }
    note(tx, "delivery.bounced", &current, facts, by, now)
}

/// Books a proof of arrival; the first is kept.
pub(super) fn confirm(tx: &mut Tx<'_>, id: DeliveryId, proof: &Proof, by: &Actor, now: Time) -> Result<(), StoreError> {
    let current = ledger::get(tx.conn, id)?;
    if matches!(current.state, DeliveryState::Confirmed { .. }) {
        return Ok(());
    }
    let event = DeliveryEvent::Confirm {
        now,
        proof: proof.clone(),
    };
    ledger::move_on(tx, &current, event, "a confirmation")?;
    if matches!(proof, Proof::DsnDelivered { .. }) {
        ledger::tell(tx, &current, "notice_delivered", "", by, now)?;
    }
    if let Owner::Notice { reference, .. } = &current.owner {
        conversation::answered(tx, reference, by, now)?;
    }
    note(tx, "delivery.confirmed", &current, proof_facts(proof), by, now)
}

/// As [`confirm`], but what was called off stays so without an error: the proof is kept elsewhere.
pub(super) fn confirm_where_allowed(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    proof: &Proof,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    match confirm(tx, id, proof, by, now) {
        Err(StoreError::Conflict { .. }) => Ok(()),
        done => done,
    }
}

/// What the journal keeps of a proof: its kind and what identifies it.
pub(super) fn proof_facts(proof: &Proof) -> Value {
    match proof {
        Proof::Signed { by, mail } => json!({ "proof": "signed", "fingerprint": by, "mail": mail }),
        Proof::Threaded { mail } => json!({ "proof": "threaded", "mail": mail }),
        Proof::DsnDelivered { mail } => json!({ "proof": "dsn_delivered", "mail": mail }),
        Proof::Attested { by, file_sha256 } => {
            json!({ "proof": "attested", "by": by.to_string(), "file_sha256": file_sha256 })
        }
    }
}

/// A journal entry about one delivery.
fn note(tx: &mut Tx<'_>, event: &str, current: &Current, more: Value, by: &Actor, now: Time) -> Result<(), StoreError> {
    let mut facts = current.facts();
    if let Value::Object(more) = more {
        facts.extend(more);
    }
    journal::append(tx, event, &Value::Object(facts), by, now).map(drop)
}
