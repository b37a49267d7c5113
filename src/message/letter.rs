//! Letters on paper: a PDF of A4 sheets for window envelopes, from the text that a mail would have had. Bytes out, no I/O.
//!
//! The font comes with the file. Whoever's name or address needs letters that it lacks, or a script that it cannot set, is
//! refused here, so that nobody gets a garbled letter.

mod font;
mod typeset;

use std::collections::HashMap;

use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use self::font::{COMPRESSION, Font, Refs};
use self::typeset::{LEADING, Line, Piece, TEXT, wrapped};
use super::template::Block;
use super::token::sha256_hex;

/// A4 in points.
const PAGE: (f32, f32) = (595.28, 841.89);
const POINTS_PER_MM: f32 = 72.0 / 25.4;
const MARGIN_LEFT_MM: f32 = 25.0;
/// As far from the right edge as DIN 5008 asks.
const MARGIN_RIGHT_MM: f32 = 20.0;
const SMALL: f32 = 7.0;
/// Six of them fit into the 27.3 mm that DIN 5008 leaves for an address.
const ADDRESS_LEADING: f32 = 12.5;
/// What fits beside the edge of a window of 85 mm.
const ADDRESS_MM: f32 = 76.0;
/// From the marks' left edge to the margin, on either side.
const MARKS_MM: f32 = 65.0;
/// DIN 5008 has six lines for the address.
const ADDRESS_LINES: usize = 6;
/// Where the subject stands on the first page, and the text on the others.
const FIRST_MM: f32 = 103.0;
const NEXT_MM: f32 = 25.0;
/// Nothing stands below, but for the number of the page.
const BOTTOM_MM: f32 = 22.0;
/// DIN 5008, form B: where a sheet is folded for a long envelope.
const FOLDS_MM: [f32; 2] = [105.0, 210.0];

/// Strokes around bold letters, in parts of their size.
const BOLDNESS: f32 = 0.03;
const FONT: Name<'static> = Name(b"F1");
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const FONT_REFS: Refs = Refs {
    font: Ref::new(3),
    numbered: Ref::new(4),
    descriptor: Ref::new(5),
    file: Ref::new(6),
    text: Ref::new(7),
};
const FIRST_FREE: i32 = 8;

/// On which side the envelope has its window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Window {
    /// DIN 5008 form B, for DL and C5/6.
    #[default]
    Left,
    /// As in France, Luxembourg and Belgium.
    Right,
}

/// One letter.
#[derive(Clone)]
pub struct Sheet<'a> {
    /// Who writes, one line each; the first is the name.
    pub sender: &'a [String],
    /// Name and postal address.
    pub to: &'a [String],
    /// Date and references, beside the window.
    pub marks: &'a [String],
    pub subject: &'a str,
    pub text: &'a [Block<'a>],
}

/// Why a letter cannot be printed; without personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprintable {
    #[error("there is no postal address")]
    NoAddress,
    #[error("the name or the address has letters that the letter's font lacks")]
    Letters,
    #[error("the address does not fit into the window of an envelope")]
    LongAddress,
    #[error("the text has letters that the letter's font lacks")]
    Text,
}

/// Letters of one language on their way into one file.
pub struct Letters {
    window: Window,
    pdf: Pdf,
    font: Font,
    pages: Vec<Ref>,
    /// By their digest: most persons' second and third pages are the same, and are kept once.
    contents: HashMap<String, Ref>,
    next: i32,
    letters: u32,
}

impl Letters {
    /// An empty file. `language` is told to programs that read it aloud.
    pub fn new(window: Window, language: &str) -> Self {
        let mut pdf = Pdf::new();
        pdf.catalog(CATALOG).pages(PAGES).lang(TextStr(language));
        Self {
            window,
            pdf,
            font: Font::new(),
            pages: Vec::new(),
            contents: HashMap::new(),
            next: FIRST_FREE,
            letters: 0,
        }
    }

    /// How many letters there are.
    pub fn letters(&self) -> u32 {
        self.letters
    }
    /// On how many pages.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Adds a letter, which begins on a page of its own.
    ///
    /// # Errors
    /// [`Unprintable`]; nothing is added then.
    pub fn add(&mut self, sheet: &Sheet) -> Result<(), Unprintable> {
        let to = self.address_lines(sheet.to)?;
        let width = PAGE.0 - mm(MARGIN_LEFT_MM + MARGIN_RIGHT_MM);
        let subject = [Block::Heading {
            level: 2,
            text: sheet.subject,
        }];
        let mut lines = typeset::lines(&self.font, &subject, width).ok_or(Unprintable::Text)?;
        let mut text = typeset::lines(&self.font, sheet.text, width).ok_or(Unprintable::Text)?;
        if let Some(first) = text.first_mut() {
            first.above += LEADING;
        }
        lines.append(&mut text);
        let sender = self.folded(sheet.sender, mm(165.0)).ok_or(Unprintable::Text)?;
        let marks = self.folded(sheet.marks, mm(MARKS_MM)).ok_or(Unprintable::Text)?;

        let pages = paged(&lines);
        for (i, lines) in pages.iter().enumerate() {
            let (mut page, top) = match i {
                0 => (self.first_page(&sender, &to, &marks), FIRST_MM),
                _ => (Content::new(), NEXT_MM),
            };
            self.write_lines(&mut page, top, lines);
            self.finish_page(page, i + 1, pages.len());
        }
        self.letters += 1;
        Ok(())
    }

