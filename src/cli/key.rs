//! `key`: our own OpenPGP key, which signs what leaves and opens what comes back.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use super::files;
use super::init::KeyRequest;
use super::output::{Exit, Failure};
use crate::config::{Config, Home};
use crate::directory::certificate::{self, CertificateFacts, pretty_fingerprint};
use crate::message::key::{self, Algorithm, DEFAULT_VALIDITY, Generated, OurKey};
use crate::model::Time;

/// A key larger than this is none of ours.
const MAX_KEY_BYTES: u64 = 1024 * 1024;

/// Our own OpenPGP key.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make our key: Ed25519 and Cv25519, protected by the configured passphrase, with a revocation certificate beside it.
    #[command(after_help = "Examples:\n  breachpost key generate\n  breachpost key generate --rsa4096")]
    Generate {
        /// RSA of 4096 bits instead, for partners whose software is very old. Signing takes about 60 times longer.
        #[arg(long)]
        rsa4096: bool,
    },
    /// Use a key you have, secret part included; its passphrase must be the configured one.
    #[command(
        after_help = "Examples:\n  gpg --export-secret-keys --armor breach@example.lu \\\n      | breachpost key import -"
    )]
    Import {
        /// The file with the secret key.
        file: PathBuf,
    },
    /// Print our public certificate, armored: to publish it or to hand it to an authority.
    #[command(after_help = "Examples:\n  breachpost key export\n  breachpost key export -o breachpost.asc")]
    Export {
        /// Write to this file instead of standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Our key's fingerprint, algorithms and expiry.
    #[command(after_help = "Examples:\n  breachpost key show")]
    Show,
}

#[derive(Serialize)]
pub struct KeyView {
    file: PathBuf,
    revocation: Option<PathBuf>,
    #[serde(flatten)]
    facts: CertificateFacts,
}

pub fn run(command: KeyCommand, context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    home.make_private()?;
    let config = Config::load(&home)?;
    let now = context.clock.now();
    match command {
        KeyCommand::Generate { rsa4096 } => {
            let algorithm = if rsa4096 {
                Algorithm::Rsa4096
            } else {
                Algorithm::Ed25519
            };
            if rsa4096 {
                context.out.note("warning: signing with RSA-4096 takes about 60 times longer than with Ed25519; a campaign to many people will be slow");
            }
            let view = generate(&home, &config, algorithm, now)?;
            context.out.data(&view, || {
                format!(
                    "{}\nBack up {} with its passphrase, and keep {} apart from both: it revokes the key if it is lost.\n",
                    portrait(&view),
                    view.file.display(),
                    view.revocation.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
                )
            })?;
        }
        KeyCommand::Import { file } => {
            let bytes = files::read(&file, MAX_KEY_BYTES)?;
            let passphrase = config.key.passphrase.read(&home)?;
            let our = OurKey::load(&bytes, &passphrase, now).map_err(|error| Failure::new(Exit::Person, error))?;
            let path = home.resolve(&config.key.file);
            files::write_private(&path, &bytes)?;
            let view = KeyView {
                file: path,
                revocation: None,
                facts: certificate::describe(our.certificate(), now),
            };
            context.out.data(&view, || portrait(&view))?;
        }
        KeyCommand::Export { output } => {
            let our = open(&home, &config, now)?;
            let armored = our.public_armored();
            match output {
                Some(path) => {
                    std::fs::write(&path, armored).map_err(|error| {
                        Failure::new(
                            Exit::Ours,
                            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
                        )
                    })?;
                    context.out.note(&format!("written: {}", path.display()));
                }
                None => context
                    .out
                    .data(&serde_json::json!({ "certificate": armored }), || armored.to_owned())?,
            }
        }
        KeyCommand::Show => {
            let our = open(&home, &config, now)?;
            let facts = certificate::describe(our.certificate(), now);
            let view = KeyView {
                file: home.resolve(&config.key.file),
                revocation: None,
                facts,
            };
            context.out.data(&view, || portrait(&view))?;
        }
    }
    Ok(Exit::Done)
}

/// Makes our key for the configured sender and writes it beside its revocation certificate; never over another key.
///
/// # Errors
/// A key is there already, the passphrase cannot be read, or a file cannot be written.
pub fn generate(home: &Home, config: &Config, algorithm: Algorithm, now: Time) -> Result<KeyView, Failure> {
    let path = home.resolve(&config.key.file);
    if path.exists() {
        return Err(Failure::person(format!("there is a key already: {}", path.display())).hint("breachpost key show"));
    }
    let passphrase = config.key.passphrase.read(home)?;
    let made = key::generate(
        config.name_of(&config.sender),
        config.sender.address.as_str(),
        algorithm,
        DEFAULT_VALIDITY,
        &passphrase,
        now,
    )
    .map_err(|error| Failure::new(Exit::Ours, error))?;
    let revocation = write_pair(&path, &made)?;
    let our = open(home, config, now)?;
    Ok(KeyView {
        file: path,
        revocation: Some(revocation),
        facts: certificate::describe(our.certificate(), now),
    })
}

/// Makes the key that `init` asks for, or reads the one an interrupted run left; returns its fingerprint.
///
/// # Errors
/// The key cannot be made, read or written.
pub fn for_new_home(request: &KeyRequest, now: Time) -> anyhow::Result<String> {
    if !request.file.exists() {
        let made = key::generate(
            &request.name,
            &request.address,
            Algorithm::Ed25519,
            DEFAULT_VALIDITY,
            &request.passphrase,
            now,
        )?;
        write_pair(&request.file, &made).map_err(|failure| failure.error)?;
    }
    let our = OurKey::load(&std::fs::read(&request.file)?, &request.passphrase, now)?;
    Ok(our.fingerprint().to_owned())
}

/// The revocation certificate first: no key without one.
fn write_pair(path: &Path, made: &Generated) -> Result<PathBuf, Failure> {
    let revocation = path.with_extension("rev.asc");
    files::write_private(&revocation, made.revocation_armored.expose().as_bytes())?;
    files::write_private(path, made.secret_armored.expose().as_bytes())?;
    Ok(revocation)
}

fn open(home: &Home, config: &Config, now: Time) -> Result<OurKey, Failure> {
    let path = home.resolve(&config.key.file);
    let bytes = std::fs::read(&path).map_err(|error| {
        Failure::new(
            Exit::Ours,
            anyhow::Error::new(error).context(format!("cannot read our key {}", path.display())),
        )
        .hint("breachpost key generate")
    })?;
    let passphrase = config.key.passphrase.read(home)?;
    OurKey::load(&bytes, &passphrase, now).map_err(|error| Failure::new(Exit::Ours, error))
}

fn portrait(view: &KeyView) -> String {
    let facts = &view.facts;
    let mut text = format!(
        "Our key {}\n  fingerprint  {}\n",
        view.file.display(),
        pretty_fingerprint(&facts.fingerprint)
    );
    for user_id in &facts.user_ids {
        text.push_str(&format!("  user id      {user_id}\n"));
    }
    text.push_str(&format!("  algorithm    {}\n", facts.algorithm));
    text.push_str(&match facts.expires {
        Some(expires) => format!("  expires      {}\n", expires.format("%Y-%m-%d")),
        None => "  expires      never\n".to_owned(),
    });
    for problem in &facts.problems {
        text.push_str(&format!("  problem      {problem}\n"));
    }
    text
}
