//! Persons whose message could not be written: the others are told meanwhile, and a person decides about these.

use serde::Serialize;

use super::{get, refused};
use crate::config::Encrypt;
use crate::dispatch::campaign::{CERTIFICATE_ENDED, keys};
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::model::id::{Actor, CampaignId};
use crate::store::{HeldChoice, HeldPerson};

/// Persons read from the store at a time.
const PAGE: u32 = 1_000;
/// Persons that are listed; more have the same few reasons.
const MOST: usize = 1_000;

/// Who is held.
#[derive(Debug, Clone, Serialize)]
pub struct HeldList {
    pub id: CampaignId,
    pub held: u64,
    /// The first thousand.
    pub persons: Vec<Held>,
}
/// One of them. `person` names them to `campaign record`, as in the export of `campaign unreached`.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    pub person: String,
    pub address: String,
    pub why: String,
}

/// Whose message could not be written, and why.
///
/// # Errors
/// No such campaign, or the store fails.
pub async fn held(office: &Office, id: CampaignId) -> Result<HeldList, DeskError> {
    get(office, id).await?;
    let mut persons = Vec::new();
    let mut after = None;
    while persons.len() < MOST {
        let page = office.store.list_held(id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.delivery);
        for HeldPerson { delivery, why } in page {
            let person = office.store.person_of(delivery).await?;
            persons.push(Held {
                person: delivery.to_string(),
                address: person.map(|person| person.address).unwrap_or_default(),
                why,
            });
        }
    }
    persons.truncate(MOST);
    Ok(HeldList {
        id,
        held: office.store.tally(id).await?.held,
        persons,
    })
}

/// The choice to write in clear text to those whose certificate has ended since the list was imported.
///
/// # Errors
/// [`DeskError::Refused`] where the campaign is encrypted for everybody.
pub async fn in_clear(office: &Office, id: CampaignId, reason: String) -> Result<HeldChoice, DeskError> {
    let (_, content) = get(office, id).await?;
    if content.encrypt == Encrypt::Required {
        return Err(DeskError::Refused(format!(
            "{id} is encrypted for everybody (campaign.encrypt: required): leave them for letters and calls"
        )));
    }
    Ok(HeldChoice::RetryWithout {
        field: keys::FIELD,
        held_for: CERTIFICATE_ENDED,
        reason,
    })
}

/// Tries all who are held again, or gives them up. Returns how many they were.
///
/// # Errors
/// [`DeskError::Refused`] when the campaign has not begun.
pub async fn decide_held(office: &Office, id: CampaignId, choice: HeldChoice, by: &Actor) -> Result<u64, DeskError> {
    get(office, id).await?;
    office
        .store
        .decide_held(id, choice, by, office.now())
        .await
        .map_err(refused)
}
