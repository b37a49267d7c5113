//! Complete, invented facts: what a template may name is looked up in them, and `templates check` fills templates with
//! them. In a complete example nothing is empty.

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde_json::Value;

use super::{Discreet, NoticeContext, NoticeFacts, PersonContext, PersonFacts, PriorNotice};
use crate::message::template::labels::Labels;
use crate::model::breach::{Contact, ContactKind, Record};
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
    PersonFacts::new(&record(), &person_context(labels))
}

/// The same for a sender that is not to be named: only the contact and what may be said of the matter.
pub fn discreet(labels: &Labels) -> PersonFacts {
    let contact = Contact {
        kind: ContactKind::Other,
        name: Some("Jo Exemple".to_owned()),
        email: Some("contact@neutral.example".to_owned()),
        phone: Some("+352 20 00 02".to_owned()),
        postal: Some("P.O. Box 1, L-1111 Luxembourg".to_owned()),
    };
    let context = PersonContext {
        what_happened: Some("A notebook with data about you was stolen.".to_owned()),
        consequences: Some("Somebody could misuse your name and your address.".to_owned()),
        measures: Some("The access of the notebook was revoked.".to_owned()),
        discreet: Some(Discreet {
            sender: "Data protection office".to_owned(),
            contact,
        }),
        ..person_context(labels)
    };
    PersonFacts::new(&record(), &context)
}

fn person_context(labels: &Labels) -> PersonContext<'_> {
    PersonContext {
        person_name: Some("Alex Exemple".to_owned()),
        not_affected: vec!["credentials".to_owned()],
        updates_at: Some("www.exemple.example".to_owned()),
        authority_name: Some("Example Data Protection Authority".to_owned()),
        authority_address: Some("2, rue de l'Exemple, L-1111 Luxembourg".to_owned()),
        ..PersonContext::new(
            labels,
            Tz::Europe__Luxembourg,
            "K7QX".to_owned(),
            "Exemple S.A.".to_owned(),
        )
    }
}

/// What the facts of a notice, and of a message to a person, look like. Nothing in them is empty: what excludes each other
/// in a true message stands side by side here.
pub(crate) fn shapes() -> [Value; 2] {
    let mut labels: Labels =
        crate::reading::yaml("templates/labels/en.yaml", LABELS.as_bytes()).expect("the built-in labels are tested");
    labels.code = "en".to_owned();
    let complete = "the facts are plain data";
    [
        serde_json::to_value(notice(NoticeKind::Supplementary, &labels)).expect(complete),
        serde_json::to_value(PersonFacts {
            measures: discreet(&labels).measures,
            ..person(&labels)
        })
        .expect(complete),
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
