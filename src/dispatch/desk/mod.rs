//! Every verb an operator or client may use: one verb, one transaction. Knows nothing of terminals or HTTP.

pub mod alert;
pub mod breach;
pub mod campaign;
pub mod certificate;
pub mod conversation;
pub mod ladder;
pub mod notice;
pub mod overview;
pub mod people;

use crate::directory::DirectoryError;
use crate::directory::certificate::CertificateError;
use crate::mail::fetch::FetchError;
use crate::message::seal::SealError;
use crate::model::breach::Gap;
use crate::model::id::{AlertId, BreachId, CampaignId, DeliveryId, MailId, Reference};
use crate::reading::ReadError;
use crate::store::StoreError;

use super::office::OfficeError;
use ladder::Ladder;

/// Why a verb was not carried out. Nothing has changed then, unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the breach record cannot be used")]
    Record(#[from] ReadError),
    #[error("there is no breach {0} in the register")]
    NoBreach(BreachId),
    #[error("there is no notice {0}")]
    NoNotice(Reference),
    #[error("there is no mail {0}")]
    NoMail(MailId),
    #[error("there is no delivery {0}")]
    NoDelivery(DeliveryId),
    #[error("there is no alert {0}")]
    NoAlert(AlertId),
    #[error("there is no campaign {0}")]
    NoCampaign(CampaignId),
    /// A person must do something first; the command says what.
    #[error("{why}")]
    First { why: String, command: String },
    #[error("cannot tell which authority is meant")]
    Authority(#[source] DirectoryError),
    #[error("a notice cannot be sent without: {}", list(.gaps))]
    Blocked { breach: BreachId, gaps: Vec<Gap> },
    #[error("{authority} takes no breach notices by e-mail")]
    NoEmail { authority: String, ladder: Box<Ladder> },
    /// The draft is kept under this reference.
    #[error("the notice {reference} cannot be sealed, so it was not sent; it is kept as a draft")]
    NoCertificate {
        reference: Reference,
        #[source]
        why: Box<CertificateTrouble>,
        ladder: Box<Ladder>,
    },
    #[error(
        "the notice is too large: {size} bytes where {limit} are allowed ({whose}); leave attachments out or send them by another channel"
    )]
    TooLarge { size: u64, limit: u64, whose: String },
    #[error("the notice could not be sealed")]
    Seal(#[from] SealError),
    #[error("the certificate was not imported")]
    Certificate(#[source] CertificateError),
    #[error("no certificate was fetched for {authority}")]
    Fetch {
        authority: String,
        #[source]
        source: FetchError,
    },
    #[error("what {url} sent was not taken")]
    Fetched {
        url: String,
        #[source]
        source: CertificateError,
    },
    #[error("{0}")]
    Refused(String),
}

/// Why an authority's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateTrouble {
    #[error("no certificate of {0} was imported yet")]
    Absent(String),
    #[error("the certificate of {authority} cannot be used")]
    Unusable {
        authority: String,
        #[source]
        source: CertificateError,
    },
}

impl CertificateTrouble {
    /// Whether an expired certificate is all that is wrong.
    pub fn is_expired(&self) -> bool {
        matches!(
            self,
            CertificateTrouble::Unusable {
                source: CertificateError::Expired { .. },
                ..
            }
        )
    }
}

impl From<StoreError> for DeskError {
    fn from(source: StoreError) -> Self {
        OfficeError::from(source).into()
    }
}

impl DeskError {
    /// Whether a person must decide or supply something, rather than our side having failed.
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            DeskError::Blocked { .. }
                | DeskError::NoEmail { .. }
                | DeskError::NoCertificate { .. }
                | DeskError::TooLarge { .. }
                | DeskError::Certificate(_)
                | DeskError::Fetch { .. }
                | DeskError::Fetched { .. }
                | DeskError::Refused(_)
                | DeskError::First { .. }
        )
    }

    /// Whether what was asked does not exist or cannot be read.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            DeskError::Record(_)
                | DeskError::NoBreach(_)
                | DeskError::NoNotice(_)
                | DeskError::NoMail(_)
                | DeskError::NoDelivery(_)
                | DeskError::NoAlert(_)
                | DeskError::NoCampaign(_)
                | DeskError::Authority(_)
        )
    }

    /// What can be done now, where there is a way through.
    pub fn ladder(&self) -> Option<&Ladder> {
        match self {
            DeskError::NoEmail { ladder, .. } | DeskError::NoCertificate { ladder, .. } => Some(ladder),
            _ => None,
        }
    }
}

fn list(gaps: &[Gap]) -> String {
    gaps.iter()
        .map(|gap| format!("{} ({})", gap.text, gap.article))
        .collect::<Vec<_>>()
        .join("; ")
}
