//! Clocks of the law: when the notice is due, in every reading, and how instants are read and shown.
//!
//! GDPR Art. 33(1): 72 hours from awareness. Regulation (EEC, Euratom) 1182/71 says how periods are counted; whether its
//! Art. 3(5) (any period of two days or more holds two working days) lengthens 72 hours is disputed. So the strict
//! instant is acted upon, and the other readings are shown beside it. Months and "working days" of other laws are not
//! computed here.

mod typed;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Weekday};
use chrono_tz::Tz;
use serde::Serialize;

use super::Time;
use super::holidays::Calendar;

pub(super) use typed::resolve_with_offset;
pub use typed::{AwareError, Given, LocalTimeError, parse_aware, parse_given, parse_zone, resolve_local};

/// From which risk on a regime wants the authority told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// Unless a risk is unlikely.
    Risk,
    /// Only where the risk is high.
    HighRisk,
}

/// A rule on when an authority must be told: a row of [`REGIMES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Regime {
    pub id: &'static str,
    pub article: &'static str,
    pub hours: u32,
    pub threshold: Threshold,
    /// First day on which it is law; `None` for a proposal.
    pub valid_from: Option<NaiveDate>,
    /// Last day on which it is law; `None` without end.
    pub valid_to: Option<NaiveDate>,
    pub source: &'static str,
}
impl Regime {
    /// Whether it is law on that day. A proposal never is.
    pub fn in_force(&self, on: NaiveDate) -> bool {
        self.valid_from.is_some_and(|from| from <= on) && self.valid_to.is_none_or(|to| on <= to)
    }
    /// Hours from awareness to the end of the period.
    pub fn period(&self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.hours))
    }
}

/// What applies to every breach for now.
pub const GDPR_33: Regime = Regime {
    id: "gdpr_33",
    article: "GDPR Art. 33(1)",
    hours: 72,
    threshold: Threshold::Risk,
    valid_from: NaiveDate::from_ymd_opt(2018, 5, 25),
    valid_to: None,
    source: "https://eur-lex.europa.eu/eli/reg/2016/679/oj",
};
/// Every regime known, law or not.
pub const REGIMES: &[Regime] = &[
    GDPR_33,
    // The Digital Omnibus, COM(2025) 837 of 19 November 2025. Not law: no `valid_from`. Checked 2026-11-21.
    Regime {
        id: "omnibus_proposal",
        article: "COM(2025) 837, GDPR Art. 33(1) as proposed",
        hours: 96,
        threshold: Threshold::HighRisk,
        valid_from: None,
        valid_to: None,
        source: "https://www.sourcingspeak.com/digital-omnibus-european-commission-changes-eu-digital-rules",
    },
];
/// The regime of that id, law or not.
pub fn regime(id: &str) -> Option<&'static Regime> {
    REGIMES.iter().find(|r| r.id == id)
}

/// When the notice to the authority is due, in every reading of the law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deadlines {
    /// The awareness it is counted from.
    pub aware: Time,
    /// 72 elapsed hours: drives every alarm and every action. Depends neither on zone nor on holidays.
    pub strict: Time,
    /// Regulation 1182/71 Art. 3(1) to (3): the hour of awareness is not counted. At most one hour after `strict`.
    pub hour: Time,
    /// Where Art. 3(5) would put the end, if it applies to hours at all; `None` when the holidays are not known or it
    /// would change nothing.
    pub disputed: Option<Disputed>,
}
/// The two readings of Regulation 1182/71 Art. 3(5) for a period in hours; neither is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disputed {
    /// A part of a working day counts as one.
    pub from: Time,
    /// Only whole working days count.
    pub to: Time,
}

/// Computes every reading of GDPR Art. 33(1) for an authority in the zone `tz` with the holidays given.
///
/// `disputed` needs a calendar that covers all the days looked at; without one it stays `None`.
pub fn deadlines(aware: Time, tz: Tz, holidays: Option<&Calendar>) -> Deadlines {
    let from = end_of_local_hour(aware, tz);
    let hour = from + GDPR_33.period();
    let disputed = holidays
        .and_then(|calendar| disputed(from, hour, tz, calendar))
        .filter(|d| d.to > hour);
    Deadlines {
        aware,
        strict: strict(aware),
        hour,
        disputed,
    }
}

/// 72 elapsed hours from awareness (GDPR Art. 33(1)): the deadline acted upon.
pub fn strict(aware: Time) -> Time {
    aware + GDPR_33.period()
}

/// Where the local hour that holds `t` ends: an instant on the hour lies in the hour it begins.
fn end_of_local_hour(t: Time, tz: Tz) -> Time {
    let offset = i64::from(tz.offset_from_utc_datetime(&t.naive_utc()).fix().local_minus_utc());
    let into_hour = (t.timestamp() + offset).rem_euclid(3600);
    DateTime::from_timestamp(t.timestamp() - into_hour + 3600, 0).expect("an hour around a valid instant is valid")
}

