//! The clerk: looks around the house, raises what needs a person, tells the team through every channel, repeats what
//! nobody acknowledges, and ends what is no longer so (design: invariant 7).
//!
//! One clerk leads on a store; the others wait for its lease to end or its process to die. What was raised is stored
//! before it is told, and told under a lease: after a crash it is told once more at most, and never not at all.

mod channels;
mod conditions;
mod survey;
mod words;

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::Time;
use crate::model::alert::{About, Alarm, Alert, Condition, Stage, Urgency};
use crate::model::delivery::RetryPolicy;
use crate::model::id::{Actor, AlertId, WorkerId};
use crate::store::{Changes, HealthNote, TellingClaim, Told};

use super::campaign;
use super::causes::chain;
use super::courier;
use super::desk;
use super::office::{Office, OfficeError};
use super::retention;
use super::worker;
pub use channels::{Channel, Sent};
use channels::{Job, Message, Report, Turn};
use words::Occasion;
pub use words::Words;

/// How often the clerk looks by itself; a nudge comes sooner.
const POLL: Duration = Duration::from_secs(20);
/// Tells that a clerk hangs. Longer than a round: its telling ends with `TELLING_MOST` and one mail more, a minute at most.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// For so long a round tells; what is left then is for the next.
const TELLING_MOST: Duration = Duration::from_secs(120);
/// Tellings of one batch: enough for every channel of a few alerts, few enough to be done within the lease.
const BATCH: u32 = 32;
/// Batches of one round.
const BATCHES: u32 = 8;
/// When nothing was sent for so long, the relay is tried out: that it is gone must show before the night it is needed.
const PROBE_AFTER: TimeDelta = TimeDelta::hours(1);
/// Tries before a telling is given up, some 20 hours: the reminders go on by themselves.
const TRIES_MOST: u32 = 24;

/// What one round did.
#[derive(Debug, Default)]
pub struct Round {
    /// False: another clerk leads, and nothing was done.
    pub leads: bool,
    pub changes: Changes,
    /// Alerts that were repeated.
    pub repeated: u32,
    /// Tellings that were taken.
    pub told: u32,
}

