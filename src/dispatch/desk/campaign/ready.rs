//! What is to be known before a campaign is started: what the linter says of its messages, whether the record still says
//! the same, when the run will end, and the checklist of what makes such a mail credible.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::Serialize;

use super::{get, refused};
use crate::config::Encrypt;
use crate::dispatch::campaign::{CampaignContent, Letter, keys};
use crate::dispatch::causes::chain;
use crate::dispatch::desk::{DeskError, breach};
use crate::dispatch::office::Office;
use crate::message::template::{Finding, Severity};
use crate::model::Time;
use crate::model::breach::Decision;
use crate::model::campaign::CampaignState;
use crate::model::id::{Actor, BreachId, CampaignId};
use crate::model::recipient::Flags;
use crate::store::{Checked, FlaggedPerson, StoredCampaign};

/// What makes such a mail credible: its name, and what to do.
pub const POINTS: &[(&str, &str)] = &[
    (
        "official-site",
        "the same text, with the same reference, stands on the official website",
    ),
    (
        "telephone",
        "the telephone number of the message is staffed, from the first minute on",
    ),
    (
        "support",
        "support and reception know of the message and what to answer",
    ),
    (
        "dmarc",
        "SPF, DKIM and DMARC of the sender's domain are aligned: send a test and look at its headers",
    ),
    (
        "read-aloud",
        "somebody who did not write the message has read it as its reader would",
    ),
];

/// Persons read from the store at a time.
const PAGE: u32 = 1_000;

/// A point of the checklist, and who has seen to it.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub name: &'static str,
    pub text: &'static str,
    pub done: Option<Checked>,
}
/// When a run would end that is started now, at the configured pace.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    pub messages: u64,
    pub ends: Time,
    /// What is slowest: `per_second`, `per_day`, or a domain with its `per_domain_per_second`.
    pub bound_by: String,
}
/// How the messages are protected on their way.
#[derive(Debug, Clone, Serialize)]
pub struct Protection {
    /// What the campaign was made with; a later change of `campaign.encrypt` is taken in by `campaign update`.
    pub encrypt: Encrypt,
    pub settings_have_changed: bool,
    /// To the person's own certificate.
    pub encrypted: u64,
    pub clear: u64,
    /// Persons whose certificate has ended since the list was imported: they are held until somebody decides.
    pub certificate_ended: u64,
    /// Of the encrypted: persons whose certificate ends before the run does.
    pub certificate_ends_soon: u64,
    /// Persons who would have to have a certificate and have none that can be used.
    pub not_written_to: u64,
}
/// How ready a campaign is.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    #[serde(skip)]
    pub breach: BreachId,
    pub decision: Decision,
    /// Who the messages come from, as every reader sees it.
    pub from: String,
    /// The record has changed since the messages were worded; `campaign update` takes it in.
    pub record_has_changed: bool,
    pub protection: Protection,
    /// Persons who were told about this breach by another campaign, or may have been: they get a second message.
    pub told_before: u64,
    /// Of the messages in all languages that the list needs, worst first.
    pub findings: Vec<Finding>,
    pub checklist: Vec<Point>,
    /// Unknown where no pace is configured: then the relay decides.
    pub estimate: Option<Estimate>,
}
impl Ready {
    /// Whether something stands in the way of a start.
    pub fn needs_person(&self) -> bool {
        matches!(self.decision, Decision::Pending | Decision::NotRequired)
            || self.record_has_changed
            || self.protection.settings_have_changed
            || self.protection.certificate_ended > 0
            || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Looks at all of it. Changes nothing.
///
/// # Errors
/// No such campaign, messages that cannot be rendered, or the store fails.
pub async fn ready(office: &Office, id: CampaignId) -> Result<Ready, DeskError> {
    let (stored, content) = get(office, id).await?;
    let record = breach::find(office, stored.breach).await?.record;
    let letter = Letter::with(office, id, content.clone()).await?;
    let mut findings = findings(office, id, &letter).await?;
    findings.extend(telling_domain(office, &content, &letter.sender.address));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let done = office.store.checklist(id).await?;
    let points = POINTS.iter().map(|(name, text)| Point {
        name,
        text,
        done: done.iter().find(|checked| checked.name == *name).cloned(),
    });
    let estimate = estimate(office, id).await?;
    let protection = protection(office, &stored, content.encrypt, estimate.as_ref()).await?;
    Ok(Ready {
        breach: stored.breach,
        decision: record.communication.decision,
        from: letter.sender.shown(),
        record_has_changed: record_has_changed(office, &stored, &content).await?,
        protection,
        told_before: office.store.told_before(id).await?,
        findings,
        checklist: points.collect(),
        estimate,
    })
}

/// A discreet message leaves the name out, and its sender's domain may tell it all the same: in From, in the return path and
/// in the Message-ID.
fn telling_domain(office: &Office, content: &CampaignContent, sender: &str) -> Option<Finding> {
    content.wording.discreet.as_ref()?;
    let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
    let shown = domain(sender)?;
    let usual = office.usual_contact();
    let contacts = [content.record.contact.as_ref(), usual.as_ref()];
    let contacts = contacts
        .into_iter()
        .flatten()
        .filter_map(|contact| contact.email.as_deref());
    let ours = contacts.chain([office.config.sender.address.as_str()]);
    let tells = |ours: String| shown == ours || shown.ends_with(&format!(".{ours}"));
    ours.filter_map(domain).any(tells).then(|| Finding {
        code: "discreet.sender",
        severity: Severity::Warning,
        file: "message".to_owned(),
        line: 0,
        column: 0,
        problem: format!("does not name you, and comes from `{shown}`, which is yours: every reader sees that"),
        remedy: "give campaigns an address of a neutral domain: individuals.sender in config.yaml".to_owned(),
    })
}

/// What the linter says of each message that somebody of the list gets.
async fn findings(office: &Office, id: CampaignId, letter: &Letter) -> Result<Vec<Finding>, DeskError> {
    let mut found = Vec::new();
    for language in languages(office, id, letter).await?.into_keys() {
        let judged = letter.findings(&language);
        found.extend(judged.map_err(|error| DeskError::Refused(chain(&error)))?);
    }
    Ok(once_each(found))
}

/// The codes of what must not be sent, each once.
///
/// # Errors
/// Messages that cannot be rendered, or the store fails.
pub(super) async fn errors_in(
    office: &Office,
    id: CampaignId,
    letter: &Letter,
) -> Result<BTreeSet<&'static str>, DeskError> {
    let found = findings(office, id, letter).await?;
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error);
    Ok(errors.map(|finding| finding.code).collect())
}

