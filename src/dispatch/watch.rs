//! The mailboxes, watched: fetches what is new and hands each mail to [`intake`]. Progress is what the store holds;
//! nothing is marked, moved or deleted in a mailbox. Knows nothing of what a mail means.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::intake::{self, IntakeError, MAX_MAIL_BYTES};
use super::office::Office;
use crate::mail::maildir::{Maildir, MaildirError};
use crate::model::id::Actor;

/// How often a Maildir is looked at.
const POLL: Duration = Duration::from_secs(2);

/// A mailbox could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("the Maildir cannot be read")]
    Maildir(#[source] MaildirError),
    #[error("what came in cannot be stored")]
    Intake(#[from] IntakeError),
}

/// Watches a Maildir until told to stop; a mail that cannot be taken in never blocks the next one.
///
/// # Errors
/// The Maildir cannot be read at all at the start. Later troubles are logged and tried again.
pub async fn watch_maildir(office: Office, path: &Path, stop: CancellationToken) -> Result<(), WatchError> {
    let by = Office::as_loop("intake");
    let maildir = Maildir::open(path).map_err(WatchError::Maildir)?;
    intake::catch_up(&office, &by).await?;
    loop {
        if let Err(error) = look(&office, &maildir, &by).await {
            tracing::error!(error = %error, "the mailbox could not be read; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// One look at the Maildir: everything not stored before is taken in. Returns how many were new.
///
/// # Errors
/// The folder cannot be listed, or the store fails.
pub async fn look(office: &Office, maildir: &Maildir, by: &Actor) -> Result<usize, WatchError> {
    let mut taken = 0;
    for entry in maildir.list().map_err(WatchError::Maildir)? {
        let source = format!("maildir:{}", entry.unique);
        if office.store.seen(&source).await.map_err(IntakeError::from)? {
            continue;
        }
        match maildir.read(&entry, MAX_MAIL_BYTES) {
            Ok(raw) => match intake::ingest(office, &raw, &source, by).await {
                Ok(_) => taken += 1,
                Err(IntakeError::Empty) => tracing::warn!(mail = entry.unique, "an empty file in the Maildir"),
                Err(error) => return Err(error.into()),
            },
            Err(error) => tracing::error!(mail = entry.unique, error = %error, "a mail could not be read"),
        }
    }
    Ok(taken)
}
