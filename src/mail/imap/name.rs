//! Names of folders as IMAP writes them: modified UTF-7 (RFC 3501 §5.1.3), quoted. Does no I/O.

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// The name in modified UTF-7: printable ASCII as it is, `&` as `&-`, all else as base64 of UTF-16 between `&` and `-`.
pub(super) fn encoded(name: &str) -> String {
    // RFC 3501 §5.1.3: `,` in place of `/`, which separates levels.
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,")
        .expect("64 different symbols of ASCII");
    let base64 = GeneralPurpose::new(&alphabet, NO_PAD);
    let mut out = String::new();
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, out: &mut String| {
        if !shifted.is_empty() {
            out.push('&');
            out.push_str(&base64.encode(shifted.as_slice()));
            out.push('-');
            shifted.clear();
        }
    };
    for c in name.chars() {
        match c {
            ' '..='~' => {
                flush(&mut shifted, &mut out);
                out.push(c);
                if c == '&' {
                    out.push('-');
                }
            }
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    shifted.extend(unit.to_be_bytes());
                }
            }
        }
    }
    flush(&mut shifted, &mut out);
    out
}

/// A quoted string (RFC 3501 §4.3). `None` for what no quoted string can hold: CR, LF and NUL.
pub(super) fn quoted(text: &str) -> Option<String> {
    let fits = !text.contains(['\r', '\n', '\0']);
    fits.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_modified_utf_7() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("Réponses", "R&AOk-ponses"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("A&B", "A&-B"),
            ("Entwürfe & Gelöschte", "Entw&APw-rfe &- Gel&APY-schte"),
            ("📬", "&2D3c7A-"),
            ("tab\there", "tab&AAk-here"),
        ] {
            assert_eq!(encoded(name), wire, "{name}");
        }
    }

    #[test]
    fn quotes_cannot_end_a_command() {
        assert_eq!(quoted(r#"a"b\c"#).as_deref(), Some(r#""a\"b\\c""#));
        for wrong in ["a\r\nb2 LOGOUT", "a\nb", "a\0b"] {
            assert_eq!(quoted(wrong), None);
        }
    }
}
