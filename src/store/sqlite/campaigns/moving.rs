//! The moves of a campaign from state to state. The deliveries are the queue: starting or pausing a campaign changes one row,
//! not a million.

use rusqlite::{Connection, params};
use serde_json::json;

use super::super::rows::{Micros, Text, json as json_text, only, run};
use super::super::{Tx, custody, journal, register};
use super::counting::{NOT_FINAL, tally};
use super::{conflict, get};
use crate::model::Time;
use crate::model::campaign::{CampaignEvent, CampaignState};
use crate::model::id::{Actor, CampaignId};
use crate::store::{StoreError, StoredCampaign};

/// Moves a campaign by an event and writes its row and journal entry; one that changes nothing writes nothing.
pub(in crate::store::sqlite) fn turn(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    event: CampaignEvent,
    wanted: &'static str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let found = get(tx.conn, campaign)?;
    let state = found
        .state
        .clone()
        .on(event)
        .map_err(|illegal| conflict(campaign, illegal.state.to_owned(), wanted))?;
    if state == found.state {
        return Ok(());
    }
    if matches!(state, CampaignState::Settling { .. } | CampaignState::Finished) {
        let waiting = only(tx.conn, "look for what waits", NOT_FINAL, [campaign.row()], |row| {
            row.get(0)
        })?;
        if waiting {
            return Err(conflict(
                campaign,
                format!("{} with deliveries that wait", found.state.name()),
                wanted,
            ));
        }
    }
    save(tx.conn, &found, &state, by, now)?;
    if state == CampaignState::Running {
        custody::doubt_what_waits(tx.conn, campaign)?;
    }
    if matches!(state, CampaignState::Paused { .. } | CampaignState::Cancelled) {
        give_back(tx.conn, campaign, now)?;
    }
    let mut facts = json!({ "campaign": campaign, "was": found.state.name() });
    match &state {
        CampaignState::Running => facts["persons"] = json!(tally(tx.conn, campaign)?.total()),
        CampaignState::Scheduled { at } => facts["at"] = json!(at),
        CampaignState::Settling { until } => facts["until"] = json!(until),
        CampaignState::Approved { hash, .. } => facts["content_sha256"] = json!(hash),
        _ => {}
    }
    let (event, told) = match (&found.state, &state) {
        (CampaignState::Paused { starts: None, .. }, CampaignState::Running) => {
            ("campaign.resumed", "campaign_resumed")
        }
        (_, CampaignState::Running) => ("campaign.started", "campaign_started"),
        (_, CampaignState::Approved { .. }) => ("campaign.approved", "campaign_approved"),
        (_, CampaignState::Scheduled { .. }) => ("campaign.scheduled", "campaign_scheduled"),
        (_, CampaignState::Paused { .. }) => ("campaign.paused", "campaign_paused"),
        (_, CampaignState::Settling { .. }) => ("campaign.settling", ""),
        (_, CampaignState::Finished) => ("campaign.finished", "campaign_finished"),
        (_, CampaignState::Cancelled) => ("campaign.cancelled", "campaign_cancelled"),
        // Whoever edits it or brings a list in says so.
        (_, CampaignState::Draft | CampaignState::Importing) => return Ok(()),
    };
    if !told.is_empty() {
        let text = match &state {
            CampaignState::Paused { why, .. } => format!("{campaign}: {why}"),
            _ => campaign.to_string(),
        };
        register::add_line(tx, found.breach, told, &text, by, now)?;
    }
    journal::append(tx, event, &facts, by, now).map(drop)
}

/// Writes a new state over the one that was read.
fn save(conn: &Connection, was: &StoredCampaign, to: &CampaignState, by: &Actor, now: Time) -> Result<(), StoreError> {
    use CampaignState as S;
    let (mut hash, mut approved_by, mut scheduled, mut settle, mut why) = (None, None, None, None, None);
    // One that is paused before its time keeps the time for its order among the others.
    let (mut started_at, mut started_by, mut ended) = (None, None, None);
    match to {
        S::Approved { hash: digest, by } => (hash, approved_by) = (Some(digest), Some(json_text(by))),
        S::Scheduled { at } => (scheduled, started_at) = (Some(Micros(*at)), Some(Micros(*at))),
        S::Running if !was.state.has_begun() => {
            (started_at, started_by) = (Some(Micros(now)), Some(Text(by)));
        }
        S::Paused { why: reason, .. } => why = Some(reason),
        S::Settling { until } => settle = Some(Micros(*until)),
        S::Finished | S::Cancelled => ended = Some(Micros(now)),
        S::Importing | S::Draft | S::Running => {}
    }
    run(
        conn,
        "set the campaign's state",
        "UPDATE campaigns
         SET state = ?2, approved_hash = coalesce(?3, approved_hash), approved_by = coalesce(?4, approved_by),
             scheduled_at = coalesce(?5, scheduled_at), settle_until = ?6, paused_why = ?7,
             started_at = coalesce(?8, started_at), started_by = coalesce(?9, started_by), ended_at = ?10,
             -- No outcome of others is looked through for its own.
             budget_after = CASE WHEN ?9 IS NULL THEN budget_after ELSE (SELECT coalesce(max(id), 0) FROM attempts) END
         WHERE id = ?1",
        params![
            was.id.row(),
            to.name(),
            hash,
            approved_by,
            scheduled,
            settle,
            why,
            started_at,
            started_by,
            ended
        ],
    )
    .map(drop)
}

/// Takes back what workers hold and have not put on the wire: they find their leases lost, and no more leaves than there
/// are connections.
fn give_back(conn: &Connection, campaign: CampaignId, now: Time) -> Result<(), StoreError> {
    run(
        conn,
        "give back what was claimed",
        "UPDATE deliveries SET state = 'ready', due = ?2, lease_by = NULL, lease_until = NULL
         WHERE lease_by IS NOT NULL AND +campaign = ?1 AND state = 'leased'",
        params![campaign.row(), Micros(now)],
    )
    .map(drop)
}
