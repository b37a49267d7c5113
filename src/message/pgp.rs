//! Reading OpenPGP: decrypt a message, check a signature. A verdict is a value; only a message that stays closed is an
//! error, in words for a person. Knows nothing of MIME.

use std::io::Read;
use std::time::SystemTime;

use sequoia_openpgp as openpgp;

use openpgp::crypto::{Decryptor as _, SessionKey};
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationError,
    VerificationHelper, VerificationResult, VerifierBuilder,
};
use openpgp::policy::StandardPolicy;
use openpgp::types::SymmetricAlgorithm;
use openpgp::{Cert, KeyHandle};

use super::key::OurKey;
use crate::model::Time;

/// Encrypted session keys tried in one message: each may cost an RSA operation.
const MAX_SESSION_KEYS: usize = 64;

/// Who signed the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Signature {
    #[default]
    None,
    /// A pinned certificate (or our own), of this fingerprint (upper-case hex).
    Good { fingerprint: String },
    /// Somebody whose certificate is not pinned: proves nothing.
    Unknown { issuer: Option<String> },
    /// Does not match the text, or was made by a key that must not sign.
    Bad,
}

/// What was inside an OpenPGP message.
pub(super) struct Plain {
    pub bytes: Vec<u8>,
    pub signature: Signature,
    /// Not merely signed.
    pub was_encrypted: bool,
}

/// Opens an OpenPGP message, armored or binary. Gives nothing unless all of it is intact and at most `most` bytes.
pub(super) fn decrypt(
    ciphertext: &[u8],
    our: Option<&OurKey>,
    certs: &[Cert],
    now: Time,
    most: usize,
) -> Result<Plain, String> {
    if ciphertext.trim_ascii().is_empty() {
        return Err("the ciphertext is empty".to_owned());
    }
    let at = SystemTime::from(now);
    let policy = StandardPolicy::at(at);
    let mut helper = Helper::new(our, certs);
    let mut bytes = Vec::new();
    let read = DecryptorBuilder::from_bytes(ciphertext).and_then(|builder| {
        let mut decryptor = builder.with_policy(&policy, at, &mut helper)?;
        (&mut decryptor).take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(())
    });
    if let Err(error) = read {
        return Err(helper.closed.unwrap_or_else(|| format!("{error:#}")));
    }
    if bytes.len() > most {
        return Err(format!("its content is larger than {most} bytes"));
    }
    Ok(Plain {
        bytes,
        signature: helper.verdict,
        was_encrypted: helper.was_encrypted,
    })
}

/// Checks a detached signature over a MIME part. Its lines were signed with CRLF (RFC 3156 §5); Maildirs and pipes keep
/// them with LF, so that is tried too.
pub(super) fn verify(signature: &[u8], part: &[u8], certs: &[Cert], now: Time) -> Signature {
    match verify_exactly(signature, part, certs, now) {
        Signature::Bad => {
            let canonical = with_crlf(part);
            match canonical == part {
                true => Signature::Bad,
                false => verify_exactly(signature, &canonical, certs, now),
            }
        }
        verdict => verdict,
    }
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn verify_exactly(signature: &[u8], data: &[u8], certs: &[Cert], now: Time) -> Signature {
    let at = SystemTime::from(now);
    let policy = StandardPolicy::at(at);
    let mut helper = Helper::new(None, certs);
    let verified = DetachedVerifierBuilder::from_bytes(signature)
        .and_then(|builder| builder.with_policy(&policy, at, &mut helper)?.verify_bytes(data));
    match (verified, helper.verdict) {
        (Ok(()), Signature::None) | (Err(_), _) => Signature::Bad,
        (Ok(()), verdict) => verdict,
    }
}

/// Checks a message in the cleartext signature framework (RFC 9580 §7); gives the text that the verdict is about.
pub(super) fn verify_cleartext(message: &[u8], certs: &[Cert], now: Time, most: usize) -> (Signature, Option<Vec<u8>>) {
    let at = SystemTime::from(now);
    let policy = StandardPolicy::at(at);
    let mut helper = Helper::new(None, certs);
    let mut text = Vec::new();
    let read = VerifierBuilder::from_bytes(message).and_then(|builder| {
        let mut verifier = builder.with_policy(&policy, at, &mut helper)?;
        (&mut verifier).take(most as u64).read_to_end(&mut text)?;
        Ok(())
    });
    match (read, helper.verdict) {
        (Ok(()), verdict) if verdict != Signature::None => (verdict, Some(text)),
        _ => (Signature::Bad, None),
    }
}

struct Helper<'k> {
    our: Option<&'k OurKey>,
    certs: &'k [Cert],
    verdict: Signature,
    was_encrypted: bool,
    /// Why the message stays closed.
    closed: Option<String>,
}

