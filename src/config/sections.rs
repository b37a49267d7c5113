//! The sections of config.yaml as types: what may stand there, what holds when it does not, and which settings
//! contradict each other. `default.yaml` beside this file explains each to the person who edits it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::reader::{Section, section, section_if_any};
use super::secret_source::SecretSource;
use super::token_source::TokenSource;
use super::urls::{MailboxUrl, RelayUrl, ServerSecurity, WebhookUrl};
use super::values::{Address, Country, Language, Line, Seconds};
use crate::model::breach::ContactKind;

/// Who notifies: the controller (GDPR Art. 4(7)), or a processor for its controllers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    pub name: Line,
    pub country: Country,
    /// Languages the organisation writes in, preferred first; never empty.
    #[serde(default = "english")]
    pub languages: Vec<Language>,
    /// Used where a breach record names no contact of its own.
    #[serde(default, deserialize_with = "section_if_any")]
    pub contact: Option<Contact>,
}
fn english() -> Vec<Language> {
    vec!["en".parse().expect("`en` is a language code")]
}
impl Section for Organisation {
    fn check(&self) -> Result<(), String> {
        if self.languages.is_empty() {
            return Err("`languages` is empty: name at least one, such as [en]".into());
        }
        no_repeats("languages", &self.languages)
    }
}

/// Whom the authority may ask (GDPR Art. 33(3)(b)).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The data protection officer (GDPR Art. 37), or somebody else.
    #[serde(default = "dpo")]
    pub kind: ContactKind,
    pub name: Line,
    pub email: Option<Address>,
    pub phone: Option<Line>,
    pub postal: Option<Line>,
}
impl Section for Contact {
    fn check(&self) -> Result<(), String> {
        if self.email.is_none() && self.phone.is_none() {
            return Err("a contact needs an `email` or a `phone` (GDPR Art. 33(3)(b))".into());
        }
        Ok(())
    }
}
fn dpo() -> ContactKind {
    ContactKind::Dpo
}

/// Whom the mail comes from; the address is monitored, for acknowledgements come back to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub address: Address,
    /// Shown beside the address; the organisation's name where absent.
    pub name: Option<Line>,
    #[serde(default)]
    pub verp: Verp,
}
impl Section for Sender {}

/// Whether the return path names the recipient, so that a bounce can be told from any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verp {
    #[default]
    None,
    /// `local+TOKEN@domain`: the mailbox must take plus-addresses (RFC 5233).
    Plus,
}

/// Our OpenPGP key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Relative to the home.
    pub file: PathBuf,
    pub passphrase: SecretSource,
}
impl Section for Key {}

/// Where finished mail is handed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    pub url: RelayUrl,
    pub password: Option<SecretSource>,
    #[serde(default, deserialize_with = "section_if_any")]
    pub oauth2: Option<Oauth2>,
    #[serde(default, deserialize_with = "section")]
    pub tls: Tls,
    #[serde(default, deserialize_with = "section")]
    pub timeouts: Timeouts,
    #[serde(default, deserialize_with = "section")]
    pub retry: Retry,
    /// Connections held open at the same time.
    #[serde(default = "eight")]
    pub connections: u16,
    #[serde(default, deserialize_with = "section")]
    pub pace: Pace,
}
fn eight() -> u16 {
    8
}
impl Section for Relay {
    fn check(&self) -> Result<(), String> {
        login_fits(self.url.user.as_deref(), self.password.as_ref(), self.oauth2.as_ref())?;
        if self.url.security == ServerSecurity::None && self.tls.ca_file.is_some() {
            return Err("`url` says tls=none and `tls.ca_file` is for TLS: take one out".into());
        }
        within("connections", f64::from(self.connections), 1.0, 256.0)
    }
}

/// A login needs a name and exactly one way to prove it.
fn login_fits(user: Option<&str>, password: Option<&SecretSource>, oauth2: Option<&Oauth2>) -> Result<(), String> {
    match (user, password, oauth2) {
        (_, Some(_), Some(_)) => Err("`password` and `oauth2` are both given: keep one of them".into()),
        (None, Some(_), None) => Err("`password` is given, but `url` names no user: write scheme://USER@host".into()),
        (None, None, Some(_)) => Err("`oauth2` is given, but `url` names no user: write scheme://USER@host".into()),
        (Some(user), None, None) => Err(format!(
            "`url` names the user {}, but there is no `password`: write password: {{ file: PATH }}, or oauth2 for a token",
            user.escape_debug()
        )),
        _ => Ok(()),
    }
}

/// Login by a token instead of a password (OAuth 2.0, by XOAUTH2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    pub token: TokenSource,
}
impl Section for Oauth2 {}

/// How the server's certificate is judged.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file of certificate authorities, relative to the home, trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
}
impl Section for Tls {}

