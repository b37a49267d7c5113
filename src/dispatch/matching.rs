//! Which of the things we sent a mail belongs to, by which mark, and how sure that is. The order is: our token in an
//! address or as envelope id; our reference; the Message-IDs it answers; the Message-ID of what it gives back; and last,
//! as a proposal to a person, its sender and the time. Must not decide what the mail means.

use std::collections::HashMap;

use chrono::TimeDelta;

use crate::message::classify::Marks;
use crate::message::open::Opened;
use crate::message::token::{Named, TokenKey};
use crate::model::Time;
use crate::model::id::Reference;
use crate::model::notice::{Notice, NoticeChannel};
use crate::model::receipt::{Certainty, Mark};
use crate::store::StoredDelivery;

use super::office::{Office, OfficeError};

/// Headers in which mail servers leave the address a mail was delivered to.
const RECIPIENT_HEADERS: [&str; 6] = [
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Delivered-To",
    "X-Forwarded-To",
];
/// Marks of one kind that are looked at; a mail with more answers nobody.
const MOST_MARKS: usize = 64;
/// An answer without any mark of ours is proposed for notices that left within this time.
const SENDER_WINDOW: TimeDelta = TimeDelta::days(30);
/// Proposals a person is shown.
const MOST_PROPOSED: usize = 5;

/// What a mail belongs to.
#[derive(Debug, Default)]
pub struct Match {
    pub notice: Option<Notice>,
    /// The notice's delivery, or that of one person of a campaign.
    pub delivery: Option<StoredDelivery>,
    pub tie: Option<Tie>,
    /// Notices it may belong to, newest first; only where nothing else is known.
    pub proposed: Vec<Reference>,
}

/// How a mail was tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    pub by: Mark,
    pub certainty: Certainty,
}

impl Match {
    /// Whether it is tied by something that only our message and its envelope carried.
    pub fn is_certain(&self) -> bool {
        self.tie.is_some_and(|tie| tie.certainty == Certainty::Certain)
    }
}

/// A mark found in a mail, before anything is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Named(Named),
    MessageId(String),
}

/// Finds what a mail belongs to.
///
/// # Errors
/// The store fails.
pub async fn find(office: &Office, mail: &Opened, marks: &Marks, now: Time) -> Result<Match, OfficeError> {
    let mut best: Option<(Match, Tie)> = None;
    for (by, certainty, found) in marks_of(&office.tokens, mail, marks) {
        let Some(hit) = look_up(office, &found).await? else {
            continue;
        };
        match &mut best {
            None => best = Some((hit, Tie { by, certainty })),
            // A surer mark of the same thing; one of another thing is a quotation.
            Some((first, tie)) if is_same(first, &hit) && certainty > tie.certainty => *tie = Tie { by, certainty },
            Some(_) => {}
        }
        if best
            .as_ref()
            .is_some_and(|(_, tie)| tie.certainty == Certainty::Certain)
        {
            break;
        }
    }
    let Some((mut found, tie)) = best else {
        return Ok(Match {
            proposed: by_sender(office, mail, marks, now).await?,
            ..Match::default()
        });
    };
    found.tie = Some(tie);
    Ok(found)
}

fn is_same(a: &Match, b: &Match) -> bool {
    let id = |found: &Match| found.delivery.as_ref().map(|delivery| delivery.id);
    let reference = |found: &Match| found.notice.as_ref().map(|notice| notice.reference.clone());
    (id(a), reference(a)) == (id(b), reference(b))
}

