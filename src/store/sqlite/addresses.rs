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

/// The persons of a campaign at these addresses, then its rows that cannot be used and give one of them.
pub(super) fn find(conn: &Connection, campaign: CampaignId, wanted: &HashSet<String>) -> Result<AtAddress, StoreError> {
    let mut found = persons(conn, Some(campaign), wanted)?;
    for (address, rows) in bad_rows(conn, Some(campaign), wanted, Cells::Address)? {
        found.entry(address).or_default().extend(rows);
    }
    Ok(found)
}

/// The persons of a campaign, or of all that are not erased, at these addresses; of each campaign in the order of the
/// ledger. However many campaigns there are, the persons are walked once at most.
pub(super) fn persons(
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
    let mut numbered = HashSet::new();
    for campaign in campaigns {
        if has_numbers(conn, campaign)? {
            numbered.insert(campaign.row());
            continue;
        }
        for address in wanted {
            by_key(conn, campaign, address, &mut found)?;
        }
    }
    if !numbered.is_empty() {
        walk(conn, &numbered, wanted, &mut found)?;
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

pub(super) const WALK: &str =
    "SELECT delivery, campaign, domain, address, CASE WHEN flags & ?1 THEN fields END FROM persons ORDER BY delivery";

/// One walk over all persons, of these campaigns and of others; at 1,000,000 about a second. Never within a write.
fn walk(
    conn: &Connection,
    campaigns: &HashSet<i64>,
    wanted: &HashSet<String>,
    found: &mut AtAddress,
) -> Result<(), StoreError> {
    let domain_of = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    let domains: HashSet<String> = wanted.iter().filter_map(|address| domain_of(address)).collect();
    let step = failed("find a person by address");
    let mut statement = conn.prepare_cached(WALK).map_err(&step)?;
    let mut rows = statement.query([Flags::OTHER_ADDRESS.0]).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        if !campaigns.contains(&row.get(1).map_err(&step)?) {
            continue;
        }
        let whom = Whom::Delivery(DeliveryId::new(row.get(0).map_err(&step)?));
        if let Some(Json(fields)) = row.get::<_, Option<Json<Fields>>>(4).map_err(&step)? {
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
        let domain = row.get_ref(2).map_err(&step)?;
        if !domain.as_str().is_ok_and(|domain| domains.contains(domain)) {
            continue;
        }
        let address = fold_address(&row.get::<_, String>(3).map_err(&step)?);
        if wanted.contains(&address) {
            add(found, &address, whom);
        }
    }
    Ok(())
}

/// Which cells of a row that cannot be used are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    /// That of the address, whatever stands in it: that it is none is why the row cannot be used.
    Address,
    /// All: an address may stand in a remark.
    All,
}

pub(super) const BAD_ROWS: &str = "SELECT id, list, cells FROM bad_rows
     WHERE (?1 IS NULL OR +campaign = ?1) AND cells <> '[]' ORDER BY id";

/// The rows that cannot be used and hold one of these addresses, of one campaign or of all, oldest first. One walk.
pub(super) fn bad_rows(
    conn: &Connection,
    campaign: Option<CampaignId>,
    wanted: &HashSet<String>,
    which: Cells,
) -> Result<AtAddress, StoreError> {
    let mut found = AtAddress::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let sql = "SELECT l.id, c.key FROM lists l, json_each(l.facts, '$.columns') c
               WHERE json_extract(c.value, '$.meaning') = 'email'";
    let places: Vec<(i64, u32)> = all(conn, "look for the column of the address", sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let places: HashMap<i64, u32> = places.into_iter().collect();
    let step = failed("find a bad row by address");
    let mut statement = conn.prepare_cached(BAD_ROWS).map_err(&step)?;
    let mut rows = statement.query([campaign.map(CampaignId::row)]).map_err(&step)?;
    while let Some(row) = rows.next().map_err(&step)? {
        let place = places.get(&row.get(1).map_err(&step)?);
        let Json(cells) = row.get::<_, Json<Vec<String>>>(2).map_err(&step)?;
        let address = place.and_then(|place| cells.get(*place as usize));
        let mut given: HashSet<String> = address.map(|cell| fold_address(cell)).into_iter().collect();
        match which {
            Cells::Address => given.extend(address.into_iter().flat_map(|cell| addresses_in(cell))),
            Cells::All => given.extend(cells.iter().flat_map(|cell| addresses_in(cell))),
        }
        let whom = Whom::BadRow(BadRowId::new(row.get(0).map_err(&step)?));
        for address in given.intersection(wanted) {
            add(&mut found, address, whom);
        }
    }
    Ok(found)
}

fn add(found: &mut AtAddress, address: &str, whom: Whom) {
    match found.get_mut(address) {
        Some(persons) => persons.push(whom),
        None => {
            found.insert(address.to_owned(), vec![whom]);
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::MIGRATIONS;
    use super::*;

    /// Three campaigns by numbers, each of a hundred persons and fifty rows that cannot be used.
    fn store() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", false).unwrap();
        for migration in MIGRATIONS {
            conn.execute_batch(migration).unwrap();
        }
        conn.execute_batch(
            r#"CREATE TEMP TABLE numbers AS
                   WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 299) SELECT n FROM n;
               INSERT INTO campaigns (id, breach, state, content, created_at)
                   SELECT n, 'B', 'draft', '{}', 0 FROM numbers WHERE n BETWEEN 1 AND 3;
               INSERT INTO lists (id, campaign, fingerprint, file, sha256, rows_total, begun_at, begun_by, ended_at, facts)
                   SELECT id, id, printf('%064d', id), 'list.csv', printf('%064d', id), 0, 0, 'anna', 0,
                          '{"columns":[{"meaning":"person_id"},{"meaning":"email"}]}' FROM campaigns;
               INSERT INTO persons (delivery, campaign, person, address, domain, language, fields)
                   SELECT n, n % 3 + 1, randomblob(16), 'p' || (n / 3) || '@example.org', 'example.org', '', '{}' FROM numbers;
               INSERT INTO bad_rows (id, campaign, list, row, reason, fields, cells)
                   SELECT n + 1, n % 3 + 1, n % 3 + 1, n + 1, 'address_without_at', '{}',
                          json_array(CAST(n AS TEXT), 'p' || (n / 3) || '@@example.org', 'or p' || (n / 3) || '@example.org')
                   FROM numbers WHERE n < 150;"#,
        )
        .unwrap();
        conn
    }

    #[test]
    fn however_many_campaigns_all_persons_are_walked_once() {
        let conn = store();
        let wanted = ["p7@example.org", "p9@example.org"].map(str::to_owned).into();
        let walked = |sql: &str| {
            conn.prepare_cached(sql)
                .unwrap()
                .get_status(StatementStatus::FullscanStep)
        };
        let found = persons(&conn, None, &wanted).unwrap();
        let delivery = |id| Whom::Delivery(DeliveryId::new(id));
        assert_eq!(found["p7@example.org"], [21, 22, 23].map(delivery));
        assert_eq!(found["p9@example.org"], [27, 28, 29].map(delivery));
        assert!((299..=300).contains(&walked(WALK)), "{}", walked(WALK));

        let rows = bad_rows(&conn, None, &wanted, Cells::Address).unwrap();
        assert!(rows.is_empty(), "not by a remark: {rows:?}");
        assert!((149..=150).contains(&walked(BAD_ROWS)), "{}", walked(BAD_ROWS));
        let rows = bad_rows(&conn, Some(CampaignId::new(2)), &wanted, Cells::All).unwrap();
        assert_eq!(rows["p7@example.org"], [Whom::BadRow(BadRowId::new(23))]);
        let rows = bad_rows(&conn, None, &["p7@@example.org".to_owned()].into(), Cells::Address).unwrap();
        assert_eq!(rows.values().flatten().count(), 3);

        let other = persons(&conn, Some(CampaignId::new(2)), &wanted).unwrap();
        assert_eq!(other["p7@example.org"], [delivery(22)]);
    }
}
