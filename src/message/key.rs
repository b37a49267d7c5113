//! Our own OpenPGP key: making it, opening it, signing with it.
//!
//! The passphrase is used once, when the key is loaded; afterwards the keys that decrypt live in memory that the OpenPGP
//! library keeps encrypted, the one that signs in OpenSSL's. Must not know of mail, and reads no file and no clock.

use std::io::Write;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use sequoia_openpgp as openpgp;

use openpgp::armor;
use openpgp::cert::amalgamation::key::{PrimaryKey, ValidErasedKeyAmalgamation};
use openpgp::cert::{CertBuilder, CipherSuite, ValidCert};
use openpgp::crypto::{KeyPair, Password, Signer as _};
use openpgp::packet::key::{PublicParts, SecretKeyMaterial, UnspecifiedRole};
use openpgp::packet::{Key, UserID};
use openpgp::parse::Parse;
use openpgp::parse::stream::{DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationHelper};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Message, Signer};
use openpgp::types::{Features, KeyFlags, PublicKeyAlgorithm, RevocationStatus};
use openpgp::{Cert, KeyHandle, Packet, Profile};

use crate::directory::certificate::{self, CertificateError, CertificateFacts};
use crate::model::Time;
use crate::secret::Secret;

mod decryptor;
mod signer;

pub(super) use self::decryptor::OurDecryptor;
pub(super) use self::signer::OurSigner;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How long a new key is valid unless said otherwise: long enough to outlive a breach, short enough to be renewed.
pub const DEFAULT_VALIDITY: TimeDelta = TimeDelta::days(3 * 365);

/// Why our key cannot be made or used. Each variant names the way out.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the key file holds no OpenPGP key; import one (`breachpost key import FILE`) or make one (`breachpost key generate`)"
    )]
    Unparsable {
        #[source]
        source: Option<Cause>,
    },
    #[error("the key file holds {count} keys; keep one (gpg --armor --export-secret-keys FINGERPRINT)")]
    Several { count: usize },
    #[error(
        "the key file holds the public certificate {fingerprint} only; export the secret key \
         (gpg --armor --export-secret-keys {fingerprint})"
    )]
    NotSecret { fingerprint: String },
    #[error("the passphrase does not open subkey {subkey} of our key; check `key.passphrase` in config.yaml")]
    WrongPassphrase { subkey: String },
    #[error(
        "the secret of subkey {subkey} is not in the file (it may be on a smart card or offline); export it together \
         with its secret, or make a key with `breachpost key generate`"
    )]
    SecretElsewhere { subkey: String },
    #[error("our key {fingerprint} expired on {}; extend it and import it again, or run `breachpost key rotate`", .on.format("%Y-%m-%d"))]
    Expired { fingerprint: String, on: Time },
    #[error("our key {fingerprint} is valid from {} only; check this computer's clock", .from.format("%Y-%m-%d %H:%M UTC"))]
    NotYetValid { fingerprint: String, from: Time },
    #[error(
        "our key {fingerprint} is revoked; run `breachpost key rotate` and tell every authority the new fingerprint"
    )]
    Revoked { fingerprint: String },
    #[error("our key {fingerprint} has no valid signing subkey; add one, or make a key with `breachpost key generate`")]
    NoSigningSubkey { fingerprint: String },
    #[error(
        "our key {fingerprint} has no valid encryption subkey, so that answers could not be read; add one, or make a \
         key with `breachpost key generate`"
    )]
    NoEncryptionSubkey { fingerprint: String },
    #[error(
        "our key {fingerprint} is not accepted by the OpenPGP policy; make a new one with `breachpost key generate`"
    )]
    Refused {
        fingerprint: String,
        #[source]
        source: Cause,
    },
    #[error("the name or address cannot stand in a key's user id; leave out control characters and angle brackets")]
    UserId,
    #[error("the passphrase for a new key is empty; give one")]
    NoPassphrase,
    #[error("cannot make the key")]
    Generate {
        #[source]
        source: Cause,
    },
    #[error("cannot sign with our key {fingerprint}")]
    Sign {
        fingerprint: String,
        #[source]
        source: Cause,
    },
    #[error("the certificate to verify with cannot be read")]
    Certificate {
        #[source]
        source: CertificateError,
    },
    #[error(
        "the signature is no valid one by {fingerprint} over these data; what was signed, or the signature, was changed"
    )]
    BadSignature {
        fingerprint: String,
        #[source]
        source: Cause,
    },
}

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Ed25519 for signatures, Cv25519 for encryption: the default, and by far the fastest to sign with.
    #[default]
    Ed25519,
    /// RSA 4096, for readers that know nothing newer. Signing in bulk is some fifty times slower.
    Rsa4096,
}

