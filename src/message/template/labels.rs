//! What a language calls things: the words for each value of a breach record, numbers, dates, advice. Read from
//! `templates/labels/*.yaml`. Knows nothing of records.

use std::collections::BTreeMap;

use chrono::{Datelike, Offset, Timelike};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::model::Time;
use crate::model::breach::{
    ContactKind, DataCategory, Decision, Exemption, Harm, IncidentKind, Intent, KeyState, Nature, Origin, RiskLevel,
    Role, SpecialCategory, SubjectCategory, VulnerableGroup, YesNo,
};
use crate::model::notice::NoticeKind;

/// The fields that a notice may list as still to follow.
const GAPS: [&str; 15] = [
    "contact",
    "contact.name",
    "nature",
    "consequences.text",
    "measures",
    "timeline.aware_at",
    "timeline.occurred_from",
    "controller.name",
    "summary",
    "data.categories",
    "data.records",
    "subjects.categories",
    "subjects.persons",
    "risk.level",
    "communication.decision",
];

/// The categories of data for which a person can do something that the general advice does not say.
const NEEDS_ADVICE: [&str; 6] = [
    "contact",
    "credentials",
    "financial",
    "health",
    "national_id",
    "official_document",
];

/// The labels of one language. Every map goes from a value's name, as written in a breach record, to its words.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// The language's code, such as `fr`: the file's name.
    #[serde(skip)]
    pub code: String,
    /// The language's own name for itself.
    pub language: String,
    pub formats: Formats,
    pub words: Words,
    /// For one message in several languages.
    pub stacked: Stacked,
    /// What may travel in clear, so it says nothing of the matter.
    pub in_clear: InClear,
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
    /// How the first day of a month is counted: `1`, in French `1er`.
    pub first_day: String,
    pub date: String,
    pub clock: String,
    pub instant: String,
    pub duration: String,
    pub count: CountFormats,
    pub per_country: String,
    /// A measure with its date, its due date, or its completion.
    pub at: String,
    pub due: String,
    pub done: String,
    pub since: String,
    pub until: String,
    /// From one day to another.
    pub period: String,
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

/// What a language adds to a message in several languages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stacked {
    /// Its part of the subject: "data breach affecting you".
    pub subject: String,
    /// Where the message in this language stands: under `{n}`.
    pub follows: String,
}

/// Texts that everybody on the way may read. `{organisation}`, `{reference}`, `{phone}` are filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InClear {
    /// Beside files encrypted to the reader's certificate.
    pub files: String,
    /// Beside files encrypted with a passphrase that is told by telephone.
    pub passphrase: String,
    /// Instead of a notice, when it cannot be encrypted: please call.
    pub stub_subject: String,
    pub stub: String,
}
impl InClear {
    fn texts(&self) -> [(&'static str, &str); 4] {
        [
            ("in_clear.files", &self.files),
            ("in_clear.passphrase", &self.passphrase),
            ("in_clear.stub_subject", &self.stub_subject),
            ("in_clear.stub", &self.stub),
        ]
    }
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
        let number = day.day().to_string();
        fill(
            &self.formats.date,
            &[
                (
                    "day",
                    if day.day() == 1 {
                        &self.formats.first_day
                    } else {
                        &number
                    },
                ),
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
            &[
                ("hours", &self.number(minutes / 60)),
                ("minutes", &(minutes % 60).to_string()),
            ],
        )
    }

    /// What is wrong with these labels: values without words, words without a value, formats that name what is not
    /// there. Countries are not asked for: a country without a name is shown by its code.
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        for (name, map, wanted) in self.wanted() {
            let missing = wanted
                .iter()
                .filter(|w| map.get(**w).is_none_or(|text| text.trim().is_empty()));
            flaws.extend(missing.map(|w| format!("`{name}.{w}` is missing")));
            let odd = map.keys().filter(|k| !wanted.contains(&k.as_str()));
            flaws.extend(odd.map(|k| format!("`{name}.{k}` names no value that exists")));
        }
        for (name, format, wanted) in self.wanted_in_formats() {
            for key in wanted.iter().filter(|w| !format.contains(&format!("{{{w}}}"))) {
                flaws.push(format!("`{name}` lacks `{{{key}}}`"));
            }
        }
        for (name, text) in self.in_clear.texts() {
            let wanted: &[&str] = if name.ends_with("subject") {
                &["reference"]
            } else {
                &["organisation", "reference", "phone"]
            };
            for key in wanted.iter().filter(|w| !text.contains(&format!("{{{w}}}"))) {
                flaws.push(format!("`{name}` lacks `{{{key}}}`"));
            }
        }
        if self.formats.months.len() != 12 {
            flaws.push("`formats.months` needs twelve names".to_owned());
        }
        let categories = names(DataCategory::ALL, DataCategory::name);
        let special = names(SpecialCategory::ALL, SpecialCategory::name);
        for advice in &self.advice {
            let odd = advice
                .for_data
                .iter()
                .find(|d| !categories.contains(&d.as_str()) && !special.contains(&d.as_str()));
            flaws.extend(odd.map(|d| format!("`advice` is given for `{d}`, which is no category of data")));
        }
        let advised = |category: &&str| self.advice.iter().any(|a| a.for_data.iter().any(|d| d == category));
        let unadvised = NEEDS_ADVICE.iter().filter(|category| !advised(category));
        flaws.extend(unadvised.map(|c| format!("`advice` says nothing for `{c}`")));
        flaws
    }

