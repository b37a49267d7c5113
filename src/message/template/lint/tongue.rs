//! In which language a text seems to be written, by the small words that every text of a language is full of. A guess that
//! says nothing where it is not sure: a short text, one of names and numbers, a language that is not among ours. Knows
//! nothing of messages.

/// So many small words make a language likely.
const FEWEST: usize = 3;

/// The small words of each language, in lower case; those it shares with others are left out as far as it can do without.
const SMALL: [(&str, &[&str]); 6] = [
    (
        "en",
        &[
            "the", "and", "of", "was", "were", "with", "for", "that", "this", "has", "have", "been", "by", "from",
            "your", "you", "not", "which", "it", "are", "to", "our", "their", "its", "a", "is", "in", "could", "who",
        ],
    ),
    (
        "fr",
        &[
            "le", "la", "les", "des", "une", "un", "et", "est", "dans", "pour", "que", "qui", "par", "sur", "vous",
            "votre", "vos", "nous", "avec", "été", "du", "au", "aux", "ce", "cette", "pas", "l", "d", "n", "a", "ont",
            "de", "à",
        ],
    ),
    (
        "de",
        &[
            "der", "die", "das", "und", "ist", "wurde", "wurden", "mit", "von", "für", "nicht", "ein", "eine", "einen",
            "einer", "wir", "sie", "ihre", "ihr", "auf", "den", "dem", "im", "zu", "sich", "haben", "hat", "an", "bei",
            "es",
        ],
    ),
    (
        "nl",
        &[
            "de", "het", "een", "en", "van", "is", "zijn", "met", "voor", "niet", "wij", "u", "uw", "dat", "die", "op",
            "aan", "door", "werd", "werden", "naar", "bij", "heeft", "hebben", "te", "ook", "onze", "in",
        ],
    ),
    (
        "lb",
        &[
            "den", "déi", "dat", "an", "ass", "gouf", "goufen", "mat", "vun", "vum", "fir", "net", "en", "eng",
            "engem", "enger", "mir", "dir", "iech", "är", "äre", "ären", "op", "huet", "hunn", "sinn", "si", "ze",
            "bei", "d", "et", "de",
        ],
    ),
    (
        "pt",
        &[
            "o", "a", "os", "as", "de", "do", "da", "dos", "das", "e", "um", "uma", "foi", "foram", "que", "com",
            "para", "por", "não", "seu", "sua", "seus", "suas", "em", "no", "na", "nos", "ao", "à", "se",
        ],
    ),
];

/// The language that a text is written in, if it is plainly one of ours, and plainly not `supposed`.
pub(super) fn other_than(supposed: &str, text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
    let count = |small: &[&str]| words.iter().filter(|word| small.contains(word)).count();
    let counts = SMALL.map(|(language, small)| (language, count(small)));
    let (best, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let (_, own) = counts.into_iter().find(|(language, _)| *language == supposed)?;
    (best != supposed && most >= FEWEST && most >= 2 * own.max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What operators write, twice in each language.
    const TEXTS: [(&str, [&str; 2]); 6] = [
        (
            "en",
            [
                "A payroll file was sent to the wrong supplier. It held your name and your bank account.",
                "The attackers could read the data of our customers. We have closed the access.",
            ],
        ),
        (
            "fr",
            [
                "Un fichier de paie a été envoyé à un mauvais fournisseur. Il contenait votre nom et votre compte.",
                "Les pirates ont pu lire les données de nos clients. Nous avons fermé l'accès.",
            ],
        ),
        (
            "de",
            [
                "Eine Datei der Lohnabrechnung ging an einen falschen Lieferanten. Sie enthielt Ihren Namen.",
                "Die Angreifer konnten die Daten unserer Kunden lesen. Wir haben den Zugang gesperrt.",
            ],
        ),
        (
            "nl",
            [
                "Een loonbestand is naar de verkeerde leverancier gestuurd. Het bevatte uw naam en uw rekening.",
                "De aanvallers konden de gegevens van onze klanten lezen. Wij hebben de toegang gesloten.",
            ],
        ),
        (
            "lb",
            [
                "E Fichier mat de Paien ass un de falsche Fournisseur geschéckt ginn. Dran stoung Ären Numm an Äre Konto.",
                "D'Ugräifer konnten d'Donnéeë vun eise Clientë liesen. Mir hunn den Zougang gespaart.",
            ],
        ),
        (
            "pt",
            [
                "Um ficheiro de salários foi enviado ao fornecedor errado. Continha o seu nome e a sua conta.",
                "Os atacantes puderam ler os dados dos nossos clientes. Fechámos o acesso.",
            ],
        ),
    ];

    #[test]
    fn a_text_in_its_language_is_left_alone_and_in_another_is_known() {
        for (language, texts) in TEXTS {
            for text in texts {
                assert_eq!(other_than(language, text), None, "{text}");
            }
            let both = texts.join(" ");
            for (supposed, _) in TEXTS.iter().filter(|(other, _)| *other != language) {
                assert_eq!(other_than(supposed, &both), Some(language), "{both} as {supposed}");
            }
        }
    }

    #[test]
    fn where_it_is_not_sure_it_says_nothing() {
        for text in [
            "",
            "Under investigation",
            "Laptop, 3 March 2026",
            "Claire Weber, 12, rue Erasme",
            "Notebook gestohlen.",
        ] {
            assert_eq!(other_than("pt", text), None, "{text}");
        }
        assert_eq!(other_than("xx", TEXTS[0].1[0]), None, "a language that is not known");
    }
}
