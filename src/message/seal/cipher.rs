//! One OpenPGP message: signed, encrypted to a reader and to ourselves; and taken apart again before it may leave.
//!
//! Always SEIPDv1 with AES-256 and without compression, whatever a certificate announces: Thunderbird and GnuPG 2.2
//! cannot read what came after. Knows nothing of mail.

use std::io::Write;
use std::time::SystemTime;

use sequoia_openpgp as openpgp;

use openpgp::crypto::{Password, S2K, SessionKey};
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::signature::subpacket::{Subpacket, SubpacketValue};
use openpgp::packet::{Key, PKESK, SEIP, SKESK};
use openpgp::parse::{PacketParser, PacketParserResult, Parse};
use openpgp::serialize::Serialize as _;
use openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::{HashAlgorithm, SignatureType, SymmetricAlgorithm};
use openpgp::{KeyID, Packet};

use super::{Flaw, Reader, armor, session_key};
use crate::message::key::OurKey;
use crate::message::pgp::{self, Signature};
use crate::model::Time;

/// How a message is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As text, for PGP/MIME.
    Armored,
    /// As a file: a third smaller in a mail, and no mail server takes it for text that it may change.
    Binary,
}

/// Signs `plain` and encrypts it to `to` and to ourselves.
pub(super) fn encrypt(plain: &[u8], our: &OurKey, to: Reader<'_>, form: Form, now: Time) -> openpgp::Result<Vec<u8>> {
    let algorithm = SymmetricAlgorithm::AES256;
    let session_key = SessionKey::new(algorithm.key_size()?)?;
    let mut out = Vec::with_capacity(plain.len() + 2048);
    let mut message = Message::new(&mut out);
    for key in keys_of(our, to) {
        Packet::from(session_key::for_reader(algorithm, &session_key, key)?).serialize(&mut message)?;
    }
    // It is told of no certificate: otherwise it turns to SEIPDv2 as soon as all of them announce it.
    let mut encryptor = Encryptor::with_session_key(message, algorithm, session_key)?;
    if let Reader::Passphrase(passphrase) = to {
        // The library derives the key by iterated and salted SHA-256, with the largest count there is.
        encryptor = encryptor.add_passwords(Some(Password::from(passphrase.expose())));
    }
    let message = encryptor.build()?;
    let message = Signer::with_template(message, our.signer().clone(), intended_for(our, to)?)?
        .creation_time(SystemTime::from(now))
        .build()?;
    // No name and no date in the literal packet: they are not signed (RFC 9580 §5.9).
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(plain)?;
    message.finalize()?;
    Ok(match form {
        Form::Armored => armor::armored(&out),
        Form::Binary => out,
    })
}

/// A signature that names its readers (RFC 9580 §5.2.3.36), so that nobody can pass our notice on as if it had been
/// meant for others. Whoever holds a passphrase has no name.
fn intended_for(our: &OurKey, to: Reader<'_>) -> openpgp::Result<SignatureBuilder> {
    let template = SignatureBuilder::new(SignatureType::Binary);
    let Reader::Certificate(usable) = to else {
        return Ok(template);
    };
    template.modify_hashed_area(|mut area| {
        for reader in [usable.handle().clone(), our.certificate().fingerprint()] {
            area.add(Subpacket::new(SubpacketValue::IntendedRecipient(reader), false)?)?;
        }
        Ok(area)
    })
}

/// The encryption keys of the reader, then ours; ours are not named twice when we write to ourselves.
fn keys_of<'a>(our: &'a OurKey, to: Reader<'a>) -> impl Iterator<Item = &'a Key<PublicParts, UnspecifiedRole>> {
    let theirs = match to {
        Reader::Certificate(usable) => usable.keys(),
        Reader::Passphrase(_) => &[],
    };
    let ours = our.encryption().iter().filter(|key| !theirs.contains(key));
    theirs.iter().chain(ours)
}

/// Takes a message of [`encrypt`] apart: packets as expected (one encrypted session key for every reader's key, one
/// SEIPDv1, nothing in clear), opened with our own key, our signature on it. Gives the content; more than `most` bytes
/// of it are a flaw.
pub(super) fn read_back(
    message: &[u8],
    our: &OurKey,
    to: Reader<'_>,
    sealed_at: Time,
    most: usize,
) -> Result<Vec<u8>, Flaw> {
    check_packets(message, our, to)?;
    let own = [our.certificate().clone()];
    let opened = pgp::decrypt(message, Some(our), &own, sealed_at, most).map_err(|why| Flaw::Undecryptable { why })?;
    if !opened.was_encrypted {
        return Err(Flaw::NoCiphertext);
    }
    match opened.signature {
        Signature::Good { fingerprint } if fingerprint == our.fingerprint() => Ok(opened.bytes),
        _ => Err(Flaw::Signature),
    }
}

/// Whether the packets are those that [`encrypt`] writes for these readers.
pub(super) fn check_packets(message: &[u8], our: &OurKey, to: Reader<'_>) -> Result<(), Flaw> {
    let mut by_key: Vec<PKESK> = Vec::new();
    let mut by_passphrase: Vec<SKESK> = Vec::new();
    let mut containers = 0;
    let damaged = |_| Flaw::NoCiphertext;
    let binary = armor::bared(message).ok_or(Flaw::NoCiphertext)?;
    let mut next = PacketParser::from_bytes(binary.as_ref()).map_err(damaged)?;
    while let PacketParserResult::Some(parser) = next {
        match &parser.packet {
            Packet::PKESK(pkesk) if containers == 0 => by_key.push(pkesk.clone()),
            Packet::SKESK(skesk) if containers == 0 => by_passphrase.push(skesk.clone()),
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
    let mut wanted: Vec<KeyID> = keys_of(our, to).map(Key::keyid).collect();
    let mut found: Vec<KeyID> = by_key.iter().filter_map(|p| p.recipient().map(KeyID::from)).collect();
    wanted.sort();
    found.sort();
    if wanted != found {
        let list = |ids: &[KeyID]| ids.iter().map(KeyID::to_hex).collect::<Vec<_>>().join(", ");
        return Err(Flaw::Recipients {
            wanted: list(&wanted),
            found: list(&found),
        });
    }
    match (to, by_passphrase.as_slice()) {
        (Reader::Certificate(_), []) => {}
        (Reader::Passphrase(passphrase), [only]) => {
            check_passphrase(only, &by_key, our, &Password::from(passphrase.expose()))?;
        }
        _ => return Err(Flaw::Passphrase),
    }
    match containers {
        1 => Ok(()),
        _ => Err(Flaw::NoCiphertext),
    }
}

/// Does the passphrase give the same session key as our own key does? Then it opens the same content.
fn check_passphrase(skesk: &SKESK, by_key: &[PKESK], our: &OurKey, password: &Password) -> Result<(), Flaw> {
    let SKESK::V4(old_format) = skesk else {
        return Err(Flaw::Passphrase);
    };
    let readable = matches!(
        old_format.s2k(),
        S2K::Iterated {
            hash: HashAlgorithm::SHA256,
            ..
        }
    );
    let by_passphrase = skesk.decrypt(password).map_err(|_| Flaw::Passphrase)?;
    let same = by_key.iter().any(|pkesk| {
        our.decryption()
            .iter()
            .any(|pair| pkesk.decrypt(&mut pair.clone(), None).as_ref() == Some(&by_passphrase))
    });
    match readable && same {
        true => Ok(()),
        false => Err(Flaw::Passphrase),
    }
}