/// Looks and tells until told to stop. What a round cannot do is logged and tried again in the next: the clerk is the last
/// who may stop.
pub async fn run(office: Office, by: WorkerId, stop: CancellationToken) {
    let started = office.now();
    while !stop.is_cancelled() {
        if let Err(error) = round_until(&office, by, &stop).await {
            tracing::error!(error = %chain(&error), "the clerk could not do its round");
        } else if let Some(Err(error)) = stop.run_until_cancelled(probe_relays(&office, started)).await {
            tracing::error!(error = %chain(&error), "the clerk could not try out the relay");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = office.nudged() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    if let Err(error) = office.store.end_lead(by).await {
        tracing::warn!(
            error = chain(&error),
            "the clerk's lease could not be ended; the next clerk sees that we are gone"
        );
    }
}

/// One look: raise, end, repeat, and tell what is due. Does nothing when another clerk leads.
///
/// # Errors
/// The store fails.
pub async fn round(office: &Office, by: WorkerId) -> Result<Round, OfficeError> {
    round_until(office, by, &CancellationToken::new()).await
}

/// Told to stop, it tells nobody else.
async fn round_until(office: &Office, by: WorkerId, stop: &CancellationToken) -> Result<Round, OfficeError> {
    let now = office.now();
    if !leads(office, by, now).await? {
        return Ok(Round::default());
    }
    let clerk = Office::as_loop("clerk");
    let kept = keep_campaigns(office, &clerk, stop).await;
    let usual = ids(&channels::usual(&office.config));
    let escalated = ids(&channels::escalated(&office.config));
    let seen = survey::survey(office, &escalated, now).await?;
    let holding = conditions::holding(&seen, now);
    let changes = office.store.set_alarms(holding, usual.clone(), &clerk, now).await?;
    let mut repeated = 0;
    for stored in office.store.list_open_alerts().await? {
        let alert = stored.alert;
        if changes.raised.contains(&alert.id) {
            log_raised(&alert, usual.len());
        }
        if alert.repeat_is_due(now) {
            let again = office
                .store
                .repeat_alert(alert.id, alert.reminders, escalated.clone(), &clerk, now);
            repeated += u32::from(again.await?);
        }
    }
    let told = tell(office, by, stop).await?;
    kept?;
    // Of a million persons it takes minutes. Cut off, what is erased stays so, and the next round goes on.
    if let Some(erased) = stop.run_until_cancelled(retention::round(office)).await {
        erased?;
    }
    Ok(Round {
        leads: true,
        changes,
        repeated,
        told,
    })
}

/// What campaigns need without being asked. Whatever of it fails keeps neither the rest nor any alarm waiting; the first
/// error is returned.
async fn keep_campaigns(office: &Office, by: &Actor, stop: &CancellationToken) -> Result<(), OfficeError> {
    let started = desk::campaign::start_due(office, by).await.map(drop);
    let rest = async {
        let swept = office.store.sweep_cancelled(by, office.now()).await;
        let given_up = campaign::give_up::round(office).await;
        swept.map(drop).map_err(OfficeError::from).and(given_up)
    };
    // Both move persons in chunks, and go on where they were cut off.
    let rest = stop.run_until_cancelled(rest).await;
    started.and(rest.unwrap_or(Ok(())))
}

fn ids(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(|channel| channel.id.clone()).collect()
}

/// The log is a channel of its own, and the only one where none is configured.
fn log_raised(alert: &Alert, channels: usize) {
    tracing::warn!(
        alert = %alert.id, condition = alert.alarm.condition.name(), stage = %alert.alarm.stage,
        about = alert.alarm.about.subject(), channels, "something needs a person: breachpost status"
    );
}

/// Takes or keeps the lead; a clerk whose process has died is replaced at once.
async fn leads(office: &Office, by: WorkerId, now: Time) -> Result<bool, OfficeError> {
    let folder = office.home.workers_dir();
    let leader = office.store.find_leader().await?;
    let dead = leader.filter(|leader| *leader != by && !worker::is_alive(&folder, *leader));
    Ok(office.store.lead(by, dead, now, LEASE).await?)
}

/// Sends what is due, in batches, each channel on its own.
async fn tell(office: &Office, by: WorkerId, stop: &CancellationToken) -> Result<u32, OfficeError> {
    let channels = channels::escalated(&office.config);
    let turn = Turn {
        end: Instant::now() + TELLING_MOST,
        stop: stop.clone(),
    };
    let mut taken = 0;
    for _ in 0..BATCHES {
        if turn.is_over() {
            break;
        }
        let claims = office.store.claim_tellings(by, BATCH, office.now(), LEASE).await?;
        if claims.is_empty() {
            break;
        }
        let (mut known, mut jobs) = (Vec::new(), Vec::new());
        for claim in claims {
            match channels.iter().find(|channel| channel.id == claim.channel) {
                Some(channel) => {
                    jobs.push(Job {
                        channel: channel.clone(),
                        message: message(office, &claim),
                    });
                    known.push(claim);
                }
                None => {
                    let fault = "this channel is no longer configured".to_owned();
                    office.store.told(claim, Told::Failed { fault }, office.now()).await?;
                }
            }
        }
        let report = channels::send(office, jobs, Some(&turn)).await;
        note_health(office, &known, &report).await?;
        for (claim, sent) in known.into_iter().zip(report.sent) {
            taken += u32::from(sent == Some(Sent::Taken));
            let outcome = outcome(&claim, sent, office.now());
            office.store.told(claim, outcome, office.now()).await?;
        }
    }
    Ok(taken)
}

/// Backs off from half a minute to an hour, and ends at last: by then a reminder is under way.
fn outcome(claim: &TellingClaim, sent: Option<Sent>, now: Time) -> Told {
    let Some(sent) = sent else {
        return Told::Untried;
    };
    let tries = claim.tries + 1;
    let retry = RetryPolicy {
        first: TimeDelta::seconds(30),
        max: TimeDelta::hours(1),
        until: None,
    };
    match sent {
        Sent::Taken => {
            tracing::info!(alert = %claim.alert.id, channel = claim.channel, "told");
            Told::Sent
        }
        Sent::NotNow(fault) if tries < TRIES_MOST => {
            tracing::warn!(alert = %claim.alert.id, channel = claim.channel, tries, "could not be told yet");
            Told::Again {
                fault,
                next: now + retry.wait(tries, courier::jitter()),
            }
        }
        Sent::NotNow(fault) | Sent::Never(fault) => {
            tracing::error!(alert = %claim.alert.id, channel = claim.channel, "could not be told; given up");
            Told::Failed { fault }
        }
    }
}

/// Notes in passing what worked: the relay, each channel, and whether the clocks agree.
async fn note_health(office: &Office, claims: &[TellingClaim], report: &Report) -> Result<(), OfficeError> {
    let (store, now) = (&office.store, office.now());
    if let Some(relay) = &report.relay {
        store
            .note_health("relay", relay.as_ref().err().map(String::as_str), now)
            .await?;
    }
    let mut noted = HashSet::new();
    for (claim, sent) in claims.iter().zip(&report.sent) {
        let Some(sent) = sent else {
            continue;
        };
        // The relay's trouble is its own; a channel is in trouble when the relay works and it does not.
        let relay_failed = claim.channel.starts_with("email:") && !matches!(report.relay, Some(Ok(())));
        if relay_failed || !noted.insert(&claim.channel) {
            continue;
        }
        let fault = (*sent != Sent::Taken).then_some("an alert was not taken");
        store.note_health(&claim.channel, fault, now).await?;
    }
    if !report.dates.is_empty() {
        let apart = |(theirs, ours): &(Time, Time)| (*theirs - *ours).abs() > survey::CLOCK_TOLERANCE;
        // One receiver may be wrong; when all of them say so, it is us.
        let skewed = report.dates.iter().all(apart);
        let fault = skewed.then_some("the clocks of all webhook receivers differ from ours");
        store.note_health("clock:webhooks", fault, now).await?;
    }
    Ok(())
}

/// What was found not long ago of the relays, mailboxes and other things that are still in use.
///
/// # Errors
/// The store fails.
pub async fn present_health(office: &Office, now: Time) -> Result<Vec<HealthNote>, OfficeError> {
    let mut notes = survey::health(office, &[]).await?;
    notes.retain(|note| now - note.at < conditions::STALE);
    Ok(notes)
}

/// Connects and logs in, without sending anything, when nothing else has shown for long whether a relay takes us.
async fn probe_relays(office: &Office, started: Time) -> Result<(), OfficeError> {
    let now = office.now();
    let notes = office.store.list_health().await?;
    let main = [("relay", &office.config.relay)];
    let other = office.config.individuals.relay.as_ref();
    for (what, settings) in main.into_iter().chain(other.map(|other| ("individuals.relay", other))) {
        let last = notes
            .iter()
            .find(|note| note.what == what)
            .map_or(started, |note| note.at);
        if now - last.max(started) < PROBE_AFTER {
            continue;
        }
        let fault = match channels::connect(&office.connector_to(settings)?).await {
            Ok(connection) => {
                connection.quit().await;
                None
            }
            Err(why) => Some(why),
        };
        office.store.note_health(what, fault.as_deref(), now).await?;
    }
    Ok(())
}

/// What is posted to a webhook: docs/alerts.md is its description.
#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    kind: Occasion,
    alert: Option<AlertId>,
    condition: Option<Condition>,
    stage: Option<Stage>,
    urgency: Option<Urgency>,
    about: Option<&'a About>,
    due: Option<Time>,
    since: Option<Time>,
    raised_at: Time,
    /// 0 for the first telling.
    reminder: u32,
    #[serde(flatten)]
    words: &'a Words,
}

fn message(office: &Office, claim: &TellingClaim) -> Message {
    let TellingClaim {
        alert, channel, round, ..
    } = claim;
    let (alarm, zone) = (&alert.alarm, office.zone());
    let words = words_of(office, alarm);
    let occasion = match round {
        0 => Occasion::Alert,
        _ => Occasion::Reminder,
    };
    // Every round but the first answers the first, so that mail programs show them together.
    let id_of = |round: u32| Message::id_of(&(alarm.key(), alert.raised_at, channel, round));
    let id = id_of(*round);
    let document = Document {
        id: &id,
        kind: occasion,
        alert: Some(alert.id),
        condition: Some(alarm.condition),
        stage: Some(alarm.stage),
        urgency: Some(alarm.urgency()),
        about: Some(&alarm.about),
        due: alarm.due,
        since: alarm.since,
        raised_at: alert.raised_at,
        reminder: *round,
        words: &words,
    };
    Message {
        document: serde_json::to_string(&document).expect("plain data"),
        repeats: (*round > 0).then(|| id_of(0)),
        subject: words::subject(occasion, alarm),
        text: words::letter(occasion, &alert.id.to_string(), alert.raised_at, &words, zone),
        id,
    }
}

/// An alarm in words.
pub fn words_of(office: &Office, alarm: &Alarm) -> Words {
    words::words(alarm, &office.directory, office.zone())
}

/// Every channel that alerts go through, those for escalation too.
pub fn channels(office: &Office) -> Vec<Channel> {
    channels::escalated(&office.config)
}

/// Sends a trial through every channel, now and without storing anything; says for each what came of it.
pub async fn test(office: &Office) -> Vec<(Channel, Sent)> {
    let channels = channels(office);
    let now = office.now();
    let words = Words {
        text: "this is a trial of the alert channels; nothing is the matter".to_owned(),
        todo: "Nothing is to be done. Whoever sent it knows that it arrived when you tell them.".to_owned(),
        command: "breachpost alert list".to_owned(),
    };
    let jobs = channels.iter().map(|channel| {
        let id = Message::id_of(&("test", now, &channel.id));
        let document = Document {
            id: &id,
            kind: Occasion::Test,
            alert: None,
            condition: None,
            stage: None,
            urgency: None,
            about: None,
            due: None,
            since: None,
            raised_at: now,
            reminder: 0,
            words: &words,
        };
        Job {
            channel: channel.clone(),
            message: Message {
                document: serde_json::to_string(&document).expect("plain data"),
                repeats: None,
                subject: "breachpost: trial of the alert channels".to_owned(),
                text: format!("{}.\n\n{}\n", words.text, words.todo),
                id,
            },
        }
    });
    let report = channels::send(office, jobs.collect(), None).await;
    let sent = report.sent.into_iter();
    let all = sent.map(|sent| sent.expect("without a turn that ends, each is tried"));
    channels.into_iter().zip(all).collect()
}
