//! What authorities and affected persons read: golden texts of every kind in every language, the items the law asks
//! for, and templates that try to go wrong. `UPDATE_GOLDEN=1 cargo test --test templates` writes the golden texts anew;
//! read the difference like a lawyer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use breachpost::message::facts::{
    Discreet, NoticeContext, NoticeFacts, PersonContext, PersonFacts, PriorNotice, sample,
};
use breachpost::message::template::{
    Audience, Rendered, Review, Shared, TemplateError, Templates, Variant, WIDTH, paths,
};
use breachpost::model::Time;
use breachpost::model::breach::{Contact, ContactKind, Record, Status};
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
fn notices_in_every_language_and_kind() {
    for language in LANGUAGES {
        for kind in NoticeKind::ALL {
            let rendered = notice(language, kind);
            well_formed(&rendered);
            golden(&format!("notice-{language}-{}", kind.name()), &rendered);
        }
    }
}

#[test]
fn a_minimal_record_leaves_no_blank() {
    let templates = Templates::load(None).unwrap();
    for (language, unknown) in [
        ("en", "not yet known; will follow"),
        ("fr", "non encore déterminé ; sera communiqué ultérieurement"),
        ("de", "derzeit noch nicht bekannt; wird nachgereicht"),
    ] {
        let record = minimal();
        let context = NoticeContext {
            key_fingerprint: None,
            attachments: Vec::new(),
            ..context(&templates, language, NoticeKind::Preliminary, &record)
        };
        let rendered = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
        well_formed(&rendered);
        golden(&format!("notice-{language}-minimal"), &rendered);
        let on_one_line = flat(&rendered);
        assert!(on_one_line.matches(unknown).count() >= 10, "{}", rendered.text);
        for gap in ["data.records", "subjects.persons", "timeline.aware_at", "summary"] {
            let said = &context.labels.gap[gap];
            assert!(
                on_one_line.contains(&format!("- {said}")),
                "{gap} is not announced: {}",
                rendered.text
            );
        }
    }
}

/// GDPR Art. 33(3)(a) to (d), each by the words of the record or of the labels.
#[test]
fn every_item_of_article_33_is_there() {
    let everywhere = [
        "Brasserie du Kirchberg S.A.",
        "A payroll export (XLSX, not encrypted)",
        "Claire Weber",
        "dpo@brasserie-kirchberg.example",
        "+352 621 000 111",
        "The recipient could see names",
        "Supplier asked to delete the mail",
        "Automatic encryption of payroll exports",
        "Employees are told what to watch for",
        "The supplier telephoned; the payroll officer",
        "High risk; no exemption of Art. 34(3) applies.",
        "Identification numbers together with bank accounts",
        "D1A6 6E1A 23B1 82C9 980F 788C FBFC C82A 015E 7330",
        "BP-7K3M-Q2XR",
        "register-extract.pdf",
        "412",
    ];
    let in_language = [
        (
            "en",
            [
                "confidentiality",
                "employees",
                "approximately 410 to 412",
                "412 (exact figure)",
                "national identification",
                "Germany: 30",
                "18 November 2026, 10:20 (UTC+1; 09:20 UTC)",
                "21 November 2026, 10:20 (UTC+1; 09:20 UTC)",
                "identity theft or fraud",
            ],
        ),
        (
            "fr",
            [
                "confidentialité",
                "salariés",
                "environ 410 à 412",
                "412 (nombre exact)",
                "numéro d'identification national",
                "Allemagne : 30",
                "18 novembre 2026 à 10 h 20 (UTC+1 ; 09 h 20 UTC)",
                "21 novembre 2026 à 10 h 20 (UTC+1 ; 09 h 20 UTC)",
                "usurpation d'identité",
            ],
        ),
        (
            "de",
            [
                "Vertraulichkeit",
                "Beschäftigte",
                "ungefähr 410 bis 412",
                "412 (genaue Zahl)",
                "nationale Kennziffer",
                "Deutschland: 30",
                "18. November 2026, 10:20 Uhr (UTC+1; 09:20 UTC)",
                "21. November 2026, 10:20 Uhr (UTC+1; 09:20 UTC)",
                "Identitätsdiebstahl",
            ],
        ),
    ];
    for (language, words) in in_language {
        for kind in [
            NoticeKind::Preliminary,
            NoticeKind::Supplementary,
            NoticeKind::Complete,
            NoticeKind::Amendment,
        ] {
            let text = flat(&notice(language, kind));
            for wanted in everywhere.iter().chain(&words) {
                assert!(
                    text.contains(wanted),
                    "{language} {}: {wanted:?} is missing in {text}",
                    kind.name()
                );
            }
        }
    }
}

