//! Letters for those whom mail did not reach: for each language one file of sheets for window envelopes, with the text that
//! the mail had. Persons are read a page at a time and files have a bound, so that memory has one too.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Letter;
use crate::dispatch::office::{Office, OfficeError};
use crate::message::letter::{Letters, Sheet, Unprintable, Window};
use crate::model::id::CampaignId;
use crate::store::{NotReached, Whom};

/// Persons read at a time.
const PAGE: u32 = 500;
/// Letters of one file: a few megabytes.
pub const LETTERS_MOST: u32 = 2_000;
/// Persons without a letter who are named; all are counted.
const NAMED_MOST: usize = 100;

/// A finished file.
pub struct Printed {
    pub language: String,
    /// Counts from 1; more than one only beyond [`LETTERS_MOST`].
    pub part: u32,
    pub letters: u32,
    pub pages: usize,
    pub pdf: Vec<u8>,
}

/// Who got no letter, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unprinted {
    /// By reason; their sum is the number of persons.
    pub reasons: BTreeMap<String, u64>,
    /// The first hundred, without those who have no postal address.
    pub persons: Vec<(Whom, String)>,
}

/// Letters could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the letters could not be kept")]
    Keep(#[source] std::io::Error),
}

/// Writes a letter to each person of the campaign who was not reached; with `in_doubt` also to those of whom it is not
/// known. Each finished file is given to `keep`.
///
/// # Errors
/// No such campaign, a store that fails, or what `keep` answers.
pub async fn letters(
    office: &Office,
    id: CampaignId,
    window: Window,
    in_doubt: bool,
    mut keep: impl FnMut(Printed) -> std::io::Result<()>,
) -> Result<Unprinted, PostError> {
    let letter = Letter::of(office, id).await?;
    let home = office.config.organisation.country.as_str();
    let today = office.now().with_timezone(&office.zone()).date_naive();
    let sender = letter.letterhead();
    let mut open: BTreeMap<String, (u32, Letters)> = BTreeMap::new();
    let mut unprinted = Unprinted::default();
    let mut after = None;
    loop {
        let page = office
            .store
            .list_unreached(id, in_doubt, after, PAGE)
            .await
            .map_err(OfficeError::from)?;
        let Some(last) = page.last() else { break };
        after = Some(last.whom);
        for person in &page {
            let fields = serde_json::to_value(&person.fields).expect("fields are plain data");
            // Of a row that could not be used, the fields are all there is.
            let language = match person.language.as_str() {
                "" => person.fields.first("language").unwrap_or_default(),
                known => known,
            };
            let Ok(filled) = letter.fill(language, &fields) else {
                unprinted.add(person.whom, "the text could not be rendered; see `templates`");
                continue;
            };
            let (part, letters) = open
                .entry(filled.language.clone())
                .or_insert_with(|| (1, Letters::new(window, &filled.language)));
            let sheet = Sheet {
                sender: &sender,
                to: &address(person, home),
                marks: &[
                    letter.day(&filled.language, today),
                    letter.reference().to_owned(),
                    person.whom.to_string(),
                ],
                subject: &filled.subject,
                text: &filled.blocks(),
            };
            if let Err(why) = letters.add(&sheet) {
                unprinted.add(person.whom, &why.to_string());
            } else if letters.letters() == LETTERS_MOST {
                let next = (*part + 1, Letters::new(window, &filled.language));
                let (part, full) = std::mem::replace(open.get_mut(&filled.language).expect("just used"), next);
                keep(printed(filled.language, part, full)).map_err(PostError::Keep)?;
            }
        }
    }
    for (language, (part, letters)) in open {
        if letters.letters() > 0 {
            keep(printed(language, part, letters)).map_err(PostError::Keep)?;
        }
    }
    Ok(unprinted)
}

impl Unprinted {
    fn add(&mut self, whom: Whom, why: &str) {
        *self.reasons.entry(why.to_owned()).or_default() += 1;
        // For want of an address they are a case for the telephone, and may be many.
        if why != Unprintable::NoAddress.to_string() && self.persons.len() < NAMED_MOST {
            self.persons.push((whom, why.to_owned()));
        }
    }
}

fn printed(language: String, part: u32, letters: Letters) -> Printed {
    Printed {
        language,
        part,
        letters: letters.letters(),
        pages: letters.pages(),
        pdf: letters.finish(),
    }
}

/// Name, street, postcode and city; abroad the country too. Nothing where no street or no city is known.
fn address(person: &NotReached, home: &str) -> Vec<String> {
    let first = |name| person.fields.first(name).unwrap_or_default();
    let city = format!("{} {}", first("postcode"), first("city")).trim().to_owned();
    // Some lists have the whole address in one cell of several lines.
    let is_whole = first("street").contains('\n');
    if first("name").is_empty() || first("street").is_empty() || (city.is_empty() && !is_whole) {
        return Vec::new();
    }
    let mut lines = vec![first("name").to_owned(), first("street").to_owned(), city];
    match person.country.as_deref().or(person.fields.first("country")) {
        Some(country) if country != home => lines.push(country_name(country).to_owned()),
        _ => {}
    }
    lines
}

/// As the Universal Postal Union asks for: in capitals, in English or French; others by their code.
fn country_name(code: &str) -> &str {
    match code {
        "AT" => "AUSTRIA",
        "BE" => "BELGIUM",
        "BG" => "BULGARIA",
        "CH" => "SWITZERLAND",
        "CY" => "CYPRUS",
        "CZ" => "CZECHIA",
        "DE" => "GERMANY",
        "DK" => "DENMARK",
        "EE" => "ESTONIA",
        "ES" => "SPAIN",
        "FI" => "FINLAND",
        "FR" => "FRANCE",
        "GB" => "UNITED KINGDOM",
        "GR" => "GREECE",
        "HR" => "CROATIA",
        "HU" => "HUNGARY",
        "IE" => "IRELAND",
        "IS" => "ICELAND",
        "IT" => "ITALY",
        "LI" => "LIECHTENSTEIN",
        "LT" => "LITHUANIA",
        "LU" => "LUXEMBOURG",
        "LV" => "LATVIA",
        "MT" => "MALTA",
        "NL" => "NETHERLANDS",
        "NO" => "NORWAY",
        "PL" => "POLAND",
        "PT" => "PORTUGAL",
        "RO" => "ROMANIA",
        "SE" => "SWEDEN",
        "SI" => "SLOVENIA",
        "SK" => "SLOVAKIA",
        other => other,
    }
}
