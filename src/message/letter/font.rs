//! The font of letters: DejaVu Sans Condensed, which has the letters of Latin, Greek, Cyrillic, Armenian and Georgian
//! script. Into each file goes only what its letters use, with what a program needs to read, search and copy the text.
//! Knows nothing of letters or pages.

use std::collections::BTreeMap;

use icu_normalizer::ComposingNormalizerBorrowed;
use miniz_oxide::deflate::compress_to_vec_zlib;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use crate::message::token::sha256_hex;

const FILE: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSansCondensed.ttf");
const FAMILY: &str = "DejaVuSansCondensed";
/// How hard streams are compressed: more costs time and saves little.
pub(super) const COMPRESSION: u8 = 6;
/// Glyphs are numbered by ourselves, in the order of their first use.
const NUMBERED: SystemInfo<'static> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};

/// The objects that a font takes in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refs {
    pub font: Ref,
    pub numbered: Ref,
    pub descriptor: Ref,
    pub file: Ref,
    pub text: Ref,
}

/// The font, and what of it has been used.
pub(super) struct Font {
    face: Face<'static>,
    used: GlyphRemapper,
    /// By our number of the glyph: what it stands for.
    stands_for: BTreeMap<u16, char>,
}

impl Font {
    pub fn new() -> Self {
        Self {
            face: Face::parse(FILE, 0).expect("the built-in font is sound"),
            used: GlyphRemapper::new(),
            stands_for: BTreeMap::new(),
        }
    }

    /// The text as it can be printed; `None` when the font lacks a letter, or cannot set it as its readers expect.
    pub fn printable(&self, text: &str) -> Option<String> {
        let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
        // They show only where a line could be broken.
        let seen = composed
            .chars()
            .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{feff}'));
        let spaced = seen.map(|c| if c == '\u{202f}' { '\u{a0}' } else { c });
        spaced
            .map(|c| (is_set_plainly(c) && self.face.glyph_index(c).is_some()).then_some(c))
            .collect()
    }

    /// How wide a printable text is, in points.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let units: f32 = text.chars().map(|c| self.advance(self.glyph(c))).sum();
        units * size / 1000.0
    }

    /// A printable text in the numbers of its glyphs.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * text.len());
        for c in text.chars() {
            let glyph = self.glyph(c);
            let number = self.used.remap(glyph.0);
            self.stands_for.entry(number).or_insert(c);
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    fn glyph(&self, c: char) -> GlyphId {
        self.face.glyph_index(c).unwrap_or_default()
    }
    /// In thousandths of the size.
    fn advance(&self, glyph: GlyphId) -> f32 {
        self.thousandths(self.face.glyph_hor_advance(glyph).unwrap_or(0))
    }
    fn thousandths(&self, units: impl Into<f32>) -> f32 {
        units.into() * 1000.0 / f32::from(self.face.units_per_em())
    }

    /// Writes what has been used of the font.
    pub fn embed(&self, pdf: &mut Pdf, refs: Refs) {
        let part = subsetter::subset(FILE, 0, &self.used).expect("the built-in font can be cut to what is used");
        // Programs that join files tell parts of a font apart by six letters.
        let tag = sha256_hex(&part)
            .bytes()
            .take(6)
            .map(|b| char::from(b'A' + b % 26))
            .collect::<String>();
        let name = format!("{tag}+{FAMILY}");
        let name = Name(name.as_bytes());

        pdf.type0_font(refs.font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(refs.numbered)
            .to_unicode(refs.text);
        let mut numbered = pdf.cid_font(refs.numbered);
        numbered
            .subtype(CidFontType::Type2)
            .base_font(name)
            .system_info(NUMBERED)
            .font_descriptor(refs.descriptor)
            .default_width(0.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        let widths = self.used.remapped_gids().map(|glyph| self.advance(GlyphId(glyph)));
        numbered.widths().consecutive(0, widths);
        drop(numbered);

        let bounds = self.face.global_bounding_box();
        let side = |units: i16| self.thousandths(units);
        let bounds = Rect::new(
            side(bounds.x_min),
            side(bounds.y_min),
            side(bounds.x_max),
            side(bounds.y_max),
        );
        pdf.font_descriptor(refs.descriptor)
            .name(name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(bounds)
            .italic_angle(0.0)
            .ascent(side(self.face.ascender()))
            .descent(side(self.face.descender()))
            .cap_height(side(self.face.capital_height().unwrap_or(0)))
            .stem_v(80.0)
            .font_file2(refs.file);
        let length = i32::try_from(part.len()).expect("the built-in font is small");
        let packed = compress_to_vec_zlib(&part, COMPRESSION);
        pdf.stream(refs.file, &packed)
            .filter(Filter::FlateDecode)
            .pair(Name(b"Length1"), length);

        let mut text = UnicodeCmap::new(Name(b"Text"), NUMBERED);
        for (number, stands_for) in &self.stands_for {
            text.pair(*number, *stands_for);
        }
        pdf.cmap(refs.text, &text.finish());
    }
}

/// Is a letter set one after the other, from left to right, as it is written? Not so where letters change with their
/// neighbours or run from right to left: Arabic, Hebrew, the scripts of India, marks that stand over others.
fn is_set_plainly(c: char) -> bool {
    matches!(u32::from(c),
        0x20..=0x7e | 0xa0..=0x24f          // Latin
        | 0x2b0..=0x2ff                     // apostrophes and the like
        | 0x370..=0x482 | 0x48a..=0x58f     // Greek, Cyrillic, Armenian
        | 0x10a0..=0x10ff                   // Georgian
        | 0x1e00..=0x1fff                   // Latin of Vietnam, old Greek
        | 0x2010..=0x2027 | 0x2030..=0x205e // dashes, quotation marks
        | 0x20a0..=0x20bf                   // currencies
        | 0x2100..=0x214f | 0x2190..=0x21ff // № and arrows
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_europe_can_be_printed_and_what_would_be_garbled_cannot() {
        let font = Font::new();
        for name in [
            "Łukasz Żółć-Śniadecka",
            "Jiří Dvořák",
            "Őrsi Űrhajós",
            "Ștefan Țîrlea",
            "Kārlis Ģirts",
            "Ąžuolas Šimkūnas",
            "Ωραία Παπαδοπούλου",
            "Георги Ъгълов",
            "Володимир Їжакевич",
            "Þóra Ðalsdóttir",
            "İbrahim Öğüt",
            "Nguyễn Thị Ánh",
            "გიორგი",
            "Ñandú d’Açoçà",
            "Ċensu Ħaż-Żgħir",
            "№ 5 – € 20 „so“ «là»",
        ] {
            assert_eq!(font.printable(name).as_deref(), Some(name));
        }
        // Composed where a list has the mark on its own; what cannot be seen is left out.
        assert_eq!(font.printable("Zoe\u{301}\u{ad}\u{200b}").as_deref(), Some("Zoé"));
        for name in [
            "محمد",
            "דוד",
            "李小龍",
            "नेहा",
            "สมชาย",
            "q\u{301}",
            "😀",
            "a\u{202e}b",
            "a\tb",
            "a\u{0}",
        ] {
            assert_eq!(font.printable(name), None, "{name:?}");
        }
    }

    #[test]
    fn widths_are_those_of_the_letters() {
        let font = Font::new();
        assert_eq!(font.width("", 11.0), 0.0);
        assert!(font.width("iiii", 11.0) < font.width("MMMM", 11.0) / 2.0);
        assert!((font.width("ab", 20.0) - 2.0 * font.width("ab", 10.0)).abs() < 0.001);
    }
}
