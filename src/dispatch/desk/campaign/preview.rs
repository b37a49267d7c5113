//! A message as it would reach one person, on the screen or in a colleague's mailbox. Neither is counted in the ledger.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{get, ready};
use crate::dispatch::campaign::{Letter, LetterError, Wording};
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::{Office, OfficeError};
use crate::mail::smtp::{Connection, Mail, Notify};
use crate::message::template::{Filled, Finding};
use crate::message::token;
use crate::model::delivery::Outcome;
use crate::model::id::{Actor, BreachId, CampaignId, DeliveryId};
use crate::store::{PersonRow, Whom};

/// Put before the subject of a test, so that nobody takes it for the real message.
const TEST_MARK: &str = "[TEST]";

/// Whose message is looked at.
#[derive(Debug, Clone)]
pub enum Whose {
    /// The first person's.
    First,
    /// The person's at this place among those who can be written to, from 1.
    Row(u64),
    Address(String),
}
/// A message as its reader would see it.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    pub campaign: CampaignId,
    pub language: String,
    /// Where it is one message in several: all of them, as they stand under each other.
    pub several_languages: Vec<String>,
    pub from: String,
    pub subject: String,
    pub text: String,
    /// The same as a page that loads nothing.
    pub html: String,
}
/// What came of a test.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    pub campaign: CampaignId,
    pub language: String,
    pub outcome: &'static str,
    /// The relay's words.
    pub reply: String,
    /// Who it came from, where bounces go, and the relay's host and port: as for the campaign itself.
    pub from: String,
    pub return_path: String,
    pub relay: String,
}

/// Shows one person's message, in their language or in another; in the empty one it is that of persons whose own is not
/// known.
///
/// # Errors
/// [`DeskError::Refused`] when there is no such person or the message cannot be rendered.
pub async fn preview(
    office: &Office,
    id: CampaignId,
    whose: &Whose,
    language: Option<&str>,
) -> Result<Preview, DeskError> {
    let (_, content) = get(office, id).await?;
    let person = person(office, id, whose).await?;
    let letter = Letter::with(office, id, content).await?;
    if let Some(asked) = language {
        must_be_known(&letter, asked)?;
    }
    let language = language.unwrap_or(&person.language);
    written(id, &letter, language, &json!(person.fields))
}

/// What a campaign writes beside the first person's message.
#[derive(Debug, Clone, Serialize)]
pub struct Others {
    /// The languages of the other messages, and how many persons are written to in each.
    pub languages: BTreeMap<String, u64>,
    /// The message in several languages, and how many get it whose own is not known; none where nobody does, or the first
    /// person.
    pub several: Option<(u64, Preview)>,
}

/// The messages that differ from the first person's, so that who looks at that one alone knows of the others.
///
/// # Errors
/// No such campaign, nobody who can be written to, or a message that cannot be rendered.
pub async fn others(office: &Office, id: CampaignId) -> Result<Others, DeskError> {
    let (_, content) = get(office, id).await?;
    let first = person(office, id, &Whose::First).await?;
    let letter = Letter::with(office, id, content).await?;
    let mut languages = ready::languages(office, id, &letter).await?;
    let persons = languages.remove("").unwrap_or_default();
    let several = match persons {
        0 => None,
        _ if letter.stacks(&first.language) => None,
        persons => Some((persons, written(id, &letter, "", &json!({}))?)),
    };
    if !letter.stacks(&first.language) {
        languages.remove(letter.language_for(&first.language));
    }
    Ok(Others { languages, several })
}

/// What tells everybody where not every person can be told (GDPR Art. 34(3)(c)): a page for the website, a text for a
/// newspaper. With it what the linter says of it.
///
/// # Errors
/// No such breach, or there is no such text in this language.
pub async fn public_notice(
    office: &Office,
    breach: BreachId,
    language: Option<&str>,
    wording: Wording,
) -> Result<(Filled, Vec<Finding>), DeskError> {
    let content = crate::dispatch::campaign::import::content(office, breach, None).await;
    let mut content = content.map_err(|error| match error {
        crate::dispatch::campaign::import::ImportError::Desk(error) => error,
        other => DeskError::Refused(other.to_string()),
    })?;
    content.wording = wording;
    let language = language.map_or_else(|| content.fallback_language.clone(), str::to_owned);
    // No campaign has this number: nothing is read of it, for nothing is encrypted.
    let letter = Letter::with(office, CampaignId::new(0), content).await?;
    let filled = letter.public(&language).map_err(unwritten)?;
    Ok((filled, letter.public_findings(&language).map_err(unwritten)?))
}

