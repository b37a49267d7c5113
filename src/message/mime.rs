//! Writing mail: the words that describe one, and its MIME form (RFC 5322, 2045–2047, 2231; PGP/MIME by RFC 3156,
//! protected headers by RFC 9788).
//!
//! What is written is 7-bit clean and byte-exact: the text comes back as it was given, with line ends as CRLF. Knows
//! nothing of keys (it gets armored bytes), templates or the wire.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::header;
use crate::model::Time;

/// Why a mail could not be written. Names the header, never its value: values are personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    #[error("the header {header} holds a line break or another control character; remove it")]
    ControlCharacter { header: String },
    #[error("the address in the header {header} cannot be used: {why}")]
    Address { header: String, why: &'static str },
    #[error("the header {header} needs a message id of the form <left@right>")]
    MessageId { header: String },
    #[error("`{header}` cannot be given as an additional header: {why}")]
    HeaderName { header: String, why: &'static str },
    #[error("the content's language is no language tag such as `de` (RFC 5646)")]
    Language,
    #[error(
        "the media type of the attachment `{attachment}` is not of the form type/subtype, or is a composite one; use application/octet-stream"
    )]
    MediaType { attachment: String },
}

/// An address and the name shown with it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: String,
}
impl Mailbox {
    pub fn new(name: Option<&str>, address: &str) -> Self {
        Self {
            name: name.map(str::to_owned),
            address: address.to_owned(),
        }
    }
}
impl Mailbox {
    /// For a person who may see the address: `Name <address>`.
    pub fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} <{}>", self.address),
            None => self.address.clone(),
        }
    }
}
impl fmt::Debug for Mailbox {
    /// Masked: addresses are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Mailbox(…@{})",
            self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
        )
    }
}

/// A file that travels with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    /// `type/subtype`, without parameters.
    pub media_type: String,
    pub bytes: Vec<u8>,
}
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// What a mail says.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The true subject; of a sealed mail it stands inside only.
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    pub attachments: Vec<Attachment>,
    /// A language tag (RFC 5646) such as `de`.
    pub language: String,
}
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Content({}, {} bytes of text, {:?})",
            self.language,
            self.text.len(),
            self.attachments
        )
    }
}

/// How a mail travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub to: Mailbox,
    /// What everybody on the way may read: neutral, with the reference. Not used by [`clear_mail`].
    pub outer_subject: String,
    /// With its angle brackets.
    pub message_id: String,
    pub date: Time,
    /// With its angle brackets.
    pub in_reply_to: Option<String>,
    /// Each with its angle brackets, oldest first.
    pub references: Vec<String>,
    /// Further headers such as `Auto-Submitted`.
    pub extra: Vec<(String, String)>,
}

/// Writes a mail in clear, for individuals: text first, HTML as an alternative where given.
///
/// # Errors
/// A header value that cannot be written ([`MimeError`]).
pub fn clear_mail(content: &Content, headers: &Headers) -> Result<Vec<u8>, MimeError> {
    let envelope = Envelope::new(content, headers)?;
    let mut out = Vec::with_capacity(2 * content.text.len() + 2048);
    for field in &envelope.fields {
        header::write(&mut out, &field.name, &field.inner);
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    if content.attachments.is_empty() {
        envelope.write_body(&mut out, content);
        return Ok(out);
    }
    let boundary = envelope.boundary("mixed");
    header::write_with(
        &mut out,
        "Content-Type",
        "multipart/mixed",
        &[quoted("boundary", &boundary)],
    );
    out.extend_from_slice(b"\r\n");
    open_part(&mut out, &boundary);
    envelope.write_body(&mut out, content);
    for attachment in &content.attachments {
        open_part(&mut out, &boundary);
        write_attachment(&mut out, attachment)?;
    }
    close_parts(&mut out, &boundary);
    Ok(out)
}

/// One header field, encoded: as everybody may read it, and as it is meant.
struct Field {
    name: String,
    outer: String,
    inner: String,
}

/// The checked header fields of one mail, and where its boundaries come from.
pub(super) struct Envelope {
    fields: Vec<Field>,
    seed: String,
    language: String,
}

/// A file name and the armored certificate in it.
pub(super) struct KeyFile<'a> {
    pub name: &'a str,
    pub armored: &'a str,
}

