//! `breach`: the register of breaches.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::ask::Terminal;
use super::notice::asked;
use super::output::{Exit, Failure, table};
use super::{Context, breach_questions, files};
use crate::dispatch::desk::breach::{self, BreachView, Decided};
use crate::dispatch::desk::conversation::{self, InquiryView};
use crate::dispatch::office::Office;
use crate::model::breach::{Decision, Exemption, Gap, Record, TEMPLATE};
use crate::model::id::BreachId;
use crate::store::LogEntry;

/// The reading room takes at most this much; see `reading`.
const MAX_RECORD_BYTES: u64 = 1024 * 1024;

/// The register of breaches (GDPR Art. 33(5)).
#[derive(Debug, Subcommand)]
pub enum BreachCommand {
    /// Enter a breach: from a YAML or JSON file, or by answering six questions. Content gaps are warnings, not errors.
    #[command(
        after_help = "Examples:\n  breachpost breach open breach.yaml\n  breachpost breach open - --json < breach.json\n  breachpost breach open"
    )]
    Open {
        /// The record; - for standard input; without it the questions are asked on the terminal.
        file: Option<PathBuf>,
    },
    /// All breaches with their deadlines.
    #[command(after_help = "Examples:\n  breachpost breach list")]
    List,
    /// One breach: the deadline, what is missing, the timeline.
    #[command(
        after_help = "Examples:\n  breachpost breach show B-2026-001\n  breachpost breach show B-2026-001 --record > breach.yaml"
    )]
    Show {
        /// The breach; `breach list` names them.
        id: BreachId,
        /// Print the record alone, as YAML to edit and give back with `breach update`.
        #[arg(long)]
        record: bool,
    },
    /// Replace the record; the earlier version is kept.
    #[command(after_help = "Examples:\n  breachpost breach update B-2026-001 breach.yaml")]
    Update {
        /// The breach; `breach list` names them.
        id: BreachId,
        /// The whole record as it is now, as YAML or JSON; - for standard input.
        file: PathBuf,
    },
    /// Add a call or a note to the breach's timeline.
    #[command(
        after_help = "Examples:\n  breachpost breach log B-2026-001 --kind call \\\n      --text 'The CNPD asked for the number of persons.'"
    )]
    Log {
        /// The breach; `breach list` names them.
        id: BreachId,
        /// What it was.
        #[arg(long, value_enum)]
        kind: LogKind,
        /// What was said or seen; it stands in the timeline.
        #[arg(long)]
        text: String,
    },
    /// Write down whether the persons are told (GDPR Art. 34), with the reason; who and when are kept. Decided not to tell them,
    /// campaigns that run or are scheduled are paused, with status 2.
    #[command(
        after_help = "Examples:\n  breachpost breach decide B-2026-001 inform \\\n      --rationale 'High risk: salaries and bank accounts were copied.'\n  breachpost breach decide B-2026-001 not-inform --exemption a_protected \\\n      --rationale 'The stolen disk was encrypted and its key is safe.'"
    )]
    Decide {
        /// The breach; `breach list` names them.
        id: BreachId,
        /// What was decided.
        #[arg(value_enum)]
        decision: DecisionArg,
        /// Why: the authority may ask.
        #[arg(long, value_name = "TEXT")]
        rationale: String,
        /// Why they need not be told one by one (GDPR Art. 34(3)).
        #[arg(long, value_enum)]
        exemption: Option<ExemptionArg>,
    },
    /// Print a record to fill in, with every field explained.
    #[command(after_help = "Examples:\n  breachpost breach template > breach.yaml")]
    Template,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DecisionArg {
    /// Each person is told.
    Inform,
    /// They are not told.
    NotInform,
    /// A public notice takes the place of single messages (Art. 34(3)(c)).
    PublicNotice,
    /// The authority has ordered that they be told (Art. 34(4)).
    Ordered,
}
impl DecisionArg {
    /// A public notice is an exemption in itself.
    fn exemption(self, given: Option<ExemptionArg>) -> Option<Exemption> {
        match self {
            DecisionArg::PublicNotice => Some(Exemption::CPublicCommunication),
            _ => given.map(Into::into),
        }
    }
}
impl From<DecisionArg> for Decision {
    fn from(arg: DecisionArg) -> Self {
        match arg {
            DecisionArg::Inform => Decision::Required,
            DecisionArg::NotInform => Decision::NotRequired,
            DecisionArg::PublicNotice => Decision::Public,
            DecisionArg::Ordered => Decision::Ordered,
        }
    }
}
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ExemptionArg {
    /// The data were unintelligible, for instance encrypted with a safe key.
    AProtected,
    /// Later measures have removed the high risk.
    BRiskRemoved,
}
impl From<ExemptionArg> for Exemption {
    fn from(arg: ExemptionArg) -> Self {
        match arg {
            ExemptionArg::AProtected => Exemption::AProtected,
            ExemptionArg::BRiskRemoved => Exemption::BRiskRemoved,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogKind {
    Call,
    Note,
}
impl LogKind {
    fn name(self) -> &'static str {
        match self {
            LogKind::Call => breach::CALL,
            LogKind::Note => "note",
        }
    }
}

#[derive(Serialize)]
struct Opened<'a> {
    id: BreachId,
    warnings: &'a [Gap],
    clock: &'a Option<breach::Clock>,
}
impl<'a> Opened<'a> {
    fn of(view: &'a BreachView) -> Self {
        Self {
            id: view.id,
            warnings: &view.warnings,
            clock: &view.clock,
        }
    }
}
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    view: &'a BreachView,
    timeline: &'a [LogEntry],
    /// The authorities' questions about it, open and closed.
    inquiries: &'a [InquiryView],
}

