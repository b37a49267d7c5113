//! Certificates from the web: fetched, put beside the pinned one, and kept until a person decides. Only two things happen
//! by themselves: a newer state of the pinned certificate is taken where the profile's rule says so, and its revocation
//! counts at once.

use chrono::TimeDelta;
use serde::Serialize;

use super::{PinView, Verified, Vouched, hold_queued, ignore_conflict, take, wanted_address};
use crate::directory::certificate::{self, Cert, CertificateError, Compared, pretty_fingerprint};
use crate::directory::profile::{Profile, Updates, UrlKind};
use crate::dispatch::causes::chain;
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::mail::fetch::{FetchError, World, wkd};
use crate::model::Time;
use crate::model::delivery::HoldReason;
use crate::model::id::Actor;
use crate::store::{Look, Pin, Proposal, ProposalState};

/// How often the daemon looks for a newer state of each pinned certificate.
const LOOK_EVERY: TimeDelta = TimeDelta::weeks(1);
/// When it looks again after a look that failed.
const LOOK_AGAIN: TimeDelta = TimeDelta::days(1);
/// No look takes so long: by then, whoever claimed it has died.
const LOOK_MOST: TimeDelta = TimeDelta::hours(1);

/// What became of a fetched certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing that is not known already.
    Unchanged,
    /// It waits for a person.
    Waiting,
    /// A newer state of the pinned certificate, taken by the profile's rule.
    Updated,
    /// The pinned certificate is revoked: nothing more is sealed to it, and what waited to leave is held.
    Revoked,
    /// A person has refused the very same before.
    Refused,
}
impl Outcome {
    /// What it means, in plain words.
    pub fn meaning(self) -> &'static str {
        match self {
            Outcome::Unchanged => "nothing new: it is the pinned certificate as it is known",
            Outcome::Waiting => "it waits for your decision; nothing is sealed to it before",
            Outcome::Updated => "a newer state of the pinned certificate, signed by the same key: taken",
            Outcome::Revoked => {
                "the pinned certificate is REVOKED: nothing more is sealed to it, and what waited to leave is held"
            }
            Outcome::Refused => "the very same was refused before; nothing changed",
        }
    }
}

/// A fetched certificate beside the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchView {
    pub authority: String,
    /// The URL it came from.
    pub source: String,
    pub fetched_at: Time,
    pub outcome: Outcome,
    pub meaning: &'static str,
    /// Of the fetched one, upper-case hex.
    pub fingerprint: String,
    /// Whether it has the fingerprint that the profile says is published; `None` when the profile names none.
    pub as_published: Option<bool>,
    pub comparison: Vec<Compared>,
    /// Why the fetched one cannot be used now, or `None`.
    pub unusable: Option<String>,
    /// Where to have the fingerprint read out.
    pub phone: Option<String>,
}

/// What a person says who approves a fetched certificate.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    /// The whole fingerprint, as the authority read it out. Not needed for a newer state of the pinned certificate.
    pub fingerprint: Option<String>,
    pub verified: Option<Verified>,
    /// Why a certificate without the authority's address is right all the same.
    pub accepted_user_id: Option<String>,
    pub accept_expired: bool,
}

/// Fetches the certificate that an authority publishes, from the internet. See [`fetch_from`].
///
/// # Errors
/// As [`fetch_from`].
pub async fn fetch(office: &Office, authority: &str, from_wkd: bool, by: &Actor) -> Result<FetchView, DeskError> {
    fetch_from(&World::public(), office, authority, from_wkd, by).await
}

