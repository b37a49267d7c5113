//! A mailbox as a folder of files. Read only: nothing is moved from `new` to `cur`, no flag is set, nothing is deleted,
//! so that a person's mail program sees it untouched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The Maildir cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaildirError {
    #[error("{0} is no Maildir: it has no folder `new`")]
    NotOne(PathBuf),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} has {size} bytes, more than {limit}")]
    TooLarge { path: PathBuf, size: u64, limit: usize },
}

/// A Maildir that exists.
#[derive(Debug, Clone)]
pub struct Maildir {
    path: PathBuf,
}

/// When a Maildir was last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp([Option<SystemTime>; 2]);

/// One mail in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name up to the flags: it stays the same when a mail program moves the file or sets a flag.
    pub unique: String,
    path: PathBuf,
}

impl Maildir {
    /// # Errors
    /// The folder has no `new`.
    pub fn open(path: &Path) -> Result<Self, MaildirError> {
        if !path.join("new").is_dir() {
            return Err(MaildirError::NotOne(path.to_owned()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// When `new` and `cur` were last changed: while it stays the same, nothing came or went.
    ///
    /// # Errors
    /// A folder cannot be looked at.
    pub fn stamp(&self) -> Result<Stamp, MaildirError> {
        let changed = |name: &str| {
            let path = self.path.join(name);
            match fs::metadata(&path).and_then(|facts| facts.modified()) {
                Ok(time) => Ok(Some(time)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(MaildirError::Read { path, source }),
            }
        };
        Ok(Stamp([changed("new")?, changed("cur")?]))
    }

    /// The mails in `new` and `cur`, but for those whose unique name is known, in the order of their unique names, which
    /// begin with the time of delivery.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn list_unless(&self, known: impl Fn(&str) -> bool) -> Result<Vec<Entry>, MaildirError> {
        let mut found = BTreeMap::new();
        for folder in ["new", "cur"] {
            let folder = self.path.join(folder);
            let failed = |source| MaildirError::Read {
                path: folder.clone(),
                source,
            };
            let files = match fs::read_dir(&folder) {
                Ok(files) => files,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for file in files {
                let file = file.map_err(failed)?;
                let name = file.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') || !file.file_type().is_ok_and(|kind| kind.is_file()) {
                    continue;
                }
                let unique = name.split(':').next().unwrap_or(&name).to_owned();
                if known(&unique) {
                    continue;
                }
                found.insert(
                    unique.clone(),
                    Entry {
                        unique,
                        path: file.path(),
                    },
                );
            }
        }
        Ok(found.into_values().collect())
    }

    /// A mail's bytes, at most `limit`.
    ///
    /// # Errors
    /// It is gone, unreadable, or too large.
    pub fn read(&self, entry: &Entry, limit: usize) -> Result<Vec<u8>, MaildirError> {
        let failed = |source| MaildirError::Read {
            path: entry.path.clone(),
            source,
        };
        let file = fs::File::open(&entry.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut raw = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut raw).map_err(failed)?;
        if raw.len() > limit {
            return Err(MaildirError::TooLarge {
                path: entry.path.clone(),
                size,
                limit,
            });
        }
        Ok(raw)
    }

    /// The headers of a mail, cut off after `most` bytes.
    ///
    /// # Errors
    /// It is gone or unreadable.
    pub fn read_head(&self, entry: &Entry, most: usize) -> Result<Vec<u8>, MaildirError> {
        let mut head = Vec::new();
        let read = fs::File::open(&entry.path).and_then(|file| file.take(most as u64).read_to_end(&mut head));
        read.map_err(|source| MaildirError::Read {
            path: entry.path.clone(),
            source,
        })?;
        let end = (0..head.len()).find(|at| head[*at..].starts_with(b"\n\n") || head[*at..].starts_with(b"\n\r\n"));
        head.truncate(end.map_or(head.len(), |end| end + 1));
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_folders_and_touches_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Maildir::open(dir.path()), Err(MaildirError::NotOne(_))));
        for folder in ["new", "cur", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("new/2.host"), "two").unwrap();
        fs::write(dir.path().join("cur/1.host:2,S"), "one").unwrap();
        fs::write(dir.path().join("tmp/3.host"), "half").unwrap();
        let maildir = Maildir::open(dir.path()).unwrap();
        let list = maildir.list_unless(|_| false).unwrap();
        assert_eq!(
            list.iter().map(|e| e.unique.as_str()).collect::<Vec<_>>(),
            ["1.host", "2.host"]
        );
        assert_eq!(maildir.read(&list[1], 10).unwrap(), b"two");
        assert!(matches!(
            maildir.read(&list[1], 2),
            Err(MaildirError::TooLarge { size: 3, limit: 2, .. })
        ));
        let unknown = maildir.list_unless(|unique| unique == "2.host").unwrap();
        assert_eq!(unknown, list[..1]);
        assert!(dir.path().join("new/2.host").exists());
    }

    #[test]
    fn a_stamp_changes_with_the_folders_and_a_head_ends_with_the_headers() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["new", "cur"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let maildir = Maildir::open(dir.path()).unwrap();
        let before = maildir.stamp().unwrap();
        assert_eq!(maildir.stamp().unwrap(), before);
        fs::remove_dir(dir.path().join("cur")).unwrap();
        assert_ne!(maildir.stamp().unwrap(), before);
        for (mail, most, head) in [
            ("A: b\n\nbody", 100, "A: b\n"),
            ("A: b\r\n\r\nbody", 100, "A: b\r\n"),
            ("A: bcdefgh\n\nbody", 4, "A: b"),
            ("A: b", 100, "A: b"),
        ] {
            fs::write(dir.path().join("new/1.host"), mail).unwrap();
            let entry = maildir.list_unless(|_| false).unwrap().remove(0);
            assert_eq!(maildir.read_head(&entry, most).unwrap(), head.as_bytes());
        }
    }
}
