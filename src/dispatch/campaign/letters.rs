//! One person's letter, written when its delivery is claimed, and sealed where the person's certificate is known. Knows
//! nothing of lists or of sending.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::config::Encrypt;
use crate::directory::certificate::Usable;
use crate::message::facts::{Discreet, PersonContext, PersonFacts, PersonName};
use crate::message::key::OurKey;
use crate::message::mime::{self, Content, Headers, Mailbox, MimeError};
use crate::message::seal::{self, SealError};
use crate::message::template::lint::{self, Matter};
use crate::message::template::{Audience, Filled, Finding, Rendered, Shared, TemplateError, Templates};
use crate::message::token::sha256_hex;
use crate::model::Time;
use crate::model::breach::{Contact, Record};
use crate::model::delivery::NO_CERTIFICATE;
use crate::model::id::CampaignId;
use crate::model::recipient::{Fields, Flags};
use crate::store::StoreError;

use super::keys;
use super::wording::Wording;
use crate::dispatch::desk::breach;
use crate::dispatch::office::{Office, OfficeError};

/// Of the sealed messages of one template and language, the first and then one in so many is opened again and compared;
/// of the others the packets are checked (design: invariant 2).
const FULL_CHECK_EVERY: u64 = 1_000;

/// Kinds of messages whose facts are kept: six languages with some forty mixtures of data. A list with more of them pays
/// with time, not with memory.
const SHARED_MOST: usize = 256;

/// What the messages of a campaign are made from; fixed when the campaign is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CampaignContent {
    pub record: Record,
    /// Stands in every message and in the text on the official site, so that people can compare.
    pub reference: String,
    /// The authority people may complain to: its name by the language of the message.
    pub authority: Option<BTreeMap<String, String>>,
    pub fallback_language: String,
    #[serde(default)]
    pub wording: Wording,
    #[serde(default)]
    pub encrypt: Encrypt,
}

impl CampaignContent {
    /// As it is stored.
    ///
    /// # Errors
    /// Another version wrote it.
    pub fn read(id: CampaignId, stored: serde_json::Value) -> Result<Self, StoreError> {
        serde_json::from_value(stored).map_err(|error| StoreError::not_understood("campaign", &id.to_string(), &error))
    }
}

/// Why a campaign is paused whose messages are not what was approved.
pub const NOT_APPROVED: &str =
    "what would be sent is not what was approved: a template, the sender or a setting has changed since";

/// Why a person is held whose message was to be encrypted and cannot be any more.
pub const CERTIFICATE_ENDED: &str =
    "the person's certificate has ended since the list was imported, and the message would leave in clear text";

