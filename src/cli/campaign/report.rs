//! `campaign status`, `report`, `find`, `unreached` and `record`: who was told, who was not, what came of the rest.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::create::new_file;
use super::look::must_be_an_address;
use super::run::watch;
use crate::cli::Context;
use crate::cli::output::{Exit, Failure, table};
use crate::dispatch::desk::campaign::{
    self, Found, FoundUnusable, Named, RecordError, Report, Status, UNREACHED_COLUMNS,
};
use crate::dispatch::office::Office;
use crate::model::campaign::CampaignState;
use crate::model::delivery::DeliveryState;
use crate::model::id::CampaignId;
use crate::model::plural::{counted, grouped, if_one};
use crate::model::receipt::ReportAction;
use crate::store::{CameBack, DeliveryReport, NotReached, OtherChannel, Reached};

/// An XLSX sheet has no more rows than this.
const MOST_SHEET_ROWS: u64 = 1_048_575;
/// Groups that are shown; all of them are in JSON.
const SHOWN: usize = 10;
/// The same for the reasons why messages wait.
const SHOWN_WAITS: usize = 3;

/// Who was reached.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// How far a campaign has got; status 2 when it is paused, or a person must decide about somebody (`campaign held`).
    #[command(after_help = "Examples:\n  breachpost campaign status cmp_1\n  breachpost campaign status cmp_1 --watch")]
    Status {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Follow until all have been tried, or it is paused or cancelled.
        #[arg(long)]
        watch: bool,
    },
    /// Who was informed, by language, country and domain, and why the others were not. The sums equal the list, always.
    #[command(after_help = "Examples:\n  breachpost campaign report cmp_1\n  breachpost campaign report cmp_1 --json")]
    Report {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
    },
    /// Was this person told, when, and what came back? In all campaigns. Status 2 when they were not.
    #[command(after_help = "Examples:\n  breachpost campaign find anna@example.lu")]
    Find {
        /// The person's e-mail address.
        address: String,
    },
    /// The persons who were not reached by mail, for letters and calls: CSV, or XLSX by the file's name.
    #[command(
        after_help = "Examples:\n  breachpost campaign unreached cmp_1\n  breachpost campaign unreached cmp_1 -o to-write-to.xlsx --in-doubt"
    )]
    Unreached {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// A new file; else standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Also those whose message may or may not have been taken.
        #[arg(long)]
        in_doubt: bool,
    },
    /// Book persons who were told by post or telephone: a list with a column `person` (as in the export), `person_id` or
    /// `email`, with `name` where several persons share an address. They count as informed from then on, and nothing more
    /// is sent to them. Status 2 when rows name nobody of the campaign, or not one person alone.
    #[command(after_help = "Examples:\n  breachpost campaign record cmp_1 --channel post --file letters-sent.csv")]
    Record {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// How they were told.
        #[arg(long, value_enum)]
        channel: ChannelArg,
        /// The list of those who were told; `campaign unreached` writes one to shorten.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// How persons were told.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ChannelArg {
    Post,
    Phone,
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Desk(error) => error.into(),
            other => Failure::new(Exit::Usage, other),
        }
    }
}

pub async fn run(command: ReportCommand, office: &Office, context: &Context) -> Result<Exit, Failure> {
    match command {
        ReportCommand::Status { id, watch: true } => watch(office, context, id).await,
        ReportCommand::Status { id, .. } => tell(office, context, id).await,
        ReportCommand::Report { id } => {
            let report = campaign::report(office, id).await?;
            context.out.data(&report, || whole(&report))?;
            Ok(Exit::Done)
        }
        ReportCommand::Find { address } => {
            let found = campaign::find(office, &address).await?;
            let unusable = campaign::find_unusable(office, &address).await?;
            let all = found.iter().map(Whoever::Person);
            let all: Vec<Whoever<'_>> = all.chain(unusable.iter().map(Whoever::Row)).collect();
            if all.is_empty() {
                // What a list holds may be no address; what nobody has is mistyped.
                must_be_an_address(&address)?;
            }
            context.out.data(&all, || {
                if all.is_empty() {
                    return format!("{address} is in no campaign\n");
                }
                told(&found) + &not_usable(&unusable)
            })?;
            let informed = found.iter().any(|found| found.informed) || unusable.iter().any(|row| row.informed);
            Ok(if informed { Exit::Done } else { Exit::Person })
        }
        ReportCommand::Unreached { id, output, in_doubt } => unreached(office, context, id, output, in_doubt).await,
        ReportCommand::Record { id, channel, file } => {
            let channel = match channel {
                ChannelArg::Post => OtherChannel::Post,
                ChannelArg::Phone => OtherChannel::Phone,
            };
            let named = campaign::record(office, id, channel, &file, &context.actor()).await?;
            context.out.data(&named, || booked(id, &named))?;
            let all = named.found == named.rows;
            Ok(if all { Exit::Done } else { Exit::Person })
        }
    }
}

