//! Logging in by password or token, in each way a relay offers, and being refused.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use breachpost::drill::receiver::{Account, Act, Plan, Protection, Receiver, Step, Trouble};
use breachpost::mail::login::Tokens;
use breachpost::mail::smtp::{Connection, Connector, Login, Relay};
use breachpost::secret::Secret;

use crate::{Scene, describe, describe_fault, every_protection, to};

#[tokio::test(start_paused = true)]
async fn logging_in() {
    let account = |mechanisms: &[&str]| {
        let mechanisms = mechanisms.iter().map(|m| (*m).to_owned()).collect();
        Some(Account {
            user: "ann@example.lu".to_owned(),
            password: "hunter2 é".to_owned(),
            mechanisms,
        })
    };
    for base in every_protection() {
        for mechanisms in [&["PLAIN", "LOGIN"][..], &["PLAIN"], &["LOGIN"], &["CRAM-MD5", "LOGIN"]] {
            let scene = Scene::new(Plan {
                account: account(mechanisms),
                ..base.clone()
            })
            .await;
            assert_eq!(
                describe(&scene.open().await.carry(&to("a@b.example")).await),
                "accepted, 250"
            );
            let mails = scene.receiver.wait_for(1).await;
            assert_eq!(mails[0].user.as_deref(), Some("ann@example.lu"));
            assert!(base.protection == Protection::Clear || !scene.clear_text().contains("AUTH"));
        }
        for (plan, expected) in [
            (
                Plan {
                    account: account(&["CRAM-MD5"]),
                    ..base.clone()
                },
                "Auth: unfit",
            ),
            (
                Plan {
                    account: account(&["PLAIN"]),
                    ..base.clone()
                }
                .with(Trouble::at(Step::Auth, Act::reply("454 4.7.0 later"))),
                "Auth: 454",
            ),
            (
                Plan {
                    account: account(&["LOGIN"]),
                    ..base.clone()
                }
                .with(Trouble::at(Step::Auth, Act::Silence)),
                "Auth: 300 s",
            ),
        ] {
            assert_eq!(describe_fault(&Scene::new(plan).await.open_fault().await), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_a_fault_of_the_connection() {
    let receiver = Receiver::start(Plan::starttls().with_account("ann", "hunter2"))
        .await
        .unwrap();
    let ca_pem = receiver.ca_pem().to_owned();
    let scene = Scene::trusting(&ca_pem, receiver, Some(Secret::new("wrong-one")));
    let fault = scene.open_fault().await;
    assert_eq!(describe_fault(&fault), "Auth: 535");
    assert!(!format!("{fault:?} {fault}").contains("wrong-one"));
}

/// Gives the same token each time, and counts how often it was refused.
struct Given(Result<&'static str, &'static str>, AtomicU32);
#[async_trait::async_trait]
impl Tokens for Given {
    async fn token(&self) -> Result<Secret, String> {
        self.0.map(Secret::new).map_err(str::to_owned)
    }
    fn refused(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn logging_in_by_token() {
    const SHORT: &str = "ya29.short";
    static LONG: LazyLock<String> = LazyLock::new(|| "t".repeat(2000));
    static ENDLESS: LazyLock<String> = LazyLock::new(|| "t".repeat(10_000));
    for (token, at_once, expected) in [
        (Ok(SHORT), true, Ok(())),
        // RFC 4954 §4: a command that would be too long carries no answer.
        (Ok(LONG.as_str()), false, Ok(())),
        (
            Ok("ya29.expired"),
            true,
            Err(("Auth: 535", vec!["not taken (status 401)", "renew it at its place"])),
        ),
        (
            Ok(ENDLESS.as_str()),
            true,
            Err(("Auth: unfit", vec!["longer than 12286 bytes"])),
        ),
        (
            Err("the helper is locked"),
            true,
            Err(("Auth: unfit", vec!["the helper is locked"])),
        ),
    ] {
        let good = token.ok().filter(|token| *token != "ya29.expired").unwrap_or(SHORT);
        let mut plan = Plan::clear().with_account("ann@example.lu", good);
        plan.account.as_mut().unwrap().mechanisms = vec!["PLAIN".to_owned(), "XOAUTH2".to_owned()];
        let receiver = Receiver::start(plan).await.unwrap();
        let mut relay = Relay::from_url(&receiver.url(), Some(Secret::new("replaced below"))).unwrap();
        let tokens = Arc::new(Given(token, AtomicU32::new(0)));
        relay.login = Some(Login::by_tokens("ann@example.lu", tokens.clone()));
        let opened = Connection::open(&Connector::new(relay).unwrap()).await;
        let wire = String::from_utf8_lossy(&receiver.clear_wire()).into_owned();
        match expected {
            Ok(()) => {
                opened.unwrap();
                assert_eq!(wire.contains("AUTH XOAUTH2 "), at_once, "{wire}");
            }
            Err((kind, words)) => {
                let fault = opened.unwrap_err();
                assert_eq!(describe_fault(&fault), kind);
                for word in words {
                    assert!(fault.to_string().contains(word), "{fault}");
                }
                assert!(!fault.to_string().contains("ya29") && !wire.contains("AUTH PLAIN"));
                assert_eq!(tokens.1.load(Ordering::SeqCst), u32::from(kind == "Auth: 535"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_nobody_offers_is_said_so() {
    let receiver = Receiver::start(Plan::clear()).await.unwrap();
    let mut relay = Relay::from_url(&receiver.url(), None).unwrap();
    relay.login = Some(Login::by_password("ann", Secret::new("hunter2")));
    let fault = Connection::open(&Connector::new(relay).unwrap()).await.unwrap_err();
    assert_eq!(describe_fault(&fault), "Auth: unfit");
    assert!(receiver.clear_wire().starts_with(b"EHLO"));
    assert!(!String::from_utf8_lossy(&receiver.clear_wire()).contains("AUTH"));
}
