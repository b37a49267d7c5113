//! Campaigns: what may be done with one, and how its row is read. The moves from state to state are in `moving`, approvals in
//! `approving`, the end of what waits in `cancelling`, what is told of the deliveries in `counting`. How persons come in is
//! `lists`' business, who was reached is `reach`'s.

mod approving;
mod cancelling;
mod counting;
mod moving;

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::rows::{Json, Micros, Text, all, one, only, run};
use super::{Sqlite, Tx, held, journal, pace, unattended, waiting};
use crate::model::Time;
use crate::model::campaign::{CampaignEvent, CampaignState};
use crate::model::id::{Actor, CampaignId, DeliveryId};
use crate::store::{
    Campaigns, Checked, Deferred, HeldChoice, HeldPerson, StoreError, StoredCampaign, Tally, Unattended,
};
use approving::{approve, set_content};
use cancelling::{cancel_waiting, cancelled_waiting};
use counting::deferred;

pub(super) use counting::tally;
#[cfg(test)]
pub(super) use counting::{NOT_FINAL, TALLY};
pub(super) use moving::turn;

/// Deliveries that are moved in one transaction, where many are: some tenths of a second, so that others get their turn.
pub(super) const CHUNK: u32 = 5_000;

#[async_trait]
impl Campaigns for Sqlite {
    async fn set_content(&self, campaign: CampaignId, content: Value, by: &Actor, now: Time) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| set_content(tx, campaign, &content, &by, now))
            .await
    }

    async fn approve_campaign(
        &self,
        campaign: CampaignId,
        hash: &str,
        needed: usize,
        by: &Actor,
        now: Time,
    ) -> Result<Vec<Actor>, StoreError> {
        let (hash, by) = (hash.to_owned(), by.clone());
        self.write(move |tx| approve(tx, campaign, &hash, needed, &by, now))
            .await
    }

    async fn schedule(&self, campaign: CampaignId, at: Time, by: &Actor, now: Time) -> Result<(), StoreError> {
        let event = CampaignEvent::Schedule { at };
        self.turn(campaign, event, "scheduling it", by, now).await
    }

    async fn start(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
        self.turn(campaign, CampaignEvent::Start, "starting it", by, now).await
    }

    async fn pause(&self, campaign: CampaignId, why: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let event = CampaignEvent::Pause { why: why.to_owned() };
        self.turn(campaign, event, "pausing it", by, now).await
    }

    async fn resume(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
        self.turn(campaign, CampaignEvent::Resume { now }, "resuming it", by, now)
            .await
    }

    async fn cancel(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
        self.turn(campaign, CampaignEvent::Cancel, "cancelling it", by, now)
            .await?;
        self.cancel_all_waiting(campaign, by, now).await
    }

    async fn give_up(&self, campaign: CampaignId, before: Time, by: &Actor, now: Time) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            // Looked for without holding up those who write.
            let overdue = self
                .read(move |conn| unattended::overdue(conn, campaign, before))
                .await?;
            if overdue.is_empty() {
                return Ok(all);
            }
            let by = by.clone();
            let given_up = self
                .write(move |tx| unattended::give_up(tx, campaign, &overdue, &by, now))
                .await?;
            if given_up == 0 {
                return Ok(all);
            }
            all += given_up;
        }
    }

    async fn list_unattended(&self, before: Time) -> Result<Vec<(CampaignId, Time)>, StoreError> {
        self.read(move |conn| unattended::list(conn, before)).await
    }

    async fn unattended(&self, campaign: CampaignId, before: Time) -> Result<Unattended, StoreError> {
        self.read(move |conn| unattended::look(conn, campaign, before)).await
    }

    async fn sweep_cancelled(&self, by: &Actor, now: Time) -> Result<u64, StoreError> {
        let waiting = self.read(cancelled_waiting).await?;
        let mut cancelled = 0;
        for campaign in waiting {
            cancelled += self.cancel_all_waiting(campaign, by, now).await?;
        }
        Ok(cancelled)
    }

    async fn list_held(
        &self,
        campaign: CampaignId,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<HeldPerson>, StoreError> {
        self.read(move |conn| held::list(conn, campaign, after, most)).await
    }

    async fn decide_held(
        &self,
        campaign: CampaignId,
        choice: HeldChoice,
        by: &Actor,
        now: Time,
    ) -> Result<u64, StoreError> {
        let mut decided = 0;
        loop {
            let (choice, by) = (choice.clone(), by.clone());
            let moved = self
                .write(move |tx| held::decide(tx, campaign, &choice, &by, now))
                .await?;
            if moved == 0 {
                return Ok(decided);
            }
            decided += moved;
        }
    }

    async fn hurry(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
        // Who waits now, once each: whoever is put off again meanwhile was tried.
        let mut left = self.read(move |conn| waiting::count(conn, campaign, now)).await?;
        let mut hurried = 0;
        loop {
            let by = by.clone();
            match self
                .write(move |tx| waiting::hurry(tx, campaign, left, &by, now))
                .await?
            {
                0 => return Ok(hurried),
                moved => (hurried, left) = (hurried + moved, left.saturating_sub(moved)),
            }
        }
    }

    async fn settle_campaign(
        &self,
        campaign: CampaignId,
        until: Time,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let (event, by) = (CampaignEvent::Settle { until }, by.clone());
        self.write(move |tx| {
            turn(tx, campaign, event, "settling it", &by, now)?;
            pace::drop_index(tx.conn)
        })
        .await
    }

    async fn finish(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
        self.turn(campaign, CampaignEvent::Finish, "finishing it", by, now)
            .await
    }

    async fn link(&self, campaign: CampaignId, earlier: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| link(tx, campaign, earlier, &by, now)).await
    }

    async fn check_off(
        &self,
        campaign: CampaignId,
        name: &str,
        note: Option<&str>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let (name, note, by) = (name.to_owned(), note.map(str::to_owned), by.clone());
        self.write(move |tx| {
            get(tx.conn, campaign)?;
            run(
                tx.conn,
                "tick off a point of the checklist",
                "INSERT OR REPLACE INTO campaign_checklist (campaign, name, note, by, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![campaign.row(), name, note, Text(&by), Micros(now)],
            )?;
            let facts = json!({ "campaign": campaign, "point": name });
            journal::append(tx, "campaign.checked_off", &facts, &by, now).map(drop)
        })
        .await
    }

    async fn checklist(&self, campaign: CampaignId) -> Result<Vec<Checked>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT name, note, by, at FROM campaign_checklist WHERE campaign = ?1 ORDER BY name";
            all(conn, "read the checklist", sql, [campaign.row()], |row| {
                Ok(Checked {
                    name: row.get(0)?,
                    note: row.get(1)?,
                    by: row.get::<_, Text<_>>(2)?.0,
                    at: row.get::<_, Micros>(3)?.0,
                })
            })
        })
        .await
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

    async fn deferred(&self, campaign: CampaignId) -> Result<Deferred, StoreError> {
        self.read(move |conn| deferred(conn, campaign)).await
    }
}

