//! TLS towards a mail server, relay or mailbox: whom we trust, the handshake, and the facts to keep of it. rustls with
//! ring; certificates are always checked, there is no switch to turn that off.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, ProtocolVersion, RootCertStore};

use crate::model::delivery::{FaultCause, TlsFacts};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// STARTTLS, required: a server that does not offer it gets nothing.
    StartTls,
    /// Clear text: loopback only.
    None,
}

/// The handshake cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("the host {host} cannot be used: {why}")]
    Host { host: String, why: String },
    #[error("cannot read the certificates in {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("{} holds no certificate that can be trusted: it must be a PEM file with at least one", path.display())]
    CaFileEmpty { path: PathBuf },
    #[error("no trusted certificates were found on this machine: install ca-certificates or set tls.ca_file")]
    NoRoots,
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// 127.0.0.0/8, `::1`, and the name whose addresses are filtered again when it is looked up.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Our side of the handshake: trusted roots and the name the server's certificate must carry.
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
    /// The setting that names further certificates, for hints.
    ca_setting: &'static str,
}

impl Tls {
    /// Loads the certificates of the system and of `ca_file`, which `ca_setting` names in config.yaml.
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub(super) fn new(host: &str, ca_file: Option<&Path>, ca_setting: &'static str) -> Result<Self, TrustError> {
        let server_name = ServerName::try_from(host.to_owned()).map_err(|e| TrustError::Host {
            host: host.to_owned(),
            why: e.to_string(),
        })?;
        let mut roots = RootCertStore::empty();
        // What the system cannot read is not trusted; whether anything is left is what counts.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            add_ca_file(&mut roots, path)?;
        }
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name,
            ca_setting,
        })
    }

    /// The handshake. A certificate that does not prove the server's name is a [`FaultCause::Tls`].
    pub(super) async fn handshake(&self, socket: TcpStream) -> Result<(TlsStream<TcpStream>, TlsFacts), FaultCause> {
        let stream = self
            .connector
            .connect(self.server_name.clone(), socket)
            .await
            .map_err(|e| self.cause_of(&e))?;
        let facts = self.facts(stream.get_ref().1);
        Ok((stream, facts))
    }

    fn facts(&self, session: &rustls::ClientConnection) -> TlsFacts {
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            other => format!("{other:?}"),
        };
        let cipher = session
            .negotiated_cipher_suite()
            .map(|c| format!("{:?}", c.suite()))
            .unwrap_or_default();
        let certificate = session
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(CertificateDer::as_ref);
        let mut certificate_sha256 = String::new();
        for byte in Sha256::digest(certificate.unwrap_or_default()) {
            write!(certificate_sha256, "{byte:02x}").expect("a String takes all that is written");
        }
        TlsFacts {
            version,
            cipher,
            server_name: self.server_name.to_str().into_owned(),
            certificate_sha256,
        }
    }

    /// What a failed handshake means; the commonest reasons with what to do about them.
    fn cause_of(&self, error: &io::Error) -> FaultCause {
        let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
            return FaultCause::Network(format!("the connection broke in the TLS handshake: {error}"));
        };
        let hint = match tls {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
                "; if the server's certificate comes from a private authority, set {}",
                self.ca_setting
            ),
            rustls::Error::InvalidMessage(_) => "; does the server speak TLS on this port? smtps:// is usual for 465, \
                 smtp:// for 587, imaps:// for 993, imap:// for 143"
                .to_owned(),
            _ => String::new(),
        };
        FaultCause::Tls(format!("{tls}{hint}"))
    }
}

fn add_ca_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let unreadable = |source| TrustError::CaFile {
        path: path.to_owned(),
        source,
    };
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable)?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        Err(TrustError::CaFileEmpty { path: path.to_owned() })
    } else {
        Ok(())
    }
}
