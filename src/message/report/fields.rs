//! The fields of a delivery status (RFC 3464 §2), read as they are written in the wild: groups without the empty line
//! between them, or with empty lines inside; continuation lines that are not indented; an action for all recipients.

use mail_parser::DateTime;

use super::super::part::decoded_words;
use super::Action;
use super::address::unxtext;
use crate::model::Time;

/// Of a longer value the rest is left out: nobody reads it, and it would be kept.
const MOST_CHARS: usize = 1000;
const MOST_FIELDS: usize = 20_000;

/// What a status part says.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) envelope_id: Option<String>,
    pub(super) reporting_mta: Option<String>,
    pub(super) arrived: Option<Time>,
    /// For recipients that have none of their own.
    pub(super) action: Option<String>,
    pub(super) status: Option<String>,
    pub(super) recipients: Vec<Group>,
}

/// The fields about one recipient.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) original_recipient: Option<String>,
    pub(super) final_recipient: Option<String>,
    pub(super) actual_recipient: Option<String>,
    pub(super) action: Option<String>,
    pub(super) status: Option<String>,
    pub(super) diagnostic: Option<String>,
    pub(super) remote_mta: Option<String>,
    pub(super) last_attempt: Option<Time>,
}
impl Group {
    fn is_addressed(&self) -> bool {
        self.final_recipient.is_some() || self.original_recipient.is_some() || self.actual_recipient.is_some()
    }
}

impl Status {
    pub(super) fn read(text: &str) -> Self {
        let mut status = Self::default();
        let mut group = Group::default();
        let fields = unfolded(text);
        for block in fields.split(|(name, _)| name.is_empty()) {
            let holds = |name: &str| block.iter().filter(|(known, _)| known == name).count();
            let addressed = holds("final-recipient") + holds("original-recipient") > 0;
            if addressed && group.is_addressed() {
                status.close(std::mem::take(&mut group));
            }
            // RFC 3464 §2.3 puts the addresses of a group first; servers put them anywhere.
            let several = holds("final-recipient") > 1 || holds("action") > 1;
            for (name, value) in block {
                let repeated = match name.as_str() {
                    "final-recipient" => group.final_recipient.is_some(),
                    "original-recipient" => group.original_recipient.is_some() || (several && group.action.is_some()),
                    "action" => group.action.is_some() && group.is_addressed(),
                    _ => false,
                };
                if repeated {
                    status.close(std::mem::take(&mut group));
                }
                status.take(&mut group, name, value.clone());
            }
        }
        if group.is_addressed() || group.action.is_some() {
            status.close(group);
        }
        status
    }

    /// Ends a group. An original recipient alone is one that stood behind the rest of its group.
    fn close(&mut self, group: Group) {
        let alone = group.final_recipient.is_none() && group.action.is_none() && group.status.is_none();
        match self.recipients.last_mut() {
            Some(last) if alone && last.original_recipient.is_none() => {
                last.original_recipient = group.original_recipient
            }
            _ => self.recipients.push(group),
        }
    }

    fn take(&mut self, group: &mut Group, name: &str, value: String) {
        let alone = !group.is_addressed();
        let set = |slot: &mut Option<String>, value: String| {
            if slot.is_none() && !value.is_empty() {
                *slot = Some(value);
            }
        };
        match name {
            "original-envelope-id" => set(&mut self.envelope_id, unxtext(&value)),
            "reporting-mta" => set(&mut self.reporting_mta, without_type(&value)),
            "arrival-date" => self.arrived = self.arrived.or_else(|| date(&value)),
            "final-recipient" => set(&mut group.final_recipient, value),
            "original-recipient" => set(&mut group.original_recipient, value),
            "x-actual-recipient" => set(&mut group.actual_recipient, value),
            "action" if alone && self.recipients.is_empty() => set(&mut self.action, value),
            "status" if alone && self.recipients.is_empty() => set(&mut self.status, value),
            "action" => set(&mut group.action, value),
            "status" => set(&mut group.status, value),
            "diagnostic-code" => set(&mut group.diagnostic, without_type(&value)),
            // Sendmail, Exim and others say more in fields of their own where they have no reply to quote.
            "x-display-diagnostic" | "x-diagnostic" | "x-error-message" if group.diagnostic.is_none() => {
                set(&mut group.diagnostic, value);
            }
            "remote-mta" => set(&mut group.remote_mta, without_type(&value)),
            "last-attempt-date" => group.last_attempt = group.last_attempt.or_else(|| date(&value)),
            _ => {}
        }
    }
}

/// What an Action field means (RFC 3464 §2.3.3), with comments and near misses.
pub(super) fn action(value: &str) -> Option<Action> {
    let word: String = value.trim().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    match word.to_ascii_lowercase().as_str() {
        "failed" | "failure" | "fail" | "expired" | "undeliverable" => Some(Action::Failed),
        "delayed" | "deferred" | "delay" => Some(Action::Delayed),
        "delivered" | "deliverable" | "success" => Some(Action::Delivered),
        "relayed" => Some(Action::Relayed),
        "expanded" => Some(Action::Expanded),
        _ => None,
    }
}

