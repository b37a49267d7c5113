//! The tray and the conversation: what waits for a person, what a person decides about a mail, and the questions of
//! authorities that wait for an answer.

use chrono_tz::Tz;
use serde::Serialize;

use crate::dispatch::causes::chain;
use crate::dispatch::matching::{self, Match};
use crate::dispatch::office::Office;
use crate::dispatch::{booking, checkpoint, intake};
use crate::message::classify;
use crate::message::open::{Opened, Protection};
use crate::message::report::Report;
use crate::model::Time;
use crate::model::id::{Actor, BreachId, CampaignId, DeliveryId, MailId, Reference};
use crate::model::inquiry::Inquiry;
use crate::model::notice::{Acknowledgement, Notice};
use crate::model::proof::Proof;
use crate::model::receipt::{Certainty, Mark, ReceiptKind, ReportAction};
use crate::model::time::show_left;
use crate::store::{
    Consequences, HowSettled, NewInquiry, NewReport, Settled, StoredDelivery, StoredMail, Understanding,
};

use super::DeskError;

/// A mail that waits for a person.
#[derive(Debug, Clone, Serialize)]
pub struct TrayLine {
    pub mail: MailId,
    pub received_at: Time,
    pub kind: Option<ReceiptKind>,
    pub notice: Option<Reference>,
    /// The campaign whose message to one person it is about, and that message.
    pub campaign: Option<CampaignId>,
    pub delivery: Option<DeliveryId>,
    /// Notices it may belong to: only its sender and the time fit.
    pub proposed: Vec<Reference>,
    pub why: String,
    /// What is proven about its sender.
    pub authenticity: String,
    /// When an answer is due, where it asks something.
    pub due: Option<Time>,
    /// What to do, in words, and the commands for it, the usual one first.
    pub todo: &'static str,
    pub commands: Vec<String>,
}

/// A question as shown.
#[derive(Debug, Clone, Serialize)]
pub struct InquiryView {
    #[serde(flatten)]
    pub inquiry: Inquiry,
    /// Such as `25 h 12 min left`.
    pub left: String,
    /// How to answer it.
    pub command: String,
}

/// What waits for a person, oldest first.
///
/// # Errors
/// The store fails.
pub async fn tray(office: &Office) -> Result<Vec<TrayLine>, DeskError> {
    let inquiries = office.store.list_inquiries(true).await?;
    let mut lines = Vec::new();
    for mail in office.store.list_tray().await? {
        let inquiry = inquiries.iter().find(|inquiry| inquiry.mail == mail.id);
        let delivery = mail.understanding.as_ref().and_then(|known| known.delivery);
        let delivery = match delivery {
            Some(id) => office.store.find_delivery(id).await?,
            None => None,
        };
        let campaign = delivery.and_then(|delivery| delivery.campaign);
        lines.push(tray_line(mail, inquiry, campaign));
    }
    Ok(lines)
}

