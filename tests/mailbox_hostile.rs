//! The IMAP client against servers that lie, break off and attack, by dialogues played word for word on loopback; and
//! the loops above it, which must neither lose a mail nor stop at one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "scratch/paused.rs"]
mod paused;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use breachpost::dispatch::watch;
use breachpost::mail::imap::{Account, Fetched, ImapError, Session, Timeouts, Woken};
use breachpost::mail::login::{Login, Tokens};
use breachpost::mail::tls::TlsMode;
use breachpost::model::id::MailId;
use breachpost::secret::Secret;
use chrono::NaiveDate;
use paused::until_paused;
use scratch::Scratch;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

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
use Play::{Hear, Hold};
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

#[tokio::test(start_paused = true)]
async fn trouble_before_the_login_says_nothing_secret() {
    let capability = |words: &str| {
        vec![
            say("* OK ready\r\n"),
            Hear("b1 CAPABILITY\r\n"),
            say(&format!("* CAPABILITY IMAP4rev1 {words}\r\nb1 OK\r\n")),
        ]
    };
    let then = |mut dialogue: Vec<Play>, more: Vec<Play>| {
        dialogue.extend(more);
        dialogue
    };
    use TlsMode::{None, StartTls};
    for (tls, dialogue, reason) in [
        (
            None,
            vec![say("HTTP/1.1 400 Bad Request\r\n\r\n")],
            "no IMAP: its greeting",
        ),
        (
            None,
            vec![say("* BYE too many of you\r\n")],
            "closed the connection: too many of you",
        ),
        (None, vec![say("* PREAUTH come in\r\n")], "lets us in before the login"),
        (None, vec![], "closed the connection"),
        (None, vec![Hold], "did not greet us within 30 s"),
        (
            None,
            vec![Play::Say(vec![b'x'; 5_000_000])],
            "at most 4194304 are taken",
        ),
        (
            None,
            vec![say("* OK ready\r\n"), Hear("b1"), say("zz OK what\r\n")],
            "a command that we did not give",
        ),
        (
            None,
            vec![say("* OK ready\r\n"), Hear("b1"), say("nonsense\r\n")],
            "no IMAP: a line of it",
        ),
        (
            None,
            vec![say("* OK ready\r\n"), Hear("b1"), say("b1 OK\r\n")],
            "names no capabilities",
        ),
        (
            None,
            capability("LOGINDISABLED"),
            "takes no password here (LOGINDISABLED)",
        ),
        (StartTls, capability("AUTH=PLAIN"), "does not offer STARTTLS"),
        (
            StartTls,
            then(
                capability("STARTTLS"),
                vec![Hear("b2 STARTTLS\r\n"), say("b2 NO not today\r\n")],
            ),
            "refuses to protect the connection: not today",
        ),
        (
            StartTls,
            then(
                capability("STARTTLS"),
                vec![
                    Hear("b2 STARTTLS\r\n"),
                    say("b2 OK begin\r\n* CAPABILITY IMAP4rev1\r\nb1 OK\r\n"),
                    Hold,
                ],
            ),
            "it may be injected",
        ),
        (
            StartTls,
            then(
                capability("STARTTLS"),
                vec![Hear("b2 STARTTLS\r\n"), say("b2 OK begin\r\n"), Hear("")],
            ),
            "broke in the TLS handshake",
        ),
    ] {
        let server = Server::start(vec![dialogue]).await;
        let opened = Session::open(&server.account(password(), tls)).await;
        let error = chain(&opened.unwrap_err());
        assert!(error.contains(reason), "`{reason}` is missing: {error}");
        let heard = server.heard();
        for secret in [PASSWORD, "hun", "LOGIN", "AUTHENTICATE", "ann"] {
            assert!(!heard.contains(secret) && !error.contains(PASSWORD), "{heard}");
        }
    }
    let server = Server::start(vec![vec![Hold]]).await;
    let mut far = server.account(password(), TlsMode::None);
    far.host = "192.0.2.1".to_owned();
    assert!(matches!(Session::open(&far).await, Err(ImapError::ClearText { .. })));
}

