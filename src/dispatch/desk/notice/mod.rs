//! Notices to authorities: prepare (what a preview shows is what leaves), file, book what went by other channels.

mod book;
mod own;
mod protect;
mod view;

use std::sync::Arc;

use chrono::{SubsecRound, Timelike};

use crate::config::Persons;
use crate::directory::profile::Profile;
use crate::message::facts::{NoticeContext, NoticeFacts, PriorNotice};
use crate::message::mime::{Attachment, Content, Headers};
use crate::message::seal::SealError;
use crate::message::template::Audience;
use crate::message::token;
use crate::model::Time;
use crate::model::breach::Gap;
use crate::model::delivery::HoldReason;
use crate::model::id::{Actor, BreachId, MailId, Reference};
use crate::model::notice::{Decision, Notice, NoticeChannel, NoticeKind, Protection, Rung};
use crate::secret::Secret;
use crate::store::{NewMailOut, NewNotice};

use super::breach::{self, Breach, Clock};
use super::ladder::Ladder;
use super::{CertificateTrouble, DeskError, conversation};
use crate::dispatch::office::{Office, OfficeError};

pub use book::{Record, approve, attest, record, retry, withdraw};
pub use own::{ourselves, seal_to_ourselves};
pub use protect::{InClear, LooseFiles, Plan, Protected};
pub use view::{CallSheet, MailLine, NoticeView, call_sheet, content, find, list, show};

/// Base64, armor and headers make a sealed mail about this much larger than what it carries (4/3 for the attachment
/// inside, 4/3 for the armor outside, line ends).
const SEALED_GROWTH: f64 = 1.85;
/// Message-IDs of a thread that an answer refers to.
const MOST_IN_THREAD: usize = 20;

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
        return Err(DeskError::Blocked(blockers));
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
            filed_at: now.trunc_subsecs(0).with_second(0).unwrap_or(now),
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

/// The thread of the mail that is answered: the Message-IDs it refers to, and its own last (RFC 5322 §3.6.4).
async fn answered_mail(
    office: &Office,
    mail: MailId,
    breach: BreachId,
    profile: &Profile,
    kind: Option<NoticeKind>,
) -> Result<Vec<String>, DeskError> {
    let refused = |why: String| Err(DeskError::Refused(why));
    if let Some(kind) = kind.filter(|kind| *kind != NoticeKind::Answer) {
        return refused(format!(
            "--in-reply-to is for a notice of kind answer, not {}",
            kind.name()
        ));
    }
    let (stored, opened) = conversation::reopen(office, mail).await?;
    let notice = match stored.understanding.and_then(|understanding| understanding.notice) {
        Some(reference) => find(office, &reference).await?,
        None => {
            return refused(format!(
                "{mail} is not tied to a notice yet; read it, then: breachpost mailbox match {mail} REFERENCE --as reply"
            ));
        }
    };
    if notice.breach != breach || notice.authority != profile.id {
        return refused(format!(
            "{mail} belongs to {} about {} to {}; answer it there: breachpost notice send {} --to {} --kind answer --in-reply-to {mail}",
            notice.reference, notice.breach, notice.authority, notice.breach, notice.authority
        ));
    }
    let Some(own) = opened.message_id.clone() else {
        // Nothing to refer to: our own notice carries the thread.
        return Ok(notice.message_id.into_iter().collect());
    };
    let mut thread: Vec<String> = opened
        .references
        .into_iter()
        .filter(|id| is_plain_id(id) && *id != own)
        .collect();
    // The first names the thread's start, the last what was said last; a longer list would not fit a header.
    if thread.len() > MOST_IN_THREAD {
        thread.drain(1..thread.len() - (MOST_IN_THREAD - 1));
    }
    thread.extend(Some(own).filter(|id| is_plain_id(id)));
    Ok(thread)
}

/// A Message-ID that may stand in a header of ours: a stranger wrote it.
fn is_plain_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.is_some_and(|inner| {
        inner.len() <= 250
            && inner.matches('@').count() == 1
            && !inner.starts_with('@')
            && !inner.ends_with('@')
            && inner
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&b))
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
        .filter(|notice| notice.authority == authority && notice.withdrawn_at.is_none())
        // A content-free mail told them nothing: what follows it is the first notice.
        .filter(|notice| notice.protection != Some(Protection::Stub));
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

/// The number the authority may call, else an address to write to.
fn phone_of(office: &Office, record: &crate::model::breach::Record) -> String {
    let contact = record.contact.clone().or_else(|| office.usual_contact());
    contact
        .and_then(|contact| contact.phone.or(contact.email))
        .unwrap_or_else(|| office.config.sender.address.as_str().to_owned())
}

/// The reference of the draft that waits for this authority, else a fresh one.
async fn reference_for(office: &Office, earlier: &Earlier) -> Result<Reference, DeskError> {
    match earlier.drafts.first() {
        Some(draft) => Ok(draft.reference.clone()),
        None => fresh_reference(office).await,
    }
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

/// What is asked for, else what the place in the order of notices and the record suggest.
fn choose_kind(request: &NoticeRequest, earlier: &Earlier, complete: bool) -> Result<NoticeKind, DeskError> {
    let usual = match (request.in_reply_to, earlier.filed.is_empty(), complete) {
        (Some(_), ..) => NoticeKind::Answer,
        (None, true, true) => NoticeKind::Complete,
        (None, true, false) => NoticeKind::Preliminary,
        (None, false, _) => NoticeKind::Supplementary,
    };
    let kind = request.kind.unwrap_or(usual);
    if kind == NoticeKind::Answer && request.explanation.is_none() && request.attachments.is_empty() {
        return Err(DeskError::Refused(
            "an answer needs your words or a file: --text-file FILE (or - for standard input), --text TEXT, --attach FILE"
                .to_owned(),
        ));
    }
    Ok(kind)
}

/// From and Reply-To are the monitored sender, and nothing in them would silence an acknowledgement (design: to an
/// authority). The last of `thread` is answered.
fn headers(office: &Office, reference: &Reference, address: String, thread: Vec<String>, now: Time) -> Headers {
    let sender = office.sender();
    Headers {
        reply_to: Some(sender.clone()),
        to: crate::message::mime::Mailbox { name: None, address },
        outer_subject: token::outer_subject(reference),
        message_id: token::message_id(&sender.address),
        date: now,
        in_reply_to: thread.last().cloned(),
        references: thread,
        from: sender,
        extra: Vec::new(),
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

/// What the sender should know of the way it is protected.
fn plan_warning(plan: &Plan, decision: Option<&Decision>, now: Time) -> Option<String> {
    let rung = decision.map(|decision| decision.rung);
    match plan {
        Plan::Sealed { to, .. } if rung == Some(Rung::Expired) && to.expires().is_none_or(|end| end > now) => {
            Some("the certificate has not expired: --override expired changes nothing".to_owned())
        }
        Plan::Sealed { pin, .. } if pin.verified == "none" => Some(
            "nobody has verified the fingerprint of this certificate: if it is not theirs, they cannot read the notice and somebody else may; read it back by telephone"
                .to_owned(),
        ),
        Plan::Sealed { .. } if rung == Some(Rung::Unverified) => {
            Some("the certificate is verified: --override unverified changes nothing".to_owned())
        }
        _ => None,
    }
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
