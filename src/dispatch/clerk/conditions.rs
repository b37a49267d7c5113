//! Which conditions hold, from what was seen and the time: no store, no clock, no I/O. Every rule on when a person must be
//! told is here.

use std::cmp::Ordering;

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::directory::profile::Expected;
use crate::model::Time;
use crate::model::alert::{About, Alarm, Condition, Stage};
use crate::model::delivery::DeliveryState;
use crate::model::id::{BreachId, CampaignId, Reference};
use crate::model::inquiry::Inquiry;
use crate::model::notice::{NoticeKind, NoticeState};
use crate::store::HealthNote;

/// A certificate or key is named so many days before its end, and when it has ended.
const EXPIRY_DAYS: [u32; 4] = [90, 30, 7, 1];
/// An answer is asked for once more when so many hours are left.
const INQUIRY_HOURS: u32 = 24;
/// When an authority says nothing on how soon it confirms receipt, a day of silence is a reason to ask.
const ACKNOWLEDGED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// A filed notice that was not handed over yet counts as on its way for so long; then the deadline's alarms go on.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(10);
/// A relay that defers for longer has a trouble that a person should know of.
const DELAYED: TimeDelta = TimeDelta::minutes(30);
/// Servers restart; what is away for longer does not come back by itself.
const UNREACHABLE: TimeDelta = TimeDelta::minutes(10);
/// A finding that nobody has made again for so long says nothing about now: what it is about may not be used any more.
pub(super) const STALE: TimeDelta = TimeDelta::hours(2);

/// What was seen of the house.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Hours before a deadline, as configured.
    pub remind_hours_before: Vec<u32>,
    /// Where promised days are counted.
    pub zone: Tz,
    pub breaches: Vec<BreachFacts>,
    /// Neither drafts nor withdrawn ones.
    pub notices: Vec<NoticeFacts>,
    /// Open ones.
    pub inquiries: Vec<Inquiry>,
    pub keys: Vec<KeyFacts>,
    pub health: Vec<HealthNote>,
    pub paused: Vec<CampaignId>,
    /// Campaigns with persons whose message could not be written.
    pub held: Vec<CampaignId>,
    /// Campaigns with persons who have been put off for long.
    pub put_off: Vec<CampaignId>,
    /// Campaigns that nobody did anything about for long, and when somebody did.
    pub unfinished: Vec<(CampaignId, Time)>,
}

/// A breach that an authority may have to be told of.
#[derive(Debug, Clone)]
pub struct BreachFacts {
    pub id: BreachId,
    /// Who must have a notice: the record's lead authority or the one of our country; `None`: any supervisory authority.
    pub authority: Option<String>,
    /// `None` when awareness is not recorded, or no notice is needed.
    pub deadline: Option<Time>,
    /// The day for which an update was promised.
    pub update_due: Option<NaiveDate>,
}

/// A filed notice.
#[derive(Debug, Clone)]
pub struct NoticeFacts {
    pub reference: Reference,
    pub breach: BreachId,
    pub authority: String,
    /// Whether a notice to it is one under GDPR Art. 33: not so for a CSIRT.
    pub supervisory: bool,
    pub sequence: u32,
    pub kind: NoticeKind,
    pub state: NoticeState,
    /// Only a content-free mail: the authority does not have the notice.
    pub stub: bool,
    pub filed_at: Time,
    /// `None` for another channel than e-mail.
    pub delivery: Option<DeliveryState>,
    /// When the last attempt ended.
    pub tried_at: Option<Time>,
    pub acknowledged_within: Option<TimeDelta>,
    pub acknowledgement: Expected,
    /// The certificate it was sealed to.
    pub sealed_to: Option<String>,
}

/// A certificate or key that can end.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// `None`: our own.
    pub authority: Option<String>,
    pub fingerprint: String,
    pub expires: Option<Time>,
}

/// Every alarm that holds, each with the stage it has come to.
pub fn holding(seen: &Snapshot, now: Time) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for breach in &seen.breaches {
        alarms.extend(deadline(seen, breach, now));
        alarms.extend(update_due(seen.zone, breach, now));
    }
    for notice in &seen.notices {
        alarms.extend(no_acknowledgement(seen, notice, now));
        alarms.extend(stuck(seen, notice, now));
        alarms.extend(sealed_to_expired(seen, notice, now));
    }
    alarms.extend(seen.inquiries.iter().map(|inquiry| inquiry_due(inquiry, now)));
    alarms.extend(seen.keys.iter().filter_map(|key| expiring(key, now)));
    alarms.extend(seen.health.iter().filter_map(|note| unhealthy(note, now)));
    let campaigns = [
        (Condition::CampaignPaused, &seen.paused),
        (Condition::PersonsHeld, &seen.held),
        (Condition::PersonsWaiting, &seen.put_off),
    ];
    for (condition, campaigns) in campaigns {
        alarms.extend(campaigns.iter().map(|id| about_campaign(*id, condition, None)));
    }
    let unfinished = seen.unfinished.iter();
    alarms.extend(unfinished.map(|(id, since)| about_campaign(*id, Condition::CampaignUnfinished, Some(*since))));
    alarms
}

