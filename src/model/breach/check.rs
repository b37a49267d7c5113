//! What in a record contradicts itself or could do harm further on: errors, in contrast to gaps.

use std::fmt;

use super::countries;
use super::fields::{Moment, When};
use super::{Count, Record};
use crate::model::time::{self, resolve_with_offset};
use crate::reading::shown;

/// A field that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Such as `measures.taken[0].at`.
    pub path: String,
    pub message: String,
}
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.path), self.message)
    }
}
fn flaw(path: impl Into<String>, message: impl Into<String>) -> Result<(), Flaw> {
    Err(Flaw {
        path: path.into(),
        message: message.into(),
    })
}

impl Record {
    /// Gives every local time its offset, by `timeline.input_tz`.
    pub(super) fn settle(&mut self) -> Result<(), Flaw> {
        let zone = self.timeline.input_tz;
        let settle = |path: &str, moment: &mut Moment| {
            let Some(local) = moment.unsettled() else { return Ok(()) };
            let Some(zone) = zone else {
                let message = format!(
                    "the time has no offset: add it, as in {}+01:00, or name the zone in `timeline.input_tz`, such as \
                     Europe/Luxembourg",
                    local.format("%Y-%m-%dT%H:%M:%S")
                );
                return flaw(path, message);
            };
            match resolve_with_offset(local, zone) {
                Ok(at) => *moment = Moment::from(at),
                Err(e) => return flaw(path, e.to_string()),
            }
            Ok(())
        };
        let t = &mut self.timeline;
        for (path, moment) in [
            ("timeline.aware_at", &mut t.aware_at),
            ("timeline.processor_aware_at", &mut t.processor_aware_at),
            ("timeline.processor_told_at", &mut t.processor_told_at),
        ] {
            if let Some(moment) = moment {
                settle(path, moment)?;
            }
        }
        for (path, when) in [
            ("timeline.occurred_from", &mut t.occurred_from),
            ("timeline.occurred_to", &mut t.occurred_to),
            ("timeline.detected_at", &mut t.detected_at),
            ("risk.decided_at", &mut self.risk.decided_at),
            ("next_update_due", &mut self.next_update_due),
        ] {
            if let Some(When::At(moment)) = when {
                settle(path, moment)?;
            }
        }
        if let Some(hold) = &mut self.communication.hold {
            for (path, when) in [("when", &mut hold.when), ("until", &mut hold.until)] {
                if let Some(When::At(moment)) = when {
                    settle(&format!("communication.hold.{path}"), moment)?;
                }
            }
        }
        for (list, measures) in [
            ("taken", &mut self.measures.taken),
            ("planned", &mut self.measures.planned),
        ] {
            for (i, measure) in measures.iter_mut().enumerate() {
                for (name, when) in [("at", &mut measure.at), ("due", &mut measure.due)] {
                    if let Some(When::At(moment)) = when {
                        settle(&format!("measures.{list}[{i}].{name}"), moment)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares fields with each other and with what may be sent.
    pub(super) fn check(&self) -> Result<(), Flaw> {
        if self.title.is_empty() {
            return flaw("title", "must not be empty; a few words for your colleagues are enough");
        }
        if let Some(language) = &self.language
            && !((2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase()))
        {
            return flaw("language", "not an ISO 639 code in lower case, such as fr");
        }
        if time::regime(&self.regime).is_none_or(|r| r.valid_from.is_none()) {
            let known: Vec<&str> = time::REGIMES
                .iter()
                .filter(|r| r.valid_from.is_some())
                .map(|r| r.id)
                .collect();
            return flaw("regime", format!("not a regime in force; known: {}", known.join(", ")));
        }
        if let (Some(from), Some(to)) = (self.timeline.occurred_from, self.timeline.occurred_to)
            && from.is_after(to)
        {
            return flaw("timeline.occurred_to", "lies before `occurred_from`");
        }
        self.check_counts()?;
        self.check_countries()?;
        self.check_addresses()?;
        for (list, measures) in [("taken", &self.measures.taken), ("planned", &self.measures.planned)] {
            if let Some(i) = measures.iter().position(|m| m.text.is_empty()) {
                return flaw(format!("measures.{list}[{i}].text"), "must not be empty");
            }
        }
        for (i, digest) in self.attachments.iter().enumerate() {
            if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                return flaw(
                    format!("attachments[{i}]"),
                    "not a SHA-256 of 64 lower-case hexadecimal digits",
                );
            }
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Flaw> {
        let check = |path: String, count: &Count| match count.flaw() {
            Some(message) => flaw(path, message),
            None => Ok(()),
        };
        check("data.records".to_owned(), &self.data.records)?;
        check("subjects.persons".to_owned(), &self.subjects.persons)?;
        for (country, count) in &self.subjects.per_country {
            check(format!("subjects.per_country.{country}"), count)?;
        }
        Ok(())
    }

    fn check_countries(&self) -> Result<(), Flaw> {
        for country in self.subjects.per_country.keys() {
            if let Some(message) = countries::flaw(country) {
                return flaw(format!("subjects.per_country.{country}"), message);
            }
        }
        for state in &self.cross_border.states {
            if let Some(message) = countries::flaw(state) {
                return flaw("cross_border.states", message);
            }
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), Flaw> {
        let contact = self.contact.as_ref();
        for (path, email) in [
            ("contact.email", contact.and_then(|c| c.email.as_deref())),
            ("controller.email", self.controller.email.as_deref()),
        ] {
            if email.is_some_and(|e| !is_email(e)) {
                return flaw(
                    path,
                    "not an e-mail address such as dpo@example.lu, without a name or brackets",
                );
            }
        }
        for (path, phone) in [
            ("contact.phone", contact.and_then(|c| c.phone.as_deref())),
            ("controller.phone", self.controller.phone.as_deref()),
        ] {
            if phone.is_some_and(|p| !is_phone(p)) {
                return flaw(path, "not a telephone number such as +352 621 000 111");
            }
        }
        Ok(())
    }
}

/// The shape of a bare address (RFC 5321 §4.1.2 without quoted local parts); whether it exists, nobody can see.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"@".contains(c);
    let dots = |part: &str| !part.is_empty() && part.split('.').all(|piece| !piece.is_empty());
    // RFC 5321 §4.5.3.1: 64 octets before the @, 254 for the whole path.
    text.len() <= 254 && local.len() <= 64 && dots(local) && dots(domain) && !text.replacen('@', "", 1).contains(odd)
}

/// Digits and what people put between them, and an extension.
fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let known = |c: char| c.is_ascii_digit() || " +-()./".contains(c) || "extEXT".contains(c);
    (3..=20).contains(&digits) && text.len() <= 40 && text.chars().all(known)
}
