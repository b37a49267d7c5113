//! `doctor --deep`: the whole path, also that of campaigns.

use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use breachpost::drill::receiver::{Offers, Plan, TakenMail};
use breachpost::model::{Clock as _, SystemClock};
use chrono::TimeDelta;
use serde_json::Value;

use crate::server::{Server, lost, unchanged, unvouched, vouched, with_disclaimer, with_report, without_plus};
use crate::world::World;
use crate::world::relay::Relay;
use crate::{Behind, left_behind, setting};

/// Findings that are expected: what about, how good, and words in it.
type Expected = &'static [(&'static str, &'static str, &'static str)];

/// One finding of `doctor`.
fn finding<'v>(findings: &'v Value, what: &str) -> &'v Value {
    let found = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("no finding about {what}: {findings:#}"))
}

#[test]
fn doctor_looks_at_the_whole_path() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    world.settle("#verp: none", "verp: plus");
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let mailbox = setting(&world, "maildir:");
    world.settle(&mailbox, &mailbox.replace(" }", ", trusted_authserv_id: mx.example }"));
    let table: [(&str, Server, Expected); 7] = [
        (
            "all is well",
            with_report,
            &[
                ("path", "good", "as it was sent"),
                ("plus", "good", "arrives"),
                ("reports", "good", "came back"),
                ("clock", "good", "agree"),
            ],
        ),
        (
            "sender proven",
            vouched,
            &[
                ("path", "good", "as it was sent"),
                ("sender", "good", "DMARC says pass"),
            ],
        ),
        (
            "sender not aligned",
            unvouched,
            &[(
                "sender",
                "bad",
                "DKIM says pass of provider.example, which does not speak for the From address",
            )],
        ),
        (
            "no report",
            unchanged,
            &[("reports", "good", "none came within the wait")],
        ),
        (
            "no plus",
            without_plus,
            &[("path", "good", ""), ("plus", "bad", "did not come back")],
        ),
        ("a disclaimer", with_disclaimer, &[("path", "bad", "disclaimer")]),
        ("nothing", lost, &[("path", "bad", "not in the mailbox")]),
    ];
    for (name, server, expected) in table {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server,
            done: &done,
        };
        let ran = behind.run(&deep);
        let findings = ran.json();
        for (what, grade, words) in expected {
            let found = finding(&findings, what);
            assert_eq!(found["grade"], *grade, "{name}: {findings:#}");
            assert!(found["text"].as_str().unwrap().contains(words), "{name}: {findings:#}");
            assert_eq!(found["remedy"].is_null(), *grade == "good", "{name}: {findings:#}");
        }
        let bad = findings
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["grade"] == "bad");
        assert_eq!(ran.status, if bad { 2 } else { 0 }, "{name}: {findings:#}");
    }
    left_behind(&world);
}

/// Mail to the sender of campaigns goes nowhere, or not where it is looked for.
fn without_individuals(mail: &TakenMail) -> Vec<String> {
    match mail.recipients[0].address.starts_with("info") {
        true => Vec::new(),
        false => unchanged(mail),
    }
}

