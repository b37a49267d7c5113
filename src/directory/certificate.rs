//! Judging OpenPGP certificates: is this the one that was meant, and can it be encrypted to today?
//!
//! OpenPGP libraries encrypt to a revoked or foreign certificate without a word, so every condition is stated here,
//! each with an error of its own that says what to do next. Must not know of mail, profiles or the store; reads no
//! file and no clock.

mod compare;
mod error;
mod facts;
mod kept;

use std::sync::Arc;
use std::time::SystemTime;

use chrono::TimeDelta;
use sequoia_openpgp as openpgp;

use openpgp::cert::CertParser;
use openpgp::cert::amalgamation::ValidateAmalgamation;
use openpgp::packet::key::{KeyParts, KeyRole, PublicParts, UnspecifiedRole};
use openpgp::packet::{Key, UserID};
use openpgp::parse::Parse;
use openpgp::policy::{AsymmetricAlgorithm, Policy, StandardPolicy};
use openpgp::serialize::SerializeInto;
use openpgp::types::{HashAlgorithm, PublicKeyAlgorithm, RevocationStatus};

use crate::model::Time;

use error::Cause;

pub use compare::{Compared, compare};
pub use error::CertificateError;
pub use facts::{CertificateFacts, SubkeyFacts, describe, pretty_fingerprint};
pub use openpgp::Cert;

/// A file larger than this is no certificate (the largest with photographs and thousands of signatures stay below).
const MAX_CERTIFICATE_BYTES: usize = 4 * 1024 * 1024;

/// RSA below this is short: 2048 bits are the 112 bits of strength below which NIST SP 800-131A and RFC 9580 §12.4 allow
/// nothing. BSI TR-02102-1 asks for 3000 since 2023; refusing the 2048 bits that older keys have would send their owners'
/// notices by weaker ways than that.
const MIN_RSA_BITS: usize = 2048;

/// Reads the one certificate in `bytes`, armored or binary.
///
/// # Errors
/// [`CertificateError::Empty`], [`TooLarge`](CertificateError::TooLarge), [`Unparsable`](CertificateError::Unparsable),
/// [`SecretKey`](CertificateError::SecretKey) and [`Several`](CertificateError::Several).
pub fn read_one(bytes: &[u8]) -> Result<Cert, CertificateError> {
    only_one(read_public(bytes)?, bytes)
}

/// Reads the certificate meant among those that a key directory gave for an address: of those that name the address, the
/// one with this fingerprint, where one is wanted, else the only one that can be used now.
///
/// # Errors
/// As [`read_one`]; [`Several`](CertificateError::Several) also when more than one could be meant.
pub fn read_for(bytes: &[u8], address: &str, wanted: Option<&str>, now: Time) -> Result<Cert, CertificateError> {
    let mut certs = read_public(bytes)?;
    if let Some(at) = certs
        .iter()
        .position(|c| wanted == Some(c.fingerprint().to_hex().as_str()))
    {
        return Ok(certs.swap_remove(at));
    }
    if certs.len() > 1 {
        certs.retain(|cert| judge(cert, Some(address), now).is_ok());
    }
    only_one(certs, bytes)
}

/// All certificates in `bytes`, none of them a secret key.
fn read_public(bytes: &[u8]) -> Result<Vec<Cert>, CertificateError> {
    if bytes.trim_ascii().is_empty() {
        return Err(CertificateError::Empty);
    }
    if bytes.len() > MAX_CERTIFICATE_BYTES {
        return Err(CertificateError::TooLarge);
    }
    let certs = read_all(bytes).map_err(|e| unparsable(bytes, Some(e.into())))?;
    match certs.iter().find(|c| c.is_tsk()) {
        None => Ok(certs),
        Some(secret) => Err(CertificateError::SecretKey {
            fingerprint: secret.fingerprint().to_hex(),
        }),
    }
}

