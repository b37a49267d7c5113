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
use crate::dispatch::causes::{chain, mistake};
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
    pub(super) start: Box<dyn Fn(CancellationToken) -> Work + Send + Sync>,
}

impl Loop {
    pub(super) fn new<F>(
        name: &'static str,
        silent_most: Duration,
        start: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), LoopError>> + Send + 'static,
    {
        Self {
            name,
            silent_most,
            start: Box::new(move |stop| Box::pin(start(stop))),
        }
    }
}

/// Runs a loop until told to stop.
///
/// # Errors
/// The store has failed for good: nobody can wait that out.
pub(super) async fn keep_running(one: Loop, stop: CancellationToken, board: Arc<Board>) -> Result<(), DaemonError> {
    let mut wait = FIRST_WAIT;
    loop {
        let work = board.watch(one.name, one.silent_most, (one.start)(stop.clone()));
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
            Err(panic) => format!("a fault in this program: {}", mistake(panic)),
        };
        if stop.is_cancelled() {
            tracing::error!("the {} has failed while it stopped: {why}", one.name);
            return Ok(());
        }
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
                    | StoreError::Missing { .. }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::dispatch::office::OfficeError;

    /// A loop that does this at its nth start, counted from 1, and how often it was started.
    fn counted<F>(work: impl Fn(u32, CancellationToken) -> F + Send + Sync + 'static) -> (Loop, Arc<AtomicU32>)
    where
        F: Future<Output = Result<(), LoopError>> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&starts);
        let start = move |stop| work(counter.fetch_add(1, Ordering::SeqCst) + 1, stop);
        (Loop::new("tester", Duration::from_secs(10), start), starts)
    }

    async fn well(stop: CancellationToken) -> Result<(), LoopError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Runs it for so long, then tells it to stop.
    async fn run(one: Loop, board: &Arc<Board>, seconds: u64) -> Result<(), DaemonError> {
        let stop = CancellationToken::new();
        let running = tokio::spawn(keep_running(one, stop.clone(), Arc::clone(board)));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.cancel();
        running.await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn errors_and_panics_are_survived() {
        let board = Arc::new(Board::default());
        let (one, starts) = counted(|nth, stop| async move {
            match nth {
                1 => Err("the first fault".into()),
                2 => panic!("the second fault"),
                3 => Ok(()),
                _ => well(stop).await,
            }
        });
        run(one, &board, 20).await.unwrap();
        assert_eq!(starts.load(Ordering::SeqCst), 4);
        let troubles = board.troubles();
        assert!(
            troubles[0].contains("without being told to"),
            "not settled yet: {troubles:?}"
        );

        let (one, _) = counted(|nth, stop| async move {
            match nth {
                1 => Err("the only fault".into()),
                _ => well(stop).await,
            }
        });
        run(one, &board, 60).await.unwrap();
        assert_eq!(board.troubles(), [""; 0], "it works again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_grows_to_a_minute() {
        let board = Arc::new(Board::default());
        let (one, starts) = counted(|_, _| async { Err("always".into()) });
        run(one, &board, 600).await.unwrap();
        // At once, after 1, 2, 4, 8, 16 and 32 seconds, then a minute each.
        assert_eq!(starts.load(Ordering::SeqCst), 1 + 6 + 8);
        assert_eq!(
            board.troubles(),
            ["the tester has failed and is started again and again: always"]
        );
        assert_eq!(board.stuck(), None, "a loop that waits to be started is not stuck");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_gone_ends_it() {
        let board = Arc::new(Board::default());
        for (fault, is_end) in [
            (StoreError::Gone, true),
            (
                StoreError::NotCommitted {
                    source: Arc::new(StoreError::Gone),
                },
                true,
            ),
            (
                StoreError::Corrupt {
                    what: "row",
                    why: "one of many".to_owned(),
                },
                false,
            ),
        ] {
            let fault = std::sync::Mutex::new(Some(fault));
            let (one, _) = counted(move |_, stop| {
                let fault = fault.lock().unwrap().take();
                async move {
                    match fault {
                        Some(fault) => Err(OfficeError::from(fault).into()),
                        None => well(stop).await,
                    }
                }
            });
            let ended = run(one, &board, 20).await;
            assert_eq!(ended.is_err(), is_end, "{ended:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_nothing_is_noticed() {
        let board = Arc::new(Board::default());
        let (one, _) = counted(|_, stop| well(stop));
        run(one, &board, 100).await.unwrap();
        assert_eq!(board.stuck(), None);

        let (one, _) = counted(|_, stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn(keep_running(one, stop.clone(), Arc::clone(&board)));
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(board.stuck(), None);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(board.stuck(), Some("tester"));
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
