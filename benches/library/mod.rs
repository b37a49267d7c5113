//! What anybody would write with the OpenPGP library at hand: the limit that our own sealing is measured against.

use std::io::Write as _;
use std::time::SystemTime;

use breachpost::directory::certificate::Usable;
use breachpost::model::Time;
use sequoia_openpgp as openpgp;

use openpgp::crypto::{KeyPair, Password};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient, Signer};
use openpgp::types::{Features, SymmetricAlgorithm};

/// The open signing key of an armored key.
pub fn signer_of(secret: &[u8], passphrase: &str, now: Time) -> KeyPair {
    let policy = StandardPolicy::new();
    let cert = openpgp::Cert::from_bytes(secret).unwrap();
    let keys = cert
        .keys()
        .secret()
        .with_policy(&policy, SystemTime::from(now))
        .for_signing();
    let key = keys.last().unwrap().key().clone();
    key.decrypt_secret(&Password::from(passphrase))
        .unwrap()
        .into_keypair()
        .unwrap()
}

/// Signs `plain` and encrypts it to `to` and to `own`.
pub fn seal(plain: &[u8], signer: &KeyPair, to: &Usable, own: &Usable, now: Time) -> Vec<u8> {
    let mut armored = Vec::new();
    let recipients = to.keys().iter().chain(own.keys());
    let recipients = recipients.map(|key| Recipient::new(Features::empty(), key.key_handle(), key));
    let message = Armorer::new(Message::new(&mut armored)).build().unwrap();
    let message = Encryptor::for_recipients(message, recipients)
        .symmetric_algo(SymmetricAlgorithm::AES256)
        .build()
        .unwrap();
    let message = Signer::new(message, signer.clone())
        .unwrap()
        .creation_time(SystemTime::from(now))
        .build()
        .unwrap();
    let mut message = LiteralWriter::new(message).build().unwrap();
    message.write_all(plain).unwrap();
    message.finalize().unwrap();
    armored
}
