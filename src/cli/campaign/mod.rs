//! `campaign`: telling the persons concerned (GDPR Art. 34).

mod look;
mod report;
pub(super) mod run;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;

use super::Context;
use super::output::{Exit, Failure, table};
use crate::cli::erase::{self, EraseArgs, ForgetArgs};
use crate::cli::letters::{self, LettersArgs};
use crate::cli::wording::WordingArgs;
use crate::dispatch::campaign::bad_rows;
use crate::dispatch::campaign::check::{self, CampaignCheck};
use crate::dispatch::campaign::import::{self, ImportError, ImportRequest, Progress, Target};
use crate::dispatch::desk;
use crate::dispatch::office::{Office, OfficeError};
use crate::model::id::{BreachId, CampaignId};
use crate::model::recipient::{ColumnsError, Mapping};
use crate::reading::table::{Options, TableError};
use crate::store::StoreError;

/// Telling the persons concerned (GDPR Art. 34).
#[derive(Debug, Subcommand)]
pub enum CampaignCommand {
    /// Make a campaign from a list of persons: CSV, JSON lines, XLSX or ODS. Sends nothing. Cut off, the same command
    /// goes on where it was. Status 2 when there are rows that cannot be used.
    #[command(
        after_help = "Examples:\n  breachpost campaign create B-2026-001 --recipients customers.csv\n  breachpost campaign create B-2026-001 --recipients customers.csv \\\n      --map email=Kontakt --bad-rows to-correct.csv\n  breachpost campaign create B-2026-001 --recipients patients.csv \\\n      --discreet --html --texts texts.yaml\n  breachpost campaign create B-2026-001 --recipients unreached.csv \\\n      --follow-up cmp_1"
    )]
    Create {
        breach: BreachId,
        #[command(flatten)]
        list: ListArgs,
        /// The language of those whose own is not known; else that of config.yaml.
        #[arg(long, alias = "language-fallback", value_name = "LANG")]
        fallback_language: Option<String>,
        #[command(flatten)]
        wording: WordingArgs,
        /// The campaign that this one follows up: to those it did not reach, or with more to say.
        #[arg(long, value_name = "CAMPAIGN")]
        follow_up: Option<CampaignId>,
    },
    /// Add another list to a campaign that has not been started, or bad rows that were corrected: a row with a `bad_row`
    /// takes the place of that one.
    #[command(after_help = "Examples:\n  breachpost campaign add cmp_1 --recipients corrected.csv")]
    Add {
        id: CampaignId,
        #[command(flatten)]
        list: ListArgs,
    },
    /// All campaigns, and how far they are.
    #[command(after_help = "Examples:\n  breachpost campaign list")]
    List,
    /// Whether a campaign can go: its persons, what the linter says of its messages, when the run would end, the checklist.
    /// Status 2 when a person must do something first.
    #[command(
        after_help = "Examples:\n  breachpost campaign check cmp_1\n  breachpost campaign check cmp_1 --bad-rows still-to-correct.csv"
    )]
    Check {
        id: CampaignId,
        /// Write all rows that cannot be used to this new CSV file.
        #[arg(long, value_name = "FILE")]
        bad_rows: Option<PathBuf>,
    },
    #[command(flatten)]
    Look(look::LookCommand),
    #[command(flatten)]
    Run(run::RunCommand),
    #[command(flatten)]
    Report(report::ReportCommand),
    /// Print letters to those whom mail did not reach and whose postal address is known: one PDF for each language, for
    /// window envelopes. Status 2 when somebody gets none.
    #[command(after_help = "Examples:\n  breachpost campaign letters cmp_1 -o letters.pdf --window right")]
    Letters(LettersArgs),
    /// Erase the persons' data of a campaign that has ended, or of one person. Counts, proofs and a keyed hash of each
    /// address remain. After `retention.recipients_days` this happens by itself.
    #[command(
        after_help = "Examples:\n  breachpost campaign erase cmp_1\n  breachpost campaign erase cmp_1 --person bob@example.lu --yes"
    )]
    Erase(EraseArgs),
    /// Delete the keyed hashes that an erased campaign left: then nobody can ask any more whether an address was told.
    #[command(after_help = "Examples:\n  breachpost campaign forget-hashes cmp_1")]
    ForgetHashes(ForgetArgs),
}

