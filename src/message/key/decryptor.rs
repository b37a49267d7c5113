//! An open decryption key. Since OpenSSL 3.2 a damaged RSA ciphertext decrypts to noise of any length, even none, so that
//! nobody can learn from an error what was damaged (implicit rejection); the library takes for granted that there is a
//! session key in it, and panics where there is not. A mail made so that it does would stop the reading of all others.

use sequoia_openpgp as openpgp;

use openpgp::crypto::mpi::Ciphertext;
use openpgp::crypto::{Decryptor, KeyPair, SessionKey};
use openpgp::packet::Key;
use openpgp::packet::key::{PublicParts, UnspecifiedRole};

/// Beside a session key stand at least its algorithm and two bytes of its checksum (RFC 9580 §5.1.3).
const LEAST_BYTES: usize = 3;

/// Decrypts with one key. Cheap to clone.
#[derive(Clone)]
pub(in crate::message) struct OurDecryptor(KeyPair);
impl OurDecryptor {
    pub(in crate::message) fn new(pair: KeyPair) -> Self {
        Self(pair)
    }
}
impl Decryptor for OurDecryptor {
    fn public(&self) -> &Key<PublicParts, UnspecifiedRole> {
        self.0.public()
    }
    fn decrypt(&mut self, ciphertext: &Ciphertext, length: Option<usize>) -> openpgp::Result<SessionKey> {
        let plain = self.0.decrypt(ciphertext, length)?;
        match plain.len() >= LEAST_BYTES {
            true => Ok(plain),
            false => Err(openpgp::anyhow::anyhow!("there is no session key in it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use openpgp::cert::{CertBuilder, CipherSuite};
    use openpgp::crypto::mpi::MPI;
    use openpgp::packet::pkesk::PKESK3;
    use openpgp::policy::StandardPolicy;
    use openpgp::types::PublicKeyAlgorithm;

    use super::*;

    #[test]
    fn noise_to_an_rsa_key_is_refused_and_never_panics() {
        let (cert, _) = CertBuilder::general_purpose(Some("a@example.org"))
            .set_cipher_suite(CipherSuite::RSA2k)
            .generate()
            .unwrap();
        let policy = StandardPolicy::new();
        let keys = cert.keys().secret().with_policy(&policy, None);
        let key = keys.for_transport_encryption().next().unwrap().key().clone();
        let mut ours = OurDecryptor::new(key.into_keypair().unwrap());
        // One in eighty would be too short.
        for n in 0..600_u32 {
            let mut noise = vec![7; 255];
            noise[..4].copy_from_slice(&(n + 1).to_be_bytes());
            let packet = PKESK3::new(
                Some(ours.public().keyid()),
                PublicKeyAlgorithm::RSAEncryptSign,
                Ciphertext::RSA { c: MPI::new(&noise) },
            );
            assert!(packet.unwrap().decrypt(&mut ours, None).is_none());
        }
    }
}
