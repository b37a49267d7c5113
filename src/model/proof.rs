//! What shows that something arrived, from strongest to weakest.

use serde::{Deserialize, Serialize};

use super::id::{Actor, MailId};

/// Why we believe that a message arrived or was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// A mail with a good OpenPGP signature by the pinned certificate (fingerprint, upper-case hex).
    Signed { by: String, mail: MailId },
    /// A mail that carries our reference or answers our Message-ID; its sender is not proven.
    Threaded { mail: MailId },
    /// A delivery status notification says `delivered` (RFC 3464 §2.3.3).
    DsnDelivered { mail: MailId },
    /// A person of ours says so, with or without a file as evidence (its SHA-256, lower-case hex).
    Attested { by: Actor, file_sha256: Option<String> },
}
