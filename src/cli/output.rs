//! How results and troubles reach the person or the program that asked: data to standard output, notes to standard
//! error, one JSON document where asked for.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::config::ConfigError;
use crate::dispatch::checkpoint::CheckpointError;
use crate::dispatch::daemon::DaemonError;
use crate::dispatch::desk::DeskError;
use crate::dispatch::desk::ladder::Ladder;
use crate::dispatch::intake::IntakeError;
use crate::dispatch::office::OfficeError;

/// The exit status, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Our side failed.
    Ours = 1,
    /// Something needs a person.
    Person = 2,
    /// Wrong usage.
    Usage = 64,
}

/// Why a command ended without doing what was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
    way: Box<Way>,
}

/// How it can go on after a failure.
#[derive(Debug, Default)]
struct Way {
    /// A command that leads on.
    hint: Option<String>,
    ladder: Option<Ladder>,
    /// What stands beside the error in JSON, such as the state of a draft.
    context: serde_json::Map<String, serde_json::Value>,
}
impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
            way: Box::default(),
        }
    }
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(text.into()))
    }
    pub fn person(text: impl Into<String>) -> Self {
        Self::new(Exit::Person, anyhow::Error::msg(text.into()))
    }
    fn hinted(mut self, hint: Option<String>) -> Self {
        self.way.hint = hint;
        self
    }
    pub fn hint(mut self, command: impl Into<String>) -> Self {
        self.way.hint = Some(command.into());
        self
    }
}
impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        let exit = match &error {
            error if error.needs_person() => Exit::Person,
            error if error.is_usage() => Exit::Usage,
            _ => Exit::Ours,
        };
        let hint = match &error {
            DeskError::NoBreach(_) => Some("breachpost breach list".to_owned()),
            DeskError::NoNotice(_) | DeskError::NoDelivery(_) => Some("breachpost notice list".to_owned()),
            DeskError::NoMail(_) => Some("breachpost mailbox tray".to_owned()),
            DeskError::NoAlert(_) => Some("breachpost alert list".to_owned()),
            DeskError::NoCampaign(_) => Some("breachpost campaign list".to_owned()),
            DeskError::First { command, .. } => Some(command.clone()),
            DeskError::Blocked { breach, .. } => {
                Some(format!("breachpost breach show {breach} --record > breach.yaml"))
            }
            DeskError::Authority(_) => Some("breachpost authority list".to_owned()),
            DeskError::Fetch { authority, .. } => Some(format!(
                "breachpost authority cert import {authority} FILE --fingerprint FPR --verified phone"
            )),
            DeskError::Office(office) => hint_of(office),
            _ => None,
        };
        let mut context = serde_json::Map::new();
        if let DeskError::NoCertificate { reference, .. } = &error {
            context.insert("reference".to_owned(), reference.as_str().into());
            context.insert("state".to_owned(), "draft".into());
            for field in ["delivery", "message_id", "authority_reference"] {
                context.insert(field.to_owned(), serde_json::Value::Null);
            }
            context.insert("attempts".to_owned(), serde_json::json!([]));
        }
        let ladder = error.ladder().cloned();
        Self {
            exit,
            error: error.into(),
            way: Box::new(Way { hint, ladder, context }),
        }
    }
}
impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        let hint = hint_of(&error);
        Self::new(Exit::Ours, error).hinted(hint)
    }
}
impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Ours, error).hinted(hint)
    }
}
impl From<IntakeError> for Failure {
    fn from(error: IntakeError) -> Self {
        let exit = match &error {
            IntakeError::TooLarge { .. } | IntakeError::Empty | IntakeError::NoMail(_) => Exit::Usage,
            IntakeError::Office(_) | IntakeError::Panic(_) => Exit::Ours,
        };
        Self::new(exit, error)
    }
}
impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        Self::new(Exit::Ours, error)
    }
}
impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        Self::new(Exit::Ours, error)
    }
}
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Ours, error)
    }
}

fn hint_of(error: &OfficeError) -> Option<String> {
    match error {
        OfficeError::Config(error) => error.hint(),
        OfficeError::KeyFile { .. } => Some("breachpost key generate".to_owned()),
        _ => None,
    }
}

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    pub json: bool,
}

impl Out {
    /// Prints data: as one JSON document, or as the text that `human` makes.
    ///
    /// # Errors
    /// Standard output cannot be written. A reader that has gone away is no error.
    pub fn data<T: Serialize>(self, value: &T, human: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut text = if self.json {
            serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Ours, error))?
        } else {
            harmless(&human())
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.text(&text)
    }

    /// Prints bytes exactly as they are, or the value in JSON.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn bytes<T: Serialize>(self, bytes: &[u8], value: &T) -> Result<(), Failure> {
        if self.json {
            return self.data(value, String::new);
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints one JSON object on one line, where the output is a stream.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn line<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let mut text = serde_json::to_string(value).map_err(|error| Failure::new(Exit::Ours, error))?;
        text.push('\n');
        self.text(&text)
    }

    /// Prints a note for a person to standard error; it never carries data.
    pub fn note(self, text: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{}", harmless(text));
    }

    /// Prints why a command failed: `error:`, `because:` lines, the way through, a hint that can be run.
    pub fn failure(self, failure: &Failure) {
        let mut lines = Vec::new();
        lines.push(format!("error: {}", failure.error));
        let mut said = vec![failure.error.to_string()];
        for cause in failure.error.chain().skip(1) {
            let text = cause.to_string();
            // Transparent errors repeat the text of their source.
            if !said.contains(&text) {
                lines.push(format!("because: {text}"));
                said.push(text);
            }
        }
        if let Some(ladder) = &failure.way.ladder {
            lines.push(String::new());
            lines.extend(ladder_lines(ladder));
        }
        if let Some(hint) = &failure.way.hint {
            lines.push(format!("hint: {hint}"));
        }
        let _ = writeln!(anstream::stderr().lock(), "{}", harmless(&lines.join("\n")));
        if self.json {
            let mut document = failure.way.context.clone();
            document.insert(
                "error".to_owned(),
                serde_json::json!({
                    "message": failure.error.to_string(),
                    "because": said[1..],
                    "hint": failure.way.hint,
                    "ladder": failure.way.ladder,
                }),
            );
            let _ = self.data(&document, String::new);
        }
    }

    /// Whether a person sits at both ends.
    pub fn interactive(self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

/// For a terminal: relays, authorities and records bring text of others, and a control sequence in it could rewrite what
/// stands on the screen.
fn harmless(text: &str) -> String {
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    text.chars().filter(keep).collect()
}

/// What can be done now, numbered, each with its command.
pub fn ladder_lines(ladder: &Ladder) -> Vec<String> {
    let mut lines = vec![match &ladder.left {
        Some(left) => format!("What can be done now ({left}):"),
        None => "What can be done now:".to_owned(),
    }];
    for (number, rung) in ladder.rungs.iter().enumerate() {
        lines.push(format!("  {}. {}", number + 1, rung.text));
        lines.extend(rung.command.iter().map(|command| format!("     {command}")));
    }
    lines
}

/// A table with aligned columns; the last column is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count() + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(
            super::harmless("250 \u{1b}[2Jé\u{7}\u{9b}31m\n\tok"),
            "250 [2Jé31m\n\tok"
        );
    }

    #[test]
    fn tables_align_by_characters() {
        let rows = vec![
            vec!["é".to_owned(), "b".to_owned()],
            vec!["long".to_owned(), "c".to_owned()],
        ];
        assert_eq!(super::table(&rows), "é     b\nlong  c\n");
    }
}
