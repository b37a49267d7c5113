//! Status codes: where they stand in a server's words, and which one is meant where none stands.

use std::sync::LazyLock;

use super::super::phrases;
use super::Action;

/// The first enhanced status code (RFC 3463 §2) in a text, as `5.1.1`.
pub(super) fn enhanced(text: &str) -> Option<String> {
    enhanced_where(text, |_| true)
}

/// The first of a class that says more than `X.0.0`.
pub(super) fn enhanced_of_class(text: &str, class: Option<char>) -> Option<String> {
    enhanced_where(text, |code| code.chars().next() == class && says_something(code))
}

fn enhanced_where(text: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begins = matches!(bytes[at], b'2' | b'4' | b'5')
            && (at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'.'));
        if begins && let Some(length) = code_length(&bytes[at..]) {
            let code = &text[at..at + length];
            // 5.1.1.1 and 4.20.0.10 are parts of addresses and versions.
            let after = bytes.get(at + length..).unwrap_or_default();
            let goes_on = after.first().is_some_and(u8::is_ascii_alphanumeric)
                || (after.first() == Some(&b'.') && after.get(1).is_some_and(u8::is_ascii_digit));
            if !goes_on && wanted(code) {
                return Some(code.to_owned());
            }
            at += length;
        }
        at += 1;
    }
    None
}

/// The length of `class "." subject "." detail` at the start: one digit, then one to three each, no leading zeros.
fn code_length(bytes: &[u8]) -> Option<usize> {
    let number = |from: usize| {
        let digits = bytes
            .get(from..)?
            .iter()
            .take(4)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let plain = digits == 1 || bytes.get(from) != Some(&b'0');
        ((1..=3).contains(&digits) && plain).then_some(digits)
    };
    (bytes.get(1) == Some(&b'.')).then_some(())?;
    let subject = number(2)?;
    (bytes.get(2 + subject) == Some(&b'.')).then_some(())?;
    let detail = number(3 + subject)?;
    Some(3 + subject + detail)
}

/// False for `X.0.0`, which names only the class.
pub(super) fn says_something(code: &str) -> bool {
    !code.ends_with(".0.0")
}

/// The action that a status implies.
pub(super) fn action_of(code: &str) -> Option<Action> {
    match code.chars().next()? {
        '2' => Some(Action::Delivered),
        '4' => Some(Action::Delayed),
        '5' => Some(Action::Failed),
        _ => None,
    }
}

/// A reply code of SMTP (RFC 5321 §4.2) as servers are quoted: `550 …`, `550-…`, `(550)`, `#550`, `said: 550 …`.
pub(super) fn reply_code(text: &str) -> Option<u16> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(2)).find_map(|at| {
        let digits = &bytes[at..at + 3];
        let fits = matches!(digits[0], b'4' | b'5') && (b'0'..=b'7').contains(&digits[1]) && digits[2].is_ascii_digit();
        let before = at == 0
            || matches!(
                bytes[at - 1],
                b' ' | b'\t' | b':' | b'(' | b'#' | b'[' | b'\'' | b'"' | b'>' | b'=' | b';'
            );
        let after = match bytes.get(at + 3) {
            None | Some(b' ' | b'-' | b')' | b']' | b':' | b'\t' | b',' | b';' | b'\'' | b'"' | b'#') => true,
            Some(b'.') => !bytes.get(at + 4).is_some_and(u8::is_ascii_alphanumeric),
            _ => false,
        };
        (fits && before && after)
            .then(|| text[at..at + 3].parse().ok())
            .flatten()
    })
}

/// The status where no field gives it: a code in the words, else what the words mean, else what the reply code means,
/// else only the class.
pub(super) fn derive(words: &str, action: Action) -> String {
    if let Some(code) = enhanced(words).filter(|code| says_something(code)) {
        return code;
    }
    let class = match reply_code(words) {
        Some(code) if code < 500 && action != Action::Failed => '4',
        _ => action.class(),
    };
    let meant = MEANINGS.meaning(words).or_else(|| {
        let code = reply_code(words)?;
        MEANINGS
            .replies
            .iter()
            .find(|(reply, _)| *reply == code)
            .map(|(_, meaning)| *meaning)
    });
    match meant {
        Some(meaning) if class != '2' => format!("{class}.{meaning}"),
        _ => format!("{class}.0.0"),
    }
}

/// Whether words are known to mean a status.
pub(super) fn means_something(words: &str) -> bool {
    MEANINGS.meaning(words).is_some()
}

/// What words mean, from `words.yaml`: subject and detail of the status.
struct Meanings {
    automaton: phrases::Automaton,
    of_phrase: Vec<&'static str>,
    replies: Vec<(u16, &'static str)>,
}
impl Meanings {
    /// Of several meanings in a text, the first listed in the file: it goes from the sure to the vague.
    fn meaning(&self, words: &str) -> Option<&'static str> {
        let folded = phrases::fold(words);
        let found = self.automaton.found(&folded);
        let best = found.iter().map(|(phrase, ..)| *phrase).min()?;
        Some(self.of_phrase[best])
    }
}

static MEANINGS: LazyLock<Meanings> = LazyLock::new(|| {
    let file = phrases::words();
    let mut listed: Vec<String> = Vec::new();
    let mut of_phrase: Vec<&'static str> = Vec::new();
    for meaning in &file.status {
        let code: &'static str = meaning.code.clone().leak();
        for phrase in &meaning.phrases {
            listed.push(phrases::fold(phrase));
            of_phrase.push(code);
        }
    }
    Meanings {
        automaton: phrases::Automaton::new(&listed),
        of_phrase,
        replies: file
            .replies
            .iter()
            .map(|reply| (reply.code, &*reply.status.clone().leak()))
            .collect(),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_no_addresses_and_no_versions() {
        for (text, wanted) in [
            ("550 5.1.1 User unknown", Some("5.1.1")),
            ("#5.7.606 smtp;", Some("5.7.606")),
            ("(5.2.2)", Some("5.2.2")),
            ("host 5.1.1.1 said no", None),
            ("from 15.1.2 to mx", None),
            ("version 5.10.2a", None),
            ("4.07.1", None),
            ("5.1.1", Some("5.1.1")),
            ("5.1.", None),
            ("", None),
        ] {
            assert_eq!(enhanced(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_status_is_derived_from_what_is_said() {
        for (words, action, wanted) in [
            ("550 5.7.1 refused", Action::Failed, "5.7.1"),
            ("550 No such user here", Action::Failed, "5.1.1"),
            ("552 mailbox is full", Action::Failed, "5.2.2"),
            ("Das Postfach ist voll", Action::Failed, "5.2.2"),
            ("connection timed out", Action::Delayed, "4.4.1"),
            ("421 try later", Action::Delayed, "4.3.2"),
            ("whatever", Action::Failed, "5.0.0"),
            ("whatever", Action::Delivered, "2.0.0"),
        ] {
            assert_eq!(derive(words, action), wanted, "{words}");
        }
        assert_eq!(reply_code("said: 550 no"), Some(550));
        assert_eq!(reply_code("error (452)"), Some(452));
        assert_eq!(reply_code("id 1550 of 5501, 550k, 192.168.450.1"), None);
    }
}
