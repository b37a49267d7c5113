//! Sealing: sign, encrypt to the reader and to ourselves, wrap as PGP/MIME; and reading it back before it may leave.
//!
//! There is no way from here to an unencrypted mail: whatever fails is an error. Keys come judged
//! ([`Usable`], [`OurKey`]), so that a message pays for cryptography only. Must not know of templates or the wire.

use std::io::Write;
use std::time::SystemTime;

use sequoia_openpgp as openpgp;
use sha2::{Digest, Sha256};

use openpgp::KeyID;
use openpgp::Packet;
use openpgp::packet::SEIP;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::signature::subpacket::{Subpacket, SubpacketValue};
use openpgp::parse::{PacketParser, PacketParserResult, Parse};
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient, Signer};
use openpgp::types::{Features, SignatureType, SymmetricAlgorithm};

use super::key::{KeyError, OurKey};
use super::mime::{Content, Envelope, Headers, MimeError};
use super::open::{self, Opened, Protection, Signature};
use super::part::Entity;
use super::pgp;
use crate::directory::certificate::Usable;
use crate::model::Time;

/// Why a mail was not sealed, or did not pass the check. Nothing may leave after any of them.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot write the mail")]
    Mime(#[from] MimeError),
    #[error("cannot sign")]
    Key(#[from] KeyError),
    #[error("cannot sign and encrypt to certificate {recipient}")]
    Encrypt {
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
    #[error("its true subject stands in clear in the header {header}")]
    SubjectInClear { header: String },
    #[error("its ciphertext is empty or damaged")]
    NoCiphertext,
    #[error("it holds an OpenPGP packet that does not belong there ({found})")]
    StrangePacket { found: String },
    #[error("it is encrypted to {found}, not to {wanted}")]
    Recipients { wanted: String, found: String },
    #[error("it cannot be decrypted with our own key ({why})")]
    Undecryptable { why: String },
    #[error("its signature is not ours")]
    Signature,
    #[error("its {what} is not what was sealed")]
    Content { what: &'static str },
}

/// A mail ready to leave. The only kind of mail that a carrier takes for an authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The whole mail, lines ending in CRLF.
    pub mail: Vec<u8>,
    /// The MIME part inside, exactly as it was signed.
    pub content: Vec<u8>,
    /// SHA-256 of `content`, lower-case hex.
    pub content_sha256: String,
    /// Upper-case hex.
    pub recipient_fingerprint: String,
    /// Upper-case hex.
    pub signer_fingerprint: String,
    pub sealed_at: Time,
}
impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes to {})", self.mail.len(), self.recipient_fingerprint)
    }
}

/// Writes, signs and encrypts: PGP/MIME by the combined method (RFC 3156 §6.2), encrypted to `to` and to ourselves,
/// headers protected (RFC 9788). Always SEIPDv1 with AES-256 and without compression, whatever the certificate
/// announces: Thunderbird and GnuPG 2.2 cannot read what came after.
///
/// # Errors
/// [`SealError::Mime`], [`SealError::Key`] (our key has expired), [`SealError::Encrypt`].
pub fn seal(content: &Content, headers: &Headers, our: &OurKey, to: &Usable, now: Time) -> Result<Sealed, SealError> {
    our.refuse_expired(now)?;
    let envelope = Envelope::new(content, headers)?;
    let inner = envelope.protected(content, &our.key_file())?;
    let armored = encrypt(&inner, our, to, now).map_err(|e| SealError::Encrypt {
        recipient: to.fingerprint().to_owned(),
        source: e.into(),
    })?;
    Ok(Sealed {
        mail: envelope.encrypted(&armored),
        content_sha256: hex_digest(&inner),
        content: inner,
        recipient_fingerprint: to.fingerprint().to_owned(),
        signer_fingerprint: our.fingerprint().to_owned(),
        sealed_at: now,
    })
}

