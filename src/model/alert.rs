//! Something that needs a person: what it is, how near, about what, and how often it is repeated until somebody says
//! that they have seen it. Holds ids only: no personal data and nothing of a breach's content. No I/O.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Time;
use super::id::{Actor, AlertId, BadId, BreachId, CampaignId, MailId, Reference};

/// What is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The 72 hours run out and no notice has been handed to the authority that must have one (GDPR Art. 33(1)).
    Deadline,
    /// The authority has not confirmed receipt in time.
    NoAcknowledgement,
    /// An update was promised to the authority for this day (GDPR Art. 33(4)).
    UpdateDue,
    /// An authority asks something and waits for the answer.
    InquiryDue,
    /// Refused for good or returned: the authority does not have the notice.
    NoticeFailed,
    /// Waits for a person's decision.
    NoticeHeld,
    /// May have been taken or not, for long or for good.
    NoticeInDoubt,
    /// Tried, and still not handed over.
    NoticeDelayed,
    /// The certificate of an authority ends.
    CertificateExpiring,
    /// The certificate that a notice was sealed to has ended, and the notice is still on its way.
    SealedToExpired,
    /// Our own key ends.
    KeyExpiring,
    /// Relay, mailbox or an alert channel cannot be reached.
    Unreachable,
    /// Our clock and that of others disagree.
    ClockSkew,
    /// The disk of the home is nearly full.
    DiskLow,
    /// Received mail waits for a person.
    TrayWaiting,
    /// A campaign has stopped itself.
    CampaignPaused,
    /// Persons of a campaign whose message could not be written wait for a decision.
    PersonsHeld,
    /// Persons of a campaign have been put off since yesterday or before.
    PersonsWaiting,
    /// A campaign is neither sent to its end nor called off, and nobody has done anything about it for a month.
    CampaignUnfinished,
}
impl Condition {
    pub const ALL: [Condition; 19] = [
        Condition::Deadline,
        Condition::NoAcknowledgement,
        Condition::UpdateDue,
        Condition::InquiryDue,
        Condition::NoticeFailed,
        Condition::NoticeHeld,
        Condition::NoticeInDoubt,
        Condition::NoticeDelayed,
        Condition::CertificateExpiring,
        Condition::SealedToExpired,
        Condition::KeyExpiring,
        Condition::Unreachable,
        Condition::ClockSkew,
        Condition::DiskLow,
        Condition::TrayWaiting,
        Condition::CampaignPaused,
        Condition::PersonsHeld,
        Condition::PersonsWaiting,
        Condition::CampaignUnfinished,
    ];
    /// As in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Deadline => "deadline",
            Condition::NoAcknowledgement => "no_acknowledgement",
            Condition::UpdateDue => "update_due",
            Condition::InquiryDue => "inquiry_due",
            Condition::NoticeFailed => "notice_failed",
            Condition::NoticeHeld => "notice_held",
            Condition::NoticeInDoubt => "notice_in_doubt",
            Condition::NoticeDelayed => "notice_delayed",
            Condition::CertificateExpiring => "certificate_expiring",
            Condition::SealedToExpired => "sealed_to_expired",
            Condition::KeyExpiring => "key_expiring",
            Condition::Unreachable => "unreachable",
            Condition::ClockSkew => "clock_skew",
            Condition::DiskLow => "disk_low",
            Condition::TrayWaiting => "tray_waiting",
            Condition::CampaignPaused => "campaign_paused",
            Condition::PersonsHeld => "persons_held",
            Condition::PersonsWaiting => "persons_waiting",
            Condition::CampaignUnfinished => "campaign_unfinished",
        }
    }
}

