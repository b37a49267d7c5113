//! There and back: hands letters to the real relay and waits until they are in our own store, brought there by the
//! mailbox's own reader, by a daemon's, or by a pipe.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::mail::smtp::{Connection, Connector, Mail, Notify};
use crate::message::classify;
use crate::message::mime::Headers;
use crate::message::open;
use crate::message::passage;
use crate::message::rehearsal::{Bearing, Token, tokens_in};
use crate::message::report::ReportKind;
use crate::message::seal::Sealed;
use crate::model::Time;
use crate::model::delivery::{Fault, FaultCause, Outcome, SmtpReply, SmtpStep, TlsFacts};
use crate::model::id::MailId;

use super::super::causes::chain;
use super::super::desk::DeskError;
use super::super::office::{Office, Way};
use super::super::watch;

/// How often the store is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After the last letter has arrived: a second copy or a report comes at once or much later.
const LINGER: Duration = Duration::from_secs(1);
/// How long connecting to the mailbox may take before anything is sent.
const MAILBOX_WAIT: Duration = Duration::from_secs(30);

/// A sealed mail to ourselves.
#[derive(Clone)]
pub struct Letter {
    pub token: Token,
    pub message_id: String,
    pub envelope_from: String,
    pub recipient: String,
    pub mail: Vec<u8>,
}
impl Letter {
    pub fn new(office: &Office, way: &Way<'_>, token: Token, sealed: Sealed, headers: &Headers) -> Self {
        Self {
            // As the real mail would leave: a relay may refuse senders with a plus.
            envelope_from: office.return_path(way.sender, token.as_str()),
            recipient: headers.to.address.clone(),
            message_id: headers.message_id.clone(),
            mail: sealed.mail,
            token,
        }
    }
}

/// Who brings mail into the store meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    /// The daemon that runs on this home.
    Daemon,
    /// This process, from the configured mailbox.
    Ourselves,
    /// No mailbox is configured: only `mailbox ingest` can.
    Pipe,
}

/// What became of one letter.
#[derive(Debug, Clone)]
pub struct Trip {
    pub taker: Taker,
    /// Why the mailbox cannot be read: nothing was sent then.
    pub mailbox_trouble: Option<String>,
    /// `None`: nothing was sent.
    pub outcome: Option<Outcome>,
    pub tls: Option<TlsFacts>,
    pub dsn: Option<bool>,
    pub sent_at: Time,
    pub round_trip: Option<Duration>,
    /// Every copy that arrived, in full.
    pub arrived: Vec<Vec<u8>>,
    /// A mail server's words on why it did not arrive.
    pub bounce: Option<String>,
    /// A mail server reported success.
    pub delivered: bool,
    /// Something answered by itself.
    pub auto_reply: bool,
}
impl Trip {
    fn new(taker: Taker, sent_at: Time) -> Self {
        Self {
            taker,
            mailbox_trouble: None,
            outcome: None,
            tls: None,
            dsn: None,
            sent_at,
            round_trip: None,
            arrived: Vec::new(),
            bounce: None,
            delivered: false,
            auto_reply: false,
        }
    }

    pub fn reply(&self) -> Option<&SmtpReply> {
        match &self.outcome {
            Some(Outcome::Accepted { reply, .. }) => Some(reply),
            _ => None,
        }
    }

    pub fn fault(&self) -> Option<String> {
        match &self.outcome {
            None | Some(Outcome::Accepted { .. }) => None,
            Some(outcome) => Some(outcome.words()),
        }
    }

    /// Nothing more can come of waiting.
    fn is_over(&self) -> bool {
        let may_arrive = matches!(self.outcome, Some(Outcome::Accepted { .. } | Outcome::InDoubt { .. }));
        !may_arrive || !self.arrived.is_empty() || self.bounce.is_some()
    }
}

/// Sends all letters over one connection and waits at most `wait` for them together.
///
/// # Errors
/// The relay's settings cannot be used, or the store fails.
pub async fn travel(
    office: &Office,
    way: &Way<'_>,
    letters: &[Letter],
    wait: Duration,
) -> Result<Vec<Trip>, DeskError> {
    let taker = match (office.daemon_runs(), way.mailbox) {
        (true, _) => Taker::Daemon,
        (false, Some(_)) => Taker::Ourselves,
        (false, None) => Taker::Pipe,
    };
    let connector = office.connector_to(way.relay)?;
    let now = office.now();
    let mut trips: Vec<Trip> = letters.iter().map(|_| Trip::new(taker, now)).collect();
    if let Some(trouble) = mailbox_trouble(office, way).await {
        for trip in &mut trips {
            trip.mailbox_trouble = Some(trouble.clone());
        }
        return Ok(trips);
    }
    let mut seen = office.store.newest_mail().await?.map_or(0, MailId::row);
    let stop = CancellationToken::new();
    let reading = (taker == Taker::Ourselves).then(|| tokio::spawn(watch::run(office.clone(), stop.clone())));
    // Whatever happens, the reader ends with us, and finishes the mail it has in hand.
    let waited = async {
        let began = hand_over(office, &connector, letters, &mut trips, wait).await;
        wait_for(office, letters, &mut trips, &mut seen, began, wait).await
    }
    .await;
    stop.cancel();
    if let Some(reading) = reading
        && let Err(error) = reading.await.expect("reading a mailbox does not panic")
    {
        tracing::warn!(error = chain(&error), "the mailbox could not be read to the end");
    }
    waited?;
    Ok(trips)
}

