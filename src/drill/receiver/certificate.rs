//! The receiver's own certificate, from an authority that lives and dies with it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use super::plan::CertificateKind;

pub(super) struct Certificate {
    pub(super) ca_pem: String,
    pub(super) acceptor: TlsAcceptor,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("cannot make the receiver's certificate")]
    Make(#[from] rcgen::Error),
    #[error("cannot serve with the receiver's certificate")]
    Serve(#[from] tokio_rustls::rustls::Error),
}

pub(super) fn make(kind: CertificateKind) -> Result<Certificate, CertificateError> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // Named after its key: two authorities of one name would be taken for one whose signature is bad.
    let key_id = authority
        .key_identifier(&authority_key)
        .into_iter()
        .take(4)
        .map(|b| format!("{b:02x}"));
    let name = format!("breachpost drill authority {}", key_id.collect::<String>());
    authority.distinguished_name.push(DnType::CommonName, name);
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let names = match kind {
        CertificateKind::WrongName => vec!["elsewhere.example".to_owned()],
        CertificateKind::Sound | CertificateKind::Expired => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut server = CertificateParams::new(names)?;
    if kind == CertificateKind::Expired {
        server.not_after = date_time_ymd(2000, 1, 1);
    }
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &issuer)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
        )?;
    Ok(Certificate {
        ca_pem,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    })
}