fn only_one(certs: Vec<Cert>, bytes: &[u8]) -> Result<Cert, CertificateError> {
    match <[Cert; 1]>::try_from(certs) {
        Ok([cert]) => Ok(cert),
        Err(none) if none.is_empty() => Err(unparsable(bytes, None)),
        Err(several) => Err(CertificateError::Several {
            count: several.len(),
            fingerprints: several
                .iter()
                .take(5)
                .map(|c| c.fingerprint().to_hex())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

fn unparsable(bytes: &[u8], source: Option<Cause>) -> CertificateError {
    CertificateError::Unparsable {
        hint: what_it_looks_like(bytes),
        source,
    }
}

/// What is known of one certificate from two places: user ids, subkeys and signatures of both, revocations above all.
/// What does not verify counts for nothing, here as in either of them.
///
/// # Errors
/// [`Merge`](CertificateError::Merge) when they are not the same certificate.
pub fn merge(known: Cert, newer: Cert) -> Result<Cert, CertificateError> {
    let fingerprint = known.fingerprint().to_hex();
    known.merge_public(newer).map_err(|source| CertificateError::Merge {
        fingerprint,
        source: source.into(),
    })
}

/// The certificate as it is kept: binary, without anything secret.
pub fn to_bytes(cert: &Cert) -> Vec<u8> {
    cert.to_vec().expect("a certificate that was read can be written")
}

/// All certificates and keys in `bytes`, in each of its armored blocks: the library stops after the first.
pub(crate) fn read_all(bytes: &[u8]) -> openpgp::Result<Vec<Cert>> {
    const BEGIN: &[u8] = b"-----BEGIN PGP ";
    let mut starts: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(BEGIN))
        .skip(1)
        .collect();
    starts.push(bytes.len());
    let mut certs = Vec::new();
    let mut from = 0;
    for to in starts {
        for cert in CertParser::from_bytes(&bytes[from..to])? {
            certs.push(cert?);
        }
        from = to;
    }
    Ok(certs)
}

/// A word on what people give instead of a certificate.
fn what_it_looks_like(bytes: &[u8]) -> &'static str {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
    if start.contains("-----BEGIN CERTIFICATE") {
        "it is an X.509 (S/MIME, TLS) certificate; ask for the OpenPGP one"
    } else if start.contains("-----BEGIN PGP MESSAGE") || start.contains("-----BEGIN PGP SIGN") {
        "it is an OpenPGP message or signature; ask for the public key block"
    } else if start.trim_start().starts_with('<') {
        "it is a web page; save the key file itself, not the page around it"
    } else {
        "it is damaged or something else; a public key block begins with -----BEGIN PGP PUBLIC KEY BLOCK-----"
    }
}

/// Does this certificate have the fingerprint that a person verified? Spaces, colons, `0x` and lower case are accepted.
///
/// # Errors
/// [`CertificateError::ShortKeyId`], [`BadFingerprint`](CertificateError::BadFingerprint),
/// [`SubkeyFingerprint`](CertificateError::SubkeyFingerprint), [`OtherFingerprint`](CertificateError::OtherFingerprint).
pub fn check_fingerprint(cert: &Cert, wanted: &str) -> Result<(), CertificateError> {
    let bare = wanted.trim();
    let bare = bare.strip_prefix("0x").or(bare.strip_prefix("0X")).unwrap_or(bare);
    let hex: String = bare
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let given = || wanted.chars().filter(|c| !c.is_control()).take(80).collect();
    if !hex.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(CertificateError::BadFingerprint { given: given() });
    }
    match hex.len() {
        40 | 64 => {}
        8 | 16 => return Err(CertificateError::ShortKeyId { given: given() }),
        _ => return Err(CertificateError::BadFingerprint { given: given() }),
    }
    let found = cert.fingerprint().to_hex();
    if found == hex {
        Ok(())
    } else if cert.keys().subkeys().any(|k| k.key().fingerprint().to_hex() == hex) {
        Err(CertificateError::SubkeyFingerprint {
            given: pretty_fingerprint(&hex),
            primary: pretty_fingerprint(&found),
        })
    } else {
        Err(CertificateError::OtherFingerprint {
            wanted: pretty_fingerprint(&hex),
            found: pretty_fingerprint(&found),
        })
    }
}

/// A certificate that was judged usable: all that is needed to encrypt to it, so that no message pays for the policy
/// again. Cheap to clone.
#[derive(Clone)]
pub struct Usable(Arc<Judged>);

struct Judged {
    fingerprint: openpgp::Fingerprint,
    hex: String,
    keys: Vec<Key<PublicParts, UnspecifiedRole>>,
    expires: Option<Time>,
    /// The first expiry of the certificate or any of the keys: up to then a judgement gives the same.
    stands_until: Option<Time>,
}

impl Usable {
    /// Of the certificate, upper-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.0.hex
    }
    /// When the certificate or the last of its chosen encryption keys expires; `None`: never, which is no defect.
    pub fn expires(&self) -> Option<Time> {
        self.0.expires
    }
    /// The encryption keys to use: every valid one, since only the owner knows which of them he still holds.
    pub fn keys(&self) -> &[Key<PublicParts, UnspecifiedRole>] {
        &self.0.keys
    }
    pub(crate) fn handle(&self) -> &openpgp::Fingerprint {
        &self.0.fingerprint
    }
}
impl std::fmt::Debug for Usable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Usable({}, {} keys)", self.0.hex, self.0.keys.len())
    }
}