fn encrypt(plain: &[u8], our: &OurKey, to: &Usable, now: Time) -> openpgp::Result<Vec<u8>> {
    // No features: otherwise the library turns to SEIPDv2 as soon as every certificate announces it.
    let recipients = keys_of(our, to).map(|key| Recipient::new(Features::empty(), key.key_handle(), key));
    // RFC 9580 §5.2.3.36: inside the signature, so that nobody can pass our notice on as if it had been meant for others.
    let template = SignatureBuilder::new(SignatureType::Binary).modify_hashed_area(|mut area| {
        for reader in [to.handle().clone(), our.certificate().fingerprint()] {
            area.add(Subpacket::new(SubpacketValue::IntendedRecipient(reader), false)?)?;
        }
        Ok(area)
    })?;
    let mut armored = Vec::with_capacity(plain.len() + plain.len() / 2 + 2048);
    let message = Armorer::new(Message::new(&mut armored)).build()?;
    let message = Encryptor::for_recipients(message, recipients)
        .symmetric_algo(SymmetricAlgorithm::AES256)
        .build()?;
    let message = Signer::with_template(message, our.signer().clone(), template)?
        .creation_time(SystemTime::from(now))
        .build()?;
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(plain)?;
    message.finalize()?;
    Ok(armored)
}

/// The encryption keys of the reader, then ours; ours are not named twice when we write to ourselves.
fn keys_of<'a>(
    our: &'a OurKey,
    to: &'a Usable,
) -> impl Iterator<Item = &'a openpgp::packet::Key<openpgp::packet::key::PublicParts, openpgp::packet::key::UnspecifiedRole>>
{
    let ours = our.encryption().iter().filter(|key| !to.keys().contains(key));
    to.keys().iter().chain(ours)
}

/// Reads a sealed mail back: packets as expected (one PKESK for every reader's key, one SEIPDv1, nothing in clear), opened
/// with our own key to the very bytes that were signed, our signature on them, `content` in them, and its subject
/// nowhere outside.
///
/// # Errors
/// [`SealError::Check`] with the flaw found.
pub fn self_check(sealed: &Sealed, content: &Content, our: &OurKey, to: &Usable) -> Result<(), SealError> {
    check(sealed, content, our, to).map_err(SealError::Check)
}

fn check(sealed: &Sealed, content: &Content, our: &OurKey, to: &Usable) -> Result<(), Flaw> {
    let armored = ciphertext_of(&sealed.mail)?;
    check_packets(armored, our, to)?;
    let own = [our.certificate().clone()];
    let opened = pgp::decrypt(
        armored,
        Some(our),
        &own,
        sealed.sealed_at,
        sealed.content.len().saturating_add(1),
    )
    .map_err(|why| Flaw::Undecryptable { why })?;
    if !opened.was_encrypted {
        return Err(Flaw::NoCiphertext);
    }
    if opened.bytes != sealed.content {
        return Err(Flaw::Content { what: "content" });
    }
    if hex_digest(&opened.bytes) != sealed.content_sha256 {
        return Err(Flaw::Content { what: "digest" });
    }
    match opened.signature {
        Signature::Good { fingerprint } if fingerprint == our.fingerprint() => {}
        _ => return Err(Flaw::Signature),
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

fn check_packets(armored: &[u8], our: &OurKey, to: &Usable) -> Result<(), Flaw> {
    let mut found: Vec<KeyID> = Vec::new();
    let mut containers = 0;
    let damaged = |_| Flaw::NoCiphertext;
    let mut next = PacketParser::from_bytes(armored).map_err(damaged)?;
    while let PacketParserResult::Some(parser) = next {
        match &parser.packet {
            Packet::PKESK(pkesk) if containers == 0 => {
                found.extend(pkesk.recipient().map(KeyID::from));
            }
            Packet::SEIP(SEIP::V1(_)) if containers == 0 => containers = 1,
            other => {
                return Err(Flaw::StrangePacket {
                    found: other.tag().to_string(),
                });
            }
        }
        // The container's content is ciphertext: there is nothing in it to step into.
        next = parser.next().map_err(damaged)?.1;
    }
    let mut wanted: Vec<KeyID> = keys_of(our, to).map(openpgp::packet::Key::keyid).collect();
    wanted.sort();
    found.sort();
    if wanted != found {
        let list = |ids: &[KeyID]| ids.iter().map(KeyID::to_hex).collect::<Vec<_>>().join(", ");
        return Err(Flaw::Recipients {
            wanted: list(&wanted),
            found: list(&found),
        });
    }
    match containers {
        1 => Ok(()),
        _ => Err(Flaw::NoCiphertext),
    }
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
