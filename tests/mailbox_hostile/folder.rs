//! An open folder: answers as they are meant, bounds on what a server does to one mail, folders that cannot be followed.

use std::time::Duration;

use breachpost::mail::imap::{Fetched, ImapError, Woken};
use chrono::NaiveDate;

use crate::Play::{Hear, Hold};
use crate::{Server, chain, folder_open, logged_in, say};

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