/// How near. Each stage of a condition is raised once; the next one is an alert of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It is so, and there are no stages.
    Now,
    /// At most so many hours are left.
    HoursBefore(u32),
    /// At most so many days are left.
    DaysBefore(u32),
    /// The day has come.
    Due,
    /// The time is over.
    Passed,
}
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Now => f.write_str("now"),
            Stage::HoursBefore(hours) => write!(f, "{hours}h_before"),
            Stage::DaysBefore(days) => write!(f, "{days}d_before"),
            Stage::Due => f.write_str("due"),
            Stage::Passed => f.write_str("passed"),
        }
    }
}
impl FromStr for Stage {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let counted = |unit: &str| text.strip_suffix(unit).and_then(|count| count.parse().ok());
        match text {
            "now" => Some(Stage::Now),
            "due" => Some(Stage::Due),
            "passed" => Some(Stage::Passed),
            _ => counted("h_before")
                .map(Stage::HoursBefore)
                .or_else(|| counted("d_before").map(Stage::DaysBefore)),
        }
        .ok_or_else(|| BadId {
            given: text.to_owned(),
            wanted: "stage such as 24h_before or passed",
        })
    }
}
impl Serialize for Stage {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What it is about: ids and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    pub breach: Option<BreachId>,
    pub notice: Option<Reference>,
    /// A profile's id.
    pub authority: Option<String>,
    /// Of a certificate or key, upper-case hex.
    pub fingerprint: Option<String>,
    pub campaign: Option<CampaignId>,
    pub mail: Option<MailId>,
    /// `relay`, `mailbox`, `webhook:…`, `disk`, `clock`: what [`Condition::Unreachable`] and the like mean.
    pub part: Option<String>,
}
impl About {
    /// The ids in one line, each once, the narrowest first.
    pub fn subject(&self) -> String {
        let shown = [
            self.notice.as_ref().map(ToString::to_string),
            self.breach.map(|id| id.to_string()),
            self.campaign.map(|id| id.to_string()),
            self.mail.map(|id| id.to_string()),
            self.authority.clone(),
            self.part.clone(),
            self.fingerprint.clone(),
        ];
        shown.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// How long a person may leave it, and so how often it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// There is time: told once; the next stage is the reminder.
    InTime,
    /// To be dealt with within a day: repeated daily.
    Today,
    /// To be dealt with now: repeated after one hour, after four more, then daily.
    Now,
}
impl Urgency {
    /// How long after the last telling it is repeated, when it was repeated `reminders` times already.
    pub fn repeats_after(self, reminders: u32) -> Option<TimeDelta> {
        match (self, reminders) {
            (Urgency::InTime, _) => None,
            (Urgency::Now, 0) => Some(TimeDelta::hours(1)),
            (Urgency::Now, 1) => Some(TimeDelta::hours(4)),
            (Urgency::Today | Urgency::Now, _) => Some(TimeDelta::days(1)),
        }
    }
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub condition: Condition,
    pub stage: Stage,
    pub about: About,
    /// When the thing is due: the deadline, the expiry, the promised day.
    pub due: Option<Time>,
    /// When it began, where that tells one occurrence from the next: the same relay may fail again next week.
    pub since: Option<Time>,
}
impl Alarm {
    /// Condition, subject, occurrence and stage: the same for as long as it is the same thing, and never used again.
    pub fn key(&self) -> String {
        let at = |time: Option<Time>| time.map_or(0, |time| time.timestamp());
        let subject = self.about.subject();
        let (due, since) = (at(self.due), at(self.since));
        format!("{}|{subject}|{due}|{since}|{}", self.condition.name(), self.stage)
    }
    pub fn urgency(&self) -> Urgency {
        match (self.condition, self.stage) {
            (_, Stage::DaysBefore(days)) if days > 7 => Urgency::InTime,
            (
                Condition::CertificateExpiring
                | Condition::KeyExpiring
                | Condition::UpdateDue
                | Condition::ClockSkew
                | Condition::TrayWaiting
                | Condition::PersonsWaiting
                | Condition::CampaignUnfinished,
                _,
            ) => Urgency::Today,
            _ => Urgency::Now,
        }
    }
}

/// Who has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub at: Time,
    pub by: Actor,
    pub note: Option<String>,
}