/// Worst first. What is found in a message of one language is not told again of the same part of one in several.
fn once_each(mut findings: Vec<Finding>) -> Vec<Finding> {
    const STACKED: &str = "message/stacked/";
    let alone: BTreeSet<(String, &'static str, usize, String)> = findings
        .iter()
        .filter(|f| !f.file.starts_with(STACKED))
        .map(|f| (f.file.clone(), f.code, f.line, f.problem.clone()))
        .collect();
    findings.retain(|f| match f.file.strip_prefix(STACKED) {
        None => true,
        Some(language) => !alone.contains(&(format!("message/{language}"), f.code, f.line, f.problem.clone())),
    });
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

async fn protection(
    office: &Office,
    stored: &StoredCampaign,
    encrypt: Encrypt,
    estimate: Option<&Estimate>,
) -> Result<Protection, DeskError> {
    let persons = office.store.row_counts(stored.id).await?.valid;
    let flags = office.store.person_counts(stored.id).await?.flags;
    let known = Flags::ALL
        .iter()
        .zip(flags)
        .find(|((flag, _, _), _)| *flag == Flags::CERTIFICATE);
    let known = known.map_or(0, |(_, persons)| persons);
    let (now, mut starts) = (office.now(), office.now());
    if let CampaignState::Scheduled { at } = stored.state {
        starts = starts.max(at);
    }
    let ends = starts + estimate.map_or(TimeDelta::zero(), |estimate| estimate.ends - now);
    let (ended, ends_soon) = match encrypt {
        Encrypt::Never => (0, 0),
        Encrypt::WhenKnown | Encrypt::Required => certificates_at(office, stored.id, now, ends).await?,
    };
    let (encrypted, clear, not_written_to) = match encrypt {
        Encrypt::Never => (0, persons, 0),
        Encrypt::WhenKnown => (known.saturating_sub(ended), persons - known, 0),
        Encrypt::Required => (known.saturating_sub(ended), 0, persons - known),
    };
    Ok(Protection {
        encrypt,
        settings_have_changed: !stored.state.has_begun() && encrypt != office.config.campaign.encrypt,
        encrypted,
        clear,
        certificate_ended: ended,
        certificate_ends_soon: ends_soon,
        not_written_to,
    })
}

/// Judges again the certificates that could be used when the list was imported: how many of the persons have none any more
/// `now`, and how many will have none when the run `ends`.
async fn certificates_at(office: &Office, id: CampaignId, now: Time, ends: Time) -> Result<(u64, u64), DeskError> {
    let (mut ended, mut ends_soon, mut after) = (0, 0, None);
    loop {
        let page = office.store.list_flagged(id, Flags::CERTIFICATE, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok((ended, ends_soon));
        };
        after = Some(last.delivery);
        let judge = move || {
            let none_at = |person: &FlaggedPerson, at| keys::usable(&person.fields, &person.address, at).is_none();
            let (gone, stand): (Vec<_>, Vec<_>) = page.into_iter().partition(|person| none_at(person, now));
            let soon = stand
                .iter()
                .filter(|person| ends > now && none_at(person, ends))
                .count();
            (gone.len() as u64, soon as u64)
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        let (gone, soon) = judged.expect("judging a certificate does not panic");
        ended += gone;
        ends_soon += soon;
    }
}

/// The languages that the campaign's persons are written to in, and how many in each; the empty one if some get several in
/// one message.
pub(super) async fn languages(
    office: &Office,
    id: CampaignId,
    letter: &Letter,
) -> Result<BTreeMap<String, u64>, DeskError> {
    let mut languages = BTreeMap::new();
    for (asked, persons) in office.store.person_counts(id).await?.languages {
        let language = match letter.stacks(&asked) {
            true => String::new(),
            false => letter.language_for(&asked).to_owned(),
        };
        *languages.entry(language).or_default() += persons;
    }
    if languages.is_empty() {
        languages.insert(letter.language_for("").to_owned(), 0);
    }
    Ok(languages)
}

/// Whether the record as it is now would give other messages, in any language that the list needs. What the messages do
/// not show, such as a decision, changes nothing.
///
/// # Errors
/// Messages that cannot be rendered, or the store fails.
pub(super) async fn record_has_changed(
    office: &Office,
    stored: &StoredCampaign,
    content: &CampaignContent,
) -> Result<bool, DeskError> {
    let record = breach::find(office, stored.breach).await?.record;
    if record == content.record {
        return Ok(false);
    }
    let was = Letter::with(office, stored.id, content.clone()).await?;
    let content = CampaignContent {
        record,
        ..content.clone()
    };
    let is = Letter::with(office, stored.id, content).await?;
    for language in languages(office, stored.id, &was).await?.into_keys() {
        let nobody = serde_json::json!({});
        let say = |letter: &Letter| letter.fill(&language, &nobody).map(|filled| filled.rendered());
        match (say(&was), say(&is)) {
            (Ok(was), Ok(is)) if was.subject == is.subject && was.text == is.text => {}
            (Err(error), _) | (_, Err(error)) => return Err(DeskError::Refused(chain(&error))),
            _ => return Ok(true),
        }
    }
    Ok(false)
}

async fn estimate(office: &Office, id: CampaignId) -> Result<Option<Estimate>, DeskError> {
    let pace = &office.config.relay_to_individuals().pace;
    let tally = office.store.tally(id).await?;
    let messages = tally.ready + tally.leased + tally.on_wire + tally.in_doubt;
    let mut bounds = Vec::new();
    if let Some(rate) = pace.per_second {
        bounds.push((messages as f64 / rate, "per_second".to_owned()));
    }
    if let Some(a_day) = pace.per_day {
        // The first day's share leaves at once.
        bounds.push((
            messages.saturating_sub(1).checked_div(a_day).unwrap_or(0) as f64 * 86_400.0,
            "per_day".to_owned(),
        ));
    }
    if let Some(rate) = pace.per_domain_per_second {
        let domains = office.store.person_counts(id).await?.domains;
        bounds.extend(
            domains
                .into_iter()
                .map(|(domain, persons)| (persons as f64 / rate, domain)),
        );
    }
    let slowest = bounds.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(slowest.map(|(seconds, bound_by)| Estimate {
        messages,
        ends: office.now() + TimeDelta::seconds(seconds.ceil().min(1e9) as i64),
        bound_by,
    }))
}

/// Ticks off a point of the checklist.
///
/// # Errors
/// No such campaign, or [`DeskError::Refused`] for a point that is not on the list.
pub async fn check_off(
    office: &Office,
    id: CampaignId,
    name: &str,
    note: Option<&str>,
    by: &Actor,
) -> Result<(), DeskError> {
    get(office, id).await?;
    if !POINTS.iter().any(|(known, _)| *known == name) {
        let known: Vec<&str> = POINTS.iter().map(|(known, _)| *known).collect();
        return Err(DeskError::Refused(format!(
            "there is no point `{name}` on the checklist; there is: {}",
            known.join(", ")
        )));
    }
    office
        .store
        .check_off(id, name, note, by, office.now())
        .await
        .map_err(refused)
}
