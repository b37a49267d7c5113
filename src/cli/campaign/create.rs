//! `campaign create` and `add`: bringing a list in, and what of it cannot be used.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::check::{exit_of, told};
use super::progress::LiveLine;
use crate::cli::Context;
use crate::cli::output::{Exit, Failure};
use crate::dispatch::campaign::bad_rows;
use crate::dispatch::campaign::check::{self, CampaignCheck};
use crate::dispatch::campaign::import::{self, ImportError, ImportRequest, Imported, Target};
use crate::dispatch::desk;
use crate::dispatch::office::Office;
use crate::model::id::CampaignId;
use crate::model::plural::{counted, grouped, if_one};
use crate::model::recipient::{ColumnsError, Mapping};
use crate::reading::table::{Options, TableError};
use crate::store::StoreError;

/// A list and how it is read.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The list, with the names of its columns in the first row. Columns are found by their names in many languages:
    /// email, name (or first_name, last_name), language, country, data, person_id, phone, street, postcode, city;
    /// others become merge fields.
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

/// What `create` and `add` print.
#[derive(Serialize)]
struct BroughtIn<'a> {
    #[serde(flatten)]
    check: &'a CampaignCheck,
    /// Rows that an earlier, cut off run of the same command had brought in.
    resumed_after: u64,
    bad_rows_file: Option<&'a Path>,
}

/// Brings a list in and says what is known of it; `again` is the command that goes on if this one is cut off.
pub(super) async fn bring_in(
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
    let imported = match import_shown(office, context, request, again, &list.recipients).await? {
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
            rows => format!(
                "An earlier run had brought in {}; this one went on from there.\n",
                counted(rows, "row")
            ),
        };
        resumed + &told(&found, list.bad_rows.as_deref())
    })?;
    Ok(exit_of(&found))
}

/// Imports, and shows on a terminal how far it is. Interrupted, it stops between two chunks: what is in stays in.
async fn import_shown(
    office: &Office,
    context: &Context,
    request: ImportRequest,
    again: &str,
    file: &Path,
) -> Result<Result<Imported, ImportError>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut line = LiveLine::on(context, "row");
    let mut rows = None;
    let actor = context.actor();
    let importing = import::import(office, request, &actor, |progress| {
        rows = Some((progress.done, progress.total));
        line.shows(
            progress.done,
            progress.total,
            &[(progress.counts.invalid, "cannot be used")],
        );
    });
    let imported = tokio::select! {
        imported = importing => Some(imported),
        _ = interrupt.recv() => None,
    };
    line.ends();
    imported.ok_or_else(|| {
        let stopped = match rows {
            Some((done, total)) => format!(
                "stopped: {} of {} {}",
                grouped(done),
                counted(total, "row"),
                if_one(done, "is in, and stays in", "are in, and stay in")
            ),
            None => "stopped: what was brought in by now stays in".to_owned(),
        };
        Failure::person(stopped).hint(format!("{again} --recipients {}", quoted(file)))
    })
}

/// A path as a shell takes it.
pub(super) fn quoted(file: &Path) -> String {
    format!("'{}'", file.display().to_string().replace('\'', r"'\''"))
}

/// The command that leads on after an error.
fn hint_of(error: &ImportError, again: &str, file: &Path) -> Option<String> {
    let file = quoted(file);
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
pub(super) fn new_file(path: &Path) -> Result<File, Failure> {
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

/// All rows that cannot be used, to be corrected.
pub(super) async fn write_bad_rows(
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
            "{} has {} to correct; then: breachpost campaign add {id} --recipients {}",
            path.display(),
            counted(written, "row"),
            quoted(path)
        ));
    }
    Ok(())
}
