//! What an alert says: to a person in a mail, to a program as JSON. Ids, times, the authority's public telephone number,
//! and the command that leads on; never a title, a name or anything else of a breach, because alerts travel in clear.

use chrono_tz::Tz;
use serde::Serialize;

use crate::directory::Directory;
use crate::model::Time;
use crate::model::alert::{About, Alarm, Condition, Stage};
use crate::model::plural::{counted, if_one};
use crate::model::time::show_local;

/// An alarm in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// What is the matter, in one sentence without a full stop.
    pub text: String,
    /// What to do about it, in whole sentences.
    pub todo: String,
    /// A command that leads on.
    pub command: String,
}

/// Puts an alarm into words; instants are shown in `zone`.
pub fn words(alarm: &Alarm, directory: &Directory, zone: Tz) -> Words {
    let about = &alarm.about;
    let subject = Subject::of(about, directory);
    let due = alarm.due.map(|due| show_local(due, zone)).unwrap_or_default();
    match alarm.condition {
        Condition::Deadline
        | Condition::NoAcknowledgement
        | Condition::NoticeFailed
        | Condition::NoticeHeld
        | Condition::NoticeInDoubt
        | Condition::NoticeDelayed
        | Condition::SealedToExpired => of_notice(alarm, &subject, &due),
        Condition::UpdateDue | Condition::InquiryDue => of_promise(alarm, &subject, &due),
        Condition::CertificateExpiring | Condition::KeyExpiring => of_key(alarm, &subject, &due),
        Condition::Unreachable | Condition::ClockSkew | Condition::DiskLow | Condition::TrayWaiting => {
            of_house(alarm, zone)
        }
        Condition::CampaignPaused
        | Condition::PersonsHeld
        | Condition::PersonsWaiting
        | Condition::CampaignUnfinished => of_campaign(alarm, zone),
    }
}

/// The ids as texts, and how to reach the authority.
struct Subject {
    breach: String,
    notice: String,
    authority: String,
    /// `Telephone them: NUMBER (HOURS).`
    call: String,
}
impl Subject {
    fn of(about: &About, directory: &Directory) -> Self {
        let shown = |id: Option<String>, or: &str| id.unwrap_or_else(|| or.to_owned());
        let profile = about.authority.as_ref().and_then(|id| directory.find(id).ok());
        let call = profile.as_ref().and_then(|profile| profile.phone()).map(|phone| {
            let hours = phone.hours.as_deref().unwrap_or("hours not known");
            format!("Telephone them: {} ({hours}).", phone.value)
        });
        Self {
            breach: shown(about.breach.map(|id| id.to_string()), "a breach"),
            notice: shown(about.notice.as_ref().map(ToString::to_string), "a notice"),
            authority: shown(about.authority.clone(), "an authority"),
            call: shown(call, "Telephone them; no number is on record."),
        }
    }
    fn show_notice(&self) -> String {
        format!("breachpost notice show {}", self.notice)
    }
    fn call_sheet(&self) -> String {
        format!("breachpost notice show {} --call-sheet", self.notice)
    }
}

fn say(text: String, todo: impl Into<String>, command: impl Into<String>) -> Words {
    Words {
        text,
        todo: todo.into(),
        command: command.into(),
    }
}

fn of_notice(alarm: &Alarm, of: &Subject, due: &str) -> Words {
    let Subject {
        breach,
        notice,
        authority,
        call,
    } = of;
    match (alarm.condition, alarm.stage) {
        (Condition::Deadline, stage) => {
            let command = match alarm.about.authority {
                Some(_) => format!("breachpost notice preview {breach} --to {authority}"),
                None => format!("breachpost breach show {breach}"),
            };
            match stage {
                Stage::HoursBefore(hours) => say(
                    format!(
                        "{breach}: at most {} {} left ({due}), and no notice to {authority} was handed over",
                        counted(hours, "hour"),
                        if_one(hours, "is", "are")
                    ),
                    "Send what is known; what is missing may follow in phases (GDPR Art. 33(4)).",
                    command,
                ),
                _ => say(
                    format!("{breach}: the 72 hours ended on {due}, and no notice to {authority} was handed over"),
                    "Send it now, with the reasons for the delay (GDPR Art. 33(1)).",
                    command,
                ),
            }
        }
        (Condition::NoAcknowledgement, _) => say(
            format!("{notice}: {authority} has not confirmed receipt, as was expected by {due}"),
            format!("{call} The call sheet says what to say, and how to book the answer."),
            of.call_sheet(),
        ),
        (Condition::NoticeFailed, _) => say(
            format!("{notice} was refused or came back: {authority} does not have it"),
            format!("See why, and send it again or by another channel. {call}"),
            of.show_notice(),
        ),
        (Condition::NoticeHeld, _) => say(
            format!("{notice} to {authority} is held: it leaves only when a person says so"),
            "See why, and let it go or send it anew.",
            of.show_notice(),
        ),
        (Condition::NoticeInDoubt, _) => say(
            format!("{notice} to {authority} is in doubt: it may have arrived or not"),
            format!("{call} Ask whether it has come."),
            of.call_sheet(),
        ),
        (Condition::NoticeDelayed, _) => say(
            format!("{notice} to {authority} has still not been handed over; it is tried again"),
            "See what the relay answers, and ask whoever runs it.",
            of.show_notice(),
        ),
        _ => say(
            format!("{notice}: the certificate of {authority} it was sealed to ended on {due}; delivery goes on"),
            format!(
                "{call} Ask whether they can still open it; if not, import their new certificate and send it anew."
            ),
            of.call_sheet(),
        ),
    }
}

