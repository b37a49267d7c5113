//! The breach record: what the controller documents of every breach (GDPR Art. 33(5)) and what a notice is made of.
//!
//! A record is written by people under pressure, so everything but the title may be missing: what is not given is
//! unknown, not false. Notices, campaigns and their evidence are kept beside the record, not in it.
//! Knows nothing of templates, storage or sending.

mod check;
mod countries;
mod fields;
mod gaps;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::fields::or_default;
use super::Time;
use super::id::BreachId;
use super::time;
use crate::reading::{self, ReadError};

pub use countries::is_country;
pub use fields::{Count, MAX_COUNT, MAX_LINE, MAX_TEXT, Moment, When, YesNo};
pub use gaps::{Gap, UnderInvestigation, under_investigation};
pub use words::{
    ContactKind, DataCategory, Decision, Exemption, Harm, IncidentKind, Intent, KeyState, Nature, Origin, Precision,
    RiskLevel, Role, SpecialCategory, Status, SubjectCategory, VulnerableGroup,
};

/// A record to fill in, with every field explained. It reads back without error.
pub const TEMPLATE: &str = include_str!("breach/template.yaml");

/// One breach. Serialises to canonical JSON (every field, always in this order) and back without loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Record {
    /// The number in the register; the program gives it.
    #[serde(default)]
    pub id: Option<BreachId>,
    /// A working title for colleagues; the only field that must be given.
    #[serde(deserialize_with = "fields::needed_line")]
    pub title: String,
    #[serde(default, deserialize_with = "or_default")]
    pub controller: Controller,
    #[serde(default = "Record::default_role")]
    pub role: Role,
    /// The language the record is written in (ISO 639, such as `fr`).
    #[serde(default, deserialize_with = "fields::line")]
    pub language: Option<String>,
    /// An id of [`time::REGIMES`].
    #[serde(default = "Record::default_regime")]
    pub regime: String,
    #[serde(default = "Record::default_status")]
    pub status: Status,
    #[serde(default, deserialize_with = "or_default")]
    pub timeline: Timeline,
    /// GDPR Art. 4(12), 33(3)(a).
    #[serde(default, deserialize_with = "or_default")]
    pub nature: BTreeSet<Nature>,
    #[serde(default, deserialize_with = "or_default")]
    pub incident_kinds: BTreeSet<IncidentKind>,
    #[serde(default, deserialize_with = "or_default")]
    pub cause: Cause,
    #[serde(default, deserialize_with = "fields::text")]
    pub summary: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub data: Data,
    #[serde(default, deserialize_with = "or_default")]
    pub subjects: Subjects,
    #[serde(default, deserialize_with = "or_default")]
    pub protection: Safeguards,
    #[serde(default, deserialize_with = "or_default")]
    pub consequences: Consequences,
    #[serde(default, deserialize_with = "or_default")]
    pub risk: Risk,
    #[serde(default, deserialize_with = "or_default")]
    pub measures: Measures,
    #[serde(default)]
    pub contact: Option<Contact>,
    #[serde(default, deserialize_with = "or_default")]
    pub cross_border: CrossBorder,
    #[serde(default, deserialize_with = "or_default")]
    pub communication: Communication,
    /// Why the notice came after 72 hours (GDPR Art. 33(1)).
    #[serde(default, deserialize_with = "fields::text")]
    pub delay_reasons: Option<String>,
    /// When the authority may expect to hear more (GDPR Art. 33(4)).
    #[serde(default)]
    pub next_update_due: Option<When>,
    /// Who else was told: police, CSIRT, a sector's supervisor.
    #[serde(default, deserialize_with = "fields::lines")]
    pub other_bodies: Vec<String>,
    /// SHA-256 of files that belong to the record, lower-case hex.
    #[serde(default, deserialize_with = "fields::lines")]
    pub attachments: Vec<String>,
}

/// Whose processing was breached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Controller {
    #[serde(deserialize_with = "fields::line")]
    pub name: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub address: Option<String>,
    /// The number in the trade register.
    #[serde(deserialize_with = "fields::line")]
    pub registration: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub sector: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub email: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub phone: Option<String>,
}

