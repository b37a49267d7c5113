//! A mailbox on a server (RFC 3501), read and never changed: folders are opened by EXAMINE, mail is fetched by
//! `BODY.PEEK`, so that nothing is marked as read, moved or deleted. What it promises:
//!
//! - Nothing leaves in clear text except to loopback: STARTTLS that is not offered, something injected before it, or a
//!   certificate that does not prove the server's name ends the connection before the login.
//! - No response is read beyond its bound, no step waits for ever, and whatever the server sends is at worst an error.
//!
//! Knows nothing of progress, retries or what a mail means. The responses are parsed by imap-proto; framing, tags and
//! bounds are ours, because the ready-made clients read what they are sent into memory, take a refused FETCH for an
//! empty folder, and write passwords and mail into trace logs and error texts.

mod dialogue;
mod error;
mod name;
mod opening;
mod wire;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use imap_proto::{AttributeValue, MailboxDatum, Response, ResponseCode};

use self::dialogue::Dialogue;
use self::name::{encoded, quoted};
use super::login::Login;
use super::tls::TlsMode;

pub use self::error::ImapError;

/// Around a mail's bytes: the rest of its response.
const FRAME_BYTES: usize = 64 * 1024;
/// Of a mail that is too large, what is fetched all the same.
const HEAD_BYTES: usize = 64 * 1024;
/// A response to anything but a fetch; the longest is a search's, bounded by its line.
const RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// A response as this client takes it: public for the fuzz targets alone, which cannot reach it through a connection.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadResponse {
    pub used: usize,
    pub understood: bool,
}
/// Reads the first response in `bytes`; `None` when it is not whole yet, and an error when nobody reads on.
#[doc(hidden)]
pub fn read_response(bytes: &[u8], limit: usize) -> Result<Option<ReadResponse>, ImapError> {
    let first = wire::first_response(bytes, limit)?;
    Ok(first.map(|response| ReadResponse {
        used: response.len(),
        understood: dialogue::parse(&response).is_some(),
    }))
}

/// A mailbox's server and who we are there.
#[derive(Debug, Clone)]
pub struct Account {
    /// A name in A-labels, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    pub tls: TlsMode,
    pub login: Login,
    /// PEM file with certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    pub timeouts: Timeouts,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking up the name, connecting to each of its addresses, and the TLS handshake.
    pub connect: Duration,
    /// The whole answer to a command.
    pub reply: Duration,
    /// The whole of one mail.
    pub mail: Duration,
}
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            // A search over a large folder that no index covers takes servers half a minute.
            reply: Duration::from_secs(120),
            mail: Duration::from_secs(600),
        }
    }
}

/// A folder as it was when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folder {
    /// Another number than before: every UID means another mail now (RFC 3501 §2.3.1.1).
    pub uid_validity: u32,
    /// Every mail so far has a smaller UID. Some servers do not say.
    pub uid_next: Option<u32>,
    pub mails: u32,
}

/// What a mail that was asked for turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    Mail(Vec<u8>),
    /// Somebody has moved or deleted it meanwhile.
    Gone,
}

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The server says that something came.
    News,
    /// The time was over.
    Quiet,
}

/// A connection that is logged in.
pub struct Session {
    dialogue: Dialogue,
    timeouts: Timeouts,
    can_idle: bool,
}

impl Session {
    /// Connects, protects the connection as the account demands, and logs in: by token with XOAUTH2, by password with
    /// PLAIN where offered, else by LOGIN unless the server forbids it.
    ///
    /// # Errors
    /// Any [`ImapError`]; nothing of the login was sent unless it is [`ImapError::Login`] or later.
    pub async fn open(account: &Account) -> Result<Self, ImapError> {
        let mut dialogue = opening::open(account).await?;
        let capabilities = dialogue.capabilities().await?;
        let capabilities = dialogue.log_in(&account.login, capabilities).await?;
        Ok(Self {
            dialogue,
            timeouts: account.timeouts,
            can_idle: capabilities.has("IDLE"),
        })
    }

    /// Whether [`Session::idle`] may be used.
    pub fn can_idle(&self) -> bool {
        self.can_idle
    }

    /// Opens a folder read-only.
    ///
    /// # Errors
    /// [`ImapError::Folder`] when there is none of this name, [`ImapError::NoUidValidity`], and those of any step.
    pub async fn examine(&mut self, name: &str) -> Result<Folder, ImapError> {
        let refused = |why: String| ImapError::Folder {
            name: name.to_owned(),
            why,
        };
        let wire_name = quoted(&encoded(name)).expect("the encoding holds printable ASCII only");
        let (mut uid_validity, mut uid_next, mut mails) = (None, None, 0);
        let command = format!("EXAMINE {wire_name}");
        let done = self
            .dialogue
            .run("open the folder", &command, RESPONSE_BYTES, self.timeouts.reply, |r| {
                match r {
                    Response::Data { outcome, .. } => match outcome.code {
                        Some(ResponseCode::UidValidity(number)) => uid_validity = Some(number),
                        Some(ResponseCode::UidNext(number)) => uid_next = Some(number),
                        _ => {}
                    },
                    Response::MailboxData(MailboxDatum::Exists(number)) => mails = *number,
                    _ => {}
                }
                Ok(())
            });
        done.await.map_err(|error| match error {
            ImapError::Refused { why, .. } => refused(why),
            other => other,
        })?;
        // What was there before is no news.
        self.dialogue.take_news();
        Ok(Folder {
            uid_validity: uid_validity.ok_or_else(|| ImapError::NoUidValidity { name: name.to_owned() })?,
            uid_next,
            mails,
        })
    }

