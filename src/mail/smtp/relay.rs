//! Where the relay is and how it may be spoken to: settings, checked once, before anything is connected.
//! The rule it keeps: clear text never leaves this machine.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::address::wire_domain;
use crate::mail::login::Login;
use crate::mail::tls::{TlsMode, TrustError, is_loopback};
use crate::secret::Secret;

/// A mail relay (RFC 6409 submission, RFC 8314). [`super::Connector::new`] checks it and makes it usable.
#[derive(Debug, Clone)]
pub struct Relay {
    /// A name in A-labels, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    pub tls: TlsMode,
    pub login: Option<Login>,
    /// PEM file with certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The name given in EHLO; without one the address literal of our end is (RFC 5321 §4.1.4).
    pub helo: Option<String>,
    pub timeouts: Timeouts,
}

/// How long each step may take. The defaults of the waits for an answer are those of RFC 5321 §4.5.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking up the name, and connecting to each of its addresses.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// The answer to a command, and the TLS handshake.
    pub command: Duration,
    /// While the message is written: how long the relay may take nothing at all.
    pub data: Duration,
    /// The answer to the final dot. Short values make doubtful deliveries.
    pub final_dot: Duration,
}
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(180),
            final_dot: Duration::from_secs(600),
        }
    }
}

/// Settings of a relay that cannot be used. None repeats what might be a password.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("the relay's URL cannot be read: write smtps://user@host:465 or smtp://user@host:587")]
    NotAUrl(#[source] url::ParseError),
    #[error("the relay's URL begins with {0}://: write smtps:// (TLS from the start) or smtp:// (STARTTLS)")]
    Scheme(String),
    #[error("the relay's URL names no host: write smtps://user@host:465")]
    NoHost,
    #[error("the relay's host {host} cannot be used: {why}")]
    Host { host: String, why: String },
    #[error("the relay's URL holds a password: put it in relay.password")]
    PasswordInUrl,
    #[error("the user in the relay's URL is not text: encode it as UTF-8 with %XX")]
    User,
    #[error("the relay's URL names a user but there is no password: set relay.password")]
    NoPassword,
    #[error("there is a password for the relay but no user: write smtps://user@host in relay.url")]
    NoUser,
    #[error("the relay's URL ends with something unknown: only ?tls=none may follow the port, and only with smtp://")]
    Ending,
    #[error("clear text (tls=none) to {host} is refused: it is for loopback only; leave tls=none out to use STARTTLS")]
    ClearText { host: String },
    #[error("the EHLO name {name} cannot be used: {why}")]
    Helo { name: String, why: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Relay {
    /// Reads `smtps://user@host:465`, `smtp://user@host:587` (STARTTLS required) or `smtp://127.0.0.1:2525?tls=none`.
    /// Ports default to 465 and 587; reserved characters in the user are written `%XX`. A user needs the password and
    /// the other way round.
    ///
    /// ```
    /// use breachpost::mail::smtp::{Relay, TlsMode};
    /// let relay = Relay::from_url("smtp://mail.example.lu", None)?;
    /// assert_eq!((relay.port, relay.tls), (587, TlsMode::StartTls));
    /// assert!(Relay::from_url("smtp://mail.example.lu?tls=none", None).is_err());
    /// # Ok::<(), breachpost::mail::smtp::RelayError>(())
    /// ```
    ///
    /// # Errors
    /// Any [`RelayError`] about the URL or the login; files are looked at by [`super::Connector::new`].
    pub fn from_url(url: &str, password: Option<Secret>) -> Result<Self, RelayError> {
        let url = Url::parse(url).map_err(RelayError::NotAUrl)?;
        if url.password().is_some() {
            return Err(RelayError::PasswordInUrl);
        }
        let (mut tls, default_port) = match url.scheme() {
            "smtps" => (TlsMode::Implicit, 465),
            "smtp" => (TlsMode::StartTls, 587),
            other => return Err(RelayError::Scheme(other.to_owned())),
        };
        let host = host_of(&url)?;
        match (url.path(), url.query(), url.fragment()) {
            ("" | "/", None, None) => {}
            ("" | "/", Some("tls=none"), None) if tls == TlsMode::StartTls => tls = TlsMode::None,
            _ => return Err(RelayError::Ending),
        }
        let relay = Self {
            host,
            port: url.port().unwrap_or(default_port),
            tls,
            login: login_of(&url, password)?,
            ca_file: None,
            helo: None,
            timeouts: Timeouts::default(),
        };
        relay.check()?;
        Ok(relay)
    }

    /// What must hold however the relay was put together.
    pub(super) fn check(&self) -> Result<(), RelayError> {
        if self.tls == TlsMode::None && !is_loopback(&self.host) {
            return Err(RelayError::ClearText {
                host: self.host.clone(),
            });
        }
        if let Some(name) = &self.helo {
            wire_domain(name).map_err(|why| RelayError::Helo {
                name: name.clone(),
                why,
            })?;
        }
        Ok(())
    }
}

fn host_of(url: &Url) -> Result<String, RelayError> {
    match url.host().ok_or(RelayError::NoHost)? {
        Host::Ipv4(ip) => Ok(ip.to_string()),
        Host::Ipv6(ip) => Ok(ip.to_string()),
        Host::Domain("") => Err(RelayError::NoHost),
        Host::Domain(name) => {
            let name = percent_decode_str(name).decode_utf8_lossy();
            wire_domain(&name).map_err(|why| RelayError::Host {
                host: name.into_owned(),
                why,
            })
        }
    }
}

fn login_of(url: &Url, password: Option<Secret>) -> Result<Option<Login>, RelayError> {
    let user = percent_decode_str(url.username())
        .decode_utf8()
        .map_err(|_| RelayError::User)?;
    match (user.is_empty(), password) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(RelayError::NoUser),
        (false, None) => Err(RelayError::NoPassword),
        (false, Some(_)) if user.contains('\0') => Err(RelayError::User),
        (false, Some(password)) => Ok(Some(Login::by_password(user.into_owned(), password))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Option<Secret> {
        Some(Secret::new("hunter2"))
    }

    #[test]
    fn urls_that_are_taken() {
        for (url, host, port, tls, user) in [
            (
                "smtps://ann@mail.example.lu",
                "mail.example.lu",
                465,
                TlsMode::Implicit,
                Some("ann"),
            ),
            (
                "smtps://mail.example.lu:8465/",
                "mail.example.lu",
                8465,
                TlsMode::Implicit,
                None,
            ),
            (
                "smtp://ann%40example.lu@mail.example.lu",
                "mail.example.lu",
                587,
                TlsMode::StartTls,
                Some("ann@example.lu"),
            ),
            (
                "smtp://ann@example.lu@mail.example.lu",
                "mail.example.lu",
                587,
                TlsMode::StartTls,
                Some("ann@example.lu"),
            ),
            (
                "smtp://%C3%A9@mail.example.lu:25",
                "mail.example.lu",
                25,
                TlsMode::StartTls,
                Some("é"),
            ),
            (
                "smtps://b\u{fc}cher.example",
                "xn--bcher-kva.example",
                465,
                TlsMode::Implicit,
                None,
            ),
            ("smtp://127.0.0.1:2525?tls=none", "127.0.0.1", 2525, TlsMode::None, None),
            (
                "smtp://127.8.9.10:2525?tls=none",
                "127.8.9.10",
                2525,
                TlsMode::None,
                None,
            ),
            ("smtp://[::1]:2525?tls=none", "::1", 2525, TlsMode::None, None),
            ("smtp://localhost?tls=none", "localhost", 587, TlsMode::None, None),
            ("smtps://[2001:db8::1]", "2001:db8::1", 465, TlsMode::Implicit, None),
        ] {
            let relay = Relay::from_url(url, user.and_then(|_| password())).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!((relay.host.as_str(), relay.port, relay.tls), (host, port, tls), "{url}");
            assert_eq!(relay.login.map(|l| l.user).as_deref(), user, "{url}");
        }
    }

    #[test]
    fn urls_that_are_refused_say_what_to_do() {
        for (url, password, hint) in [
            ("mail.example.lu", None, "write smtps://"),
            ("", None, "write smtps://"),
            ("http://mail.example.lu", None, "write smtps://"),
            ("smtps://", None, "names no host"),
            ("smtps:mail.example.lu", None, "names no host"),
            ("smtps://-bad-.example", None, "not a valid name"),
            (
                "smtps://ann:s3cret@mail.example.lu",
                password(),
                "put it in relay.password",
            ),
            ("smtps://ann@mail.example.lu", None, "set relay.password"),
            ("smtps://mail.example.lu", password(), "no user"),
            ("smtps://%FF@mail.example.lu", password(), "UTF-8"),
            ("smtps://a%00b@mail.example.lu", password(), "not text"),
            ("smtp://mail.example.lu?tls=none", None, "loopback only"),
            ("smtp://10.0.0.1?tls=none", None, "loopback only"),
            ("smtp://localhost.example.lu?tls=none", None, "loopback only"),
            ("smtp://127.0.0.1.example.lu?tls=none", None, "loopback only"),
            ("smtp://[::ffff:10.0.0.1]?tls=none", None, "loopback only"),
            ("smtps://127.0.0.1?tls=none", None, "only with smtp://"),
            ("smtp://127.0.0.1?tls=maybe", None, "only ?tls=none may"),
            ("smtp://127.0.0.1?tls=none&x=y", None, "only ?tls=none may"),
            ("smtps://mail.example.lu/inbox", None, "only ?tls=none may"),
            ("smtps:ann:s3cret@mail.example.lu", None, "names no host"),
            ("smtps://ann:1/s3cret@mail.example.lu", None, "only ?tls=none may"),
            ("smtps://mail.example.lu:99999", None, "write smtps://"),
        ] {
            let error = Relay::from_url(url, password).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn clear_text_is_refused_however_the_relay_was_made() {
        let mut relay = Relay::from_url("smtp://127.0.0.1?tls=none", None).unwrap();
        relay.host = "mail.example.lu".to_owned();
        assert!(matches!(relay.check(), Err(RelayError::ClearText { .. })));
    }

    #[test]
    fn the_ehlo_name_cannot_break_the_command() {
        let mut relay = Relay::from_url("smtps://mail.example.lu", None).unwrap();
        for (name, good) in [
            ("me.example.lu", true),
            ("[192.0.2.1]", true),
            ("a\r\nMAIL FROM:<>", false),
            ("", false),
        ] {
            relay.helo = Some(name.to_owned());
            assert_eq!(relay.check().is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let relay = Relay::from_url("smtps://ann@mail.example.lu", password()).unwrap();
        assert!(!format!("{relay:?}").contains("hunter2"));
    }
}
