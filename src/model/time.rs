//! Clocks of the law: when the notice is due, in every reading, and how instants are read and shown.
//!
//! GDPR Art. 33(1): 72 hours from awareness. Regulation (EEC, Euratom) 1182/71 says how periods are counted; whether its
//! Art. 3(5) (any period of two days or more holds two working days) lengthens 72 hours is disputed. So the strict
//! instant is acted upon, and the other readings are shown beside it. Months and "working days" of other laws are not
//! computed here.

use chrono::offset::LocalResult;
use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Weekday,
};
use chrono_tz::Tz;
use serde::Serialize;

use super::Time;
use super::holidays::Calendar;
use crate::reading::{nearest, shown};

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

fn end_of_day(day: NaiveDate, tz: Tz) -> Time {
    start_of_day(day + Days::new(1), tz)
}

/// The first instant of a local day. Where the clocks skip midnight, the day begins when they have moved; where a zone
/// skipped the whole day, with the next one.
fn start_of_day(day: NaiveDate, tz: Tz) -> Time {
    const STEP_MINUTES: u32 = 15; // Every change of the clocks known to the IANA database since 1970 ends on such a step.
    (0..)
        .map(|step| day.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(i64::from(step * STEP_MINUTES)))
        .find_map(|local| tz.from_local_datetime(&local).earliest())
        .expect("the local days of a zone go on")
        .to_utc()
}

/// Why a local time names no single instant. The message says what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalTimeError {
    /// The clocks were put forward over it.
    #[error(
        "{local} did not exist in {zone}: the clocks were put forward; write the instant with its offset, such as {near}"
    )]
    Gap {
        local: NaiveDateTime,
        zone: Tz,
        /// The instant meant if the clock on the wall had not been put forward yet.
        near: String,
    },
    /// The clocks were put back, so it came twice.
    #[error(
        "{local} came twice in {zone}, as the clocks were put back; write {} or {}",
        rfc3339(first),
        rfc3339(second)
    )]
    Ambiguous {
        local: NaiveDateTime,
        zone: Tz,
        first: DateTime<FixedOffset>,
        second: DateTime<FixedOffset>,
    },
}

fn rfc3339(at: &DateTime<FixedOffset>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// The instant of a local time in a zone. Never guesses.
///
/// # Errors
/// [`LocalTimeError::Gap`] where no such time was, [`LocalTimeError::Ambiguous`] where it came twice.
pub fn resolve_local(local: NaiveDateTime, tz: Tz) -> Result<Time, LocalTimeError> {
    resolve_with_offset(local, tz).map(|at| at.to_utc())
}

/// As [`resolve_local`], keeping the zone's offset at that instant.
pub(super) fn resolve_with_offset(local: NaiveDateTime, zone: Tz) -> Result<DateTime<FixedOffset>, LocalTimeError> {
    match tz_instants(local, zone) {
        LocalResult::Single(at) => Ok(at),
        LocalResult::Ambiguous(first, second) => Err(LocalTimeError::Ambiguous {
            local,
            zone,
            first,
            second,
        }),
        LocalResult::None => {
            // The offset of the day before is the one the clocks had until they were put forward.
            let before = zone.offset_from_utc_datetime(&(local - TimeDelta::days(1))).fix();
            let meant = before
                .from_local_datetime(&local)
                .single()
                .map(|at| at.with_timezone(&zone).fixed_offset());
            let near = meant.as_ref().map(rfc3339).unwrap_or_default();
            Err(LocalTimeError::Gap { local, zone, near })
        }
    }
}
fn tz_instants(local: NaiveDateTime, zone: Tz) -> LocalResult<DateTime<FixedOffset>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Ambiguous(a, b) => LocalResult::Ambiguous(a.min(b).fixed_offset(), a.max(b).fixed_offset()),
        other => other.map(|at| at.fixed_offset()),
    }
}

/// A date and time as typed: an instant, or a local time that still needs a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    Instant(DateTime<FixedOffset>),
    Local(NaiveDateTime),
}

