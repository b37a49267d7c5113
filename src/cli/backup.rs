//! `backup` and `restore`: a copy of the whole installation, and its way back.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::Context;
use super::output::{Exit, Failure};
use crate::config::Home;
use crate::dispatch::backup::{self, BackupError};
use crate::dispatch::office::Office;
use crate::model::plural::counted;

/// Copy the whole installation, while it runs: store, settings, keys, overlays, checkpoints.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  breachpost backup -o backup-tuesday\n  breachpost backup -o backup-wednesday --without-keys"
)]
pub struct BackupArgs {
    /// A folder that does not exist yet or is empty.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Leave the keys folder out. Without the store's key and the passphrases the copy opens nothing: keep them elsewhere.
    #[arg(long)]
    without_keys: bool,
}

/// Bring a backup back as a home. Campaigns that ran are paused and waiting notices held until a person says otherwise.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  breachpost restore backup-monday --home restored")]
pub struct RestoreArgs {
    /// The folder that `breachpost backup` wrote; --home names the new home.
    from: PathBuf,
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let exit = match &error {
            BackupError::NotEmpty(_) | BackupError::NoBackup(_) => Exit::Usage,
            BackupError::Damaged(_) => Exit::Person,
            _ => Exit::Ours,
        };
        Failure::new(exit, error)
    }
}

pub async fn make(args: BackupArgs, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    let made = backup::make(&office, &args.output, !args.without_keys).await?;
    let bytes: u64 = made.files.iter().map(|entry| entry.bytes).sum();
    context
        .out
        .data(&json!({ "folder": args.output, "backup": made }), || {
            let secret = match args.without_keys {
                true => "The keys are not in it: without the store's key it cannot be opened.",
                false => "It opens everything, as the home does: keep it as safe.",
            };
            format!(
                "{}, {} in {}; the journal has {}.\n{secret}\n",
                counted(made.files.len(), "file"),
                counted(bytes, "byte"),
                args.output.display(),
                counted(made.journal_length, "entry")
            )
        })?;
    Ok(Exit::Done)
}

pub async fn restore(args: &RestoreArgs, context: &Context) -> Result<Exit, Failure> {
    let Some(to) = Home::named(context.home.as_deref()) else {
        return Err(Failure::usage("say where the home shall be: --home DIR, a new folder"));
    };
    let (restored, home) = backup::restore(&args.from, &to)?;
    // So that whoever looks at it sees at once what waits for a decision. Without the keys it cannot be opened yet; then
    // this happens before the first message could leave.
    if let Ok(office) = Office::open(home.clone(), Arc::clone(&context.clock)) {
        office.settle_identity().await?;
    }
    context.out.data(&json!({ "home": home.root(), "backup": restored }), || {
        format!(
            "{} is a home again, as it was on {}.\nCampaigns that ran or could be started are paused and waiting notices are held, because what was sent since is not known in it.\n\
             Next: breachpost doctor --home {}\n",
            home.root().display(),
            restored.made_at.format("%Y-%m-%d %H:%M UTC"),
            home.root().display()
        )
    })?;
    Ok(Exit::Done)
}
