//! `campaign approve`, `start` and what follows: agreeing, sending, following, stopping.

use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::LiveLine;
use super::report::{human, needs_person, tell};
use crate::cli::Context;
use crate::cli::ask::Terminal;
use crate::cli::output::{Exit, Failure};
use crate::cli::wording::WordingArgs;
use crate::dispatch::courier::{Courier, Scope};
use crate::dispatch::desk::breach;
use crate::dispatch::desk::campaign::{self, Preview, Started, Status, Whose};
use crate::dispatch::office::Office;
use crate::dispatch::worker::{Worker, WorkerKind};
use crate::model::campaign::CampaignState;
use crate::model::id::CampaignId;
use crate::model::plural::{counted, if_one};
use crate::model::time::parse_aware;

/// How often a run is looked at while it is followed.
const LOOK: Duration = Duration::from_millis(250);
/// A look counts all persons; of a million that takes so long that it is done less often.
const LOOKS_SHARE: u32 = 20;
const NO_DAEMON_AT_ITS_TIME: &str = "No daemon runs. It starts at its time only if one does: breachpost serve";

/// The life of a campaign.
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Agree to exactly what would be sent: the messages in every language, the sender, the list. A later edit voids it.
    /// With `approval.campaign: two_persons` another person must do the same, with a token of their own.
    #[command(
        after_help = "Examples:\n  breachpost campaign approve cmp_1\n  breachpost campaign approve cmp_1 --yes --token-file anna.token\n  breachpost campaign approve cmp_1 --despite-errors \\\n      --reason 'the number is the one that the public may see'"
    )]
    Approve {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Agree although `campaign check` finds errors: what must not be sent.
        #[arg(long, requires = "reason")]
        despite_errors: bool,
        /// Why all the same; it stands in the timeline.
        #[arg(long, value_name = "TEXT", requires = "despite_errors")]
        reason: Option<String>,
    },
    /// Take the breach record and `campaign.encrypt` as they are now, and other words where they are given. An approval is
    /// void then.
    #[command(
        after_help = "Examples:\n  breachpost campaign update cmp_1\n  breachpost campaign update cmp_1 --texts texts.yaml"
    )]
    Update {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        #[command(flatten)]
        wording: WordingArgs,
    },
    /// Send what was approved. Without a daemon this command sends; started again, it joins in where it was. Status 2 when
    /// somebody must decide or approve first, or when messages wait for another try.
    #[command(
        after_help = "Examples:\n  breachpost campaign start cmp_1 --at '2027-01-15 09:00'\n  breachpost campaign start cmp_1 --yes"
    )]
    Start {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Not now but then: RFC 3339, or a local time of the organisation. A daemon must run then.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// With a daemon running: follow until all have been tried.
        #[arg(long, overrides_with = "no_wait")]
        wait: bool,
        /// With a daemon running: return at once, which is usual.
        #[arg(long)]
        no_wait: bool,
    },
    /// Send no more for now. What is on the wire ends.
    #[command(after_help = "Examples:\n  breachpost campaign pause cmp_1 --reason 'the telephone number is wrong'")]
    Pause {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Why; it stands in the timeline.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Go on where it was paused. Without a daemon, `campaign start` sends. One that was paused before its start waits for
    /// its time again; where that has passed, it starts.
    #[command(after_help = "Examples:\n  breachpost campaign resume cmp_1")]
    Resume {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
    },
    /// Try everybody now who was put off and waits for another try: the relay works again, say. Without a daemon this
    /// command sends. What is in doubt keeps its time.
    #[command(after_help = "Examples:\n  breachpost campaign retry cmp_1")]
    Retry {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
    },
    /// Call it off: who has not been written to by now is not. There is no way back.
    #[command(after_help = "Examples:\n  breachpost campaign cancel cmp_1 --yes")]
    Cancel {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(command: RunCommand, office: &Office, context: &Context) -> Result<Exit, Failure> {
    let by = context.actor();
    match command {
        RunCommand::Approve { id, yes, reason, .. } => approve(office, context, id, yes, reason.as_deref()).await,
        RunCommand::Update { id, wording } => {
            let (_, content) = campaign::get(office, id).await?;
            let wording = wording.change(office, content.wording)?;
            campaign::update(office, id, wording, &by).await?;
            tell(office, context, id).await
        }
        RunCommand::Start { id, at, yes, wait, .. } => start(office, context, id, at, yes, wait).await,
        RunCommand::Pause { id, reason } => {
            campaign::pause(office, id, &reason, &by).await?;
            context.out.note("Nothing more is sent but what is on the wire now.");
            tell(office, context, id).await.map(|_| Exit::Done)
        }
        RunCommand::Resume { id } => {
            campaign::resume(office, id, &by).await?;
            let state = campaign::status(office, id).await?.state;
            if !office.daemon_runs() {
                context.out.note(&match state {
                    CampaignState::Scheduled { .. } => NO_DAEMON_AT_ITS_TIME.to_owned(),
                    _ => format!("No daemon runs, so nothing is sent yet: breachpost campaign start {id}"),
                });
            }
            tell(office, context, id).await
        }
        RunCommand::Retry { id } => {
            let mine = courier(office).await?;
            let hurried = campaign::retry(office, id, &by).await?;
            context.out.note(&format!(
                "{} who waited for another try {} due now",
                counted(hurried, "person"),
                if_one(hurried, "is", "are")
            ));
            send(office, context, id, mine, false).await
        }
        RunCommand::Cancel { id, yes } => {
            let status = campaign::status(office, id).await?;
            context.out.note(&human(&status));
            sure(
                context,
                yes,
                &format!("Call {id} off for good?"),
                &format!("breachpost campaign status {id}"),
            )?;
            let cancelled = campaign::cancel(office, id, &by).await?;
            context.out.note(&format!(
                "{} {} cancelled",
                counted(cancelled, "message"),
                if_one(cancelled, "was", "were")
            ));
            tell(office, context, id).await.map(|_| Exit::Done)
        }
    }
}

async fn approve(
    office: &Office,
    context: &Context,
    id: CampaignId,
    yes: bool,
    despite: Option<&str>,
) -> Result<Exit, Failure> {
    context.out.note(&what_is_sent(office, id).await?);
    sure(
        context,
        yes,
        "Agree to exactly this?",
        &format!("breachpost campaign preview {id}"),
    )?;
    let approved = campaign::approve(office, id, despite, &context.actor()).await?;
    let state = campaign::status(office, id).await?.state;
    context.out.data(&approved, || {
        let by: Vec<String> = approved.by.iter().map(ToString::to_string).collect();
        let next = match (approved.approved, state) {
            (true, CampaignState::Scheduled { .. }) => "Approved. It starts at its time.\n".to_owned(),
            (true, CampaignState::Running) => "Approved. It goes on.\n".to_owned(),
            (true, CampaignState::Paused { .. }) => format!("Approved. To go on: breachpost campaign resume {id}\n"),
            (true, _) => format!("Approved. To send it: breachpost campaign start {id}\n"),
            (false, _) => format!(
                "Another person must agree, with a token of their own: breachpost campaign approve {id} --token-file FILE\n"
            ),
        };
        format!("{id}: agreed to by {}\n  content {}\n{next}", by.join(", "), approved.content_sha256)
    })?;
    Ok(if approved.approved { Exit::Done } else { Exit::Person })
}

/// Shown before anybody agrees or sends: to how many, from whom, what it says.
async fn what_is_sent(office: &Office, id: CampaignId) -> Result<String, Failure> {
    let status = campaign::status(office, id).await?;
    let mut text = human(&status);
    if let Ok(first) = campaign::preview(office, id, &Whose::First, None).await {
        let language = match first.several_languages.as_slice() {
            [] => first.language.clone(),
            several => several.join(", "),
        };
        let title = format!("From {}; the first person's message ({language})", first.from);
        text.push_str(&shown(&title, &first));
        let others = campaign::others(office, id).await?;
        if let Some((persons, message)) = others.several {
            let several = message.several_languages.join(", ");
            let persons = counted(persons, "person");
            let title = format!("The message in several languages ({several}), for {persons} whose own is not known");
            text.push_str(&shown(&title, &message));
        }
        for (language, persons) in others.languages {
            text.push_str(&format!(
                "\n{} {} it in {language}: breachpost campaign preview {id} --lang {language}\n",
                counted(persons, "person"),
                if_one(persons, "gets", "get")
            ));
        }
    }
    let ready = campaign::ready(office, id).await?;
    text.push_str(&super::look::readiness(id, &ready));
    Ok(text)
}

fn shown(title: &str, message: &Preview) -> String {
    let lines = message.text.lines().map(|line| format!("  | {line}\n"));
    format!("\n{title}:\n  {}\n{}", message.subject, lines.collect::<String>())
}

/// Asks, unless that was answered on the command line.
fn sure(context: &Context, yes: bool, question: &str, look: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let Some(mut terminal) = Terminal::find().filter(|_| context.out.interactive()) else {
        return Err(Failure::usage("nobody can be asked here: look at it first, then add --yes").hint(look));
    };
    let answer = terminal.confirm(question, false);
    match answer.map_err(|error| Failure::new(Exit::Person, error))? {
        true => Ok(()),
        false => Err(Failure::person("nothing was done, as you wished")),
    }
}

async fn start(
    office: &Office,
    context: &Context,
    id: CampaignId,
    at: Option<String>,
    yes: bool,
    wait: bool,
) -> Result<Exit, Failure> {
    let at = match at {
        None => None,
        Some(text) => {
            let (_, content) = campaign::get(office, id).await?;
            let zone = breach::zone_of(office, &content.record);
            Some(parse_aware(&text, zone).map_err(|error| Failure::new(Exit::Usage, error))?)
        }
    };
    let before = campaign::status(office, id).await?;
    if before.state != CampaignState::Running && !yes {
        campaign::startable(office, id, at).await?;
        context.out.note(&what_is_sent(office, id).await?);
        let when = at.map_or_else(
            || "now".to_owned(),
            |at| format!("at {}", at.format("%Y-%m-%d %H:%M UTC")),
        );
        let question = format!("Write to {} {when}?", counted(before.coverage.pending, "person"));
        sure(context, yes, &question, &format!("breachpost campaign preview {id}"))?;
    }
    let mine = courier(office).await?;
    if campaign::start(office, id, at, &context.actor()).await? == Started::Later {
        if mine.is_some() {
            context.out.note(NO_DAEMON_AT_ITS_TIME);
        }
        return tell(office, context, id).await;
    }
    send(office, context, id, mine, wait).await
}

/// Our own courier, where no daemon sends. What cannot work is found here, before anything starts: the relay's settings.
async fn courier(office: &Office) -> Result<Option<(Arc<Courier>, Worker)>, Failure> {
    if office.daemon_runs() {
        return Ok(None);
    }
    let worker = office.sign_on(WorkerKind::Command).await?;
    Ok(Some((Arc::new(Courier::new(office, &worker)?), worker)))
}

/// Sends what is due of a campaign that runs, or leaves that to the daemon; says what came of it.
async fn send(
    office: &Office,
    context: &Context,
    id: CampaignId,
    mine: Option<(Arc<Courier>, Worker)>,
    wait: bool,
) -> Result<Exit, Failure> {
    let interrupted = match mine {
        Some((courier, _worker)) => carry(office, context, id, courier).await?,
        None if wait => {
            follow(office, context, id, |_| Ok(())).await?;
            false
        }
        None => {
            context.out.note(&format!(
                "The daemon sends. To follow: breachpost campaign status {id} --watch"
            ));
            false
        }
    };
    let status = campaign::status(office, id).await?;
    context.out.data(&status, || human(&status))?;
    // What is in doubt while it runs is to be tried again, like what waits.
    let waits = !is_tried(&status) || status.coverage.in_doubt > 0;
    if waits && !status.daemon && status.state == CampaignState::Running {
        let pending = status.coverage.pending;
        let (persons, have) = (counted(pending, "person"), if_one(pending, "has", "have"));
        let why = match interrupted {
            true => format!("Stopped; {persons} {have} not been written to."),
            false if status.day_full.is_some() => {
                let are = if_one(pending, "is", "are");
                format!("{persons} {are} written to when the day's limit allows.")
            }
            false if status.next_try.is_some() => "Some wait for another try.".to_owned(),
            false => format!("{persons} {have} not been tried yet."),
        };
        context.out.note(&format!(
            "{why} It goes on with: breachpost serve, or: breachpost campaign start {id}"
        ));
        return Ok(Exit::Person);
    }
    Ok(if needs_person(&status) {
        Exit::Person
    } else {
        Exit::Done
    })
}

/// Sends what is due in this process, and shows how far it is. True if it was interrupted: it has ended what was on the
/// wire, and given back what it had claimed.
async fn carry(office: &Office, context: &Context, id: CampaignId, courier: Arc<Courier>) -> Result<bool, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut line = LiveLine::on(context, "");
    show(&mut line, &campaign::status(office, id).await?);
    let stop = CancellationToken::new();
    let carrying = courier.run(Scope::UntilIdle, stop.clone());
    tokio::pin!(carrying);
    let mut pause = LOOK;
    let result = loop {
        tokio::select! {
            done = &mut carrying => break done,
            _ = interrupt.recv() => {
                if stop.is_cancelled() {
                    line.ends();
                    return Err(Failure::person(
                        "stopped at once: what was on the wire is in doubt, and is tried again with a mark",
                    )
                    .hint(format!("breachpost campaign start {id}")));
                }
                stop.cancel();
                line.note("Stopping: what is on the wire ends first. Ctrl-C again stops at once.");
            }
            () = tokio::time::sleep(pause) => {
                if line.is_shown() {
                    let begun = Instant::now();
                    show(&mut line, &campaign::status(office, id).await?);
                    pause = pause_after(begun);
                }
            }
        }
    };
    result?;
    if line.is_shown() {
        show(&mut line, &campaign::status(office, id).await?);
    }
    line.ends();
    let settled = campaign::settle_if_done(office, id).await?;
    if settled {
        context
            .out
            .note("All have been tried. Late bounces are awaited for some days; then it is finished.");
    }
    Ok(stop.is_cancelled() && !settled)
}

/// Until the next look, after one that began then.
fn pause_after(begun: Instant) -> Duration {
    LOOK.max(begun.elapsed() * LOOKS_SHARE)
}

/// Whether nothing is left that is tried without a person's decision.
fn is_tried(status: &Status) -> bool {
    status.coverage.pending == status.coverage.held
}

/// Follows a run that others carry, until all have been tried or somebody does not want to follow any more. `each` is told
/// of every look.
async fn follow(
    office: &Office,
    context: &Context,
    id: CampaignId,
    mut each: impl FnMut(&Status) -> Result<(), Failure>,
) -> Result<Status, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut line = LiveLine::on(context, "");
    let (mut told, mut warned) = (None, false);
    loop {
        let begun = Instant::now();
        let status = campaign::status(office, id).await?;
        let pause = pause_after(begun);
        // Once, above the line, which then stands still for hours.
        if let Some(full) = status.day_full.as_ref().filter(|full| told.as_ref() != Some(*full)) {
            line.note(&full.to_string());
            told = Some(full.clone());
        }
        // Whoever waits for nobody would wait for ever.
        if let Some(why) = nobody_sends(office, &status).filter(|_| !warned) {
            line.note(&why);
            warned = true;
        }
        show(&mut line, &status);
        each(&status)?;
        let goes_on = matches!(status.state, CampaignState::Running | CampaignState::Scheduled { .. });
        if is_tried(&status) || !goes_on {
            line.ends();
            return Ok(status);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = interrupt.recv() => {
                line.ends();
                context.out.note(&format!(
                    "It goes on without you. To follow it again: breachpost campaign status {id} --watch"
                ));
                return Ok(status);
            }
        }
    }
}

