//! Opening what came back: decrypt, verify, and show text and files, whatever shape mail gateways left it in.
//!
//! Nothing here is an error: mail that cannot be understood is described as far as it can be, and its defects are listed.
//! Size, depth, number of parts and of ciphertexts are bounded. Where something was encrypted or signed, only
//! that is shown: what a stranger put around it must not look as if it belonged to it. One of our own messages that comes
//! back inside a mail is a file of that mail, never its text. Must not know what the mail means.

use mail_parser::{Address, HeaderName, HeaderValue, Message};
use sequoia_openpgp::Cert;

use super::key::OurKey;
use super::mime::{Attachment, Mailbox};
use super::part::{Entity, MAX_HEAD_BYTES, text_of_html, text_of_unknown_charset};
use super::pgp::{Plain, decrypt, verify, verify_cleartext};
use crate::model::Time;

pub use super::pgp::Signature;

/// Of a larger mail only the headers are read. Relays refuse mail of half this size.
pub const MAX_MAIL_BYTES: usize = 32 * 1024 * 1024;
/// What may come out of one mail by decryption and decompression together.
const MAX_PLAIN_BYTES: usize = 64 * 1024 * 1024;
const MAX_HEADERS: usize = 1000;
const MAX_DEPTH: usize = 16;
const MAX_PARTS: usize = 1000;
const MAX_CIPHERTEXTS: usize = 16;
/// The name of a message of ours that came back inside a mail.
pub const OUR_MESSAGE: &str = "our-own-message.eml";
const BEGIN_MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const END_MESSAGE: &str = "-----END PGP MESSAGE-----";
const BEGIN_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const END_SIGNED: &str = "-----END PGP SIGNATURE-----";

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
    let mut certs = pinned.to_vec();
    certs.extend(our.map(|our| our.certificate().clone()));
    let with = |ours_is_text| Reader {
        our,
        certs: &certs,
        now,
        parts_left: MAX_PARTS,
        ciphertexts_left: MAX_CIPHERTEXTS,
        plain_left: MAX_PLAIN_BYTES,
        inside: false,
        ours_is_text,
        defects: Vec::new(),
    };
    if raw.len() > MAX_MAIL_BYTES {
        let mut opened = outer_headers(&Entity::parse(&raw[..MAX_HEAD_BYTES]));
        opened.defects.push(format!(
            "larger than {MAX_MAIL_BYTES} bytes: only the headers were read"
        ));
        return opened;
    }
    let mut opened = outer_headers(&Entity::parse(raw));
    let mut reader = with(false);
    let mut found = reader.read(raw, 0, false);
    if found.is_our_message() {
        // Gateways rebuild mail: where nothing else is left in it, our message is the mail.
        reader = with(true);
        found = reader.read(raw, 0, false);
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

/// How many mails lie in a file in mbox format: its `From ` lines that stand at the start or after an empty line, end
/// with a year and are followed by a header. Zero for a file that is no mbox.
pub fn mails_in_mbox(raw: &[u8]) -> usize {
    if !raw.starts_with(b"From ") {
        return 0;
    }
    let begins = |line: &[u8], next: &[u8]| {
        let line = line.trim_ascii_end();
        let year = line.len() > 20 && line[line.len() - 4..].iter().all(u8::is_ascii_digit);
        let colons = line.iter().filter(|b| **b == b':').count() >= 1;
        let header = next
            .iter()
            .position(|b| *b == b':')
            .is_some_and(|colon| colon > 0 && next[..colon].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'));
        line.starts_with(b"From ") && year && colons && header
    };
    let mut lines = raw.split(|b| *b == b'\n').peekable();
    let (mut mails, mut after_empty) = (0, true);
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        mails += usize::from(after_empty && begins(line, next));
        after_empty = line.trim_ascii_end().is_empty();
    }
    mails
}

/// Pipes and spools put a `From ` line before the headers.
fn without_mbox_line(raw: &[u8]) -> &[u8] {
    let raw = raw.trim_ascii_start();
    match raw.iter().position(|b| *b == b'\n') {
        Some(end) if raw.starts_with(b"From ") || raw.starts_with(b">From ") => &raw[end + 1..],
        _ => raw,
    }
}

fn outer_headers(entity: &Entity<'_>) -> Opened {
    let mut opened = Opened {
        content_type: entity.media_type(),
        report_type: entity.parameter("report-type").map(str::to_ascii_lowercase),
        ..Opened::default()
    };
    let Some(head) = entity.head() else {
        opened.defects.push("it has no headers".to_owned());
        return opened;
    };
    opened.headers = header_fields(head);
    opened.from = mailboxes(head.from());
    opened.to = mailboxes(head.to());
    opened.outer_subject = head.subject().unwrap_or_default().to_owned();
    opened.subject = opened.outer_subject.clone();
    opened.message_id = message_ids(head.header(HeaderName::MessageId)).into_iter().next();
    opened.in_reply_to = message_ids(head.header(HeaderName::InReplyTo));
    opened.references = message_ids(head.header(HeaderName::References));
    opened.date = head
        .date()
        .filter(|d| d.is_valid())
        .and_then(|d| Time::from_timestamp(d.to_timestamp(), 0));
    opened.auto_submitted = opened.header("Auto-Submitted").map(str::to_owned);
    opened.precedence = opened.header("Precedence").map(str::to_owned);
    opened.return_path = opened.header("Return-Path").map(|path| {
        path.trim_matches(|c: char| c.is_whitespace() || "<>".contains(c))
            .to_owned()
    });
    opened
}

/// The header fields in their order: unfolded, otherwise as they came.
pub(super) fn header_fields(head: &Message<'_>) -> Vec<(String, String)> {
    let fields = head.headers().iter().take(MAX_HEADERS).map(|header| {
        let (from, to) = (header.offset_start as usize, header.offset_end as usize);
        let raw = head.raw_message.get(from..to).unwrap_or_default();
        let value = text_of_unknown_charset(raw).replace(['\r', '\n'], "");
        (header.name.as_str().to_owned(), value.trim().to_owned())
    });
    fields.collect()
}

/// Control characters, which no address has, are left out: addresses are shown, compared and kept.
pub(super) fn mailboxes(addresses: Option<&Address<'_>>) -> Vec<Mailbox> {
    let Some(addresses) = addresses else { return Vec::new() };
    let clean = |address: &str| -> String { address.chars().filter(|c| !c.is_control()).collect() };
    addresses
        .iter()
        .filter_map(|a| Some(Mailbox::new(a.name(), &clean(a.address()?))))
        .filter(|mailbox| !mailbox.address.is_empty())
        .take(MAX_HEADERS)
        .collect()
}

pub(super) fn message_ids(value: Option<&HeaderValue<'_>>) -> Vec<String> {
    let ids: Vec<&str> = match value {
        Some(HeaderValue::Text(id)) => vec![id],
        Some(HeaderValue::TextList(ids)) => ids.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    ids.into_iter()
        .map(|id| format!("<{}>", id.trim_matches(['<', '>'])))
        .collect()
}

/// Headers that travelled inside the protection (RFC 9788).
struct InnerHeaders {
    subject: Option<String>,
    message_id: Option<String>,
    in_reply_to: Vec<String>,
    references: Vec<String>,
}

fn protected_headers(raw: &[u8]) -> Option<InnerHeaders> {
    let entity = Entity::parse(raw);
    if entity.parameter("hp").is_none() && entity.parameter("protected-headers").is_none() {
        return None;
    }
    let head = entity.head()?;
    Some(InnerHeaders {
        subject: head.subject().map(str::to_owned),
        message_id: message_ids(head.header(HeaderName::MessageId)).into_iter().next(),
        in_reply_to: message_ids(head.header(HeaderName::InReplyTo)),
        references: message_ids(head.header(HeaderName::References)),
    })
}

/// What was found in one entity.
#[derive(Default)]
struct Found {
    texts: Vec<String>,
    /// The texts are plain ones, not made from HTML.
    plain: bool,
    attachments: Vec<Attachment>,
    /// Texts that stood beside the protected part.
    outside: Vec<String>,
    protection: Protection,
    signature: Signature,
    /// It stood inside a signature or an encryption.
    shielded: bool,
    inner: Option<InnerHeaders>,
}
impl Found {
    fn text(text: String, plain: bool) -> Self {
        Self {
            texts: vec![text],
            plain,
            ..Self::default()
        }
    }
    fn file(name: Option<String>, media_type: String, bytes: Vec<u8>) -> Self {
        let name = name.unwrap_or_else(|| "attachment".to_owned());
        Self {
            attachments: vec![Attachment {
                name,
                media_type,
                bytes,
            }],
            ..Self::default()
        }
    }
    fn is_empty(&self) -> bool {
        self.says_nothing() && self.attachments.is_empty()
    }
    fn says_nothing(&self) -> bool {
        self.texts.iter().all(|t| t.trim().is_empty())
    }
    /// It holds what we once sent, and nothing else.
    fn is_our_message(&self) -> bool {
        let ours = |file: &Attachment| file.name == OUR_MESSAGE;
        self.says_nothing() && !self.attachments.is_empty() && self.attachments.iter().all(ours)
    }
}

/// S/MIME that is not beside its text but around it (RFC 8551 §3.2). Gateways keep the name of the file and lose the type.
fn is_opaque_smime(entity: &Entity<'_>, media_type: &str) -> bool {
    let named = || {
        entity
            .file_name()
            .is_some_and(|name| name.eq_ignore_ascii_case("smime.p7m"))
    };
    media_type != "application/octet-stream" || named()
}

struct Reader<'k> {
    our: Option<&'k OurKey>,
    certs: &'k [Cert],
    now: Time,
    parts_left: usize,
    ciphertexts_left: usize,
    plain_left: usize,
    /// Reading what was decrypted: inside it, OpenPGP in a text or a file is left as it is, or a message could be made
    /// that decrypts to itself.
    inside: bool,
    /// What we wrote ourselves is read like any other mail.
    ours_is_text: bool,
    defects: Vec<String>,
}

impl Reader<'_> {
    /// `is_ciphertext`: it stands where RFC 3156 §4 puts the encrypted message.
    fn read(&mut self, raw: &[u8], depth: usize, is_ciphertext: bool) -> Found {
        if depth > MAX_DEPTH || self.parts_left == 0 {
            self.defect("nested too deeply or in too many parts: the rest was left out");
            return Found::default();
        }
        self.parts_left -= 1;
        let entity = Entity::parse(raw);
        let media_type = entity.media_type();
        if media_type.starts_with("multipart/") {
            let parts = entity.parts(self.parts_left);
            let protocol = entity.parameter("protocol").unwrap_or_default().to_ascii_lowercase();
            match parts.as_slice() {
                [] => self.defect("a multipart without parts"),
                [signed, signature, ..] if media_type == "multipart/signed" && !protocol.contains("pkcs7") => {
                    return self.read_signed(signed, signature, depth);
                }
                _ => {
                    let encrypted = media_type == "multipart/encrypted";
                    let found = parts
                        .iter()
                        .enumerate()
                        .map(|(i, part)| self.read(part, depth + 1, encrypted && i == 1))
                        .collect();
                    return self.merge(found, media_type == "multipart/alternative");
                }
            }
        }
        match media_type.as_str() {
            "application/pkcs7-mime" | "application/x-pkcs7-mime" | "application/octet-stream"
                if !self.inside && is_opaque_smime(&entity, &media_type) =>
            {
                let mut found = Found::file(entity.file_name(), media_type, entity.decoded().into_owned());
                found.protection = Protection::SMime;
                found
            }
            // "Version: 1" says nothing.
            "application/pgp-encrypted" if !is_ciphertext && !entity.is_attachment() => Found::default(),
            _ if is_ciphertext => self.read_file(&entity, depth, true),
            "text/plain" if !entity.is_attachment() => self.read_text(&entity.text(), depth),
            "text/html" if !entity.is_attachment() => Found::text(text_of_html(&entity.text()), false),
            multipart if multipart.starts_with("multipart/") => Found::text(entity.text(), true),
            _ => self.read_file(&entity, depth, false),
        }
    }

    fn defect(&mut self, what: &str) {
        if !self.defects.iter().any(|d| d == what) {
            self.defects.push(what.to_owned());
        }
    }

    /// Puts the parts of a multipart together. Protected parts push unprotected ones out.
    fn merge(&mut self, mut found: Vec<Found>, alternative: bool) -> Found {
        let mut outside = Vec::new();
        if found.iter().any(|f| f.shielded) {
            let mut out = false;
            found.retain_mut(|f| {
                out |= !f.shielded && !f.is_empty();
                if !f.shielded {
                    outside.append(&mut f.texts);
                }
                f.shielded
            });
            if out {
                self.defect("parts outside the signed or encrypted part were left out");
            }
        }
        if alternative && found.iter().any(|f| f.plain) {
            for html in found.iter_mut().filter(|f| !f.plain) {
                html.texts.clear();
            }
        }
        let mut merged = Found {
            outside,
            ..Found::default()
        };
        for (i, part) in found.into_iter().enumerate() {
            merged.signature = if i == 0 {
                part.signature
            } else {
                weaker(merged.signature, part.signature)
            };
            merged.protection = graver(merged.protection, part.protection);
            merged.texts.extend(part.texts);
            merged.plain |= part.plain;
            merged.attachments.extend(part.attachments);
            merged.outside.extend(part.outside);
            merged.shielded |= part.shielded;
            merged.inner = merged.inner.or(part.inner);
        }
        merged
    }

    /// RFC 3156 §5: the signature covers the first part's exact bytes, with CRLF as line end.
    fn read_signed(&mut self, signed: &[u8], signature: &[u8], depth: usize) -> Found {
        let signature = Entity::parse(signature).decoded();
        let verdict = verify(&signature, signed, self.certs, self.now);
        let mut found = self.read(signed, depth + 1, false);
        if found.signature == Signature::None {
            found.signature = verdict;
        }
        found.shielded = true;
        found.inner = found.inner.or_else(|| protected_headers(signed));
        found
    }

    /// Text may carry OpenPGP inline.
    fn read_text(&mut self, text: &str, depth: usize) -> Found {
        if self.inside {
            return Found::text(text.to_owned(), true);
        }
        let mut returned = Vec::new();
        let mut rest = text;
        while let Some(block) = armored_block(rest, BEGIN_MESSAGE, END_MESSAGE) {
            let mut found = match self.decrypt(block.as_bytes()) {
                Ok(plain) if self.is_ours_apart(&plain) => {
                    returned.push(our_message(plain));
                    rest = rest.split_once(block).map_or("", |(_, after)| after);
                    continue;
                }
                Ok(plain) if looks_like_mime(&plain.bytes) => self.read_decrypted(&plain, depth),
                Ok(plain) => {
                    let mut found = Found::text(text_of_unknown_charset(&plain.bytes), true);
                    shield(&mut found, &plain);
                    found
                }
                Err(why) => {
                    let mut found = Found::text(text.to_owned(), true);
                    found.protection = Protection::Undecryptable(why);
                    found.attachments = returned;
                    return found;
                }
            };
            found.outside.extend(before(text, block));
            found.attachments.append(&mut returned);
            return found;
        }
        let mut found = self.read_signed_text(text);
        found.attachments.append(&mut returned);
        found
    }

    /// Text that may be signed in clear.
    fn read_signed_text(&self, text: &str) -> Found {
        if let Some(block) = armored_block(text, BEGIN_SIGNED, END_SIGNED) {
            let (signature, signed) = verify_cleartext(block.as_bytes(), self.certs, self.now, self.plain_left);
            let mut found = match signed {
                Some(signed) => Found::text(text_of_unknown_charset(&signed), true),
                None => Found::text(text.to_owned(), true),
            };
            found.signature = signature;
            found.shielded = true;
            found.outside.extend(before(text, block));
            return found;
        }
        Found::text(text.to_owned(), true)
    }

    /// A file, which may be an encrypted mail or an encrypted file.
    fn read_file(&mut self, entity: &Entity<'_>, depth: usize, is_ciphertext: bool) -> Found {
        let bytes = entity.decoded();
        let name = entity.file_name();
        let lower = name.as_deref().unwrap_or_default().to_ascii_lowercase();
        let media_type = entity.media_type();
        let armored = bytes.trim_ascii_start().starts_with(BEGIN_MESSAGE.as_bytes());
        let binary = lower.ends_with(".pgp") || lower.ends_with(".gpg");
        if !is_ciphertext && (self.inside || !(armored || binary)) {
            return Found::file(name, media_type, bytes.into_owned());
        }
        match self.decrypt(&bytes) {
            // What stands where RFC 3156 §4 puts it in the outermost part is the whole mail.
            Ok(plain) if self.is_ours_apart(&plain) && !(is_ciphertext && depth == 1) => Found {
                attachments: vec![our_message(plain)],
                ..Found::default()
            },
            Ok(plain) if is_ciphertext || looks_like_mime(&plain.bytes) => self.read_decrypted(&plain, depth),
            Ok(plain) => {
                // A file encrypted on its own says nothing about the protection of the text beside it.
                let name = name.map(|n| n.rsplit_once('.').map_or(n.clone(), |(stem, _)| stem.to_owned()));
                Found::file(name, "application/octet-stream".to_owned(), plain.bytes)
            }
            Err(why) => {
                let mut found = Found::file(name, media_type, bytes.into_owned());
                found.protection = Protection::Undecryptable(why);
                found
            }
        }
    }

    /// A whole MIME entity that had been encrypted.
    fn read_decrypted(&mut self, plain: &Plain, depth: usize) -> Found {
        let outside = std::mem::replace(&mut self.inside, true);
        let mut found = self.read(&plain.bytes, depth + 1, false);
        self.inside = outside;
        found.inner = protected_headers(&plain.bytes).or(found.inner);
        shield(&mut found, plain);
        found
    }

    /// Only we can have signed with our key: what bears that signature is no answer of anybody.
    fn is_by_us(&self, signature: &Signature) -> bool {
        let our = self.our.map(OurKey::fingerprint);
        matches!(signature, Signature::Good { fingerprint } if our == Some(fingerprint))
    }

    fn is_ours_apart(&self, plain: &Plain) -> bool {
        !self.ours_is_text && self.is_by_us(&plain.signature)
    }

    fn decrypt(&mut self, ciphertext: &[u8]) -> Result<Plain, String> {
        if self.ciphertexts_left == 0 {
            return Err(format!("the mail holds more than {MAX_CIPHERTEXTS} encrypted parts"));
        }
        self.ciphertexts_left -= 1;
        let plain = decrypt(ciphertext, self.our, self.certs, self.now, self.plain_left)?;
        self.plain_left = self.plain_left.saturating_sub(plain.bytes.len());
        Ok(plain)
    }
}