/// A new key, as files.
#[derive(Debug)]
pub struct Generated {
    /// The secret key, protected by the passphrase.
    pub secret_armored: Secret,
    pub public_armored: String,
    /// Publishing it revokes the key for good: keep it apart from the key.
    pub revocation_armored: Secret,
    /// Upper-case hex.
    pub fingerprint: String,
}

/// Makes a version 4 key that every OpenPGP program of the last ten years can use: primary key for certification,
/// subkeys for signing and encryption, announcing SEIPDv1 only, so that answers come in the form GnuPG 2.2 reads too.
/// `validity`: see [`DEFAULT_VALIDITY`].
///
/// # Errors
/// [`KeyError::UserId`], [`KeyError::NoPassphrase`], [`KeyError::Generate`].
pub fn generate(
    name: &str,
    email: &str,
    algorithm: Algorithm,
    validity: TimeDelta,
    passphrase: &Secret,
    now: Time,
) -> Result<Generated, KeyError> {
    if passphrase.expose().is_empty() {
        return Err(KeyError::NoPassphrase);
    }
    let unusable = |s: &str| s.chars().any(|c| c.is_control() || "<>".contains(c));
    if unusable(name) || unusable(email) || !email.contains('@') {
        return Err(KeyError::UserId);
    }
    let user_id = match name.trim() {
        "" => UserID::from(format!("<{email}>")),
        name => UserID::from(format!("{name} <{email}>")),
    };
    let suite = match algorithm {
        Algorithm::Ed25519 => CipherSuite::Cv25519,
        Algorithm::Rsa4096 => CipherSuite::RSA4k,
    };
    let make = || -> openpgp::Result<Generated> {
        let (cert, revocation) = CertBuilder::new()
            .set_profile(Profile::RFC4880)?
            .set_features(Features::empty().set_seipdv1())?
            .set_cipher_suite(suite)
            .set_creation_time(SystemTime::from(now))
            .set_validity_period(validity.to_std().unwrap_or(Duration::ZERO))
            .set_primary_key_flags(KeyFlags::empty().set_certification())
            .add_userid(user_id)
            .add_signing_subkey()
            .add_subkey(
                KeyFlags::empty().set_transport_encryption().set_storage_encryption(),
                None,
                None,
            )
            .set_password(Some(Password::from(passphrase.expose())))
            .generate()?;
        Ok(Generated {
            secret_armored: Secret::new(armored_text(cert.as_tsk().armored().to_vec()?)?),
            public_armored: armored_text(cert.armored().to_vec()?)?,
            revocation_armored: Secret::new(armored_revocation(&revocation.into())?),
            fingerprint: cert.fingerprint().to_hex(),
        })
    };
    make().map_err(|e| KeyError::Generate { source: e.into() })
}

fn armored_text(bytes: Vec<u8>) -> openpgp::Result<String> {
    Ok(String::from_utf8(bytes)?)
}

/// A revocation certificate as GnuPG imports it.
fn armored_revocation(revocation: &Packet) -> openpgp::Result<String> {
    let comment = [(
        "Comment",
        "Revocation certificate: importing it revokes the key for good",
    )];
    let mut writer = armor::Writer::with_headers(Vec::new(), armor::Kind::PublicKey, comment)?;
    writer.write_all(&revocation.to_vec()?)?;
    armored_text(writer.finalize()?)
}

/// Our key, open and ready: judged once, so that no message pays for it again.
pub struct OurKey {
    cert: Cert,
    fingerprint: String,
    key_file: String,
    public_armored: String,
    signer: OurSigner,
    expires: Option<Time>,
    encryption: Vec<Key<PublicParts, UnspecifiedRole>>,
    decryption: Vec<OurDecryptor>,
}

impl std::fmt::Debug for OurKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OurKey({})", self.fingerprint)
    }
}

