//! Phrases by which an authority may order us to inform the persons concerned (GDPR Art. 34(4), Art. 58(2)(e)). A hint
//! to the person who reads the mail, never a decision: the phrases are data, in `orders.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// How much of a text is searched.
const SEARCHED_CHARS: usize = 64 * 1024;

/// The first phrase found in a text, as it stands in the data.
pub fn hint(text: &str) -> Option<&'static str> {
    let folded = fold(text);
    PHRASES.iter().copied().find(|phrase| folded.contains(phrase))
}

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
            ("Please tell us how many data subjects are concerned.", false),
            ("", false),
        ] {
            assert_eq!(hint(text).is_some(), expected, "{text}");
        }
        assert!(PHRASES.iter().all(|phrase| phrase.len() > 9 && fold(phrase) == *phrase));
    }
}
