//! The words by which a linter knows what a sentence does, in each language that messages are written in. Lower case, with
//! straight apostrophes; a word that ends with `*` may go on, one that starts with it may have begun before. Knows nothing of sentences.

mod dutch;
mod english;
mod french;
mod german;
mod luxembourgish;
mod portuguese;

/// What to look for in one language.
pub(super) struct Words {
    /// Says that data was breached; the first is the example given.
    pub breach: &'static [&'static str],
    /// Sounds like advertising or news.
    pub marketing: &'static [&'static str],
    /// Kinds of data that a subject must not name.
    pub sensitive: &'static [&'static str],
    /// Plays the matter down.
    pub no_risk: &'static [&'static str],
    /// Presses for haste or threatens.
    pub urgent: &'static [&'static str],
    /// What nobody honest asks for.
    pub secrets: &'static [&'static str],
    /// Asks for something to be given.
    pub requests: &'static [&'static str],
    /// Asks to follow a link or to open a file.
    pub clicks: &'static [&'static str],
    /// A sentence with one of these says no.
    pub negations: &'static [&'static str],
    /// Ourselves; what we do or did within some hours is no haste.
    pub us: &'static [&'static str],
    /// The reader.
    pub reader: &'static [&'static str],
}

/// The words of a language, if there are any.
pub(super) fn of(language: &str) -> Option<&'static Words> {
    match language {
        "en" => Some(&english::WORDS),
        "fr" => Some(&french::WORDS),
        "de" => Some(&german::WORDS),
        "nl" => Some(&dutch::WORDS),
        "lb" => Some(&luxembourgish::WORDS),
        "pt" => Some(&portuguese::WORDS),
        _ => None,
    }
}
