//! The drill itself: the real daemon, desk and store work against an outside world on loopback. Nothing is simulated
//! but that world; every sentence of the story is told after it was seen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::random_hex;
use crate::dispatch::checkpoint;
use crate::dispatch::daemon;
use crate::dispatch::desk::campaign::Status;
use crate::dispatch::office::Office;
use crate::model::id::{Actor, CampaignId};
use crate::model::plural::counted;
use crate::model::{Clock, Time};

use super::authority::{self, Authority};
use super::people::{Fate, People};
use super::receiver::{Act, Plan, Receiver, Step, TakenMail, Trouble};
use super::stage;

/// Words of the breach that nobody on the way may read.
pub(super) const MARKERS: [&str; 3] = ["quetzalcoatl", "wrong company", "confirmed it in writing"];
/// No step takes longer than this without something being wrong; a person adds time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const PATIENCE_A_PERSON: Duration = Duration::from_millis(20);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What to rehearse.
#[derive(Debug, Clone)]
pub struct Options {
    pub individuals: usize,
    /// Keep the home here instead of a scratch folder that goes away.
    pub keep: Option<PathBuf>,
}

/// How it went; the last line of `drill --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    pub ok: bool,
    pub notices: NoticeCount,
    pub individuals: PersonCount,
    pub elapsed_ms: u64,
    pub checks: Vec<Check>,
}
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct NoticeCount {
    pub sent: u64,
    pub acknowledged: u64,
}
/// As the campaign's report has it at the end; `informed + unreached + in_doubt + pending = total`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PersonCount {
    pub total: u64,
    pub informed: u64,
    pub unreached: u64,
    pub in_doubt: u64,
    pub pending: u64,
    pub possibly_twice: u64,
    /// Rows of the list, and those of them that name somebody again or cannot be used: `rows - duplicates = total`.
    pub rows: u64,
    pub duplicates: u64,
    pub invalid: u64,
    /// Persons who decrypted their message with their own key and found our good signature.
    pub decrypted: u64,
    /// Persons whose message was taken, and came back later.
    pub returned: u64,
    /// To look at it in a home that was kept.
    pub campaign: Option<CampaignId>,
}
/// One expectation, and whether it was met.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub what: String,
    pub ok: bool,
}

/// What is told while it happens.
pub enum Told<'a> {
    /// A sentence of the story, with who speaks.
    Line { who: &'a str, what: &'a str },
    /// How far the messages to individuals are.
    Sending(&'a Status),
    /// They have all been tried.
    Sent,
}
/// Whoever listens.
pub type Tell<'a> = &'a mut (dyn FnMut(Told<'_>) + Send);

/// Plays the whole main job once.
///
/// # Errors
/// Something of ours failed; an expectation that was not met is in the verdict instead.
pub async fn play(options: &Options, clock: Arc<dyn Clock>, tell: Tell<'_>) -> anyhow::Result<Verdict> {
    let begun = Instant::now();
    let scratch = tempfile::Builder::new().prefix("breachpost-drill-").tempdir()?;
    let root = options.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    let root = std::path::absolute(&root)?;
    let password = random_hex();
    let receiver = Receiver::start(plan(password.expose())).await?;
    let office = stage::set(&root, &receiver, &password, clock)?;
    let mut stage = Stage {
        office: office.clone(),
        root,
        receiver,
        tell,
        checks: Vec::new(),
        by: Actor::Loop("drill".to_owned()),
    };
    stage.say(
        "home",
        &format!("{} with its own store, key and settings", stage.root.display()),
    );
    stage.say(
        "world",
        &format!(
            "a mail server on {} that demands STARTTLS and a login, and misbehaves by plan",
            stage.receiver.address()
        ),
    );
    let stop = CancellationToken::new();
    let daemon = tokio::spawn({
        let stop = stop.clone();
        async move { daemon::serve(&office, stop).await }
    });
    tokio::pin!(daemon);
    let played = tokio::select! {
        played = stage.scenes(options.individuals) => played,
        ended = &mut daemon => Err(too_early(ended)),
    };
    stop.cancel();
    let (notices, individuals) = played?;
    // A daemon that cannot stop in order is a fault too.
    daemon.await??;
    stage.last_looks().await?;
    Ok(Verdict {
        ok: stage.checks.iter().all(|check| check.ok),
        notices,
        individuals,
        elapsed_ms: begun.elapsed().as_millis() as u64,
        checks: stage.checks,
    })
}

/// The daemon ended by itself, which is an error however it did.
fn too_early(ended: Result<Result<(), daemon::DaemonError>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Err(error)) => anyhow::Error::new(error).context("the daemon ended"),
        Ok(Ok(())) => anyhow::anyhow!("the daemon ended too early"),
        Err(error) => anyhow::Error::new(error),
    }
}