impl OurKey {
    /// Reads and opens the secret key in `bytes`, armored or binary.
    ///
    /// # Errors
    /// All of [`KeyError`] up to [`Refused`](KeyError::Refused).
    pub fn load(bytes: &[u8], passphrase: &Secret, now: Time) -> Result<Self, KeyError> {
        let cert = read_secret(bytes)?;
        let fingerprint = cert.fingerprint().to_hex();
        let at = SystemTime::from(now);
        let policy = StandardPolicy::at(at);
        let valid = alive(&cert, &policy, now)?;
        let password = Password::from(passphrase.expose());
        // The newest signing key, the primary one only if there is no other.
        let signing = valid
            .keys()
            .supported()
            .alive()
            .revoked(false)
            .for_signing()
            .max_by_key(|k| (!k.primary(), k.key().creation_time()))
            .ok_or_else(|| KeyError::NoSigningSubkey {
                fingerprint: fingerprint.clone(),
            })?;
        let for_encryption = || {
            valid
                .keys()
                .supported()
                .for_transport_encryption()
                .for_storage_encryption()
        };
        let encryption: Vec<_> = for_encryption()
            .alive()
            .revoked(false)
            .map(|k| k.key().clone())
            .collect();
        if encryption.is_empty() {
            return Err(KeyError::NoEncryptionSubkey { fingerprint });
        }
        // Expired and revoked ones too: answers to older mail must still be readable.
        let decryption = for_encryption()
            .map(|k| open_key(&k, &password).map(OurDecryptor::new))
            .collect::<Result<_, _>>()?;
        let primary_expires = valid.primary_key().key_expiration_time();
        let expires = [primary_expires, signing.key_expiration_time()]
            .into_iter()
            .flatten()
            .min();
        let signer = OurSigner::new(open_key(&signing, &password)?);
        let public = cert.clone().strip_secret_key_material();
        let public_armored = public.armored().to_vec().and_then(armored_text);
        Ok(Self {
            public_armored: public_armored.map_err(|e| KeyError::Refused {
                fingerprint: fingerprint.clone(),
                source: e.into(),
            })?,
            key_file: format!("OpenPGP_0x{}.asc", public.keyid().to_hex()),
            cert: public,
            fingerprint,
            signer,
            expires: expires.map(Time::from),
            encryption,
            decryption,
        })
    }

    /// Of the certificate, upper-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    /// The public certificate.
    pub fn certificate(&self) -> &Cert {
        &self.cert
    }
    /// The public certificate as people pass it on.
    pub fn public_armored(&self) -> &str {
        &self.public_armored
    }
    /// The first moment at which signatures would no longer be valid; `None`: never.
    pub fn expires(&self) -> Option<Time> {
        self.expires
    }
    /// Is the signing key an RSA key? Then sealing in bulk is some fifty times slower than with Ed25519.
    pub fn signs_slowly(&self) -> bool {
        self.signer.public().pk_algo() == PublicKeyAlgorithm::RSAEncryptSign
    }
    /// The key in words, for `key show`.
    pub fn describe(&self, now: Time) -> CertificateFacts {
        certificate::describe(&self.cert, now)
    }

    /// Signs `data`, giving an armored signature that stands beside them: for checkpoints of the journal.
    ///
    /// # Errors
    /// [`KeyError::Expired`] and [`KeyError::Sign`].
    pub fn sign_detached(&self, data: &[u8], now: Time) -> Result<String, KeyError> {
        self.refuse_expired(now)?;
        let sign = || -> openpgp::Result<String> {
            let mut armored = Vec::new();
            let message = Armorer::new(Message::new(&mut armored))
                .kind(armor::Kind::Signature)
                .build()?;
            let mut message = Signer::new(message, self.signer.clone())?
                .detached()
                .creation_time(SystemTime::from(now))
                .build()?;
            message.write_all(data)?;
            message.finalize()?;
            armored_text(armored)
        };
        sign().map_err(|e| KeyError::Sign {
            fingerprint: self.fingerprint.clone(),
            source: e.into(),
        })
    }

    pub(super) fn refuse_expired(&self, now: Time) -> Result<(), KeyError> {
        match self.expires {
            Some(on) if on <= now => Err(KeyError::Expired {
                fingerprint: self.fingerprint.clone(),
                on,
            }),
            _ => Ok(()),
        }
    }
    pub(super) fn signer(&self) -> &OurSigner {
        &self.signer
    }
    pub(super) fn encryption(&self) -> &[Key<PublicParts, UnspecifiedRole>] {
        &self.encryption
    }
    pub(super) fn decryption(&self) -> &[OurDecryptor] {
        &self.decryption
    }
    pub(super) fn key_file(&self) -> super::mime::KeyFile<'_> {
        super::mime::KeyFile {
            name: &self.key_file,
            armored: &self.public_armored,
        }
    }
}

