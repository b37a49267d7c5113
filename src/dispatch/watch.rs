//! The mailboxes, watched: fetches what is new and hands each mail to [`intake`]. Progress is what the store holds;
//! nothing is marked, moved or deleted in a mailbox. One mail that cannot be taken in never blocks the next one, and one
//! mailbox that cannot be reached never stops another, or the daemon. Knows nothing of what a mail means.

mod folder;
mod imap;
mod stand_in;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::folder::MaildirReader;
use self::imap::ImapReader;
use super::causes::{chain, mistake};
use super::courier::jitter;
use super::intake::{self, IntakeError};
use super::office::Office;
use crate::config::{ConfigError, Mailbox, MailboxUrl};
use crate::mail::imap::ImapError;
use crate::mail::maildir::{Maildir, MaildirError};
use crate::store::StoreError;

/// The wait after a first failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait: an acknowledgement is not noticed much later than that after a server is back.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A refused login is not tried again before this: servers lock accounts that are tried too often.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// A mailbox could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("the mailbox's settings cannot be used")]
    Config(#[from] ConfigError),
    #[error("the Maildir cannot be read")]
    Maildir(#[from] MaildirError),
    #[error("the mailbox cannot be read")]
    Imap(#[from] ImapError),
    #[error("the server lists mail number {uid} and does not hand it out")]
    Withheld { uid: u32 },
    #[error("what came in cannot be stored")]
    Intake(#[from] IntakeError),
    #[error("a mail hits a mistake in breachpost, please report it: {0}")]
    Panic(&'static str),
    #[error("how far the mailbox was read cannot be looked up or kept")]
    Store(#[from] StoreError),
}

/// Why reading ended before its end.
enum Halt {
    Stopped,
    Failed(WatchError),
}
impl<E: Into<WatchError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Halt::Failed(error.into())
    }
}

/// One place that mail is read from: a Maildir, or one folder on a server.
enum Reader {
    Maildir(MaildirReader),
    Imap(Box<ImapReader>),
}
impl Reader {
    fn name(&self) -> String {
        match self {
            Reader::Maildir(reader) => reader.name(),
            Reader::Imap(reader) => reader.name(),
        }
    }
}

/// All places that the settings name, for notices and for campaigns, each with where its health is noted.
fn readers(office: &Office) -> Result<Vec<(Reader, Health)>, WatchError> {
    let mut readers = Vec::new();
    for (what, mailbox) in mailboxes(office) {
        let mut of_mailbox = Vec::new();
        match &mailbox.url {
            MailboxUrl::Maildir(path) => {
                of_mailbox.push(Reader::Maildir(MaildirReader::new(office.home.resolve(path))));
            }
            MailboxUrl::Imap(url) => {
                // A password that cannot be read is a mistake in the settings, not a server that is down.
                mailbox.proof(&office.home)?;
                for folder in mailbox.folders() {
                    let reader = ImapReader::new(mailbox, url, folder.as_str());
                    of_mailbox.push(Reader::Imap(Box::new(reader)));
                }
            }
        }
        let faults = Arc::new(Mutex::new(vec![None; of_mailbox.len()]));
        for (number, reader) in of_mailbox.into_iter().enumerate() {
            let health = Health {
                name: reader.name(),
                what,
                number,
                faults: Arc::clone(&faults),
                failures: 0,
            };
            readers.push((reader, health));
        }
    }
    Ok(readers)
}

/// The mailbox of notices and that of campaigns, where it is another one, by their settings' names.
fn mailboxes(office: &Office) -> Vec<(&'static str, &Mailbox)> {
    let main = office.config.mailbox.as_ref();
    let individuals = office.config.individuals.mailbox.as_ref();
    let other = individuals.filter(|other| Some(*other) != main);
    let main = main.map(|mailbox| ("mailbox", mailbox));
    main.into_iter()
        .chain(other.map(|mailbox| ("individuals.mailbox", mailbox)))
        .collect()
}

/// Watches all mailboxes until told to stop. A mailbox that cannot be reached is tried again and again.
///
/// # Errors
/// The settings cannot be used; nothing is watched then.
pub async fn run(office: Office, stop: CancellationToken) -> Result<(), WatchError> {
    let readers = readers(&office)?;
    understand_the_rest(&office).await;
    let mut loops = JoinSet::new();
    for (reader, health) in readers {
        loops.spawn(keep_reading(reader, health, office.clone(), stop.clone()));
    }
    loop {
        tokio::select! {
            ended = loops.join_next() => match ended {
                Some(ended) => ended.expect("a mailbox's loop does not panic"),
                None => return Ok(()),
            },
            // Waiting for mail is no standstill: whoever watches this loop sees it wake up.
            () = tokio::time::sleep(LOGIN_WAIT) => {}
        }
    }
}

/// Whether there is a mailbox to watch.
///
/// # Errors
/// The settings of one cannot be used, or a Maildir is none.
pub fn check(office: &Office) -> Result<bool, WatchError> {
    for (_, mailbox) in mailboxes(office) {
        if let MailboxUrl::Maildir(path) = &mailbox.url {
            Maildir::open(&office.home.resolve(path))?;
        }
    }
    Ok(!readers(office)?.is_empty())
}

/// Reads every mailbox once. Returns how many mails were new.
///
/// # Errors
/// The first mailbox that could not be read; the others were read all the same.
pub async fn once(office: &Office) -> Result<usize, WatchError> {
    understand_the_rest(office).await;
    let (mut taken, mut first_error) = (0, None);
    for (reader, mut health) in readers(office)? {
        let read = match reader {
            Reader::Maildir(mut reader) => reader.read(office, &CancellationToken::new()).await,
            Reader::Imap(mut reader) => reader.read_once(office).await,
        };
        match read {
            Ok(new) => {
                health.good(office).await;
                taken += new;
            }
            Err(error) => {
                health.bad(office, &error).await;
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(taken), Err)
}

/// What a mailbox looks like now, as one line for a person.
///
/// # Errors
/// It cannot be read.
pub async fn look(office: &Office, mailbox: &Mailbox) -> Result<String, WatchError> {
    match &mailbox.url {
        MailboxUrl::Maildir(path) => MaildirReader::new(office.home.resolve(path)).describe(),
        MailboxUrl::Imap(url) => {
            let mut told = Vec::new();
            for folder in mailbox.folders() {
                let reader = ImapReader::new(mailbox, url, folder.as_str());
                told.push(reader.describe(office).await?);
            }
            Ok(format!("{} reached, logged in; {}", url.host, told.join("; ")))
        }
    }
}

/// What a crash left stored and not understood.
async fn understand_the_rest(office: &Office) {
    if let Err(error) = intake::catch_up(office, &Office::as_loop("intake")).await {
        tracing::error!(error = chain(&error), "stored mail could not be understood");
    }
}

/// Reads one place until told to stop, backing off while it cannot be read.
async fn keep_reading(mut reader: Reader, mut health: Health, office: Office, stop: CancellationToken) {
    loop {
        let end = match &mut reader {
            Reader::Maildir(reader) => reader.attend(&office, &stop, &mut health).await,
            Reader::Imap(reader) => reader.attend(&office, &stop, &mut health).await,
        };
        let wait = match end {
            Halt::Stopped => return,
            Halt::Failed(error) => health.bad(&office, &error).await,
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        understand_the_rest(&office).await;
    }
}

/// Whether a place can be read now: logged when it changes for the better and each time it goes wrong, and noted for the
/// clerk, who tells a person when it lasts.
struct Health {
    name: String,
    /// The setting under which it is noted.
    what: &'static str,
    /// Which of the folders of that mailbox this is.
    number: usize,
    /// Why each of them cannot be read: the mailbox is well when all are.
    faults: Arc<Mutex<Vec<Option<String>>>>,
    failures: u32,
}
impl Health {
    /// It was read.
    async fn good(&mut self, office: &Office) {
        if self.failures > 0 {
            tracing::info!(mailbox = self.name, "the mailbox can be read again");
        }
        self.failures = 0;
        self.note(office, None).await;
    }

    /// It could not be read. Returns how long to wait.
    async fn bad(&mut self, office: &Office, error: &WatchError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let is_login = matches!(error, WatchError::Imap(error) if error.is_login());
        let wait = wait(self.failures, is_login, jitter());
        tracing::error!(
            mailbox = self.name,
            error = chain(error),
            again_in_seconds = wait.as_secs(),
            "a mailbox could not be read; answers are not noticed meanwhile; breachpost doctor says what to do"
        );
        self.note(office, Some(chain(error))).await;
        wait
    }

    async fn note(&self, office: &Office, fault: Option<String>) {
        let first = {
            let mut faults = self.faults.lock().expect("nobody panics while holding the faults");
            faults[self.number] = fault;
            faults.iter().flatten().next().cloned()
        };
        let noted = office
            .store
            .note_health(self.what, first.as_deref(), office.now())
            .await;
        if let Err(error) = noted {
            tracing::error!(error = chain(&error), "the mailbox's health could not be noted");
        }
    }
}

/// How long to wait after so many failures in a row; `jitter` (0 to 1) spreads it over half its length.
fn wait(failures: u32, is_login: bool, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let least = if is_login { LOGIN_WAIT } else { FIRST_WAIT };
    let longest = doubled.clamp(least, LONGEST_WAIT);
    longest.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// Takes in one mail. `false` when it had come before.
///
/// # Errors
/// It is not stored: it must be fetched again.
async fn take_in(office: &Office, raw: Vec<u8>, source: &str) -> Result<bool, WatchError> {
    let (apart, from) = (office.clone(), source.to_owned());
    // In a task of its own: strangers write mail, and one that hits a mistake of ours must not end the loop.
    let work = async move { intake::ingest(&apart, &raw, &from, &Office::as_loop("intake")).await };
    let error = match tokio::spawn(work).await {
        Ok(Ok(ingested)) => return Ok(ingested.new),
        Ok(Err(IntakeError::Empty)) => {
            tracing::warn!(mail = source, "an empty mail was left alone");
            return Ok(false);
        }
        Ok(Err(error)) => error.into(),
        Err(panic) => WatchError::Panic(mistake(panic)),
    };
    // Stored before it is understood: the next one must not wait for it.
    if office.store.seen(source).await? {
        tracing::error!(
            mail = source,
            error = chain(&error),
            "a mail is stored and could not be understood; it is read again at the next start"
        );
        return Ok(true);
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_spread() {
        let seconds = |failures, is_login, jitter| wait(failures, is_login, jitter).as_secs_f64();
        for (failures, expected) in [(1, 5.0), (2, 10.0), (3, 20.0), (7, 300.0), (u32::MAX, 300.0)] {
            assert_eq!(seconds(failures, false, 0.0), expected, "{failures}");
            assert_eq!(seconds(failures, false, 1.0), expected / 2.0, "{failures}");
        }
        assert_eq!(seconds(1, true, 0.0), 60.0);
        assert!(seconds(1, true, 0.7) < 60.0);
    }
}
