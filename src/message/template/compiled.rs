//! One template file: taken apart into subject and text, parsed, checked as a whole, and filled in. Knows nothing of which
//! templates there are.

use std::sync::LazyLock;

use handlebars::Template;
use handlebars::template::TemplateElement;
use serde::Serialize;
use serde_json::Value;

use super::program::Program;
use super::{Audience, Filled, Finding, SUBJECT, check, layout};
use crate::message::facts::sample;

/// A template that has been parsed and checked.
pub(super) struct Compiled {
    subject: Program,
    text: Program,
}

impl Compiled {
    /// Of a template file.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub(super) fn new(audience: Audience, file: &str, source: &str) -> Result<Self, Vec<Finding>> {
        let parts = split(file, source).map_err(|f| vec![f])?;
        let parse = |source: &str| {
            Template::compile(source).map_err(|e| {
                let parsers_view = || {
                    let (line, column) = e.pos().unwrap_or_default();
                    let problem = "cannot be understood; compare it with templates/README.md".to_owned();
                    (line, column, problem)
                };
                let (line, column, problem) = check::left_open(source).unwrap_or_else(parsers_view);
                vec![Finding::at(file, line, column, problem)]
            })
        };
        let only_comments = |t: &Template| {
            t.elements.iter().all(|e| match e {
                TemplateElement::Comment(_) => true,
                TemplateElement::RawString(text) => text.trim().is_empty(),
                _ => false,
            })
        };
        if !only_comments(&parse(&parts.head)?) {
            return Err(vec![Finding::whole(
                file,
                format!("only comments may stand before `{SUBJECT}`"),
            )]);
        }
        let (subject, text) = (parse(&parts.subject)?, parse(&parts.text)?);
        let mut found = check::walk(file, &subject, shape(audience));
        found.extend(check::walk(file, &text, shape(audience)));
        if !found.is_empty() {
            return Err(found);
        }
        Ok(Self {
            subject: Program::new(&subject),
            text: Program::new(&text),
        })
    }

    /// As [`Program::filled_but`].
    pub(super) fn filled_but(&self, facts: &Values, own: &[&str]) -> Self {
        Self {
            subject: self.subject.filled_but(&facts.0, own),
            text: self.text.filled_but(&facts.0, own),
        }
    }

    /// Filled with the facts, and with `own` before them; a problem if they leave the subject empty.
    pub(super) fn fill(
        &self,
        file: &str,
        facts: &Values,
        own: &Values,
        unknown: &str,
        language: &str,
    ) -> Result<Filled, Finding> {
        let (Values(facts), Values(own)) = (facts, own);
        let (subject, text) = (self.subject.fill(facts, own), self.text.fill(facts, own));
        let filled = Filled::new(&subject, text, unknown, language);
        if filled.subject.is_empty() {
            return Err(Finding::whole(file, "the subject is empty"));
        }
        Ok(filled)
    }
}

/// Facts as templates read them, their texts made harmless.
pub(super) struct Values(Value);

impl Values {
    pub(super) fn of(facts: &impl Serialize) -> Self {
        let mut values = serde_json::to_value(facts).expect("facts are plain data");
        clean(&mut values);
        Self(values)
    }
    pub(super) fn none() -> Self {
        Self(Value::Null)
    }
}

/// What the facts of an audience look like, complete.
fn shape(audience: Audience) -> &'static Value {
    static SHAPES: LazyLock<[Value; 2]> = LazyLock::new(sample::shapes);
    &SHAPES[usize::from(audience.speaks_to_persons())]
}

/// The three parts of a template file, each kept at its lines.
struct Parts {
    /// What stands before the subject: comments.
    head: String,
    subject: String,
    text: String,
}

fn split(file: &str, source: &str) -> Result<Parts, Finding> {
    let source = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    for (i, line) in source.split('\n').enumerate() {
        if let Some(column) = line.chars().position(|c| c.is_control() && c != '\t') {
            return Err(Finding::at(file, i + 1, column + 1, "a control character; remove it"));
        }
    }
    let lines: Vec<&str> = source.split('\n').collect();
    let Some(at) = lines.iter().position(|l| l.starts_with(SUBJECT)) else {
        return Err(Finding::whole(
            file,
            format!("has no line that starts with `{SUBJECT}`"),
        ));
    };
    let subject = format!(
        "{}{}{}",
        "\n".repeat(at),
        " ".repeat(SUBJECT.len()),
        &lines[at][SUBJECT.len()..]
    );
    let mut text = "\n".repeat(at + 1);
    for line in &lines[at + 1..] {
        let hashes = line.bytes().take_while(|b| *b == b'#').count();
        let is_heading = (1..=3).contains(&hashes) && line[hashes..].starts_with(' ');
        let marks = if is_heading { hashes } else { 0 };
        text.extend(std::iter::repeat_n(layout::HEADING, marks));
        text.push_str(&line[marks..]);
        text.push('\n');
    }
    Ok(Parts {
        head: lines[..at].join("\n"),
        subject,
        text,
    })
}

/// Makes the texts of the facts harmless: line breaks become LF, tabs spaces; other control characters, and those that
/// turn the direction of writing, would hide or disguise what is said, and become U+FFFD. Nothing is refused here: a
/// notice must get through.
fn clean(value: &mut Value) {
    fn odd(c: char) -> bool {
        c.is_control() && c != '\n'
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    }
    match value {
        // Nearly every text is plain ASCII, which is seen at a glance.
        Value::String(text) if text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')) => {}
        Value::String(text) if text.contains(odd) => {
            *text = text
                .replace("\r\n", "\n")
                .replace(['\r', '\u{2028}', '\u{2029}'], "\n")
                .replace('\t', " ");
            *text = text.replace(odd, "\u{FFFD}");
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}
