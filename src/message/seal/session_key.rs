//! A session key for one reader: the packet that only his key opens (PKESK version 3, RFC 9580 §5.1.1).
//!
//! For Curve25519, which most keys of persons are, the key agreement is done here with ring, which is in the binary for
//! TLS: it takes a third of what OpenSSL takes (and the library, which imports each fresh key anew, twice that), and a
//! sealed message needs two. All other keys are the library's work. The fixed parts of the format (wrapping, packets) are
//! the library's for both.

use sequoia_openpgp as openpgp;

use openpgp::crypto::mpi::{Ciphertext, MPI, PublicKey};
use openpgp::crypto::{SessionKey, ecdh, mem::Protected};
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::packet::{Key, PKESK, pkesk::PKESK3};
use openpgp::types::{Curve, HashAlgorithm, PublicKeyAlgorithm, SymmetricAlgorithm};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;

/// The session key, its algorithm and its checksum are padded to this: the length of the key is nobody's business
/// (RFC 9580 §11.5).
const PADDED_BYTES: usize = 40;
/// Before a point of Curve25519 (RFC 9580 §11.2).
const NATIVE_POINT: u8 = 0x40;
/// Stands where the sender's name would (RFC 9580 §11.5).
const ANONYMOUS_SENDER: &[u8; 20] = b"Anonymous Sender    ";

/// Encrypts `session_key`, which is for `algorithm`, to the owner of `key`.
///
/// # Errors
/// The key cannot be encrypted to.
pub(super) fn for_reader(
    algorithm: SymmetricAlgorithm,
    session_key: &SessionKey,
    key: &Key<PublicParts, UnspecifiedRole>,
) -> openpgp::Result<PKESK> {
    let packet = match Agreement::with(key) {
        None => PKESK3::for_recipient(algorithm, session_key, key)?,
        Some(agreement) => PKESK3::new(
            Some(key.keyid()),
            PublicKeyAlgorithm::ECDH,
            agreement.wrap(algorithm, session_key)?,
        )?,
    };
    Ok(packet.into())
}

/// Key agreement with a version 4 key on Curve25519 (RFC 9580 §11.5).
struct Agreement<'a> {
    point: &'a [u8],
    hash: HashAlgorithm,
    cipher: SymmetricAlgorithm,
    fingerprint: openpgp::Fingerprint,
}
impl<'a> Agreement<'a> {
    fn with(key: &'a Key<PublicParts, UnspecifiedRole>) -> Option<Self> {
        let PublicKey::ECDH {
            curve: Curve::Cv25519,
            q,
            hash,
            sym,
        } = key.mpis()
        else {
            return None;
        };
        let point = q.value().strip_prefix(&[NATIVE_POINT])?;
        (key.version() == 4 && point.len() == 32).then(|| Self {
            point,
            hash: *hash,
            cipher: *sym,
            fingerprint: key.fingerprint(),
        })
    }

    fn wrap(&self, algorithm: SymmetricAlgorithm, session_key: &SessionKey) -> openpgp::Result<Ciphertext> {
        let no_key = |_| openpgp::anyhow::anyhow!("no fresh key could be made for the key agreement");
        let fresh = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(no_key)?;
        let public = fresh.compute_public_key().map_err(no_key)?;
        let theirs = UnparsedPublicKey::new(&X25519, self.point);
        // Refused: a point that makes the outcome nought (RFC 7748 §6.1).
        let unsound = |_| openpgp::anyhow::anyhow!("the certificate's encryption key is no sound point of Curve25519");
        let wrapping = agree_ephemeral(fresh, &theirs, |agreed| self.derive(agreed)).map_err(unsound)??;
        let wrapped = ecdh::aes_key_wrap(self.cipher, &wrapping, &padded(algorithm, session_key))?;
        let mut point = vec![NATIVE_POINT];
        point.extend(public.as_ref());
        Ok(Ciphertext::ECDH {
            e: MPI::from(point),
            key: wrapped.into_boxed_slice(),
        })
    }

