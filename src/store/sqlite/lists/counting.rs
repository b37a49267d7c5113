//! What is told of a campaign's persons before anything is sent: their languages, countries, domains and flags, and how
//! many share an address.

use std::collections::HashMap;

use rusqlite::Connection;

use super::super::rows::failed;
use crate::model::id::{CampaignId, DeliveryId};
use crate::model::recipient::Flags;
use crate::store::{FLAGGED_SHOWN, PersonCounts, StoreError};

/// Different domains that are counted; those that first occur later are not among the top ten.
const DOMAINS_COUNTED: usize = 100_000;
/// Domains that are told.
const DOMAINS_TOLD: usize = 10;

/// One walk over the persons, and one over the index of their keys: at 1,000,000 persons about a second.
pub(super) fn count_persons(conn: &Connection, campaign: CampaignId) -> Result<PersonCounts, StoreError> {
    let step = failed("count the persons");
    let mut languages: HashMap<String, u64> = HashMap::new();
    let mut countries: HashMap<String, u64> = HashMap::new();
    let mut domains: HashMap<String, u64> = HashMap::new();
    let mut flags = vec![0; Flags::ALL.len()];
    let mut flagged = vec![Vec::new(); Flags::ALL.len()];
    let count = |counted: &mut HashMap<String, u64>, name: &str, most: usize| {
        if let Some(times) = counted.get_mut(name) {
            *times += 1;
        } else if counted.len() < most {
            counted.insert(name.to_owned(), 1);
        }
    };
    // In the order of the table: the index by campaign would fetch each row from another place.
    let sql = "SELECT language, country, domain, flags, delivery FROM persons WHERE +campaign = ?1";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let mut rows = statement.query([campaign.row()]).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        let text = |place| row.get_ref(place).ok()?.as_str_or_null().ok().flatten();
        count(&mut languages, text(0).unwrap_or_default(), usize::MAX);
        count(&mut countries, text(1).unwrap_or_default(), usize::MAX);
        count(&mut domains, text(2).unwrap_or_default(), DOMAINS_COUNTED);
        let raised = Flags(row.get(3).map_err(&step)?);
        for (place, (flag, _, _)) in Flags::ALL
            .iter()
            .enumerate()
            .filter(|(_, (flag, _, _))| raised.has(*flag))
        {
            flags[place] += 1;
            if *flag != Flags::CERTIFICATE && flagged[place].len() < FLAGGED_SHOWN {
                flagged[place].push(DeliveryId::new(row.get(4).map_err(&step)?));
            }
        }
    }
    let mut domains: Vec<(String, u64)> = domains.into_iter().collect();
    domains.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    domains.truncate(DOMAINS_TOLD);
    let (shared_addresses, at_shared) = count_shared(conn, campaign)?;
    flagged.push(at_shared);
    Ok(PersonCounts {
        languages: languages.into_iter().collect(),
        countries: countries.into_iter().collect(),
        domains,
        flags,
        shared_addresses,
        flagged,
    })
}

/// How many, and the first persons at them. Keys of one address begin alike, so they are neighbours in the index.
fn count_shared(conn: &Connection, campaign: CampaignId) -> Result<(u64, Vec<DeliveryId>), StoreError> {
    let step = failed("count the addresses");
    let sql = "SELECT person, delivery FROM persons WHERE campaign = ?1 ORDER BY person";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let mut rows = statement.query([campaign.row()]).map_err(&step)?;
    let mut last = None;
    let mut counted = false;
    let mut shared = 0;
    let mut at_shared = Vec::new();
    let mut before = None;
    while let Some(row) = rows.next().map_err(&step)? {
        let key: [u8; 16] = row.get(0).map_err(&step)?;
        let address: [u8; 8] = key[..8].try_into().expect("eight of sixteen bytes");
        let again = last == Some(address);
        let here = DeliveryId::new(row.get(1).map_err(&step)?);
        if again && at_shared.len() < FLAGGED_SHOWN {
            at_shared.extend(before.filter(|_| !counted));
            at_shared.push(here);
        }
        shared += u64::from(again && !counted);
        counted = again;
        last = Some(address);
        before = Some(here);
    }
    at_shared.sort();
    Ok((shared, at_shared))
}
