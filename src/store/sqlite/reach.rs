//! Who of a campaign was reached: counts from one walk, pages by key. What is booked by another channel: `otherwise`.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::addresses::{self, Cells};
use super::rows::{Json, all, failed, one, only};
use super::{Sqlite, campaigns, erasure, lists, otherwise, pace};
use crate::model::Time;
use crate::model::breach::is_country;
use crate::model::delivery::{Fault, FaultCause, HoldReason};
use crate::model::id::{Actor, BadRowId, CampaignId, DeliveryId};
use crate::model::recipient::fold_address;
use crate::store::{
    Account, Breakdown, CameBack, FoundPerson, FoundRow, NotReached, OtherChannel, PersonRow, Reach, Reached,
    RowCounts, StoreError, Tally, ToldOtherwise, WhoTold, Whom,
};

/// Different domains that are told apart; those that first occur later are counted together.
const MOST_DOMAINS: usize = 100_000;
/// What those are counted under.
const OTHER_DOMAINS: &str = "(others)";

#[async_trait]
impl Reach for Sqlite {
    async fn account(&self, campaign: CampaignId) -> Result<Account, StoreError> {
        self.read(move |conn| {
            at_one_moment(conn, |conn| {
                Ok(Account {
                    rows: lists::counts(conn, campaign)?,
                    tally: campaigns::tally(conn, campaign)?,
                    told: told(conn, campaign)?,
                    groups: breakdown(conn, campaign)?,
                    came_back: came_back(conn, campaign)?,
                })
            })
        })
        .await
    }

    async fn list_unreached(
        &self,
        campaign: CampaignId,
        in_doubt: bool,
        after: Option<Whom>,
        most: u32,
    ) -> Result<Vec<NotReached>, StoreError> {
        self.read(move |conn| unreached(conn, campaign, in_doubt, after, most))
            .await
    }

    async fn tell_otherwise(
        &self,
        campaign: CampaignId,
        persons: Vec<WhoTold>,
        channel: OtherChannel,
        by: &Actor,
        now: Time,
    ) -> Result<Vec<u64>, StoreError> {
        // Looked for before, so that nobody who writes waits for it; the ids that are found never change.
        let named = self
            .read(move |conn| otherwise::resolve_all(conn, campaign, &persons))
            .await?;
        let (by, counts) = (by.clone(), named.iter().map(|whom| whom.len() as u64).collect());
        self.write(move |tx| otherwise::tell(tx, campaign, &named, channel, &by, now))
            .await?;
        Ok(counts)
    }

    async fn counted(&self, campaign: CampaignId) -> Result<(RowCounts, Tally, ToldOtherwise), StoreError> {
        self.read(move |conn| {
            at_one_moment(conn, |conn| {
                let rows = lists::counts(conn, campaign)?;
                Ok((rows, campaigns::tally(conn, campaign)?, told(conn, campaign)?))
            })
        })
        .await
    }

    async fn find_by_address(&self, address: &str) -> Result<Vec<FoundPerson>, StoreError> {
        let wanted = fold_address(address);
        self.read(move |conn| {
            let persons = addresses::persons(conn, None, &HashSet::from([wanted.clone()]))?;
            let persons = persons.into_values().flatten().filter_map(|whom| match whom {
                Whom::Delivery(id) => Some(id),
                Whom::BadRow(_) => None,
            });
            let erased = erasure::find_erased(conn, &wanted)?;
            let mut found = Vec::new();
            for delivery in persons.chain(erased.into_iter().map(|(_, delivery)| delivery)) {
                found.extend(otherwise::found(conn, delivery)?);
            }
            found.sort_by_key(|person| person.delivery);
            Ok(found)
        })
        .await
    }

