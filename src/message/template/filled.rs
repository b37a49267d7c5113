//! A template that has been filled in, to be had as plain text and as HTML, and several of them as one message. Knows
//! nothing of facts.

use super::labels::{Labels, fill};
use super::{Rendered, html, layout};

/// A text with the marks of the layout in it, in which nothing is missing any more.
#[derive(Debug, Clone)]
pub struct Filled {
    /// One line.
    pub subject: String,
    /// Such as `fr`; of a message in several languages the first.
    pub language: String,
    marked: String,
}

impl Filled {
    /// `unknown` takes the place of what is not known.
    pub(super) fn new(subject: &str, marked: String, unknown: &str, language: &str) -> Self {
        let marked = match marked.contains(layout::UNKNOWN) {
            true => marked.replace(layout::UNKNOWN, unknown),
            false => marked,
        };
        Self {
            subject: layout::one_line(&subject.replace(layout::UNKNOWN, unknown)),
            language: language.to_owned(),
            marked,
        }
    }

    /// One message of several: first what languages there are, then each under its number.
    pub(super) fn stacked(sender: &str, parts: &[(&Labels, Filled)]) -> Self {
        let words: Vec<&str> = parts
            .iter()
            .map(|(labels, _)| labels.stacked.subject.as_str())
            .collect();
        let mut marked = String::new();
        for (i, (labels, _)) in parts.iter().enumerate() {
            let number = (i + 1).to_string();
            let line = fill(&labels.stacked.follows, &[("n", &number)]);
            marked.push_str(&format!("{}{}\n- {line}\n", layout::LANGUAGE, labels.code));
        }
        for (i, (labels, part)) in parts.iter().enumerate() {
            let heading = layout::HEADING;
            marked.push_str(&format!(
                "\n{}{}\n{heading} {}. {}\n\n{}\n",
                layout::LANGUAGE,
                labels.code,
                i + 1,
                capital(&labels.language),
                part.marked
            ));
        }
        Self {
            subject: format!("{sender}: {}", words.join(" / ")),
            language: parts
                .first()
                .map_or_else(String::new, |(_, part)| part.language.clone()),
            marked,
        }
    }

    /// As plain text.
    pub fn rendered(&self) -> Rendered {
        Rendered {
            subject: self.subject.clone(),
            text: layout::lay_out(&self.marked),
        }
    }

    /// As an HTML page that loads nothing: no pictures, no fonts, no scripts, no links.
    pub fn html(&self) -> String {
        html::page(&self.subject, &self.language, &self.marked)
    }
}

/// As it begins a heading: many languages write their own name small.
fn capital(name: &str) -> String {
    let mut rest = name.chars();
    let first = rest.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(rest).collect()
}
