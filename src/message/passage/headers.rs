//! The headers that were sent, looked for in what arrived. Those that servers add are no change.

use super::{Change, ChangeKind, Harm};
use crate::message::mime::Mailbox;
use crate::message::open::Opened;

/// For what only the people who run a server can stop.
const ASK_TO_KEEP: &str = "ask whoever runs the mail server to keep this header as it is";

pub(super) fn changes(sent: &Opened, arrived: &Opened) -> Vec<Change> {
    let mut changes = Vec::new();
    changes.extend(subject(&sent.outer_subject, &arrived.outer_subject));
    changes.extend(people("From", &sent.from, &arrived.from, Harm::Risky));
    changes.extend(people("To", &sent.to, &arrived.to, Harm::Harmless));
    changes.extend(message_id(sent, arrived));
    if sent.date != arrived.date {
        changes.push(Change::new(
            ChangeKind::HeaderChanged,
            Harm::Harmless,
            "the Date was changed",
        ));
    }
    // What is left is compared as text; Content-Type and what belongs to it is the layout's.
    let judged = ["from", "to", "subject", "message-id", "date", "mime-version"];
    for (name, value) in &sent.headers {
        let lower = name.to_ascii_lowercase();
        if judged.contains(&lower.as_str()) || lower.starts_with("content-") {
            continue;
        }
        let mut values = arrived.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        if values.clone().any(|(_, found)| same(found, value)) {
            continue;
        }
        let is_there = values.next().is_some();
        let change = match (is_there, lower.as_str()) {
            // An answer goes to the From address then, which is the same one.
            (false, _) => Change::new(
                ChangeKind::HeaderRemoved,
                Harm::Harmless,
                format!("the header {name} was removed"),
            ),
            (true, "reply-to") => {
                let text = "the Reply-To address was changed: answers go elsewhere";
                Change::new(ChangeKind::HeaderChanged, Harm::Risky, text).remedy(ASK_TO_KEEP)
            }
            (true, _) => Change::new(
                ChangeKind::HeaderChanged,
                Harm::Harmless,
                format!("the header {name} was changed"),
            ),
        };
        changes.push(change);
    }
    changes
}

/// Servers fold lines anew.
fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

fn subject(sent: &str, arrived: &str) -> Option<Change> {
    if same(sent, arrived) {
        return None;
    }
    let kind = ChangeKind::SubjectChanged;
    Some(match arrived.contains(sent) {
        true => Change::new(
            kind,
            Harm::Harmless,
            format!("the subject was tagged; it is now: {arrived}. The true subject inside is untouched"),
        )
        .remedy("nothing, if your own server tags mail from outside; else ask whoever runs the relay to leave it out"),
        false => Change::new(
            kind,
            Harm::Risky,
            format!("the subject was replaced; it is now: {arrived}. The reference that it carries is lost with it"),
        )
        .remedy("ask whoever runs the mail server to keep subjects; answers are matched by the reference in them"),
    })
}

fn message_id(sent: &Opened, arrived: &Opened) -> Option<Change> {
    let (kind, text) = match &arrived.message_id {
        id if *id == sent.message_id => return None,
        Some(_) => (ChangeKind::HeaderChanged, "the Message-ID was replaced"),
        None => (ChangeKind::HeaderRemoved, "the Message-ID was removed"),
    };
    let text = format!("{text}: answers and reports that name it cannot be tied to a notice by it");
    Some(Change::new(kind, Harm::Risky, text).remedy(
        "ask whoever runs the relay to keep Message-IDs of mail that has one; until then answers are matched by the \
         reference alone",
    ))
}

fn people(name: &str, sent: &[Mailbox], arrived: &[Mailbox], harm: Harm) -> Option<Change> {
    if sent == arrived {
        return None;
    }
    let addresses =
        |people: &[Mailbox]| -> Vec<String> { people.iter().map(|one| one.address.to_ascii_lowercase()).collect() };
    let kind = ChangeKind::HeaderChanged;
    Some(if addresses(sent) == addresses(arrived) {
        let text = format!("the name shown in {name} was changed, not the address");
        Change::new(kind, Harm::Harmless, text)
    } else {
        let text = format!("the address in {name} was changed");
        let change = Change::new(kind, harm, text);
        match harm {
            Harm::Harmless => change,
            _ => change.remedy(
                "ask whoever runs the relay to keep the sender: set `sender.address` to one that the login may send as",
            ),
        }
    })
}
