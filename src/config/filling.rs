//! Setting single values in the commented text of the default file, so that the file a person gets keeps all its
//! explanations. Works on that file's own shape (blocks, two spaces, one line per setting), which the tests hold it to.

use super::DEFAULT_FILE;

/// The default file, to be filled in.
#[derive(Debug, Clone)]
pub struct Filling {
    lines: Vec<String>,
}

/// What a line of the file is, if it is a setting at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shown {
    /// `name: value`
    Live,
    /// `#name: value`
    Default,
    /// `#e.g. name: value`
    Example,
}
const EXAMPLE_MARK: &str = "#e.g. ";

/// Indentation, kind and `name: value` of a setting; `None` for prose and empty lines.
pub(super) fn setting(line: &str) -> Option<(usize, Shown, &str)> {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let (shown, text) = match text.strip_prefix(EXAMPLE_MARK) {
        Some(text) => (Shown::Example, text),
        None => match text.strip_prefix('#') {
            Some(text) => (Shown::Default, text),
            None => (Shown::Live, text),
        },
    };
    // Prose has a space after its `#`.
    text.starts_with(|c: char| c.is_ascii_lowercase())
        .then_some((indent, shown, text))
}

impl Default for Filling {
    fn default() -> Self {
        Self {
            lines: DEFAULT_FILE.lines().map(str::to_owned).collect(),
        }
    }
}

impl Filling {
    /// Sets a setting, named by its path such as `organisation.contact.name`, to a text, quoted as needed.
    pub fn text(&mut self, path: &str, value: &str) {
        self.yaml(path, &quoted(value));
    }

    /// Sets a setting to a piece of YAML on one line.
    pub fn yaml(&mut self, path: &str, value: &str) {
        let (at, indent, name) = self.locate(path);
        self.lines[at] = format!("{:indent$}{name}: {value}", "");
    }

    /// Leaves a setting out: its line stays as an example.
    pub fn without(&mut self, path: &str) {
        let (at, indent, _) = self.locate(path);
        if let Some((_, Shown::Live, setting)) = setting(&self.lines[at]) {
            self.lines[at] = format!("{:indent$}{EXAMPLE_MARK}{setting}", "");
        }
    }

    /// The whole file.
    pub fn finish(self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// The line of a setting; of several, the one that counts most.
    fn locate(&self, path: &str) -> (usize, usize, String) {
        let mut around: Vec<(usize, &str)> = Vec::new();
        let mut found: Option<(Shown, usize, usize, &str)> = None;
        for (at, line) in self.lines.iter().enumerate() {
            let Some((indent, shown, text)) = setting(line) else {
                continue;
            };
            let name = text.split(':').next().unwrap_or_default();
            around.retain(|(outer, _)| *outer < indent);
            around.push((indent, name));
            let here = around.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(".");
            if here == path && found.is_none_or(|(best, ..)| shown < best) {
                found = Some((shown, at, indent, name));
            }
        }
        let (_, at, indent, name) = found.expect("the default file shows every setting that is filled in");
        (at, indent, name.to_owned())
    }
}

/// A YAML double-quoted scalar: JSON's strings are some of them (YAML 1.2.2 §7.3.1).
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
