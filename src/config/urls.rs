//! The URLs of config.yaml: relay, mailbox, store, webhook. Each says how it is protected, and none carries a password.
//! Connects to nothing.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::reader::from_text;
use super::values::{BadValue, bad, checked_text};

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSecurity {
    /// `smtps://`, `imaps://`: TLS from the first byte (RFC 8314 §3.3).
    Tls,
    /// `smtp://`, `imap://`: STARTTLS, and nothing is sent without it (RFC 3207, RFC 8314 §3.2).
    StartTls,
    /// `?tls=none` behind either: clear text, on loopback only.
    None,
}

/// The `relay.url` of config.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayUrl {
    pub security: ServerSecurity,
    /// Who logs in; `None` for a relay that asks for no login.
    pub user: Option<String>,
    /// A name in A-labels, or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
}
impl RelayUrl {
    /// Where it is, to be shown: `mail.example.lu:465`.
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}
impl FromStr for RelayUrl {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        const FORMS: &str = "smtps://USER@HOST:465, smtp://USER@HOST:587 (STARTTLS) or smtp://127.0.0.1:25?tls=none";
        let url = UrlParts::split(text)?;
        url.without_password()?;
        if !url.path.is_empty() {
            return bad(format!("nothing follows the host and port of a relay; write {FORMS}"));
        }
        let (security, usual_port) = match (url.scheme, url.query) {
            ("smtps", "") => (ServerSecurity::Tls, 465),
            ("smtp", "") => (ServerSecurity::StartTls, 587),
            ("smtp", "tls=none") if is_loopback(&url.host) => (ServerSecurity::None, 25),
            ("smtp", "tls=none") => {
                return bad(format!(
                    "`tls=none` sends in clear text and is taken for loopback only, not for `{}`; \
                     write smtps://{0}:465 or smtp://{0}:587",
                    url.host
                ));
            }
            ("smtps", "tls=none") => return bad("smtps:// is TLS and `tls=none` is clear text: decide for one"),
            ("smtps" | "smtp", _) => return bad("the only addition to a relay's url is ?tls=none"),
            _ => return bad(format!("write the relay's url as {FORMS}")),
        };
        Ok(Self {
            security,
            user: url.user,
            host: url.host,
            port: url.port.unwrap_or(usual_port),
        })
    }
}
impl<'de> Deserialize<'de> for RelayUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

/// The `mailbox.url` of config.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxUrl {
    /// `maildir:PATH`, relative to the home.
    Maildir(PathBuf),
    /// `imaps://USER@HOST` or `imap://USER@HOST`.
    Imap(ImapUrl),
}
/// A mailbox on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapUrl {
    pub security: ServerSecurity,
    pub user: String,
    /// A name in A-labels, or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
}
impl ImapUrl {
    /// Whose mailbox on which server: positions of mail in the store begin with it.
    pub fn account(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }
}
impl FromStr for MailboxUrl {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        const FORMS: &str = "maildir:PATH, imaps://USER@HOST or imap://USER@HOST (STARTTLS)";
        if let Some(path) = text.strip_prefix("maildir:") {
            return if path.is_empty() || path.contains('\0') {
                bad("`maildir:` needs the path of a Maildir, such as maildir:/home/breach/Maildir")
            } else {
                Ok(Self::Maildir(PathBuf::from(path)))
            };
        }
        let url = UrlParts::split(text).or_else(|why| bad(format!("{why}; write {FORMS}")))?;
        url.without_password()?;
        if !url.path.is_empty() {
            return bad("nothing follows the host and port of a mailbox; `folder` names the folder");
        }
        let (security, usual_port) = match (url.scheme, url.query) {
            ("imaps", "") => (ServerSecurity::Tls, 993),
            ("imap", "") => (ServerSecurity::StartTls, 143),
            ("imap", "tls=none") if is_loopback(&url.host) => (ServerSecurity::None, 143),
            ("imap", "tls=none") => {
                return bad(format!(
                    "`tls=none` logs in in clear text and is taken for loopback only, not for `{}`; write \
                     imaps://USER@{0} or imap://USER@{0}",
                    url.host
                ));
            }
            ("imaps", "tls=none") => return bad("imaps:// is TLS and `tls=none` is clear text: decide for one"),
            ("imaps" | "imap", _) => return bad("the only addition to a mailbox's url is ?tls=none"),
            _ => return bad(format!("write the mailbox as {FORMS}")),
        };
        let Some(user) = url.user else {
            return bad(format!("the mailbox's url names no user: write {FORMS}"));
        };
        Ok(Self::Imap(ImapUrl {
            security,
            user,
            host: url.host,
            port: url.port.unwrap_or(usual_port),
        }))
    }
}
impl<'de> Deserialize<'de> for MailboxUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