impl Sqlite {
    /// One move of one campaign.
    async fn turn(
        &self,
        campaign: CampaignId,
        event: CampaignEvent,
        wanted: &'static str,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let by = by.clone();
        self.write(move |tx| turn(tx, campaign, event, wanted, &by, now)).await
    }

    /// Until nothing waits; each chunk is a transaction of its own, so cut off, nothing of it is lost.
    async fn cancel_all_waiting(&self, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
        let mut cancelled = 0;
        loop {
            let by = by.clone();
            let moved = self.write(move |tx| cancel_waiting(tx, campaign, &by, now)).await?;
            if moved == 0 {
                return Ok(cancelled);
            }
            cancelled += moved;
        }
    }
}

const CAMPAIGN: &str =
    "SELECT id, breach, state, content, created_at, approved_hash, approved_by, scheduled_at, settle_until,
     paused_why, started_at, started_by, ended_at, follows FROM campaigns";

fn read_campaign(row: &Row<'_>) -> rusqlite::Result<StoredCampaign> {
    Ok(StoredCampaign {
        id: CampaignId::new(row.get("id")?),
        breach: row.get::<_, Text<_>>("breach")?.0,
        state: read_state(row)?,
        content: row.get::<_, Json<_>>("content")?.0,
        created_at: row.get::<_, Micros>("created_at")?.0,
        approved_hash: row.get("approved_hash")?,
        started_at: match has_begun(row)? {
            true => row.get::<_, Option<Micros>>("started_at")?.map(|at| at.0),
            false => None,
        },
        started_by: row.get::<_, Option<Text<_>>>("started_by")?.map(|by| by.0),
        ended_at: row.get::<_, Option<Micros>>("ended_at")?.map(|at| at.0),
        follows: row.get::<_, Option<i64>>("follows")?.map(CampaignId::new),
    })
}

