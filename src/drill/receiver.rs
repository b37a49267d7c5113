//! An SMTP server on loopback that plays the relay and whatever stands behind it: it keeps what it takes, and misbehaves
//! where its [`Plan`] says so. For the drill and the tests; it delivers nothing and listens nowhere but on 127.0.0.1.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use breachpost::drill::receiver::{Act, Plan, Receiver, Step, Trouble};
//!
//! let gone = Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(|address| address.starts_with("gone"));
//! let receiver = Receiver::start(Plan::starttls().with(gone)).await?;
//! assert!(receiver.address().ip().is_loopback());
//! assert!(receiver.mails().is_empty());
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod certificate;
mod plan;
mod session;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use self::plan::{Account, Act, CertificateKind, Offers, Plan, Protection, Step, Trouble};

/// A mail the receiver took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenMail {
    /// Which connection brought it, counted from 1.
    pub connection: usize,
    /// Empty for the null sender.
    pub envelope_from: String,
    /// The parameters of MAIL as they came: `SIZE=812`, `RET=HDRS`, …
    pub from_parameters: Vec<String>,
    pub recipients: Vec<TakenRecipient>,
    /// The message, its doubled dots undone.
    pub bytes: Vec<u8>,
    /// Whether it came under TLS.
    pub tls: bool,
    /// Who had logged in.
    pub user: Option<String>,
}
/// A recipient the receiver took, with the parameters of RCPT as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenRecipient {
    pub address: String,
    pub parameters: Vec<String>,
}

/// A running receiver; dropping it stops it and closes its connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    protection: Protection,
    user: Option<String>,
    ca_pem: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1 and serves as planned, in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// When there is no free port, or its certificate cannot be made.
    pub async fn start(plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let certificate = certificate::make(plan.certificate).map_err(io::Error::other)?;
        let (protection, user) = (plan.protection, plan.account.as_ref().map(|a| a.user.clone()));
        let shared = Arc::new(Shared::new(plan));
        let accepting = tokio::spawn(accept(listener, certificate.acceptor, Arc::clone(&shared)));
        Ok(Self {
            address,
            protection,
            user,
            ca_pem: certificate.ca_pem,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// The relay URL that leads here.
    pub fn url(&self) -> String {
        let (scheme, end) = match self.protection {
            Protection::Clear => ("smtp", "?tls=none"),
            Protection::StartTls => ("smtp", ""),
            Protection::Implicit => ("smtps", ""),
        };
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{scheme}://{user}{}{end}", self.address)
    }
    /// The authority that signed its certificate, for `relay.tls.ca_file`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
    /// What it has taken so far, in order.
    pub fn mails(&self) -> Vec<Arc<TakenMail>> {
        self.shared.mails().clone()
    }
    /// Waits until `count` mails have been taken, and returns all there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Arc<TakenMail>> {
        let mut taken = self.shared.taken.subscribe();
        taken
            .wait_for(|now| *now >= count)
            .await
            .expect("the sender lives as long as the receiver");
        self.mails()
    }
    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
    /// Every byte clients have sent outside TLS, over all connections.
    pub fn clear_wire(&self) -> Vec<u8> {
        self.shared.clear_wire().clone()
    }
}
impl Drop for Receiver {
    fn drop(&mut self) {
        // The sessions belong to this task and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that left again before it was its turn is no reason to stop.
                let Ok((socket, _)) = accepted else { continue };
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                if shared.plan.connections_most.is_some_and(|most| sessions.len() >= most) {
                    sessions.spawn(session::send_away(socket));
                    continue;
                }
                sessions.spawn(session::serve(socket, number, acceptor.clone(), Arc::clone(&shared)));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// What all sessions of a receiver share.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    /// How often each trouble of the plan has struck.
    struck: Mutex<Vec<u32>>,
    mails: Mutex<Vec<Arc<TakenMail>>>,
    taken: watch::Sender<usize>,
    clear_wire: Mutex<Vec<u8>>,
    connections: AtomicUsize,
}
impl Shared {
    fn new(plan: Plan) -> Self {
        Self {
            struck: Mutex::new(vec![0; plan.troubles.len()]),
            plan,
            mails: Mutex::default(),
            taken: watch::Sender::new(0),
            clear_wire: Mutex::default(),
            connections: AtomicUsize::new(0),
        }
    }
    fn mails(&self) -> MutexGuard<'_, Vec<Arc<TakenMail>>> {
        self.mails.lock().expect("nobody panics while holding the mails")
    }
    fn clear_wire(&self) -> MutexGuard<'_, Vec<u8>> {
        self.clear_wire.lock().expect("nobody panics while holding the wire")
    }
    /// Keeps a mail and returns its number, from 1.
    fn take(&self, mail: TakenMail) -> usize {
        let mut mails = self.mails();
        mails.push(Arc::new(mail));
        self.taken.send_replace(mails.len());
        mails.len()
    }
    /// The first trouble planned for this step and one of these recipients that has not struck often enough.
    fn trouble(&self, step: Step, recipients: &[TakenRecipient]) -> Option<Act> {
        let mut struck = self.struck.lock().expect("nobody panics while holding the counts");
        let (trouble, count) = self
            .plan
            .troubles
            .iter()
            .zip(struck.iter_mut())
            .find(|(trouble, count)| trouble.strikes(step, recipients, **count))?;
        *count += 1;
        Some(trouble.act.clone())
    }
}
