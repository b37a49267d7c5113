//! What came of one try: the server's reply, how the way there was protected, or what went wrong and where. Knows
//! nothing of the states that follow from it.

use serde::{Deserialize, Serialize};

/// A server's reply: RFC 5321 §4.2 code, RFC 3463 enhanced status where given, and the text without both.
/// A multi-line reply's lines are joined by `\n`; at most 2,000 characters are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmtpReply {
    pub code: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<String>,
    pub text: String,
}
impl std::fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(e) = &self.enhanced {
            write!(f, " {e}")?;
        }
        write!(f, " {}", self.text.replace('\n', " / "))
    }
}

/// How the connection to the relay was protected; absent means clear text on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    pub cipher: String,
    /// The name the server's certificate was checked against.
    pub server_name: String,
    /// SHA-256 of the server's certificate, lower-case hex.
    pub certificate_sha256: String,
}

/// Where in the dialogue something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpStep {
    Connect,
    Greeting,
    Ehlo,
    StartTls,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// While the message's bytes were written, before the final dot had left.
    Body,
    /// After the final dot had left: the outcome is known only from the reply.
    FinalDot,
    /// On our side, before anything was written: rendering, sealing, size.
    Prepare,
}
impl std::fmt::Display for SmtpStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SmtpStep::Connect => "connecting",
            SmtpStep::Greeting => "the greeting",
            SmtpStep::Ehlo => "EHLO",
            SmtpStep::StartTls => "STARTTLS",
            SmtpStep::Tls => "the TLS handshake",
            SmtpStep::Auth => "AUTH",
            SmtpStep::Mail => "MAIL FROM",
            SmtpStep::Rcpt => "RCPT TO",
            SmtpStep::Data => "DATA",
            SmtpStep::Body => "sending the message",
            SmtpStep::FinalDot => "the final dot",
            SmtpStep::Prepare => "preparing the message",
        })
    }
}

/// What went wrong, as a fact to keep and to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub step: SmtpStep,
    pub cause: FaultCause,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCause {
    /// The server said so.
    Reply(SmtpReply),
    /// The connection could not be made or broke.
    Network(String),
    /// No answer within the step's time.
    Timeout { seconds: u64 },
    /// No TLS, or a certificate that does not prove the server's name.
    Tls(String),
    /// The server's answer was no SMTP, or something was injected.
    Protocol(String),
    /// Our own side: the server lacks what the message needs (SIZE, SMTPUTF8, AUTH), or a limit of ours.
    Unfit(String),
    /// The authority's or recipient's server gave the mail back later (RFC 3464).
    Bounce(String),
}
impl FaultCause {
    /// What happened, without the step.
    pub(super) fn words(&self) -> String {
        match self {
            FaultCause::Reply(reply) => reply.to_string(),
            FaultCause::Network(t)
            | FaultCause::Tls(t)
            | FaultCause::Protocol(t)
            | FaultCause::Unfit(t)
            | FaultCause::Bounce(t) => t.clone(),
            FaultCause::Timeout { seconds } => format!("no answer within {seconds} s"),
        }
    }
}
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            // Its words begin with the status, and most repeat it.
            FaultCause::Bounce(t) => match t.split_once(' ') {
                Some((status, words)) if words.contains(status) => write!(f, "returned later: {words}"),
                _ => write!(f, "returned later: {t}"),
            },
            cause => write!(f, "at {}: {}", self.step, cause.words()),
        }
    }
}

/// Why nothing was prepared for a person who would have to have a certificate.
pub const NO_CERTIFICATE: &str = "no usable certificate, and the campaign is encrypted for everybody";

impl Fault {
    /// A word for why a person was not reached, by the enhanced status (RFC 3463 §3) where there is one.
    pub fn reason(&self) -> &'static str {
        let status = match &self.cause {
            FaultCause::Reply(reply) => reply.enhanced.as_deref().unwrap_or_default(),
            // What came back later begins with its status.
            FaultCause::Bounce(text) => text.split_whitespace().next().unwrap_or_default(),
            FaultCause::Unfit(why) if self.step == SmtpStep::Prepare && why == NO_CERTIFICATE => {
                return "no_certificate";
            }
            _ if self.step == SmtpStep::Prepare => return "not_prepared",
            _ => return "no_answer",
        };
        let detail = status.split_once('.').map_or("", |(_, detail)| detail);
        match detail {
            "1.1" | "1.2" | "1.3" | "1.6" | "1.10" => "address_unknown",
            "2.1" => "mailbox_disabled",
            "2.2" => "mailbox_full",
            "2.3" | "3.4" => "too_large",
            detail if detail.starts_with("7.") => "refused_by_policy",
            detail if detail.starts_with("4.") => "not_reachable",
            _ if matches!(self.cause, FaultCause::Bounce(_)) => "returned",
            _ if matches!(&self.cause, FaultCause::Reply(reply) if reply.code < 500) => "put_off",
            _ => "refused",
        }
    }
}

/// How one attempt ended. A refusal is an answer, not an error of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The server took responsibility (RFC 5321 §6.1).
    Accepted { reply: SmtpReply, tls: Option<TlsFacts> },
    /// Nothing was handed over; may be tried again.
    Deferred { fault: Fault },
    /// A 5xx in reply to RCPT or to the final dot: this message will never be taken.
    Refused { fault: Fault },
    /// The final dot had left and no answer came: taken or not, nobody knows.
    InDoubt { fault: Fault },
    /// Our side could not write the message, and will not be able to by trying again: a person decides.
    Held { fault: Fault },
}
impl Outcome {
    /// `accepted`, `deferred`, `refused`, `in_doubt` or `held`, as in JSON and in the store.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Refused { .. } => "refused",
            Outcome::InDoubt { .. } => "in_doubt",
            Outcome::Held { .. } => "held",
        }
    }
    /// The server's words where it spoke, else ours.
    pub fn words(&self) -> String {
        match self {
            Outcome::Accepted { reply, .. } => reply.to_string(),
            Outcome::Deferred { fault }
            | Outcome::Refused { fault }
            | Outcome::InDoubt { fault }
            | Outcome::Held { fault } => fault.to_string(),
        }
    }
}
