//! The mark of a rehearsal: a token in its Message-ID, by which what comes back is known as ours and is no answer of
//! anybody. It carries its day and a 64-bit HMAC, so that nobody who has not seen one can make mail look like a rehearsal
//! and so keep it from a person's eyes; and one that was seen is worth nothing a week later. Looks nothing up.

use super::open::{Opened, Signature};
use super::report::Report;
use super::token::{self, TokenKey};
use crate::model::Time;

/// Names a rehearsal on its way, beside the Message-ID, which some servers replace.
pub const HEADER: &str = "X-Breachpost-Rehearsal";
/// What the tokens' HMAC is over, beside other kinds of tokens.
const KIND: &str = "rehearsal";
const PREFIX: &str = "rt";
const RANDOM_BYTES: usize = 5;
const DAY_BYTES: usize = 2;
const MAC_BYTES: usize = 8;
/// Mail servers give up after five days and say so: their reports are recognised so long.
const VALID_DAYS: i64 = 7;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// One rehearsal's token: 32 letters and digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);
impl Token {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The Message-ID that carries it, with angle brackets.
    pub fn message_id(&self, sender: &str) -> String {
        let usual = token::message_id(sender);
        let domain = usual.rsplit_once('@').map_or("localhost>", |(_, domain)| domain);
        format!("<{}@{domain}", self.0)
    }
}

/// How a mail bears a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearing {
    /// It is the rehearsal's own mail.
    Itself,
    /// It answers it, as an automatic reply does.
    Answer,
    /// A mail server reports what became of it.
    Report,
}

/// A token that nobody has seen before, valid for a week from `now`.
pub fn fresh(key: &TokenKey, now: Time) -> Token {
    let mut bytes = [0; RANDOM_BYTES + DAY_BYTES];
    getrandom::fill(&mut bytes[..RANDOM_BYTES]).expect("the operating system gives random bytes");
    bytes[RANDOM_BYTES..].copy_from_slice(&day_of(now).to_be_bytes());
    let mac = key.mac(KIND, &bytes).to_be_bytes();
    Token(format!("{PREFIX}{}{}", token::hex(&bytes), token::hex(&mac)))
}

/// Whether this is a token of ours that is still valid. Every symbol counts, in upper or lower case.
pub fn accepts(key: &TokenKey, text: &str, now: Time) -> bool {
    let Some((named, mac)) = bytes_of(text) else {
        return false;
    };
    let made = i64::from(u16::from_be_bytes([named[RANDOM_BYTES], named[RANDOM_BYTES + 1]]));
    let age = i64::from(day_of(now)) - made;
    // A clock may have been set back by a little since.
    key.mac(KIND, &named).to_be_bytes() == mac && (-1..=VALID_DAYS).contains(&age)
}

/// Days since 1970; they fit until 2149.
fn day_of(now: Time) -> u16 {
    u16::try_from(now.timestamp() / DAY_SECONDS).unwrap_or(u16::MAX)
}

fn bytes_of(text: &str) -> Option<([u8; RANDOM_BYTES + DAY_BYTES], [u8; MAC_BYTES])> {
    const HEX: usize = 2 * (RANDOM_BYTES + DAY_BYTES + MAC_BYTES);
    let text = text.to_ascii_lowercase();
    let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == HEX)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Vec<u8> = (0..HEX)
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect();
    let (named, mac) = bytes.split_at(RANDOM_BYTES + DAY_BYTES);
    Some((named.try_into().ok()?, mac.try_into().ok()?))
}