/// Both readings of Art. 3(5) for the period `[from, end)`; `None` when the calendar lacks a day that matters.
fn disputed(from: Time, end: Time, tz: Tz, calendar: &Calendar) -> Option<Disputed> {
    let first = from.with_timezone(&tz).date_naive();
    let in_part = second_working_day(first, calendar)?;
    // The first day counts as a whole only if the period begins at its midnight.
    let first_whole = match start_of_day(first, tz) < from {
        true => first.succ_opt()?,
        false => first,
    };
    let whole = second_working_day(first_whole, calendar)?;
    Some(Disputed {
        from: match start_of_day(in_part, tz) < end {
            true => end,
            false => end_of_day(in_part, tz),
        },
        to: end_of_day(whole, tz).max(end),
    })
}

/// The second working day from `first` on; `None` when the calendar does not cover the days looked at.
fn second_working_day(first: NaiveDate, calendar: &Calendar) -> Option<NaiveDate> {
    let mut found = 0;
    for day in first.iter_days() {
        // Regulation 1182/71 Art. 2(2).
        let weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
        if !calendar.is_holiday(day)? && !weekend {
            found += 1;
        }
        if found == 2 {
            return Some(day);
        }
    }
    None
}

/// The last instant of a local day: where the next one begins.
pub(crate) fn end_of_day(day: NaiveDate, tz: Tz) -> Time {
    start_of_day(day + Days::new(1), tz)
}

/// The first instant of a local day. Where the clocks skip midnight, the day begins when they have moved; where a zone
/// skipped the whole day, with the next one.
fn start_of_day(day: NaiveDate, tz: Tz) -> Time {
    const STEP_MINUTES: u32 = 15; // Every change of the clocks known to the IANA database since 1970 ends on such a step.
    (0..)
        .map(|step| day.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(step * STEP_MINUTES)))
        .find_map(|local| tz.from_local_datetime(&local).earliest())
        .expect("the local days of a zone go on")
        .to_utc()
}

/// An instant as people read it: `Fri 2026-11-20 16:40 CET`.
pub fn show_local(time: Time, tz: Tz) -> String {
    time.with_timezone(&tz).format("%a %Y-%m-%d %H:%M %Z").to_string()
}

