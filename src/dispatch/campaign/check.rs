//! What is known about a campaign's persons before anything is sent: counts that always add up, and what is worth a look.
//! Changes nothing.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::dispatch::office::{Office, OfficeError};
use crate::message::template::Audience;
use crate::model::Time;
use crate::model::id::{BreachId, CampaignId, DeliveryId};
use crate::model::recipient::{Flags, Reason, formula_safe};
use crate::store::{BadRow, PersonCounts, RowCounts, StoreError, StoredCampaign, StoredList, Tally, ToldOtherwise};

use super::CampaignContent;
use super::bad_rows::BadRowsError;

/// Bad rows that are listed; all of them are in the export.
const BAD_ROWS_SHOWN: u32 = 20;

/// How far the persons of a campaign are reached. Their sum is `total`, always:
/// `informed + in_doubt + unreached + pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Persons: rows without the duplicates.
    pub total: u64,
    /// Handed over, confirmed, or told by another channel.
    pub informed: u64,
    pub confirmed: u64,
    /// Of those informed: by post or telephone, and not by mail.
    pub told_otherwise: u64,
    pub in_doubt: u64,
    /// Failed, cancelled, and those without a usable row.
    pub unreached: u64,
    pub pending: u64,
    /// Of those pending: their message could not be written, and a person must decide.
    pub held: u64,
    pub possibly_twice: u64,
    pub duplicates: u64,
    pub invalid: u64,
}
impl Coverage {
    pub fn of(counts: &RowCounts, tally: &Tally, told: &ToldOtherwise) -> Self {
        Self {
            total: counts.rows - counts.duplicates,
            informed: tally.handed + tally.confirmed + told.unreached + told.in_doubt + told.pending,
            confirmed: tally.confirmed,
            in_doubt: tally.in_doubt - told.in_doubt,
            unreached: tally.failed + tally.cancelled + counts.invalid - told.unreached,
            pending: tally.ready + tally.leased + tally.on_wire + tally.held - told.pending,
            held: tally.held,
            told_otherwise: told.unreached + told.in_doubt + told.pending,
            possibly_twice: tally.possibly_twice,
            duplicates: counts.duplicates,
            invalid: counts.invalid,
        }
    }
}

/// A campaign in a list of campaigns.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignLine {
    pub id: CampaignId,
    pub breach: BreachId,
    pub state: String,
    pub created_at: Time,
    #[serde(flatten)]
    pub counts: RowCounts,
    pub coverage: Coverage,
}

/// All that is known about a campaign's list.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignCheck {
    #[serde(flatten)]
    pub line: CampaignLine,
    pub lists: Vec<StoredList>,
    /// Why rows cannot be used, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// The first twenty.
    pub bad_rows: Vec<BadRow>,
    pub languages: BTreeMap<String, u64>,
    pub fallback_language: String,
    /// Persons who get the fallback language: theirs is not known, or there is no message in it.
    pub in_fallback_language: u64,
    /// Persons whose language is not known and who get one message in several, and which these are.
    pub in_several_languages: u64,
    pub several_languages: Vec<String>,
    pub countries: BTreeMap<String, u64>,
    /// The domains with the most persons, most first.
    pub domains: Vec<DomainCount>,
    /// What is worth a look, by name; only what occurs.
    pub flags: BTreeMap<&'static str, u64>,
    /// The first persons of each, by the same names.
    pub flagged: BTreeMap<&'static str, Vec<DeliveryId>>,
}
/// A reason and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    pub reason: Reason,
    pub text: &'static str,
    pub rows: u64,
}
/// A domain and its persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainCount {
    pub domain: String,
    pub persons: u64,
}

impl CampaignCheck {
    /// Whether a person must do something before the list is as good as it can be.
    pub fn needs_person(&self) -> bool {
        self.line.counts.invalid > 0 || self.line.state == "importing"
    }
    /// The lines about what is worth a look, with their numbers and the first persons.
    pub fn remarks(&self) -> Vec<Remark<'_>> {
        let named = Flags::ALL.iter().map(|(_, name, text)| (*name, "person", *text));
        let known = named.chain([SHARED_ADDRESS]);
        known
            .filter_map(|(name, whom, text)| {
                Some(Remark {
                    times: *self.flags.get(name)?,
                    whom,
                    text,
                    who: self.flagged.get(name).map_or(&[][..], Vec::as_slice),
                })
            })
            .collect()
    }
}

/// What is worth a look, of how many, and who the first of them are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark<'a> {
    pub times: u64,
    /// What is counted, as one: `person`.
    pub whom: &'static str,
    /// Goes on after them: `without a name`.
    pub text: &'static str,
    pub who: &'a [DeliveryId],
}

/// Not a person's flag but an address's.
const SHARED_ADDRESS: (&str, &str, &str) = (
    "shared_address",
    "address",
    "with persons of different names: each person gets a message",
);

/// Every campaign, oldest first.
///
/// # Errors
/// The store fails.
pub async fn list(office: &Office) -> Result<Vec<CampaignLine>, OfficeError> {
    let mut lines = Vec::new();
    for campaign in office.store.list_campaigns().await? {
        lines.push(line(office, &campaign).await?);
    }
    Ok(lines)
}

