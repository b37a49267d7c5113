//! What needs a person reaches one: by mail and by webhook, once for each stage, again when nobody says that they know,
//! whatever fails on the way, and with nothing of the breach in it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod clerks;
mod hook;
mod installed;
#[path = "../scratch/paused.rs"]
mod paused;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../scratch/mod.rs"]
mod scratch;
mod telling;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use breachpost::config::{SecretSource, Webhook};
use breachpost::dispatch::clerk;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::{Worker, WorkerKind};
use breachpost::drill::receiver::Receiver;
use breachpost::model::Time;
use chrono::TimeDelta;

use hook::Hook;
use scratch::{Scratch, assert_sealed};

const ON_CALL: &str = "oncall@company.example";
const CHIEF: &str = "chief@company.example";
const SECRET: &str = "shared-secret-of-the-webhook";
/// A part of the URL that no log and no list may show.
const TOKEN: &str = "token-in-the-path";

/// A scratch home with alert channels, and a clerk's worker.
struct House {
    scratch: Scratch,
    office: Office,
    clerk: Worker,
}
impl House {
    async fn new(receiver: &Receiver, hook: Option<&Hook>) -> Self {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        let scratch = Scratch::over(receiver, now).await;
        let office = with_channels(&scratch.office, hook);
        let clerk = Worker::sign_on(&office.home.workers_dir(), WorkerKind::Command).unwrap();
        Self { scratch, office, clerk }
    }
    async fn round(&self) -> clerk::Round {
        clerk::round(&self.office, self.clerk.id()).await.unwrap()
    }
    /// A round at so many hours after the breach became known, an hour before the start.
    async fn round_at(&self, start: Time, hours: i64) -> clerk::Round {
        self.scratch.clock.set(start + TimeDelta::hours(hours - 1));
        self.round().await
    }
}

fn with_channels(office: &Office, hook: Option<&Hook>) -> Office {
    let mut office = office.clone();
    let mut config = (*office.config).clone();
    config.alerts.emails = vec![ON_CALL.parse().unwrap()];
    config.alerts.escalate_emails = vec![CHIEF.parse().unwrap()];
    if let Some(hook) = hook {
        let path = office.home.root().join("keys/webhook.secret");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(&path).unwrap();
        file.write_all(SECRET.as_bytes()).unwrap();
        config.alerts.webhooks = vec![Webhook {
            url: hook.url().parse().unwrap(),
            secret: Some(SecretSource::File(path)),
        }];
    }
    office.config = Arc::new(config);
    office
}

/// The subjects of the mails to one address, unfolded.
fn subjects(receiver: &Receiver, to: &str) -> Vec<String> {
    let mails = receiver.mails().into_iter();
    let theirs = mails.filter(|mail| mail.recipients.iter().any(|r| r.address == to));
    let subject = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ");
        let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap().to_owned()
    };
    theirs.map(|mail| subject(&mail.bytes)).collect()
}

/// Nothing of the breach, of its persons and of us, but ids.
fn assert_says_nothing(bytes: &[u8]) {
    assert_sealed(bytes);
    let text = String::from_utf8_lossy(bytes);
    for word in [
        "staff list",
        "Company S.A.",
        "rue de l'",
        "high_risk",
        "misdirected",
        SECRET,
        TOKEN,
    ] {
        assert!(!text.contains(word), "`{word}` is readable: {text}");
    }
}
