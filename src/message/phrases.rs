//! Words by which mail says what it is: data in `phrases.yaml` (people, authorities, autoresponders) and
//! `report/words.yaml` (servers), found in one pass over the text. Knows nothing of what follows from them.

mod sentence;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

/// What a phrase means where it is found. The names are those of the lists in the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// "We acknowledge receipt."
    Receipt,
    /// "Was received": a receipt phrase where its sentence names what was received.
    ReceiptWeak,
    /// "Thank you for your notification": a receipt phrase where a machine says it.
    Thanks,
    /// A receipt phrase in other company: asked for, promised, denied. It hides the phrases that it touches.
    NoReceipt,
    /// Received, but not readable: never an acknowledgement.
    Unreadable,
    /// Stopped at a gate, or came through without what we sent: never an acknowledgement.
    Held,
    /// Bad news follows: never an acknowledgement by itself.
    Regret,
    /// A ticket system opened a ticket: an acknowledgement where an authority says so.
    Ticket,
    /// A word that turns its sentence round.
    Negator,
    /// Turns nothing round, although a negator stands in it: "without undue delay". It hides the negators that it touches.
    NotNegator,
    /// Whose it is that was received: a sentence of something of ours that names no notification confirms none.
    Yours,
    /// A word by which something is confirmed, and one of arrival: together in a plain sentence they confirm receipt.
    Confirms,
    Arrival,
    /// Was received, in any form and place: confirms receipt in a plain sentence that says of what, and that it is ours.
    Received,
    /// It is asked for, what else its sentence may say.
    Asked,
    /// A person says "I": a machine that does so speaks for somebody who is not there.
    Me,
    /// What is done with something that came: with a negator in its sentence, it was not done.
    Taken,
    /// What may have been received beside a notification, such as a payment: its sentence confirms nothing.
    OtherThing,
    /// Found in no list: a sentence that says of something that it was not received or taken.
    Denied,
    /// A word by which what follows it in its sentence is promised, asked or supposed.
    Condition,
    /// What an authority receives.
    Object,
    /// Nobody reads it there any more: left, dead, closed, deleted.
    Gone,
    /// A word of leave or absence, in whatever order its sentence puts them.
    Leave,
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

