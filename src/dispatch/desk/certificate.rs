//! Certificates of authorities: imported by a person who has checked the fingerprint, never by ourselves.

use serde::Serialize;

use crate::directory::certificate::{self, CertificateFacts};
use crate::directory::profile::Profile;
use crate::model::Time;
use crate::model::id::Actor;
use crate::store::Pin;

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

/// Pins a certificate for an authority.
///
/// # Errors
/// Unknown authority; a file that is not one public certificate; another fingerprint than the one given; a
/// certificate that could not be used (expired, revoked, weak, not for this address…).
pub async fn import(
    office: &Office,
    authority: &str,
    file: &[u8],
    fingerprint: &str,
    verified: Verified,
    accepted_user_id: Option<String>,
    by: &Actor,
) -> Result<PinView, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let now = office.now();
    let cert = certificate::read_one(file).map_err(DeskError::Certificate)?;
    certificate::check_fingerprint(&cert, fingerprint).map_err(DeskError::Certificate)?;
    certificate::judge(&cert, wanted_address(&profile, accepted_user_id.as_ref()), now)
        .map_err(DeskError::Certificate)?;
    let pin = Pin {
        authority: profile.id.clone(),
        fingerprint: certificate::describe(&cert, now).fingerprint,
        certificate: file.to_vec(),
        verified: verified.name().to_owned(),
        accepted_user_id,
        imported_by: by.clone(),
        imported_at: now,
    };
    office.store.pin(pin.clone(), now).await?;
    view(&profile, pin, now)
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
