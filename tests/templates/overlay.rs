//! The templates themselves, and those an operator puts in their place: sound, or refused with their place.

use std::fs;
use std::path::PathBuf;

use breachpost::message::facts::{NoticeFacts, sample};
use breachpost::message::template::{Audience, Rendered, Review, TemplateError, Templates, Variant, paths};
use breachpost::model::notice::NoticeKind;

use crate::{LANGUAGES, PERSONS_LANGUAGES, context, record};

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
