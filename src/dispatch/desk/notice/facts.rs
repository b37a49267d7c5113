//! The facts of a notice: the record, and what its place in the conversation with this authority adds to it.

use chrono::{SubsecRound, Timelike};

use crate::directory::profile::Profile;
use crate::dispatch::desk::DeskError;
use crate::dispatch::desk::breach::{self, Clock};
use crate::dispatch::office::{Office, OfficeError};
use crate::message::facts::{NoticeContext, NoticeFacts, PriorNotice};
use crate::model::Time;
use crate::model::breach::Record;
use crate::model::id::Reference;
use crate::model::notice::{Notice, NoticeKind};

use super::NoticeRequest;
use super::choose::Earlier;

/// What has been settled about a notice before it is written.
pub(super) struct Settled<'a> {
    pub reference: &'a Reference,
    pub kind: NoticeKind,
    pub sequence: u32,
    pub language: &'a str,
}

/// All that the template may tell.
///
/// # Errors
/// Our key cannot be read, or there are no words in that language.
pub(super) async fn facts(
    office: &Office,
    record: &Record,
    profile: &Profile,
    earlier: &Earlier,
    settled: Settled<'_>,
    request: &NoticeRequest,
    now: Time,
) -> Result<NoticeFacts, DeskError> {
    let our = office.our_key().await?;
    let (zone, language) = (profile.timezone(), settled.language);
    let clock = breach::clock(record, zone, now);
    let context = NoticeContext {
        reference: settled.reference.clone(),
        kind: settled.kind,
        sequence: settled.sequence,
        prior: earlier.filed.iter().map(prior_facts).collect(),
        authority_name: profile.name(language).to_owned(),
        lead_authority_name: lead_authority_name(office, record, language),
        timezone: zone,
        labels: office.templates.labels(language).map_err(OfficeError::from)?,
        filed_at: now.trunc_subsecs(0).with_second(0).unwrap_or(now),
        deadline: clock.as_ref().map(|clock| clock.strict),
        late: first_was_late(earlier, clock.as_ref(), now),
        organisation: office.config.organisation.name.as_str().to_owned(),
        contact: office.usual_contact(),
        key_fingerprint: Some(our.fingerprint().to_owned()),
        attachments: request
            .attachments
            .iter()
            .map(|attachment| attachment.name.clone())
            .collect(),
        explanation: request.explanation.clone(),
        next_update_due: None,
    };
    Ok(NoticeFacts::new(record, &context))
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

fn lead_authority_name(office: &Office, record: &Record, language: &str) -> Option<String> {
    let lead = record.cross_border.lead_authority.as_deref()?;
    Some(office.directory.find(lead).ok()?.name(language).to_owned())
}
