//! From a draft to the end: what was approved is what is sent, and nothing starts without a decision about the persons.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::json;

use super::{get, ready, refused};
use crate::config::Persons;
use crate::dispatch::campaign::{CampaignContent, Letter, Wording, give_up};
use crate::dispatch::desk::{DeskError, breach};
use crate::dispatch::office::{Office, OfficeError};
use crate::model::Time;
use crate::model::breach::Decision;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, BreachId, CampaignId};
use crate::store::{StoreError, StoredCampaign};

/// What came of an approval.
#[derive(Debug, Clone, Serialize)]
pub struct Approved {
    pub id: CampaignId,
    /// Whether it is approved now, or needs another person.
    pub approved: bool,
    /// Lower-case hex SHA-256 of exactly what was agreed to.
    pub content_sha256: String,
    pub by: Vec<Actor>,
    pub needed: usize,
}

/// The line of the timeline by which somebody let messages go that the linter says must not be sent.
const DESPITE_ERRORS: &str = "errors_overruled";

/// Agrees to exactly what would be sent now. With `approval.campaign: two_persons` another person must do the same. What
/// the linter says must not be sent is agreed to only `despite` it, with the reason, which stands in the timeline.
///
/// # Errors
/// [`DeskError::First`] when the breach record says something else by now, or the messages have errors;
/// [`DeskError::Refused`] when it has begun, and when there is no error to overrule or no reason given.
pub async fn approve(
    office: &Office,
    id: CampaignId,
    despite: Option<&str>,
    by: &Actor,
) -> Result<Approved, DeskError> {
    let (stored, content) = get(office, id).await?;
    up_to_date(office, &stored, &content).await?;
    let letter = Letter::with(office, id, content).await?;
    let hash = letter.digest(office, id).await?;
    let errors = ready::errors_in(office, id, &letter).await?;
    match despite {
        None if errors.is_empty() => {}
        None => return Err(must_not_be_sent(id, &errors)),
        Some(_) if errors.is_empty() => {
            return Err(DeskError::Refused(format!(
                "the messages of {id} have no error to overrule: leave --despite-errors out"
            )));
        }
        // Refused below, and then nothing was overruled.
        Some(_) if is_over(&stored.state) => {}
        Some(reason) => overrule(office, stored.breach, id, &hash, &errors, reason, by).await?,
    }
    let needed = needed(office);
    let agreed = office.store.approve_campaign(id, &hash, needed, by, office.now()).await;
    let by = agreed.map_err(refused)?;
    Ok(Approved {
        id,
        approved: by.len() >= needed,
        content_sha256: hash,
        by,
        needed,
    })
}

fn is_over(state: &CampaignState) -> bool {
    use CampaignState as S;
    matches!(state, S::Importing | S::Settling { .. } | S::Finished | S::Cancelled)
}

/// How many persons must agree.
fn needed(office: &Office) -> usize {
    match office.config.approval.campaign {
        Persons::OnePerson => 1,
        Persons::TwoPersons => 2,
    }
}

/// How a campaign was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Started {
    Now,
    /// It ran already.
    Joined,
    Later,
}

/// Starts what was approved: now, or at a time. One that runs is joined.
///
/// # Errors
/// [`DeskError::First`] with the command that leads on: no decision about the persons, no approval, or one for other
/// content.
pub async fn start(office: &Office, id: CampaignId, at: Option<Time>, by: &Actor) -> Result<Started, DeskError> {
    // In a store that was restored this same command may have been given before: then it says so instead.
    office.settle_identity().await?;
    let (stored, content) = get(office, id).await?;
    if stored.state == CampaignState::Running {
        return match at {
            None => Ok(Started::Joined),
            Some(_) => Err(DeskError::Refused(format!(
                "{id} runs already, so it cannot start at a time; to stop it: breachpost campaign pause {id} --reason WHY"
            ))),
        };
    }
    let now = office.now();
    if let Some(at) = at.filter(|at| *at <= now) {
        // Whoever mistypes a date must not find that everybody has been written to.
        return Err(DeskError::Refused(format!(
            "{} lies in the past, so nothing was started; without --at it starts at once",
            at.format("%Y-%m-%d %H:%M UTC")
        )));
    }
    may_start_at(office, &stored, &content, at).await?;
    match at {
        Some(at) => {
            office.store.schedule(id, at, by, now).await.map_err(refused)?;
            Ok(Started::Later)
        }
        None => {
            office.store.start(id, by, now).await.map_err(refused)?;
            Ok(Started::Now)
        }
    }
}

