//! Rehearsal on the real path: the same mail that would go to an authority, sealed to our own key alone, sent through the
//! real relay to our own mailbox, and compared with what arrives. A relay that rewrites, adds disclaimers or blocks
//! encrypted mail is found before the night.
//!
//! A rehearsal is no notice: it stands in the journal (ids and the verdict) and nowhere else, and intake knows its mails
//! by their token, so that none of them waits in the tray or raises an alarm.

mod travel;
mod verdict;

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::message::classify::Marks;
use crate::message::mime::{Content, Headers, Mailbox};
use crate::message::open::Opened;
use crate::message::passage::{self, Change, Content as Arrived, LineEnds, Passage};
use crate::message::rehearsal::{self, Bearing, HEADER, Token};

use crate::message::seal::{self, SealError, Sealed};
use crate::message::token;
use crate::model::Time;
use crate::model::delivery::{SmtpReply, TlsFacts};
use crate::model::id::{Actor, BreachId};

use super::desk::DeskError;
use super::desk::notice::{self, Prepared};
use super::office::{Office, Way};

pub use self::travel::Trip;
pub(super) use self::travel::{Letter, travel};
pub use self::verdict::Verdict;

/// How long a mail may be on its way, unless told otherwise.
pub const USUAL_WAIT: Duration = Duration::from_secs(120);

/// How a rehearsal ended.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Whether an authority could read a mail that went this way.
    pub ok: bool,
    pub verdict: Verdict,
    /// The verdict in plain words.
    pub summary: String,
    /// What to do, a line each.
    pub todo: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<BreachId>,
    /// Whose notice was rehearsed; it got nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    pub message_id: String,
    /// Our own address.
    pub sent_to: String,
    pub size_bytes: usize,
    pub sent_at: Time,
    /// What the relay answered, or the fault.
    pub relay: Relay,
    /// From the relay's yes to the mail's arrival in the store.
    pub round_trip_ms: Option<u64>,
    /// How many copies arrived.
    pub copies: usize,
    /// What came out of the mail that arrived; `None` when none did.
    pub content: Option<Arrived>,
    /// Whether our signature was still good.
    pub signature_good: bool,
    pub changes: Vec<Change>,
    pub line_ends: Option<LineEnds>,
    /// Servers that wrote their Received header into it.
    pub hops: Option<usize>,
    /// When the last server took it, by that server's clock.
    pub server_time: Option<Time>,
    /// A report of success came back within the wait (RFC 3464).
    pub delivery_report: bool,
    /// An automatic reply to it came back: the mailbox answers by itself.
    pub auto_reply: bool,
}

/// How the relay took it.
#[derive(Debug, Clone, Serialize)]
pub struct Relay {
    /// `accepted`, `deferred`, `refused` or `in_doubt`; `not_tried` when nothing was sent.
    pub outcome: &'static str,
    pub reply: Option<SmtpReply>,
    pub fault: Option<String>,
    /// How the connection was protected; `None` is clear text on loopback.
    pub tls: Option<TlsFacts>,
    /// Whether the relay reports deliveries (RFC 3461).
    pub dsn: Option<bool>,
}

/// Rehearses a notice: seals, sends, waits at most `wait`, compares.
///
/// # Errors
/// It cannot be sealed, or our side fails. What the relay or the mailbox does is a verdict.
pub async fn of_notice(
    office: &Office,
    prepared: &Prepared,
    wait: Duration,
    by: &Actor,
) -> Result<Rehearsal, DeskError> {
    let token = rehearsal::fresh(&office.tokens, office.now());
    let way = office.way_to_authorities();
    let headers = headers(office, &way, &token, way.sender.address.as_str());
    let sealed = notice::seal_to_ourselves(office, prepared, &headers).await?;
    let letter = Letter::new(office, &way, token, sealed, &headers);
    let about = About {
        breach: Some(prepared.breach),
        authority: Some(prepared.profile.id.clone()),
    };
    let trips = journey(office, &way, vec![(letter, about)], wait, by).await?;
    Ok(trips.into_iter().next().expect("one letter, one trip").0)
}

/// A neutral mail from the way's sender to itself, with its token behind a plus or not, sealed to our own key.
///
/// # Errors
/// As [`of_notice`].
pub(super) async fn neutral_letter(office: &Office, way: &Way<'_>, with_plus: bool) -> Result<Letter, DeskError> {
    let now = office.now();
    let address = way.sender.address.as_str();
    let mark = rehearsal::fresh(&office.tokens, now);
    let to = match with_plus {
        true => token::return_path(address, mark.as_str()),
        false => address.to_owned(),
    };
    let headers = headers(office, way, &mark, &to);
    let our = office.our_key().await?;
    let us = notice::ourselves(&our, now)?;
    let content = Content {
        subject: "Rehearsal of the mail path".to_owned(),
        text:
            "This is a test that breachpost sends to itself. It says nothing about any breach; delete it as you like.\n"
                .to_owned(),
        html: None,
        attachments: Vec::new(),
        language: "en".to_owned(),
    };
    let written = headers.clone();
    let seal = move || -> Result<Sealed, SealError> {
        let sealed = seal::seal(&content, &written, &our, &us, now)?;
        seal::self_check(&sealed, &content, &our, &us)?;
        Ok(sealed)
    };
    let sealed = tokio::task::spawn_blocking(seal)
        .await
        .expect("sealing does not panic")?;
    Ok(Letter::new(office, way, mark, sealed, &headers))
}