impl Envelope {
    pub(super) fn new(content: &Content, headers: &Headers) -> Result<Self, MimeError> {
        let mut fields = Vec::with_capacity(8 + headers.extra.len());
        let mut add = |name: &str, outer: String, inner: String| {
            let name = name.to_owned();
            fields.push(Field { name, outer, inner });
        };
        let mut same = |name: &str, value: String| add(name, value.clone(), value);
        same("From", header::mailbox("From", &headers.from)?);
        if let Some(reply_to) = &headers.reply_to {
            same("Reply-To", header::mailbox("Reply-To", reply_to)?);
        }
        same("To", header::mailbox("To", &headers.to)?);
        same("Date", headers.date.to_rfc2822());
        let message_id = header::message_id("Message-ID", &headers.message_id)?;
        same("Message-ID", message_id.clone());
        if let Some(id) = &headers.in_reply_to {
            same("In-Reply-To", header::message_id("In-Reply-To", id)?);
        }
        if !headers.references.is_empty() {
            let ids: Result<Vec<_>, _> = headers
                .references
                .iter()
                .map(|id| header::message_id("References", id))
                .collect();
            same("References", ids?.join(" "));
        }
        for (name, value) in &headers.extra {
            check_extra(name)?;
            same(name, header::unstructured(name, value)?);
        }
        add(
            "Subject",
            header::unstructured("Subject", &headers.outer_subject)?,
            header::unstructured("Subject", &content.subject)?,
        );
        let tag_symbol = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if content.language.is_empty() || !content.language.chars().all(tag_symbol) {
            return Err(MimeError::Language);
        }
        Ok(Self {
            seed: format!("{message_id} {}", headers.date.timestamp_micros()),
            fields,
            language: content.language.clone(),
        })
    }

    /// A boundary that no part can contain: `=_` occurs neither in quoted-printable nor in base64 nor in armor.
    fn boundary(&self, level: &str) -> String {
        let digest = Sha256::new().chain_update(level).chain_update(&self.seed).finalize();
        let mut boundary = String::from("=_");
        for byte in &digest[..16] {
            boundary.push_str(&format!("{byte:02x}"));
        }
        boundary
    }

    /// The part that is signed and encrypted: all headers as they are meant, the text, the files, our certificate.
    pub(super) fn protected(&self, content: &Content, key: &KeyFile<'_>) -> Result<Vec<u8>, MimeError> {
        let files: usize = content.attachments.iter().map(|a| a.bytes.len()).sum();
        let mut out = Vec::with_capacity(2 * content.text.len() + files / 57 * 79 + key.armored.len() + 4096);
        let boundary = self.boundary("mixed");
        // Both marks: readers know either RFC 9788 or the older draft. They look for them on a multipart only.
        header::write_with(
            &mut out,
            "Content-Type",
            "multipart/mixed",
            &[
                quoted("boundary", &boundary),
                quoted("protected-headers", "v1"),
                quoted("hp", "cipher"),
            ],
        );
        for field in &self.fields {
            header::write(&mut out, &field.name, &field.inner);
        }
        // RFC 9788 §2.2: what stands outside, so that the reader knows which values were confidential.
        for field in &self.fields {
            header::write(&mut out, "HP-Outer", &format!("{}: {}", field.name, field.outer));
        }
        out.extend_from_slice(b"\r\n");
        open_part(&mut out, &boundary);
        self.write_body(&mut out, content);
        for attachment in &content.attachments {
            open_part(&mut out, &boundary);
            write_attachment(&mut out, attachment)?;
        }
        open_part(&mut out, &boundary);
        header::write_with(
            &mut out,
            "Content-Type",
            "application/pgp-keys",
            &[quoted("name", key.name)],
        );
        header::write_with(
            &mut out,
            "Content-Disposition",
            "attachment",
            &[quoted("filename", key.name)],
        );
        out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        write_lines(&mut out, key.armored.as_bytes());
        close_parts(&mut out, &boundary);
        Ok(out)
    }