/// What happened when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeline {
    pub occurred_from: Option<When>,
    pub occurred_to: Option<When>,
    /// Whether it still goes on.
    pub ongoing: YesNo,
    /// Whether the times of occurrence are estimates.
    pub estimated: YesNo,
    /// When something was noticed; not yet awareness.
    pub detected_at: Option<When>,
    /// When it was reasonably certain that personal data were compromised: the clock starts here.
    pub aware_at: Option<Moment>,
    #[serde(deserialize_with = "fields::text")]
    pub aware_basis: Option<String>,
    /// The IANA zone of all times above and below that carry no offset.
    #[serde(deserialize_with = "fields::zone", serialize_with = "fields::zone_name")]
    pub input_tz: Option<chrono_tz::Tz>,
    /// When the processor knew (GDPR Art. 33(2)); starts no clock of the controller's.
    pub processor_aware_at: Option<Moment>,
    /// When the processor told the controller.
    pub processor_told_at: Option<Moment>,
}

/// Where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cause {
    pub origin: Origin,
    pub intent: Intent,
    /// Whether it was an attack on or by means of information systems.
    pub cyber: YesNo,
}
impl Default for Cause {
    fn default() -> Self {
        Self {
            origin: Origin::Unknown,
            intent: Intent::Unknown,
            cyber: YesNo::Unknown,
        }
    }
}

/// The data affected (GDPR Art. 33(3)(a)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    #[serde(deserialize_with = "or_default")]
    pub categories: BTreeSet<DataCategory>,
    /// GDPR Art. 9 and 10; an empty list says that none are affected, a missing one that it is not known.
    pub special: Option<BTreeSet<SpecialCategory>>,
    #[serde(deserialize_with = "fields::text")]
    pub other: Option<String>,
    pub records: Count,
}

/// The persons affected (GDPR Art. 33(3)(a)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subjects {
    #[serde(deserialize_with = "or_default")]
    pub categories: BTreeSet<SubjectCategory>,
    /// An empty list says that there are none, a missing one that it is not known.
    pub vulnerable: Option<BTreeSet<VulnerableGroup>>,
    pub persons: Count,
    /// By ISO 3166-1 alpha-2 code.
    #[serde(deserialize_with = "or_default")]
    pub per_country: BTreeMap<String, Count>,
}

/// How the data were protected before (GDPR Art. 32, 34(3)(a)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safeguards {
    pub encrypted: YesNo,
    pub key_state: KeyState,
    pub pseudonymised: YesNo,
    #[serde(deserialize_with = "fields::text")]
    pub other: Option<String>,
}
impl Default for Safeguards {
    fn default() -> Self {
        Self {
            encrypted: YesNo::Unknown,
            key_state: KeyState::Unknown,
            pseudonymised: YesNo::Unknown,
            other: None,
        }
    }
}

/// The likely consequences (GDPR Art. 33(3)(c)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consequences {
    #[serde(deserialize_with = "or_default")]
    pub harms: BTreeSet<Harm>,
    #[serde(deserialize_with = "fields::text")]
    pub text: Option<String>,
}

/// How the risk was judged, and by whom. `unlikely` needs a rationale (GDPR recital 85).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Risk {
    pub level: RiskLevel,
    #[serde(deserialize_with = "fields::text")]
    pub rationale: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub method: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub decided_by: Option<String>,
    pub decided_at: Option<When>,
}
impl Default for Risk {
    fn default() -> Self {
        Self {
            level: RiskLevel::Undetermined,
            rationale: None,
            method: None,
            decided_by: None,
            decided_at: None,
        }
    }
}

/// What was done and will be done (GDPR Art. 33(3)(d)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measures {
    #[serde(deserialize_with = "or_default")]
    pub taken: Vec<Dated>,
    #[serde(deserialize_with = "or_default")]
    pub planned: Vec<Dated>,
    /// How possible adverse effects are made smaller.
    #[serde(deserialize_with = "fields::text")]
    pub mitigation: Option<String>,
}

/// A measure and its date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated {
    #[serde(default)]
    pub at: Option<When>,
    #[serde(deserialize_with = "fields::needed_text")]
    pub text: String,
    #[serde(default, deserialize_with = "fields::line")]
    pub owner: Option<String>,
    #[serde(default)]
    pub due: Option<When>,
    #[serde(default)]
    pub done: YesNo,
}

