//! How single values of a record are read and written: texts, instants, numbers, yes or no. All checks are made while
//! the value is read, so that an error points at it.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::words::Precision;
use crate::model::Time;
use crate::model::time::{Given, parse_given, parse_zone};

/// The longest single line (a name, an address, a title), in characters.
pub const MAX_LINE: usize = 300;
/// The longest text, in characters: some five printed pages.
pub const MAX_TEXT: usize = 20_000;
/// The largest number of persons or records: a hundred times mankind.
pub const MAX_COUNT: u64 = 1_000_000_000_000;

/// What is empty in the file counts as not given.
pub(super) fn or_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// One line: no line breaks and no control characters, because names and titles reach message headers and terminals.
struct Line(String);
impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Line;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text of one line")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Line, E> {
                let v = v.trim();
                if v.chars().any(breaks_a_line) {
                    return Err(E::custom("must be one line without control characters"));
                }
                bounded(v, MAX_LINE)?;
                Ok(Line(v.to_owned()))
            }
        }
        d.deserialize_str(Reader)
    }
}

/// Control characters, Unicode's own line breaks, and the marks that turn the direction of what follows.
fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Several lines; CRLF becomes LF.
struct Text(String);
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Text, E> {
                let v = v.trim().replace("\r\n", "\n");
                if v.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                    return Err(E::custom("must not contain control characters"));
                }
                bounded(&v, MAX_TEXT)?;
                Ok(Text(v))
            }
        }
        d.deserialize_str(Reader)
    }
}

fn bounded<E: de::Error>(v: &str, most: usize) -> Result<(), E> {
    match v.chars().count() {
        n if n > most => Err(E::custom(format_args!("has {n} characters; at most {most} are taken"))),
        _ => Ok(()),
    }
}

pub(super) fn line<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let line = Option::<Line>::deserialize(d)?;
    Ok(line.map(|l| l.0).filter(|l| !l.is_empty()))
}
pub(super) fn needed_line<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Line::deserialize(d).map(|l| l.0)
}
pub(super) fn lines<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let lines = Option::<Vec<Line>>::deserialize(d)?.unwrap_or_default();
    Ok(lines.into_iter().map(|l| l.0).collect())
}
pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Text>::deserialize(d)?;
    Ok(text.map(|t| t.0).filter(|t| !t.is_empty()))
}
pub(super) fn needed_text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Text::deserialize(d).map(|t| t.0)
}

