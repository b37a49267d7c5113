//! How a rendered text is laid out on the page: 76 columns, headings underlined, label and value side by side, lists with
//! hanging lines, no stray blank lines. The helpers and the template reader leave the marks below; values never contain
//! one, so that only a template can start a heading or a row. Knows nothing of templates or facts.

/// The widest line. RFC 5322 §2.1.1 advises 78; two are left for the `> ` of a reply.
pub const WIDTH: usize = 76;
/// Where the value of a row begins.
const VALUE_COLUMN: usize = 28;

/// Stands for each `#` of a heading.
pub(super) const HEADING: char = '\u{2}';
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

/// Lays out `marked`, with `unknown` in the place of values that are not known. Ends with one line break.
pub(super) fn lay_out(marked: &str, unknown: &str) -> String {
    let mut page = String::with_capacity(marked.len() + marked.len() / 4);
    let mut blank = true;
    for line in marked.lines() {
        if line.contains(NO_LINE) {
            continue;
        }
        let line = line.replace(UNKNOWN, unknown);
        let line = line.trim_end();
        if line.is_empty() {
            if !blank {
                page.push('\n');
            }
            blank = true;
            continue;
        }
        blank = false;
        if let Some((label, values)) = line.split_once(ROW) {
            row(&mut page, label, values);
        } else if line.starts_with(HEADING) {
            heading(&mut page, line);
        } else {
            wrap(&mut page, line, WIDTH);
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// One line for a mail header: no line breaks, single spaces.
pub(super) fn one_line(marked: &str, unknown: &str) -> String {
    let text = marked.replace(UNKNOWN, unknown).replace(char::is_control, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn heading(page: &mut String, line: &str) {
    let level = line.chars().take_while(|c| *c == HEADING).count();
    let title = line.trim_start_matches(HEADING).trim_start();
    let start = page.len();
    wrap(page, title, WIDTH);
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
    let mut right = String::new();
    for value in values.split(NEXT_VALUE) {
        for (i, line) in value.split(VALUE_BREAK).enumerate() {
            let lead = match (several, i) {
                (false, _) => "",
                (true, 0) => "- ",
                (true, _) => "  ",
            };
            wrap(&mut right, &format!("{lead}{line}"), WIDTH - VALUE_COLUMN);
        }
    }
    let mut left = String::new();
    wrap(&mut left, label, VALUE_COLUMN - 2);
    let (mut left, mut right) = (left.lines(), right.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return,
            (label, None) => page.push_str(label.unwrap_or_default()),
            (label, Some(value)) => {
                let label = label.unwrap_or_default();
                page.push_str(label);
                if !value.is_empty() {
                    page.extend(std::iter::repeat_n(
                        ' ',
                        VALUE_COLUMN - width(label).min(VALUE_COLUMN - 1),
                    ));
                    page.push_str(value);
                }
            }
        }
        page.push('\n');
    }
}

/// Appends `line`, broken at spaces so that no line is wider than `most` unless a single word is. Further lines hang under
/// the text of the first, after its leading spaces and list dash.
fn wrap(page: &mut String, line: &str, most: usize) {
    if width(line) <= most {
        page.push_str(line);
        page.push('\n');
        return;
    }
    let spaces = line.len() - line.trim_start_matches(' ').len();
    let lead = if line[spaces..].starts_with("- ") {
        spaces + 2
    } else {
        spaces
    };
    page.push_str(&line[..lead]);
    let mut at = lead;
    for piece in pieces(&line[lead..]) {
        let wide = width(piece);
        if at > lead && at + 1 + wide > most {
            page.push('\n');
            page.extend(std::iter::repeat_n(' ', lead));
            at = lead;
        } else if at > lead {
            page.push(' ');
            at += 1;
        }
        page.push_str(piece);
        at += wide;
    }
    page.push('\n');
}

/// The parts of a text between which a line may break: words, but French punctuation stays with its word (`délai :`,
/// `« mot »`), and a number with what it counts (`Art. 33`, `point b)`).
fn pieces(text: &str) -> Vec<&str> {
    const LEADS: [&str; 10] = [
        "Art.",
        "article",
        "articles",
        "paragraphe",
        "point",
        "Abs.",
        "Buchst.",
        "Satz",
        "Nr.",
        "«",
    ];
    const TRAILS: [&str; 7] = [":", ";", "?", "!", "»", "»,", "»."];
    let mut pieces: Vec<&str> = Vec::new();
    let mut start = 0;
    let mut before = "";
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let at = word.as_ptr().addr() - text.as_ptr().addr();
        let glued = TRAILS.contains(&word) || LEADS.contains(&before.trim_start_matches('('));
        match pieces.last_mut() {
            Some(last) if glued => *last = &text[start..at + word.len()],
            _ => {
                start = at;
                pieces.push(word);
            }
        }
        before = word;
    }
    pieces
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(marked: &str) -> String {
        lay_out(marked, "not yet known")
    }

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
            ("it is \u{1a}.", "it is not yet known.\n"),
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
            assert_eq!(laid_out(marked), page, "{marked:?}");
        }
    }

    #[test]
    fn long_lines_are_wrapped_and_hang() {
        let words = "word ".repeat(40);
        for lead in ["", "  ", "- ", "    - "] {
            let page = laid_out(&format!("{lead}{words}"));
            assert!(page.lines().all(|l| width(l) <= WIDTH && l.trim_end() == l), "{page}");
            let hang = " ".repeat(lead.len());
            assert!(page.lines().skip(1).all(|l| l.starts_with(&hang)), "{page}");
            assert_eq!(page.split_whitespace().filter(|w| *w == "word").count(), 40);
        }
        let long = "x".repeat(200);
        assert_eq!(laid_out(&format!("see {long} there")), format!("see\n{long}\nthere\n"));
    }

    #[test]
    fn long_labels_wrap_beside_their_values() {
        let page = laid_out(&format!(
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
            let page = laid_out(&format!(
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
            let page = laid_out(&format!("{} gemäß (Art. 33 Abs. 3 Buchst. b DSGVO)", "x".repeat(n)));
            assert!(page.lines().all(|l| !l.ends_with('.')), "{page}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        assert_eq!(one_line("a\r\n b\n\u{1a}", "?"), "a b ?");
    }
}
