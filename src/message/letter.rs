//! Letters on paper: a PDF of A4 sheets for window envelopes, from the text that a mail would have had. Bytes out, no I/O.
//!
//! Set in Courier, one of the fonts that every PDF program and printer has, because the texts are laid out in columns of
//! equal width. Its encoding (WinAnsi) has the letters of the western European languages; whoever's name or address needs
//! others is refused here, so that nobody gets a garbled letter.

use encoding_rs::WINDOWS_1252;
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

/// A4 in points.
const PAGE: (f32, f32) = (595.28, 841.89);
const POINTS_PER_MM: f32 = 72.0 / 25.4;
const MARGIN_LEFT_MM: f32 = 25.0;
/// 76 columns of ten points are 161 mm wide.
const TEXT: f32 = 10.0;
const SMALL: f32 = 7.0;
const LEADING: f32 = 12.0;
/// What fits beside the edge of a window of 85 mm, in ten points.
const ADDRESS_COLUMNS: usize = 36;
/// DIN 5008 has six lines for the address.
const ADDRESS_LINES: usize = 6;
/// Where the subject stands on the first page, and the text on the others.
const FIRST_MM: f32 = 103.0;
const NEXT_MM: f32 = 25.0;
/// Nothing stands below, but for the number of the page.
const BOTTOM_MM: f32 = 22.0;
/// DIN 5008, form B: where a sheet is folded for a long envelope.
const FOLDS_MM: [f32; 2] = [105.0, 210.0];

const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const REGULAR_FONT: Ref = Ref::new(3);
const BOLD_FONT: Ref = Ref::new(4);

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
    /// Lines of at most 76 columns.
    pub text: &'a str,
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
    pages: Vec<Ref>,
    next: i32,
    letters: u32,
}

