//! Commands and their answers: tags, time limits, the login, and IDLE. What an answer means is the caller's.

use std::collections::BTreeSet;
use std::time::Duration;

use imap_proto::{Capability, MailboxDatum, Response, ResponseCode, Status};
use tokio::time::{Instant, timeout};

use super::RESPONSE_BYTES;
use super::error::ImapError;
use super::name::quoted;
use super::wire::Wire;
use crate::mail::login::{Login, Proof, Tokens, plain_answer, refusal_status, token_advice, xoauth2_answer};
use crate::secret::Secret;

/// What is kept of a server's words, in characters.
const WORDS_MOST_CHARS: usize = 300;

/// What the server offers, in upper case.
pub(super) struct Capabilities(BTreeSet<String>);
impl Capabilities {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
    fn from_list(list: &[Capability<'_>]) -> Self {
        Self(
            list.iter()
                .map(|capability| match capability {
                    Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
                    Capability::Auth(name) => format!("AUTH={}", name.to_ascii_uppercase()),
                    Capability::Atom(name) => name.to_ascii_uppercase(),
                })
                .collect(),
        )
    }
}

/// The last line of an answer.
struct Completion {
    status: Status,
    words: String,
    capabilities: Option<Capabilities>,
}

pub(super) struct Dialogue {
    wire: Wire,
    commands: u32,
    /// Something came since this was last asked.
    news: bool,
    /// For everything but mails.
    reply: Duration,
}

impl Dialogue {
    pub(super) fn new(wire: Wire, reply: Duration) -> Self {
        Self {
            wire,
            commands: 0,
            news: false,
            reply,
        }
    }
    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Whether the server has said that something came, since this was last asked.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// The greeting (RFC 3501 §7.1). One that lets us in without a login is not what we came for: anybody could give it.
    pub(super) async fn greeting(&mut self) -> Result<(), ImapError> {
        let bytes = within("greet us", self.reply, self.wire.hear(RESPONSE_BYTES)).await?;
        match parse(&bytes) {
            Some(Response::Data { status: Status::Ok, .. }) => Ok(()),
            Some(Response::Data {
                status: Status::Bye,
                outcome,
            }) => Err(ImapError::Closed(outcome.information.as_deref().map(clean))),
            Some(Response::Data {
                status: Status::PreAuth,
                ..
            }) => Err(ImapError::Garbage("it lets us in before the login")),
            _ => Err(ImapError::Garbage("its greeting")),
        }
    }