/// A list and how it is read.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The list, with the names of its columns in the first row. Columns are found by their names in many languages:
    /// email, name (or first_name, last_name), language, country, data, person_id, street, postcode, city; others become
    /// merge fields.
    #[arg(long, value_name = "FILE")]
    recipients: PathBuf,
    /// What a column means, where its name does not tell: email=Kontakt. May be repeated.
    #[arg(long, value_name = "NAME=COLUMN")]
    map: Vec<Mapping>,
    /// The sheet of an XLSX or ODS file; else its first.
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// The encoding of a CSV file that is not UTF-8, such as windows-1252; else it is guessed, and said.
    #[arg(long, value_name = "LABEL")]
    encoding: Option<String>,
    /// Write the rows that cannot be used to this new CSV file: correct them there, then `campaign add`.
    #[arg(long, value_name = "FILE")]
    bad_rows: Option<PathBuf>,
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let exit = match &error {
            ImportError::Desk(_) | ImportError::Store(_) | ImportError::CutOff { .. } => Exit::Ours,
            ImportError::Table(TableError::Read { .. }) | ImportError::Language { .. } => Exit::Usage,
            _ => Exit::Person,
        };
        match error {
            ImportError::Desk(error) => error.into(),
            ImportError::Store(error @ StoreError::Conflict { .. }) => {
                Failure::new(Exit::Person, error).hint("breachpost campaign list")
            }
            ImportError::Store(StoreError::NotFound { .. }) => {
                Failure::new(Exit::Usage, error).hint("breachpost campaign list")
            }
            other => Failure::new(exit, other),
        }
    }
}

pub async fn run(command: CampaignCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        CampaignCommand::Create {
            breach,
            list,
            fallback_language,
            wording,
            follow_up,
        } => {
            let mut content = Box::new(import::content(&office, breach, fallback_language.as_deref()).await?);
            content.wording = wording.read(&office)?;
            let again = format!("breachpost campaign create {breach}");
            if let Some(earlier) = follow_up {
                // Before anything is stored.
                desk::campaign::get(&office, earlier).await?;
            }
            bring_in(
                &office,
                context,
                Target::Fresh { breach, content },
                list,
                &again,
                follow_up,
            )
            .await
        }
        CampaignCommand::Add { id, list } => {
            let again = format!("breachpost campaign add {id}");
            bring_in(&office, context, Target::Draft(id), list, &again, None).await
        }
        CampaignCommand::Erase(args) => erase::erase(args, &office, context).await,
        CampaignCommand::ForgetHashes(args) => erase::forget_hashes(args, &office, context).await,
        CampaignCommand::Letters(args) => letters::run(args, &office, context).await,
        CampaignCommand::List => show_list(&office, context).await,
        CampaignCommand::Check { id, bad_rows } => {
            let file = bad_rows.as_deref().map(new_file).transpose()?;
            let found = check::check(&office, id).await.map_err(no_campaign)?;
            if let (Some(file), Some(path)) = (file, &bad_rows) {
                write_bad_rows(&office, id, file, path, context).await?;
            }
            let ready = desk::campaign::ready(&office, id).await?;
            let checked = Checked {
                check: &found,
                ready: &ready,
            };
            context
                .out
                .data(&checked, || told(&found) + &look::readiness(id, &ready))?;
            Ok(if ready.needs_person() {
                Exit::Person
            } else {
                exit_of(&found)
            })
        }
        CampaignCommand::Look(command) => look::run(command, &office, context).await,
        CampaignCommand::Run(command) => run::run(command, &office, context).await,
        CampaignCommand::Report(command) => report::run(command, &office, context).await,
    }
}