/// Fetches it from this world: from the profile's URL where that is the key itself, else (or when asked to) from the Web
/// Key Directory of the breach address. What is new is kept for a person to approve, or taken by the profile's rule.
///
/// # Errors
/// Unknown authority; a URL that is only a page ([`DeskError::Refused`] with the page to open); nothing can be fetched
/// ([`DeskError::Fetch`]); what came is no certificate that could ever be used ([`DeskError::Fetched`]).
pub async fn fetch_from(
    world: &World,
    office: &Office,
    authority: &str,
    from_wkd: bool,
    by: &Actor,
) -> Result<FetchView, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let pin = office.store.find_pin(&profile.id).await?;
    let place = Place::of(&profile, from_wkd)?;
    let (url, bytes) = place.get(world).await.map_err(|source| DeskError::Fetch {
        authority: profile.id.clone(),
        source,
    })?;
    let refused = |source| DeskError::Fetched {
        url: url.clone(),
        source,
    };
    let pinned = pin.as_ref().map(|pin| pin.fingerprint.as_str());
    let cert = match &place {
        Place::Url { .. } => certificate::read_one(&bytes),
        Place::Wkd { address } => certificate::read_for(&bytes, address, pinned, office.now()),
    };
    let cert = cert.map_err(refused)?;
    let before = pin
        .as_ref()
        .and_then(|pin| certificate::read_one(&pin.certificate).ok());
    let known = before.clone().filter(|known| known.fingerprint() == cert.fingerprint());
    let (cert, outcome) = match (pin, known) {
        (Some(pin), Some(known)) => {
            let merged = certificate::merge(known.clone(), cert).map_err(refused)?;
            let outcome = newer_state(office, &profile, pin, &known, &merged, &url, by).await?;
            (merged, outcome)
        }
        _ => {
            // That it may not name the address is for a person to judge; the rest makes it useless.
            certificate::judge(&cert, None, office.now()).map_err(refused)?;
            let kept = propose(office, &profile, &cert, &url, by).await?;
            (cert, outcome_of(kept.state))
        }
    };
    Ok(view(
        office,
        &profile,
        before.as_ref(),
        &cert,
        url,
        office.now(),
        outcome,
    ))
}

/// Where an authority's certificate is to be found.
enum Place {
    Url { url: String, hosts: Vec<String> },
    Wkd { address: String },
}

impl Place {
    fn of(profile: &Profile, from_wkd: bool) -> Result<Self, DeskError> {
        let id = &profile.id;
        let published = profile.openpgp.as_ref().filter(|_| !from_wkd);
        let by_hand = "breachpost authority cert import";
        match published.and_then(|key| Some((key, key.url.clone()?))) {
            Some((key, url)) if key.url_kind == Some(UrlKind::Key) => {
                return Ok(Place::Url {
                    url,
                    hosts: key.redirect_hosts.clone(),
                });
            }
            Some((_, page)) => {
                return Err(DeskError::Refused(format!(
                    "{id} offers its key on a page, which a person must open: {page}; save the key file and import it: \
                     {by_hand} {id} FILE --fingerprint FPR --verified phone; \
                     or look in the key directory of its mail server: breachpost authority cert fetch {id} --wkd"
                )));
            }
            None => {}
        }
        match profile.breach_email() {
            Some(email) => Ok(Place::Wkd {
                address: email.value.clone(),
            }),
            None => Err(DeskError::Refused(format!(
                "the profile of {id} names neither a key nor an e-mail address to look for; ask them for their key and import it: \
                 {by_hand} {id} FILE --fingerprint FPR --verified phone"
            ))),
        }
    }

    /// Whether the daemon, which opens no pages, has only the key directory to ask.
    fn is_guess(profile: &Profile) -> bool {
        let key = profile.openpgp.as_ref();
        !key.is_some_and(|key| key.url_kind == Some(UrlKind::Key))
    }

    /// The bytes, and where they came from in the end.
    async fn get(&self, world: &World) -> Result<(String, Vec<u8>), FetchError> {
        match self {
            Place::Url { url, hosts } => Ok((url.clone(), world.fetch(url, hosts).await?)),
            Place::Wkd { address } => {
                let urls = wkd(address).ok_or_else(|| FetchError::Url {
                    url: address.clone(),
                    why: "it is no e-mail address",
                })?;
                match world.fetch(&urls.advanced, &[]).await {
                    // draft-koch-openpgp-webkey-service §3.1: only then the other one.
                    Err(FetchError::NoAddress { .. }) => {
                        let bytes = world.fetch(&urls.direct, &[]).await?;
                        Ok((urls.direct, bytes))
                    }
                    fetched => Ok((urls.advanced, fetched?)),
                }
            }
        }
    }
}

