//! How a rendered text is laid out on the page: 76 columns, headings underlined, label and value side by side, lists with
//! hanging lines, no stray blank lines. The helpers and the template reader leave the marks below; values never contain
//! one, so that only a template can start a heading or a row. Knows nothing of templates or facts.

use std::cell::RefCell;

use crate::message::alike::{self, Kept, Making};

/// The widest line. RFC 5322 §2.1.1 advises 78; two are left for the `> ` of a reply.
pub const WIDTH: usize = 76;
/// Where the value of a row begins.
const VALUE_COLUMN: usize = 28;

/// Stands for each `#` of a heading.
pub(super) const HEADING: char = '\u{2}';
/// Stands at the start of a line, before the code of the language in which all that follows is written.
pub(super) const LANGUAGE: char = '\u{1c}';
/// Stands where a value should be and none is known.
pub(super) const UNKNOWN: char = '\u{1a}';
/// Stands on a line that is to vanish.
pub(super) const NO_LINE: char = '\u{18}';
/// Stands between the label of a row and its first value.
pub(super) const ROW: char = '\u{1f}';
/// Stands between two values of a row.
pub(super) const NEXT_VALUE: char = '\u{1e}';
/// Stands for a line break within a value of a row.
pub(super) const VALUE_BREAK: char = '\u{1d}';

