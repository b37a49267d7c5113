//! What the supervisor hears of the daemon (sd_notify(3)). Its socket takes a few messages and makes whoever sends one
//! more wait until it reads, so a thread of its own sends: a busy supervisor holds up neither work nor end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;
use std::{io, thread};

use sd_notify::NotifyState;

use crate::dispatch::daemon::News;

/// Messages that may wait for the supervisor. Signs of life wait one at a time, so these are reloads and troubles.
const WAITING_MOST: usize = 32;
/// What it may take to hear of the end; the end does not wait for more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The line to the supervisor; where none listens (`$NOTIFY_SOCKET`), nothing is sent.
pub(super) struct Systemd {
    line: SyncSender<String>,
    alive_waits: Arc<AtomicBool>,
    /// Ends when all has been sent.
    sent: Receiver<()>,
}

impl Systemd {
    /// # Errors
    /// No thread can be started.
    pub(super) fn start() -> io::Result<Self> {
        let (line, waiting) = sync_channel(WAITING_MOST);
        let (sending, sent) = channel();
        let alive_waits = Arc::new(AtomicBool::new(false));
        let taken = Arc::clone(&alive_waits);
        thread::Builder::new()
            .name("sd-notify".to_owned())
            .spawn(move || send(&waiting, &taken, sending))?;
        Ok(Self {
            line,
            alive_waits,
            sent,
        })
    }

    /// Returns at once, whether or not anybody listens.
    pub(super) fn tell(&self, news: &News) {
        let message = match news {
            News::Ready => NotifyState::Ready.to_string(),
            News::Status(line) => NotifyState::Status(line).to_string(),
            News::Reloading => {
                // systemd wants the time of the reload with it (Type=notify-reload).
                let clock = NotifyState::monotonic_usec_now().map(|clock| format!("\n{clock}"));
                format!("{}{}", NotifyState::Reloading, clock.unwrap_or_default())
            }
            // One sign of life says as much as many.
            News::Alive if self.alive_waits.swap(true, Ordering::AcqRel) => return,
            News::Alive => NotifyState::Watchdog.to_string(),
            News::Stopping => NotifyState::Stopping.to_string(),
        };
        if self.line.try_send(message).is_err() {
            tracing::debug!("systemd has not read what it was told before, and was not told more");
            self.alive_waits.store(false, Ordering::Release);
        }
    }

    /// Waits a moment until the last words are said.
    pub(super) fn close(self) {
        drop(self.line);
        // Nothing is ever sent here: it ends with the thread.
        let _ = self.sent.recv_timeout(LAST_WORDS);
    }
}

fn send(waiting: &Receiver<String>, alive_waits: &AtomicBool, _sending: Sender<()>) {
    for message in waiting {
        // Before it is sent, so that one more may wait while this one does.
        alive_waits.store(false, Ordering::Release);
        if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&message)]) {
            tracing::debug!(error = %error, "systemd was not told");
        }
    }
}
