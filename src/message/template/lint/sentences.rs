//! Cuts a laid-out text into sentences, across its line breaks, and looks for words in them. Knows nothing of what the
//! words mean.

use std::sync::LazyLock;

use regex::Regex;

/// One sentence, heading or row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Where it begins, from 1; 0 for a subject.
    pub line: usize,
    pub text: String,
    /// Not a heading or a row of label and value.
    pub is_prose: bool,
    lower: String,
}

impl Sentence {
    pub fn new(line: usize, text: &str) -> Self {
        Self {
            line,
            text: text.to_owned(),
            is_prose: true,
            lower: text.to_lowercase().replace('’', "'"),
        }
    }

    /// The first of `phrases` that stands in it, at the beginning of a word; also at a word's end unless the phrase ends
    /// with `*`, and within a word if it starts with one. Phrases are in lower case.
    pub fn first_of(&self, phrases: &[&'static str]) -> Option<&'static str> {
        let found = phrases.iter().find(|phrase| self.has(phrase));
        found.map(|phrase| phrase.trim_end_matches('*'))
    }

    pub fn has_any(&self, phrases: &[&'static str]) -> bool {
        self.first_of(phrases).is_some()
    }

    /// As [`Sentence::first_of`], but not where one of `others` stands among the three words before it: "we can confirm
    /// your …" asks for nothing.
    pub fn first_not_after(&self, phrases: &[&'static str], others: &[&str]) -> Option<&'static str> {
        let is_free = |at: usize| {
            let before: Vec<&str> = self.lower[..at].split_whitespace().rev().take(3).collect();
            !before.iter().any(|word| others.contains(word))
        };
        let found = phrases.iter().find(|phrase| self.places(phrase).any(is_free));
        found.map(|phrase| phrase.trim_end_matches('*'))
    }

    fn has(&self, phrase: &str) -> bool {
        self.places(phrase).next().is_some()
    }

    /// Where a phrase stands.
    fn places<'a>(&'a self, phrase: &'a str) -> impl Iterator<Item = usize> + 'a {
        let (phrase, open) = match phrase.strip_suffix('*') {
            Some(phrase) => (phrase, true),
            None => (phrase, false),
        };
        let (phrase, begun) = match phrase.strip_prefix('*') {
            Some(phrase) => (phrase, true),
            None => (phrase, false),
        };
        let places = self.lower.match_indices(phrase).map(|(at, _)| at);
        places.filter(move |at| {
            let before = self.lower[..*at].chars().next_back();
            let after = self.lower[at + phrase.len()..].chars().next();
            (begun || !before.is_some_and(char::is_alphanumeric)) && (open || !after.is_some_and(char::is_alphanumeric))
        })
    }
}

/// The sentences of a text: a blank line, a dash at the start of a line and a row end one as a full stop does.
pub(super) fn sentences(text: &str) -> Vec<Sentence> {
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    let mut run = (0, String::new());
    for (i, line) in lines.iter().enumerate() {
        let underlined = |next: &&str| !next.is_empty() && next.chars().all(|c| c == '-' || c == '=');
        let is_heading = lines.get(i + 1).is_some_and(underlined);
        let text = line.trim();
        let is_row = text.contains("   ");
        if text.is_empty() || is_heading || is_row || text.starts_with("- ") {
            cut(&mut all, std::mem::take(&mut run));
        }
        if is_heading || is_row {
            let aside = Sentence::new(i + 1, text);
            all.push(Sentence {
                is_prose: false,
                ..aside
            });
        } else if !text.is_empty() && !underlined(&text) {
            if run.1.is_empty() {
                run.0 = i + 1;
            } else {
                run.1.push('\n');
            }
            run.1.push_str(text.strip_prefix("- ").unwrap_or(text));
        }
    }
    cut(&mut all, run);
    all
}

/// Cuts one paragraph; its line breaks tell on which line a sentence begins.
fn cut(all: &mut Vec<Sentence>, (first, paragraph): (usize, String)) {
    static END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[.!?:][”“»)]*\s+").expect("a constant pattern"));
    let mut from = 0;
    let ends = END
        .find_iter(&paragraph)
        .filter(|end| !is_abbreviation(&paragraph[..end.start()]));
    for to in ends.map(|end| end.end()).chain([paragraph.len()]) {
        let text = paragraph[from..to].trim();
        if !text.is_empty() {
            let line = first + paragraph[..from].matches('\n').count();
            all.push(Sentence::new(line, &text.replace('\n', " ")));
        }
        from = to;
    }
}

/// Is the full stop after `text` none? (`Art. 77`, `18. November`, `B. Weber`)
fn is_abbreviation(text: &str) -> bool {
    const SHORT: [&str; 8] = ["art", "abs", "nr", "buchst", "exma", "exmo", "dr", "w.e.g"];
    let last = text
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let lower = last.to_lowercase();
    SHORT.contains(&lower.as_str()) || last.chars().count() == 1 || last.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_run_across_lines_and_know_where_they_begin() {
        let text = "Title\n-----\n\nOne sentence that\ngoes on. A second\none (Art. 77 GDPR): a third on 3. May.\n\nTel.        +352\n- item\n  goes on\n- next\n";
        let found: Vec<(usize, String, bool)> = sentences(text)
            .into_iter()
            .map(|s| (s.line, s.text, s.is_prose))
            .collect();
        let wanted = [
            (1, "Title", false),
            (4, "One sentence that goes on.", true),
            (5, "A second one (Art. 77 GDPR):", true),
            (6, "a third on 3. May.", true),
            (8, "Tel.        +352", false),
            (9, "item goes on", true),
            (11, "next", true),
        ];
        assert_eq!(found, wanted.map(|(line, text, prose)| (line, text.to_owned(), prose)));
    }

    #[test]
    fn words_begin_and_end() {
        let sentence = Sentence::new(1, "Your Passwords, l’unpassword");
        for (phrase, has) in [
            ("password", false),
            ("password*", true),
            ("your", true),
            ("our", false),
            ("l'un*", true),
            ("*password", true),
            ("*words", true),
        ] {
            assert_eq!(sentence.has(phrase), has, "{phrase}");
        }
    }
}
