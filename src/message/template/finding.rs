//! What is wrong in a template, a label file or a message: where, how bad, and what to do. Knows nothing of the rules.

use std::fmt;

use serde::Serialize;

/// Something wrong in a template or label file, or in what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of mistake, for programs: `unusable` for a file that cannot be used, else a code of [`lint`](super::lint).
    pub code: &'static str,
    pub severity: Severity,
    /// `authority/fr.hbs`; for an overlay its whole path.
    pub file: String,
    /// From 1; 0 where it concerns the file as a whole. Of a filled text: its line there.
    pub line: usize,
    /// From 1; 0 where it concerns the line or file as a whole.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; empty where the problem says so itself.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A person should look at it before it is sent.
    Warning,
    /// Must not be sent.
    Error,
}
impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Finding {
    /// The file cannot be used.
    pub(super) fn at(file: &str, line: usize, column: usize, problem: impl Into<String>) -> Self {
        Self {
            code: "unusable",
            severity: Severity::Error,
            file: file.to_owned(),
            line,
            column,
            problem: problem.into(),
            remedy: String::new(),
        }
    }
    pub(super) fn whole(file: &str, problem: impl Into<String>) -> Self {
        Self::at(file, 0, 0, problem)
    }
}
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: ", self.file)?,
            (line, 0) => write!(f, "{}:{line}: ", self.file)?,
            (line, column) => write!(f, "{}:{line}:{column}: ", self.file)?,
        }
        f.write_str(&self.problem)?;
        match self.remedy.is_empty() {
            true => Ok(()),
            false => write!(f, "; {}", self.remedy),
        }
    }
}
