//! Signed checkpoints of the journal: its length and head, signed with our key, with a copy outside the store, so that
//! a cut tail or a rebuilt chain is found too (design: invariant 9).

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::Serialize;

use crate::message::key;
use crate::model::plural::counted;
use crate::store::{Checkpoint, JournalVerdict};

use super::office::{Office, OfficeError};
use super::worker::belong;

/// The checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("cannot use the checkpoint file {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the checkpoint cannot be signed")]
    Sign(#[source] key::KeyError),
}
impl From<crate::store::StoreError> for CheckpointError {
    fn from(source: crate::store::StoreError) -> Self {
        OfficeError::from(source).into()
    }
}

/// What a full check of the journal found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub intact: bool,
    pub length: u64,
    pub head: String,
    /// Checkpoints that were compared and fit.
    pub checkpoints: usize,
    /// What is wrong, a line each; empty when intact.
    pub findings: Vec<String>,
}

/// Signs the journal's present length and head; stores it and appends it to the file outside the store.
///
/// # Errors
/// Our key, the store or the file cannot be used.
pub async fn write(office: &Office) -> Result<Checkpoint, CheckpointError> {
    let our = office.our_key().await?;
    let now = office.now();
    let (length, head) = office.store.journal_head().await?;
    let path = office.home.checkpoints_path();
    // Neither a slow key nor a slow disk keeps a connection waiting.
    let sign_and_append = move || {
        let signed = our.sign_detached(&Checkpoint::signed_bytes(length, &head, now), now);
        let checkpoint = Checkpoint {
            length,
            head,
            at: now,
            signer: our.fingerprint().to_owned(),
            signature: signed.map_err(CheckpointError::Sign)?,
        };
        match append(&path, &checkpoint) {
            Ok(()) => Ok(checkpoint),
            Err(source) => Err(CheckpointError::File { path, source }),
        }
    };
    let written = tokio::task::spawn_blocking(sign_and_append).await;
    let checkpoint = written.expect("writing a checkpoint does not panic")?;
    office.store.add_checkpoint(checkpoint.clone()).await?;
    Ok(checkpoint)
}

/// A line that a full disk or a power cut left unfinished makes room for the new one: it was never a checkpoint. Under a lock:
/// what another process is just writing is no such line.
fn append(path: &std::path::Path, checkpoint: &Checkpoint) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(checkpoint)?;
    line.push(b'\n');
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if text.is_empty() {
        belong(path);
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        let finished = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(finished as u64)?;
    }
    file.write_all(&line)?;
    file.sync_all()
}

/// Walks the whole journal and compares it with every checkpoint, in the store and outside it.
///
/// # Errors
/// The store or our key cannot be read. A journal that was changed is a finding, not an error.
pub async fn audit(office: &Office) -> Result<Audit, CheckpointError> {
    let (length, head) = office.store.journal_head().await?;
    let mut findings = Vec::new();
    if let JournalVerdict::Broken { sequence, why } = office.store.verify_journal().await? {
        findings.push(format!("entry {sequence}: {why}"));
    }
    let outside = read_outside(office, &mut findings)?;
    let mut checkpoints = office.store.list_checkpoints().await?;
    for stored in &checkpoints {
        if !outside.contains(stored) {
            findings.push(format!(
                "the checkpoint at length {} is missing from the file outside the store",
                stored.length
            ));
        }
    }
    checkpoints.extend(outside);
    checkpoints.sort_by_key(|c| (c.length, c.at));
    checkpoints.dedup();
    let mut fitting = 0;
    if !checkpoints.is_empty() {
        let our = office.our_key().await?;
        for checkpoint in &checkpoints {
            match check_one(office, &our, checkpoint, length).await? {
                None => fitting += 1,
                Some(finding) => findings.push(finding),
            }
        }
    }
    Ok(Audit {
        intact: findings.is_empty(),
        length,
        head,
        checkpoints: fitting,
        findings,
    })
}

async fn check_one(
    office: &Office,
    our: &key::OurKey,
    checkpoint: &Checkpoint,
    length: u64,
) -> Result<Option<String>, CheckpointError> {
    let at = checkpoint.at.format("%Y-%m-%d %H:%M UTC");
    let signed = Checkpoint::signed_bytes(checkpoint.length, &checkpoint.head, checkpoint.at);
    if let Err(error) = key::verify_detached(
        our.public_armored().as_bytes(),
        &signed,
        checkpoint.signature.as_bytes(),
        // One that was signed while the clock was ahead, and has been set back since, is still ours.
        office.now().max(checkpoint.at),
    ) {
        return Ok(Some(format!(
            "the checkpoint of {at} carries no good signature by our key: {error}"
        )));
    }
    if checkpoint.length > length {
        return Ok(Some(format!(
            "the checkpoint of {at} knew {}, the journal has {length}: its end was cut off",
            counted(checkpoint.length, "entry")
        )));
    }
    if checkpoint.length == 0 {
        return Ok(None);
    }
    let entry = office.store.list_journal(checkpoint.length - 1, 1).await?;
    Ok(match entry.first() {
        Some(entry) if entry.hash == checkpoint.head => None,
        _ => Some(format!(
            "entry {} is not the one that the checkpoint of {at} signed",
            checkpoint.length
        )),
    })
}

fn read_outside(office: &Office, findings: &mut Vec<String>) -> Result<Vec<Checkpoint>, CheckpointError> {
    let path = office.home.checkpoints_path();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(CheckpointError::File { path, source }),
    };
    let mut checkpoints = Vec::new();
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            // Being written just now, or when the power went.
            Err(_) if !line.ends_with(b"\n") => {}
            Err(_) => findings.push(format!("{} line {} is no checkpoint", path.display(), number + 1)),
        }
    }
    Ok(checkpoints)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            length: 8,
            head: "a".repeat(64),
            at: "2026-11-22T10:00:00Z".parse().unwrap(),
            signer: "B".repeat(40),
            signature: "signed".to_owned(),
        }
    }

    /// Else the service could write none any more.
    #[test]
    fn the_first_one_that_root_writes_is_the_services() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        chown(home.path(), Some(4711), Some(4712)).unwrap();
        let path = home.path().join("journal.checkpoints");
        append(&path, &checkpoint()).unwrap();
        let facts = path.metadata().unwrap();
        assert_eq!((facts.uid(), facts.gid()), (4711, 4712));
    }

    #[test]
    fn what_another_process_is_writing_is_no_line_left_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.checkpoints");
        let checkpoint = checkpoint();
        let line = serde_json::to_string(&checkpoint).unwrap() + "\n";
        let (begun, rest) = line.as_bytes().split_at(20);
        let mut other = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        other.lock().unwrap();
        other.write_all(begun).unwrap();
        let (starts, written) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                starts.store(true, Ordering::SeqCst);
                append(&path, &checkpoint).unwrap();
                written.store(true, Ordering::SeqCst);
            });
            while !starts.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            // Time enough for one that does not wait.
            for _ in 0..1_000 {
                std::thread::yield_now();
            }
            assert!(!written.load(Ordering::SeqCst), "it waits for the other");
            other.write_all(rest).unwrap();
            other.unlock().unwrap();
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line.repeat(2));
        // A power cut in the middle of a line: it makes room.
        other.write_all(begun).unwrap();
        append(&path, &checkpoint).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line.repeat(3));
    }
}