    /// The UIDs from `from` to `to` (the newest where `None`), ascending; with `since`, only of mail that came in on that
    /// day or later, as the server's clock has it.
    ///
    /// # Errors
    /// Those of any step; [`ImapError::TooLarge`] when the server finds some 400,000 or more.
    pub async fn search(
        &mut self,
        from: u32,
        to: Option<u32>,
        since: Option<NaiveDate>,
    ) -> Result<Vec<u32>, ImapError> {
        let range = match to {
            Some(to) => format!("{from}:{to}"),
            None => format!("{from}:*"),
        };
        let since = since.map_or(String::new(), |day| format!(" SINCE {}", day.format("%-d-%b-%Y")));
        // Known before the answer: what comes while the server answers is news again.
        self.dialogue.take_news();
        let mut found = BTreeSet::new();
        let command = format!("UID SEARCH UID {range}{since}");
        let reply = self.timeouts.reply;
        self.dialogue
            .run("search the folder", &command, RESPONSE_BYTES, reply, |response| {
                if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
                    // `n:*` always finds the newest mail, even where its UID is below n (RFC 3501 §6.4.8).
                    found.extend(
                        uids.iter()
                            .filter(|uid| **uid >= from && to.is_none_or(|to| **uid <= to)),
                    );
                    if found.len() > RESPONSE_BYTES / 2 {
                        return Err(ImapError::Garbage("a search finds more mails than one may"));
                    }
                }
                Ok(())
            })
            .await?;
        Ok(found.into_iter().collect())
    }

    /// The sizes of these mails, as the server has them; those that are gone are left out.
    ///
    /// # Errors
    /// Those of any step.
    pub async fn sizes(&mut self, uids: &[u32]) -> Result<Vec<(u32, u32)>, ImapError> {
        let set: Vec<String> = uids.iter().map(u32::to_string).collect();
        let command = format!("UID FETCH {} (UID RFC822.SIZE)", set.join(","));
        let mut sizes = Vec::new();
        let reply = self.timeouts.reply;
        self.dialogue
            .run("tell the sizes of mails", &command, RESPONSE_BYTES, reply, |response| {
                if let Response::Fetch(_, attributes) = response
                    && let Some(uid) = uid_of(attributes).filter(|uid| uids.contains(uid))
                    && sizes.len() < uids.len()
                {
                    sizes.extend(attributes.iter().find_map(|attribute| match attribute {
                        AttributeValue::Rfc822Size(size) => Some((uid, *size)),
                        _ => None,
                    }));
                }
                Ok(())
            })
            .await?;
        Ok(sizes)
    }

    /// One mail as it lies there, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ImapError::TooLarge`] before it is read; those of any step.
    pub async fn fetch(&mut self, uid: u32, limit: usize) -> Result<Fetched, ImapError> {
        self.fetch_part(uid, "BODY.PEEK[]", limit).await
    }

    /// The first 64 KiB of a mail's headers.
    ///
    /// # Errors
    /// Those of any step.
    pub async fn fetch_head(&mut self, uid: u32) -> Result<Fetched, ImapError> {
        let part = format!("BODY.PEEK[HEADER]<0.{HEAD_BYTES}>");
        self.fetch_part(uid, &part, HEAD_BYTES).await
    }

    async fn fetch_part(&mut self, uid: u32, part: &str, limit: usize) -> Result<Fetched, ImapError> {
        let mut fetched = Fetched::Gone;
        let command = format!("UID FETCH {uid} (UID {part})");
        let (bound, wait) = (limit + FRAME_BYTES, self.timeouts.mail);
        self.dialogue
            .run("hand out a mail", &command, bound, wait, |response| {
                if let Response::Fetch(_, attributes) = response
                    && uid_of(attributes) == Some(uid)
                {
                    for attribute in attributes {
                        if let AttributeValue::BodySection { data: Some(data), .. } = attribute {
                            fetched = Fetched::Mail(data.to_vec());
                        }
                    }
                }
                Ok(())
            })
            .await?;
        match fetched {
            Fetched::Mail(mail) if mail.len() > limit => Err(ImapError::TooLarge {
                bytes: mail.len() as u64,
                limit,
            }),
            fetched => Ok(fetched),
        }
    }

    /// Asks whether something came, for servers that cannot say so by themselves.
    ///
    /// # Errors
    /// Those of any step.
    pub async fn poll(&mut self) -> Result<(), ImapError> {
        let reply = self.timeouts.reply;
        self.dialogue
            .run("answer", "NOOP", RESPONSE_BYTES, reply, |_| Ok(()))
            .await
    }

    /// Waits until the server says that something came, at most `limit` (IDLE, RFC 2177). Returns at once if it said so
    /// since the last search began. A future that is dropped leaves the connection unusable.
    ///
    /// # Errors
    /// Those of any step.
    pub async fn idle(&mut self, limit: Duration) -> Result<Woken, ImapError> {
        if self.dialogue.take_news() {
            return Ok(Woken::News);
        }
        self.dialogue.idle(limit, self.timeouts.reply).await
    }

    /// Takes leave politely, waiting a few seconds at most.
    pub async fn log_out(mut self) {
        const WAIT: Duration = Duration::from_secs(5);
        // No answer changes anything any more.
        let _ = self.dialogue.run("end", "LOGOUT", FRAME_BYTES, WAIT, |_| Ok(())).await;
    }
}
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("can_idle", &self.can_idle)
            .finish_non_exhaustive()
    }
}

fn uid_of(attributes: &[AttributeValue<'_>]) -> Option<u32> {
    attributes.iter().find_map(|attribute| match attribute {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    })
}
