//! What a template may say: every value ready to be printed, in the reader's language and time zone. Made from a breach
//! record and what surrounds the message; `templates/README.md` lists the facts for those who edit wording.
//!
//! Every field is always serialised, so that a template's strict mode can tell a misspelt name from a missing value. A
//! value that is `None` or an empty list is not known, and the templates say so. Knows nothing of templates.

mod person;
pub mod sample;
mod write;

use chrono_tz::Tz;
use serde::Serialize;

use self::write::Writer;
use super::template::labels::{Labels, words};
use crate::model::Time;
use crate::model::breach::{Contact, Decision, KeyState, Record, RiskLevel, Role, Status, When, YesNo};
use crate::model::id::Reference;
use crate::model::notice::NoticeKind;

pub use self::person::{Discreet, PersonContext, PersonFacts, PersonName};

/// What surrounds a notice to an authority: everything it says that is not in the breach record.
#[derive(Debug, Clone)]
pub struct NoticeContext<'a> {
    pub reference: Reference,
    pub kind: NoticeKind,
    /// 1 for the first notice about this breach to this authority.
    pub sequence: u32,
    /// Earlier notices about this breach to this authority, oldest first.
    pub prior: Vec<PriorNotice>,
    /// The authority's name in the language of the notice.
    pub authority_name: String,
    /// The name of the lead authority of the record, whose profile's id the record holds; `None` shows the id.
    pub lead_authority_name: Option<String>,
    /// The authority's zone; times are shown in it and in UTC.
    pub timezone: Tz,
    /// The words of the language the notice is written in.
    pub labels: &'a Labels,
    /// The present.
    pub filed_at: Time,
    /// The end of the 72 hours (GDPR Art. 33(1)); `None` while awareness is not given.
    pub deadline: Option<Time>,
    /// Whether the first notice comes, or came, after the deadline.
    pub late: bool,
    /// Who sends this: the controller, or a processor on its behalf.
    pub organisation: String,
    /// The organisation's contact, used where the record has none.
    pub contact: Option<Contact>,
    /// The fingerprint of our OpenPGP key, in hex.
    pub key_fingerprint: Option<String>,
    /// The names of the attached files.
    pub attachments: Vec<String>,
    /// What the sender adds: the answer, the reason of a withdrawal, what has changed.
    pub explanation: Option<String>,
    /// When the next notice is planned; `None` takes the record's.
    pub next_update_due: Option<When>,
}

/// An earlier notice about the same breach to the same authority.
#[derive(Debug, Clone)]
pub struct PriorNotice {
    pub reference: Reference,
    pub kind: NoticeKind,
    pub filed_at: Time,
    /// The number that the authority gave it.
    pub authority_reference: Option<String>,
}

/// All that a notice to an authority may say.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeFacts {
    /// The language all of this is written in, such as `fr`.
    pub language: String,
    /// The words for what is not known: "will follow" while more notices are to come.
    pub unknown: String,
    /// Our reference, `BP-7K3M-Q2XR`.
    pub reference: String,
    /// 1 for the first notice.
    pub sequence: u32,
    /// Whether this is the first notice about this breach to this authority.
    pub first: bool,
    pub kind: KindFacts,
    /// Whether this kind of notice describes the breach: all but withdrawal and answer.
    pub full: bool,
    /// Whether no further notice is announced: complete, amendment.
    pub r#final: bool,
    /// Whether the incident has turned out to be no breach (GDPR Art. 4(12)).
    pub not_a_breach: bool,
    pub filed_at: String,
    pub authority: AuthorityFacts,
    pub prior: Vec<PriorFacts>,
    pub explanation: Option<String>,
    /// What GDPR Art. 33(3) asks for and is still missing.
    pub open: Vec<String>,
    pub next_update_due: Option<String>,
    pub deadline: DeadlineFacts,
    pub sender: SenderFacts,
    pub attachments: Vec<String>,
    pub controller: ControllerFacts,
    pub contact: ContactFacts,
    pub timeline: TimelineFacts,
    pub nature: NatureFacts,
    pub data: DataFacts,
    pub subjects: SubjectFacts,
    pub protection: ProtectionFacts,
    pub consequences: ConsequenceFacts,
    pub risk: RiskFacts,
    pub measures: MeasureFacts,
    pub communication: CommunicationFacts,
    pub cross_border: CrossBorderFacts,
    /// Other bodies that were told: police, CSIRT, a sector's supervisor.
    pub other_bodies: Vec<String>,
}

