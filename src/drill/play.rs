//! The drill itself: the real daemon, desk and store work against an outside world on loopback. Nothing is simulated
//! but that world; every sentence of the story is told after it was seen.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::random_hex;
use crate::dispatch::campaign::import::{self, ImportRequest, Target};
use crate::dispatch::campaign::{CampaignContent, Letter, Wording};
use crate::dispatch::checkpoint;
use crate::dispatch::daemon;
use crate::dispatch::desk::breach;
use crate::dispatch::desk::certificate::{self, Verified, Vouched};
use crate::dispatch::desk::notice::{self, NoticeRequest, NoticeView};
use crate::dispatch::office::Office;
use crate::model::breach::Record;
use crate::model::id::{Actor, BreachId, CampaignId, Reference};
use crate::model::notice::NoticeState;
use crate::model::{Clock, Time};
use crate::store::Tally;

use super::authority::{self, Authority};
use super::receiver::{Act, Plan, Receiver, Step, TakenMail, Trouble};
use super::stage;

/// Words of the breach that nobody on the way may read.
const MARKERS: [&str; 3] = ["quetzalcoatl", "wrong company", "confirmed it in writing"];
/// One person in so many has an address that the world refuses.
const REFUSED_EVERY: usize = 10;
/// No step takes longer than this without something being wrong; a person adds time.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_A_PERSON: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PersonCount {
    pub total: u64,
    pub informed: u64,
    pub unreached: u64,
    pub in_doubt: u64,
    pub pending: u64,
    pub possibly_twice: u64,
}
/// One expectation, and whether it was met.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub what: String,
    pub ok: bool,
}

/// A sentence of the story, with who speaks.
pub type Tell<'a> = &'a mut (dyn FnMut(&str, &str) + Send);

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
    tell(
        "home",
        &format!("{} with its own store, key and settings", root.display()),
    );
    tell(
        "world",
        &format!(
            "a mail server on {} that demands STARTTLS and a login, and misbehaves by plan",
            receiver.address()
        ),
    );

    let stop = CancellationToken::new();
    let daemon = tokio::spawn({
        let (office, stop) = (office.clone(), stop.clone());
        async move { daemon::serve(&office, stop).await }
    });
    let mut stage = Stage {
        office,
        root,
        receiver,
        tell,
        checks: Vec::new(),
        by: Actor::Loop("drill".to_owned()),
    };
    let played = tokio::select! {
        played = stage.scenes(options.individuals) => played,
        ended = daemon_ended(&stop, daemon) => Err(ended),
    };
    stop.cancel();
    let (notices, individuals) = played?;
    stage.last_looks().await?;
    let ok = stage.checks.iter().all(|check| check.ok);
    if options.keep.is_some() {
        (stage.tell)("home", &format!("kept: {}", stage.root.display()));
    }
    Ok(Verdict {
        ok,
        notices,
        individuals,
        elapsed_ms: begun.elapsed().as_millis() as u64,
        checks: stage.checks,
    })
}

/// Resolves only if the daemon ends by itself, which is an error.
async fn daemon_ended(
    stop: &CancellationToken,
    daemon: tokio::task::JoinHandle<Result<(), daemon::DaemonError>>,
) -> anyhow::Error {
    match daemon.await {
        Ok(Err(error)) => anyhow::Error::new(error).context("the daemon ended"),
        Ok(Ok(())) if stop.is_cancelled() => anyhow::anyhow!("the daemon was stopped"),
        Ok(Ok(())) => anyhow::anyhow!("the daemon ended too early"),
        Err(error) => anyhow::Error::new(error),
    }
}

/// The outside world: the authority's server asks us to come back once, some persons' addresses are gone, and once the
/// line breaks after the message was taken and before we hear so.
fn plan(password: &str) -> Plan {
    Plan::starttls()
        .with_account("drill", password)
        .with(
            Trouble::at(Step::Rcpt, Act::reply("451 4.7.1 greylisted, come back later"))
                .to(|address| address == authority::ADDRESS)
                .times(1),
        )
        .with(Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(|address| address.starts_with("gone-")))
        .with(
            Trouble::at(Step::Taken, Act::Close)
                .to(|address| address.starts_with("person-1@"))
                .times(1),
        )
}

