//! How a notice is protected: by the authority's certificate, or by a rung of the ladder that a person chose.
//! Nothing here falls back by itself (design: invariant 1).

use crate::directory::certificate::{self, CertificateError, Usable};
use crate::directory::profile::{Layout, Profile, Seal};
use crate::dispatch::desk::certificate::wanted_address;
use crate::dispatch::desk::{CertificateTrouble, DeskError};
use crate::dispatch::office::Office;
use crate::message::key::OurKey;
use crate::message::mime::{self, Attachment, Content, Headers};
use crate::message::seal::{self, Reader, SealError};
use crate::message::template::labels::{Labels, fill};
use crate::message::token;
use crate::model::Time;
use crate::model::id::Reference;
use crate::model::notice::{Decision, Protection, Rung};
use crate::secret::Secret;
use crate::store::{Pin, Proposal};

/// How a notice will be protected.
pub enum Plan {
    /// Signed, and encrypted to the authority's certificate and to ourselves.
    Sealed { pin: Pin, to: Usable, layout: Layout },
    /// Encrypted with a fresh passphrase, told by telephone.
    Passphrase,
    /// A content-free mail only.
    Stub,
    /// Signed clear text, allowed by the profile with this source.
    SignedClear { source: String },
}

/// What may stand in clear beside or instead of the notice, in its language.
pub struct InClear {
    files: String,
    passphrase: String,
    stub_subject: String,
    stub: String,
}
impl InClear {
    /// `phone` is the number the authority may call.
    pub fn new(labels: &Labels, organisation: &str, reference: &Reference, phone: &str) -> Self {
        let values = [
            ("organisation", organisation),
            ("reference", reference.as_str()),
            ("phone", phone),
        ];
        let texts = &labels.in_clear;
        Self {
            files: fill(&texts.files, &values),
            passphrase: fill(&texts.passphrase, &values),
            stub_subject: fill(&texts.stub_subject, &values),
            stub: fill(&texts.stub, &values),
        }
    }
}

impl InClear {
    /// The cover text beside sealed files.
    pub fn beside_files(&self) -> &str {
        &self.files
    }
}

/// A finished mail and what is to be known of it.
pub struct Protected {
    pub mail: Vec<u8>,
    /// The plain content, exactly as it was protected.
    pub content: Vec<u8>,
    pub content_sha256: String,
    pub protection: Protection,
    pub passphrase: Option<Secret>,
}

/// Sealed files without a mail around them.
pub struct LooseFiles {
    pub files: Vec<Attachment>,
    /// What opens them, where no certificate does.
    pub passphrase: Option<Secret>,
}

/// What can be done for this authority now, with or without a person's decision to take a rung of the ladder.
///
/// # Errors
/// [`DeskError::Refused`] for a rung that the profile does not allow; the store fails. A certificate that cannot be used is
/// the inner error: the ladder is shown then.
pub async fn plan(
    office: &Office,
    profile: &Profile,
    decision: Option<&Decision>,
    now: Time,
) -> Result<Result<Plan, CertificateTrouble>, DeskError> {
    match decision.map(|decision| decision.rung) {
        Some(Rung::Passphrase) => Ok(Ok(Plan::Passphrase)),
        Some(Rung::Stub) => Ok(Ok(Plan::Stub)),
        Some(Rung::Tls) => match (&profile.seal, &profile.seal_source) {
            (Seal::WhenUsable | Seal::TlsOnly, Some(source)) => Ok(Ok(Plan::SignedClear { source: source.clone() })),
            _ => Err(DeskError::Refused(format!(
                "{} must be written to encrypted; clear text is allowed only where its profile says so with a source (`seal`, `seal_source`)",
                profile.id
            ))),
        },
        None | Some(Rung::Expired | Rung::Unverified) => {
            let rung = decision.map(|decision| decision.rung);
            let authority = || profile.name("en").to_owned();
            let pin = office.store.find_pin(&profile.id).await?;
            let trouble = match &pin {
                None => CertificateTrouble::Absent(authority()),
                Some(pin) => match sealed_to(profile, pin.clone(), rung == Some(Rung::Expired), now) {
                    Ok(plan) => return Ok(Ok(plan)),
                    Err(source) => CertificateTrouble::Unusable {
                        authority: authority(),
                        source,
                    },
                },
            };
            if rung != Some(Rung::Unverified) {
                return Ok(Err(trouble));
            }
            // A person's decision: the certificate that was fetched and that nobody has approved yet.
            let Some(proposal) = office.store.find_proposal(&profile.id).await? else {
                return Ok(Err(trouble));
            };
            let plan = sealed_to(profile, unverified(proposal, pin, now), false, now);
            Ok(plan.map_err(|source| CertificateTrouble::Unusable {
                authority: authority(),
                source,
            }))
        }
    }
}