/// The kind of a notice: exactly one of the flags is set.
#[derive(Debug, Clone, Serialize)]
pub struct KindFacts {
    /// "Preliminary notification of a personal data breach".
    pub title: String,
    pub preliminary: bool,
    pub supplementary: bool,
    pub complete: bool,
    pub amendment: bool,
    pub withdrawal: bool,
    pub answer: bool,
}

/// Who is told.
#[derive(Debug, Clone, Serialize)]
pub struct AuthorityFacts {
    pub name: String,
    /// The latest number that the authority gave this breach.
    pub reference: Option<String>,
}

/// An earlier notice.
#[derive(Debug, Clone, Serialize)]
pub struct PriorFacts {
    pub reference: String,
    pub title: String,
    pub filed_at: String,
    pub authority_reference: Option<String>,
}

/// The 72 hours of GDPR Art. 33(1).
#[derive(Debug, Clone, Serialize)]
pub struct DeadlineFacts {
    pub ends: Option<String>,
    pub late: bool,
    /// "yes", or "no" and by how much; `None` while the end is not known.
    pub within: Option<String>,
    /// Why the first notice was late.
    pub reasons: Option<String>,
}

/// Who sends the notice.
#[derive(Debug, Clone, Serialize)]
pub struct SenderFacts {
    pub organisation: String,
    /// The organisation, if it is not the controller.
    pub submitted_by: Option<String>,
    /// In groups of four.
    pub key_fingerprint: Option<String>,
}

/// Whose processing was breached.
#[derive(Debug, Clone, Serialize)]
pub struct ControllerFacts {
    pub name: Option<String>,
    pub address: Option<String>,
    pub registration: Option<String>,
    pub sector: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// In which role the notice is made.
    pub role: String,
    /// Whether a processor makes it on the controller's behalf.
    pub on_behalf: bool,
}

/// Who answers questions (GDPR Art. 33(3)(b)).
#[derive(Debug, Clone, Serialize)]
pub struct ContactFacts {
    /// "data protection officer" or "contact point".
    pub kind: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub postal: Option<String>,
}

/// What happened when.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineFacts {
    pub occurred_from: Option<String>,
    pub occurred_to: Option<String>,
    pub ongoing: bool,
    pub estimated: bool,
    pub detected_at: Option<String>,
    pub aware_at: Option<String>,
    pub aware_basis: Option<String>,
    pub processor_aware_at: Option<String>,
    pub processor_told_at: Option<String>,
}

/// The nature of the breach (GDPR Art. 33(3)(a)).
#[derive(Debug, Clone, Serialize)]
pub struct NatureFacts {
    /// Confidentiality, integrity, availability.
    pub affected: Vec<String>,
    pub incident_kinds: Vec<String>,
    pub origin: String,
    pub intent: String,
    pub cyber: String,
    pub summary: Option<String>,
}

/// The data affected.
#[derive(Debug, Clone, Serialize)]
pub struct DataFacts {
    pub categories: Vec<String>,
    /// GDPR Art. 9 and 10; "none" where it is known that there are none.
    pub special: Vec<String>,
    pub other: Option<String>,
    pub records: Option<String>,
}

/// The persons affected.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectFacts {
    pub categories: Vec<String>,
    /// "none" where it is known that there are none.
    pub vulnerable: Vec<String>,
    pub persons: Option<String>,
    /// "Luxembourg: 180".
    pub per_country: Vec<String>,
}

/// How the data were protected.
#[derive(Debug, Clone, Serialize)]
pub struct ProtectionFacts {
    pub encrypted: String,
    /// The state of the key; `None` where the data were not encrypted.
    pub key: Option<String>,
    pub pseudonymised: String,
    pub other: Option<String>,
}

/// The likely consequences (GDPR Art. 33(3)(c)).
#[derive(Debug, Clone, Serialize)]
pub struct ConsequenceFacts {
    pub harms: Vec<String>,
    pub text: Option<String>,
}

