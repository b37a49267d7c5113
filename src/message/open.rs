//! Opening what came back: decrypt, verify, and show text and files, whatever shape mail gateways left it in.
//!
//! Nothing here is an error: mail that cannot be understood is described as far as it can be, and its defects are listed.
//! Size, depth, number of parts and of ciphertexts are bounded. Where something was encrypted or signed, only
//! that is shown: what a stranger put around it must not look as if it belonged to it. One of our own messages that comes
//! back inside a mail is a file of that mail, never its text. Must not know what the mail means.

mod found;
mod headers;
mod inline;
mod mbox;
mod reader;

use sequoia_openpgp::Cert;

use super::key::OurKey;
use super::mime::{Attachment, Mailbox};
use super::part::{Entity, MAX_HEAD_BYTES};
use crate::model::Time;
use headers::outer_headers;
use mbox::without_mbox_line;
use reader::Reader;

pub use super::pgp::Signature;
pub(super) use headers::{header_fields, mailboxes, message_ids};
pub use mbox::mails_in_mbox;

/// Of a larger mail only the headers are read. Relays refuse mail of half this size.
pub const MAX_MAIL_BYTES: usize = 32 * 1024 * 1024;
/// The name of a message of ours that came back inside a mail.
pub const OUR_MESSAGE: &str = "our-own-message.eml";

/// How the text was protected on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Protection {
    #[default]
    Clear,
    /// OpenPGP, and our key opened it.
    Encrypted,
    /// OpenPGP, but it stays closed, for this reason.
    Undecryptable(String),
    /// S/MIME, which is not read.
    SMime,
}

impl Protection {
    /// Why nobody can read it here; `None` where its text is open.
    pub fn closed(&self) -> Option<String> {
        match self {
            Protection::Clear | Protection::Encrypted => None,
            Protection::Undecryptable(reason) => Some(format!("it is encrypted and could not be opened: {reason}")),
            Protection::SMime => Some("it is S/MIME, which is not opened here".to_owned()),
        }
    }
}

/// A mail, as far as it could be understood.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Opened {
    pub from: Vec<Mailbox>,
    pub to: Vec<Mailbox>,
    /// The protected one where there is one, else the outer one.
    pub subject: String,
    pub outer_subject: String,
    /// With angle brackets, like all message ids here.
    pub message_id: Option<String>,
    /// The one inside the protection, where there is one (RFC 9788): what a server on the way could not replace.
    pub protected_message_id: Option<String>,
    pub in_reply_to: Vec<String>,
    pub references: Vec<String>,
    pub date: Option<Time>,
    pub auto_submitted: Option<String>,
    pub precedence: Option<String>,
    /// `type/subtype` of the whole mail, in lower case.
    pub content_type: String,
    /// Of a `multipart/report`: `delivery-status`, `disposition-notification`, …
    pub report_type: Option<String>,
    /// Without angle brackets; `Some("")` is the null path of a bounce.
    pub return_path: Option<String>,
    /// All outer headers in their order: unfolded, otherwise as they came.
    pub headers: Vec<(String, String)>,
    /// The plain text; made from HTML where there is nothing else.
    pub text: String,
    /// Text that stood outside the signed or encrypted part, and is not shown beside it: a server that returns one of our
    /// sealed mails writes its own words there.
    pub outside: String,
    /// Files, and returned or forwarded mail as `message/…`; decrypted where that was possible.
    pub attachments: Vec<Attachment>,
    pub protection: Protection,
    pub signature: Signature,
    /// The whole mail is one that we wrote and sealed, come back: its words are ours.
    pub is_ours: bool,
    /// What was odd, left out or not understood, in words; without personal data.
    pub defects: Vec<String>,
}
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("content_type", &self.content_type)
            .field("protection", &self.protection)
            .field("signature", &self.signature)
            .field("text_bytes", &self.text.len())
            .field("attachments", &self.attachments)
            .field("defects", &self.defects)
            .finish_non_exhaustive()
    }
}
impl Opened {
    /// The value of the first outer header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a mail. `our` decrypts; signatures are checked against `pinned` and our own certificate.
pub fn open(raw: &[u8], our: Option<&OurKey>, pinned: &[Cert], now: Time) -> Opened {
    let raw = without_mbox_line(raw);
    if raw.len() > MAX_MAIL_BYTES {
        let mut opened = outer_headers(&Entity::parse(&raw[..MAX_HEAD_BYTES]));
        opened.defects.push(format!(
            "larger than {MAX_MAIL_BYTES} bytes: only the headers were read"
        ));
        return opened;
    }
    let mut opened = outer_headers(&Entity::parse(raw));
    let mut certs = pinned.to_vec();
    certs.extend(our.map(|our| our.certificate().clone()));
    let mut reader = Reader::new(our, &certs, now, false);
    let mut found = reader.read_mail(raw);
    if found.is_our_message() {
        // Gateways rebuild mail: where nothing else is left in it, our message is the mail.
        reader = Reader::new(our, &certs, now, true);
        found = reader.read_mail(raw);
    }
    if let Some(inner) = found.inner {
        opened.subject = inner.subject.unwrap_or(opened.subject);
        opened.protected_message_id = inner.message_id;
        if !inner.in_reply_to.is_empty() {
            opened.in_reply_to = inner.in_reply_to;
        }
        if !inner.references.is_empty() {
            opened.references = inner.references;
        }
    }
    opened.text = found.texts.join("\r\n\r\n");
    opened.outside = found.outside.join("\r\n\r\n");
    opened.attachments = found.attachments;
    opened.protection = found.protection;
    opened.signature = found.signature;
    opened.is_ours = reader.is_by_us(&opened.signature);
    opened.defects = reader.defects;
    opened
}