/// What is known about one campaign.
///
/// # Errors
/// No such campaign, one that another version wrote, or the store fails.
pub async fn check(office: &Office, id: CampaignId) -> Result<CampaignCheck, OfficeError> {
    let missing = || StoreError::NotFound {
        what: "campaign",
        id: id.to_string(),
    };
    let campaign = office.store.find_campaign(id).await?.ok_or_else(missing)?;
    let line = line(office, &campaign).await?;
    let content = CampaignContent::read(id, campaign.content)?;
    let persons = office.store.person_counts(id).await?;
    let wording = &content.wording;
    let written = office.templates.languages_of(Audience::Individual, wording.variant());
    let unwritten = persons
        .languages
        .iter()
        .filter(|(language, _)| !written.contains(&language.as_str()));
    let (several, fallback): (Vec<_>, Vec<_>) =
        unwritten.partition(|(language, _)| language.is_empty() && !wording.stacked.is_empty());
    let sum = |group: Vec<(&String, &u64)>| group.into_iter().map(|(_, persons)| persons).sum();
    Ok(CampaignCheck {
        lists: office.store.lists(id).await?,
        reasons: reasons(office.store.bad_row_reasons(id).await?)?,
        bad_rows: office.store.list_bad_rows(id, None, BAD_ROWS_SHOWN).await?,
        in_fallback_language: sum(fallback),
        in_several_languages: sum(several),
        several_languages: wording.stacked.clone(),
        fallback_language: content.fallback_language,
        flags: flags(&persons),
        flagged: flagged(&persons),
        languages: persons.languages,
        countries: persons.countries,
        domains: persons
            .domains
            .into_iter()
            .map(|(domain, persons)| DomainCount { domain, persons })
            .collect(),
        line,
    })
}

pub(crate) async fn line(office: &Office, campaign: &StoredCampaign) -> Result<CampaignLine, OfficeError> {
    let (counts, tally, told) = office.store.counted(campaign.id).await?;
    Ok(CampaignLine {
        id: campaign.id,
        breach: campaign.breach,
        state: campaign.state.name().to_owned(),
        created_at: campaign.created_at,
        counts,
        coverage: Coverage::of(&counts, &tally, &told),
    })
}

fn reasons(counted: BTreeMap<String, u64>) -> Result<Vec<ReasonCount>, StoreError> {
    let mut reasons = Vec::new();
    for (word, rows) in counted {
        let reason: Reason = word.parse().map_err(|_| StoreError::Corrupt {
            what: "bad row",
            why: "its reason is not known".to_owned(),
        })?;
        reasons.push(ReasonCount {
            reason,
            text: reason.text(),
            rows,
        });
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rows));
    Ok(reasons)
}

fn flagged(persons: &PersonCounts) -> BTreeMap<&'static str, Vec<DeliveryId>> {
    let names = Flags::ALL.iter().map(|(_, name, _)| *name).chain([SHARED_ADDRESS.0]);
    let named = names.zip(&persons.flagged).map(|(name, who)| (name, who.clone()));
    named.filter(|(_, who)| !who.is_empty()).collect()
}

/// The columns of the file of persons whose rows are worth a look.
const FLAGGED_COLUMNS: [&str; 5] = ["person", "person_id", "name", "email", "flags"];
/// Persons read from the store at a time.
const PAGE: u32 = 1_000;

/// Writes everybody whose row is worth a look, with the names of the flags. Returns how many there were.
///
/// # Errors
/// The store or the writing fails.
pub async fn export_flagged(office: &Office, campaign: CampaignId, to: impl Write + Send) -> Result<u64, BadRowsError> {
    // That a certificate can be used is no reason to look.
    let looked_for = Flags::ALL.iter().filter(|(flag, _, _)| *flag != Flags::CERTIFICATE);
    let mask = looked_for.clone().fold(0, |mask, (flag, _, _)| mask | flag.0);
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(FLAGGED_COLUMNS)?;
    let (mut after, mut written) = (None, 0);
    loop {
        let page = office.store.list_flagged(campaign, Flags(mask), after, PAGE).await;
        let page = page.map_err(OfficeError::from)?;
        let Some(last) = page.last() else { break };
        after = Some(last.delivery);
        for person in &page {
            let names = looked_for.clone().filter(|(flag, _, _)| person.flags.has(*flag));
            let names: Vec<&str> = names.map(|(_, name, _)| *name).collect();
            let field = |name: &str| person.fields.first(name).unwrap_or_default().to_owned();
            let cells = [
                person.delivery.to_string(),
                field("person_id"),
                field("name"),
                person.address.clone(),
                names.join(", "),
            ];
            writer.write_record(cells.iter().map(|cell| formula_safe(cell).into_owned()))?;
            written += 1;
        }
    }
    writer.flush().map_err(BadRowsError::Flush)?;
    Ok(written)
}

fn flags(persons: &PersonCounts) -> BTreeMap<&'static str, u64> {
    let named = Flags::ALL
        .iter()
        .zip(&persons.flags)
        .map(|((_, name, _), times)| (*name, *times));
    let all = named.chain([(SHARED_ADDRESS.0, persons.shared_addresses)]);
    all.filter(|(_, times)| *times > 0).collect()
}