fn about_campaign(campaign: CampaignId, condition: Condition, since: Option<Time>) -> Alarm {
    Alarm {
        condition,
        stage: Stage::Now,
        about: About {
            campaign: Some(campaign),
            ..About::default()
        },
        due: None,
        since,
    }
}

/// No notice has been handed to the authority that must have one (GDPR Art. 33(1)). What waits for the relay is not there
/// yet: a deadline stops no retry, but the alarm goes on.
fn deadline(seen: &Snapshot, breach: &BreachFacts, now: Time) -> Option<Alarm> {
    let due = breach.deadline?;
    let told = seen.notices.iter().any(|notice| {
        let wanted = match &breach.authority {
            Some(authority) => notice.authority == *authority,
            None => notice.supervisory,
        };
        notice.breach == breach.id && wanted && (has_it(notice) || is_on_its_way(notice, now))
    });
    let stage = match due - now {
        _ if told => return None,
        left if left < TimeDelta::zero() => Stage::Passed,
        left => Stage::HoursBefore(nearest(&seen.remind_hours_before, left, TimeDelta::hours)?),
    };
    Some(Alarm {
        condition: Condition::Deadline,
        stage,
        about: About {
            breach: Some(breach.id),
            authority: breach.authority.clone(),
            ..About::default()
        },
        due: Some(due),
        since: None,
    })
}

/// The smallest of these counts of `unit` that still covers what is left.
fn nearest(counts: &[u32], left: TimeDelta, unit: fn(i64) -> TimeDelta) -> Option<u32> {
    let covers = |count: &u32| left <= unit(i64::from(*count));
    counts.iter().copied().filter(covers).min()
}

/// The authority has the content, or its server does.
fn has_it(notice: &NoticeFacts) -> bool {
    let there = matches!(
        notice.state,
        NoticeState::Handed | NoticeState::Delivered | NoticeState::Acknowledged
    );
    there && !notice.stub
}

fn is_on_its_way(notice: &NoticeFacts, now: Time) -> bool {
    let waits = matches!(notice.state, NoticeState::Queued | NoticeState::InDoubt);
    waits && !notice.stub && now - notice.filed_at < ON_ITS_WAY
}

/// The day itself is `due` at its midnight UTC, whatever the zone: a day, not an instant.
fn update_due(zone: Tz, breach: &BreachFacts, now: Time) -> Option<Alarm> {
    let day = breach.update_due?;
    let stage = match now.with_timezone(&zone).date_naive().cmp(&day) {
        Ordering::Less => return None,
        Ordering::Equal => Stage::Due,
        Ordering::Greater => Stage::Passed,
    };
    Some(Alarm {
        condition: Condition::UpdateDue,
        stage,
        about: About {
            breach: Some(breach.id),
            ..About::default()
        },
        due: Some(day.and_time(NaiveTime::MIN).and_utc()),
        since: None,
    })
}

/// Told at once, again when little time is left, and when none is.
fn inquiry_due(inquiry: &Inquiry, now: Time) -> Alarm {
    let stage = match inquiry.due - now {
        left if left < TimeDelta::zero() => Stage::Passed,
        left => nearest(&[INQUIRY_HOURS], left, TimeDelta::hours).map_or(Stage::Now, Stage::HoursBefore),
    };
    Alarm {
        condition: Condition::InquiryDue,
        stage,
        about: About {
            breach: Some(inquiry.breach),
            notice: Some(inquiry.notice.clone()),
            authority: Some(inquiry.authority.clone()),
            mail: Some(inquiry.mail),
            ..About::default()
        },
        due: Some(inquiry.due),
        since: None,
    }
}

/// When the authority should have confirmed receipt: after its usual time, or when half of what was left to the deadline
/// at handing is gone, whichever is sooner. Then there is still time to do something about it.
fn acknowledged_by(handed: Time, within: Option<TimeDelta>, deadline: Option<Time>) -> Time {
    let usual = handed + within.unwrap_or(ACKNOWLEDGED_WITHIN);
    match deadline.filter(|deadline| *deadline > handed) {
        Some(deadline) => usual.min(handed + (deadline - handed) / 2),
        None => usual,
    }
}

