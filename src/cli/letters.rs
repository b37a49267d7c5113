//! `campaign letters`: on paper to those whom mail did not reach.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::campaign::post::{self, PostError, Printed, Unprinted};
use crate::dispatch::office::{Office, OfficeError};
use crate::message::letter::Window;
use crate::model::id::CampaignId;
use crate::model::plural::counted;
use crate::store::StoreError;

/// What to print, and where.
#[derive(Debug, Args)]
pub struct LettersArgs {
    /// The campaign; `campaign list` names them.
    id: CampaignId,
    /// The files' name: letters.pdf becomes letters-de.pdf, letters-fr.pdf… Existing files are left alone.
    #[arg(short, long, value_name = "FILE.pdf")]
    output: PathBuf,
    /// On which side the envelopes have their window: left (DIN 5008) or right (France, Luxembourg, Belgium).
    #[arg(long, value_enum, default_value = "left")]
    window: Side,
    /// To those too of whom it is not known whether mail reached them.
    #[arg(long)]
    in_doubt: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    Left,
    Right,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    id: CampaignId,
    files: Vec<Written>,
    unprinted: Unprinted,
}
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    language: String,
    letters: u32,
    pages: usize,
}

/// Status 2 when somebody gets no letter.
pub async fn run(args: LettersArgs, office: &Office, context: &Context) -> Result<Exit, Failure> {
    let window = match args.window {
        Side::Left => Window::Left,
        Side::Right => Window::Right,
    };
    let mut files = Vec::new();
    let keep = |printed: Printed| {
        let file = named(&args.output, &printed);
        // Private, and never in the place of another.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let kept = options.open(&file).and_then(|mut pdf| pdf.write_all(&printed.pdf));
        kept.map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        files.push(Written {
            file,
            language: printed.language,
            letters: printed.letters,
            pages: printed.pages,
        });
        Ok(())
    };
    let unprinted = post::letters(office, args.id, window, args.in_doubt, keep)
        .await
        .map_err(failed)?;
    let exit = match unprinted.reasons.is_empty() {
        true => Exit::Done,
        false => Exit::Person,
    };
    let report = Report {
        id: args.id,
        files,
        unprinted,
    };
    context.out.data(&report, || told(&report))?;
    Ok(exit)
}

/// `letters.pdf` as `letters-de.pdf`, and further parts as `letters-de-2.pdf`.
fn named(output: &Path, printed: &Printed) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let part = match printed.part {
        1 => String::new(),
        part => format!("-{part}"),
    };
    output.with_file_name(format!("{stem}-{}{part}.pdf", printed.language))
}

fn told(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        text.push_str(&format!(
            "{}: {} on {}\n",
            file.file.display(),
            counted(file.letters, "letter"),
            counted(file.pages, "page")
        ));
    }
    if report.files.is_empty() {
        text.push_str("No letters: nobody who was not reached has a postal address.\n");
    } else {
        text.push_str("Look at one before you print them all: address in the window, name, text.\n");
    }
    for (why, persons) in &report.unprinted.reasons {
        text.push_str(&format!("{} without a letter: {why}\n", counted(persons, "person")));
    }
    for (whom, why) in &report.unprinted.persons {
        text.push_str(&format!("  {whom}: {why}\n"));
    }
    text
}

fn failed(error: PostError) -> Failure {
    match error {
        PostError::Office(OfficeError::Store(error @ StoreError::NotFound { .. })) => {
            Failure::new(Exit::Usage, error).hint("breachpost campaign list")
        }
        PostError::Office(error) => error.into(),
        keep @ PostError::Keep(_) => Failure::new(Exit::Usage, keep),
    }
}
