//! The linter of messages to persons: what it must find in each language, and what it must leave alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use breachpost::message::facts::{PersonContext, PersonFacts, sample};
use breachpost::message::template::lint::readability::{self, FORMULAS};
use breachpost::message::template::lint::{Matter, lint};
use breachpost::message::template::{Finding, Rendered, Severity, Templates};
use breachpost::model::breach::{Record, RiskLevel};

const LANGUAGES: [&str; 6] = ["de", "en", "fr", "lb", "nl", "pt"];

fn matter(risk: RiskLevel) -> Matter {
    Matter { risk, foreign: None }
}

fn message(language: &str) -> (Rendered, PersonFacts) {
    let templates = Templates::load(None).unwrap();
    let facts = sample::person(templates.labels(language).unwrap());
    (templates.render_individual(&facts).unwrap(), facts)
}

/// What is found when a sentence is added to a sound message.
fn with(language: &str, sentence: &str, risk: RiskLevel) -> Vec<Finding> {
    let (mut said, facts) = message(language);
    said.text.push_str(&format!("\n{sentence}\n"));
    serious(lint(&said, &facts, &matter(risk), "test"))
}

fn serious(found: Vec<Finding>) -> Vec<Finding> {
    found.into_iter().filter(|f| f.severity > Severity::Note).collect()
}

fn codes(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|f| f.code).collect()
}

#[test]
fn built_in_messages_are_sound_with_every_kind_of_data_and_harm() {
    let templates = Templates::load(None).unwrap();
    for language in LANGUAGES {
        let labels = templates.labels(language).unwrap();
        let facts = PersonFacts {
            your_data: labels.your_data.values().cloned().collect(),
            harms: labels.your_harm.values().cloned().collect(),
            advice: labels.advice.iter().map(|a| a.text.clone()).collect(),
            ..sample::person(labels)
        };
        for filled in [
            templates.fill_individual(&facts).unwrap(),
            templates.fill_public(&facts).unwrap(),
        ] {
            let found = lint(&filled.rendered(), &facts, &matter(RiskLevel::HighRisk), "test");
            assert_eq!(serious(found), Vec::new(), "{language}");
        }
    }
}

#[test]
fn each_language_is_judged_by_its_own_words() {
    use RiskLevel::{HighRisk, Risk, Unlikely};
    for (language, sentence, code) in [
        (
            "en",
            "Please enter your password to keep your account.",
            "phishing.secret",
        ),
        ("en", "Click here to learn more.", "phishing.click"),
        ("en", "Act now, or your account will be closed.", "phishing.haste"),
        ("en", "There is no reason\nfor concern.", "risk.contradicted"),
        ("fr", "Confirmez votre mot de passe.", "phishing.secret"),
        ("fr", "Cliquez sur le bouton.", "phishing.click"),
        ("fr", "Agissez maintenant.", "phishing.haste"),
        ("fr", "Vous n’avez rien à craindre.", "risk.contradicted"),
        ("de", "Bestätigen Sie Ihr Passwort.", "phishing.secret"),
        ("de", "Klicken Sie auf den Knopf.", "phishing.click"),
        ("de", "Handeln Sie sofort.", "phishing.haste"),
        ("de", "Es besteht kein Grund zur Sorge.", "risk.contradicted"),
        ("nl", "Bevestig uw wachtwoord.", "phishing.secret"),
        ("nl", "Klik op de knop.", "phishing.click"),
        ("nl", "Handel nu.", "phishing.haste"),
        ("nl", "Er is geen reden tot zorg.", "risk.contradicted"),
        ("lb", "Bestätegt Äert Passwuert.", "phishing.secret"),
        ("lb", "Klickt op de Knäppchen.", "phishing.click"),
        ("lb", "Handelt elo.", "phishing.haste"),
        ("lb", "Et ass kee Risiko fir Iech.", "risk.contradicted"),
        ("pt", "Confirme a sua palavra-passe.", "phishing.secret"),
        ("pt", "Clique no botão.", "phishing.click"),
        ("pt", "Aja agora.", "phishing.haste"),
        ("pt", "Não há motivo para preocupação.", "risk.contradicted"),
    ] {
        let found = with(language, sentence, HighRisk);
        assert_eq!(codes(&found), [code], "{language}: {sentence}");
        assert!(found[0].line > 40 && !found[0].remedy.is_empty(), "{:?}", found[0]);
    }
    let calm = "There is no risk for you.";
    assert_eq!(with("en", calm, HighRisk)[0].severity, Severity::Error);
    assert_eq!(with("en", calm, Risk)[0].severity, Severity::Warning);
    assert_eq!(with("en", calm, Unlikely), Vec::new());
}