/// May `cert` be encrypted to at `now`, and does it (where `address` is given) name that address?
///
/// # Errors
/// In this order: [`Revoked`](CertificateError::Revoked), [`NotYetValid`](CertificateError::NotYetValid),
/// [`Weak`](CertificateError::Weak), [`Sha1`](CertificateError::Sha1), [`Unbound`](CertificateError::Unbound),
/// [`Expired`](CertificateError::Expired), [`NoEncryptionKey`](CertificateError::NoEncryptionKey), [`NoSuchAddress`](CertificateError::NoSuchAddress).
pub fn judge(cert: &Cert, address: Option<&str>, now: Time) -> Result<Usable, CertificateError> {
    judge_as_of(cert, address, now, now)
}

/// Like [`judge`], but an expiry is forgiven: for the ladder's rung `--override expired`, where a person has decided to
/// encrypt to an expired certificate rather than to miss the deadline. All other conditions hold, a revocation above all.
///
/// # Errors
/// As [`judge`], without [`Expired`](CertificateError::Expired).
pub fn judge_despite_expiry(cert: &Cert, address: Option<&str>, now: Time) -> Result<Usable, CertificateError> {
    let mut as_of = now;
    loop {
        match judge_as_of(cert, address, as_of, now) {
            Err(CertificateError::Expired { on, .. }) if on <= as_of => as_of = on - TimeDelta::seconds(1),
            judged => return judged,
        }
    }
}

/// Lifetimes are judged at `as_of`; revocation and the strength of algorithms always at `now`.
fn judge_as_of(cert: &Cert, address: Option<&str>, as_of: Time, now: Time) -> Result<Usable, CertificateError> {
    let policy = StandardPolicy::at(now);
    let fingerprint = || cert.fingerprint().to_hex();
    refuse_revoked(cert, &policy, now)?;
    let primary = cert.primary_key().key();
    let from = Time::from(primary.creation_time());
    if from > now {
        return Err(CertificateError::NotYetValid {
            fingerprint: fingerprint(),
            what: "certificate",
            from,
        });
    }
    if let Some(what) = weakness(primary) {
        return Err(CertificateError::Weak {
            fingerprint: fingerprint(),
            what,
        });
    }
    let valid = cert
        .with_policy(&policy, SystemTime::from(as_of))
        .map_err(|source| why_not_valid(cert, source.into(), as_of, now))?;
    let primary_expires = valid.primary_key().key_expiration_time().map(Time::from);
    if let Some(on) = primary_expires.filter(|on| *on <= as_of) {
        return Err(CertificateError::Expired {
            fingerprint: fingerprint(),
            what: "certificate",
            on,
        });
    }
    let mut keys = Vec::new();
    let mut keys_expire = Some(Time::MIN_UTC);
    let mut stands_until = primary_expires;
    for key in valid
        .keys()
        .supported()
        .alive()
        .for_transport_encryption()
        .for_storage_encryption()
    {
        if is_revoked(cert, key.key(), &policy, now) || weakness(key.key()).is_some() {
            continue;
        }
        let key_expires = key.key_expiration_time().map(Time::from);
        stands_until = [stands_until, key_expires].into_iter().flatten().min();
        keys_expire = match (keys_expire, key_expires) {
            (Some(latest), Some(this)) => Some(latest.max(this)),
            _ => None,
        };
        keys.push(key.key().clone());
    }
    if keys.is_empty() {
        return Err(why_no_key(cert, &policy, as_of, now));
    }
    if let Some(address) = address {
        require_address(&valid, address)?;
    }
    let expires = match (primary_expires, keys_expire) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok(Usable(Arc::new(Judged {
        fingerprint: cert.fingerprint(),
        hex: fingerprint(),
        keys,
        expires,
        stands_until,
    })))
}

