//! Notices to authorities: prepare (what a preview shows is what leaves), file, book what went by other channels.

use serde::Serialize;

use crate::config::Persons;
use crate::directory::certificate::{self, Usable};
use crate::directory::profile::Profile;
use crate::message::facts::{NoticeContext, NoticeFacts, PriorNotice};
use crate::message::mime::{Attachment, Content, Headers};
use crate::message::template::Audience;
use crate::message::{seal, token};
use crate::model::Time;
use crate::model::breach::Gap;
use crate::model::id::{Actor, BreachId, Reference};
use crate::model::notice::{Acknowledgement, Notice, NoticeChannel, NoticeKind, NoticeState, Protection};
use crate::model::proof::Proof;
use crate::store::{Attempt, NewMailOut, NewNotice, Pin, StoredDelivery};

use super::breach::{self, Breach, Clock};
use super::ladder::Ladder;
use super::{CertificateTrouble, DeskError};
use crate::dispatch::office::{Office, OfficeError};

/// Base64, armor and headers make a sealed mail about this much larger than what it carries (4/3 for the attachment
/// inside, 4/3 for the armor outside, line ends).
const SEALED_GROWTH: f64 = 1.85;

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
    /// The pinned certificate, or why there is none that can be used.
    pub certificate: Result<(Pin, Usable), CertificateTrouble>,
}

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
    pub delivery: Option<crate::model::id::DeliveryId>,
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
        return Err(DeskError::Blocked(blockers));
    }
    check_attachments(office, &profile, &request.attachments)?;

    let earlier = earlier_notices(office, request.breach, &profile.id).await?;
    let draft = earlier.drafts.first().map(|notice| notice.reference.clone());
    let reference = match draft {
        Some(reference) => reference,
        None => fresh_reference(office).await?,
    };
    let gaps = record.gaps(now, earlier.first_at());
    let kind = request
        .kind
        .unwrap_or(match (earlier.filed.is_empty(), record.is_complete()) {
            (true, true) => NoticeKind::Complete,
            (true, false) => NoticeKind::Preliminary,
            (false, _) => NoticeKind::Supplementary,
        });
    let mut warnings = kind_warnings(kind, earlier.filed.is_empty(), request.explanation.is_some());
    let language = choose_language(office, &profile, request.language.as_deref(), &mut warnings)?;
    let our = office.our_key().await?;
    let sequence = earlier.filed.len() as u32 + 1;

    let labels = office.templates.labels(&language).map_err(OfficeError::from)?;
    let facts = NoticeFacts::new(
        &record,
        &NoticeContext {
            reference: reference.clone(),
            kind,
            sequence,
            prior: earlier.filed.iter().map(prior_facts).collect(),
            authority_name: profile.name(&language).to_owned(),
            lead_authority_name: lead_authority_name(office, &record, &language),
            timezone: zone,
            labels,
            filed_at: now,
            deadline: clock.as_ref().map(|clock| clock.strict),
            late: first_was_late(&earlier, clock.as_ref(), now),
            organisation: office.config.organisation.name.as_str().to_owned(),
            contact: office.usual_contact(),
            key_fingerprint: Some(our.fingerprint().to_owned()),
            attachments: request
                .attachments
                .iter()
                .map(|attachment| attachment.name.clone())
                .collect(),
            explanation: request.explanation,
            next_update_due: None,
        },
    );
    let rendered = office.templates.render_notice(&facts).map_err(OfficeError::from)?;
    let thread: Vec<String> = earlier
        .filed
        .iter()
        .filter_map(|notice| notice.message_id.clone())
        .collect();
    let sender = office.sender();
    let headers = Headers {
        reply_to: Some(sender.clone()),
        to: crate::message::mime::Mailbox { name: None, address },
        outer_subject: token::outer_subject(&reference),
        message_id: token::message_id(&sender.address),
        date: now,
        in_reply_to: thread.last().cloned(),
        references: thread,
        from: sender,
        extra: Vec::new(),
    };
    Ok(Prepared {
        prior: earlier.filed.last().map(|notice| notice.reference.clone()),
        content: Content {
            subject: rendered.subject,
            text: rendered.text,
            html: None,
            attachments: request.attachments,
            language: language.clone(),
        },
        certificate: usable_certificate(office, &profile, now).await?,
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

/// Seals, checks its own output, and files the notice in one transaction. What was prepared is what leaves.
///
/// # Errors
/// [`DeskError::NoCertificate`] keeps the draft; [`DeskError::TooLarge`] and sealing errors change nothing.
pub async fn file(office: &Office, prepared: Prepared, by: &Actor) -> Result<NoticeView, DeskError> {
    if office.config.approval.notice == Persons::TwoPersons {
        return Err(DeskError::Refused(
            "approval.notice asks for two persons, which this version cannot ask yet; set it to one_person".to_owned(),
        ));
    }
    let now = office.now();
    let (pin, usable) = match &prepared.certificate {
        Ok((pin, usable)) => (pin.clone(), usable.clone()),
        Err(_) => return Err(keep_draft(office, prepared, by, now).await?),
    };
    let our = office.our_key().await?;
    let Prepared { content, headers, .. } = &prepared;
    let (content, headers) = (content.clone(), headers.clone());
    let sealed = tokio::task::spawn_blocking(move || {
        let sealed = seal::seal(&content, &headers, &our, &usable, now)?;
        seal::self_check(&sealed, &content, &our, &usable)?;
        Ok::<_, seal::SealError>(sealed)
    })
    .await
    .expect("sealing does not panic")?;
    let (limit, whose) = size_limit(office, &prepared.profile);
    if sealed.mail.len() as u64 > limit {
        return Err(DeskError::TooLarge {
            size: sealed.mail.len() as u64,
            limit,
            whose,
        });
    }
    let reference = prepared.reference.clone();
    let protection = Protection::PgpMime {
        recipient: pin.fingerprint,
        signer: sealed.signer_fingerprint.clone(),
        verified: pin.verified,
    };
    let mail = NewMailOut {
        envelope_from: prepared.headers.from.address.clone(),
        recipient: prepared.headers.to.address.clone(),
        sealed: sealed.mail,
    };
    let mut notice = new_notice(&prepared, sealed.content);
    notice.content_sha256 = sealed.content_sha256;
    notice.protection = Some(protection);
    notice.message_id = Some(prepared.headers.message_id.clone());
    notice.mail = Some(mail);
    office.store.file_notice(notice, by, now).await?;
    show(office, &reference).await
}

/// Keeps what could not be sealed as a draft, and tells the way through.
async fn keep_draft(office: &Office, prepared: Prepared, by: &Actor, now: Time) -> Result<DeskError, DeskError> {
    let notice = new_notice(&prepared, prepared.content.text.clone().into_bytes());
    let Err(why) = prepared.certificate else {
        unreachable!("kept only when the certificate cannot be used")
    };
    let reason = match &why {
        CertificateTrouble::Absent(_) => why.to_string(),
        CertificateTrouble::Unusable { source, .. } => format!("{why}: {source}"),
    };
    office.store.keep_draft(notice, &reason, by, now).await?;
    let deadline = prepared.clock.as_ref().map(|clock| clock.strict);
    let ladder = Ladder::for_certificate(&prepared.profile, prepared.breach, deadline, now);
    Ok(DeskError::NoCertificate {
        reference: prepared.reference,
        why: Box::new(why),
        ladder: Box::new(ladder),
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
        decision: None,
    }
}

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
    let reference = fresh_reference(office).await?;
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
    let state = notice.state(delivery.as_ref().map(|delivery| &delivery.state));
    Ok(NoticeView {
        state,
        meaning: state.meaning(),
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

struct Earlier {
    filed: Vec<Notice>,
    drafts: Vec<Notice>,
}

impl Earlier {
    fn first_at(&self) -> Option<Time> {
        self.filed.first().map(|notice| notice.filed_at)
    }
}

async fn earlier_notices(office: &Office, breach: BreachId, authority: &str) -> Result<Earlier, DeskError> {
    let notices = office.store.list_notices(Some(breach)).await?;
    let mine = notices
        .into_iter()
        .filter(|notice| notice.authority == authority && notice.withdrawn_at.is_none());
    let (drafts, filed) = mine.partition(|notice| notice.draft_reason.is_some());
    Ok(Earlier { filed, drafts })
}

fn prior_facts(notice: &Notice) -> PriorNotice {
    PriorNotice {
        reference: notice.reference.clone(),
        kind: notice.kind,
        filed_at: notice.filed_at,
        authority_reference: notice
            .acknowledgement
            .as_ref()
            .and_then(|ack| ack.authority_reference.clone())
            .or_else(|| notice.outside_reference.clone()),
    }
}

/// Whether the first notice came after the deadline, or comes after it now (GDPR Art. 33(1)).
fn first_was_late(earlier: &Earlier, clock: Option<&Clock>, now: Time) -> bool {
    let first = earlier.first_at().unwrap_or(now);
    clock.is_some_and(|clock| first > clock.strict)
}

fn lead_authority_name(office: &Office, record: &crate::model::breach::Record, language: &str) -> Option<String> {
    let lead = record.cross_border.lead_authority.as_deref()?;
    Some(office.directory.find(lead).ok()?.name(language).to_owned())
}

/// 40 random bits; a collision in one store is looked for all the same.
async fn fresh_reference(office: &Office) -> Result<Reference, DeskError> {
    loop {
        let mut bits = [0; 5];
        getrandom::fill(&mut bits).expect("the operating system gives random bytes");
        let reference = Reference::from_bits(bits);
        if office.store.find_notice(&reference).await?.is_none() {
            return Ok(reference);
        }
    }
}

async fn usable_certificate(
    office: &Office,
    profile: &Profile,
    now: Time,
) -> Result<Result<(Pin, Usable), CertificateTrouble>, DeskError> {
    let Some(pin) = office.store.find_pin(&profile.id).await? else {
        return Ok(Err(CertificateTrouble::Absent(name_of(profile))));
    };
    let address = super::certificate::wanted_address(profile, pin.accepted_user_id.as_ref());
    let judged = certificate::read_one(&pin.certificate).and_then(|cert| certificate::judge(&cert, address, now));
    Ok(match judged {
        Ok(usable) => Ok((pin, usable)),
        Err(source) => Err(CertificateTrouble::Unusable {
            authority: name_of(profile),
            source,
        }),
    })
}

fn check_attachments(office: &Office, profile: &Profile, attachments: &[Attachment]) -> Result<(), DeskError> {
    let total: usize = attachments.iter().map(|attachment| attachment.bytes.len()).sum();
    let size = (total as f64 * SEALED_GROWTH) as u64;
    let (limit, whose) = size_limit(office, profile);
    if size > limit {
        return Err(DeskError::TooLarge { size, limit, whose });
    }
    Ok(())
}

/// The smaller of our limit and the authority's, in bytes of the sealed mail.
fn size_limit(office: &Office, profile: &Profile) -> (u64, String) {
    let ours = office.config.limits.sealed_bytes;
    match profile.notice.max_bytes {
        Some(theirs) if theirs < ours => (theirs, format!("the limit of {}", profile.id)),
        _ => (ours, "limits.sealed_bytes in config.yaml".to_owned()),
    }
}

fn kind_warnings(kind: NoticeKind, first: bool, explained: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let continues = !matches!(kind, NoticeKind::Preliminary | NoticeKind::Complete);
    if first && continues {
        warnings.push(format!(
            "this is the first notice about this breach to this authority, and yet of kind {}; book an earlier one with `breachpost notice record`",
            kind.name()
        ));
    }
    if !explained
        && matches!(
            kind,
            NoticeKind::Amendment | NoticeKind::Withdrawal | NoticeKind::Answer
        )
    {
        warnings.push(format!(
            "a notice of kind {} should say why or what: --text TEXT",
            kind.name()
        ));
    }
    warnings
}

fn choose_language(
    office: &Office,
    profile: &Profile,
    asked: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<String, DeskError> {
    let have = office.templates.languages(Audience::Authority);
    let has = |language: &str| have.contains(&language);
    if let Some(asked) = asked {
        if has(asked) {
            return Ok(asked.to_owned());
        }
        let have = have.join(", ");
        return Err(DeskError::Refused(format!(
            "there is no notice template in `{asked}`; there are: {have}"
        )));
    }
    let wanted = profile.notice.language.iter().chain(&profile.languages);
    if let Some(language) = wanted.into_iter().find(|language| has(language)) {
        return Ok(language.clone());
    }
    warnings.push(format!(
        "{} works in {}, for which there is no template yet; the notice is in English",
        profile.id,
        profile.languages.join(", ")
    ));
    Ok("en".to_owned())
}

fn name_of(profile: &Profile) -> String {
    profile.name("en").to_owned()
}