pub async fn run(command: BreachCommand, context: &Context) -> Result<Exit, Failure> {
    if let BreachCommand::Template = command {
        context
            .out
            .data(&serde_json::json!({ "template": TEMPLATE }), || TEMPLATE.to_owned())?;
        return Ok(Exit::Done);
    }
    let office = context.office()?;
    let by = context.actor();
    match command {
        BreachCommand::Template => {}
        BreachCommand::Open { file } => {
            let record = match file {
                Some(path) => read_record(&path)?,
                None => ask_record(&office, context)?,
            };
            let view = breach::open(&office, &record, &by).await?;
            let text = || told(&view, "is in the register");
            context.out.data(&Opened::of(&view), text)?;
        }
        BreachCommand::Update { id, file } => {
            let record = read_record(&file)?;
            let view = breach::update(&office, id, &record, &by).await?;
            let text = || told(&view, "was updated");
            context.out.data(&Opened::of(&view), text)?;
            return Ok(stopped(context, &view));
        }
        BreachCommand::Log { id, kind, text } => {
            breach::log(&office, id, kind.name(), &text, &by).await?;
            let timeline = breach::timeline(&office, id).await?;
            context.out.data(&timeline, || lines(&timeline))?;
        }
        BreachCommand::Decide {
            id,
            decision,
            rationale,
            exemption,
        } => {
            let decided = Decided {
                decision: decision.into(),
                exemption: decision.exemption(exemption),
                rationale,
            };
            let view = breach::decide(&office, id, decided, &by).await?;
            let text = || told(&view, "has a decision about the persons") + &way_to_persons(&view);
            context.out.data(&view, text)?;
            return Ok(stopped(context, &view));
        }
        BreachCommand::List => {
            let views = breach::list(&office).await?;
            context.out.data(&views, || register(&views))?;
        }
        BreachCommand::Show { id, record: true } => {
            let view = breach::show(&office, id).await?;
            let yaml = serde_yaml::to_string(&view.record).map_err(|error| Failure::new(Exit::Ours, error))?;
            context.out.data(&view.record, || yaml)?;
        }
        BreachCommand::Show { id, record: false } => show(&office, id, context).await?,
    }
    Ok(Exit::Done)
}

async fn show(office: &Office, id: BreachId, context: &Context) -> Result<(), Failure> {
    let view = breach::show(office, id).await?;
    let timeline = breach::timeline(office, id).await?;
    let inquiries = conversation::inquiries_about(office, id).await?;
    let shown = Shown {
        view: &view,
        timeline: &timeline,
        inquiries: &inquiries,
    };
    context.out.data(&shown, || portrait(&view, &timeline, &inquiries))?;
    Ok(())
}

fn register(views: &[BreachView]) -> String {
    if views.is_empty() {
        return "No breach in the register.\n".to_owned();
    }
    let rows = views.iter().map(|view| {
        let (deadline, left) = view.clock.as_ref().map_or_else(
            || ("awareness not recorded".to_owned(), String::new()),
            |clock| (clock.strict_local.clone(), clock.left.clone()),
        );
        vec![view.id.to_string(), deadline, left, view.title.clone()]
    });
    table(&rows.collect::<Vec<_>>())
}