    async fn find_bad_rows(&self, address: &str) -> Result<Vec<FoundRow>, StoreError> {
        let wanted = HashSet::from([fold_address(address)]);
        self.read(move |conn| {
            let mut found = Vec::new();
            for whom in addresses::bad_rows(conn, None, &wanted, Cells::Address)?
                .into_values()
                .flatten()
            {
                if let Whom::BadRow(id) = whom {
                    found.extend(otherwise::found_row(conn, id)?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn told_before(&self, campaign: CampaignId) -> Result<u64, StoreError> {
        self.read(move |conn| {
            only(
                conn,
                "look for who was told before",
                TOLD_BEFORE,
                [campaign.row()],
                |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
            )
        })
        .await
    }

    async fn waits(&self, campaign: CampaignId) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(move |conn| {
            let mut found = BTreeMap::new();
            let faults = all(conn, "look why messages wait", WAITS, [campaign.row()], |row| {
                Ok((row.get::<_, Json<Fault>>(0)?.0, row.get::<_, i64>(1)?))
            })?;
            // The last answer of each: the later attempt comes first.
            let mut seen = HashSet::new();
            for (fault, _) in faults.into_iter().filter(|(_, delivery)| seen.insert(*delivery)) {
                let why = match &fault.cause {
                    FaultCause::Reply(_) => pace::reason_of(&fault),
                    _ => fault.to_string(),
                };
                *found.entry(why).or_default() += 1;
            }
            Ok(found)
        })
        .await
    }

    async fn person_at(&self, campaign: CampaignId, place: u64) -> Result<Option<PersonRow>, StoreError> {
        self.read(move |conn| {
            // One row, for a person's eyes: it may take half a second to skip over a million index entries.
            let sql = "SELECT delivery, address, language, fields FROM persons WHERE delivery =
                       (SELECT delivery FROM persons WHERE campaign = ?1 ORDER BY delivery LIMIT 1 OFFSET ?2)
                       AND address <> ''";
            let skipped = place.saturating_sub(1).cast_signed();
            one(
                conn,
                "read a person",
                sql,
                params![campaign.row(), skipped],
                read_person,
            )
        })
        .await
    }

    async fn person_of(&self, delivery: DeliveryId) -> Result<Option<PersonRow>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT delivery, address, language, fields FROM persons WHERE delivery = ?1 AND address <> ''";
            one(conn, "read a person", sql, [delivery.row()], read_person)
        })
        .await
    }
}

/// One look-up in an index for each person and campaign of the breach: CROSS JOIN keeps the order, in which the planner
/// otherwise walks all persons for each.
pub(super) const TOLD_BEFORE: &str = "SELECT count(*) FROM persons p WHERE p.campaign = ?1 AND EXISTS (
         SELECT 1 FROM campaigns c
             CROSS JOIN persons e ON e.campaign = c.id AND e.person = p.person
             CROSS JOIN deliveries d ON d.id = e.delivery
         WHERE c.breach = (SELECT breach FROM campaigns WHERE id = ?1) AND c.id <> ?1
           AND (d.state IN ('handed', 'confirmed', 'in_doubt', 'on_wire')
                OR EXISTS (SELECT 1 FROM told_otherwise t WHERE t.delivery = d.id)))";

/// Of the last attempts of all: enough to tell what is the matter, and never a walk over a million (`+`: by its own choice the
/// planner begins with the deliveries).
pub(super) const WAITS: &str =
    "SELECT a.fault, a.delivery FROM (SELECT id, delivery, fault FROM attempts ORDER BY id DESC LIMIT 500) a
         JOIN deliveries d ON d.id = a.delivery
     WHERE +d.campaign = ?1 AND a.fault IS NOT NULL AND +d.state IN ('ready', 'leased', 'on_wire', 'in_doubt')
     ORDER BY a.id DESC";

/// Each query of `read` sees the same rows, whoever writes meanwhile.
fn at_one_moment<T>(
    conn: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Ends without a change.
    let moment = conn.unchecked_transaction().map_err(failed("count who was reached"))?;
    read(&moment)
}

fn read_person(row: &Row<'_>) -> rusqlite::Result<PersonRow> {
    Ok(PersonRow {
        delivery: DeliveryId::new(row.get(0)?),
        address: row.get(1)?,
        language: row.get(2)?,
        fields: row.get::<_, Json<_>>(3)?.0,
    })
}

/// Which count of its groups a person adds to.
fn place_of<'g>(group: &'g mut Reached, state: &str, told: bool) -> &'g mut u64 {
    match state {
        "handed" | "confirmed" => &mut group.informed,
        _ if told => &mut group.informed,
        "in_doubt" => &mut group.in_doubt,
        "failed" | "cancelled" | "invalid" => &mut group.unreached,
        _ => &mut group.pending,
    }
}

fn add(groups: &mut HashMap<String, Reached>, name: &str, state: &str, told: bool) {
    if let Some(group) = groups.get_mut(name) {
        *place_of(group, state, told) += 1;
        return;
    }
    let name = if groups.len() >= MOST_DOMAINS {
        OTHER_DOMAINS
    } else {
        name
    };
    *place_of(groups.entry(name.to_owned()).or_default(), state, told) += 1;
}

/// What a campaign's deliveries are found by, each in an index of its own: ready, in doubt, under way, held or at an end.
pub(super) const PARTS: [&str; 4] = [
    "d.state = 'ready' AND d.campaign = ?1",
    "d.state = 'in_doubt' AND d.campaign = ?1",
    "d.lease_by IS NOT NULL AND +d.campaign = ?1",
    "d.state < 'i' AND d.campaign = ?1",
];