    fn wanted(&self) -> Vec<(&'static str, &Map, Vec<&'static str>)> {
        let kinds = NoticeKind::ALL.map(NoticeKind::name).to_vec();
        let categories = names(DataCategory::ALL, DataCategory::name);
        let special = names(SpecialCategory::ALL, SpecialCategory::name);
        vec![
            ("kind", &self.kind, kinds),
            ("role", &self.role, names(Role::ALL, Role::name)),
            ("nature", &self.nature, names(Nature::ALL, Nature::name)),
            (
                "incident_kind",
                &self.incident_kind,
                names(IncidentKind::ALL, IncidentKind::name),
            ),
            ("origin", &self.origin, names(Origin::ALL, Origin::name)),
            ("intent", &self.intent, names(Intent::ALL, Intent::name)),
            ("known", &self.known, names(YesNo::ALL, YesNo::name)),
            ("data_category", &self.data_category, categories.clone()),
            ("special_category", &self.special_category, special.clone()),
            (
                "subject_category",
                &self.subject_category,
                names(SubjectCategory::ALL, SubjectCategory::name),
            ),
            (
                "vulnerable_group",
                &self.vulnerable_group,
                names(VulnerableGroup::ALL, VulnerableGroup::name),
            ),
            ("key_state", &self.key_state, names(KeyState::ALL, KeyState::name)),
            ("harm", &self.harm, names(Harm::ALL, Harm::name)),
            ("risk_level", &self.risk_level, names(RiskLevel::ALL, RiskLevel::name)),
            (
                "contact_kind",
                &self.contact_kind,
                names(ContactKind::ALL, ContactKind::name),
            ),
            ("decision", &self.decision, names(Decision::ALL, Decision::name)),
            ("exemption", &self.exemption, names(Exemption::ALL, Exemption::name)),
            ("gap", &self.gap, GAPS.to_vec()),
            ("your_data", &self.your_data, [categories, special].concat()),
            ("your_harm", &self.your_harm, names(Harm::ALL, Harm::name)),
        ]
    }

