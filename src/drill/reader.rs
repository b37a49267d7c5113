//! How those outside read a sealed mail: with their own key, and with the sender's certificate that came inside.

use crate::directory::certificate::{self, Cert, Usable};
use crate::message::key::OurKey;
use crate::message::open::{self, Opened, Protection, Signature};
use crate::model::Time;

/// A sealed mail as its reader has it before them.
pub struct Unsealed {
    pub opened: Opened,
    /// The sender's fingerprint, by which the good signature is.
    pub signed_by: String,
    pub sender: Usable,
}

/// Why a sealed mail could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadTrouble {
    #[error("the mail is not encrypted to its reader: {0}")]
    NotSealed(String),
    #[error("no certificate of the sender came with it")]
    NoCertificate(#[source] certificate::CertificateError),
    #[error("its signature is not good")]
    NotSigned,
    #[error("it carries no reference")]
    NoReference,
}

/// Decrypts a mail, takes the sender's certificate out of it and verifies the signature.
///
/// # Errors
/// It is not sealed to this key, not signed, or no certificate came inside.
pub fn unseal(mail: &[u8], key: &OurKey, now: Time) -> Result<Unsealed, ReadTrouble> {
    let opened = open::open(mail, Some(key), &[], now);
    match &opened.protection {
        Protection::Encrypted => {}
        other => return Err(ReadTrouble::NotSealed(format!("{other:?}"))),
    }
    let enclosed = opened
        .attachments
        .iter()
        .find(|attachment| attachment.media_type == "application/pgp-keys");
    let bytes = enclosed
        .map(|attachment| attachment.bytes.as_slice())
        .unwrap_or_default();
    let sender: Cert = certificate::read_one(bytes).map_err(ReadTrouble::NoCertificate)?;
    let usable = certificate::judge(&sender, None, now).map_err(ReadTrouble::NoCertificate)?;
    let again = open::open(mail, Some(key), &[sender], now);
    let Signature::Good { fingerprint } = again.signature else {
        return Err(ReadTrouble::NotSigned);
    };
    Ok(Unsealed {
        opened,
        signed_by: fingerprint,
        sender: usable,
    })
}