#[test]
fn doctor_looks_at_the_way_of_campaigns_too() {
    let (relay, gone) = (Relay::sound(), Relay::sound());
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let behind = |server: Server, line: &[&str]| {
        let behind = Behind {
            world: &world,
            relay: &relay,
            server,
            done: &done,
        };
        behind.run(line)
    };
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let main = ["path", "relay", "mailbox"];
    let about_individuals = |findings: &Value| {
        let all = findings.as_array().unwrap().iter();
        all.filter(|finding| finding["what"].as_str().unwrap().starts_with("individuals."))
            .count()
    };
    let findings = behind(unchanged, &deep).exits(0).json();
    assert_eq!(
        about_individuals(&findings),
        0,
        "the same way is not gone twice: {findings:#}"
    );

    let sender = "sender: { address: info@brasserie-kirchberg.example, verp: plus }";
    world.settle_individuals(sender);
    let table: [(Server, Expected); 3] = [
        (
            unchanged,
            &[
                ("individuals.path", "good", "a person could read it"),
                ("individuals.plus", "good", "bounces find their person"),
            ],
        ),
        (
            without_individuals,
            &[("individuals.path", "bad", "not in the mailbox")],
        ),
        (
            without_plus,
            &[
                ("individuals.path", "good", "as it was sent"),
                ("individuals.plus", "bad", "did not come back"),
            ],
        ),
    ];
    for (server, expected) in table {
        let findings = behind(server, &deep).json();
        for (what, grade, words) in expected {
            let found = finding(&findings, what);
            assert_eq!(found["grade"], *grade, "{findings:#}");
            assert!(found["text"].as_str().unwrap().contains(words), "{findings:#}");
        }
        for what in main {
            assert_eq!(finding(&findings, what)["grade"], "good", "{findings:#}");
        }
        let path = finding(&findings, "individuals.path");
        let remedy = path["remedy"].as_str().unwrap_or("set `individuals.mailbox`");
        assert!(remedy.contains("set `individuals.mailbox`"), "{path}");
    }

    // A relay and a mailbox of their own, of which neither is there.
    let (url, mailbox) = (gone.url(), world.scratch().join("nowhere"));
    drop(gone);
    let own = format!(
        "relay: {{ url: \"{url}\" }}, mailbox: {{ url: \"maildir:{}\" }}",
        mailbox.display()
    );
    world.settle(sender, &format!("{sender}, {own}"));
    let findings = world.run(&["doctor", "--json"]).exits(2).json();
    for what in ["individuals.relay", "individuals.mailbox"] {
        let found = finding(&findings, what);
        assert_eq!(found["grade"], "bad", "{findings:#}");
        assert!(
            found["remedy"].as_str().unwrap().contains(&format!("mend `{what}`")),
            "{found}"
        );
    }
    for what in &main[1..] {
        assert_eq!(finding(&findings, what)["grade"], "good", "{findings:#}");
    }
    left_behind(&world);
}

#[test]
fn doctor_says_what_the_relay_lacks_and_how_long_the_token_lives() {
    let offers = Offers {
        dsn: false,
        ..Offers::default()
    };
    let relay = Relay::start(Plan {
        offers,
        ..Plan::implicit().with_account("breach", crate::world::RELAY_PASSWORD)
    });
    let world = World::ready(&relay);
    let done = AtomicUsize::new(0);
    let behind = Behind {
        world: &world,
        relay: &relay,
        server: unchanged,
        done: &done,
    };
    let deep = ["doctor", "--deep", "--json", "--timeout", "10"];
    let findings = behind.run(&deep).exits(0).json();
    assert_eq!(finding(&findings, "reports")["grade"], "warning", "{findings:#}");

    let config = std::fs::read_to_string(world.home().join("config.yaml")).unwrap();
    let password = config
        .lines()
        .find(|line| line.contains("password: { file: ") && line.contains("relay"))
        .unwrap();
    world.settle(password, "  oauth2: { token: { file: token } }");
    for (minutes, grade, words) in [(-1, "bad", "EXPIRED"), (2, "warning", "in 1"), (60, "good", "minutes")] {
        let end = (SystemClock.now() + TimeDelta::minutes(minutes)).timestamp();
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
        let path = world.home().join("token");
        let _ = std::fs::remove_file(&path);
        std::fs::rename(
            world.private_file("a.token", format!("e30.{claims}.c2ln").as_bytes()),
            path,
        )
        .unwrap();
        let findings = behind.run(&deep).exits(2).json();
        let found = finding(&findings, "token");
        assert_eq!(found["grade"], grade, "{findings:#}");
        assert!(found["text"].as_str().unwrap().contains(words), "{findings:#}");
        // The relay knows no tokens: that is a finding of its own and stops nothing.
        assert_eq!(finding(&findings, "path")["grade"], "bad");
        assert!(!findings.to_string().contains(&claims));
    }
}