/// Whether [`start`] would refuse it as it is now: told before anybody is asked to agree. Starts nothing.
///
/// # Errors
/// What [`start`] says of a campaign that is not approved, paused, at its end, or not what was approved.
pub async fn startable(office: &Office, id: CampaignId, at: Option<Time>) -> Result<(), DeskError> {
    office.settle_identity().await?;
    let (stored, content) = get(office, id).await?;
    may_start_at(office, &stored, &content, at).await
}

async fn may_start_at(
    office: &Office,
    stored: &StoredCampaign,
    content: &CampaignContent,
    at: Option<Time>,
) -> Result<(), DeskError> {
    match (&stored.state, at) {
        // A new time is a new decision; that it was stopped is no reason against it.
        (CampaignState::Paused { starts: Some(_), .. }, Some(_)) => may_send(office, stored, content).await,
        _ => may_start(office, stored, content).await,
    }
}

/// A start that is later than this was not what somebody decided: a machine that was off for weeks, or a store brought back,
/// must not write to everybody by itself.
const LATEST_START: TimeDelta = TimeDelta::hours(24);

/// Starts every scheduled campaign whose time has come; one that must not start any more, or whose time is long past, is
/// paused with the reason, which raises an alarm. Returns how many were started.
///
/// # Errors
/// Our side fails at one of them, the first such error; the others were started all the same.
pub async fn start_due(office: &Office, by: &Actor) -> Result<u32, OfficeError> {
    let now = office.now();
    let (mut started, mut first_error) = (0, None);
    for stored in office.store.list_campaigns().await? {
        let at = match stored.state {
            CampaignState::Scheduled { at } if at <= now => at,
            _ => continue,
        };
        match start_or_pause(office, &stored, at, by).await {
            Ok(starts) => started += u32::from(starts),
            // Another process was quicker.
            Err(OfficeError::Store(StoreError::Conflict { .. })) => {}
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(started), Err)
}

/// Starts one whose time was `at`, unless something is against it. Says whether it runs now.
async fn start_or_pause(office: &Office, stored: &StoredCampaign, at: Time, by: &Actor) -> Result<bool, OfficeError> {
    let now = office.now();
    if now - at > LATEST_START {
        let why = format!(
            "its time, {}, passed more than {} hours ago and no daemon ran: resume it if it is still right",
            at.format("%Y-%m-%d %H:%M UTC"),
            LATEST_START.num_hours()
        );
        office.store.pause(stored.id, &why, by, now).await?;
        return Ok(false);
    }
    let content = CampaignContent::read(stored.id, stored.content.clone())?;
    match may_start(office, stored, &content).await {
        Ok(()) => {
            office.store.start(stored.id, by, now).await?;
            Ok(true)
        }
        Err(DeskError::Office(error)) => Err(error),
        Err(refused) => {
            office.store.pause(stored.id, &refused.to_string(), by, now).await?;
            Ok(false)
        }
    }
}

/// Lets a campaign settle whose every message has been tried: late bounces are awaited for `campaign.settle_days`. Says
/// whether it does.
///
/// # Errors
/// The store fails.
pub async fn settle_if_done(office: &Office, id: CampaignId) -> Result<bool, DeskError> {
    let (stored, _) = get(office, id).await?;
    if stored.state != CampaignState::Running {
        return Ok(false);
    }
    let now = office.now();
    // Where no daemon runs, this is the one who looks.
    give_up::of(office, id, &Office::as_loop("courier")).await?;
    let until = now + TimeDelta::days(i64::from(office.config.campaign.settle_days));
    match office
        .store
        .settle_campaign(id, until, &Office::as_loop("courier"), now)
        .await
    {
        Ok(()) => Ok(true),
        // Something waits still.
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Nothing more is sent until it is resumed; what is on the wire ends.
///
/// # Errors
/// [`DeskError::Refused`] when it does not run.
pub async fn pause(office: &Office, id: CampaignId, why: &str, by: &Actor) -> Result<(), DeskError> {
    get(office, id).await?;
    office.store.pause(id, why, by, office.now()).await.map_err(refused)
}

/// Goes on where it was paused. One that was stopped before its start waits for its time again; where that has passed, it
/// starts.
///
/// # Errors
/// As [`start`]; [`DeskError::Refused`] when it is not paused.
pub async fn resume(office: &Office, id: CampaignId, by: &Actor) -> Result<(), DeskError> {
    office.settle_identity().await?;
    let (stored, content) = get(office, id).await?;
    if matches!(stored.state, CampaignState::Paused { .. }) {
        may_send(office, &stored, &content).await?;
    }
    office.store.resume(id, by, office.now()).await.map_err(refused)
}

/// Tries everybody now who waits for another try, because somebody knows that it will go better: the relay was repaired. Of
/// whom it is not known whether they have it, nobody is hurried. Returns how many they are.
///
/// # Errors
/// [`DeskError::First`] when it is paused, [`DeskError::Refused`] when it does not run.
pub async fn retry(office: &Office, id: CampaignId, by: &Actor) -> Result<u64, DeskError> {
    office.settle_identity().await?;
    let (stored, _) = get(office, id).await?;
    if let CampaignState::Paused { why, .. } = &stored.state {
        return Err(is_paused(id, why));
    }
    office.store.hurry(id, by, office.now()).await.map_err(refused)
}

/// Calls it off: who has not been written to by now is not. Cut off, doing it again goes on. Returns how many messages were
/// cancelled.
///
/// # Errors
/// [`DeskError::Refused`] when all have been tried.
pub async fn cancel(office: &Office, id: CampaignId, by: &Actor) -> Result<u64, DeskError> {
    get(office, id).await?;
    office.store.cancel(id, by, office.now()).await.map_err(refused)
}

/// Takes the breach record and `campaign.encrypt` as they are now, and these words; an approval is void then.
///
/// # Errors
/// [`DeskError::Refused`] when it has begun, and when a discreet campaign would not be discreet any more.
pub async fn update(office: &Office, id: CampaignId, wording: Wording, by: &Actor) -> Result<(), DeskError> {
    let (stored, mut content) = get(office, id).await?;
    content.record = breach::find(office, stored.breach).await?.record;
    content.encrypt = office.config.campaign.encrypt;
    if content.wording.discreet.is_some() && wording.discreet.is_none() {
        return Err(DeskError::Refused(format!(
            "{id} does not name you, and with these words it would: add --discreet, with its sender in the file of --texts, or \
             make another campaign"
        )));
    }
    content.wording = wording;
    let content = serde_json::to_value(content).expect("a campaign's content is plain data");
    office
        .store
        .set_content(id, content, by, office.now())
        .await
        .map_err(refused)
}

/// Keeps who lets go what, and why. The journal has what was found; the reason, which may name somebody, is in the timeline.
async fn overrule(
    office: &Office,
    breach: BreachId,
    id: CampaignId,
    hash: &str,
    errors: &BTreeSet<&'static str>,
    reason: &str,
    by: &Actor,
) -> Result<(), DeskError> {
    if reason.trim().is_empty() {
        return Err(DeskError::Refused(
            "say why it is sent all the same: --reason TEXT".to_owned(),
        ));
    }
    let now = office.now();
    let facts = json!({ "campaign": id, "content_sha256": hash, "errors": errors });
    office.store.append("campaign.errors_overruled", facts, by, now).await?;
    let text = format!("{}: {reason}", overruled(id, hash));
    Ok(office.store.log(breach, DESPITE_ERRORS, &text, by, now).await?)
}

/// How a line of [`DESPITE_ERRORS`] begins: what was let go, and nothing else.
fn overruled(id: CampaignId, hash: &str) -> String {
    format!("{id}, content {}", hash.get(..16).unwrap_or(hash))
}

fn must_not_be_sent(id: CampaignId, errors: &BTreeSet<&'static str>) -> DeskError {
    let errors: Vec<&str> = errors.iter().copied().collect();
    DeskError::First {
        why: format!(
            "the messages of {id} hold what must not be sent ({}); mend it, or agree with --despite-errors --reason WHY",
            errors.join(", ")
        ),
        command: format!("breachpost campaign check {id}"),
    }
}

/// What must not be sent is not, unless a person has let exactly this go. An approval alone does not say so: it may be of a
/// version that did not look.
async fn sound_or_overruled(office: &Office, stored: &StoredCampaign, letter: &Letter) -> Result<(), DeskError> {
    let id = stored.id;
    let errors = ready::errors_in(office, id, letter).await?;
    if errors.is_empty() {
        return Ok(());
    }
    let begins = overruled(id, stored.approved_hash.as_deref().unwrap_or_default());
    let timeline = office.store.timeline(stored.breach).await?;
    match timeline
        .iter()
        .any(|line| line.kind == DESPITE_ERRORS && line.text.starts_with(&begins))
    {
        true => Ok(()),
        false => Err(must_not_be_sent(id, &errors)),
    }
}

/// Keeps that a campaign follows up an earlier one.
///
/// # Errors
/// No such campaign, or the store fails.
pub async fn follow_up(office: &Office, id: CampaignId, earlier: CampaignId, by: &Actor) -> Result<(), DeskError> {
    get(office, earlier).await?;
    Ok(office.store.link(id, earlier, by, office.now()).await?)
}

/// All that must hold before the first message leaves.
async fn may_start(office: &Office, stored: &StoredCampaign, content: &CampaignContent) -> Result<(), DeskError> {
    let id = stored.id;
    match &stored.state {
        CampaignState::Approved { .. } | CampaignState::Scheduled { .. } => {}
        CampaignState::Draft => {
            return Err(DeskError::First {
                why: format!("{id} is not approved: somebody must look at it and agree"),
                command: format!("breachpost campaign approve {id}"),
            });
        }
        CampaignState::Paused { why, .. } => return Err(is_paused(id, why)),
        other => {
            return Err(DeskError::Refused(format!(
                "{id} is {}, so it cannot be started",
                other.name()
            )));
        }
    }
    may_send(office, stored, content).await
}

fn is_paused(id: CampaignId, why: &str) -> DeskError {
    DeskError::First {
        why: format!("{id} is paused: {why}"),
        command: format!("breachpost campaign resume {id}"),
    }
}

/// Somebody has decided that the persons are told, and exactly this was agreed to.
async fn may_send(office: &Office, stored: &StoredCampaign, content: &CampaignContent) -> Result<(), DeskError> {
    decided(office, stored).await?;
    up_to_date(office, stored, content).await?;
    let letter = Letter::with(office, stored.id, content.clone()).await?;
    same_as_approved(office, stored, &letter).await?;
    still_agreed(office, stored).await?;
    match stored.state.has_begun() {
        // What was let go at the start is not judged again halfway.
        true => Ok(()),
        false => sound_or_overruled(office, stored, &letter).await,
    }
}

/// Nobody whose approval is needed was disabled since: a token that was taken out of force may have been stolen before.
async fn still_agreed(office: &Office, stored: &StoredCampaign) -> Result<(), DeskError> {
    let (id, hash) = (stored.id, stored.approved_hash.as_deref().unwrap_or_default());
    let subject = id.to_string();
    let agree = office.store.list_agreed(&subject, hash).await?;
    let given = office.store.list_approvals(&subject).await?;
    let gone = given
        .iter()
        .filter(|given| given.content_sha256 == hash && !agree.contains(&given.by));
    let gone: Vec<String> = gone.map(|given| given.by.to_string()).collect();
    if gone.is_empty() || agree.len() >= needed(office) {
        return Ok(());
    }
    Err(DeskError::First {
        why: format!(
            "{} agreed to {id} and was disabled since, which does not count: somebody else must agree",
            gone.join(", ")
        ),
        command: format!("breachpost campaign approve {id}"),
    })
}

/// Whether somebody has decided that the persons are told (GDPR Art. 34).
async fn decided(office: &Office, stored: &StoredCampaign) -> Result<(), DeskError> {
    let record = breach::find(office, stored.breach).await?.record;
    let why = match record.communication.decision {
        Decision::Required | Decision::Ordered | Decision::Public => return Ok(()),
        Decision::Pending => format!(
            "nobody has decided yet whether the persons of {} are told",
            stored.breach
        ),
        Decision::NotRequired => format!("it was decided not to tell the persons of {}", stored.breach),
    };
    Err(DeskError::First {
        why,
        command: format!("breachpost breach decide {} inform --rationale 'WHY'", stored.breach),
    })
}

/// What is stored says the same as what was agreed to, templates and settings included.
async fn same_as_approved(office: &Office, stored: &StoredCampaign, letter: &Letter) -> Result<(), DeskError> {
    let id = stored.id;
    if stored.approved_hash == Some(letter.digest(office, id).await?) {
        return Ok(());
    }
    let (why, command) = match stored.state.has_begun() {
        true => (
            format!("{id} would go on with other messages than were approved: put templates, sender and settings back"),
            format!("breachpost campaign preview {id}"),
        ),
        false => (
            format!("a template, the sender or the list has changed since {id} was approved"),
            format!("breachpost campaign approve {id}"),
        ),
    };
    Err(DeskError::First { why, command })
}

/// The record and the settings as they are now give the same messages, encrypted for the same persons.
async fn up_to_date(office: &Office, stored: &StoredCampaign, content: &CampaignContent) -> Result<(), DeskError> {
    let (id, wanted) = (stored.id, office.config.campaign.encrypt);
    if stored.state.has_begun() {
        return Ok(());
    }
    let why = if content.encrypt != wanted {
        format!(
            "campaign.encrypt is {} now, and {id} was made when it was {}",
            wanted.name(),
            content.encrypt.name()
        )
    } else if super::ready::record_has_changed(office, stored, content).await? {
        format!(
            "the record of {} has changed, and the messages of {id} say what it said before",
            stored.breach
        )
    } else {
        return Ok(());
    };
    Err(DeskError::First {
        why,
        command: format!("breachpost campaign update {id}"),
    })
}
