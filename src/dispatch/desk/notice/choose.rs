//! What a notice is chosen to be, from what was asked, what was filed before and what the profile says: kind, language,
//! reference, limits, headers, and what the sender should know of these choices.

use crate::directory::profile::Profile;
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::message::mime::{Attachment, Headers, Mailbox};
use crate::message::template::Audience;
use crate::message::token;
use crate::model::id::{BreachId, Reference};
use crate::model::notice::{Decision, Notice, NoticeKind, Protection, Rung};
use crate::model::{Time, breach};

use super::NoticeRequest;
use super::protect::Plan;

/// Base64, armor and headers make a sealed mail about this much larger than what it carries (4/3 for the attachment
/// inside, 4/3 for the armor outside, line ends).
const SEALED_GROWTH: f64 = 1.85;
/// What this authority was told of this breach before, oldest first; what was withdrawn is left out.
pub(super) struct Earlier {
    pub filed: Vec<Notice>,
    drafts: Vec<Notice>,
}

impl Earlier {
    pub(super) fn first_at(&self) -> Option<Time> {
        self.filed.first().map(|notice| notice.filed_at)
    }
}

pub(super) async fn earlier_notices(office: &Office, breach: BreachId, authority: &str) -> Result<Earlier, DeskError> {
    let notices = office.store.list_notices(Some(breach)).await?;
    let mine = notices
        .into_iter()
        .filter(|notice| notice.authority == authority && notice.withdrawn_at.is_none())
        // A content-free mail told them nothing: what follows it is the first notice.
        .filter(|notice| notice.protection != Some(Protection::Stub));
    let (drafts, filed) = mine.partition(|notice| notice.draft_reason.is_some());
    Ok(Earlier { filed, drafts })
}

/// The number the authority may call, else an address to write to.
pub(super) fn phone_of(office: &Office, record: &breach::Record) -> String {
    let contact = record.contact.clone().or_else(|| office.usual_contact());
    contact
        .and_then(|contact| contact.phone.or(contact.email))
        .unwrap_or_else(|| office.config.sender.address.as_str().to_owned())
}

/// The reference of the draft that waits for this authority, else a fresh one.
pub(super) async fn reference_for(office: &Office, earlier: &Earlier) -> Result<Reference, DeskError> {
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

pub(super) fn check_attachments(
    office: &Office,
    profile: &Profile,
    attachments: &[Attachment],
) -> Result<(), DeskError> {
    let total: usize = attachments.iter().map(|attachment| attachment.bytes.len()).sum();
    let size = (total as f64 * SEALED_GROWTH) as u64;
    let (limit, whose) = size_limit(office, profile);
    if size > limit {
        return Err(DeskError::TooLarge { size, limit, whose });
    }
    Ok(())
}

/// The smaller of our limit and the authority's, in bytes of the sealed mail.
pub(super) fn size_limit(office: &Office, profile: &Profile) -> (u64, String) {
    let ours = office.config.limits.sealed_bytes;
    match profile.notice.max_bytes {
        Some(theirs) if theirs < ours => (theirs, format!("the limit of {}", profile.id)),
        _ => (ours, "limits.sealed_bytes in config.yaml".to_owned()),
    }
}

/// What is asked for, else what the place in the order of notices and the record suggest.
pub(super) fn choose_kind(request: &NoticeRequest, earlier: &Earlier, complete: bool) -> Result<NoticeKind, DeskError> {
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
pub(super) fn headers(
    office: &Office,
    reference: &Reference,
    address: String,
    thread: Vec<String>,
    now: Time,
) -> Headers {
    let sender = office.sender();
    Headers {
        reply_to: Some(sender.clone()),
        to: Mailbox { name: None, address },
        outer_subject: token::outer_subject(reference),
        message_id: token::message_id(&sender.address),
        date: now,
        in_reply_to: thread.last().cloned(),
        references: thread,
        from: sender,
        extra: Vec::new(),
    }
}

pub(super) fn kind_warnings(kind: NoticeKind, first: bool, explained: bool) -> Vec<String> {
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
pub(super) fn plan_warning(plan: &Plan, decision: Option<&Decision>, now: Time) -> Option<String> {
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

pub(super) fn choose_language(
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

pub(super) fn name_of(profile: &Profile) -> String {
    profile.name("en").to_owned()
}
