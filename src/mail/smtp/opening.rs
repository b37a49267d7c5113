//! The dialogue before lettre takes part: connecting, the greeting, STARTTLS and the TLS handshake. What it must not
//! know is the login and the envelope: nothing of either may be said before the connection is protected.

use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::connector::Connector;
use super::relay::Timeouts;
use super::reply::{Capabilities, Reply};
use super::stream::{Tape, Wire};
use super::{closed_at, fault, timed_out};
use crate::mail::socket;
use crate::mail::tls::TlsMode;
use crate::model::delivery::{Fault, FaultCause, SmtpStep, TlsFacts};

/// A stream that lettre can take over: protected as demanded, its greeting waiting to be read again.
pub(super) struct Opened {
    pub(super) wire: Wire,
    /// The name to give in EHLO.
    pub(super) ehlo_name: ClientId,
    pub(super) tls: Option<TlsFacts>,
}

/// Connects and protects the connection as the relay's settings demand.
pub(super) async fn open(connector: &Connector, tape: &Tape) -> Result<Opened, Fault> {
    let relay = connector.relay();
    let loopback_only = relay.tls == TlsMode::None;
    let socket = socket::dial(&relay.host, relay.port, loopback_only, relay.timeouts.connect)
        .await
        .map_err(|cause| Fault {
            step: SmtpStep::Connect,
            cause,
        })?;
    let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else {
        return Err(closed_at(SmtpStep::Connect));
    };
    let ehlo_name = match (&relay.helo, local.ip()) {
        (Some(name), _) => ClientId::Domain(name.clone()),
        (None, IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        (None, IpAddr::V6(ip)) => ClientId::Ipv6(ip),
    };
    let wire = Wire::new(socket, peer, tape.clone());
    let opening = Opening {
        wire,
        tape: tape.clone(),
        timeouts: relay.timeouts,
    };
    let (wire, tls) = opening.protect(connector, &ehlo_name).await?;
    Ok(Opened { wire, ehlo_name, tls })
}

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
