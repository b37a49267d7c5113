//! The register of breaches (GDPR Art. 33(5)): open, show, change, log.

use chrono_tz::Tz;
use serde::Serialize;

use crate::model::Time;
use crate::model::breach::{Decision, Exemption, Gap, Record, RiskLevel, Role, When};
use crate::model::campaign::CampaignState;
use crate::model::holidays::Calendar;
use crate::model::id::{Actor, BreachId, CampaignId};
use crate::model::time::{Deadlines, deadlines, show_left, show_local};
use crate::store::{LogEntry, StoreError, StoredBreach};

use super::DeskError;
use crate::dispatch::office::Office;

/// What a breach looks like now: the record with its clock.
#[derive(Debug, Clone, Serialize)]
pub struct BreachView {
    pub id: BreachId,
    pub title: String,
    pub record: Record,
    pub opened_at: Time,
    pub opened_by: Actor,
    pub updated_at: Time,
    pub version: u32,
    pub clock: Option<Clock>,
    /// What Art. 33(3) asks and the record does not say yet.
    pub warnings: Vec<Gap>,
    /// The command that leads on to a first notice.
    pub next: String,
    /// When the next update was promised to the authority.
    pub next_update_due: Option<When>,
    /// Campaigns that ran or waited for their time, and were paused since the persons are not to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<CampaignId>,
}

/// The deadline that is acted upon, and how far away it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clock {
    pub aware_at: Time,
    /// 72 elapsed hours after awareness (GDPR Art. 33(1)).
    pub strict: Time,
    /// In the zone of the authority or of the record.
    pub strict_local: String,
    /// Such as `25 h 12 min left`.
    pub left: String,
    pub late: bool,
}

/// A breach with its understood record.
#[derive(Debug, Clone)]
pub struct Breach {
    pub stored: StoredBreach,
    pub record: Record,
}

/// Adds a record to the register.
///
/// # Errors
/// The store fails; nothing was added then.
pub async fn open(office: &Office, record: &Record, by: &Actor) -> Result<BreachView, DeskError> {
    let id = office.store.add_breach(as_json(record), by, office.now()).await?;
    show(office, id).await
}

/// Replaces a record; the earlier version is kept.
///
/// # Errors
/// No such breach, or the store fails.
pub async fn update(office: &Office, id: BreachId, record: &Record, by: &Actor) -> Result<BreachView, DeskError> {
    find(office, id).await?;
    office
        .store
        .update_breach(id, as_json(record), "breach.updated", by, office.now())
        .await?;
    let paused = stop_what_runs(office, id, record.communication.decision, by).await?;
    let view = show(office, id).await?;
    Ok(BreachView { paused, ..view })
}

/// Whether the persons are told (GDPR Art. 34), as somebody has decided it.
#[derive(Debug, Clone)]
pub struct Decided {
    pub decision: Decision,
    pub exemption: Option<Exemption>,
    pub rationale: String,
}

/// Writes a decision about the persons into the record; who and when stand in the timeline, the earlier version is kept.
/// Once they are not to be told, campaigns about the breach that run or wait for their time are paused.
///
/// # Errors
/// No such breach; [`DeskError::Refused`] for a decision that the law or the record does not bear.
pub async fn decide(office: &Office, id: BreachId, decided: Decided, by: &Actor) -> Result<BreachView, DeskError> {
    let mut stored = office.store.find_breach(id).await?.ok_or(DeskError::NoBreach(id))?;
    let mut record = understand(&stored)?;
    may_be_decided(&record, &decided).map_err(|why| DeskError::Refused(why.to_owned()))?;
    let words = format!("{}: {}", decided.decision.name(), decided.rationale);
    record.communication.decision = decided.decision;
    record.communication.exemption = decided.exemption;
    record.communication.rationale = Some(decided.rationale);
    stored.record = as_json(&record);
    let now = office.now();
    office
        .store
        .update_breach(id, stored.record, "breach.decided", by, now)
        .await?;
    office.store.log(id, "decision", &words, by, now).await?;
    let paused = stop_what_runs(office, id, decided.decision, by).await?;
    let view = show(office, id).await?;
    Ok(BreachView { paused, ..view })
}