#[test]
fn later_notices_name_the_earlier_ones() {
    for language in LANGUAGES {
        for kind in [
            NoticeKind::Supplementary,
            NoticeKind::Amendment,
            NoticeKind::Withdrawal,
            NoticeKind::Answer,
        ] {
            let Rendered { subject, text } = notice(language, kind);
            for wanted in ["BP-7K3M-Q2XR", "BP-9WZT-41HC", "2026/1234"] {
                assert!(text.contains(wanted), "{wanted} in {text}");
            }
            assert!(
                subject.contains("BP-9WZT-41HC") && subject.contains("2026/1234"),
                "{subject}"
            );
        }
    }
}

#[test]
fn late_with_and_without_reasons() {
    let templates = Templates::load(None).unwrap();
    let follows = [
        (
            "en",
            "The reasons for the delay cannot be stated yet; they will follow",
            "no (exceeded by 26 h 15 min)",
        ),
        (
            "fr",
            "Les motifs du retard ne peuvent pas encore être indiqués",
            "non (délai dépassé de 26 h 15 min)",
        ),
        (
            "de",
            "Eine Begründung für die Verzögerung kann noch nicht beigefügt werden",
            "nein (Überschreitung: 26 Std. 15 Min.)",
        ),
    ];
    for (language, they_follow, exceeded) in follows {
        let mut record = record();
        for reasons in [None, Some("The mailbox was not watched over the weekend.")] {
            record.delay_reasons = reasons.map(str::to_owned);
            let late = NoticeContext {
                filed_at: time("2026-11-22T11:35:00Z"),
                late: true,
                ..context(&templates, language, NoticeKind::Complete, &record)
            };
            let rendered = templates.render_notice(&NoticeFacts::new(&record, &late)).unwrap();
            well_formed(&rendered);
            let text = flat(&rendered);
            assert!(text.contains(exceeded), "{text}");
            assert_eq!(text.contains(they_follow), reasons.is_none(), "{text}");
            assert_eq!(
                text.contains("The mailbox was not watched"),
                reasons.is_some(),
                "{text}"
            );
            if reasons.is_some() {
                golden(&format!("notice-{language}-late"), &rendered);
            }
        }
        let on_time = notice(language, NoticeKind::Complete).text;
        assert!(!on_time.contains(they_follow), "{on_time}");
    }
}

#[test]
fn a_withdrawal_without_words_says_why_if_the_record_does() {
    let templates = Templates::load(None).unwrap();
    let mut record = record();
    let context = NoticeContext {
        explanation: None,
        ..context(&templates, "en", NoticeKind::Withdrawal, &record)
    };
    let text = flat(&templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap());
    assert!(text.contains("The reasons are not stated in this notice"), "{text}");
    record.status = Status::NotABreach;
    let text = flat(&templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap());
    assert!(
        text.contains("no personal data breach within the meaning of Art. 4(12)"),
        "{text}"
    );
    assert!(!text.contains("The reasons are not stated"), "{text}");
}

#[test]
fn a_final_notice_says_what_could_not_be_established() {
    let templates = Templates::load(None).unwrap();
    let record = minimal();
    let context = context(&templates, "en", NoticeKind::Complete, &record);
    let rendered = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
    well_formed(&rendered);
    let text = flat(&rendered);
    assert!(
        text.contains("Information that could not be established - the time at which"),
        "{text}"
    );
    assert!(
        !text.contains("will follow") && text.contains("no information available"),
        "{text}"
    );
}

