//! A Maildir, looked at again and again. It is listed when it has changed, and what is known to be stored is not asked
//! for again, so that a large one costs little.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Halt, Health, WatchError, stand_in, take_in};
use crate::dispatch::causes::chain;
use crate::dispatch::intake::MAX_MAIL_BYTES;
use crate::dispatch::office::Office;
use crate::mail::maildir::{Entry, Maildir, MaildirError, Stamp};
use crate::model::plural::counted;

/// How often it is asked whether it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// It is listed this often even if it seems unchanged: some network file systems are slow to tell.
const LIST_EVERY: Duration = Duration::from_secs(60);

pub(super) struct MaildirReader {
    path: PathBuf,
    /// Digests of the unique names that are stored: 16 bytes each instead of a path. Shared with the thread that lists.
    known: Arc<HashSet<[u8; 16]>>,
    /// Those that could not be read, named once in the log.
    named: HashSet<[u8; 16]>,
    listed: Option<Listing>,
}

/// A listing that was read to its end.
struct Listing {
    stamp: Stamp,
    at: Instant,
    /// The one before had the same stamp. Until then a mail may have come behind the listing and left the stamp as it was:
    /// two changes within one tick of the file system's clock look like one.
    again: bool,
}
impl Listing {
    /// Whether it still says all while the folder has this stamp.
    fn holds(&self, stamp: &Stamp) -> bool {
        self.again && self.stamp == *stamp && self.at.elapsed() < LIST_EVERY
    }
    fn after(before: Option<&Self>, stamp: Stamp) -> Self {
        let again = before.is_some_and(|before| before.stamp == stamp);
        let at = Instant::now();
        Self { stamp, at, again }
    }
}

impl MaildirReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            known: Arc::default(),
            named: HashSet::new(),
            listed: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("maildir:{}", self.path.display())
    }

    pub(super) fn describe(&self) -> Result<String, WatchError> {
        let mails = Maildir::open(&self.path)?.list_unless(|_| false)?.len();
        Ok(format!(
            "{} can be read, {}",
            self.path.display(),
            counted(mails, "mail")
        ))
    }

    /// Reads it until told to stop, or until it cannot be read.
    pub(super) async fn attend(&mut self, office: &Office, stop: &CancellationToken, health: &mut Health) -> Halt {
        loop {
            match self.read(office, stop).await {
                Ok(_) => health.good(office).await,
                Err(error) => return Halt::Failed(error),
            }
            let pause = tokio::time::sleep(LOOK_EVERY);
            if stop.run_until_cancelled(pause).await.is_none() {
                return Halt::Stopped;
            }
        }
    }

    /// One look: everything not stored before is taken in, until told to stop. Returns how many were new.
    pub(super) async fn read(&mut self, office: &Office, stop: &CancellationToken) -> Result<usize, WatchError> {
        let path = self.path.clone();
        // Its stamp is taken before it is listed: what comes meanwhile changes it again.
        let looked = apart(move || Maildir::open(&path).and_then(|maildir| Ok((maildir.stamp()?, maildir))));
        let (stamp, maildir) = looked.await?;
        if self.listed.as_ref().is_some_and(|listed| listed.holds(&stamp)) {
            return Ok(0);
        }
        let (folder, known) = (maildir.clone(), Arc::clone(&self.known));
        let entries = apart(move || folder.list_unless(|unique| known.contains(&short(unique)))).await?;
        let mut taken = 0;
        for entry in entries {
            if stop.is_cancelled() {
                // Not listed to its end: whoever reads next goes on.
                return Ok(taken);
            }
            let source = format!("maildir:{}", entry.unique);
            let stored = office.store.seen(&source).await?;
            if !stored {
                let Some(raw) = self.bytes(&maildir, &entry, office).await else {
                    continue;
                };
                taken += usize::from(take_in(office, raw, &source).await?);
            }
            Arc::make_mut(&mut self.known).insert(short(&entry.unique));
        }
        self.listed = Some(Listing::after(self.listed.as_ref(), stamp));
        Ok(taken)
    }

    /// `None` for a file that cannot be read now: it is tried again, and must not block the next one.
    async fn bytes(&mut self, maildir: &Maildir, entry: &Entry, office: &Office) -> Option<Vec<u8>> {
        let place = format!("the file {} of {}", entry.unique, self.path.display());
        let (maildir, file, office) = (maildir.clone(), entry.clone(), office.clone());
        let read = move || match maildir.read(&file, MAX_MAIL_BYTES) {
            Err(MaildirError::TooLarge { size, .. }) => maildir
                .read_head(&file, stand_in::HEAD_BYTES)
                .map(|head| stand_in::too_large(&office, &head, &place, size)),
            read => read,
        };
        match apart(read).await {
            Ok(raw) => Some(raw),
            Err(error) => {
                if self.named.insert(short(&entry.unique)) {
                    tracing::error!(
                        mail = entry.unique,
                        error = chain(&error),
                        "a mail could not be read; trying again each minute"
                    );
                }
                None
            }
        }
    }
}

/// A folder of 100,000 files, a slow disk or a server that does not answer keeps nobody waiting but its own reader.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("looking into a Maildir does not panic")
}

fn short(unique: &str) -> [u8; 16] {
    let digest = Sha256::digest(unique.as_bytes());
    digest[..16].try_into().expect("a SHA-256 digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_mail_that_comes_behind_the_listing_within_one_tick_is_found_by_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("new")).unwrap();
        let maildir = Maildir::open(dir.path()).unwrap();
        let before = maildir.stamp().unwrap();
        let first = Listing::after(None, before.clone());
        assert!(!first.holds(&before), "something may have come within the same tick");
        let second = Listing::after(Some(&first), before.clone());
        assert!(second.holds(&before), "a look later that tick is over");

        let new = fs::File::open(dir.path().join("new")).unwrap();
        new.set_modified(std::time::UNIX_EPOCH).unwrap();
        let changed = maildir.stamp().unwrap();
        assert!(!second.holds(&changed));
        let third = Listing::after(Some(&second), changed.clone());
        assert!(!third.holds(&changed));
        let fourth = Listing::after(Some(&third), changed.clone());
        assert!(fourth.holds(&changed));
        tokio::time::advance(LIST_EVERY).await;
        assert!(!fourth.holds(&changed), "once a minute, whatever it seems");
    }
}
