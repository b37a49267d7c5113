//! Several messages over one connection: each is announced behind the final dot of the one before. It saves a round trip
//! and changes nothing else.

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::mail::smtp::{Connection, Connector, Mail, Relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{MESSAGE, Scene, both_ways, describe, every_protection, to};

const FOUR: [&str; 4] = ["one@a.example", "two@a.example", "three@a.example", "four@a.example"];

/// What a caller makes of four messages: a connection that is used up is replaced, a stale one at once.
async fn carry_four(scene: &Scene, announced: bool) -> Vec<String> {
    let mut connection = scene.open().await;
    let mut outcomes = Vec::new();
    for (n, recipient) in FOUR.into_iter().enumerate() {
        let next = FOUR.get(n + 1).filter(|_| announced).map(|next| to(next));
        if !connection.reusable() {
            connection = scene.open().await;
        }
        let mut outcome = connection.carry_before(&to(recipient), next.as_ref()).await;
        if connection.is_stale() {
            connection = scene.open().await;
            outcome = connection.carry_before(&to(recipient), next.as_ref()).await;
        }
        outcomes.push(describe(&outcome));
    }
    connection.quit().await;
    outcomes
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_each_is_the_same_announced_or_not() {
    let two = |address: &str| address.starts_with("two");
    let at_two = |step, act: Act| Some(Trouble::at(step, act).to(two));
    let fine = "accepted, 250";
    for (trouble, of_the_second) in [
        (None, fine),
        (
            at_two(Step::Rcpt, Act::reply("550 5.1.1 no such user")),
            "refused, Rcpt: 550",
        ),
        (at_two(Step::Rcpt, Act::reply("450 4.2.1 later")), "deferred, Rcpt: 450"),
        (
            at_two(Step::Rcpt, Act::reply_and_close("550 5.1.1 bye")),
            "refused, Rcpt: 550",
        ),
        (at_two(Step::Rcpt, Act::Close), "deferred, Rcpt: network"),
        (
            at_two(Step::Data, Act::reply("451 4.3.0 not now")),
            "deferred, Data: 451",
        ),
        (
            at_two(Step::FinalDot, Act::reply("452 4.3.1 full")),
            "deferred, FinalDot: 452",
        ),
        (
            at_two(Step::FinalDot, Act::reply("554 5.7.1 spam")),
            "refused, FinalDot: 554",
        ),
        (at_two(Step::FinalDot, Act::Close), "in_doubt, FinalDot: network"),
        (at_two(Step::Taken, Act::Close), "in_doubt, FinalDot: network"),
        (at_two(Step::Taken, Act::Silence), "in_doubt, FinalDot: 600 s"),
    ] {
        for plan in every_protection().into_iter().flat_map(both_ways) {
            for closing in [None, Some(1), Some(2)] {
                let mut plan = plan.clone();
                plan.close_after_mails = closing;
                plan.troubles.extend(trouble.clone());
                let mut seen = Vec::new();
                for announced in [false, true] {
                    let scene = Scene::new(plan.clone()).await;
                    let outcomes = carry_four(&scene, announced).await;
                    assert_eq!(
                        outcomes,
                        [fine, of_the_second, fine, fine],
                        "{trouble:?}, announced: {announced}"
                    );
                    let mails = scene.receiver.mails();
                    assert!(mails.iter().all(|mail| mail.bytes == MESSAGE));
                    let to: Vec<_> = mails.iter().map(|mail| mail.recipients[0].address.clone()).collect();
                    seen.push((to, scene.receiver.connections()));
                }
                assert_eq!(seen[0], seen[1], "{trouble:?}");
            }
        }
    }
}

/// Whoever else uses the connection after all finds it stale.
#[tokio::test(start_paused = true)]
async fn what_was_not_announced_is_not_carried() {
    let scene = Scene::new(Plan::clear()).await;
    let mut connection = scene.open().await;
    let outcome = connection.carry_before(&to(FOUR[0]), Some(&to(FOUR[1]))).await;
    assert_eq!(describe(&outcome), "accepted, 250");
    assert_eq!(
        describe(&connection.carry(&to(FOUR[2])).await),
        "deferred, Mail: network"
    );
    assert!(connection.is_stale() && !connection.reusable());
    connection.quit().await;
    // What does not fit is refused in its turn, announced or not.
    let mut connection = scene.open().await;
    let unfit = Mail {
        bytes: b"a\nb",
        ..to(FOUR[1])
    };
    for next in [to("not an address"), unfit] {
        let outcome = connection.carry_before(&to(FOUR[0]), Some(&next)).await;
        assert_eq!(describe(&outcome), "accepted, 250");
        assert_eq!(describe(&connection.carry(&next).await), "refused, Prepare: unfit");
    }
    assert_eq!(scene.receiver.mails().len(), 3);
}

/// RFC 2920 §3.1: the envelope comes with the final dot, before that is answered; the message does not.
#[tokio::test(start_paused = true)]
async fn the_envelope_travels_with_the_final_dot() {
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}?tls=none", relay.local_addr().unwrap());
    let serve = async {
        let (mut socket, _) = relay.accept().await.unwrap();
        let mut heard = String::new();
        for (reply, until) in [
            ("220 relay.example\r\n", "\r\n"),
            ("250-relay.example\r\n250 PIPELINING\r\n", "DATA\r\n"),
            ("250 ok\r\n250 ok\r\n354 go on\r\n", "DATA\r\n"),
            ("250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n", "\r\n.\r\n"),
        ] {
            socket.write_all(reply.as_bytes()).await.unwrap();
            heard.clear();
            while !heard.ends_with(until) {
                let mut bytes = [0; 4096];
                let count = socket.read(&mut bytes).await.unwrap();
                assert!(count > 0, "{heard}");
                heard += std::str::from_utf8(&bytes[..count]).unwrap();
            }
            if reply.contains("354") && until == "DATA\r\n" {
                let (message, envelope) = heard.split_once("\r\n.\r\n").unwrap();
                assert!(
                    message.starts_with("Subject: ") && envelope.starts_with("MAIL FROM:"),
                    "{heard}"
                );
                assert!(envelope.contains(FOUR[1]) && !envelope.contains("Subject"), "{heard}");
            }
        }
        socket.write_all(b"250 ok\r\n").await.unwrap();
        socket
    };
    let carry = async {
        let connector = Connector::new(Relay::from_url(&url, None).unwrap()).unwrap();
        let mut connection = Connection::open(&connector).await.unwrap();
        let (one, two) = (to(FOUR[0]), to(FOUR[1]));
        let first = connection.carry_before(&one, Some(&two)).await;
        (describe(&first), describe(&connection.carry(&two).await))
    };
    let (outcomes, _socket) = tokio::join!(carry, serve);
    assert_eq!(outcomes, ("accepted, 250".to_owned(), "accepted, 250".to_owned()));
}
