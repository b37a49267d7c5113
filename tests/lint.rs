//! The linter of messages to persons: what it must find in each language, and what it must leave alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use breachpost::message::facts::{PersonContext, PersonFacts, sample};
use breachpost::message::template::lint::readability::{self, FORMULAS};
use breachpost::message::template::lint::{Matter, lint};
use breachpost::message::template::{Finding, Rendered, Severity, Templates};
use breachpost::model::breach::{Record, RiskLevel};

const LANGUAGES: [&str; 6] = ["de", "en", "fr", "lb", "nl", "pt"];

fn matter(risk: RiskLevel) -> Matter {
    Matter {
        risk,
        foreign: None,
        is_real: false,
    }
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

/// What operators truly write about a breach, and what looks like it and must be found.
#[test]
fn an_operators_own_words_are_judged_by_what_they_ask() {
    use RiskLevel::HighRisk;
    for (language, fine) in [
        (
            "en",
            "An employee clicked on a link in a false e-mail and opened the attachment.",
        ),
        ("en", "Someone could log in to your account with your password."),
        ("en", "We can confirm your card number was in the file."),
        (
            "en",
            "We closed the access within 24 hours and have taken legal action.",
        ),
        ("en", "The file customers.csv was on the notebook.It was stolen."),
        ("fr", "Un employé a cliqué sur un lien et a ouvert la pièce jointe."),
        (
            "fr",
            "Nous avons bloqué l'accès dans les 24 heures et engagé des poursuites.",
        ),
        ("fr", "Quelqu'un pourrait se connecter avec votre mot de passe."),
        ("de", "Ein Mitarbeiter klickte auf einen Link und öffnete den Anhang."),
        ("de", "Jemand könnte sich mit Ihrem Passwort anmelden."),
        ("de", "Wir haben den Zugang innerhalb von 24 Stunden gesperrt."),
        ("nl", "Een medewerker klikte op een link in een valse e-mail."),
        ("nl", "Uit voorzorg hebben wij alle wachtwoorden gewijzigd."),
        (
            "nl",
            "Het gaat om gegevens die u ons hebt verstrekt, zoals uw inloggegevens.",
        ),
        ("lb", "E Mataarbechter huet op e Link geklickt."),
        ("lb", "Mir hunn den Zougang bannent 24 Stonnen gespaart."),
        ("pt", "Um funcionário clicou numa ligação e abriu o anexo."),
        ("pt", "Fechámos o acesso no prazo de 24 horas."),
        ("pt", "Alguém pode entrar com a sua palavra-passe."),
    ] {
        assert_eq!(with(language, fine, HighRisk), Vec::new(), "{language}: {fine}");
    }
    for (language, sentence, code) in [
        ("en", "Please log in to confirm your password.", "phishing.secret"),
        ("en", "See the attached form.", "phishing.click"),
        ("en", "Your account will be blocked within 24 hours.", "phishing.haste"),
        ("en", "The risk for you is a low risk.", "risk.contradicted"),
        ("fr", "Vous trouverez ci-joint un formulaire.", "phishing.click"),
        ("fr", "Votre compte sera bloqué sous 48 heures.", "phishing.haste"),
        ("fr", "C'est un incident mineur.", "risk.contradicted"),
        ("de", "Das Formular finden Sie im Anhang.", "phishing.click"),
        ("de", "Ihr Konto wird gesperrt.", "phishing.haste"),
        ("de", "Die Daten sind unbedenklich.", "risk.contradicted"),
        ("nl", "Zie de bijlage voor het formulier.", "phishing.click"),
        ("nl", "Uw rekening wordt geblokkeerd.", "phishing.haste"),
        ("nl", "Het is een laag risico.", "risk.contradicted"),
        ("lb", "Kuckt den Annexe.", "phishing.click"),
        ("lb", "Äre Konto gëtt gespaart.", "phishing.haste"),
        ("lb", "Et ass harmlos.", "risk.contradicted"),
        ("pt", "Veja o anexo.", "phishing.click"),
        ("pt", "A sua conta será bloqueada.", "phishing.haste"),
        ("pt", "É um risco baixo.", "risk.contradicted"),
    ] {
        assert_eq!(
            codes(&with(language, sentence, HighRisk)),
            [code],
            "{language}: {sentence}"
        );
    }
}

#[test]
fn free_text_in_another_language_is_noticed_even_where_the_record_says_nothing() {
    let typed = "Die Angreifer konnten die Daten unserer Kunden lesen. Wir haben den Zugang gesperrt.";
    for language in LANGUAGES {
        let templates = Templates::load(None).unwrap();
        let facts = PersonFacts {
            what_happened: Some(typed.to_owned()),
            ..sample::person(templates.labels(language).unwrap())
        };
        let said = templates.render_individual(&facts).unwrap();
        let real = Matter {
            is_real: true,
            ..matter(RiskLevel::HighRisk)
        };
        let found = lint(&said, &facts, &real, "test");
        let what: Vec<&str> = found
            .iter()
            .filter(|f| f.code == "text.foreign")
            .map(|f| f.problem.as_str())
            .filter(|problem| problem.starts_with("what happened"))
            .collect();
        match language {
            "de" => assert!(what.is_empty(), "{what:?}"),
            _ => assert_eq!(
                what,
                [format!(
                    "what happened: the text reads like `de`, in a message in `{language}`"
                )]
            ),
        }
    }
}

#[test]
fn a_name_is_not_judged_by_its_words() {
    let templates = Templates::load(None).unwrap();
    for name in ["SPAR BANK LUXEMBOURG", "Free News Health Union"] {
        let mut facts = sample::person(templates.labels("en").unwrap());
        facts.controller.name = Some(name.to_owned());
        let said = templates.render_individual(&facts).unwrap();
        let found = serious(lint(&said, &facts, &matter(RiskLevel::HighRisk), "test"));
        assert_eq!(found, Vec::new(), "{name}");
    }
}

#[test]
fn national_numbers_of_six_countries_are_found_as_people_write_them() {
    for (text, severity) in [
        ("IBAN DE89 3704 0044 0532 0130 00", Severity::Error),
        ("IBAN FR14 2004 1010 0505 0001 3M02 606", Severity::Error),
        ("IBAN BE68 5390 0754 7034", Severity::Error),
        ("IBAN PT50 0002 0123 1234 5678 9015 4", Severity::Error),
        ("card 5555 5555 5555 4444", Severity::Error),
        ("1 85 05 78 006 084 91", Severity::Error),
        ("86 095 742 719", Severity::Error),
        ("85.07.30-033.28", Severity::Error),
        ("00000000 0 ZZ4", Severity::Error),
        ("1112.22.333", Severity::Warning),
    ] {
        let found = with("fr", text, RiskLevel::HighRisk);
        assert_eq!((codes(&found), found[0].severity), (vec!["leak"], severity), "{text}");
    }
}

#[test]
fn links_placeholders_and_leaked_values() {
    for (text, code) in [
        ("See https://www.exemple.example/news", "link"),
        ("See www.other.example for more.", "link"),
        ("See http://192.0.2.7/x", "link.number"),
        ("See 192.0.2.7/login", "link.number"),
        ("See 192.0.2.7:8080 for more.", "link.number"),
        ("See http://0xC0000207/x", "link.number"),
        ("See https://bit.ly/3abc", "link.short"),
        ("See www.tinyurl.com/3abc", "link.short"),
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
        (
            "en",
            "Important!!!",
            vec!["subject.vague", "subject.sender", "shouting"],
        ),
        (
            "fr",
            "Newsletter",
            vec!["subject.vague", "subject.marketing", "subject.sender"],
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
        is_real: true,
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