/// Who answers the authority's questions (GDPR Art. 33(3)(b)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    #[serde(default = "Contact::default_kind")]
    pub kind: ContactKind,
    #[serde(default, deserialize_with = "fields::line")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "fields::line")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "fields::line")]
    pub phone: Option<String>,
    #[serde(default, deserialize_with = "fields::line")]
    pub postal: Option<String>,
}
impl Contact {
    fn default_kind() -> ContactKind {
        ContactKind::Other
    }
    /// Whether the authority can reach somebody: an e-mail address or a telephone number.
    pub fn is_reachable(&self) -> bool {
        self.email.is_some() || self.phone.is_some()
    }
}

/// Which states are concerned (GDPR Art. 56).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossBorder {
    /// ISO 3166-1 alpha-2 codes.
    #[serde(deserialize_with = "or_default")]
    pub states: BTreeSet<String>,
    /// The id of an authority's profile.
    #[serde(deserialize_with = "fields::line")]
    pub lead_authority: Option<String>,
    #[serde(deserialize_with = "fields::line")]
    pub main_establishment: Option<String>,
    pub eu_established: YesNo,
    /// GDPR Art. 27.
    #[serde(deserialize_with = "fields::line")]
    pub representative: Option<String>,
}

/// Whether and how the persons are told (GDPR Art. 34).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Communication {
    pub decision: Decision,
    pub exemption: Option<Exemption>,
    #[serde(deserialize_with = "fields::text")]
    pub rationale: Option<String>,
    pub hold: Option<LawEnforcementHold>,
}
impl Default for Communication {
    fn default() -> Self {
        Self {
            decision: Decision::Pending,
            exemption: None,
            rationale: None,
            hold: None,
        }
    }
}

/// Law enforcement asked to wait with telling the persons (GDPR recitals 86, 88); never holds the notice to the
/// authority.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LawEnforcementHold {
    #[serde(deserialize_with = "fields::line")]
    pub who: Option<String>,
    pub when: Option<When>,
    pub until: Option<When>,
}

impl Record {
    fn default_role() -> Role {
        Role::Controller
    }
    fn default_status() -> Status {
        Status::Assessing
    }
    fn default_regime() -> String {
        time::GDPR_33.id.to_owned()
    }

    /// Reads a record as a person or program wrote it, in YAML or JSON; `origin` is named in errors.
    ///
    /// # Errors
    /// [`ReadError`] with line and column, for what cannot be read and for what contradicts itself. What is merely
    /// missing is no error: see [`Record::gaps`].
    pub fn read(origin: &str, text: &[u8]) -> Result<Self, ReadError> {
        let (Unchecked(mut record), places) = reading::yaml_or_json_with_places(origin, text)?;
        record.settle().and_then(|()| record.check()).map_err(|flaw| {
            let place = places.find(&flaw.path);
            ReadError {
                origin: origin.to_owned(),
                line: place.line,
                column: place.column,
                message: flaw.to_string(),
            }
        })?;
        Ok(record)
    }

    /// The instant from which the 72 hours count: the controller's awareness, or else the moment the processor told the
    /// controller (EDPB Guidelines 9/2022).
    pub fn aware(&self) -> Option<Time> {
        let timeline = &self.timeline;
        timeline.aware_at.or(timeline.processor_told_at).map(Moment::time)
    }

    /// The deadline acted upon (GDPR Art. 33(1)); `None` while awareness is not given.
    pub fn strict_deadline(&self) -> Option<Time> {
        self.aware().map(time::strict)
    }
}

/// A record before its local times are settled and its fields compared.
struct Unchecked(Record);
impl<'de> Deserialize<'de> for Unchecked {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Record::deserialize(d).map(Unchecked)
    }
}
// The derive above has `remote = "Self"`, so it made inherent functions and left these traits to us: whoever reads a
// record through serde gets a settled and checked one.
impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut record = Record::deserialize(d)?;
        record
            .settle()
            .and_then(|()| record.check())
            .map_err(serde::de::Error::custom)?;
        Ok(record)
    }
}
impl Serialize for Record {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Record::serialize(self, s)
    }
}
