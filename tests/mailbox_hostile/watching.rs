//! The loop of the daemon, which must neither lose a mail nor stop at one.

use std::sync::Arc;

use breachpost::dispatch::watch;
use breachpost::model::id::MailId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Play::{Hear, Hold};
use crate::paused::until_paused;
use crate::scratch::Scratch;
use crate::{PASSWORD, Play, Server, folder_open, say};

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
