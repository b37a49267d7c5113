//! The pace: what may be claimed for persons now, by the limits and by the domains that put us off. Taken within the claim's
//! transaction, so that two processes share one allowance and a restart keeps it.

use chrono::TimeDelta;
use rusqlite::{Connection, params};
use serde_json::json;

use super::outbox::Taken;
use super::rows::{Json, Micros, Text, all, one, only, run};
use super::{Tx, campaigns, journal};
use crate::model::Time;
use crate::model::blame::{Blame, blame};
use crate::model::campaign::CampaignEvent;
use crate::model::delivery::{Fault, FaultCause, Outcome, RetryPolicy, SmtpStep};
use crate::model::id::{Actor, CampaignId, DeliveryId, WorkerId};
use crate::model::pace::{Pace, Rate};
use crate::store::StoreError;

/// The slots in which a day's messages are counted: the oldest counts in full until it has left the 24 hours.
const SLOT_MICROS: i64 = 600_000_000;
/// Domains looked at by one claim: a few milliseconds. The next claim goes on behind them.
const DOMAINS_MOST: u32 = 500;
/// How long the one message that tries a slow domain may take before another one does.
const PROBE_LEAST: TimeDelta = TimeDelta::seconds(10);
/// How soon a day that is full only of what is under way is looked at again.
const UNDER_WAY_LOOK: TimeDelta = TimeDelta::seconds(1);
/// Of so many outcomes, or of fewer while there are no more, the share of refusals is taken.
const BUDGET_OUTCOMES: u32 = 200;
/// A share of fewer outcomes than this would be chance.
const BUDGET_LEAST: u32 = 100;

/// What a claim for persons may take.
pub(super) struct Allowance<'c> {
    conn: &'c Connection,
    pace: Pace,
    now: Time,
    /// Messages that left in this transaction and are counted at its end.
    uncounted: u64,
    /// When a limit lets more go; `None` where none held anything back.
    pub again: Option<Time>,
}

impl<'c> Allowance<'c> {
    pub(super) fn new(conn: &'c Connection, pace: Pace, uncounted: u64, now: Time) -> Self {
        Self {
            conn,
            pace,
            now,
            uncounted,
            again: None,
        }
    }

    /// Whether domains differ: else the plain claim does, which looks at no domain.
    pub(super) fn is_by_domain(&self) -> Result<bool, StoreError> {
        let slow = "SELECT EXISTS (SELECT 1 FROM slow_domains)";
        Ok(self.pace.per_domain_per_second.is_some()
            || only(self.conn, "look for slow domains", slow, [], |row| row.get(0))?)
    }

    /// How many of `most` may leave now, to whomever.
    pub(super) fn of_all(&mut self, most: u32) -> Result<u32, StoreError> {
        let mut allowed = most;
        if let Some(rate) = self.pace.per_second.map(Rate::per_second) {
            allowed = self.by_rate("", rate, allowed)?;
        }
        if let Some(per_day) = self.pace.per_day {
            allowed = allowed.min(self.of_day(per_day)?);
        }
        Ok(allowed)
    }

    /// Counts what was taken against the limits for everybody.
    pub(super) fn took(&self, count: u32) -> Result<(), StoreError> {
        if count == 0 {
            return Ok(());
        }
        if let Some(rate) = self.pace.per_second.map(Rate::per_second) {
            self.use_rate("", rate, count)?;
        }
        Ok(())
    }