/// How the risk was judged.
#[derive(Debug, Clone, Serialize)]
pub struct RiskFacts {
    pub level: String,
    pub rationale: Option<String>,
    pub method: Option<String>,
    pub decided_by: Option<String>,
    pub decided_at: Option<String>,
}

/// The measures (GDPR Art. 33(3)(d)), each with its date.
#[derive(Debug, Clone, Serialize)]
pub struct MeasureFacts {
    pub taken: Vec<String>,
    pub planned: Vec<String>,
    pub mitigation: Option<String>,
}

/// Whether the persons are told (GDPR Art. 34).
#[derive(Debug, Clone, Serialize)]
pub struct CommunicationFacts {
    pub decision: String,
    pub exemption: Option<String>,
    pub rationale: Option<String>,
    /// Which law enforcement authority asked to wait, since when and until when.
    pub hold: Option<String>,
}

/// Which states are concerned.
#[derive(Debug, Clone, Serialize)]
pub struct CrossBorderFacts {
    pub states: Vec<String>,
    pub lead_authority: Option<String>,
    pub main_establishment: Option<String>,
    pub eu_established: String,
    pub representative: Option<String>,
}

impl NoticeFacts {
    /// The facts of a notice about `record`, in the language of `context.labels`.
    pub fn new(record: &Record, context: &NoticeContext) -> Self {
        let labels = context.labels;
        let write = Writer::new(labels, context.timezone);
        let kind = context.kind;
        let full = !matches!(kind, NoticeKind::Withdrawal | NoticeKind::Answer);
        let is_final = matches!(kind, NoticeKind::Complete | NoticeKind::Amendment);
        let standing = &labels.words;
        let next_update_due = context.next_update_due.or(record.next_update_due);
        Self {
            language: labels.code.clone(),
            unknown: if is_final {
                &standing.not_known
            } else {
                &standing.will_follow
            }
            .clone(),
            reference: context.reference.to_string(),
            sequence: context.sequence,
            first: context.sequence <= 1,
            kind: KindFacts::new(kind, labels),
            full,
            r#final: is_final,
            not_a_breach: record.status == Status::NotABreach,
            filed_at: write.instant(context.filed_at),
            authority: AuthorityFacts {
                name: context.authority_name.clone(),
                reference: context.prior.iter().rev().find_map(|p| p.authority_reference.clone()),
            },
            prior: context.prior.iter().map(|p| PriorFacts::new(p, &write)).collect(),
            explanation: context.explanation.clone().filter(|t| !t.trim().is_empty()),
            open: if full { open(record, labels) } else { Vec::new() },
            next_update_due: next_update_due.map(|at| write.when(at)),
            deadline: DeadlineFacts::new(record, context, &write),
            sender: SenderFacts::new(record, context),
            attachments: context.attachments.clone(),
            controller: ControllerFacts::new(record, &context.organisation, labels),
            contact: ContactFacts::new(record.contact.as_ref().or(context.contact.as_ref()), labels),
            timeline: TimelineFacts::new(record, &write),
            nature: NatureFacts::new(record, &write),
            data: DataFacts::new(record, &write),
            subjects: SubjectFacts::new(record, &write),
            protection: ProtectionFacts::new(record, labels),
            consequences: ConsequenceFacts {
                harms: write.set(&labels.harm, record.consequences.harms.iter().map(|h| h.name())),
                text: record.consequences.text.clone(),
            },
            risk: RiskFacts {
                level: words(&labels.risk_level, record.risk.level.name()).to_owned(),
                rationale: record.risk.rationale.clone(),
                method: record.risk.method.clone(),
                decided_by: record.risk.decided_by.clone(),
                decided_at: record.risk.decided_at.map(|at| write.when(at)),
            },
            measures: MeasureFacts {
                taken: record.measures.taken.iter().map(|m| write.measure(m)).collect(),
                planned: record.measures.planned.iter().map(|m| write.measure(m)).collect(),
                mitigation: record.measures.mitigation.clone(),
            },
            communication: CommunicationFacts {
                decision: words(&labels.decision, record.communication.decision.name()).to_owned(),
                exemption: record
                    .communication
                    .exemption
                    .map(|e| words(&labels.exemption, e.name()).to_owned()),
                rationale: record.communication.rationale.clone(),
                hold: record.communication.hold.as_ref().and_then(|h| write.hold(h)),
            },
            cross_border: CrossBorderFacts::new(record, context, &write),
            other_bodies: record.other_bodies.clone(),
        }
    }
}