impl Letters {
    /// An empty file. `language` is told to programs that read it aloud.
    pub fn new(window: Window, language: &str) -> Self {
        let mut pdf = Pdf::new();
        pdf.catalog(CATALOG).pages(PAGES).lang(TextStr(language));
        for (font, name) in [(REGULAR_FONT, &b"Courier"[..]), (BOLD_FONT, b"Courier-Bold")] {
            pdf.type1_font(font)
                .base_font(Name(name))
                .encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        Self {
            window,
            pdf,
            pages: Vec::new(),
            next: 5,
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
        let to = address_lines(sheet.to)?;
        let encode = |lines: &[String]| -> Result<Vec<Vec<u8>>, Unprintable> {
            lines
                .iter()
                .map(|line| encoded(line).ok_or(Unprintable::Text))
                .collect()
        };
        let (sender, marks) = (encode(sheet.sender)?, encode(sheet.marks)?);
        let subject = encode(&folded(sheet.subject, 76))?;
        let lines: Vec<String> = sheet.text.lines().map(str::to_owned).collect();
        let lines = encode(&lines)?;

        let first = ((mm(297.0 - FIRST_MM - BOTTOM_MM) / LEADING) as usize).saturating_sub(subject.len() + 1);
        let rest = (mm(297.0 - NEXT_MM - BOTTOM_MM) / LEADING) as usize;
        let (head, tail) = lines.split_at(first.min(lines.len()));
        let count = 1 + tail.len().div_ceil(rest);
        let mut page = self.first_page(&sender, &to, &marks);
        write(&mut page, BOLD, TEXT, MARGIN_LEFT_MM, FIRST_MM, &subject);
        let below = FIRST_MM + (subject.len() + 1) as f32 * LEADING / POINTS_PER_MM;
        write(&mut page, REGULAR, TEXT, MARGIN_LEFT_MM, below, head);
        self.finish_page(page, 1, count);
        for (number, lines) in tail.chunks(rest).enumerate() {
            let mut page = Content::new();
            write(&mut page, REGULAR, TEXT, MARGIN_LEFT_MM, NEXT_MM, lines);
            self.finish_page(page, number + 2, count);
        }
        self.letters += 1;
        Ok(())
    }

    /// Letterhead, window, marks and folds.
    fn first_page(&self, sender: &[Vec<u8>], to: &[Vec<u8>], marks: &[Vec<u8>]) -> Content {
        let (address_mm, top_mm, marks_mm) = match self.window {
            Window::Left => (MARGIN_LEFT_MM, 62.7, 125.0),
            Window::Right => (110.0, 55.0, MARGIN_LEFT_MM),
        };
        let mut page = Content::new();
        let (name, rest) = sender.split_at(1.min(sender.len()));
        write(&mut page, BOLD, TEXT, MARGIN_LEFT_MM, 18.0, name);
        write(&mut page, REGULAR, TEXT, MARGIN_LEFT_MM, 22.5, rest);
        // What comes back finds its way: the sender's name stands in the window, small.
        write(&mut page, REGULAR, SMALL, address_mm, top_mm - 4.0, name);
        write(&mut page, REGULAR, TEXT, address_mm, top_mm + 1.0, to);
        write(&mut page, REGULAR, TEXT, marks_mm, top_mm + 1.0, marks);
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
            let text = format!("{number}/{count}").into_bytes();
            write(&mut content, REGULAR, SMALL, 180.0, 285.0, &[text]);
        }
        let (page, stream) = (Ref::new(self.next), Ref::new(self.next + 1));
        self.next += 2;
        self.pdf.stream(stream, &content.finish());
        let mut written = self.pdf.page(page);
        written.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
        written.parent(PAGES);
        written.contents(stream);
        let mut resources = written.resources();
        resources.fonts().pair(REGULAR, REGULAR_FONT).pair(BOLD, BOLD_FONT);
        resources.finish();
        written.finish();
        self.pages.push(page);
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        let count = i32::try_from(self.pages.len()).expect("a file has fewer pages than ids");
        self.pdf.pages(PAGES).kids(self.pages).count(count);
        self.pdf.finish()
    }
}

fn mm(length: f32) -> f32 {
    length * POINTS_PER_MM
}

/// Writes lines under each other; the first begins so far below the upper edge.
fn write(page: &mut Content, font: Name, size: f32, left_mm: f32, top_mm: f32, lines: &[Vec<u8>]) {
    page.begin_text();
    page.set_font(font, size);
    page.next_line(mm(left_mm), PAGE.1 - mm(top_mm) - size);
    for line in lines {
        page.show(Str(line));
        page.next_line(0.0, -LEADING);
    }
    page.end_text();
}

/// In the font's encoding; `None` when it lacks a letter.
fn encoded(line: &str) -> Option<Vec<u8>> {
    let (bytes, _, lacks) = WINDOWS_1252.encode(line);
    (!lacks && !line.chars().any(char::is_control)).then(|| bytes.into_owned())
}

fn address_lines(to: &[String]) -> Result<Vec<Vec<u8>>, Unprintable> {
    let lines = to.iter().flat_map(|line| line.lines()).map(str::trim);
    let lines: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .flat_map(|line| folded(line, ADDRESS_COLUMNS))
        .collect();
    if lines.len() < 2 {
        return Err(Unprintable::NoAddress);
    }
    if lines.len() > ADDRESS_LINES || lines.iter().any(|line| line.chars().count() > ADDRESS_COLUMNS) {
        return Err(Unprintable::LongAddress);
    }
    lines
        .iter()
        .map(|line| encoded(line).ok_or(Unprintable::Letters))
        .collect()
}

/// Folds between words; a word that is longer stays whole.
fn folded(line: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= columns => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of ASCII stand as they are, others in hexadecimal.
    fn holds(pdf: &[u8], text: &str) -> bool {
        let plain = encoded(text).unwrap();
        let hex: String = plain.iter().map(|byte| format!("{byte:02X}")).collect();
        let found = |text: &[u8]| pdf.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text));
        found(&plain) || found(hex.as_bytes())
    }
    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|&line| line.to_owned()).collect()
    }
    fn add(letters: &mut Letters, to: &[&str], text: &str) -> Result<(), Unprintable> {
        letters.add(&Sheet {
            sender: &lines(&["Exemple S.à r.l.", "1, rue de la Gare", "L-1234 Luxembourg"]),
            to: &lines(to),
            marks: &lines(&["2026-11-22", "B-2026-001"]),
            subject: "Vos données personnelles",
            text,
        })
    }

    #[test]
    fn a_letter_has_its_address_its_marks_and_as_many_pages_as_it_needs() {
        for window in [Window::Left, Window::Right] {
            let mut letters = Letters::new(window, "fr");
            add(
                &mut letters,
                &["Noëlle Çelik", "Œuvre 3", "L-9876 Wiltz"],
                "Bonjour,\n\nœ ë ç ã € – ’\n",
            )
            .unwrap();
            let long = "Une ligne.\n".repeat(190);
            add(&mut letters, &["Zoé", "Rue 4", "L-1111 Ettelbruck"], &long).unwrap();
            assert_eq!((letters.letters(), letters.pages()), (2, 5));
            let pdf = letters.finish();
            assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF"));
            for text in [
                "Noëlle Çelik",
                "Œuvre 3",
                "œ ë ç ã € – ’",
                "Vos données personnelles",
                "4/4",
                "2026-11-22",
            ] {
                assert!(holds(&pdf, text), "{text}");
            }
        }
    }

    #[test]
    fn nobody_gets_a_garbled_letter() {
        let mut letters = Letters::new(Window::Left, "fr");
        let long = "A ".repeat(200);
        for (to, text, why) in [
            (&["Anna"][..], "x", Unprintable::NoAddress),
            (&["Анна", "Rue 1", "L-1111 Wiltz"], "x", Unprintable::Letters),
            (&["Łukasz", "Rue 1", "L-1111 Wiltz"], "x", Unprintable::Letters),
            (&[&long, "Rue 1"], "x", Unprintable::LongAddress),
            (&["a", "b", "c", "d", "e", "f", "g"], "x", Unprintable::LongAddress),
            (&["Anna", "Rue 1"], "→", Unprintable::Text),
        ] {
            assert_eq!(add(&mut letters, to, text), Err(why), "{to:?}");
        }
        assert_eq!(
            (letters.letters(), letters.pages()),
            (0, 0),
            "nothing of them is printed"
        );
        add(&mut letters, &["Anna (Weber) \\", "Rue 1"], "x").unwrap();
        assert!(
            holds(&letters.finish(), r"Anna (Weber) \\"),
            "brackets in balance may stand as they are"
        );
    }
}