    /// One command. `each` sees what the server says meanwhile.
    pub(super) async fn run(
        &mut self,
        step: &'static str,
        command: &str,
        bound: usize,
        limit: Duration,
        each: impl FnMut(&Response<'_>) -> Result<(), ImapError>,
    ) -> Result<(), ImapError> {
        let tag = self.say(step, command, limit).await?;
        let done = within(step, limit, self.completion(&tag, bound, each)).await?;
        match done.status {
            Status::Ok => Ok(()),
            _ => Err(ImapError::Refused { step, why: done.words }),
        }
    }

    pub(super) async fn capabilities(&mut self) -> Result<Capabilities, ImapError> {
        let (mut found, limit) = (None, self.reply);
        self.run("say what it can do", "CAPABILITY", RESPONSE_BYTES, limit, |response| {
            if let Response::Capabilities(list) = response {
                found = Some(Capabilities::from_list(list));
            }
            Ok(())
        })
        .await?;
        found.ok_or(ImapError::Garbage("it names no capabilities"))
    }

    /// Says a command under a fresh tag.
    async fn say(&mut self, step: &'static str, command: &str, limit: Duration) -> Result<String, ImapError> {
        self.commands += 1;
        let tag = format!("b{}", self.commands);
        let line = zeroize::Zeroizing::new(format!("{tag} {command}"));
        within(step, limit, self.wire.say(&line)).await?;
        Ok(tag)
    }

    /// Hears until the command of this tag is done. A line that cannot be understood is passed over, for servers have
    /// extensions that nobody asked for; one that ends our command or holds mail (`* 12 FETCH …`) must be understood.
    async fn completion(
        &mut self,
        tag: &str,
        bound: usize,
        mut each: impl FnMut(&Response<'_>) -> Result<(), ImapError>,
    ) -> Result<Completion, ImapError> {
        loop {
            let bytes = self.wire.hear(bound).await?;
            match parse(&bytes) {
                Some(Response::Done {
                    tag: found,
                    status,
                    outcome,
                }) => {
                    if found.0 != tag {
                        return Err(ImapError::Garbage("it answers a command that we did not give"));
                    }
                    return Ok(Completion {
                        status,
                        words: outcome.information.as_deref().map_or_else(String::new, clean),
                        capabilities: match outcome.code {
                            Some(ResponseCode::Capabilities(list)) => Some(Capabilities::from_list(&list)),
                            _ => None,
                        },
                    });
                }
                Some(response) => {
                    self.note(&response)?;
                    each(&response)?;
                }
                None if bytes.starts_with(b"* ") && !bytes[2].is_ascii_digit() => {
                    tracing::debug!("passed over a line of the mailbox's server")
                }
                None => return Err(ImapError::Garbage("a line of it")),
            }
        }
    }

    /// What may come at any time.
    fn note(&mut self, response: &Response<'_>) -> Result<(), ImapError> {
        match response {
            Response::MailboxData(MailboxDatum::Exists(_)) => self.news = true,
            Response::Data {
                status: Status::Bye,
                outcome,
            } => return Err(ImapError::Closed(outcome.information.as_deref().map(clean))),
            _ => {}
        }
        Ok(())
    }

    /// Waits for news, at most `limit`; then ends the IDLE, so that commands may follow.
    pub(super) async fn idle(&mut self, limit: Duration, reply: Duration) -> Result<super::Woken, ImapError> {
        const STEP: &str = "wait for mail";
        let tag = self.say(STEP, "IDLE", reply).await?;
        within(STEP, reply, self.until_idling(&tag)).await?;
        let end = Instant::now() + limit;
        while !self.news {
            match tokio::time::timeout_at(end, self.wire.hear(RESPONSE_BYTES)).await {
                Err(_) => break,
                Ok(bytes) => match parse(&bytes?) {
                    Some(response) => self.note(&response)?,
                    None => return Err(ImapError::Garbage("a line while it waits")),
                },
            }
        }
        within(STEP, reply, self.wire.say("DONE")).await?;
        let done = within(STEP, reply, self.completion(&tag, RESPONSE_BYTES, |_| Ok(()))).await?;
        match done.status {
            Status::Ok if self.take_news() => Ok(super::Woken::News),
            Status::Ok => Ok(super::Woken::Quiet),
            _ => Err(ImapError::Refused {
                step: STEP,
                why: done.words,
            }),
        }
    }

    async fn until_idling(&mut self, tag: &str) -> Result<(), ImapError> {
        loop {
            let bytes = self.wire.hear(RESPONSE_BYTES).await?;
            match parse(&bytes) {
                _ if bytes.starts_with(b"+") => return Ok(()),
                Some(Response::Done {
                    tag: found, outcome, ..
                }) if found.0 == tag => {
                    return Err(ImapError::Refused {
                        step: "wait for mail",
                        why: outcome.information.as_deref().map_or_else(String::new, clean),
                    });
                }
                Some(response) => self.note(&response)?,
                None => return Err(ImapError::Garbage("a line of it")),
            }
        }
    }

    /// Logs in, and returns what the server offers from then on.
    pub(super) async fn log_in(&mut self, login: &Login, offered: Capabilities) -> Result<Capabilities, ImapError> {
        let failed = |why: String| ImapError::Login {
            user: login.user.clone(),
            why,
        };
        let done = match &login.proof {
            Proof::Tokens(tokens) if offered.has("AUTH=XOAUTH2") => {
                self.log_in_by_token(&login.user, &**tokens, &offered).await?
            }
            Proof::Tokens(_) => Err("the server does not offer XOAUTH2, which `oauth2` needs".to_owned()),
            Proof::Password(password) if offered.has("AUTH=PLAIN") => {
                let answer = plain_answer(&login.user, password);
                self.authenticate("PLAIN", &answer, &offered)
                    .await?
                    .map_err(|no| no.words)
            }
            Proof::Password(_) if offered.has("LOGINDISABLED") => {
                Err("the server takes no password here (LOGINDISABLED), and offers no PLAIN".to_owned())
            }
            Proof::Password(password) => self.log_in_in_the_clear(&login.user, password).await?,
        };
        match done.map_err(failed)? {
            Some(capabilities) => Ok(capabilities),
            None => self.capabilities().await,
        }
    }

    /// LOGIN (RFC 3501 §6.2.3), under TLS or on loopback.
    async fn log_in_in_the_clear(&mut self, user: &str, password: &Secret) -> Result<Entry, ImapError> {
        let (Some(user), Some(password)) = (quoted(user), quoted(password.expose()).map(Secret::new)) else {
            return Ok(Err("user or password holds a line end".to_owned()));
        };
        let command = Secret::new(format!("LOGIN {user} {}", password.expose()));
        let tag = self.say("log us in", command.expose(), self.reply).await?;
        let limit = self.reply;
        let done = within("log us in", limit, self.completion(&tag, RESPONSE_BYTES, |_| Ok(()))).await?;
        Ok(match done.status {
            Status::Ok => Ok(done.capabilities),
            _ => Err(done.words),
        })
    }

    async fn log_in_by_token(
        &mut self,
        user: &str,
        tokens: &dyn Tokens,
        offered: &Capabilities,
    ) -> Result<Entry, ImapError> {
        let token = match tokens.token().await {
            Ok(token) => token,
            Err(why) => return Ok(Err(why)),
        };
        let entry = self
            .authenticate("XOAUTH2", &xoauth2_answer(user, &token), offered)
            .await?;
        Ok(entry.map_err(|no| {
            tokens.refused();
            let status = no.challenge.as_deref().and_then(refusal_status);
            format!("{}; {}", no.words, token_advice(status.as_deref()))
        }))
    }

    /// AUTHENTICATE with one answer: at once where the server takes that (SASL-IR, RFC 4959), else when it asks.
    async fn authenticate(
        &mut self,
        mechanism: &str,
        answer: &Secret,
        offered: &Capabilities,
    ) -> Result<Result<Option<Capabilities>, NotLetIn>, ImapError> {
        const STEP: &str = "log us in";
        let (limit, at_once) = (self.reply, offered.has("SASL-IR"));
        let command = match at_once {
            true => Secret::new(format!("AUTHENTICATE {mechanism} {}", answer.expose())),
            false => Secret::new(format!("AUTHENTICATE {mechanism}")),
        };
        let tag = self.say(STEP, command.expose(), limit).await?;
        let (mut answered, mut challenge) = (at_once, None);
        loop {
            let bytes = within(STEP, limit, self.wire.hear(RESPONSE_BYTES)).await?;
            match parse(&bytes) {
                _ if bytes.starts_with(b"+") && !answered => {
                    answered = true;
                    within(STEP, limit, self.wire.say(answer.expose())).await?;
                }
                // Asked again: the token was not taken. The reason comes in the challenge, the end after an empty line.
                _ if bytes.starts_with(b"+") && challenge.is_none() => {
                    challenge = Some(String::from_utf8_lossy(&bytes[1..]).trim().to_owned());
                    within(STEP, limit, self.wire.say("")).await?;
                }
                Some(Response::Done {
                    tag: found,
                    status,
                    outcome,
                }) if found.0 == tag => {
                    return Ok(match (status, outcome.code) {
                        (Status::Ok, Some(ResponseCode::Capabilities(list))) => {
                            Ok(Some(Capabilities::from_list(&list)))
                        }
                        (Status::Ok, _) => Ok(None),
                        _ => Err(NotLetIn {
                            words: outcome.information.as_deref().map_or_else(String::new, clean),
                            challenge,
                        }),
                    });
                }
                Some(response @ Response::Data { .. } | response @ Response::Capabilities(_)) => {
                    self.note(&response)?;
                }
                _ => return Err(ImapError::Garbage("its answer to the login")),
            }
        }
    }
}

/// What a login brought: capabilities, where the server names them at once, or why it let nobody in.
type Entry = Result<Option<Capabilities>, String>;

/// The server's words, and what it asked when it should have let us in.
struct NotLetIn {
    words: String,
    challenge: Option<String>,
}

async fn within<T>(
    step: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, ImapError>>,
) -> Result<T, ImapError> {
    timeout(limit, work).await.unwrap_or(Err(ImapError::Timeout {
        step,
        seconds: limit.as_secs(),
    }))
}

/// `None` for what imap-proto does not understand; the framing has bounded it.
pub(super) fn parse(bytes: &[u8]) -> Option<Response<'_>> {
    Response::parse(bytes).ok().map(|(_, response)| response)
}

/// A server's words as one line that is safe to show.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(WORDS_MOST_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}
