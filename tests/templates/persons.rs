//! Messages to persons, the public, other organisations and staff.

use std::sync::Arc;

use breachpost::message::facts::{Discreet, NoticeFacts, PersonContext, PersonFacts, sample};
use breachpost::message::template::{Audience, Templates};
use breachpost::model::breach::{Contact, ContactKind};
use breachpost::model::notice::NoticeKind;

use crate::{LANGUAGES, PERSONS_LANGUAGES, context, flat, golden, minimal, person_context, record, well_formed};

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
    let shared = facts.each_ref().map(|facts| Arc::new(templates.shared(facts).unwrap()));
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
        assert!(
            filled
                .html()
                .contains(&format!("<div lang=\"{}\">\n<h1>{}. ", facts.language, n + 1))
        );
    }
    // Whoever reads one line only knows by then what it is about.
    let lines: Vec<&str> = rendered.text.split("\n- ").take(3).collect();
    for (line, fact) in lines
        .iter()
        .zip(["violation de données", "Datenschutzverletzung", "data breach"])
    {
        assert!(line.contains(fact), "{line}");
    }
    assert!(rendered.subject.chars().count() < 200, "{}", rendered.subject);
}

/// The first sentence after the salutation says that the reader's own data was breached, in every wording.
#[test]
fn the_fact_comes_first() {
    let templates = Templates::load(None).unwrap();
    for (language, breach, yours) in [
        ("de", "Datenschutzverletzung", "Ihre personenbezogenen Daten"),
        ("en", "data breach", "your personal data"),
        ("fr", "violation de données", "vos données personnelles"),
        ("lb", "Dateleck", "är perséinlech donnéeë"),
        ("nl", "datalek", "uw persoonsgegevens"),
        ("pt", "violação de dados", "os seus dados pessoais"),
    ] {
        let labels = templates.labels(language).unwrap();
        for facts in [sample::person(labels), sample::discreet(labels)] {
            let said = templates.render_individual(&facts).unwrap();
            let text = flat(&said);
            let (_, after) = text.split_once("Alex Exemple, ").unwrap();
            let first = after.replace("S.A.", "").to_lowercase();
            let first = first.split(". ").next().unwrap();
            for fact in [breach, yours] {
                assert!(first.contains(&fact.to_lowercase()), "{language}: {first}");
            }
        }
    }
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
            .replace("&nbsp;", " ")
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
