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

/// A part of a text, for those who lay it out themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block<'a> {
    /// Room between two paragraphs.
    Gap,
    Heading {
        level: usize,
        text: &'a str,
    },
    /// A paragraph, or with `hangs` a line of a list, whose first one `starts` with a dash.
    Text {
        text: &'a str,
        hangs: bool,
        starts: bool,
    },
    /// A label and its values; several are a list, and each may have several lines.
    Row {
        label: &'a str,
        values: Vec<Vec<&'a str>>,
    },
}

impl Filled {
    /// `unknown` takes the place of what is not known.
    pub(super) fn new(subject: &str, marked: String, unknown: &str, language: &str) -> Self {
        let marked = match memchr::memchr(layout::UNKNOWN as u8, marked.as_bytes()).is_some() {
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

    /// Part by part; blank lines beside each other are one gap.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        for line in self.marked.lines() {
            if line.contains(layout::NO_LINE) || line.starts_with(layout::LANGUAGE) {
                continue;
            }
            let block = block(line.trim_end());
            if block != Block::Gap || blocks.last().is_some_and(|last| *last != Block::Gap) {
                blocks.push(block);
            }
        }
        blocks
    }

    /// As an HTML page that loads nothing: no pictures, no fonts, no scripts, no links.
    pub fn html(&self) -> String {
        html::page(&self.subject, &self.language, &self.marked)
    }
}

fn block(line: &str) -> Block<'_> {
    let text = line.trim_start();
    if text.is_empty() {
        return Block::Gap;
    }
    if let Some((label, values)) = line.split_once(layout::ROW) {
        let values = values.split(layout::NEXT_VALUE);
        let values = values.map(|value| value.split(layout::VALUE_BREAK).collect());
        return Block::Row {
            label,
            values: values.collect(),
        };
    }
    if line.starts_with(layout::HEADING) {
        return Block::Heading {
            level: line.chars().take_while(|c| *c == layout::HEADING).count(),
            text: line.trim_start_matches(layout::HEADING).trim(),
        };
    }
    let item = text.strip_prefix("- ");
    Block::Text {
        text: item.unwrap_or(text),
        hangs: item.is_some() || text.len() < line.len(),
        starts: item.is_some(),
    }
}

/// As it begins a heading: many languages write their own name small.
fn capital(name: &str) -> String {
    let mut rest = name.chars();
    let first = rest.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(rest).collect()
}