/// Lays out `marked`. Ends with one line break.
pub(super) fn lay_out(marked: &str) -> String {
    thread_local! {
        static KEPT: RefCell<Kept<String>> = RefCell::default();
    }
    let mut page = alike::make(&KEPT, marked, lay_out_lines);
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn lay_out_lines(part: &str, begins: bool, making: &mut Making<String>) {
    let mut blank = begins;
    let mut after = 0;
    for line in part.split_inclusive('\n') {
        after += line.len();
        let line = line.trim_end();
        let page = &mut making.out;
        // All marks are control characters, and most lines have none.
        let has_marks = line.bytes().fold(false, |found, b| found | (b < b' '));
        if !line.is_empty() && !has_marks {
            blank = false;
            wrap(page, line);
            making.seam(after);
            continue;
        }
        if line.contains(NO_LINE) || line.starts_with(LANGUAGE) {
            continue;
        }
        if line.is_empty() {
            if !blank {
                page.push('\n');
            }
            blank = true;
            continue;
        }
        blank = false;
        if let Some((label, values)) = line.split_once(ROW) {
            row(page, label, values);
        } else if line.starts_with(HEADING) {
            heading(page, line);
        } else {
            wrap(page, line);
        }
    }
}

/// One line for a mail header: no line breaks, single spaces.
pub(super) fn one_line(marked: &str) -> String {
    let is_tidy = !marked.contains("  ")
        && !marked.starts_with(' ')
        && !marked.ends_with(' ')
        && !marked.contains(|c: char| c.is_control() || c != ' ' && c.is_whitespace());
    if is_tidy {
        return marked.to_owned();
    }
    let text = marked.replace(char::is_control, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn heading(page: &mut String, line: &str) {
    let level = line.chars().take_while(|c| *c == HEADING).count();
    let title = line.trim_start_matches(HEADING).trim_start();
    let start = page.len();
    wrap(page, title);
    let under = match level {
        1 => '=',
        2 => '-',
        _ => return,
    };
    let longest = page[start..].lines().map(width).max().unwrap_or(0);
    page.extend(std::iter::repeat_n(under, longest));
    page.push('\n');
}

/// A label and its values in two columns; several values become a list.
fn row(page: &mut String, label: &str, values: &str) {
    let several = values.contains(NEXT_VALUE);
    let mut labels = Lines::of(label, VALUE_COLUMN - 2);
    for value in values.split(NEXT_VALUE) {
        for (i, line) in value.split(VALUE_BREAK).enumerate() {
            let mut dash = match (several, i) {
                (false, _) => "",
                (true, 0) => "- ",
                (true, _) => "  ",
            };
            let (lead, text) = line.split_at(hanging(line));
            let hang = dash.len() + lead.len();
            for (j, part) in Lines::of(text, (WIDTH - VALUE_COLUMN).saturating_sub(hang)).enumerate() {
                let label = labels.next().unwrap_or_default();
                page.push_str(label);
                if !part.is_empty() {
                    blanks(page, VALUE_COLUMN - width(label).min(VALUE_COLUMN - 1));
                    page.push_str(dash);
                    match j {
                        0 => page.push_str(lead),
                        _ => blanks(page, lead.len()),
                    }
                    page.push_str(part);
                }
                page.push('\n');
                dash = if several { "  " } else { "" };
            }
        }
    }
    for label in labels {
        page.push_str(label);
        page.push('\n');
    }
}

/// Appends `line`, broken at spaces so that no line is wider than [`WIDTH`] unless a single word is. Further lines hang
/// under the text of the first.
fn wrap(page: &mut String, line: &str) {
    let (lead, text) = line.split_at(hanging(line));
    page.push_str(lead);
    for (i, part) in Lines::of(text, WIDTH.saturating_sub(lead.len())).enumerate() {
        if i > 0 {
            page.push('\n');
            blanks(page, lead.len());
        }
        page.push_str(part);
    }
    page.push('\n');
}

/// How much of a line its further lines leave blank: leading spaces and a list's dash.
fn hanging(line: &str) -> usize {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    match line[spaces..].starts_with("- ") {
        true => spaces + 2,
        false => spaces,
    }
}

fn blanks(page: &mut String, count: usize) {
    const BLANKS: &str = "                                ";
    match BLANKS.get(..count) {
        Some(blanks) => page.push_str(blanks),
        None => page.extend(std::iter::repeat_n(' ', count)),
    }
}

/// A text cut at spaces into lines of at most `most` columns; a wider word has a line of its own. There is at least one
/// line. The lines are parts of the text: nothing is copied.
struct Lines<'a> {
    rest: Option<&'a str>,
    most: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, most: usize) -> Self {
        Self { rest: Some(text), most }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.take()?;
        let Some((line, rest)) = cut(text, self.most) else {
            return Some(text);
        };
        self.rest = Some(rest);
        Some(line)
    }
}

/// The first line of `text` and what follows it; `None` if it is one line.
fn cut(text: &str, most: usize) -> Option<(&str, &str)> {
    if text.len() <= most {
        return None;
    }
    let limit = match text.as_bytes()[..=most].is_ascii() {
        true => most,
        false => text.char_indices().nth(most)?.0,
    };
    let parts = |at: usize| {
        let (line, rest) = (text[..at].trim_end_matches(' '), text[at..].trim_start_matches(' '));
        (!line.is_empty() && !rest.is_empty() && may_part(line, rest)).then_some((line, rest))
    };
    let within = text[..limit].rmatch_indices(' ').map(|(at, _)| at);
    let beyond = text[limit..].match_indices(' ').map(|(at, _)| limit + at);
    let at_limit = text[limit..].starts_with(' ').then_some(limit);
    at_limit.into_iter().chain(within).chain(beyond).find_map(parts)
}

/// May a line end after `line`, and the next begin with `rest`? French punctuation stays with its word (`délai :`,
/// `« mot »`), and a number with what it counts (`Art. 33`, `point b)`).
pub(in crate::message) fn may_part(line: &str, rest: &str) -> bool {
    let last = line.rsplit(' ').next().unwrap_or_default();
    let first = rest.split(' ').next().unwrap_or_default();
    let leads = matches!(
        last.trim_start_matches('('),
        "Art." | "article" | "articles" | "paragraphe" | "point" | "Abs." | "Buchst." | "Satz" | "Nr." | "«"
    );
    let trails = matches!(first, ":" | ";" | "?" | "!" | "»" | "»," | "».");
    !leads && !trails
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        for (marked, page) in [
            ("\n\na  \n\n\n\nb\n\n", "a\n\nb\n"),
            (
                "\u{2} Title\n\u{2}\u{2} Part\n\u{2}\u{2}\u{2} Piece",
                "Title\n=====\nPart\n----\nPiece\n",
            ),
            ("# no heading", "# no heading\n"),
            ("a\n\u{18}\nb", "a\nb\n"),
            ("- a\n\u{1c}fr\n- b", "- a\n- b\n"),
            ("Name\u{1f}Anna", "Name                        Anna\n"),
            (
                "Data\u{1f}names\u{1e}salaries",
                "Data                        - names\n                            - salaries\n",
            ),
            (
                "Post\u{1f}1, rue A\u{1d}L-1",
                "Post                        1, rue A\n                            L-1\n",
            ),
            ("", "\n"),
        ] {
            assert_eq!(lay_out(marked), page, "{marked:?}");
        }
    }

    #[test]
    fn long_lines_are_wrapped_and_hang() {
        let words = "word ".repeat(40);
        for lead in ["", "  ", "- ", "    - "] {
            let page = lay_out(&format!("{lead}{words}"));
            assert!(page.lines().all(|l| width(l) <= WIDTH && l.trim_end() == l), "{page}");
            let hang = " ".repeat(lead.len());
            assert!(page.lines().skip(1).all(|l| l.starts_with(&hang)), "{page}");
            assert_eq!(page.split_whitespace().filter(|w| *w == "word").count(), 40);
        }
        let long = "x".repeat(200);
        assert_eq!(lay_out(&format!("see {long} there")), format!("see\n{long}\nthere\n"));
    }

    #[test]
    fn long_labels_wrap_beside_their_values() {
        let page = lay_out(&format!(
            "Special categories (Art. 9) and criminal data (Art. 10)\u{1f}{}",
            "word ".repeat(30)
        ));
        assert!(page.lines().all(|l| width(l) <= WIDTH), "{page}");
        assert_eq!(page.matches("word").count(), 30);
        assert!(page.starts_with("Special categories          word"), "{page}");
    }

    #[test]
    fn french_punctuation_does_not_start_a_line() {
        for n in 60..80 {
            let page = lay_out(&format!(
                "{} mot : « autre » ; fin de la ligne qui est bien trop longue",
                "x".repeat(n)
            ));
            for line in page.lines() {
                assert!(!line.starts_with([':', ';', '»']) && !line.ends_with('«'), "{page}");
            }
        }
    }

    #[test]
    fn article_and_number_stay_together() {
        for n in 60..80 {
            let page = lay_out(&format!("{} gemäß (Art. 33 Abs. 3 Buchst. b DSGVO)", "x".repeat(n)));
            assert!(page.lines().all(|l| !l.ends_with('.')), "{page}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        for (marked, line) in [
            ("a\r\n b\n", "a b"),
            ("à b", "à b"),
            (" a", "a"),
            ("a ", "a"),
            ("a  b", "a b"),
            ("a\u{a0}b\u{2028}c\u{85}d", "a b c d"),
        ] {
            assert_eq!(one_line(marked), line, "{marked:?}");
        }
    }
}
