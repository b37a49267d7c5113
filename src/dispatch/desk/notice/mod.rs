//! Notices to authorities: prepare (what a preview shows is what leaves), file, book what went by other channels.

mod book;
mod choose;
mod facts;
mod own;
mod protect;
mod thread;
mod view;

use std::sync::Arc;

use crate::config::Persons;
use crate::directory::profile::Profile;
use crate::message::mime::{Attachment, Content, Headers};
use crate::message::seal::SealError;
use crate::message::token;
use crate::model::Time;
use crate::model::breach::Gap;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, BreachId, MailId, Reference};
use crate::model::notice::{Decision, NoticeChannel, NoticeKind};
use crate::secret::Secret;
use crate::store::{NewMailOut, NewNotice};

use super::breach::{self, Breach, Clock};
use super::ladder::Ladder;
use super::{CertificateTrouble, DeskError};
use crate::dispatch::office::{Office, OfficeError};

use choose::{
    check_attachments, choose_kind, choose_language, earlier_notices, headers, kind_warnings, name_of, phone_of,
    plan_warning, reference_for, size_limit,
};
use facts::{Settled, facts};
use thread::answered_mail;

pub use book::{Record, approve, attest, record, retry, withdraw};
pub use own::{ourselves, seal_to_ourselves};
pub use protect::{InClear, LooseFiles, Plan, Protected};
pub use view::{CallSheet, MailLine, NoticeView, call_sheet, content, find, list, show};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NoticeRequest {
    pub breach: BreachId,
    pub authority: String,
    /// Else: complete if nothing is missing and preliminary otherwise for the first notice, supplementary later.
    pub kind: Option<NoticeKind>,
    pub language: Option<String>,
    pub attachments: Vec<Attachment>,
    /// What changed, why it is withdrawn, or the answer: free text at the head of the notice.
    pub explanation: Option<String>,
    /// A rung of the ladder that a person chose, with the reason.
    pub decision: Option<Decision>,
    /// The authority's mail that this answers: it goes into that thread, and closes its question when handed over.
    pub in_reply_to: Option<MailId>,
}

/// A notice ready to be filed: exactly what will be sent, to whom, and how it is protected.
pub struct Prepared {
    pub reference: Reference,
    pub breach: BreachId,
    pub profile: Profile,
    pub kind: NoticeKind,
    pub sequence: u32,
    pub language: String,
    pub prior: Option<Reference>,
    pub content: Content,
    pub headers: Headers,
    pub clock: Option<Clock>,
    /// Content gaps and choices the sender should know of.
    pub warnings: Vec<String>,
    pub gaps: Vec<Gap>,
    pub decision: Option<Decision>,
    pub answers: Option<MailId>,
    /// How it will be protected, or why the certificate cannot be used.
    pub plan: Result<Arc<Plan>, CertificateTrouble>,
    /// What stands in clear beside it, where the plan has that.
    clear: Arc<InClear>,
    /// Whether a fetched certificate waits to be approved.
    proposal_waits: bool,
}

