//! Who was told, who was not and why, and what came of the letters and calls after that.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::day::{self, DayFull};
use super::{get, refused};
use crate::dispatch::campaign::check::Coverage;
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::delivery::DeliveryState;
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId, DeliveryId, MailId};
use crate::model::receipt::ReceiptKind;
use crate::model::recipient::{Columns, ColumnsError, Meaning, OTHER_EMAIL, PersonKey, Reason, formula_safe};
use crate::reading::table::{Options, Table, TableError};
use crate::store::{
    Attempt, Breakdown, CameBack, Deferred, DeliveryReport, NotReached, OtherChannel, StoredCampaign, WhoTold, Whom,
};

/// Persons read from the store at a time.
const PAGE: u32 = 1_000;
/// Persons booked in one transaction: some tenths of a second. Those of a list with numbers are found by one walk for each.
const CHUNK: usize = 5_000;
/// Rows of a file that are named when they book nobody.
const ROWS_NAMED: usize = 20;

/// How far a campaign has got. The sums fit, always: `informed + in_doubt + unreached + pending = total`.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub id: CampaignId,
    pub breach: BreachId,
    /// `state`, and what belongs to it.
    #[serde(flatten)]
    pub state: CampaignState,
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Of those pending: put off by a server or the relay, and tried again.
    pub deferred: u64,
    /// Of one that runs: when the first of those is tried again; it may have passed, where nobody sends.
    pub next_try: Option<Time>,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub follows: Option<CampaignId>,
    /// The campaigns that follow this one up.
    pub followed_by: Vec<CampaignId>,
    /// Of one that runs: the last answers to messages that wait for another try, and to how many persons.
    pub waits: BTreeMap<String, u64>,
    /// Of one that runs: that the day's limit is reached, and until when nobody is written to.
    pub day_full: Option<DayFull>,
    /// Whether a daemon carries what waits.
    pub daemon: bool,
}
/// [`Status`], by group and reason.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub status: Status,
    #[serde(flatten)]
    pub groups: Breakdown,
    pub came_back: CameBack,
}

/// How far a campaign has got.
///
/// # Errors
/// No such campaign, or the store fails.
pub async fn status(office: &Office, id: CampaignId) -> Result<Status, DeskError> {
    // Of a copy, nothing goes on by itself: so it is shown.
    office.settle_identity().await?;
    let (stored, _) = get(office, id).await?;
    let (rows, tally, told) = office.store.counted(id).await?;
    let deferred = office.store.deferred(id).await?;
    status_of(office, stored, Coverage::of(&rows, &tally, &told), deferred).await
}

/// How far it has got, by language, country, domain and reason.
///
/// # Errors
/// As [`status`].
pub async fn report(office: &Office, id: CampaignId) -> Result<Report, DeskError> {
    let (stored, _) = get(office, id).await?;
    let account = office.store.account(id).await?;
    let coverage = Coverage::of(&account.rows, &account.tally, &account.told);
    let deferred = office.store.deferred(id).await?;
    Ok(Report {
        status: status_of(office, stored, coverage, deferred).await?,
        groups: account.groups,
        came_back: account.came_back,
    })
}

async fn status_of(
    office: &Office,
    stored: StoredCampaign,
    coverage: Coverage,
    deferred: Deferred,
) -> Result<Status, DeskError> {
    let id = stored.id;
    let all = office.store.list_campaigns().await?;
    let waits = match coverage.pending {
        0 => BTreeMap::new(),
        _ => office.store.waits(id).await?,
    };
    let day_full = day::full_for(office, &stored.state, &coverage).await?;
    Ok(Status {
        id,
        day_full,
        breach: stored.breach,
        next_try: deferred.next.filter(|_| stored.state == CampaignState::Running),
        state: stored.state,
        coverage,
        deferred: deferred.persons,
        started_at: stored.started_at,
        ended_at: stored.ended_at,
        follows: stored.follows,
        followed_by: all
            .iter()
            .filter(|other| other.follows == Some(id))
            .map(|other| other.id)
            .collect(),
        waits,
        daemon: office.daemon_runs(),
    })
}