struct Given(&'static str, Mutex<u32>);
#[async_trait]
impl Tokens for Given {
    async fn token(&self) -> Result<Secret, String> {
        Ok(Secret::new(self.0))
    }
    fn refused(&self) {
        *self.1.lock().unwrap() += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_log_in_says_what_the_server_takes() {
    let opening = |words: &str| {
        vec![
            say("* OK ready\r\n"),
            Hear("b1 CAPABILITY\r\n"),
            say(&format!("* CAPABILITY IMAP4rev1 {words}\r\nb1 OK\r\n")),
        ]
    };
    let tokens = Arc::new(Given("ya29.token", Mutex::new(0)));
    let by_token = || Login::by_tokens("ann", tokens.clone());
    let plain = BASE64.encode(format!("\0ann\0{PASSWORD}"));
    let xoauth2 = BASE64.encode("user=ann\x01auth=Bearer ya29.token\x01\x01");
    let refusal = format!("+ {}\r\n", BASE64.encode(r#"{"status":"400","schemes":"Bearer"}"#));
    for (login, offered, more, said, reason) in [
        // Quoted as RFC 3501 §4.3 has it; what the server offers now is asked for.
        (
            password(),
            "",
            vec![
                Hear("b2 LOGIN"),
                say("b2 OK in\r\n"),
                Hear("b3 CAPABILITY"),
                say("* CAPABILITY IMAP4rev1 IDLE\r\nb3 OK\r\n"),
            ],
            r#"b2 LOGIN "ann" "hun\"ter\\2""#.to_owned(),
            None,
        ),
        (
            password(),
            "AUTH=PLAIN SASL-IR LOGINDISABLED",
            vec![Hear("b2 AUTH"), say("b2 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")],
            format!("b2 AUTHENTICATE PLAIN {plain}"),
            None,
        ),
        (
            password(),
            "AUTH=PLAIN",
            vec![
                Hear("b2 AUTH"),
                say("+ \r\n"),
                Hear(""),
                say("b2 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
            ],
            format!("b2 AUTHENTICATE PLAIN\r\n{plain}\r\n"),
            None,
        ),
        (
            by_token(),
            "AUTH=XOAUTH2 SASL-IR",
            vec![Hear("b2 AUTH"), say("b2 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")],
            format!("b2 AUTHENTICATE XOAUTH2 {xoauth2}\r\n"),
            None,
        ),
        (
            by_token(),
            "AUTH=XOAUTH2",
            vec![
                Hear("b2 AUTH"),
                say("+\r\n"),
                Hear(""),
                say(&refusal),
                Hear("\r\n"),
                say("b2 NO no way\r\n"),
            ],
            format!("b2 AUTHENTICATE XOAUTH2\r\n{xoauth2}\r\n\r\n"),
            Some("no way; the token was not taken (status 400)"),
        ),
        (
            by_token(),
            "AUTH=PLAIN",
            vec![],
            String::new(),
            Some("does not offer XOAUTH2"),
        ),
        (
            password(),
            "",
            vec![Hear("b2 LOGIN"), say("b2 NO [AUTHENTICATIONFAILED] wrong\r\n")],
            "b2 LOGIN".to_owned(),
            Some("cannot log in to the mailbox as ann: [AUTHENTICATIONFAILED] wrong"),
        ),
        (
            password(),
            "AUTH=PLAIN SASL-IR",
            vec![Hear("b2 AUTH"), say("* 12 EXISTS\r\n")],
            String::new(),
            Some("no IMAP: its answer to the login"),
        ),
    ] {
        let mut dialogue = opening(offered);
        dialogue.extend(more);
        dialogue.push(Hold);
        let server = Server::start(vec![dialogue]).await;
        let opened = Session::open(&server.account(login, TlsMode::None)).await;
        let heard = server.heard();
        assert!(heard.contains(&said) && !heard.contains("UNEXPECTED"), "{heard}");
        match (opened, reason) {
            (Ok(session), None) => assert!(session.can_idle()),
            (Err(error), Some(reason)) => {
                let error = chain(&error);
                assert!(error.contains(reason), "`{reason}` is missing: {error}");
                assert!(!error.contains(PASSWORD) && !error.contains("ya29") && !error.contains(&plain));
            }
            (opened, reason) => panic!("{opened:?}, expected {reason:?}"),
        }
    }
    assert_eq!(*tokens.1.lock().unwrap(), 1, "one token was refused");
}

#[tokio::test(start_paused = true)]
async fn answers_are_read_as_they_are_meant() {
    let mut dialogue = folder_open(" IDLE");
    dialogue.extend([
        // `n:*` finds the newest mail even below n; a line of an extension is passed over.
        Hear("b4 UID SEARCH UID 3:* SINCE 1-Nov-2026\r\n"),
        say("* SEARCH 2 5 9\r\n* XLIST {weird\r\n* SEARCH 3\r\nb4 OK\r\n"),
        Hear("b5 UID FETCH 3,5,9 (UID RFC822.SIZE)\r\n"),
        say("* 1 FETCH (UID 3 RFC822.SIZE 10)\r\n* 2 FETCH (RFC822.SIZE 20 UID 5)\r\n* 9 FETCH (UID 77 RFC822.SIZE 1)\r\n"),
        say("b5 OK\r\n"),
        // Another mail's bytes, flags that changed meanwhile, then the mail: NUL, CRLF and parentheses within.
        Hear("b6 UID FETCH 3 (UID BODY.PEEK[])\r\n"),
        say("* 2 FETCH (UID 5 BODY[] {5}\r\nother)\r\n* 1 FETCH (UID 3 FLAGS (\\Seen))\r\n* 4 EXISTS\r\n"),
        say("* 1 FETCH (UID 3 BODY[] {10}\r\na\r\n)\0 b6 O)\r\nb6 OK\r\n"),
        // It came while we fetched: nobody waits.
        Hear("b7 UID FETCH 5 (UID BODY.PEEK[])\r\n"),
        say("b7 OK nothing\r\n"),
        Hear("b8 IDLE\r\n"),
        say("+ idling\r\n* OK still here\r\n* 5 EXISTS\r\n"),
        Hear("DONE\r\n"),
        say("b8 OK\r\n"),
        Hear("b9 IDLE\r\n"),
        say("+ idling\r\n"),
        Hear("DONE\r\n"),
        say("b9 OK\r\n"),
        Hear("b10 UID FETCH 9 (UID BODY.PEEK[HEADER]<0.65536>)\r\n"),
        say("* 3 FETCH (UID 9 BODY[HEADER]<0> \"A: b\")\r\nb10 OK\r\n"),
        Hear("b11 NOOP\r\n"),
        say("* BYE maintenance\r\n"),
        Hold,
    ]);
    let server = Server::start(vec![dialogue]).await;
    let mut session = server.open().await.unwrap();
    let folder = session.examine("INBOX").await.unwrap();
    assert_eq!((folder.uid_validity, folder.uid_next, folder.mails), (7, Some(4), 3));
    let day = NaiveDate::from_ymd_opt(2026, 11, 1);
    assert_eq!(session.search(3, None, day).await.unwrap(), [3, 5, 9]);
    let sizes = session.sizes(&[3, 5, 9]).await;
    assert_eq!(
        sizes.unwrap_or_else(|e| panic!("{e}: {}", server.heard())),
        [(3, 10), (5, 20)]
    );
    let mail = session.fetch(3, 100).await.unwrap();
    assert_eq!(mail, Fetched::Mail(b"a\r\n)\0 b6 O".to_vec()));
    assert_eq!(session.fetch(5, 100).await.unwrap(), Fetched::Gone);
    let wait = Duration::from_secs(100);
    assert_eq!(
        session.idle(wait).await.unwrap(),
        Woken::News,
        "what came before counts"
    );
    assert_eq!(session.idle(wait).await.unwrap(), Woken::News);
    assert_eq!(session.idle(wait).await.unwrap(), Woken::Quiet);
    assert_eq!(session.fetch_head(9).await.unwrap(), Fetched::Mail(b"A: b".to_vec()));
    let gone = session.poll().await.unwrap_err();
    assert!(gone.to_string().contains("maintenance"), "{gone}");
    assert!(!server.heard().contains("UNEXPECTED"), "{}", server.heard());
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_to_one_mail_is_bounded() {
    for (answer, reason) in [
        (
            "* 1 FETCH (UID 3 BODY[] {4294967295}\r\n",
            "would send 4294967295 bytes",
        ),
        (
            "* 1 FETCH (UID 3 BODY[] {200000}\r\n",
            "would send 200000 bytes at once",
        ),
        ("* 1 FETCH (UID 3 BODY[] {50}\r\nhalf of", "closed the connection"),
        ("b4 NO it is locked\r\n", "refuses to hand out a mail: it is locked"),
        ("b4 BAD what\r\n", "refuses to hand out a mail: what"),
        ("* 1 FETCH (UID 3 BODY[] oops)\r\nb4 OK\r\n", "no IMAP"),
        (
            "* 1 FETCH (UID 3 BODYSTRUCTURE ((((((((((((((((((((((((((((((((((\r\n",
            "nests too deep",
        ),
    ] {
        let mut dialogue = folder_open("");
        dialogue.extend([Hear("b4 UID FETCH 3"), say(answer)]);
        let server = Server::start(vec![dialogue]).await;
        let mut session = server.open().await.unwrap();
        session.examine("INBOX").await.unwrap();
        let error = chain(&session.fetch(3, 100_000).await.unwrap_err());
        assert!(error.contains(reason), "`{reason}` is missing: {error}");
    }
    // Never a word, and never an end.
    let endless = "* 3 FETCH (UID 9 FLAGS ())\r\n".repeat(10_000);
    for (more, step) in [
        (vec![Hold], "hand out a mail"),
        (vec![say(&endless), Hold], "hand out a mail"),
    ] {
        let mut dialogue = folder_open("");
        dialogue.push(Hear("b4 UID FETCH 3"));
        dialogue.extend(more);
        let server = Server::start(vec![dialogue]).await;
        let mut session = server.open().await.unwrap();
        session.examine("INBOX").await.unwrap();
        match session.fetch(3, 100_000).await {
            Err(ImapError::Timeout {
                step: found,
                seconds: 60,
            }) => assert_eq!(found, step),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn folders_that_cannot_be_followed_are_named() {
    for (folder, answer, reason) in [
        (
            "Answers",
            "b3 NO no such folder\r\n",
            "the folder Answers cannot be opened: no such folder",
        ),
        ("INBOX", "* OK [UIDNEXT 4]\r\nb3 OK\r\n", "has no UIDVALIDITY"),
        ("A\r\nb9 LOGOUT", "b3 NO no\r\n", "cannot be opened"),
    ] {
        let mut dialogue = logged_in("");
        dialogue.extend([Hear("b3 EXAMINE"), say(answer)]);
        let server = Server::start(vec![dialogue]).await;
        let error = server.open().await.unwrap().examine(folder).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}: {}", server.heard());
        assert!(!server.heard().contains("\nb9 LOGOUT"));
    }
}

/// One dialogue that reads the folder: three mails, of which the second is answered so.
fn second_mail(head: bool, sizes: &str, answer: &str) -> Vec<Play> {
    let mut dialogue = folder_open("");
    dialogue.extend([
        Hear("b4 UID SEARCH UID 2:*"),
        say("* SEARCH 2 3\r\nb4 OK\r\n"),
        Hear("b5 UID FETCH 2,3 (UID RFC822.SIZE)"),
        say(&format!("{sizes}b5 OK\r\n")),
        Hear(match head {
            true => "b6 UID FETCH 2 (UID BODY.PEEK[HEADER]",
            false => "b6 UID FETCH 2 (UID BODY.PEEK[])",
        }),
        say(answer),
    ]);
    dialogue
}
fn then_the_third(mut dialogue: Vec<Play>, first_tag: u32) -> Vec<Play> {
    let fetch: &'static str = format!("b{first_tag} UID FETCH 3 (UID BODY.PEEK[])").leak();
    dialogue.extend([
        Hear(fetch),
        say(&format!(
            "* 2 FETCH (UID 3 BODY[] {{12}}\r\nSubject: 3\r\n)\r\nb{first_tag} OK\r\n"
        )),
        Hold,
    ]);
    dialogue
}
/// The first reading: one mail, and the connection ends in the middle of the second.
fn first_reading(end: &str) -> Vec<Play> {
    let mut dialogue = folder_open("");
    dialogue.extend([
        Hear("b4 UID SEARCH UID 1:* SINCE"),
        say("* SEARCH 1\r\nb4 OK\r\n"),
        Hear("b5 UID SEARCH UID 1:*\r\n"),
        say("* SEARCH 1\r\nb5 OK\r\n"),
        Hear("b6 UID FETCH 1 (UID RFC822.SIZE)"),
        say("b6 OK\r\n"),
        Hear("b7 UID FETCH 1"),
        say("* 1 FETCH (UID 1 BODY[] {12}\r\nSubject: 1\r\n)\r\nb7 OK\r\n"),
        // No IDLE here: it is asked again and again.
        Hear("b8 NOOP\r\n"),
        say("b8 OK\r\n"),
        Hear("b9 UID SEARCH UID 2:*"),
        say("* SEARCH 2\r\nb9 OK\r\n"),
        Hear("b10 UID FETCH 2 (UID RFC822.SIZE)"),
        say("b10 OK\r\n"),
        Hear("b11 UID FETCH 2"),
        say(end),
    ]);
    dialogue
}

/// Reads by the daemon's loop until so many mails are stored; returns them.
async fn watched(dialogues: Vec<Vec<Play>>, count: i64) -> (Vec<String>, String) {
    let server = Server::start(dialogues).await;
    let scratch = Scratch::new().await;
    let mut office = scratch.office.clone();
    std::fs::write(office.home.keys_dir().join("mailbox.password"), PASSWORD).unwrap();
    let mut config = (*office.config).clone();
    let settings = json!({
        "url": format!("imap://ann@127.0.0.1:{}?tls=none", server.port),
        "password": { "file": "keys/mailbox.password" },
    });
    config.mailbox = Some(serde_json::from_value(settings).unwrap());
    office.config = Arc::new(config);
    let stop = CancellationToken::new();
    let watching = tokio::spawn(watch::run(office.clone(), stop.clone()));
    let find = async |number| office.store.find_mail(MailId::new(number)).await.unwrap();
    until_paused(&office, || server.heard(), async || find(count).await).await;
    stop.cancel();
    watching.await.unwrap().unwrap();
    let mut mails = Vec::new();
    for number in 1..=count {
        mails.push(String::from_utf8(find(number).await.unwrap().raw).unwrap());
    }
    assert!(find(count + 1).await.is_none());
    (mails, server.heard())
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_breaks_the_connection_does_not_block_the_next() {
    let broken = "* 2 FETCH (UID 2 BODY[] {50}\r\nhalf";
    let (mails, heard) = watched(
        vec![
            first_reading(broken),
            second_mail(false, "", broken),
            second_mail(false, "", "b6 OK and nothing\r\n"),
            // After three tries a note stands for it.
            then_the_third(second_mail(false, "", "")[..11].to_vec(), 6),
        ],
        3,
    )
    .await;
    assert_eq!(mails[0], "Subject: 1\r\n", "{heard}");
    assert!(mails[1].contains("Mail that could not be fetched") && mails[1].contains("number 2"));
    assert_eq!(mails[2], "Subject: 3\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_mail_whose_size_was_a_lie_leaves_a_note() {
    let huge = "* 2 FETCH (UID 2 BODY[] {999999999}\r\n";
    let head = "* 2 FETCH (UID 2 BODY[HEADER]<0> {13}\r\nSubject: big\n)\r\nb6 OK\r\n";
    let (mails, heard) = watched(
        vec![
            first_reading(huge),
            then_the_third(second_mail(true, "* 2 FETCH (UID 2 RFC822.SIZE 5)\r\n", head), 7),
        ],
        3,
    )
    .await;
    let note = &mails[1];
    assert!(
        note.contains("too large") && note.contains("999999999 bytes"),
        "{note}{heard}"
    );
    assert!(note.contains("Subject: big") && mails[2] == "Subject: 3\r\n", "{heard}");
}
