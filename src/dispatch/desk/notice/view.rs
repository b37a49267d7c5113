//! A notice as shown: what is stored of it, how far it has got, what that proves, and the call sheet.

use serde::Serialize;

use crate::dispatch::desk::conversation::{self, InquiryView};
use crate::dispatch::desk::ladder::Ladder;
use crate::dispatch::desk::{DeskError, breach};
use crate::dispatch::office::Office;
use crate::model::Time;
use crate::model::delivery::{DeliveryState, HoldReason};
use crate::model::id::{Actor, BreachId, DeliveryId, MailId, Reference};
use crate::model::notice::{Acknowledgement, Notice, NoticeChannel, NoticeKind, NoticeState, Protection};
use crate::model::receipt::ReceiptKind;
use crate::store::{Attempt, DeliveryReport, StoredDelivery};

/// A notice as shown: what is stored, how far it has got, every attempt.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeView {
    pub reference: Reference,
    pub breach: BreachId,
    pub authority: String,
    pub sequence: u32,
    pub kind: NoticeKind,
    pub channel: NoticeChannel,
    pub language: String,
    pub state: NoticeState,
    /// What that state proves, in plain words.
    pub meaning: &'static str,
    pub prior: Option<Reference>,
    pub delivery: Option<DeliveryId>,
    pub message_id: Option<String>,
    pub authority_reference: Option<String>,
    pub protection: Option<Protection>,
    pub content_sha256: Option<String>,
    pub filed_at: Time,
    pub filed_by: Actor,
    pub possibly_twice: bool,
    pub next_attempt: Option<Time>,
    pub attempts: Vec<Attempt>,
    pub acknowledgement: Option<Acknowledgement>,
    pub draft_reason: Option<String>,
    /// What it waits for, where it is held.
    pub held: Option<HoldReason>,
    /// The authority's mail that it answers.
    pub answers: Option<MailId>,
    /// What was reported after it had left.
    pub reports: Vec<DeliveryReport>,
    /// The mails tied to it.
    pub mails: Vec<MailLine>,
    /// The authority's questions about it, open and closed.
    pub inquiries: Vec<InquiryView>,
    /// What to do now, where it came back or was refused.
    pub ladder: Option<Ladder>,
}

/// A mail tied to a notice.
#[derive(Debug, Clone, Serialize)]
pub struct MailLine {
    pub mail: MailId,
    pub received_at: Time,
    pub kind: Option<ReceiptKind>,
    pub in_tray: bool,
}

impl NoticeView {
    /// Whether only a content-free mail went out: the authority does not have the notice then.
    pub fn is_stub(&self) -> bool {
        matches!(self.protection, Some(Protection::Stub))
    }

    /// Whether it opens only with a passphrase that somebody tells by telephone.
    pub fn needs_passphrase(&self) -> bool {
        matches!(self.protection, Some(Protection::Passphrase { .. }))
    }
}

/// One stored notice.
///
/// # Errors
/// No such notice, or the store fails.
pub async fn find(office: &Office, reference: &Reference) -> Result<Notice, DeskError> {
    office
        .store
        .find_notice(reference)
        .await?
        .ok_or_else(|| DeskError::NoNotice(reference.clone()))
}

/// One notice as it stands now.
///
/// # Errors
/// As [`find`].
pub async fn show(office: &Office, reference: &Reference) -> Result<NoticeView, DeskError> {
    let notice = find(office, reference).await?;
    view(office, notice).await
}

/// All notices of a breach, or of all breaches, oldest first.
///
/// # Errors
/// The store fails.
pub async fn list(office: &Office, of: Option<BreachId>) -> Result<Vec<NoticeView>, DeskError> {
    let mut views = Vec::new();
    for notice in office.store.list_notices(of).await? {
        views.push(view(office, notice).await?);
    }
    Ok(views)
}

