//! One signed JSON document posted to one address of the operator's: how alerts reach chat rooms and pagers.
//!
//! The receiver proves that a post is ours, and fresh, by the headers: `Breachpost-Signature` is `v1=` and the lower-case
//! hex HMAC-SHA-256 of `{timestamp}.{body}` under the shared secret, `Breachpost-Timestamp` those seconds since 1970, and
//! `Breachpost-Id` is the same for every try of one telling, so that a repeated one can be left out. Redirects are not
//! followed, no proxy is taken from the environment, and of the answer nothing but its status and date is looked at.
//! Knows nothing of alerts.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{Client, redirect};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use sha2::Sha256;

use crate::message::token;
use crate::model::Time;
use crate::secret::Secret;

/// A receiver that thinks longer works before it answers, and should not.
const WAIT: Duration = Duration::from_secs(10);

/// This machine cannot post at all.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// What the receiver answered. Its texts never hold the URL: many carry a token of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 2xx.
    Taken {
        status: u16,
        /// The receiver's clock, where it says so.
        date: Option<Time>,
    },
    /// Any other status; a redirect too.
    Refused { status: u16, date: Option<Time> },
    /// No answer: why.
    Silent(String),
}
impl Answer {
    /// The receiver wants no more posts, ever (HTTP 410).
    pub fn is_final(&self) -> bool {
        matches!(self, Answer::Refused { status: 410, .. })
    }
}

/// What is posted.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// `https://…`, or `http://` on loopback, as the settings have checked.
    pub url: &'a str,
    /// Printable ASCII without spaces.
    pub id: &'a str,
    pub body: &'a str,
    pub at: Time,
}

/// Posts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Poster {
    client: Client,
}

impl Poster {
    /// A poster that trusts the system's certificates.
    ///
    /// # Errors
    /// [`WebhookError`], when TLS cannot be set up.
    pub fn new() -> Result<Self, WebhookError> {
        let mut roots = RootCertStore::empty();
        // What the system cannot read is not trusted; without any, each https:// address fails on its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(WebhookError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("breachpost/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(WAIT)
            .timeout(WAIT)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(WebhookError::Client)?;
        Ok(Self { client })
    }

    /// Posts once.
    pub async fn post(&self, post: Post<'_>, secret: Option<&Secret>) -> Answer {
        let timestamp = post.at.timestamp();
        let mut request = self
            .client
            .post(post.url)
            .header(CONTENT_TYPE, "application/json")
            .header("Breachpost-Id", post.id)
            .header("Breachpost-Timestamp", timestamp)
            .body(post.body.to_owned());
        if let Some(secret) = secret {
            request = request.header("Breachpost-Signature", signature(secret, timestamp, post.body));
        }
        match request.send().await {
            Ok(response) => {
                let (status, date) = (response.status(), date_of(response.headers()));
                let (success, status) = (status.is_success(), status.as_u16());
                // Dropping the response closes the connection: the body is never read.
                match success {
                    true => Answer::Taken { status, date },
                    false => Answer::Refused { status, date },
                }
            }
            Err(error) => Answer::Silent(why(&error)),
        }
    }
}

/// `v1=` and the hex HMAC-SHA-256 of `{timestamp}.{body}`.
pub fn signature(secret: &Secret, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1={}", token::hex(&mac.finalize().into_bytes()))
}

fn date_of(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}

/// The innermost cause says most; the outer ones name the URL.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", WAIT.as_secs());
    }
    let mut cause = error.source();
    let mut text = "the request could not be made".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    match error.is_connect() {
        true => format!("cannot connect: {text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn the_signature_is_hmac_sha256_of_timestamp_and_body() {
        // Computed with: printf '1795341600.{"a":1}' | openssl dgst -sha256 -hmac shared
        let expected = "v1=a00a0c12a1249b475202d62557c5a89df601198922e3260e2c22b9fb91ebe682";
        assert_eq!(signature(&Secret::new("shared"), 1_795_341_600, "{\"a\":1}"), expected);
    }

    async fn post(url: &str) -> Answer {
        let at = "2026-11-22T04:00:00Z".parse().unwrap();
        let (id, body) = ("x", "{}");
        Poster::new().unwrap().post(Post { url, id, body, at }, None).await
    }

    async fn answer_of(reply: &'static str) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token-in-the-path", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let _ = socket.read(&mut asked).await.unwrap();
            socket.write_all(reply.as_bytes()).await.unwrap();
        });
        let answer = post(&url).await;
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn only_2xx_is_taken_and_nothing_is_followed() {
        let date = Some("1994-11-06T08:49:37Z".parse().unwrap());
        for (reply, wanted) in [
            (
                "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
                Answer::Taken { status: 204, date },
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                Answer::Refused {
                    status: 302,
                    date: None,
                },
            ),
            // A body that never ends is not waited for.
            (
                "HTTP/1.1 500 No\r\nDate: tomorrow\r\nContent-Length: 999999999999\r\n\r\nx",
                Answer::Refused {
                    status: 500,
                    date: None,
                },
            ),
        ] {
            assert_eq!(answer_of(reply).await, wanted, "{reply}");
        }
        let Answer::Silent(why) = answer_of("SSH-2.0-nothing for you\r\n").await else {
            panic!("that is no HTTP");
        };
        assert!(!why.contains("token-in-the-path"), "{why}");
    }

    #[tokio::test]
    async fn an_address_that_nobody_listens_on() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url = format!("http://{free}/token-in-the-path");
        let Answer::Silent(why) = post(&url).await else {
            panic!("nobody listens");
        };
        assert!(why.starts_with("cannot connect: "), "{why}");
        assert!(!why.contains("token-in-the-path"), "{why}");
    }
}
