//! Phrases by which an authority may order us to inform the persons concerned (GDPR Art. 34(4), Art. 58(2)(e)). A hint
//! to the person who reads the mail, never a decision: the phrases are data, in `orders.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// How much of a text is searched.
const SEARCHED_CHARS: usize = 64 * 1024;

/// The first phrase found in a text, as it stands in the data; else the article, if it is cited in any language.
pub fn hint(text: &str) -> Option<&'static str> {
    let folded = fold(text);
    let phrase = PHRASES.iter().copied().find(|phrase| folded.contains(phrase));
    phrase.or_else(|| cited(&folded))
}

/// The numbers of an article stand in the same order in every language: `article 34(4)`, `articolo 34, paragrafo 4`, `art. 34
/// ust. 4`, `34 artiklan 4 kohta`; `58(2)(e)`, `art. 58 abs. 2 lit. e`.
fn cited(folded: &str) -> Option<&'static str> {
    const ARTICLES: [(&str, &[&str]); 2] = [("art. 34(4)", &["34", "4"]), ("art. 58(2)(e)", &["58", "2", "e"])];
    // Words such as "paragraph" and "lid" lie between the numbers, and little else does.
    const MOST_WORDS: usize = 2;
    let words: Vec<&str> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let follows = |from: usize, parts: &[&str]| {
        let mut at = from;
        parts.iter().all(|part| {
            let next = words[at..].iter().take(MOST_WORDS + 1).position(|word| {
                let ordinal = |rest: &str| rest.chars().all(|c| matches!(c, 'º' | 'ª'));
                // `4º`; `34a` is another article, and `45` another number.
                word == part || (part.len() == 1 && word.strip_prefix(*part).is_some_and(ordinal))
            });
            at += next.map_or(0, |next| next + 1);
            next.is_some()
        })
    };
    let law = |at: usize| {
        let near = at.saturating_sub(2)..words.len().min(at + 2);
        words[near]
            .iter()
            .any(|word| ARTICLE.iter().any(|known| word.starts_with(known)))
    };
    let found = ARTICLES
        .iter()
        .find(|(_, parts)| (0..words.len()).any(|at| words[at] == parts[0] && law(at) && follows(at + 1, &parts[1..])));
    found.map(|(name, _)| *name)
}

/// How "article" begins in the languages of the Union.
const ARTICLE: [&str; 10] = [
    "art", "člán", "člen", "чл", "άρθρ", "čl", "straipsn", "pant", "airteag", "cikk",
];

/// Lower case, white space of every kind as one blank, typographic apostrophes plain.
fn fold(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(SEARCHED_CHARS)
        .map(|c| if matches!(c, '\u{2019}' | '\u{2018}') { '\'' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

static PHRASES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        phrases: std::collections::BTreeMap<String, Vec<String>>,
    }
    let file: File = crate::reading::yaml("orders.yaml", include_bytes!("orders.yaml"))
        .expect("the built-in phrases are read by a test");
    file.phrases
        .into_values()
        .flatten()
        .map(|phrase| &*fold(&phrase).leak())
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_hinted_at_in_every_language() {
        for (text, expected) in [
            (
                "We order you to communicate the personal data\r\nbreach to the data subjects.",
                true,
            ),
            (
                "Nous vous enjoignons de communiquer la violation aux personnes concernées.",
                true,
            ),
            (
                "Wir weisen Sie an, die betroffenen Personen zu benachrichtigen (Art. 34 Abs. 4 DSGVO).",
                true,
            ),
            ("Gelet op artikel 34, lid 4, AVG", true),
            ("Ai sensi dell'articolo 34, paragrafo 4, del Regolamento", true),
            ("na podstawie art. 34 ust. 4 RODO", true),
            ("con arreglo al artículo 34, apartado 4", true),
            ("tietosuoja-asetuksen 34 artiklan 4 kohta", true),
            ("az általános adatvédelmi rendelet 34. cikk (4) bekezdése", true),
            ("gemäß Art. 58 Abs. 2 lit. e DSGVO", true),
            ("Your notification under Article 33, file 34 of 4 December 2026", false),
            ("articles 33 and 34 GDPR; 45 persons", false),
            ("Art. 34, 14 persons", false),
            ("Art. 34, 45 persons", false),
            ("Art. 34 GDPR: 4000 persons", false),
            ("Please tell us how many data subjects are concerned.", false),
            ("", false),
        ] {
            assert_eq!(hint(text).is_some(), expected, "{text}");
        }
        assert!(PHRASES.iter().all(|phrase| phrase.len() > 9 && fold(phrase) == *phrase));
    }
}