/// How far a deadline is: `25 h 12 min left`, `3 h 05 min late`. On the instant itself it is not late. Begun minutes do
/// not count as left, but count as late.
pub fn show_left(now: Time, deadline: Time) -> String {
    let left = deadline - now;
    let (minutes, word) = match left >= TimeDelta::zero() {
        true => (left.num_seconds() / 60, "left"),
        false => ((now - deadline).num_seconds().saturating_add(59) / 60, "late"),
    };
    format!("{} h {:02} min {word}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Luxembourg;
    use proptest::prelude::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }
    fn aware(text: &str) -> Time {
        parse_aware(text, Luxembourg).unwrap()
    }

    /// What it shows, awareness as typed, then in UTC T_strict and the hours T_hour, T_any and T_full; `=` stands for
    /// T_hour.
    const WORKED_EXAMPLES: &str = "
        plain             | 2026-11-17 10:20       | 2026-11-20T09:20:00 | 2026-11-20T10 | =             | =
        Friday            | 2026-11-20 16:40       | 2026-11-23T15:40:00 | 2026-11-23T16 | =             | 2026-11-24T23
        full hour, Sunday | 2026-11-19 10:00:00    | 2026-11-22T09:00:00 | 2026-11-22T10 | =             | 2026-11-23T23
        last second       | 2026-11-18 23:59:59    | 2026-11-21T22:59:59 | 2026-11-21T23 | =             | =
        clocks forward    | 2026-03-27 14:05       | 2026-03-30T13:05:00 | 2026-03-30T14 | =             | 2026-03-31T22
        clocks back       | 2026-10-23 14:05       | 2026-10-26T12:05:00 | 2026-10-26T13 | =             | 2026-10-27T23
        ambiguous, first  | 2026-10-25T02:30+02:00 | 2026-10-28T00:30:00 | 2026-10-28T01 | =             | =
        ambiguous, second | 2026-10-25T02:30+01:00 | 2026-10-28T01:30:00 | 2026-10-28T02 | =             | =
        Easter            | 2026-04-03 16:30       | 2026-04-06T14:30:00 | 2026-04-06T15 | 2026-04-07T22 | 2026-04-08T22
        Christmas         | 2026-12-24 17:45       | 2026-12-27T16:45:00 | 2026-12-27T17 | 2026-12-28T23 | 2026-12-29T23
        National Day      | 2026-06-20 09:15       | 2026-06-23T07:15:00 | 2026-06-23T08 | 2026-06-24T22 | 2026-06-24T22
        Labour Day        | 2026-04-30 11:30       | 2026-05-03T09:30:00 | 2026-05-03T10 | 2026-05-04T22 | 2026-05-05T22
        year end          | 2026-12-31 12:30       | 2027-01-03T11:30:00 | 2027-01-03T12 | 2027-01-04T23 | 2027-01-05T23
        told by processor | 2026-11-18 11:20       | 2026-11-21T10:20:00 | 2026-11-21T11 | =             | =
    ";

    #[test]
    fn worked_examples() {
        for row in WORKED_EXAMPLES.trim().lines() {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [name, given, strict, hour, any, full] = cells[..] else {
                panic!("six cells are needed: {row}");
            };
            let at_hour = |text: &str| at(&format!("{text}:00:00Z"));
            let or_hour = |text: &str| at_hour(if text == "=" { hour } else { text });
            let disputed = Disputed {
                from: or_hour(any),
                to: or_hour(full),
            };
            let (strict, hour) = (at(&format!("{strict}Z")), at_hour(hour));
            let found = deadlines(aware(given), Luxembourg, Some(&Calendar::luxembourg()));
            assert_eq!((found.strict, found.hour), (strict, hour), "{name}");
            assert_eq!(found.disputed, (disputed.to != hour).then_some(disputed), "{name}");
            let without = deadlines(aware(given), Luxembourg, None);
            assert_eq!(
                (without.strict, without.hour, without.disputed),
                (strict, hour, None),
                "{name}"
            );
        }
    }

    #[test]
    fn without_the_years_holidays_nothing_is_said_about_them() {
        let old = deadlines(at("2017-12-28T10:00:00Z"), Luxembourg, Some(&Calendar::luxembourg()));
        assert_eq!(old.disputed, None);
    }

    #[test]
    fn a_zone_may_skip_midnight_or_a_whole_day() {
        // Cairo put its clocks forward at midnight; Apia had no 30 December 2011.
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert_eq!(
            start_of_day(day(2026, 4, 24), chrono_tz::Africa::Cairo),
            at("2026-04-23T22:00:00Z")
        );
        assert_eq!(
            start_of_day(day(2011, 12, 30), chrono_tz::Pacific::Apia),
            at("2011-12-30T10:00:00Z")
        );
    }

    #[test]
    fn hours_left_and_late() {
        let end = at("2026-11-20T09:20:00Z");
        for (now, wanted) in [
            ("2026-11-19T08:08:00Z", "25 h 12 min left"),
            ("2026-11-20T09:18:01Z", "0 h 01 min left"),
            ("2026-11-20T09:20:00Z", "0 h 00 min left"),
            ("2026-11-20T09:20:00.001Z", "0 h 00 min late"),
            ("2026-11-20T12:25:00Z", "3 h 05 min late"),
        ] {
            assert_eq!(show_left(at(now), end), wanted, "{now}");
        }
        assert_eq!(
            show_local(at("2026-11-20T15:40:00Z"), Luxembourg),
            "Fri 2026-11-20 16:40 CET"
        );
        assert_eq!(
            show_local(at("2026-07-01T15:40:00Z"), Luxembourg),
            "Wed 2026-07-01 17:40 CEST"
        );
    }

    #[test]
    fn a_proposal_is_no_law() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let in_force: Vec<&str> = REGIMES.iter().filter(|r| r.in_force(today)).map(|r| r.id).collect();
        assert_eq!(in_force, ["gdpr_33"]);
        assert_eq!(regime("omnibus_proposal").map(|r| r.hours), Some(96));
        assert!(!GDPR_33.in_force(NaiveDate::from_ymd_opt(2018, 5, 24).unwrap()));
    }

    proptest! {
        #[test]
        fn readings_keep_their_order(seconds in 1_546_300_800_i64..4_102_444_800, nanos in 0..1_000_000_000_u32, zone in 0_usize..6) {
            let zones = [Luxembourg, chrono_tz::UTC, chrono_tz::Asia::Kolkata, chrono_tz::America::St_Johns,
                chrono_tz::Australia::Lord_Howe, chrono_tz::Asia::Beirut];
            let aware = DateTime::from_timestamp(seconds, nanos).unwrap();
            let d = deadlines(aware, zones[zone], Some(&Calendar::luxembourg()));
            prop_assert_eq!(d.strict - aware, TimeDelta::hours(72));
            prop_assert!(d.hour > d.strict && d.hour - d.strict <= TimeDelta::hours(1));
            if let Some(Disputed { from, to }) = d.disputed {
                prop_assert!(d.hour <= from && from <= to);
            }
            prop_assert_eq!(deadlines(aware, chrono_tz::UTC, None).strict, d.strict);
        }
    }
}