#[test]
fn a_processor_says_for_whom_it_writes() {
    let templates = Templates::load(None).unwrap();
    for (language, says) in [
        ("en", "as processor, on behalf of and as mandated by the controller"),
        (
            "fr",
            "en qualité de sous-traitant, au nom et sur mandat du responsable du traitement",
        ),
        ("de", "als Auftragsverarbeiter im Namen und Auftrag"),
    ] {
        let facts = sample::notice(NoticeKind::Supplementary, templates.labels(language).unwrap());
        let rendered = templates.render_notice(&facts).unwrap();
        well_formed(&rendered);
        golden(&format!("notice-{language}-processor"), &rendered);
        let text = flat(&rendered);
        assert!(text.contains(says) && text.contains("Example Processing Ltd"), "{text}");
        assert!(!flat(&notice(language, NoticeKind::Supplementary)).contains(says));
    }
}

#[test]
fn couriers_may_share_templates() {
    fn shared<T: Send + Sync>() {}
    shared::<Templates>();
}

#[test]
fn messages_to_persons() {
    let templates = Templates::load(None).unwrap();
    for language in PERSONS_LANGUAGES {
        let context = person_context(&templates, language);
        let rendered = templates
            .render_individual(&PersonFacts::new(&record(), &context))
            .unwrap();
        well_formed(&rendered);
        golden(&format!("person-{language}"), &rendered);
        for wanted in [
            "Anna Muster",
            "Claire Weber",
            "+352 621 000 111",
            "12, rue Erasme",
            "K7QX-3M",
            "CNPD",
        ] {
            assert!(rendered.text.contains(wanted), "{wanted}: {}", rendered.text);
        }
        for linked in ["http", "<", "click here"] {
            assert!(!rendered.text.contains(linked), "{}", rendered.text);
        }
        let bare = PersonContext {
            person_name: None,
            not_affected: Vec::new(),
            updates_at: None,
            authority_name: None,
            authority_address: None,
            ..context
        };
        let rendered = templates
            .render_individual(&PersonFacts::new(&minimal(), &bare))
            .unwrap();
        well_formed(&rendered);
        golden(&format!("person-{language}-minimal"), &rendered);
    }
}

/// Names neither the sender nor special categories of data, and takes no free text of the record.
#[test]
fn discreet_messages_do_not_tell_who_writes() {
    let templates = Templates::load(None).unwrap();
    for language in PERSONS_LANGUAGES {
        for told in [false, true] {
            let context = PersonContext {
                data: Some(["contact", "credentials", "health"].map(str::to_owned).to_vec()),
                discreet: Some(Discreet {
                    sender: "Data protection office".to_owned(),
                    contact: Contact {
                        kind: ContactKind::Other,
                        name: None,
                        email: None,
                        phone: Some("+352 621 000 222".to_owned()),
                        postal: None,
                    },
                }),
                what_happened: told.then(|| "A list was lost.".to_owned()),
                consequences: told.then(|| "Your address may be misused.".to_owned()),
                measures: told.then(|| "The list was found again.".to_owned()),
                not_affected: Vec::new(),
                ..person_context(&templates, language)
            };
            let rendered = templates
                .render_individual(&PersonFacts::new(&record(), &context))
                .unwrap();
            well_formed(&rendered);
            let whole = format!("{}\n{}", rendered.subject, flat(&rendered));
            let health = &context.labels.your_data["health"];
            for secret in ["Brasserie", "brasserie", "Weber", "Erasme", "payroll", health] {
                assert!(!whole.contains(secret), "{language}: {secret} in {whole}");
            }
            for wanted in ["K7QX-3M", "+352 621 000 222", "Data protection office"] {
                assert!(whole.contains(wanted), "{language}: {wanted} in {whole}");
            }
            let name = if told { "" } else { "-on-call" };
            golden(&format!("person-{language}-discreet{name}"), &rendered);
        }
    }
}

