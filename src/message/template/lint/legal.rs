//! The parts that the law asks a message to a person for (GDPR Art. 34(2), with Art. 33(3)(b), (c) and (d)): is each known,
//! and does the template say it? Knows nothing of wording.

use super::super::Rendered;
use super::Report;
use crate::message::facts::PersonFacts;

/// One part: what is known of it, and what to do if it is not there.
struct Part<'a> {
    code: &'static str,
    what: &'static str,
    known: Vec<&'a str>,
    /// If nothing is known.
    supply: &'static str,
    /// If it is known and not said.
    write: &'static str,
}

pub(super) fn check(report: &mut Report<'_>, said: &Rendered, facts: &PersonFacts) {
    let text = flat(&said.text);
    let says = |known: &str| text.contains(&flat(known));
    for part in parts(facts) {
        if part.known.is_empty() {
            let problem = format!("nothing is known of {}", part.what);
            match facts.discreet {
                // Told on the telephone, as the template says.
                true => report.warning(part.code, 0, problem, part.supply),
                false => report.error(part.code, 0, problem, part.supply),
            }
        } else if !part.known.iter().any(|known| says(known)) {
            let problem = format!("does not say {}", part.what);
            report.error(part.code, 0, problem, &format!("write `{}`", part.write));
        }
    }
    if facts.contact.phone.is_none() {
        let remedy =
            "give `contact.phone`: people call when they are worried, and to check that the message is genuine";
        report.warning("contact.phone", 0, "gives no telephone number", remedy);
    }
    if facts.happened_at.is_none() && facts.found_at.is_none() {
        let remedy = "give `timeline.occurred_from` or `timeline.detected_at`";
        report.warning("when", 0, "does not say when it happened or was found", remedy);
    }
    if facts.your_data.is_empty() {
        let remedy = "give `data.categories`, or the person's own data with the list";
        report.warning("your_data", 0, "does not say which data is affected", remedy);
    }
    if facts.authority.name.is_none() {
        report.note(
            "complaint",
            0,
            "names no authority to complain to",
            "give the authority's name",
        );
    }
    if !says(&facts.reference) {
        let remedy = "write `{{field \"Your reference\" reference}}`, and put it on your website as well";
        report.warning(
            "reference",
            0,
            "does not give the reference by which it can be checked",
            remedy,
        );
    }
}

fn parts(facts: &PersonFacts) -> [Part<'_>; 6] {
    let contact = &facts.contact;
    [
        Part {
            code: "legal.controller",
            what: "who writes",
            known: facts.controller.name.as_deref().into_iter().collect(),
            supply: "give `controller.name`",
            write: "{{controller.name}}",
        },
        Part {
            code: "legal.contact",
            what: "whom to ask (Art. 33(3)(b))",
            known: [&contact.email, &contact.phone, &contact.postal]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
            supply: "give `contact`",
            write: "{{optional \"Telephone\" contact.phone}}",
        },
        Part {
            code: "legal.nature",
            what: "what happened (Art. 34(2))",
            known: facts.what_happened.as_deref().into_iter().collect(),
            supply: "give `summary`, or a text for the persons",
            write: "{{paragraph what_happened}}",
        },
        Part {
            code: "legal.consequences",
            what: "the likely consequences (Art. 33(3)(c))",
            known: facts
                .consequences
                .iter()
                .chain(&facts.harms)
                .map(String::as_str)
                .collect(),
            supply: "give `consequences.text` or `consequences.harms`",
            write: "{{paragraph consequences}}",
        },
        Part {
            code: "legal.measures",
            what: "the measures (Art. 33(3)(d))",
            known: measures(facts),
            supply: "give `measures`",
            write: "{{list measures_taken}}",
        },
        Part {
            code: "advice",
            what: "what the person can do",
            known: facts.advice.iter().map(String::as_str).collect(),
            supply: "give `advice` in the labels",
            write: "{{list advice}}",
        },
    ]
}

fn measures(facts: &PersonFacts) -> Vec<&str> {
    let told = facts.measures.iter().chain(&facts.mitigation);
    let lists = facts.measures_taken.iter().chain(&facts.measures_planned);
    told.chain(lists).map(String::as_str).collect()
}

/// A text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
