//! Why a certificate is refused: each reason in its own words, with the way out.

use super::{MAX_CERTIFICATE_BYTES, MIN_RSA_BITS, day};
use crate::model::Time;

/// What OpenPGP code of the library answers with.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a certificate cannot be taken or used. Each variant names the way out.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the certificate file is empty; ask for the file again")]
    Empty,
    #[error(
        "the file is larger than {MAX_CERTIFICATE_BYTES} bytes and cannot be a certificate; export the one that is meant \
         (gpg --armor --export FINGERPRINT)"
    )]
    TooLarge,
    #[error("this is no OpenPGP certificate: {hint}")]
    Unparsable {
        hint: &'static str,
        #[source]
        source: Option<Cause>,
    },
    #[error(
        "this file holds the secret key of {fingerprint}, which only its owner may have: delete it, tell whoever gave \
         it to you that the key is compromised, and ask for the public certificate"
    )]
    SecretKey { fingerprint: String },
    #[error(
        "the file holds {count} certificates ({fingerprints}); export the one that is meant into a file of its own \
         (gpg --armor --export FINGERPRINT)"
    )]
    Several { count: usize, fingerprints: String },
    #[error("`{given}` is a key id, which can be forged; give the full fingerprint (40 hex digits, 64 for version 6)")]
    ShortKeyId { given: String },
    #[error("`{given}` is no fingerprint; it has 40 hex digits (64 for version 6), spaces are allowed")]
    BadFingerprint { given: String },
    #[error(
        "the certificate's fingerprint is {found}, not {wanted}; do not use it before somebody at the authority has \
         confirmed one of the two by telephone"
    )]
    OtherFingerprint { wanted: String, found: String },
    #[error("{given} is the fingerprint of a subkey; give that of the certificate, {primary}, after checking it")]
    SubkeyFingerprint { given: String, primary: String },
    #[error(
        "certificate {fingerprint}: its {what} expired on {}; ask for a renewed one, or import it with `--accept-expired`: \
         then it is used by `--override expired` only", day(.on)
    )]
    Expired {
        fingerprint: String,
        /// `certificate` or `encryption subkey`.
        what: &'static str,
        on: Time,
    },
    #[error(
        "certificate {fingerprint} was revoked on {} ({reason}); it must never be used again, ask for the new one", day(.on)
    )]
    Revoked {
        fingerprint: String,
        reason: String,
        on: Time,
    },
    #[error(
        "certificate {fingerprint}: its {what} is valid from {} only; check this computer's clock, or ask its owner to check \
         his and make it again", .from.format("%Y-%m-%d %H:%M UTC")
    )]
    NotYetValid {
        fingerprint: String,
        /// `certificate` or `encryption subkey`.
        what: &'static str,
        from: Time,
    },
    #[error("certificate {fingerprint} cannot be encrypted to: {why}; ask for one with a valid encryption subkey")]
    NoEncryptionKey { fingerprint: String, why: &'static str },
    #[error(
        "certificate {fingerprint} does not name {wanted}, only {found}; ask the authority whose it is, and if it is theirs, \
         import it with `--accept-user-id REASON`"
    )]
    NoSuchAddress {
        fingerprint: String,
        wanted: String,
        found: String,
    },
    #[error(
        "certificate {fingerprint} is too weak: {what}; ask for a new one (Ed25519 with Cv25519, or RSA of at least \
         {MIN_RSA_BITS} bits)"
    )]
    Weak {
        fingerprint: String,
        /// The algorithm: DSA, ElGamal, short RSA.
        what: String,
    },
    #[error(
        "certificate {fingerprint}: its {what} is bound by SHA-1 signatures only, which can be forged; ask its owner to \
         sign it anew with a current program (gpg --quick-set-expire FINGERPRINT 2y does) and to send it again"
    )]
    Sha1 {
        fingerprint: String,
        /// `certificate` or `encryption subkey`.
        what: &'static str,
    },
    #[error("certificate {fingerprint} has no valid self-signature; ask for a complete export")]
    Unbound {
        fingerprint: String,
        #[source]
        source: Cause,
    },
    #[error("what was found is not a newer state of certificate {fingerprint}")]
    Merge {
        fingerprint: String,
        #[source]
        source: Cause,
    },
}
