//! The bodies of MIME parts as they are written: boundaries, quoted-printable, base64.
//!
//! Everything written is 7-bit clean, in lines that no transport folds or trims. Knows nothing of headers' meaning.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Attachment, MimeError};
use crate::message::header;

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
    for (i, line) in text.trim_ascii_end().split(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
}

pub(super) fn write_text(out: &mut Vec<u8>, media_type: &str, text: &str, language: &str) {
    out.extend_from_slice(
        format!(
            "Content-Type: {media_type}; charset=utf-8\r\nContent-Language: {language}\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        )
        .as_bytes(),
    );
    write_quoted_printable(out, text);
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
fn write_quoted_printable(out: &mut Vec<u8>, text: &str) {
    const WIDTH: usize = 75;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let more = lines.peek().is_some();
        let line = if more {
            line.strip_suffix('\r').unwrap_or(line)
        } else {
            line
        }
        .as_bytes();
        if line.len() <= WIDTH && survives(line) {
            out.extend_from_slice(line);
        } else {
            write_encoded(out, line, WIDTH);
        }
        if more {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A line that may stand as it is, as most do.
fn survives(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' '..=b'~') && *b != b'=')
        && !line.ends_with(b" ")
        && line != b"."
        && !line.starts_with(b"From ")
}

/// A line in quoted-printable, with soft breaks after `width` columns at the latest.
fn write_encoded(out: &mut Vec<u8>, line: &[u8], width: usize) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut column = 0;
    for (at, &byte) in line.iter().enumerate() {
        let encode = match byte {
            b'=' => true,
            b' ' | b'\t' => at + 1 == line.len(),
            b'.' => line.len() == 1,
            b'F' => at == 0 && line.starts_with(b"From "),
            b'!'..=b'~' => false,
            _ => true,
        };
        let needs = if encode { 3 } else { 1 };
        if column + needs > width {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if encode {
            out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.push(byte);
        }
        column += needs;
    }
}