#[test]
fn the_public_is_told_the_same() {
    let templates = Templates::load(None).unwrap();
    for language in PERSONS_LANGUAGES {
        let facts = PersonFacts::new(&record(), &person_context(&templates, language));
        let rendered = templates.fill_public(&facts).unwrap().rendered();
        well_formed(&rendered);
        assert!(!rendered.text.contains("Anna Muster"), "{}", rendered.text);
        golden(&format!("public-{language}"), &rendered);
    }
}

#[test]
fn other_organisations_and_staff() {
    let templates = Templates::load(None).unwrap();
    let record = record();
    for audience in [Audience::Controller, Audience::Partner, Audience::Internal] {
        for language in LANGUAGES {
            let context = context(&templates, language, NoticeKind::Preliminary, &record);
            let facts = NoticeFacts::new(&record, &context);
            let rendered = templates.render_notice_for(audience, &facts).unwrap();
            well_formed(&rendered);
            for wanted in [
                "BP-7K3M-Q2XR",
                "Claire Weber",
                "A payroll export",
                "Supplier asked to delete",
            ] {
                assert!(flat(&rendered).contains(wanted), "{wanted}: {}", rendered.text);
            }
            golden(&format!("{}-{language}", audience.name()), &rendered);
        }
    }
}

#[test]
fn one_message_in_several_languages() {
    let templates = Templates::load(None).unwrap();
    let facts = ["fr", "de", "en"].map(|language| PersonFacts::new(&record(), &person_context(&templates, language)));
    let shared = facts.each_ref().map(|facts| Arc::new(Shared::new(facts)));
    let filled = templates.fill_stacked(&shared, &facts[0].person).unwrap();
    let rendered = filled.rendered();
    well_formed(&rendered);
    golden("person-stacked", &rendered);
    for (n, facts) in facts.iter().enumerate() {
        let alone = templates.render_individual(facts).unwrap();
        assert!(
            rendered.text.contains(&alone.text),
            "the whole message in {}",
            facts.language
        );
        assert!(filled.html().contains(&format!("<h1>{}. ", n + 1)));
    }
    assert!(rendered.subject.chars().count() < 200, "{}", rendered.subject);
}

/// The HTML says the same as the text, and loads and links nothing.
#[test]
fn html_says_the_same() {
    let templates = Templates::load(None).unwrap();
    let mut record = record();
    record.summary = Some("<img src=https://evil.example/x> & \"more\"".to_owned());
    let tag = regex::Regex::new("<[^>]*>").unwrap();
    for language in PERSONS_LANGUAGES {
        let facts = PersonFacts::new(&record, &person_context(&templates, language));
        let filled = templates.fill_individual(&facts).unwrap();
        let (html, text) = (filled.html(), filled.rendered().text);
        for forbidden in [
            "<img", "<a ", "<script", "<link", "url(", "src=\"", "href", "<form", "<iframe",
        ] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
        assert!(html.contains(&format!("<html lang=\"{language}\">")), "{html}");
        let body = html.split_once("<body>").unwrap().1;
        let words = |text: &str| {
            let kept = text.split_whitespace().filter(|w| w.contains(char::is_alphanumeric));
            kept.map(str::to_owned).collect::<Vec<_>>()
        };
        let plain = tag.replace_all(body, " ");
        let plain = plain
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&");
        let (mut in_html, mut in_text) = (words(&plain), words(&text));
        // Rows of two columns are in another order where a label is wrapped.
        in_html.sort();
        in_text.sort();
        assert_eq!(in_html, in_text, "{language}");
    }
}

