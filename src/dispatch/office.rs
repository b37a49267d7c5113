//! The wiring every verb works with: settings, directory, templates, store, clock. Opened once by the command line
//! or a test; holds no state of its own but what it has loaded.

use std::sync::Arc;

use chrono_tz::Tz;
use tokio::sync::{Notify, OnceCell};

use crate::config::{self, Config, ConfigError, Home, Mailbox as MailboxSettings, Sender, Verp};
use crate::directory::profile::AuthorityKind;
use crate::directory::{Directory, DirectoryError};
use crate::mail::smtp::{Connector, Relay, RelayError, Timeouts};
use crate::message::key::{KeyError, OurKey};
use crate::message::mime::Mailbox;
use crate::message::template::{TemplateError, Templates};
use crate::message::token::{self, TokenKey};
use crate::model::breach::Contact;
use crate::model::id::{Actor, WorkerId};
use crate::model::{Clock, Time};
use crate::store::sqlite::{Sqlite, StoreKey};
use crate::store::{Retries, Store, StoreError};

use super::dkim::{Names, SystemNames};
use super::login;
use super::worker::{self, Worker, WorkerKind};

/// Our side could not do its job, whatever room the fault lies in.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    #[error("the settings cannot be used")]
    Config(#[from] ConfigError),
    #[error("the directory of authorities cannot be used")]
    Directory(#[from] DirectoryError),
    #[error("the templates cannot be used")]
    Template(#[from] TemplateError),
    #[error("the templates cannot be used: {0}")]
    TemplateFinding(String),
    #[error("our OpenPGP key cannot be used")]
    Key(#[from] KeyError),
    #[error("cannot read our OpenPGP key {path}")]
    KeyFile {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the relay's settings cannot be used")]
    Relay(#[from] RelayError),
    #[error("the store cannot do it")]
    Store(#[from] StoreError),
    #[error("cannot sign on in {path}")]
    SignOn {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// Everything a verb needs. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    pub home: Home,
    pub config: Arc<Config>,
    pub directory: Arc<Directory>,
    pub templates: Arc<Templates>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    /// Who is asked for the keys of DKIM signatures.
    pub names: Arc<dyn Names>,
    /// The key of the tokens in return paths, envelope ids and Message-IDs.
    pub tokens: TokenKey,
    our_key: Arc<OnceCell<Arc<OurKey>>>,
    nudges: Arc<Notify>,
}

/// From whom, through which relay and back to which mailbox a kind of mail goes.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    pub sender: &'a Sender,
    pub relay: &'a config::Relay,
    pub mailbox: Option<&'a MailboxSettings>,
    /// What the settings of relay and mailbox are called in config.yaml.
    pub relay_setting: &'static str,
    pub mailbox_setting: &'static str,
    /// Whether it is the way of campaigns.
    pub to_individuals: bool,
}

impl Office {
    /// Opens the home: settings, overlays, store. Our key is read when it is first needed.
    ///
    /// # Errors
    /// Settings that do not hold, a store that cannot be opened with the store key.
    pub fn open(home: Home, clock: Arc<dyn Clock>) -> Result<Self, OfficeError> {
        home.make_private()?;
        let config = Config::load(&home)?;
        let place = config.store_key.clone();
        let key =
            StoreKey::from_hex(&config.store_key(&home, true)?).map_err(|_| ConfigError::BadStoreKey { place })?;
        let store = Sqlite::open(&home.store_path(&config), &key)?;
        Ok(Self {
            directory: Arc::new(Directory::load(Some(&home.authorities_dir()))?),
            templates: Arc::new(Templates::load(Some(&home.templates_dir()))?),
            config: Arc::new(config),
            store: Arc::new(store),
            clock,
            names: Arc::new(SystemNames),
            tokens: TokenKey::new(key.derive("breachpost: tokens of return paths and envelope ids, 1")),
            our_key: Arc::new(OnceCell::new()),
            nudges: Arc::new(Notify::new()),
            home,
        })
    }

    /// The same house with settings, profiles and templates read anew; our key too, when it is next needed. The store,
    /// which is open, and the clock stay.
    ///
    /// # Errors
    /// What [`Office::open`] says of settings, and the first profile or template that cannot be used, with its place.
    pub fn reread(&self) -> Result<Self, OfficeError> {
        let config = Config::load(&self.home)?;
        let directory = Directory::load(Some(&self.home.authorities_dir()))?;
        directory.list()?;
        let templates = Templates::load(Some(&self.home.templates_dir()))?;
        if let Some(finding) = templates.check().first() {
            return Err(OfficeError::TemplateFinding(finding.to_string()));
        }
        Ok(Self {
            directory: Arc::new(directory),
            templates: Arc::new(templates),
            config: Arc::new(config),
            our_key: Arc::new(OnceCell::new()),
            ..self.clone()
        })
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Where bounces of a message with this token are to go: the sender, with the token where its mailbox takes
    /// plus-addresses.
    pub fn return_path(&self, sender: &Sender, token: &str) -> String {
        match sender.verp {
            Verp::Plus => token::return_path(sender.address.as_str(), token),
            Verp::None => sender.address.as_str().to_owned(),
        }
    }

    /// Our key, its secret part opened with the configured passphrase; read once.
    ///
    /// # Errors
    /// No key file, a wrong passphrase, or a key that cannot sign and decrypt now.
    pub async fn our_key(&self) -> Result<Arc<OurKey>, OfficeError> {
        let key = self
            .our_key
            .get_or_try_init(|| async {
                let path = self.home.resolve(&self.config.key.file);
                let bytes = std::fs::read(&path).map_err(|source| OfficeError::KeyFile {
                    path: path.display().to_string(),
                    source,
                })?;
                let passphrase = self.config.key.passphrase.read(&self.home)?;
                let now = self.now();
                let key = tokio::task::spawn_blocking(move || OurKey::load(&bytes, &passphrase, now))
                    .await
                    .expect("opening a key does not panic")?;
                Ok::<_, OfficeError>(Arc::new(key))
            })
            .await?;
        Ok(Arc::clone(key))
    }

    /// Takes a worker's lock and recovers what dead workers left behind.
    ///
    /// # Errors
    /// The lock's folder cannot be used, or the store fails.
    pub async fn sign_on(&self, kind: WorkerKind) -> Result<Worker, OfficeError> {
        let folder = self.home.workers_dir();
        let worker = Worker::sign_on(&folder, kind).map_err(|source| OfficeError::SignOn {
            path: folder.display().to_string(),
            source,
        })?;
        self.recover(worker.id()).await?;
        self.settle_identity().await?;
        worker::sweep(&folder);
        Ok(worker)
    }

    /// Stops a copied or restored store from sending what the original may have sent since.
    ///
    /// # Errors
    /// The store fails.
    pub async fn settle_identity(&self) -> Result<(), OfficeError> {
        let by = Self::as_loop("clerk");
        if let Some(copied) = self.store.settle_identity(&by, self.now()).await? {
            tracing::warn!(
                campaigns_paused = copied.campaigns_paused,
                notices_held = copied.notices_held,
                "this store is a copy or was restored: what was sent since is not known here"
            );
        }
        Ok(())
    }

    /// Gives back what dead workers held, and puts what they had on the wire in doubt; `own` lives, whatever its file says.
    /// Returns how many deliveries moved.
    ///
    /// # Errors
    /// The store fails.
    pub async fn recover(&self, own: WorkerId) -> Result<u64, OfficeError> {
        let folder = self.home.workers_dir();
        let dead: Vec<WorkerId> = self
            .store
            .lease_holders()
            .await?
            .into_iter()
            .filter(|id| *id != own && !worker::is_alive(&folder, *id))
            .collect();
        let moved = self.store.recover(&dead, &self.retries(), self.now()).await?;
        if moved > 0 {
            tracing::warn!(deliveries = moved, "recovered deliveries of a worker that died");
        }
        Ok(moved)
    }

    /// Whether a daemon on this home will carry what is queued.
    pub fn daemon_runs(&self) -> bool {
        worker::daemon_runs(&self.home.workers_dir())
    }

    /// Whether a daemon or a command on this home carries something now.
    pub fn somebody_works(&self) -> bool {
        worker::somebody_works(&self.home.workers_dir())
    }

    /// Makes the clerk of this process look at once: something happened that a person may have to know. Only a hint; the
    /// clerk also looks by itself.
    pub fn nudge(&self) {
        self.nudges.notify_one();
    }

    /// Waits for the next [`Office::nudge`]; returns at once for one that nobody waited for.
    pub async fn nudged(&self) {
        self.nudges.notified().await;
    }

    /// What the daemons on this home say is wrong with them, a line each.
    pub fn daemon_troubles(&self) -> Vec<String> {
        worker::troubles(&self.home.workers_dir())
    }

    /// The way of mail to authorities.
    pub fn way_to_authorities(&self) -> Way<'_> {
        Way {
            sender: &self.config.sender,
            relay: &self.config.relay,
            mailbox: self.config.mailbox.as_ref(),
            relay_setting: "relay",
            mailbox_setting: "mailbox",
            to_individuals: false,
        }
    }

    /// The way of mail to individuals; `None` where it is that of mail to authorities.
    pub fn way_to_individuals(&self) -> Option<Way<'_>> {
        let own = &self.config.individuals;
        let main = self.way_to_authorities();
        let differs = own.sender.is_some() || own.relay.is_some() || own.mailbox.is_some();
        differs.then(|| Way {
            sender: self.config.sender_to_individuals(),
            relay: self.config.relay_to_individuals(),
            mailbox: own.mailbox.as_ref().or(main.mailbox),
            relay_setting: own.relay.as_ref().map_or(main.relay_setting, |_| "individuals.relay"),
            // Where it is missing, this is what to set.
            mailbox_setting: match (&own.mailbox, &own.sender) {
                (None, None) => main.mailbox_setting,
                _ => "individuals.mailbox",
            },
            to_individuals: true,
        })
    }

    /// Us as the sender of mail that goes this way.
    pub fn sender_on(&self, way: &Way<'_>) -> Mailbox {
        Mailbox {
            name: Some(self.config.name_of(way.sender).to_owned()),
            address: way.sender.address.as_str().to_owned(),
        }
    }

    /// Us as the sender of mail to authorities.
    pub fn sender(&self) -> Mailbox {
        self.sender_on(&self.way_to_authorities())
    }

    /// The settings of whom mail to individuals comes from.
    pub fn individuals_sender(&self) -> &Sender {
        self.config.individuals.sender.as_ref().unwrap_or(&self.config.sender)
    }

    /// Us as the sender of mail to individuals.
    pub fn sender_to_individuals(&self) -> Mailbox {
        let sender = self.individuals_sender();
        Mailbox {
            name: Some(self.config.name_of(sender).to_owned()),
            address: sender.address.as_str().to_owned(),
        }
    }

    /// The organisation's contact, for records that name none.
    pub fn usual_contact(&self) -> Option<Contact> {
        let usual = self.config.organisation.contact.as_ref()?;
        Some(Contact {
            kind: usual.kind,
            name: Some(usual.name.as_str().to_owned()),
            email: usual.email.as_ref().map(|email| email.as_str().to_owned()),
            phone: usual.phone.as_ref().map(|phone| phone.as_str().to_owned()),
            postal: usual.postal.as_ref().map(|postal| postal.as_str().to_owned()),
        })
    }

    /// The zone of the organisation's country, where that has only one; else UTC.
    pub fn zone(&self) -> Tz {
        zone_of_country(self.config.organisation.country.as_str())
    }

    /// The supervisory authority of the organisation's country, where the directory knows exactly one.
    pub fn own_authority(&self) -> Option<String> {
        let country = self.config.organisation.country.as_str();
        let ids = self
            .directory
            .ids()
            .into_iter()
            .filter(|id| id.starts_with(&format!("{}-", country.to_lowercase())));
        let profiles = ids.filter_map(|id| self.directory.find(&id).ok());
        let mut supervisory =
            profiles.filter(|profile| profile.kind == AuthorityKind::Supervisory && profile.country == country);
        let first = supervisory.next()?;
        supervisory.next().is_none().then_some(first.id)
    }

    /// How deliveries are tried again.
    pub fn retries(&self) -> Retries {
        Retries {
            notices: self.config.relay.retry.policy(None),
            persons: self.config.relay_to_individuals().retry.policy(None),
        }
    }

    /// The configured relay, ready to be connected to.
    ///
    /// # Errors
    /// The password or the trust roots cannot be read.
    pub fn connector(&self) -> Result<Connector, OfficeError> {
        self.connector_to(&self.config.relay)
    }

    /// A relay of the settings, ready to be connected to.
    ///
    /// # Errors
    /// The password or the trust roots cannot be read.
    pub fn connector_to(&self, settings: &config::Relay) -> Result<Connector, OfficeError> {
        let login = settings
            .login(&self.home)?
            .map(|(user, proof)| login::from_settings(&self.home, user, proof));
        let waits = &settings.timeouts;
        let reply = waits.reply_seconds.duration();
        Ok(Connector::new(Relay {
            host: settings.url.host.clone(),
            port: settings.url.port,
            tls: login::tls_mode(settings.url.security),
            login,
            ca_file: settings.tls.ca_file.as_ref().map(|path| self.home.resolve(path)),
            helo: None,
            timeouts: Timeouts {
                connect: waits.connect_seconds.duration(),
                greeting: reply,
                command: reply,
                data: reply,
                final_dot: waits.final_dot_seconds.duration(),
            },
        })?)
    }

    /// The actor for a loop of the daemon.
    pub fn as_loop(name: &str) -> Actor {
        Actor::Loop(name.to_owned())
    }
}

/// The one zone of a country; UTC for those that have several or that we do not know, so that times carry their offset.
pub fn zone_of_country(country: &str) -> Tz {
    match country {
        "AT" => chrono_tz::Europe::Vienna,
        "BE" => chrono_tz::Europe::Brussels,
        "CH" => chrono_tz::Europe::Zurich,
        "CZ" => chrono_tz::Europe::Prague,
        "DE" => chrono_tz::Europe::Berlin,
        "DK" => chrono_tz::Europe::Copenhagen,
        "FI" => chrono_tz::Europe::Helsinki,
        "FR" => chrono_tz::Europe::Paris,
        "IE" => chrono_tz::Europe::Dublin,
        "IT" => chrono_tz::Europe::Rome,
        "LU" => chrono_tz::Europe::Luxembourg,
        "MT" => chrono_tz::Europe::Malta,
        "NL" => chrono_tz::Europe::Amsterdam,
        "NO" => chrono_tz::Europe::Oslo,
        "PL" => chrono_tz::Europe::Warsaw,
        "SE" => chrono_tz::Europe::Stockholm,
        _ => chrono_tz::UTC,
    }
}
