//! The way in: what is said before the login, and each way to log in.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use breachpost::mail::imap::{ImapError, Session};
use breachpost::mail::login::{Login, Tokens};
use breachpost::mail::tls::TlsMode;
use breachpost::secret::Secret;

use crate::Play::{Hear, Hold};
use crate::{PASSWORD, Play, Server, chain, password, say};

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