/// Sends samples to a colleague: one in each of the languages, marked as a test. They are in no ledger; the journal says
/// that they were sent.
///
/// # Errors
/// [`DeskError::Refused`] when a sample cannot be written; the relay's settings cannot be used.
pub async fn test(
    office: &Office,
    id: CampaignId,
    to: &str,
    languages: &[String],
    by: &Actor,
) -> Result<Vec<Tested>, DeskError> {
    let (_, content) = get(office, id).await?;
    let person = person(office, id, &Whose::First).await?;
    let letter = Letter::with(office, id, content).await?;
    let asked: Vec<String> = match languages {
        [] => ready::languages(office, id, &letter).await?.into_keys().collect(),
        given => given.to_vec(),
    };
    let mut samples = Vec::new();
    for language in asked {
        must_be_known(&letter, &language)?;
        let shown = match letter.stacks(&language) {
            true => letter.several(&language).join("+"),
            false => language.clone(),
        };
        let token = office.tokens.for_delivery(DeliveryId::new(0));
        let unlike = hex_of(&language, &office.now().timestamp_micros().to_string());
        let message_id = token::message_id_of(&format!("{token}-test-{unlike}"), &letter.sender.address);
        let bytes = letter
            .sample(
                to,
                &language,
                &json!(person.fields),
                &message_id,
                office.now(),
                TEST_MARK,
            )
            .map_err(unwritten)?;
        samples.push((shown, token, bytes));
    }
    // The way that the campaign's own messages take, return path included: a relay may refuse senders with a plus.
    let settings = office.config.relay_to_individuals();
    let connector = office.connector_to(settings)?;
    let relay = settings.url.place();
    let mut tested = Vec::new();
    for (language, token, bytes) in samples {
        let return_path = office.return_path(office.individuals_sender(), &token);
        let outcome = send(&connector, &return_path, to, &bytes).await;
        let facts = json!({ "campaign": id, "language": language, "outcome": outcome.name() });
        office.store.append("campaign.tested", facts, by, office.now()).await?;
        tested.push(Tested {
            campaign: id,
            language,
            outcome: outcome.name(),
            reply: outcome.words(),
            from: letter.sender.shown(),
            return_path,
            relay: relay.clone(),
        });
    }
    Ok(tested)
}

fn hex_of(language: &str, now: &str) -> String {
    token::sha256_hex(format!("{language} {now}").as_bytes())[..12].to_owned()
}

async fn send(connector: &crate::mail::smtp::Connector, from: &str, to: &str, bytes: &[u8]) -> Outcome {
    let mail = Mail {
        envelope_from: from,
        recipient: to,
        bytes,
        envid: None,
        notify: Notify::TROUBLE,
    };
    match Connection::open(connector).await {
        Ok(mut connection) => {
            let outcome = connection.carry(&mail).await;
            connection.quit().await;
            outcome
        }
        Err(fault) => Outcome::Deferred { fault },
    }
}

async fn person(office: &Office, id: CampaignId, whose: &Whose) -> Result<PersonRow, DeskError> {
    let found = match whose {
        Whose::First => office.store.person_at(id, 1).await?,
        Whose::Row(place) => office.store.person_at(id, *place).await?,
        Whose::Address(address) => {
            let found = office.store.list_at_address(id, address).await?;
            let person = found.into_iter().find_map(|whom| match whom {
                Whom::Delivery(delivery) => Some(delivery),
                Whom::BadRow(_) => None,
            });
            match person {
                Some(delivery) => office.store.person_of(delivery).await?,
                None => None,
            }
        }
    };
    found.ok_or_else(|| {
        DeskError::Refused(match whose {
            Whose::First => format!("{id} has nobody who can be written to"),
            Whose::Row(place) => format!("{id} has no person number {place}"),
            Whose::Address(_) => format!("{id} has nobody at this address"),
        })
    })
}

/// A language that was asked for by name is not replaced by another.
fn must_be_known(letter: &Letter, language: &str) -> Result<(), DeskError> {
    if language.is_empty() || letter.language_for(language) == language {
        return Ok(());
    }
    Err(DeskError::Refused(format!(
        "there is no message to persons in `{language}`; those get it in `{}`",
        letter.language_for(language)
    )))
}

fn written(
    campaign: CampaignId,
    letter: &Letter,
    language: &str,
    fields: &serde_json::Value,
) -> Result<Preview, DeskError> {
    let filled = letter.fill(language, fields).map_err(unwritten)?;
    let said = filled.rendered();
    Ok(Preview {
        campaign,
        language: filled.language.clone(),
        several_languages: letter.several(language).to_vec(),
        from: letter.sender.shown(),
        subject: said.subject,
        text: said.text,
        html: filled.html(),
    })
}

fn unwritten(error: LetterError) -> DeskError {
    match error {
        LetterError::Render(error) => OfficeError::from(error).into(),
        other => DeskError::Refused(other.to_string()),
    }
}
