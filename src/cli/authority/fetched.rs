//! `authority cert fetch`, `approve`, `refuse` and `show`: certificates from the web, side by side with the pinned one.

use clap::Subcommand;
use serde::Serialize;

use super::{VerifiedArg, describe};
use crate::cli::Context;
use crate::cli::output::{Exit, Failure, table};
use crate::directory::certificate::pretty_fingerprint;
use crate::dispatch::desk::certificate::{self, Approval, FetchView, Outcome, PinView, Verified};
use crate::dispatch::office::Office;
use crate::store::Look;

#[derive(Debug, Subcommand)]
pub enum FetchedCommand {
    /// Fetch the certificate that an authority publishes, and show it beside the pinned one. It is not used before you
    /// approve it.
    #[command(after_help = "Examples:\n  breachpost authority cert fetch lu-cnpd")]
    Fetch {
        /// The authority's id; `authority list` names them.
        id: String,
        /// Ask the Web Key Directory of the breach address, whatever URL the profile names.
        #[arg(long)]
        wkd: bool,
    },
    /// Approve the fetched certificate that waits, after you have verified its fingerprint.
    #[command(after_help = "\
Examples:
  breachpost authority cert approve lu-cnpd \\
      --fingerprint '0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567' \\
      --verified phone")]
    Approve {
        /// The authority's id; `authority list` names them.
        id: String,
        /// The whole fingerprint, as the authority has read it out; not needed for a newer state of the pinned certificate.
        #[arg(long, value_name = "FPR")]
        fingerprint: Option<String>,
        /// How the fingerprint was verified; shown in every preview.
        #[arg(long, value_enum)]
        verified: Option<VerifiedArg>,
        /// Accept a certificate that does not name the authority's address, with the reason.
        #[arg(long, value_name = "REASON")]
        accept_user_id: Option<String>,
        /// Keep an expired certificate: it cannot be used but by `notice send --override expired`.
        #[arg(long)]
        accept_expired: bool,
    },
    /// Refuse the fetched certificate that waits; the very same is not proposed again.
    #[command(after_help = "\
Examples:
  breachpost authority cert refuse lu-cnpd --reason 'they say it is not theirs'")]
    Refuse {
        /// The authority's id; `authority list` names them.
        id: String,
        /// Why; it stands in the journal.
        #[arg(long)]
        reason: String,
    },
}

pub async fn run(command: FetchedCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    let by = context.actor();
    match command {
        FetchedCommand::Fetch { id, wkd } => {
            let found = certificate::fetch(&office, &id, wkd, &by).await?;
            context.out.data(&found, || side_by_side(&found))?;
            Ok(match found.outcome {
                Outcome::Unchanged | Outcome::Updated => Exit::Done,
                Outcome::Waiting | Outcome::Revoked | Outcome::Refused => Exit::Person,
            })
        }
        FetchedCommand::Approve {
            id,
            fingerprint,
            verified,
            accept_user_id,
            accept_expired,
        } => {
            let approval = Approval {
                fingerprint,
                verified: verified.map(Verified::from),
                accepted_user_id: accept_user_id,
                accept_expired,
            };
            let pin = certificate::approve(&office, &id, approval, &by).await?;
            context.out.data(&pin, || describe(&pin))?;
            Ok(Exit::Done)
        }
        FetchedCommand::Refuse { id, reason } => {
            let refused = certificate::refuse(&office, &id, &reason, &by).await?;
            context.out.data(&refused, || {
                format!(
                    "The certificate {} fetched for {id} is refused. Nothing was or will be sealed to it.\n",
                    pretty_fingerprint(&refused.fingerprint)
                )
            })?;
            Ok(Exit::Done)
        }
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    pin: Option<PinView>,
    /// What was fetched and waits for a decision.
    fetched: Option<FetchView>,
    /// When the daemon last looked for it, and what came of it.
    last_look: Option<Look>,
}

/// `cert show`: the pin, and what waits beside it.
pub async fn show(context: &Context, office: &Office, id: &str) -> Result<Exit, Failure> {
    let shown = Shown {
        pin: certificate::show(office, id).await?,
        fetched: certificate::waiting(office, id).await?,
        last_look: certificate::last_look(office, id).await?,
    };
    if shown.pin.is_none() && shown.fetched.is_none() {
        let hint = format!("breachpost authority cert import {id} FILE --fingerprint FPR --verified phone");
        return Err(Failure::person(format!("no certificate of {id} was imported yet")).hint(hint));
    }
    context.out.data(&shown, || shown.human(id))?;
    let usable = shown.pin.as_ref().is_some_and(|pin| pin.unusable.is_none());
    Ok(match usable && shown.fetched.is_none() {
        true => Exit::Done,
        false => Exit::Person,
    })
}

impl Shown {
    fn human(&self, id: &str) -> String {
        let mut text = match &self.pin {
            Some(pin) => describe(pin),
            None => format!("No certificate of {id} is pinned.\n"),
        };
        if let Some(look) = &self.last_look {
            text.push_str(&format!(
                "  looked for   {}: {}\n",
                look.at.format("%Y-%m-%d %H:%M UTC"),
                look.result
            ));
        }
        if let Some(fetched) = &self.fetched {
            text.push('\n');
            text.push_str(&side_by_side(fetched));
        }
        text
    }
}

/// The fetched certificate beside the pinned one, what differs marked, and what to do.
fn side_by_side(found: &FetchView) -> String {
    let id = &found.authority;
    let mut text = format!(
        "Fetched for {id} on {}\nfrom {}\n\n",
        found.fetched_at.format("%Y-%m-%d %H:%M UTC"),
        found.source
    );
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![["", "", "PINNED", "FETCHED"].map(str::to_owned).to_vec()];
    rows.extend(found.comparison.iter().map(|row| {
        let mark = if row.differs { "!" } else { "" };
        vec![
            mark.to_owned(),
            row.what.to_owned(),
            cell(&row.pinned),
            cell(&row.fetched),
        ]
    }));
    text.push_str(&table(&rows));
    if found.comparison.iter().any(|row| row.differs) {
        text.push_str("\n!  differs from what is pinned\n");
    }
    match found.as_published {
        Some(true) => text.push_str("It has the fingerprint that the profile says is published (a hint, no proof).\n"),
        Some(false) => text.push_str("It does NOT have the fingerprint that the profile says is published.\n"),
        None => {}
    }
    if let Some(why) = &found.unusable {
        text.push_str(&format!("It cannot be used as it is: {why}\n"));
    }
    text.push_str(&format!("\n{}: {}\n", upper(found.outcome), found.meaning));
    if found.outcome == Outcome::Waiting {
        let call = found
            .phone
            .as_ref()
            .map_or_else(String::new, |phone| format!(" ({phone})"));
        text.push_str(&format!(
            "Ring the authority{call} on a number that did not come with this key, and have them read out:\n  {}\n\
             If it is the same, type what they said:\n  \
             breachpost authority cert approve {id} --fingerprint FPR --verified phone\n\
             If it is not:\n  breachpost authority cert refuse {id} --reason WHY\n",
            pretty_fingerprint(&found.fingerprint)
        ));
    }
    text
}

fn upper(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "UNCHANGED",
        Outcome::Waiting => "WAITS",
        Outcome::Updated => "UPDATED",
        Outcome::Revoked => "REVOKED",
        Outcome::Refused => "REFUSED",
    }
}