    fn of_day(&mut self, per_day: u64) -> Result<u32, StoreError> {
        let first = first_slot(self.now);
        forget_days(self.conn, self.now)?;
        // What left under a clock that was ahead has left just now, for all we know.
        let sql = "DELETE FROM pace_sent WHERE slot > ?1 RETURNING sent";
        let ahead: Vec<i64> = all(self.conn, "take back the clock", sql, [slot(self.now)], |row| {
            row.get(0)
        })?;
        count_left(self.conn, ahead.iter().sum(), self.now)?;
        let (sent, oldest): (i64, Option<i64>) = only(
            self.conn,
            "count the day's messages",
            "SELECT coalesce(sum(sent), 0), min(slot) FROM pace_sent",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let left = per_day.saturating_sub(sent.cast_unsigned());
        // Of what is under way all may leave, and count then; what does not leave takes nothing from the day.
        let under_way: i64 = only(self.conn, "count what is under way", UNDER_WAY, [], |row| row.get(0))?;
        let free = left.saturating_sub(under_way.cast_unsigned() + self.uncounted);
        if left > 0 && free == 0 {
            self.wait_until(self.now + UNDER_WAY_LOOK);
        }
        if left == 0 {
            self.wait_until(freed_at(oldest.unwrap_or(first)).unwrap_or(self.now));
        }
        Ok(u32::try_from(free).unwrap_or(u32::MAX))
    }

    fn by_rate(&mut self, domain: &str, rate: Rate, most: u32) -> Result<u32, StoreError> {
        let next = self.next_of(domain)?;
        let allowed = rate.allows(next, self.now, most);
        if allowed < most {
            let next = rate.after(next, self.now, allowed);
            self.wait_until(next);
        }
        Ok(allowed)
    }

    fn use_rate(&self, domain: &str, rate: Rate, count: u32) -> Result<(), StoreError> {
        let next = rate.after(self.next_of(domain)?, self.now, count);
        run(
            self.conn,
            "keep the pace",
            "INSERT INTO pace_next (domain, next) VALUES (?1, ?2) ON CONFLICT (domain) DO UPDATE SET next = ?2",
            params![domain, Micros(next)],
        )
        .map(drop)
    }

    fn next_of(&self, domain: &str) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT next FROM pace_next WHERE domain = ?1";
        let next = one(self.conn, "read the pace", sql, [domain], |row| {
            Ok(row.get::<_, Micros>(0)?.0)
        })?;
        // Under a clock that was set back, no limit lasts longer than its own interval would.
        Ok(next.filter(|next| *next - self.now < TimeDelta::hours(1)))
    }

    fn wait_until(&mut self, at: Time) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }

    /// Takes up to `most` of one campaign, domain by domain, each as far as its own limits go.
    pub(super) fn take_by_domain(
        &mut self,
        by: WorkerId,
        campaign: CampaignId,
        most: u32,
        until: Time,
    ) -> Result<Vec<Taken>, StoreError> {
        run(self.conn, "order the campaign by domain", INDEX_DOMAINS, [])?;
        // An hour's old marks say nothing any more.
        let past = Micros(self.now - TimeDelta::hours(1));
        run(
            self.conn,
            "forget the old pace",
            "DELETE FROM pace_next WHERE next < ?1",
            [past],
        )?;
        let mut taken = self.take_doubtful(by, campaign, most, until)?;
        let sql = "SELECT domain_cursor FROM campaigns WHERE id = ?1";
        let start: String = only(self.conn, "read the turn", sql, [campaign.row()], |row| row.get(0))?;
        let (mut at, mut wrapped) = (start.clone(), false);
        for _ in 0..DOMAINS_MOST {
            let left = most - taken.len() as u32;
            if left == 0 {
                break;
            }
            let next: Option<String> = only(
                self.conn,
                "find the next domain",
                NEXT_DOMAIN,
                params![campaign.row(), at],
                |row| row.get(0),
            )?;
            match next {
                None if wrapped => break,
                None => (at, wrapped) = (String::new(), true),
                Some(domain) if wrapped && domain > start => break,
                Some(domain) => {
                    taken.extend(self.take_of(by, campaign, &domain, left, until)?);
                    at = domain;
                }
            }
        }
        let sql = "UPDATE campaigns SET domain_cursor = ?2 WHERE id = ?1";
        run(self.conn, "keep the turn", sql, params![campaign.row(), at])?;
        Ok(taken)
    }

    fn take_of(
        &mut self,
        by: WorkerId,
        campaign: CampaignId,
        domain: &str,
        most: u32,
        until: Time,
    ) -> Result<Vec<Taken>, StoreError> {
        let Some(allowed) = self.of_domain(domain, most)? else {
            return Ok(Vec::new());
        };
        let values = params![
            Text(by),
            Micros(until),
            campaign.row(),
            domain,
            Micros(self.now),
            allowed
        ];
        let taken = all(
            self.conn,
            "claim a domain's deliveries",
            CLAIM_DOMAIN,
            values,
            Taken::read,
        )?;
        self.took_of(domain, &taken)?;
        Ok(taken)
    }

    /// Deliveries in doubt are few: each is judged on its own.
    fn take_doubtful(
        &mut self,
        by: WorkerId,
        campaign: CampaignId,
        most: u32,
        until: Time,
    ) -> Result<Vec<Taken>, StoreError> {
        let values = params![campaign.row(), Micros(self.now), most];
        let due = all(self.conn, "look for what is in doubt", DOUBTFUL, values, |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            ))
        })?;
        let mut taken = Vec::new();
        for (id, domain) in due {
            if self.of_domain(&domain, 1)?.is_none() {
                continue;
            }
            let values = params![Text(by), Micros(until), id, Micros(self.now)];
            let mine = all(
                self.conn,
                "claim a delivery",
                super::outbox::CLAIM_ONE,
                values,
                Taken::read,
            )?;
            self.took_of(&domain, &mine)?;
            taken.extend(mine);
        }
        Ok(taken)
    }

    /// How many may go to this domain now, if any.
    fn of_domain(&mut self, domain: &str, most: u32) -> Result<Option<u32>, StoreError> {
        let mut allowed = most;
        let sql = "SELECT until FROM slow_domains WHERE domain = ?1";
        let slow = one(self.conn, "look at the domain", sql, [domain], |row| {
            Ok(row.get::<_, Micros>(0)?.0)
        })?;
        match slow {
            // Later than a day can only come of a clock that was set back since.
            Some(until) if until > self.now && until - self.now < TimeDelta::days(1) => return Ok(None),
            Some(_) => allowed = 1,
            None => {}
        }
        if let Some(rate) = self.pace.per_domain_per_second.map(Rate::per_second) {
            allowed = self.by_rate(domain, rate, allowed)?;
        }
        Ok((allowed > 0).then_some(allowed))
    }

    fn took_of(&self, domain: &str, taken: &[Taken]) -> Result<(), StoreError> {
        let Some(first) = taken.first() else { return Ok(()) };
        if let Some(rate) = self.pace.per_domain_per_second.map(Rate::per_second) {
            self.use_rate(domain, rate, taken.len() as u32)?;
        }
        // If the domain is slow, this one message tries it: the next waits for what comes of it.
        run(
            self.conn,
            "try the slow domain",
            "UPDATE slow_domains SET probe = ?2, until = ?3 + max(wait, ?4) WHERE domain = ?1",
            params![
                domain,
                first.id.row(),
                Micros(self.now),
                PROBE_LEAST.num_microseconds().unwrap_or(0)
            ],
        )
        .map(drop)
    }
}

