//! Header fields as they are written: checked, encoded, folded.
//!
//! Every value passes [`clean`] first, so that no value can end its line and begin a header of its own. Knows nothing
//! of bodies, keys or the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::mime::{Mailbox, MimeError};
use crate::model::address;

/// RFC 5322 §2.1.1: lines should not be longer.
const LINE: usize = 78;
/// RFC 5322 §2.1.1: lines must not be longer than 998; a word that cannot be folded may be this long.
const MAX_WORD: usize = 900;
/// A plain word longer than this is written as encoded words, which can be folded.
const LONG_WORD: usize = 50;
/// Bytes of text in one encoded word: 56 characters with its frame, so that `HP-Outer: Subject: ` fits before it.
const ENCODED_BYTES: usize = 33;

/// Refuses values that could end the line.
pub(super) fn clean(header: &str, value: &str) -> Result<(), MimeError> {
    // Nearly every value is plain, which is seen at a glance.
    let plain = value.bytes().fold(true, |plain, b| plain & matches!(b, b' '..=b'~'));
    match !plain && value.chars().any(char::is_control) {
        true => Err(MimeError::ControlCharacter {
            header: header.to_owned(),
        }),
        false => Ok(()),
    }
}

/// An unstructured value such as a subject: as it is where it can be, else in encoded words (RFC 2047).
pub(super) fn unstructured(header: &str, text: &str) -> Result<String, MimeError> {
    clean(header, text)?;
    Ok(if survives_plain(text) {
        text.to_owned()
    } else {
        encoded_words(text)
    })
}

/// Would a reader get these very characters back, however the line is folded?
fn survives_plain(text: &str) -> bool {
    text.is_ascii()
        && !text.contains("=?")
        && !text.contains("  ")
        && text.trim() == text
        && text.split(' ').all(|word| word.len() <= LONG_WORD)
}

fn encoded_words(text: &str) -> String {
    let mut words = String::with_capacity(2 * text.len() + ENCODED_BYTES);
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(rest.floor_char_boundary(ENCODED_BYTES));
        words.push_str(if words.is_empty() { "=?utf-8?B?" } else { " =?utf-8?B?" });
        STANDARD.encode_string(chunk, &mut words);
        words.push_str("?=");
        rest = tail;
    }
    words
}

/// An address with its display name; the domain in A-labels (RFC 5890), since SMTPUTF8 is not offered everywhere.
pub(super) fn mailbox(header: &str, mailbox: &Mailbox) -> Result<String, MimeError> {
    let address = written(header, &mailbox.address)?;
    let Some(name) = mailbox.name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(address);
    };
    clean(header, name)?;
    let name = if !survives_plain(name) {
        encoded_words(name)
    } else if name.chars().all(|c| c == ' ' || is_atom(c)) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    };
    Ok([&name, " <", &address, ">"].concat())
}

/// RFC 5322 §3.2.3.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Checks an address and turns its domain into A-labels. Letters outside ASCII before the @ stand as they are
/// (RFC 6532 §3.2): whoever has such an address has a server that takes them, and the relay is asked for SMTPUTF8.
fn written(header: &str, address: &str) -> Result<String, MimeError> {
    clean(header, address)?;
    let wire = address::on_the_wire(address).map_err(|why| MimeError::Address {
        header: header.to_owned(),
        why,
    })?;
    let (local, domain) = wire.rsplit_once('@').expect("a sound address has an @");
    let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(|c| is_atom(c) || !c.is_ascii());
    Ok(match local.starts_with('"') || local.split('.').all(is_atom) {
        true => wire,
        // Addresses with two dots in a row exist: in a header, quotes allow them (RFC 5322 §3.4.1).
        false => format!("\"{local}\"@{domain}"),
    })
}

/// A message id with its angle brackets (RFC 5322 §3.6.4).
pub(super) fn message_id(header: &str, id: &str) -> Result<String, MimeError> {
    clean(header, id)?;
    let inside = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    let fits = inside.is_some_and(|id| {
        id.contains('@') && id.len() <= MAX_WORD && id.chars().all(|c| c.is_ascii_graphic() && !"<>".contains(c))
    });
    match fits {
        true => Ok(id.to_owned()),
        false => Err(MimeError::MessageId {
            header: header.to_owned(),
        }),
    }
}

/// A parameter as it follows the semicolon: a token, a quoted string, or the parts of an RFC 2231 value.
pub(super) fn parameter(header: &str, name: &str, value: &str) -> Result<Vec<String>, MimeError> {
    clean(header, value)?;
    if value.len() <= LONG_WORD
        && value.chars().all(|c| (' '..='~').contains(&c) && !"\"\\".contains(c))
        && !value.contains("=?")
    {
        return Ok(vec![format!("{name}=\"{value}\"")]);
    }
    let mut parts = vec![String::from("UTF-8''")];
    for c in value.chars() {
        let mut unit = String::new();
        if c.is_ascii_alphanumeric() || "-._".contains(c) {
            unit.push(c);
        } else {
            for byte in c.to_string().bytes() {
                unit.push_str(&format!("%{byte:02X}"));
            }
        }
        match parts.last_mut() {
            Some(part) if part.len() + unit.len() <= LONG_WORD => part.push_str(&unit),
            _ => parts.push(unit),
        }
    }
    Ok(match parts.as_slice() {
        [only] => vec![format!("{name}*={only}")],
        _ => parts
            .iter()
            .enumerate()
            .map(|(i, part)| format!("{name}*{i}*={part}"))
            .collect(),
    })
}

