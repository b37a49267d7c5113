//! One folder on a server, read from where the last reading ended and then watched. The mark in the store moves only
//! after what it covers is stored; a mail fetched twice after a crash is harmless.

use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use tokio_util::sync::CancellationToken;

use super::{Halt, Health, WatchError, stand_in, take_in};
use crate::config::{ImapUrl, Mailbox};
use crate::dispatch::intake::MAX_MAIL_BYTES;
use crate::dispatch::login;
use crate::dispatch::office::Office;
use crate::mail::imap::{Account, Fetched, Folder, ImapError, Session, Timeouts, Woken};
use crate::model::Time;
use crate::model::plural::counted;
use crate::store::ReadMark;

/// How long one IDLE lasts; then the folder is searched all the same, for servers that forget to say what came, and so
/// that nothing on the way forgets a quiet connection. RFC 2177 §3 asks for less than 29 minutes.
const IDLE_MOST: Duration = Duration::from_secs(300);
/// The first IDLE after mail came in: what arrives between a search and the IDLE, some servers never tell.
const IDLE_FIRST: Duration = Duration::from_secs(3);
/// How often a server is asked that cannot tell by itself.
const POLL_EVERY: Duration = Duration::from_secs(30);
/// Reading begins so long before the home's first entry: its first answers came after that, and clocks differ.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);
/// Mails whose sizes are asked for at once, and after which the mark moves.
const AT_ONCE: usize = 100;
/// UIDs searched at once where the server has gone further; what a search of them finds is bounded with them.
const UIDS_AT_ONCE: u32 = 200_000;
/// After so many failures at one mail a note takes its place, and reading goes on behind it.
const MOST_TRIES: u32 = 3;

pub(super) struct ImapReader {
    settings: Mailbox,
    url: ImapUrl,
    /// User and server: whose UIDs these are.
    account: String,
    folder: String,
    trouble: Option<Trouble>,
}

/// The mail at which the last connection ended, if it did end at one.
#[derive(Clone, Copy)]
struct Trouble {
    uid: u32,
    tries: u32,
    /// What it really has, where the server first said less.
    bytes: Option<u64>,
}

impl ImapReader {
    pub(super) fn new(settings: &Mailbox, url: &ImapUrl, folder: &str) -> Self {
        Self {
            settings: settings.clone(),
            url: url.clone(),
            account: url.account(),
            folder: folder.to_owned(),
            trouble: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}:{} {}", self.url.host, self.url.port, self.folder)
    }

    /// Reads the folder until told to stop, or until the connection ends.
    pub(super) async fn attend(&mut self, office: &Office, stop: &CancellationToken, health: &mut Health) -> Halt {
        match self.watch(office, stop, health).await {
            Ok(()) => Halt::Stopped,
            Err(halt) => halt,
        }
    }

    async fn watch(&mut self, office: &Office, stop: &CancellationToken, health: &mut Health) -> Result<(), Halt> {
        let mut session = unless(stop, self.open(office)).await?;
        let folder = unless(stop, async { Ok(session.examine(&self.folder).await?) }).await?;
        tracing::info!(
            mailbox = self.name(),
            mails = folder.mails,
            idle = session.can_idle(),
            "reading the mailbox"
        );
        let mut idle = IDLE_FIRST;
        loop {
            if self.read_new(&mut session, folder, office, stop).await? > 0 {
                idle = IDLE_FIRST;
            }
            health.good(office).await;
            if session.can_idle() {
                let woken = unless(stop, async { Ok(session.idle(idle).await?) }).await?;
                idle = match woken {
                    Woken::News => IDLE_FIRST,
                    Woken::Quiet => IDLE_MOST,
                };
            } else {
                unless(stop, async {
                    tokio::time::sleep(POLL_EVERY).await;
                    Ok(session.poll().await?)
                })
                .await?;
            }
        }
    }

