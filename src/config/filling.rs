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

/// A YAML double-quoted scalar (YAML 1.2.2 §7.3.1). What YAML folds or refuses is escaped; other letters stay readable.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let is_noncharacter = u32::from(c) & 0xFFFE == 0xFFFE;
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{2028}' | '\u{2029}' | '\u{FEFF}' => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() || is_noncharacter => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn a_filled_setting_takes_the_line_that_counts_and_leaves_the_rest() {
        let mut file = Filling::default();
        file.text("sender.name", "X");
        file.yaml("alerts.emails", "[a@b.lu]");
        file.without("relay.password");
        file.text("relay.url", "smtp://h.lu");
        let text = file.finish();
        let changed: Vec<&str> = text
            .lines()
            .zip(DEFAULT_FILE.lines())
            .filter(|(a, b)| a != b)
            .map(|(a, _)| a)
            .collect();
        let expected = [
            "  name: \"X\"",
            "  url: \"smtp://h.lu\"",
            "  #e.g. password: { file: keys/relay.password }",
            "  emails: [a@b.lu]",
        ];
        assert_eq!(changed, expected);
        assert_eq!(text.lines().count(), DEFAULT_FILE.lines().count());
        assert!(Config::parse("config.yaml", text.as_bytes()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was_filled_in(text: String) {
            let read: Vec<String> = crate::reading::yaml("x.yaml", format!("[{}]", quoted(&text)).as_bytes()).unwrap();
            proptest::prop_assert_eq!(&read[0], &text);
        }
    }
}
