//! The byte stream under the dialogue: ours, so that lettre's low-level connection runs over it without its faults.
//!
//! It hands lettre one whole, checked reply at a time and keeps each on the [`Tape`]; it refuses to speak while something
//! unasked for waits to be read (injected replies, a relay that has hung up); it sends a small message and its final dot
//! in one write; and it knows whether the final dot has left. Knows nothing of what the commands mean.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::reply::{Parsed, Reply, parse};
use crate::failpoint;
use crate::mail::socket::Socket;
use crate::mail::tls::Tls;
use crate::model::delivery::{FaultCause, TlsFacts};

/// From here on what is written goes out without waiting for more. A notice of usual size stays below.
const WRITE_BYTES: usize = 64 * 1024;
const CLOSED: &str = "the relay closed the connection";

/// What passed over the wire, shared between the stream (inside lettre's connection) and the one who judges.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    replies: VecDeque<Reply>,
    broken: Option<FaultCause>,
    /// Said no to us for good: nothing more may be written.
    hung_up: bool,
    phase: Phase,
    left_bytes: u64,
    /// How many bytes have left when the final dot has; of no meaning outside of a message.
    dot_left_at: u64,
}
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// EHLO: lettre answers a refusal with QUIT and waits for its reply; we do not.
    #[default]
    Opening,
    Commands,
    Message,
    /// The last byte of the final dot was taken by the socket.
    DotLeft,
}

impl Tape {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().expect("nobody panics while holding the tape")
    }
    /// From here on a refusal leaves the connection open.
    pub(super) fn begin_commands(&self) {
        self.record().phase = Phase::Commands;
    }
    /// The next `bytes` that are written are the message, up to its final dot.
    pub(super) fn begin_message(&self, bytes: usize) {
        let mut record = self.record();
        record.phase = Phase::Message;
        record.dot_left_at = record.left_bytes + bytes as u64;
    }
    /// Whether the whole message and its final dot have left: from then on the relay may have taken it.
    pub(super) fn dot_left(&self) -> bool {
        self.record().phase == Phase::DotLeft
    }
    /// Bytes taken by the socket so far; shows progress.
    pub(super) fn left_bytes(&self) -> u64 {
        self.record().left_bytes
    }
    /// The oldest reply not yet looked at.
    pub(super) fn take_reply(&self) -> Option<Reply> {
        self.record().replies.pop_front()
    }
    /// What broke the stream, if anything did.
    pub(super) fn broken(&self) -> Option<FaultCause> {
        self.record().broken.clone()
    }

    /// Whether the relay has said that it closes the connection.
    pub(super) fn has_hung_up(&self) -> bool {
        self.record().hung_up
    }

    fn heard(&self, reply: Reply) {
        let mut record = self.record();
        // RFC 5321 §3.8: after 421 the server closes.
        record.hung_up |= reply.code == 421 || (record.phase == Phase::Opening && reply.is_negative());
        record.replies.push_back(reply);
    }
    /// Keeps the first cause; the error is for lettre, which only needs to stop.
    fn broke(&self, cause: FaultCause) -> io::Error {
        self.record().broken.get_or_insert(cause);
        io::Error::from(io::ErrorKind::ConnectionAborted)
    }
    fn broke_by(&self, error: &io::Error) -> io::Error {
        self.broke(FaultCause::Network(match error.kind() {
            // The TLS library says so at length, with a link to its manual.
            io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
            _ => error.to_string(),
        }))
    }
}