/// A reason of the report, in words for a person.
pub fn why_unreached(reason: &str) -> &str {
    if let Ok(flaw) = reason.parse::<Reason>() {
        return flaw.text();
    }
    match reason {
        "address_unknown" => "their server knows no such address",
        "mailbox_disabled" => "their mailbox is closed",
        "mailbox_full" => "their mailbox is full",
        "too_large" => "their server does not take a message of this size",
        "refused_by_policy" => "their server refused it by its own rules",
        "not_reachable" => "their server could not be reached",
        "returned" => "it came back, for a reason that is not known",
        "refused" => "their server refused it, for a reason that is not known",
        "put_off" => "their server put us off for days, until we gave up",
        "no_answer" => "their server gave no answer until the end",
        "not_prepared" => "their message could not be made",
        "no_certificate" => "they have no certificate that can be used, and the campaign is encrypted for everybody",
        "cancelled" => "the campaign was called off before their turn",
        other => other,
    }
}

/// What is known about one person's message.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    pub campaign: CampaignId,
    pub breach: BreachId,
    pub delivery: DeliveryId,
    /// `state`, and what belongs to it.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// Whether the person counts as informed.
    pub informed: bool,
    pub possibly_twice: bool,
    pub attempts: Vec<Attempt>,
    /// What mail servers reported later.
    pub reports: Vec<DeliveryReport>,
    /// What else came back, oldest first.
    pub mails: Vec<CameMail>,
    /// Told by this channel, then.
    pub told_otherwise: Option<(OtherChannel, Time)>,
}

/// A mail about one person's message that is no report of a mail server.
#[derive(Debug, Clone, Serialize)]
pub struct CameMail {
    pub mail: MailId,
    pub at: Time,
    pub kind: ReceiptKind,
    /// Whether it waits for a person.
    pub in_tray: bool,
}

/// Whether whoever reads this address was told, in any campaign, oldest first.
///
/// # Errors
/// The store fails.
pub async fn find(office: &Office, address: &str) -> Result<Vec<Found>, DeskError> {
    let mut all = Vec::new();
    for person in office.store.find_by_address(address).await? {
        let missing = || DeskError::NoDelivery(person.delivery);
        let delivery = office.store.find_delivery(person.delivery).await?.ok_or_else(missing)?;
        let (stored, _) = get(office, person.campaign).await?;
        let told_otherwise = person.told_otherwise.map(|(channel, at, _)| (channel, at));
        let handed = matches!(
            delivery.state,
            DeliveryState::Handed { .. } | DeliveryState::Confirmed { .. }
        );
        let reports = office.store.list_reports(person.delivery).await?;
        let mails = office.store.list_mails_about(person.delivery).await?;
        let mails = mails
            .into_iter()
            .filter(|mail| reports.iter().all(|report| report.mail != mail.id))
            .filter_map(|mail| {
                Some(CameMail {
                    mail: mail.id,
                    at: mail.received_at,
                    kind: mail.understanding?.kind,
                    in_tray: mail.in_tray,
                })
            })
            .collect();
        all.push(Found {
            campaign: person.campaign,
            breach: stored.breach,
            delivery: person.delivery,
            informed: handed || told_otherwise.is_some(),
            possibly_twice: delivery.possibly_twice,
            reports,
            mails,
            attempts: delivery.attempts,
            state: delivery.state,
            told_otherwise,
        });
    }
    Ok(all)
}

/// A row that cannot be used and gives this address: its person is written to by nobody.
#[derive(Debug, Clone, Serialize)]
pub struct FoundUnusable {
    pub campaign: CampaignId,
    pub breach: BreachId,
    /// `invalid`.
    pub state: &'static str,
    /// Names the person when they are booked as told.
    pub bad_row: BadRowId,
    /// The list's file, and the row's number there.
    pub file: String,
    pub row: u64,
    pub reason: String,
    pub informed: bool,
    pub told_otherwise: Option<(OtherChannel, Time)>,
}

/// The rows, in any campaign, that cannot be used and give this address, or what stands in its place.
///
/// # Errors
/// The store fails.
pub async fn find_unusable(office: &Office, address: &str) -> Result<Vec<FoundUnusable>, DeskError> {
    let mut all = Vec::new();
    for found in office.store.find_bad_rows(address).await? {
        let (stored, _) = get(office, found.campaign).await?;
        all.push(FoundUnusable {
            campaign: found.campaign,
            breach: stored.breach,
            state: "invalid",
            bad_row: found.bad_row,
            file: found.file,
            row: found.row,
            reason: found.reason,
            informed: found.told_otherwise.is_some(),
            told_otherwise: found.told_otherwise,
        });
    }
    Ok(all)
}

