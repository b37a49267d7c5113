//! Campaigns; how their persons come in is `lists`' business, who was reached is `reach`'s. The deliveries are the queue:
//! starting or pausing a campaign changes one row, not a million.

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::rows::{Json, Micros, Text, all, json as json_text, one, only, run};
use super::{Sqlite, Tx, custody, held, journal, pace, people, register, unattended, waiting};
use crate::model::Time;
use crate::model::campaign::{CampaignEvent, CampaignState};
use crate::model::id::{Actor, CampaignId, DeliveryId};
use crate::store::{
    Campaigns, Checked, Deferred, HeldChoice, HeldPerson, StoreError, StoredCampaign, Tally, Unattended, chain,
};

/// Deliveries that are cancelled in one transaction: some tenths of a second, so that others get their turn.
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
        let waiting = self
            .read(|conn| {
                all(conn, "look for cancelled campaigns", CANCELLED_WAITING, [], |row| {
                    row.get(0).map(CampaignId::new)
                })
            })
            .await?;
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
        self.read(move |conn| {
            let read = |row: &Row<'_>| {
                Ok(Deferred {
                    persons: row.get::<_, i64>(0)?.cast_unsigned(),
                    next: row.get::<_, Option<Micros>>(1)?.map(|at| at.0),
                })
            };
            // Reads only the end of the index: what waits for its first try has been due since before the start.
            let sql = "SELECT count(*), min(due) FROM deliveries
                 WHERE campaign = ?1 AND state = 'ready' AND tries > 0
                   AND due > (SELECT coalesce(started_at, 0) FROM campaigns WHERE id = ?1)";
            let put_off = only(conn, "count the deferred", sql, [campaign.row()], read)?;
            let sql =
                "SELECT count(*), min(due) FROM deliveries WHERE campaign = ?1 AND state = 'in_doubt' AND due > 0";
            let in_doubt = only(conn, "look for the next try", sql, [campaign.row()], read)?;
            Ok(Deferred {
                persons: put_off.persons,
                next: [put_off.next, in_doubt.next].into_iter().flatten().min(),
            })
        })
        .await
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

/// Moves a campaign by an event and writes its row and journal entry; one that changes nothing writes nothing.
pub(super) fn turn(
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
        CampaignState::Running => facts["persons"] = json!(total(&tally(tx.conn, campaign)?)),
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

fn set_content(
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

fn approve(
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

/// What waits, of a campaign that was called off. What may have left stays in doubt, and is not tried again.
fn cancel_waiting(tx: &mut Tx<'_>, campaign: CampaignId, by: &Actor, now: Time) -> Result<u64, StoreError> {
    // What was in doubt and waited for another try may have arrived all the same.
    let doubtful = run(
        tx.conn,
        "leave in doubt what may have left",
        "UPDATE deliveries
         SET state = 'in_doubt', due = NULL, lease_by = NULL, lease_until = NULL, since = ?2, detail = NULL
         WHERE possibly_twice = 1 AND campaign = ?1 AND state IN ('ready', 'leased', 'held')",
        params![campaign.row(), Micros(now)],
    )? as u64;
    let cancelled = run(
        tx.conn,
        "cancel what waits",
        "UPDATE deliveries
         SET state = 'cancelled', due = NULL, lease_by = NULL, lease_until = NULL, since = ?2, detail = ?3
         WHERE id IN (SELECT id FROM deliveries WHERE state = 'ready' AND campaign = ?1
                      UNION ALL SELECT id FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 AND state = 'leased'
                      UNION ALL SELECT id FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held'
                      LIMIT ?4)",
        params![campaign.row(), Micros(now), json_text(by), CHUNK],
    )? as u64;
    run(
        tx.conn,
        "try no more",
        "UPDATE deliveries SET due = NULL WHERE campaign = ?1 AND state = 'in_doubt' AND due IS NOT NULL",
        [campaign.row()],
    )?;
    if cancelled + doubtful > 0 {
        let facts = json!({ "campaign": campaign, "deliveries": cancelled, "in_doubt": doubtful });
        journal::append(tx, "campaign.deliveries_cancelled", &facts, by, now)?;
    }
    Ok(cancelled)
}

const CANCELLED_WAITING: &str = "SELECT id FROM campaigns c WHERE state = 'cancelled' AND (
         EXISTS (SELECT 1 FROM deliveries WHERE state = 'ready' AND campaign = c.id)
         OR EXISTS (SELECT 1 FROM deliveries WHERE state < 'i' AND campaign = c.id AND state = 'held')
         OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'in_doubt' AND campaign = c.id AND due > 0))";

/// Whether anything of a campaign is still to be tried, or being tried.
pub(super) const NOT_FINAL: &str = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'ready' AND campaign = ?1)
     OR EXISTS (SELECT 1 FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1)
     OR EXISTS (SELECT 1 FROM deliveries WHERE state < 'i' AND campaign = ?1 AND state = 'held')
     OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'in_doubt' AND campaign = ?1 AND due > 0)";

/// Read from the indexes, but for the few under way: the rows themselves are not touched.
pub(super) const TALLY: &str = "SELECT 'ready', count(*) FROM deliveries WHERE state = 'ready' AND campaign = ?1
     UNION ALL SELECT 'in_doubt', count(*) FROM deliveries WHERE state = 'in_doubt' AND campaign = ?1
     UNION ALL SELECT state, count(*) FROM deliveries WHERE lease_by IS NOT NULL AND +campaign = ?1 GROUP BY state
     UNION ALL SELECT state, count(*) FROM deliveries WHERE state < 'i' AND campaign = ?1 GROUP BY state
     UNION ALL SELECT 'possibly_twice', count(*) FROM deliveries WHERE possibly_twice = 1 AND campaign = ?1";

pub(super) fn tally(conn: &Connection, campaign: CampaignId) -> Result<Tally, StoreError> {
    let counts = all(conn, "count the deliveries", TALLY, [campaign.row()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    let mut tally = Tally::default();
    for (state, count) in counts {
        let place = match state.as_str() {
            "ready" => &mut tally.ready,
            "leased" => &mut tally.leased,
            "on_wire" => &mut tally.on_wire,
            "in_doubt" => &mut tally.in_doubt,
            "held" => &mut tally.held,
            "handed" => &mut tally.handed,
            "confirmed" => &mut tally.confirmed,
            "failed" => &mut tally.failed,
            "possibly_twice" => &mut tally.possibly_twice,
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
