//! The way in: raw bytes are stored before anything is understood, then opened, classified and tied to a notice.
//! What is not clear waits in the tray for a person; nothing is marked, moved or deleted in the mailbox.

use serde::Serialize;

use crate::directory::certificate;
use crate::directory::profile::Profile;
use crate::message::classify::{self, Marks};
use crate::message::open::{self, Opened, Protection, Signature};
use crate::message::rehearsal::Bearing;
use crate::model::id::{Actor, MailId, Reference};
use crate::model::notice::{Acknowledgement, Notice};
use crate::model::proof::Proof;
use crate::model::receipt::ReceiptKind;
use crate::store::{StoreError, StoredMail, Understanding};

use super::checkpoint;
use super::office::{Office, OfficeError};
use super::rehearsal;

/// The largest mail taken in. Authorities' answers are small; a larger one is refused with its size.
pub const MAX_MAIL_BYTES: usize = 32 * 1024 * 1024;

/// The mail could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the mail is {size} bytes; at most {MAX_MAIL_BYTES} are taken in")]
    TooLarge { size: usize },
    #[error("there is no mail: the input is empty")]
    Empty,
    #[error("there is no mail {0}")]
    NoMail(MailId),
}
impl From<StoreError> for IntakeError {
    fn from(source: StoreError) -> Self {
        OfficeError::from(source).into()
    }
}

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ingested {
    pub mail: MailId,
    /// False when the same bytes had come before.
    pub new: bool,
    #[serde(flatten)]
    pub understanding: Understanding,
}

/// Stores a mail and understands it. The same mail twice is harmless: the first understanding is returned.
///
/// # Errors
/// Too large, empty, or the store fails. Once stored, a mail is never lost: what a crash leaves unread is read by the
/// next [`catch_up`].
pub async fn ingest(office: &Office, raw: &[u8], source: &str, by: &Actor) -> Result<Ingested, IntakeError> {
    if raw.is_empty() {
        return Err(IntakeError::Empty);
    }
    if raw.len() > MAX_MAIL_BYTES {
        return Err(IntakeError::TooLarge { size: raw.len() });
    }
    let (mail, new) = office.store.add_mail(raw, source, office.now()).await?;
    if !new
        && let Some(StoredMail {
            understanding: Some(understanding),
            ..
        }) = office.store.find_mail(mail).await?
    {
        return Ok(Ingested {
            mail,
            new,
            understanding,
        });
    }
    let understanding = understand(office, mail, raw, by).await?;
    tracing::info!(
        mail = %mail,
        kind = understanding.kind.name(),
        notice = understanding.notice.as_ref().map(tracing::field::display),
        in_tray = understanding.in_tray,
        "took in a mail"
    );
    Ok(Ingested {
        mail,
        new,
        understanding,
    })
}

/// Understands what was stored and not read before a crash. Returns how many.
///
/// # Errors
/// The store fails.
pub async fn catch_up(office: &Office, by: &Actor) -> Result<usize, IntakeError> {
    let unread = office.store.list_unread().await?;
    for id in &unread {
        let mail = office.store.find_mail(*id).await?.ok_or(IntakeError::NoMail(*id))?;
        understand(office, *id, &mail.raw, by).await?;
    }
    Ok(unread.len())
}

/// Opens a stored mail again, for showing it.
///
/// # Errors
/// No such mail, or the store fails.
pub async fn reopen(office: &Office, id: MailId) -> Result<(StoredMail, Opened), IntakeError> {
    let mail = office.store.find_mail(id).await?.ok_or(IntakeError::NoMail(id))?;
    let opened = open_mail(office, &mail.raw).await?;
    Ok((mail, opened))
}

async fn open_mail(office: &Office, raw: &[u8]) -> Result<Opened, IntakeError> {
    let mut pinned = Vec::new();
    for pin in office.store.list_pins().await? {
        // A pin that cannot be read any more verifies nothing; `doctor` names it.
        pinned.extend(certificate::read_one(&pin.certificate));
    }
    let our = match office.our_key().await {
        Ok(our) => Some(our),
        Err(error) => {
            tracing::warn!(error = %error, "encrypted mail cannot be opened without our key");
            None
        }
    };
    let (raw, now) = (raw.to_vec(), office.now());
    let opened = tokio::task::spawn_blocking(move || open::open(&raw, our.as_deref(), &pinned, now));
    Ok(opened.await.expect("opening a mail does not panic"))
}

