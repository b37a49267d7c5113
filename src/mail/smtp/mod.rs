//! The SMTP client: hands one message at a time to the relay and says how that ended.
//!
//! Runs on lettre's low-level connection over a stream of ours (`stream.rs` says why). What it promises:
//!
//! - Nothing leaves in clear text except to loopback: STARTTLS that is not offered, or a certificate that does not
//!   prove the relay's name, ends the connection before the envelope.
//! - An outcome is `InDoubt` exactly when the final dot had left and no reply to it came; otherwise it is known.
//! - 5xx is final only in reply to RCPT and to the final dot; elsewhere it is a fault of the relay: `Deferred`.
//!
//! Knows nothing of retries, pace, or what is in a message; a pool of connections is the caller's.

mod address;
mod auth;
mod connector;
mod envelope;
mod opening;
mod relay;
mod reply;
mod stream;

use std::fmt::Display;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Quit};
use tokio::time::timeout;

use self::envelope::{Commands, Prepared};
use self::opening::Opened;
use self::reply::Reply;
use self::stream::Tape;
use crate::model::delivery::{Fault, FaultCause, Outcome, SmtpReply, SmtpStep, TlsFacts};

pub use self::connector::Connector;
pub use self::envelope::{Mail, Notify};
pub use self::relay::{Relay, RelayError, Timeouts};
pub use self::reply::Capabilities;
#[doc(hidden)]
pub use self::reply::{ReadReply, read_reply};
pub use super::login::Login;
pub use super::tls::TlsMode;

/// QUIT is a courtesy: every outcome is known by then.
const QUIT_WAIT: Duration = Duration::from_secs(5);
/// A lone dot ends the empty message of a transaction without recipients (RFC 2920 §3.1).
const LONE_DOT: &str = ".\r\n";

/// One connection to the relay, ready for messages one after the other.
pub struct Connection {
    lettre: AsyncSmtpConnection,
    tape: Tape,
    timeouts: Timeouts,
    capabilities: Capabilities,
    tls: Option<TlsFacts>,
    /// A transaction was begun and has not ended: RSET before the next one.
    in_transaction: bool,
    /// Both sides no longer agree where the dialogue stands: what comes next belongs to nothing.
    lost: bool,
    has_carried: bool,
    usable: bool,
    stale: bool,
    /// What the relay was told of the message that comes next; its answers were not read yet.
    announced: Option<Commands>,
}

impl Connection {
    /// Connects, protects the connection as the relay's settings demand, greets and logs in.
    ///
    /// # Errors
    /// A [`Fault`] with the step it happened at. Nothing of any message was sent; try again later.
    pub async fn open(connector: &Connector) -> Result<Self, Fault> {
        let timeouts = connector.relay().timeouts;
        let tape = Tape::default();
        let Opened { wire, ehlo_name, tls } = opening::open(connector, &tape).await?;

        let hello = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &ehlo_name);
        let answer = timeout(timeouts.command, hello).await;
        let reply = tape.take_reply();
        let lettre = match (answer, &reply) {
            (Ok(Ok(lettre)), Some(reply)) if reply.is_done() => lettre,
            (answer, _) => {
                return Err(Fault {
                    step: SmtpStep::Ehlo,
                    cause: why(&tape, reply, answer, timeouts.command),
                });
            }
        };
        tape.begin_commands();
        let mut connection = Self {
            lettre,
            tape,
            timeouts,
            capabilities: reply.as_ref().map(Capabilities::from_ehlo).unwrap_or_default(),
            tls,
            in_transaction: false,
            lost: false,
            has_carried: false,
            usable: true,
            stale: false,
            announced: None,
        };
        if let Some(login) = &connector.relay().login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// Hands over one message. Unfit messages are `Refused` at [`SmtpStep::Prepare`] before anything is written, and the
    /// connection stays as it was.
    ///
    /// A future that is dropped half-way leaves the connection unusable and the message's fate unknown.
    pub async fn carry(&mut self, mail: &Mail<'_>) -> Outcome {
        self.carry_before(mail, None).await
    }