    /// The mail around an armored OpenPGP message (RFC 3156 §4).
    pub(super) fn encrypted(&self, armored: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(armored.len() + armored.len() / 32 + 2048);
        for field in &self.fields {
            header::write(&mut out, &field.name, &field.outer);
        }
        let boundary = self.boundary("encrypted");
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        header::write_with(
            &mut out,
            "Content-Type",
            "multipart/encrypted",
            &[
                quoted("protocol", "application/pgp-encrypted"),
                quoted("boundary", &boundary),
            ],
        );
        out.extend_from_slice(b"\r\nThis is an OpenPGP/MIME encrypted message (RFC 3156).\r\n");
        open_part(&mut out, &boundary);
        out.extend_from_slice(
            b"Content-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\
              \r\nVersion: 1\r\n",
        );
        open_part(&mut out, &boundary);
        out.extend_from_slice(
            b"Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
              Content-Description: OpenPGP encrypted message\r\n\
              Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n",
        );
        write_lines(&mut out, armored);
        close_parts(&mut out, &boundary);
        out
    }

    /// The text, or text and HTML as alternatives (plainest first, RFC 2046 §5.1.4).
    fn write_body(&self, out: &mut Vec<u8>, content: &Content) {
        let Some(html) = &content.html else {
            return write_text(out, "text/plain", &content.text, &self.language);
        };
        let boundary = self.boundary("alternative");
        header::write_with(
            out,
            "Content-Type",
            "multipart/alternative",
            &[quoted("boundary", &boundary)],
        );
        out.extend_from_slice(b"\r\n");
        open_part(out, &boundary);
        write_text(out, "text/plain", &content.text, &self.language);
        open_part(out, &boundary);
        write_text(out, "text/html", html, &self.language);
        close_parts(out, &boundary);
    }
}

/// An additional header must be a header's name, and none that is written here or steers delivery.
fn check_extra(name: &str) -> Result<(), MimeError> {
    let refuse = |why| MimeError::HeaderName {
        header: name.chars().filter(|c| !c.is_control()).take(78).collect(),
        why,
    };
    if name.is_empty() || name.len() > 60 || !name.chars().all(|c| c.is_ascii_graphic() && c != ':') {
        return Err(refuse("it is no header name"));
    }
    let lower = name.to_ascii_lowercase();
    let ours = [
        "from",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "sender",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "mime-version",
        "hp-outer",
        "received",
        "return-path",
    ];
    if ours.contains(&lower.as_str()) || lower.starts_with("content-") || lower.starts_with("resent-") {
        return Err(refuse("breachpost writes it, or must not"));
    }
    Ok(())
}

/// A parameter whose value is ours and needs no check.
fn quoted(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

fn open_part(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

fn close_parts(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

/// Copies lines with CRLF at their ends, without the last line end (it belongs to the boundary).
fn write_lines(out: &mut Vec<u8>, text: &[u8]) {
    for (i, line) in text.trim_ascii_end().split(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
}

fn write_text(out: &mut Vec<u8>, media_type: &str, text: &str, language: &str) {
    out.extend_from_slice(
        format!(
            "Content-Type: {media_type}; charset=utf-8\r\nContent-Language: {language}\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        )
        .as_bytes(),
    );
    write_quoted_printable(out, text);
}

fn write_attachment(out: &mut Vec<u8>, attachment: &Attachment) -> Result<(), MimeError> {
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
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let more = lines.peek().is_some();
        let line = if more {
            line.strip_suffix('\r').unwrap_or(line)
        } else {
            line
        }
        .as_bytes();
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
            if column + needs > WIDTH {
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
        if more {
            out.extend_from_slice(b"\r\n");
        }
    }
}