/// Says how the campaign stands; status 2 where it needs a person.
pub(super) async fn tell(office: &Office, context: &Context, id: CampaignId) -> Result<Exit, Failure> {
    let status = campaign::status(office, id).await?;
    context.out.data(&status, || human(&status))?;
    Ok(if needs_person(&status) {
        Exit::Person
    } else {
        Exit::Done
    })
}

/// What came of a list of persons told by another channel.
fn booked(id: CampaignId, named: &Named) -> String {
    let mut text = format!(
        "{} of {} {} of {id}\n",
        grouped(named.found),
        counted(named.rows, "row"),
        if_one(named.found, "names a person", "name persons")
    );
    let listed = |rows: &[u64], count: u64| {
        let numbers: Vec<String> = rows.iter().map(u64::to_string).collect();
        let more = if count > rows.len() as u64 { ", …" } else { "" };
        numbers.join(", ") + more
    };
    if named.not_found > 0 {
        let rows = listed(&named.not_found_rows, named.not_found);
        text.push_str(&format!(
            "{} {} nobody: {rows}\n",
            counted(named.not_found, "row"),
            if_one(named.not_found, "names", "name")
        ));
    }
    if named.ambiguous > 0 {
        let rows = listed(&named.ambiguous_rows, named.ambiguous);
        text.push_str(&format!(
            "{} {} nobody: {rows}\n\
             Say which of them was told: by a column `name`, by `person_id`, or by `person` with the number (dlv_…) that\n\
             this shows: breachpost campaign find ADDRESS\n",
            counted(named.ambiguous, "row"),
            if_one(
                named.ambiguous,
                "gives only an address that several persons share, and books",
                "give only an address that several persons share, and book"
            )
        ));
    }
    text
}

/// Whether it does not go on by itself.
pub fn needs_person(status: &Status) -> bool {
    matches!(status.state, CampaignState::Paused { .. }) || status.coverage.held > 0
}