    /// The key that wraps, from what was agreed (RFC 9580 §11.5, the KDF and its parameters).
    fn derive(&self, agreed: &[u8]) -> openpgp::Result<Protected> {
        let curve = Curve::Cv25519.oid();
        let mut hash = self.hash.context()?.for_digest();
        hash.update(&[0, 0, 0, 1]);
        hash.update(agreed);
        hash.update(&[curve.len() as u8]);
        hash.update(curve);
        hash.update(&[PublicKeyAlgorithm::ECDH.into(), 3, 1]);
        hash.update(&[self.hash.into(), self.cipher.into()]);
        hash.update(ANONYMOUS_SENDER);
        hash.update(self.fingerprint.as_bytes());
        let digest = Protected::from(hash.into_digest()?);
        let bytes = self.cipher.key_size()?;
        match digest.get(..bytes) {
            Some(key) => Ok(Protected::from(key)),
            None => Err(openpgp::anyhow::anyhow!(
                "{} is too short for {}",
                self.hash,
                self.cipher
            )),
        }
    }
}

/// Algorithm, session key and the sum of its bytes, filled up as PKCS #5 does it.
fn padded(algorithm: SymmetricAlgorithm, session_key: &SessionKey) -> Protected {
    let sum = session_key
        .iter()
        .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let mut bytes = Vec::with_capacity(PADDED_BYTES);
    bytes.push(algorithm.into());
    bytes.extend_from_slice(session_key);
    bytes.extend(sum.to_be_bytes());
    let missing = PADDED_BYTES - bytes.len();
    bytes.resize(PADDED_BYTES, missing as u8);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use openpgp::cert::{CertBuilder, CipherSuite};
    use openpgp::crypto::Decryptor as _;
    use openpgp::policy::StandardPolicy;

    use super::*;
    use crate::message::key::OurDecryptor;

    fn decryption_key(suite: CipherSuite) -> OurDecryptor {
        let (cert, _) = CertBuilder::general_purpose(Some("anna@example.org"))
            .set_cipher_suite(suite)
            .generate()
            .unwrap();
        let policy = StandardPolicy::new();
        let keys = cert.keys().secret().with_policy(&policy, None);
        let key = keys.for_transport_encryption().next().unwrap().key().clone();
        OurDecryptor::new(key.into_keypair().unwrap())
    }

    #[test]
    fn the_owner_of_any_kind_of_key_opens_it_and_nobody_else() {
        for suite in [CipherSuite::Cv25519, CipherSuite::P256, CipherSuite::RSA2k] {
            let (mut owner, mut other) = (decryption_key(suite), decryption_key(suite));
            let theirs = Agreement::with(owner.public()).is_some();
            assert_eq!(theirs, suite == CipherSuite::Cv25519, "{suite:?}");
            let mut seen = std::collections::BTreeSet::new();
            for algorithm in [SymmetricAlgorithm::AES256, SymmetricAlgorithm::AES128] {
                for _ in 0..50 {
                    let session_key = SessionKey::new(algorithm.key_size().unwrap()).unwrap();
                    let public = owner.public().clone();
                    let packet = for_reader(algorithm, &session_key, &public).unwrap();
                    assert_eq!(packet.recipient(), Some(public.keyid().into()));
                    let opened = packet.decrypt(&mut owner, None).unwrap();
                    assert_eq!(opened, (Some(algorithm), session_key), "{suite:?}");
                    assert!(packet.decrypt(&mut other, None).is_none(), "{suite:?}");
                    assert!(seen.insert(format!("{:?}", packet.esk())), "each is fresh");
                }
            }
        }
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let owner = decryption_key(CipherSuite::Cv25519);
        let nought = Agreement {
            point: &[0; 32],
            ..Agreement::with(owner.public()).unwrap()
        };
        let session_key = SessionKey::new(32).unwrap();
        assert!(nought.wrap(SymmetricAlgorithm::AES256, &session_key).is_err());
    }
}
