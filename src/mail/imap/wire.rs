//! The byte stream under the dialogue: hands out one whole response of the server at a time, bounded before it is read,
//! and takes our lines. Knows where a response ends (lines and literals, RFC 3501 §4.3), not what it means.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::error::ImapError;
use crate::mail::socket::Socket;
use crate::mail::tls::Tls;

/// A line without its literals. A search that finds 400,000 mails stays below.
const LINE_MOST_BYTES: usize = 4 * 1024 * 1024;
/// Parentheses within parentheses: we ask for nothing that has any, and the parser goes one call deeper with each.
const MOST_NESTED: usize = 32;
/// Received in one piece at most, so that a literal that is announced and never sent takes no memory.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Wire {
    socket: Socket,
    /// Received, not yet handed out.
    unread: Vec<u8>,
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            unread: Vec::new(),
        }
    }

    /// Says one line, given without its CRLF.
    pub(super) async fn say(&mut self, line: &str) -> Result<(), ImapError> {
        let line = zeroize::Zeroizing::new(format!("{line}\r\n"));
        let said = async {
            self.socket.write_all(line.as_bytes()).await?;
            self.socket.flush().await
        };
        said.await.map_err(|error| ImapError::Broken(error.to_string()))
    }

    /// The next whole response, of at most `limit` bytes. A future that is dropped loses nothing.
    pub(super) async fn hear(&mut self, limit: usize) -> Result<Vec<u8>, ImapError> {
        let mut framing = Framing::default();
        loop {
            let wanted = match framing.look(&self.unread, limit)? {
                Found::Whole(end) => {
                    let rest = self.unread.split_off(end);
                    let mut response = std::mem::replace(&mut self.unread, rest);
                    tame(&mut response);
                    return Ok(response);
                }
                Found::Wanting(bytes) => bytes,
            };
            self.unread.reserve(wanted.clamp(1024, READ_BYTES));
            match self.socket.read_buf(&mut self.unread).await {
                Ok(0) => return Err(ImapError::Closed(None)),
                Ok(_) => {}
                Err(error) => return Err(ImapError::Broken(error.to_string())),
            }
        }
    }

    /// To be asked between STARTTLS and the handshake: whatever came in clear text and was not read before is an attack or
    /// a broken server. Answers injected there would be believed inside TLS (RFC 3501 §6.2.1, CVE-2011-0411).
    pub(super) fn insist_on_silence(&self) -> Result<(), ImapError> {
        match &self.socket {
            Socket::Clear(socket) if !self.unread.is_empty() || holds_more(socket) => Err(ImapError::Injected),
            _ => Ok(()),
        }
    }

    /// The TLS handshake.
    pub(super) async fn protect(self, tls: &Tls, host: &str) -> Result<Self, ImapError> {
        let Socket::Clear(socket) = self.socket else {
            return Err(ImapError::Garbage("STARTTLS on a connection that is protected already"));
        };
        let (stream, _) = tls
            .handshake(socket)
            .await
            .map_err(|cause| ImapError::connecting(host, cause))?;
        Ok(Self::new(Socket::Protected(Box::new(stream))))
    }
}

/// Whether something waits to be read. What comes later than this breaks the handshake instead.
fn holds_more(socket: &TcpStream) -> bool {
    socket.try_read(&mut [0; 1]).is_ok_and(|bytes| bytes > 0)
}

/// Finds the end of the first response in a buffer that grows.
#[derive(Default)]
struct Framing {
    /// Start of the line that has not ended; behind a literal, of what follows it.
    line: usize,
    /// How far we have looked for its end.
    looked: usize,
    /// Bytes in lines so far, literals left out.
    in_lines: usize,
    depth: usize,
}
enum Found {
    /// The response ends before this position.
    Whole(usize),
    /// At least so many bytes are missing.
    Wanting(usize),
}

/// The first response in `bytes`; `None` when it is not whole yet.
pub(super) fn first_response(bytes: &[u8], limit: usize) -> Result<Option<Vec<u8>>, ImapError> {
    Ok(match Framing::default().look(bytes, limit)? {
        Found::Whole(end) => {
            let mut response = bytes[..end].to_vec();
            tame(&mut response);
            Some(response)
        }
        Found::Wanting(_) => None,
    })
}

/// imap-proto 0.17 takes off one byte between a response code and the words behind it, and panics where that cuts a
/// character in two. Only the first line has a code.
fn tame(response: &mut [u8]) {
    let mut behind_code = false;
    for byte in response.iter_mut().take_while(|byte| **byte != b'\n') {
        // The whole character: what is left must be UTF-8 still.
        let blanked = behind_code && !byte.is_ascii();
        if blanked {
            *byte = b' ';
        }
        behind_code = blanked || *byte == b']';
    }
}

impl Framing {
    fn look(&mut self, bytes: &[u8], limit: usize) -> Result<Found, ImapError> {
        loop {
            // Inside a literal that has not come as a whole.
            if self.looked > bytes.len() {
                return Ok(Found::Wanting(self.looked - bytes.len()));
            }
            let Some(end) = bytes[self.looked..].iter().position(|b| *b == b'\n') else {
                self.looked = bytes.len();
                self.bound(bytes.len() - self.line, bytes.len(), limit)?;
                return Ok(Found::Wanting(1));
            };
            let end = self.looked + end + 1;
            let line = &bytes[self.line..end];
            self.bound(line.len(), end, limit)?;
            self.nesting(line)?;
            unasked(line)?;
            self.in_lines += line.len();
            let Some(literal) = literal_after(line).filter(|_| may_hold_literals(bytes)) else {
                return Ok(Found::Whole(end));
            };
            let whole = (end as u64).saturating_add(literal);
            if whole > limit as u64 {
                return Err(ImapError::TooLarge { bytes: literal, limit });
            }
            self.line = end + literal as usize;
            self.looked = self.line;
        }
    }