/// The certificate under the policy, unless it is revoked, expired or not valid yet.
fn alive<'a>(cert: &'a Cert, policy: &'a StandardPolicy<'_>, now: Time) -> Result<ValidCert<'a>, KeyError> {
    let fingerprint = cert.fingerprint().to_hex();
    let at = SystemTime::from(now);
    let from = Time::from(cert.primary_key().key().creation_time());
    if from > now {
        return Err(KeyError::NotYetValid { fingerprint, from });
    }
    if matches!(cert.revocation_status(policy, at), RevocationStatus::Revoked(_)) {
        return Err(KeyError::Revoked { fingerprint });
    }
    let valid = cert.with_policy(policy, at).map_err(|e| KeyError::Refused {
        fingerprint: fingerprint.clone(),
        source: e.into(),
    })?;
    match valid.primary_key().key_expiration_time().map(Time::from) {
        Some(on) if on <= now => Err(KeyError::Expired { fingerprint, on }),
        _ => Ok(valid),
    }
}

/// The one secret key in `bytes`. Some programs export the public certificate along with it.
fn read_secret(bytes: &[u8]) -> Result<Cert, KeyError> {
    let certs = match bytes.trim_ascii().is_empty() {
        true => Vec::new(),
        false => certificate::read_all(bytes).map_err(|e| KeyError::Unparsable { source: Some(e.into()) })?,
    };
    let public = certs.first().map(|cert| cert.fingerprint().to_hex());
    let secret: Vec<Cert> = certs.into_iter().filter(Cert::is_tsk).collect();
    match (<[Cert; 1]>::try_from(secret), public) {
        (Ok([cert]), _) => Ok(cert),
        (Err(several), _) if !several.is_empty() => Err(KeyError::Several { count: several.len() }),
        (Err(_), Some(fingerprint)) => Err(KeyError::NotSecret { fingerprint }),
        (Err(_), None) => Err(KeyError::Unparsable { source: None }),
    }
}

fn open_key(found: &ValidErasedKeyAmalgamation<'_, PublicParts>, password: &Password) -> Result<KeyPair, KeyError> {
    let subkey = || found.key().fingerprint().to_hex();
    let elsewhere = || KeyError::SecretElsewhere { subkey: subkey() };
    let key = found.key().clone().parts_into_secret().map_err(|_| elsewhere())?;
    let key = match key.secret() {
        SecretKeyMaterial::Unencrypted(_) => key,
        // GnuPG marks a secret that it holds elsewhere by a key derivation of its own.
        SecretKeyMaterial::Encrypted(secret) if !secret.s2k().is_supported() => return Err(elsewhere()),
        SecretKeyMaterial::Encrypted(_) => key
            .decrypt_secret(password)
            .map_err(|_| KeyError::WrongPassphrase { subkey: subkey() })?,
    };
    key.into_keypair().map_err(|_| elsewhere())
}

/// Is `signature` (armored or binary) one by `certificate` over `data`? Gives the certificate's fingerprint.
/// A key that has expired since it signed still verifies.
///
/// # Errors
/// [`KeyError::Certificate`] and [`KeyError::BadSignature`].
pub fn verify_detached(certificate: &[u8], data: &[u8], signature: &[u8], now: Time) -> Result<String, KeyError> {
    let cert = certificate::read_one(certificate).map_err(|source| KeyError::Certificate { source })?;
    let fingerprint = cert.fingerprint().to_hex();
    let at = SystemTime::from(now);
    let policy = StandardPolicy::at(at);
    let verify = || -> openpgp::Result<()> {
        DetachedVerifierBuilder::from_bytes(signature)?
            .with_policy(&policy, at, ByThisOne(cert))?
            .verify_bytes(data)
    };
    match verify() {
        Ok(()) => Ok(fingerprint),
        Err(e) => Err(KeyError::BadSignature {
            fingerprint,
            source: e.into(),
        }),
    }
}

/// Demands a good signature by one certificate.
struct ByThisOne(Cert);
impl VerificationHelper for ByThisOne {
    fn get_certs(&mut self, _ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(vec![self.0.clone()])
    }
    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        for layer in structure {
            if let MessageLayer::SignatureGroup { results } = layer {
                let mut failure = None;
                for result in results {
                    match result {
                        Ok(_) => return Ok(()),
                        Err(e) => failure = Some(openpgp::anyhow::anyhow!(e.to_string())),
                    }
                }
                return Err(failure.unwrap_or_else(|| openpgp::anyhow::anyhow!("there is no signature")));
            }
        }
        Err(openpgp::anyhow::anyhow!("there is no signature"))
    }
}