/// The marks of a mail in the order in which they count.
fn marks_of(key: &TokenKey, mail: &Opened, marks: &Marks) -> Vec<(Mark, Certainty, Found)> {
    let mut found = Vec::new();
    let report = marks.report.as_ref();
    let returned = report.and_then(|report| report.returned.as_ref());
    let returned_path = returned.and_then(|returned| returned.return_path.as_deref());
    let addresses = recipient_addresses(mail)
        .into_iter()
        .chain(returned_path.map(str::to_owned));
    for named in addresses.filter_map(|address| key.read_address(&address)) {
        found.push((Mark::ReturnPath, Certainty::Certain, Found::Named(named)));
    }
    let envelope_id = report.and_then(|report| report.envelope_id.as_deref());
    if let Some(named) = envelope_id.and_then(|id| key.read(id)) {
        found.push((Mark::EnvelopeId, Certainty::Certain, Found::Named(named)));
    }
    let in_envelope_id = envelope_id.and_then(|id| id.trim().parse().ok());
    for reference in in_envelope_id.iter().chain(&marks.references).take(MOST_MARKS) {
        let named = Named::Notice(reference.clone());
        found.push((Mark::Reference, Certainty::Likely, Found::Named(named)));
    }
    let by_message_id = |by: Mark, id: &String| {
        let named = key
            .read_message_id(id)
            .map_or_else(|| Found::MessageId(id.clone()), Found::Named);
        (by, Certainty::Certain, named)
    };
    found.extend(
        marks
            .answers
            .iter()
            .take(MOST_MARKS)
            .map(|id| by_message_id(Mark::Answers, id)),
    );
    let returned_id = returned.and_then(|returned| returned.message_id.as_ref());
    found.extend(returned_id.map(|id| by_message_id(Mark::Returned, id)));
    found
}

/// Every address the mail was sent or delivered to, as its headers have it.
fn recipient_addresses(mail: &Opened) -> Vec<String> {
    let delivered = mail
        .headers
        .iter()
        .filter(|(name, _)| RECIPIENT_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(|(_, value)| {
            value
                .trim_matches(|c: char| c.is_whitespace() || "<>".contains(c))
                .to_owned()
        });
    let to = mail.to.iter().map(|mailbox| mailbox.address.clone());
    delivered.chain(to).take(MOST_MARKS).collect()
}

async fn look_up(office: &Office, found: &Found) -> Result<Option<Match>, OfficeError> {
    let notice = match found {
        Found::Named(Named::Notice(reference)) => office.store.find_notice(reference).await?,
        Found::MessageId(id) => office.store.find_notice_by_message_id(id).await?,
        Found::Named(Named::Delivery(id)) => {
            let delivery = office.store.find_delivery(*id).await?;
            return Ok(delivery
                .filter(|delivery| delivery.campaign.is_some())
                .map(|delivery| Match {
                    delivery: Some(delivery),
                    ..Match::default()
                }));
        }
    };
    // A draft was never sent: nobody can answer it.
    let Some(notice) = notice.filter(|notice| notice.draft_reason.is_none()) else {
        return Ok(None);
    };
    of_notice(office, notice).await.map(Some)
}

/// A notice with its delivery.
///
/// # Errors
/// The store fails.
pub async fn of_notice(office: &Office, notice: Notice) -> Result<Match, OfficeError> {
    let delivery = match notice.delivery {
        Some(id) => office.store.find_delivery(id).await?,
        None => None,
    };
    Ok(Match {
        notice: Some(notice),
        delivery,
        ..Match::default()
    })
}

/// Notices by e-mail to an authority from whose senders this mail may come, that left not long ago.
async fn by_sender(office: &Office, mail: &Opened, marks: &Marks, now: Time) -> Result<Vec<Reference>, OfficeError> {
    let [from] = mail.from.as_slice() else {
        return Ok(Vec::new());
    };
    if marks.report.is_some() {
        return Ok(Vec::new());
    }
    let notices = office.store.list_notices(None).await?;
    let recent = notices.into_iter().rev().filter(|notice| {
        let open = notice.draft_reason.is_none() && notice.withdrawn_at.is_none();
        open && notice.channel == NoticeChannel::Email && now - notice.filed_at <= SENDER_WINDOW
    });
    // A profile is read from its file: once each, however many notices went there.
    let mut known: HashMap<String, bool> = HashMap::new();
    let fits = |notice: &Notice| {
        let read = || {
            let profile = office.directory.find(&notice.authority);
            profile.is_ok_and(|profile| profile.sender_matches(&from.address))
        };
        *known.entry(notice.authority.clone()).or_insert_with(read)
    };
    let fitting = recent.filter(fits).map(|notice| notice.reference);
    Ok(fitting.take(MOST_PROPOSED).collect())
}