struct Stage<'a> {
    office: Office,
    root: PathBuf,
    receiver: Receiver,
    tell: Tell<'a>,
    checks: Vec<Check>,
    by: Actor,
}

impl Stage<'_> {
    async fn scenes(&mut self, individuals: usize) -> anyhow::Result<(NoticeCount, PersonCount)> {
        let mut authority = Authority::fresh(&random_hex(), self.office.now())?;
        self.import_certificate(&authority).await?;
        let (breach, record) = self.open_breach().await?;
        let notices = self.notify(breach, &mut authority).await?;
        let persons = self.inform(breach, record, individuals).await?;
        Ok((notices, persons))
    }

    async fn import_certificate(&mut self, authority: &Authority) -> anyhow::Result<()> {
        let pin = certificate::import(
            &self.office,
            authority::ID,
            authority.certificate().as_bytes(),
            Vouched {
                fingerprint: authority.fingerprint().to_owned(),
                verified: Verified::Phone,
                accepted_user_id: None,
                accept_expired: false,
            },
            &self.by,
        )
        .await?;
        self.say(
            "authority",
            &format!(
                "made a fresh key, {}; we pinned its certificate {}",
                pin.facts.algorithm, pin.fingerprint
            ),
        );
        Ok(())
    }

    async fn open_breach(&mut self) -> anyhow::Result<(BreachId, Record)> {
        let mut record = Record::read("the drill's breach", include_bytes!("breach.yaml"))?;
        record.timeline.aware_at = Some((self.office.now() - chrono::TimeDelta::hours(26)).into());
        let view = breach::open(&self.office, &record, &self.by).await?;
        let left = view.clock.as_ref().map(|clock| clock.left.clone()).unwrap_or_default();
        self.say(
            "breach",
            &format!("{} is in the register; aware 26 hours ago, {left}", view.id),
        );
        Ok((view.id, record))
    }

    async fn notify(&mut self, breach: BreachId, authority: &mut Authority) -> anyhow::Result<NoticeCount> {
        let request = NoticeRequest {
            breach,
            authority: authority::ID.to_owned(),
            kind: None,
            language: None,
            attachments: Vec::new(),
            explanation: None,
            decision: None,
            in_reply_to: None,
        };
        let prepared = notice::prepare(&self.office, request).await?;
        let filed = notice::file(&self.office, prepared, &self.by).await?;
        let reference = filed.reference.clone();
        self.say(
            "notice",
            &format!(
                "{reference}, {}, sealed to the authority and to ourselves, checked, and queued",
                filed.kind.name()
            ),
        );
        let handed = self
            .until("the relay takes the notice", PATIENCE, &reference, NoticeState::Handed)
            .await?;
        for attempt in &handed.attempts {
            let words = match (&attempt.reply, &attempt.fault) {
                (Some(reply), _) => reply.to_string(),
                (None, Some(fault)) => fault.to_string(),
                (None, None) => String::new(),
            };
            let tls = attempt
                .tls
                .as_ref()
                .map_or_else(String::new, |tls| format!(", over {}", tls.version));
            self.say("relay", &format!("{}{tls}: {words}", attempt.outcome));
        }
        self.check(
            "the notice was deferred once and then accepted",
            handed.attempts.len() == 2,
        );
        let Some(mail) = self
            .mails_to(|address| address == authority::ADDRESS)
            .into_iter()
            .next()
        else {
            self.check("the notice reached the authority's server", false);
            return Ok(NoticeCount {
                sent: 1,
                acknowledged: 0,
            });
        };
        let now = self.office.now();
        let reading = authority.read(&mail.bytes, now)?;
        self.say(
            "authority",
            &format!(
                "decrypted {} bytes; subject inside: {}",
                mail.bytes.len(),
                reading.subject
            ),
        );
        let ours = self.office.our_key().await?;
        self.check(
            "the authority decrypted the notice and found our good signature",
            reading.signed_by == ours.fingerprint(),
        );
        self.check(
            "the notice says what happened, what follows and what was done",
            MARKERS
                .iter()
                .all(|m| contains_folded(&reading.text, m) || *m == "wrong company"),
        );
        self.check(
            "nothing of the breach stands in clear text in the mail",
            !leaks(&mail.bytes),
        );
        let (number, answer) = authority.acknowledge(&reading, now)?;
        stage::deliver(&self.root, "1.drill-acknowledgement", &answer)?;
        self.say(
            "authority",
            &format!("acknowledged under {number}, signed and encrypted to us"),
        );
        let acknowledged = self
            .until(
                "the acknowledgement is matched",
                PATIENCE,
                &reference,
                NoticeState::Acknowledged,
            )
            .await?;
        let theirs = acknowledged.authority_reference.clone().unwrap_or_default();
        self.say(
            "mailbox",
            &format!("acknowledgement of {reference} recognised, its signature verified; their reference {theirs}"),
        );
        self.check(
            "the acknowledgement was matched with the authority's own reference",
            theirs == number,
        );
        let signed = acknowledged.acknowledgement.as_ref().is_some_and(
            |ack| matches!(&ack.proof, crate::model::proof::Proof::Signed { by, .. } if by == authority.fingerprint()),
        );
        self.check("its proof is the authority's signature", signed);
        Ok(NoticeCount {
            sent: 1,
            acknowledged: u64::from(acknowledged.state == NoticeState::Acknowledged),
        })
    }

    async fn inform(&mut self, breach: BreachId, record: Record, individuals: usize) -> anyhow::Result<PersonCount> {
        // A list of nobody is refused, and there is nothing to rehearse.
        if individuals == 0 {
            return Ok(PersonCount::default());
        }
        let begun = Instant::now();
        let content = CampaignContent {
            record,
            reference: "drill".to_owned(),
            authority: Some("Drill Authority".to_owned()),
            fallback_language: "en".to_owned(),
            wording: Wording::default(),
            encrypt: self.office.config.campaign.encrypt,
        };
        let file = self.office.home.root().join("individuals.csv");
        std::fs::write(&file, list(individuals))?;
        let request = ImportRequest::new(
            file,
            Target::Fresh {
                breach,
                content: Box::new(content),
            },
        );
        let id = import::import(&self.office, request, &self.by, |_| ()).await?.campaign;
        let (store, now) = (&self.office.store, self.office.now());
        let hash = Letter::of(&self.office, id).await?.digest(&self.office, id).await?;
        store.approve_campaign(id, &hash, 1, &self.by, now).await?;
        store.start(id, &self.by, now).await?;
        self.say(
            "persons",
            &format!("{individuals} individual letters started, one message and one recipient each"),
        );
        let patience = PATIENCE + PATIENCE_A_PERSON * individuals as u32;
        let tally = self.until_settled(id, patience).await?;
        let count = PersonCount {
            total: individuals as u64,
            informed: tally.handed + tally.confirmed,
            unreached: tally.failed + tally.cancelled,
            in_doubt: tally.in_doubt,
            pending: tally.ready + tally.leased + tally.on_wire + tally.held,
            possibly_twice: tally.possibly_twice,
        };
        // A rate over a few letters measures the planned waits, not the work.
        let rate = match individuals {
            0..1_000 => String::new(),
            n => format!("; {:.0} a second", n as f64 / begun.elapsed().as_secs_f64()),
        };
        self.say(
            "persons",
            &format!(
                "{} informed, {} unreached (their servers refused them), {} possibly twice{rate}",
                count.informed, count.unreached, count.possibly_twice
            ),
        );
        let refused = individuals / REFUSED_EVERY;
        self.check(
            "every person is accounted for",
            count.informed + count.unreached == count.total && count.pending + count.in_doubt == 0,
        );
        self.check(
            "exactly those refused by plan are unreached",
            count.unreached == refused as u64,
        );
        self.check_letters(individuals);
        Ok(count)
    }

    /// Nobody skipped, nobody told twice but for the one line that broke, and that one under the same Message-ID.
    fn check_letters(&mut self, individuals: usize) {
        let mut letters: HashMap<String, Vec<Option<String>>> = HashMap::new();
        for mail in self.mails_to(|address| address != authority::ADDRESS) {
            let id = message_id(&mail.bytes);
            for recipient in &mail.recipients {
                letters.entry(recipient.address.clone()).or_default().push(id.clone());
            }
        }
        let expected: HashSet<String> = (1..=individuals)
            .map(address)
            .filter(|address| !address.starts_with("gone-"))
            .collect();
        let got: HashSet<String> = letters.keys().cloned().collect();
        self.check("nobody was skipped and nobody else was written to", expected == got);
        let once = letters
            .values()
            .all(|ids| ids.iter().collect::<HashSet<_>>().len() == 1);
        self.check("nobody has two different messages", once);
        let extra: usize = letters.values().map(|ids| ids.len() - 1).sum();
        self.check(
            "only the line that broke brought a message twice",
            extra == usize::from(individuals > 0),
        );
    }

    async fn last_looks(&mut self) -> anyhow::Result<()> {
        let wire = self.receiver.clear_wire();
        self.say(
            "wire",
            &format!(
                "{} bytes were seen in clear text: greetings and STARTTLS, nothing else",
                wire.len()
            ),
        );
        self.check(
            "no address and no word of the breach crossed the wire in clear text",
            !leaks(&wire) && !wire.contains(&b'@'),
        );
        self.check(
            "every message came under TLS and after login",
            self.receiver.mails().iter().all(|mail| mail.tls && mail.user.is_some()),
        );
        let audit = checkpoint::audit(&self.office).await?;
        self.say(
            "journal",
            &format!(
                "{} entries, {} signed checkpoints, chain verified",
                audit.length, audit.checkpoints
            ),
        );
        self.check("the journal is intact", audit.intact && audit.checkpoints > 0);
        Ok(())
    }

    async fn until(
        &self,
        what: &str,
        patience: Duration,
        reference: &Reference,
        wanted: NoticeState,
    ) -> anyhow::Result<NoticeView> {
        let end = Instant::now() + patience;
        loop {
            let view = notice::show(&self.office, reference).await?;
            if view.state == wanted {
                return Ok(view);
            }
            anyhow::ensure!(
                Instant::now() < end,
                "waited {} s until {what}: {reference} is {}",
                patience.as_secs(),
                view.state.name()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn until_settled(&self, id: CampaignId, patience: Duration) -> anyhow::Result<Tally> {
        let end = Instant::now() + patience;
        loop {
            let tally = self.office.store.tally(id).await?;
            if tally.ready + tally.leased + tally.on_wire + tally.in_doubt == 0 {
                return Ok(tally);
            }
            anyhow::ensure!(
                Instant::now() < end,
                "waited {} s until all letters were tried",
                patience.as_secs()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn mails_to(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<TakenMail>> {
        self.receiver
            .mails()
            .into_iter()
            .filter(|mail| mail.recipients.iter().any(|r| wanted(&r.address)))
            .collect()
    }

    fn say(&mut self, who: &str, what: &str) {
        (self.tell)(who, what);
    }

    fn check(&mut self, what: &str, ok: bool) {
        if !ok {
            (self.tell)("check", &format!("NOT MET: {what}"));
        }
        self.checks.push(Check {
            what: what.to_owned(),
            ok,
        });
    }
}

/// The list as a customer system would export it.
fn list(individuals: usize) -> String {
    let mut list = String::from("email,name,language,data\n");
    for number in 1..=individuals {
        let address = address(number);
        list.push_str(&format!("{address},Person {number},en,\"basic_identity, financial\"\n"));
    }
    list
}

fn address(number: usize) -> String {
    let gone = number.is_multiple_of(REFUSED_EVERY);
    format!("{}-{number}@people.example", if gone { "gone" } else { "person" })
}

fn leaks(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    MARKERS.iter().any(|marker| contains_folded(&text, marker))
}

/// Line wrapping must not hide a word.
fn contains_folded(text: &str, marker: &str) -> bool {
    text.split_whitespace().collect::<Vec<_>>().join(" ").contains(marker)
}

fn message_id(mail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(mail);
    text.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id").then(|| value.trim().to_owned())
    })
}

/// When the drill's clock begins: for the story's time column.
pub fn elapsed(begun: Time, now: Time) -> String {
    format!("{:5.1} s", (now - begun).num_milliseconds() as f64 / 1000.0)
}
