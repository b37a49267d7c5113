//! What the daemon knows of its loops: whether each still wakes up, and what is wrong with it. Decides nothing.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// One page for one generation of loops.
#[derive(Debug, Default)]
pub(super) struct Board {
    loops: Mutex<BTreeMap<&'static str, Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    /// When it last woke up; `None` while it does not run and waits to be started again.
    woke: Option<Instant>,
    silent_most: Duration,
    trouble: Option<String>,
}

impl Board {
    fn loops(&self) -> MutexGuard<'_, BTreeMap<&'static str, Entry>> {
        self.loops.lock().expect("nobody panics while holding it")
    }

    /// Watches a loop while it runs: it counts as alive as long as it is woken up at least every `silent_most`. Each loop
    /// has a timer of its own that does so; one that waits for ever, or blocks, is not.
    pub(super) fn watch<F: Future>(self: &Arc<Self>, name: &'static str, silent_most: Duration, work: F) -> Watched<F> {
        self.loops()
            .entry(name)
            .or_insert(Entry {
                woke: None,
                silent_most,
                trouble: None,
            })
            .woke = Some(Instant::now());
        Watched {
            name,
            board: Arc::clone(self),
            work: Box::pin(work),
        }
    }

    fn woke(&self, name: &'static str, at: Option<Instant>) {
        if let Some(entry) = self.loops().get_mut(name) {
            entry.woke = at;
        }
    }

    /// The loop has ended and will be started again: `why`. Returns whether that is news.
    pub(super) fn failed(&self, name: &'static str, why: String) -> bool {
        self.woke(name, None);
        self.set_trouble(name, Some(why))
    }

    /// The loop runs well. Returns whether that is news.
    pub(super) fn well(&self, name: &'static str) -> bool {
        self.set_trouble(name, None)
    }

    fn set_trouble(&self, name: &'static str, trouble: Option<String>) -> bool {
        let mut loops = self.loops();
        let Some(entry) = loops.get_mut(name).filter(|entry| entry.trouble != trouble) else {
            return false;
        };
        entry.trouble = trouble;
        self.changed.notify_one();
        true
    }

    /// Resolves when a loop has failed or recovered since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is wrong, a line for each loop.
    pub(super) fn troubles(&self) -> Vec<String> {
        let loops = self.loops();
        let lines = loops
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.trouble.as_ref()?)));
        lines
            .map(|(name, why)| format!("the {name} has failed and is started again and again: {why}"))
            .collect()
    }

    /// A loop that runs and has not woken up for longer than it ever should.
    pub(super) fn stuck(&self) -> Option<&'static str> {
        let loops = self.loops();
        loops.iter().find_map(|(name, entry)| {
            let silent = entry.woke?.elapsed();
            (silent > entry.silent_most).then_some(*name)
        })
    }
}

/// A loop's work that notes each time it is woken up.
pub(super) struct Watched<F> {
    name: &'static str,
    board: Arc<Board>,
    work: Pin<Box<F>>,
}
impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.board.woke(self.name, Some(Instant::now()));
        self.work.as_mut().poll(context)
    }
}
