//! `campaign held`: whose message could not be written, and what becomes of them.

use clap::Args;
use serde_json::json;

use crate::cli::Context;
use crate::cli::output::{Exit, Failure, table};
use crate::dispatch::campaign::CERTIFICATE_ENDED;
use crate::dispatch::desk::campaign::{self, HeldList};
use crate::dispatch::office::Office;
use crate::model::id::CampaignId;
use crate::model::plural::{counted, if_one};
use crate::store::HeldChoice;

/// Persons that are shown; the first thousand are in JSON.
const SHOWN: usize = 20;

/// Which campaign, and what to do.
#[derive(Debug, Args)]
pub struct HeldArgs {
    /// The campaign; `campaign list` names them.
    id: CampaignId,
    /// Try them again: what was wrong has been put right.
    #[arg(long, conflicts_with = "give_up")]
    retry: bool,
    /// Write in clear text to those whose certificate has ended since the list was imported; the reason is journalled.
    #[arg(long, conflicts_with_all = ["give_up", "retry"], requires = "reason")]
    in_clear: bool,
    /// Why that is right.
    #[arg(long, requires = "in_clear")]
    reason: Option<String>,
    /// Write to them no more: they count as unreached, and get a letter or a call.
    #[arg(long)]
    give_up: bool,
}

/// Status 2 while somebody is held.
pub async fn run(args: HeldArgs, office: &Office, context: &Context) -> Result<Exit, Failure> {
    let HeldArgs {
        id,
        retry,
        give_up,
        in_clear,
        reason,
    } = args;
    if retry || give_up || in_clear {
        let (choice, one, many) = match reason {
            Some(reason) if in_clear => (
                campaign::in_clear(office, id, reason).await?,
                "is written to in clear text",
                "are written to in clear text",
            ),
            _ if retry => (HeldChoice::Retry, "is tried again", "are tried again"),
            _ => (
                HeldChoice::GiveUp,
                "is given up, and counts as unreached",
                "are given up, and count as unreached",
            ),
        };
        let decided = campaign::decide_held(office, id, choice, &context.actor()).await?;
        if give_up {
            // Nothing may be left that would be tried.
            campaign::settle_if_done(office, id).await?;
        } else if decided > 0 && !office.daemon_runs() {
            context.out.note(&format!(
                "No daemon runs, so nothing is sent yet: breachpost campaign start {id}"
            ));
        }
        context.out.data(&json!({ "id": id, "decided": decided }), || {
            format!("{id}: {} {}\n", counted(decided, "person"), if_one(decided, one, many))
        })?;
        return Ok(Exit::Done);
    }
    let list = campaign::held(office, id).await?;
    context.out.data(&list, || told(&list))?;
    Ok(if list.held > 0 { Exit::Person } else { Exit::Done })
}

fn told(list: &HeldList) -> String {
    let HeldList { id, held, persons } = list;
    if *held == 0 {
        return format!("{id}: nobody is held\n");
    }
    let rows = persons.iter().take(SHOWN).map(|person| {
        vec![
            format!("  {}", person.person),
            person.address.clone(),
            person.why.clone(),
        ]
    });
    let mut text = format!(
        "{id}: the {} of {} could not be written\n",
        if_one(held, "message", "messages"),
        counted(held, "person")
    );
    text.push_str(&table(&rows.collect::<Vec<_>>()));
    if *held > SHOWN as u64 {
        text.push_str("  …\n");
    }
    if persons.iter().any(|person| person.why == CERTIFICATE_ENDED) {
        text.push_str(&format!(
            "To write in clear text where a certificate has ended, unless encryption is required: \
             breachpost campaign held {id} --in-clear --reason 'WHY'\n"
        ));
    }
    text + &format!(
        "When what was wrong is put right: breachpost campaign held {id} --retry\n\
         Told by post or telephone: breachpost campaign record {id} --channel post --file told.csv\n\
         To leave them for letters and calls: breachpost campaign held {id} --give-up\n"
    )
}