fn of_promise(alarm: &Alarm, of: &Subject, due: &str) -> Words {
    if alarm.condition == Condition::UpdateDue {
        let day = alarm.due.map(|due| due.date_naive().to_string()).unwrap_or_default();
        return say(
            format!("{}: an update was promised to the authority for {day}", of.breach),
            "Send what is known now, or name a new day in the record (GDPR Art. 33(4)).",
            format!("breachpost breach show {}", of.breach),
        );
    }
    let text = match alarm.stage {
        Stage::Passed => format!("{}: the answer to {} was due by {due}", of.notice, of.authority),
        Stage::HoursBefore(hours) => format!(
            "{}: the answer to {} is due within {} ({due})",
            of.notice,
            of.authority,
            counted(hours, "hour")
        ),
        _ => format!(
            "{}: {} asks something; the answer is due by {due}",
            of.notice, of.authority
        ),
    };
    let command = match alarm.about.mail {
        Some(mail) => format!("breachpost mailbox show {mail}"),
        None => "breachpost mailbox tray".to_owned(),
    };
    say(text, "Read the question, and answer it.", command)
}

fn of_key(alarm: &Alarm, of: &Subject, due: &str) -> Words {
    let ends = match alarm.stage {
        Stage::DaysBefore(1) => format!("ends within a day ({due})"),
        Stage::DaysBefore(days) => format!("ends within {} ({due})", counted(days, "day")),
        _ => format!("ended on {due}"),
    };
    match alarm.condition {
        Condition::CertificateExpiring => say(
            format!("the certificate of {} {ends}", of.authority),
            format!(
                "Without it nothing can be sealed to them. {} Ask for the new certificate and read its fingerprint back.",
                of.call
            ),
            format!("breachpost authority cert show {}", of.authority),
        ),
        _ => say(
            format!("our own key {ends}"),
            "Make a new one in time, and tell the authorities you write to.",
            "breachpost key show",
        ),
    }
}

fn of_campaign(alarm: &Alarm, zone: Tz) -> Words {
    let campaign = alarm.about.campaign.map(|id| id.to_string()).unwrap_or_default();
    let since = alarm.since.map(|since| show_local(since, zone)).unwrap_or_default();
    match alarm.condition {
        Condition::PersonsHeld => say(
            format!("messages of {campaign} could not be written: their persons wait for a decision"),
            "See whose and why; try again, book those who were told another way, or give them up for letters.",
            format!("breachpost campaign held {campaign}"),
        ),
        Condition::PersonsWaiting => say(
            format!("persons of {campaign} have been put off by their servers for more than a day"),
            "They are tried for some days more. Who must be told sooner can be telephoned, and booked with `campaign record`.",
            format!("breachpost campaign report {campaign}"),
        ),
        Condition::CampaignUnfinished => say(
            format!("{campaign} is neither sent nor called off, and nobody has done anything about it since {since}"),
            "Send it, or cancel it: its list is personal data, and is kept as long as it waits.",
            format!("breachpost campaign status {campaign}"),
        ),
        _ => say(
            format!(
                "{campaign} has paused: too many messages were refused, its time to start is long past, or somebody \
                 stopped it"
            ),
            "See why, and resume or cancel it.",
            "breachpost status",
        ),
    }
}