/// Pauses what would go on telling persons who are not to be told. Cut off, deciding again goes on.
async fn stop_what_runs(
    office: &Office,
    id: BreachId,
    decision: Decision,
    by: &Actor,
) -> Result<Vec<CampaignId>, DeskError> {
    let mut paused = Vec::new();
    if decision != Decision::NotRequired {
        return Ok(paused);
    }
    let why = format!("it was decided not to tell the persons of {id}");
    for campaign in office.store.list_campaigns().await? {
        let goes_on = matches!(campaign.state, CampaignState::Running | CampaignState::Scheduled { .. });
        if campaign.breach != id || !goes_on {
            continue;
        }
        match office.store.pause(campaign.id, &why, by, office.now()).await {
            Ok(()) => paused.push(campaign.id),
            // It has ended meanwhile.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(paused)
}

fn may_be_decided(record: &Record, decided: &Decided) -> Result<(), &'static str> {
    let high = record.risk.level == RiskLevel::HighRisk;
    if decided.rationale.trim().is_empty() {
        return Err("a decision needs its reason: --rationale TEXT (GDPR Art. 5(2), 33(5))");
    }
    match decided.decision {
        Decision::NotRequired if record.communication.decision == Decision::Ordered => Err(
            "the authority has ordered that the persons be told (GDPR Art. 34(4)); only the authority can take that back",
        ),
        Decision::NotRequired if high && decided.exemption.is_none() => Err(
            "the risk is high: name the exemption that applies, --exemption a_protected or b_risk_removed (GDPR Art. 34(3)), or decide public-notice",
        ),
        Decision::Required | Decision::Ordered if decided.exemption.is_some() => {
            Err("an exemption is a reason not to tell the persons: leave --exemption out")
        }
        _ => Ok(()),
    }
}

/// The kind of a call in the timeline.
pub const CALL: &str = "call";

/// Adds a call or a note to the breach's timeline.
///
/// # Errors
/// No such breach, or the store fails.
pub async fn log(office: &Office, id: BreachId, kind: &str, text: &str, by: &Actor) -> Result<(), DeskError> {
    find(office, id).await?;
    Ok(office.store.log(id, kind, text, by, office.now()).await?)
}

/// The breach's timeline, oldest first.
///
/// # Errors
/// The store fails.
pub async fn timeline(office: &Office, id: BreachId) -> Result<Vec<LogEntry>, DeskError> {
    Ok(office.store.timeline(id).await?)
}

/// One breach and its record.
///
/// # Errors
/// No such breach, a record that another version wrote, or the store fails.
pub async fn find(office: &Office, id: BreachId) -> Result<Breach, DeskError> {
    let stored = office.store.find_breach(id).await?.ok_or(DeskError::NoBreach(id))?;
    let record = completed(office, understand(&stored)?);
    Ok(Breach { stored, record })
}

/// One breach as it stands now.
///
/// # Errors
/// As [`find`].
pub async fn show(office: &Office, id: BreachId) -> Result<BreachView, DeskError> {
    let Breach { stored, record } = find(office, id).await?;
    view(office, stored, record).await
}

/// All breaches, newest first.
///
/// # Errors
/// The store fails, or holds a record that is not understood.
pub async fn list(office: &Office) -> Result<Vec<BreachView>, DeskError> {
    let mut views = Vec::new();
    for stored in office.store.list_breaches().await? {
        let record = completed(office, understand(&stored)?);
        views.push(view(office, stored, record).await?);
    }
    Ok(views)
}

async fn view(office: &Office, stored: StoredBreach, record: Record) -> Result<BreachView, DeskError> {
    let now = office.now();
    let notices = office.store.list_notices(Some(stored.id)).await?;
    let first_notice = notices
        .iter()
        .find(|notice| notice.draft_reason.is_none())
        .map(|notice| notice.filed_at);
    let zone = zone_of(office, &record);
    let to = record
        .cross_border
        .lead_authority
        .clone()
        .or_else(|| office.own_authority());
    Ok(BreachView {
        id: stored.id,
        title: record.title.clone(),
        opened_at: stored.opened_at,
        opened_by: stored.opened_by,
        updated_at: stored.updated_at,
        version: stored.version,
        clock: clock(&record, zone, now),
        next: match to {
            Some(to) => format!("breachpost notice preview {} --to {to}", stored.id),
            None => "breachpost authority list".to_owned(),
        },
        warnings: record.gaps(now, first_notice),
        next_update_due: record.next_update_due,
        paused: Vec::new(),
        record,
    })
}

/// The clock of a record, shown in `zone`; none without an instant of awareness.
pub fn clock(record: &Record, zone: Tz, now: Time) -> Option<Clock> {
    let aware_at = record.aware()?;
    let strict = deadlines(aware_at, zone, None).strict;
    Some(Clock {
        aware_at,
        strict,
        strict_local: show_local(strict, zone),
        left: show_left(now, strict),
        late: now > strict,
    })
}

/// Every reading of the law for one instant of awareness, with the authority's zone and holidays.
pub fn all_deadlines(aware: Time, zone: Tz, calendar: Option<&str>) -> Deadlines {
    let calendar = calendar.and_then(Calendar::named);
    deadlines(aware, zone, calendar.as_ref())
}

/// The zone a record is shown in: the lead authority's, else the one it was written in, else UTC.
pub fn zone_of(office: &Office, record: &Record) -> Tz {
    let lead = record.cross_border.lead_authority.as_deref();
    lead.and_then(|id| office.directory.find(id).ok())
        .map(|profile| profile.timezone())
        .or(record.timeline.input_tz)
        .unwrap_or_else(|| office.zone())
}

/// The organisation's name and contact stand in for what the record leaves open; the stored record stays as it was given.
fn completed(office: &Office, mut record: Record) -> Record {
    if record.contact.is_none() {
        record.contact = office.usual_contact();
    }
    // A processor writes for somebody else, whose name only the record knows.
    if record.controller.name.is_none() && record.role != Role::ProcessorOnBehalf {
        record.controller.name = Some(office.config.organisation.name.as_str().to_owned());
    }
    record
}

fn understand(stored: &StoredBreach) -> Result<Record, DeskError> {
    serde_json::from_value(stored.record.clone())
        .map_err(|error| StoreError::not_understood("breach record", &stored.id.to_string(), &error).into())
}

fn as_json(record: &Record) -> serde_json::Value {
    serde_json::to_value(record).expect("a record is plain data")
}
