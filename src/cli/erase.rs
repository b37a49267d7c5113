//! `campaign erase` and `campaign forget-hashes`: the end of the persons' data, on request; after the retention time the
//! daemon does it by itself.

use clap::Args;
use serde::Serialize;

use super::Context;
use super::ask::Terminal;
use super::output::{Exit, Failure};
use crate::dispatch::office::{Office, OfficeError};
use crate::dispatch::retention;
use crate::model::id::CampaignId;
use crate::model::plural::counted;
use crate::store::{Erased, StoreError};

/// Whose data ends.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The campaign; `campaign list` names them.
    id: CampaignId,
    /// Only those at this address, in whatever spelling; else everybody.
    #[arg(long, value_name = "ADDRESS")]
    person: Option<String>,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

/// Whose hashes end.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The campaign; `campaign list` names them.
    id: CampaignId,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Done {
    id: CampaignId,
    #[serde(flatten)]
    erased: Erased,
}

/// `campaign erase`.
pub async fn erase(args: EraseArgs, office: &Office, context: &Context) -> Result<Exit, Failure> {
    let EraseArgs { id, person, yes } = args;
    let (whose, again) = match &person {
        None => (
            "the addresses, names and fields of everybody in".to_owned(),
            format!("breachpost campaign erase {id} --yes"),
        ),
        Some(address) => {
            let found = retention::at_address(office, id, address).await.map_err(refused)?;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            if found.len() > 1 {
                context.out.note(&format!(
                    "This address stands for {} of {id}: {}. All of them would be erased; breachpost campaign find ADDRESS \
                     says what is known of each.",
                    found.len(),
                    found.join(", ")
                ));
            }
            (
                format!("address, name and fields of {} in", found.join(", ")),
                format!("breachpost campaign erase {id} --person ADDRESS --yes"),
            )
        }
    };
    sure(
        context,
        yes,
        &format!("Erase {whose} {id}? This cannot be undone."),
        &again,
    )?;
    let erased = retention::erase(office, id, person.as_deref(), &context.actor())
        .await
        .map_err(refused)?;
    context.out.data(&Done { id, erased }, || {
        format!(
            "{id}: erased {}, {} of the list and {} that came back. Counts and proofs remain.\n\
             Backups made before still hold them: delete those too.\n",
            counted(erased.persons, "person"),
            counted(erased.bad_rows, "row"),
            counted(erased.mails, "mail")
        )
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Forgotten {
    id: CampaignId,
    /// False: there were none.
    forgotten: bool,
}

/// `campaign forget-hashes`.
pub async fn forget_hashes(args: ForgetArgs, office: &Office, context: &Context) -> Result<Exit, Failure> {
    let ForgetArgs { id, yes } = args;
    let question = format!("Delete the hashes of {id}? Then nobody can ask any more whether an address was told.");
    sure(
        context,
        yes,
        &question,
        &format!("breachpost campaign forget-hashes {id} --yes"),
    )?;
    let forgotten = office.store.forget_hashes(id, &context.actor(), office.now()).await;
    let forgotten = forgotten.map_err(|error| refused(error.into()))?;
    context.out.data(&Forgotten { id, forgotten }, || match forgotten {
        true => format!("{id}: the hashes are deleted.\n"),
        false => format!("{id} has no hashes: nobody of it was erased, or they are deleted already.\n"),
    })?;
    Ok(Exit::Done)
}

/// Asks whoever can be asked.
fn sure(context: &Context, yes: bool, question: &str, again: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let terminal = Terminal::find().filter(|_| context.out.interactive());
    let agreed = match terminal {
        None => false,
        Some(mut terminal) => terminal
            .confirm(question, false)
            .map_err(|e| Failure::new(Exit::Person, e))?,
    };
    match agreed {
        true => Ok(()),
        false => Err(Failure::person("nothing was erased: it was not confirmed").hint(again)),
    }
}

/// What the state does not allow is for a person to settle; what is not there was mistyped.
fn refused(error: OfficeError) -> Failure {
    match error {
        OfficeError::Store(error @ StoreError::Conflict { .. }) => {
            Failure::new(Exit::Person, error).hint("breachpost campaign list")
        }
        OfficeError::Store(error @ StoreError::NotFound { .. }) => {
            Failure::new(Exit::Usage, error).hint("breachpost campaign list")
        }
        other => other.into(),
    }
}
