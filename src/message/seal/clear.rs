//! Signed mail in clear: for a stub that says nothing of a breach, and for the one rung of the ladder where a notice
//! itself may travel in clear over enforced TLS. Whether it may is decided elsewhere.

use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::parse::Parse;
use openpgp::types::HashAlgorithm;

use super::{Flaw, SealError, canonical};
use crate::message::key::{KeyError, OurKey};
use crate::message::mime::{Content, Envelope, Headers, Shield};
use crate::message::open::{self, Protection, Signature};
use crate::message::token;
use crate::model::Time;

/// A signed mail that anybody on the way can read. A type of its own, so that it is never taken for a [`super::Sealed`].
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The whole mail, lines ending in CRLF.
    pub mail: Vec<u8>,
    /// The MIME part inside, exactly as it was signed.
    pub content: Vec<u8>,
    /// SHA-256 of `content`, lower-case hex.
    pub content_sha256: String,
    /// Upper-case hex.
    pub signer_fingerprint: String,
    pub signed_at: Time,
}
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({} bytes by {})", self.mail.len(), self.signer_fingerprint)
    }
}

/// Writes and signs a mail in clear: multipart/signed (RFC 3156 §5) with our certificate beside the text, headers
/// protected (RFC 9788, `hp="clear"`). The subject is the true one; [`Headers::outer_subject`] is not used. What is signed
/// has only lines that no mail server changes.
///
/// # Errors
/// [`SealError::Mime`], [`SealError::Key`] (our key has expired, or does not sign).
pub fn signed_mail(content: &Content, headers: &Headers, our: &OurKey, now: Time) -> Result<Signed, SealError> {
    let envelope = Envelope::new(content, headers)?;
    let inner = envelope.protected(content, &our.key_file(), Shield::Clear)?;
    let signature = our.sign_detached(&inner, now)?;
    let micalg = micalg(&signature).map_err(|source| KeyError::Sign {
        fingerprint: our.fingerprint().to_owned(),
        source: source.into(),
    })?;
    Ok(Signed {
        mail: envelope.signed(&inner, &signature, &micalg),
        content_sha256: token::sha256_hex(&inner),
        content: inner,
        signer_fingerprint: our.fingerprint().to_owned(),
        signed_at: now,
    })
}

/// The digest of an armored signature by its name in RFC 3156 §5.
fn micalg(signature: &str) -> openpgp::Result<String> {
    match Packet::from_bytes(signature)? {
        Packet::Signature(signature) => Ok(match signature.hash_algo() {
            HashAlgorithm::SHA256 => "pgp-sha256".to_owned(),
            HashAlgorithm::SHA384 => "pgp-sha384".to_owned(),
            HashAlgorithm::SHA512 => "pgp-sha512".to_owned(),
            other => format!("pgp-{}", other.to_string().to_ascii_lowercase()),
        }),
        other => Err(openpgp::anyhow::anyhow!("a {} packet is no signature", other.tag())),
    }
}

/// Reads a signed mail back as its reader will: our signature over it, and `content` in it.
///
/// # Errors
/// [`SealError::Check`] with the flaw found.
pub fn check_signed(signed: &Signed, content: &Content, our: &OurKey) -> Result<(), SealError> {
    let seen = open::open(&signed.mail, None, &[our.certificate().clone()], signed.signed_at);
    let attached = seen.attachments.iter().map(|file| (&file.name, &file.bytes));
    let wanted = content.attachments.iter().map(|file| (&file.name, &file.bytes));
    let flaw = if seen.protection != Protection::Clear || !seen.defects.is_empty() {
        Flaw::Content { what: "form" }
    } else if !matches!(&seen.signature, Signature::Good { fingerprint } if fingerprint == our.fingerprint()) {
        Flaw::Signature
    } else if token::sha256_hex(&signed.content) != signed.content_sha256
        || !signed
            .mail
            .windows(signed.content.len())
            .any(|part| part == signed.content)
    {
        Flaw::Content { what: "digest" }
    } else if seen.subject != content.subject || seen.outer_subject != content.subject {
        Flaw::Content { what: "subject" }
    } else if seen.text != canonical(&content.text) {
        Flaw::Content { what: "text" }
    } else if !attached.take(content.attachments.len()).eq(wanted) {
        Flaw::Content { what: "attachments" }
    } else {
        return Ok(());
    };
    Err(SealError::Check(flaw))
}