/// The columns of an export of persons who were not reached; `person` names them when they are booked later, `list` and
/// `row` say where a row stands that cannot be used.
pub const UNREACHED_COLUMNS: &[&str] = &[
    "person",
    "list",
    "row",
    "person_id",
    "name",
    "email",
    "phone",
    "street",
    "postcode",
    "city",
    "country",
    "language",
    "state",
    "reason",
    "detail",
    OTHER_EMAIL,
];

/// One person's cells as they are; for spreadsheet programs see [`unreached_row`].
pub fn unreached_cells(person: &NotReached) -> Vec<String> {
    let field = |name: &str| person.fields.all(name).join("\n");
    let in_row = || person.fields.first("language").unwrap_or_default();
    let language = Some(person.language.as_str())
        .filter(|known| !known.is_empty())
        .unwrap_or_else(in_row);
    let (list, row) = person.place.clone().unzip();
    vec![
        person.whom.to_string(),
        list.unwrap_or_default(),
        row.map_or_else(String::new, |row| row.to_string()),
        field("person_id"),
        field("name"),
        person.address.clone().unwrap_or_default(),
        field("phone"),
        field("street"),
        field("postcode"),
        field("city"),
        person.country.clone().unwrap_or_else(|| field("country")),
        language.to_owned(),
        person.state.clone(),
        person.reason.clone(),
        person.detail.clone().unwrap_or_default(),
        field(OTHER_EMAIL),
    ]
}

/// The same, each cell harmless in a spreadsheet program, also where it is saved as CSV there.
pub fn unreached_row(person: &NotReached) -> Vec<String> {
    let guarded = |cell: String| formula_safe(&cell).into_owned();
    unreached_cells(person).into_iter().map(guarded).collect()
}

/// The same for a sheet whose cells are text: whoever dials from it sees a telephone number as it was given. All else
/// keeps its guard, for a sheet may be saved as CSV.
pub fn unreached_sheet_row(person: &NotReached) -> Vec<String> {
    let guarded = |cell: String| match is_telephone_number(&cell) {
        true => cell,
        false => formula_safe(&cell).into_owned(),
    };
    unreached_cells(person).into_iter().map(guarded).collect()
}

/// Of the international form: nothing but digits and what parts them behind the plus sign.
fn is_telephone_number(cell: &str) -> bool {
    cell.strip_prefix('+').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_digit() || " ()./".contains(c))
    })
}

/// Walks over the persons who were not reached, a page at a time; with `in_doubt` also over those of whom it is not known.
/// Returns how many there are.
///
/// # Errors
/// No such campaign, the store fails, or `take` does.
pub async fn unreached<E: From<DeskError>>(
    office: &Office,
    id: CampaignId,
    in_doubt: bool,
    mut take: impl FnMut(&[NotReached]) -> Result<(), E>,
) -> Result<u64, E> {
    get(office, id).await?;
    let (mut after, mut found) = (None, 0);
    loop {
        let page = office.store.list_unreached(id, in_doubt, after, PAGE).await;
        let page = page.map_err(DeskError::from)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.whom);
        found += page.len() as u64;
        take(&page)?;
    }
}

