//! Judges what a message to affected persons says, before it may be sent: are the parts that GDPR Art. 34(2) asks for
//! there, is something not filled in, would a phisher write this, does it give away what leaked, does its subject alert,
//! does it contradict the risk, can it be read. Words in `words`, numbers with check digits in `leaks`, how hard a text
//! reads in `readability`. A linter finds what is wrong in form; whether the text is true, a person decides.

mod leaks;
mod legal;
mod phishing;
pub mod readability;
mod sentences;
mod tongue;
mod words;

use std::sync::LazyLock;

use regex::Regex;

use self::sentences::{Sentence, sentences};
use self::words::Words;
use super::{Finding, Rendered, Severity};
use crate::message::facts::PersonFacts;
use crate::model::breach::RiskLevel;

/// Longer subjects are cut off in most programs' lists of mails.
const LONG_SUBJECT: usize = 110;
/// A text with more words is not read to its end: some three pages.
const LONG_TEXT: usize = 1_200;

/// What is known of the matter besides the facts that the message shows.
#[derive(Debug, Clone)]
pub struct Matter {
    pub risk: RiskLevel,
    /// Parts whose text is in another language than the message, and that language.
    pub foreign: Option<(Vec<&'static str>, String)>,
    /// Whether the free texts are those that will be sent; the sample's are in English in every language.
    pub is_real: bool,
}
impl Matter {
    /// The sample breach, with which templates are checked.
    pub(super) fn sample() -> Self {
        Self {
            risk: RiskLevel::HighRisk,
            foreign: None,
            is_real: false,
        }
    }
}

/// Where findings are collected: the file they are about.
struct Report<'a> {
    file: &'a str,
    found: Vec<Finding>,
}
impl Report<'_> {
    fn add(&mut self, severity: Severity, code: &'static str, line: usize, problem: impl Into<String>, remedy: &str) {
        self.found.push(Finding {
            code,
            severity,
            line,
            remedy: remedy.to_owned(),
            ..Finding::whole(self.file, problem)
        });
    }
    fn error(&mut self, code: &'static str, line: usize, problem: impl Into<String>, remedy: &str) {
        self.add(Severity::Error, code, line, problem, remedy);
    }
    fn warning(&mut self, code: &'static str, line: usize, problem: impl Into<String>, remedy: &str) {
        self.add(Severity::Warning, code, line, problem, remedy);
    }
    fn note(&mut self, code: &'static str, line: usize, problem: impl Into<String>, remedy: &str) {
        self.add(Severity::Note, code, line, problem, remedy);
    }
}

/// Everything there is to say about a message, worst first; `file` names it in the findings, whose lines are those of the
/// filled text (0: its subject, or the whole).
pub fn lint(said: &Rendered, facts: &PersonFacts, matter: &Matter, file: &str) -> Vec<Finding> {
    let mut report = Report {
        file,
        found: Vec::new(),
    };
    let sentences = sentences(&said.text);
    legal::check(&mut report, said, facts);
    placeholders(&mut report, said);
    leaks::check(&mut report, said, facts);
    tongues(&mut report, facts, matter);
    foreign(&mut report, facts, matter);
    match words::of(&facts.language) {
        Some(words) => {
            subject(&mut report, said, facts, words);
            phishing::check(&mut report, &sentences, words);
            contradictions(&mut report, &sentences, matter.risk, words);
        }
        None => report.note(
            "language.unknown",
            0,
            format!(
                "its wording was not judged: there are no words to look for in `{}`",
                facts.language
            ),
            "have it read with particular care",
        ),
    }
    phishing::links(&mut report, said, facts);
    length(&mut report, said);
    reads(&mut report, &sentences, &facts.language);
    report.found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.found
}

/// The line of a text in which a byte stands, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Something that was to be filled in and was not.
fn placeholders(report: &mut Report<'_>, said: &Rendered) {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let marks = [
            r"\{\{|\}\}",
            r"\b(?:TODO|TBD|FIXME|XX+|NN\.?NN|PLACEHOLDER)\b",
            r"(?i:lorem ipsum)",
            r"\[\p{Lu}[\p{Lu} _/-]{2,}\]",
            r"<\p{Lu}[\p{Lu} _/-]{2,}>",
            r"\[\s*…\s*\]|\[\.\.\.\]",
            r"_{4,}",
        ];
        Regex::new(&marks.join("|")).expect("a constant pattern")
    });
    let parts = [(0, said.subject.as_str())]
        .into_iter()
        .chain(said.text.lines().enumerate().map(|(i, line)| (i + 1, line)));
    for (line, text) in parts {
        for found in PATTERN.find_iter(text) {
            let problem = format!("`{}` was not filled in", found.as_str());
            report.error("placeholder", line, problem, "write what belongs there, or take it out");
        }
    }
}

/// Text of the record in another language than the message's.
fn foreign(report: &mut Report<'_>, facts: &PersonFacts, matter: &Matter) {
    let Some((parts, language)) = &matter.foreign else {
        return;
    };
    if parts.is_empty() || *language == facts.language {
        return;
    }
    report.error(
        "text.foreign",
        0,
        format!(
            "{} would stand in `{language}`, the record's language, in a message in `{}`",
            parts.join(" and "),
            facts.language
        ),
        "give these texts in the language of the message",
    );
}