/// Says so where a run goes on only when somebody does something.
fn nobody_sends(office: &Office, status: &Status) -> Option<String> {
    match status.state {
        CampaignState::Running if !office.somebody_works() => Some(format!(
            "Nobody sends it now. It goes on with: breachpost serve, or: breachpost campaign start {}",
            status.id
        )),
        CampaignState::Scheduled { .. } if !status.daemon => Some(NO_DAEMON_AT_ITS_TIME.to_owned()),
        _ => None,
    }
}

pub fn show(line: &mut LiveLine<'_>, status: &Status) {
    let coverage = &status.coverage;
    let facts = [
        (coverage.informed, "informed"),
        (status.deferred, "deferred"),
        (coverage.unreached, "unreached"),
        (coverage.in_doubt, "in doubt"),
    ];
    line.shows(coverage.total - coverage.pending, coverage.total, &facts);
}

/// Follows a run: a line on a terminal's screen, one JSON object for each change elsewhere.
///
/// # Errors
/// The store fails, or standard output cannot be written.
pub async fn watch(office: &Office, context: &Context, id: CampaignId) -> Result<Exit, Failure> {
    let mut last = None;
    let status = follow(office, context, id, |status| {
        let now = json!(status);
        if context.out.json && last.as_ref() != Some(&now) {
            context.out.line(status)?;
        }
        last = Some(now);
        Ok(())
    })
    .await?;
    if !context.out.json {
        context.out.data(&status, || human(&status))?;
    }
    Ok(if needs_person(&status) {
        Exit::Person
    } else {
        Exit::Done
    })
}