fn read_record(path: &Path) -> Result<Record, Failure> {
    let bytes = files::read(path, MAX_RECORD_BYTES)?;
    Record::read(&files::name(path), &bytes).map_err(|error| {
        let failure = Failure::new(
            Exit::Usage,
            anyhow::Error::new(error).context("the breach record cannot be used"),
        );
        failure.hint("breachpost breach template")
    })
}

fn ask_record(office: &Office, context: &Context) -> Result<Record, Failure> {
    let Some(mut terminal) = Terminal::find().filter(|_| context.out.interactive()) else {
        return Err(Failure::usage("no file was given and nobody can be asked here")
            .hint("breachpost breach template > breach.yaml"));
    };
    breach_questions::ask(&mut terminal, &office.config)
}

/// Names the campaigns that were paused by a decision: somebody must end them or decide otherwise.
fn stopped(context: &Context, view: &BreachView) -> Exit {
    for id in &view.paused {
        context.out.note(&format!(
            "{id} is paused: what is on the wire ends, and nobody else is written to. Whom it has told: breachpost campaign \
             report {id}. To end it for good: breachpost campaign cancel {id}"
        ));
    }
    match view.paused.is_empty() {
        true => Exit::Done,
        false => Exit::Person,
    }
}

fn told(view: &BreachView, what: &str) -> String {
    let mut text = format!("{} {what}: {}\n", view.id, view.title);
    text.push_str(&deadline_lines(view));
    text.push_str(&gap_lines(view));
    text.push_str(&format!("Next: {}\n", view.next));
    text
}

/// How the persons are told, where that was decided.
fn way_to_persons(view: &BreachView) -> String {
    let id = view.id;
    match view.record.communication.decision {
        Decision::Required | Decision::Ordered => {
            format!("To tell the persons: breachpost campaign create {id} --recipients FILE\n")
        }
        Decision::Public => format!("The text of the notice: breachpost campaign public-notice {id}\n"),
        Decision::Pending | Decision::NotRequired => String::new(),
    }
}

fn deadline_lines(view: &BreachView) -> String {
    let mut text = match &view.clock {
        Some(clock) => format!(
            "Deadline: {} ({}), 72 hours after awareness (GDPR Art. 33(1))\n",
            clock.strict_local, clock.left
        ),
        None => "Deadline: unknown, because `timeline.aware_at` is not recorded; it ends 72 hours after awareness\n"
            .to_owned(),
    };
    if let Some(due) = &view.next_update_due {
        text.push_str(&format!("Next update promised for: {}\n", due));
    }
    text
}

fn gap_lines(view: &BreachView) -> String {
    let gaps = &view.warnings;
    if gaps.is_empty() {
        return "Nothing that GDPR Art. 33(3) asks for is missing.\n".to_owned();
    }
    let needed = view.record.blockers();
    let mut text = match needed.len() {
        0 => "Still missing or worth a look; none of it stops a first notice (GDPR Art. 33(4)):\n".to_owned(),
        _ => "Still missing or worth a look; only what is marked NEEDED stops a first notice:\n".to_owned(),
    };
    for gap in gaps {
        let mark = if needed.contains(gap) { "NEEDED: " } else { "" };
        text.push_str(&format!("  - {mark}{} [{}, {}]\n", gap.text, gap.field, gap.article));
    }
    text
}

fn lines(timeline: &[LogEntry]) -> String {
    let rows: Vec<Vec<String>> = timeline
        .iter()
        .map(|entry| {
            vec![
                entry.at.format("%Y-%m-%d %H:%M UTC").to_string(),
                entry.kind.clone(),
                entry.by.to_string(),
                entry.text.clone(),
            ]
        })
        .collect();
    table(&rows)
}

fn portrait(view: &BreachView, timeline: &[LogEntry], inquiries: &[InquiryView]) -> String {
    let mut text = format!("{}  {}\n", view.id, view.title);
    text.push_str(&deadline_lines(view));
    text.push_str(&gap_lines(view));
    if !inquiries.is_empty() {
        text.push_str("\nQuestions of authorities\n");
        for inquiry in inquiries {
            text.push_str(&format!("  {}\n", asked(inquiry)));
        }
    }
    text.push_str("\nTimeline\n");
    text.push_str(&lines(timeline));
    text.push_str(&format!(
        "\nThe whole record: breachpost breach show {} --record\n",
        view.id
    ));
    text
}