/// A revocation by a designated revoker counts only once its owner has merged it: anybody could attach a forged one.
fn refuse_revoked(cert: &Cert, policy: &dyn Policy, now: Time) -> Result<(), CertificateError> {
    let RevocationStatus::Revoked(signatures) = cert.revocation_status(policy, SystemTime::from(now)) else {
        return Ok(());
    };
    let newest = signatures.iter().max_by_key(|s| s.signature_creation_time());
    let reason = newest.and_then(|s| s.reason_for_revocation()).map(|(code, text)| {
        let text: String = String::from_utf8_lossy(text)
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        if text.is_empty() {
            code.to_string()
        } else {
            format!("{code}: {text}")
        }
    });
    Err(CertificateError::Revoked {
        fingerprint: cert.fingerprint().to_hex(),
        reason: reason.unwrap_or_else(|| "no reason given".to_owned()),
        on: newest.and_then(|s| s.signature_creation_time()).map_or(now, Time::from),
    })
}

/// Is the subkey revoked? (The primary key's revocation is that of the certificate.)
fn is_revoked<P: KeyParts, R: KeyRole>(cert: &Cert, key: &Key<P, R>, policy: &dyn Policy, now: Time) -> bool {
    let wanted = key.fingerprint();
    cert.keys()
        .subkeys()
        .filter(|subkey| subkey.key().fingerprint() == wanted)
        .any(|subkey| {
            matches!(
                subkey.revocation_status(policy, SystemTime::from(now)),
                RevocationStatus::Revoked(_)
            )
        })
}

/// The standard policy without its rules on age: tells "too weak" from "broken".
fn lenient(now: Time) -> StandardPolicy<'static> {
    let mut policy = StandardPolicy::at(SystemTime::from(now));
    policy.accept_hash(HashAlgorithm::SHA1);
    for old in [
        AsymmetricAlgorithm::RSA1024,
        AsymmetricAlgorithm::ElGamal1024,
        AsymmetricAlgorithm::ElGamal2048,
        AsymmetricAlgorithm::ElGamal3072,
        AsymmetricAlgorithm::ElGamal4096,
        AsymmetricAlgorithm::DSA1024,
    ] {
        policy.accept_asymmetric_algo(old);
    }
    policy
}

/// Why no self-signature holds.
fn why_not_valid(cert: &Cert, source: Cause, as_of: Time, now: Time) -> CertificateError {
    let fingerprint = cert.fingerprint().to_hex();
    if cert.with_policy(&lenient(now), SystemTime::from(as_of)).is_ok() {
        let what = "certificate";
        return CertificateError::Sha1 { fingerprint, what };
    }
    let of_ids = cert.userids().flat_map(|id| id.self_signatures());
    let signed = of_ids.chain(cert.primary_key().self_signatures());
    match signed.filter_map(|s| s.signature_creation_time()).min().map(Time::from) {
        Some(from) if from > now => CertificateError::NotYetValid {
            fingerprint,
            what: "certificate",
            from,
        },
        _ => CertificateError::Unbound { fingerprint, source },
    }
}

