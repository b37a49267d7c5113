//! Alerts of a whole installation: its daemon tells, a person answers, and the process is killed in between.

use crate::hook::{Hook, Posted};
use crate::world::relay::Relay;
use crate::world::{BREACH, World, text, until};
use crate::{ON_CALL, SECRET, TOKEN, subjects};

/// An installation whose alerts go to this hook and by mail.
fn alarmed(relay: &Relay, hook: &Hook) -> World {
    let world = World::new(relay);
    let secret = world.private_file("webhook.secret", SECRET.as_bytes());
    world.settle("#emails: []", &format!("emails: [\"{ON_CALL}\"]"));
    world.settle(
        "#webhooks: []",
        &format!(
            "webhooks: [{{ url: \"{}\", secret: {{ file: {secret} }} }}]",
            hook.url()
        ),
    );
    world
}

#[test]
fn the_daemon_tells_and_a_person_answers() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    let trial = world.json(&["alert", "test"]);
    assert_eq!(
        trial.as_array().unwrap().iter().filter(|t| t["taken"] == true).count(),
        2,
        "{trial}"
    );
    assert_eq!(hook.posts()[0].body["kind"], "test");
    world.run(&["alert", "list"]).exits(0).says(&["No alert."]);
    // Its 72 hours are over.
    world.open_breach(BREACH);
    let daemon = world.serve();
    let mails = relay.taken(2);
    until("the webhook has it", || (hook.posts().len() == 2).then_some(()));
    let mail = String::from_utf8_lossy(&mails[1].bytes).into_owned();
    for word in ["Payroll", "Kirchberg S.A.", "Claire Weber", "+352 621", "dpo@", TOKEN] {
        assert!(!mail.contains(word), "`{word}` is readable: {mail}");
        assert!(!hook.posts()[1].raw.contains(word), "`{word}` is readable");
    }
    let status = world.run(&["status"]).exits(2);
    assert!(status.stdout.starts_with("Alerts\n! alert_1  "), "{status:#?}");
    let listed = world.run(&["alert", "list", "--json"]).exits(2).json();
    assert_eq!(listed[0]["condition"], "deadline");
    world.run(&["alert", "ack", "alert_1", "--note", "on it"]).exits(0);
    let listed = world.json(&["alert", "list"]);
    assert_eq!(listed[0]["acknowledged"]["note"], "on it");
    world
        .run(&["alert", "ack", "alert_9"])
        .exits(64)
        .says(&["there is no alert alert_9", "breachpost alert list"]);
    let log = daemon.log();
    assert!(log.contains("something needs a person"), "{log}");
    for secret in [SECRET, TOKEN, ON_CALL, "Payroll"] {
        assert!(!log.contains(secret), "`{secret}` is in the log: {log}");
    }
    assert_eq!(daemon.stop(), 0);
    world.is_intact();
}

#[test]
fn without_a_channel_it_stands_in_status() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    world.run(&["doctor"]).says(&["nobody is told when a deadline is near"]);
    world
        .run(&["alert", "test"])
        .exits(2)
        .says(&["no alert channel is configured"]);
    world
        .run(&["serve", "--once"])
        .exits(0)
        .says(&["something needs a person"]);
    world
        .run(&["status"])
        .exits(2)
        .says(&["! alert_1", "told to nobody: no channel is configured"]);
}

#[test]
fn a_question_of_an_authority_is_told() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    world.import_certificate();
    world.open_breach(BREACH);
    let reference = text(&world.send(&[]).exits(0).json()["reference"]);
    let mail = format!("From: <anna@cnpd.lu>\r\nSubject: Re: {reference}\r\n\r\nHow many persons are concerned?\r\n");
    world.run_with(&["mailbox", "ingest", "-"], mail.as_bytes()).exits(2);
    world.run(&["serve", "--once"]).exits(0);
    let question = hook
        .posts()
        .into_iter()
        .find(|post| post.body["condition"] == "inquiry_due");
    let body = question.expect("the question is told").body;
    assert_eq!(text(&body["about"]["notice"]), reference);
    assert_eq!(
        text(&body["command"]),
        format!("breachpost mailbox show {}", text(&body["about"]["mail"]))
    );
}

/// Whenever the process dies, each alert is told at least once and at most twice, and a repeated one can be recognised.
#[test]
fn killed_between_raising_and_sending() {
    let (relay, hook) = (Relay::sound(), Hook::start(&[]));
    let world = alarmed(&relay, &hook);
    let mut deaths = 0;
    for hit in 1..=14 {
        let breach = world.open_breach(BREACH);
        let mut command = world.command(&["serve", "--once"]);
        command.env("BREACHPOST_DIE_AT", format!("after_commit:{hit}"));
        deaths += u32::from(crate::world::finish(command, b"").status != 0);
        world.run(&["serve", "--once"]).exits(0);
        let posts: Vec<Posted> = hook.posts();
        let ours: Vec<&Posted> = posts.iter().filter(|p| p.body["about"]["breach"] == breach).collect();
        assert!((1..=2).contains(&ours.len()), "{hit}: {ours:?}");
        assert!(ours.iter().all(|post| post.id == ours[0].id), "{hit}");
        let subject = format!("breachpost: something needs you (deadline, {breach})");
        let mails = subjects(&relay, ON_CALL).into_iter().filter(|s| *s == subject).count();
        assert!((1..=2).contains(&mails), "{hit}: {mails}");
    }
    assert!(deaths >= 5, "it died {deaths} times");
    world.is_intact();
}