/// What is new about the pinned certificate: a revocation counts at once, the rest by the profile's rule.
async fn newer_state(
    office: &Office,
    profile: &Profile,
    pin: Pin,
    known: &Cert,
    merged: &Cert,
    url: &str,
    by: &Actor,
) -> Result<Outcome, DeskError> {
    let now = office.now();
    let is_revoked = |cert| {
        matches!(
            certificate::judge(cert, None, now),
            Err(CertificateError::Revoked { .. })
        )
    };
    if certificate::describe(known, now) == certificate::describe(merged, now) || is_revoked(known) {
        return Ok(Outcome::Unchanged);
    }
    let proposal = propose(office, profile, merged, url, by).await?;
    if proposal.state != ProposalState::Waiting {
        return Ok(outcome_of(proposal.state));
    }
    let revoked = is_revoked(merged);
    let address = wanted_address(profile, pin.accepted_user_id.as_ref());
    let usable = certificate::judge(merged, address, now).is_ok();
    let taken = revoked || (usable && by_rule(profile, &pin));
    if !taken {
        return Ok(Outcome::Waiting);
    }
    let fingerprint = pin.fingerprint.clone();
    let newer = Pin {
        certificate: proposal.certificate.clone(),
        ..pin
    };
    let automatic = ProposalState::Automatic;
    ignore_conflict(
        office
            .store
            .decide(&proposal, automatic, Some(newer), None, by, now)
            .await,
    )?;
    if !revoked {
        return Ok(Outcome::Updated);
    }
    hold_queued(office, &profile.id, |to| to == fingerprint, &HoldReason::Revoked, by).await?;
    Ok(Outcome::Revoked)
}

/// Whether a newer state of this pin is taken without asking (`openpgp.accept_updates`).
fn by_rule(profile: &Profile, pin: &Pin) -> bool {
    let rule = profile
        .openpgp
        .as_ref()
        .map_or(Updates::default(), |key| key.accept_updates);
    let verified = matches!(Verified::named(&pin.verified), Verified::Phone | Verified::TwoSources);
    rule == Updates::Verified && verified
}

async fn propose(
    office: &Office,
    profile: &Profile,
    cert: &Cert,
    url: &str,
    by: &Actor,
) -> Result<Proposal, DeskError> {
    let now = office.now();
    let fetched = Proposal {
        authority: profile.id.clone(),
        fingerprint: cert.fingerprint().to_hex(),
        certificate: certificate::to_bytes(cert),
        source: url.to_owned(),
        fetched_at: now,
        state: ProposalState::Waiting,
        decided_by: None,
        decided_at: None,
        reason: None,
    };
    Ok(office.store.propose(fetched, by, now).await?)
}

fn outcome_of(state: ProposalState) -> Outcome {
    match state {
        ProposalState::Refused => Outcome::Refused,
        _ => Outcome::Waiting,
    }
}

fn view(
    office: &Office,
    profile: &Profile,
    pinned: Option<&Cert>,
    cert: &Cert,
    source: String,
    fetched_at: Time,
    outcome: Outcome,
) -> FetchView {
    let now = office.now();
    let facts = certificate::describe(cert, now);
    let pinned = pinned.map(|pinned| certificate::describe(pinned, now));
    let published = profile.openpgp.as_ref().and_then(|key| key.fingerprint());
    FetchView {
        authority: profile.id.clone(),
        as_published: published.map(|published| published == facts.fingerprint),
        comparison: certificate::compare(pinned.as_ref(), &facts),
        unusable: certificate::judge(cert, wanted_address(profile, None), now)
            .err()
            .map(|error| error.to_string()),
        fingerprint: facts.fingerprint,
        meaning: outcome.meaning(),
        phone: profile.phone().map(|phone| phone.value.clone()),
        source,
        fetched_at,
        outcome,
    }
}

/// What waits for a decision, beside what is pinned.
///
/// # Errors
/// Unknown authority, or the store fails.
pub async fn waiting(office: &Office, authority: &str) -> Result<Option<FetchView>, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let Some(proposal) = office.store.find_proposal(&profile.id).await? else {
        return Ok(None);
    };
    let pin = office.store.find_pin(&profile.id).await?;
    let pinned = pin.and_then(|pin| certificate::read_one(&pin.certificate).ok());
    let cert = certificate::read_one(&proposal.certificate).map_err(DeskError::Certificate)?;
    let (source, at) = (proposal.source, proposal.fetched_at);
    Ok(Some(view(
        office,
        &profile,
        pinned.as_ref(),
        &cert,
        source,
        at,
        Outcome::Waiting,
    )))
}

/// When the daemon last looked for the authority's certificate, and what came of it.
///
/// # Errors
/// The store fails.
pub async fn last_look(office: &Office, authority: &str) -> Result<Option<Look>, DeskError> {
    Ok(office.store.last_look(authority).await?)
}