    /// Letterhead, window, marks and folds.
    fn first_page(&mut self, sender: &[String], to: &[String], marks: &[String]) -> Content {
        let (address_mm, top_mm, marks_mm) = match self.window {
            Window::Left => (MARGIN_LEFT_MM, 62.7, 125.0),
            Window::Right => (110.0, 55.0, MARGIN_LEFT_MM),
        };
        let mut page = Content::new();
        let (name, rest) = sender.split_at(1.min(sender.len()));
        self.write_bold(&mut page, MARGIN_LEFT_MM, 18.0, name);
        self.write(&mut page, TEXT, ADDRESS_LEADING, MARGIN_LEFT_MM, 22.5, rest);
        // What comes back finds its way: the sender's name stands in the window, small.
        self.write(&mut page, SMALL, SMALL, address_mm, top_mm - 4.0, name);
        self.write(&mut page, TEXT, ADDRESS_LEADING, address_mm, top_mm + 1.0, to);
        self.write(&mut page, TEXT, ADDRESS_LEADING, marks_mm, top_mm + 1.0, marks);
        page.set_line_width(0.3);
        for fold in FOLDS_MM {
            page.move_to(mm(4.0), PAGE.1 - mm(fold));
            page.line_to(mm(9.0), PAGE.1 - mm(fold));
            page.stroke();
        }
        page
    }

    fn finish_page(&mut self, mut content: Content, number: usize, count: usize) {
        if count > 1 {
            self.write(&mut content, SMALL, SMALL, 180.0, 285.0, &[format!("{number}/{count}")]);
        }
        let content = content.finish();
        let digest = sha256_hex(&content);
        let page = self.free();
        let stream = match self.contents.get(&digest) {
            Some(stream) => *stream,
            None => {
                let stream = self.free();
                let packed = compress_to_vec_zlib(&content, COMPRESSION);
                self.pdf.stream(stream, &packed).filter(Filter::FlateDecode);
                self.contents.insert(digest, stream);
                stream
            }
        };
        let mut written = self.pdf.page(page);
        written.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
        written.parent(PAGES);
        written.contents(stream);
        let mut resources = written.resources();
        resources.fonts().pair(FONT, FONT_REFS.font);
        resources.finish();
        written.finish();
        self.pages.push(page);
    }

    fn free(&mut self) -> Ref {
        let free = Ref::new(self.next);
        self.next += 1;
        free
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        let count = i32::try_from(self.pages.len()).expect("a file has fewer pages than ids");
        self.pdf.pages(PAGES).kids(self.pages).count(count);
        self.font.embed(&mut self.pdf, FONT_REFS);
        self.pdf.finish()
    }

    /// Lines under each other; the first begins so far below the upper edge.
    fn write(&mut self, page: &mut Content, size: f32, leading: f32, left_mm: f32, top_mm: f32, lines: &[String]) {
        for (i, line) in lines.iter().enumerate() {
            let piece = Piece {
                x: mm(left_mm),
                text: line.clone(),
                size,
                bold: false,
            };
            self.put(page, &piece, 0.0, PAGE.1 - mm(top_mm) - size - i as f32 * leading);
        }
    }
    fn write_bold(&mut self, page: &mut Content, left_mm: f32, top_mm: f32, lines: &[String]) {
        for line in lines {
            let piece = Piece {
                x: mm(left_mm),
                text: line.clone(),
                size: TEXT,
                bold: true,
            };
            self.put(page, &piece, 0.0, PAGE.1 - mm(top_mm) - TEXT);
        }
    }
    fn write_lines(&mut self, page: &mut Content, top_mm: f32, lines: &[Line]) {
        let mut y = PAGE.1 - mm(top_mm) - TEXT;
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                y -= line.height(false);
            }
            for piece in &line.pieces {
                self.put(page, piece, mm(MARGIN_LEFT_MM), y);
            }
        }
    }
    fn put(&mut self, page: &mut Content, piece: &Piece, left: f32, y: f32) {
        page.begin_text();
        page.set_font(FONT, piece.size);
        if piece.bold {
            page.set_line_width(piece.size * BOLDNESS);
            page.set_text_rendering_mode(TextRenderingMode::FillStroke);
        }
        page.next_line(left + piece.x, y);
        page.show(Str(&self.font.encode(&piece.text)));
        if piece.bold {
            page.set_text_rendering_mode(TextRenderingMode::Fill);
        }
        page.end_text();
    }

    /// Lines that fit; `None` when the font lacks a letter.
    fn folded(&self, lines: &[String], width: f32) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for line in lines {
            all.extend(wrapped(&self.font, &self.font.printable(line)?, TEXT, width));
        }
        Some(all)
    }

    fn address_lines(&self, to: &[String]) -> Result<Vec<String>, Unprintable> {
        let lines = to.iter().flat_map(|line| line.lines()).map(str::trim);
        let lines: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if lines.len() < 2 {
            return Err(Unprintable::NoAddress);
        }
        let lines = self.folded(&lines, mm(ADDRESS_MM)).ok_or(Unprintable::Letters)?;
        let fits = |line: &String| self.font.width(line, TEXT) <= mm(ADDRESS_MM);
        match lines.len() <= ADDRESS_LINES && lines.iter().all(fits) {
            true => Ok(lines),
            false => Err(Unprintable::LongAddress),
        }
    }
}