/// An answer that may be missing. What is not given is unknown, not no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum YesNo {
    Yes,
    No,
    #[default]
    Unknown,
}
impl YesNo {
    /// Every value.
    pub const ALL: &'static [YesNo] = &[YesNo::Yes, YesNo::No, YesNo::Unknown];
    /// As written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            YesNo::Yes => "yes",
            YesNo::No => "no",
            YesNo::Unknown => "unknown",
        }
    }
}
impl fmt::Display for YesNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl<'de> Deserialize<'de> for YesNo {
    /// Takes the words, and true and false; nothing is unknown. A YAML 1.1 reader would make `no` a boolean, ours does
    /// not: both are read alike here.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = YesNo;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`yes`, `no` or `unknown`")
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<YesNo, E> {
                Ok(if v { YesNo::Yes } else { YesNo::No })
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<YesNo, E> {
                match v.to_ascii_lowercase().as_str() {
                    "yes" | "true" => Ok(YesNo::Yes),
                    "no" | "false" => Ok(YesNo::No),
                    "unknown" => Ok(YesNo::Unknown),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
            fn visit_unit<E: de::Error>(self) -> Result<YesNo, E> {
                Ok(YesNo::Unknown)
            }
        }
        d.deserialize_any(Reader)
    }
}

/// How many persons or records: a range, since figures are owed only where possible (GDPR Art. 33(3)(a)).
/// Both ends are missing exactly when the precision is unknown; one end alone means "at least" or "at most".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub precision: Precision,
}
impl Count {
    /// Nothing known yet.
    pub const UNKNOWN: Count = Count {
        min: None,
        max: None,
        precision: Precision::Unknown,
    };
    /// Exactly `n`.
    pub fn exactly(n: u64) -> Self {
        Self {
            min: Some(n),
            max: Some(n),
            precision: Precision::Exact,
        }
    }
    pub fn is_known(&self) -> bool {
        self.precision != Precision::Unknown
    }
    /// What contradicts itself, in words that follow the field's path.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        match (self.min, self.max, self.precision) {
            (Some(min), Some(max), _) if min > max => Some("`min` is larger than `max`"),
            (Some(min), Some(max), Precision::Exact) if min != max => {
                Some("an exact number needs equal `min` and `max`; else write `precision: approximate`")
            }
            (Some(_), None, Precision::Exact) | (None, Some(_), Precision::Exact) => {
                Some("an exact number needs `min` and `max`; else write `precision: approximate`")
            }
            (None, None, Precision::Exact | Precision::Approximate) => {
                Some("`min` and `max` are missing; give them, or write `precision: unknown`")
            }
            (Some(_), _, Precision::Unknown) | (_, Some(_), Precision::Unknown) => {
                Some("`precision: unknown` does not go with numbers; write `approximate`")
            }
            (min, max, _) if min.max(max).is_some_and(|n| n > MAX_COUNT) => Some("that is more than there can be"),
            _ => None,
        }
    }
}
impl Default for Count {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
impl fmt::Display for Count {
    /// `412`, `410 to 412`, `at least 410`, `at most 412`, `unknown`; with `about` where it is approximate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.precision == Precision::Approximate {
            "about "
        } else {
            ""
        };
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "{about}{min}"),
            (Some(min), Some(max)) => write!(f, "{about}{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountFields {
    #[serde(default)]
    min: Option<u64>,
    #[serde(default)]
    max: Option<u64>,
    #[serde(default)]
    precision: Option<Precision>,
}
impl<'de> Deserialize<'de> for Count {
    /// A mapping, a bare integer (exact), or nothing (unknown). A mapping without `precision` is approximate.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, `unknown`, or { min, max, precision }")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Count, E> {
                Ok(Count::exactly(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Count, E> {
                match v {
                    "unknown" => Ok(Count::UNKNOWN),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
            fn visit_unit<E: de::Error>(self) -> Result<Count, E> {
                Ok(Count::UNKNOWN)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
                let CountFields { min, max, precision } = CountFields::deserialize(MapAccessDeserializer::new(map))?;
                let default = match (min, max) {
                    (None, None) => Precision::Unknown,
                    _ => Precision::Approximate,
                };
                Ok(Count {
                    min,
                    max,
                    precision: precision.unwrap_or(default),
                })
            }
        }
        d.deserialize_any(Reader)
    }
}

/// An instant as a person gave it: with its offset, so that the record shows what was written.
///
/// A local time without offset is settled by the record's `timeline.input_tz` before anybody sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    at: DateTime<FixedOffset>,
    /// Set between reading a local time and settling it.
    local: bool,
}
impl Moment {
    /// The instant.
    pub fn time(self) -> Time {
        self.at.to_utc()
    }
    /// The instant with the offset it was given with.
    pub fn as_given(self) -> DateTime<FixedOffset> {
        self.at
    }
    /// The local time, where it still needs a zone.
    pub(super) fn unsettled(self) -> Option<NaiveDateTime> {
        self.local.then(|| self.at.naive_local())
    }
}
impl From<DateTime<FixedOffset>> for Moment {
    fn from(at: DateTime<FixedOffset>) -> Self {
        Self { at, local: false }
    }
}
impl From<Time> for Moment {
    fn from(at: Time) -> Self {
        Self {
            at: at.fixed_offset(),
            local: false,
        }
    }
}
impl From<Given> for Moment {
    fn from(given: Given) -> Self {
        match given {
            Given::Instant(at) => Self { at, local: false },
            Given::Local(at) => Self {
                at: at.and_utc().fixed_offset(),
                local: true,
            },
        }
    }
}
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant such as 2026-11-18T10:20:00+01:00")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Moment, E> {
                parse_given(v).map(Moment::from).map_err(E::custom)
            }
        }
        d.deserialize_str(Reader)
    }
}

/// A day, or an instant where the hour is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Day(NaiveDate),
    At(Moment),
}
impl When {
    /// The calendar day, in the offset the instant was given with.
    pub fn day(self) -> NaiveDate {
        match self {
            When::Day(day) => day,
            When::At(moment) => moment.as_given().date_naive(),
        }
    }
    /// Whether this is surely after `other`: by instant where both are known, else by day.
    pub(super) fn is_after(self, other: When) -> bool {
        match (self, other) {
            (When::At(a), When::At(b)) => a.time() > b.time(),
            (a, b) => a.day() > b.day(),
        }
    }
}
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Day(day) => write!(f, "{day}"),
            When::At(moment) => write!(f, "{moment}"),
        }
    }
}
impl Serialize for When {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = When;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as 2026-11-18, or an instant such as 2026-11-18T10:20:00+01:00")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<When, E> {
                match NaiveDate::parse_from_str(v.trim(), "%Y-%m-%d") {
                    Ok(day) if v.trim().len() == 10 => Ok(When::Day(day)),
                    _ => parse_given(v).map(|given| When::At(given.into())).map_err(E::custom),
                }
            }
        }
        d.deserialize_str(Reader)
    }
}

/// A zone of the IANA database, by name.
pub(super) fn zone<'de, D: Deserializer<'de>>(d: D) -> Result<Option<chrono_tz::Tz>, D::Error> {
    struct Zone(chrono_tz::Tz);
    impl<'de> Deserialize<'de> for Zone {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            struct Reader;
            impl Visitor<'_> for Reader {
                type Value = Zone;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an IANA time zone such as Europe/Luxembourg")
                }
                fn visit_str<E: de::Error>(self, v: &str) -> Result<Zone, E> {
                    parse_zone(v).map(Zone).map_err(E::custom)
                }
            }
            d.deserialize_str(Reader)
        }
    }
    Ok(Option::<Zone>::deserialize(d)?.map(|z| z.0))
}
pub(super) fn zone_name<S: Serializer>(zone: &Option<chrono_tz::Tz>, s: S) -> Result<S::Ok, S::Error> {
    zone.map(chrono_tz::Tz::name).serialize(s)
}