/// Why a typed date and time cannot be taken. The message says what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwareError {
    #[error(
        "`{given}` is no date and time; write it as 2026-11-18T10:20:00+01:00, or as 2026-11-18 10:20 for local time"
    )]
    Malformed { given: String },
    #[error("`{given}` lacks the time of day; write it as {given} 10:20, or as {given}T10:20:00+01:00")]
    DateOnly { given: String },
    #[error("`{zone}` is no IANA time zone; {}", match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write one such as Europe/Luxembourg".to_owned(),
    })]
    UnknownZone { zone: String, near: Option<&'static str> },
    #[error("`{given}` contradicts itself: {zone} has another offset then; leave out the offset or the zone")]
    WrongOffset { given: String, zone: Tz },
    #[error(transparent)]
    Local(#[from] LocalTimeError),
}

/// Reads an instant as a person types it; a time without an offset is local to `default_tz`.
///
/// Taken are `2026-11-18T10:20:00+01:00`, `…Z`, `2026-11-18T10:20`, `2026-11-18 10:20`, with seconds or without, and a
/// zone behind it in brackets: `2026-11-18 10:20[Europe/Luxembourg]` (RFC 3339, RFC 9557).
///
/// # Errors
/// [`AwareError`]; its text says what to type.
pub fn parse_aware(text: &str, default_tz: Tz) -> Result<Time, AwareError> {
    match parse_given(text)? {
        Given::Instant(at) => Ok(at.to_utc()),
        Given::Local(local) => Ok(resolve_local(local, default_tz)?),
    }
}

/// Reads a date and time as a person types it, and leaves a local time without a zone as it is. Forms as in
/// [`parse_aware`]. A leap second is read as the second before it.
///
/// # Errors
/// [`AwareError`]; its text says what to type.
pub fn parse_given(text: &str) -> Result<Given, AwareError> {
    let text = text.trim();
    let malformed = || AwareError::Malformed { given: shown(text) };
    let (stamp, zone) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        Some((stamp, name)) => (stamp.trim_end(), Some(parse_zone(name)?)),
        None => (text, None),
    };
    // Only the parts of RFC 3339 below; chrono alone would also take years of other lengths.
    let shape = stamp.bytes().map(|b| if b.is_ascii_digit() { b'9' } else { b });
    if !stamp.is_ascii() || !shape.take(10).eq(*b"9999-99-99") {
        return Err(malformed());
    }
    if stamp.len() == 10 {
        let is_day = NaiveDate::parse_from_str(stamp, "%Y-%m-%d").is_ok();
        return Err(if is_day {
            AwareError::DateOnly {
                given: stamp.to_owned(),
            }
        } else {
            malformed()
        });
    }
    let (date, rest) = stamp.split_at(10);
    let clock = rest.strip_prefix(['T', 't', ' ']).ok_or_else(malformed)?;
    let clock = clock.trim_start();
    let (clock, offset) = match clock.find(['+', '-', 'Z', 'z']) {
        Some(at) => (clock[..at].trim_end(), Some(clock[at..].replace(['Z', 'z'], "+00:00"))),
        None => (clock, None),
    };
    let local = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&format!("{date} {clock}"), form).ok())
        .and_then(|t| t.with_nanosecond(t.nanosecond().min(999_999_999)))
        .ok_or_else(malformed)?;
    let Some(offset) = offset else {
        return Ok(match zone {
            Some(zone) => Given::Instant(resolve_with_offset(local, zone)?),
            None => Given::Local(local),
        });
    };
    let offset: FixedOffset = offset.parse().map_err(|_| malformed())?;
    let at = offset.from_local_datetime(&local).single().ok_or_else(malformed)?;
    match zone {
        // A `Z` beside a zone leaves the local offset open (RFC 9557 §2).
        Some(zone) if offset.local_minus_utc() != 0 && at.with_timezone(&zone).naive_local() != local => {
            Err(AwareError::WrongOffset {
                given: text.to_owned(),
                zone,
            })
        }
        Some(zone) => Ok(Given::Instant(at.with_timezone(&zone).fixed_offset())),
        None => Ok(Given::Instant(at)),
    }
}