#[test]
fn a_sentence_that_says_no_asks_for_nothing() {
    for (language, sentence) in [
        ("en", "Never enter your password in a form that somebody sent you."),
        ("fr", "Ne cliquez sur aucun lien."),
        ("de", "Geben Sie Ihr Passwort niemals weiter."),
        ("nl", "Klik nergens op."),
        ("lb", "Klickt näischt un."),
        ("pt", "Não clique em nada."),
    ] {
        assert_eq!(with(language, sentence, RiskLevel::HighRisk), Vec::new(), "{sentence}");
    }
}

#[test]
fn links_placeholders_and_leaked_values() {
    for (text, code) in [
        ("See https://www.exemple.example/news", "link"),
        ("See www.other.example for more.", "link"),
        ("See http://192.0.2.7/x", "link.number"),
        ("See https://bit.ly/3abc", "link.short"),
        ("See www.xn--exmple-cua.example", "link.disguised"),
        ("Dear [NAME],", "placeholder"),
        ("{{name", "placeholder"),
        ("We will know on XX.", "placeholder"),
        ("TODO: ask the lawyer", "placeholder"),
        ("Lorem ipsum dolor", "placeholder"),
        ("Signed: ________", "placeholder"),
        ("Your account LU28 0019 4006 4475 0000 was seen.", "leak"),
        ("Your card 4111 1111 1111 1111 was seen.", "leak"),
        ("Read this!!", "shouting"),
        ("VERY IMPORTANT NOTICE", "shouting"),
    ] {
        assert_eq!(codes(&with("en", text, RiskLevel::HighRisk)), [code], "{text}");
    }
    for fine in [
        "Type www.exemple.example yourself.",
        "Write to dpo@exemple.example or call +352 20 00 01.",
        "Exemple S.A. wrote it, i.e. nobody else, on 3 March 2026 at 10:20.",
        "CNPD, BP-7K3M-Q2XR, K7QX",
    ] {
        assert_eq!(with("en", fine, RiskLevel::HighRisk), Vec::new(), "{fine}");
    }
}

#[test]
fn subjects_must_alert_and_not_tell_too_much() {
    for (language, subject, wanted) in [
        ("en", "", vec!["subject.empty"]),
        ("en", "Important information", vec!["subject.vague", "subject.sender"]),
        (
            "en",
            "Exemple S.A.: data breach affecting your health data",
            vec!["subject.discloses"],
        ),
        (
            "en",
            "Exemple S.A. newsletter: a data breach",
            vec!["subject.marketing"],
        ),
        ("de", "Exemple S.A.: Wichtige Mitteilung", vec!["subject.vague"]),
        (
            "fr",
            "Exemple S.A. : violation de données et de mots de passe",
            vec!["subject.discloses"],
        ),
        ("nl", "Exemple S.A.: een datalek betreft uw gegevens", vec![]),
        ("lb", "Exemple S.A.: en Dateleck", vec![]),
        (
            "pt",
            "Exemple S.A.: informação sobre a sua conta",
            vec!["subject.vague"],
        ),
    ] {
        let (mut said, facts) = message(language);
        said.subject = subject.to_owned();
        let found = serious(lint(&said, &facts, &matter(RiskLevel::HighRisk), "test"));
        assert_eq!(codes(&found), wanted, "{subject}");
    }
}