    /// As [`carry`](Self::carry). `next` is what this connection will be asked to carry after it: where the relay
    /// pipelines, the envelope of that one goes out behind this one's final dot (RFC 2920 §3.1), nothing of its content.
    /// Any other message then finds the connection [stale](Self::is_stale).
    pub async fn carry_before(&mut self, mail: &Mail<'_>, next: Option<&Mail<'_>>) -> Outcome {
        self.stale = false;
        let prepared = match envelope::prepare(mail, &self.capabilities) {
            Ok(prepared) => prepared,
            Err(unfit) => {
                return Outcome::Refused {
                    fault: prepare_fault(unfit),
                };
            }
        };
        if !self.usable {
            return Outcome::Deferred {
                fault: closed_at(SmtpStep::Mail),
            };
        }
        // Until the transaction has ended in an orderly way nobody may use the connection, even if this future is dropped.
        self.usable = false;
        // What does not fit is refused in its turn.
        let next = next.filter(|_| self.capabilities.pipelining);
        let next = next.and_then(|next| envelope::address(next, &self.capabilities).ok());
        let outcome = match self.transact(prepared, next).await {
            Ok(reply) => Outcome::Accepted {
                reply,
                tls: self.tls.clone(),
            },
            Err(outcome) => *outcome,
        };
        self.usable = !self.lost && !self.tape.has_hung_up() && is_orderly(&outcome);
        self.stale = self.has_carried && !self.usable && is_hang_up_before_mail(&outcome);
        self.has_carried = true;
        outcome
    }

    /// Whether another message may be carried.
    pub fn reusable(&self) -> bool {
        self.usable
    }

