//! The daemon: courier and mailbox loops under one stop signal. What one loop cannot do never stops the other; a loop
//! that ends with an error ends the daemon with that error, so that a supervisor restarts it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::mail::maildir::Maildir;

use super::checkpoint;
use super::clerk;
use super::courier::{Courier, Scope};
use super::intake::{self, IntakeError};
use super::office::{Office, OfficeError};
use super::worker::WorkerKind;

/// A checkpoint is due this often, whether or not a notice was accepted (design: invariant 9).
const CHECKPOINT_EVERY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the courier has stopped")]
    Courier(#[source] OfficeError),
    #[error("the mailbox watcher has stopped")]
    Mailbox(#[source] IntakeError),
}

/// Runs until told to stop; then finishes what is on the wire and gives back what it had claimed.
///
/// # Errors
/// The settings, our key or the mailbox cannot be used at the start, or the store fails later.
pub async fn serve(office: &Office, stop: CancellationToken) -> Result<(), DaemonError> {
    // Refuse to start half-configured: a wrong passphrase shows now, not at the first answer.
    office.our_key().await?;
    let maildir = maildir_of(office)?;
    let worker = office.sign_on(WorkerKind::Daemon).await?;
    let courier = Arc::new(Courier::new(office, &worker)?);
    let mut loops: JoinSet<Result<(), DaemonError>> = JoinSet::new();
    let token = stop.clone();
    loops.spawn(async move { courier.run(Scope::Forever, token).await.map_err(DaemonError::Courier) });
    if let Some(path) = maildir {
        let (office, token) = (office.clone(), stop.clone());
        loops.spawn(async move {
            intake::watch_maildir(office, &path, token)
                .await
                .map_err(DaemonError::Mailbox)
        });
    }
    loops.spawn(daily_checkpoints(office.clone(), stop.clone()));
    let clerk = clerk::run(office.clone(), worker.id(), stop.clone());
    loops.spawn(async move {
        clerk.await;
        Ok(())
    });
    let mut first_error = Ok(());
    while let Some(ended) = loops.join_next().await {
        let ended = ended.expect("a loop does not panic");
        if ended.is_err() && first_error.is_ok() {
            first_error = ended;
            stop.cancel();
        }
    }
    first_error
}

/// One round for those who run no daemon: sends what is due, reads the mailbox once, raises what needs a person, and ends.
///
/// # Errors
/// As [`serve`].
pub async fn once(office: &Office) -> Result<(), DaemonError> {
    office.our_key().await?;
    let maildir = maildir_of(office)?;
    let worker = office.sign_on(WorkerKind::Command).await?;
    let courier = Arc::new(Courier::new(office, &worker)?);
    courier
        .run(Scope::UntilIdle, CancellationToken::new())
        .await
        .map_err(DaemonError::Courier)?;
    let by = Office::as_loop("intake");
    intake::catch_up(office, &by).await.map_err(DaemonError::Mailbox)?;
    if let Some(path) = maildir {
        let maildir = Maildir::open(&path)
            .map_err(IntakeError::Maildir)
            .map_err(DaemonError::Mailbox)?;
        intake::look(office, &maildir, &by)
            .await
            .map_err(DaemonError::Mailbox)?;
    }
    clerk::round(office, worker.id()).await?;
    office.store.end_lead(worker.id()).await.map_err(OfficeError::from)?;
    Ok(())
}

fn maildir_of(office: &Office) -> Result<Option<PathBuf>, DaemonError> {
    let Some(mailbox) = &office.config.mailbox else {
        return Ok(None);
    };
    Ok(Some(mailbox.maildir(&office.home).map_err(OfficeError::from)?))
}

async fn daily_checkpoints(office: Office, stop: CancellationToken) -> Result<(), DaemonError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
        }
        if let Err(error) = checkpoint::write(&office).await {
            tracing::error!(error = %error, "the journal's checkpoint could not be written");
        }
    }
}