fn tray_line(mail: StoredMail, inquiry: Option<&Inquiry>, campaign: Option<CampaignId>) -> TrayLine {
    let id = mail.id;
    let show = format!("breachpost mailbox show {id}");
    let done = format!("breachpost mailbox done {id} --reason WHY");
    let (todo, commands) = match (&mail.understanding, inquiry) {
        (_, Some(inquiry)) => (
            "read it and answer, or say why it needs no answer",
            vec![show, answer(inquiry), done],
        ),
        (Some(known), None) if known.notice.is_some() || known.delivery.is_some() => {
            let target = known.notice.as_ref().map(ToString::to_string);
            let target = target
                .or_else(|| known.delivery.map(|id| id.to_string()))
                .unwrap_or_default();
            let attach = format!("breachpost mailbox match {id} {target} --as {}", suggested(known.kind));
            (
                "read it; then attach it as what it is, or put it aside",
                vec![show, attach, done],
            )
        }
        (Some(known), None) if !known.proposed.is_empty() => {
            let matches = known
                .proposed
                .iter()
                .map(|reference| format!("breachpost mailbox match {id} {reference}"));
            let commands = [show].into_iter().chain(matches).chain([done]).collect();
            (
                "read it; its sender fits a notice, but nothing in it says which: attach it or put it aside",
                commands,
            )
        }
        _ => (
            "read it; attach it if it belongs to a notice or delivery, or put it aside",
            vec![show, format!("breachpost mailbox match {id} REFERENCE"), done],
        ),
    };
    let known = mail.understanding;
    TrayLine {
        mail: id,
        received_at: mail.received_at,
        kind: known.as_ref().map(|known| known.kind),
        notice: known.as_ref().and_then(|known| known.notice.clone()),
        campaign,
        delivery: known.as_ref().and_then(|known| known.delivery),
        proposed: known.as_ref().map(|known| known.proposed.clone()).unwrap_or_default(),
        authenticity: known
            .as_ref()
            .map(|known| known.authenticity.words())
            .unwrap_or_default(),
        why: known.map_or_else(|| "not understood yet".to_owned(), |known| known.why),
        due: inquiry.map(|inquiry| inquiry.due),
        todo,
        commands,
    }
}

/// As what a mail would be attached that is tied, but not believed or not clear.
fn suggested(kind: ReceiptKind) -> &'static str {
    match kind {
        ReceiptKind::Other => ReceiptKind::Reply.name(),
        kind => kind.name(),
    }
}

/// The command that answers a question.
pub fn answer(inquiry: &Inquiry) -> String {
    format!(
        "breachpost notice send {} --to {} --kind answer --in-reply-to {} --text-file FILE",
        inquiry.breach, inquiry.authority, inquiry.mail
    )
}

/// Questions that wait for an answer, the one due first first.
///
/// # Errors
/// The store fails.
pub async fn open_inquiries(office: &Office) -> Result<Vec<InquiryView>, DeskError> {
    let now = office.now();
    let open = office.store.list_inquiries(true).await?;
    Ok(open.into_iter().map(|inquiry| view(inquiry, now)).collect())
}

/// All questions about a notice, open and closed.
///
/// # Errors
/// The store fails.
pub async fn inquiries_of(office: &Office, notice: &Reference) -> Result<Vec<InquiryView>, DeskError> {
    inquiries_where(office, |inquiry| inquiry.notice == *notice).await
}

/// All questions about a breach, open and closed.
///
/// # Errors
/// The store fails.
pub async fn inquiries_about(office: &Office, breach: BreachId) -> Result<Vec<InquiryView>, DeskError> {
    inquiries_where(office, |inquiry| inquiry.breach == breach).await
}

/// The question that a mail asks, if it asks one.
///
/// # Errors
/// The store fails.
pub async fn inquiry_of(office: &Office, mail: MailId) -> Result<Option<InquiryView>, DeskError> {
    let found = office.store.find_inquiry(mail).await?;
    Ok(found.map(|inquiry| view(inquiry, office.now())))
}

/// The zone of the authority that a target concerns, else ours.
///
/// # Errors
/// The store fails.
pub async fn zone_of(office: &Office, to: &Target) -> Result<Tz, DeskError> {
    let Target::Notice(reference) = to else {
        return Ok(office.zone());
    };
    let notice = office.store.find_notice(reference).await?;
    let profile = notice.and_then(|notice| office.directory.find(&notice.authority).ok());
    Ok(profile.map_or_else(|| office.zone(), |profile| profile.timezone()))
}

async fn inquiries_where(office: &Office, fits: impl Fn(&Inquiry) -> bool) -> Result<Vec<InquiryView>, DeskError> {
    let now = office.now();
    let all = office.store.list_inquiries(false).await?;
    Ok(all.into_iter().filter(fits).map(|inquiry| view(inquiry, now)).collect())
}

