//! `journal verify`: has the record been changed?

use clap::Subcommand;

use super::Context;
use super::output::{Exit, Failure};
use crate::dispatch::checkpoint;
use crate::model::plural::{counted, if_one};

/// The hash-chained record of every change.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Walk the whole journal and compare it with every signed checkpoint; status 2 when something was changed.
    #[command(after_help = "Examples:\n  breachpost journal verify")]
    Verify,
}

pub async fn run(command: JournalCommand, context: &Context) -> Result<Exit, Failure> {
    let JournalCommand::Verify = command;
    let office = context.office()?;
    let audit = checkpoint::audit(&office).await?;
    context.out.data(&audit, || {
        if audit.intact {
            format!(
                "The journal is intact: {}, {} {}.\nHead: {}\n",
                counted(audit.length, "entry"),
                counted(audit.checkpoints, "signed checkpoint"),
                if_one(audit.checkpoints, "fits", "fit"),
                audit.head
            )
        } else {
            let mut text = format!("The journal was CHANGED ({}):\n", counted(audit.length, "entry"));
            for finding in &audit.findings {
                text.push_str(&format!("  - {finding}\n"));
            }
            text
        }
    })?;
    Ok(if audit.intact { Exit::Done } else { Exit::Person })
}
