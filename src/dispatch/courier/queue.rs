//! What is ready to leave, notices before all else.

use tokio::sync::mpsc::Receiver;

use super::prepare::Job;

/// What the lanes take from. Each end is dropped by whoever fills it, when there is no more to come.
pub(super) struct Queue {
    notices: Receiver<Job>,
    persons: Receiver<Job>,
}
impl Queue {
    pub(super) fn new(notices: Receiver<Job>, persons: Receiver<Job>) -> Self {
        Self { notices, persons }
    }

    /// Waits for the next; `None` when none will come any more.
    pub(super) async fn next(&mut self) -> Option<Job> {
        tokio::select! {
            biased;
            Some(notice) = self.notices.recv() => Some(notice),
            Some(other) = self.persons.recv() => Some(other),
            else => None,
        }
    }

    /// The next, if one is ready now.
    pub(super) fn next_at_once(&mut self) -> Option<Job> {
        self.notices.try_recv().or_else(|_| self.persons.try_recv()).ok()
    }
}