/// Free text that plainly is in another language than the message, whatever the record says of itself.
fn tongues(report: &mut Report<'_>, facts: &PersonFacts, matter: &Matter) {
    if !matter.is_real {
        return;
    }
    let measures: Vec<&str> = facts
        .measures
        .iter()
        .chain(&facts.measures_taken)
        .chain(&facts.measures_planned)
        .chain(&facts.mitigation)
        .map(String::as_str)
        .collect();
    let measures = measures.join(" ");
    for (part, text) in [
        ("what happened", facts.what_happened.as_deref().unwrap_or_default()),
        ("the consequences", facts.consequences.as_deref().unwrap_or_default()),
        ("the measures", &measures),
    ] {
        let told = matter.foreign.as_ref().is_some_and(|(parts, _)| parts.contains(&part));
        let Some(other) = tongue::other_than(&facts.language, text).filter(|_| !told) else {
            continue;
        };
        let problem = format!(
            "{part}: the text reads like `{other}`, in a message in `{}`",
            facts.language
        );
        report.warning(
            "text.foreign",
            0,
            problem,
            "give this text in the language of the message (--texts)",
        );
    }
}

/// Does it alert, without saying too much? (The Dutch authority's finding of 2024: titles that do not alert are not read.)
fn subject(report: &mut Report<'_>, said: &Rendered, facts: &PersonFacts, words: &Words) {
    // The sender's name must stand there, whatever it is: "Bank", "News", "Free".
    let name = facts.controller.name.as_deref().filter(|name| !name.is_empty());
    let unnamed = name.map_or_else(|| said.subject.clone(), |name| said.subject.replace(name, "…"));
    let subject = Sentence::new(0, &unnamed);
    if said.subject.trim().is_empty() {
        return report.error(
            "subject.empty",
            0,
            "has no subject",
            "write who it is from and that data was breached",
        );
    }
    if !subject.has_any(words.breach) {
        let remedy = format!(
            "say it plainly, for example with “{}”",
            words.breach[0].trim_end_matches('*')
        );
        report.error(
            "subject.vague",
            0,
            "the subject does not say that it is about a data breach",
            &remedy,
        );
    }
    if let Some(word) = subject.first_of(words.marketing) {
        let problem = format!("the subject sounds like advertising or news (`{word}`)");
        report.warning("subject.marketing", 0, problem, "say only what happened, and to whom");
    }
    if let Some(word) = subject.first_of(words.sensitive) {
        let problem = format!("the subject tells of sensitive data (`{word}`), and others may see it");
        report.error("subject.discloses", 0, problem, "name no kind of data in the subject");
    }
    if !facts.discreet && name.is_some_and(|name| !said.subject.contains(name)) {
        let remedy = "put `{{controller.name}}` into the subject";
        report.warning("subject.sender", 0, "the subject does not say who writes", remedy);
    }
    if said.subject.chars().count() > LONG_SUBJECT {
        let problem = format!("the subject has more than {LONG_SUBJECT} characters and will be cut off");
        report.note("subject.long", 0, problem, "put the breach before anything else");
    }
    shouting(report, 0, &unnamed);
    // Names and addresses may be in capitals.
    let own = [
        &facts.controller.name,
        &facts.controller.address,
        &facts.contact.name,
        &facts.contact.postal,
    ];
    let own = own
        .into_iter()
        .flatten()
        .chain(&facts.authority.name)
        .chain(&facts.authority.address);
    let text = own
        .filter(|own| !own.is_empty())
        .fold(said.text.clone(), |text, own| text.replace(own, "…"));
    for (line, text) in text.lines().enumerate() {
        shouting(report, line + 1, text);
    }
}

/// Alarm by punctuation or capitals.
fn shouting(report: &mut Report<'_>, line: usize, text: &str) {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"!{2,}|\b\p{Lu}{4,} \p{Lu}{4,}\b").expect("a constant pattern"));
    if let Some(found) = PATTERN.find(text) {
        let problem = format!("`{}` shouts", found.as_str());
        report.warning(
            "shouting",
            line,
            problem,
            "say it in plain letters; phishing mails shout",
        );
    }
}

/// Playing down beside a high risk (the Polish authority fined for it).
fn contradictions(report: &mut Report<'_>, sentences: &[Sentence], risk: RiskLevel, words: &Words) {
    for sentence in sentences {
        let Some(phrase) = sentence.first_of(words.no_risk) else {
            continue;
        };
        let problem = format!("“{phrase}” contradicts the assessment of the risk (`{}`)", risk.name());
        let remedy = "say what may happen, or correct the assessment";
        match risk {
            RiskLevel::Unlikely => {}
            RiskLevel::HighRisk => report.error("risk.contradicted", sentence.line, problem, remedy),
            _ => report.warning("risk.contradicted", sentence.line, problem, remedy),
        }
    }
}

fn length(report: &mut Report<'_>, said: &Rendered) {
    let count = said.text.split_whitespace().count();
    if count > LONG_TEXT {
        let problem = format!("has {count} words; few people read more than {LONG_TEXT}");
        report.warning(
            "text.long",
            0,
            problem,
            "shorten what happened and the measures to what matters to the person",
        );
    }
}

fn reads(report: &mut Report<'_>, sentences: &[Sentence], language: &str) {
    let Some(score) = readability::score(
        language,
        sentences.iter().filter(|s| s.is_prose).map(|s| s.text.as_str()),
    ) else {
        let problem = format!("how easily it reads was not measured: no tested formula is known for `{language}`");
        return report.note(
            "readability.unknown",
            0,
            problem,
            "let somebody read it who knows nothing of the matter",
        );
    };
    let problem = format!("scores {:.0} of 100 by {}", score.points, score.formula.name);
    let remedy = "shorten the sentences and use everyday words";
    match score.points {
        points if points < readability::VERY_HARD => {
            report.warning("readability", 0, problem + ": very hard to read", remedy)
        }
        points if points < readability::HARD => report.note("readability", 0, problem + ": hard to read", remedy),
        _ => report.note("readability", 0, problem, ""),
    }
}