/// A fetched certificate in the place of a pin: verified no better than the pin whose newer state it is, else not at all.
fn unverified(proposal: Proposal, pin: Option<Pin>, now: Time) -> Pin {
    let same = pin.filter(|pin| pin.fingerprint == proposal.fingerprint);
    let (verified, accepted_user_id) =
        same.map_or_else(|| ("none".to_owned(), None), |pin| (pin.verified, pin.accepted_user_id));
    Pin {
        verified,
        accepted_user_id,
        authority: proposal.authority,
        fingerprint: proposal.fingerprint,
        certificate: proposal.certificate,
        imported_by: Office::as_loop("certificates"),
        imported_at: now,
    }
}

fn sealed_to(profile: &Profile, pin: Pin, despite_expiry: bool, now: Time) -> Result<Plan, CertificateError> {
    let to = judge(profile, &pin, despite_expiry, now)?;
    Ok(Plan::Sealed {
        pin,
        to,
        layout: profile.layout,
    })
}

fn judge(profile: &Profile, pin: &Pin, despite_expiry: bool, now: Time) -> Result<Usable, CertificateError> {
    let address = wanted_address(profile, pin.accepted_user_id.as_ref());
    let cert = certificate::read_one(&pin.certificate)?;
    match despite_expiry {
        true => certificate::judge_despite_expiry(&cert, address, now),
        false => certificate::judge(&cert, address, now),
    }
}

impl Plan {
    /// Makes the mail and reads it back. Costs processor time: for a blocking thread.
    ///
    /// # Errors
    /// It cannot be made, or is not what it should be when read back; nothing may leave then.
    pub fn protect(
        &self,
        content: &Content,
        headers: &Headers,
        clear: &InClear,
        our: &OurKey,
        now: Time,
    ) -> Result<Protected, SealError> {
        match self {
            Plan::Sealed { pin, to, layout } => {
                let (recipient, signer) = (pin.fingerprint.clone(), our.fingerprint().to_owned());
                let verified = pin.verified.clone();
                let (sealed, protection) = match layout {
                    Layout::PgpMime => (
                        seal::seal(content, headers, our, to, now)?,
                        Protection::PgpMime {
                            recipient,
                            signer,
                            verified,
                        },
                    ),
                    Layout::EncryptedFiles => (
                        seal::seal_files(content, &clear.files, headers, our, to, now)?,
                        Protection::EncryptedFiles {
                            recipient,
                            signer,
                            verified,
                        },
                    ),
                };
                seal::self_check(&sealed, content, our, to)?;
                Ok(Protected::of(sealed, protection, None))
            }
            Plan::Passphrase => {
                let passphrase = seal::fresh_passphrase();
                let sealed = seal::seal_files(content, &clear.passphrase, headers, our, &passphrase, now)?;
                seal::self_check(&sealed, content, our, &passphrase)?;
                let protection = Protection::Passphrase {
                    signer: our.fingerprint().to_owned(),
                };
                Ok(Protected::of(sealed, protection, Some(passphrase)))
            }
            Plan::Stub => {
                let stub = Content {
                    subject: clear.stub_subject.clone(),
                    text: clear.stub.clone(),
                    html: None,
                    attachments: Vec::new(),
                    language: content.language.clone(),
                };
                let mail = mime::clear_mail(&stub, headers)?;
                Ok(Protected {
                    content_sha256: token::sha256_hex(stub.text.as_bytes()),
                    content: stub.text.into_bytes(),
                    mail,
                    protection: Protection::Stub,
                    passphrase: None,
                })
            }
            Plan::SignedClear { source } => {
                let signed = seal::signed_mail(content, headers, our, now)?;
                seal::check_signed(&signed, content, our)?;
                Ok(Protected {
                    mail: signed.mail,
                    content: signed.content,
                    content_sha256: signed.content_sha256,
                    protection: Protection::SignedClear {
                        signer: signed.signer_fingerprint,
                        source: source.clone(),
                    },
                    passphrase: None,
                })
            }
        }
    }

    /// The sealed files, for another way to hand them over. `None` for a plan that seals nothing.
    ///
    /// # Errors
    /// They cannot be made, or are not what they should be when read back.
    pub fn loose_files(&self, content: &Content, our: &OurKey, now: Time) -> Result<Option<LooseFiles>, SealError> {
        let passphrase = matches!(self, Plan::Passphrase).then(seal::fresh_passphrase);
        let reader: Reader<'_> = match (self, &passphrase) {
            (Plan::Sealed { to, .. }, _) => to.into(),
            (Plan::Passphrase, Some(passphrase)) => passphrase.into(),
            _ => return Ok(None),
        };
        let files = seal::sealed_files(content, our, reader, now)?;
        seal::check_files(&files, content, our, reader, now)?;
        Ok(Some(LooseFiles { files, passphrase }))
    }

    /// The cover text that belongs to the loose files.
    pub fn cover<'a>(&self, clear: &'a InClear) -> &'a str {
        match self {
            Plan::Passphrase => &clear.passphrase,
            _ => &clear.files,
        }
    }
}

impl Protected {
    fn of(sealed: seal::Sealed, protection: Protection, passphrase: Option<Secret>) -> Self {
        Self {
            mail: sealed.mail,
            content: sealed.content,
            content_sha256: sealed.content_sha256,
            protection,
            passphrase,
        }
    }
}
