//! The authority of the drill: it has a fresh key of its own, really decrypts and checks what it is sent, and answers
//! sealed, with a number of its own, as an authority's mail system would.

use std::sync::Arc;

use crate::directory::certificate::Usable;
use crate::message::key::{self, Algorithm, OurKey};
use crate::message::mime::{Content, Headers, Mailbox};
use crate::message::{seal, token};
use crate::model::Time;
use crate::model::id::Reference;
use crate::secret::Secret;

use super::reader::{self, Unsealed};

pub use super::reader::ReadTrouble;

/// The address notices go to.
pub const ADDRESS: &str = "databreach@authority.example";
/// The profile's id.
pub const ID: &str = "lu-drill";
/// The profile, as an overlay of the scratch home.
pub const PROFILE: &str = include_str!("lu-drill.yaml");

/// What the authority found in a notice.
#[derive(Debug, Clone)]
pub struct Reading {
    pub reference: Reference,
    pub subject: String,
    pub text: String,
    /// The sender's fingerprint, checked against the certificate that came inside.
    pub signed_by: String,
    message_id: String,
    sender: Usable,
    sender_address: String,
}

/// An authority that can read and answer.
pub struct Authority {
    key: Arc<OurKey>,
    certificate: String,
    answered: u32,
}

impl Authority {
    /// An authority with a fresh Ed25519 and Cv25519 key.
    ///
    /// # Errors
    /// The key cannot be made.
    pub fn fresh(passphrase: &Secret, now: Time) -> Result<Self, key::KeyError> {
        let made = key::generate(
            "Drill Authority",
            ADDRESS,
            Algorithm::Ed25519,
            key::DEFAULT_VALIDITY,
            passphrase,
            now,
        )?;
        let key = OurKey::load(made.secret_armored.expose().as_bytes(), passphrase, now)?;
        Ok(Self {
            key: Arc::new(key),
            certificate: made.public_armored,
            answered: 0,
        })
    }

    /// The public certificate, armored, as it would stand on its web page.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
    /// Upper-case hex.
    pub fn fingerprint(&self) -> &str {
        self.key.fingerprint()
    }

    /// Decrypts a notice, takes the sender's certificate out of it and verifies the signature.
    ///
    /// # Errors
    /// It is not sealed to us, not signed, or carries no reference.
    pub fn read(&self, mail: &[u8], now: Time) -> Result<Reading, ReadTrouble> {
        let Unsealed {
            opened,
            signed_by,
            sender,
        } = reader::unseal(mail, &self.key, now)?;
        let reference = token::references_in(&opened.outer_subject)
            .into_iter()
            .next()
            .ok_or(ReadTrouble::NoReference)?;
        Ok(Reading {
            reference,
            subject: opened.subject,
            text: opened.text,
            signed_by,
            message_id: opened.message_id.unwrap_or_default(),
            sender,
            sender_address: opened
                .from
                .into_iter()
                .next()
                .map(|sender| sender.address)
                .unwrap_or_default(),
        })
    }

    /// The acknowledgement: signed, encrypted to the sender, in the thread, with a number of the authority's own.
    ///
    /// # Errors
    /// Sealing fails.
    pub fn acknowledge(&mut self, reading: &Reading, now: Time) -> Result<(String, Vec<u8>), seal::SealError> {
        self.answered += 1;
        let number = format!("DRILL-{}-{:04}", now.format("%Y"), self.answered);
        let content = Content {
            subject: format!(
                "Acknowledgement of receipt {number} - your notification {}",
                reading.reference
            ),
            text: format!(
                "Acknowledgement of receipt\n\nWe have received your notification {}. Our reference is {number}; please quote it.\n",
                reading.reference
            ),
            html: None,
            attachments: Vec::new(),
            language: "en".to_owned(),
        };
        let headers = Headers {
            from: Mailbox {
                name: Some("Drill Authority".to_owned()),
                address: ADDRESS.to_owned(),
            },
            reply_to: None,
            to: Mailbox {
                name: None,
                address: reading.sender_address.clone(),
            },
            outer_subject: format!("Your message {}", reading.reference),
            message_id: token::message_id(ADDRESS),
            date: now,
            in_reply_to: Some(reading.message_id.clone()),
            references: vec![reading.message_id.clone()],
            extra: vec![("Auto-Submitted".to_owned(), "auto-replied".to_owned())],
        };
        let sealed = seal::seal(&content, &headers, &self.key, &reading.sender, now)?;
        Ok((number, sealed.mail))
    }
}
