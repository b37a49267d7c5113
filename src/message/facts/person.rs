//! What a message to one affected person may say (GDPR Art. 34(2)): never the leaked values, never figures or names of
//! others.

use chrono_tz::Tz;
use serde::Serialize;

use super::write::Writer;
use super::{ContactFacts, ControllerFacts};
use crate::message::template::labels::{Labels, fill};
use crate::model::breach::{Contact, Record, When};

/// What surrounds a message to one person.
#[derive(Debug, Clone)]
pub struct PersonContext<'a> {
    /// The words of the person's language.
    pub labels: &'a Labels,
    /// The controller's zone, for the days on which things happened.
    pub timezone: Tz,
    /// The short code that is the same on the controller's website and in the message.
    pub reference: String,
    /// As the person is addressed: "Anna Weber".
    pub person_name: Option<String>,
    /// Names of [`DataCategory`] and [`SpecialCategory`] for this person; `None` takes the record's.
    ///
    /// [`DataCategory`]: crate::model::breach::DataCategory
    /// [`SpecialCategory`]: crate::model::breach::SpecialCategory
    pub data: Option<Vec<String>>,
    /// The same, for data that is certainly not affected.
    pub not_affected: Vec<String>,
    /// What happened, in plain words; `None` takes the record's summary, which was written for the authority.
    pub what_happened: Option<String>,
    /// What it may mean for this group of persons; `None` takes the record's text.
    pub consequences: Option<String>,
    /// Who writes.
    pub organisation: String,
    /// The organisation's contact, used where the record has none.
    pub contact: Option<Contact>,
    /// The bare address of the website where news will appear, to be typed by hand.
    pub updates_at: Option<String>,
    /// The authority to complain to, and how it is reached.
    pub authority_name: Option<String>,
    pub authority_address: Option<String>,
}

/// All that a message to one affected person may say.
#[derive(Debug, Clone, Serialize)]
pub struct PersonFacts {
    /// The language all of this is written in.
    pub language: String,
    /// The words for what is not known.
    pub unknown: String,
    pub reference: String,
    pub person: PersonName,
    pub controller: ControllerFacts,
    pub contact: ContactFacts,
    pub what_happened: Option<String>,
    /// The day or days.
    pub happened_at: Option<String>,
    /// The day on which the controller found out.
    pub found_at: Option<String>,
    /// "your contact details, such as …".
    pub your_data: Vec<String>,
    pub not_affected: Vec<String>,
    pub consequences: Option<String>,
    /// One sentence for each harm.
    pub harms: Vec<String>,
    pub measures_taken: Vec<String>,
    pub measures_planned: Vec<String>,
    pub mitigation: Option<String>,
    /// What to do now, fitting the data affected.
    pub advice: Vec<String>,
    pub updates_at: Option<String>,
    pub authority: ComplaintFacts,
}

/// Who is written to.
#[derive(Debug, Clone, Serialize)]
pub struct PersonName {
    pub name: Option<String>,
}

/// Where to complain (GDPR Art. 77).
#[derive(Debug, Clone, Serialize)]
pub struct ComplaintFacts {
    pub name: Option<String>,
    pub address: Option<String>,
}

impl PersonFacts {
    /// The facts of a message about `record`, in the language of `context.labels`.
    pub fn new(record: &Record, context: &PersonContext) -> Self {
        let labels = context.labels;
        let write = Writer::new(labels, context.timezone);
        let data = context.data.clone().unwrap_or_else(|| affected(record));
        let named = |names: &[String]| write.set(&labels.your_data, names.iter().map(String::as_str));
        let detected = record.timeline.detected_at;
        let aware = record.timeline.aware_at.map(When::At);
        let texts = |measures: &[crate::model::breach::Dated]| measures.iter().map(|m| m.text.clone()).collect();
        Self {
            language: labels.code.clone(),
            unknown: labels.words.not_known.clone(),
            reference: context.reference.clone(),
            person: PersonName {
                name: context.person_name.clone(),
            },
            controller: ControllerFacts::new(record, &context.organisation, labels),
            contact: ContactFacts::new(record.contact.as_ref().or(context.contact.as_ref()), labels),
            what_happened: context.what_happened.clone().or_else(|| record.summary.clone()),
            happened_at: happened(record, &write),
            found_at: detected.or(aware).map(|at| write.day(at)),
            your_data: named(&data),
            not_affected: named(&context.not_affected),
            consequences: context
                .consequences
                .clone()
                .or_else(|| record.consequences.text.clone()),
            harms: write.set(&labels.your_harm, record.consequences.harms.iter().map(|h| h.name())),
            measures_taken: texts(&record.measures.taken),
            measures_planned: texts(&record.measures.planned),
            mitigation: record.measures.mitigation.clone(),
            advice: advice(labels, &data),
            updates_at: context.updates_at.clone(),
            authority: ComplaintFacts {
                name: context.authority_name.clone(),
                address: context.authority_address.clone(),
            },
        }
    }
}

/// The categories of the record, ordinary ones first.
fn affected(record: &Record) -> Vec<String> {
    let ordinary = record.data.categories.iter().map(|c| c.name());
    let special = record.data.special.iter().flatten().map(|s| s.name());
    ordinary.chain(special).map(str::to_owned).collect()
}

fn happened(record: &Record, write: &Writer) -> Option<String> {
    let from = write.day(record.timeline.occurred_from?);
    match record.timeline.occurred_to.map(|to| write.day(to)) {
        Some(to) if to != from => {
            let format = &write.labels.formats.period;
            Some(fill(format, &[("from", &from), ("to", &to)]))
        }
        _ => Some(from),
    }
}

/// The advice that this data calls for, in the order of the labels.
fn advice(labels: &Labels, data: &[String]) -> Vec<String> {
    let fits = |names: &[String]| names.is_empty() || names.iter().any(|n| data.contains(n));
    let fitting = labels.advice.iter().filter(|a| fits(&a.for_data));
    fitting.map(|a| a.text.clone()).collect()
}
