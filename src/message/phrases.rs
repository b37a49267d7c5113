//! Words by which mail says what it is: data in `phrases.yaml` (people, authorities, autoresponders) and
//! `report/words.yaml` (servers), found in one pass over the text. Knows nothing of what follows from them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

/// What a phrase means where it is found. The names are those of the lists in the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// "We have received your notification."
    Receipt,
    /// A receipt phrase in other company: asked for, promised, denied. It hides the phrases that it touches.
    NoReceipt,
    /// Received, but not readable: never an acknowledgement.
    Unreadable,
    /// A ticket system opened a ticket: an acknowledgement where an authority says so.
    Ticket,
    /// "I am out of the office": said only by those who are.
    Away,
    /// Was away, and is back: it hides the phrases that it touches.
    NotAway,
    /// Words that people use too; they count in a machine's mail.
    AutoHint,
    /// At the start of a subject: written by an autoresponder.
    AutoSubject,
    /// "This is an automatic reply."
    AutoText,
    /// Asks the sender to prove that he is human.
    Challenge,
    /// Asks for something, or sets a day for it.
    Asks,
    /// Before the subject of an answer: `Re:` in its languages.
    ReplyPrefix,
    /// Before the subject of a forwarded mail.
    ForwardPrefix,
    ReadSubject,
    ReadReceipt,
    /// A server's words: not delivered.
    Failed,
    /// Not delivered, and not tried again.
    Permanent,
    /// Not delivered yet.
    Delayed,
    Delivered,
    FailedSubject,
    DelayedSubject,
    DeliveredSubject,
    /// A report, for better or worse.
    ReportSubject,
}

/// How far apart the two halves of a phrase may stand: a date or a name fits between them.
const MOST_BETWEEN: usize = 60;

/// A set of phrases, found together. A star at the end lets a phrase go on within its word; `…` stands for some words.
pub(super) struct Automaton {
    inner: AhoCorasick,
    patterns: Vec<Pattern>,
}
/// What the automaton looks for: a phrase, or half of one.
struct Pattern {
    phrase: usize,
    half: Half,
    /// It may go on within a word.
    open: bool,
}
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Whole,
    First,
    Second,
}
impl Automaton {
    /// `phrases` are folded already.
    pub(super) fn new(phrases: &[String]) -> Self {
        let mut texts = Vec::new();
        let mut patterns = Vec::new();
        for (phrase, text) in phrases.iter().enumerate() {
            let halves = match text.split_once(" … ") {
                Some((first, second)) => vec![(first, Half::First), (second, Half::Second)],
                None => vec![(text.as_str(), Half::Whole)],
            };
            for (text, half) in halves {
                texts.push(text.trim_end_matches('*'));
                patterns.push(Pattern {
                    phrase,
                    half,
                    open: text.ends_with('*'),
                });
            }
        }
        Self {
            inner: AhoCorasick::new(texts).expect("a list of phrases makes an automaton"),
            patterns,
        }
    }

    /// Number, start and end of every phrase in a folded text that begins and ends with a word.
    pub(super) fn found(&self, folded: &str) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        // Of each phrase in halves, where the first half stood last.
        let mut begun: Vec<(usize, usize, usize)> = Vec::new();
        for hit in self.inner.find_overlapping_iter(folded) {
            let pattern = &self.patterns[hit.pattern().as_usize()];
            let (phrase, start, end) = (pattern.phrase, hit.start(), hit.end());
            if !is_word(folded, start, end, pattern.open) {
                continue;
            }
            match pattern.half {
                Half::Whole => found.push((phrase, start, end)),
                Half::First => {
                    begun.retain(|(other, ..)| *other != phrase);
                    begun.push((phrase, start, end));
                }
                Half::Second => {
                    let first = begun
                        .iter()
                        .find(|(other, _, ended)| *other == phrase && *ended <= start && start - ended <= MOST_BETWEEN);
                    if let Some((_, began, ended)) = first
                        && !ends_sentence(&folded[*ended..start])
                    {
                        found.push((phrase, *began, end));
                    }
                }
            }
        }
        found
    }
}

/// Whether a hit begins and ends with a word, or may go on.
fn is_word(folded: &str, start: usize, end: usize, open: bool) -> bool {
    let cut = |before: Option<char>, after: Option<char>| matches!((before, after), (Some(a), Some(b)) if in_word(a) && in_word(b));
    let begins_inside = cut(folded[..start].chars().next_back(), folded[start..].chars().next());
    let ends_inside = cut(folded[..end].chars().next_back(), folded[end..].chars().next());
    !begins_inside && (open || !ends_inside)
}

/// A full stop after a letter; one after a digit belongs to a date.
fn ends_sentence(between: &str) -> bool {
    let ends = between.match_indices(['.', '!', '?', '\n']);
    ends.into_iter().any(|(at, end)| {
        let after_digit = between[..at].ends_with(|c: char| c.is_ascii_digit());
        end != "." || !after_digit && between[at + 1..].starts_with(' ')
    })
}

