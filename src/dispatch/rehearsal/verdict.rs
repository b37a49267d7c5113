//! What a rehearsal proves, and what to do about it, in plain words.

use serde::Serialize;

use crate::message::passage::{Content, Harm, Passage};
use crate::model::delivery::Outcome;

use super::super::office::Way;
use super::travel::{Letter, Taker, Trip};

/// The one thing to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Byte for byte what was sent, but for trace headers.
    Unchanged,
    /// Changed in ways that keep nobody from reading it.
    Harmless,
    /// Changed so that some readers will not open it, or answers will not find their way.
    Risky,
    /// What arrived cannot be read.
    Broken,
    /// More than one copy arrived.
    Twice,
    /// It did not arrive in time.
    NotArrived,
    /// A mail server sent it back.
    Bounced,
    /// The relay refused it for good.
    Refused,
    /// The relay could not be reached, or put it off.
    NotTaken,
    /// Our own mailbox cannot be read, so nothing was sent.
    MailboxUnreadable,
}

impl Verdict {
    pub(super) fn of(trip: &Trip, passage: Option<&Passage>) -> Self {
        if trip.mailbox_trouble.is_some() {
            return Verdict::MailboxUnreadable;
        }
        let Some(passage) = passage else {
            return match &trip.outcome {
                Some(Outcome::Refused { .. }) => Verdict::Refused,
                Some(Outcome::Deferred { .. }) | None => Verdict::NotTaken,
                _ if trip.bounce.is_some() => Verdict::Bounced,
                _ => Verdict::NotArrived,
            };
        };
        let harm = passage.changes.iter().map(|change| change.harm).max();
        match (&passage.content, harm) {
            (Content::Identical, _) if !passage.signed => Verdict::Broken,
            (Content::Identical, Some(Harm::Fatal)) => Verdict::Broken,
            (Content::Identical, Some(Harm::Risky)) => Verdict::Risky,
            (Content::Identical, _) if trip.arrived.len() > 1 => Verdict::Twice,
            (Content::Identical, Some(Harm::Harmless)) => Verdict::Harmless,
            (Content::Identical, None) => Verdict::Unchanged,
            _ => Verdict::Broken,
        }
    }

    /// Whether an authority could read a mail that went this way, and nothing is to be done.
    pub fn is_good(self) -> bool {
        matches!(self, Verdict::Unchanged | Verdict::Harmless)
    }
}

/// The verdict for a person.
pub(super) struct Words {
    pub summary: String,
    /// What to do, a line each.
    pub todo: Vec<String>,
}

pub(super) fn words(way: &Way<'_>, verdict: Verdict, letter: &Letter, trip: &Trip, passage: Option<&Passage>) -> Words {
    let us = &letter.recipient;
    let reader = match way.to_individuals {
        true => "a person",
        false => "an authority",
    };
    let mut todo: Vec<String> = passage
        .into_iter()
        .flat_map(|passage| &passage.changes)
        .filter_map(|change| change.remedy.clone())
        .collect();
    let summary = match verdict {
        Verdict::Unchanged => format!("the mail came back as it was sent: {reader} could read it"),
        Verdict::Harmless => {
            "the mail was changed on its way, in nothing that keeps a reader from opening it".to_owned()
        }
        Verdict::Risky => format!("the mail was changed on its way: {reader} may not be able to open it"),
        Verdict::Broken => format!("what arrived cannot be read: {reader} would get nothing of use"),
        Verdict::Twice => {
            todo.push(
                "look for a forwarding or a second delivery rule of this address; it costs nothing but may confuse"
                    .to_owned(),
            );
            format!(
                "{} copies arrived: {reader} may get a mail more than once",
                trip.arrived.len()
            )
        }
        Verdict::Bounced => {
            let why = trip.bounce.as_deref().unwrap_or_default();
            todo.push(format!(
                "ask whoever runs the mail server why it sends mail for {us} back"
            ));
            format!("the mail was sent back: {why}")
        }
        Verdict::Refused => {
            todo.push(format!(
                "ask whoever runs the relay; `{}` in config.yaml names it",
                way.relay_setting
            ));
            format!("the relay refused the mail {}", trip.fault().unwrap_or_default())
        }
        Verdict::NotTaken => {
            todo.push("breachpost doctor".to_owned());
            todo.push("try again in some minutes: some servers put a first mail off on purpose".to_owned());
            format!("the relay did not take the mail {}", trip.fault().unwrap_or_default())
        }
        Verdict::MailboxUnreadable => {
            todo.push(format!(
                "mend `{}` in config.yaml, then look again: breachpost doctor",
                way.mailbox_setting
            ));
            let why = trip.mailbox_trouble.as_deref().unwrap_or_default();
            format!("nothing was sent, because the mailbox cannot be read: {why}")
        }
        Verdict::NotArrived => {
            todo.extend(by_hand(way, letter, trip));
            not_arrived(way, us, trip)
        }
    };
    todo.dedup();
    Words { summary, todo }
}

fn not_arrived(way: &Way<'_>, us: &str, trip: &Trip) -> String {
    let taken = match trip.outcome {
        Some(Outcome::InDoubt { .. }) => "the connection broke after the mail had left, and",
        _ => "the relay took the mail, but",
    };
    match trip.taker {
        _ if way.mailbox.is_none() => {
            format!("{taken} no mailbox is configured, and nothing else brought it here in time")
        }
        Taker::Daemon => format!("{taken} the daemon did not find it in the mailbox in time (sent to {us})"),
        Taker::Ourselves | Taker::Pipe => format!("{taken} it was not in the mailbox in time (sent to {us})"),
    }
}

/// How a person finds out where it went.
fn by_hand(way: &Way<'_>, letter: &Letter, trip: &Trip) -> Vec<String> {
    let mut steps = vec![format!(
        "look with a mail program into the mailbox of {}, the junk folder too, for the subject: Encrypted message (rehearsal)",
        letter.recipient
    )];
    let setting = way.mailbox_setting;
    steps.push(match way.mailbox {
        Some(_) if way.to_individuals => format!(
            "if it is there, set `{setting}` in config.yaml to the account and folder that get this address's mail"
        ),
        Some(_) => format!(
            "if it is there, `{setting}` in config.yaml reads another account or folder than the one that gets this \
             address's mail"
        ),
        None => format!("set `{setting}` in config.yaml to the mailbox that gets this address's mail"),
    });
    steps.push(format!(
        "if it is not there, ask whoever runs the relay for the mail with the Message-ID {}",
        letter.message_id
    ));
    if trip.taker == Taker::Daemon {
        steps.push("see what the daemon says about the mailbox: breachpost doctor".to_owned());
    }
    steps.push("if the mail only was slow, wait longer: --timeout 600".to_owned());
    steps
}
