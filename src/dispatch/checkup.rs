//! A look at everything a night depends on: settings, key, store, relay, mailbox, certificates, disk. Every finding
//! comes with its remedy; nothing is changed, and no mail is sent but by [`deep`].

pub mod deep;

use serde::Serialize;

use crate::config::{self, Address, Config, ConfigError, Home, SecretSource};
use crate::directory::certificate;
use crate::mail::smtp::Connection;
use crate::model::plural::counted;

use super::causes::chain;
use super::checkpoint::CheckpointError;
use super::desk::certificate::wanted_address;
use super::office::{Office, OfficeError};
use super::watch;
use crate::store::StoreError;

/// A key or certificate that ends within so many days is named.
const EXPIRY_WARNING_DAYS: i64 = 90;
/// Told by `doctor`, and by a daemon when it starts.
pub(super) const SIGNS_SLOWLY: &str = "our signing key is an RSA key: messages to many people are sealed some fifty times \
                                       slower than with Ed25519";
/// Less free space than this stops a night's work.
pub(super) const LOW_DISK_BYTES: u64 = 500 * 1024 * 1024;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    Good,
    Warning,
    Bad,
}

/// One thing looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub grade: Grade,
    pub text: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}
impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self {
            what,
            grade: Grade::Good,
            text: text.into(),
            remedy: None,
        }
    }
    fn warning(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            grade: Grade::Warning,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }
    fn bad(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            grade: Grade::Bad,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Looks at everything, as far as the settings let it.
pub async fn look(home: &Home, opened: Result<&Office, &OfficeError>) -> Vec<Finding> {
    let office = match opened {
        Ok(office) => office,
        Err(error) => {
            return vec![Finding::bad("home", chain(error), to_open(home, error))];
        }
    };
    let mut findings = vec![Finding::good("home", format!("{} can be used", home.root().display()))];
    findings.push(our_key(office).await);
    findings.push(store(office).await);
    findings.push(relay(office, "relay", &office.config.relay).await);
    if let Some(settings) = &office.config.individuals.relay {
        findings.push(relay(office, "individuals.relay", settings).await);
    }
    findings.extend(mailbox(office).await);
    findings.extend(certificates(office).await);
    findings.push(alerts(&office.config));
    findings.push(disk(home));
    let troubles = office.daemon_troubles();
    findings.push(if !troubles.is_empty() {
        Finding::bad(
            "daemon",
            troubles.join("; "),
            "see its log; then: systemctl reload breachpost",
        )
    } else if office.daemon_runs() {
        Finding::good("daemon", "runs")
    } else {
        Finding::warning(
            "daemon",
            "does not run: nothing is retried and no answer is read",
            "breachpost serve",
        )
    });
    findings
}

/// What to do about a home that cannot be opened: only where its settings are wrong are they to be mended.
fn to_open(home: &Home, error: &OfficeError) -> String {
    match error {
        OfficeError::Config(ConfigError::StoreKeyMissing { place, .. }) => {
            format!("put the store key back from your backup ({place})")
        }
        OfficeError::Config(ConfigError::Secret { .. }) => {
            format!(
                "make that readable here, or name another place in {}",
                home.config_path().display()
            )
        }
        OfficeError::Store(StoreError::WrongKey { .. }) => format!(
            "see that `store` and `store_key` in {} name what belongs together; else: breachpost restore BACKUP --home NEW",
            home.config_path().display()
        ),
        OfficeError::Store(_) => "if it cannot be mended in place: breachpost restore BACKUP --home NEW".to_owned(),
        OfficeError::Directory(_) | OfficeError::Template(_) | OfficeError::TemplateFinding(_) => {
            "mend the file that is named, and run this again".to_owned()
        }
        _ => format!("mend {} and run this again", home.config_path().display()),
    }
}

/// What to do about our key. A new one is never the way on from a passphrase: answers to the old one could not be read.
fn to_unlock(error: &OfficeError) -> &'static str {
    match error {
        OfficeError::Config(ConfigError::Secret {
            place: SecretSource::Credential(_),
            ..
        }) => {
            "run this with the service's credentials: systemd-run --pty -p LoadCredential=NAME:FILE breachpost doctor"
        }
        OfficeError::Config(_) => "make it readable here, or mend `key.passphrase` in config.yaml",
        OfficeError::KeyFile { .. } => {
            "put the folder keys/ back from your backup, or mend `key.file` in config.yaml; without any key yet: breachpost \
             key generate"
        }
        _ => "mend `key.passphrase` in config.yaml, or put the folder keys/ back from your backup",
    }
}