impl KindFacts {
    fn new(kind: NoticeKind, labels: &Labels) -> Self {
        Self {
            title: words(&labels.kind, kind.name()).to_owned(),
            preliminary: kind == NoticeKind::Preliminary,
            supplementary: kind == NoticeKind::Supplementary,
            complete: kind == NoticeKind::Complete,
            amendment: kind == NoticeKind::Amendment,
            withdrawal: kind == NoticeKind::Withdrawal,
            answer: kind == NoticeKind::Answer,
        }
    }
}

impl PriorFacts {
    fn new(prior: &PriorNotice, write: &Writer) -> Self {
        Self {
            reference: prior.reference.to_string(),
            title: words(&write.labels.kind, prior.kind.name()).to_owned(),
            filed_at: write.instant(prior.filed_at),
            authority_reference: prior.authority_reference.clone(),
        }
    }
}

impl DeadlineFacts {
    fn new(record: &Record, context: &NoticeContext, write: &Writer) -> Self {
        let within = context.deadline.map(|end| match context.late {
            false => write.labels.words.yes.clone(),
            true => write.exceeded(context.filed_at - end),
        });
        Self {
            ends: context.deadline.map(|end| write.instant(end)),
            late: context.late,
            within,
            reasons: record.delay_reasons.clone(),
        }
    }
}

impl SenderFacts {
    fn new(record: &Record, context: &NoticeContext) -> Self {
        let is_controller = controller_name(record, &context.organisation).as_ref() == Some(&context.organisation);
        Self {
            organisation: context.organisation.clone(),
            submitted_by: (!is_controller).then(|| context.organisation.clone()),
            key_fingerprint: context.key_fingerprint.as_deref().map(in_fours),
        }
    }
}

/// The controller's name; where the record has none, the sender's, unless it acts for another.
fn controller_name(record: &Record, organisation: &str) -> Option<String> {
    let own = || (record.role != Role::ProcessorOnBehalf).then(|| organisation.to_owned());
    record.controller.name.clone().or_else(own)
}

