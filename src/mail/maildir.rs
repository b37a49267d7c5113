//! A mailbox as a folder of files. Read only: nothing is moved from `new` to `cur`, no flag is set, nothing is deleted,
//! so that a person's mail program sees it untouched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

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
    #[error("{path} is larger than {limit} bytes")]
    TooLarge { path: PathBuf, limit: usize },
}

/// A Maildir that exists.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
}

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

    /// All mails in `new` and `cur`, in the order of their unique names, which begin with the time of delivery.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Entry>, MaildirError> {
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
        let mut raw = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut raw).map_err(failed)?;
        if raw.len() > limit {
            return Err(MaildirError::TooLarge {
                path: entry.path.clone(),
                limit,
            });
        }
        Ok(raw)
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
        let list = maildir.list().unwrap();
        assert_eq!(
            list.iter().map(|e| e.unique.as_str()).collect::<Vec<_>>(),
            ["1.host", "2.host"]
        );
        assert_eq!(maildir.read(&list[1], 10).unwrap(), b"two");
        assert!(matches!(maildir.read(&list[1], 2), Err(MaildirError::TooLarge { .. })));
        assert!(dir.path().join("new/2.host").exists());
    }
}