fn view(inquiry: Inquiry, now: Time) -> InquiryView {
    InquiryView {
        left: show_left(now, inquiry.due),
        command: answer(&inquiry),
        inquiry,
    }
}

/// A stored mail and what it says, opened again.
///
/// # Errors
/// No such mail, or the store fails.
pub async fn reopen(office: &Office, mail: MailId) -> Result<(StoredMail, Opened), DeskError> {
    match intake::reopen(office, mail).await {
        Ok(found) => Ok(found),
        Err(intake::IntakeError::NoMail(id)) => Err(DeskError::NoMail(id)),
        Err(intake::IntakeError::Office(error)) => Err(error.into()),
        Err(error) => Err(DeskError::Refused(error.to_string())),
    }
}

/// What a mail is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Notice(Reference),
    Delivery(DeliveryId),
}

/// A person's decision about where a mail belongs.
#[derive(Debug, Clone)]
pub struct Attach {
    pub mail: MailId,
    pub to: Target,
    /// As what; else as what it was understood to be.
    pub kind: Option<ReceiptKind>,
    /// When an answer is due, for a reply.
    pub due: Option<Time>,
    /// It orders us to inform the persons concerned (GDPR Art. 34(4)).
    pub order: bool,
    pub reason: Option<String>,
}

/// What became of a mail that was attached.
#[derive(Debug, Clone, Serialize)]
pub struct Attached {
    pub mail: MailId,
    pub kind: ReceiptKind,
    pub notice: Option<Reference>,
    pub delivery: Option<DeliveryId>,
    /// The question it opened or changed.
    pub inquiry: Option<InquiryView>,
}

/// Attaches a mail to a notice or a delivery: a person's journalled decision, which takes it out of the tray and books
/// what it means.
///
/// # Errors
/// No such mail, notice or delivery; a kind that does not fit the target.
pub async fn attach(office: &Office, attach: Attach, by: &Actor) -> Result<Attached, DeskError> {
    let (stored, opened) = reopen(office, attach.mail).await?;
    let found = target(office, &attach.to).await?;
    let before = stored.understanding.clone();
    let kind = kind_of(&attach, before.as_ref());
    if found.notice.is_none() && kind == ReceiptKind::Acknowledgement {
        return Err(DeskError::Refused(
            "only an authority acknowledges; attach it as reply, bounce, delivered or another".to_owned(),
        ));
    }
    if attach.order && (kind != ReceiptKind::Reply || found.notice.is_none()) {
        return Err(DeskError::Refused(
            "an order comes in a reply about a notice: --as reply and a REFERENCE".to_owned(),
        ));
    }
    let now = office.now();
    let marks = classify::marks(&opened);
    let consequences = follow(
        office,
        &attach,
        kind,
        &stored,
        &opened,
        marks.report.as_ref(),
        &found,
        by,
    )
    .await?;
    let acknowledged = consequences.acknowledgement.is_some();
    let understanding = understood(office, kind, before, &opened, &stored, &found).await?;
    let settled = Settled {
        at: now,
        by: by.clone(),
        how: HowSettled::Matched,
        reason: attach.reason.clone(),
    };
    office
        .store
        .settle(attach.mail, understanding, consequences, settled)
        .await?;
    office.nudge();
    if acknowledged && let Err(error) = checkpoint::write(office).await {
        tracing::error!(error = chain(&error), "the journal's checkpoint could not be written");
    }
    let inquiry = office.store.find_inquiry(attach.mail).await?;
    Ok(Attached {
        mail: attach.mail,
        kind,
        notice: found.notice.map(|notice| notice.reference),
        delivery: found.delivery.map(|delivery| delivery.id),
        inquiry: inquiry
            .filter(|inquiry| inquiry.closed.is_none())
            .map(|inquiry| view(inquiry, now)),
    })
}

