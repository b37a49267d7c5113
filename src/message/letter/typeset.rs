//! From the parts of a message to lines on paper: wrapped by the width of their letters, rows in two columns, lists that
//! hang, headings that stay with what follows. Knows nothing of pages' heads or of PDF.

use super::font::Font;
use crate::message::template::{Block, may_part};

/// Of the text, in points.
pub(super) const TEXT: f32 = 11.0;
const TITLE: f32 = 13.0;
/// From line to line.
pub(super) const LEADING: f32 = 14.0;
/// Between two paragraphs.
const GAP: f32 = 7.0;
/// Where the value of a row begins, and a text in a list.
const VALUES: f32 = 150.0;
const HANG: f32 = 13.0;

/// A piece of text on a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// From the left margin, in points.
    pub x: f32,
    pub text: String,
    pub size: f32,
    pub bold: bool,
}
/// Pieces side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    pub pieces: Vec<Piece>,
    /// What is left free above it, unless it is the first of a page.
    pub above: f32,
    /// It must not be the last of a page.
    pub leads: bool,
}
impl Line {
    fn of(text: String, x: f32) -> Self {
        Self {
            pieces: vec![piece(text, x)],
            ..Self::default()
        }
    }
    /// How much of the page it takes below another.
    pub fn height(&self, is_first: bool) -> f32 {
        LEADING + if is_first { 0.0 } else { self.above }
    }
}

fn piece(text: String, x: f32) -> Piece {
    Piece {
        x,
        text,
        size: TEXT,
        bold: false,
    }
}

/// All lines of a text, none wider than `width` unless a word is; `None` when the font lacks a letter.
pub(super) fn lines(font: &Font, blocks: &[Block<'_>], width: f32) -> Option<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut above = 0.0;
    for block in blocks {
        let mut set = match block {
            Block::Gap => {
                above = GAP;
                continue;
            }
            Block::Heading { level, text } => heading(font, *level, &font.printable(text)?, width),
            Block::Text { text, hangs, starts } => paragraph(font, &font.printable(text)?, *hangs, *starts, width),
            Block::Row { label, values } => row(font, label, values, width)?,
        };
        if let Some(first) = set.first_mut() {
            first.above += std::mem::take(&mut above);
        }
        lines.append(&mut set);
    }
    Some(lines)
}

fn heading(font: &Font, level: usize, text: &str, width: f32) -> Vec<Line> {
    let (size, above) = if level == 1 {
        (TITLE, 2.0 * GAP)
    } else {
        (TEXT, GAP / 2.0)
    };
    let mut lines: Vec<Line> = wrapped(font, text, size, width)
        .into_iter()
        .map(|text| Line {
            pieces: vec![Piece {
                size,
                bold: true,
                ..piece(text, 0.0)
            }],
            above: 0.0,
            leads: true,
        })
        .collect();
    if let Some(first) = lines.first_mut() {
        first.above = above;
    }
    lines
}

fn paragraph(font: &Font, text: &str, hangs: bool, starts: bool, width: f32) -> Vec<Line> {
    let x = if hangs { HANG } else { 0.0 };
    let mut lines: Vec<Line> = wrapped(font, text, TEXT, width - x)
        .into_iter()
        .map(|text| Line::of(text, x))
        .collect();
    if let (true, Some(first)) = (starts, lines.first_mut()) {
        first.pieces.insert(0, piece("–".to_owned(), 0.0));
    }
    if let (true, Some(last)) = (text.ends_with(':'), lines.last_mut()) {
        last.leads = true;
    }
    lines
}

fn row(font: &Font, label: &str, values: &[Vec<&str>], width: f32) -> Option<Vec<Line>> {
    let labels = wrapped(font, &font.printable(label)?, TEXT, VALUES - HANG);
    let mut told = Vec::new();
    for value in values {
        for (i, part) in value.iter().enumerate() {
            let several = values.len() > 1;
            told.extend(paragraph(
                font,
                &font.printable(part)?,
                several,
                several && i == 0,
                width - VALUES,
            ));
        }
    }
    let count = told.len().max(labels.len());
    told.resize(count, Line::default());
    for line in &mut told {
        line.pieces.iter_mut().for_each(|piece| piece.x += VALUES);
    }
    for (line, label) in told.iter_mut().zip(labels) {
        line.pieces.insert(0, piece(label, 0.0));
    }
    Some(told)
}

/// A printable text cut between words into lines of at most `width` points; a wider word has a line of its own.
pub(super) fn wrapped(font: &Font, text: &str, size: f32, width: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // What may not be parted from what follows is taken along as one word.
    let mut word = String::new();
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(next) = words.next() {
        word.push_str(next);
        if let Some(after) = words.peek().filter(|after| !may_part(&word, after)) {
            let together = format!("{word} {after}");
            if font.width(&together, size) <= width {
                word.push(' ');
                continue;
            }
        }
        match lines.last_mut() {
            Some(last) if font.width(&format!("{last} {word}"), size) <= width => {
                last.push(' ');
                last.push_str(&word);
            }
            _ => lines.push(std::mem::take(&mut word)),
        }
        word.clear();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_the_paper_allows() {
        let font = Font::new();
        let text =
            "Vous n'avez besoin ni de cliquer, ni d'ouvrir quoi que ce soit : Art. 34 « même » en cas de doute ! "
                .repeat(9);
        for width in [60.0, 150.0, 300.0, 468.0] {
            let lines = wrapped(&font, &text, TEXT, width);
            assert_eq!(lines.join(" "), text.trim_end());
            for (i, line) in lines.iter().enumerate() {
                assert!(
                    font.width(line, TEXT) <= width || !line.contains(' '),
                    "{line:?} in {width}"
                );
                assert!(
                    !line.starts_with([':', '»', '!']) && !line.ends_with(['«', '.']) || i + 1 == lines.len(),
                    "{line:?}"
                );
                if let Some(word) = lines.get(i + 1).and_then(|next| next.split(' ').next()) {
                    let more = format!("{line} {word}");
                    let kept = !may_part(line, word) || ["soit", "Art.", "«", "doute", "même"].contains(&word);
                    assert!(
                        font.width(&more, TEXT) > width || kept,
                        "room for {word:?} after {line:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_lists_and_headings() {
        let font = Font::new();
        let blocks = [
            Block::Text {
                text: "a",
                hangs: false,
                starts: false,
            },
            Block::Gap,
            Block::Heading { level: 2, text: "T" },
            Block::Gap,
            Block::Text {
                text: "b",
                hangs: true,
                starts: true,
            },
            Block::Row {
                label: "L",
                values: vec![vec!["1", "2"], vec!["3"]],
            },
        ];
        let lines = lines(&font, &blocks, 400.0).unwrap();
        let seen: Vec<(String, f32)> = lines
            .iter()
            .map(|line| {
                let texts: Vec<String> = line.pieces.iter().map(|p| format!("{}@{}", p.text, p.x)).collect();
                (texts.join(" "), line.above)
            })
            .collect();
        let wanted = [
            ("a@0", 0.0),
            ("T@0", 10.5),
            ("–@0 b@13", 7.0),
            ("L@0 –@150 1@163", 0.0),
            ("2@163", 0.0),
            ("–@150 3@163", 0.0),
        ];
        assert_eq!(seen, wanted.map(|(text, above)| (text.to_owned(), above)));
        assert!(lines[1].leads && lines[1].pieces[0].bold);
        assert_eq!(
            super::lines(
                &font,
                &[Block::Row {
                    label: "L",
                    values: vec![vec!["漢"]]
                }],
                400.0
            ),
            None
        );
    }
}
