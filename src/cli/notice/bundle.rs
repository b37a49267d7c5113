//! What `notice seal` writes: sealed files, a cover text, and what to do with them.

use std::path::{Path, PathBuf};

use crate::cli::output::{Exit, Failure};
use crate::dispatch::desk::ladder::Ladder;
use crate::dispatch::desk::notice::Bundle;
use crate::model::id::Reference;

/// What `notice seal` wrote.
#[derive(serde::Serialize)]
pub struct SealedFiles {
    reference: Reference,
    folder: PathBuf,
    files: Vec<String>,
    /// Tell it by telephone; it is not in the folder.
    passphrase: Option<String>,
    then: Ladder,
}
impl SealedFiles {
    pub fn human(&self) -> String {
        let mut text = format!("{} is sealed in {}:\n", self.reference, self.folder.display());
        for file in &self.files {
            text.push_str(&format!("  {file}\n"));
        }
        if let Some(passphrase) = &self.passphrase {
            text.push_str(&format!(
                "\nPassphrase, to be told by telephone (it is not in the folder):\n  {passphrase}\n"
            ));
        }
        text.push_str("\nHand the files over with the text of cover.txt, then book it:\n");
        for rung in &self.then.rungs {
            text.push_str(&format!("  - {}\n", rung.text));
            if let Some(command) = &rung.command {
                text.push_str(&format!("    {command}\n"));
            }
        }
        text
    }
}

/// # Errors
/// It exists and holds something, or is no folder.
pub fn free_folder(folder: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::usage(format!(
            "{} is not empty; name a new folder",
            folder.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::new(
            Exit::Usage,
            anyhow::Error::new(error).context(format!("cannot use {}", folder.display())),
        )),
    }
}

pub fn write(folder: &Path, bundle: &Bundle) -> Result<SealedFiles, Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| {
            Failure::new(
                Exit::Ours,
                anyhow::Error::new(error).context(format!("cannot write {path}")),
            )
        }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut names = Vec::new();
    let cover = ("cover.txt", bundle.cover.as_bytes());
    let sealed = bundle
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.bytes.as_slice()));
    for (name, bytes) in sealed.chain([cover]) {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(failed(&path))?;
        names.push(name.to_owned());
    }
    Ok(SealedFiles {
        reference: bundle.reference.clone(),
        folder: folder.to_owned(),
        files: names,
        passphrase: bundle.passphrase.as_ref().map(|secret| secret.expose().to_owned()),
        then: bundle.then.clone(),
    })
}
