//! Fetching a key file from the public web, and nothing else from anywhere else: HTTPS on port 443, public addresses
//! only, redirects only where they may lead, little, and soon. What comes is bytes of strangers; judging them is the
//! caller's. Knows nothing of OpenPGP, profiles or the store.

mod address;
mod wkd;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, header};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

pub use address::is_public;
pub use wkd::{WkdUrls, wkd};

/// Key files have some kilobytes; one with photographs and many signatures a few hundred.
pub const MAX_BYTES: usize = 1024 * 1024;
/// From the first look-up to the last byte, redirects included.
const WHOLE: Duration = Duration::from_secs(30);
/// For one address to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// `http` to `https` to `www` to the file: more is a loop.
const MAX_REDIRECTS: usize = 5;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} is not an address that may be fetched: {why}")]
    Url { url: String, why: &'static str },
    #[error("{host} leads to {address}, which is no public address; nothing was asked of it")]
    NotPublic { host: String, address: IpAddr },
    #[error("the name {host} leads nowhere")]
    NoAddress {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{from} sends us on to {to}, which its profile does not list (`openpgp.redirect_hosts`)")]
    Redirect { from: String, to: String },
    #[error("{url} sends us from place to place")]
    TooManyRedirects { url: String },
    #[error("{url} answers with status {status}")]
    Status { url: String, status: u16 },
    #[error("{url} sends more than {MAX_BYTES} bytes, which is no key file")]
    TooLarge { url: String },
    #[error("{url} did not send all within {} seconds", .most.as_secs())]
    TooSlow { url: String, most: Duration },
    #[error("{url} cannot be reached")]
    Connection {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the certificates of this system cannot be used for HTTPS")]
    Tls(#[source] rustls::Error),
    #[error("HTTPS cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// Where names lead.
#[async_trait]
pub trait Names: Send + Sync {
    /// The addresses of a host; an error when there is none.
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
struct SystemNames;
#[async_trait]
impl Names for SystemNames {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 443)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The world that is fetched from. [`World::public`] is the only one that a setting leads to; tests make their own.
#[derive(Clone)]
pub struct World {
    pub names: Arc<dyn Names>,
    /// Whether an address may be connected to.
    pub reachable: fn(IpAddr) -> bool,
    pub port: u16,
    /// Whose certificates count; `None`: those that this system trusts.
    pub trusted: Option<RootCertStore>,
    /// For the whole of one fetch.
    pub patience: Duration,
}
impl World {
    /// The internet: the system's resolver and trusted certificates, port 443, public addresses.
    pub fn public() -> Self {
        Self {
            names: Arc::new(SystemNames),
            reachable: is_public,
            port: 443,
            trusted: None,
            patience: WHOLE,
        }
    }

    /// Fetches the file at `url`. It may send us on to its own host, and to `others`.
    ///
    /// # Errors
    /// [`FetchError`]; nothing is asked of an address that may not be reached.
    pub async fn fetch(&self, url: &str, others: &[String]) -> Result<Vec<u8>, FetchError> {
        let most = self.patience;
        let whole = tokio::time::timeout(most, self.follow(url, others)).await;
        whole.unwrap_or_else(|_| {
            let url = shown(url);
            Err(FetchError::TooSlow { url, most })
        })
    }

    async fn follow(&self, start: &str, others: &[String]) -> Result<Vec<u8>, FetchError> {
        let mut url = checked(start)?;
        let first = host_of(&url);
        let client = self.client()?;
        for _ in 0..=MAX_REDIRECTS {
            self.check_name(&host_of(&url)).await?;
            let response = client
                .get(url.clone())
                .header(header::ACCEPT, "*/*")
                .send()
                .await
                .map_err(|source| not_reached(&url, source))?;
            if !response.status().is_redirection() {
                return body(&url, response).await;
            }
            let next = next_of(&url, &response)?;
            let host = host_of(&next);
            if host != first && !others.iter().any(|other| other.eq_ignore_ascii_case(&host)) {
                return Err(FetchError::Redirect { from: first, to: host });
            }
            url = next;
        }
        Err(FetchError::TooManyRedirects { url: shown(start) })
    }

    /// Says plainly what [`Guard`] would refuse.
    async fn check_name(&self, host: &str) -> Result<(), FetchError> {
        let addresses = self.names.look_up(host).await;
        let addresses = addresses.map_err(|source| FetchError::NoAddress {
            host: host.to_owned(),
            source,
        })?;
        match addresses.into_iter().find(|address| !(self.reachable)(*address)) {
            Some(address) => Err(FetchError::NotPublic {
                host: host.to_owned(),
                address,
            }),
            None => Ok(()),
        }
    }

    fn client(&self) -> Result<Client, FetchError> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(FetchError::Tls)?
            .with_root_certificates(self.trusted.clone().unwrap_or_else(system_roots))
            .with_no_client_auth();
        Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Guard(self.clone()))
            .https_only(true)
            // A proxy from the environment would look names up itself and reach what we must not.
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .user_agent("breachpost")
            .build()
            .map_err(FetchError::Setup)
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Stands between names and connections: what is connected to is exactly what was found and allowed here, so a name that
/// leads elsewhere the next time (DNS rebinding) gains nothing.
struct Guard(World);
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let world = self.0.clone();
        Box::pin(async move {
            let found = world.names.look_up(name.as_str()).await?;
            if let Some(address) = found.iter().find(|address| !(world.reachable)(**address)) {
                return Err(format!("{address} is no public address").into());
            }
            let addresses = found
                .into_iter()
                .map(move |address| SocketAddr::new(address, world.port));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// The URL, if it names a host by its name, on the usual port, under HTTPS.
fn checked(text: &str) -> Result<Url, FetchError> {
    let refused = |why| FetchError::Url { url: shown(text), why };
    let url = Url::parse(text).map_err(|_| refused("it is no URL"))?;
    if url.scheme() != "https" {
        return Err(refused("only https:// is fetched"));
    }
    match url.host() {
        Some(Host::Domain(name)) if name.contains('.') => {}
        // The resolver, which guards all connections, is never asked about numbers.
        _ => return Err(refused("its host must be a name with a domain, not a number")),
    }
    if url.port().is_some() {
        return Err(refused("only the usual port is fetched from"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a login"));
    }
    Ok(url)
}

fn next_of(url: &Url, response: &Response) -> Result<Url, FetchError> {
    let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
    let next = location
        .and_then(|to| url.join(to).ok())
        .ok_or_else(|| FetchError::Status {
            url: shown(url.as_str()),
            status: response.status().as_u16(),
        })?;
    checked(next.as_str())
}

async fn body(url: &Url, mut response: Response) -> Result<Vec<u8>, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status {
            url: shown(url.as_str()),
            status: response.status().as_u16(),
        });
    }
    let too_large = || FetchError::TooLarge {
        url: shown(url.as_str()),
    };
    if response
        .content_length()
        .is_some_and(|length| length > MAX_BYTES as u64)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| not_reached(url, source))? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn not_reached(url: &Url, source: reqwest::Error) -> FetchError {
    FetchError::Connection {
        url: shown(url.as_str()),
        source: source.without_url(),
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// A URL fit for one line of a message.
fn shown(url: &str) -> String {
    url.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_names_are_fetched() {
        for good in ["https://cnpd.lu/key.asc", "https://a.example/?x=1&y=2#z"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "http://cnpd.lu/key.asc",
            "ftp://cnpd.lu/key.asc",
            "file:///etc/passwd",
            "https://127.0.0.1/key.asc",
            "https://0x7f.1/key.asc",
            "https://2130706433/key.asc",
            "https://[::1]/key.asc",
            "https://localhost/key.asc",
            "https://cnpd.lu:8443/key.asc",
            "https://user@cnpd.lu/key.asc",
            "https://user:secret@cnpd.lu/key.asc",
            "key.asc",
            "",
        ] {
            let error = checked(bad).unwrap_err();
            assert!(matches!(error, FetchError::Url { .. }), "{bad}: {error}");
        }
    }
}