/// The `store` of config.yaml: `sqlite:PATH`, relative to the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl(pub PathBuf);
impl FromStr for StoreUrl {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() && !path.contains('\0') => Ok(Self(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => {
                bad("PostgreSQL is not supported yet: write store: \"sqlite:breachpost.db\"")
            }
            _ => bad("the store is given as \"sqlite:PATH\", such as \"sqlite:breachpost.db\""),
        }
    }
}
impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

/// Whether a host names this machine only. A name other than `localhost` (RFC 6761 §6.3) could be pointed elsewhere.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// `scheme://user:password@host:port/path?query`, taken apart. The password itself is not kept.
struct UrlParts<'a> {
    scheme: &'a str,
    user: Option<String>,
    has_password: bool,
    host: String,
    port: Option<u16>,
    path: &'a str,
    query: &'a str,
}
impl<'a> UrlParts<'a> {
    fn split(text: &'a str) -> Result<Self, BadValue> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return bad("a url holds no spaces or control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad("a url is needed here, such as scheme://host:port");
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        // The last @ ends the login: users are often mail addresses, with an @ of their own.
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, authority),
        };
        let (user, has_password) =
            match login.map(|login| login.split_once(':').map_or((login, false), |(u, _)| (u, true))) {
                None => (None, false),
                Some((user, has_password)) => (Some(percent_decoded(user)?), has_password),
            };
        let (host, port) = host_and_port(server)?;
        Ok(Self {
            scheme,
            user,
            has_password,
            host,
            port,
            path,
            query,
        })
    }

    fn without_password(&self) -> Result<(), BadValue> {
        if self.has_password {
            return bad(
                "a password never stands in config.yaml: take it out of the url, put it in a file and write \
                        password: { file: … }",
            );
        }
        Ok(())
    }
}

fn host_and_port(server: &str) -> Result<(String, Option<u16>), BadValue> {
    let (host, port) = if let Some(bracketed) = server.strip_prefix('[') {
        let Some((host, after)) = bracketed.split_once(']') else {
            return bad("the IPv6 address in the url lacks its closing bracket");
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return bad("what stands in brackets in the url is not an IPv6 address");
        }
        (host, after.strip_prefix(':').or((!after.is_empty()).then_some("?")))
    } else {
        match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        }
    };
    if host.is_empty() {
        return bad("the url names no host");
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '.' || c == '-' || c == '_';
    if !server.starts_with('[') && !host.chars().all(is_name) {
        return bad(format!("`{}` is not a host name", host.escape_debug()));
    }
    // Certificates and the DNS know A-labels (RFC 5890 §2.3.2.1).
    let Ok(host) = idna::domain_to_ascii(host) else {
        return bad(format!("`{}` is not a host name", host.escape_debug()));
    };
    match port.map(str::parse::<u16>) {
        None => Ok((host, None)),
        Some(Ok(port)) if port > 0 => Ok((host, Some(port))),
        Some(_) => bad("the port in the url is not a number from 1 to 65535"),
    }
}

/// RFC 3986 §2.1, as UTF-8.
fn percent_decoded(text: &str) -> Result<String, BadValue> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return bad("a % in the url's user is followed by two hexadecimal digits"),
        }
    }
    match String::from_utf8(bytes) {
        Ok(user) if user.is_empty() => bad("the url has an @ but no user before it"),
        Ok(user) if user.chars().any(char::is_control) => bad("the url's user holds a control character"),
        Ok(user) => Ok(user),
        Err(_) => bad("the url's user is not UTF-8"),
    }
}

