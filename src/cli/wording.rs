//! The flags of `campaign create` that decide about the words.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{Exit, Failure};
use crate::dispatch::campaign::Wording;
use crate::dispatch::campaign::wording::WordingError;
use crate::dispatch::office::Office;

/// More is no text for persons.
const MOST_BYTES: u64 = 1 << 20;

/// How the messages are worded.
#[derive(Debug, Args)]
pub struct WordingArgs {
    /// Do not name the organisation: for a sender whose name alone would tell something about the person. Needs a neutral
    /// sender and a telephone number, from the file of --texts; and an address that does not tell it: individuals.sender.
    #[arg(long, requires = "texts")]
    discreet: bool,
    /// Send each message as HTML too, beside the text. It loads nothing and links nowhere.
    #[arg(long)]
    html: bool,
    /// What you say in the persons' languages (YAML): texts (by language: what_happened, consequences, measures) in the
    /// place of the breach record's, updates_at, stacked (languages for those whose own is not known), discreet.
    /// `breachpost campaign texts` prints an example.
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
}

impl WordingArgs {
    /// The words of a campaign after a change: without --texts, what is not spoken of stays as it was.
    ///
    /// # Errors
    /// As [`WordingArgs::read`].
    pub fn change(&self, office: &Office, was: Wording) -> Result<Wording, Failure> {
        match self.texts {
            Some(_) => self.read(office),
            None => Ok(Wording {
                html: was.html || self.html,
                ..was
            }),
        }
    }

    /// Reads and judges what was given.
    ///
    /// # Errors
    /// The file cannot be read, or says something that cannot be used.
    pub fn read(&self, office: &Office) -> Result<Wording, Failure> {
        read(self.texts.as_deref(), self.discreet, self.html, office)
    }
}

/// Reads and judges the operator's words; without a file, the record's own stand.
///
/// # Errors
/// The file cannot be read, or says something that cannot be used.
pub fn read(texts: Option<&Path>, discreet: bool, html: bool, office: &Office) -> Result<Wording, Failure> {
    let file = match texts {
        Some(path) => {
            let bytes = std::fs::metadata(path).and_then(|found| match found.len() > MOST_BYTES {
                true => Err(std::io::ErrorKind::FileTooLarge.into()),
                false => std::fs::read(path),
            });
            let unreadable = |error| {
                let text = format!("cannot read the texts {}", path.display());
                Failure::new(Exit::Usage, anyhow::Error::new(error).context(text))
            };
            Some((path.display().to_string(), bytes.map_err(unreadable)?))
        }
        None => None,
    };
    let file = file.as_ref().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    Ok(Wording::read(file, discreet, html, &office.templates)?)
}

impl From<WordingError> for Failure {
    fn from(error: WordingError) -> Self {
        Failure::new(Exit::Usage, error)
    }
}
