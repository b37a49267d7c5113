//! Certificates of authorities: imported or approved by a person who has checked the fingerprint, never by ourselves.

mod fetched;

use serde::Serialize;

use crate::directory::certificate::{self, Cert, CertificateError, CertificateFacts};
use crate::directory::profile::Profile;
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::Actor;
use crate::model::notice::{Notice, Protection};
use crate::store::{Pin, Proposal, ProposalState, StoreError};

use super::DeskError;
use crate::dispatch::office::Office;

pub use fetched::{
    Approval, FetchView, Outcome, approve, fetch, fetch_from, last_look, refetch, refetch_from, refuse, waiting,
};

/// How the fingerprint was verified, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// Read back over a telephone number that did not come with the certificate.
    Phone,
    /// The same in two independent sources.
    TwoSources,
    /// Seen on the authority's web site only.
    Website,
    /// Not verified.
    None,
}
impl Verified {
    pub const ALL: [Verified; 4] = [Verified::Phone, Verified::TwoSources, Verified::Website, Verified::None];

    /// As it is stored.
    fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|verified| verified.name() == name);
        found.unwrap_or(Verified::None)
    }
    pub fn name(self) -> &'static str {
        match self {
            Verified::Phone => "phone",
            Verified::TwoSources => "two-sources",
            Verified::Website => "website",
            Verified::None => "none",
        }
    }
}

/// A pinned certificate with what is known of it now.
#[derive(Debug, Clone, Serialize)]
pub struct PinView {
    pub authority: String,
    pub fingerprint: String,
    pub verified: String,
    /// Why a certificate without the authority's address was accepted all the same.
    pub accepted_user_id: Option<String>,
    pub imported_by: Actor,
    pub imported_at: Time,
    #[serde(flatten)]
    pub facts: CertificateFacts,
    /// Why it cannot be used now, or `None`.
    pub unusable: Option<String>,
}

/// What a person says about the certificate they import.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The whole fingerprint, from another source than the file.
    pub fingerprint: String,
    pub verified: Verified,
    /// Why a certificate without the authority's address is right all the same.
    pub accepted_user_id: Option<String>,
    /// Keep an expired one: unusable but by `--override expired`.
    pub accept_expired: bool,
}

/// Pins a certificate for an authority. What was sealed to another one and has not left is held for a person.
///
/// # Errors
/// Unknown authority; a file that is not one public certificate; another fingerprint than the one given; a
/// certificate that could not be used (expired, revoked, weak, not for this address…). One that revokes the pin replaces
/// it all the same, so that nothing more is sealed to it, and holds what has not left.
pub async fn import(
    office: &Office,
    authority: &str,
    file: &[u8],
    vouched: Vouched,
    by: &Actor,
) -> Result<PinView, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let cert = certificate::read_one(file).map_err(DeskError::Certificate)?;
    let view = take(office, &profile, cert, vouched, None, by).await?;
    // The same certificate by another way: nothing is left to decide.
    if let Some(waiting) = office.store.find_proposal(&profile.id).await?
        && waiting.fingerprint == view.fingerprint
    {
        let approved = ProposalState::Approved;
        ignore_conflict(
            office
                .store
                .decide(&waiting, approved, None, None, by, office.now())
                .await,
        )?;
    }
    Ok(view)
}

