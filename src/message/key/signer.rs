//! The open signing key. The library builds its OpenSSL key anew for each signature, an RSA key even without what makes it
//! fast (its Chinese remainders): half of the time of an Ed25519 signature and three quarters of an RSA one. So these two
//! are built once. OpenSSL wipes their memory when they are dropped. Any other key stays with the library.

use sequoia_openpgp as openpgp;

use openpgp::crypto::mpi::{MPI, PublicKey, SecretKeyMaterial, Signature};
use openpgp::crypto::{KeyPair, Signer};
use openpgp::packet::Key;
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::types::{Curve, HashAlgorithm};
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey::{Id, PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};

/// Signs with one key. Cheap to clone.
#[derive(Clone)]
pub(in crate::message) struct OurSigner {
    pair: KeyPair,
    built: Option<PKey<Private>>,
}
impl OurSigner {
    pub(super) fn new(pair: KeyPair) -> Self {
        let public = pair.public().mpis();
        // One that cannot be built fails with the library's own words when it signs.
        let built = pair.secret().map(|secret| match (public, secret) {
            (
                PublicKey::EdDSA {
                    curve: Curve::Ed25519, ..
                },
                SecretKeyMaterial::EdDSA { scalar },
            ) => PKey::private_key_from_raw_bytes(&scalar.value_padded(32), Id::ED25519).ok(),
            (PublicKey::RSA { n, e }, SecretKeyMaterial::RSA { d, p, q, .. }) => {
                rsa([n.value(), e.value(), d.value(), p.value(), q.value()]).ok()
            }
            _ => None,
        });
        Self { pair, built }
    }
}

impl Signer for OurSigner {
    fn public(&self) -> &Key<PublicParts, UnspecifiedRole> {
        self.pair.public()
    }
    fn sign(&mut self, hash: HashAlgorithm, digest: &[u8]) -> openpgp::Result<Signature> {
        match (self.public().mpis(), &self.built, md(hash)) {
            (PublicKey::EdDSA { .. }, Some(key), _) => {
                let signature = openssl::sign::Signer::new_without_digest(key)?.sign_oneshot_to_vec(digest)?;
                let (r, s) = signature.split_at(signature.len() / 2);
                Ok(Signature::EdDSA {
                    r: MPI::new(r),
                    s: MPI::new(s),
                })
            }
            (PublicKey::RSA { .. }, Some(key), Some(md)) => {
                let mut context = PkeyCtx::new(key)?;
                context.sign_init()?;
                // RFC 9580 §5.2.3.1.
                context.set_rsa_padding(Padding::PKCS1)?;
                context.set_signature_md(md)?;
                let mut signature = Vec::new();
                context.sign_to_vec(digest, &mut signature)?;
                Ok(Signature::RSA {
                    s: MPI::new(&signature),
                })
            }
            _ => self.pair.sign(hash, digest),
        }
    }
}

fn md(hash: HashAlgorithm) -> Option<&'static openssl::md::MdRef> {
    match hash {
        HashAlgorithm::SHA256 => Some(Md::sha256()),
        HashAlgorithm::SHA384 => Some(Md::sha384()),
        HashAlgorithm::SHA512 => Some(Md::sha512()),
        _ => None,
    }
}

/// From n, e, d, p and q, with the Chinese remainders (RFC 8017 §3.2).
fn rsa(parts: [&[u8]; 5]) -> Result<PKey<Private>, ErrorStack> {
    let [n, e] = [parts[0], parts[1]].map(BigNum::from_slice);
    let secret = |bytes: &[u8]| {
        let mut number = BigNum::new_secure()?;
        number.copy_from_slice(bytes)?;
        number.set_const_time();
        Ok::<_, ErrorStack>(number)
    };
    let (d, p, q) = (secret(parts[2])?, secret(parts[3])?, secret(parts[4])?);
    let mut context = BigNumContext::new_secure()?;
    let mut remainder = |prime: &BigNum| {
        let (mut less, mut remainder) = (BigNum::new_secure()?, BigNum::new_secure()?);
        less.copy_from_slice(&prime.to_vec())?;
        less.sub_word(1)?;
        less.set_const_time();
        remainder.nnmod(&d, &less, &mut context)?;
        Ok::<_, ErrorStack>(remainder)
    };
    let (dmp1, dmq1) = (remainder(&p)?, remainder(&q)?);
    let mut iqmp = BigNum::new_secure()?;
    iqmp.mod_inverse(&q, &p, &mut context)?;
    PKey::from_rsa(Rsa::from_private_components(n?, e?, d, p, q, dmp1, dmq1, iqmp)?)
}

#[cfg(test)]
mod tests {
    use openpgp::cert::{CertBuilder, CipherSuite};
    use openpgp::policy::StandardPolicy;

    use super::*;

    #[test]
    fn its_signatures_are_those_of_the_library() {
        for suite in [CipherSuite::Cv25519, CipherSuite::RSA2k, CipherSuite::P256] {
            let (cert, _) = CertBuilder::general_purpose(Some("a@example.org"))
                .set_cipher_suite(suite)
                .generate()
                .unwrap();
            let policy = StandardPolicy::new();
            let keys = cert.keys().secret().with_policy(&policy, None);
            let key = keys.for_signing().next().unwrap().key().clone();
            let mut pair = key.into_keypair().unwrap();
            let mut ours = OurSigner::new(pair.clone());
            assert_eq!(ours.built.is_some(), suite != CipherSuite::P256, "{suite:?}");
            for hash in [
                HashAlgorithm::SHA256,
                HashAlgorithm::SHA384,
                HashAlgorithm::SHA512,
                HashAlgorithm::SHA224,
            ] {
                for n in 0..20_u8 {
                    let mut digest = vec![n; hash.digest_size().unwrap()];
                    digest[0] = n.wrapping_mul(97);
                    let signature = ours.sign(hash, &digest).unwrap();
                    ours.public().verify(&signature, hash, &digest).unwrap();
                    // ECDSA takes a fresh random number each time.
                    if suite != CipherSuite::P256 {
                        assert_eq!(signature, pair.sign(hash, &digest).unwrap(), "{suite:?} {hash}");
                    }
                }
            }
        }
    }
}