/// Somebody has started it; one that waits for its time has an order among the others, and nobody yet.
fn has_begun(row: &Row<'_>) -> rusqlite::Result<bool> {
    Ok(row.get_ref("started_by")? != ValueRef::Null)
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<CampaignState> {
    Ok(match row.get_ref("state")?.as_str()? {
        "importing" => CampaignState::Importing,
        "draft" => CampaignState::Draft,
        "approved" => CampaignState::Approved {
            hash: row.get("approved_hash")?,
            by: row.get::<_, Json<_>>("approved_by")?.0,
        },
        "scheduled" => CampaignState::Scheduled {
            at: row.get::<_, Micros>("scheduled_at")?.0,
        },
        "running" => CampaignState::Running,
        "paused" => CampaignState::Paused {
            why: row.get::<_, Option<String>>("paused_why")?.unwrap_or_default(),
            starts: match has_begun(row)? {
                true => None,
                false => row.get::<_, Option<Micros>>("scheduled_at")?.map(|at| at.0),
            },
        },
        "settling" => CampaignState::Settling {
            until: row.get::<_, Micros>("settle_until")?.0,
        },
        "finished" => CampaignState::Finished,
        // The table's CHECK leaves no other word.
        _ => CampaignState::Cancelled,
    })
}

fn find(conn: &Connection, campaign: CampaignId) -> Result<Option<StoredCampaign>, StoreError> {
    let sql = format!("{CAMPAIGN} WHERE id = ?1");
    one(conn, "read the campaign", &sql, [campaign.row()], read_campaign)
}

/// A campaign that must be there.
pub(super) fn get(conn: &Connection, campaign: CampaignId) -> Result<StoredCampaign, StoreError> {
    find(conn, campaign)?.ok_or_else(|| StoreError::NotFound {
        what: "campaign",
        id: campaign.to_string(),
    })
}

/// Whether it is finished or cancelled.
pub(super) fn has_ended(conn: &Connection, campaign: CampaignId) -> Result<bool, StoreError> {
    let sql = "SELECT ended_at IS NOT NULL FROM campaigns WHERE id = ?1";
    only(conn, "look for the campaign's end", sql, [campaign.row()], |row| {
        row.get(0)
    })
}

pub(super) fn conflict(campaign: CampaignId, found: String, wanted: &'static str) -> StoreError {
    StoreError::Conflict {
        what: "campaign",
        id: campaign.to_string(),
        found,
        wanted,
    }
}

fn link(tx: &mut Tx<'_>, campaign: CampaignId, earlier: CampaignId, by: &Actor, now: Time) -> Result<(), StoreError> {
    get(tx.conn, earlier)?;
    let sql = "UPDATE campaigns SET follows = ?2 WHERE id = ?1";
    run(
        tx.conn,
        "link the campaigns",
        sql,
        params![campaign.row(), earlier.row()],
    )?;
    let facts = json!({ "campaign": campaign, "follows": earlier });
    journal::append(tx, "campaign.linked", &facts, by, now).map(drop)
}