/// What is claimed for persons or on the wire: read from the index of leases.
pub(super) const UNDER_WAY: &str =
    "SELECT count(*) FROM deliveries WHERE lease_by IS NOT NULL AND campaign IS NOT NULL";

/// Counts messages to persons that have left, or may have, for the limit of a day.
pub(super) fn count_left(conn: &Connection, count: i64, now: Time) -> Result<(), StoreError> {
    if count == 0 {
        return Ok(());
    }
    let values = params![slot(now), count];
    let known = "UPDATE pace_sent SET sent = sent + ?2 WHERE slot = ?1";
    if run(conn, "count the day's messages", known, values)? == 0 {
        let first = "INSERT INTO pace_sent (slot, sent) VALUES (?1, ?2)";
        run(conn, "count the day's messages", first, values)?;
        forget_days(conn, now)?;
    }
    Ok(())
}

fn forget_days(conn: &Connection, now: Time) -> Result<(), StoreError> {
    let sql = "DELETE FROM pace_sent WHERE slot < ?1";
    run(conn, "forget older days", sql, [first_slot(now)]).map(drop)
}

/// When a day that is full lets more go, and so many that it is not full any more; `None` while it is not. Reads only, as
/// [`Allowance::of_day`] counts.
pub(super) fn full_until(conn: &Connection, per_day: u64, now: Time) -> Result<Option<Time>, StoreError> {
    let values = [first_slot(now), slot(now)];
    // What left under a clock that was ahead has left just now, for all we know.
    let sql = "SELECT min(slot, ?2), sent FROM pace_sent WHERE slot >= ?1 ORDER BY slot";
    let slots: Vec<(i64, i64)> = all(conn, "count the day's messages", sql, values, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let mut sent: u64 = slots.iter().map(|(_, sent)| sent.cast_unsigned()).sum();
    for (slot, left) in slots {
        if sent < per_day {
            return Ok(None);
        }
        sent = sent.saturating_sub(left.cast_unsigned());
        if sent < per_day {
            return Ok(Some(freed_at(slot).unwrap_or(now)));
        }
    }
    Ok(None)
}

/// When what left in a slot counts no more.
fn freed_at(slot: i64) -> Option<Time> {
    let end = Time::from_timestamp_micros((slot + 1).saturating_mul(SLOT_MICROS))?;
    Some(end + TimeDelta::hours(24))
}

/// The slot that a day's begin lies in counts whole: in any 24 hours no more leave than a day may see.
fn first_slot(now: Time) -> i64 {
    slot(now - TimeDelta::hours(24))
}

fn slot(at: Time) -> i64 {
    at.timestamp_micros().div_euclid(SLOT_MICROS)
}

/// Made at the first claim by domain: 1,000,000 persons take a second or two. Kept from the start, it would cost every
/// import and every claim a page for each person.
pub(super) const INDEX_DOMAINS: &str = "CREATE INDEX IF NOT EXISTS deliveries_ready_by_domain
     ON deliveries (campaign, domain, due) WHERE state = 'ready' AND domain IS NOT NULL";

/// Drops the index by domain, once it is empty: then that costs nothing.
pub(super) fn drop_index(conn: &Connection) -> Result<(), StoreError> {
    let waiting = "SELECT EXISTS (SELECT 1 FROM campaigns WHERE state IN ('scheduled', 'running', 'paused'))";
    if only(conn, "look for campaigns", waiting, [], |row| row.get(0))? {
        return Ok(());
    }
    run(
        conn,
        "drop the order by domain",
        "DROP INDEX IF EXISTS deliveries_ready_by_domain",
        [],
    )
    .map(drop)
}

/// Skips from domain to domain: one seek each, whatever the number of persons there.
pub(super) const NEXT_DOMAIN: &str =
    "SELECT min(domain) FROM deliveries WHERE state = 'ready' AND campaign = ?1 AND domain > ?2";

/// The oldest due of one domain.
pub(super) const CLAIM_DOMAIN: &str =
    "UPDATE deliveries SET state = 'leased', lease_by = ?1, lease_until = ?2, due = NULL, since = NULL
     WHERE id IN (SELECT id FROM deliveries
                  WHERE state = 'ready' AND campaign = ?3 AND domain = ?4 AND due <= ?5 ORDER BY due LIMIT ?6)
     RETURNING id, campaign, message_id, tries, possibly_twice";

pub(super) const DOUBTFUL: &str = "SELECT id, domain FROM deliveries
     WHERE state = 'in_doubt' AND campaign = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";

/// Forgets the domains that the pace knows: whom they belong to is erased. It starts anew, as after an idle hour.
pub(super) fn forget(conn: &Connection, campaign: CampaignId) -> Result<(), StoreError> {
    run(conn, "forget the domains", "DELETE FROM slow_domains", [])?;
    run(
        conn,
        "forget the domains",
        "DELETE FROM pace_next WHERE domain <> ''",
        [],
    )?;
    let sql = "UPDATE campaigns SET domain_cursor = '' WHERE id = ?1";
    run(conn, "forget the turn", sql, [campaign.row()]).map(drop)
}

/// What an outcome says about the domain it went to.
pub(super) fn learn(
    conn: &Connection,
    delivery: DeliveryId,
    domain: &str,
    outcome: &Outcome,
    retry: &RetryPolicy,
    now: Time,
) -> Result<(), StoreError> {
    match outcome {
        Outcome::Deferred { fault } if blame(fault) == Blame::Domain => slow_down(conn, delivery, domain, retry, now),
        // Whatever it says, it speaks to us again. So it does where it puts off this one person, as by greylisting: else a
        // domain that does so with each new one would stay slow until the last of them.
        Outcome::Accepted { .. } | Outcome::Refused { .. } => speaks_again(conn, delivery),
        Outcome::Deferred { fault }
            if blame(fault) == Blame::Recipient && matches!(fault.step, SmtpStep::Rcpt | SmtpStep::FinalDot) =>
        {
            speaks_again(conn, delivery)
        }
        _ => Ok(()),
    }
}

/// Ends the waits for the domains that these messages tried. Hardly ever has one been tried: so that is asked first.
pub(super) fn speak_again(conn: &Connection, deliveries: &[DeliveryId]) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM slow_domains WHERE probe IS NOT NULL)";
    if deliveries.is_empty() || !only(conn, "look for slow domains", sql, [], |row| row.get(0))? {
        return Ok(());
    }
    deliveries.iter().try_for_each(|id| speaks_again(conn, *id))
}