/// The plain content of a notice, as it was sealed.
///
/// # Errors
/// No such notice, or the store fails.
pub async fn content(office: &Office, reference: &Reference) -> Result<Vec<u8>, DeskError> {
    office
        .store
        .notice_content(reference)
        .await?
        .ok_or_else(|| DeskError::NoNotice(reference.clone()))
}

async fn view(office: &Office, notice: Notice) -> Result<NoticeView, DeskError> {
    let delivery: Option<StoredDelivery> = match notice.delivery {
        Some(id) => office.store.find_delivery(id).await?,
        None => None,
    };
    let held = delivery.as_ref().and_then(|delivery| match &delivery.state {
        DeliveryState::Held { why } => Some(why.clone()),
        _ => None,
    });
    let state = notice.state(delivery.as_ref().map(|delivery| &delivery.state));
    let reports = match notice.delivery {
        Some(id) => office.store.list_reports(id).await?,
        None => Vec::new(),
    };
    let mails = office.store.list_mails_of(&notice.reference).await?;
    let mails = mails.into_iter().map(|mail| MailLine {
        mail: mail.id,
        received_at: mail.received_at,
        kind: mail.understanding.map(|understanding| understanding.kind),
        in_tray: mail.in_tray,
    });
    Ok(NoticeView {
        reports,
        mails: mails.collect(),
        inquiries: conversation::inquiries_of(office, &notice.reference).await?,
        ladder: way_on(office, &notice, state).await?,
        answers: notice.answers,
        state,
        meaning: meaning(state, &notice, held.as_ref()),
        held,
        authority_reference: notice
            .acknowledgement
            .as_ref()
            .and_then(|ack| ack.authority_reference.clone())
            .or_else(|| notice.outside_reference.clone()),
        possibly_twice: delivery.as_ref().is_some_and(|delivery| delivery.possibly_twice),
        next_attempt: delivery.as_ref().and_then(|delivery| delivery.state.next_try()),
        attempts: delivery.map(|delivery| delivery.attempts).unwrap_or_default(),
        reference: notice.reference,
        breach: notice.breach,
        authority: notice.authority,
        sequence: notice.sequence,
        kind: notice.kind,
        channel: notice.channel,
        language: notice.language,
        prior: notice.prior,
        delivery: notice.delivery,
        message_id: notice.message_id,
        protection: notice.protection,
        content_sha256: notice.content_sha256,
        filed_at: notice.filed_at,
        filed_by: notice.filed_by,
        acknowledgement: notice.acknowledgement,
        draft_reason: notice.draft_reason,
    })
}

/// What to do with a notice that was refused or came back.
async fn way_on(office: &Office, notice: &Notice, state: NoticeState) -> Result<Option<Ladder>, DeskError> {
    let Some(profile) = office
        .directory
        .find(&notice.authority)
        .ok()
        .filter(|_| state == NoticeState::Failed)
    else {
        return Ok(None);
    };
    let (record, now) = (breach::find(office, notice.breach).await?.record, office.now());
    let deadline = breach::clock(&record, profile.timezone(), now).map(|clock| clock.strict);
    let ladder = Ladder::for_returned(&profile, notice.breach, &notice.reference, deadline, now);
    Ok(Some(ladder))
}

/// A stub is not the notice, whether it was handed over or confirmed, and of another channel we know what a person says.
fn meaning(state: NoticeState, notice: &Notice, held: Option<&HoldReason>) -> &'static str {
    match (state, &notice.protection) {
        (NoticeState::Held, _) if held == Some(&HoldReason::Approval) => {
            "sealed and not sent: a second person must approve it"
        }
        (NoticeState::Handed, _) if notice.channel != NoticeChannel::Email => {
            "handed over by another channel, as a person of ours booked it; the authority has not confirmed it yet"
        }
        (NoticeState::Handed | NoticeState::Delivered, Some(Protection::Stub)) => {
            "only a content-free mail was handed over: the authority does not have the notice yet"
        }
        (NoticeState::Acknowledged, Some(Protection::Stub)) => {
            "the authority has confirmed the content-free mail alone: it does not have the notice yet"
        }
        _ => state.meaning(),
    }
}

