//! The walk through a mail: its parts, what is signed in them, and what our key opens. OpenPGP within a text is `inline`'s.

use sequoia_openpgp::Cert;

use super::super::key::OurKey;
use super::super::mime::Attachment;
use super::super::part::{Entity, text_of_html};
use super::super::pgp::{Plain, decrypt, verify};
use super::found::Found;
use super::headers::protected_headers;
use super::inline::BEGIN_MESSAGE;
use super::{OUR_MESSAGE, Protection, Signature};
use crate::model::Time;

/// What may come out of one mail by decryption and decompression together.
const MAX_PLAIN_BYTES: usize = 64 * 1024 * 1024;
const MAX_DEPTH: usize = 16;
const MAX_PARTS: usize = 1000;
const MAX_CIPHERTEXTS: usize = 16;

/// Reads one mail, and counts what it may still read of it.
pub(super) struct Reader<'k> {
    our: Option<&'k OurKey>,
    pub certs: &'k [Cert],
    pub now: Time,
    parts_left: usize,
    ciphertexts_left: usize,
    pub plain_left: usize,
    /// Reading what was decrypted: inside it, OpenPGP in a text or a file is left as it is, or a message could be made
    /// that decrypts to itself.
    pub inside: bool,
    /// What we wrote ourselves is read like any other mail.
    ours_is_text: bool,
    pub defects: Vec<String>,
}

impl<'k> Reader<'k> {
    pub fn new(our: Option<&'k OurKey>, certs: &'k [Cert], now: Time, ours_is_text: bool) -> Self {
        Self {
            our,
            certs,
            now,
            parts_left: MAX_PARTS,
            ciphertexts_left: MAX_CIPHERTEXTS,
            plain_left: MAX_PLAIN_BYTES,
            inside: false,
            ours_is_text,
            defects: Vec::new(),
        }
    }

    /// The whole mail.
    pub fn read_mail(&mut self, raw: &[u8]) -> Found {
        self.read(raw, 0, false)
    }

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
                    let found: Vec<Found> = parts
                        .iter()
                        .enumerate()
                        .map(|(i, part)| self.read(part, depth + 1, encrypted && i == 1))
                        .collect();
                    if Found::some_stand_outside(&found) {
                        self.defect("parts outside the signed or encrypted part were left out");
                    }
                    return Found::merge(found, media_type == "multipart/alternative");
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
    pub fn read_decrypted(&mut self, plain: &Plain, depth: usize) -> Found {
        let outside = std::mem::replace(&mut self.inside, true);
        let mut found = self.read(&plain.bytes, depth + 1, false);
        self.inside = outside;
        found.inner = protected_headers(&plain.bytes).or(found.inner);
        found.shield(plain);
        found
    }

    /// Only we can have signed with our key: what bears that signature is no answer of anybody.
    pub fn is_by_us(&self, signature: &Signature) -> bool {
        let our = self.our.map(OurKey::fingerprint);
        matches!(signature, Signature::Good { fingerprint } if our == Some(fingerprint))
    }

    pub fn is_ours_apart(&self, plain: &Plain) -> bool {
        !self.ours_is_text && self.is_by_us(&plain.signature)
    }

    pub fn decrypt(&mut self, ciphertext: &[u8]) -> Result<Plain, String> {
        if self.ciphertexts_left == 0 {
            return Err(format!("the mail holds more than {MAX_CIPHERTEXTS} encrypted parts"));
        }
        self.ciphertexts_left -= 1;
        let plain = decrypt(ciphertext, self.our, self.certs, self.now, self.plain_left)?;
        self.plain_left = self.plain_left.saturating_sub(plain.bytes.len());
        Ok(plain)
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

/// What we once sent, as a file of the mail that brought it back.
pub(super) fn our_message(plain: Plain) -> Attachment {
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

pub(super) fn looks_like_mime(plain: &[u8]) -> bool {
    let begins_like_a_header = plain
        .iter()
        .position(|b| *b == b':')
        .is_some_and(|colon| colon > 0 && plain[..colon].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'));
    begins_like_a_header && Entity::parse(plain).has_content_type()
}