/// A fingerprint as people compare it: `0123 4567 …`.
fn in_fours(hex: &str) -> String {
    let symbols: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let groups: Vec<String> = symbols.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

impl ControllerFacts {
    fn new(record: &Record, organisation: &str, labels: &Labels) -> Self {
        let controller = &record.controller;
        Self {
            name: controller_name(record, organisation),
            address: controller.address.clone(),
            registration: controller.registration.clone(),
            sector: controller.sector.clone(),
            email: controller.email.clone(),
            phone: controller.phone.clone(),
            role: words(&labels.role, record.role.name()).to_owned(),
            on_behalf: record.role == Role::ProcessorOnBehalf,
        }
    }

    /// A controller that is not named: `sender` stands in its place.
    fn unnamed(sender: &str, labels: &Labels) -> Self {
        Self {
            name: Some(sender.to_owned()),
            address: None,
            registration: None,
            sector: None,
            email: None,
            phone: None,
            role: words(&labels.role, Role::Controller.name()).to_owned(),
            on_behalf: false,
        }
    }
}

impl ContactFacts {
    fn new(contact: Option<&Contact>, labels: &Labels) -> Self {
        let kind = contact.map_or("other", |c| c.kind.name());
        Self {
            kind: words(&labels.contact_kind, kind).to_owned(),
            name: contact.and_then(|c| c.name.clone()),
            email: contact.and_then(|c| c.email.clone()),
            phone: contact.and_then(|c| c.phone.clone()),
            postal: contact.and_then(|c| c.postal.clone()),
        }
    }
}

impl TimelineFacts {
    fn new(record: &Record, write: &Writer) -> Self {
        let timeline = &record.timeline;
        let moment = |at: crate::model::breach::Moment| write.instant(at.time());
        Self {
            occurred_from: timeline.occurred_from.map(|at| write.when(at)),
            occurred_to: timeline.occurred_to.map(|at| write.when(at)),
            ongoing: timeline.ongoing == YesNo::Yes,
            estimated: timeline.estimated == YesNo::Yes,
            detected_at: timeline.detected_at.map(|at| write.when(at)),
            aware_at: record.aware().map(|at| write.instant(at)),
            aware_basis: timeline.aware_basis.clone(),
            processor_aware_at: timeline.processor_aware_at.map(moment),
            processor_told_at: timeline.processor_told_at.map(moment),
        }
    }
}

impl NatureFacts {
    fn new(record: &Record, write: &Writer) -> Self {
        let labels = write.labels;
        Self {
            affected: write.set(&labels.nature, record.nature.iter().map(|n| n.name())),
            incident_kinds: write.set(&labels.incident_kind, record.incident_kinds.iter().map(|k| k.name())),
            origin: words(&labels.origin, record.cause.origin.name()).to_owned(),
            intent: words(&labels.intent, record.cause.intent.name()).to_owned(),
            cyber: words(&labels.known, record.cause.cyber.name()).to_owned(),
            summary: record.summary.clone(),
        }
    }
}

impl DataFacts {
    fn new(record: &Record, write: &Writer) -> Self {
        let (data, labels) = (&record.data, write.labels);
        let special = data.special.as_ref().map(|set| set.iter().map(|s| s.name()));
        Self {
            categories: write.set(&labels.data_category, data.categories.iter().map(|c| c.name())),
            special: write.known_set(&labels.special_category, special),
            other: data.other.clone(),
            records: write.count(data.records),
        }
    }
}

impl SubjectFacts {
    fn new(record: &Record, write: &Writer) -> Self {
        let (subjects, labels) = (&record.subjects, write.labels);
        let vulnerable = subjects.vulnerable.as_ref().map(|set| set.iter().map(|v| v.name()));
        let per_country = subjects.per_country.iter();
        Self {
            categories: write.set(&labels.subject_category, subjects.categories.iter().map(|c| c.name())),
            vulnerable: write.known_set(&labels.vulnerable_group, vulnerable),
            persons: write.count(subjects.persons),
            per_country: per_country
                .filter_map(|(code, n)| write.country_count(code, *n))
                .collect(),
        }
    }
}

impl ProtectionFacts {
    fn new(record: &Record, labels: &Labels) -> Self {
        let protection = &record.protection;
        let says = protection.encrypted == YesNo::Yes || protection.key_state != KeyState::Unknown;
        Self {
            encrypted: words(&labels.known, protection.encrypted.name()).to_owned(),
            key: says.then(|| words(&labels.key_state, protection.key_state.name()).to_owned()),
            pseudonymised: words(&labels.known, protection.pseudonymised.name()).to_owned(),
            other: protection.other.clone(),
        }
    }
}

impl CrossBorderFacts {
    fn new(record: &Record, context: &NoticeContext, write: &Writer) -> Self {
        let cross_border = &record.cross_border;
        let named = || context.lead_authority_name.clone();
        Self {
            states: write.set(&write.labels.country, cross_border.states.iter().map(String::as_str)),
            lead_authority: cross_border.lead_authority.clone().map(|id| named().unwrap_or(id)),
            main_establishment: cross_border.main_establishment.clone(),
            eu_established: words(&write.labels.known, cross_border.eu_established.name()).to_owned(),
            representative: cross_border.representative.clone(),
        }
    }
}

/// What the authority will want and the record does not say yet (GDPR Art. 33(4)), each once.
fn open(record: &Record, labels: &Labels) -> Vec<String> {
    let mut fields: Vec<&str> = record.missing().iter().map(|gap| gap.field).collect();
    if record.timeline.occurred_from.is_none() {
        fields.push("timeline.occurred_from");
    }
    if record.risk.level == RiskLevel::Undetermined {
        fields.push("risk.level");
    }
    if record.communication.decision == Decision::Pending {
        fields.push("communication.decision");
    }
    let mut open: Vec<String> = Vec::new();
    for field in fields {
        let said = words(&labels.gap, field).to_owned();
        if !open.contains(&said) {
            open.push(said);
        }
    }
    open
}
