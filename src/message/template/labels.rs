//! What a language calls things: the words for each value of a breach record, numbers, dates, advice. Read from
//! `templates/labels/*.yaml`. Knows nothing of records.

use std::collections::BTreeMap;

use chrono::{Datelike, Offset, Timelike};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::model::Time;

/// The labels of one language. Every map goes from a value's name, as written in a breach record, to its words.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// The language's own name for itself.
    pub language: String,
    pub formats: Formats,
    pub words: Words,
    /// Titles of notices, by kind.
    pub kind: Map,
    pub role: Map,
    pub nature: Map,
    pub incident_kind: Map,
    pub origin: Map,
    pub intent: Map,
    /// yes, no, unknown.
    pub known: Map,
    pub data_category: Map,
    pub special_category: Map,
    pub subject_category: Map,
    pub vulnerable_group: Map,
    pub key_state: Map,
    pub harm: Map,
    pub risk_level: Map,
    pub contact_kind: Map,
    pub decision: Map,
    pub exemption: Map,
    /// By ISO 3166 code; a country that is missing is shown by its code.
    pub country: Map,
    /// Missing information, by the record's field.
    pub gap: Map,
    /// A category of data as told to the person it is about; ordinary and special categories.
    pub your_data: Map,
    /// A harm as told to the person it may befall.
    pub your_harm: Map,
    pub advice: Vec<Advice>,
}

/// From a value's name to its words.
pub type Map = BTreeMap<String, String>;

/// How numbers and times are written. `{…}` are filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formats {
    /// What stands between groups of three digits.
    pub thousands: String,
    /// Twelve names.
    pub months: Vec<String>,
    pub date: String,
    pub clock: String,
    pub instant: String,
    pub duration: String,
    pub count: CountFormats,
    pub per_country: String,
    pub due: String,
    pub done: String,
    pub owner: String,
}

/// How a number of persons or records is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountFormats {
    pub exact: String,
    pub approximate: String,
    pub between: String,
    pub approximately_between: String,
    pub at_least: String,
    pub at_most: String,
}

/// Standing words.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    pub yes: String,
    pub no: String,
    /// A set that is known to be empty.
    pub none: String,
    /// Said of what is not known while more notices are to come.
    pub will_follow: String,
    /// Said of what is not known in a final notice.
    pub not_known: String,
    /// Said in the row "notified within 72 hours" when it was not; `{duration}` is by how much.
    pub exceeded: String,
}

/// One piece of advice to an affected person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// The categories of data, ordinary or special, that call for it; empty: for everyone.
    #[serde(rename = "for")]
    pub for_data: Vec<String>,
    pub text: String,
}

/// The words for `name`; a name without words stands for itself (`templates check` reports it).
pub fn words<'a>(map: &'a Map, name: &'a str) -> &'a str {
    map.get(name).map_or(name, String::as_str)
}

/// Fills `{key}`s of a format. A value is never looked at again, so that its own braces stay.
pub fn fill(format: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(format.len() + 32);
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let hit = after.split_once('}').and_then(|(key, tail)| {
            let (_, value) = values.iter().find(|(k, _)| *k == key)?;
            Some((*value, tail))
        });
        rest = match hit {
            Some((value, tail)) => {
                out.push_str(value);
                tail
            }
            None => {
                out.push('{');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

impl Labels {
    /// A whole number with its groups of three: `1,234`.
    pub fn number(&self, n: u64) -> String {
        let digits = n.to_string();
        let mut text = String::with_capacity(digits.len() + 6);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push_str(&self.formats.thousands);
            }
            text.push(digit);
        }
        text
    }

    /// A day: `18 November 2026`.
    pub fn date(&self, day: chrono::NaiveDate) -> String {
        let month = self.formats.months.get(day.month0() as usize);
        fill(
            &self.formats.date,
            &[
                ("day", &day.day().to_string()),
                ("month", month.map_or("?", String::as_str)),
                ("year", &day.year().to_string()),
            ],
        )
    }

    /// An instant in the reader's zone with its offset, and in UTC: `18 November 2026, 10:20 (UTC+1; 09:20 UTC)`. Seconds
    /// are shown only where there are any, the day in UTC only where it is another.
    pub fn instant(&self, at: Time, zone: Tz) -> String {
        let local = at.with_timezone(&zone);
        let mut utc = self.clock(&at);
        if at.date_naive() != local.date_naive() {
            utc = format!("{} {utc}", at.date_naive());
        }
        let offset = local.offset().fix().local_minus_utc();
        let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
        let sign = if offset < 0 { '-' } else { '+' };
        let offset = if minutes == 0 {
            format!("{sign}{hours}")
        } else {
            format!("{sign}{hours}:{minutes:02}")
        };
        fill(
            &self.formats.instant,
            &[
                ("date", &self.date(local.date_naive())),
                ("clock", &self.clock(&local)),
                ("offset", &offset),
                ("utc", &utc),
            ],
        )
    }

    fn clock(&self, at: &impl Timelike) -> String {
        let (hour, minute) = (format!("{:02}", at.hour()), format!("{:02}", at.minute()));
        let clock = fill(&self.formats.clock, &[("hour", &hour), ("minute", &minute)]);
        match at.second() {
            0 => clock,
            second => format!("{clock}:{second:02}"),
        }
    }

    /// A length of time in whole minutes, rounded up: what is late by a second is late.
    pub fn duration(&self, length: chrono::TimeDelta) -> String {
        let minutes = u64::try_from(length.num_seconds().max(0)).map_or(0, |s| s.div_ceil(60));
        fill(
            &self.formats.duration,
            &[("hours", &self.number(minutes / 60)), ("minutes", &(minutes % 60).to_string())],
        )
    }
}
