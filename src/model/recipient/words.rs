//! The words of `words.yaml` made ready for look-up, and the plain form in which words are compared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;
use serde::Deserialize;

use crate::model::breach::is_country;
use crate::model::breach::{DataCategory, SpecialCategory};
use crate::reading;

/// ISO 639-1.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en \
eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki \
kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv \
ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk \
tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    columns: BTreeMap<String, Vec<String>>,
    roles: HashSet<String>,
    languages: BTreeMap<String, Vec<String>>,
    countries: BTreeMap<String, Vec<String>>,
    data: BTreeMap<String, Vec<String>>,
}

/// Each word, in its plain form, with what it means.
struct Words {
    columns: HashMap<String, String>,
    roles: HashSet<String>,
    languages: HashMap<String, String>,
    countries: HashMap<String, String>,
    data: HashMap<String, String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let file: File =
        reading::yaml("words.yaml", include_bytes!("words.yaml")).expect("a built-in file, read by every test");
    let turned = |map: BTreeMap<String, Vec<String>>| {
        let each = map.into_iter();
        each.flat_map(|(meaning, words)| words.into_iter().map(move |word| (word, meaning.clone())))
            .collect()
    };
    Words {
        columns: turned(file.columns),
        roles: file.roles,
        languages: turned(file.languages),
        countries: turned(file.countries),
        data: turned(file.data),
    }
});

/// The form in which words are compared: decomposed (Unicode NFKD) without its accents, in lower case, apostrophes gone,
/// everything else that is neither letter nor digit as one space.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    let mut push = |c: char| {
        if c.is_alphanumeric() {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            match c {
                'ß' => out.push_str("ss"),
                c if c.is_ascii() => out.push(c.to_ascii_lowercase()),
                c => out.extend(c.to_lowercase()),
            }
        } else if !matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}') {
            gap = true;
        }
    };
    if text.is_ascii() {
        text.chars().for_each(&mut push);
    } else {
        const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
        NFKD.normalize_iter(text.chars()).for_each(&mut push);
    }
    out
}

/// The column that a header names, by the name we use for it.
pub(super) fn column(header: &str) -> Option<&'static str> {
    WORDS.columns.get(&plain(header)).map(String::as_str)
}

/// Whether this local part stands for a function.
pub(super) fn is_role(local_part: &str) -> bool {
    let lower = local_part.to_lowercase();
    let base = lower.split_once('+').map_or(lower.as_str(), |(base, _)| base);
    WORDS.roles.contains(base)
}

/// The ISO 639-1 code of `fr`, `fr-LU`, `FRA` or `français`.
pub(super) fn language(text: &str) -> Option<&str> {
    let is_known = |code: &str| code.len() == 2 && LANGUAGES.split(' ').any(|known| known == code);
    if is_known(text) {
        return Some(text);
    }
    let plain = plain(text);
    if let Some(code) = WORDS.languages.get(&plain) {
        return Some(code);
    }
    let first = plain.split(' ').next().unwrap_or_default();
    // The region or script behind the code (BCP 47) does not change which template is taken.
    LANGUAGES.split(' ').find(|known| *known == first).or_else(|| {
        let code = WORDS.languages.get(first)?;
        (first.len() == 3).then_some(code.as_str())
    })
}

/// The ISO 3166-1 alpha-2 code of a country's code or name.
pub(super) fn country(text: &str) -> Option<String> {
    if is_country(text) {
        return Some(text.to_owned());
    }
    let plain = plain(text);
    let by_name = WORDS.countries.get(&plain).cloned();
    by_name.or_else(|| Some(plain.to_uppercase()).filter(|code| is_country(code)))
}

/// The category of the breach record that these words mean, or its name itself.
pub(super) fn data_category(text: &str) -> Option<&'static str> {
    let word = text.trim();
    let names = DataCategory::ALL.iter().map(|category| category.name());
    let mut names = names.chain(SpecialCategory::ALL.iter().map(|category| category.name()));
    names
        .find(|name| *name == word)
        .or_else(|| WORDS.data.get(&plain(word)).map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_their_plain_form_and_mean_something() {
        for map in [&WORDS.columns, &WORDS.languages, &WORDS.countries, &WORDS.data] {
            for word in map.keys() {
                assert_eq!(&plain(word), word);
            }
        }
        for country in WORDS.countries.values() {
            assert!(is_country(country), "{country}");
        }
        for language in WORDS.languages.values() {
            assert_eq!(super::language(language), Some(language.as_str()));
        }
        for data in WORDS.data.values() {
            assert_eq!(data_category(data), Some(data.as_str()), "a category of the record");
        }
        assert_eq!(LANGUAGES.split(' ').count(), 184);
    }

    #[test]
    fn words_are_found_however_they_are_written() {
        for (header, name) in [
            ("E-Mail", Some("email")),
            ("Adresse e-mail", Some("email")),
            ("PRÉNOM", Some("first_name")),
            ("Pre\u{301}nom", Some("first_name")),
            ("Straße", Some("street")),
            ("Kunden-Nr.", Some("person_id")),
            ("favourite_colour", None),
            ("", None),
        ] {
            assert_eq!(column(header), name, "{header}");
        }
        for (text, code) in [
            ("fr", Some("fr")),
            ("fr-LU", Some("fr")),
            ("FR_fr", Some("fr")),
            ("français", Some("fr")),
            ("Lëtzebuergesch", Some("lb")),
            ("deu", Some("de")),
            ("nld-BE", Some("nl")),
            ("xx", None),
            ("klingon", None),
            ("", None),
        ] {
            assert_eq!(language(text), code, "{text}");
        }
        for (text, code) in [
            ("LU", Some("LU")),
            ("lu", Some("LU")),
            ("UK", Some("GB")),
            ("Österreich", Some("AT")),
            ("No", Some("NO")),
            ("Norvège", Some("NO")),
            ("Atlantis", None),
        ] {
            assert_eq!(country(text).as_deref(), code, "{text}");
        }
        assert_eq!(data_category("Bank account"), Some("financial"));
        assert_eq!(data_category("basic_identity"), Some("basic_identity"));
        assert_eq!(data_category("shoe size"), None);
        assert!(is_role("Info") && is_role("postmaster+x") && !is_role("anna.info"));
    }
}
