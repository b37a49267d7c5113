//! Persons who act under their own name: added with a token, told from each other by it.

use sha2::{Digest, Sha256};

use super::DeskError;
use crate::dispatch::office::Office;
use crate::message::token::hex;
use crate::model::campaign::CampaignState;
use crate::model::id::Actor;
use crate::secret::Secret;
use crate::store::{StoredCampaign, User};

/// What a token begins with, so that it is recognised where it should not be.
const PREFIX: &str = "bpt_";
/// Longest name.
const MOST_NAME_CHARS: usize = 64;

/// Adds a person. The token is shown once; only its digest is kept.
///
/// # Errors
/// [`DeskError::Refused`] for a name that cannot be one or is taken, or when a named user asks.
pub async fn add(office: &Office, name: &str, by: &Actor) -> Result<Secret, DeskError> {
    only_the_account(by)?;
    let fits = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.chars().count() > MOST_NAME_CHARS || !name.chars().all(fits) {
        return Err(DeskError::Refused(format!(
            "a user's name has 1 to {MOST_NAME_CHARS} letters, digits and . _ - @"
        )));
    }
    if list(office).await?.iter().any(|user| user.name == name) {
        return Err(DeskError::Refused(format!(
            "there is a user {name} already; for a new token: breachpost token renew {name}"
        )));
    }
    let token = fresh_token();
    office.store.add_user(name, &digest(&token), by, office.now()).await?;
    Ok(token)
}

/// Gives a person a new token; the old one opens nothing any more.
///
/// # Errors
/// No such user, or a named user asks.
pub async fn renew(office: &Office, name: &str, by: &Actor) -> Result<Secret, DeskError> {
    only_the_account(by)?;
    let token = fresh_token();
    office
        .store
        .renew_token(name, &digest(&token), by, office.now())
        .await?;
    Ok(token)
}

/// From now on the person's token opens nothing, and what they agreed to needs somebody else. What they did stays on
/// record. Returns the campaigns that they agreed to and that are not over.
///
/// # Errors
/// No such user, or a named user asks.
pub async fn disable(office: &Office, name: &str, by: &Actor) -> Result<Vec<StoredCampaign>, DeskError> {
    only_the_account(by)?;
    office.store.disable_user(name, by, office.now()).await?;
    let mut affected = Vec::new();
    for campaign in office.store.list_campaigns().await? {
        use CampaignState as S;
        if matches!(campaign.state, S::Settling { .. } | S::Finished | S::Cancelled) {
            continue;
        }
        let given = office.store.list_approvals(&campaign.id.to_string()).await?;
        if given
            .iter()
            .any(|given| matches!(&given.by, Actor::User(user) if user == name))
        {
            affected.push(campaign);
        }
    }
    Ok(affected)
}

/// Everybody who has or had a token, by name.
///
/// # Errors
/// The store fails.
pub async fn list(office: &Office) -> Result<Vec<User>, DeskError> {
    Ok(office.store.list_users().await?)
}

/// Whose token this is.
///
/// # Errors
/// [`DeskError::Refused`] when it is nobody's or its user was disabled.
pub async fn identify(office: &Office, token: &Secret) -> Result<Actor, DeskError> {
    match office.store.find_user_by_token(&digest(token)).await? {
        Some(user) if user.disabled_at.is_none() => Ok(Actor::User(user.name)),
        Some(user) => Err(DeskError::Refused(format!("the user {} was disabled", user.name))),
        None => Err(DeskError::Refused(
            "the token given is nobody's: it was renewed, or belongs to another installation".to_owned(),
        )),
    }
}

/// Who may open the home may say who is who; a token alone may not make others.
fn only_the_account(by: &Actor) -> Result<(), DeskError> {
    match by {
        Actor::Os(_) => Ok(()),
        by => Err(DeskError::Refused(format!(
            "{by} cannot change users; run it without a token, under the account that owns the home"
        ))),
    }
}

fn fresh_token() -> Secret {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).expect("the operating system gives random bytes");
    Secret::new(format!("{PREFIX}{}", hex(&*bytes)))
}

fn digest(token: &Secret) -> String {
    hex(&Sha256::digest(token.expose().trim().as_bytes()))
}