/// The outside world: the authority's server asks us to come back once, and so do some persons' servers; some persons'
/// addresses are gone; and once the line breaks after the message was taken and before we hear so.
fn plan(password: &str) -> Plan {
    let come_back = Trouble::at(Step::Rcpt, Act::reply("451 4.7.1 greylisted, come back later"))
        .to(|address| address == authority::ADDRESS)
        .times(1);
    let plan = Plan::starttls().with_account("drill", password).with(come_back);
    Fate::troubles().into_iter().fold(plan, Plan::with)
}

/// Where the scenes are played.
pub(super) struct Stage<'a> {
    pub office: Office,
    pub root: PathBuf,
    pub receiver: Receiver,
    pub tell: Tell<'a>,
    checks: Vec<Check>,
    pub by: Actor,
}

impl Stage<'_> {
    async fn scenes(&mut self, individuals: usize) -> anyhow::Result<(NoticeCount, PersonCount)> {
        let now = self.office.now();
        let people = tokio::task::spawn_blocking(move || People::invent(individuals, now)).await??;
        let mut authority = Authority::fresh(&random_hex(), now)?;
        self.import_certificate(&authority).await?;
        let breach = self.open_breach(&people).await?;
        let notices = self.notify(breach, &mut authority).await?;
        let persons = self.inform(breach, Arc::new(people)).await?;
        Ok((notices, persons))
    }

    async fn last_looks(&mut self) -> anyhow::Result<()> {
        let wire = self.receiver.clear_wire();
        self.say(
            "wire",
            &format!(
                "{} were seen in clear text: greetings and STARTTLS, nothing else",
                counted(wire.len(), "byte")
            ),
        );
        self.check(
            "no address and no word of the breach crossed the wire in clear text",
            !leaks(&wire) && !wire.contains(&b'@'),
        );
        let mails = self.receiver.mails();
        self.check(
            "every message came under TLS and after login",
            mails.iter().all(|mail| mail.tls && mail.user.is_some()),
        );
        let audit = checkpoint::audit(&self.office).await?;
        self.say(
            "journal",
            &format!(
                "{}, {}, chain verified",
                counted(audit.length, "entry"),
                counted(audit.checkpoints, "signed checkpoint")
            ),
        );
        self.check("the journal is intact", audit.intact && audit.checkpoints > 0);
        Ok(())
    }

    pub fn mails_to(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<TakenMail>> {
        self.receiver
            .mails()
            .into_iter()
            .filter(|mail| mail.recipients.iter().any(|r| wanted(&r.address)))
            .collect()
    }

    pub fn say(&mut self, who: &str, what: &str) {
        (self.tell)(Told::Line { who, what });
    }

    pub fn check(&mut self, what: &str, ok: bool) {
        if !ok {
            self.say("check", &format!("NOT MET: {what}"));
        }
        self.checks.push(Check {
            what: what.to_owned(),
            ok,
        });
    }
}

/// Whether a word of the breach stands in these bytes.
pub(super) fn leaks(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    MARKERS.iter().any(|marker| contains_folded(&text, marker))
}

/// Line wrapping must not hide a word.
pub(super) fn contains_folded(text: &str, wanted: &str) -> bool {
    folded(text).contains(&folded(wanted))
}

pub(super) fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// When the drill's clock begins: for the story's time column.
pub fn elapsed(begun: Time, now: Time) -> String {
    format!("{:5.1} s", (now - begun).num_milliseconds() as f64 / 1000.0)
}