async fn understand(office: &Office, id: MailId, raw: &[u8], by: &Actor) -> Result<Understanding, IntakeError> {
    let opened = open_mail(office, raw).await?;
    let marks = classify::marks(&opened);
    if let Some(bearing) = rehearsal::recognise(office, &opened, &marks).await.map_err(OfficeError::from)? {
        return book_rehearsal(office, id, &opened, bearing, by).await;
    }
    let notice = find_notice(office, &marks).await?;
    let profile = notice
        .as_ref()
        .and_then(|notice| office.directory.find(&notice.authority).ok());
    let verdict = classify::judge(&opened, &marks, profile.as_ref());
    let signed_by = signer(office, &opened, profile.as_ref()).await?;
    let bad_signature = opened.signature == Signature::Bad;
    let acknowledged = verdict.kind == ReceiptKind::Acknowledgement && !bad_signature;
    let mut why = verdict.why;
    if bad_signature {
        why.push_str("; its OpenPGP signature is bad");
    }
    if let Protection::Undecryptable(reason) = &opened.protection {
        why.push_str(&format!("; it is encrypted and could not be opened: {reason}"));
    }
    if opened.protection == Protection::SMime {
        why.push_str("; it is S/MIME, which is not opened here");
    }
    let understanding = Understanding {
        kind: if bad_signature && verdict.kind == ReceiptKind::Acknowledgement {
            ReceiptKind::Reply
        } else {
            verdict.kind
        },
        notice: notice.as_ref().map(|notice| notice.reference.clone()),
        why,
        in_tray: !acknowledged,
        authority_reference: verdict.authority_reference.filter(|_| acknowledged),
        signed_by: signed_by.clone(),
        encrypted: opened.protection == Protection::Encrypted,
    };
    let now = office.now();
    let acknowledgement = acknowledged.then(|| Acknowledgement {
        at: now,
        proof: match signed_by {
            Some(by) => Proof::Signed { by, mail: id },
            None => Proof::Threaded { mail: id },
        },
        authority_reference: understanding.authority_reference.clone(),
        mail: Some(id),
    });
    office
        .store
        .understood(id, understanding.clone(), acknowledgement, by, now)
        .await?;
    if acknowledged && let Err(error) = checkpoint::write(office).await {
        tracing::error!(error = %error, "the journal's checkpoint could not be written");
    }
    Ok(understanding)
}

/// A mail of our own rehearsals belongs to no notice and waits for nobody.
async fn book_rehearsal(
    office: &Office,
    id: MailId,
    opened: &Opened,
    bearing: Bearing,
    by: &Actor,
) -> Result<Understanding, IntakeError> {
    let understanding = Understanding {
        kind: ReceiptKind::Other,
        notice: None,
        why: rehearsal::why(bearing).to_owned(),
        in_tray: false,
        authority_reference: None,
        signed_by: None,
        encrypted: opened.protection == Protection::Encrypted,
    };
    let now = office.now();
    office.store.understood(id, understanding.clone(), None, by, now).await?;
    Ok(understanding)
}

/// By reference, then by the Message-IDs it answers (design: matching order).
async fn find_notice(office: &Office, marks: &Marks) -> Result<Option<Notice>, IntakeError> {
    for reference in &marks.references {
        if let Some(notice) = find_filed(office, reference).await? {
            return Ok(Some(notice));
        }
    }
    for message_id in &marks.answers {
        if let Some(notice) = office.store.find_notice_by_message_id(message_id).await? {
            return Ok(Some(notice));
        }
    }
    Ok(None)
}

/// A draft was never sent: nobody can answer it.
async fn find_filed(office: &Office, reference: &Reference) -> Result<Option<Notice>, IntakeError> {
    Ok(office
        .store
        .find_notice(reference)
        .await?
        .filter(|notice| notice.draft_reason.is_none()))
}

/// The fingerprint of a good signature, when it is by the certificate pinned for this authority.
async fn signer(office: &Office, opened: &Opened, profile: Option<&Profile>) -> Result<Option<String>, IntakeError> {
    let (Signature::Good { fingerprint }, Some(profile)) = (&opened.signature, profile) else {
        return Ok(None);
    };
    let pin = office.store.find_pin(&profile.id).await?;
    Ok(pin
        .filter(|pin| pin.fingerprint == *fingerprint)
        .map(|pin| pin.fingerprint))
}
