//! `alert`: what needs a person, and who knows.

use clap::Subcommand;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::desk::alert::{self, AlertView, Trial};
use crate::model::id::AlertId;
use crate::model::plural::counted;

/// What needs a person, and who knows of it.
#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// What needs a person, the most urgent first; status 2 while anything waits that nobody has acknowledged.
    #[command(after_help = "Examples:\n  breachpost alert list\n  breachpost alert list --all --json")]
    List {
        /// Those that ended too, newest first.
        #[arg(long)]
        all: bool,
    },
    /// Say that you take care of it: the reminders end. It stays open until it is no longer so.
    #[command(
        after_help = "Examples:\n  breachpost alert ack alert_1\n  breachpost alert ack alert_1 --note 'I telephone them at nine'"
    )]
    Ack {
        /// The alert; `alert list` names them.
        #[arg(value_name = "ALERT")]
        id: AlertId,
        /// What you do about it, for your colleagues.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Send a trial through every configured channel, and tell what each answered.
    #[command(after_help = "Examples:\n  breachpost alert test")]
    Test,
}

pub async fn run(command: AlertCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        AlertCommand::List { all } => {
            let views = alert::list(&office, all).await?;
            context.out.data(&views, || match views.is_empty() {
                true => "No alert.\n".to_owned(),
                false => views.iter().map(shown).collect(),
            })?;
            let waits = views.iter().any(|view| view.alert.waits());
            Ok(if waits { Exit::Person } else { Exit::Done })
        }
        AlertCommand::Ack { id, note } => {
            let seen = alert::acknowledge(&office, id, note.as_deref(), &context.actor()).await?;
            context.out.data(&seen, || {
                let by = seen.acknowledged.as_ref().map(|seen| seen.by.to_string());
                let by = by.unwrap_or_default();
                format!("{id} is acknowledged by {by}. It is not repeated, and ends when it is no longer so.\n")
            })?;
            Ok(Exit::Done)
        }
        AlertCommand::Test => {
            let trials = alert::test(&office).await;
            if trials.is_empty() {
                let text = "no alert channel is configured: set `alerts` in config.yaml";
                return Err(Failure::person(text).hint("breachpost doctor"));
            }
            context.out.data(&trials, || trials.iter().map(tried).collect())?;
            Ok(match trials.iter().all(|trial| trial.taken) {
                true => Exit::Done,
                false => Exit::Person,
            })
        }
    }
}

/// One alert in a few lines.
pub(super) fn shown(view: &AlertView) -> String {
    let alert = &view.alert;
    let raised = alert.raised_at.format("%Y-%m-%d %H:%M UTC");
    let mark = match alert.waits() {
        true => "! ",
        false => "  ",
    };
    let mut text = format!("{mark}{}  {}\n", alert.id, view.words.text);
    if alert.is_open() {
        text.push_str(&format!("      {}\n", view.words.command));
    }
    let (sent, due, failed) = view.counts();
    let mut facts = vec![format!("raised {raised}")];
    facts.extend(match (sent, due, failed) {
        (0, 0, 0) => Some("told to nobody: no channel is configured".to_owned()),
        (1, 0, 0) => Some("told once".to_owned()),
        (sent, 0, 0) => Some(format!("told {}", counted(sent, "time"))),
        (sent, due, failed) => Some(format!(
            "told {}, {due} to be told, {failed} given up",
            counted(sent, "time")
        )),
    });
    if let Some(seen) = &alert.acknowledged {
        let note = seen.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        facts.push(format!("acknowledged by {}{note}", seen.by));
    }
    if let Some(at) = alert.resolved_at {
        facts.push(format!("ended {}", at.format("%Y-%m-%d %H:%M UTC")));
    }
    text.push_str(&format!("      {}\n", facts.join("; ")));
    // The newest trouble says most.
    let failing = view.told.iter().rev().find(|telling| telling.telling.fault.is_some());
    if let (true, Some(telling)) = (due + failed > 0, failing) {
        let to = telling.to.as_deref().unwrap_or(&telling.telling.channel);
        let fault = telling.telling.fault.as_deref().unwrap_or_default();
        text.push_str(&format!("      last trouble: {to}: {fault}\n"));
    }
    text
}

fn tried(trial: &Trial) -> String {
    match &trial.fault {
        None => format!("taken    {}\n", trial.to),
        Some(fault) => format!("NOT SENT {}: {fault}\n", trial.to),
    }
}
