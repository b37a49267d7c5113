//! A certificate in words: what it is, when it expires, what is wrong with it. Judges nothing itself.

use std::time::SystemTime;

use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::amalgamation::ValidateAmalgamation;
use openpgp::packet::Key;
use openpgp::packet::key::{KeyParts, KeyRole};
use openpgp::types::RevocationStatus;
use serde::Serialize;

use super::{day, judge, lenient};
use crate::model::Time;
use crate::model::plural::counted;

/// The algorithm as people name it: `RSA 4096`, `Ed25519`, `NIST P-256`.
pub(super) fn algorithm<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> String {
    use openpgp::crypto::mpi::PublicKey;
    let bits = key.mpis().bits().unwrap_or(0);
    match key.mpis() {
        PublicKey::RSA { .. } => format!("RSA {bits}"),
        PublicKey::DSA { .. } => format!("DSA {bits}"),
        PublicKey::ElGamal { .. } => format!("ElGamal {bits}"),
        PublicKey::EdDSA { curve, .. } | PublicKey::ECDSA { curve, .. } | PublicKey::ECDH { curve, .. } => {
            use openpgp::types::Curve;
            match curve {
                Curve::NistP256 => "NIST P-256".to_owned(),
                Curve::NistP384 => "NIST P-384".to_owned(),
                Curve::NistP521 => "NIST P-521".to_owned(),
                Curve::BrainpoolP256 => "brainpoolP256r1".to_owned(),
                Curve::BrainpoolP384 => "brainpoolP384r1".to_owned(),
                Curve::BrainpoolP512 => "brainpoolP512r1".to_owned(),
                Curve::Ed25519 => "Ed25519".to_owned(),
                Curve::Cv25519 => "Cv25519".to_owned(),
                other => other.to_string(),
            }
        }
        PublicKey::X25519 { .. } => "X25519".to_owned(),
        PublicKey::Ed25519 { .. } => "Ed25519".to_owned(),
        PublicKey::X448 { .. } => "X448".to_owned(),
        PublicKey::Ed448 { .. } => "Ed448".to_owned(),
        _ => key.pk_algo().to_string(),
    }
}

/// A fingerprint in groups of four, as it is read out on the telephone.
pub fn pretty_fingerprint(fingerprint: &str) -> String {
    let digits: Vec<char> = fingerprint
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_uppercase())
        .collect();
    digits
        .chunks(4)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A certificate in words, for `cert show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// Upper-case hex.
    pub fingerprint: String,
    /// 4 or 6.
    pub version: u8,
    pub user_ids: Vec<String>,
    pub algorithm: String,
    pub created: Time,
    /// `None`: never.
    pub expires: Option<Time>,
    /// The expiry in words; says that having none is fine.
    pub expiry: String,
    pub subkeys: Vec<SubkeyFacts>,
    /// Why it cannot be encrypted to now; empty if it can.
    pub problems: Vec<String>,
}

/// A subkey in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubkeyFacts {
    pub fingerprint: String,
    pub algorithm: String,
    /// Of `signing`, `encryption`, `authentication`, `certification`.
    pub uses: Vec<&'static str>,
    pub created: Time,
    pub expires: Option<Time>,
    pub revoked: bool,
}

/// Tells what `cert` is and whether it could be used at `now`; never fails, so that a bad one can be shown too.
pub fn describe(cert: &Cert, now: Time) -> CertificateFacts {
    let lenient = lenient(now);
    let at = SystemTime::from(now);
    let primary = cert.primary_key();
    let expires = primary
        .with_policy(&lenient, at)
        .ok()
        .and_then(|valid| valid.key_expiration_time())
        .map(Time::from);
    let subkeys = cert
        .keys()
        .subkeys()
        .map(|ka| {
            let valid = ka.clone().with_policy(&lenient, at).ok();
            let uses = valid.as_ref().map_or_else(Vec::new, |k| {
                [
                    (k.for_signing(), "signing"),
                    (k.for_transport_encryption() || k.for_storage_encryption(), "encryption"),
                    (k.for_authentication(), "authentication"),
                    (k.for_certification(), "certification"),
                ]
                .into_iter()
                .filter_map(|(can, word)| can.then_some(word))
                .collect()
            });
            SubkeyFacts {
                fingerprint: ka.key().fingerprint().to_hex(),
                algorithm: algorithm(ka.key()),
                uses,
                created: ka.key().creation_time().into(),
                expires: valid.and_then(|k| k.key_expiration_time()).map(Time::from),
                revoked: matches!(ka.revocation_status(&lenient, at), RevocationStatus::Revoked(_)),
            }
        })
        .collect();
    CertificateFacts {
        fingerprint: cert.fingerprint().to_hex(),
        version: cert.primary_key().key().version(),
        user_ids: cert
            .userids()
            .map(|id| {
                String::from_utf8_lossy(id.userid().value())
                    .chars()
                    .filter(|c| !c.is_control())
                    .collect()
            })
            .collect(),
        algorithm: algorithm(primary.key()),
        created: primary.key().creation_time().into(),
        expires,
        expiry: match expires {
            None => "does not expire, which is fine".to_owned(),
            Some(on) if on <= now => format!("expired on {}", day(&on)),
            Some(on) => format!("expires on {}, in {}", day(&on), counted((on - now).num_days(), "day")),
        },
        subkeys,
        problems: judge(cert, None, now)
            .err()
            .map(|e| e.to_string())
            .into_iter()
            .collect(),
    }
}
