//! What a receiver offers, and where it misbehaves. Data only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::TakenRecipient;

/// How a receiver behaves. Starts out as a relay that offers everything and takes everything.
#[derive(Debug, Clone)]
pub struct Plan {
    pub protection: Protection,
    pub certificate: CertificateKind,
    /// Who must log in before MAIL; nobody by default.
    pub account: Option<Account>,
    pub offers: Offers,
    /// Closes each connection after so many mails, right after the reply to the last, as some providers do.
    pub close_after_mails: Option<u32>,
    /// Sends further connections away while so many are open, as some providers do.
    pub connections_most: Option<usize>,
    /// The first that fits strikes.
    pub troubles: Vec<Trouble>,
}
impl Plan {
    /// Clear text.
    pub fn clear() -> Self {
        Self::protected(Protection::Clear)
    }
    /// STARTTLS offered.
    pub fn starttls() -> Self {
        Self::protected(Protection::StartTls)
    }
    /// TLS from the first byte.
    pub fn implicit() -> Self {
        Self::protected(Protection::Implicit)
    }
    fn protected(protection: Protection) -> Self {
        Self {
            protection,
            certificate: CertificateKind::Sound,
            account: None,
            offers: Offers::default(),
            close_after_mails: None,
            connections_most: None,
            troubles: Vec::new(),
        }
    }
    /// The same plan with one more trouble.
    #[must_use]
    pub fn with(mut self, trouble: Trouble) -> Self {
        self.troubles.push(trouble);
        self
    }
    /// The same plan with a login demanded, by PLAIN or LOGIN.
    #[must_use]
    pub fn with_account(mut self, user: &str, password: &str) -> Self {
        self.account = Some(Account {
            user: user.to_owned(),
            password: password.to_owned(),
            mechanisms: vec!["PLAIN".to_owned(), "LOGIN".to_owned()],
        });
        self
    }
}

/// How the receiver's connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// None: loopback makes up for it.
    Clear,
    /// Offered after EHLO (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

/// The certificate shown; each comes from an authority made for this receiver alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// For `localhost` and 127.0.0.1.
    Sound,
    /// For `elsewhere.example`.
    WrongName,
    /// For `localhost` and 127.0.0.1, until the year 2000.
    Expired,
}

/// The one login a receiver knows.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: String,
    /// An invented one: this is a rehearsal. For XOAUTH2, the token.
    pub password: String,
    /// Offered in EHLO.
    pub mechanisms: Vec<String>,
}

/// The extensions offered in EHLO; parameters of others are refused with 555, pipelined commands with 503.
#[derive(Debug, Clone)]
pub struct Offers {
    pub pipelining: bool,
    pub dsn: bool,
    pub eight_bit_mime: bool,
    pub smtp_utf8: bool,
    pub enhanced_status_codes: bool,
    /// The limit announced; the limit kept is the same.
    pub size: Option<u64>,
}
impl Default for Offers {
    fn default() -> Self {
        Self {
            pipelining: true,
            dsn: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            enhanced_status_codes: true,
            size: Some(25_000_000),
        }
    }
}
impl Offers {
    /// A server that knows nothing but the basic protocol.
    pub fn nothing() -> Self {
        Self {
            pipelining: false,
            dsn: false,
            eight_bit_mime: false,
            smtp_utf8: false,
            enhanced_status_codes: false,
            size: None,
        }
    }
}

/// Where in a session trouble strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Instead of the greeting.
    Greeting,
    Ehlo,
    StartTls,
    /// When the client has begun the TLS handshake.
    Tls,
    /// Instead of the reply that ends AUTH.
    Auth,
    Mail,
    Rcpt,
    Data,
    /// When the first bytes of the message have come.
    Body,
    /// When the final dot has come: the mail is not taken.
    FinalDot,
    /// When the mail has been taken, instead of the reply that says so.
    Taken,
}

/// What the receiver does instead of its usual reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Says this instead, and does nothing. Need not be SMTP.
    Reply(Vec<u8>),
    /// Says this instead, and closes the connection.
    ReplyAndClose(Vec<u8>),
    /// Closes the connection without a word.
    Close,
    /// Says nothing any more.
    Silence,
    /// Does and says what it usually does, after this time.
    Slow(Duration),
    /// Does what it usually does, but says this.
    Disguise(Vec<u8>),
    /// The usual reply, and in the same write these bytes.
    Inject(Vec<u8>),
    /// Leaves the keyword out of its answer to EHLO; at [`Step::StartTls`] only.
    Hide,
}
impl Act {
    /// A reply of one line or several; the last CRLF is added.
    pub fn reply(text: impl AsRef<[u8]>) -> Self {
        Self::Reply(line(text.as_ref()))
    }
    /// A reply, with its last CRLF added, then the end of the connection.
    pub fn reply_and_close(text: impl AsRef<[u8]>) -> Self {
        Self::ReplyAndClose(line(text.as_ref()))
    }
    /// A misleading reply to something that was done, with its last CRLF added.
    pub fn disguise(text: impl AsRef<[u8]>) -> Self {
        Self::Disguise(line(text.as_ref()))
    }
    /// Replies nobody asked for, with their last CRLF added, right behind the usual one.
    pub fn inject(text: impl AsRef<[u8]>) -> Self {
        Self::Inject(line(text.as_ref()))
    }
}

fn line(text: &[u8]) -> Vec<u8> {
    [text, b"\r\n"].concat()
}

/// A planned misbehaviour.
#[derive(Clone)]
pub struct Trouble {
    step: Step,
    pub(super) act: Act,
    most: Option<u32>,
    recipients: Option<Recipients>,
}
type Recipients = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Trouble {
    /// Trouble that strikes each time the step is reached.
    pub fn at(step: Step, act: Act) -> Self {
        Self {
            step,
            act,
            most: None,
            recipients: None,
        }
    }
    /// Only the first `most` times, counted over all connections.
    #[must_use]
    pub fn times(self, most: u32) -> Self {
        Self {
            most: Some(most),
            ..self
        }
    }
    /// Only when one of the transaction's recipients is meant: for the steps from [`Step::Rcpt`] on.
    #[must_use]
    pub fn to(self, is_meant: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            recipients: Some(Arc::new(is_meant)),
            ..self
        }
    }
    pub(super) fn strikes(&self, step: Step, recipients: &[TakenRecipient], struck: u32) -> bool {
        self.step == step
            && self.most.is_none_or(|most| struck < most)
            && self
                .recipients
                .as_ref()
                .is_none_or(|is_meant| recipients.iter().any(|r| is_meant(&r.address)))
    }
}
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble")
            .field("step", &self.step)
            .field("act", &self.act)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