/// Reads the name of an IANA zone.
///
/// # Errors
/// [`AwareError::UnknownZone`], with the nearest known name.
pub fn parse_zone(name: &str) -> Result<Tz, AwareError> {
    name.trim().parse().map_err(|_| {
        let known: Vec<&'static str> = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()).collect();
        AwareError::UnknownZone {
            zone: shown(name),
            near: nearest(name, &known),
        }
    })
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

    /// facts: awareness as typed, T_strict, T_hour, T_any, T_full; `=` stands for T_hour.
    #[test]
    fn worked_examples() {
        for (name, given, strict, hour, any, full) in [
            (
                "plain",
                "2026-11-17 10:20",
                "2026-11-20T09:20:00Z",
                "2026-11-20T10:00:00Z",
                "=",
                "=",
            ),
            (
                "Friday",
                "2026-11-20 16:40",
                "2026-11-23T15:40:00Z",
                "2026-11-23T16:00:00Z",
                "=",
                "2026-11-24T23:00:00Z",
            ),
            (
                "on the hour, ends Sunday",
                "2026-11-19 10:00:00",
                "2026-11-22T09:00:00Z",
                "2026-11-22T10:00:00Z",
                "=",
                "2026-11-23T23:00:00Z",
            ),
            (
                "last second",
                "2026-11-18 23:59:59",
                "2026-11-21T22:59:59Z",
                "2026-11-21T23:00:00Z",
                "=",
                "=",
            ),
            (
                "clocks forward",
                "2026-03-27 14:05",
                "2026-03-30T13:05:00Z",
                "2026-03-30T14:00:00Z",
                "=",
                "2026-03-31T22:00:00Z",
            ),
            (
                "clocks back",
                "2026-10-23 14:05",
                "2026-10-26T12:05:00Z",
                "2026-10-26T13:00:00Z",
                "=",
                "2026-10-27T23:00:00Z",
            ),
            (
                "ambiguous, first",
                "2026-10-25T02:30+02:00",
                "2026-10-28T00:30:00Z",
                "2026-10-28T01:00:00Z",
                "=",
                "=",
            ),
            (
                "ambiguous, second",
                "2026-10-25T02:30+01:00",
                "2026-10-28T01:30:00Z",
                "2026-10-28T02:00:00Z",
                "=",
                "=",
            ),
            (
                "Easter",
                "2026-04-03 16:30",
                "2026-04-06T14:30:00Z",
                "2026-04-06T15:00:00Z",
                "2026-04-07T22:00:00Z",
                "2026-04-08T22:00:00Z",
            ),
            (
                "Christmas",
                "2026-12-24 17:45",
                "2026-12-27T16:45:00Z",
                "2026-12-27T17:00:00Z",
                "2026-12-28T23:00:00Z",
                "2026-12-29T23:00:00Z",
            ),
            (
                "National Day",
                "2026-06-20 09:15",
                "2026-06-23T07:15:00Z",
                "2026-06-23T08:00:00Z",
                "2026-06-24T22:00:00Z",
                "2026-06-24T22:00:00Z",
            ),
            (
                "Labour Day",
                "2026-04-30 11:30",
                "2026-05-03T09:30:00Z",
                "2026-05-03T10:00:00Z",
                "2026-05-04T22:00:00Z",
                "2026-05-05T22:00:00Z",
            ),
            (
                "year end",
                "2026-12-31 12:30",
                "2027-01-03T11:30:00Z",
                "2027-01-03T12:00:00Z",
                "2027-01-04T23:00:00Z",
                "2027-01-05T23:00:00Z",
            ),
            (
                "from the processor's telling",
                "2026-11-18 11:20",
                "2026-11-21T10:20:00Z",
                "2026-11-21T11:00:00Z",
                "=",
                "=",
            ),
        ] {
            let found = deadlines(aware(given), Luxembourg, Some(&Calendar::luxembourg()));
            let or_hour = |text: &str| if text == "=" { at(hour) } else { at(text) };
            let disputed = Disputed {
                from: or_hour(any),
                to: or_hour(full),
            };
            assert_eq!(found.strict, at(strict), "{name}");
            assert_eq!(found.hour, at(hour), "{name}");
            assert_eq!(found.disputed, (disputed.to != at(hour)).then_some(disputed), "{name}");
            let without = deadlines(aware(given), Luxembourg, None);
            assert_eq!(
                (without.strict, without.hour, without.disputed),
                (at(strict), at(hour), None),
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
    fn local_times_are_never_guessed() {
        let e = parse_aware("2026-03-29 02:30", Luxembourg).unwrap_err();
        assert!(matches!(e, AwareError::Local(LocalTimeError::Gap { .. })));
        assert!(e.to_string().contains("did not exist in Europe/Luxembourg"), "{e}");
        assert!(e.to_string().contains("2026-03-29T03:30:00+02:00"), "{e}");
        let e = parse_aware("2026-10-25T02:30", Luxembourg).unwrap_err();
        assert!(
            e.to_string()
                .ends_with("write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
            "{e}"
        );
        let AwareError::Local(LocalTimeError::Ambiguous { first, second, .. }) = e else {
            panic!("{e}")
        };
        assert_eq!(
            (first.to_utc(), second.to_utc()),
            (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"))
        );
    }

    #[test]
    fn instants_as_typed() {
        for (given, wanted) in [
            ("2026-11-18T10:20:00+01:00", "2026-11-18T09:20:00Z"),
            ("2026-11-18 10:20", "2026-11-18T09:20:00Z"),
            (" 2026-11-18T10:20 ", "2026-11-18T09:20:00Z"),
            ("2026-11-18T09:20Z", "2026-11-18T09:20:00Z"),
            ("2026-11-18t09:20:00.5z", "2026-11-18T09:20:00.5Z"),
            ("2026-11-18 10:20 +01:00", "2026-11-18T09:20:00Z"),
            ("2026-11-18T10:20+0100", "2026-11-18T09:20:00Z"),
            ("2026-11-18T03:20:00-06:00", "2026-11-18T09:20:00Z"),
            ("2026-11-18 11:20[Europe/Athens]", "2026-11-18T09:20:00Z"),
            ("2026-11-18T10:20:00+01:00[Europe/Luxembourg]", "2026-11-18T09:20:00Z"),
            ("2026-11-18T09:20:00Z[Europe/Luxembourg]", "2026-11-18T09:20:00Z"),
            ("2026-07-01 10:20", "2026-07-01T08:20:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(aware(given), at(wanted), "{given}");
        }
        for (given, wanted) in [
            ("", "is no date and time; write it as 2026-11-18T10:20:00+01:00"),
            ("yesterday", "is no date and time"),
            ("2026-11-18", "lacks the time of day; write it as 2026-11-18 10:20"),
            ("2026-13-18", "is no date and time"),
            ("2026-02-30 10:20", "is no date and time"),
            ("2026-11-18 25:00", "is no date and time"),
            ("2026-11-18T10:20+99:00", "is no date and time"),
            ("2026-11-18T10:20 CET", "is no date and time"),
            ("18.11.2026 10:20", "is no date and time"),
            ("12026-11-18 10:20", "is no date and time"),
            ("2026-11-1é 10:20", "is no date and time"),
            (
                "2026-11-18 10:20[Europe/Luxemburg]",
                "did you mean `Europe/Luxembourg`?",
            ),
            ("2026-11-18 10:20[Moon]", "is no IANA time zone"),
            ("2026-11-18T10:20:00+02:00[Europe/Luxembourg]", "contradicts itself"),
        ] {
            let e = parse_aware(given, Luxembourg).unwrap_err().to_string();
            assert!(e.contains(wanted), "{given}: {e}");
        }
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
        #[test]
        fn any_text_ends_in_an_instant_or_an_error(text in "[0-9TtZz:+.\\[\\]\\- é]{0,40}") {
            let _ = parse_aware(&text, Luxembourg);
        }
    }
}