/// How long to wait for the relay.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection and the TLS handshake.
    pub connect_seconds: Seconds,
    /// For each reply (RFC 5321 §4.5.3.2: 5 minutes) and for each block of a message to be taken.
    pub reply_seconds: Seconds,
    /// For the reply to the final dot (RFC 5321 §4.5.3.2.6: 10 minutes): giving up earlier makes doubt.
    pub final_dot_seconds: Seconds,
}
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_seconds: Seconds::new(30),
            reply_seconds: Seconds::new(300),
            final_dot_seconds: Seconds::new(600),
        }
    }
}
impl Section for Timeouts {}

/// How a delivery that was deferred is tried again: the wait doubles from the first to the longest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    pub first_seconds: Seconds,
    pub max_seconds: Seconds,
}
impl Default for Retry {
    fn default() -> Self {
        Self {
            first_seconds: Seconds::new(60),
            // Of 72 hours, no more than half of one is spent waiting.
            max_seconds: Seconds::new(1800),
        }
    }
}
impl Section for Retry {
    fn check(&self) -> Result<(), String> {
        if self.first_seconds.duration() > self.max_seconds.duration() {
            return Err("`first_seconds` is longer than `max_seconds`".into());
        }
        Ok(())
    }
}

/// How fast mail leaves; no limit where absent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Messages per second, fractions allowed.
    pub per_second: Option<f64>,
    /// The same for each recipient's domain.
    pub per_domain_per_second: Option<f64>,
    /// Messages in any 24 hours.
    pub per_day: Option<u64>,
}
impl Section for Pace {
    fn check(&self) -> Result<(), String> {
        // A slower pace than one message in 1,000 seconds is a mistake rather than a wish.
        for (name, value) in [
            ("per_second", self.per_second),
            ("per_domain_per_second", self.per_domain_per_second),
        ] {
            within(name, value.unwrap_or(1.0), 0.001, 100_000.0)?;
        }
        at_least_one("per_day", self.per_day.unwrap_or(1))
    }
}

/// Where answers are read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    pub url: MailboxUrl,
    pub password: Option<SecretSource>,
    #[serde(default, deserialize_with = "section_if_any")]
    pub oauth2: Option<Oauth2>,
    #[serde(default, deserialize_with = "section")]
    pub tls: Tls,
    /// The one IMAP folder that is read; see [`Mailbox::folders`].
    folder: Option<Line>,
    /// Several of them.
    folders: Option<Vec<Line>>,
    /// The name our own mail server writes into Authentication-Results (RFC 8601 §2.5); those of others are ignored.
    pub trusted_authserv_id: Option<Line>,
    /// Whether the name servers are asked for the DKIM keys of those who write.
    #[serde(default = "yes")]
    pub verify_dkim: bool,
}
fn yes() -> bool {
    true
}
impl Mailbox {
    /// The IMAP folders that are read: INBOX unless others are named.
    pub fn folders(&self) -> Vec<Line> {
        let one = || self.folder.clone().unwrap_or_else(|| "INBOX".parse().expect("a line"));
        self.folders.clone().unwrap_or_else(|| vec![one()])
    }
}
impl Section for Mailbox {
    fn check(&self) -> Result<(), String> {
        if let Some(folders) = &self.folders {
            if self.folder.is_some() {
                return Err("`folder` and `folders` are both given: keep one of them".into());
            }
            if folders.is_empty() {
                return Err("`folders` is empty: name at least one, such as [INBOX]".into());
            }
            no_repeats("folders", folders)?;
        }
        match &self.url {
            MailboxUrl::Imap(url) => {
                login_fits(Some(&url.user), self.password.as_ref(), self.oauth2.as_ref())?;
                if url.security == ServerSecurity::None && self.tls.ca_file.is_some() {
                    return Err("`url` says tls=none and `tls.ca_file` is for TLS: take one out".into());
                }
                Ok(())
            }
            MailboxUrl::Maildir(_) if self.password.is_some() || self.oauth2.is_some() => {
                Err("a Maildir takes no `password` and no `oauth2`: take them out".into())
            }
            MailboxUrl::Maildir(_) if self.folder.is_some() || self.folders.is_some() => {
                Err("a Maildir takes no `folder`: its path names it".into())
            }
            MailboxUrl::Maildir(_) => Ok(()),
        }
    }
}

/// Other addresses and another relay for campaigns; what is absent is taken from the main sections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Individuals {
    #[serde(deserialize_with = "section_if_any")]
    pub sender: Option<Sender>,
    #[serde(deserialize_with = "section_if_any")]
    pub mailbox: Option<Mailbox>,
    #[serde(deserialize_with = "section_if_any")]
    pub relay: Option<Relay>,
}
impl Section for Individuals {}