    /// Whether the last [`carry`](Self::carry) only found that the relay had closed this connection since the message
    /// before: nothing of the message was taken and its `Deferred` says nothing about it. The caller carries it on a
    /// new connection at once, without counting an attempt. Never true for the first message of a connection.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// What the relay offered in its last answer to EHLO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How the connection is protected; `None` is clear text on loopback.
    pub fn tls_facts(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Takes leave politely, waiting a few seconds at most.
    pub async fn quit(mut self) {
        if self.usable && self.announced.is_none() {
            // No answer changes anything any more.
            let _ = timeout(QUIT_WAIT, self.lettre.command(Quit)).await;
        }
    }

    async fn transact(&mut self, mail: Prepared, next: Option<Commands>) -> Result<SmtpReply, Stop> {
        self.tape.begin_commands();
        let announced = self.announced.take();
        if announced.as_ref().is_some_and(|announced| *announced != mail.commands) {
            return Err(deferred(closed_at(SmtpStep::Mail)));
        }
        if self.in_transaction {
            let reply = self.exchange(SmtpStep::Mail, "RSET\r\n").await.map_err(deferred)?;
            if !reply.is_done() {
                self.lost = true;
                return Err(deferred(fault(SmtpStep::Mail, &reply)));
            }
            self.in_transaction = false;
        }
        match self.capabilities.pipelining {
            true if announced.is_some() => {
                let answer = self.next_reply(SmtpStep::Mail).await;
                self.hear_all(answer).await?;
            }
            true => {
                let answer = self.exchange(SmtpStep::Mail, at_once(&mail.commands)).await;
                self.hear_all(answer).await?;
            }
            false => self.offer_in_turn(&mail.commands).await?,
        }
        self.deliver(mail.content, next).await
    }

    /// MAIL, RCPT and DATA, each after the answer to the one before.
    async fn offer_in_turn(&mut self, commands: &Commands) -> Result<(), Stop> {
        let reply = self.exchange(SmtpStep::Mail, &commands.mail).await.map_err(deferred)?;
        self.judge(SmtpStep::Mail, &reply)?;
        self.in_transaction = true;
        let reply = self.exchange(SmtpStep::Rcpt, &commands.rcpt).await.map_err(deferred)?;
        self.judge(SmtpStep::Rcpt, &reply)?;
        let reply = self.exchange(SmtpStep::Data, Data).await.map_err(deferred)?;
        self.judge(SmtpStep::Data, &reply)
    }

    /// The three answers to MAIL, RCPT and DATA of one write, from that to MAIL on: all are read, and judged in their order.
    async fn hear_all(&mut self, to_mail: Result<Reply, Fault>) -> Result<(), Stop> {
        let mut verdict = self.judge(SmtpStep::Mail, &to_mail.map_err(deferred)?);
        self.in_transaction = verdict.is_ok();
        if self.tape.has_hung_up() {
            return verdict;
        }
        let rcpt = match self.next_reply(SmtpStep::Rcpt).await {
            Ok(reply) => reply,
            Err(fault) => return verdict.and(Err(deferred(fault))),
        };
        verdict = verdict.and_then(|()| self.judge(SmtpStep::Rcpt, &rcpt));
        if self.tape.has_hung_up() {
            return verdict;
        }
        let data = match self.next_reply(SmtpStep::Data).await {
            Ok(reply) => reply,
            Err(fault) => return verdict.and(Err(deferred(fault))),
        };
        if verdict.is_err() && data.code == 354 {
            self.end_empty_message(&rcpt).await;
        }
        verdict.and_then(|()| self.judge(SmtpStep::Data, &data))
    }

    /// DATA was taken although the envelope was not. Where the recipient was refused nothing can arrive, and a lone dot
    /// ends it whatever the answer; otherwise an empty message might, so that only closing the connection is left.
    async fn end_empty_message(&mut self, rcpt: &Reply) {
        if rcpt.is_negative() {
            self.in_transaction = self.exchange(SmtpStep::FinalDot, LONE_DOT).await.is_err();
        } else {
            self.lost = true;
        }
    }

    /// The message and its final dot; from then on only the reply tells. Behind it goes the envelope of the next one.
    async fn deliver(&mut self, mut content: String, next: Option<Commands>) -> Result<SmtpReply, Stop> {
        self.tape.begin_message(content.len());
        if let Some(next) = next {
            content += &at_once(&next);
            self.announced = Some(next);
        }
        let answer = send_message(&mut self.lettre, &self.tape, &content, self.timeouts).await;
        let waited = if self.tape.dot_left() {
            self.timeouts.final_dot
        } else {
            self.timeouts.data
        };
        let step = if self.tape.dot_left() {
            SmtpStep::FinalDot
        } else {
            SmtpStep::Body
        };
        match self.tape.take_reply() {
            Some(reply) if step == SmtpStep::FinalDot && (reply.is_done() || reply.is_negative()) => {
                self.in_transaction = false;
                self.judge(step, &reply).map(|()| reply.to_kept())
            }
            reply => {
                self.lost = true;
                let fault = Fault {
                    step,
                    cause: why(&self.tape, reply, answer, waited),
                };
                Err(if step == SmtpStep::FinalDot {
                    Box::new(Outcome::InDoubt { fault })
                } else {
                    deferred(fault)
                })
            }
        }
    }

    /// Whether the dialogue goes on after this reply.
    fn judge(&self, step: SmtpStep, reply: &Reply) -> Result<(), Stop> {
        let goes_on = if step == SmtpStep::Data {
            reply.code == 354
        } else {
            reply.is_done()
        };
        if goes_on {
            return Ok(());
        }
        let fault = fault(step, reply);
        Err(match step {
            SmtpStep::Rcpt | SmtpStep::FinalDot if reply.is_permanent() => Box::new(Outcome::Refused { fault }),
            _ => deferred(fault),
        })
    }

    /// Says a command, or several in one write, and hears the first reply.
    async fn exchange(&mut self, step: SmtpStep, command: impl Display) -> Result<Reply, Fault> {
        let answer = timeout(self.timeouts.command, self.lettre.command(command)).await;
        self.heard(step, answer)
    }

    async fn next_reply(&mut self, step: SmtpStep) -> Result<Reply, Fault> {
        let answer = timeout(self.timeouts.command, self.lettre.read_response()).await;
        self.heard(step, answer)
    }

    /// lettre's own verdict only matters where no reply came: it takes a refusal for an error and loses half of it.
    fn heard<T>(&mut self, step: SmtpStep, answer: Answer<T>) -> Result<Reply, Fault> {
        let reply = self.tape.take_reply();
        self.lost |= reply.is_none();
        reply.ok_or_else(|| Fault {
            step,
            cause: why(&self.tape, None, answer, self.timeouts.command),
        })
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("capabilities", &self.capabilities)
            .field("tls", &self.tls)
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

/// MAIL, RCPT and DATA for one write (RFC 2920).
fn at_once(Commands { mail, rcpt }: &Commands) -> String {
    format!("{mail}{rcpt}{Data}")
}

/// Why a transaction goes no further: its outcome.
type Stop = Box<Outcome>;

/// How something of lettre's ended within a time limit.
type Answer<T> = Result<Result<T, lettre::transport::smtp::Error>, tokio::time::error::Elapsed>;

/// Sends the message and waits for the reply to its final dot: as a command, for lettre's own way doubles the dots of
/// each byte in turn, which costs as much as writing the message did. While it is written, `data` bounds how long the relay may
/// take nothing (RFC 5321 §4.5.3.2.5); after the final dot, `final_dot` bounds the wait (§4.5.3.2.6).
async fn send_message(lettre: &mut AsyncSmtpConnection, tape: &Tape, content: &str, limits: Timeouts) -> Answer<()> {
    let mut sending = pin!(lettre.command(content));
    loop {
        let left_bytes = tape.left_bytes();
        let until_dot_left = poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending if tape.dot_left() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let end = match timeout(limits.data, until_dot_left).await {
            Ok(Some(end)) => Ok(end),
            Ok(None) => timeout(limits.final_dot, sending.as_mut()).await,
            Err(_) if tape.left_bytes() > left_bytes => continue,
            Err(elapsed) => Err(elapsed),
        };
        return end.map(|sent| sent.map(|_| ()));
    }
}

/// Why there is no reply to go on with: what broke the stream, else the silence, else the reply that makes no sense.
fn why<T>(tape: &Tape, reply: Option<Reply>, answer: Answer<T>, limit: Duration) -> FaultCause {
    if let Some(reply) = reply {
        return cause_of(&reply);
    }
    match (tape.broken(), answer) {
        (Some(cause), _) => cause,
        (None, Err(_)) => FaultCause::Timeout {
            seconds: limit.as_secs(),
        },
        (None, Ok(Err(e))) => FaultCause::Protocol(e.to_string()),
        (None, Ok(Ok(_))) => FaultCause::Protocol("the relay's answer was lost".to_owned()),
    }
}

/// A reply as a fault: what the relay said, if that was a refusal; else that it said something out of place.
fn fault(step: SmtpStep, reply: &Reply) -> Fault {
    Fault {
        step,
        cause: cause_of(reply),
    }
}
fn cause_of(reply: &Reply) -> FaultCause {
    let kept = reply.to_kept();
    if reply.is_negative() {
        FaultCause::Reply(kept)
    } else {
        FaultCause::Protocol(format!("an answer that does not fit: {kept}"))
    }
}
fn closed_at(step: SmtpStep) -> Fault {
    Fault {
        step,
        cause: FaultCause::Network("the connection is closed".to_owned()),
    }
}
fn timed_out(step: SmtpStep, limit: Duration) -> Fault {
    Fault {
        step,
        cause: FaultCause::Timeout {
            seconds: limit.as_secs(),
        },
    }
}
fn prepare_fault(unfit: String) -> Fault {
    Fault {
        step: SmtpStep::Prepare,
        cause: FaultCause::Unfit(unfit),
    }
}
fn deferred(fault: Fault) -> Stop {
    Box::new(Outcome::Deferred { fault })
}

/// The relay took or refused the message in words; only then do both sides know where the dialogue stands.
fn is_orderly(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted { .. } => true,
        Outcome::Deferred { fault } | Outcome::Refused { fault } => matches!(fault.cause, FaultCause::Reply(_)),
        Outcome::InDoubt { .. } | Outcome::Held { .. } => false,
    }
}

/// The relay was gone, or said 421, before it answered MAIL.
fn is_hang_up_before_mail(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Deferred {
            fault: Fault {
                step: SmtpStep::Mail,
                cause,
            },
        } => match cause {
            FaultCause::Network(_) => true,
            FaultCause::Reply(reply) => reply.code == 421,
            _ => false,
        },
        _ => false,
    }
}
