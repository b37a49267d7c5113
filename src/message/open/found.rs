//! What was found in the parts of a mail, and how it is put together.

use super::super::mime::Attachment;
use super::super::pgp::Plain;
use super::headers::InnerHeaders;
use super::{OUR_MESSAGE, Protection, Signature};

/// What was found in one entity.
#[derive(Default)]
pub(super) struct Found {
    pub texts: Vec<String>,
    /// The texts are plain ones, not made from HTML.
    pub plain: bool,
    pub attachments: Vec<Attachment>,
    /// Texts that stood beside the protected part.
    pub outside: Vec<String>,
    pub protection: Protection,
    pub signature: Signature,
    /// It stood inside a signature or an encryption.
    pub shielded: bool,
    pub inner: Option<InnerHeaders>,
}
impl Found {
    pub fn text(text: String, plain: bool) -> Self {
        Self {
            texts: vec![text],
            plain,
            ..Self::default()
        }
    }
    pub fn file(name: Option<String>, media_type: String, bytes: Vec<u8>) -> Self {
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
    pub fn is_our_message(&self) -> bool {
        let ours = |file: &Attachment| file.name == OUR_MESSAGE;
        self.says_nothing() && !self.attachments.is_empty() && self.attachments.iter().all(ours)
    }
    /// Whether some parts stand beside a protected one: they are pushed out.
    pub fn some_stand_outside(parts: &[Self]) -> bool {
        parts.iter().any(|f| f.shielded) && parts.iter().any(|f| !f.shielded && !f.is_empty())
    }
    /// Puts the parts of a multipart together. Protected parts push unprotected ones out.
    pub fn merge(mut parts: Vec<Self>, alternative: bool) -> Self {
        let mut merged = Self::default();
        if parts.iter().any(|f| f.shielded) {
            parts.retain_mut(|f| {
                if !f.shielded {
                    merged.outside.append(&mut f.texts);
                }
                f.shielded
            });
        }
        if alternative && parts.iter().any(|f| f.plain) {
            for html in parts.iter_mut().filter(|f| !f.plain) {
                html.texts.clear();
            }
        }
        for (i, part) in parts.into_iter().enumerate() {
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
    /// It came out of this.
    pub fn shield(&mut self, plain: &Plain) {
        self.shielded = true;
        if plain.was_encrypted {
            self.protection = Protection::Encrypted;
        }
        if plain.signature != Signature::None {
            self.signature = plain.signature.clone();
        }
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