fn no_acknowledgement(seen: &Snapshot, notice: &NoticeFacts, now: Time) -> Option<Alarm> {
    let handed = match &notice.delivery {
        Some(DeliveryState::Handed { at, .. } | DeliveryState::Confirmed { at, .. }) => *at,
        _ => return None,
    };
    let waits = matches!(notice.state, NoticeState::Handed | NoticeState::Delivered) && !notice.stub;
    // Nobody confirms an answer to a question or a withdrawal as a matter of course.
    let expected =
        notice.acknowledgement != Expected::No && !matches!(notice.kind, NoticeKind::Answer | NoticeKind::Withdrawal);
    let later_one_is = later(seen, notice).any(|later| later.state == NoticeState::Acknowledged);
    if !waits || !expected || later_one_is {
        return None;
    }
    let of_breach = |breach: &&BreachFacts| breach.id == notice.breach;
    let deadline = seen.breaches.iter().find(of_breach).and_then(|breach| breach.deadline);
    let due = acknowledged_by(handed, notice.acknowledged_within, deadline);
    (now >= due).then(|| about_notice(notice, Condition::NoAcknowledgement, Some(due), None))
}

/// Notices that continue this one, to the same authority.
fn later<'a>(seen: &'a Snapshot, notice: &'a NoticeFacts) -> impl Iterator<Item = &'a NoticeFacts> {
    seen.notices.iter().filter(|other| {
        other.breach == notice.breach && other.authority == notice.authority && other.sequence > notice.sequence
    })
}

/// It did not get through; a later notice to the same authority makes up for it.
fn stuck(seen: &Snapshot, notice: &NoticeFacts, now: Time) -> Option<Alarm> {
    if notice.state == NoticeState::Acknowledged || later(seen, notice).any(has_it) {
        return None;
    }
    let (condition, since) = match notice.delivery.as_ref()? {
        DeliveryState::Failed { at, .. } => (Condition::NoticeFailed, Some(*at)),
        DeliveryState::Held { .. } => (Condition::NoticeHeld, notice.tried_at),
        DeliveryState::InDoubt { since, next } if next.is_none() || now - *since >= DELAYED => {
            (Condition::NoticeInDoubt, Some(*since))
        }
        DeliveryState::Ready { .. } | DeliveryState::Leased { .. } | DeliveryState::OnWire { .. }
            if notice.tried_at.is_some() && now - notice.filed_at >= DELAYED =>
        {
            (Condition::NoticeDelayed, Some(notice.filed_at))
        }
        _ => return None,
    };
    Some(about_notice(notice, condition, None, since))
}

/// The certificate was good when the notice was sealed, and has ended before it left. The delivery goes on: whether they
/// can still open it is for a person to find out.
fn sealed_to_expired(seen: &Snapshot, notice: &NoticeFacts, now: Time) -> Option<Alarm> {
    let goes_on = notice.delivery.as_ref().is_some_and(|delivery| !delivery.is_final());
    let fingerprint = notice.sealed_to.as_ref().filter(|_| goes_on)?;
    let same = |key: &&KeyFacts| key.authority.is_some() && key.fingerprint == *fingerprint;
    let expires = seen.keys.iter().find(same)?.expires?;
    let ended = expires <= now && expires > notice.filed_at;
    ended.then(|| {
        let mut alarm = about_notice(notice, Condition::SealedToExpired, Some(expires), None);
        alarm.about.fingerprint = Some(fingerprint.clone());
        alarm
    })
}

fn about_notice(notice: &NoticeFacts, condition: Condition, due: Option<Time>, since: Option<Time>) -> Alarm {
    Alarm {
        condition,
        stage: Stage::Now,
        about: About {
            breach: Some(notice.breach),
            notice: Some(notice.reference.clone()),
            authority: Some(notice.authority.clone()),
            ..About::default()
        },
        due,
        since,
    }
}

fn expiring(key: &KeyFacts, now: Time) -> Option<Alarm> {
    let expires = key.expires?;
    let stage = match expires - now {
        left if left <= TimeDelta::zero() => Stage::Passed,
        left => Stage::DaysBefore(nearest(&EXPIRY_DAYS, left, TimeDelta::days)?),
    };
    Some(Alarm {
        condition: match key.authority {
            Some(_) => Condition::CertificateExpiring,
            None => Condition::KeyExpiring,
        },
        stage,
        about: About {
            authority: key.authority.clone(),
            fingerprint: Some(key.fingerprint.clone()),
            ..About::default()
        },
        due: Some(expires),
        since: None,
    })
}

fn unhealthy(note: &HealthNote, now: Time) -> Option<Alarm> {
    note.fault.as_ref()?;
    let (condition, after) = match note.what.as_str() {
        "disk" => (Condition::DiskLow, TimeDelta::zero()),
        "tray" => (Condition::TrayWaiting, TimeDelta::zero()),
        what if what.starts_with("clock") => (Condition::ClockSkew, TimeDelta::zero()),
        _ => (Condition::Unreachable, UNREACHABLE),
    };
    let holds = now - note.since >= after && now - note.at < STALE;
    holds.then(|| Alarm {
        condition,
        stage: Stage::Now,
        about: About {
            part: Some(note.what.clone()),
            ..About::default()
        },
        due: None,
        since: Some(note.since),
    })
}

#[cfg(test)]
mod tests;