/// A set of phrases, found together. A star at the end lets a phrase go on within its word, one before it lets it begin
/// there; `…` stands for some words.
pub(super) struct Automaton {
    inner: AhoCorasick,
    patterns: Vec<Pattern>,
}
/// What the automaton looks for: a phrase, or half of one.
struct Pattern {
    phrase: usize,
    half: Half,
    /// It may begin within a word.
    inside: bool,
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
                texts.push(text.trim_matches('*'));
                patterns.push(Pattern {
                    phrase,
                    half,
                    inside: text.starts_with('*'),
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
        let mut begun: HashMap<usize, (usize, usize)> = HashMap::new();
        for hit in self.inner.find_overlapping_iter(folded) {
            let pattern = &self.patterns[hit.pattern().as_usize()];
            let (phrase, start, end) = (pattern.phrase, hit.start(), hit.end());
            if !is_word(folded, start, end, pattern) {
                continue;
            }
            match pattern.half {
                Half::Whole => found.push((phrase, start, end)),
                Half::First => {
                    begun.insert(phrase, (start, end));
                }
                Half::Second => {
                    let near = |ended: usize| ended <= start && start - ended <= MOST_BETWEEN;
                    if let Some((began, ended)) = begun.get(&phrase).copied()
                        && near(ended)
                        && !ends_sentence(&folded[ended..start])
                    {
                        found.push((phrase, began, end));
                    }
                }
            }
        }
        found
    }
}

/// Whether a hit begins and ends with a word, or need not.
fn is_word(folded: &str, start: usize, end: usize, pattern: &Pattern) -> bool {
    let cut = |before: Option<char>, after: Option<char>| matches!((before, after), (Some(a), Some(b)) if in_word(a) && in_word(b));
    let begins_inside = cut(folded[..start].chars().next_back(), folded[start..].chars().next());
    let ends_inside = cut(folded[..end].chars().next_back(), folded[end..].chars().next());
    (pattern.inside || !begins_inside) && (pattern.open || !ends_inside)
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
    /// Of a phrase that confirms receipt: how its sentence stands to it.
    sentence: Sentence,
}
/// What stands around a phrase in its sentence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sentence {
    /// Neither denied nor promised nor asked.
    plain: bool,
    /// It names what was received.
    names: bool,
}
/// A phrase by which receipt may be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    pub phrase: &'static str,
    /// It confirms by itself; otherwise it only may.
    pub is_clear: bool,
}
impl Found {
    /// Looks through subject and text at once.
    pub(super) fn read(subject: &str, text: &str) -> Self {
        let mut folded = fold(subject);
        let subject_len = folded.len();
        // No phrase holds a line end: none is found across it.
        folded.push('\n');
        folded.push_str(&fold_paragraphs(text));
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
                    sentence: Sentence::default(),
                }
            })
            .collect();
        sentence::judge(&folded, &mut hits);
        let (no_receipt, not_away) = (spans(&hits, Sense::NoReceipt), spans(&hits, Sense::NotAway));
        hits.retain(|hit| {
            let touches = |(start, end): &(usize, usize)| *start < hit.end && hit.start < *end;
            match hit.sense {
                Sense::Receipt
                | Sense::ReceiptWeak
                | Sense::Thanks
                | Sense::Ticket
                | Sense::Confirms
                | Sense::Received => !no_receipt.iter().any(touches),
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

    /// The phrase that confirms receipt; one that does so clearly is preferred.
    pub(super) fn confirmation(&self, by_machine: bool) -> Option<Confirmation> {
        let confirms = |hit: &Hit| {
            let meant = match hit.sense {
                Sense::Receipt | Sense::Confirms | Sense::Received => true,
                Sense::ReceiptWeak => hit.sentence.names,
                Sense::Ticket => hit.sentence.names || by_machine,
                Sense::Thanks => by_machine,
                _ => return None,
            };
            Some(Confirmation {
                phrase: hit.phrase,
                is_clear: meant && hit.sentence.plain,
            })
        };
        let found: Vec<Confirmation> = self.hits.iter().filter_map(confirms).collect();
        let clear = found.iter().find(|confirmation| confirmation.is_clear);
        clear.or(found.first()).copied()
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

/// Where the phrases of a sense stand.
fn spans(hits: &[Hit], sense: Sense) -> Vec<(usize, usize)> {
    let of_it = hits.iter().filter(|hit| hit.sense == sense);
    of_it.map(|hit| (hit.start, hit.end)).collect()
}

/// Folded, with a line end between its paragraphs: no phrase and no sentence goes on in the next.
fn fold_paragraphs(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut begins = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let after = at + line.len();
        if line.trim().is_empty() {
            folded.push_str(&fold(&text[begins..at]));
            folded.push('\n');
            begins = after;
        }
        at = after;
    }
    folded.push_str(&fold(&text[begins..]));
    folded
}

/// How many bytes of a folded subject are white space and tags in square brackets.
fn skip_tags(subject: &str) -> usize {
    let mut rest = subject;
    loop {
        rest = rest.trim_start();
        let framed = |begin: &str, end: &str| rest.strip_prefix(begin).and_then(|inside| inside.split_once(end));
        let named = ["extern:", "external:", "externe:", "spam:", "ext:"];
        rest = match framed("[", "]").or_else(|| framed("***", "***")) {
            Some((tag, after)) if tag.len() <= 40 => after,
            _ => match named.iter().find_map(|tag| rest.strip_prefix(tag)) {
                Some(after) => after,
                None => return subject.len() - rest.len(),
            },
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
                'à' | 'á' | 'â' | 'ä' | 'ã' | 'å' | 'ą' | 'ā' | 'ă' => 'a',
                'ç' | 'ć' | 'č' | 'ċ' => 'c',
                'ď' | 'đ' | 'ð' => 'd',
                'è' | 'é' | 'ê' | 'ë' | 'ě' | 'ę' | 'ē' | 'ė' => 'e',
                'ģ' | 'ġ' | 'ğ' => 'g',
                'ħ' => 'h',
                'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => 'i',
                'ķ' => 'k',
                'ł' | 'ľ' | 'ĺ' | 'ļ' => 'l',
                'ñ' | 'ń' | 'ň' | 'ņ' => 'n',
                'ò' | 'ó' | 'ô' | 'ö' | 'õ' | 'ø' | 'ő' | 'ō' => 'o',
                'ř' | 'ŕ' => 'r',
                'ś' | 'š' | 'ș' | 'ş' => 's',
                'ť' | 'ț' | 'ţ' => 't',
                'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' | 'ū' | 'ų' => 'u',
                'ý' | 'ÿ' => 'y',
                'ź' | 'ż' | 'ž' => 'z',
                // Capitals carry no accent in Greek.
                'ά' => 'α',
                'έ' => 'ε',
                'ή' => 'η',
                'ί' | 'ϊ' | 'ΐ' => 'ι',
                'ό' => 'ο',
                'ύ' | 'ϋ' | 'ΰ' => 'υ',
                'ώ' => 'ω',
                'ς' => 'σ',
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
            meant.push((*sense, &*phrase.trim_matches('*').to_owned().leak()));
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
                    // They count beside another phrase only.
                    | Sense::Negator
                    | Sense::Condition
                    | Sense::NotNegator
                    | Sense::Object
                    | Sense::OtherThing
                    | Sense::Taken
                    | Sense::Yours
                    | Sense::Confirms
                    | Sense::Arrival
                    | Sense::Received
                    | Sense::Asked
                    | Sense::Me
                    // Nothing follows from it but that a person looks.
                    | Sense::Leave
                    | Sense::Unreadable
                    | Sense::Asks
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
    fn a_receipt_phrase_confirms_only_in_a_plain_sentence() {
        let clear = |text: &str| Found::read("", text).confirmation(false).map(|said| said.is_clear);
        for (said, is_clear) in [
            (
                "Den Eingang Ihrer Meldung bestätigen wir. Wie viele Personen sind betroffen?",
                true,
            ),
            (
                "Ihre Meldung nach Art. 33 DSGVO ist am 18. November 2026 bei uns eingegangen.",
                true,
            ),
            (
                "We acknowledge receipt of your notification.\n\nWe will not write again.",
                true,
            ),
            ("Hemos recibido su correo, pero sin el anexo.", false),
            ("Notificarea nu a fost înregistrată.", false),
            ("Vi har tagit emot ert meddelande men det är tomt.", false),
            (
                "Dĺžka nevadí, potvrzení o přijetí Vám zašleme, jakmile ohlášení dorazí.",
                false,
            ),
            (
                "When was it, and has our letter been seen? Was your notification received by them?",
                false,
            ),
            ("Have we received your notification?", false),
            ("We note that access has been logged by the supplier.", false),
            ("Your notification has been logged.", true),
            ("You wrote that the mail has been recorded.", false),
            ("Thank you for your notification.", false),
        ] {
            assert_eq!(clear(said) == Some(true), is_clear, "{said}");
        }
        let by_machine = Found::read("", "Thank you for your notification.").confirmation(true);
        assert!(by_machine.is_some_and(|said| said.is_clear));
    }

    #[test]
    fn what_is_said_of_other_things_or_denied_elsewhere_confirms_nothing() {
        let clear = |text: &str| {
            Found::read("", text)
                .confirmation(false)
                .is_some_and(|said| said.is_clear)
        };
        for (said, is_clear) in [
            ("We confirm receipt of your notification.", true),
            ("Receipt of the notification is hereby gladly confirmed.", true),
            ("Der Erhalt Ihrer Meldung wird bestätigt.", true),
            (
                "Wir haben Ihre Datenpannenmeldung vom 3. Mai um 7 Uhr samt aller Anlagen, für die wir danken, erhalten.",
                true,
            ),
            ("We confirm receipt of your payment.", false),
            ("We acknowledge receipt of your voicemail.", false),
            (
                "Bitte bestätigen Sie, dass die Betroffenen den Empfang bestätigt haben.",
                false,
            ),
            ("You confirm receipt by twelve customers.", false),
        ] {
            assert_eq!(clear(said), is_clear, "{said}");
        }
        let denied = |text: &str| Found::read("", text).find(Sense::Denied).is_some();
        for (said, is_denied) in [
            (
                "We confirm receipt of your payment. The notification has not reached us.",
                true,
            ),
            ("Ihre Meldung wurde nicht registriert.", true),
            (
                "Your notification was received and will be examined without undue delay.",
                false,
            ),
            ("If it is not received in time, call us.", false),
        ] {
            assert_eq!(denied(said), is_denied, "{said}");
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
        for subject in [
            "Automatic reply: x",
            " [EXT] [SPAM?] Automatic reply: x",
            "***SPAM*** Automatic reply: x",
            "EXTERN: Automatic reply: x",
        ] {
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
