//! The settings of one installation: config.yaml as types, the home it lies in, and where secrets are kept.
//!
//! `default.yaml` is what `breachpost init` writes and the documentation of every default. This room reads and judges
//! settings; it opens no store, no connection and no OpenPGP key.

mod filling;
mod home;
mod reader;
mod secret_source;
mod sections;
mod store_key;
mod token_source;
mod urls;
mod values;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

pub use filling::{Filling, quoted};
pub use home::Home;
pub use secret_source::{SecretFault, SecretSource};
pub use sections::{
    Alerts, Approval, Campaign, Contact, Encrypt, Http, Individuals, Key, Limits, Mailbox, Oauth2, Organisation, Pace,
    Persons, Relay, Retention, Retry, Sender, Timeouts, Tls, Verp, Webhook,
};
pub use store_key::{UNFINISHED, make_private_folder, random_hex, replace_private, write_new_private};
pub use token_source::{TokenFault, TokenSource};
pub use urls::{ImapUrl, MailboxUrl, RelayUrl, ServerSecurity, StoreUrl, WebhookUrl};
pub use values::{Address, BadValue, Country, Language, Line, Seconds};

use crate::model::Time;
use crate::model::delivery::RetryPolicy;
use crate::reading::{self, ReadError};
use crate::secret::Secret;
use reader::{section, section_if_any};

/// The file that `init` writes: a complete example, loaded as it stands by the tests.
pub const DEFAULT_FILE: &str = include_str!("default.yaml");

/// The settings do not let us start, or a place they name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("no home: neither --home nor $BREACHPOST_HOME is given, and there is no config.yaml here")]
    NoHome,
    #[error("there is no config.yaml in {}", home.display())]
    NoConfig { home: PathBuf },
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("others may read {} (mode {mode:o}); it is for its owner alone", path.display())]
    NotPrivate { path: PathBuf, mode: u32, is_folder: bool },
    #[error("{origin} lacks {}", sections.join(", "))]
    Missing {
        origin: String,
        /// Each with what it is for.
        sections: Vec<&'static str>,
    },
    #[error("the settings cannot be used")]
    Yaml(#[source] ReadError),
    #[error("cannot take the secret from {place}")]
    Secret {
        place: SecretSource,
        #[source]
        why: SecretFault,
    },
    #[error("cannot get an access token from {place}")]
    Token {
        place: TokenSource,
        #[source]
        why: TokenFault,
    },
    #[error("the store {} is there but its key, {place}, is missing: put the key back from your backup", store.display())]
    StoreKeyMissing { store: PathBuf, place: SecretSource },
    #[error("the store key in {place} is not 64 hexadecimal digits")]
    BadStoreKey { place: SecretSource },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl ConfigError {
    fn not_private(path: &Path, mode: u32) -> Self {
        ConfigError::NotPrivate {
            path: path.to_owned(),
            mode: mode & 0o7777,
            is_folder: path.is_dir(),
        }
    }

    /// A command that mends it or leads on, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::NoHome => Some("breachpost init --home DIR".into()),
            ConfigError::NoConfig { home } => Some(format!("breachpost init --home {}", shell_word(home))),
            ConfigError::NotPrivate { path, is_folder, .. } => Some(format!(
                "chmod {} {}",
                if *is_folder { "700" } else { "600" },
                shell_word(path)
            )),
            _ => None,
        }
    }
}

/// A path as it may be pasted into a shell.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// All settings of one installation, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(deserialize_with = "section")]
    pub organisation: Organisation,
    #[serde(deserialize_with = "section")]
    pub sender: Sender,
    #[serde(deserialize_with = "section")]
    pub key: Key,
    #[serde(deserialize_with = "section")]
    pub relay: Relay,
    /// `None`: answers come by `breachpost mailbox ingest` alone.
    #[serde(default, deserialize_with = "section_if_any")]
    pub mailbox: Option<Mailbox>,
    #[serde(default, deserialize_with = "section")]
    pub individuals: Individuals,
    #[serde(default, deserialize_with = "section")]
    pub alerts: Alerts,
    #[serde(default, deserialize_with = "section")]
    pub approval: Approval,
    #[serde(default, deserialize_with = "section")]
    pub campaign: Campaign,
    #[serde(default, deserialize_with = "section")]
    pub limits: Limits,
    #[serde(default, deserialize_with = "section")]
    pub retention: Retention,
    #[serde(default = "default_store")]
    pub store: StoreUrl,
    #[serde(default = "default_store_key")]
    pub store_key: SecretSource,
    #[serde(default, deserialize_with = "section")]
    pub http: Http,
}
fn default_store() -> StoreUrl {
    StoreUrl("breachpost.db".into())
}
fn default_store_key() -> SecretSource {
    SecretSource::File("keys/store.key".into())
}