/// Makes a certificate that a person has vouched for the pin; with it ends the proposal that it was.
async fn take(
    office: &Office,
    profile: &Profile,
    cert: Cert,
    vouched: Vouched,
    proposal: Option<&Proposal>,
    by: &Actor,
) -> Result<PinView, DeskError> {
    let now = office.now();
    certificate::check_fingerprint(&cert, &vouched.fingerprint).map_err(DeskError::Certificate)?;
    let before = office.store.find_pin(&profile.id).await?;
    let fingerprint = certificate::describe(&cert, now).fingerprint;
    let known = before.as_ref().filter(|before| before.fingerprint == fingerprint);
    let cert = match known.and_then(|known| certificate::read_one(&known.certificate).ok()) {
        // What was known of it stays known, a revocation above all: an older copy does not undo it.
        Some(known) => certificate::merge(known, cert).map_err(DeskError::Certificate)?,
        None => cert,
    };
    let pin = Pin {
        authority: profile.id.clone(),
        fingerprint,
        certificate: certificate::to_bytes(&cert),
        verified: vouched.verified.name().to_owned(),
        accepted_user_id: vouched.accepted_user_id,
        imported_by: by.clone(),
        imported_at: now,
    };
    let wanted = wanted_address(profile, pin.accepted_user_id.as_ref());
    let judged = match vouched.accept_expired {
        true => certificate::judge_despite_expiry(&cert, wanted, now),
        false => certificate::judge(&cert, wanted, now),
    };
    match judged {
        Ok(_) => {
            match proposal {
                Some(proposal) => {
                    let approved = ProposalState::Approved;
                    office
                        .store
                        .decide(proposal, approved, Some(pin.clone()), None, by, now)
                        .await?;
                }
                None => office.store.pin(pin.clone(), now).await?,
            }
            let others = |recipient: &str| recipient != pin.fingerprint;
            hold_queued(office, &profile.id, others, &HoldReason::PinChanged, by).await?;
            view(profile, pin, now)
        }
        Err(error @ CertificateError::Revoked { .. }) if known.is_some() => {
            let revoked = pin.fingerprint.clone();
            office.store.pin(pin, now).await?;
            hold_queued(
                office,
                &profile.id,
                |recipient| recipient == revoked,
                &HoldReason::Revoked,
                by,
            )
            .await?;
            Err(DeskError::Certificate(error))
        }
        Err(error) => Err(DeskError::Certificate(error)),
    }
}

/// Holds what is sealed to such a certificate and has not left (design: only a revocation or a changed pin does).
async fn hold_queued(
    office: &Office,
    authority: &str,
    concerns: impl Fn(&str) -> bool,
    why: &HoldReason,
    by: &Actor,
) -> Result<(), DeskError> {
    for notice in office.store.list_notices(None).await? {
        let concerned = notice.authority == authority && sealed_to(&notice).is_some_and(&concerns);
        let Some(delivery) = notice.delivery.filter(|_| concerned) else {
            continue;
        };
        // What has left, is on the wire or is held already stays as it is.
        ignore_conflict(office.store.hold(delivery, why.clone(), by, office.now()).await)?;
    }
    Ok(())
}

/// The certificate a notice is encrypted to; none for a passphrase or a stub.
fn sealed_to(notice: &Notice) -> Option<&str> {
    match notice.protection.as_ref()? {
        Protection::PgpMime { recipient, .. } | Protection::EncryptedFiles { recipient, .. } => Some(recipient),
        _ => None,
    }
}

/// Somebody else was quicker, which is as good.
fn ignore_conflict(done: Result<(), StoreError>) -> Result<(), DeskError> {
    match done {
        Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The authority's pinned certificate, if there is one.
///
/// # Errors
/// Unknown authority, or the store fails.
pub async fn show(office: &Office, authority: &str) -> Result<Option<PinView>, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    match office.store.find_pin(&profile.id).await? {
        Some(pin) => view(&profile, pin, office.now()).map(Some),
        None => Ok(None),
    }
}

fn view(profile: &Profile, pin: Pin, now: Time) -> Result<PinView, DeskError> {
    let cert = certificate::read_one(&pin.certificate).map_err(DeskError::Certificate)?;
    let address = wanted_address(profile, pin.accepted_user_id.as_ref());
    Ok(PinView {
        unusable: certificate::judge(&cert, address, now)
            .err()
            .map(|error| error.to_string()),
        facts: certificate::describe(&cert, now),
        authority: pin.authority,
        fingerprint: pin.fingerprint,
        verified: pin.verified,
        accepted_user_id: pin.accepted_user_id,
        imported_by: pin.imported_by,
        imported_at: pin.imported_at,
    })
}

/// The address the certificate must name: the breach address, unless a person accepted another one.
pub fn wanted_address<'a>(profile: &'a Profile, accepted: Option<&String>) -> Option<&'a str> {
    profile
        .breach_email()
        .map(|channel| channel.value.as_str())
        .filter(|_| accepted.is_none())
}