impl<'k> Helper<'k> {
    fn new(our: Option<&'k OurKey>, certs: &'k [Cert]) -> Self {
        Self {
            our,
            certs,
            verdict: Signature::None,
            was_encrypted: false,
            closed: None,
        }
    }
}

impl VerificationHelper for &mut Helper<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        let made_it = |cert: &&Cert| {
            cert.keys()
                .any(|k| ids.iter().any(|id| id.aliases(k.key().key_handle())))
        };
        Ok(self.certs.iter().filter(made_it).cloned().collect())
    }

    /// Never an error: the verdict is kept, and the content is read whatever it is.
    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        for layer in structure {
            match layer {
                MessageLayer::Encryption { .. } => self.was_encrypted = true,
                MessageLayer::SignatureGroup { results } if self.verdict == Signature::None => {
                    self.verdict = verdict(&results);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// One good signature is enough; a bad one outweighs those of strangers.
fn verdict(results: &[VerificationResult<'_>]) -> Signature {
    let mut verdict = Signature::None;
    for result in results {
        match result {
            Ok(good) => {
                return Signature::Good {
                    fingerprint: good.ka.cert().fingerprint().to_hex(),
                };
            }
            Err(VerificationError::MissingKey { sig }) if verdict == Signature::None => {
                verdict = Signature::Unknown {
                    issuer: sig.get_issuers().first().map(|issuer| issuer.to_hex()),
                };
            }
            Err(VerificationError::MissingKey { .. }) => {}
            Err(_) => verdict = Signature::Bad,
        }
    }
    verdict
}

impl DecryptionHelper for &mut Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        _skesks: &[SKESK],
        symmetric: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        let closed = |helper: &mut Self, why: String| {
            helper.closed = Some(why.clone());
            Err(openpgp::anyhow::anyhow!(why))
        };
        let Some(our) = self.our else {
            return closed(self, "no key of ours is at hand".to_owned());
        };
        let mut addressed_to_us = false;
        for pkesk in pkesks.iter().take(MAX_SESSION_KEYS) {
            for pair in our.decryption() {
                // No recipient is named where the sender hides it (RFC 9580 §5.1.8).
                if pkesk
                    .recipient()
                    .is_some_and(|id| !id.aliases(pair.public().key_handle()))
                {
                    continue;
                }
                addressed_to_us = true;
                let opened = pkesk.decrypt(&mut pair.clone(), symmetric);
                if opened.is_some_and(|(algorithm, session_key)| decrypt(algorithm, &session_key)) {
                    return Ok(Some(our.certificate().clone()));
                }
            }
        }
        if addressed_to_us {
            return closed(self, "it is encrypted to our key, but damaged".to_owned());
        }
        let others: Vec<String> = pkesks
            .iter()
            .take(5)
            .filter_map(|p| p.recipient().map(|id| id.to_hex()))
            .collect();
        match others.is_empty() {
            true => closed(self, "it is encrypted with a passphrase or to nobody".to_owned()),
            false => closed(
                self,
                format!("it is encrypted to {} and not to our key", others.join(", ")),
            ),
        }
    }
}
