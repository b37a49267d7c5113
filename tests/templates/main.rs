//! What authorities and affected persons read: golden texts of every kind in every language, the items the law asks
//! for, and templates that try to go wrong. `UPDATE_GOLDEN=1 cargo test --test templates` writes the golden texts anew;
//! read the difference like a lawyer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod notices;
mod overlay;
mod persons;

use std::fs;
use std::path::Path;

use breachpost::message::facts::{NoticeContext, NoticeFacts, PersonContext, PriorNotice};
use breachpost::message::template::{Rendered, Templates, WIDTH};
use breachpost::model::Time;
use breachpost::model::breach::Record;
use breachpost::model::notice::NoticeKind;

/// Of those who are told as organisations.
const LANGUAGES: [&str; 3] = ["de", "en", "fr"];
/// Of persons.
const PERSONS_LANGUAGES: [&str; 6] = ["de", "en", "fr", "lb", "nl", "pt"];

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn record() -> Record {
    let file = "tests/data/breach-lu.yaml";
    Record::read(file, &fs::read(file).unwrap()).unwrap()
}

/// As little as may be sent (design: contact, nature, consequences, measures).
fn minimal() -> Record {
    let text = "
title: Something happened
nature: [availability]
consequences: { text: under investigation }
measures: { mitigation: under investigation }
contact: { email: dpo@example.lu }
";
    Record::read("minimal", text.as_bytes()).unwrap()
}

fn context<'a>(templates: &'a Templates, language: &str, kind: NoticeKind, record: &Record) -> NoticeContext<'a> {
    let follows = !matches!(kind, NoticeKind::Preliminary | NoticeKind::Complete);
    let first = PriorNotice {
        reference: "BP-7K3M-Q2XR".parse().unwrap(),
        kind: NoticeKind::Preliminary,
        filed_at: time("2026-11-18T10:20:00Z"),
        authority_reference: Some("2026/1234".to_owned()),
    };
    NoticeContext {
        reference: if follows { "BP-9WZT-41HC" } else { "BP-7K3M-Q2XR" }.parse().unwrap(),
        kind,
        sequence: if follows { 2 } else { 1 },
        prior: if follows { vec![first] } else { Vec::new() },
        authority_name: "Commission nationale pour la protection des données (CNPD)".to_owned(),
        lead_authority_name: Some("Commission nationale pour la protection des données (CNPD)".to_owned()),
        timezone: chrono_tz::Europe::Luxembourg,
        labels: templates.labels(language).unwrap(),
        filed_at: time("2026-11-18T10:30:00Z"),
        deadline: record.strict_deadline(),
        late: false,
        organisation: "Brasserie du Kirchberg S.A.".to_owned(),
        contact: None,
        key_fingerprint: Some("D1A66E1A23B182C9980F788CFBFCC82A015E7330".to_owned()),
        attachments: vec!["register-extract.pdf".to_owned()],
        explanation: match kind {
            NoticeKind::Preliminary | NoticeKind::Complete => None,
            NoticeKind::Withdrawal => Some("The file held test data only; no natural person is concerned.".to_owned()),
            NoticeKind::Answer => {
                Some("To your question 1: yes.\n\nTo your question 2: on 18 November 2026.".to_owned())
            }
            _ => Some("The number of persons has been counted: 412.".to_owned()),
        },
        next_update_due: None,
    }
}

fn notice(language: &str, kind: NoticeKind) -> Rendered {
    let templates = Templates::load(None).unwrap();
    let record = record();
    let facts = NoticeFacts::new(&record, &context(&templates, language, kind, &record));
    templates.render_notice(&facts).unwrap()
}

fn person_context<'a>(templates: &'a Templates, language: &str) -> PersonContext<'a> {
    PersonContext {
        labels: templates.labels(language).unwrap(),
        timezone: chrono_tz::Europe::Luxembourg,
        reference: "K7QX-3M".to_owned(),
        person_name: Some("Anna Muster".to_owned()),
        data: None,
        not_affected: vec!["credentials".to_owned()],
        what_happened: None,
        consequences: None,
        measures: None,
        discreet: None,
        organisation: "Brasserie du Kirchberg S.A.".to_owned(),
        contact: None,
        updates_at: Some("www.brasserie-kirchberg.example".to_owned()),
        authority_name: Some("CNPD".to_owned()),
        authority_address: Some("15, Boulevard du Jazz, L-4370 Belvaux".to_owned()),
    }
}

fn golden(name: &str, rendered: &Rendered) {
    let path = Path::new("tests/golden").join(format!("{name}.txt"));
    let now = format!("Subject: {}\n\n{}", rendered.subject, rendered.text);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        now,
        then,
        "{} differs; if it should, run with UPDATE_GOLDEN=1",
        path.display()
    );
}

/// The text without its line breaks.
fn flat(rendered: &Rendered) -> String {
    rendered.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails if the text shows that something was not filled in, or is not fit to be read.
fn well_formed(rendered: &Rendered) {
    let Rendered { subject, text } = rendered;
    assert!(!subject.is_empty() && !subject.contains('\n'), "{subject:?}");
    assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
    assert!(
        !text.contains("\n\n\n") && text.ends_with('\n') && !text.starts_with('\n'),
        "{text}"
    );
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    for line in text.lines() {
        assert_eq!(line, line.trim_end(), "{text}");
        assert!(line.chars().count() <= WIDTH || !line.trim().contains(' '), "{line:?}");
    }
    for (heading, next) in text.lines().zip(text.lines().skip(2)) {
        assert!(
            !heading.ends_with(':') || !next.is_empty(),
            "nothing follows {heading:?} in {text}"
        );
    }
}

#[test]
fn couriers_may_share_templates() {
    fn shared<T: Send + Sync>() {}
    shared::<Templates>();
}
