//! A copy of the whole installation, and its way back: the store as it stands at one moment, settings, keys, overlays,
//! checkpoints, and a list of them with digests. Knows nothing of what the files mean.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Config, Home};
use crate::message::token::hex;
use crate::model::Time;
use crate::store::{Checkpoint, StoreError};

use super::office::{Office, OfficeError};

/// The list of the files, the last one written: a backup without it is not complete.
const LIST: &str = "backup.json";
const STORE: &str = "breachpost.db";
/// What is copied as it lies, where it is there.
const FOLDERS: [&str; 3] = ["keys", "authorities", "templates"];
const SETTINGS: &str = "config.yaml";
/// The checkpoints outside the store.
const CHECKPOINTS: &str = "journal.checkpoints";
/// Deeper than any overlay: a loop of links ends here.
const MAX_DEPTH: usize = 8;

/// A backup could not be made or brought back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("{0} is there already and not empty; name a new folder")]
    NotEmpty(PathBuf),
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is no complete backup: it has no readable {LIST}")]
    NoBackup(PathBuf),
    #[error("the settings name a store outside the home; write `{own}` into {path}")]
    StoreElsewhere { path: PathBuf, own: String },
    #[error("the backup is damaged: {0} is missing or was changed")]
    Damaged(String),
}
impl From<StoreError> for BackupError {
    fn from(source: StoreError) -> Self {
        OfficeError::from(source).into()
    }
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub made_at: Time,
    /// Length and head of the journal in the copy.
    pub journal_length: u64,
    pub journal_head: String,
    /// Where the store lies in the home, relative to it.
    store: PathBuf,
    pub files: Vec<Entry>,
}
/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the backup's folder.
    pub name: PathBuf,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// Copies the installation into a new folder that only its owner may read. Others may work on meanwhile. `with_keys`
/// takes the keys folder along: without it the store's key must be kept elsewhere, or the copy cannot be opened.
///
/// # Errors
/// The folder is there and not empty, a file cannot be read or written, or the store fails.
pub async fn make(office: &Office, to: &Path, with_keys: bool) -> Result<Backup, BackupError> {
    let folder = fresh_folder(to)?;
    let (journal_length, journal_head) = office.store.copy_to(&folder.join(STORE)).await?;
    let root = office.home.root();
    copy_if_there(&root.join(SETTINGS), &folder.join(SETTINGS))?;
    copy_checkpoints(
        &office.home.checkpoints_path(),
        &folder.join(CHECKPOINTS),
        journal_length,
    )?;
    for name in FOLDERS.into_iter().filter(|name| with_keys || *name != "keys") {
        copy_tree(&root.join(name), &folder.join(name), 0)?;
    }
    let store = office.home.store_path(&office.config);
    let backup = Backup {
        made_at: office.now(),
        journal_length,
        journal_head,
        // One that lies elsewhere comes back into the home: the original's place is the original's.
        store: store
            .strip_prefix(root)
            .ok()
            .filter(|below| is_below(below))
            .unwrap_or(Path::new(STORE))
            .to_owned(),
        files: digests(&folder)?,
    };
    let list = serde_json::to_vec_pretty(&backup).expect("plain data");
    write_durably(&folder.join(LIST), &list)?;
    sync_folders(&folder)?;
    Ok(backup)
}

/// Brings a backup back as a home in a new folder, after checking every file of it. Its campaigns are paused and
/// waiting notices held when the home is first used to send: what was sent since the backup is not known in it.
///
/// # Errors
/// The backup is not complete or was changed, the folder is there and not empty, or a file cannot be written.
pub fn restore(from: &Path, to: &Path) -> Result<(Backup, Home), BackupError> {
    let failed = |source| BackupError::NoBackup(from.to_owned()).also(source);
    let list = fs::read(from.join(LIST)).map_err(failed)?;
    let backup: Backup = serde_json::from_slice(&list).map_err(|_| BackupError::NoBackup(from.to_owned()))?;
    check(from, &backup)?;
    let folder = fresh_folder(to)?;
    for entry in &backup.files {
        let place = if entry.name == Path::new(STORE) {
            &backup.store
        } else {
            &entry.name
        };
        copy_file(&from.join(&entry.name), &folder.join(place))?;
    }
    let home = Home::at(&folder).map_err(OfficeError::from)?;
    name_own_store(&home, &backup.store)?;
    sync_folders(&folder)?;
    Ok((backup, home))
}