/// Makes the fetched certificate that waits the pin: a person's decision, made with the fingerprint in hand.
///
/// # Errors
/// Nothing waits; no fingerprint was given for a certificate that is not pinned yet; another fingerprint than the one
/// given; a certificate that cannot be used, as for an import.
pub async fn approve(office: &Office, authority: &str, approval: Approval, by: &Actor) -> Result<PinView, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let proposal = find_waiting(office, &profile).await?;
    let pin = office.store.find_pin(&profile.id).await?;
    let same = pin.filter(|pin| pin.fingerprint == proposal.fingerprint);
    let Some(fingerprint) = approval
        .fingerprint
        .or_else(|| same.as_ref().map(|pin| pin.fingerprint.clone()))
    else {
        let phone = profile
            .phone()
            .map_or_else(String::new, |phone| format!(" ({})", phone.value));
        return Err(DeskError::Refused(format!(
            "have the fingerprint read out by telephone{phone}, and give it: breachpost authority cert approve {authority} \
             --fingerprint FPR --verified phone"
        )));
    };
    let vouched = Vouched {
        fingerprint,
        verified: match (approval.verified, &same) {
            (Some(verified), _) => verified,
            (None, Some(pin)) => Verified::named(&pin.verified),
            (None, None) => Verified::None,
        },
        accepted_user_id: approval.accepted_user_id.or_else(|| same?.accepted_user_id),
        accept_expired: approval.accept_expired,
    };
    let cert = certificate::read_one(&proposal.certificate).map_err(DeskError::Certificate)?;
    take(office, &profile, cert, vouched, Some(&proposal), by).await
}

/// Refuses the fetched certificate that waits; the very same is not proposed again.
///
/// # Errors
/// Unknown authority, nothing waits, or the store fails.
pub async fn refuse(office: &Office, authority: &str, reason: &str, by: &Actor) -> Result<Proposal, DeskError> {
    let profile = office.directory.find(authority).map_err(DeskError::Authority)?;
    let proposal = find_waiting(office, &profile).await?;
    let (state, reason) = (ProposalState::Refused, reason.to_owned());
    let (now, kept) = (office.now(), Some(reason.clone()));
    office.store.decide(&proposal, state, None, kept, by, now).await?;
    Ok(Proposal {
        state,
        reason: Some(reason),
        decided_by: Some(by.clone()),
        decided_at: Some(now),
        ..proposal
    })
}

async fn find_waiting(office: &Office, profile: &Profile) -> Result<Proposal, DeskError> {
    office.store.find_proposal(&profile.id).await?.ok_or_else(|| {
        DeskError::Refused(format!(
            "no fetched certificate of {0} waits for a decision; fetch one: breachpost authority cert fetch {0}",
            profile.id
        ))
    })
}

/// The daemon's weekly look for newer states of the pinned certificates, on the internet. See [`refetch_from`].
///
/// # Errors
/// The store fails.
pub async fn refetch(office: &Office, by: &Actor) -> Result<usize, DeskError> {
    refetch_from(&World::public(), office, by).await
}

/// Looks for every pinned certificate that is due; of several processes, one does. What cannot be fetched is recorded,
/// logged and tried again the next day. Returns how many were looked for.
///
/// # Errors
/// The store fails.
pub async fn refetch_from(world: &World, office: &Office, by: &Actor) -> Result<usize, DeskError> {
    let mut looked = 0;
    for pin in office.store.list_pins().await? {
        let now = office.now();
        // Whoever has just imported it knows how it is.
        if now - pin.imported_at < LOOK_EVERY {
            continue;
        }
        let Ok(profile) = office.directory.find(&pin.authority) else {
            continue;
        };
        let id = &profile.id;
        if !office.store.claim_look(id, now, now + LOOK_MOST).await? {
            continue;
        }
        let guess = Place::is_guess(&profile);
        let (result, again) = match fetch_from(world, office, id, guess, by).await {
            Ok(found) => {
                match found.outcome {
                    Outcome::Unchanged | Outcome::Refused => {}
                    Outcome::Updated => tracing::info!("the certificate of {id}: {}", found.meaning),
                    Outcome::Waiting | Outcome::Revoked => {
                        let fingerprint = pretty_fingerprint(&found.fingerprint);
                        tracing::warn!("a certificate was fetched for {id}, {fingerprint}: {}", found.meaning);
                    }
                }
                (found.meaning.to_owned(), LOOK_EVERY)
            }
            Err(DeskError::Office(error)) => return Err(error.into()),
            // Nobody has said that there is a key directory.
            Err(DeskError::Fetch { .. } | DeskError::Refused(_)) if guess => {
                ("no key directory".to_owned(), LOOK_EVERY)
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), chain);
                tracing::warn!("the certificate of {id} could not be looked for: {why}");
                (why, LOOK_AGAIN)
            }
        };
        let next = office.now() + again;
        let at = now;
        office.store.looked(id, Look { at, next, result }).await?;
        looked += 1;
    }
    Ok(looked)
}
