//! Who is alive: each process that claims work holds an OS lock on a file in the home while it runs. A lease whose
//! lock is free belongs to a process that died, and is recovered at once.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::model::id::WorkerId;

/// What a worker is there for. Only a daemon may be left a queue; a command carries its own deliveries and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerKind {
    Daemon,
    Command,
}
impl WorkerKind {
    fn suffix(self) -> &'static str {
        match self {
            WorkerKind::Daemon => "daemon",
            WorkerKind::Command => "command",
        }
    }
}

/// A worker's sign of life; the file goes when it is dropped, the lock when the process ends in whatever way.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    path: PathBuf,
    lock: File,
}

impl Worker {
    /// Takes a fresh id and its lock in `folder` (the home's `workers/`, made if missing).
    ///
    /// # Errors
    /// The folder or the file cannot be made or locked.
    pub fn sign_on(folder: &Path, kind: WorkerKind) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        belong(folder);
        let id = WorkerId::fresh();
        let path = folder.join(format!("{id}.{}", kind.suffix()));
        // Locked before it has its name: no other process ever sees it free, or sweeps it away, while we live.
        let unnamed = folder.join(format!(".{id}"));
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unnamed)?;
        // Whoever works on this home may look at it, be it root's or the service's; nobody else gets into the home.
        lock.set_permissions(fs::Permissions::from_mode(0o644))?;
        belong(&unnamed);
        lock.lock()?;
        fs::rename(&unnamed, &path)?;
        Ok(Self { id, path, lock })
    }

    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Writes into its file what is wrong with it, a line each, for whoever looks; an empty list takes it back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell(&self, troubles: &[String]) -> io::Result<()> {
        let lines = troubles.iter().map(|text| text.replace(char::is_control, " ") + "\n");
        self.lock.set_len(0)?;
        self.lock.write_all_at(lines.collect::<String>().as_bytes(), 0)
    }
}
impl Drop for Worker {
    fn drop(&mut self) {
        // A file left behind is harmless: its lock is free, so its owner counts as dead.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes it the property of whoever owns the folder it lies in: what root does in a service's home must not lock the
/// service out. Only root can; nobody else needs it.
pub(super) fn belong(path: &Path) {
    if let Some(Ok(owner)) = path.parent().map(fs::metadata) {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Whether somebody holds it. Only a file that is free, or is not there, is a sign of death: whom we cannot look at (no
/// right to, no file handle left) may be in the middle of a message.
fn is_locked(path: &Path) -> bool {
    // Shared: two who look at the same time must not take each other for its owner.
    let looked = File::open(path).map(|file| file.try_lock_shared());
    let error = match looked {
        Ok(Ok(())) => return false,
        Ok(Err(fs::TryLockError::WouldBlock)) => return true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Ok(Err(fs::TryLockError::Error(error))) | Err(error) => error,
    };
    let worker = path.file_name().unwrap_or_default().display();
    tracing::warn!(%worker, error = %error, "cannot look whether a worker lives: it counts as alive");
    true
}

/// Whether the worker still runs.
pub fn is_alive(folder: &Path, id: WorkerId) -> bool {
    [WorkerKind::Daemon, WorkerKind::Command]
        .iter()
        .any(|kind| is_locked(&folder.join(format!("{id}.{}", kind.suffix()))))
}

/// Whether a daemon runs on this home, so that a command may leave its work to it.
pub fn daemon_runs(folder: &Path) -> bool {
    daemons(folder).next().is_some()
}

/// Whether anybody carries anything on this home: a daemon, or a command that delivers in the foreground.
pub fn somebody_works(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("wrk_"));
    named.map(|entry| entry.path()).any(|path| is_locked(&path))
}

/// What the daemons that run on this home say is wrong with them.
pub fn troubles(folder: &Path) -> Vec<String> {
    let told = daemons(folder).filter_map(|path| fs::read_to_string(path).ok());
    let mut lines: Vec<String> = told
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn daemons(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == WorkerKind::Daemon.suffix()))
        .filter(|path| is_locked(path))
}

/// Removes the files of workers that died, whose leases were recovered before.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let named = entry.file_name().to_string_lossy().starts_with("wrk_");
        if named && !is_locked(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_while_held() {
        let dir = tempfile::tempdir().unwrap();
        let worker = Worker::sign_on(dir.path(), WorkerKind::Daemon).unwrap();
        let id = worker.id();
        assert!(is_alive(dir.path(), id));
        assert!(daemon_runs(dir.path()) && somebody_works(dir.path()));
        worker.tell(&["a\nlong trouble".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(troubles(dir.path()), ["a long trouble", "b"]);
        worker.tell(&["b".to_owned()]).unwrap();
        assert_eq!(troubles(dir.path()), ["b"]);
        drop(worker);
        assert!(!is_alive(dir.path(), id) && troubles(dir.path()).is_empty());
        assert!(!daemon_runs(dir.path()));
    }

    #[test]
    fn who_cannot_be_looked_at_is_not_dead() {
        let dir = tempfile::tempdir().unwrap();
        let id = WorkerId::fresh();
        // A link to itself: opening it fails, as it does without the right to or without a file handle left.
        let path = dir.path().join(format!("{id}.command"));
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(is_alive(dir.path(), id) && somebody_works(dir.path()));
        sweep(dir.path());
        assert!(path.symlink_metadata().is_ok(), "nor swept away");
    }

    #[test]
    fn whoever_gets_into_the_home_may_look() {
        let dir = tempfile::tempdir().unwrap();
        let worker = Worker::sign_on(&dir.path().join("workers"), WorkerKind::Command).unwrap();
        assert_eq!(worker.path.metadata().unwrap().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_command_is_no_daemon_and_a_stale_file_is_no_life() {
        let dir = tempfile::tempdir().unwrap();
        let _command = Worker::sign_on(dir.path(), WorkerKind::Command).unwrap();
        assert!(!daemon_runs(dir.path()) && somebody_works(dir.path()));
        drop(_command);
        assert!(!somebody_works(dir.path()));
        let _command = Worker::sign_on(dir.path(), WorkerKind::Command).unwrap();
        let dead = WorkerId::fresh();
        std::fs::write(dir.path().join(format!("{dead}.daemon")), "").unwrap();
        assert!(!is_alive(dir.path(), dead));
        assert!(!daemon_runs(dir.path()));
        sweep(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