/// How far it is, for a person.
pub fn human(status: &Status) -> String {
    let mut text = format!("{} for {}: {}", status.id, status.breach, status.state.name());
    match &status.state {
        CampaignState::Paused { why, starts: None } => text.push_str(&format!(", {why}")),
        CampaignState::Paused { why, starts: Some(at) } => text.push_str(&format!(
            " before its start at {}, {why}",
            at.format("%Y-%m-%d %H:%M UTC")
        )),
        CampaignState::Scheduled { at } => text.push_str(&format!(", starts {}", at.format("%Y-%m-%d %H:%M UTC"))),
        CampaignState::Settling { until } => {
            text.push_str(&format!(
                ", late bounces are awaited until {}",
                until.format("%Y-%m-%d %H:%M UTC")
            ));
        }
        _ => {}
    }
    text.push('\n');
    let c = &status.coverage;
    let mut rows = vec![
        vec!["  persons".to_owned(), grouped(c.total)],
        vec!["  informed".to_owned(), grouped(c.informed)],
        vec!["  in doubt".to_owned(), grouped(c.in_doubt)],
        vec!["  unreached".to_owned(), grouped(c.unreached)],
        vec!["  pending".to_owned(), grouped(c.pending)],
    ];
    if c.held > 0 {
        rows.push(vec!["    held".to_owned(), grouped(c.held)]);
    }
    if c.confirmed > 0 {
        rows.insert(2, vec!["    confirmed".to_owned(), grouped(c.confirmed)]);
    }
    if c.told_otherwise > 0 {
        rows.insert(
            2,
            vec!["    by post or telephone".to_owned(), grouped(c.told_otherwise)],
        );
    }
    if c.possibly_twice > 0 {
        rows.push(vec!["  possibly told twice".to_owned(), grouped(c.possibly_twice)]);
    }
    text.push_str(&table(&rows));
    if c.held > 0 {
        text.push_str(&format!(
            "The {} of {} could not be written; a person must decide: breachpost campaign held {}\n",
            if_one(c.held, "message", "messages"),
            counted(c.held, "person"),
            status.id
        ));
    }
    if matches!(status.state, CampaignState::Paused { .. }) {
        text.push_str(&format!(
            "  Once that is seen to: breachpost campaign resume {}\n",
            status.id
        ));
    }
    let links = status.follows.iter().map(|id| format!("  follows up {id}\n"));
    let links = links.chain(status.followed_by.iter().map(|id| format!("  followed up by {id}\n")));
    text.extend(links);
    if !status.waits.is_empty() {
        let mut waits: Vec<(&String, &u64)> = status.waits.iter().collect();
        waits.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        text.push_str("  The last answers to those who wait:\n");
        for (why, times) in waits.into_iter().take(SHOWN_WAITS) {
            text.push_str(&format!("    {}: {why}\n", counted(times, "person")));
        }
    }
    let next_try = match &status.day_full {
        Some(full) => {
            text.push_str(&format!("  {full}\n"));
            // An earlier one is put off till then.
            status.next_try.filter(|at| *at > full.until)
        }
        None => status.next_try,
    };
    if let Some(at) = next_try {
        text.push_str(&format!("  The next try is at {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
        if status.deferred > 0 {
            text.push_str(&format!("; to try them now: breachpost campaign retry {}", status.id));
        }
        text.push('\n');
    }
    text
}

fn whole(report: &Report) -> String {
    let mut text = human(&report.status);
    let groups = &report.groups;
    for (name, group) in [
        ("language", &groups.languages),
        ("country", &groups.countries),
        ("domain", &groups.domains),
    ] {
        let mut sorted: Vec<(&String, &Reached)> = group.iter().collect();
        sorted.sort_by_key(|(_, r)| std::cmp::Reverse(r.informed + r.in_doubt + r.unreached + r.pending));
        let header = [name, "informed", "in doubt", "unreached", "pending"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for (key, reached) in sorted.iter().take(SHOWN) {
            let key = if key.is_empty() { "not known" } else { key.as_str() };
            let counts = [reached.informed, reached.in_doubt, reached.unreached, reached.pending];
            rows.push([key.to_owned()].into_iter().chain(counts.map(grouped)).collect());
        }
        text.push_str(&format!("\n{}", table(&rows)));
        if sorted.len() > SHOWN {
            text.push_str(&format!(
                "and {} more; all of them: --json\n",
                grouped(sorted.len() - SHOWN)
            ));
        }
    }
    if !groups.held_reasons.is_empty() {
        text.push_str("\nWhy messages could not be written:\n");
        let reasons = groups.held_reasons.iter();
        let rows = reasons.map(|(why, n)| vec![format!("  {why}"), grouped(n)]);
        text.push_str(&table(&rows.collect::<Vec<_>>()));
    }
    text.push_str(&came_back(&report.came_back));
    if !groups.reasons.is_empty() {
        text.push_str("\nWhy persons are unreached:\n");
        let rows = groups
            .reasons
            .iter()
            .map(|(reason, n)| vec![format!("  {}", grouped(n)), campaign::why_unreached(reason).to_owned()]);
        text.push_str(&table(&rows.collect::<Vec<_>>()));
        let id = report.status.id;
        text.push_str(&format!(
            "For letters and calls: breachpost campaign unreached {id} -o unreached.csv\n"
        ));
    }
    text
}

/// What a mail server reported, in words.
fn reported(action: ReportAction) -> &'static str {
    match action {
        ReportAction::Failed => "came back",
        ReportAction::Delayed => "delayed, a server still tries",
        ReportAction::Delivered => "delivered",
        ReportAction::Relayed => "passed on to a server that reports nothing",
        ReportAction::Expanded => "passed on to a list of addresses",
    }
}

fn came_back(came: &CameBack) -> String {
    let rows = [
        (came.returned, "  returned after it was handed over"),
        (came.returned_late, "    after the campaign's end"),
        (came.delayed, "  delayed, and nothing heard since"),
        (came.autoreplies, "  automatic reply"),
        (came.replies, "  the person wrote"),
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .filter(|(persons, _)| *persons > 0)
        .map(|(persons, words)| vec![(*words).to_owned(), grouped(persons)])
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("\nWhat came back, in persons:\n{}", table(&rows)),
    }
}

/// What was found by an address.
#[derive(Serialize)]
#[serde(untagged)]
enum Whoever<'a> {
    Person(&'a Found),
    Row(&'a FoundUnusable),
}

fn not_usable(rows: &[FoundUnusable]) -> String {
    let mut text = String::new();
    for found in rows {
        let words = if found.informed { "told" } else { "not told" };
        text.push_str(&format!(
            "{words}: {} for {} ({}): row {} of {} cannot be used: {}\n",
            found.campaign,
            found.breach,
            found.bad_row,
            found.row,
            found.file,
            campaign::why_unreached(&found.reason)
        ));
        if let Some((channel, at)) = &found.told_otherwise {
            let at = at.format("%Y-%m-%d %H:%M:%S UTC");
            text.push_str(&format!("  {at}  told by {}\n", channel.name()));
        }
    }
    text
}

fn told(found: &[Found]) -> String {
    let mut text = String::new();
    for person in found {
        let words = match person.state {
            _ if person.informed => "told",
            DeliveryState::InDoubt { .. } => "not known whether told",
            _ if !person.state.is_final() => "not told yet",
            _ => "not told",
        };
        text.push_str(&format!(
            "{words}: {} for {} ({}, {})\n",
            person.campaign,
            person.breach,
            person.delivery,
            person.state.name()
        ));
        for attempt in &person.attempts {
            let said = attempt.reply.as_ref().map(ToString::to_string);
            let said = said
                .or_else(|| attempt.fault.as_ref().map(ToString::to_string))
                .unwrap_or_default();
            text.push_str(&format!(
                "  {}  {}  {said}\n",
                attempt.at.format("%Y-%m-%d %H:%M:%S UTC"),
                attempt.outcome
            ));
        }
        for report in &person.reports {
            text.push_str(&format!(
                "  {}  {} ({})  {}\n",
                report.at.format("%Y-%m-%d %H:%M:%S UTC"),
                reported(report.action),
                report.mail,
                said_in(report)
            ));
        }
        for came in &person.mails {
            let waits = if came.in_tray { ", waits in the tray" } else { "" };
            text.push_str(&format!(
                "  {}  {} ({}){waits}\n",
                came.at.format("%Y-%m-%d %H:%M:%S UTC"),
                came.kind.name(),
                came.mail
            ));
        }
        if let Some((channel, at)) = &person.told_otherwise {
            text.push_str(&format!(
                "  {}  told by {}\n",
                at.format("%Y-%m-%d %H:%M:%S UTC"),
                channel.name()
            ));
        }
        match (person.possibly_twice, person.informed) {
            (true, true) => text.push_str("  may have got it twice\n"),
            (true, false) => text.push_str("  a copy may have reached them: the line broke after it was sent\n"),
            (false, _) => {}
        }
    }
    text
}

/// The other server's words; most repeat the status in them.
fn said_in(report: &DeliveryReport) -> String {
    let (status, words) = (report.status.as_deref(), report.diagnostic.as_deref());
    let status = status.filter(|status| !words.is_some_and(|words| words.contains(status)));
    status.into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

async fn unreached(
    office: &Office,
    context: &Context,
    id: CampaignId,
    output: Option<PathBuf>,
    in_doubt: bool,
) -> Result<Exit, Failure> {
    let Some(path) = output else {
        if context.out.json {
            let mut all = Vec::new();
            campaign::unreached(office, id, in_doubt, |page| {
                let named = |person: &NotReached| {
                    let cells = campaign::unreached_cells(person);
                    UNREACHED_COLUMNS
                        .iter()
                        .copied()
                        .zip(cells)
                        .collect::<std::collections::BTreeMap<_, _>>()
                };
                all.extend(page.iter().map(named));
                Ok::<_, Failure>(())
            })
            .await?;
            context.out.data(&all, String::new)?;
            return Ok(Exit::Done);
        }
        context.out.bytes(&csv_of([UNREACHED_COLUMNS])?, &json!(null))?;
        campaign::unreached(office, id, in_doubt, |page| {
            let cells: Vec<_> = page.iter().map(campaign::unreached_row).collect();
            context.out.bytes(&csv_of(&cells)?, &json!(null))
        })
        .await?;
        return Ok(Exit::Done);
    };
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_sheet = ending == "xlsx";
    if matches!(ending.as_str(), "ods" | "xls" | "xlsm" | "json" | "pdf") {
        return Err(Failure::usage(format!(
            "a .{ending} file is not written here: name a .csv or .xlsx file"
        )));
    }
    let file = new_file(&path)?;
    let written = match is_sheet {
        true => sheet(office, id, in_doubt, &path, file).await,
        false => delimited(office, id, in_doubt, file).await,
    };
    let written = written.inspect_err(|_| {
        // It would look whole.
        let _ = std::fs::remove_file(&path);
    })?;
    context
        .out
        .data(&json!({ "campaign": id, "file": path, "persons": written }), || {
            format!("{} has {}\n", shown(&path), counted(written, "person"))
        })?;
    Ok(Exit::Done)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// These rows as CSV.
fn csv_of<R, C>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, Failure>
where
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(unwritten)?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::new(Exit::Ours, error.into_error()))
}

fn unwritten(error: csv::Error) -> Failure {
    Failure::new(Exit::Ours, error)
}

async fn delimited(office: &Office, id: CampaignId, in_doubt: bool, file: std::fs::File) -> Result<u64, Failure> {
    let kept = file.try_clone()?;
    let mut writer = csv::Writer::from_writer(BufWriter::new(file));
    writer.write_record(UNREACHED_COLUMNS).map_err(unwritten)?;
    let written = campaign::unreached(office, id, in_doubt, |page| {
        for person in page {
            writer
                .write_record(campaign::unreached_row(person))
                .map_err(unwritten)?;
        }
        Ok::<_, Failure>(())
    })
    .await?;
    writer.flush()?;
    kept.sync_all()?;
    Ok(written)
}

/// A row at a time: nothing of it stays in memory. What waits to be packed lies beside the file, without a name.
async fn sheet(
    office: &Office,
    id: CampaignId,
    in_doubt: bool,
    path: &Path,
    file: std::fs::File,
) -> Result<u64, Failure> {
    let failed = |error: rust_xlsxwriter::XlsxError| Failure::new(Exit::Ours, error);
    let mut book = rust_xlsxwriter::Workbook::new();
    let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    book.set_tempdir(beside.unwrap_or(Path::new("."))).map_err(failed)?;
    let page_of = book.add_worksheet_with_constant_memory().map_err(failed)?;
    for (column, name) in (0u16..).zip(UNREACHED_COLUMNS) {
        page_of.write_string(0, column, *name).map_err(failed)?;
    }
    let mut row = 0u32;
    let written = campaign::unreached(office, id, in_doubt, |page| {
        for person in page {
            row += 1;
            if u64::from(row) > MOST_SHEET_ROWS {
                return Err(Failure::usage(
                    "these are more persons than a sheet has rows: write a .csv file",
                ));
            }
            for (column, cell) in (0u16..).zip(campaign::unreached_sheet_row(person)) {
                page_of.write_string(row, column, cell).map_err(failed)?;
            }
        }
        Ok::<_, Failure>(())
    })
    .await?;
    book.save_to_writer(&file).map_err(failed)?;
    file.sync_all()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booked_rows_read_well_for_none_one_and_many() {
        for (found, not_found, ambiguous, wanted) in [
            (0, 1, 0, "0 of 1 row name persons of cmp_1\n1 row names nobody: 2\n"),
            (
                1,
                2,
                0,
                "1 of 3 rows names a person of cmp_1\n2 rows name nobody: 2, 3\n",
            ),
            (2, 0, 0, "2 of 2 rows name persons of cmp_1\n"),
            (0, 0, 1, "0 of 1 row name persons of cmp_1\n1 row gives only an address"),
            (
                0,
                0,
                2,
                "0 of 2 rows name persons of cmp_1\n2 rows give only an address",
            ),
            (1234, 0, 0, "1,234 of 1,234 rows name persons of cmp_1\n"),
        ] {
            let rows = |count: u64| (2..2 + count).collect();
            let text = booked(
                CampaignId::new(1),
                &Named {
                    rows: found + not_found + ambiguous,
                    found,
                    not_found_rows: rows(not_found),
                    not_found,
                    ambiguous_rows: rows(ambiguous),
                    ambiguous,
                },
            );
            assert!(text.starts_with(wanted), "{text}");
        }
    }
}
