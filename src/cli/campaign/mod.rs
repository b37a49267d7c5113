//! `campaign`: telling the persons concerned (GDPR Art. 34).

mod check;
mod create;
mod held;
mod look;
mod progress;
mod report;
mod run;

use std::path::PathBuf;

use clap::Subcommand;

use self::create::{ListArgs, bring_in};
pub(super) use self::progress::LiveLine;
pub(super) use self::run::show;
use super::Context;
use super::output::{Exit, Failure};
use crate::cli::erase::{self, EraseArgs, ForgetArgs};
use crate::cli::letters::{self, LettersArgs};
use crate::cli::wording::WordingArgs;
use crate::dispatch::campaign::import::{self, Target};
use crate::dispatch::desk;
use crate::model::id::{BreachId, CampaignId};

/// Telling the persons concerned (GDPR Art. 34).
#[derive(Debug, Subcommand)]
pub enum CampaignCommand {
    /// Make a campaign from a list of persons: CSV, JSON lines, XLSX or ODS. Sends nothing. Cut off, the same command
    /// goes on where it was. Status 2 when there are rows that cannot be used.
    #[command(
        after_help = "Examples:\n  breachpost campaign create B-2026-001 --recipients customers.csv\n  breachpost campaign create B-2026-001 --recipients customers.csv \\\n      --map email=Kontakt --bad-rows to-correct.csv\n  breachpost campaign create B-2026-001 --recipients patients.csv \\\n      --discreet --html --texts texts.yaml\n  breachpost campaign create B-2026-001 --recipients unreached.csv \\\n      --follow-up cmp_1"
    )]
    Create {
        /// The breach; `breach list` names them.
        breach: BreachId,
        #[command(flatten)]
        list: ListArgs,
        /// The language of those whose own is not known; else that of config.yaml.
        #[arg(long, alias = "language-fallback", value_name = "LANG")]
        fallback_language: Option<String>,
        #[command(flatten)]
        wording: WordingArgs,
        /// The campaign that this one follows up: to those it did not reach, or with more to say.
        #[arg(long, value_name = "CAMPAIGN")]
        follow_up: Option<CampaignId>,
    },
    /// Add another list to a campaign that has not been started, or bad rows that were corrected: a row with a `bad_row`
    /// takes the place of that one.
    #[command(after_help = "Examples:\n  breachpost campaign add cmp_1 --recipients corrected.csv")]
    Add {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        #[command(flatten)]
        list: ListArgs,
    },
    /// All campaigns, and how far they are.
    #[command(after_help = "Examples:\n  breachpost campaign list")]
    List,
    /// Whether a campaign can go: its persons, what the linter says of its messages, when the run would end, the checklist.
    /// Status 2 when a person must do something first.
    #[command(
        after_help = "Examples:\n  breachpost campaign check cmp_1\n  breachpost campaign check cmp_1 --bad-rows still-to-correct.csv\n  breachpost campaign check cmp_1 --flagged worth-a-look.csv"
    )]
    Check {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Write all rows that cannot be used to this new CSV file.
        #[arg(long, value_name = "FILE")]
        bad_rows: Option<PathBuf>,
        /// Write everybody whose row is worth a look to this new CSV file, with the reasons.
        #[arg(long, value_name = "FILE")]
        flagged: Option<PathBuf>,
    },
    #[command(flatten)]
    Look(look::LookCommand),
    #[command(flatten)]
    Run(run::RunCommand),
    #[command(flatten)]
    Report(report::ReportCommand),
    /// Whose message could not be written, and why; the others are told meanwhile. The campaign ends when these are tried
    /// again, booked as told otherwise (`campaign record`) or given up. Status 2 while somebody is held.
    #[command(
        after_help = "Examples:\n  breachpost campaign held cmp_1\n  breachpost campaign held cmp_1 --retry\n  breachpost campaign held cmp_1 --in-clear --reason 'the key has ended'\n  breachpost campaign held cmp_1 --give-up"
    )]
    Held(held::HeldArgs),
    /// Print letters to those whom mail did not reach and whose postal address is known: one PDF for each language, for
    /// window envelopes. Status 2 when somebody gets none.
    #[command(after_help = "Examples:\n  breachpost campaign letters cmp_1 -o letters.pdf --window right")]
    Letters(LettersArgs),
    /// Erase the persons' data of a campaign that has ended, or of one person. Counts, proofs and a keyed hash of each
    /// address remain. After `retention.recipients_days` this happens by itself.
    #[command(
        after_help = "Examples:\n  breachpost campaign erase cmp_1\n  breachpost campaign erase cmp_1 --person bob@example.lu --yes"
    )]
    Erase(EraseArgs),
    /// Delete the keyed hashes that an erased campaign left: then nobody can ask any more whether an address was told.
    #[command(after_help = "Examples:\n  breachpost campaign forget-hashes cmp_1")]
    ForgetHashes(ForgetArgs),
}

pub async fn run(command: CampaignCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        CampaignCommand::Create {
            breach,
            list,
            fallback_language,
            wording,
            follow_up,
        } => {
            let mut content = Box::new(import::content(&office, breach, fallback_language.as_deref()).await?);
            content.wording = wording.read(&office)?;
            let again = format!("breachpost campaign create {breach}");
            if let Some(earlier) = follow_up {
                // Before anything is stored.
                desk::campaign::get(&office, earlier).await?;
            }
            bring_in(
                &office,
                context,
                Target::Fresh { breach, content },
                list,
                &again,
                follow_up,
            )
            .await
        }
        CampaignCommand::Add { id, list } => {
            let again = format!("breachpost campaign add {id}");
            bring_in(&office, context, Target::Draft(id), list, &again, None).await
        }
        CampaignCommand::Erase(args) => erase::erase(args, &office, context).await,
        CampaignCommand::ForgetHashes(args) => erase::forget_hashes(args, &office, context).await,
        CampaignCommand::Held(args) => held::run(args, &office, context).await,
        CampaignCommand::Letters(args) => letters::run(args, &office, context).await,
        CampaignCommand::List => check::show_list(&office, context).await,
        CampaignCommand::Check { id, bad_rows, flagged } => check::run(id, bad_rows, flagged, &office, context).await,
        CampaignCommand::Look(command) => look::run(command, &office, context).await,
        CampaignCommand::Run(command) => run::run(command, &office, context).await,
        CampaignCommand::Report(command) => report::run(command, &office, context).await,
    }
}
