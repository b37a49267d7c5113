//! The IMAP client against servers that lie, break off and attack, by dialogues played word for word on loopback; and
//! the loops above it, which must neither lose a mail nor stop at one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod folder;
mod login;
#[path = "../scratch/paused.rs"]
mod paused;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../scratch/mod.rs"]
mod scratch;
mod watching;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use breachpost::mail::imap::{Account, ImapError, Session, Timeouts};
use breachpost::mail::login::Login;
use breachpost::mail::tls::TlsMode;
use breachpost::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &str = r#"hun"ter\2"#;

/// What the server does; after the last it closes the connection.
#[derive(Clone)]
enum Play {
    Say(Vec<u8>),
    /// Reads up to a line end, which must begin so.
    Hear(&'static str),
    /// Says nothing any more.
    Hold,
}
use Play::Hear;
fn say(text: &str) -> Play {
    Play::Say(text.as_bytes().to_vec())
}

/// A server that plays each dialogue on one connection, and the last one on all further ones. Keeps what it heard.
struct Server {
    port: u16,
    heard: Arc<Mutex<String>>,
}
impl Server {
    async fn start(dialogues: Vec<Vec<Play>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                // Two writes in a row: the paused clock would not wait for the second.
                stream.set_nodelay(true).unwrap();
                let dialogue = dialogues[number.min(dialogues.len() - 1)].clone();
                tokio::spawn(play(stream, dialogue, Arc::clone(&kept)));
            }
        });
        Self { port, heard }
    }
    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
    fn account(&self, login: Login, tls: TlsMode) -> Account {
        Account {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls,
            login,
            ca_file: None,
            timeouts: Timeouts {
                connect: Duration::from_secs(20),
                reply: Duration::from_secs(30),
                mail: Duration::from_secs(60),
            },
        }
    }
    async fn open(&self) -> Result<Session, ImapError> {
        Session::open(&self.account(password(), TlsMode::None)).await
    }
}

async fn play(mut stream: TcpStream, dialogue: Vec<Play>, heard: Arc<Mutex<String>>) {
    for step in dialogue {
        match step {
            // A client that has had enough closes the connection.
            Play::Say(bytes) => drop(stream.write_all(&bytes).await),
            Play::Hear(beginning) => {
                let mut line = Vec::new();
                while !line.ends_with(b"\n") {
                    match stream.read_u8().await {
                        Ok(byte) => line.push(byte),
                        Err(_) => return,
                    }
                }
                let line = String::from_utf8(line).unwrap();
                heard.lock().unwrap().push_str(&line);
                if !line.starts_with(beginning) {
                    heard
                        .lock()
                        .unwrap()
                        .push_str(&format!("UNEXPECTED, not {beginning}\n"));
                    return;
                }
            }
            Play::Hold => {
                // Until the client goes.
                let _ = stream.read_u8().await;
            }
        }
    }
}

fn password() -> Login {
    Login::by_password("ann", Secret::new(PASSWORD))
}

/// The way in that the other dialogues go on from; the next tag is b3.
fn logged_in(capabilities: &str) -> Vec<Play> {
    vec![
        say("* OK ready\r\n"),
        Hear("b1 CAPABILITY\r\n"),
        say("* CAPABILITY IMAP4rev1\r\nb1 OK\r\n"),
        Hear("b2 LOGIN "),
        say(&format!("b2 OK [CAPABILITY IMAP4rev1 UIDPLUS{capabilities}] in\r\n")),
    ]
}
/// The same with an open folder; the next tag is b4.
fn folder_open(capabilities: &str) -> Vec<Play> {
    let mut dialogue = logged_in(capabilities);
    dialogue.extend([
        Hear("b3 EXAMINE \"INBOX\"\r\n"),
        say("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 4] n\r\nb3 OK [READ-ONLY] open\r\n"),
    ]);
    dialogue
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