    fn bound(&self, line_bytes: usize, so_far: usize, limit: usize) -> Result<(), ImapError> {
        let bytes = self.in_lines + line_bytes;
        if bytes > LINE_MOST_BYTES {
            return Err(ImapError::TooLarge {
                bytes: bytes as u64,
                limit: LINE_MOST_BYTES,
            });
        }
        if so_far > limit {
            return Err(ImapError::TooLarge {
                bytes: so_far as u64,
                limit,
            });
        }
        Ok(())
    }

    fn nesting(&mut self, line: &[u8]) -> Result<(), ImapError> {
        for byte in line {
            match byte {
                b'(' => self.depth += 1,
                b')' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > MOST_NESTED {
                return Err(ImapError::Garbage("it nests too deep"));
            }
        }
        Ok(())
    }
}

/// Answers to what we never ask that imap-proto 0.17 panics at: a date that is none, and annotations (METADATA) that are
/// not UTF-8.
fn unasked(line: &[u8]) -> Result<(), ImapError> {
    const NO_DATE: &[u8] = b"INTERNALDATE NIL";
    const ANNOTATION: &[u8] = b"* METADATA";
    let begins =
        |bytes: &[u8], word: &[u8]| bytes.len() >= word.len() && bytes[..word.len()].eq_ignore_ascii_case(word);
    if begins(line, ANNOTATION) || line.windows(NO_DATE.len()).any(|part| begins(part, NO_DATE)) {
        return Err(ImapError::Garbage("it tells what was never asked"));
    }
    Ok(())
}

/// Only data has literals in what we ask for: `* 12 FETCH …`. A text that ends like one must not swallow what follows.
fn may_hold_literals(response: &[u8]) -> bool {
    response.starts_with(b"* ") && response.get(2).is_some_and(u8::is_ascii_digit)
}

/// The number in `{123}` or `{123+}` at the end of a line.
fn literal_after(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let open = inner.iter().rposition(|b| *b == b'{')?;
    let digits = &inner[open + 1..];
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // What does not fit into 64 bits is above every limit.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All whole responses, with the bytes coming one by one and at once.
    fn framed(bytes: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, ImapError> {
        let mut found = Vec::new();
        let mut at_once = bytes.to_vec();
        while let Found::Whole(end) = Framing::default().look(&at_once, limit)? {
            let rest = at_once.split_off(end);
            found.push(std::mem::replace(&mut at_once, rest));
        }
        let (mut one_by_one, mut held, mut framing) = (Vec::new(), Vec::new(), Framing::default());
        for byte in bytes {
            held.push(*byte);
            if let Found::Whole(end) = framing.look(&held, limit)? {
                assert_eq!(end, held.len());
                one_by_one.push(std::mem::take(&mut held));
                framing = Framing::default();
            }
        }
        assert_eq!(found, one_by_one);
        Ok(found)
    }

    #[test]
    fn responses_end_where_they_end() {
        let bytes = b"* OK hello\r\n* 1 FETCH (UID 5 BODY[] {7}\r\na\r\n)\r\nb FLAGS ())\r\nb1 OK done {3}\r\n* OK bare\n+ go\r\n";
        let found = framed(bytes, 1000).unwrap();
        let text: Vec<&str> = found.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
        assert_eq!(
            text,
            [
                "* OK hello\r\n",
                "* 1 FETCH (UID 5 BODY[] {7}\r\na\r\n)\r\nb FLAGS ())\r\n",
                "b1 OK done {3}\r\n",
                "* OK bare\n",
                "+ go\r\n",
            ]
        );
        let two = b"* 1 FETCH (BODY[HEADER] {2}\r\nhi BODY[] {3+}\r\n\r\n) X)\r\n";
        assert_eq!(framed(two, 1000).unwrap().len(), 1);
    }

    #[test]
    fn what_is_too_large_is_refused_when_it_is_announced() {
        for (announced, bytes) in [
            ("{101}", 101),
            ("{4294967296}", 4_294_967_296),
            ("{99999999999999999999}", u64::MAX),
        ] {
            let line = format!("* 1 FETCH (BODY[] {announced}\r\n");
            match framed(line.as_bytes(), 100) {
                Err(ImapError::TooLarge {
                    bytes: found,
                    limit: 100,
                }) => assert_eq!(found, bytes),
                other => panic!("{announced}: {other:?}"),
            }
        }
        // Many small literals are one large response.
        let many = "* 1 FETCH (X".to_owned() + &" {9}\r\n123456789".repeat(20);
        assert!(matches!(framed(many.as_bytes(), 100), Err(ImapError::TooLarge { .. })));
        let endless = vec![b'*'; LINE_MOST_BYTES + 1];
        assert!(matches!(
            Framing::default().look(&endless, usize::MAX),
            Err(ImapError::TooLarge { .. })
        ));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("* 1 FETCH (BODYSTRUCTURE {}\r\n", "(".repeat(100_000));
        assert!(matches!(framed(deep.as_bytes(), 1 << 20), Err(ImapError::Garbage(_))));
    }
}