fn no_campaign(error: OfficeError) -> Failure {
    match error {
        OfficeError::Store(error @ StoreError::NotFound { .. }) => {
            Failure::new(Exit::Usage, error).hint("breachpost campaign list")
        }
        other => other.into(),
    }
}

fn exit_of(check: &CampaignCheck) -> Exit {
    if check.needs_person() { Exit::Person } else { Exit::Done }
}

/// What `check` prints.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    check: &'a CampaignCheck,
    #[serde(flatten)]
    ready: &'a desk::campaign::Ready,
}

/// What `create` and `add` print.
#[derive(Serialize)]
struct BroughtIn<'a> {
    #[serde(flatten)]
    check: &'a CampaignCheck,
    /// Rows that an earlier, cut off run of the same command had brought in.
    resumed_after: u64,
    bad_rows_file: Option<&'a Path>,
}

async fn bring_in(
    office: &Office,
    context: &Context,
    target: Target,
    list: ListArgs,
    again: &str,
    follows: Option<CampaignId>,
) -> Result<Exit, Failure> {
    let bad_rows_file = list.bad_rows.as_deref().map(new_file).transpose()?;
    let request = ImportRequest {
        file: list.recipients.clone(),
        reading: Options {
            sheet: list.sheet,
            encoding: list.encoding,
        },
        mappings: list.map,
        target,
    };
    let bar = Bar::new(context);
    let imported = import::import(office, request, &context.actor(), |progress| bar.shows(progress)).await;
    bar.ends();
    let imported = match imported {
        Ok(imported) => imported,
        Err(error) => {
            if let Some(path) = &list.bad_rows {
                // It was made before the list was read, and holds nothing.
                let _ = std::fs::remove_file(path);
            }
            let hint = hint_of(&error, again, &list.recipients);
            let failure = Failure::from(error);
            return Err(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
    };
    if let Some(earlier) = follows {
        desk::campaign::follow_up(office, imported.campaign, earlier, &context.actor()).await?;
    }
    let found = check::check(office, imported.campaign).await?;
    if let (Some(file), Some(path)) = (bad_rows_file, &list.bad_rows) {
        write_bad_rows(office, imported.campaign, file, path, context).await?;
    }
    let brought_in = BroughtIn {
        check: &found,
        resumed_after: imported.resumed_after,
        bad_rows_file: list.bad_rows.as_deref(),
    };
    context.out.data(&brought_in, || {
        let resumed = match imported.resumed_after {
            0 => String::new(),
            rows => format!("An earlier run had brought in {rows} rows; this one went on from there.\n"),
        };
        resumed + &told(&found)
    })?;
    Ok(exit_of(&found))
}

/// The command that leads on after an error.
fn hint_of(error: &ImportError, again: &str, file: &Path) -> Option<String> {
    let file = format!("'{}'", file.display().to_string().replace('\'', r"'\''"));
    match error {
        ImportError::Columns(error @ (ColumnsError::NoEmail { .. } | ColumnsError::NoSuchColumn { .. })) => {
            let (meaning, column) = error.nearest().unwrap_or(("email", "COLUMN"));
            let column = column.replace('\'', r"'\''");
            Some(format!("{again} --recipients {file} --map {meaning}='{column}'"))
        }
        ImportError::CutOff { .. } => Some(format!("{again} --recipients {file}")),
        _ => None,
    }
}

/// A file of the person's data: private, and never in the place of another.
fn new_file(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::AlreadyExists => format!("{} exists already; choose another name", path.display()),
            _ => format!("cannot write {}", path.display()),
        };
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(text))
    })
}

async fn write_bad_rows(
    office: &Office,
    id: CampaignId,
    file: File,
    path: &Path,
    context: &Context,
) -> Result<(), Failure> {
    let mut buffered = BufWriter::new(file);
    let written = bad_rows::export(office, id, &mut buffered).await;
    let written = written.map_err(|error| Failure::new(Exit::Ours, error))?;
    buffered.flush()?;
    if written == 0 {
        std::fs::remove_file(path)?;
        context.out.note("there is no bad row, so no file was written");
    } else {
        context.out.note(&format!(
            "{} has {written} rows to correct; then: breachpost campaign add {id} --recipients {}",
            path.display(),
            path.display()
        ));
    }
    Ok(())
}