/// What became of a list of persons told by another channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    pub rows: u64,
    /// Rows that name somebody of the campaign.
    pub found: u64,
    /// Rows of the file that name nobody, at most twenty.
    pub not_found_rows: Vec<u64>,
    pub not_found: u64,
    /// Rows whose address several persons share, at most twenty; nobody was booked by them.
    pub ambiguous_rows: Vec<u64>,
    pub ambiguous: u64,
}
impl Named {
    /// Counts a row that names so many persons.
    fn count(&mut self, row: u64, persons: u64) {
        self.rows += 1;
        let (counted, rows) = match persons {
            1 => {
                self.found += 1;
                return;
            }
            0 => (&mut self.not_found, &mut self.not_found_rows),
            _ => (&mut self.ambiguous, &mut self.ambiguous_rows),
        };
        *counted += 1;
        if rows.len() < ROWS_NAMED {
            rows.push(row);
        }
    }
}
/// Why persons were not booked.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the list cannot be read")]
    Table(#[from] TableError),
    #[error("the list needs a column `person` (as in the export of `campaign unreached`), `person_id` or `email`")]
    NoColumn,
    #[error(transparent)]
    Desk(#[from] DeskError),
}

/// Books the persons whom a list names as told by post or telephone. Each counts as informed from now on, and a message
/// that waits for them is not sent any more; whose message was handed over counts already. A row whose address several
/// persons share must say which of them: else it books nobody. Doing it twice changes nothing.
///
/// # Errors
/// The list cannot be used, or the campaign has not begun.
pub async fn record(
    office: &Office,
    id: CampaignId,
    channel: OtherChannel,
    file: &Path,
    by: &Actor,
) -> Result<Named, RecordError> {
    get(office, id).await?;
    let path = file.to_owned();
    let rows = tokio::task::spawn_blocking(move || who(&path))
        .await
        .expect("reading a list does not panic")?;
    let mut named = Named::default();
    for chunk in rows.chunks(CHUNK) {
        let asked = chunk.iter().filter_map(|(_, who)| who.clone()).collect();
        let booked = office.store.tell_otherwise(id, asked, channel, by, office.now()).await;
        let mut booked = booked.map_err(refused)?.into_iter();
        for (number, who) in chunk {
            let persons = if who.is_some() { booked.next().unwrap_or(0) } else { 0 };
            named.count(*number, persons);
        }
    }
    Ok(named)
}

/// Each row's number and whom it names.
fn who(file: &Path) -> Result<Vec<(u64, Option<WhoTold>)>, RecordError> {
    let table = Table::open(file, &Options::default())?;
    let names = table.columns();
    let ours = names.iter().position(|name| name.trim().eq_ignore_ascii_case("person"));
    let columns = match Columns::of(names, &[]) {
        Ok(columns) => Some(columns),
        // Without an address it is no list of recipients, but a list of persons all the same.
        Err(ColumnsError::NoEmail { .. }) => None,
        Err(_) if ours.is_some() => None,
        Err(_) => return Err(RecordError::NoColumn),
    };
    let place = |meaning| columns.as_ref().and_then(|columns| columns.place(&meaning));
    let number = names
        .iter()
        .position(|name| name.trim().eq_ignore_ascii_case("person_id"));
    let (number, address) = (place(Meaning::PersonId).or(number), place(Meaning::Email));
    let field = |name: &str| place(Meaning::Field(name.to_owned()));
    let (name, first_name, last_name) = (field("name"), field("first_name"), field("last_name"));
    if ours.or(number).or(address).is_none() {
        return Err(RecordError::NoColumn);
    }
    let mut found = Vec::new();
    for row in table.rows()? {
        let row = row?;
        let cell = |place: Option<usize>| {
            let cell = row.cells.get(place?)?.trim();
            // What was quoted for a spreadsheet program when it went out.
            let cell = cell.strip_prefix('\'').unwrap_or(cell);
            (!cell.is_empty()).then(|| cell.to_owned())
        };
        let ours = cell(ours).and_then(|cell| {
            let delivery = cell.parse().map(Whom::Delivery).ok();
            delivery.or_else(|| cell.parse().map(Whom::BadRow).ok())
        });
        let who = ours.map(WhoTold::Whom);
        let who = who.or_else(|| cell(number).map(|id| WhoTold::Key(PersonKey::of_id(&id))));
        let at = || {
            let name = cell(name).or_else(|| {
                let parts = [cell(first_name), cell(last_name)];
                let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                (!joined.is_empty()).then_some(joined)
            });
            let address = cell(address)?;
            Some(WhoTold::At { address, name })
        };
        found.push((row.number, who.or_else(at)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delivery::{Fault, FaultCause, SmtpStep};

    #[test]
    fn each_reason_has_words() {
        let fault = |step, cause| Fault { step, cause }.reason();
        let bounced = |status: &str| fault(SmtpStep::FinalDot, FaultCause::Bounce(format!("{status} words")));
        let statuses = ["5.1.1", "5.2.1", "5.2.2", "5.2.3", "5.7.1", "5.4.7", "5.0.0"];
        let mut reasons: Vec<&str> = statuses.map(bounced).to_vec();
        let broken = FaultCause::Network("broken".to_owned());
        reasons.push(fault(SmtpStep::Rcpt, broken.clone()));
        reasons.push(fault(SmtpStep::Prepare, broken));
        reasons.extend(["refused", "cancelled", "put_off"]);
        reasons.extend(Reason::ALL.iter().map(|reason| reason.word()));
        for reason in reasons {
            let words = why_unreached(reason);
            assert!(words.contains(' ') && !words.contains('_'), "{reason}: {words}");
        }
    }
}