fn is_about_our_key(error: &OfficeError) -> bool {
    matches!(
        error,
        OfficeError::Config(_) | OfficeError::Key(_) | OfficeError::KeyFile { .. }
    )
}

async fn our_key(office: &Office) -> Finding {
    let our = match office.our_key().await {
        Ok(our) => our,
        Err(error) => return Finding::bad("key", chain(&error), to_unlock(&error)),
    };
    let facts = certificate::describe(our.certificate(), office.now());
    if let Some(expires) = facts.expires
        && (expires - office.now()).num_days() < EXPIRY_WARNING_DAYS
    {
        let text = format!("our key expires on {}", expires.format("%Y-%m-%d"));
        return Finding::warning(
            "key",
            text,
            "make a new key in time and tell the authorities you write to",
        );
    }
    if our.signs_slowly() {
        return Finding::warning("key", SIGNS_SLOWLY, "for campaigns to many people use an Ed25519 key");
    }
    Finding::good("key", format!("{}, {}", facts.fingerprint, facts.algorithm))
}

async fn store(office: &Office) -> Finding {
    match super::checkpoint::audit(office).await {
        Ok(audit) if audit.intact => {
            Finding::good("store", format!("journal intact, {}", counted(audit.length, "entry")))
        }
        Ok(audit) => Finding::bad("store", audit.findings.join("; "), "breachpost journal verify"),
        // The store itself was read: nobody is sent to a backup for a passphrase that is not to be had here.
        Err(CheckpointError::Office(error)) if is_about_our_key(&error) => Finding::warning(
            "store",
            "can be opened, but its journal cannot be verified without our key",
            "see to the key first",
        ),
        Err(error) => Finding::bad("store", chain(&error), "restore the home from your backup"),
    }
}

async fn relay(office: &Office, what: &'static str, settings: &config::Relay) -> Finding {
    let remedy = format!("mend `{what}` in config.yaml, or ask whoever runs the mail server");
    let connector = match office.connector_to(settings) {
        Ok(connector) => connector,
        Err(error) => return Finding::bad(what, chain(&error), remedy),
    };
    match Connection::open(&connector).await {
        Err(fault) => Finding::bad(what, fault.to_string(), remedy),
        Ok(connection) => {
            let tls = connection
                .tls_facts()
                .map_or_else(|| "clear text on loopback".to_owned(), |tls| tls.version.clone());
            let dsn = connection.capabilities().dsn;
            let login = connector
                .relay()
                .login
                .as_ref()
                .map_or("without a login", |_| "logged in");
            connection.quit().await;
            if dsn {
                Finding::good(what, format!("reached, {login}, {tls}, reports deliveries"))
            } else {
                let text = format!("reached, {login}, {tls}, but does not offer delivery status notifications");
                Finding::warning(
                    what,
                    text,
                    "nothing to do; arrival is then proven by acknowledgements alone",
                )
            }
        }
    }
}

async fn mailbox(office: &Office) -> Vec<Finding> {
    let config = &office.config;
    let named = [
        ("mailbox", config.mailbox.as_ref()),
        ("individuals.mailbox", config.individuals.mailbox.as_ref()),
    ];
    let mut findings = Vec::new();
    for (what, mailbox) in named {
        findings.extend(match mailbox {
            Some(mailbox) => Some(match watch::look(office, mailbox).await {
                Ok(text) => Finding::good(what, text),
                Err(error) => Finding::bad(
                    what,
                    chain(&error),
                    format!("mend `{what}` in config.yaml, or ask whoever runs the mail server"),
                ),
            }),
            None if what == "mailbox" => Some(Finding::warning(
                what,
                "no mailbox is configured: acknowledgements are not read",
                "set `mailbox` in config.yaml, or pipe mail into `breachpost mailbox ingest`",
            )),
            None => None,
        });
    }
    findings
}

