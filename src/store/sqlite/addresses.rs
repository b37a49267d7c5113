//! Persons by their address. Of a list without numbers of the controller they are found by their key, which begins with a
//! hash of the address; else by one walk over the campaign, however many addresses are looked for.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::rows::{Json, all, failed, only};
use crate::model::id::{BadRowId, CampaignId, DeliveryId};
use crate::model::recipient::{Fields, Flags, OTHER_EMAIL, PersonKey, addresses_in, fold_address};
use crate::store::{StoreError, Whom};

/// Who is at each of the addresses that were looked for, in the form in which addresses are compared.
pub(super) type AtAddress = HashMap<String, Vec<Whom>>;

/// The persons of a campaign, or of all that are not erased, at these addresses, in the order of the ledger; then the rows
/// that cannot be used and give one of them.
pub(super) fn find(
    conn: &Connection,
    campaign: Option<CampaignId>,
    wanted: &HashSet<String>,
) -> Result<AtAddress, StoreError> {
    let mut found = AtAddress::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let campaigns = match campaign {
        Some(campaign) => vec![campaign],
        None => all(
            conn,
            "list the campaigns",
            "SELECT id FROM campaigns WHERE erased_at IS NULL ORDER BY id",
            [],
            |row| row.get(0).map(CampaignId::new),
        )?,
    };
    for campaign in campaigns {
        if has_numbers(conn, campaign)? {
            walk(conn, campaign, wanted, &mut found)?;
        } else {
            for address in wanted {
                by_key(conn, campaign, address, &mut found)?;
            }
        }
        in_bad_rows(conn, campaign, wanted, &mut found)?;
    }
    Ok(found)
}

/// Whether the key of a person may be made from the controller's number instead of the address. Persons without a list are
/// from before keys were made of addresses.
fn has_numbers(conn: &Connection, campaign: CampaignId) -> Result<bool, StoreError> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM lists WHERE campaign = ?1)
         OR EXISTS (SELECT 1 FROM lists l, json_each(l.facts, '$.columns') c
                    WHERE l.campaign = ?1 AND json_extract(c.value, '$.meaning') = 'person_id')";
    only(conn, "look at the lists' columns", sql, [campaign.row()], |row| {
        row.get(0)
    })
}

pub(super) const BY_KEY: &str =
    "SELECT delivery, address FROM persons WHERE campaign = ?1 AND person BETWEEN ?2 AND ?3 ORDER BY delivery";

fn by_key(conn: &Connection, campaign: CampaignId, wanted: &str, found: &mut AtAddress) -> Result<(), StoreError> {
    let (least, most) = PersonKey::all_at(wanted);
    let values = params![campaign.row(), least.0, most.0];
    let persons: Vec<(i64, String)> = all(conn, "find a person by address", BY_KEY, values, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    for (delivery, address) in persons {
        // A hash may be that of another address too.
        if fold_address(&address) == wanted {
            add(found, wanted, Whom::Delivery(DeliveryId::new(delivery)));
        }
    }
    Ok(())
}

/// One walk over all persons of all campaigns; at 1,000,000 about a second.
fn walk(
    conn: &Connection,
    campaign: CampaignId,
    wanted: &HashSet<String>,
    found: &mut AtAddress,
) -> Result<(), StoreError> {
    let domain_of = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    let domains: HashSet<String> = wanted.iter().filter_map(|address| domain_of(address)).collect();
    let step = failed("find a person by address");
    let sql = "SELECT delivery, domain, address, CASE WHEN flags & ?2 THEN fields END
               FROM persons WHERE +campaign = ?1 ORDER BY delivery";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let values = params![campaign.row(), Flags::OTHER_ADDRESS.0];
    let mut rows = statement.query(values).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        let whom = Whom::Delivery(DeliveryId::new(row.get(0).map_err(&step)?));
        if let Some(Json(fields)) = row.get::<_, Option<Json<Fields>>>(3).map_err(&step)? {
            let others: HashSet<String> = fields
                .all(OTHER_EMAIL)
                .iter()
                .map(|other| fold_address(other))
                .collect();
            for address in others.intersection(wanted) {
                add(found, address, whom);
            }
        }
        // The domain is kept in the form in which it is compared: of most persons nothing else is looked at.
        let domain = row.get_ref(1).map_err(&step)?;
        if !domain.as_str().is_ok_and(|domain| domains.contains(domain)) {
            continue;
        }
        let address = fold_address(&row.get::<_, String>(2).map_err(&step)?);
        if wanted.contains(&address) {
            add(found, &address, whom);
        }
    }
    Ok(())
}

/// By what stands in the column of the address, whatever it is: that it is none is why the row cannot be used.
fn in_bad_rows(
    conn: &Connection,
    campaign: CampaignId,
    wanted: &HashSet<String>,
    found: &mut AtAddress,
) -> Result<(), StoreError> {
    let step = failed("find a bad row by address");
    let sql = "SELECT b.id, b.cells,
                   (SELECT c.key FROM json_each(l.facts, '$.columns') c WHERE json_extract(c.value, '$.meaning') = 'email')
               FROM bad_rows b JOIN lists l ON l.id = b.list WHERE b.campaign = ?1 AND b.cells <> '[]' ORDER BY b.id";
    let mut statement = conn.prepare_cached(sql).map_err(&step)?;
    let mut rows = statement.query([campaign.row()]).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        let Json(cells) = row.get::<_, Json<Vec<String>>>(1).map_err(&step)?;
        let place: Option<u32> = row.get(2).map_err(&step)?;
        let Some(cell) = place.and_then(|place| cells.get(place as usize)) else {
            continue;
        };
        let whom = Whom::BadRow(BadRowId::new(row.get(0).map_err(&step)?));
        let mut given: HashSet<String> = addresses_in(cell).into_iter().collect();
        given.insert(fold_address(cell));
        for address in given.intersection(wanted) {
            add(found, address, whom);
        }
    }
    Ok(())
}

fn add(found: &mut AtAddress, address: &str, whom: Whom) {
    match found.get_mut(address) {
        Some(persons) => persons.push(whom),
        None => {
            found.insert(address.to_owned(), vec![whom]);
        }
    }
}
