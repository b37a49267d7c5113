//! What a campaign says, and who agreed to it.

use rusqlite::params;
use serde_json::{Value, json};

use super::super::rows::run;
use super::super::{Tx, journal, people};
use super::{conflict, get, turn};
use crate::model::Time;
use crate::model::campaign::{CampaignEvent, CampaignState};
use crate::model::id::{Actor, CampaignId};
use crate::store::{StoreError, chain};

pub(super) fn set_content(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    content: &Value,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    turn(tx, campaign, CampaignEvent::Edited, "editing it", by, now)?;
    let content = chain::canonical(content);
    let sql = "UPDATE campaigns SET content = ?2 WHERE id = ?1";
    run(
        tx.conn,
        "change the campaign's content",
        sql,
        params![campaign.row(), content],
    )?;
    let facts = json!({ "campaign": campaign, "content_sha256": chain::sha256(content) });
    journal::append(tx, "campaign.content_set", &facts, by, now).map(drop)
}

pub(super) fn approve(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    hash: &str,
    needed: usize,
    by: &Actor,
    now: Time,
) -> Result<Vec<Actor>, StoreError> {
    let found = get(tx.conn, campaign)?;
    // Whoever agrees to what is approved already takes the place of one who may not agree any more.
    let again = matches!(
        found.state,
        CampaignState::Scheduled { .. } | CampaignState::Running | CampaignState::Paused { .. }
    ) && found.approved_hash.as_deref() == Some(hash);
    if !again && !matches!(found.state, CampaignState::Draft | CampaignState::Approved { .. }) {
        return Err(conflict(campaign, found.state.name().to_owned(), "approving it"));
    }
    let subject = campaign.to_string();
    people::add_approval(tx, &subject, hash, by, now)?;
    let agreed = people::agreed(tx.conn, &subject, hash)?;
    if again {
        return Ok(agreed);
    }
    if agreed.len() >= needed {
        let event = CampaignEvent::Approved {
            hash: hash.to_owned(),
            by: agreed.clone(),
        };
        turn(tx, campaign, event, "approving it", by, now)?;
    } else if matches!(&found.state, CampaignState::Approved { hash: earlier, .. } if earlier != hash) {
        // The earlier approval was for other content.
        turn(tx, campaign, CampaignEvent::Edited, "approving it", by, now)?;
    }
    Ok(agreed)
}
