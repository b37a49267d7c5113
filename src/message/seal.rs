//! Sealing: sign, encrypt to the reader and to ourselves, and lay it out as PGP/MIME or as files; and reading it back
//! before it may leave.
//!
//! A [`Sealed`] mail is always encrypted: whatever fails is an error. What travels in clear is a type of its own
//! ([`Signed`]). Keys come judged ([`Usable`], [`OurKey`]), so that a message pays for cryptography only. Must not know of
//! templates or the wire.

mod armor;
mod cipher;
mod clear;
mod files;
mod passphrase;
mod session_key;

use super::key::{KeyError, OurKey};
use super::mime::{Content, Envelope, Headers, MimeError, Shield};
use super::open::{self, Opened, Protection};
use super::part::Entity;
use super::token;
use crate::directory::certificate::Usable;
use crate::directory::profile::Layout;
use crate::model::Time;
use crate::secret::Secret;

use self::cipher::Form;

pub use self::clear::{Signed, check_signed, signed_mail};
pub use self::files::{check_files, seal_files, sealed_files};
pub use self::passphrase::fresh_passphrase;

/// Who can open what is sealed, besides ourselves.
#[derive(Debug, Clone, Copy)]
pub enum Reader<'a> {
    /// The owner of this certificate.
    Certificate(&'a Usable),
    /// Whoever is told this passphrase.
    Passphrase(&'a Secret),
}
impl<'a> From<&'a Usable> for Reader<'a> {
    fn from(usable: &'a Usable) -> Self {
        Self::Certificate(usable)
    }
}
impl<'a> From<&'a Secret> for Reader<'a> {
    fn from(passphrase: &'a Secret) -> Self {
        Self::Passphrase(passphrase)
    }
}
impl<'a> Reader<'a> {
    fn fingerprint(self) -> Option<&'a str> {
        match self {
            Self::Certificate(usable) => Some(usable.fingerprint()),
            Self::Passphrase(_) => None,
        }
    }
    fn cannot(self, why: sequoia_openpgp::anyhow::Error) -> SealError {
        SealError::Encrypt {
            recipient: match self {
                Self::Certificate(usable) => format!("certificate {}", usable.fingerprint()),
                Self::Passphrase(_) => "a passphrase".to_owned(),
            },
            source: why.into(),
        }
    }
}

/// Why a mail was not sealed, or did not pass the check. Nothing may leave after any of them.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot write the mail")]
    Mime(#[from] MimeError),
    #[error("cannot sign")]
    Key(#[from] KeyError),
    #[error("cannot sign and encrypt to {recipient}")]
    Encrypt {
        /// `certificate …` or `a passphrase`.
        recipient: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the sealed mail did not pass its check: {0}; nothing was sent, please report this")]
    Check(Flaw),
}

/// What the check of a sealed mail found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is not PGP/MIME")]
    NotPgpMime,
    #[error("it is not a cover text with the sealed files and our certificate")]
    NotFiles,
    #[error("its true subject stands in clear ({header})")]
    SubjectInClear {
        /// The header's name, or `cover text`.
        header: String,
    },
    #[error("its ciphertext is empty or damaged")]
    NoCiphertext,
    #[error("it holds an OpenPGP packet that does not belong there ({found})")]
    StrangePacket { found: String },
    #[error("it is encrypted to {found}, not to {wanted}")]
    Recipients { wanted: String, found: String },
    #[error("it is not opened by the passphrase, or by a passphrase that nobody asked for")]
    Passphrase,
    #[error("it cannot be decrypted with our own key ({why})")]
    Undecryptable { why: String },
    #[error("its signature is not ours")]
    Signature,
    #[error("its {what} is not what was sealed")]
    Content { what: &'static str },
}

/// An encrypted mail ready to leave.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The whole mail, lines ending in CRLF.
    pub mail: Vec<u8>,
    pub layout: Layout,
    /// A MIME entity with what was protected. PGP/MIME: exactly the bytes that were signed. Files: the mail in clear that
    /// they stand for, whose parts are the files' bytes.
    pub content: Vec<u8>,
    /// SHA-256 of `content`, lower-case hex.
    pub content_sha256: String,
    /// Of the reader's certificate, upper-case hex; `None`: encrypted with a passphrase.
    pub recipient_fingerprint: Option<String>,
    /// Upper-case hex.
    pub signer_fingerprint: String,
    pub sealed_at: Time,
}
impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let to = self.recipient_fingerprint.as_deref().unwrap_or("a passphrase");
        write!(f, "Sealed({} bytes to {to})", self.mail.len())
    }
}