/// Why mail cannot be fetched from the configured mailbox; `None` when it can, or when there is none.
async fn mailbox_trouble(office: &Office, way: &Way<'_>) -> Option<String> {
    let mailbox = way.mailbox?;
    match tokio::time::timeout(MAILBOX_WAIT, watch::look(office, mailbox)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some(format!("it did not answer within {} s", MAILBOX_WAIT.as_secs())),
    }
}

/// Gives every letter to the relay. Returns when the last one was.
async fn hand_over(
    office: &Office,
    connector: &Connector,
    letters: &[Letter],
    trips: &mut [Trip],
    wait: Duration,
) -> Instant {
    let mut connection: Option<Connection> = None;
    for (letter, trip) in letters.iter().zip(&mut *trips) {
        trip.sent_at = office.now();
        if connection.as_ref().is_none_or(|connection| !connection.reusable()) {
            let opened = tokio::time::timeout(wait, Connection::open(connector)).await;
            connection = match opened.unwrap_or_else(|_| Err(too_slow(SmtpStep::Connect, wait))) {
                Ok(connection) => Some(connection),
                Err(fault) => {
                    trip.outcome = Some(Outcome::Deferred { fault });
                    continue;
                }
            };
        }
        let open = connection.as_mut().expect("just opened");
        trip.tls = open.tls_facts().cloned();
        trip.dsn = Some(open.capabilities().dsn);
        let carried = tokio::time::timeout(wait, carry(open, letter)).await;
        let unknown = |_| Outcome::InDoubt {
            fault: too_slow(SmtpStep::FinalDot, wait),
        };
        trip.outcome = Some(carried.unwrap_or_else(unknown));
    }
    if let Some(connection) = connection {
        connection.quit().await;
    }
    Instant::now()
}

/// The relay may take its time with a notice; a person who rehearses waits here.
fn too_slow(step: SmtpStep, wait: Duration) -> Fault {
    Fault {
        step,
        cause: FaultCause::Timeout {
            seconds: wait.as_secs(),
        },
    }
}

async fn carry(connection: &mut Connection, letter: &Letter) -> Outcome {
    let mail = Mail {
        envelope_from: &letter.envelope_from,
        recipient: &letter.recipient,
        bytes: &letter.mail,
        envid: Some(letter.token.as_str()),
        notify: Notify::ALL,
    };
    connection.carry(&mail).await
}

async fn wait_for(
    office: &Office,
    letters: &[Letter],
    trips: &mut [Trip],
    seen: &mut i64,
    began: Instant,
    wait: Duration,
) -> Result<(), DeskError> {
    let end = began + wait;
    let mut enough: Option<Instant> = None;
    loop {
        look(office, letters, trips, seen, began).await?;
        let now = Instant::now();
        if enough.is_none() && trips.iter().all(Trip::is_over) {
            let arrived = trips.iter().any(|trip| !trip.arrived.is_empty());
            enough = Some(if arrived { now + LINGER } else { now });
        }
        if now >= enough.unwrap_or(end).min(end) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks at what has come into the store since.
async fn look(
    office: &Office,
    letters: &[Letter],
    trips: &mut [Trip],
    seen: &mut i64,
    began: Instant,
) -> Result<(), DeskError> {
    let newest = office.store.newest_mail().await?.map_or(0, MailId::row);
    while *seen < newest {
        *seen += 1;
        let Some(mail) = office.store.find_mail(MailId::new(*seen)).await? else {
            continue;
        };
        let (letters, now) = (letters.to_vec(), office.now());
        let read = move || {
            let found = letters
                .iter()
                .map(|letter| sight(letter, &mail.raw, now))
                .collect::<Vec<_>>();
            (found, mail.raw)
        };
        let (found, raw) = tokio::task::spawn_blocking(read)
            .await
            .expect("reading a mail does not panic");
        for (trip, sight) in trips.iter_mut().zip(found) {
            match sight {
                Some(Sight::Arrived) => {
                    trip.round_trip.get_or_insert(began.elapsed());
                    trip.arrived.push(raw.clone());
                }
                Some(Sight::Bounced(why)) => trip.bounce = Some(why),
                Some(Sight::Delivered) => trip.delivered = true,
                Some(Sight::Answered) => trip.auto_reply = true,
                Some(Sight::Delayed) | None => {}
            }
        }
    }
    Ok(())
}

/// What a mail means for a letter.
enum Sight {
    Arrived,
    Bounced(String),
    Delivered,
    Delayed,
    Answered,
}

fn sight(letter: &Letter, raw: &[u8], now: Time) -> Option<Sight> {
    let opened = open::open(raw, None, &[], now);
    let marks = classify::marks(&opened);
    let found = tokens_in(&opened, marks.report.as_ref(), None);
    let bearing = found.into_iter().find(|(token, _)| token == letter.token.as_str());
    match bearing.map(|(_, bearing)| bearing) {
        Some(Bearing::Itself) => Some(Sight::Arrived),
        Some(Bearing::Answer) => Some(Sight::Answered),
        Some(Bearing::Report) => {
            let report = marks.report?;
            Some(match report.kind {
                ReportKind::Bounce => {
                    let said = report.recipients.iter().find_map(|one| one.diagnostic.clone());
                    Sight::Bounced(said.unwrap_or_else(|| report.shown()))
                }
                ReportKind::Delivered => Sight::Delivered,
                _ => Sight::Delayed,
            })
        }
        // Every mark was taken off, and still it is ours.
        None => passage::carries(&letter.mail, raw).then_some(Sight::Arrived),
    }
}
