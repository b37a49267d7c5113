//! What can go wrong between us and a mailbox's server. None of the texts holds mail, a password or a token.

use crate::mail::tls::TrustError;
use crate::model::delivery::FaultCause;

/// A step of the dialogue failed; the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    #[error("clear text (tls=none) to {host} is refused: it is for loopback only; leave tls=none out to use STARTTLS")]
    ClearText { host: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("cannot connect to {host}: {why}")]
    Connect { host: String, why: String },
    #[error("the mailbox's server cannot be trusted: {0}")]
    Tls(String),
    #[error("the server does not offer STARTTLS, or it was removed on the way; nothing was sent")]
    NoStartTls,
    #[error("something came in clear text after STARTTLS: it may be injected, so nothing was sent")]
    Injected,
    #[error("cannot log in to the mailbox as {user}: {why}")]
    Login { user: String, why: String },
    #[error("the server refuses to {step}: {why}")]
    Refused { step: &'static str, why: String },
    #[error("the folder {name} cannot be opened: {why}; `folder` in config.yaml names another")]
    Folder { name: String, why: String },
    #[error("the folder {name} has no UIDVALIDITY: what was read there cannot be told from what is new")]
    NoUidValidity { name: String },
    #[error("the server did not {step} within {seconds} s")]
    Timeout { step: &'static str, seconds: u64 },
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server closed the connection{}", said(.0))]
    Closed(Option<String>),
    #[error("the server's answer is no IMAP: {0}")]
    Garbage(&'static str),
    /// Nothing of it was read.
    #[error("the server would send {bytes} bytes at once; at most {limit} are taken")]
    TooLarge { bytes: u64, limit: usize },
}

impl ImapError {
    /// Whether the server did not let us in: trying again soon may lock the account.
    pub fn is_login(&self) -> bool {
        matches!(self, ImapError::Login { .. })
    }

    pub(super) fn connecting(host: &str, cause: FaultCause) -> Self {
        match cause {
            FaultCause::Tls(why) => ImapError::Tls(why),
            FaultCause::Timeout { seconds } => ImapError::Connect {
                host: host.to_owned(),
                why: format!("no answer within {seconds} s"),
            },
            FaultCause::Network(why) | FaultCause::Protocol(why) | FaultCause::Unfit(why) | FaultCause::Bounce(why) => {
                ImapError::Connect {
                    host: host.to_owned(),
                    why,
                }
            }
            FaultCause::Reply(reply) => ImapError::Connect {
                host: host.to_owned(),
                why: reply.to_string(),
            },
        }
    }
}

fn said(text: &Option<String>) -> String {
    text.as_ref().map_or(String::new(), |text| format!(": {text}"))
}
