//! What persons book: a notice that went by another channel, an acknowledgement they hold in their hand, a withdrawal,
//! another try.

use crate::directory::certificate;
use crate::dispatch::desk::{DeskError, breach};
use crate::dispatch::office::Office;
use crate::message::token;
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, BreachId, Reference};
use crate::model::notice::{Acknowledgement, NoticeChannel, NoticeKind, NoticeState, Protection};
use crate::model::proof::Proof;
use crate::store::NewNotice;

use super::choose::{earlier_notices, reference_for};
use super::view::{NoticeView, find, show};

/// A notice that went by another channel, as a person tells it.
#[derive(Debug, Clone)]
pub struct Record {
    pub breach: BreachId,
    pub authority: String,
    pub channel: NoticeChannel,
    pub kind: Option<NoticeKind>,
    /// The number the authority or the portal gave.
    pub outside_reference: Option<String>,
    pub note: Option<String>,
    pub at: Option<Time>,
    pub proof_file: Option<(String, Vec<u8>)>,
}

/// Books a notice that went by portal, form, telephone, post or hand.
///
/// # Errors
/// Unknown breach or authority, or the store fails.
pub async fn record(office: &Office, record: Record, by: &Actor) -> Result<NoticeView, DeskError> {
    let now = office.now();
    let found = breach::find(office, record.breach).await?;
    let profile = office.directory.find(&record.authority).map_err(DeskError::Authority)?;
    if record.at.is_some_and(|at| at > now) {
        return Err(DeskError::Refused(
            "what is booked must have happened: the time lies in the future".to_owned(),
        ));
    }
    let earlier = earlier_notices(office, record.breach, &profile.id).await?;
    let kind = record
        .kind
        .unwrap_or(match (earlier.filed.is_empty(), found.record.is_complete()) {
            (true, true) => NoticeKind::Complete,
            (true, false) => NoticeKind::Preliminary,
            (false, _) => NoticeKind::Supplementary,
        });
    let reference = reference_for(office, &earlier).await?;
    let content = record.note.clone().unwrap_or_default().into_bytes();
    let notice = NewNotice {
        reference: reference.clone(),
        breach: record.breach,
        authority: profile.id.clone(),
        kind,
        channel: record.channel,
        language: String::new(),
        prior: earlier.filed.last().map(|notice| notice.reference.clone()),
        message_id: None,
        protection: Some(Protection::Outside),
        content_sha256: token::sha256_hex(&content),
        content,
        mail: None,
        outside_reference: record.outside_reference,
        proof_file: record.proof_file,
        handed_at: record.at,
        decision: None,
        hold: None,
        passphrase: None,
        answers: None,
    };
    office.store.file_notice(notice, by, now).await?;
    show(office, &reference).await
}

/// Books an acknowledgement that a person attests (a letter, a call, a portal's page).
///
/// # Errors
/// No such notice, a draft, or the store fails.
pub async fn attest(
    office: &Office,
    reference: &Reference,
    authority_reference: Option<String>,
    proof_file: Option<(String, Vec<u8>)>,
    by: &Actor,
) -> Result<NoticeView, DeskError> {
    let notice = find(office, reference).await?;
    if notice.draft_reason.is_some() || notice.withdrawn_at.is_some() {
        let what = if notice.withdrawn_at.is_some() {
            "was withdrawn"
        } else {
            "is a draft that was never sent"
        };
        return Err(DeskError::Refused(format!(
            "{reference} {what}; there is nothing to acknowledge"
        )));
    }
    let file_sha256 = proof_file.as_ref().map(|(_, bytes)| token::sha256_hex(bytes));
    let acknowledgement = Acknowledgement {
        at: office.now(),
        proof: Proof::Attested {
            by: by.clone(),
            file_sha256,
        },
        authority_reference,
        mail: None,
    };
    office
        .store
        .acknowledge(reference, acknowledgement, proof_file, by, office.now())
        .await?;
    show(office, reference).await
}

/// Calls off a draft or a notice that has not been handed over.
///
/// # Errors
/// It has left already: then a notice of kind `withdrawal` must be sent.
pub async fn withdraw(office: &Office, reference: &Reference, by: &Actor) -> Result<NoticeView, DeskError> {
    let view = show(office, reference).await?;
    match view.state {
        NoticeState::Draft | NoticeState::Held | NoticeState::Queued | NoticeState::InDoubt => {
            office.store.withdraw(reference, by, office.now()).await?;
            show(office, reference).await
        }
        NoticeState::Withdrawn => Ok(view),
        _ => Err(DeskError::Refused(format!(
            "{reference} has left already; to withdraw it, send a notice: breachpost notice send {} --to {} --kind withdrawal --text REASON",
            view.breach, view.authority
        ))),
    }
}

/// The second person agrees: the notice goes on its way exactly as it was sealed.
///
/// # Errors
/// It does not wait for that, the same person has filed it, or the certificate it was sealed to is not the authority's
/// any more.
pub async fn approve(office: &Office, reference: &Reference, by: &Actor) -> Result<NoticeView, DeskError> {
    let view = show(office, reference).await?;
    if view.held != Some(HoldReason::Approval) {
        return Err(DeskError::Refused(format!(
            "{reference} does not wait for an approval; it is {}: {}",
            view.state.name(),
            view.meaning
        )));
    }
    if view.filed_by == *by {
        return Err(DeskError::Refused(format!(
            "{by} has filed {reference}; a second person must approve it, with a token of their own: breachpost user add NAME"
        )));
    }
    if let Some(Protection::PgpMime { recipient, .. } | Protection::EncryptedFiles { recipient, .. }) = &view.protection
        && !is_still_theirs(office, &view.authority, recipient).await?
    {
        return Err(DeskError::Refused(format!(
            "the certificate of {} was changed or revoked since {reference} was sealed; call it off (breachpost notice withdraw {reference}) and send it anew",
            view.authority
        )));
    }
    office.store.approve_notice(reference, by, office.now()).await?;
    show(office, reference).await
}

/// Whether this is still the authority's pin, and not revoked. An expiry since then does not matter (design: when sealed).
async fn is_still_theirs(office: &Office, authority: &str, fingerprint: &str) -> Result<bool, DeskError> {
    let Some(pin) = office.store.find_pin(authority).await? else {
        return Ok(false);
    };
    let judged = certificate::read_one(&pin.certificate)
        .and_then(|cert| certificate::judge_despite_expiry(&cert, None, office.now()));
    Ok(pin.fingerprint == fingerprint && judged.is_ok())
}

/// Tries a held, failed, doubtful or waiting delivery again, now: a person's decision.
///
/// # Errors
/// It was not filed by e-mail, or has been handed over.
pub async fn retry(office: &Office, reference: &Reference, by: &Actor) -> Result<NoticeView, DeskError> {
    let view = show(office, reference).await?;
    let Some(delivery) = view.delivery else {
        return Err(DeskError::Refused(format!(
            "{reference} was not queued; send it with `breachpost notice send`"
        )));
    };
    match view.state {
        NoticeState::Held if view.held == Some(HoldReason::Approval) => Err(DeskError::Refused(format!(
            "{reference} waits for a second person: breachpost notice approve {reference}"
        ))),
        NoticeState::Held | NoticeState::Failed | NoticeState::InDoubt | NoticeState::Queued => {
            office.store.retry_now(delivery, by, office.now()).await?;
            show(office, reference).await
        }
        state => Err(DeskError::Refused(format!(
            "{reference} is {}: {}",
            state.name(),
            view.meaning
        ))),
    }
}