/// Letters and digits of scripts that put spaces between words.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() && !('\u{0e00}'..='\u{0eff}').contains(&c) && !('\u{2e80}'..='\u{ffdc}').contains(&c)
}

/// The phrases found in one mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    hits: Vec<Hit>,
    subject_len: usize,
}
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hit {
    sense: Sense,
    phrase: &'static str,
    start: usize,
    end: usize,
}
impl Found {
    /// Looks through subject and text at once.
    pub(super) fn read(subject: &str, text: &str) -> Self {
        let mut folded = fold(subject);
        let subject_len = folded.len();
        // No phrase holds a line end: none is found across it.
        folded.push('\n');
        folded.push_str(&fold(text));
        let mut hits: Vec<Hit> = PHRASES
            .automaton
            .found(&folded)
            .into_iter()
            .map(|(number, start, end)| {
                let (sense, phrase) = PHRASES.meant[number];
                Hit {
                    sense,
                    phrase,
                    start,
                    end,
                }
            })
            .collect();
        let spans = |sense: Sense| -> Vec<(usize, usize)> {
            let hiding = hits.iter().filter(|hit| hit.sense == sense);
            hiding.map(|hit| (hit.start, hit.end)).collect()
        };
        let (no_receipt, not_away) = (spans(Sense::NoReceipt), spans(Sense::NotAway));
        hits.retain(|hit| {
            let touches = |(start, end): &(usize, usize)| *start < hit.end && hit.start < *end;
            match hit.sense {
                Sense::Receipt | Sense::Ticket => !no_receipt.iter().any(touches),
                Sense::Away => !not_away.iter().any(touches),
                _ => true,
            }
        });
        Self { hits, subject_len }
    }

    /// The first phrase of this sense.
    pub fn find(&self, sense: Sense) -> Option<&'static str> {
        self.hits.iter().find(|hit| hit.sense == sense).map(|hit| hit.phrase)
    }

    /// How many phrases of this sense there are.
    pub(super) fn count(&self, sense: Sense) -> usize {
        self.hits.iter().filter(|hit| hit.sense == sense).count()
    }

    /// The first phrase of this sense in the subject.
    pub fn in_subject(&self, sense: Sense) -> Option<&'static str> {
        let mut hits = self.hits.iter().filter(|hit| hit.end <= self.subject_len);
        hits.find(|hit| hit.sense == sense).map(|hit| hit.phrase)
    }

    /// The subject begins with a phrase of this sense; signs before it, such as `[EXT]`, do not count.
    pub(super) fn begins_subject(&self, sense: Sense, subject: &str) -> Option<&'static str> {
        let folded = fold(subject);
        let skipped = skip_tags(&folded);
        let mut hits = self.hits.iter().filter(|hit| hit.end <= self.subject_len);
        hits.find(|hit| hit.sense == sense && hit.start <= skipped)
            .map(|hit| hit.phrase)
    }
}

/// How many bytes of a folded subject are white space and tags in square brackets.
fn skip_tags(subject: &str) -> usize {
    let mut rest = subject;
    loop {
        rest = rest.trim_start();
        match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some((tag, after)) if tag.len() <= 40 => rest = after,
            _ => return subject.len() - rest.len(),
        }
    }
}

/// Lower case, white space folded, typographic apostrophes and hyphens made plain, accents and soft hyphens dropped.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            let c = if c.is_ascii_whitespace() {
                ' '
            } else {
                c.to_ascii_lowercase()
            };
            if c != ' ' || !folded.ends_with(' ') {
                folded.push(c);
            }
            continue;
        }
        for c in c.to_lowercase() {
            let plain = match c {
                '\u{2019}' | '\u{2018}' | '\u{02bc}' | '\u{b4}' => '\'',
                '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' => '-',
                '\u{00ad}' | '\u{200b}' | '\u{200c}' | '\u{feff}' | '\u{0301}' | '\u{0308}' | '\u{0300}' => continue,
                // Typed in a hurry, or by a machine that has no accents.
                'à' | 'á' | 'â' | 'ä' | 'ã' | 'å' | 'ą' => 'a',
                'ç' | 'ć' | 'č' => 'c',
                'ď' => 'd',
                'è' | 'é' | 'ê' | 'ë' | 'ě' | 'ę' => 'e',
                'ì' | 'í' | 'î' | 'ï' => 'i',
                'ł' => 'l',
                'ñ' | 'ń' | 'ň' => 'n',
                'ò' | 'ó' | 'ô' | 'ö' | 'õ' | 'ø' | 'ő' => 'o',
                'ř' => 'r',
                'ś' | 'š' | 'ș' => 's',
                'ť' | 'ț' => 't',
                'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' => 'u',
                'ý' | 'ÿ' => 'y',
                'ź' | 'ż' | 'ž' => 'z',
                c if c.is_whitespace() => ' ',
                c => c,
            };
            if plain != ' ' || !folded.ends_with(' ') {
                folded.push(plain);
            }
        }
    }
    folded
}