/// Ends the wait for the domain that this message tried, if it tried one. By the message alone: however its address is
/// written.
fn speaks_again(conn: &Connection, delivery: DeliveryId) -> Result<(), StoreError> {
    let sql = "DELETE FROM slow_domains WHERE probe = ?1";
    run(conn, "end the wait for a domain", sql, [delivery.row()]).map(drop)
}

/// Doubles the wait when the message that tried the domain was put off; what was under way before says nothing new.
fn slow_down(
    conn: &Connection,
    delivery: DeliveryId,
    domain: &str,
    retry: &RetryPolicy,
    now: Time,
) -> Result<(), StoreError> {
    let micros = |span: TimeDelta| span.num_microseconds().unwrap_or(i64::MAX).max(1);
    let (first, longest) = (micros(retry.first), micros(retry.max));
    run(
        conn,
        "slow a domain down",
        "INSERT INTO slow_domains (domain, wait, until) VALUES (?1, ?3, ?5 + ?3)
         ON CONFLICT (domain) DO UPDATE SET wait = min(wait * 2, ?4), until = ?5 + min(wait * 2, ?4), probe = NULL
         WHERE probe = ?2",
        params![domain, delivery.row(), first, longest, now.timestamp_micros()],
    )
    .map(drop)
}

/// The last outcomes of a campaign, newest first. `+`: else the planner begins with all deliveries of the campaign, at each
/// refusal and while all others wait to write (77 ms at 200,000; so 0.1 ms).
pub(super) const LAST_OUTCOMES: &str = "SELECT a.fault FROM attempts a JOIN deliveries d ON d.id = a.delivery
     WHERE +d.campaign = ?1 AND a.id > (SELECT budget_after FROM campaigns WHERE id = ?1)
     ORDER BY a.id DESC LIMIT ?2";

