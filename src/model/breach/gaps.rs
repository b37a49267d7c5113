//! What a record still lacks. A gap never blocks sending, since a notice may come in phases (GDPR Art. 33(4)); only the
//! four blockers do, and for each of them "under investigation" is an answer.

use serde::Serialize;

use super::words::{DataCategory, Decision, RiskLevel, SubjectCategory};
use super::{Exemption, Moment, Record, When, YesNo};
use crate::model::Time;

/// Something missing or doubtful, and the article that asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The field's path, such as `data.records`.
    pub field: &'static str,
    /// Such as `GDPR Art. 33(3)(a)`.
    pub article: &'static str,
    /// A sentence for the person who fills in the record.
    pub text: &'static str,
}
const fn gap(field: &'static str, article: &'static str, text: &'static str) -> Gap {
    Gap { field, article, text }
}

const TIME: &str = "GDPR Art. 33(1)";
const NATURE: &str = "GDPR Art. 33(3)(a)";
const CONTACT: &str = "GDPR Art. 33(3)(b)";
const CONSEQUENCES: &str = "GDPR Art. 33(3)(c)";
const MEASURES: &str = "GDPR Art. 33(3)(d)";

impl Record {
    /// What must be added before anything can be sent; empty when nothing stands in the way.
    pub fn blockers(&self) -> Vec<Gap> {
        let mut found = Vec::new();
        if !self.contact.as_ref().is_some_and(super::Contact::is_reachable) {
            found.push(gap(
                "contact",
                CONTACT,
                "There is no contact point: give the e-mail address or telephone number of the data protection officer \
                 or of somebody else who can answer questions.",
            ));
        }
        if self.nature.is_empty() {
            found.push(gap(
                "nature",
                NATURE,
                "The nature of the breach is missing: give one or more of confidentiality, integrity, availability.",
            ));
        }
        if self.consequences.text.is_none() {
            found.push(gap(
                "consequences.text",
                CONSEQUENCES,
                "The likely consequences are missing: describe them, or say that they are under investigation.",
            ));
        }
        if !self.names_measures() {
            found.push(gap(
                "measures",
                MEASURES,
                "The measures taken or proposed are missing: give them under `taken`, `planned` or `mitigation`, or say \
                 in `mitigation` that they are under investigation.",
            ));
        }
        found
    }

    /// What GDPR Art. 33(3) asks for and the record does not say yet, the blockers among it.
    pub fn missing(&self) -> Vec<Gap> {
        let mut found = self.blockers();
        let mut need = |given: bool, gap: Gap| {
            if !given {
                found.push(gap);
            }
        };
        need(
            self.aware().is_some(),
            gap(
                "timeline.aware_at",
                TIME,
                "The time of awareness is missing: without it nobody can see when the 72 hours end.",
            ),
        );
        need(
            self.controller.name.is_some(),
            gap("controller.name", TIME, "The controller's name is missing."),
        );
        need(
            self.summary.is_some(),
            gap(
                "summary",
                NATURE,
                "A description of what happened is missing; three plain sentences are enough.",
            ),
        );
        need(
            stated(&self.data.categories, DataCategory::Unknown),
            gap(
                "data.categories",
                NATURE,
                "The categories of the data are missing; give them as soon as they are known.",
            ),
        );
        need(
            self.data.records.is_known(),
            gap(
                "data.records",
                NATURE,
                "The number of records is missing; an estimate or a range is enough.",
            ),
        );
        need(
            stated(&self.subjects.categories, SubjectCategory::Unknown),
            gap(
                "subjects.categories",
                NATURE,
                "The categories of the persons are missing; give them as soon as they are known.",
            ),
        );
        need(
            self.subjects.persons.is_known(),
            gap(
                "subjects.persons",
                NATURE,
                "The number of persons is missing; an estimate or a range is enough.",
            ),
        );
        need(
            self.contact
                .as_ref()
                .is_none_or(|c| !c.is_reachable() || c.name.is_some()),
            gap("contact.name", CONTACT, "The name of the contact point is missing."),
        );
        need(
            self.consequences.text.as_deref().is_none_or(|t| !is_still_open(t)),
            gap(
                "consequences.text",
                CONSEQUENCES,
                "The likely consequences are still under investigation; an update must follow.",
            ),
        );
        need(
            !self.names_measures() || self.names_settled_measures(),
            gap(
                "measures",
                MEASURES,
                "The measures are still under investigation; an update must follow.",
            ),
        );
        found
    }

    /// Whether a first notice can be called complete: nothing of GDPR Art. 33(3) is missing or still open. Else it is
    /// preliminary.
    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// Everything a person should look at before sending: what is missing, lateness without reasons, decisions without
    /// grounds, and times that do not fit each other. `first_notice` is when the authority was first told, if it was:
    /// an update is not late because the 72 hours have passed since.
    pub fn gaps(&self, now: Time, first_notice: Option<Time>) -> Vec<Gap> {
        let mut found = self.missing();
        let told = first_notice.unwrap_or(now);
        if self.strict_deadline().is_some_and(|end| told > end) && self.delay_reasons.is_none() {
            found.push(gap(
                "delay_reasons",
                TIME,
                "The 72 hours are over: the notice must give the reasons for the delay. Send now; the reasons may follow.",
            ));
        }
        self.doubtful_times(now, &mut found);
        self.decisions_without_grounds(&mut found);
        found
    }