/// Writes `name: value`, folded at spaces (RFC 5322 §2.2.3); `value` has been encoded by a function above.
pub(super) fn write(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    for (i, word) in value.split(' ').enumerate() {
        if i > 0 && column + 1 + word.len() > LINE {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes `name: value; parameter; …`, each parameter on a line of its own.
pub(super) fn write_with(out: &mut Vec<u8>, name: &str, value: &str, parameters: &[String]) {
    out.extend_from_slice(format!("{name}: {value}").as_bytes());
    for parameter in parameters {
        out.extend_from_slice(b";\r\n ");
        out.extend_from_slice(parameter.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(name: Option<&str>, address: &str) -> Mailbox {
        Mailbox {
            name: name.map(str::to_owned),
            address: address.to_owned(),
        }
    }

    #[test]
    fn nothing_can_end_a_header_line() {
        for evil in [
            "a\r\nBcc: x@example.org",
            "a\nb",
            "a\rb",
            "a\0b",
            "a\u{85}b",
            "a\u{7f}b",
            "a\tb",
        ] {
            assert!(unstructured("Subject", evil).is_err(), "{evil:?}");
            assert!(mailbox("From", &to(Some(evil), "a@example.org")).is_err(), "{evil:?}");
            assert!(
                mailbox("From", &to(None, &format!("{evil}@example.org"))).is_err(),
                "{evil:?}"
            );
            assert!(
                message_id("Message-ID", &format!("<{evil}@example.org>")).is_err(),
                "{evil:?}"
            );
            assert!(parameter("Content-Disposition", "filename", evil).is_err(), "{evil:?}");
        }
        let named = unstructured("Subject", "a\r\nb").unwrap_err().to_string();
        assert!(named.contains("Subject"), "{named}");
    }

    #[test]
    fn addresses() {
        for (name, address, wanted) in [
            (None, "dpo@example.lu", "dpo@example.lu"),
            (Some("Anna Muster"), "dpo@example.lu", "Anna Muster <dpo@example.lu>"),
            (
                Some("Muster, Anna"),
                "dpo@example.lu",
                "\"Muster, Anna\" <dpo@example.lu>",
            ),
            (
                Some("A \"x\" B"),
                "dpo@example.lu",
                "\"A \\\"x\\\" B\" <dpo@example.lu>",
            ),
            (
                Some("Müller"),
                "dpo@example.lu",
                "=?utf-8?B?TcO8bGxlcg==?= <dpo@example.lu>",
            ),
            (None, "dpo@bücher.example", "dpo@xn--bcher-kva.example"),
            (None, "dpo+tag@[127.0.0.1]", "dpo+tag@[127.0.0.1]"),
            (None, "ä@bücher.example", "ä@xn--bcher-kva.example"),
            (Some("Anna"), "a..b@example.org", "Anna <\"a..b\"@example.org>"),
            (None, "\"a@b\"@example.org", "\"a@b\"@example.org"),
            (Some("Jos"), "josé@bücher.example", "Jos <josé@xn--bcher-kva.example>"),
            (None, "a..b@docomo.example", "\"a..b\"@docomo.example"),
            (None, "\"a@b\"@example.lu", "\"a@b\"@example.lu"),
        ] {
            assert_eq!(mailbox("To", &to(name, address)).unwrap(), wanted);
        }
        for bad in [
            "",
            "a",
            "@example.org",
            "a@",
            "a b@example.org",
            "a>,<b@example.org",
            "a@b c",
            "a\"b@example.org",
            "ä\u{a0}@example.org",
            "a(b)@example.org",
            "a@b.org, c@d.org",
            "ä\u{85}@example.org",
        ] {
            assert!(mailbox("To", &to(None, bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_values_are_folded_to_78_columns() {
        let mut out = Vec::new();
        let text = "Meldung einer Verletzung des Schutzes personenbezogener Daten gemäß Artikel 33 der Verordnung (EU) 2016/679";
        write(
            &mut out,
            "HP-Outer",
            &format!("Subject: {}", unstructured("Subject", text).unwrap()),
        );
        write(
            &mut out,
            "Subject",
            &unstructured("Subject", "word ".repeat(40).trim_end()).unwrap(),
        );
        let parts = parameter("Content-Disposition", "filename", &"Überlänge ".repeat(20)).unwrap();
        write_with(&mut out, "Content-Disposition", "attachment", &parts);
        for line in std::str::from_utf8(&out).unwrap().split("\r\n") {
            assert!(line.len() <= LINE, "{line}");
            assert!(line.is_ascii());
        }
    }
}