/// Pauses a running campaign whose share of refusals of us has reached its budget, and says why.
pub(super) fn spend(
    tx: &mut Tx<'_>,
    campaign: CampaignId,
    budget: f64,
    by: &Actor,
    now: Time,
) -> Result<Option<String>, StoreError> {
    if budget >= 1.0 {
        return Ok(None);
    }
    let running = "SELECT 1 FROM campaigns WHERE id = ?1 AND state = 'running'";
    if one(tx.conn, "look at the campaign", running, [campaign.row()], |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let values = params![campaign.row(), BUDGET_OUTCOMES];
    let faults = all(tx.conn, "read the last outcomes", LAST_OUTCOMES, values, |row| {
        Ok(row.get::<_, Option<Json<Fault>>>(0)?.map(|json| json.0))
    })?;
    let refusals: Vec<&Fault> = faults.iter().flatten().filter(|f| blame(f) == Blame::Us).collect();
    let outcomes = faults.len().max(BUDGET_LEAST as usize);
    if (refusals.len() as f64) < (budget * outcomes as f64).max(1.0) {
        return Ok(None);
    }
    let last = refusals.first().map_or_else(String::new, |fault| reason_of(fault));
    let why = format!(
        "{} of the last {} answers refused us and not the recipient; the last one {last}",
        refusals.len(),
        faults.len()
    );
    run(
        tx.conn,
        "keep where the budget begins anew",
        "UPDATE campaigns SET budget_after = (SELECT max(id) FROM attempts) WHERE id = ?1",
        [campaign.row()],
    )?;
    let event = CampaignEvent::Pause { why: why.clone() };
    campaigns::turn(tx, campaign, event, "pausing it", by, now)?;
    let facts = json!({ "campaign": campaign, "refusals": refusals.len(), "outcomes": faults.len() });
    journal::append(tx, "campaign.budget_reached", &facts, by, now)?;
    Ok(Some(why))
}

/// Step and code, and never the text: it may name a person, and this is shown and journalled.
pub(super) fn reason_of(fault: &Fault) -> String {
    match &fault.cause {
        FaultCause::Reply(reply) => match &reply.enhanced {
            Some(status) => format!("at {}: {} {status}", fault.step, reply.code),
            None => format!("at {}: {}", fault.step, reply.code),
        },
        _ => format!("at {}", fault.step),
    }
}