/// One walk over the campaign's rows: at 1,000,000 persons some two seconds.
fn breakdown(conn: &Connection, campaign: CampaignId) -> Result<Breakdown, StoreError> {
    let step = failed("count who was reached");
    let (mut languages, mut countries, mut domains) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut found = Breakdown::default();
    for part in PARTS {
        let sql = format!(
            "SELECT p.language, p.country, p.domain, d.state, t.id IS NOT NULL, d.detail
             FROM deliveries d LEFT JOIN persons p ON p.delivery = d.id LEFT JOIN told_otherwise t ON t.delivery = d.id
             WHERE {part}"
        );
        let mut statement = conn.prepare_cached(&sql).map_err(&step)?;
        let mut rows = statement.query([campaign.row()]).map_err(&step)?;
        while let Some(row) = rows.next().map_err(&step)? {
            let text = |place| match row.get_ref(place) {
                Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).unwrap_or_default(),
                _ => "",
            };
            let (state, told) = (text(3), row.get(4).map_err(&step)?);
            add(&mut languages, text(0), state, told);
            add(&mut countries, text(1), state, told);
            add(&mut domains, text(2), state, told);
            if !told && matches!(state, "failed" | "cancelled") {
                *found.reasons.entry(reason(state, text(5)).0).or_default() += 1;
            }
            if state == "held"
                && let Ok(why) = serde_json::from_str::<HoldReason>(text(5))
            {
                *found.held_reasons.entry(why.words().to_owned()).or_default() += 1;
            }
        }
    }
    let sql = "SELECT b.reason, t.id IS NOT NULL, count(*),
                      coalesce(b.fields ->> '$.language[0]', ''), coalesce(b.fields ->> '$.country[0]', '')
               FROM bad_rows b LEFT JOIN told_otherwise t ON t.bad_row = b.id
               WHERE b.campaign = ?1 GROUP BY 1, 2, 4, 5";
    let invalid = all(conn, "count the bad rows", sql, [campaign.row()], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, bool>(1)?,
            row.get::<_, i64>(2)?.cast_unsigned(),
            row.get::<_, String>(3)?,
            // A country that is not known is kept in the words of the list.
            Some(row.get::<_, String>(4)?).filter(|country| is_country(country)),
        ))
    })?;
    for (reason, told, rows, language, country) in invalid {
        let country = country.unwrap_or_default();
        for (groups, name) in [
            (&mut languages, language),
            (&mut countries, country),
            (&mut domains, String::new()),
        ] {
            *place_of(groups.entry(name).or_default(), "invalid", told) += rows;
        }
        if !told {
            *found.reasons.entry(reason).or_default() += rows;
        }
    }
    found.languages = languages.into_iter().collect();
    found.countries = countries.into_iter().collect();
    found.domains = domains.into_iter().collect();
    Ok(found)
}