/// Renders a notice and looks up everything it needs. Changes nothing.
///
/// # Errors
/// Unknown breach or authority, an authority without a breach e-mail, a record that may not be sent
/// ([`DeskError::Blocked`]), attachments over the limit, a text or header that cannot be written.
pub async fn prepare(office: &Office, request: NoticeRequest) -> Result<Prepared, DeskError> {
    let now = office.now();
    let Breach { record, .. } = breach::find(office, request.breach).await?;
    let profile = office
        .directory
        .find(&request.authority)
        .map_err(DeskError::Authority)?;
    let zone = profile.timezone();
    let clock = breach::clock(&record, zone, now);
    let Some(address) = profile.breach_email().map(|channel| channel.value.clone()) else {
        let deadline = clock.as_ref().map(|clock| clock.strict);
        let ladder = Ladder::for_other_channels(&profile, request.breach, deadline, now);
        return Err(DeskError::NoEmail {
            authority: name_of(&profile),
            ladder: Box::new(ladder),
        });
    };
    let blockers = record.blockers();
    if !blockers.is_empty() {
        return Err(DeskError::Blocked {
            breach: request.breach,
            gaps: blockers,
        });
    }
    check_attachments(office, &profile, &request.attachments)?;
    let answered = match request.in_reply_to {
        Some(mail) => Some(answered_mail(office, mail, request.breach, &profile, request.kind).await?),
        None => None,
    };

    let earlier = earlier_notices(office, request.breach, &profile.id).await?;
    let reference = reference_for(office, &earlier).await?;
    let gaps = record.gaps(now, earlier.first_at());
    let kind = choose_kind(&request, &earlier, record.is_complete())?;
    let mut warnings = kind_warnings(kind, earlier.filed.is_empty(), request.explanation.is_some());
    let language = choose_language(office, &profile, request.language.as_deref(), &mut warnings)?;
    let sequence = earlier.filed.len() as u32 + 1;
    let settled = Settled {
        reference: &reference,
        kind,
        sequence,
        language: &language,
    };
    let facts = facts(office, &record, &profile, &earlier, settled, &request, now).await?;
    let plan = protect::plan(office, &profile, request.decision.as_ref(), now).await?;
    warnings.extend(
        plan.as_ref()
            .ok()
            .and_then(|plan| plan_warning(plan, request.decision.as_ref(), now)),
    );
    let rendered = office.templates.render_notice(&facts).map_err(OfficeError::from)?;
    let thread: Vec<String> = match &answered {
        Some(thread) => thread.clone(),
        None => earlier
            .filed
            .iter()
            .filter_map(|notice| notice.message_id.clone())
            .collect(),
    };
    let phone = phone_of(office, &record);
    let labels = office.templates.labels(&language).map_err(OfficeError::from)?;
    let clear = InClear::new(labels, office.config.organisation.name.as_str(), &reference, &phone);
    let headers = headers(office, &reference, address, thread, now);
    Ok(Prepared {
        prior: earlier.filed.last().map(|notice| notice.reference.clone()),
        content: Content {
            subject: rendered.subject,
            text: rendered.text,
            html: None,
            attachments: request.attachments,
            language: language.clone(),
        },
        plan: plan.map(Arc::new),
        proposal_waits: office.store.find_proposal(&profile.id).await?.is_some(),
        clear: Arc::new(clear),
        decision: request.decision,
        answers: request.in_reply_to,
        breach: request.breach,
        reference,
        profile,
        kind,
        sequence,
        language,
        headers,
        clock,
        warnings,
        gaps,
    })
}

impl Prepared {
    /// The way through, where the certificate cannot be used.
    pub fn ladder(&self, now: Time) -> Option<Ladder> {
        let trouble = self.plan.as_ref().err()?;
        let deadline = self.clock.as_ref().map(|clock| clock.strict);
        Some(Ladder::for_certificate(
            &self.profile,
            self.breach,
            trouble,
            self.proposal_waits,
            deadline,
            now,
        ))
    }
}

/// Seals, checks its own output, and files the notice in one transaction. What was prepared is what leaves; where the
/// settings ask for two persons, it waits for [`approve`].
///
/// # Errors
/// [`DeskError::NoCertificate`] keeps the draft; [`DeskError::TooLarge`] and sealing errors change nothing.
pub async fn file(office: &Office, prepared: Prepared, by: &Actor) -> Result<NoticeView, DeskError> {
    let now = office.now();
    let plan = match &prepared.plan {
        Ok(plan) => Arc::clone(plan),
        Err(_) => return Err(keep_draft(office, prepared, by, now).await?),
    };
    let our = office.our_key().await?;
    let (content, headers) = (prepared.content.clone(), prepared.headers.clone());
    let clear = Arc::clone(&prepared.clear);
    let protected = on_blocking_thread(move || plan.protect(&content, &headers, &clear, &our, now)).await?;
    let (limit, whose) = size_limit(office, &prepared.profile);
    let size = protected.mail.len() as u64;
    if size > limit {
        return Err(DeskError::TooLarge { size, limit, whose });
    }
    let mut notice = new_notice(&prepared, protected.content);
    notice.content_sha256 = protected.content_sha256;
    notice.protection = Some(protected.protection);
    notice.passphrase = protected.passphrase;
    notice.message_id = Some(prepared.headers.message_id.clone());
    notice.mail = Some(NewMailOut {
        envelope_from: office.return_path(&office.config.sender, &office.tokens.for_notice(&prepared.reference)),
        recipient: prepared.headers.to.address.clone(),
        sealed: protected.mail,
    });
    notice.hold = (office.config.approval.notice == Persons::TwoPersons).then_some(HoldReason::Approval);
    office.store.file_notice(notice, by, now).await?;
    show(office, &prepared.reference).await
}

