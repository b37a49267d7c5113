//! Campaigns; how their persons come in is `lists`' business. The deliveries are the queue: starting a campaign changes one row, not a million.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::rows::{Json, Micros, Text, all, one};
use super::{Sqlite, Tx, journal, register};
use crate::model::Time;
use crate::model::id::{Actor, BreachId, CampaignId};
use crate::store::{Campaigns, StoreError, StoredCampaign, Tally};

#[async_trait]
impl Campaigns for Sqlite {
    async fn start(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| start(tx, campaign, &by, now)).await
    }

    async fn find_campaign(&self, campaign: CampaignId) -> Result<Option<StoredCampaign>, StoreError> {
        self.read(move |conn| find(conn, campaign)).await
    }

    async fn list_campaigns(&self) -> Result<Vec<StoredCampaign>, StoreError> {
        self.read(|conn| {
            let sql = format!("{CAMPAIGN} ORDER BY id");
            all(conn, "list the campaigns", &sql, [], read_campaign)
        })
        .await
    }

    async fn tally(&self, campaign: CampaignId) -> Result<Tally, StoreError> {
        self.read(move |conn| tally(conn, campaign)).await
    }
}

const CAMPAIGN: &str = "SELECT id, breach, state, content, created_at FROM campaigns";

fn read_campaign(row: &Row<'_>) -> rusqlite::Result<StoredCampaign> {
    Ok(StoredCampaign {
        id: CampaignId::new(row.get(0)?),
        breach: row.get::<_, Text<_>>(1)?.0,
        state: row.get(2)?,
        content: row.get::<_, Json<_>>(3)?.0,
        created_at: row.get::<_, Micros>(4)?.0,
    })
}

fn find(conn: &Connection, campaign: CampaignId) -> Result<Option<StoredCampaign>, StoreError> {
    let sql = format!("{CAMPAIGN} WHERE id = ?1");
    one(conn, "read the campaign", &sql, [campaign.row()], read_campaign)
}

/// The state of a campaign that must be there.
pub(super) fn state(conn: &Connection, campaign: CampaignId) -> Result<String, StoreError> {
    let found = find(conn, campaign)?.ok_or_else(|| StoreError::NotFound {
        what: "campaign",
        id: campaign.to_string(),
    })?;
    Ok(found.state)
}

pub(super) fn conflict(campaign: CampaignId, found: String, wanted: &'static str) -> StoreError {
    StoreError::Conflict {
        what: "campaign",
        id: campaign.to_string(),
        found,
        wanted,
    }
}

fn start(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
    let found = state(tx.conn, campaign)?;
    if found == "running" {
        return Ok(());
    }
    let breach: Option<Text<BreachId>> = one(
        tx.conn,
        "start the campaign",
        "UPDATE campaigns SET state = 'running', started_at = ?2 WHERE id = ?1 AND state = 'draft' RETURNING breach",
        params![campaign.row(), Micros(now)],
        |row| row.get(0),
    )?;
    let Some(Text(breach)) = breach else {
        return Err(conflict(campaign, found, "starting it"));
    };
    register::add_line(tx, breach, "campaign_started", &campaign.to_string(), by, now)?;
    let persons = total(&tally(tx.conn, campaign)?);
    let facts = json!({ "campaign": campaign, "persons": persons });
    journal::append(tx, "campaign.started", &facts, by, now).map(drop)
}

/// Read from a covering index: the rows themselves are not touched.
pub(super) const TALLY: &str =
    "SELECT state, count(*), sum(possibly_twice) FROM deliveries WHERE campaign = ?1 GROUP BY state";

fn tally(conn: &Connection, campaign: CampaignId) -> Result<Tally, StoreError> {
    let counts = all(conn, "count the deliveries", TALLY, [campaign.row()], |row| {
        let count = |i| row.get::<_, i64>(i).map(i64::cast_unsigned);
        Ok((row.get::<_, String>(0)?, count(1)?, count(2)?))
    })?;
    let mut tally = Tally::default();
    for (state, count, twice) in counts {
        tally.possibly_twice += twice;
        let place = match state.as_str() {
            "ready" => &mut tally.ready,
            "leased" => &mut tally.leased,
            "on_wire" => &mut tally.on_wire,
            "in_doubt" => &mut tally.in_doubt,
            "held" => &mut tally.held,
            "handed" => &mut tally.handed,
            "confirmed" => &mut tally.confirmed,
            "failed" => &mut tally.failed,
            // The table's CHECK leaves no other word.
            _ => &mut tally.cancelled,
        };
        *place = count;
    }
    Ok(tally)
}

fn total(t: &Tally) -> u64 {
    t.ready + t.leased + t.on_wire + t.in_doubt + t.held + t.handed + t.confirmed + t.failed + t.cancelled
}