checked_text!(
    /// Where an alert is posted: `https://…`, or `http://` on loopback.
    WebhookUrl,
    webhook
);
fn webhook(text: &str) -> Result<String, BadValue> {
    let url = UrlParts::split(text)?;
    if url.user.is_some() || url.has_password {
        return bad("a webhook's url takes no user or password: sign it with `secret: { file: … }`");
    }
    match url.scheme {
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(&url.host) => Ok(text.to_owned()),
        _ => bad("a webhook's url begins with https:// (http:// only on loopback)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_urls() {
        let read = |text: &str| {
            let url: RelayUrl = text.parse().unwrap();
            (url.security, url.user.unwrap_or_default(), url.host, url.port)
        };
        use ServerSecurity::{None, StartTls, Tls};
        for (text, security, user, host, port) in [
            ("smtps://anna@mail.example.lu:465", Tls, "anna", "mail.example.lu", 465),
            ("smtps://mail.example.lu", Tls, "", "mail.example.lu", 465),
            (
                "smtps://mail.Müller.example",
                Tls,
                "",
                "mail.xn--mller-kva.example",
                465,
            ),
            ("smtp://anna@mail.example.lu", StartTls, "anna", "mail.example.lu", 587),
            (
                "smtp://anna@example.lu@mail.example.lu:25",
                StartTls,
                "anna@example.lu",
                "mail.example.lu",
                25,
            ),
            (
                "smtp://an%6Ea%40example.lu@mail.example.lu",
                StartTls,
                "anna@example.lu",
                "mail.example.lu",
                587,
            ),
            ("smtp://127.0.0.1:2525?tls=none", None, "", "127.0.0.1", 2525),
            ("smtp://localhost?tls=none", None, "", "localhost", 25),
            ("smtp://[::1]:2525?tls=none", None, "", "::1", 2525),
        ] {
            assert_eq!(read(text), (security, user.to_owned(), host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn relay_urls_refused_with_their_reason() {
        for (text, reason) in [
            ("smtp://192.0.2.1:25?tls=none", "loopback only"),
            ("smtp://localhost.example.lu?tls=none", "loopback only"),
            ("smtps://127.0.0.1?tls=none", "decide for one"),
            ("smtp://127.0.0.1?tls=no", "only addition"),
            ("smtps://anna:hunter2@mail.example.lu", "never stands in config.yaml"),
            ("smtps://mail.example.lu/inbox", "nothing follows"),
            ("http://mail.example.lu", "write the relay's url as"),
            ("mail.example.lu:25", "a url is needed"),
            ("smtps://mail.example.lu:0", "port"),
            ("smtps://mail.example.lu:70000", "port"),
            ("smtps://", "names no host"),
            ("smtps://@mail.example.lu", "no user before it"),
            ("smtps://an%0d%0ana@mail.example.lu", "control character"),
            ("smtps://mail.example.lu\r\n", "control characters"),
            ("smtps://[::1", "closing bracket"),
            ("smtps://[::1]x", "port"),
            ("smtps://xn--a", "not a host name"),
            ("smtps://mail,example.lu", "not a host name"),
        ] {
            let error = text.parse::<RelayUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn mailbox_store_and_webhook_urls() {
        assert_eq!("maildir:in/box".parse(), Ok(MailboxUrl::Maildir("in/box".into())));
        use ServerSecurity::{None, StartTls, Tls};
        for (text, security, user, host, port) in [
            ("imaps://a@b.lu@mail.lu", Tls, "a@b.lu", "mail.lu", 993),
            ("imaps://a@mail.lu:1993", Tls, "a", "mail.lu", 1993),
            ("imap://a@mail.lu", StartTls, "a", "mail.lu", 143),
            ("imap://a@127.0.0.1:1143?tls=none", None, "a", "127.0.0.1", 1143),
        ] {
            let expected = ImapUrl {
                security,
                user: user.to_owned(),
                host: host.to_owned(),
                port,
            };
            assert_eq!(text.parse(), Ok(MailboxUrl::Imap(expected)), "{text}");
        }
        for (wrong, reason) in [
            ("maildir:", "needs the path"),
            ("imaps://b", "names no user"),
            ("imaps://a:pw@b", "never stands in config.yaml"),
            ("/var/mail", "write maildir:PATH"),
            ("imaps://a@b/INBOX", "`folder` names the folder"),
            ("imap://a@mail.lu?tls=none", "loopback only"),
            ("imaps://a@127.0.0.1?tls=none", "decide for one"),
            ("imap://a@127.0.0.1?tls=maybe", "only addition"),
            ("pop3://a@b", "write the mailbox as"),
        ] {
            let error = wrong.parse::<MailboxUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{wrong}: {error}");
        }
        assert_eq!("sqlite:a.db".parse(), Ok(StoreUrl("a.db".into())));
        let later = "postgres://db/breachpost".parse::<StoreUrl>().unwrap_err();
        assert!(later.to_string().contains("PostgreSQL is not supported yet"));
        assert!("breachpost.db".parse::<StoreUrl>().is_err());
        for good in ["https://hooks.example.lu/x?y=1", "http://127.0.0.1:9/x"] {
            assert!(good.parse::<WebhookUrl>().is_ok(), "{good}");
        }
        for wrong in [
            "http://hooks.example.lu/x",
            "ftp://x",
            "https://a:b@hooks.example.lu",
            "https://",
        ] {
            assert!(wrong.parse::<WebhookUrl>().is_err(), "{wrong}");
        }
    }
}
