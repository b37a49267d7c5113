//! `status`: everything at a glance.

use clap::Args;

use super::notice::asked;
use super::output::{Exit, Failure, table};
use super::{Context, alert};
use crate::dispatch::desk::overview::{self, Overview};
use crate::model::id::BreachId;
use crate::model::notice::NoticeState;

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
    let mut text = String::new();
    if !overview.alerts.is_empty() {
        text.push_str("Alerts\n");
        for view in &overview.alerts {
            text.push_str(&alert::shown(view));
        }
        text.push('\n');
    }
    if overview.breaches.is_empty() {
        text.push_str("No breach in the register.\n");
    } else {
        text.push_str("Breaches\n");
        let rows: Vec<Vec<String>> = overview
            .breaches
            .iter()
            .map(|breach| {
                let clock = breach.clock.as_ref().map_or_else(
                    || "no clock: when you became aware is not recorded".to_owned(),
                    |clock| match breach.notified {
                        true => format!("{}; deadline {}", furthest(overview, breach.id), clock.strict_local),
                        false => format!("deadline {} ({})", clock.strict_local, clock.left),
                    },
                );
                vec![format!("  {}", breach.id), clock, breach.title.clone()]
            })
            .collect();
        text.push_str(&table(&rows));
    }
    if !overview.notices.is_empty() {
        text.push_str("\nNotices\n");
        let rows: Vec<Vec<String>> = overview
            .notices
            .iter()
            .map(|notice| {
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
            })
            .collect();
        text.push_str(&table(&rows));
    }
    if !overview.campaigns.is_empty() {
        text.push_str("\nCampaigns\n");
        let rows: Vec<Vec<String>> = overview
            .campaigns
            .iter()
            .map(|campaign| {
                let coverage = &campaign.coverage;
                vec![
                    format!("  {}", campaign.id),
                    campaign.breach.to_string(),
                    campaign.state.clone(),
                    format!(
                        "{} informed, {} pending, {} in doubt, {} unreached",
                        coverage.informed, coverage.pending, coverage.in_doubt, coverage.unreached
                    ),
                ]
            })
            .collect();
        text.push_str(&table(&rows));
    }
    if !overview.inquiries.is_empty() {
        text.push_str("\nQuestions of authorities\n");
        for inquiry in &overview.inquiries {
            text.push_str(&format!("  {}\n", asked(inquiry)));
        }
    }
    if !overview.troubles.is_empty() {
        text.push_str("\nDoes not work (see: breachpost doctor)\n");
        for trouble in &overview.troubles {
            let since = trouble.since.format("%Y-%m-%d %H:%M UTC");
            text.push_str(&format!("  {} since {since}: {}\n", trouble.what, &trouble.fault));
        }
    }
    text.push_str(if overview.daemon {
        "\nThe daemon runs.\n"
    } else {
        "\nNo daemon runs on this home.\n"
    });
    if overview.needs_person.is_empty() && overview.alerts.is_empty() {
        text.push_str("Nothing needs a person.\n");
    } else if !overview.needs_person.is_empty() {
        text.push_str("\nNeeds a person\n");
        for need in &overview.needs_person {
            text.push_str(&format!("  - {}\n", need.text));
            if let Some(command) = &need.command {
                text.push_str(&format!("      {command}\n"));
            }
        }
    }
    text
}