fn of_house(alarm: &Alarm, zone: Tz) -> Words {
    let since = alarm.since.map(|since| show_local(since, zone)).unwrap_or_default();
    const DOCTOR: &str = "breachpost doctor";
    match alarm.condition {
        Condition::ClockSkew => say(
            "the clock of this machine has jumped, or differs from that of others".to_owned(),
            "Deadlines and certificates depend on it: set it right, and let a time service keep it so.",
            DOCTOR,
        ),
        Condition::DiskLow => say(
            "the disk of the home is nearly full".to_owned(),
            "Make room: nothing can be filed on a full disk.",
            DOCTOR,
        ),
        Condition::TrayWaiting => say(
            format!("received mail has been waiting for a person since before {since}"),
            "An authority's answer may be among it: look, and match each mail or put it aside.",
            "breachpost mailbox tray",
        ),
        _ => match alarm.about.part.as_deref().unwrap_or_default() {
            "relay" => say(
                format!("the relay has not taken mail from us since {since}: notices wait"),
                "Ask whoever runs the mail server. With a deadline near, use the authority's portal or telephone.",
                DOCTOR,
            ),
            "individuals.relay" => say(
                format!("the relay for individuals has not taken mail from us since {since}: campaigns wait"),
                "Ask whoever runs that mail server. Notices to authorities go over the other relay.",
                DOCTOR,
            ),
            "individuals.mailbox" => say(
                format!(
                    "the mailbox for individuals has not been readable since {since}: bounces and replies are not seen"
                ),
                "Ask whoever runs that mail server. Until it is read, persons whose mail came back count as informed.",
                DOCTOR,
            ),
            "mailbox" => say(
                format!("the mailbox has not been readable since {since}: answers are not seen"),
                "Ask whoever runs the mail server, and look into the mailbox by another program meanwhile.",
                DOCTOR,
            ),
            "daemon" => say(
                format!("a part of the daemon has failed, or changed settings were not taken, since {since}"),
                "Its log and `status` say what it is. What it should do may not be done meanwhile.",
                DOCTOR,
            ),
            part => say(
                format!("the alert channel {part} has not worked since {since}"),
                "Alerts reach you by the other channels only. Try it out when it is mended.",
                "breachpost alert test",
            ),
        },
    }
}

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It was raised.
    Alert,
    /// Nobody has acknowledged it.
    Reminder,
    /// A person tries out the channel.
    Test,
}

/// A mail's subject: kind and id, and nothing else.
pub fn subject(occasion: Occasion, alarm: &Alarm) -> String {
    let kind = alarm.condition.name().replace('_', " ");
    let ids = match alarm.about.subject() {
        ids if ids.is_empty() => kind,
        ids => format!("{kind}, {}", ids.split(' ').next().unwrap_or_default()),
    };
    match occasion {
        Occasion::Reminder => format!("breachpost: still waiting for you ({ids})"),
        _ => format!("breachpost: something needs you ({ids})"),
    }
}

/// A mail's text.
pub fn letter(occasion: Occasion, id: &str, raised_at: Time, words: &Words, zone: Tz) -> String {
    let opening = match occasion {
        Occasion::Reminder => "Nobody has acknowledged this yet:\n\n",
        _ => "",
    };
    let raised = show_local(raised_at, zone);
    let Words { text, todo, command } = words;
    format!(
        "{opening}{text}.\n\n{todo}\n\n    {command}\n\nNumber {id}, raised {raised}. Say that you take care of it, and the \
         reminders end:\n\n    breachpost alert ack {id}\n\nThis mail names no details on purpose: it is not encrypted.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{BreachId, CampaignId, MailId, Reference};

    fn alarm(condition: Condition, stage: Stage) -> Alarm {
        let at = "2026-11-21T09:20:00Z".parse().ok();
        Alarm {
            condition,
            stage,
            about: About {
                breach: Some(BreachId { year: 2026, number: 1 }),
                notice: Some(Reference::from_bits([1, 2, 3, 4, 5])),
                authority: Some("lu-cnpd".into()),
                fingerprint: Some("A".repeat(40)),
                campaign: Some(CampaignId::new(3)),
                mail: Some(MailId::new(5)),
                part: Some("relay".into()),
            },
            due: at,
            since: at,
        }
    }

    #[test]
    fn every_alarm_says_what_to_do() {
        let directory = Directory::load(None).unwrap();
        for condition in Condition::ALL {
            for stage in [
                Stage::Now,
                Stage::HoursBefore(6),
                Stage::DaysBefore(7),
                Stage::Due,
                Stage::Passed,
            ] {
                let said = words(&alarm(condition, stage), &directory, chrono_tz::Europe::Luxembourg);
                assert!(said.command.starts_with("breachpost "), "{said:?}");
                assert!(!said.text.ends_with('.') && said.todo.ends_with('.'), "{said:?}");
                assert!(said.text.len() < 200, "{said:?}");
                let subject = subject(Occasion::Alert, &alarm(condition, stage));
                assert!(subject.is_ascii() && subject.len() < 78, "{subject}");
            }
        }
    }

    #[test]
    fn a_missing_acknowledgement_names_number_hours_and_call_sheet() {
        let directory = Directory::load(None).unwrap();
        let alarm = alarm(Condition::NoAcknowledgement, Stage::Now);
        let said = words(&alarm, &directory, chrono_tz::Europe::Luxembourg);
        let profile = directory.find("lu-cnpd").unwrap();
        let phone = profile.phone().unwrap();
        assert!(said.todo.contains(&phone.value), "{said:?}");
        assert!(
            said.todo.contains(phone.hours.as_deref().unwrap_or("hours not known")),
            "{said:?}"
        );
        assert!(said.command.ends_with(" --call-sheet"), "{said:?}");
        assert!(said.text.contains("Sat 2026-11-21 10:20 CET"), "{said:?}");
        let mail = letter(Occasion::Reminder, "alert_4", alarm.due.unwrap(), &said, chrono_tz::UTC);
        assert!(mail.starts_with("Nobody has acknowledged this yet"), "{mail}");
        assert!(mail.contains("\n    breachpost alert ack alert_4\n"), "{mail}");
    }
}