#[test]
fn advice_fits_the_data() {
    let templates = Templates::load(None).unwrap();
    let advice = |data: &[&str]| {
        let context = PersonContext {
            data: Some(data.iter().map(|d| (*d).to_owned()).collect()),
            ..person_context(&templates, "en")
        };
        PersonFacts::new(&record(), &context).advice
    };
    let (password, bank) = ("Change the password", "Check your bank");
    for (data, given, not_given) in [
        (vec!["credentials"], password, bank),
        (vec!["financial"], bank, password),
        (vec![], "Never give passwords", bank),
    ] {
        let said = advice(&data);
        assert!(said.iter().any(|a| a.starts_with(given)), "{data:?}: {said:?}");
        assert!(!said.iter().any(|a| a.starts_with(not_given)), "{data:?}: {said:?}");
    }
    let both = advice(&["national_id", "official_document"]);
    assert_eq!(both.len(), 2, "the same advice is given once: {both:?}");
}

#[test]
fn values_are_never_evaluated() {
    let templates = Templates::load(None).unwrap();
    let nasty = "{{reference}} {{{x}}} {{#if 1}}y{{/if}} {{> (lookup . 'a')}} \\{{z}} <b>&amp;</b> {date}";
    for language in LANGUAGES {
        let mut record = record();
        record.controller.address = Some(nasty.to_owned());
        record.summary = Some(nasty.to_owned());
        record.measures.taken[0].text = nasty.to_owned();
        record.controller.name = Some(nasty.to_owned());
        let context = context(&templates, language, NoticeKind::Preliminary, &record);
        let Rendered { subject, text } = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.matches(nasty).count() >= 4, "{text}");
        assert!(subject.contains(nasty), "{subject}");
    }
}

#[test]
fn control_characters_do_not_get_through() {
    let templates = Templates::load(None).unwrap();
    let mut record = record();
    record.controller.name = Some("A\r\nBcc: everyone\u{2}\u{1f}\u{18}\u{202e}".to_owned());
    record.summary = Some("one\r\ntwo\u{1b}[31m\tthree\u{2028}four\n# five".to_owned());
    let context = context(&templates, "en", NoticeKind::Preliminary, &record);
    let Rendered { subject, text } = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
    assert!(
        subject.contains("A Bcc: everyone") && !subject.chars().any(char::is_control),
        "{subject:?}"
    );
    assert!(text.contains("\none\ntwo\u{fffd}[31m three\nfour\n# five\n"), "{text}");
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
        "{text:?}"
    );
}

#[test]
fn built_in_templates_and_labels_are_sound() {
    let templates = Templates::load(None).unwrap();
    assert_eq!(templates.check(), Vec::new());
    for audience in Audience::ALL {
        let wanted: &[&str] = match audience.speaks_to_persons() {
            true => &PERSONS_LANGUAGES,
            false => &LANGUAGES,
        };
        assert_eq!(templates.languages(audience), wanted);
    }
    let discreet = templates.languages_of(Audience::Individual, Variant::Discreet);
    assert_eq!(discreet, PERSONS_LANGUAGES);
    for (audience, variant, language, review) in templates.list() {
        assert_ne!(review, Review::NotSaid, "{audience:?} {variant:?} {language}");
    }
}

/// Every language lays out the same facts: none is forgotten in a translation.
#[test]
fn languages_say_the_same() {
    let discreet = [(Audience::Individual, "discreet.hbs")];
    for (audience, ending) in Audience::ALL
        .map(|audience| (audience, "hbs"))
        .into_iter()
        .chain(discreet)
    {
        let named = |language: &str| {
            let text = fs::read_to_string(format!("templates/{}/{language}.{ending}", audience.name())).unwrap();
            let mut braces: Vec<String> = text
                .split("{{")
                .skip(1)
                .map(|b| b.split("}}").next().unwrap().to_owned())
                .collect();
            braces.retain(|b| !b.starts_with('!'));
            // The label of a row is wording; what it shows is not.
            let facts = braces.iter().map(|b| match (b.find('"'), b.rfind('"')) {
                (Some(from), Some(to)) => format!("{}{}", &b[..from], &b[to + 1..]),
                _ => b.clone(),
            });
            facts.collect::<Vec<_>>()
        };
        let languages: &[&str] = match audience.speaks_to_persons() {
            true => &PERSONS_LANGUAGES,
            false => &LANGUAGES,
        };
        for language in languages {
            assert_eq!(named(language), named("en"), "{}/{language}.{ending}", audience.name());
        }
    }
}

