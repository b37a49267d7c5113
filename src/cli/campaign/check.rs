//! `campaign check` and `list`: what is known about a campaign's persons, and what its messages say.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::create::{new_file, quoted, write_bad_rows};
use super::look;
use crate::cli::Context;
use crate::cli::output::{Exit, Failure, table};
use crate::dispatch::campaign::check::{self, CampaignCheck};
use crate::dispatch::desk;
use crate::dispatch::office::{Office, OfficeError};
use crate::model::id::CampaignId;
use crate::model::plural::{counted, grouped, if_one};
use crate::store::{StoreError, StoredList};

/// Persons who are named in a line about what is worth a look; more are in JSON, all in the file of `--flagged`.
const FLAGGED_NAMED: usize = 3;

/// What `check` prints.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    check: &'a CampaignCheck,
    #[serde(flatten)]
    ready: &'a desk::campaign::Ready,
}

/// Whether it can go.
pub(super) async fn run(
    id: CampaignId,
    bad_rows: Option<PathBuf>,
    flagged: Option<PathBuf>,
    office: &Office,
    context: &Context,
) -> Result<Exit, Failure> {
    let file = bad_rows.as_deref().map(new_file).transpose()?;
    let worth_a_look = flagged.as_deref().map(new_file).transpose()?;
    let found = check::check(office, id).await.map_err(no_campaign)?;
    if let (Some(file), Some(path)) = (file, &bad_rows) {
        write_bad_rows(office, id, file, path, context).await?;
    }
    if let (Some(file), Some(path)) = (worth_a_look, &flagged) {
        write_flagged(office, id, file, path, context).await?;
    }
    let ready = desk::campaign::ready(office, id).await?;
    let checked = Checked {
        check: &found,
        ready: &ready,
    };
    context.out.data(&checked, || {
        told(&found, bad_rows.as_deref()) + &look::readiness(id, &ready)
    })?;
    Ok(if ready.needs_person() {
        Exit::Person
    } else {
        exit_of(&found)
    })
}

/// Everybody whose row is worth a look.
async fn write_flagged(
    office: &Office,
    id: CampaignId,
    file: File,
    path: &Path,
    context: &Context,
) -> Result<(), Failure> {
    let mut buffered = BufWriter::new(file);
    let written = check::export_flagged(office, id, &mut buffered).await;
    let written = written.map_err(|error| Failure::new(Exit::Ours, error))?;
    buffered.flush()?;
    context.out.note(&format!(
        "{} has {} to look at",
        path.display(),
        counted(written, "person")
    ));
    Ok(())
}

fn no_campaign(error: OfficeError) -> Failure {
    match error {
        OfficeError::Store(error @ StoreError::NotFound { .. }) => {
            Failure::new(Exit::Usage, error).hint("breachpost campaign list")
        }
        other => other.into(),
    }
}

pub(super) fn exit_of(check: &CampaignCheck) -> Exit {
    if check.needs_person() { Exit::Person } else { Exit::Done }
}