/// Who is told when something needs a person.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    pub emails: Vec<Address>,
    /// Told besides when an alert was not acknowledged within its time.
    pub escalate_emails: Vec<Address>,
    pub webhooks: Vec<Webhook>,
    /// Whole hours before a deadline.
    pub remind_hours_before: Vec<u32>,
}
impl Default for Alerts {
    fn default() -> Self {
        Self {
            emails: Vec::new(),
            escalate_emails: Vec::new(),
            webhooks: Vec::new(),
            remind_hours_before: vec![48, 24, 12, 6, 2],
        }
    }
}
impl Section for Alerts {
    fn check(&self) -> Result<(), String> {
        for hours in &self.remind_hours_before {
            // A month covers every regime's deadline.
            within("remind_hours_before", f64::from(*hours), 1.0, 744.0)?;
        }
        no_repeats("remind_hours_before", &self.remind_hours_before)?;
        no_repeats("escalate_emails", &self.escalate_emails)?;
        no_repeats("emails", &self.emails)
    }
}
/// An alert posted as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: WebhookUrl,
    /// Key of the HMAC that signs what is posted.
    pub secret: Option<SecretSource>,
}

/// How many persons must agree before something leaves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    pub campaign: Persons,
    pub notice: Persons,
}
impl Section for Approval {}
/// See [`Approval`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persons {
    #[default]
    OnePerson,
    TwoPersons,
}

/// See [`Campaign::encrypt`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encrypt {
    /// Every message is clear.
    Never,
    /// Persons with a usable certificate get an encrypted message, others a clear one.
    #[default]
    WhenKnown,
    /// Persons without a usable certificate are not written to.
    Required,
}
impl Encrypt {
    /// As in config.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Encrypt::Never => "never",
            Encrypt::WhenKnown => "when_known",
            Encrypt::Required => "required",
        }
    }
}

/// How campaigns run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Campaign {
    /// The share of answers that refused us, above 0, at which a campaign pauses; 1 never pauses.
    pub error_budget: f64,
    /// For persons whose language we do not have; the organisation's first where absent.
    pub fallback_language: Option<Language>,
    /// How long late bounces are awaited after the last try.
    pub settle_days: u32,
    /// How long a person is tried whose server puts us off (RFC 5321 §4.5.4.1).
    pub give_up_days: u32,
    /// Whether a delivery status notification is asked for success too (RFC 3461 §4.1).
    pub dsn_success: bool,
    /// Whether messages are encrypted for persons whose certificate came with the list.
    pub encrypt: Encrypt,
}
impl Default for Campaign {
    fn default() -> Self {
        Self {
            error_budget: 0.05,
            fallback_language: None,
            settle_days: 7,
            give_up_days: 5,
            dsn_success: false,
            encrypt: Encrypt::WhenKnown,
        }
    }
}
impl Section for Campaign {
    fn check(&self) -> Result<(), String> {
        within("error_budget", self.error_budget, 0.000_001, 1.0)?;
        within("settle_days", f64::from(self.settle_days), 0.0, 90.0)?;
        within("give_up_days", f64::from(self.give_up_days), 1.0, 30.0)
    }
}

/// Bounds on what leaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest sealed mail as it goes over the wire.
    pub sealed_bytes: u64,
}
impl Default for Limits {
    fn default() -> Self {
        // Many servers refuse 10 MB; a profile may allow more or less.
        Self {
            sealed_bytes: 8_000_000,
        }
    }
}
impl Section for Limits {
    fn check(&self) -> Result<(), String> {
        at_least_one("sealed_bytes", self.sealed_bytes)
    }
}

/// When personal data ends (GDPR Art. 5(1)(e)).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Recipients, their mail and bounces, counted from a campaign's end.
    pub recipients_days: u32,
    /// The register of breaches (GDPR Art. 33(5)), counted from a breach's close.
    pub register_years: u32,
}
impl Default for Retention {
    fn default() -> Self {
        Self {
            recipients_days: 365,
            register_years: 5,
        }
    }
}
impl Section for Retention {
    fn check(&self) -> Result<(), String> {
        within("recipients_days", f64::from(self.recipients_days), 1.0, 36_500.0)?;
        within("register_years", f64::from(self.register_years), 1.0, 100.0)
    }
}

/// The HTTP interface.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
}
impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8372)),
        }
    }
}
impl Section for Http {}

fn within(name: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("`{name}` is {value}; it lies between {least} and {most}"))
    }
}
fn at_least_one(name: &str, value: u64) -> Result<(), String> {
    if value == 0 {
        Err(format!("`{name}` is 0; it is at least 1"))
    } else {
        Ok(())
    }
}
fn no_repeats<T: PartialEq + fmt::Display>(name: &str, values: &[T]) -> Result<(), String> {
    match values
        .iter()
        .enumerate()
        .find(|(at, value)| values[..*at].contains(value))
    {
        Some((_, twice)) => Err(format!("`{name}` holds {twice} twice")),
        None => Ok(()),
    }
}
