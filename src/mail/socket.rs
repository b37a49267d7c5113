//! A connection to a mail server, clear or protected: the first address that answers, and bytes from there on. Knows no
//! protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::model::delivery::FaultCause;

/// What bytes go through.
pub(super) enum Socket {
    Clear(TcpStream),
    Protected(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Clear(s) => Pin::new(s).poll_read(cx, buf),
            Socket::Protected(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}
impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Clear(s) => Pin::new(s).poll_write(cx, bytes),
            Socket::Protected(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Clear(s) => Pin::new(s).poll_flush(cx),
            Socket::Protected(s) => Pin::new(s).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Clear(s) => Pin::new(s).poll_shutdown(cx),
            Socket::Protected(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

/// Connects to the first of the host's addresses that answers. `limit` bounds the look-up and each address;
/// `loopback_only` is for clear text, which stays on this machine whatever `localhost` was made to mean.
///
/// # Errors
/// [`FaultCause::Network`] or [`FaultCause::Timeout`] of the last address tried.
pub(super) async fn dial(host: &str, port: u16, loopback_only: bool, limit: Duration) -> Result<TcpStream, FaultCause> {
    let timed_out = || FaultCause::Timeout {
        seconds: limit.as_secs(),
    };
    let mut addresses = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(e)) => return Err(FaultCause::Network(format!("cannot look up {host}: {e}"))),
        Err(_) => return Err(timed_out()),
    };
    if loopback_only {
        addresses.retain(|a| a.ip().is_loopback());
    }
    let mut last = FaultCause::Network(format!("{host} has no address that can be used"));
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Without it each message waits 40 ms for the server's delayed acknowledgement.
                socket
                    .set_nodelay(true)
                    .map_err(|e| FaultCause::Network(e.to_string()))?;
                return Ok(socket);
            }
            Ok(Err(e)) => last = FaultCause::Network(format!("{address}: {e}")),
            Err(_) => last = timed_out(),
        }
    }
    Err(last)
}
