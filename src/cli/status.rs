//! `status`: everything at a glance.

use clap::Args;

use super::notice::asked;
use super::output::{Exit, Failure, table};
use super::{Context, alert};
use crate::dispatch::desk::overview::{self, Overview};
use crate::model::id::BreachId;
use crate::model::notice::NoticeState;
use crate::model::plural::grouped;

/// Clocks, notices, campaigns and tray at a glance; status 2 when something needs a person.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  breachpost status\n  breachpost status --json")]
pub struct StatusArgs {}

pub async fn run(StatusArgs {}: StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    let overview = overview::look(&office).await?;
    context.out.data(&overview, || human(&overview))?;
    let waits = overview.alerts.iter().any(|view| view.alert.waits());
    Ok(if overview.needs_person.is_empty() && !waits {
        Exit::Done
    } else {
        Exit::Person
    })
}

/// How far the breach's notices have got at best: what is only handed over has not been proven to arrive.
fn furthest(overview: &Overview, breach: BreachId) -> &'static str {
    let states: Vec<NoticeState> = overview
        .notices
        .iter()
        .filter(|notice| notice.breach == breach)
        .map(|notice| notice.state)
        .collect();
    let has = |state| states.contains(&state);
    if has(NoticeState::Acknowledged) {
        "acknowledged"
    } else if has(NoticeState::Delivered) {
        "delivered, not acknowledged yet"
    } else if has(NoticeState::Handed) {
        "handed over, arrival not proven yet"
    } else {
        "not handed over yet"
    }
}

fn human(overview: &Overview) -> String {
    let parts = [alerts, breaches, notices, campaigns, inquiries, troubles, daemon, needs];
    parts.map(|part| part(overview)).concat()
}

fn alerts(overview: &Overview) -> String {
    if overview.alerts.is_empty() {
        return String::new();
    }
    let shown: String = overview.alerts.iter().map(alert::shown).collect();
    format!("Alerts\n{shown}\n")
}

fn breaches(overview: &Overview) -> String {
    if overview.breaches.is_empty() {
        return "No breach in the register.\n".to_owned();
    }
    let rows = overview.breaches.iter().map(|breach| {
        let clock = breach.clock.as_ref().map_or_else(
            || "no clock: when you became aware is not recorded".to_owned(),
            |clock| match breach.notified {
                true => format!("{}; deadline {}", furthest(overview, breach.id), clock.strict_local),
                false => format!("deadline {} ({})", clock.strict_local, clock.left),
            },
        );
        vec![format!("  {}", breach.id), clock, breach.title.clone()]
    });
    format!("Breaches\n{}", table(&rows.collect::<Vec<_>>()))
}

fn notices(overview: &Overview) -> String {
    if overview.notices.is_empty() {
        return String::new();
    }
    let rows = overview.notices.iter().map(|notice| {
        let mut meaning = notice.meaning.to_owned();
        if let Some(theirs) = &notice.authority_reference {
            meaning.push_str(&format!(" (their reference {theirs})"));
        }
        vec![
            format!("  {}", notice.reference),
            notice.breach.to_string(),
            notice.authority.clone(),
            notice.state.name().to_owned(),
            meaning,
        ]
    });
    format!("\nNotices\n{}", table(&rows.collect::<Vec<_>>()))
}

fn campaigns(overview: &Overview) -> String {
    if overview.campaigns.is_empty() {
        return String::new();
    }
    let rows = overview.campaigns.iter().map(|campaign| {
        let coverage = &campaign.coverage;
        vec![
            format!("  {}", campaign.id),
            campaign.breach.to_string(),
            campaign.state.clone(),
            format!(
                "{} informed, {} pending, {} in doubt, {} unreached",
                grouped(coverage.informed),
                grouped(coverage.pending),
                grouped(coverage.in_doubt),
                grouped(coverage.unreached)
            ),
        ]
    });
    let full = overview.day_full.iter().map(|full| format!("  {full}\n"));
    format!(
        "\nCampaigns\n{}{}",
        table(&rows.collect::<Vec<_>>()),
        full.collect::<String>()
    )
}

fn inquiries(overview: &Overview) -> String {
    if overview.inquiries.is_empty() {
        return String::new();
    }
    let lines = overview
        .inquiries
        .iter()
        .map(|inquiry| format!("  {}\n", asked(inquiry)));
    format!("\nQuestions of authorities\n{}", lines.collect::<String>())
}

fn troubles(overview: &Overview) -> String {
    if overview.troubles.is_empty() {
        return String::new();
    }
    let lines = overview.troubles.iter().map(|trouble| {
        let since = trouble.since.format("%Y-%m-%d %H:%M UTC");
        format!("  {} since {since}: {}\n", trouble.what, trouble.fault)
    });
    format!(
        "\nDoes not work (see: breachpost doctor)\n{}",
        lines.collect::<String>()
    )
}

fn daemon(overview: &Overview) -> String {
    let runs = match overview.daemon {
        true => "\nThe daemon runs.\n",
        false => "\nNo daemon runs on this home.\n",
    };
    runs.to_owned()
}

fn needs(overview: &Overview) -> String {
    if overview.needs_person.is_empty() {
        return match overview.alerts.is_empty() {
            true => "Nothing needs a person.\n".to_owned(),
            // They stand at the head.
            false => String::new(),
        };
    }
    let mut text = "\nNeeds a person\n".to_owned();
    for need in &overview.needs_person {
        text.push_str(&format!("  - {}\n", need.text));
        if let Some(command) = &need.command {
            text.push_str(&format!("      {command}\n"));
        }
    }
    text
}