/// Name and value of each field, names in lower case, values on one line and decoded. An empty name marks empty lines.
pub(super) fn unfolded(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if fields.len() >= MOST_FIELDS {
            break;
        }
        let line = line.trim_end();
        if line.is_empty() {
            if fields.last().is_some_and(|(name, _)| !name.is_empty()) {
                fields.push((String::new(), String::new()));
            }
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        match (field(line), fields.last_mut()) {
            (Some((name, value)), _) if !indented => {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            (_, Some((name, value))) if !name.is_empty() => {
                // Of an endless value the rest is left out.
                let room = (MOST_CHARS * 4).saturating_sub(value.len());
                value.push(' ');
                value.push_str(&line.trim()[..line.trim().floor_char_boundary(room)]);
            }
            // A whole group may be indented.
            (Some((name, value)), _) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            _ => {}
        }
    }
    for (_, value) in &mut fields {
        *value = one_line(value);
    }
    fields
}

/// A header-like line: a name of letters, digits and hyphens, a colon, anything.
pub(super) fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().split_once(':')?;
    let name = name.trim_end();
    let fits = !name.is_empty()
        && name.len() <= 60
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then_some((name, value))
}

/// Whether these bytes hold the two fields that every recipient has (RFC 3464 §2.3).
pub(super) fn looks_like_status(bytes: &[u8]) -> bool {
    let starts = |line: &[u8], name: &[u8]| {
        let line = line.trim_ascii_start();
        line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name)
    };
    let mut lines = bytes.split(|b| *b == b'\n').take(MOST_FIELDS);
    let (mut recipient, mut outcome) = (false, false);
    lines.any(|line| {
        recipient |= starts(line, b"final-recipient:") || starts(line, b"original-recipient:");
        outcome |= starts(line, b"action:") || starts(line, b"status:");
        recipient && outcome
    })
}

/// The text from the first line that is a field of a status on.
pub(super) fn from_first_field(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let known = field(line).is_some_and(|(name, _)| {
            [
                "reporting-mta",
                "final-recipient",
                "original-recipient",
                "original-envelope-id",
                "action",
            ]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        });
        if known {
            return &text[at..];
        }
        at += line.len();
    }
    text
}

/// `dns; mx.example.org (192.0.2.1)` without its type.
pub(super) fn without_type(value: &str) -> String {
    let value = value.trim();
    match value.split_once(';') {
        Some((kind, rest)) if !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            rest.trim().to_owned()
        }
        _ => value.to_owned(),
    }
}

/// RFC 5322 §3.3; a date that cannot be is none.
pub(super) fn date(value: &str) -> Option<Time> {
    DateTime::parse_rfc822(value)
        .filter(DateTime::is_valid)
        .and_then(|date| Time::from_timestamp(date.to_timestamp(), 0))
}

/// White space folded, encoded words decoded (RFC 2047), no control characters, bounded.
pub(super) fn one_line(value: &str) -> String {
    let decoded = match value.contains("=?") {
        true => decoded_words(value),
        false => value.to_owned(),
    };
    let mut line = String::with_capacity(decoded.len());
    for word in decoded.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()));
        if line.len() > MOST_CHARS {
            line.truncate(line.floor_char_boundary(MOST_CHARS));
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_however_they_are_divided() {
        let message = "Reporting-MTA: dns; mx.example.org\n";
        let one = "Final-Recipient: rfc822; a@example.org\nAction: failed\nStatus: 5.1.1\n";
        let two = "Original-Recipient: rfc822;b@example.org\nFinal-Recipient: rfc822; c@example.org\nAction: delayed\nStatus: 4.4.1\n";
        for text in [
            format!("{message}\n{one}\n{two}"),
            format!("{message}{one}{two}"),
            format!("{message}\n\n{one}\n\n\n{two}\n\n"),
            format!("{message}\n{two}\n{one}"),
            format!("{message}\n{}\n{two}", one.replace('\n', "\n\n")),
            format!("{message}\n{one}\n{two}").replace('\n', "\r\n"),
        ] {
            let status = Status::read(&text);
            assert_eq!(status.recipients.len(), 2, "{text}");
            for group in &status.recipients {
                let delayed = group.final_recipient.as_deref() == Some("rfc822; c@example.org");
                assert_eq!(group.original_recipient.is_some(), delayed, "{text}");
                assert_eq!(group.status.as_deref(), Some(if delayed { "4.4.1" } else { "5.1.1" }));
            }
            assert_eq!(status.reporting_mta.as_deref(), Some("mx.example.org"));
        }
    }

    #[test]
    fn values_are_one_clean_line() {
        let text = "Diagnostic-Code: smtp;\n 550-5.1.1 The account\n\t550 5.1.1 does not exist\nnot indented\nRemote-MTA: dns; mx";
        let fields = unfolded(text);
        assert_eq!(
            fields[0].1,
            "smtp; 550-5.1.1 The account 550 5.1.1 does not exist not indented"
        );
        assert_eq!(
            one_line("=?utf-8?Q?Empf=C3=A4nger?= unbekannt\u{7}"),
            "Empfänger unbekannt"
        );
        assert!(one_line(&"x".repeat(9000)).len() <= MOST_CHARS);
    }

    #[test]
    fn an_action_for_all() {
        let status =
            Status::read("Reporting-MTA: dns;x\nAction: failed\n\nFinal-Recipient: rfc822;a@b.example\nStatus: 5.2.2");
        assert_eq!(status.action.as_deref(), Some("failed"));
        assert_eq!(status.recipients.len(), 1);
        for (said, meant) in [
            ("failed (unknown user)", Some(Action::Failed)),
            ("Delayed", Some(Action::Delayed)),
            ("relayed (to non-DSN-aware mailer)", Some(Action::Relayed)),
            ("expanded", Some(Action::Expanded)),
            ("x", None),
        ] {
            assert_eq!(action(said), meant);
        }
    }
}