/// All campaigns.
pub(super) async fn show_list(office: &Office, context: &Context) -> Result<Exit, Failure> {
    let lines = check::list(office).await?;
    context.out.data(&lines, || {
        if lines.is_empty() {
            return "No campaign yet. Make one: breachpost campaign create BREACH --recipients FILE\n".to_owned();
        }
        let header = [
            "campaign",
            "breach",
            "state",
            "persons",
            "informed",
            "in doubt",
            "unreached",
            "pending",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for line in &lines {
            let coverage = &line.coverage;
            rows.push(vec![
                line.id.to_string(),
                line.breach.to_string(),
                line.state.clone(),
                grouped(coverage.total),
                grouped(coverage.informed),
                grouped(coverage.in_doubt),
                grouped(coverage.unreached),
                grouped(coverage.pending),
            ]);
        }
        table(&rows)
    })?;
    Ok(Exit::Done)
}

/// For a person, in the order in which it must be dealt with: bad rows, what is worth a look, what comes of it.
pub(super) fn told(check: &CampaignCheck, bad_rows: Option<&Path>) -> String {
    let line = &check.line;
    let counts = &line.counts;
    let mut text = format!(
        "{} for {}: {}\n  {}: {} can be written to, {}, {} cannot be used\n",
        line.id,
        line.breach,
        line.state,
        counted(counts.rows, "row"),
        counted(counts.valid, "person"),
        counted(counts.duplicates, "duplicate"),
        grouped(counts.invalid)
    );
    if line.state == "importing" {
        text.push_str("\nThe import was cut off. Run the same command again: it goes on where it was.\n");
    }
    for list in &check.lists {
        text.push_str(&format!("  {}: {}\n", list.file, how_read(list)));
    }
    text + &bad_rows_told(check, bad_rows) + &worth_a_look(check) + &languages(check) + &domains(check)
}

/// The rows that cannot be used, and how they are corrected; they may stand in a file by now.
fn bad_rows_told(check: &CampaignCheck, bad_rows: Option<&Path>) -> String {
    let (id, invalid) = (check.line.id, check.line.counts.invalid);
    if invalid == 0 {
        return String::new();
    }
    let mut text =
        "\nRows that cannot be used; these persons count as unreached until their rows are corrected:\n".to_owned();
    let mut rows = Vec::new();
    for row in &check.bad_rows {
        let line = row.line.filter(|line| *line != row.row);
        rows.push(vec![
            format!("  row {}", row.row),
            line.map_or_else(String::new, |line| format!("line {line}")),
            row.column.clone().unwrap_or_default(),
            row.reason.text().to_owned(),
        ]);
    }
    text.push_str(&table(&rows));
    if invalid > check.bad_rows.len() as u64 {
        text.push_str("  …\n");
        for reason in &check.reasons {
            text.push_str(&format!("  {} in all: {}\n", counted(reason.rows, "row"), reason.text));
        }
    }
    let (first, file) = match bad_rows {
        Some(file) => (format!("in {}", file.display()), quoted(file)),
        None => {
            let file = "to-correct.csv".to_owned();
            (format!("breachpost campaign check {id} --bad-rows {file}"), file)
        }
    };
    text + &format!("  To correct them: {first}\n  Then: breachpost campaign add {id} --recipients {file}\n")
}

fn worth_a_look(check: &CampaignCheck) -> String {
    let remarks = check.remarks();
    if remarks.is_empty() {
        return String::new();
    }
    let mut text = "\nWorth a look:\n".to_owned();
    for remark in remarks {
        let named: Vec<String> = remark.who.iter().take(FLAGGED_NAMED).map(ToString::to_string).collect();
        let more = if remark.times > named.len() as u64 { ", …" } else { "" };
        let named = match named.is_empty() {
            true => String::new(),
            false => format!(" ({}{more})", named.join(", ")),
        };
        text.push_str(&format!(
            "  {} {}{named}\n",
            counted(remark.times, remark.whom),
            remark.text
        ));
    }
    text + &format!(
        "  Their rows, but for shared addresses: breachpost campaign check {} --flagged worth-a-look.csv\n",
        check.line.id
    )
}

/// Who gets the message in which language.
fn languages(check: &CampaignCheck) -> String {
    if check.languages.is_empty() {
        return String::new();
    }
    let languages = check
        .languages
        .iter()
        .map(|(language, persons)| match language.as_str() {
            "" => format!("not known {}", grouped(persons)),
            known => format!("{known} {}", grouped(persons)),
        });
    let mut gets = vec![languages.collect::<Vec<_>>().join(", ")];
    if check.in_several_languages > 0 {
        let several = check.several_languages.join(", ");
        gets.push(format!(
            "{} one message in {several}",
            who_gets(check.in_several_languages)
        ));
    }
    gets.push(format!(
        "{} the fallback {}",
        who_gets(check.in_fallback_language),
        check.fallback_language
    ));
    format!("\nLanguages: {}\n", gets.join("; "))
}

fn domains(check: &CampaignCheck) -> String {
    if check.domains.is_empty() {
        return String::new();
    }
    let domains = check
        .domains
        .iter()
        .map(|found| format!("{} {}", found.domain, grouped(found.persons)));
    format!("Most frequent domains: {}\n", domains.collect::<Vec<_>>().join(", "))
}

/// `1 person gets`.
fn who_gets(persons: u64) -> String {
    format!("{} {}", counted(persons, "person"), if_one(persons, "gets", "get"))
}

/// `CSV, windows-1252 (guessed)` and what the columns were taken for.
fn how_read(list: &StoredList) -> String {
    let format = &list.facts["format"];
    let word = |name: &str| format[name].as_str().unwrap_or_default();
    let kind = match word("format") {
        "csv" => {
            let delimiter = match word("delimiter") {
                "\t" => "tabs",
                ";" => "semicolons",
                "|" => "bars",
                _ => "commas",
            };
            let guessed = if format["encoding_guessed"] == true {
                " (guessed: look at a name with an accent; else give --encoding)"
            } else {
                ""
            };
            format!("CSV with {delimiter}, {}{guessed}", word("encoding"))
        }
        "json_lines" => format!("JSON lines, {}", word("encoding")),
        "xlsx" => format!("XLSX, sheet {}", word("sheet")),
        _ => format!("ODS, sheet {}", word("sheet")),
    };
    let others = format["others"].as_array().into_iter().flatten();
    let others: Vec<&str> = others.filter_map(serde_json::Value::as_str).collect();
    let kind = match others.is_empty() {
        true => kind,
        false => format!("{kind}; NOT read (--sheet): {}", others.join(", ")),
    };
    let columns = list.facts["columns"].as_array().into_iter().flatten();
    let taken = columns.filter_map(|column| {
        let (name, meaning) = (column["name"].as_str()?, column["meaning"].as_str()?);
        (!meaning.is_empty()).then(|| {
            if name == meaning {
                name.to_owned()
            } else {
                format!("{meaning} = {name}")
            }
        })
    });
    format!("{kind}; columns: {}", taken.collect::<Vec<_>>().join(", "))
}
