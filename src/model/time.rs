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
    #[error("`{zone}` is no IANA time zone; write one such as Europe/Luxembourg")]
    UnknownZone { zone: String },
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
    let malformed = || AwareError::Malformed {
        given: text.chars().take(60).filter(|c| !c.is_control()).collect(),
    };
    let (stamp, zone) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        Some((stamp, name)) => {
            let unknown = |_| AwareError::UnknownZone {
                zone: name.chars().take(60).filter(|c| !c.is_control()).collect(),
            };
            (stamp.trim_end(), Some(name.parse::<Tz>().map_err(unknown)?))
        }
        None => (text, None),
    };
    // Only the parts of RFC 3339 below; chrono alone would also take years of other lengths.
    let shape = stamp.bytes().map(|b| if b.is_ascii_digit() { b'9' } else { b });
    if !stamp.is_ascii() || !shape.take(10).eq(*b"9999-99-99") {
        return Err(malformed());
    }
    if stamp.len() == 10 {
        return Err(AwareError::DateOnly {
            given: stamp.to_owned(),
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
