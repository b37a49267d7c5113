//! One person's letter, written when its delivery is claimed. Knows nothing of lists or of sending.

use std::sync::Arc;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::message::facts::{PersonContext, PersonFacts};
use crate::message::mime::{self, Content, Headers, Mailbox, MimeError};
use crate::message::template::{Audience, TemplateError, Templates};
use crate::model::Time;
use crate::model::breach::{Contact, Record};
use crate::model::id::CampaignId;
use crate::model::recipient::Fields;
use crate::store::StoreError;

use crate::dispatch::desk::breach;
use crate::dispatch::office::{Office, OfficeError};

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
            sender: office.sender_to_individuals(),
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
        let name = fields.first("name").map(str::to_owned);
        // Where the list says more than we understand, naming only a part would mislead: then the record's own categories
        // stand, which cover everybody.
        let understood = fields.all("data_other").is_empty() && !fields.all("data").is_empty();
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
                person_name: name.clone(),
                data: understood.then(|| fields.all("data").to_vec()),
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
                name,
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