#[test]
fn missing_parts_are_named_with_their_article() {
    let templates = Templates::load(None).unwrap();
    let bare = Record::read("bare", b"title: x\n").unwrap();
    let context = PersonContext::new(
        templates.labels("en").unwrap(),
        chrono_tz::Europe::Luxembourg,
        "K7QX".to_owned(),
        "Exemple S.A.".to_owned(),
    );
    let facts = PersonFacts::new(&bare, &context);
    let said = templates.render_individual(&facts).unwrap();
    let found = lint(&said, &facts, &matter(RiskLevel::HighRisk), "individual/en.hbs");
    for (code, article) in [
        ("legal.contact", "33(3)(b)"),
        ("legal.nature", "34(2)"),
        ("legal.consequences", "33(3)(c)"),
        ("legal.measures", "33(3)(d)"),
    ] {
        let finding = found.iter().find(|f| f.code == code).unwrap();
        assert_eq!(finding.severity, Severity::Error);
        assert!(
            finding.problem.contains(article) && !finding.remedy.is_empty(),
            "{finding}"
        );
    }
    assert!(found.is_sorted_by_key(|f| std::cmp::Reverse(f.severity)));
}

#[test]
fn a_part_that_the_template_leaves_out_is_found() {
    let (said, facts) = message("en");
    for (part, code) in [
        (facts.what_happened.as_deref().unwrap(), "legal.nature"),
        (facts.controller.name.as_deref().unwrap(), "legal.controller"),
    ] {
        let facts = PersonFacts {
            what_happened: facts.what_happened.clone().map(|t| t.replace(part, "Something else.")),
            ..facts.clone()
        };
        let mut said = said.clone();
        said.text = said.text.replace("Exemple S.A.", "Somebody");
        let found = lint(&said, &facts, &matter(RiskLevel::HighRisk), "test");
        let finding = found.iter().find(|f| f.code == code).unwrap();
        assert!(finding.problem.starts_with("does not say"), "{finding}");
    }
}

#[test]
fn a_text_of_the_record_in_another_language_is_an_error() {
    let templates = Templates::load(None).unwrap();
    let context = PersonContext {
        what_happened: Some("Et gouf e Laptop geklaut.".to_owned()),
        ..PersonContext::new(
            templates.labels("lb").unwrap(),
            chrono_tz::Europe::Luxembourg,
            "K7QX".to_owned(),
            "Exemple S.A.".to_owned(),
        )
    };
    let (said, facts) = message("lb");
    let mixed = Matter {
        risk: RiskLevel::HighRisk,
        foreign: Some((context.parts_of_the_record(), "fr".to_owned())),
    };
    let found = lint(&said, &facts, &mixed, "test");
    assert_eq!((found[0].code, found[0].severity), ("text.foreign", Severity::Error));
    assert!(
        found[0]
            .problem
            .starts_with("the consequences and the measures would stand in `fr`"),
        "{}",
        found[0]
    );
}

#[test]
fn readability_where_a_formula_is_known() {
    let measured: Vec<&str> = FORMULAS.iter().map(|f| f.language).collect();
    assert_eq!(measured, ["en", "de", "fr", "nl", "pt"]);
    for language in LANGUAGES {
        let (said, facts) = message(language);
        let found = lint(&said, &facts, &matter(RiskLevel::HighRisk), "test");
        let code = match language {
            "lb" => "readability.unknown",
            _ => "readability",
        };
        let finding = found.iter().find(|f| f.code == code).unwrap();
        assert_eq!(finding.severity, Severity::Note, "{finding}");
        assert!(!finding.problem.contains("hard to read"), "{finding}");
    }
    let long = "Notwithstanding organisational responsibilities concerning administrative proportionality ".repeat(30);
    let score = readability::score("en", [long.as_str()].into_iter()).unwrap();
    assert!(score.points < readability::VERY_HARD, "{}", score.points);
}
