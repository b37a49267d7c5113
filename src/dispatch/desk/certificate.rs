//! Certificates of authorities: imported by a person who has checked the fingerprint, never by ourselves.

use serde::Serialize;

use crate::directory::certificate::{self, CertificateError, CertificateFacts};
use crate::directory::profile::Profile;
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::Actor;
use crate::store::{Pin, StoreError};

use super::DeskError;
use crate::dispatch::office::Office;

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
    let now = office.now();
    let cert = certificate::read_one(file).map_err(DeskError::Certificate)?;
    certificate::check_fingerprint(&cert, &vouched.fingerprint).map_err(DeskError::Certificate)?;
    let pin = Pin {
        authority: profile.id.clone(),
        fingerprint: certificate::describe(&cert, now).fingerprint,
        certificate: file.to_vec(),
        verified: vouched.verified.name().to_owned(),
        accepted_user_id: vouched.accepted_user_id,
        imported_by: by.clone(),
        imported_at: now,
    };
    let before = office.store.find_pin(&profile.id).await?;
    let wanted = wanted_address(&profile, pin.accepted_user_id.as_ref());
    let judged = match vouched.accept_expired {
        true => certificate::judge_despite_expiry(&cert, wanted, now),
        false => certificate::judge(&cert, wanted, now),
    };
    match (judged, before) {
        (Ok(_), before) => {
            office.store.pin(pin.clone(), now).await?;
            if before.is_some_and(|before| before.fingerprint != pin.fingerprint) {
                hold_queued(office, &profile.id, &HoldReason::PinChanged, by).await?;
            }
            view(&profile, pin, now)
        }
        (Err(error @ CertificateError::Revoked { .. }), Some(before)) if before.fingerprint == pin.fingerprint => {
            office.store.pin(pin, now).await?;
            hold_queued(office, &profile.id, &HoldReason::Revoked, by).await?;
            Err(DeskError::Certificate(error))
        }
        (Err(error), _) => Err(DeskError::Certificate(error)),
    }
}

/// Holds what is sealed to the earlier certificate and has not left (design: only a revocation or a changed pin does).
async fn hold_queued(office: &Office, authority: &str, why: &HoldReason, by: &Actor) -> Result<(), DeskError> {
    for notice in office.store.list_notices(None).await? {
        let Some(delivery) = notice.delivery.filter(|_| notice.authority == authority) else {
            continue;
        };
        match office.store.hold(delivery, why.clone(), by, office.now()).await {
            // What has left, is on the wire or is held already stays as it is.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