/// What we once sent, as a file of the mail that brought it back.
fn our_message(plain: Plain) -> Attachment {
    let media_type = match looks_like_mime(&plain.bytes) {
        true => "message/rfc822",
        false => "application/octet-stream",
    };
    Attachment {
        name: OUR_MESSAGE.to_owned(),
        media_type: media_type.to_owned(),
        bytes: plain.bytes,
    }
}

fn shield(found: &mut Found, plain: &Plain) {
    found.shielded = true;
    if plain.was_encrypted {
        found.protection = Protection::Encrypted;
    }
    if plain.signature != Signature::None {
        found.signature = plain.signature.clone();
    }
}

/// Of several parts shown together, the least trustworthy decides.
fn weaker(a: Signature, b: Signature) -> Signature {
    match (a, b) {
        (a, b) if a == b => a,
        (Signature::Bad, _) | (_, Signature::Bad) => Signature::Bad,
        (Signature::None, _) | (_, Signature::None) => Signature::None,
        _ => Signature::Unknown { issuer: None },
    }
}

fn graver(a: Protection, b: Protection) -> Protection {
    let rank = |p: &Protection| match p {
        Protection::Clear => 0,
        Protection::SMime => 1,
        Protection::Undecryptable(_) => 2,
        Protection::Encrypted => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// The lines from `begin` to `end`, if `begin` stands at the start of a line.
fn armored_block<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    let mut from = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match from {
            None if line.trim_end() == begin => from = Some(at),
            Some(from) if line.trim_end() == end => return Some(&text[from..at + line.len()]),
            _ => {}
        }
        at += line.len();
    }
    None
}

/// What stands in a text before a block of it, if anything does.
fn before(text: &str, block: &str) -> Option<String> {
    let (before, _) = text.split_once(block)?;
    (!before.trim().is_empty()).then(|| before.to_owned())
}

fn looks_like_mime(plain: &[u8]) -> bool {
    let begins_like_a_header = plain
        .iter()
        .position(|b| *b == b':')
        .is_some_and(|colon| colon > 0 && plain[..colon].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'));
    begins_like_a_header && Entity::parse(plain).has_content_type()
}
