//! What the relay offers is used, and nothing else.

use breachpost::drill::receiver::{Offers, Plan};
use breachpost::mail::smtp::Mail;

use crate::{MESSAGE, Scene, describe, to};

#[tokio::test(start_paused = true)]
async fn only_what_is_offered_is_used() {
    let international = "jösé@bücher.example";
    let eight_bit = "Subject: x\r\n\r\nGrüße\r\n".as_bytes();
    let basic = Offers::nothing;
    for (offers, mail, expected) in [
        (basic(), to("a@b.example"), "accepted, 250"),
        (basic(), to("info@bücher.example"), "accepted, 250"),
        (basic(), to(international), "refused, Prepare: unfit"),
        (
            basic(),
            Mail {
                bytes: eight_bit,
                ..to("a@b.example")
            },
            "refused, Prepare: unfit",
        ),
        (Offers::default(), to(international), "accepted, 250"),
        (
            Offers::default(),
            Mail {
                bytes: eight_bit,
                ..to(international)
            },
            "accepted, 250",
        ),
        (
            Offers {
                eight_bit_mime: true,
                ..basic()
            },
            Mail {
                bytes: eight_bit,
                ..to("a@b.example")
            },
            "accepted, 250",
        ),
        (
            Offers { dsn: true, ..basic() },
            Mail {
                envelope_from: "",
                ..to("a@b.example")
            },
            "accepted, 250",
        ),
        (
            Offers {
                size: Some(20),
                ..basic()
            },
            to("a@b.example"),
            "refused, Prepare: unfit",
        ),
        (
            Offers {
                size: Some(MESSAGE.len() as u64),
                ..basic()
            },
            to("a@b.example"),
            "accepted, 250",
        ),
    ] {
        let scene = Scene::new(Plan {
            offers,
            ..Plan::clear()
        })
        .await;
        let mut connection = scene.open().await;
        assert_eq!(describe(&connection.carry(&mail).await), expected, "{mail:?}");
        assert!(connection.reusable());
        if expected.starts_with("refused") {
            assert!(!scene.clear_text().contains("MAIL"));
        } else {
            assert_eq!(scene.receiver.wait_for(1).await[0].bytes, mail.bytes);
        }
    }
}
