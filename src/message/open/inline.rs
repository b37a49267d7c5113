//! OpenPGP within a text, as people paste it and old programs write it.

use super::super::part::text_of_unknown_charset;
use super::super::pgp::verify_cleartext;
use super::Protection;
use super::found::Found;
use super::reader::{Reader, looks_like_mime, our_message};

pub(super) const BEGIN_MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const END_MESSAGE: &str = "-----END PGP MESSAGE-----";
const BEGIN_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const END_SIGNED: &str = "-----END PGP SIGNATURE-----";

impl Reader<'_> {
    /// Text may carry OpenPGP inline.
    pub fn read_text(&mut self, text: &str, depth: usize) -> Found {
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
                    found.shield(&plain);
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