/// Writes, signs and encrypts: PGP/MIME by the combined method (RFC 3156 §6.2), encrypted to `to` and to ourselves,
/// headers protected (RFC 9788). Always SEIPDv1, AES-256, no compression.
///
/// # Errors
/// [`SealError::Mime`], [`SealError::Key`] (our key has expired), [`SealError::Encrypt`].
pub fn seal(content: &Content, headers: &Headers, our: &OurKey, to: &Usable, now: Time) -> Result<Sealed, SealError> {
    our.refuse_expired(now)?;
    let envelope = Envelope::new(content, headers)?;
    let inner = envelope.protected(content, &our.key_file(), Shield::Cipher)?;
    let reader = Reader::from(to);
    let armored = cipher::encrypt(&inner, our, reader, Form::Armored, now).map_err(|e| reader.cannot(e))?;
    Ok(Sealed {
        mail: envelope.encrypted(&armored),
        layout: Layout::PgpMime,
        content_sha256: token::sha256_hex(&inner),
        content: inner,
        recipient_fingerprint: Some(to.fingerprint().to_owned()),
        signer_fingerprint: our.fingerprint().to_owned(),
        sealed_at: now,
    })
}

/// Reads a sealed mail of either layout back: packets as expected (one encrypted session key for every reader's key or the
/// passphrase, one SEIPDv1, nothing in clear), opened with our own key to the very bytes that were signed, our
/// signature on them, `content` in them, and its subject nowhere outside. That the passphrase opens it is tried as well.
///
/// # Errors
/// [`SealError::Check`] with the flaw found.
pub fn self_check<'a>(
    sealed: &Sealed,
    content: &Content,
    our: &OurKey,
    to: impl Into<Reader<'a>>,
) -> Result<(), SealError> {
    check(sealed, content, our, to.into()).map_err(SealError::Check)
}

/// What [`self_check`] says of the packets of a PGP/MIME mail, without opening it: for the many messages of a campaign, of
/// which one in a thousand is checked in full.
///
/// # Errors
/// [`SealError::Check`] with the flaw found.
pub fn check_structure<'a>(sealed: &Sealed, our: &OurKey, to: impl Into<Reader<'a>>) -> Result<(), SealError> {
    let armored = armor::find(&sealed.mail).ok_or(Flaw::NoCiphertext);
    let checked = armored.and_then(|armored| cipher::check_packets(armored, our, to.into()));
    checked.map_err(SealError::Check)
}

fn check(sealed: &Sealed, content: &Content, our: &OurKey, to: Reader<'_>) -> Result<(), Flaw> {
    match sealed.layout {
        Layout::PgpMime => check_pgp_mime(sealed, content, our, to)?,
        Layout::EncryptedFiles => files::check(sealed, content, our, to)?,
    }
    match token::sha256_hex(&sealed.content) == sealed.content_sha256 {
        true => Ok(()),
        false => Err(Flaw::Content { what: "digest" }),
    }
}

fn check_pgp_mime(sealed: &Sealed, content: &Content, our: &OurKey, to: Reader<'_>) -> Result<(), Flaw> {
    let armored = ciphertext_of(&sealed.mail)?;
    let most = sealed.content.len().saturating_add(1);
    if cipher::read_back(armored, our, to, sealed.sealed_at, most)? != sealed.content {
        return Err(Flaw::Content { what: "content" });
    }
    check_meaning(sealed, content, our)
}

/// What a reader's program will show.
fn check_meaning(sealed: &Sealed, content: &Content, our: &OurKey) -> Result<(), Flaw> {
    let seen = open::open(&sealed.mail, Some(our), &[], sealed.sealed_at);
    if seen.protection != Protection::Encrypted {
        return Err(Flaw::NoCiphertext);
    }
    if seen.subject != content.subject {
        return Err(Flaw::Content { what: "subject" });
    }
    if seen.text != canonical(&content.text) {
        return Err(Flaw::Content { what: "text" });
    }
    let files = content.attachments.iter().map(|a| &a.bytes);
    let count = seen.attachments.len().saturating_sub(1);
    if !seen.attachments.iter().take(count).map(|a| &a.bytes).eq(files) {
        return Err(Flaw::Content { what: "attachments" });
    }
    match header_with(&content.subject, &seen) {
        Some(header) => Err(Flaw::SubjectInClear { header }),
        None => Ok(()),
    }
}

/// The outer header that gives the true subject away. A subject of one word is looked for in the Subject only: it may
/// well stand in an address by chance.
fn header_with(subject: &str, seen: &Opened) -> Option<String> {
    if subject.is_empty() || seen.outer_subject == subject {
        return None;
    }
    if seen.outer_subject.contains(subject) {
        return Some("Subject".to_owned());
    }
    let leaking = seen.headers.iter().find(|(_, value)| value.contains(subject));
    leaking.filter(|_| subject.contains(' ')).map(|(name, _)| name.clone())
}

/// Line ends as MIME has them (RFC 2046 §4.1.1).
fn canonical(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// The armored message in a PGP/MIME mail (RFC 3156 §4).
fn ciphertext_of(mail: &[u8]) -> Result<&[u8], Flaw> {
    let entity = Entity::parse(mail);
    let is_encrypted = entity.media_type() == "multipart/encrypted"
        && entity.parameter("protocol") == Some("application/pgp-encrypted");
    match entity.parts(3).as_slice() {
        [version, message] if is_encrypted && Entity::parse(version).media_type() == "application/pgp-encrypted" => {
            Ok(Entity::parse(message).body)
        }
        _ => Err(Flaw::NotPgpMime),
    }
}