/// A home's `templates/` with one file.
fn overlay(file: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    (home, path)
}

#[test]
fn an_overlay_replaces_one_file() {
    let (home, _) = overlay(
        "authority/en.hbs",
        "Subject: Ours {{reference}}\n\nDear {{authority.name}}\n",
    );
    let templates = Templates::load(Some(home.path())).unwrap();
    let english = templates
        .render_notice(&sample::notice(NoticeKind::Answer, templates.labels("en").unwrap()))
        .unwrap();
    assert_eq!(english.subject, "Ours BP-0W3G-E1R7");
    assert_eq!(english.text, "Dear Example Data Protection Authority\n");
    let french = templates
        .render_notice(&sample::notice(NoticeKind::Answer, templates.labels("fr").unwrap()))
        .unwrap();
    assert!(french.text.contains("Notre réponse"), "{}", french.text);
    assert_eq!(templates.check(), Vec::new());
}

#[test]
fn faulty_templates_are_refused_with_their_place() {
    let cases = [
        ("{{controler.name}}", 3, 1, "did you mean `controller.name`?"),
        ("a {{controller.nam}}", 3, 3, "did you mean `controller.name`?"),
        ("{{#if deadline.lat}}x{{/if}}", 3, 1, "did you mean `deadline.late`?"),
        ("{{#unless kind.withdrawel}}x{{/unless}}", 3, 1, "`kind.withdrawal`"),
        (
            "{{#each prior}}{{referense}}{{/each}}",
            3,
            16,
            "did you mean `reference`?",
        ),
        (
            "{{#each prior}}x{{else}}{{nothing}}{{/each}}",
            3,
            25,
            "no fact `nothing`",
        ),
        (
            "{{#each prior}}{{../refrence}}{{/each}}",
            3,
            16,
            "did you mean `../reference`?",
        ),
        ("{{#each prior}}{{../../reference}}{{/each}}", 3, 16, "leads outside"),
        (
            "{{#with controler}}x{{else}}y{{/with}}",
            3,
            1,
            "did you mean `controller`?",
        ),
        (
            "{{#if (and first deadline.lat)}}x{{/if}}",
            3,
            1,
            "did you mean `deadline.late`?",
        ),
        (
            "{{#if first}}x{{else if firsst}}y{{/if}}",
            3,
            1,
            "did you mean `first`?",
        ),
        ("{{#if (eq first 1)}}x{{/if}}", 3, 1, "there are and, or, not"),
        ("{{#if controller}}x{{/if}}", 3, 1, "always there"),
        ("{{controller}}", 3, 1, "is a group"),
        ("{{attachments}}", 3, 1, "is a list"),
        ("{{deadline.late}}", 3, 1, "yes or no"),
        ("{{field controller.name}}", 3, 1, "{{field \"Label\" fact}}"),
        ("{{field \"Name\" controler.name}}", 3, 1, "did you mean"),
        ("{{field \"Earlier\" prior}}", 3, 1, "write `#each`"),
        ("{{paragraph attachments}}", 3, 1, "takes no list"),
        ("{{list reference}}", 3, 1, "list"),
        ("{{lookup prior 0}}", 3, 1, "no helper `lookup`"),
        ("{{{reference}}}", 3, 1, "two braces"),
        ("{{> other}}", 3, 1, "not available"),
        ("{{#*inline \"a\"}}x{{/inline}}", 3, 1, "not available"),
        ("{{#if first}}", 3, 1, "`#if` has no `{{/if}}`"),
        (
            "x {{#if first}}y{{/unless}}",
            3,
            17,
            "`/unless` stands where `/if` is expected",
        ),
        ("y{{/if}}", 3, 2, "closes nothing"),
        ("{{reference", 3, 1, "without `}}`"),
        ("{{a b}}", 3, 1, "no helper `a`"),
        ("{{=}}", 3, 3, "cannot be understood"),
        ("{{#each prior}}{{@last}}{{/each}}", 3, 16, "yes or no"),
        ("{{#each prior as |p|}}{{p.reference}}{{/each}}", 3, 1, "takes one fact"),
        ("bell \u{7}", 3, 6, "control character"),
    ];
    for (text, line, column, problem) in cases {
        let (home, path) = overlay("authority/en.hbs", &format!("Subject: x\n\n{text}\n"));
        let templates = Templates::load(Some(home.path())).unwrap();
        let facts = sample::notice(NoticeKind::Preliminary, templates.labels("en").unwrap());
        let error = templates.render_notice(&facts).unwrap_err();
        let TemplateError::Faulty { first, .. } = &error else {
            panic!("{text}: {error}")
        };
        assert!(first.problem.contains(problem), "{text}: {first}");
        assert_eq!((first.line, first.column), (line, column), "{text}: {first}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{}:{line}:{column}: ", path.display())),
            "{error}"
        );
        assert!(templates.check().contains(first), "{text}");
    }
    for (text, problem) in [
        ("Hello\n", "`Subject:`"),
        ("Hello\nSubject: x\n\ny\n", "only comments"),
        ("Subject:\n\ny\n", "empty"),
    ] {
        let (home, _) = overlay("individual/en.hbs", text);
        let templates = Templates::load(Some(home.path())).unwrap();
        let facts = sample::person(templates.labels("en").unwrap());
        let error = templates.render_individual(&facts).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn overlays_that_cannot_be_used_are_reported() {
    let cases = [
        ("authority/english.hbs", "Subject: x\n", "is not used"),
        ("authority/it.hbs", "Subject: x\n\ny\n", "labels/it.yaml is missing"),
        ("public/fr.discreet.hbs", "Subject: x\n\ny\n", "is not used"),
        ("labels/en.yaml", "language: English\n", "missing field"),
    ];
    for (file, text, problem) in cases {
        let (home, path) = overlay(file, text);
        let templates = Templates::load(Some(home.path())).unwrap();
        let findings = templates.check();
        let named = findings
            .iter()
            .any(|f| f.file == path.display().to_string() && f.problem.contains(problem));
        assert!(named, "{file}: {findings:?}");
        assert_eq!(templates.languages(Audience::Authority), LANGUAGES, "{file}");
    }
    let labels = fs::read_to_string("templates/labels/en.yaml")
        .unwrap()
        .replace("  physical: physical harm\n", "");
    let (home, _) = overlay("labels/en.yaml", &labels);
    let findings = Templates::load(Some(home.path())).unwrap().check();
    assert!(
        findings.iter().any(|f| f.problem == "`harm.physical` is missing"),
        "{findings:?}"
    );
    let (home, _) = overlay("authority/en.hbs", &"x".repeat(300_000));
    assert!(matches!(
        Templates::load(Some(home.path())),
        Err(TemplateError::TooLarge { .. })
    ));
    let facts = {
        let templates = Templates::load(None).unwrap();
        let mut facts = sample::notice(NoticeKind::Answer, templates.labels("en").unwrap());
        facts.language = "lb".to_owned();
        facts
    };
    let error = Templates::load(None)
        .unwrap()
        .render_notice(&facts)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`lb`") && error.contains("de, en, fr"), "{error}");
}

/// The list of facts for those who edit wording names each of them.
#[test]
fn the_readme_names_every_fact() {
    let readme = fs::read_to_string("templates/README.md").unwrap();
    let labels = Templates::load(None).unwrap();
    let labels = labels.labels("en").unwrap();
    let shapes = [
        serde_json::to_value(sample::notice(NoticeKind::Supplementary, labels)).unwrap(),
        serde_json::to_value(sample::person(labels)).unwrap(),
        serde_json::to_value(sample::discreet(labels)).unwrap(),
    ];
    for path in shapes.iter().flat_map(paths) {
        assert!(
            readme.contains(&format!("`{path}`")),
            "templates/README.md does not explain `{path}`"
        );
    }
}
