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
mod envelope;
mod relay;
mod reply;
mod stream;
mod tls;

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Quit};
use lettre::transport::smtp::extension::ClientId;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use self::envelope::Prepared;
use self::reply::Reply;
use self::stream::{Tape, Wire};
use crate::model::delivery::{Fault, FaultCause, Outcome, SmtpReply, SmtpStep, TlsFacts};

pub use self::envelope::{Mail, Notify};
pub use self::relay::{Login, Relay, RelayError, Timeouts, TlsMode};
pub use self::reply::Capabilities;
pub use self::tls::Connector;

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
    /// An answer did not come: what comes later belongs to nothing any more.
    lost: bool,
    has_carried: bool,
    usable: bool,
    stale: bool,
}

impl Connection {
    /// Connects, protects the connection as the relay's settings demand, greets and logs in.
    ///
    /// # Errors
    /// A [`Fault`] with the step it happened at. Nothing of any message was sent; try again later.
    pub async fn open(connector: &Connector) -> Result<Self, Fault> {
        let relay = connector.relay();
        let timeouts = relay.timeouts;
        let socket = dial(relay).await?;
        let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else {
            return Err(closed_at(SmtpStep::Connect));
        };
        let ehlo_name = match &relay.helo {
            Some(name) => ClientId::Domain(name.clone()),
            None => match local.ip() {
                IpAddr::V4(ip) => ClientId::Ipv4(ip),
                IpAddr::V6(ip) => ClientId::Ipv6(ip),
            },
        };
        let tape = Tape::default();
        let opening = Opening {
            wire: Wire::new(socket, peer, tape.clone()),
            tape: tape.clone(),
            timeouts,
        };
        let (wire, tls) = opening.protect(connector, &ehlo_name).await?;

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
        };
        if let Some(login) = &relay.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// Hands over one message. Unfit messages are `Refused` at [`SmtpStep::Prepare`] before anything is written, and the
    /// connection stays as it was.
    ///
    /// A future that is dropped half-way leaves the connection unusable and the message's fate unknown.
    pub async fn carry(&mut self, mail: &Mail<'_>) -> Outcome {
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
        let outcome = match self.transact(&prepared).await {
            Ok(reply) => Outcome::Accepted {
                reply,
                tls: self.tls.clone(),
            },
            Err(outcome) => outcome,
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
        if self.usable {
            // No answer changes anything any more.
            let _ = timeout(QUIT_WAIT, self.lettre.command(Quit)).await;
        }
    }

    async fn transact(&mut self, mail: &Prepared<'_>) -> Result<SmtpReply, Outcome> {
        self.tape.begin_commands();
        if self.in_transaction {
            let reply = self.exchange(SmtpStep::Mail, "RSET\r\n").await.map_err(deferred)?;
            if !reply.is_done() {
                return Err(deferred(fault(SmtpStep::Mail, &reply)));
            }
            self.in_transaction = false;
        }
        if self.capabilities.pipelining {
            self.offer_at_once(mail).await?;
        } else {
            self.offer_in_turn(mail).await?;
        }
        self.deliver(mail.body).await
    }

    /// MAIL, RCPT and DATA, each after the answer to the one before.
    async fn offer_in_turn(&mut self, mail: &Prepared<'_>) -> Result<(), Outcome> {
        let reply = self
            .exchange(SmtpStep::Mail, &mail.mail_command)
            .await
            .map_err(deferred)?;
        self.judge(SmtpStep::Mail, &reply)?;
        self.in_transaction = true;
        let reply = self
            .exchange(SmtpStep::Rcpt, &mail.rcpt_command)
            .await
            .map_err(deferred)?;
        self.judge(SmtpStep::Rcpt, &reply)?;
        let reply = self.exchange(SmtpStep::Data, Data).await.map_err(deferred)?;
        self.judge(SmtpStep::Data, &reply)
    }

    /// MAIL, RCPT and DATA in one write (RFC 2920); all three answers are read and judged in their order.
    async fn offer_at_once(&mut self, mail: &Prepared<'_>) -> Result<(), Outcome> {
        let commands = format!("{}{}{Data}", mail.mail_command, mail.rcpt_command);
        let reply = self.exchange(SmtpStep::Mail, commands).await.map_err(deferred)?;
        let mut verdict = self.judge(SmtpStep::Mail, &reply);
        self.in_transaction = verdict.is_ok();
        for step in [SmtpStep::Rcpt, SmtpStep::Data] {
            if self.tape.has_hung_up() {
                break;
            }
            match (self.next_reply(step).await, &verdict) {
                (Ok(reply), Ok(())) => verdict = self.judge(step, &reply),
                // DATA was taken although the envelope was not. There is no recipient, so nothing can arrive, whatever
                // the answer to the lone dot.
                (Ok(reply), Err(_)) if step == SmtpStep::Data && reply.code == 354 => {
                    self.in_transaction = self.exchange(SmtpStep::FinalDot, LONE_DOT).await.is_err();
                }
                // Once one is refused the answers to the others only follow from that.
                (Ok(_), Err(_)) => {}
                (Err(fault), _) => return verdict.and(Err(deferred(fault))),
            }
        }
        verdict
    }

    /// The message and its final dot; from then on only the reply tells.
    async fn deliver(&mut self, body: &[u8]) -> Result<SmtpReply, Outcome> {
        self.tape.begin_message();
        let answer = send_message(&mut self.lettre, &self.tape, body, self.timeouts).await;
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
                    Outcome::InDoubt { fault }
                } else {
                    deferred(fault)
                })
            }
        }
    }

    /// Whether the dialogue goes on after this reply.
    fn judge(&self, step: SmtpStep, reply: &Reply) -> Result<(), Outcome> {
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
            SmtpStep::Rcpt | SmtpStep::FinalDot if reply.is_permanent() => Outcome::Refused { fault },
            _ => deferred(fault),
        })
    }

    /// RFC 4954 with PLAIN (RFC 4616), else LOGIN. Reached only under TLS or on loopback: see [`relay::Relay::check`].
    async fn log_in(&mut self, login: &Login) -> Result<(), Fault> {
        let offers = |mechanism: &str| self.capabilities.auth.iter().any(|m| m == mechanism);
        let (user, password) = (&login.user, login.password.expose());
        let lines = if offers("PLAIN") {
            vec![format!(
                "AUTH PLAIN {}\r\n",
                BASE64.encode(format!("\0{user}\0{password}"))
            )]
        } else if offers("LOGIN") {
            let answer = |text: &str| format!("{}\r\n", BASE64.encode(text));
            vec!["AUTH LOGIN\r\n".to_owned(), answer(user), answer(password)]
        } else {
            let why = match self.capabilities.auth.as_slice() {
                [] => "the relay offers no AUTH here; leave the user out of relay.url if it needs none".to_owned(),
                offered => format!(
                    "the relay offers AUTH {} only; PLAIN or LOGIN is needed",
                    offered.join(" ")
                ),
            };
            return Err(Fault {
                step: SmtpStep::Auth,
                cause: FaultCause::Unfit(why),
            });
        };
        let last = lines.len() - 1;
        for (i, line) in lines.into_iter().enumerate() {
            let reply = self.exchange(SmtpStep::Auth, line).await?;
            let expected = if i == last { 235 } else { 334 };
            if reply.code != expected {
                return Err(fault(SmtpStep::Auth, &reply));
            }
        }
        Ok(())
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

/// How something of lettre's ended within a time limit.
type Answer<T> = Result<Result<T, lettre::transport::smtp::Error>, tokio::time::error::Elapsed>;

/// The dialogue before lettre takes part: up to the end of the TLS handshake.
struct Opening {
    wire: Wire,
    tape: Tape,
    timeouts: Timeouts,
}

impl Opening {
    /// Reads the greeting and protects the connection, in the order the relay's mode demands.
    async fn protect(mut self, connector: &Connector, name: &ClientId) -> Result<(Wire, Option<TlsFacts>), Fault> {
        let (greeting_wait, mut facts) = (self.timeouts.greeting, None);
        if connector.relay().tls == TlsMode::Implicit {
            (self, facts) = self.handshake(connector).await?;
        }
        let greeting = self.hear(SmtpStep::Greeting, greeting_wait).await?;
        if connector.relay().tls == TlsMode::StartTls {
            self.ask_for_tls(name).await?;
            (self, facts) = self.handshake(connector).await?;
        }
        self.wire.replay(&greeting);
        Ok((self.wire, facts))
    }

    /// EHLO and STARTTLS (RFC 3207). What EHLO offered in clear text is forgotten: lettre asks again under TLS.
    async fn ask_for_tls(&mut self, name: &ClientId) -> Result<(), Fault> {
        let offered = self.exchange(SmtpStep::Ehlo, &format!("EHLO {name}\r\n")).await?;
        if !Capabilities::from_ehlo(&offered).starttls {
            return Err(Fault {
                step: SmtpStep::StartTls,
                cause: FaultCause::Tls(
                    "the relay does not offer STARTTLS, or it was removed on the way; nothing was sent".to_owned(),
                ),
            });
        }
        self.exchange(SmtpStep::StartTls, "STARTTLS\r\n").await?;
        Ok(())
    }

    async fn exchange(&mut self, step: SmtpStep, command: &str) -> Result<Reply, Fault> {
        match timeout(self.timeouts.command, self.wire.say(command)).await {
            Ok(Ok(())) => self.hear(step, self.timeouts.command).await,
            Ok(Err(_)) => Err(Fault {
                step,
                cause: self.tape.broken().unwrap_or_else(|| closed_at(step).cause),
            }),
            Err(_) => Err(timed_out(step, self.timeouts.command)),
        }
    }

    /// A 2xx reply, or a fault.
    async fn hear(&mut self, step: SmtpStep, limit: Duration) -> Result<Reply, Fault> {
        match timeout(limit, self.wire.hear()).await {
            Ok(Ok(reply)) if reply.is_done() => Ok(reply),
            Ok(Ok(reply)) => Err(fault(step, &reply)),
            Ok(Err(_)) => Err(Fault {
                step,
                cause: self.tape.broken().unwrap_or_else(|| closed_at(step).cause),
            }),
            Err(_) => Err(timed_out(step, limit)),
        }
    }

    async fn handshake(self, connector: &Connector) -> Result<(Self, Option<TlsFacts>), Fault> {
        let tls = connector.tls().expect("a connector whose mode needs TLS has it");
        match timeout(self.timeouts.command, self.wire.protect(tls)).await {
            Ok(Ok((wire, facts))) => Ok((Self { wire, ..self }, Some(facts))),
            Ok(Err(cause)) => Err(Fault {
                step: SmtpStep::Tls,
                cause,
            }),
            Err(_) => Err(timed_out(SmtpStep::Tls, self.timeouts.command)),
        }
    }
}

/// The first of the relay's addresses that answers.
async fn dial(relay: &Relay) -> Result<TcpStream, Fault> {
    let limit = relay.timeouts.connect;
    let network = |text: String| Fault {
        step: SmtpStep::Connect,
        cause: FaultCause::Network(text),
    };
    let mut addresses = match timeout(limit, lookup_host((relay.host.as_str(), relay.port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(e)) => return Err(network(format!("cannot look up {}: {e}", relay.host))),
        Err(_) => return Err(timed_out(SmtpStep::Connect, limit)),
    };
    if relay.tls == TlsMode::None {
        // `localhost` may be made to mean anything; clear text stays on this machine.
        addresses.retain(|a| a.ip().is_loopback());
    }
    let mut last = network(format!("{} has no address that can be used", relay.host));
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Without it each message waits 40 ms for the relay's delayed acknowledgement.
                socket.set_nodelay(true).map_err(|e| network(e.to_string()))?;
                return Ok(socket);
            }
            Ok(Err(e)) => last = network(format!("{address}: {e}")),
            Err(_) => last = timed_out(SmtpStep::Connect, limit),
        }
    }
    Err(last)
}

/// Sends the message and waits for the reply to its final dot. While it is written, `data` bounds how long the relay may
/// take nothing (RFC 5321 §4.5.3.2.5); after the final dot, `final_dot` bounds the wait (§4.5.3.2.6).
async fn send_message(lettre: &mut AsyncSmtpConnection, tape: &Tape, body: &[u8], limits: Timeouts) -> Answer<()> {
    let mut sending = std::pin::pin!(lettre.message(body));
    loop {
        let (left_bytes, dot_left) = (tape.left_bytes(), tape.dot_left());
        let limit = if dot_left { limits.final_dot } else { limits.data };
        match timeout(limit, &mut sending).await {
            Ok(end) => return Ok(end.map(|_| ())),
            Err(_) if tape.left_bytes() > left_bytes => {}
            Err(elapsed) => return Err(elapsed),
        }
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
fn deferred(fault: Fault) -> Outcome {
    Outcome::Deferred { fault }
}

/// The relay took or refused the message in words; only then do both sides know where the dialogue stands.
fn is_orderly(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted { .. } => true,
        Outcome::Deferred { fault } | Outcome::Refused { fault } => matches!(fault.cause, FaultCause::Reply(_)),
        Outcome::InDoubt { .. } => false,
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
