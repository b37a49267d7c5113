//! The scratch home of a drill: settings, keys, profile and Maildir, written as a person would have them.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::config::{Home, random_hex};
use crate::dispatch::office::{Office, OfficeError};
use crate::message::key::{self, Algorithm};
use crate::model::Clock;
use crate::secret::Secret;

use super::authority;
use super::receiver::Receiver;

/// Our address in the drill.
pub const SENDER: &str = "breach@company.example";

/// The scratch home could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("cannot write {path}")]
    Write {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{0} is not empty; name a folder that does not exist yet")]
    NotEmpty(String),
    #[error("the drill's key cannot be made")]
    Key(#[from] key::KeyError),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Office(#[from] OfficeError),
}

/// Writes the home in `root` and opens it, with the receiver as its relay.
///
/// # Errors
/// The folder is not empty or cannot be written.
pub fn set(
    root: &Path,
    receiver: &Receiver,
    relay_password: &Secret,
    clock: Arc<dyn Clock>,
) -> Result<Office, StageError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| StageError::Write { path, source }
    };
    if std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StageError::NotEmpty(root.display().to_string()));
    }
    for folder in [
        "",
        "keys",
        "authorities",
        "templates",
        "Maildir",
        "Maildir/new",
        "Maildir/cur",
        "Maildir/tmp",
    ] {
        let path = root.join(folder);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed(&path))?;
    }
    let passphrase = random_hex();
    let now = clock.now();
    let made = key::generate(
        "Company S.A.",
        SENDER,
        Algorithm::Ed25519,
        key::DEFAULT_VALIDITY,
        &passphrase,
        now,
    )?;
    let files: [(&str, &str); 7] = [
        ("config.yaml", &settings(&receiver.url())),
        ("keys/sender.asc", made.secret_armored.expose()),
        ("keys/sender.rev.asc", made.revocation_armored.expose()),
        ("keys/sender.pass", passphrase.expose()),
        ("keys/relay.password", relay_password.expose()),
        ("keys/relay-ca.pem", receiver.ca_pem()),
        ("authorities/lu-drill.yaml", authority::PROFILE),
    ];
    for (name, text) in files {
        let path = root.join(name);
        write(&path, text.as_bytes()).map_err(failed(&path))?;
    }
    Ok(Office::open(Home::at(root)?, clock)?)
}

/// Puts a mail into the home's Maildir, as a mail server would: written aside, then moved into `new`.
///
/// # Errors
/// The files cannot be written.
pub fn deliver(root: &Path, name: &str, mail: &[u8]) -> io::Result<()> {
    let aside = root.join("Maildir/tmp").join(name);
    write(&aside, mail)?;
    std::fs::rename(aside, root.join("Maildir/new").join(name))
}

/// A private file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, bytes)
}

fn settings(relay: &str) -> String {
    format!(
        r#"# Made by `breachpost drill`: a complete installation whose relay was a receiver on this machine.
organisation:
  name: Company S.A.
  country: LU
  languages: [en]
  contact: {{ kind: dpo, name: Dana Officer, email: dpo@company.example, phone: "+352 111 111" }}
sender: {{ address: {SENDER}, name: Company S.A., verp: plus }}
key: {{ file: keys/sender.asc, passphrase: {{ file: keys/sender.pass }} }}
relay:
  url: "{relay}"
  password: {{ file: keys/relay.password }}
  tls: {{ ca_file: keys/relay-ca.pem }}
  retry: {{ first_seconds: 1, max_seconds: 2 }}
mailbox: {{ url: "maildir:Maildir" }}
"#
    )
}
