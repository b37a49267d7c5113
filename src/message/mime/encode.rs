//! The bodies of MIME parts as they are written: boundaries, quoted-printable, base64.
//!
//! Everything written is 7-bit clean, in lines that no transport folds or trims. Knows nothing of headers' meaning.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Attachment, MimeError};
use crate::message::alike::{self, Kept, Making};
use crate::message::header;

/// Columns of a line in quoted-printable before its soft break (RFC 2045 §6.7: 76 with it).
const QUOTED_WIDTH: usize = 75;

/// A parameter whose value is ours and needs no check.
pub(super) fn quoted(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

pub(super) fn open_part(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

pub(super) fn close_parts(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

/// Copies lines with CRLF at their ends, without the last line end (it belongs to the boundary).
pub(super) fn write_lines(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.trim_ascii_end();
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        let line = &text[from..end];
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        from = end + 1;
    }
    out.extend_from_slice(&text[from..]);
}

pub(super) fn write_text(out: &mut Vec<u8>, media_type: &str, text: &str, language: &str) {
    out.extend_from_slice(
        format!(
            "Content-Type: {media_type}; charset=utf-8\r\nContent-Language: {language}\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        )
        .as_bytes(),
    );
    thread_local! {
        static KEPT: RefCell<Kept<Vec<u8>>> = RefCell::default();
    }
    out.extend(alike::make(&KEPT, text, write_quoted_printable));
}

pub(super) fn write_attachment(out: &mut Vec<u8>, attachment: &Attachment) -> Result<(), MimeError> {
    let token = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c));
    match attachment.media_type.split_once('/') {
        // RFC 2046 §5: the composite types must not be base64, which every attachment is.
        Some((kind, subtype)) if token(kind) && token(subtype) && !matches!(kind, "multipart" | "message") => {}
        _ => {
            return Err(MimeError::MediaType {
                attachment: attachment.name.chars().filter(|c| !c.is_control()).take(100).collect(),
            });
        }
    }
    let name = header::parameter("Content-Type", "name", &attachment.name)?;
    let filename = header::parameter("Content-Disposition", "filename", &attachment.name)?;
    header::write_with(out, "Content-Type", &attachment.media_type, &name);
    header::write_with(out, "Content-Disposition", "attachment", &filename);
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    write_base64(out, &attachment.bytes);
    Ok(())
}

/// Base64 in lines of 76 columns (RFC 2045 §6.8).
fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    for (i, chunk) in bytes.chunks(57).enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let mut line = [0u8; 76];
        let written = STANDARD
            .encode_slice(chunk, &mut line)
            .expect("57 bytes are 76 symbols");
        out.extend_from_slice(&line[..written]);
    }
}

/// Quoted-printable (RFC 2045 §6.7) with CRLF as canonical line end; a lone CR is kept as a character. Blanks at line
/// ends, `From ` at line starts and a lone dot are encoded, since transports change them (RFC 2049 §3).
fn write_quoted_printable(part: &str, _begins: bool, making: &mut Making<Vec<u8>>) {
    let mut after = 0;
    for line in part.split_inclusive('\n') {
        after += line.len();
        let (line, ended) = match line.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
            None => (line, false),
        };
        let (line, out) = (line.as_bytes(), &mut making.out);
        if line.len() <= QUOTED_WIDTH && survives(line) {
            out.extend_from_slice(line);
        } else {
            write_encoded(out, line);
        }
        if ended {
            out.extend_from_slice(b"\r\n");
            making.seam(after);
        }
    }
}

/// A line that may stand as it is, as most do.
fn survives(line: &[u8]) -> bool {
    line.iter()
        .fold(true, |plain, b| plain & matches!(b, b' '..=b'~') & (*b != b'='))
        && !line.ends_with(b" ")
        && line != b"."
        && !line.starts_with(b"From ")
}

/// A line in quoted-printable.
fn write_encoded(out: &mut Vec<u8>, line: &[u8]) {
    let mut row = Row { out, column: 0 };
    let (start, rest) = line.split_at(usize::from(line == b"." || line.starts_with(b"From ")));
    let (mut rest, end) = rest.split_at(rest.len() - usize::from(rest.ends_with(b" ") || rest.ends_with(b"\t")));
    start.iter().for_each(|byte| row.encode(*byte));
    // Nearly all of a text may stand as it is: it is copied a run at a time.
    loop {
        let run = rest.iter().take_while(|b| may_stand(**b)).count();
        row.copy(&rest[..run]);
        let Some((byte, after)) = rest[run..].split_first() else {
            break;
        };
        row.encode(*byte);
        rest = after;
    }
    end.iter().for_each(|byte| row.encode(*byte));
}

fn may_stand(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t') && byte != b'='
}

/// A line on its way, broken where it becomes too long.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}
impl Row<'_> {
    fn copy(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            self.make_room(1);
            let (fits, rest) = text.split_at(text.len().min(QUOTED_WIDTH - self.column));
            self.out.extend_from_slice(fits);
            self.column += fits.len();
            text = rest;
        }
    }
    fn encode(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.make_room(3);
        let digits = [b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        self.out.extend_from_slice(&digits);
        self.column += digits.len();
    }
    fn make_room(&mut self, columns: usize) {
        if self.column + columns > QUOTED_WIDTH {
            self.out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transport_would_change_is_encoded() {
        let long = "x".repeat(80);
        let (x75, x73) = ("x".repeat(75), "x".repeat(73));
        for (text, wanted) in [
            ("a=b", "a=3Db".to_owned()),
            ("caf\u{e9} \n", "caf=C3=A9=20\r\n".to_owned()),
            ("a\tb\t\nc", "a\tb=09\r\nc".to_owned()),
            (".\n..\n", "=2E\r\n..\r\n".to_owned()),
            ("From me\nFrom", "=46rom me\r\nFrom".to_owned()),
            (" ", "=20".to_owned()),
            ("\r\n\r", "\r\n=0D".to_owned()),
            (long.as_str(), format!("{x75}=\r\nxxxxx")),
            (&format!("{x73}\u{e9}"), format!("{x73}=\r\n=C3=A9")),
            (&format!("{x75}="), format!("{x75}=\r\n=3D")),
        ] {
            let mut out = Vec::new();
            write_text(&mut out, "text/plain", text, "en");
            let (_, body) = std::str::from_utf8(&out).unwrap().split_once("\r\n\r\n").unwrap();
            assert_eq!(body, wanted, "{text:?}");
        }
    }
}