    fn doubtful_times(&self, now: Time, found: &mut Vec<Gap>) {
        let timeline = &self.timeline;
        if let Some(aware) = timeline.aware_at {
            if aware.time() > now {
                found.push(gap(
                    "timeline.aware_at",
                    TIME,
                    "The time of awareness lies in the future.",
                ));
            }
            if timeline
                .detected_at
                .is_some_and(|detected| detected.is_after(When::At(aware)))
            {
                found.push(gap(
                    "timeline.aware_at",
                    TIME,
                    "Awareness lies before the detection; one of the two must be wrong.",
                ));
            }
            let told = timeline.processor_told_at.map(Moment::time);
            if told.is_some_and(|told| aware.time() > told) {
                found.push(gap(
                    "timeline.aware_at",
                    TIME,
                    "Awareness lies after the processor's message; the controller counts as aware once the processor has \
                     told it.",
                ));
            }
        }
        if timeline.ongoing == YesNo::Yes && timeline.occurred_to.is_some() {
            found.push(gap(
                "timeline.ongoing",
                NATURE,
                "The breach is said to go on, but its end is given too.",
            ));
        }
        let per_country: Option<u64> = self.subjects.per_country.values().map(|c| c.min.or(c.max)).sum();
        if let (Some(sum), Some(max)) = (per_country, self.subjects.persons.max)
            && sum > max
        {
            found.push(gap(
                "subjects.per_country",
                NATURE,
                "The countries add up to more persons than there are in all.",
            ));
        }
    }

    fn decisions_without_grounds(&self, found: &mut Vec<Gap>) {
        let communication = &self.communication;
        match self.risk.level {
            RiskLevel::Unlikely if self.risk.rationale.is_none() => found.push(gap(
                "risk.rationale",
                "GDPR Art. 33(1), recital 85",
                "A risk is called unlikely without a reason; the controller must be able to show why.",
            )),
            RiskLevel::HighRisk if communication.decision == Decision::Pending => found.push(gap(
                "communication.decision",
                "GDPR Art. 34(1)",
                "The risk is high: the persons must be told without undue delay. Decide, and write the decision down.",
            )),
            RiskLevel::HighRisk
                if communication.decision == Decision::NotRequired && communication.exemption.is_none() =>
            {
                found.push(gap(
                    "communication.exemption",
                    "GDPR Art. 34(3)",
                    "The risk is high and the persons are not told: say which exemption applies.",
                ));
            }
            RiskLevel::Undetermined => found.push(gap(
                "risk.level",
                "GDPR Art. 33(1), 34(1)",
                "The risk has not been judged yet; the notice may go before it is.",
            )),
            _ => {}
        }
        if communication.decision == Decision::NotRequired && communication.rationale.is_none() {
            found.push(gap(
                "communication.rationale",
                "GDPR Art. 34, 5(2)",
                "The persons are not told: write down why, since the authority may ask.",
            ));
        }
        if communication.exemption == Some(Exemption::AProtected) && self.protection.encrypted != YesNo::Yes {
            found.push(gap(
                "communication.exemption",
                "GDPR Art. 34(3)(a)",
                "The exemption rests on unintelligible data, but the record does not say that they were encrypted.",
            ));
        }
    }

    fn names_measures(&self) -> bool {
        let measures = &self.measures;
        !measures.taken.is_empty() || !measures.planned.is_empty() || measures.mitigation.is_some()
    }
    fn names_settled_measures(&self) -> bool {
        let measures = &self.measures;
        let mut texts = measures.taken.iter().chain(&measures.planned).map(|m| m.text.as_str());
        texts.any(|t| !is_still_open(t)) || measures.mitigation.as_deref().is_some_and(|t| !is_still_open(t))
    }
}

/// Whether a set says something: it is not empty and not only "unknown".
fn stated<T: Ord>(set: &std::collections::BTreeSet<T>, unknown: T) -> bool {
    !set.is_empty() && !set.contains(&unknown)
}

/// Texts to send when the facts are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnderInvestigation {
    /// For `consequences.text`.
    pub consequences: &'static str,
    /// For `measures.mitigation`.
    pub measures: &'static str,
}
const ENGLISH: UnderInvestigation = UnderInvestigation {
    consequences: "The likely consequences are under investigation and will be reported without undue further delay.",
    measures: "The measures are under investigation and will be reported without undue further delay.",
};
const FRENCH: UnderInvestigation = UnderInvestigation {
    consequences: "Les conséquences probables sont en cours d'analyse et seront communiquées sans autre retard indu.",
    measures: "Les mesures sont en cours d'analyse et seront communiquées sans autre retard indu.",
};
const GERMAN: UnderInvestigation = UnderInvestigation {
    consequences: "Die wahrscheinlichen Folgen werden noch untersucht und ohne unangemessene weitere Verzögerung mitgeteilt.",
    measures: "Die Maßnahmen werden noch untersucht und ohne unangemessene weitere Verzögerung mitgeteilt.",
};

/// The texts in a language (`fr`, `fr-LU`); in English where there are none.
pub fn under_investigation(language: &str) -> UnderInvestigation {
    match language.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("fr") => FRENCH,
        Some("de") => GERMAN,
        _ => ENGLISH,
    }
}

/// Whether a text only says that the answer is not known yet.
fn is_still_open(text: &str) -> bool {
    let said = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('\u{2019}', "'");
    let offered = [ENGLISH, FRENCH, GERMAN];
    let short = [
        "under investigation",
        "en cours d'analyse",
        "wird noch untersucht",
        "werden noch untersucht",
    ];
    offered.iter().any(|o| o.consequences == said || o.measures == said)
        || short.contains(&said.trim_end_matches('.').to_lowercase().as_str())
}