/// What a rehearsal is about, for the journal.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub breach: Option<BreachId>,
    pub authority: Option<String>,
}

/// Sends the letters, waits for all of them, and journals each before and after.
///
/// # Errors
/// Our side fails.
pub(super) async fn journey(
    office: &Office,
    way: &Way<'_>,
    letters: Vec<(Letter, About)>,
    wait: Duration,
    by: &Actor,
) -> Result<Vec<(Rehearsal, Trip)>, DeskError> {
    let (letters, about): (Vec<Letter>, Vec<About>) = letters.into_iter().unzip();
    for (letter, about) in letters.iter().zip(&about) {
        let facts = json!({ "token": letter.token.as_str(), "breach": about.breach, "authority": about.authority });
        office.store.append("rehearsal.begun", facts, by, office.now()).await?;
    }
    let trips = travel(office, way, &letters, wait).await?;
    let our = office.our_key().await?;
    let mut done = Vec::new();
    for ((letter, about), trip) in letters.into_iter().zip(about).zip(trips) {
        let (sent, arrived, our, now) = (
            letter.mail.clone(),
            trip.arrived.first().cloned(),
            our.clone(),
            office.now(),
        );
        let compare = move || arrived.map(|arrived| passage::compare(&sent, &arrived, &our, now));
        let compared = tokio::task::spawn_blocking(compare)
            .await
            .expect("comparing does not panic");
        let rehearsal = conclude(way, &letter, about, &trip, compared);
        let changes: Vec<_> = rehearsal.changes.iter().map(|change| change.kind).collect();
        let facts = json!({
            "token": letter.token.as_str(), "verdict": rehearsal.verdict, "changes": changes,
            "copies": rehearsal.copies, "breach": rehearsal.breach, "authority": rehearsal.authority,
        });
        office.store.append("rehearsal.ended", facts, by, office.now()).await?;
        done.push((rehearsal, trip));
    }
    Ok(done)
}

fn conclude(way: &Way<'_>, letter: &Letter, about: About, trip: &Trip, passage: Option<Passage>) -> Rehearsal {
    let verdict = Verdict::of(trip, passage.as_ref());
    let words = verdict::words(way, verdict, letter, trip, passage.as_ref());
    let relay = Relay {
        outcome: trip.outcome.as_ref().map_or("not_tried", |outcome| outcome.name()),
        reply: trip.reply().cloned(),
        fault: trip.fault(),
        tls: trip.tls.clone(),
        dsn: trip.dsn,
    };
    Rehearsal {
        ok: verdict.is_good(),
        verdict,
        summary: words.summary,
        todo: words.todo,
        breach: about.breach,
        authority: about.authority,
        message_id: letter.message_id.clone(),
        sent_to: letter.recipient.clone(),
        size_bytes: letter.mail.len(),
        sent_at: trip.sent_at,
        relay,
        round_trip_ms: trip
            .round_trip
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        copies: trip.arrived.len(),
        signature_good: passage.as_ref().is_some_and(|passage| passage.signed),
        line_ends: passage.as_ref().map(|passage| passage.line_ends),
        server_time: passage.as_ref().and_then(|passage| passage.server_time),
        hops: passage.as_ref().map(|passage| passage.hops),
        content: passage.as_ref().map(|passage| passage.content),
        changes: passage.map(|passage| passage.changes).unwrap_or_default(),
        delivery_report: trip.delivered,
        auto_reply: trip.auto_reply,
    }
}

/// From us to us. No thread: it belongs to no conversation.
fn headers(office: &Office, way: &Way<'_>, token: &Token, to: &str) -> Headers {
    let sender = office.sender_on(way);
    Headers {
        reply_to: Some(sender.clone()),
        to: Mailbox::new(None, to),
        outer_subject: "Encrypted message (rehearsal)".to_owned(),
        message_id: token.message_id(&sender.address),
        date: office.now(),
        in_reply_to: None,
        references: Vec::new(),
        extra: vec![(HEADER.to_owned(), token.as_str().to_owned())],
        from: sender,
    }
}

/// Whether a mail that came in belongs to a rehearsal of ours, and how. Only a token that we made counts: nobody can hide
/// mail from a person by calling it a rehearsal.
pub(super) async fn recognise(office: &Office, mail: &Opened, marks: &Marks) -> Option<Bearing> {
    let our = office.our_key().await.ok();
    let fingerprint = our.as_ref().map(|our| our.fingerprint());
    let now = office.now();
    rehearsal::tokens_in(mail, marks.report.as_ref(), fingerprint)
        .into_iter()
        .find(|(token, _)| rehearsal::accepts(&office.tokens, token, now))
        .map(|(_, bearing)| bearing)
}

/// What is kept of a rehearsal's mail, in words.
pub(super) fn why(bearing: Bearing) -> &'static str {
    match bearing {
        Bearing::Itself => "a rehearsal that we sent to ourselves",
        Bearing::Answer => "an automatic reply to a rehearsal that we sent to ourselves",
        Bearing::Report => "a mail server's report about a rehearsal that we sent to ourselves",
    }
}