/// Sealed files to hand over in another way, and what goes with them.
pub struct Bundle {
    pub reference: Reference,
    /// Names and bytes, our certificate among them.
    pub files: Vec<Attachment>,
    pub cover: String,
    pub passphrase: Option<Secret>,
    /// How to book what was done with them.
    pub then: Ladder,
}

/// Seals a notice into loose files; needs no relay. The notice is kept as a draft under its reference, to be booked by
/// [`record`] once the files are handed over.
///
/// # Errors
/// As [`file()`]; a plan that seals nothing is refused.
pub async fn seal_loose(office: &Office, prepared: Prepared, by: &Actor) -> Result<Bundle, DeskError> {
    let now = office.now();
    let plan = match &prepared.plan {
        Ok(plan) => Arc::clone(plan),
        Err(_) => return Err(keep_draft(office, prepared, by, now).await?),
    };
    let our = office.our_key().await?;
    let (content, working) = (prepared.content.clone(), Arc::clone(&plan));
    let sealed = on_blocking_thread(move || working.loose_files(&content, &our, now)).await?;
    let Some(LooseFiles { files, passphrase }) = sealed else {
        return Err(DeskError::Refused(
            "nothing is sealed that way; use --override expired or passphrase".to_owned(),
        ));
    };
    let mut notice = new_notice(&prepared, prepared.content.text.clone().into_bytes());
    notice.passphrase = passphrase.clone();
    let reason = "sealed into files, to be handed over in another way and then booked";
    office.store.keep_draft(notice, reason, by, now).await?;
    let deadline = prepared.clock.as_ref().map(|clock| clock.strict);
    Ok(Bundle {
        files,
        cover: plan.cover(&prepared.clear).to_owned(),
        passphrase,
        then: Ladder::for_other_channels(&prepared.profile, prepared.breach, deadline, now),
        reference: prepared.reference,
    })
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SealError> + Send + 'static,
) -> Result<T, SealError> {
    tokio::task::spawn_blocking(work).await.expect("sealing does not panic")
}

/// Keeps what could not be sealed as a draft, and tells the way through.
async fn keep_draft(office: &Office, prepared: Prepared, by: &Actor, now: Time) -> Result<DeskError, DeskError> {
    let notice = new_notice(&prepared, prepared.content.text.clone().into_bytes());
    let ladder = prepared.ladder(now);
    let Err(why) = prepared.plan else {
        unreachable!("kept only when the certificate cannot be used")
    };
    let reason = match &why {
        CertificateTrouble::Absent(_) => why.to_string(),
        CertificateTrouble::Unusable { source, .. } => format!("{why}: {source}"),
    };
    office.store.keep_draft(notice, &reason, by, now).await?;
    Ok(DeskError::NoCertificate {
        reference: prepared.reference,
        why: Box::new(why),
        ladder: Box::new(ladder.expect("there is a ladder where there is no plan")),
    })
}

fn new_notice(prepared: &Prepared, content: Vec<u8>) -> NewNotice {
    NewNotice {
        reference: prepared.reference.clone(),
        breach: prepared.breach,
        authority: prepared.profile.id.clone(),
        kind: prepared.kind,
        channel: NoticeChannel::Email,
        language: prepared.language.clone(),
        prior: prepared.prior.clone(),
        message_id: None,
        protection: None,
        content_sha256: token::sha256_hex(&content),
        content,
        mail: None,
        outside_reference: None,
        proof_file: None,
        handed_at: None,
        decision: prepared
            .decision
            .as_ref()
            .map(|decision| format!("{}: {}", decision.rung.name(), decision.reason)),
        hold: None,
        passphrase: None,
        answers: prepared.answers,
    }
}
