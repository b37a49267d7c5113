//! A web server with HTTPS on a port of its own, and the names that lead to it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use breachpost::mail::fetch::{Names, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a page answers with.
#[derive(Debug, Clone)]
pub enum Page {
    File(Vec<u8>),
    Redirect(String),
    Status(u16),
    /// Announces this many bytes, and sends nothing.
    Announced(u64),
    /// Sends without an end.
    Endless,
    /// A byte now and then, for ever.
    Drip,
}

/// The hosts whose names lead here; `untrusted.example` shows the certificate of others.
pub const HOSTS: [&str; 6] = [
    "keys.practice.example",
    "www.practice.example",
    "practice.example",
    "openpgpkey.practice.example",
    "evil.example",
    "untrusted.example",
];

type Pages = Arc<Mutex<BTreeMap<String, Page>>>;

pub struct Web {
    pages: Pages,
    asked: Arc<Mutex<Vec<String>>>,
    names: Arc<Table>,
    port: u16,
    trusted: RootCertStore,
}

impl Web {
    pub async fn start() -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = HOSTS[..5].iter().map(|host| (*host).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(ca.der().clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let web = Self {
            pages: Pages::default(),
            asked: Arc::default(),
            names: Arc::new(Table::leading_to(Ipv4Addr::LOCALHOST.into())),
            port: listener.local_addr().unwrap().port(),
            trusted,
        };
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            Arc::clone(&web.pages),
            Arc::clone(&web.asked),
        ));
        web
    }

    /// The world as this server plays it.
    pub fn world(&self) -> World {
        World {
            names: self.names.clone(),
            reachable: |address| address.is_loopback(),
            port: self.port,
            trusted: Some(self.trusted.clone()),
            patience: Duration::from_secs(20),
        }
    }
    /// Puts a page at `host/path`, in the place of the one before.
    pub fn put(&self, place: &str, page: Page) {
        self.pages.lock().unwrap().insert(place.to_owned(), page);
    }
    /// What was asked for, as `host/path`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
    /// Takes a name out of the world.
    pub fn forget(&self, host: &str) {
        self.names.0.lock().unwrap().remove(host);
    }
}

/// Names and where they lead: to the next of these each time, the last one for good.
pub struct Table(pub Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>);
impl Table {
    pub fn leading_to(address: IpAddr) -> Self {
        let names = HOSTS.map(|host| (host.to_owned(), vec![vec![address]]));
        Self(Mutex::new(BTreeMap::from(names)))
    }
}
#[async_trait]
impl Names for Table {
    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names
            .get_mut(host)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        })
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, pages: Pages, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, pages, asked) = (tls.clone(), Arc::clone(&pages), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut stream = tls.accept(socket).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let host = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
            let place = format!("{}{path}", host.unwrap_or_default());
            assert!(!head.to_lowercase().contains("cookie"), "{head}");
            asked.lock().unwrap().push(place.clone());
            let page = pages.lock().unwrap().get(&place).cloned();
            answer(&mut stream, page.unwrap_or(Page::Status(404))).await
        });
    }
}

async fn answer(stream: &mut (impl AsyncWriteExt + Unpin), page: Page) -> io::Result<()> {
    let head = match &page {
        Page::File(bytes) => format!("200 OK\r\nContent-Length: {}\r\nSet-Cookie: a=b", bytes.len()),
        Page::Redirect(to) => format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nSet-Cookie: a=b"),
        Page::Status(status) => format!("{status} So\r\nContent-Length: 0"),
        Page::Announced(bytes) => format!("200 OK\r\nContent-Length: {bytes}"),
        Page::Endless | Page::Drip => "200 OK".to_owned(),
    };
    stream
        .write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    match page {
        Page::File(bytes) => stream.write_all(&bytes).await?,
        Page::Endless => loop {
            stream.write_all(&[b'x'; 65_536]).await?;
        },
        Page::Drip => loop {
            stream.write_all(b"x").await?;
            stream.flush().await?;
            // No wait of the test's: this is how fast the server is.
            tokio::time::sleep(Duration::from_millis(20)).await;
        },
        Page::Announced(_) => std::future::pending().await,
        Page::Redirect(_) | Page::Status(_) => {}
    }
    stream.shutdown().await
}
