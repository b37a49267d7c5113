//! A relay that refuses, defers or breaks off: what state the notice is in, what the exit status says, what comes next.

use breachpost::drill::receiver::{Act, Step};
use serde_json::json;

use crate::world::relay::Relay;
use crate::world::{World, text};

#[test]
fn what_the_relay_answers_decides_the_state_and_the_exit_status() {
    for (step, act, state, outcome, code) in [
        (
            Step::Rcpt,
            Act::reply("550 5.1.1 no such user"),
            "failed",
            "refused",
            550,
        ),
        (
            Step::FinalDot,
            Act::reply("554 5.7.1 content refused"),
            "failed",
            "refused",
            554,
        ),
        (
            Step::Mail,
            Act::reply("550 5.7.1 not for you"),
            "queued",
            "deferred",
            550,
        ),
        (
            Step::Rcpt,
            Act::reply("451 4.7.1 greylisted"),
            "queued",
            "deferred",
            451,
        ),
        (
            Step::FinalDot,
            Act::reply("452 4.3.1 disk full"),
            "queued",
            "deferred",
            452,
        ),
        (
            Step::Greeting,
            Act::reply("554 5.3.2 not today"),
            "queued",
            "deferred",
            554,
        ),
        (
            Step::Data,
            Act::reply("421 4.3.2 shutting down"),
            "queued",
            "deferred",
            421,
        ),
    ] {
        let relay = Relay::troubled(step, act, 1);
        let world = World::ready(&relay);
        let sent = world.send(&[]).exits(2).json();
        let told = (&sent["state"], &sent["attempts"][0]["outcome"]);
        assert_eq!(told, (&json!(state), &json!(outcome)), "{step:?}: {sent}");
        assert_eq!(sent["attempts"][0]["fault"]["cause"]["reply"]["code"], code, "{sent}");
        let reference = text(&sent["reference"]);
        world
            .run(&["notice", "show", &reference])
            .exits(2)
            .says(&[&code.to_string()]);
        world.run(&["status"]).exits(2).says(&[&reference]);
        assert!(relay.mails().is_empty());

        if state == "queued" {
            assert!(sent["next_attempt"].is_string(), "{sent}");
            let daemon = world.serve();
            let handed = world.until_notice(&reference, "handed");
            assert_eq!(handed["attempts"].as_array().unwrap().len(), 2);
            assert_eq!((&handed["possibly_twice"], relay.mails().len()), (&json!(false), 1));
            assert_eq!(daemon.stop(), 0);
        }
        world.is_intact();
    }
}

#[test]
fn a_relay_that_is_not_there_loses_nothing() {
    let gone = Relay::sound();
    let world = World::ready(&gone);
    let url = gone.url();
    drop(gone);
    let sent = world.send(&[]).exits(2).says(&["breachpost serve"]).json();
    assert_eq!(sent["state"], "queued");
    assert_eq!(sent["attempts"][0]["fault"]["step"], "connect");
    world.run(&["doctor"]).exits(2).says(&["relay"]);

    let back = Relay::sound();
    world.settle(&url, &back.url());
    let daemon = world.serve();
    world.until_notice(&text(&sent["reference"]), "handed");
    assert_eq!((daemon.stop(), back.mails().len()), (0, 1));
}

#[test]
fn a_connection_lost_after_the_dot_leaves_a_doubt_that_is_never_forgotten() {
    let relay = Relay::troubled(Step::Taken, Act::Close, 1);
    let world = World::ready(&relay);
    let sent = world.send(&[]).exits(2).json();
    assert_eq!(
        (&sent["state"], &sent["attempts"][0]["outcome"]),
        (&json!("in_doubt"), &json!("in_doubt"))
    );
    assert_eq!(sent["possibly_twice"], true);
    let reference = text(&sent["reference"]);

    let daemon = world.serve();
    let handed = world.until_notice(&reference, "handed");
    assert_eq!(handed["possibly_twice"], true);
    assert_eq!(daemon.stop(), 0);
    world
        .run(&["notice", "show", &reference])
        .exits(0)
        .says(&["may have arrived twice"]);

    let [first, second] = relay.taken(2).try_into().unwrap();
    assert_eq!(
        first.bytes, second.bytes,
        "the very same message, so that the reader's server can tell"
    );
    let id = text(&handed["message_id"]);
    assert!(String::from_utf8_lossy(&second.bytes).contains(&format!("Message-ID: {id}\r\n")));
}

#[test]
fn a_relay_that_cannot_prove_who_it_is_gets_nothing() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let other = Relay::protected();
    let ca_file = world.file("relay-ca.pem", other.ca_pem().as_bytes());
    let sent = world.send(&[]).exits(2).json();
    assert_eq!(
        (&sent["state"], &sent["attempts"][0]["fault"]["step"]),
        (&json!("queued"), &json!("tls")),
        "{ca_file}"
    );
    assert!(relay.mails().is_empty());
    assert!(!String::from_utf8_lossy(&relay.clear_wire()).contains("AUTH"));
}