    /// Reads what is new, once. Returns how many mails were new.
    pub(super) async fn read_once(&mut self, office: &Office) -> Result<usize, WatchError> {
        let never = CancellationToken::new();
        let mut session = self.open(office).await?;
        let folder = session.examine(&self.folder).await?;
        match self.read_new(&mut session, folder, office, &never).await {
            Ok(taken) => {
                session.log_out().await;
                Ok(taken)
            }
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Stopped) => unreachable!("nobody stops it"),
        }
    }

    pub(super) async fn describe(&self, office: &Office) -> Result<String, WatchError> {
        let mut session = self.open(office).await?;
        let folder = session.examine(&self.folder).await?;
        let told = if session.can_idle() {
            "tells when mail comes"
        } else {
            "is asked twice a minute"
        };
        session.log_out().await;
        Ok(format!("{} with {} {told}", self.folder, counted(folder.mails, "mail")))
    }

    /// Password, token and certificates are read anew for each connection.
    async fn open(&self, office: &Office) -> Result<Session, WatchError> {
        let proof = self.settings.proof(&office.home)?;
        let proof = proof.expect("settings of an IMAP mailbox without a login are refused");
        let account = Account {
            host: self.url.host.clone(),
            port: self.url.port,
            tls: login::tls_mode(self.url.security),
            login: login::from_settings(&office.home, self.url.user.clone(), proof),
            ca_file: self.settings.tls.ca_file.as_ref().map(|path| office.home.resolve(path)),
            timeouts: Timeouts::default(),
        };
        Ok(Session::open(&account).await?)
    }

    async fn read_new(
        &mut self,
        session: &mut Session,
        folder: Folder,
        office: &Office,
        stop: &CancellationToken,
    ) -> Result<usize, Halt> {
        let mark = office.store.find_mark(&self.account, &self.folder).await?;
        let mut last = match mark {
            Some(mark) if mark.uid_validity == folder.uid_validity => mark.last_uid,
            before => {
                if before.is_some() {
                    tracing::warn!(
                        mailbox = self.name(),
                        "the server has renumbered the folder; it is read again, and what is known stays as it is"
                    );
                }
                let last = unless(stop, self.before_the_first(session, folder, office)).await?;
                self.move_mark(office, folder, last).await?;
                last
            }
        };
        let mut taken = 0;
        while let Some(from) = last.checked_add(1) {
            let to = folder
                .uid_next
                .and_then(|next| last.checked_add(UIDS_AT_ONCE).filter(|to| *to < next));
            let uids = unless(stop, async { Ok(session.search(from, to, None).await?) }).await?;
            for uids in uids.chunks(AT_ONCE) {
                taken += self.take(session, folder, uids, office, stop).await?;
                last = *uids.last().expect("chunks are not empty");
                self.move_mark(office, folder, last).await?;
            }
            match to {
                Some(to) => {
                    last = to;
                    self.move_mark(office, folder, last).await?;
                }
                None => break,
            }
        }
        Ok(taken)
    }

    /// Where the first reading begins: behind all mail that is older than this home, for a mailbox that was used before
    /// may hold 100,000 of them.
    async fn before_the_first(
        &self,
        session: &mut Session,
        folder: Folder,
        office: &Office,
    ) -> Result<u32, WatchError> {
        let first_entry = office.store.list_journal(0, 1).await?;
        let began = first_entry.first().map_or_else(|| office.now(), |entry| entry.at);
        let found = session.search(1, None, Some(first_day(began))).await?;
        Ok(match (found.first(), folder.uid_next) {
            (Some(first), _) => first - 1,
            (None, Some(next)) => next.saturating_sub(1),
            (None, None) => session.search(1, None, None).await?.last().copied().unwrap_or(0),
        })
    }

    async fn move_mark(&self, office: &Office, folder: Folder, last_uid: u32) -> Result<(), WatchError> {
        let mark = ReadMark {
            uid_validity: folder.uid_validity,
            last_uid,
        };
        let now = office.now();
        Ok(office.store.move_mark(&self.account, &self.folder, mark, now).await?)
    }

    /// Takes in these mails, one after the other. Returns how many were new.
    async fn take(
        &mut self,
        session: &mut Session,
        folder: Folder,
        uids: &[u32],
        office: &Office,
        stop: &CancellationToken,
    ) -> Result<usize, Halt> {
        let sizes = unless(stop, async { Ok(session.sizes(uids).await?) }).await?;
        let mut taken = 0;
        for uid in uids {
            let source = format!("imap:{}/{}/{}/{uid}", self.account, self.folder, folder.uid_validity);
            if office.store.seen(&source).await? {
                continue;
            }
            let size = sizes.iter().find(|(found, _)| found == uid).map(|(_, size)| *size);
            if let Some(raw) = unless(stop, self.fetch(session, *uid, size, office)).await? {
                taken += usize::from(take_in(office, raw, &source).await?);
            }
        }
        Ok(taken)
    }

    /// One mail, or the note that stands for it; `None` when it has gone.
    async fn fetch(
        &mut self,
        session: &mut Session,
        uid: u32,
        size: Option<u32>,
        office: &Office,
    ) -> Result<Option<Vec<u8>>, WatchError> {
        let before = self.trouble.filter(|trouble| trouble.uid == uid);
        let tries = before.map_or(0, |trouble| trouble.tries);
        let place = format!("folder {} of {}", self.folder, self.account);
        if tries >= MOST_TRIES {
            self.trouble = None;
            tracing::error!(
                mailbox = self.name(),
                uid,
                "a mail cannot be fetched; a note waits in the tray"
            );
            return Ok(Some(stand_in::withheld(office, &format!("{place}, number {uid}"))));
        }
        let real_bytes = before.and_then(|trouble| trouble.bytes);
        // Should the connection end here, the next one knows.
        self.trouble = Some(Trouble {
            uid,
            tries: tries + 1,
            bytes: real_bytes,
        });
        let told_bytes = size.map(u64::from).filter(|size| *size > MAX_MAIL_BYTES as u64);
        let fetched = match real_bytes.or(told_bytes) {
            Some(bytes) => match session.fetch_head(uid).await? {
                Fetched::Mail(head) => {
                    tracing::warn!(
                        mailbox = self.name(),
                        uid,
                        bytes,
                        "a mail is too large; a note waits in the tray"
                    );
                    Fetched::Mail(stand_in::too_large(office, &head, &place, bytes))
                }
                Fetched::Gone => Fetched::Gone,
            },
            None => match session.fetch(uid, MAX_MAIL_BYTES).await {
                Err(ImapError::TooLarge { bytes, limit }) => {
                    self.trouble = self.trouble.map(|trouble| Trouble {
                        bytes: Some(bytes),
                        ..trouble
                    });
                    return Err(ImapError::TooLarge { bytes, limit }.into());
                }
                fetched => fetched?,
            },
        };
        match fetched {
            Fetched::Mail(raw) => {
                self.trouble = None;
                Ok(Some(raw))
            }
            Fetched::Gone if session.search(uid, Some(uid), None).await?.is_empty() => {
                self.trouble = None;
                Ok(None)
            }
            Fetched::Gone => Err(WatchError::Withheld { uid }),
        }
    }
}

/// The first day that is read, by the server's clock.
fn first_day(began: Time) -> NaiveDate {
    (began - LOOK_BACK).date_naive()
}

/// Work that ends early when all ends.
async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = Result<T, WatchError>>) -> Result<T, Halt> {
    match stop.run_until_cancelled(work).await {
        Some(done) => done.map_err(Halt::Failed),
        None => Err(Halt::Stopped),
    }
}