/// From the reports to their deliveries, not the other way: most messages have none.
fn came_back(conn: &Connection, campaign: CampaignId) -> Result<CameBack, StoreError> {
    let step = "count what came back";
    let sql = "WITH r AS (SELECT delivery, min(CASE action WHEN 'failed' THEN at END) AS returned, max(mail) AS last
                          FROM delivery_reports GROUP BY delivery)
               SELECT coalesce(sum(d.state = 'failed' AND r.returned IS NOT NULL), 0),
                      coalesce(sum(d.state = 'failed' AND r.returned >= c.ended_at), 0),
                      coalesce(sum(d.state IN ('handed', 'in_doubt') AND EXISTS (
                          SELECT 1 FROM delivery_reports l
                          WHERE l.delivery = r.delivery AND l.mail = r.last AND l.action = 'delayed')), 0)
               FROM r JOIN deliveries d ON d.id = r.delivery JOIN campaigns c ON c.id = d.campaign
               WHERE +d.campaign = ?1";
    let mut found = only(conn, step, sql, [campaign.row()], |row| {
        Ok(CameBack {
            returned: row.get::<_, i64>(0)?.cast_unsigned(),
            returned_late: row.get::<_, i64>(1)?.cast_unsigned(),
            delayed: row.get::<_, i64>(2)?.cast_unsigned(),
            ..CameBack::default()
        })
    })?;
    let sql = "SELECT json_extract(m.understanding, '$.kind'), count(DISTINCT m.delivery)
               FROM mails m JOIN deliveries d ON d.id = m.delivery
               WHERE m.delivery IS NOT NULL AND +d.campaign = ?1 GROUP BY 1";
    let kinds = all(conn, step, sql, [campaign.row()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    for (kind, persons) in kinds {
        match kind.as_str() {
            "autoreply" => found.autoreplies = persons,
            "reply" => found.replies = persons,
            _ => {}
        }
    }
    Ok(found)
}

/// Why a message did not reach its person: a word, and what was said.
fn reason(state: &str, detail: &str) -> (String, Option<String>) {
    if state == "cancelled" {
        return ("cancelled".to_owned(), None);
    }
    match serde_json::from_str::<Fault>(detail) {
        Ok(fault) => (fault.reason().to_owned(), Some(fault.to_string())),
        Err(_) => ("other".to_owned(), None),
    }
}

fn unreached(
    conn: &Connection,
    campaign: CampaignId,
    in_doubt: bool,
    after: Option<Whom>,
    most: u32,
) -> Result<Vec<NotReached>, StoreError> {
    let mut found = Vec::new();
    if !matches!(after, Some(Whom::BadRow(_))) {
        let after = match after {
            Some(Whom::Delivery(id)) => id.row(),
            _ => 0,
        };
        let sql = "SELECT d.id, d.state, d.detail, p.address, p.language, p.country, p.fields
             FROM deliveries d JOIN persons p ON p.delivery = d.id
             WHERE d.id > ?2 AND +d.campaign = ?1 AND (d.state IN ('failed', 'cancelled') OR (?3 AND d.state = 'in_doubt'))
               AND NOT EXISTS (SELECT 1 FROM told_otherwise t WHERE t.delivery = d.id)
             ORDER BY d.id LIMIT ?4";
        let values = params![campaign.row(), after, in_doubt, most];
        found = all(conn, "list the unreached", sql, values, |row| {
            let state: String = row.get(1)?;
            let detail: Option<String> = row.get(2)?;
            let (reason, detail) = match state.as_str() {
                "in_doubt" => ("in_doubt".to_owned(), None),
                state => reason(state, detail.as_deref().unwrap_or_default()),
            };
            Ok(NotReached {
                whom: Whom::Delivery(DeliveryId::new(row.get(0)?)),
                place: None,
                address: row.get(3)?,
                language: row.get(4)?,
                country: row.get(5)?,
                fields: row.get::<_, Json<_>>(6)?.0,
                state,
                reason,
                detail,
            })
        })?;
    }
    let left = most - u32::try_from(found.len()).unwrap_or(most);
    if left > 0 {
        let after = match after {
            Some(Whom::BadRow(id)) => id.row(),
            _ => 0,
        };
        let sql = "SELECT b.id, b.reason, b.fields, l.file, b.row FROM bad_rows b JOIN lists l ON l.id = b.list
             WHERE b.id > ?2 AND +b.campaign = ?1
               AND NOT EXISTS (SELECT 1 FROM told_otherwise t WHERE t.bad_row = b.id)
             ORDER BY b.id LIMIT ?3";
        found.extend(all(
            conn,
            "list the rows that cannot be used",
            sql,
            params![campaign.row(), after, left],
            |row| {
                Ok(NotReached {
                    whom: Whom::BadRow(BadRowId::new(row.get(0)?)),
                    place: Some((row.get(3)?, row.get::<_, i64>(4)?.cast_unsigned())),
                    address: None,
                    language: String::new(),
                    country: None,
                    fields: row.get::<_, Json<_>>(2)?.0,
                    state: "invalid".to_owned(),
                    reason: row.get(1)?,
                    detail: None,
                })
            },
        )?);
    }
    Ok(found)
}

fn told(conn: &Connection, campaign: CampaignId) -> Result<ToldOtherwise, StoreError> {
    let sql = "SELECT coalesce(d.state, 'invalid'), t.channel, count(*)
               FROM told_otherwise t LEFT JOIN deliveries d ON d.id = t.delivery WHERE t.campaign = ?1 GROUP BY 1, 2";
    let counted = all(conn, "count who was told otherwise", sql, [campaign.row()], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?.cast_unsigned(),
        ))
    })?;
    let mut found = ToldOtherwise::default();
    for (state, channel, persons) in counted {
        match state.as_str() {
            "handed" | "confirmed" => continue,
            "failed" | "cancelled" | "invalid" => found.unreached += persons,
            "in_doubt" => found.in_doubt += persons,
            _ => found.pending += persons,
        }
        match channel.as_str() {
            "post" => found.by_post += persons,
            _ => found.by_phone += persons,
        }
    }
    Ok(found)
}