/// The most telling reason why no encryption key was left.
fn why_no_key(cert: &Cert, policy: &dyn Policy, as_of: Time, now: Time) -> CertificateError {
    let at = SystemTime::from(as_of);
    let lenient = lenient(now);
    let fingerprint = cert.fingerprint().to_hex();
    let mut expired: Option<Time> = None;
    let mut weak: Option<String> = None;
    let mut by_sha1 = false;
    let mut from: Option<Time> = None;
    let mut why = "it has no encryption subkey";
    for ka in cert.keys() {
        let created = Time::from(ka.key().creation_time());
        if created > now && ka.key().pk_algo().for_encryption() {
            from = Some(from.map_or(created, |first| first.min(created)));
            continue;
        }
        let Ok(valid) = ka.clone().with_policy(&lenient, at) else {
            continue;
        };
        if !(valid.for_transport_encryption() || valid.for_storage_encryption()) {
            continue;
        }
        if is_revoked(cert, ka.key(), policy, now) {
            why = "its encryption subkey is revoked";
        } else if let Some(what) = weakness(ka.key()) {
            weak.get_or_insert(what);
        } else if !ka.key().pk_algo().is_supported() {
            why = "its encryption subkey uses an algorithm that this program does not know";
        } else if let Some(on) = valid.key_expiration_time().map(Time::from).filter(|on| *on <= as_of) {
            expired = Some(expired.map_or(on, |latest| latest.max(on)));
        } else {
            by_sha1 = true;
        }
    }
    let what = "encryption subkey";
    match (expired, from, weak) {
        (Some(on), _, _) => CertificateError::Expired { fingerprint, what, on },
        (None, Some(from), _) => CertificateError::NotYetValid {
            fingerprint,
            what,
            from,
        },
        (None, None, _) if by_sha1 => CertificateError::Sha1 { fingerprint, what },
        (None, None, Some(what)) => CertificateError::Weak { fingerprint, what },
        (None, None, None) => CertificateError::NoEncryptionKey { fingerprint, why },
    }
}

fn require_address(valid: &openpgp::cert::ValidCert<'_>, wanted: &str) -> Result<(), CertificateError> {
    let normal = |id: &UserID| id.email_normalized().ok().flatten();
    let target = normal(&UserID::from(format!("<{wanted}>")));
    let found: Vec<String> = valid
        .userids()
        .revoked(false)
        .filter_map(|id| normal(id.userid()))
        .collect();
    if target.is_some_and(|t| found.contains(&t)) {
        return Ok(());
    }
    Err(CertificateError::NoSuchAddress {
        fingerprint: valid.fingerprint().to_hex(),
        wanted: wanted.to_owned(),
        found: if found.is_empty() {
            "no address".to_owned()
        } else {
            found.join(", ")
        },
    })
}

/// Our own rule beside the library's policy, which accepts DSA until 2030.
fn weakness<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> Option<String> {
    #[expect(deprecated, reason = "the old algorithms are named in order to be refused")]
    match key.pk_algo() {
        PublicKeyAlgorithm::DSA | PublicKeyAlgorithm::ElGamalEncrypt | PublicKeyAlgorithm::ElGamalEncryptSign => {
            Some(format!("it uses {}", facts::algorithm(key)))
        }
        PublicKeyAlgorithm::RSAEncryptSign | PublicKeyAlgorithm::RSAEncrypt | PublicKeyAlgorithm::RSASign => key
            .mpis()
            .bits()
            .is_none_or(|bits| bits < MIN_RSA_BITS)
            .then(|| format!("{} is below {MIN_RSA_BITS} bits", facts::algorithm(key))),
        _ => None,
    }
}

fn day(time: &Time) -> impl std::fmt::Display {
    time.format("%Y-%m-%d")
}