    fn wanted_in_formats(&self) -> Vec<(&'static str, &str, &'static [&'static str])> {
        let (f, count) = (&self.formats, &self.formats.count);
        vec![
            ("formats.date", &f.date, &["day", "month", "year"]),
            ("formats.clock", &f.clock, &["hour", "minute"]),
            ("formats.instant", &f.instant, &["date", "clock", "offset", "utc"]),
            ("formats.duration", &f.duration, &["hours", "minutes"]),
            ("formats.count.exact", &count.exact, &["n"]),
            ("formats.count.approximate", &count.approximate, &["n"]),
            ("formats.count.between", &count.between, &["min", "max"]),
            (
                "formats.count.approximately_between",
                &count.approximately_between,
                &["min", "max"],
            ),
            ("formats.count.at_least", &count.at_least, &["n"]),
            ("formats.count.at_most", &count.at_most, &["n"]),
            ("formats.per_country", &f.per_country, &["country", "count"]),
            ("formats.at", &f.at, &["date", "text"]),
            ("formats.due", &f.due, &["date", "text"]),
            ("formats.done", &f.done, &["text"]),
            ("formats.since", &f.since, &["date"]),
            ("formats.until", &f.until, &["date"]),
            ("formats.period", &f.period, &["from", "to"]),
            ("words.exceeded", &self.words.exceeded, &["duration"]),
            ("stacked.follows", &self.stacked.follows, &["n"]),
        ]
    }
}

fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| name(*value)).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};

    use super::*;

    fn labels(language: &str) -> Labels {
        let templates = crate::message::template::Templates::load(None).unwrap();
        templates.labels(language).unwrap().clone()
    }

    #[test]
    fn instants_are_local_and_utc() {
        let zone = Tz::Europe__Luxembourg;
        let winter: Time = "2026-11-18T09:20:00Z".parse().unwrap();
        let night: Time = "2026-07-31T22:59:59Z".parse().unwrap();
        let cases = [
            ("en", winter, zone, "18 November 2026, 10:20 (UTC+1; 09:20 UTC)"),
            (
                "en",
                night,
                zone,
                "1 August 2026, 00:59:59 (UTC+2; 2026-07-31 22:59:59 UTC)",
            ),
            (
                "en",
                winter,
                Tz::Asia__Kathmandu,
                "18 November 2026, 15:05 (UTC+5:45; 09:20 UTC)",
            ),
            (
                "en",
                winter,
                Tz::America__Caracas,
                "18 November 2026, 05:20 (UTC-4; 09:20 UTC)",
            ),
            ("fr", winter, zone, "18 novembre 2026 à 10 h 20 (UTC+1 ; 09 h 20 UTC)"),
            ("de", winter, zone, "18. November 2026, 10:20 Uhr (UTC+1; 09:20 UTC)"),
        ];
        for (language, at, zone, wanted) in cases {
            assert_eq!(labels(language).instant(at, zone), wanted);
        }
        let day = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        assert_eq!(labels("fr").date(day), "1er mars 2026");
        assert_eq!(labels("de").date(day), "1. März 2026");
    }

    #[test]
    fn numbers_and_durations() {
        let (en, fr, de) = (labels("en"), labels("fr"), labels("de"));
        for (n, wanted) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(en.number(n), wanted);
        }
        assert_eq!(
            (fr.number(12_345).as_str(), de.number(12_345).as_str()),
            ("12\u{a0}345", "12.345")
        );
        for (seconds, wanted) in [
            (1, "0 h 1 min"),
            (3_600, "1 h 0 min"),
            (90_061, "25 h 2 min"),
            (-5, "0 h 0 min"),
        ] {
            assert_eq!(en.duration(TimeDelta::seconds(seconds)), wanted);
        }
    }

    #[test]
    fn formats_fill_each_word_once() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "2")]), "{b} and 2");
        assert_eq!(fill("{a {x} }", &[("a", "1")]), "{a {x} }");
    }

    #[test]
    fn flaws_are_named() {
        let mut en = labels("en");
        assert_eq!(en.flaws(), Vec::<String>::new());
        en.harm.remove("physical");
        en.harm.insert("phisical".to_owned(), "x".to_owned());
        en.formats.date = "{day}/{year}".to_owned();
        en.formats.months.pop();
        en.advice[0].for_data.push("passwords".to_owned());
        let flaws = en.flaws().join("\n");
        for part in ["harm.physical", "harm.phisical", "{month}", "twelve", "`passwords`"] {
            assert!(flaws.contains(part), "{flaws}");
        }
    }
}