/// An order is a reply whatever the program took it for.
fn kind_of(attach: &Attach, before: Option<&Understanding>) -> ReceiptKind {
    let understood = before.map_or(ReceiptKind::Other, |before| before.kind);
    match attach.kind {
        Some(kind) => kind,
        None if attach.order || attach.due.is_some() || understood == ReceiptKind::Other => ReceiptKind::Reply,
        None => understood,
    }
}

async fn target(office: &Office, to: &Target) -> Result<Match, DeskError> {
    match to {
        Target::Notice(reference) => {
            let notice = super::notice::find(office, reference).await?;
            sent(&notice)?;
            Ok(matching::of_notice(office, notice).await?)
        }
        Target::Delivery(id) => {
            let delivery = office
                .store
                .find_delivery(*id)
                .await?
                .ok_or(DeskError::NoDelivery(*id))?;
            let notice = match &delivery.notice {
                Some(reference) => Some(super::notice::find(office, reference).await?),
                None => None,
            };
            Ok(Match {
                notice,
                delivery: Some(delivery),
                ..Match::default()
            })
        }
    }
}

fn sent(notice: &Notice) -> Result<(), DeskError> {
    if notice.draft_reason.is_some() {
        return Err(DeskError::Refused(format!(
            "{} is a draft that was never sent; nobody can answer it",
            notice.reference
        )));
    }
    Ok(())
}

/// What is booked when a person says what a mail is.
#[expect(
    clippy::too_many_arguments,
    reason = "what the mail is, what it belongs to and who says so, each looked up once"
)]
async fn follow(
    office: &Office,
    attach: &Attach,
    kind: ReceiptKind,
    stored: &StoredMail,
    opened: &Opened,
    report: Option<&Report>,
    found: &Match,
    by: &Actor,
) -> Result<Consequences, DeskError> {
    let mut consequences = Consequences::default();
    let profile = found
        .notice
        .as_ref()
        .and_then(|notice| office.directory.find(&notice.authority).ok());
    let action = match kind {
        ReceiptKind::Acknowledgement => {
            let (proof, theirs) = confirmed_by(office, stored, opened, found, by).await?;
            consequences.acknowledgement = Some(Acknowledgement {
                at: office.now(),
                proof,
                authority_reference: theirs,
                mail: Some(attach.mail),
            });
            return Ok(consequences);
        }
        ReceiptKind::Reply if found.notice.is_some() => {
            let known = office.store.find_inquiry(attach.mail).await?;
            let usual = known.map_or_else(|| intake::due(profile.as_ref(), stored.received_at), |known| known.due);
            consequences.inquiry = Some(NewInquiry {
                due: attach.due.unwrap_or(usual),
                order: attach.order,
            });
            return Ok(consequences);
        }
        ReceiptKind::Bounce => ReportAction::Failed,
        ReceiptKind::Delay => ReportAction::Delayed,
        ReceiptKind::Delivered => ReportAction::Delivered,
        ReceiptKind::Reply | ReceiptKind::Autoreply | ReceiptKind::Report | ReceiptKind::Other => {
            return Ok(consequences);
        }
    };
    let delivery = found.delivery.as_ref().ok_or_else(|| {
        DeskError::Refused("this notice went by another channel: no mail of it can have come back".to_owned())
    })?;
    consequences.reports.push(reported(action, report, delivery, attach));
    Ok(consequences)
}

/// What the report says of that action, else the person's word.
fn reported(action: ReportAction, report: Option<&Report>, delivery: &StoredDelivery, attach: &Attach) -> NewReport {
    let said = report.and_then(|report| booking::about(report, delivery, action));
    said.unwrap_or_else(|| NewReport {
        action,
        status: None,
        diagnostic: Some(match &attach.reason {
            Some(reason) => format!("a person matched {}: {reason}", attach.mail),
            None => format!("a person matched {}", attach.mail),
        }),
    })
}

