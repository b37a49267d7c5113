//! Messages to individuals (GDPR Art. 34): importing persons as deliveries, and writing each one's letter when its
//! delivery is claimed.

use std::sync::Arc;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::message::facts::{PersonContext, PersonFacts};
use crate::message::mime::{self, Content, Headers, Mailbox, MimeError};
use crate::message::template::{Audience, TemplateError, Templates};
use crate::model::Time;
use crate::model::breach::{Contact, Record};
use crate::model::id::{Actor, BreachId, CampaignId};
use crate::store::{NewPerson, StoreError};

use super::desk::breach;
use super::office::{Office, OfficeError};

/// Rows of one transaction while a list is imported.
const CHUNK: usize = 5_000;

/// What the messages of a campaign are made from; fixed when the campaign is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CampaignContent {
    pub record: Record,
    /// Stands in every message and in the text on the official site, so that people can compare.
    pub reference: String,
    /// The authority people may complain to.
    pub authority: Option<String>,
    pub fallback_language: String,
}

/// One person of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub address: String,
    pub name: String,
    pub language: String,
    /// Which of this person's data was concerned: names of data categories. Empty takes the record's.
    pub data: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Fields {
    name: String,
    data: Vec<String>,
}

/// A letter could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error("the person's fields are not understood")]
    Fields(#[source] serde_json::Error),
    #[error("the text could not be rendered")]
    Render(#[from] TemplateError),
    #[error("the mail could not be written")]
    Mime(#[from] MimeError),
}

/// Why, in one line without personal data.
pub fn why(error: &LetterError) -> String {
    match error {
        LetterError::Fields(_) => "the person's fields are not understood".to_owned(),
        LetterError::Render(_) => "the text could not be rendered; see `templates`".to_owned(),
        LetterError::Mime(_) => "a field of this person cannot stand in a mail".to_owned(),
    }
}

/// Adds a campaign and its persons, a chunk at a time. Nothing leaves before the campaign is started.
///
/// # Errors
/// The store fails; the chunks before stay, and nothing has been sent.
pub async fn import(
    office: &Office,
    breach: BreachId,
    content: &CampaignContent,
    persons: impl Iterator<Item = Person> + Send,
    by: &Actor,
) -> Result<CampaignId, OfficeError> {
    let value = serde_json::to_value(content).expect("a campaign's content is plain data");
    let id = office.store.add_campaign(breach, value, by, office.now()).await?;
    let mut chunk = Vec::with_capacity(CHUNK);
    for person in persons {
        let key = format!("{}\n{}", person.address, person.name);
        let fields = Fields {
            name: person.name,
            data: person.data,
        };
        chunk.push(NewPerson {
            key,
            address: person.address,
            language: person.language,
            fields: serde_json::to_value(fields).expect("plain data"),
        });
        if chunk.len() == CHUNK {
            office
                .store
                .add_persons(id, std::mem::take(&mut chunk), by, office.now())
                .await?;
        }
    }
    if !chunk.is_empty() {
        office.store.add_persons(id, chunk, by, office.now()).await?;
    }
    Ok(id)
}

/// What every letter of one campaign shares.
pub struct Letter {
    pub sender: Mailbox,
    content: CampaignContent,
    templates: Arc<Templates>,
    zone: Tz,
    organisation: String,
    contact: Option<Contact>,
}

impl Letter {
    /// Reads the campaign's fixed content.
    ///
    /// # Errors
    /// No such campaign, or content that another version wrote.
    pub async fn of(office: &Office, id: CampaignId) -> Result<Self, OfficeError> {
        let missing = || StoreError::NotFound {
            what: "campaign",
            id: id.to_string(),
        };
        let campaign = office.store.find_campaign(id).await?.ok_or_else(missing)?;
        let content: CampaignContent =
            serde_json::from_value(campaign.content).map_err(|error| StoreError::Corrupt {
                what: "campaign",
                why: error.to_string(),
            })?;
        Ok(Self {
            sender: office.sender(),
            zone: breach::zone_of(office, &content.record),
            organisation: office.config.organisation.name.as_str().to_owned(),
            contact: office.usual_contact(),
            content,
            templates: Arc::clone(&office.templates),
        })
    }

    /// One person's mail, clear, complete in law, with the headers for individuals (facts: law §6.4).
    ///
    /// # Errors
    /// Fields or a text that cannot stand in a mail.
    pub fn write(
        &self,
        address: &str,
        language: &str,
        fields: &serde_json::Value,
        message_id: &str,
        now: Time,
    ) -> Result<Vec<u8>, LetterError> {
        let fields: Fields = serde::Deserialize::deserialize(fields).map_err(LetterError::Fields)?;
        let language = if self.templates.languages(Audience::Individual).contains(&language) {
            language
        } else {
            &self.content.fallback_language
        };
        let facts = PersonFacts::new(
            &self.content.record,
            &PersonContext {
                labels: self.templates.labels(language)?,
                timezone: self.zone,
                reference: self.content.reference.clone(),
                person_name: Some(fields.name.clone()).filter(|name| !name.is_empty()),
                data: Some(fields.data).filter(|data| !data.is_empty()),
                not_affected: Vec::new(),
                what_happened: None,
                consequences: None,
                measures: None,
                discreet: None,
                organisation: self.organisation.clone(),
                contact: self.contact.clone(),
                updates_at: None,
                authority_name: self.content.authority.clone(),
                authority_address: None,
            },
        );
        let rendered = self.templates.render_individual(&facts)?;
        let content = Content {
            subject: rendered.subject.clone(),
            text: rendered.text,
            html: None,
            attachments: Vec::new(),
            language: language.to_owned(),
        };
        let headers = Headers {
            from: self.sender.clone(),
            reply_to: None,
            to: Mailbox {
                name: Some(fields.name).filter(|n| !n.is_empty()),
                address: address.to_owned(),
            },
            outer_subject: rendered.subject,
            message_id: message_id.to_owned(),
            date: now,
            in_reply_to: None,
            references: Vec::new(),
            extra: vec![
                // RFC 3834 §5: no holiday replies to a message nobody typed.
                ("Auto-Submitted".to_owned(), "auto-generated".to_owned()),
                ("X-Auto-Response-Suppress".to_owned(), "OOF, AutoReply".to_owned()),
            ],
        };
        Ok(mime::clear_mail(&content, &headers)?)
    }
}
