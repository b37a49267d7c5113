//! From nothing to a connection that may be logged in to: connecting, the greeting, STARTTLS. What it must not know is
//! the login: nothing of it may be said before the connection is protected.

use tokio::time::timeout;

use super::dialogue::Dialogue;
use super::error::ImapError;
use super::wire::Wire;
use super::{Account, RESPONSE_BYTES};
use crate::mail::socket::{self, Socket};
use crate::mail::tls::{Tls, TlsMode, is_loopback};

/// Connects and protects the connection as the account demands.
pub(super) async fn open(account: &Account) -> Result<Dialogue, ImapError> {
    let (host, clear) = (account.host.as_str(), account.tls == TlsMode::None);
    if clear && !is_loopback(host) {
        return Err(ImapError::ClearText { host: host.to_owned() });
    }
    let tls = match account.tls {
        TlsMode::None => None,
        TlsMode::Implicit | TlsMode::StartTls => {
            Some(Tls::new(host, account.ca_file.as_deref(), "mailbox.tls.ca_file")?)
        }
    };
    let limit = account.timeouts.connect;
    let socket = socket::dial(host, account.port, clear, limit)
        .await
        .map_err(|cause| ImapError::connecting(host, cause))?;
    let wire = Wire::new(Socket::Clear(socket));
    let reply = account.timeouts.reply;
    match (account.tls, tls) {
        (TlsMode::Implicit, Some(tls)) => {
            let mut dialogue = Dialogue::new(protect(wire, &tls, account).await?, reply);
            dialogue.greeting().await?;
            Ok(dialogue)
        }
        (TlsMode::StartTls, Some(tls)) => {
            let mut dialogue = Dialogue::new(wire, reply);
            dialogue.greeting().await?;
            // What is offered in clear text may be forged: it decides about nothing but STARTTLS, and is asked again.
            if !dialogue.capabilities().await?.has("STARTTLS") {
                return Err(ImapError::NoStartTls);
            }
            dialogue
                .run("protect the connection", "STARTTLS", RESPONSE_BYTES, reply, |_| Ok(()))
                .await?;
            let wire = dialogue.into_wire();
            wire.insist_on_silence()?;
            Ok(Dialogue::new(protect(wire, &tls, account).await?, reply))
        }
        _ => {
            let mut dialogue = Dialogue::new(wire, reply);
            dialogue.greeting().await?;
            Ok(dialogue)
        }
    }
}

async fn protect(wire: Wire, tls: &Tls, account: &Account) -> Result<Wire, ImapError> {
    let limit = account.timeouts.connect;
    match timeout(limit, wire.protect(tls, &account.host)).await {
        Ok(end) => end,
        Err(_) => Err(ImapError::Timeout {
            step: "finish the TLS handshake",
            seconds: limit.as_secs(),
        }),
    }
}
