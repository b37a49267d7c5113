//! A question of an authority that waits for our answer: its due date, and how it ends. No I/O.

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Time;
use super::holidays::Calendar;
use super::id::{Actor, BreachId, MailId, Reference};
use super::time::end_of_day;

/// How long a question may wait when nobody has read from it by when the authority wants its answer: a mail's wishes
/// cannot be guessed, and three working days are short enough to be safe and long enough to work out an answer.
pub const WORKING_DAYS: u32 = 3;
/// The same where the authority's holidays are not known: the hours that the law gives for a notice.
const HOURS: i64 = 72;

/// One question, known by the mail it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inquiry {
    pub mail: MailId,
    /// The notice it is about.
    pub notice: Reference,
    pub breach: BreachId,
    pub authority: String,
    pub received_at: Time,
    pub due: Time,
    /// The authority orders us to inform the persons concerned (GDPR Art. 34(4)), as a person of ours has read.
    pub order: bool,
    /// `None` while it is open.
    pub closed: Option<Closed>,
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub at: Time,
    pub by: Actor,
    /// The notice of kind answer that was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Reference>,
    /// Why it needs no answer, as a person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// When an answer is due unless a person says otherwise: at the end of the third working day after the one on which the
/// mail came, in the authority's zone; 72 hours later where its holidays are not known.
pub fn usual_due(received: Time, zone: Tz, calendar: Option<&Calendar>) -> Time {
    let working = calendar.and_then(|calendar| {
        let first = received.with_timezone(&zone).date_naive().succ_opt()?;
        let mut left = WORKING_DAYS;
        for day in first.iter_days() {
            if is_working_day(day, calendar)? {
                left -= 1;
            }
            if left == 0 {
                return Some(end_of_day(day, zone));
            }
        }
        None
    });
    working.unwrap_or(received + TimeDelta::hours(HOURS))
}

/// `None` when the calendar does not cover the day.
fn is_working_day(day: NaiveDate, calendar: &Calendar) -> Option<bool> {
    let weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
    Some(!weekend && !calendar.is_holiday(day)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Luxembourg;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn the_usual_due_date() {
        let calendar = Calendar::luxembourg();
        for (name, received, calendar, due) in [
            (
                "Monday to Thursday",
                "2026-11-16T09:00:00Z",
                Some(&calendar),
                "2026-11-19T23:00:00Z",
            ),
            (
                "Friday over the weekend",
                "2026-11-20T09:00:00Z",
                Some(&calendar),
                "2026-11-25T23:00:00Z",
            ),
            (
                "Saturday",
                "2026-11-21T09:00:00Z",
                Some(&calendar),
                "2026-11-25T23:00:00Z",
            ),
            (
                "over Christmas",
                "2026-12-23T09:00:00Z",
                Some(&calendar),
                "2026-12-29T23:00:00Z",
            ),
            (
                "late at night counts as the local day",
                "2026-11-16T23:30:00Z",
                Some(&calendar),
                "2026-11-20T23:00:00Z",
            ),
            ("no calendar", "2026-11-20T09:00:00Z", None, "2026-11-23T09:00:00Z"),
            (
                "a year that is not covered",
                "2017-01-06T09:00:00Z",
                Some(&calendar),
                "2017-01-09T09:00:00Z",
            ),
        ] {
            assert_eq!(usual_due(at(received), Luxembourg, calendar), at(due), "{name}");
        }
    }
}
