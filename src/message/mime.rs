//! Writing mail: the words that describe one, and its MIME form (RFC 5322, 2045–2047, 2231; PGP/MIME by RFC 3156,
//! protected headers by RFC 9788).
//!
//! What is written is 7-bit clean (but for an address that is not) and byte-exact: the text comes back as it was given,
//! with line ends as CRLF. Knows nothing of keys (it gets armored bytes), templates or the wire.

mod encode;

use std::fmt;

use sha2::{Digest, Sha256};

use self::encode::{close_parts, open_part, quoted, write_attachment, write_lines, write_text};
use super::{header, token};
use crate::model::Time;
use crate::model::address::AddressFlaw;

/// Why a mail could not be written. Names the header, never its value: values are personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    #[error("the header {header} holds a line break or another control character; remove it")]
    ControlCharacter { header: String },
    #[error("the address in the header {header} cannot be used: {why}")]
    Address { header: String, why: AddressFlaw },
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
    /// What everybody on the way may read: neutral, with the reference. Not used where the mail travels in clear.
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
        header::write(&mut out, field.name, &field.inner);
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
struct Field<'a> {
    name: &'a str,
    /// `None`: the same.
    outer: Option<String>,
    inner: String,
}
impl Field<'_> {
    fn outer(&self) -> &str {
        self.outer.as_ref().unwrap_or(&self.inner)
    }
}

/// The checked header fields of one mail, and where its boundaries come from.
pub(super) struct Envelope<'a> {
    fields: Vec<Field<'a>>,
    seed: String,
    language: String,
}

/// What protects a part: that decides how its header fields are marked (RFC 9788 §2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shield {
    /// Signed and encrypted.
    Cipher,
    /// Signed only.
    Clear,
}

/// A file name and the armored certificate in it.
pub(super) struct KeyFile<'a> {
    pub name: &'a str,
    pub armored: &'a str,
}

impl<'a> Envelope<'a> {
    pub(super) fn new(content: &Content, headers: &'a Headers) -> Result<Self, MimeError> {
        let mut fields = Vec::with_capacity(8 + headers.extra.len());
        let mut same = |name: &'a str, inner: String| {
            fields.push(Field {
                name,
                outer: None,
                inner,
            });
        };
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
        fields.push(Field {
            name: "Subject",
            outer: Some(header::unstructured("Subject", &headers.outer_subject)?),
            inner: header::unstructured("Subject", &content.subject)?,
        });
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
        format!("=_{}", token::hex(&digest[..16]))
    }

    /// The part that is signed, and encrypted where `shield` says so: all headers as they are meant, the text, the
    /// files, our certificate.
    pub(super) fn protected(&self, content: &Content, key: &KeyFile<'_>, shield: Shield) -> Result<Vec<u8>, MimeError> {
        let files: usize = content.attachments.iter().map(|a| a.bytes.len()).sum();
        let mut out = Vec::with_capacity(2 * content.text.len() + files / 57 * 79 + key.armored.len() + 4096);
        let boundary = self.boundary("mixed");
        let mark = match shield {
            Shield::Cipher => "cipher",
            Shield::Clear => "clear",
        };
        // Both marks: readers know either RFC 9788 or the older draft. They look for them on a multipart only.
        header::write_with(
            &mut out,
            "Content-Type",
            "multipart/mixed",
            &[
                quoted("boundary", &boundary),
                quoted("protected-headers", "v1"),
                quoted("hp", mark),
            ],
        );
        for field in &self.fields {
            header::write(&mut out, field.name, &field.inner);
        }
        // RFC 9788 §2.2: what stands outside, so that the reader knows which values were confidential.
        for field in self.fields.iter().filter(|_| shield == Shield::Cipher) {
            header::write(&mut out, "HP-Outer", &format!("{}: {}", field.name, field.outer()));
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
            header::write(&mut out, field.name, field.outer());
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

    /// The mail around a signed part, in clear (RFC 3156 §5); `micalg` names the signature's digest as OpenPGP does.
    pub(super) fn signed(&self, part: &[u8], signature: &str, micalg: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(part.len() + signature.len() + 2048);
        for field in &self.fields {
            header::write(&mut out, field.name, &field.inner);
        }
        let boundary = self.boundary("signed");
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        header::write_with(
            &mut out,
            "Content-Type",
            "multipart/signed",
            &[
                quoted("protocol", "application/pgp-signature"),
                quoted("micalg", micalg),
                quoted("boundary", &boundary),
            ],
        );
        out.extend_from_slice(b"\r\nThis is an OpenPGP/MIME signed message (RFC 3156).\r\n");
        open_part(&mut out, &boundary);
        out.extend_from_slice(part);
        open_part(&mut out, &boundary);
        out.extend_from_slice(
            b"Content-Type: application/pgp-signature; name=\"signature.asc\"\r\n\
              Content-Description: OpenPGP digital signature\r\n\
              Content-Disposition: attachment; filename=\"signature.asc\"\r\n\r\n",
        );
        write_lines(&mut out, signature.as_bytes());
        close_parts(&mut out, &boundary);
        out
    }

    /// The mail around files that protect themselves: `cover` in clear, then the files.
    pub(super) fn with_files(&self, cover: &str, files: &[Attachment]) -> Result<Vec<u8>, MimeError> {
        let size: usize = files.iter().map(|file| file.bytes.len()).sum();
        let mut out = Vec::with_capacity(2 * cover.len() + size / 57 * 79 + 4096);
        for field in &self.fields {
            header::write(&mut out, field.name, field.outer());
        }
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        let boundary = self.boundary("mixed");
        header::write_with(
            &mut out,
            "Content-Type",
            "multipart/mixed",
            &[quoted("boundary", &boundary)],
        );
        out.extend_from_slice(b"\r\n");
        open_part(&mut out, &boundary);
        write_text(&mut out, "text/plain", cover, &self.language);
        for file in files {
            open_part(&mut out, &boundary);
            write_attachment(&mut out, file)?;
        }
        close_parts(&mut out, &boundary);
        Ok(out)
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
