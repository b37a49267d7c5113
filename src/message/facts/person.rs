//! What a message to one affected person may say (GDPR Art. 34(2)): never the leaked values, never figures or names of
//! others.

use chrono_tz::Tz;
use serde::Serialize;

use super::write::Writer;
use super::{ContactFacts, ControllerFacts};
use crate::message::template::labels::{Labels, fill};
use crate::model::breach::{Contact, DataCategory, Dated, Harm, Record, When};

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
    /// What was and will be done, in plain words; `None` takes the record's measures.
    pub measures: Option<String>,
    /// For a sender whose name alone would tell something about the person; `None` names the controller.
    pub discreet: Option<Discreet>,
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

/// What stands in a discreet message in the place of the controller. Neither may tell who the controller is, nor what
/// kind of organisation.
#[derive(Debug, Clone)]
pub struct Discreet {
    /// A neutral name: "Data protection office, Luxembourg".
    pub sender: String,
    /// Where the person learns the rest; a telephone number at least.
    pub contact: Contact,
}

impl<'a> PersonContext<'a> {
    /// Only what must be given; the rest is taken from the record or left out.
    pub fn new(labels: &'a Labels, timezone: Tz, reference: String, organisation: String) -> Self {
        Self {
            labels,
            timezone,
            reference,
            person_name: None,
            data: None,
            not_affected: Vec::new(),
            what_happened: None,
            consequences: None,
            measures: None,
            discreet: None,
            organisation,
            contact: None,
            updates_at: None,
            authority_name: None,
            authority_address: None,
        }
    }

    /// The parts of a message that would be taken from the record as they are, whatever language that is in.
    pub fn parts_of_the_record(&self) -> Vec<&'static str> {
        if self.discreet.is_some() {
            return Vec::new();
        }
        let parts = [
            ("what happened", self.what_happened.is_none()),
            ("the consequences", self.consequences.is_none()),
            ("the measures", self.measures.is_none()),
        ];
        let taken = parts.into_iter().filter(|(_, taken)| *taken);
        taken.map(|(part, _)| part).collect()
    }
}

/// All that a message to one affected person may say.
#[derive(Debug, Clone, Serialize)]
pub struct PersonFacts {
    /// The language all of this is written in.
    pub language: String,
    /// The words for what is not known.
    pub unknown: String,
    pub reference: String,
    /// Whether the controller is not to be named.
    pub discreet: bool,
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
    /// What was and will be done, told in plain words; then the lists below are empty.
    pub measures: Option<String>,
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
    /// The facts of a message about `record`, in the language of `context.labels`. A discreet message takes no free text
    /// of the record, and names no special category of data: any of them might tell who the controller is.
    pub fn new(record: &Record, context: &PersonContext) -> Self {
        let labels = context.labels;
        let write = Writer::new(labels, context.timezone);
        let discreet = context.discreet.as_ref();
        let told = |own: &Option<String>, recorded: &Option<String>| {
            let recorded = recorded.clone().filter(|_| discreet.is_none());
            own.clone().or(recorded)
        };
        let data = context.data.clone().unwrap_or_else(|| affected(record));
        let data: Vec<String> = match discreet {
            Some(_) => data.into_iter().filter(|name| is_ordinary(name)).collect(),
            None => data,
        };
        let named = |names: &[String]| write.set(&labels.your_data, names.iter().map(String::as_str));
        let detected = record.timeline.detected_at;
        let aware = record.timeline.aware_at.map(When::At);
        // Professional secrecy tells of a physician, a lawyer or a bank.
        let harms = record.consequences.harms.iter();
        let harms = harms.filter(|h| discreet.is_none() || **h != Harm::ProfessionalSecrecy);
        let recorded = discreet.is_none() && context.measures.is_none();
        let texts = |measures: &[Dated]| match recorded {
            true => measures.iter().map(|m| m.text.clone()).collect(),
            false => Vec::new(),
        };
        Self {
            language: labels.code.clone(),
            unknown: labels.words.not_known.clone(),
            reference: context.reference.clone(),
            discreet: discreet.is_some(),
            person: PersonName {
                name: context.person_name.clone(),
            },
            controller: match discreet {
                None => ControllerFacts::new(record, &context.organisation, labels),
                Some(discreet) => ControllerFacts::unnamed(&discreet.sender, labels),
            },
            contact: match discreet {
                None => ContactFacts::new(record.contact.as_ref().or(context.contact.as_ref()), labels),
                Some(discreet) => ContactFacts::new(Some(&discreet.contact), labels),
            },
            what_happened: told(&context.what_happened, &record.summary),
            happened_at: happened(record, &write),
            found_at: detected.or(aware).map(|at| write.day(at)),
            your_data: named(&data),
            not_affected: named(&context.not_affected),
            consequences: told(&context.consequences, &record.consequences.text),
            harms: write.set(&labels.your_harm, harms.map(|h| h.name())),
            measures: context.measures.clone(),
            measures_taken: texts(&record.measures.taken),
            measures_planned: texts(&record.measures.planned),
            mitigation: record.measures.mitigation.clone().filter(|_| recorded),
            advice: advice(labels, &data),
            updates_at: context.updates_at.clone().filter(|_| discreet.is_none()),
            authority: ComplaintFacts {
                name: context.authority_name.clone(),
                address: context.authority_address.clone(),
            },
        }
    }
}

/// Is it no special category of GDPR Art. 9 and 10?
fn is_ordinary(name: &str) -> bool {
    DataCategory::ALL.iter().any(|category| category.name() == name)
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
