//! `user` and `token`: persons who act under their own name, so that two of them can agree.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use super::files;
use super::output::{Exit, Failure, table};
use crate::dispatch::desk::people;
use crate::model::campaign::CampaignState;
use crate::secret::Secret;
use crate::store::StoredCampaign;

/// Persons who act under their own name.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person and make their token; it is shown once.
    #[command(after_help = "Examples:\n  breachpost user add anna\n  breachpost user add carl --output carl.token")]
    Add {
        /// The person's name here, as the journal shows it.
        name: String,
        /// Write the token to a new private file instead of printing it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Everybody who has or had a token.
    #[command(after_help = "Examples:\n  breachpost user list")]
    List,
    /// Take a person's token out of force; what they did stays on record.
    #[command(after_help = "Examples:\n  breachpost user disable anna")]
    Disable {
        /// The person's name here, as the journal shows it.
        name: String,
    },
}

/// Tokens: how the command line knows a person.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a new token for a person; the old one opens nothing any more.
    #[command(
        after_help = "Examples:\n  breachpost token renew anna\n  breachpost token renew anna --output anna-2.token"
    )]
    Renew {
        /// The person's name here, as the journal shows it.
        name: String,
        /// Write the token to a new private file instead of printing it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Say under which name commands run here.
    #[command(after_help = "Examples:\n  breachpost token check\n  breachpost token check --token-file anna.token")]
    Check,
}

pub async fn run(command: UserCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        UserCommand::Add { name, output } => {
            let token = people::add(&office, &name, &context.actor()).await?;
            hand_over(context, &name, &token, output)?;
        }
        UserCommand::List => {
            let users = people::list(&office).await?;
            context.out.data(&users, || {
                if users.is_empty() {
                    return "No users: everything is done under the account of the operating system.\n".to_owned();
                }
                let rows: Vec<Vec<String>> = users
                    .iter()
                    .map(|user| {
                        let disabled = user.disabled_at.map(|at| format!("disabled {}", at.format("%Y-%m-%d")));
                        vec![
                            user.name.clone(),
                            format!("added {} by {}", user.added_at.format("%Y-%m-%d"), user.added_by),
                            disabled.unwrap_or_default(),
                        ]
                    })
                    .collect();
                table(&rows)
            })?;
        }
        UserCommand::Disable { name } => {
            let affected = people::disable(&office, &name, &context.actor()).await?;
            let ids: Vec<_> = affected.iter().map(|campaign| campaign.id).collect();
            let done = json!({ "user": name, "disabled": true, "campaigns": ids });
            context.out.data(&done, || {
                let mut text = format!("{name} is disabled: the token opens nothing any more\n");
                for campaign in &affected {
                    text.push_str(&no_longer_agreed(&name, campaign));
                }
                text
            })?;
        }
    }
    Ok(Exit::Done)
}

/// What becomes of a campaign that a disabled person had agreed to.
fn no_longer_agreed(name: &str, campaign: &StoredCampaign) -> String {
    let (id, state) = (campaign.id, campaign.state.name());
    let stop = match campaign.state {
        CampaignState::Running => format!("to stop it: breachpost campaign pause {id} --reason WHY; "),
        _ => String::new(),
    };
    format!(
        "{name} had agreed to {id} ({state}), which counts no more; {stop}for somebody else to agree: \
         breachpost campaign approve {id}\n"
    )
}

pub async fn run_token(command: TokenCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Renew { name, output } => {
            let office = context.office()?;
            let token = people::renew(&office, &name, &context.actor()).await?;
            hand_over(context, &name, &token, output)?;
        }
        TokenCommand::Check => {
            let actor = context.actor().to_string();
            context.out.data(&json!({ "actor": actor }), || {
                format!("Commands run here as {actor}.\n")
            })?;
        }
    }
    Ok(Exit::Done)
}

/// Shows a token, or writes it to a file that only its owner may read.
fn hand_over(context: &Context, name: &str, token: &Secret, output: Option<PathBuf>) -> Result<(), Failure> {
    match output {
        Some(path) => {
            files::write_private(&path, format!("{}\n", token.expose()).as_bytes())?;
            context.out.data(&json!({ "user": name, "file": path }), || {
                format!(
                    "The token of {name} is in {}. Hand it over in person.\n",
                    path.display()
                )
            })
        }
        None => context.out.data(&json!({ "user": name, "token": token.expose() }), || {
            format!(
                "The token of {name}, shown this once:\n\n  {}\n\nThey keep it in a private file and use it so: \
                 breachpost notice approve … --token-file FILE\n",
                token.expose()
            )
        }),
    }
}