/// A letter could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error("the person's fields are not understood")]
    Fields(#[source] serde_json::Error),
    #[error("the text could not be rendered")]
    Render(#[from] TemplateError),
    #[error("the mail could not be written")]
    Mime(#[from] MimeError),
    #[error("there is no usable certificate of this person, and the campaign is encrypted for everybody")]
    NoCertificate,
    #[error("the person's certificate has ended since the list was imported")]
    CertificateEnded,
    #[error("the mail could not be sealed")]
    Seal(#[from] SealError),
}

/// Why, in one line without personal data.
pub fn why(error: &LetterError) -> String {
    match error {
        LetterError::Fields(_) => "the person's fields are not understood".to_owned(),
        LetterError::Render(_) => "the text could not be rendered; see `templates`".to_owned(),
        LetterError::Mime(_) | LetterError::Seal(SealError::Mime(_)) => {
            "a field of this person cannot stand in a mail".to_owned()
        }
        LetterError::NoCertificate => NO_CERTIFICATE.to_owned(),
        LetterError::CertificateEnded => CERTIFICATE_ENDED.to_owned(),
        LetterError::Seal(_) => "the mail could not be sealed to the person's certificate".to_owned(),
    }
}

/// Persons who are told alike: their language, and the categories of their data where the list names them.
type Alike = (String, Option<Vec<String>>);

/// What every letter of one campaign shares.
pub struct Letter {
    pub sender: Mailbox,
    content: CampaignContent,
    templates: Arc<Templates>,
    zone: Tz,
    organisation: String,
    contact: Option<Contact>,
    /// `None` where nothing will be encrypted.
    our: Option<Arc<OurKey>>,
    /// Sealed messages by language.
    sealed: Mutex<HashMap<String, u64>>,
    shared: Mutex<HashMap<Alike, Arc<Shared>>>,
}

impl Letter {
    /// Reads the campaign's fixed content.
    ///
    /// # Errors
    /// No such campaign, content that another version wrote, or our key cannot be used and some person's certificate is
    /// known.
    pub async fn of(office: &Office, id: CampaignId) -> Result<Self, OfficeError> {
        let missing = || StoreError::NotFound {
            what: "campaign",
            id: id.to_string(),
        };
        let campaign = office.store.find_campaign(id).await?.ok_or_else(missing)?;
        Self::with(office, id, CampaignContent::read(id, campaign.content)?).await
    }

    /// As [`Letter::of`], for what may leave: `None` where it is not what was approved (by the hash that the claims came
    /// with) any more, since a template, the sender or the list has changed. The campaign is paused then, and says why;
    /// unless what it is now was approved meanwhile, which later claims will say.
    ///
    /// # Errors
    /// As [`Letter::of`].
    pub async fn approved(office: &Office, id: CampaignId, approved: &str) -> Result<Option<Self>, OfficeError> {
        let letter = Self::of(office, id).await?;
        let digest = letter.digest(office, id).await?;
        if digest == approved {
            return Ok(Some(letter));
        }
        let campaign = office.store.find_campaign(id).await?;
        if campaign.is_some_and(|campaign| campaign.approved_hash == Some(digest)) {
            return Ok(None);
        }
        tracing::warn!(campaign = %id, "what would be sent is not what was approved: paused");
        let by = Office::as_loop("courier");
        match office.store.pause(id, NOT_APPROVED, &by, office.now()).await {
            // Somebody has ended it meanwhile: nothing of it leaves either.
            Ok(()) | Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What messages would be with this content.
    ///
    /// # Errors
    /// Our key cannot be used and some person's certificate is known.
    pub async fn with(office: &Office, id: CampaignId, content: CampaignContent) -> Result<Self, OfficeError> {
        let seals = content.encrypt != Encrypt::Never && office.store.any_flagged(id, Flags::CERTIFICATE).await?;
        let mut sender = office.sender_to_individuals();
        if let Some(unnamed) = &content.wording.discreet {
            sender.name = Some(unnamed.sender.clone());
        }
        Ok(Self {
            sender,
            zone: breach::zone_of(office, &content.record),
            organisation: office.config.organisation.name.as_str().to_owned(),
            contact: office.usual_contact(),
            content,
            templates: Arc::clone(&office.templates),
            our: match seals {
                true => Some(office.our_key().await?),
                false => None,
            },
            sealed: Mutex::default(),
            shared: Mutex::default(),
        })
    }

    /// The digest that an approval is bound to: the content, every template and word that a message can be made from, the
    /// sender, and the lists.
    ///
    /// # Errors
    /// The store fails.
    pub async fn digest(&self, office: &Office, id: CampaignId) -> Result<String, OfficeError> {
        let lists = office.store.lists(id).await?;
        let lists: Vec<_> = lists
            .iter()
            .map(|list| (&list.sha256, &list.facts, list.rows))
            .collect();
        let facts = serde_json::json!({
            "content": self.content,
            "templates": self.templates.digest(Audience::Individual),
            "sender": self.sender.shown(),
            "organisation": self.organisation,
            "contact": self.contact,
            "zone": self.zone.name(),
            "lists": lists,
            "rows": office.store.row_counts(id).await?,
        });
        Ok(sha256_hex(facts.to_string().as_bytes()))
    }

    /// What the linter says about a wording, to a person of whom nothing is known but `language`: the code of a
    /// language, or the empty one of those whose own is not known.
    ///
    /// # Errors
    /// The message cannot be rendered.
    pub fn findings(&self, language: &str) -> Result<Vec<Finding>, LetterError> {
        if !self.stacks(language) {
            let language = self.language_for(language);
            let facts = self.facts(language, None)?;
            let said = self.templates.fill_individual(&facts)?.rendered();
            return Ok(self.judged(&said, &facts, &format!("message/{language}")));
        }
        // Each reader reads one part of it, below the subject that all see.
        let stacked = self.content.wording.stacked.iter();
        let all = stacked.map(|language| self.facts(language, None));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let shared = all.iter().map(|facts| self.templates.shared(facts).map(Arc::new));
        let shared = shared.collect::<Result<Vec<_>, _>>()?;
        let subject = self
            .templates
            .fill_stacked(&shared, &PersonName { name: None })?
            .subject;
        let mut found = Vec::new();
        for facts in &all {
            let said = Rendered {
                subject: subject.clone(),
                ..self.templates.fill_individual(facts)?.rendered()
            };
            found.extend(self.judged(&said, facts, &format!("message/stacked/{}", facts.language)));
        }
        Ok(found)
    }

    fn judged(&self, said: &Rendered, facts: &PersonFacts, file: &str) -> Vec<Finding> {
        let language = &facts.language;
        let typed = self.content.wording.texts.get(language).cloned().unwrap_or_default();
        let named = self.content.wording.discreet.is_none();
        let taken = [
            ("what happened", typed.what_happened.is_none()),
            ("the consequences", typed.consequences.is_none()),
            ("the measures", typed.measures.is_none()),
        ];
        let taken = taken.into_iter().filter(|(_, taken)| *taken && named);
        let taken: Vec<&'static str> = taken.map(|(part, _)| part).collect();
        let written_in = self.content.record.language.clone();
        let matter = Matter {
            risk: self.content.record.risk.level,
            foreign: written_in
                .filter(|written| written != language && !taken.is_empty())
                .map(|language| (taken, language)),
            is_real: true,
        };
        lint::lint(said, facts, &matter, file)
    }

    /// Whether somebody of this language gets one message in several.
    pub fn stacks(&self, language: &str) -> bool {
        language.is_empty() && !self.content.wording.stacked.is_empty()
    }

    /// The languages of the one message that somebody of this language gets; none where it is a message in one.
    pub fn several(&self, language: &str) -> &[String] {
        match self.stacks(language) {
            true => &self.content.wording.stacked,
            false => &[],
        }
    }

    /// The notice to everybody (GDPR Art. 34(3)(c)).
    ///
    /// # Errors
    /// There is none in this language, or it cannot be rendered.
    pub fn public(&self, language: &str) -> Result<Filled, LetterError> {
        Ok(self.templates.fill_public(&self.facts(language, None)?)?)
    }

    /// What the linter says about that notice, as far as it speaks to nobody alone: another language, a blank, what leaked.
    ///
    /// # Errors
    /// As [`Letter::public`].
    pub fn public_findings(&self, language: &str) -> Result<Vec<Finding>, LetterError> {
        let facts = self.facts(language, None)?;
        let said = self.templates.fill_public(&facts)?.rendered();
        let mut found = self.judged(&said, &facts, &format!("public/{language}"));
        found.retain(|finding| matches!(finding.code, "text.foreign" | "placeholder" | "leak"));
        Ok(found)
    }

    /// The language in which somebody of this one is written to.
    pub fn language_for<'a>(&'a self, language: &'a str) -> &'a str {
        let variant = self.content.wording.variant();
        match self.templates.speaks(Audience::Individual, variant, language) {
            true => language,
            false => &self.content.fallback_language,
        }
    }

    /// One person's mail, complete in law, with the headers for individuals (facts: law §6.4); encrypted as the campaign's
    /// policy says.
    ///
    /// # Errors
    /// Fields or a text that cannot stand in a mail; no certificate where one is required, or one that has ended; a seal that fails its check.
    pub fn write(
        &self,
        address: &str,
        language: &str,
        fields: &serde_json::Value,
        message_id: &str,
        now: Time,
    ) -> Result<Vec<u8>, LetterError> {
        let fields = understood(fields)?;
        let usable = match self.content.encrypt {
            Encrypt::Never => None,
            Encrypt::WhenKnown | Encrypt::Required => keys::usable(&fields, address, now),
        };
        match (usable.is_some(), keys::had_usable(&fields), self.content.encrypt) {
            (true, ..) | (_, _, Encrypt::Never) | (_, false, Encrypt::WhenKnown) => {}
            // What was approved was an encrypted message: clear, it would be another one.
            (false, true, _) => return Err(LetterError::CertificateEnded),
            (false, false, Encrypt::Required) => return Err(LetterError::NoCertificate),
        }
        let filled = self.fill_for(language, &fields)?;
        let (content, headers) = self.mail(filled, &fields, address, message_id, now);
        match (usable, &self.our) {
            (Some(usable), Some(our)) => self.seal(&content, &headers, our, &usable, now),
            _ => Ok(mime::clear_mail(&content, &headers)?),
        }
    }

    /// One person's mail to somebody else, clear, with a mark before its subject and before its text.
    ///
    /// # Errors
    /// Fields or a text that cannot stand in a mail.
    pub fn sample(
        &self,
        to: &str,
        language: &str,
        fields: &serde_json::Value,
        message_id: &str,
        now: Time,
        mark: &str,
    ) -> Result<Vec<u8>, LetterError> {
        let fields = understood(fields)?;
        let filled = self.fill_for(language, &fields)?;
        let (mut content, mut headers) = self.mail(filled, &Fields::default(), to, message_id, now);
        content.subject = format!("{mark} {}", content.subject);
        content.text = format!("{mark} {mark} {mark}\n\n{}", content.text);
        headers.outer_subject = content.subject.clone();
        Ok(mime::clear_mail(&content, &headers)?)
    }

    fn mail(&self, filled: Filled, fields: &Fields, address: &str, message_id: &str, now: Time) -> (Content, Headers) {
        let rendered = filled.rendered();
        let content = Content {
            subject: rendered.subject,
            text: rendered.text,
            html: self.content.wording.html.then(|| filled.html()),
            attachments: Vec::new(),
            language: filled.language,
        };
        let headers = Headers {
            from: self.sender.clone(),
            reply_to: None,
            to: Mailbox::new(fields.first("name"), address),
            outer_subject: format!("Encrypted message {}", self.content.reference),
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
        (content, headers)
    }

    /// What one person is told, to be had as text and as HTML.
    ///
    /// # Errors
    /// Fields that are not understood, or a template that cannot be filled.
    pub fn fill(&self, language: &str, fields: &serde_json::Value) -> Result<Filled, LetterError> {
        self.fill_for(language, &understood(fields)?)
    }

    /// Who writes, for the head of a letter on paper: the name, then how the person asks back.
    pub fn letterhead(&self) -> Vec<String> {
        let contact = match &self.content.wording.discreet {
            Some(unnamed) => Some(&unnamed.contact),
            None => self.content.record.contact.as_ref().or(self.contact.as_ref()),
        };
        let name = match &self.content.wording.discreet {
            Some(unnamed) => unnamed.sender.clone(),
            None => self.organisation.clone(),
        };
        let more = contact.map(|contact| [&contact.postal, &contact.phone, &contact.email]);
        let more = more.into_iter().flatten().flatten().cloned();
        std::iter::once(name).chain(more).collect()
    }

    /// A date as it reads in this language.
    pub fn day(&self, language: &str, day: NaiveDate) -> String {
        match self.templates.labels(language) {
            Ok(labels) => labels.date(day),
            Err(_) => day.to_string(),
        }
    }

    /// What stands in every message and on the official site.
    pub fn reference(&self) -> &str {
        &self.content.reference
    }

    fn fill_for(&self, language: &str, fields: &Fields) -> Result<Filled, LetterError> {
        let stacked = &self.content.wording.stacked;
        let person = PersonName {
            name: fields.first("name").map(str::to_owned),
        };
        if self.stacks(language) {
            let each = stacked.iter().map(|language| self.shared(language, fields));
            return Ok(self
                .templates
                .fill_stacked(&each.collect::<Result<Vec<_>, _>>()?, &person)?);
        }
        let shared = self.shared(self.language_for(language), fields)?;
        Ok(shared.fill(&person)?)
    }

    /// What persons of this language whose data are the same are told alike.
    fn shared(&self, language: &str, fields: &Fields) -> Result<Arc<Shared>, TemplateError> {
        // Where the list says more than we understand, naming only a part would mislead: then the record's own categories
        // stand, which cover everybody.
        let understood = fields.all("data_other").is_empty() && !fields.all("data").is_empty();
        let data = understood.then(|| fields.all("data").to_vec());
        let mut known = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (language.to_owned(), data);
        if let Some(shared) = known.get(&key) {
            return Ok(Arc::clone(shared));
        }
        let shared = Arc::new(self.templates.shared(&self.facts(language, key.1.clone())?)?);
        if known.len() < SHARED_MOST {
            known.insert(key, Arc::clone(&shared));
        }
        Ok(shared)
    }

    /// The facts of a message to nobody by name; `data` where it is known which categories are meant.
    fn facts(&self, language: &str, data: Option<Vec<String>>) -> Result<PersonFacts, TemplateError> {
        let wording = &self.content.wording;
        let typed = wording.texts.get(language).cloned().unwrap_or_default();
        let context = PersonContext {
            data,
            what_happened: typed.what_happened,
            consequences: typed.consequences,
            measures: typed.measures,
            discreet: wording.discreet.as_ref().map(Discreet::from),
            contact: self.contact.clone(),
            updates_at: wording.updates_at.clone(),
            authority_name: self
                .content
                .authority
                .as_ref()
                .and_then(|names| names.get(language).cloned()),
            ..PersonContext::new(
                self.templates.labels(language)?,
                self.zone,
                self.content.reference.clone(),
                self.organisation.clone(),
            )
        };
        Ok(PersonFacts::new(&self.content.record, &context))
    }

    fn seal(
        &self,
        content: &Content,
        headers: &Headers,
        our: &OurKey,
        to: &Usable,
        now: Time,
    ) -> Result<Vec<u8>, LetterError> {
        let sealed = seal::seal(content, headers, our, to, now)?;
        let before = {
            let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
            let count = sealed.entry(content.language.clone()).or_default();
            *count += 1;
            *count - 1
        };
        match before % FULL_CHECK_EVERY {
            0 => seal::self_check(&sealed, content, our, to)?,
            _ => seal::check_structure(&sealed, our, to)?,
        }
        Ok(sealed.mail)
    }
}

fn understood(fields: &serde_json::Value) -> Result<Fields, LetterError> {
    Deserialize::deserialize(fields).map_err(LetterError::Fields)
}