/// Settings that name a store outside the home would make the copy work on the original's, or begin with an empty one.
fn name_own_store(home: &Home, store: &Path) -> Result<(), BackupError> {
    let is_own = |config: &Config| home.store_path(config) == home.root().join(store);
    match Config::load(home) {
        Ok(config) if !is_own(&config) => {}
        // What cannot be read is `doctor`'s to name.
        Ok(_) | Err(_) => return Ok(()),
    }
    let path = home.config_path();
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let own = format!("store: \"sqlite:{}\"", store.display());
    let lines = text.split('\n').map(|line| match line.strip_prefix("store:") {
        Some(original) => format!("{own}  # the original: {}", original.trim()),
        None => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    fs::write(&path, text)
        .and_then(|()| fs::File::open(&path)?.sync_all())
        .map_err(at(&path))?;
    match Config::load(home) {
        Ok(config) if is_own(&config) => Ok(()),
        _ => Err(BackupError::StoreElsewhere { path, own }),
    }
}

/// Plain names, and none that leads out.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components();
    parts.all(|part| matches!(part, Component::Normal(_))) && !path.as_os_str().is_empty()
}

/// Every file is there and as it was, and none leads out of the folder.
fn check(from: &Path, backup: &Backup) -> Result<(), BackupError> {
    if !is_below(&backup.store) || !backup.files.iter().any(|entry| entry.name == Path::new(STORE)) {
        return Err(BackupError::Damaged(LIST.to_owned()));
    }
    for entry in &backup.files {
        let damaged = || BackupError::Damaged(entry.name.display().to_string());
        if !is_below(&entry.name) {
            return Err(damaged());
        }
        let found = digest(&from.join(&entry.name)).map_err(|_| damaged())?;
        if found != (entry.bytes, entry.sha256.clone()) {
            return Err(damaged());
        }
    }
    Ok(())
}

impl BackupError {
    /// A file that is not there says less than this error; any other cause says more.
    fn also(self, source: io::Error) -> Self {
        match (self, source.kind()) {
            (BackupError::NoBackup(path), kind) if kind != io::ErrorKind::NotFound => {
                BackupError::File { path, source }
            }
            (error, _) => error,
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

fn fresh_folder(path: &Path) -> Result<PathBuf, BackupError> {
    let path = std::path::absolute(path).map_err(at(path))?;
    match fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(BackupError::NotEmpty(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_folder(&path)?,
        Err(error) => return Err(at(&path)(error)),
    }
    Ok(path)
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(at(path))
}

fn copy_if_there(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::metadata(from) {
        Ok(_) => copy_file(from, to),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(from)(error)),
    }
}

/// Those that the copied store bears out, by the length of its journal.
fn copy_checkpoints(from: &Path, to: &Path, length: u64) -> Result<(), BackupError> {
    match fs::read(from) {
        Ok(text) => write_durably(to, &checkpoints_up_to(&text, length)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(from)(error)),
    }
}

/// While the store was copied, somebody may have signed a longer journal: beside the copy it would say that its end was cut
/// off.
fn checkpoints_up_to(text: &[u8], length: u64) -> Vec<u8> {
    let later = |line: &[u8]| serde_json::from_slice::<Checkpoint>(line).is_ok_and(|one| one.length > length);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !later(line)).flatten().copied().collect()
}

fn copy_tree(from: &Path, to: &Path, depth: usize) -> Result<(), BackupError> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(from)(error)),
    };
    for entry in entries {
        let path = entry.map_err(at(from))?.path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() && depth < MAX_DEPTH {
            copy_tree(&path, &target, depth + 1)?;
        } else if path.is_file() {
            copy_file(&path, &target)?;
        }
    }
    Ok(())
}

/// A new file that only its owner may read, whatever the mode of the one it is copied from.
fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    let mut source = fs::File::open(from).map_err(at(from))?;
    let mut target = new_file(to)?;
    io::copy(&mut source, &mut target).map_err(at(to))?;
    target.sync_all().map_err(at(to))
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let mut file = new_file(path)?;
    io::Write::write_all(&mut file, bytes).map_err(at(path))?;
    file.sync_all().map_err(at(path))
}

fn new_file(path: &Path) -> Result<fs::File, BackupError> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(at(path))
}

/// The names in a folder and those below it survive a power cut, and so does its own.
fn sync_folders(path: &Path) -> Result<(), BackupError> {
    let sync = |path: &Path| {
        fs::File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(at(path))
    };
    let mut folders = vec![path.to_owned()];
    while let Some(current) = folders.pop() {
        sync(&current)?;
        for entry in fs::read_dir(&current).map_err(at(&current))? {
            let path = entry.map_err(at(&current))?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    path.parent().map_or(Ok(()), sync)
}

/// Every file below a folder, by name.
fn digests(folder: &Path) -> Result<Vec<Entry>, BackupError> {
    let mut entries = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).map_err(at(&current))? {
            let path = entry.map_err(at(&current))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let (bytes, sha256) = digest(&path).map_err(at(&path))?;
            let name = path.strip_prefix(folder).expect("it lies below").to_owned();
            entries.push(Entry { name, bytes, sha256 });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut file, &mut HashWriter(&mut hasher))?;
    Ok((bytes, hex(&hasher.finalize())))
}

struct HashWriter<'a>(&'a mut Sha256);
impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_was_signed_meanwhile_is_not_in_the_backup() {
        let line = |length| {
            let checkpoint = Checkpoint {
                length,
                head: "a".repeat(64),
                at: "2026-11-22T10:00:00Z".parse().unwrap(),
                signer: "B".repeat(40),
                signature: "signed".to_owned(),
            };
            serde_json::to_string(&checkpoint).unwrap() + "\n"
        };
        let odd = "no checkpoint\n";
        let text = [&line(7), odd, &line(8), &line(9)].concat();
        let kept = checkpoints_up_to(text.as_bytes(), 8);
        assert_eq!(String::from_utf8(kept).unwrap(), [&line(7), odd, &line(8)].concat());
        assert_eq!(checkpoints_up_to(b"", 8), b"");
    }
}