/// `report/words.yaml`: what servers write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    phrases: Lists,
    /// Lines after which a copy of the message follows.
    pub(super) separators: Vec<String>,
    /// What stands before a recipient's address, with a colon.
    pub(super) recipient_labels: Vec<String>,
    /// What stands before other addresses.
    pub(super) other_labels: Vec<String>,
    /// Of the address that a server writes from.
    pub(super) daemon_local_parts: Vec<String>,
    /// In the name that it gives itself.
    pub(super) daemon_names: Vec<String>,
    pub(super) status: Vec<Meaning>,
    pub(super) replies: Vec<Reply>,
}
/// Phrases that mean one status code, without its class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meaning {
    pub(super) code: String,
    pub(super) phrases: Vec<String>,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) status: String,
}
/// By sense, then by language.
type Lists = BTreeMap<Sense, BTreeMap<String, Vec<String>>>;

/// The words of servers, read once.
pub(super) fn words() -> &'static Words {
    static WORDS: LazyLock<Words> = LazyLock::new(|| {
        crate::reading::yaml("words.yaml", include_bytes!("report/words.yaml"))
            .expect("the built-in words are read by a test")
    });
    &WORDS
}

struct Phrases {
    automaton: Automaton,
    meant: Vec<(Sense, &'static str)>,
}
static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let own: Lists = crate::reading::yaml("phrases.yaml", include_bytes!("phrases.yaml"))
        .expect("the built-in phrases are read by a test");
    let mut folded = Vec::new();
    let mut meant = Vec::new();
    for (sense, languages) in own.iter().chain(&words().phrases) {
        for phrase in languages.values().flatten() {
            let phrase = fold(phrase);
            meant.push((*sense, &*phrase.trim_end_matches('*').to_owned().leak()));
            folded.push(phrase);
        }
    }
    Phrases {
        automaton: Automaton::new(&folded),
        meant,
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_long_enough_to_be_sure() {
        assert!(PHRASES.meant.len() > 300, "{}", PHRASES.meant.len());
        for (sense, phrase) in &PHRASES.meant {
            let starts = matches!(
                sense,
                Sense::AutoSubject
                    | Sense::ReplyPrefix
                    | Sense::ForwardPrefix
                    | Sense::ReadSubject
                    | Sense::DeliveredSubject
            );
            let wide = phrase.chars().any(|c| !in_word(c) && c.is_alphanumeric());
            assert!(
                starts || wide || phrase.len() >= 6,
                "{phrase} would be found by accident"
            );
            assert_eq!(&fold(phrase), phrase);
        }
    }

    #[test]
    fn accents_case_and_line_ends_do_not_matter() {
        for said in [
            "Nous ACCUSONS RECEPTION de",
            "nous accusons\r\n réception de",
            "accusons\u{a0}re\u{ad}ception",
        ] {
            assert!(Found::read("", said).find(Sense::Receipt).is_some(), "{said}");
        }
    }

    #[test]
    fn a_phrase_ends_where_a_word_ends() {
        assert!(Found::read("", "On holiday.").find(Sense::AutoHint).is_some());
        assert!(Found::read("", "closed on holidays").find(Sense::AutoHint).is_none());
        assert!(
            Found::read("抱歉，您的邮件被退回来了", "")
                .find(Sense::FailedSubject)
                .is_some()
        );
    }

    #[test]
    fn a_receipt_that_is_asked_for_promised_or_denied_is_none() {
        for said in [
            "Please acknowledge receipt of this letter.",
            "Bitte bestätigen Sie den Eingang dieser Nachricht.",
            "You will receive an acknowledgement of receipt.",
            "We have not received your notification.",
            "Veuillez accuser réception de la présente.",
            "Could you please acknowledge the safe receipt?",
            "Ihre Meldung vom 18.11. haben wir nicht erhalten.",
        ] {
            assert_eq!(Found::read("", said).find(Sense::Receipt), None, "{said}");
        }
    }

    #[test]
    fn words_may_stand_between_the_halves_of_a_phrase() {
        for (said, is_one) in [
            ("Ihre Meldung haben wir am 18. November 2026 erhalten.", true),
            ("Ihre Meldung fehlt. Sobald wir sie erhalten, prüfen wir sie.", false),
            (&format!("Ihre Meldung {} erhalten", "bla ".repeat(40)), false),
        ] {
            assert_eq!(Found::read("", said).find(Sense::Receipt).is_some(), is_one, "{said}");
        }
    }

    #[test]
    fn tags_before_a_subject_are_skipped() {
        for subject in ["Automatic reply: x", " [EXT] [SPAM?] Automatic reply: x"] {
            let found = Found::read(subject, "");
            assert!(found.begins_subject(Sense::AutoSubject, subject).is_some(), "{subject}");
        }
        let found = Found::read("About the Automatic reply: x", "");
        assert_eq!(
            found.begins_subject(Sense::AutoSubject, "About the Automatic reply: x"),
            None
        );
    }
}