/// An alarm that was raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    #[serde(flatten)]
    pub alarm: Alarm,
    pub raised_at: Time,
    /// How often it was repeated.
    pub reminders: u32,
    /// When it was raised or last repeated.
    pub reminded_at: Time,
    /// Somebody has seen it: it is not repeated any more.
    pub acknowledged: Option<Seen>,
    /// It is no longer so.
    pub resolved_at: Option<Time>,
}
impl Alert {
    /// Whether it is still so.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }
    /// Whether it is still so and nobody has said that they know.
    pub fn waits(&self) -> bool {
        self.is_open() && self.acknowledged.is_none()
    }
    /// Whether it is to be repeated now.
    pub fn repeat_is_due(&self, now: Time) -> bool {
        let after = self.alarm.urgency().repeats_after(self.reminders);
        self.waits() && after.is_some_and(|after| now - self.reminded_at >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }
    fn alert(stage: Stage, condition: Condition) -> Alert {
        let raised_at = at("2026-11-21T10:00:00Z");
        Alert {
            id: AlertId::new(1),
            alarm: Alarm {
                condition,
                stage,
                about: About::default(),
                due: None,
                since: None,
            },
            raised_at,
            reminders: 0,
            reminded_at: raised_at,
            acknowledged: None,
            resolved_at: None,
        }
    }

    #[test]
    fn words_read_back() {
        for condition in Condition::ALL {
            let json = serde_json::to_value(condition).unwrap();
            assert_eq!(json, condition.name());
        }
        for stage in [
            Stage::Now,
            Stage::HoursBefore(48),
            Stage::DaysBefore(7),
            Stage::Due,
            Stage::Passed,
        ] {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        for wrong in ["", "h_before", "-1h_before", "soon"] {
            assert!(wrong.parse::<Stage>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn repeated_while_nobody_says_that_they_know() {
        for (condition, stage, reminders, hours, due) in [
            (Condition::Deadline, Stage::Passed, 0, 0, false),
            (Condition::Deadline, Stage::Passed, 0, 1, true),
            (Condition::Deadline, Stage::Passed, 1, 3, false),
            (Condition::Deadline, Stage::Passed, 1, 4, true),
            (Condition::Deadline, Stage::Passed, 9, 23, false),
            (Condition::Deadline, Stage::Passed, 9, 24, true),
            (Condition::TrayWaiting, Stage::Now, 0, 23, false),
            (Condition::TrayWaiting, Stage::Now, 0, 24, true),
            (Condition::KeyExpiring, Stage::DaysBefore(30), 0, 9999, false),
            (Condition::KeyExpiring, Stage::DaysBefore(7), 0, 24, true),
            // The clock was set back.
            (Condition::Deadline, Stage::Passed, 0, -5, false),
        ] {
            let mut alert = alert(stage, condition);
            alert.reminders = reminders;
            let now = alert.reminded_at + TimeDelta::hours(hours);
            assert_eq!(
                alert.repeat_is_due(now),
                due,
                "{condition:?} {stage} {reminders} {hours}"
            );
            alert.resolved_at = Some(now);
            assert!(!alert.repeat_is_due(now + TimeDelta::days(9)));
            alert.resolved_at = None;
            alert.acknowledged = Some(Seen {
                at: now,
                by: Actor::Os("anna".into()),
                note: None,
            });
            assert!(!alert.repeat_is_due(now + TimeDelta::days(9)));
        }
    }

    #[test]
    fn a_key_tells_subject_occurrence_and_stage_apart() {
        let relay = |since: &str, stage| Alarm {
            condition: Condition::Unreachable,
            stage,
            about: About {
                part: Some("relay".into()),
                ..About::default()
            },
            due: None,
            since: Some(at(since)),
        };
        let one = relay("2026-11-21T10:00:00Z", Stage::Now);
        assert_eq!(one.key(), one.clone().key());
        assert_ne!(one.key(), relay("2026-11-21T11:00:00Z", Stage::Now).key());
        assert_ne!(one.key(), relay("2026-11-21T10:00:00Z", Stage::Passed).key());
    }
}
