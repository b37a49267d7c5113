//! Turns values of a record into words of a language: sets, numbers, times, measures.

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::message::template::labels::{Labels, Map, fill, words};
use crate::model::Time;
use crate::model::breach::{Count, Dated, LawEnforcementHold, Precision, When, YesNo};

/// A language and the zone of its reader.
pub(super) struct Writer<'a> {
    pub labels: &'a Labels,
    zone: Tz,
}

impl<'a> Writer<'a> {
    pub fn new(labels: &'a Labels, zone: Tz) -> Self {
        Self { labels, zone }
    }

    pub fn instant(&self, at: Time) -> String {
        self.labels.instant(at, self.zone)
    }

    pub fn when(&self, when: When) -> String {
        match when {
            When::Day(day) => self.labels.date(day),
            When::At(moment) => self.instant(moment.time()),
        }
    }

    /// The day only, in the reader's zone.
    pub fn day(&self, when: When) -> String {
        self.labels.date(match when {
            When::Day(day) => day,
            When::At(moment) => moment.time().with_timezone(&self.zone).date_naive(),
        })
    }

    /// "no (exceeded by …)".
    pub fn exceeded(&self, by: TimeDelta) -> String {
        fill(&self.labels.words.exceeded, &[("duration", &self.labels.duration(by))])
    }

    /// The words of each value; empty while nothing is known.
    pub fn set<'n>(&self, map: &Map, names: impl Iterator<Item = &'n str>) -> Vec<String> {
        names.map(|name| words(map, name).to_owned()).collect()
    }

    /// As [`Writer::set`], for a set that may be known to be empty: then the one word "none".
    pub fn known_set<'n>(&self, map: &Map, names: Option<impl Iterator<Item = &'n str>>) -> Vec<String> {
        match names.map(|names| self.set(map, names)) {
            None => Vec::new(),
            Some(words) if words.is_empty() => vec![self.labels.words.none.clone()],
            Some(words) => words,
        }
    }

    /// A number of persons or records, and how sure it is; `None` while it is not known.
    pub fn count(&self, count: Count) -> Option<String> {
        let formats = &self.labels.formats.count;
        let about = count.precision == Precision::Approximate;
        let number = |n| self.labels.number(n);
        Some(match (count.min, count.max) {
            (None, None) => return None,
            (Some(min), None) => fill(&formats.at_least, &[("n", &number(min))]),
            (None, Some(max)) => fill(&formats.at_most, &[("n", &number(max))]),
            (Some(min), Some(max)) if min == max => {
                let format = if about { &formats.approximate } else { &formats.exact };
                fill(format, &[("n", &number(min))])
            }
            (Some(min), Some(max)) => {
                let format = if about {
                    &formats.approximately_between
                } else {
                    &formats.between
                };
                fill(format, &[("min", &number(min)), ("max", &number(max))])
            }
        })
    }

    /// "Luxembourg: 180"; that an exact number is exact goes without saying here.
    pub fn country_count(&self, code: &str, count: Count) -> Option<String> {
        let number = match (count.min, count.precision) {
            (Some(n), Precision::Exact) => self.labels.number(n),
            _ => self.count(count)?,
        };
        let country = words(&self.labels.country, code);
        Some(fill(
            &self.labels.formats.per_country,
            &[("country", country), ("count", &number)],
        ))
    }

    /// A measure with its date and state.
    pub fn measure(&self, measure: &Dated) -> String {
        let formats = &self.labels.formats;
        let mut text = measure.text.clone();
        if let Some(at) = measure.at {
            text = fill(&formats.at, &[("date", &self.when(at)), ("text", &text)]);
        }
        if measure.done == YesNo::Yes {
            return fill(&formats.done, &[("text", &text)]);
        }
        match measure.due {
            Some(due) => fill(&formats.due, &[("text", &text), ("date", &self.when(due))]),
            None => text,
        }
    }

    /// Who asked to wait, since when and until when; `None` if nothing of it is known.
    pub fn hold(&self, hold: &LawEnforcementHold) -> Option<String> {
        let formats = &self.labels.formats;
        let dated = |format: &str, at: Option<When>| at.map(|at| fill(format, &[("date", &self.when(at))]));
        let parts = [
            hold.who.clone(),
            dated(&formats.since, hold.when),
            dated(&formats.until, hold.until),
        ];
        let said: Vec<String> = parts.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}
