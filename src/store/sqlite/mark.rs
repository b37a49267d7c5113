//! The mark beside the store: how far its journal had come when it was last written to in this place. A store that was
//! copied back over its own file is still the same file, but does not hold what the mark has seen.
//!
//! Written after each commit and not synced: it is never ahead of the store, and a power cut only leaves it behind.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::journal;
use crate::store::{StoreError, chain};

/// A place in the journal: its length there, and the hash of its last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub length: u64,
    pub hash: [u8; 32],
}
impl Place {
    /// As long for every place, so that one is written over another whole.
    fn to_line(self) -> String {
        format!("{:020} {}\n", self.length, chain::hex(&self.hash))
    }
    fn from_line(line: &str) -> Option<Self> {
        let (length, hash) = line.strip_suffix('\n')?.split_once(' ')?;
        Some(Self {
            length: length.parse().ok()?,
            hash: chain::unhex(hash)?,
        })
    }
}

/// What was found where the mark should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// No file, or nothing in it that was a mark.
    Nothing,
    UpTo(Place),
}

/// The mark of one open store.
pub(super) struct Mark {
    path: PathBuf,
    /// Open once the store is known to be the one that the mark was made for: another one must not write it over.
    kept: Mutex<Option<Kept>>,
}
struct Kept {
    file: File,
    last: Option<Place>,
}

impl Mark {
    pub(super) fn beside(store: &Path) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push("-mark");
        Self {
            path: path.into(),
            kept: Mutex::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. Not being allowed to is an error: it must not be taken for a mark that is missing.
    pub(super) fn read(&self) -> io::Result<Seen> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seen::Nothing),
            Err(error) => return Err(error),
        };
        // Not while it is written over.
        file.lock_shared()?;
        let line = io::read_to_string(file);
        let place = match &line {
            Ok(line) => Place::from_line(line),
            Err(error) if error.kind() == ErrorKind::InvalidData => None,
            Err(_) => return Err(line.expect_err("just seen")),
        };
        Ok(place.map_or(Seen::Nothing, Seen::UpTo))
    }

    /// Goes on with the mark that is there; only for the store that it was made for.
    pub(super) fn go_on(&self) -> io::Result<()> {
        if self.kept.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        self.keep_in(file, None);
        Ok(())
    }

    /// Makes it durably, or anew, for a store that is as the journal's `head` says.
    pub(super) fn begin(&self, head: Place, store: &Metadata) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        // As SQLite does with its own files: where root makes it, whoever owns the store must be able to go on.
        let _ = fchown(&file, Some(store.uid()), Some(store.gid()));
        let line = head.to_line();
        write(&file, &line)?;
        file.set_len(line.len() as u64)?;
        file.sync_all()?;
        File::open(super::folder_of(&self.path))?.sync_all()?;
        self.keep_in(file, Some(head));
        Ok(())
    }

    fn keep_in(&self, file: File, last: Option<Place>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Kept { file, last });
    }

    /// Notes how far the journal has come; called after a commit. One that cannot be written only notices less.
    pub(super) fn follow(&self, conn: &Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = kept.as_mut() else { return };
        let Ok(head) = head(conn) else { return };
        if kept.last != Some(head) && write(&kept.file, &head.to_line()).is_ok() {
            kept.last = Some(head);
        }
    }
}

/// The place where the journal ends now.
pub(super) fn head(conn: &Connection) -> Result<Place, StoreError> {
    let (length, hash) = journal::head(conn)?;
    Ok(Place { length, hash })
}

/// Whether the store holds what was seen of it.
pub(super) fn holds(conn: &Connection, place: Place) -> Result<bool, StoreError> {
    Ok(journal::hash_at(conn, place.length)? == Some(place.hash))
}

/// Whoever reads meanwhile must not see half of it.
fn write(file: &File, line: &str) -> io::Result<()> {
    file.lock()?;
    let written = file.write_all_at(line.as_bytes(), 0);
    file.unlock()?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mark_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Mark::beside(&folder.path().join("s.db"));
        assert_eq!(mark.read().unwrap(), Seen::Nothing);
        let place = Place {
            length: 7,
            hash: [9; 32],
        };
        std::fs::write(mark.path(), "longer than a mark is, from whomever: ".repeat(9)).unwrap();
        assert_eq!(mark.read().unwrap(), Seen::Nothing);
        mark.begin(place, &folder.path().metadata().unwrap()).unwrap();
        assert_eq!(mark.read().unwrap(), Seen::UpTo(place));
        for odd in ["", "7", "00000000000000000007 zz\n", "\u{0}\u{0}"] {
            std::fs::write(mark.path(), odd).unwrap();
            assert_eq!(mark.read().unwrap(), Seen::Nothing, "{odd:?}");
        }
        // A folder in its place can be looked at and not read: that is no answer.
        std::fs::remove_file(mark.path()).unwrap();
        std::fs::create_dir(mark.path()).unwrap();
        assert!(mark.read().is_err());
    }
}