/// What must be there, looked for first, so that one error names all that is missing and what it is for.
#[derive(Deserialize)]
struct Required {
    organisation: Option<IgnoredAny>,
    sender: Option<IgnoredAny>,
    key: Option<IgnoredAny>,
    relay: Option<IgnoredAny>,
}
impl Required {
    fn missing(&self) -> Vec<&'static str> {
        [
            (self.organisation.is_some(), "`organisation` (who notifies)"),
            (
                self.sender.is_some(),
                "`sender` (the monitored address that mail comes from)",
            ),
            (
                self.key.is_some(),
                "`key` (the OpenPGP key that signs and opens answers)",
            ),
            (
                self.relay.is_some(),
                "`relay` (the mail server that takes what we send)",
            ),
        ]
        .into_iter()
        .filter_map(|(there, what)| (!there).then_some(what))
        .collect()
    }
}

impl Config {
    /// Reads and checks the home's config.yaml.
    ///
    /// # Errors
    /// [`ConfigError::NoConfig`], [`ConfigError::Unreadable`], and those of [`Config::parse`].
    pub fn load(home: &Home) -> Result<Config, ConfigError> {
        let path = home.config_path();
        let text = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::NoConfig {
                home: home.root().to_owned(),
            },
            _ => ConfigError::Unreadable {
                path: path.clone(),
                source,
            },
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads settings from the bytes of a file; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] names all missing sections, [`ConfigError::Yaml`] file, line and column of the first
    /// setting that is unknown, unusable or contradicts another.
    pub fn parse(origin: &str, text: &[u8]) -> Result<Config, ConfigError> {
        let missing = reading::yaml::<Required>(origin, text)
            .map_err(ConfigError::Yaml)?
            .missing();
        match reading::yaml(origin, text) {
            // A section that is misspelt is missing too; the line with the mistake helps more.
            Err(error) if missing.is_empty() || error.message.starts_with("unknown field") => {
                Err(ConfigError::Yaml(error))
            }
            Ok(config) if missing.is_empty() => Ok(config),
            _ => Err(ConfigError::Missing {
                origin: origin.to_owned(),
                sections: missing,
            }),
        }
    }

    /// The sender of campaign messages.
    pub fn sender_to_individuals(&self) -> &Sender {
        self.individuals.sender.as_ref().unwrap_or(&self.sender)
    }
    /// The relay of campaign messages.
    pub fn relay_to_individuals(&self) -> &Relay {
        self.individuals.relay.as_ref().unwrap_or(&self.relay)
    }
    /// The name shown beside a sender's address.
    pub fn name_of<'a>(&'a self, sender: &'a Sender) -> &'a str {
        sender.name.as_ref().unwrap_or(&self.organisation.name).as_str()
    }
    /// For persons whose language we do not have.
    pub fn fallback_language(&self) -> &Language {
        let first = self.organisation.languages.first();
        let chosen = self.campaign.fallback_language.as_ref().or(first);
        chosen.expect("a checked organisation has a language")
    }
}

impl Key {
    /// The passphrase of our key.
    ///
    /// # Errors
    /// See [`SecretSource::read`].
    pub fn passphrase(&self, home: &Home) -> Result<Secret, ConfigError> {
        self.passphrase.read(home)
    }
}

/// How a user is proven to a mail server.
#[derive(Debug, Clone)]
pub enum Proof {
    Password(Secret),
    /// A token is fetched from here at each login.
    Token(TokenSource),
}

impl Relay {
    /// Who logs in to the relay; `None` where the url names no user.
    ///
    /// # Errors
    /// See [`SecretSource::read`], for the password.
    pub fn login(&self, home: &Home) -> Result<Option<(String, Proof)>, ConfigError> {
        let Some(user) = &self.url.user else { return Ok(None) };
        let proof = proof(self.password.as_ref(), self.oauth2.as_ref(), home)?;
        Ok(proof.map(|proof| (user.clone(), proof)))
    }
}

impl Mailbox {
    /// How the mailbox's user is proven; `None` for a Maildir.
    ///
    /// # Errors
    /// See [`SecretSource::read`], for the password.
    pub fn proof(&self, home: &Home) -> Result<Option<Proof>, ConfigError> {
        proof(self.password.as_ref(), self.oauth2.as_ref(), home)
    }
}

fn proof(password: Option<&SecretSource>, oauth2: Option<&Oauth2>, home: &Home) -> Result<Option<Proof>, ConfigError> {
    match (password, oauth2) {
        (Some(password), _) => Ok(Some(Proof::Password(password.read(home)?))),
        (None, Some(oauth2)) => Ok(Some(Proof::Token(oauth2.token.clone()))),
        (None, None) => Ok(None),
    }
}

impl Retry {
    /// The policy of one delivery; `until` is a campaign's end, `None` for a notice.
    pub fn policy(&self, until: Option<Time>) -> RetryPolicy {
        RetryPolicy {
            first: self.first_seconds.delta(),
            max: self.max_seconds.delta(),
            until,
        }
    }
}

impl Pace {
    /// The limits, as the store keeps them.
    pub fn limits(&self) -> crate::model::pace::Pace {
        crate::model::pace::Pace {
            per_second: self.per_second,
            per_domain_per_second: self.per_domain_per_second,
            per_day: self.per_day,
        }
    }
}