/// What looks like a token in a mail, and how the mail bears it; whether it is one of ours the key says. `report` is what
/// the mail reports, if it is a report. Its text is not searched: people quote.
///
/// A mail that lost its Message-ID and our header on its way is known by the Message-ID inside it, if `our` fingerprint
/// signed that.
pub fn tokens_in(mail: &Opened, report: Option<&Report>, our: Option<&str>) -> Vec<(String, Bearing)> {
    let mut found = Vec::new();
    let mut add = |text: &str, bearing: Bearing| {
        let left = text.trim_matches(['<', '>', ' ']).split('@').next().unwrap_or_default();
        let token = left.rsplit('+').next().unwrap_or_default();
        if bytes_of(token).is_some() {
            found.push((token.to_ascii_lowercase(), bearing));
        }
    };
    if let Some(report) = report {
        let returned = report.returned.as_ref();
        let ids = returned.and_then(|returned| returned.message_id.as_deref());
        let marks = report.envelope_id.as_deref().into_iter().chain(ids);
        let header = returned.and_then(|returned| returned.header(HEADER));
        for mark in marks.chain(header) {
            add(mark, Bearing::Report);
        }
    }
    let own = mail.message_id.as_deref().into_iter().chain(mail.header(HEADER));
    for mark in own.filter(|_| report.is_none()) {
        add(mark, Bearing::Itself);
    }
    if let (Signature::Good { fingerprint }, Some(id)) = (&mail.signature, &mail.protected_message_id)
        && our == Some(fingerprint)
    {
        add(id, Bearing::Itself);
    }
    for id in mail.in_reply_to.iter().chain(&mail.references) {
        add(
            id,
            if report.is_some() {
                Bearing::Report
            } else {
                Bearing::Answer
            },
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use zeroize::Zeroizing;

    fn now() -> Time {
        Time::from_timestamp(1_795_000_000, 0).unwrap()
    }
    fn key(byte: u8) -> TokenKey {
        TokenKey::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_token_is_ours_for_a_week_and_only_with_our_key() {
        let token = fresh(&key(1), now());
        let text = token.as_str();
        assert!(
            text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{text}"
        );
        for (days, valid) in [(-2, false), (-1, true), (0, true), (7, true), (8, false), (400, false)] {
            assert_eq!(
                accepts(&key(1), text, now() + TimeDelta::days(days)),
                valid,
                "{days} days"
            );
        }
        assert!(accepts(&key(1), &text.to_uppercase(), now()));
        assert!(!accepts(&key(2), text, now()));
        for at in 0..text.len() {
            for symbol in ["0", "f", "g", "-", "ä"] {
                let mut other = text.to_owned();
                other.replace_range(at..=at, symbol);
                assert!(other == text || !accepts(&key(1), &other, now()), "{other}");
            }
        }
        for nonsense in ["", "rt", &text[1..], &format!("{text}0"), "ääääääääääääääää"] {
            assert!(!accepts(&key(1), nonsense, now()), "{nonsense}");
        }
        assert_ne!(fresh(&key(1), now()), token);
    }

    #[test]
    fn a_mail_says_by_its_headers_which_rehearsal_it_belongs_to() {
        let token = fresh(&key(1), now());
        let id = token.message_id("breach@müller.example");
        assert!(id.ends_with("@xn--mller-kva.example>"), "{id}");
        let table: [(&str, Opened, &[Bearing]); 7] = [
            (
                "its own Message-ID",
                Opened {
                    message_id: Some(id.clone()),
                    ..Opened::default()
                },
                &[Bearing::Itself],
            ),
            (
                "our header, in capitals",
                Opened {
                    headers: vec![(HEADER.to_uppercase(), token.as_str().to_uppercase())],
                    ..Opened::default()
                },
                &[Bearing::Itself],
            ),
            (
                "an answer",
                Opened {
                    in_reply_to: vec![id.clone()],
                    ..Opened::default()
                },
                &[Bearing::Answer],
            ),
            (
                "inside, signed by us",
                Opened {
                    protected_message_id: Some(id.clone()),
                    signature: Signature::Good {
                        fingerprint: "OURS".to_owned(),
                    },
                    ..Opened::default()
                },
                &[Bearing::Itself],
            ),
            (
                "inside, signed by somebody else",
                Opened {
                    protected_message_id: Some(id.clone()),
                    signature: Signature::Good {
                        fingerprint: "THEIRS".to_owned(),
                    },
                    ..Opened::default()
                },
                &[],
            ),
            (
                "inside, unsigned",
                Opened {
                    protected_message_id: Some(id.clone()),
                    ..Opened::default()
                },
                &[],
            ),
            (
                "in its text",
                Opened {
                    text: id.clone(),
                    ..Opened::default()
                },
                &[],
            ),
        ];
        for (name, mail, expected) in table {
            let found = tokens_in(&mail, None, Some("OURS"));
            assert!(found.iter().all(|(text, _)| text == token.as_str()), "{name}");
            let bearings: Vec<Bearing> = found.iter().map(|(_, bearing)| *bearing).collect();
            assert_eq!(bearings, expected, "{name}");
        }
    }
}