/// What the person who telephones needs in front of them.
#[derive(Debug, Clone, Serialize)]
pub struct CallSheet {
    pub reference: Reference,
    pub authority: String,
    /// The number, with its hours where they are known; `None` when no source names one.
    pub call: Option<String>,
    /// Who calls for us, and how to be called back.
    pub caller: String,
    /// What to read out, a line each.
    pub say: Vec<String>,
    /// What to write down and book.
    pub note: Vec<String>,
    /// Told by telephone only, where the notice was sealed with one.
    pub passphrase: Option<String>,
}

/// The call sheet of a notice.
///
/// # Errors
/// No such notice, an authority that has no profile any more, or the store fails.
pub async fn call_sheet(office: &Office, reference: &Reference) -> Result<CallSheet, DeskError> {
    let shown = show(office, reference).await?;
    let profile = office.directory.find(&shown.authority).map_err(DeskError::Authority)?;
    let found = breach::find(office, shown.breach).await?;
    let record = &found.record;
    let contact = record.contact.clone().or_else(|| office.usual_contact());
    let caller = contact.map_or_else(String::new, |contact| {
        [contact.name, contact.phone, contact.email]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    });
    let organisation = record
        .controller
        .name
        .clone()
        .unwrap_or_else(|| office.config.organisation.name.as_str().to_owned());
    let mut say = vec![
        format!(
            "We are {}. We notify a personal data breach (GDPR Art. 33).",
            organisation.trim_end_matches('.')
        ),
        format!("Our reference is {reference}."),
    ];
    match (&shown.protection, shown.state) {
        (Some(Protection::Passphrase { .. }), _) => {
            say.push("We have sent you encrypted files by e-mail. I will now tell you the passphrase.".to_owned());
        }
        (Some(Protection::Stub), _) | (None, _) => {
            say.push("We cannot encrypt to you. How may we hand over the notice now?".to_owned());
        }
        (_, NoticeState::Failed) => {
            say.push(
                "Our encrypted e-mail to you came back. Which address takes it, or how may we hand it over?".to_owned(),
            );
        }
        (_, NoticeState::Acknowledged) => say.push("You have confirmed receipt; we call about a question.".to_owned()),
        _ => say.push("Has our encrypted e-mail arrived, and can you open it?".to_owned()),
    }
    if let Some(clock) = breach::clock(record, profile.timezone(), office.now()) {
        say.push(format!(
            "We became aware on {}; the 72 hours end on {} ({}).",
            crate::model::time::show_local(clock.aware_at, profile.timezone()),
            clock.strict_local,
            clock.left
        ));
    }
    let theirs = shown.authority_reference.as_deref().unwrap_or("NUMBER");
    let (breach, to) = (shown.breach, &shown.authority);
    let outcome = match shown.protection {
        // What they confirm then is that we called, and not that they have the notice.
        Some(Protection::Stub) | None => format!(
            "handed over in the call: breachpost notice record {breach} --to {to} --channel phone --reference {theirs}"
        ),
        _ => format!("receipt confirmed: breachpost notice ack {reference} --attested --reference {theirs}"),
    };
    Ok(CallSheet {
        authority: profile.name("en").to_owned(),
        call: profile.phone().map(|phone| match &phone.hours {
            Some(hours) => format!("{} ({hours})", phone.value),
            None => format!("{} (hours not known)", phone.value),
        }),
        caller,
        say,
        note: vec![
            "date and time, and the name of the person you spoke to".to_owned(),
            "their reference number, and what they asked for".to_owned(),
            format!("then: breachpost breach log {breach} --kind call --text 'WHO SAID WHAT'"),
            outcome,
        ],
        passphrase: office
            .store
            .notice_passphrase(reference)
            .await?
            .map(|secret| secret.expose().to_owned()),
        reference: shown.reference,
    })
}
