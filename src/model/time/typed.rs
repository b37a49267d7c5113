//! Dates and times as people type them. A local time that never was, or came twice, is refused and never guessed: the
//! deadline hangs on it.

use chrono::offset::LocalResult;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::model::Time;
use crate::reading::{nearest, shown};

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
pub(in crate::model) fn resolve_with_offset(
    local: NaiveDateTime,
    zone: Tz,
) -> Result<DateTime<FixedOffset>, LocalTimeError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Luxembourg;
    use proptest::prelude::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
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
            assert_eq!(parse_aware(given, Luxembourg).unwrap(), at(wanted), "{given}");
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

    proptest! {
        #[test]
        fn any_text_ends_in_an_instant_or_an_error(text in "[0-9TtZz:+.\\[\\]\\- é]{0,40}") {
            let _ = parse_aware(&text, Luxembourg);
        }
    }
}
