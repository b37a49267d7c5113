//! TLS towards the relay: whom we trust, the handshake, and the facts to keep of it. rustls with ring; certificates are
//! always checked, there is no switch to turn that off.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, ProtocolVersion, RootCertStore};

use super::relay::{Relay, RelayError, TlsMode};
use crate::model::delivery::{FaultCause, TlsFacts};

/// A relay's settings, checked, with the trusted certificates loaded. Made once; every connection is opened from it.
pub struct Connector {
    relay: Relay,
    tls: Option<Tls>,
}
impl Connector {
    /// Checks the settings and loads the certificates of the system and of `ca_file`.
    ///
    /// # Errors
    /// [`RelayError`]: clear text off loopback, an EHLO name that cannot be used, a `ca_file` that cannot be read or
    /// holds no certificate, or no trusted certificate at all.
    pub fn new(relay: Relay) -> Result<Self, RelayError> {
        relay.check()?;
        let tls = match relay.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => Some(Tls::new(&relay)?),
        };
        Ok(Self { relay, tls })
    }
    /// The settings it was made from.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}
impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

/// Our side of the handshake: trusted roots and the name the relay's certificate must carry.
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

impl Tls {
    fn new(relay: &Relay) -> Result<Self, RelayError> {
        let server_name = ServerName::try_from(relay.host.clone()).map_err(|e| RelayError::Host {
            host: relay.host.clone(),
            why: e.to_string(),
        })?;
        let mut roots = RootCertStore::empty();
        // What the system cannot read is not trusted; whether anything is left is what counts.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &relay.ca_file {
            add_ca_file(&mut roots, path)?;
        }
        if roots.is_empty() {
            return Err(RelayError::NoRoots);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(RelayError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name,
        })
    }

    /// The handshake. A certificate that does not prove the relay's name is a [`FaultCause::Tls`].
    pub(super) async fn handshake(&self, socket: TcpStream) -> Result<(TlsStream<TcpStream>, TlsFacts), FaultCause> {
        let stream = self
            .connector
            .connect(self.server_name.clone(), socket)
            .await
            .map_err(|e| cause_of(&e))?;
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
}

fn add_ca_file(roots: &mut RootCertStore, path: &Path) -> Result<(), RelayError> {
    let unreadable = |source| RelayError::CaFile {
        path: path.to_owned(),
        source,
    };
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable)?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        Err(RelayError::CaFileEmpty { path: path.to_owned() })
    } else {
        Ok(())
    }
}

/// What a failed handshake means; the commonest reasons with what to do about them.
fn cause_of(error: &io::Error) -> FaultCause {
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return FaultCause::Network(format!("the connection broke in the TLS handshake: {error}"));
    };
    let hint = match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; if the relay's certificate comes from a private authority, set relay.tls.ca_file"
        }
        rustls::Error::InvalidMessage(_) => {
            "; does the relay speak TLS on this port? smtps:// is usual for 465, smtp:// for 587"
        }
        _ => "",
    };
    FaultCause::Tls(format!("{tls}{hint}"))
}
