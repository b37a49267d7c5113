//! `kill -9` at every step of the dialogue with the relay: after a restart nothing is lost, nothing waits for a lease to
//! run out, and a message is in doubt only where the relay may have taken it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::HashMap;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use serde_json::Value;

use world::relay::Relay;
use world::{World, text, until};

/// Waits until the program has come to this step, where the relay holds it.
fn until_held(relay: &Relay, step: Step) {
    let said: &[u8] = match step {
        Step::Greeting => b"",
        Step::Ehlo => b"EHLO",
        Step::Mail => b"MAIL FROM",
        Step::Rcpt => b"RCPT TO",
        Step::Data => b"DATA\r\n",
        _ => b"\r\n.\r\n",
    };
    until(&format!("the relay is at {step:?}"), || {
        let wire = relay.clear_wire();
        let came = relay.connections() > 0 && (said.is_empty() || wire.windows(said.len()).any(|w| w == said));
        came.then_some(())
    });
    if step == Step::Taken {
        relay.taken(1);
    }
}

fn outcomes(notice: &Value) -> Vec<String> {
    let attempts = notice["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| text(&attempt["outcome"])).collect()
}

/// The steps before MAIL leave no doubt; from then on only the relay knows, for a dead process cannot tell.
const STEPS: [(Step, bool); 7] = [
    (Step::Greeting, false),
    (Step::Ehlo, false),
    (Step::Mail, true),
    (Step::Rcpt, true),
    (Step::Data, true),
    (Step::FinalDot, true),
    (Step::Taken, true),
];

#[test]
fn a_command_that_was_killed_is_finished_by_the_daemon() {
    for (step, doubt) in STEPS {
        let relay = Relay::troubled(step, Act::Silence, 1);
        let world = World::ready(&relay);
        let sending = world.start(&["notice", "send", world.breach(), "--to", "lu-cnpd", "--yes"]);
        until_held(&relay, step);
        sending.kill();

        let [notice] = world.notices().try_into().unwrap();
        let reference = text(&notice["reference"]);
        let daemon = world.serve();
        let handed = world.until_notice(&reference, "handed");
        assert_eq!(handed["possibly_twice"], doubt, "{step:?}: {handed}");
        let wanted: &[&str] = if doubt {
            &["recovered", "accepted"]
        } else {
            &["accepted"]
        };
        assert_eq!(outcomes(&handed), wanted, "{step:?}");
        assert_eq!(daemon.stop(), 0);

        let mails = relay.mails();
        assert_eq!(mails.len(), if step == Step::Taken { 2 } else { 1 }, "{step:?}");
        assert!(
            mails.iter().all(|mail| mail.bytes == mails[0].bytes),
            "the same message, both times"
        );
        world.is_intact();
    }
}

/// So many notices in the queue, none of them handed over yet.
fn queue(world: &World, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| {
            let sent = world.send(&[]).exits(2).json();
            assert_eq!(sent["state"], "queued");
            text(&sent["reference"])
        })
        .collect()
}

/// A relay that first sends everybody away, so many times.
fn reluctant(times: usize) -> Plan {
    let later = Trouble::at(Step::Mail, Act::reply("451 4.7.1 come back later"));
    Plan::clear().with(later.times(u32::try_from(times).unwrap()))
}

#[test]
fn a_daemon_that_is_killed_again_and_again_loses_nothing_and_repeats_only_what_it_says() {
    const NOTICES: usize = 12;
    let relay = Relay::start(reluctant(NOTICES));
    let world = World::ready(&relay);
    world.settle("\n  #connections: 8", "\n  connections: 2");
    let references = queue(&world, NOTICES);
    for kill in 1..=3 {
        let daemon = world.start(&["serve"]);
        relay.taken(kill * 3);
        daemon.kill();
    }
    let daemon = world.serve();
    let mut doubtful = 0;
    for reference in &references {
        let notice = world.until_notice(reference, "handed");
        let times = relay
            .mails()
            .iter()
            .filter(|mail| String::from_utf8_lossy(&mail.bytes).contains(reference.as_str()))
            .count();
        let twice = notice["possibly_twice"] == true;
        assert!(
            times == 1 || times > 1 && twice,
            "{reference} came {times} times: {notice}"
        );
        doubtful += usize::from(twice);
    }
    // Two connections, killed three times.
    assert!(doubtful <= 6, "{doubtful} in doubt");
    assert_eq!(daemon.stop(), 0);
    let mut seen: HashMap<String, Vec<u8>> = HashMap::new();
    for mail in relay.mails() {
        let parsed = mail_parser::MessageParser::default().parse(&mail.bytes).unwrap();
        let id = parsed.message_id().unwrap().to_owned();
        assert_eq!(seen.entry(id).or_insert_with(|| mail.bytes.clone()), &mail.bytes);
    }
    assert_eq!(seen.len(), NOTICES);
    world.is_intact();
}

#[test]
fn a_daemon_killed_after_the_dot_doubts_one_message_and_sends_the_others_once() {
    let held = Trouble::at(Step::Taken, Act::Silence).times(1);
    let relay = Relay::start(reluctant(3).with(held));
    let world = World::ready(&relay);
    world.settle("\n  #connections: 8", "\n  connections: 1");
    let references = queue(&world, 3);
    let daemon = world.start(&["serve"]);
    relay.taken(1);
    daemon.kill();

    let daemon = world.serve();
    let notices: Vec<Value> = references
        .iter()
        .map(|reference| world.until_notice(reference, "handed"))
        .collect();
    assert_eq!(
        notices.iter().filter(|notice| notice["possibly_twice"] == true).count(),
        1
    );
    assert_eq!((daemon.stop(), relay.mails().len()), (0, 4));
    world.is_intact();
}

#[test]
fn a_mail_that_was_taken_in_survives_the_death_of_the_daemon() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = world.send(&[]).exits(0).json();
    let reference = text(&sent["reference"]);
    let daemon = world.serve();
    for number in 0..20 {
        let mail = format!("From: <anna@cnpd.lu>\r\nSubject: Re: {reference} ({number})\r\n\r\nA question.\r\n");
        world.deliver(&format!("1763722800.M{number}P1.cnpd"), mail.as_bytes());
    }
    until("the daemon has begun to read", || {
        let tray = world.run(&["mailbox", "tray", "--json"]).json();
        (!tray.as_array().unwrap().is_empty()).then_some(())
    });
    daemon.kill();
    let daemon = world.serve();
    until("all twenty are in the tray, once", || {
        let tray = world.run(&["mailbox", "tray", "--json"]).json();
        (tray.as_array().unwrap().len() == 20).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    assert_eq!(
        world
            .run(&["mailbox", "tray", "--json"])
            .json()
            .as_array()
            .unwrap()
            .len(),
        20
    );
    world.is_intact();
}
