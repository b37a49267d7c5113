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
