//! How easily a text reads: Flesch's Reading Ease and what was made of it for other languages, from the lengths of sentences
//! and words. Only formulas that were tested on readers of the language are used; syllables are counted by vowels, which
//! is right for nine words in ten. Knows nothing of what a text says.

/// Below this a text is hard: Flesch's "difficult", for readers of academic texts.
pub const HARD: f64 = 50.0;
/// Below this it is very hard: "very difficult", a scientific text.
pub const VERY_HARD: f64 = 30.0;
/// A shorter text cannot be judged: Flesch measured samples of a hundred words.
const FEWEST_WORDS: usize = 100;

/// `base - by_words × words per sentence - by_syllables × syllables per word`; 100 is very easy, 0 very hard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Formula {
    pub language: &'static str,
    /// Whose it is, and where it was published.
    pub name: &'static str,
    base: f64,
    by_words: f64,
    by_syllables: f64,
}

/// The formulas, one for each language; none is known for Luxembourgish.
pub const FORMULAS: [Formula; 5] = [
    Formula {
        language: "en",
        name: "Flesch (A new readability yardstick, Journal of Applied Psychology 32, 1948)",
        base: 206.835,
        by_words: 1.015,
        by_syllables: 84.6,
    },
    Formula {
        language: "de",
        name: "Amstad (Wie verständlich sind unsere Zeitungen?, Zürich 1978)",
        base: 180.0,
        by_words: 1.0,
        by_syllables: 58.5,
    },
    Formula {
        language: "fr",
        name: "Kandel and Moles (Application de l'indice de Flesch à la langue française, Cahiers d'études de \
               radio-télévision 19, 1958)",
        base: 207.0,
        by_words: 1.015,
        by_syllables: 73.6,
    },
    Formula {
        language: "nl",
        name: "Douma (De leesbaarheid van landbouwbladen, Wageningen 1960)",
        base: 206.84,
        by_words: 0.93,
        by_syllables: 77.0,
    },
    Formula {
        language: "pt",
        name: "Martins, Ghiraldelo, Nunes and Oliveira (Readability formulas applied to textbooks in Brazilian Portuguese, \
               São Carlos 1996)",
        base: 248.835,
        by_words: 1.015,
        by_syllables: 84.6,
    },
];

/// How easily a text reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// 100 is very easy, 0 very hard; it may go beyond either.
    pub points: f64,
    pub formula: Formula,
}

/// The score of a text given by its sentences; `None` where no formula is known, or the text is too short.
pub fn score<'a>(language: &str, sentences: impl Iterator<Item = &'a str>) -> Option<Score> {
    let formula = FORMULAS.into_iter().find(|formula| formula.language == language)?;
    let (mut sentence_count, mut word_count, mut syllable_count) = (0.0, 0.0, 0.0);
    for sentence in sentences {
        let words = sentence
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty());
        let syllables: Vec<f64> = words.map(|word| syllables(word, language)).collect();
        if !syllables.is_empty() {
            sentence_count += 1.0;
            word_count += syllables.iter().map(|_| 1.0).sum::<f64>();
            syllable_count += syllables.iter().sum::<f64>();
        }
    }
    if word_count < FEWEST_WORDS as f64 {
        return None;
    }
    let points = formula.base
        - formula.by_words * word_count / sentence_count
        - formula.by_syllables * syllable_count / word_count;
    Some(Score { points, formula })
}

/// The syllables of a word: its groups of vowels; without a final `e` that is not heard in English and French.
fn syllables(word: &str, language: &str) -> f64 {
    const VOWELS: &str = "aeiouyàáâãäæèéêëìíîïòóôõöœùúûü";
    let word = word.to_lowercase();
    let heard = match language {
        "en" if !word.ends_with("le") => word
            .strip_suffix("es")
            .or(word.strip_suffix("ed"))
            .or(word.strip_suffix('e')),
        "fr" => word
            .strip_suffix("es")
            .or(word.strip_suffix("ent"))
            .or(word.strip_suffix('e')),
        _ => None,
    };
    let groups = |text: &str| {
        let is_vowel: Vec<bool> = text.chars().map(|c| VOWELS.contains(c)).collect();
        let starts = is_vowel
            .iter()
            .enumerate()
            .filter(|(i, vowel)| **vowel && (*i == 0 || !is_vowel[i - 1]));
        starts.map(|_| 1.0).sum::<f64>()
    };
    let count = groups(heard.filter(|heard| groups(heard) > 0.0).unwrap_or(&word));
    f64::max(count, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_by_language() {
        for (word, language, wanted) in [
            ("breach", "en", 1.0),
            ("changed", "en", 1.0),
            ("organisation", "en", 5.0),
            ("the", "en", 1.0),
            ("personnes", "fr", 2.0),
            ("données", "fr", 2.0),
            ("Datenschutzverletzung", "de", 6.0),
            ("persoonsgegevens", "nl", 5.0),
            ("violação", "pt", 3.0),
            ("x", "en", 1.0),
        ] {
            assert_eq!(syllables(word, language), wanted, "{word}");
        }
    }

    #[test]
    fn short_sentences_score_better() {
        let easy = ["The dog ran to the man and sat down by him."; 12];
        let hard = ["Organisational considerations necessitate comprehensive reassessment of contractual responsibilities, \
                     notwithstanding countervailing administrative considerations regarding proportionality";
            12];
        let points = |text: [&str; 12]| score("en", text.into_iter()).map(|s| s.points);
        assert!(points(easy) > Some(90.0), "{:?}", points(easy));
        assert!(points(hard) < Some(0.0), "{:?}", points(hard));
        assert_eq!(score("en", ["too short"].into_iter()), None);
        assert_eq!(score("lb", easy.into_iter()), None);
    }
}