/// What an acknowledgement rests on that a person attaches: a signature; the mail's own tie to this notice with a sender
/// of the authority; else the person's word, with the mail as evidence.
async fn confirmed_by(
    office: &Office,
    stored: &StoredMail,
    opened: &Opened,
    found: &Match,
    by: &Actor,
) -> Result<(Proof, Option<String>), DeskError> {
    let notice = found
        .notice
        .as_ref()
        .expect("an acknowledgement is only booked for a notice");
    let profile = office.directory.find(&notice.authority).ok();
    let marks = classify::marks(opened);
    let theirs = classify::judge(opened, &marks, profile.as_ref()).authority_reference;
    let signed_by = signer(office, opened, found).await?;
    let tied = matching::find(office, opened, &marks, stored.received_at).await?;
    let same = tied.notice.is_some_and(|tied| tied.reference == notice.reference);
    let known = profile.is_some_and(|profile| {
        !opened.from.is_empty() && opened.from.iter().all(|sender| profile.sender_matches(&sender.address))
    });
    let refuted = stored
        .understanding
        .as_ref()
        .is_some_and(|known| known.authenticity.is_refuted());
    let proof = match signed_by {
        Some(_) => booking::proof(stored.id, signed_by),
        None if same && known && !refuted => booking::proof(stored.id, None),
        None => Proof::Attested {
            by: by.clone(),
            file_sha256: Some(stored.sha256.clone()),
        },
    };
    Ok((proof, theirs))
}

async fn signer(office: &Office, opened: &Opened, found: &Match) -> Result<Option<String>, DeskError> {
    let profile = found
        .notice
        .as_ref()
        .and_then(|notice| office.directory.find(&notice.authority).ok());
    intake::signer(office, opened, profile.as_ref())
        .await
        .map_err(|error| match error {
            intake::IntakeError::Office(error) => error.into(),
            error => DeskError::Refused(error.to_string()),
        })
}

/// What was understood, as the person corrects it.
async fn understood(
    office: &Office,
    kind: ReceiptKind,
    before: Option<Understanding>,
    opened: &Opened,
    stored: &StoredMail,
    found: &Match,
) -> Result<Understanding, DeskError> {
    let signed_by = signer(office, opened, found).await?;
    let authenticity = match (&before, &signed_by) {
        (Some(before), None) => before.authenticity.clone(),
        _ => intake::authenticity_of(office, &stored.raw, &stored.source, opened, signed_by.as_deref()).await,
    };
    let earlier = before
        .as_ref()
        .map_or_else(String::new, |before| format!("; taken for: {}", before.why));
    Ok(Understanding {
        kind,
        notice: found.notice.as_ref().map(|notice| notice.reference.clone()),
        why: format!("a person matched it as {}{earlier}", kind.name()),
        in_tray: false,
        authority_reference: before.as_ref().and_then(|before| before.authority_reference.clone()),
        signed_by,
        encrypted: opened.protection == Protection::Encrypted,
        delivery: found.delivery.as_ref().map(|delivery| delivery.id),
        matched_by: Some(Mark::Person),
        certainty: Some(Certainty::Certain),
        proposed: Vec::new(),
        authenticity,
        order_hint: before.and_then(|before| before.order_hint),
    })
}

/// Takes a mail out of the tray without attaching it, and closes its question.
///
/// # Errors
/// No such mail, or the store fails.
pub async fn done(office: &Office, mail: MailId, reason: &str, by: &Actor) -> Result<StoredMail, DeskError> {
    if reason.trim().is_empty() {
        return Err(DeskError::Refused(
            "say why nothing more is to be done: --reason WHY".to_owned(),
        ));
    }
    if office.store.find_mail(mail).await?.is_none() {
        return Err(DeskError::NoMail(mail));
    }
    office.store.dismiss(mail, reason, by, office.now()).await?;
    office.store.find_mail(mail).await?.ok_or(DeskError::NoMail(mail))
}
