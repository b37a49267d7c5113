//! Complete, invented facts: what a template may name is looked up in them, and `templates check` fills templates with
//! them. In a complete example nothing is empty.

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde_json::Value;

use super::{NoticeContext, NoticeFacts, PersonContext, PersonFacts, PriorNotice};
use crate::message::template::labels::Labels;
use crate::model::breach::Record;
use crate::model::id::Reference;
use crate::model::notice::NoticeKind;

const RECORD: &str = include_str!("../../../templates/samples/breach.yaml");
const LABELS: &str = include_str!("../../../templates/labels/en.yaml");

fn record() -> Record {
    Record::read("templates/samples/breach.yaml", RECORD.as_bytes()).expect("the sample record is tested")
}

/// The facts of a late follow-up of the sample breach. Nothing in them is missing.
pub fn notice(kind: NoticeKind, labels: &Labels) -> NoticeFacts {
    let record = record();
    let deadline = record
        .strict_deadline()
        .expect("the sample record says when we were aware");
    let context = NoticeContext {
        reference: Reference::from_bits([7; 5]),
        kind,
        sequence: 2,
        prior: vec![PriorNotice {
            reference: Reference::from_bits([3; 5]),
            kind: NoticeKind::Preliminary,
            filed_at: deadline + TimeDelta::hours(1),
            authority_reference: Some("2026/0001".to_owned()),
        }],
        authority_name: "Example Data Protection Authority".to_owned(),
        lead_authority_name: Some("Example Lead Authority".to_owned()),
        timezone: Tz::Europe__Luxembourg,
        labels,
        filed_at: deadline + TimeDelta::hours(20),
        deadline: Some(deadline),
        late: true,
        organisation: "Example Processing Ltd".to_owned(),
        contact: None,
        key_fingerprint: Some("0123456789ABCDEF0123456789ABCDEF01234567".to_owned()),
        attachments: vec!["report.pdf".to_owned()],
        explanation: Some("The number of persons has been counted.".to_owned()),
        next_update_due: None,
    };
    let mut facts = NoticeFacts::new(&record, &context);
    if facts.open.is_empty() {
        facts.open.extend(labels.gap.values().next().cloned());
    }
    facts
}

/// The facts of a message to one person of the sample breach. Nothing in them is missing.
pub fn person(labels: &Labels) -> PersonFacts {
    let context = PersonContext {
        labels,
        timezone: Tz::Europe__Luxembourg,
        reference: "K7QX".to_owned(),
        person_name: Some("Alex Exemple".to_owned()),
        data: None,
        not_affected: vec!["credentials".to_owned()],
        what_happened: None,
        consequences: None,
        organisation: "Exemple S.A.".to_owned(),
        contact: None,
        updates_at: Some("www.exemple.example".to_owned()),
        authority_name: Some("Example Data Protection Authority".to_owned()),
        authority_address: Some("2, rue de l'Exemple, L-1111 Luxembourg".to_owned()),
    };
    PersonFacts::new(&record(), &context)
}

/// What the facts of a notice, and of a message to a person, look like.
pub(crate) fn shapes() -> [Value; 2] {
    let mut labels: Labels =
        crate::reading::yaml("templates/labels/en.yaml", LABELS.as_bytes()).expect("the built-in labels are tested");
    labels.code = "en".to_owned();
    let complete = "the facts are plain data";
    [
        serde_json::to_value(notice(NoticeKind::Supplementary, &labels)).expect(complete),
        serde_json::to_value(person(&labels)).expect(complete),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty_ones(at: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(k, v)| empty_ones(&format!("{at}.{k}"), v, found)),
            Value::Array(items) if !items.is_empty() => items.iter().for_each(|v| empty_ones(at, v, found)),
            Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) if !text.is_empty() => {}
            _ => found.push(at.to_owned()),
        }
    }

    #[test]
    fn the_examples_are_complete() {
        let mut found = Vec::new();
        shapes().iter().for_each(|shape| empty_ones("", shape, &mut found));
        assert_eq!(found, Vec::<String>::new());
    }
}
