//! What came back: the kind of a received mail, in the words of the mailbox.

use serde::{Deserialize, Serialize};

/// The kind of an incoming mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// The authority confirmed receipt.
    Acknowledgement,
    /// A delivery status notification: delivered.
    Delivered,
    /// A delivery status notification: delayed.
    Delay,
    /// A delivery status notification: failed.
    Bounce,
    /// A holiday reply or similar (RFC 3834).
    Autoreply,
    /// A person wrote.
    Reply,
    /// A feedback report (RFC 5965).
    Report,
    Other,
}
impl ReceiptKind {
    /// The word of JSON, of the command line and of the store.
    pub fn name(self) -> &'static str {
        match self {
            ReceiptKind::Acknowledgement => "acknowledgement",
            ReceiptKind::Delivered => "delivered",
            ReceiptKind::Delay => "delay",
            ReceiptKind::Bounce => "bounce",
            ReceiptKind::Autoreply => "autoreply",
            ReceiptKind::Reply => "reply",
            ReceiptKind::Report => "report",
            ReceiptKind::Other => "other",
        }
    }
}

/// What a delivery report says became of one recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportAction {
    /// Given up: the recipient will not get it.
    Failed,
    /// Not yet; the server keeps trying.
    Delayed,
    /// In the recipient's mailbox.
    Delivered,
    /// Handed to a server that sends no such reports: no proof of arrival.
    Relayed,
    /// Passed on to several others: no proof of arrival.
    Expanded,
}
impl ReportAction {
    /// The word of the report itself, of JSON and of the store.
    pub fn name(self) -> &'static str {
        match self {
            ReportAction::Failed => "failed",
            ReportAction::Delayed => "delayed",
            ReportAction::Delivered => "delivered",
            ReportAction::Relayed => "relayed",
            ReportAction::Expanded => "expanded",
        }
    }
}

/// The mark by which a mail was tied to what we sent, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Our token in an address it was sent to, or that the returned message came from (VERP).
    ReturnPath,
    /// Our token as the envelope id of a delivery report (RFC 3461 §4.4).
    EnvelopeId,
    /// Our reference in a header, the subject or the text.
    Reference,
    /// It answers our Message-ID.
    Answers,
    /// It gives back a message with our Message-ID.
    Returned,
    /// Only its sender and the time fit: proposed to a person, never believed.
    Sender,
    /// A person of ours said so.
    Person,
}
impl Mark {
    /// For a person who reads how a mail was tied.
    pub fn words(self) -> &'static str {
        match self {
            Mark::ReturnPath => "our token in the address it was sent to",
            Mark::EnvelopeId => "our token in the report's envelope id",
            Mark::Reference => "our reference",
            Mark::Answers => "it answers our Message-ID",
            Mark::Returned => "it gives our message back",
            Mark::Sender => "only its sender and the time fit",
            Mark::Person => "a person matched it",
        }
    }
}

/// How sure the tie is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Names what everybody on the way could read.
    Likely,
    /// Names what only our message and its envelope carried, or a person said so.
    Certain,
}

/// By which means a sender was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// An OpenPGP signature by the pinned certificate.
    Openpgp,
    /// An aligned DKIM signature, under a DMARC policy of the sender's domain (RFC 7489).
    Dmarc,
    /// A DKIM signature of the sender's domain (RFC 6376).
    Dkim,
    /// What our own mail server wrote (RFC 8601).
    AuthenticationResults,
    #[default]
    None,
}

/// What a check of the sender found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It is who it says.
    Passed,
    /// The mail claims what is not true, or was changed on its way.
    Failed,
    /// It could not be checked: no answer from the name servers, or checking is switched off.
    NotChecked,
    /// There was nothing to check.
    #[default]
    Nothing,
}

/// What is proven about a mail's sender. The From address alone proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticity {
    pub by: Means,
    pub result: Checked,
    /// The domain that was proven, or that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// More, in words; no personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
impl Authenticity {
    /// A check that passed or failed for a domain.
    pub fn of(by: Means, result: Checked, domain: &str) -> Self {
        Self {
            by,
            result,
            domain: Some(domain.to_owned()),
            note: None,
        }
    }

    /// Whether the mail claims a sender that it does not come from.
    pub fn is_refuted(&self) -> bool {
        self.result == Checked::Failed
    }

    /// In plain words, with what it means.
    pub fn words(&self) -> String {
        let domain = self.domain.as_deref().unwrap_or("its domain");
        let means = match self.by {
            Means::Openpgp => "an OpenPGP signature by the pinned certificate",
            Means::Dmarc => "DKIM and DMARC",
            Means::Dkim => "DKIM",
            Means::AuthenticationResults => "your own mail server",
            Means::None => "nothing",
        };
        let mut words = match (self.result, self.by) {
            (Checked::Passed, Means::Openpgp) => {
                "proven: signed with OpenPGP by the authority's pinned certificate".to_owned()
            }
            (Checked::Passed, _) => format!("the domain {domain} is proven by {means}; the person who wrote is not"),
            (Checked::Failed, Means::Openpgp) => "REFUTED: its OpenPGP signature is bad".to_owned(),
            (Checked::Failed, _) => {
                format!(
                    "REFUTED by {means}: it says it comes from {domain}, and it does not, or was changed on its way"
                )
            }
            (Checked::NotChecked, _) => format!("not checked: the sender's domain {domain} could not be verified now"),
            (Checked::Nothing, _) => "not proven: its From address alone proves nothing".to_owned(),
        };
        if let Some(note) = &self.note {
            words.push_str(&format!(" ({note})"));
        }
        words
    }
}