async fn certificates(office: &Office) -> Vec<Finding> {
    let pins = match office.store.list_pins().await {
        Ok(pins) => pins,
        Err(error) => {
            return vec![Finding::bad(
                "certificates",
                chain(&error),
                "restore the home from your backup",
            )];
        }
    };
    if pins.is_empty() {
        return vec![Finding::warning(
            "certificates",
            "no authority's certificate was imported: no sealed notice can be sent",
            "breachpost authority cert import ID FILE --fingerprint FPR --verified phone",
        )];
    }
    let now = office.now();
    let mut findings = Vec::new();
    for pin in pins {
        let again = format!(
            "breachpost authority cert import {} FILE --fingerprint FPR --verified phone",
            pin.authority
        );
        let address = office.directory.find(&pin.authority).ok();
        let address = address
            .as_ref()
            .and_then(|profile| wanted_address(profile, pin.accepted_user_id.as_ref()));
        let judged = certificate::read_one(&pin.certificate)
            .and_then(|cert| certificate::judge(&cert, address, now).map(|_| certificate::describe(&cert, now)));
        findings.push(match judged {
            Err(error) => Finding::bad("certificates", format!("{}: {}", pin.authority, chain(&error)), again),
            Ok(facts) => match facts.expires {
                Some(expires) if (expires - now).num_days() < EXPIRY_WARNING_DAYS => Finding::warning(
                    "certificates",
                    format!("{}: expires on {}", pin.authority, expires.format("%Y-%m-%d")),
                    again,
                ),
                _ if pin.verified == "none" => Finding::warning(
                    "certificates",
                    format!("{}: its fingerprint was not verified", pin.authority),
                    again,
                ),
                _ => Finding::good(
                    "certificates",
                    format!("{}: can be used, verified: {}", pin.authority, pin.verified),
                ),
            },
        });
    }
    findings
}

/// Whether anybody would be told.
fn alerts(config: &Config) -> Finding {
    let alerts = &config.alerts;
    let (mails, hooks) = (alerts.emails.len(), alerts.webhooks.len());
    if mails + hooks == 0 {
        return Finding::warning(
            "alerts",
            "no channel is configured: nobody is told when a deadline is near or an answer does not come",
            "set `alerts` in config.yaml, then: breachpost alert test",
        );
    }
    let own = |address: &Address| address.as_str().eq_ignore_ascii_case(config.sender.address.as_str());
    if alerts.emails.iter().any(own) {
        return Finding::warning(
            "alerts",
            "an alert goes to the monitored mailbox itself, where it waits in the tray as a mail of its own",
            "name addresses of persons in alerts.emails",
        );
    }
    if let Some(open) = alerts.webhooks.iter().find(|hook| hook.secret.is_none()) {
        let host = url::Url::parse(open.url.as_str()).ok();
        let host = host.as_ref().and_then(url::Url::host_str).unwrap_or("a webhook");
        return Finding::warning(
            "alerts",
            format!("what is posted to {host} is not signed: the receiver cannot tell it from a forged one"),
            "give the webhook a `secret`",
        );
    }
    Finding::good(
        "alerts",
        format!("addresses: {mails}, webhooks: {hooks}; try them: breachpost alert test"),
    )
}

fn disk(home: &Home) -> Finding {
    match free_bytes(home) {
        Err(error) => Finding::warning(
            "disk",
            format!("free space is not known: {error}"),
            "look at it yourself: df -h",
        ),
        Ok(free) => {
            let text = format!("{} MB free", free / 1024 / 1024);
            if free < LOW_DISK_BYTES {
                Finding::bad("disk", text, "make room: nothing can be filed on a full disk")
            } else {
                Finding::good("disk", text)
            }
        }
    }
}

/// Free space on the disk of the home.
///
/// # Errors
/// The system does not tell.
pub(super) fn free_bytes(home: &Home) -> Result<u64, nix::Error> {
    let facts = nix::sys::statvfs::statvfs(home.root())?;
    Ok(facts.blocks_available() * facts.fragment_size())
}