/// How far the import is, on a terminal; nothing elsewhere.
struct Bar(Option<ProgressBar>);
impl Bar {
    fn new(context: &Context) -> Self {
        if context.out.json || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::no_length();
        bar.set_style(run::bar_style(
            "{bar:30} {human_pos} of {human_len} rows, {rate}, {eta} left; {msg}",
        ));
        Self(Some(bar))
    }
    fn shows(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            bar.set_message(format!("{} cannot be used", progress.counts.invalid));
        }
    }
    fn ends(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

async fn show_list(office: &Office, context: &Context) -> Result<Exit, Failure> {
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
                coverage.total.to_string(),
                coverage.informed.to_string(),
                coverage.in_doubt.to_string(),
                coverage.unreached.to_string(),
                coverage.pending.to_string(),
            ]);
        }
        table(&rows)
    })?;
    Ok(Exit::Done)
}

/// For a person, in the order in which it must be dealt with: bad rows, duplicates, what is worth a look.
fn told(check: &CampaignCheck) -> String {
    let line = &check.line;
    let counts = &line.counts;
    let mut text = format!(
        "{} for {}: {}\n  {} rows: {} persons can be written to, {} duplicates, {} cannot be used\n",
        line.id, line.breach, line.state, counts.rows, counts.valid, counts.duplicates, counts.invalid
    );
    if line.state == "importing" {
        text.push_str("\nThe import was cut off. Run the same command again: it goes on where it was.\n");
    }
    for list in &check.lists {
        text.push_str(&format!("  {}: {}\n", list.file, how_read(list)));
    }
    if counts.invalid > 0 {
        text.push_str("\nRows that cannot be used; these persons count as unreached until their rows are corrected:\n");
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
        if counts.invalid > check.bad_rows.len() as u64 {
            text.push_str("  …\n");
            for reason in &check.reasons {
                text.push_str(&format!("  {} rows in all: {}\n", reason.rows, reason.text));
            }
        }
        text.push_str(&format!(
            "  To correct them: breachpost campaign check {id} --bad-rows to-correct.csv\n  Then: breachpost campaign add {id} --recipients to-correct.csv\n",
            id = line.id
        ));
    }
    let remarks = check.remarks();
    if !remarks.is_empty() {
        text.push_str("\nWorth a look:\n");
        for (times, remark) in remarks {
            text.push_str(&format!("  {times} {remark}\n"));
        }
    }
    if !check.languages.is_empty() {
        let languages = check
            .languages
            .iter()
            .map(|(language, persons)| match language.as_str() {
                "" => format!("not known {persons}"),
                known => format!("{known} {persons}"),
            });
        text.push_str(&format!("\nLanguages: {}\n", languages.collect::<Vec<_>>().join(", ")));
        if let Some(unknown) = check.languages.get("").filter(|_| !check.stacked.is_empty()) {
            let stacked = check.stacked.join(", ");
            text.push_str(&format!("  {unknown} get one message in {stacked}\n"));
        }
        if check.in_fallback_language > 0 {
            let (persons, fallback) = (check.in_fallback_language, &check.fallback_language);
            text.push_str(&format!("  {persons} get the fallback language, {fallback}\n"));
        }
    }
    if !check.domains.is_empty() {
        let domains = check
            .domains
            .iter()
            .map(|found| format!("{} {}", found.domain, found.persons));
        text.push_str(&format!(
            "Most frequent domains: {}\n",
            domains.collect::<Vec<_>>().join(", ")
        ));
    }
    text
}

/// `CSV, windows-1252 (guessed)` and what the columns were taken for.
fn how_read(list: &crate::store::StoredList) -> String {
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
