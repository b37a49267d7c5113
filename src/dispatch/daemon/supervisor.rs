//! Keeps one loop running: an error or a panic ends neither the daemon nor the other loops. It is logged once, plainly,
//! and the loop is started again after a wait that grows to a minute. Only a store that is gone or damaged ends all.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::board::Board;
use super::{DaemonError, LoopError};
use crate::dispatch::office::Office;
use crate::store::StoreError;

/// Waits between two starts of a loop that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A loop that has run this long is well again.
const SETTLED: Duration = Duration::from_secs(30);

/// A loop at work.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), LoopError>> + Send>>;

/// A loop of the daemon: how it is called and started, as often as need be.
pub(super) struct Loop {
    /// Completes "the …".
    pub(super) name: &'static str,
    /// It wakes up at least this often as long as it works.
    pub(super) silent_most: Duration,
    pub(super) start: Box<dyn Fn(Office, CancellationToken) -> Work + Send + Sync>,
}

impl Loop {
    pub(super) fn new<F>(
        name: &'static str,
        silent_most: Duration,
        start: impl Fn(Office, CancellationToken) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), LoopError>> + Send + 'static,
    {
        Self {
            name,
            silent_most,
            start: Box::new(move |office, stop| Box::pin(start(office, stop))),
        }
    }
}

/// Runs a loop until told to stop.
///
/// # Errors
/// The store has failed for good: nobody can wait that out.
pub(super) async fn keep_running(
    one: Loop,
    office: Office,
    stop: CancellationToken,
    board: Arc<Board>,
) -> Result<(), DaemonError> {
    let mut wait = FIRST_WAIT;
    loop {
        let work = board.watch(one.name, one.silent_most, (one.start)(office.clone(), stop.clone()));
        let mut running = AbortOnDropHandle::new(tokio::spawn(work));
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = tokio::time::sleep(SETTLED) => {
                wait = FIRST_WAIT;
                if board.well(one.name) {
                    tracing::info!("the {} works again", one.name);
                }
                running.await
            }
        };
        let why = match ended {
            Ok(Ok(())) if stop.is_cancelled() => return Ok(()),
            Ok(Ok(())) => "it ended without being told to".to_owned(),
            Ok(Err(source)) if is_final(source.as_ref()) => {
                return Err(DaemonError::Store { what: one.name, source });
            }
            Ok(Err(error)) => chain(error.as_ref()),
            Err(panic) => format!("a fault in this program: {panic}"),
        };
        if board.failed(one.name, why.clone()) {
            tracing::error!("the {} has failed and is started again: {why}", one.name);
        } else {
            tracing::debug!("the {} has failed once more: {why}", one.name);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Whether the store lies at the bottom of an error, in a state that starting again does not mend.
fn is_final(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = match error.downcast_ref::<StoreError>() {
            Some(StoreError::NotCommitted { source }) => Some(source.as_ref()),
            found => found,
        };
        if let Some(store) = found {
            return matches!(
                store,
                StoreError::Gone
                    | StoreError::Damaged { .. }
                    | StoreError::DamagedPage { .. }
                    | StoreError::WrongKey { .. }
                    | StoreError::TooNew { .. }
            );
        }
        next = error.source();
    }
    false
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