/// The stream. Used directly up to the end of the TLS handshake, then given to lettre.
pub(super) struct Wire {
    socket: Socket,
    peer: SocketAddr,
    tape: Tape,
    /// Received, not yet a whole reply.
    unread: Vec<u8>,
    /// The reply lettre is reading.
    for_lettre: VecDeque<u8>,
    /// The last thing that happened was a reply: before we speak again, nothing may be waiting.
    our_turn: bool,
    unsent: Vec<u8>,
    sent: usize,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, tape: Tape) -> Self {
        Self {
            socket: Socket::Clear(socket),
            peer,
            tape,
            unread: Vec::new(),
            for_lettre: VecDeque::new(),
            our_turn: false,
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// Waits for the next reply; what breaks is on the tape.
    pub(super) async fn hear(&mut self) -> io::Result<Reply> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// Says a command, given with its CRLF.
    pub(super) async fn say(&mut self, command: &str) -> io::Result<()> {
        self.write_all(command.as_bytes()).await?;
        self.flush().await
    }

    /// Protects the stream. Whatever came in clear text and was not read before is an attack or a broken relay: replies
    /// injected there would be believed inside TLS (RFC 3207 §6, CVE-2011-0411).
    pub(super) async fn protect(mut self, tls: &Tls) -> Result<(Self, TlsFacts), FaultCause> {
        if self.our_turn && poll_fn(|cx| Poll::Ready(self.hears_nothing(cx))).await.is_err() {
            return Err(match self.tape.broken() {
                Some(cause @ FaultCause::Network(_)) => cause,
                _ => FaultCause::Protocol("something came in clear text after STARTTLS: it may be injected".to_owned()),
            });
        }
        let Socket::Clear(socket) = self.socket else {
            return Err(FaultCause::Protocol("the connection is protected already".to_owned()));
        };
        let (stream, facts) = tls.handshake(socket).await?;
        self.socket = Socket::Protected(Box::new(stream));
        Ok((self, facts))
    }

    /// Gives lettre the greeting it insists on reading first; it was read and judged before.
    pub(super) fn replay(&mut self, greeting: &Reply) {
        self.for_lettre.extend(greeting.canonical());
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        loop {
            match parse(&self.unread) {
                Parsed::Whole(reply, used) => {
                    self.unread.drain(..used);
                    self.our_turn = true;
                    return Poll::Ready(Ok(reply));
                }
                Parsed::Garbage(why) => return Poll::Ready(Err(self.tape.broke(FaultCause::Protocol(why)))),
                Parsed::Partial => ready!(self.poll_more(cx))?,
            }
        }
    }

    /// Receives at least one byte, or breaks.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; 4096];
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buf)).map_err(|e| self.tape.broke_by(&e))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Err(self.tape.broke(FaultCause::Network(CLOSED.to_owned()))));
        }
        self.unread.extend_from_slice(buf.filled());
        Poll::Ready(Ok(()))
    }

    /// Fails if anything waits to be read, or the relay has hung up. Does not wait.
    fn hears_nothing(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unread.is_empty() {
            match self.poll_more(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(end) => end?,
            }
        }
        let cause = match parse(&self.unread) {
            Parsed::Whole(reply, _) if reply.code == 421 => FaultCause::Reply(reply.to_kept()),
            _ => FaultCause::Protocol("the relay spoke out of turn: replies may have been injected".to_owned()),
        };
        Err(self.tape.broke(cause))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            failpoint::pass("before_write");
            let taken = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.unsent[self.sent..]));
            failpoint::pass("after_write");
            let taken = taken.map_err(|e| self.tape.broke_by(&e))?;
            if taken == 0 {
                return Poll::Ready(Err(self.tape.broke_by(&io::ErrorKind::WriteZero.into())));
            }
            self.sent += taken;
            let mut record = self.tape.record();
            record.left_bytes += taken as u64;
            // Counted as gone when the socket has its last byte, even if that byte is still on this machine: a doubt
            // too many costs a question, a doubt too few a second message.
            if record.phase == Phase::Message && record.left_bytes >= record.dot_left_at {
                record.phase = Phase::DotLeft;
            }
        }
        self.unsent.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.for_lettre.is_empty() {
            let reply = ready!(wire.poll_reply(cx))?;
            wire.for_lettre.extend(reply.canonical());
            wire.tape.heard(reply);
        }
        let (front, _) = wire.for_lettre.as_slices();
        let n = front.len().min(buf.remaining());
        buf.put_slice(&front[..n]);
        wire.for_lettre.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.tape.record().hung_up {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if wire.our_turn {
            wire.hears_nothing(cx)?;
            wire.our_turn = false;
        }
        if wire.unsent.len() >= WRITE_BYTES {
            ready!(wire.poll_drain(cx))?;
        }
        let taken = bytes.len().min(WRITE_BYTES);
        wire.unsent.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(wire.poll_drain(cx))?;
        Pin::new(&mut wire.socket)
            .poll_flush(cx)
            .map_err(|e| wire.tape.broke_by(&e))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("peer", &self.peer).finish_non_exhaustive()
    }
}