/// Cut into pages; a line that leads to the next does not end one.
fn paged(lines: &[Line]) -> Vec<&[Line]> {
    let mut pages = Vec::new();
    let mut rest = lines;
    let mut room = mm(297.0 - FIRST_MM - BOTTOM_MM);
    loop {
        let mut height = 0.0;
        let fits = |(i, line): &(usize, &Line)| {
            height += line.height(*i == 0);
            height <= room
        };
        let most = rest.iter().enumerate().take_while(fits).count();
        let leading = rest[..most].iter().rev().take_while(|line| line.leads).count();
        let count = match most == rest.len() || leading == most {
            true => most.max(1).min(rest.len()),
            false => most - leading,
        };
        let (page, more) = rest.split_at(count);
        pages.push(page);
        if more.is_empty() {
            return pages;
        }
        rest = more;
        room = mm(297.0 - NEXT_MM - BOTTOM_MM);
    }
}

fn mm(length: f32) -> f32 {
    length * POINTS_PER_MM
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|&line| line.to_owned()).collect()
    }
    fn text(lines: &str) -> Vec<Block<'_>> {
        let line = |text| Block::Text {
            text,
            hangs: false,
            starts: false,
        };
        lines.lines().map(line).collect()
    }
    fn add(letters: &mut Letters, to: &[&str], said: &str) -> Result<(), Unprintable> {
        letters.add(&Sheet {
            sender: &lines(&["Exemple S.à r.l.", "1, rue de la Gare", "L-1234 Luxembourg"]),
            to: &lines(to),
            marks: &lines(&["22 novembre 2026", "B-2026-001"]),
            subject: "Vos données personnelles",
            text: &text(said),
        })
    }

    #[test]
    fn a_letter_has_as_many_pages_as_it_needs_and_says_the_same_once() {
        for window in [Window::Left, Window::Right] {
            let mut letters = Letters::new(window, "fr");
            let long = "Une ligne.\n".repeat(120);
            for n in 0..3 {
                add(
                    &mut letters,
                    &[&format!("Zoé {n}"), "Rue 4", "L-1111 Ettelbruck"],
                    &long,
                )
                .unwrap();
            }
            assert_eq!((letters.letters(), letters.pages()), (3, 9));
            assert_eq!(letters.contents.len(), 3 + 2, "only first pages differ");
            let pdf = letters.finish();
            assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF"));
            assert!(
                pdf.len() < 40_000,
                "{} bytes: the font is cut to what is used",
                pdf.len()
            );
        }
    }

    #[test]
    fn a_heading_stays_with_what_follows() {
        let line = |leads| Line {
            leads,
            ..Line::default()
        };
        let fits_first = (mm(297.0 - FIRST_MM - BOTTOM_MM) / LEADING) as usize;
        let mut all = vec![line(false); fits_first - 1];
        all.extend([line(true), line(false)]);
        let counts: Vec<usize> = paged(&all).iter().map(|page| page.len()).collect();
        assert_eq!(counts, [fits_first - 1, 2]);
        // Nothing but headings: it ends all the same.
        assert_eq!(
            paged(&vec![line(true); 100])
                .iter()
                .map(|page| page.len())
                .sum::<usize>(),
            100
        );
        assert_eq!(paged(&[]).len(), 1);
    }

    #[test]
    fn nobody_gets_a_garbled_letter() {
        let mut letters = Letters::new(Window::Left, "fr");
        let long = "A".repeat(80);
        for (to, text, why) in [
            (&["Anna"][..], "x", Unprintable::NoAddress),
            (&["محمد", "Rue 1", "L-1111 Wiltz"], "x", Unprintable::Letters),
            (&["李小龍", "Rue 1", "L-1111 Wiltz"], "x", Unprintable::Letters),
            (&[&long, "Rue 1"], "x", Unprintable::LongAddress),
            (&["a", "b", "c", "d", "e", "f", "g"], "x", Unprintable::LongAddress),
            (&["Anna", "Rue 1"], "漢", Unprintable::Text),
        ] {
            assert_eq!(add(&mut letters, to, text), Err(why), "{to:?}");
        }
        assert_eq!(
            (letters.letters(), letters.pages()),
            (0, 0),
            "nothing of them is printed"
        );
        add(&mut letters, &["Łukasz (Żak) \\", "ul. Główna 1", "00-001 Łódź"], "x").unwrap();
        assert_eq!(letters.pages(), 1);
    }
}
