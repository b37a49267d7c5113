//! `mailbox`: mail that came in, what waits for a person, and what a person decides about it.

mod classify;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use self::show::{MailView, save};
use super::Context;
use super::files;
use super::notice::asked;
use super::output::{Exit, Failure};
use crate::dispatch::desk::conversation::{self, Attach, Attached, Target, TrayLine};
use crate::dispatch::intake::{self, Ingested, MAX_MAIL_BYTES};
use crate::dispatch::office::Office;
use crate::model::Time;
use crate::model::id::{DeliveryId, MailId, Reference};
use crate::model::receipt::ReceiptKind;
use crate::model::time::parse_aware;

/// Mail that came in.
#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Take in one mail from a file or standard input: for a pipe or a `.forward`. The same mail twice is harmless.
    #[command(
        after_help = "Examples:\n  breachpost mailbox ingest answer.eml\n  breachpost mailbox ingest - < answer.eml"
    )]
    Ingest {
        /// The mail; - for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    Classify(classify::ClassifyArgs),
    /// Show a mail, decrypted, with what is proven about its sender; save its attachments, or print it as it came.
    #[command(
        after_help = "Examples:\n  breachpost mailbox show mail_1\n  breachpost mailbox show mail_1 --save attachments\n  breachpost mailbox show mail_1 --raw > mail.eml"
    )]
    Show {
        /// The mail; `mailbox tray` names those that wait.
        mail: MailId,
        /// Write the attachments, decrypted, into this folder; nothing there is overwritten.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Print the mail exactly as it arrived, for evidence or another program.
        #[arg(long, conflicts_with = "save")]
        raw: bool,
    },
    /// What waits for a person: why, and what to do; status 2 when anything does. Nothing leaves it by itself.
    #[command(after_help = "Examples:\n  breachpost mailbox tray")]
    Tray,
    /// Attach a mail to the notice or delivery it belongs to, and book what it is. Journalled; takes it out of the tray.
    #[command(
        after_help = "Examples:\n  breachpost mailbox match mail_1 BP-7K3M-Q2XR\n  breachpost mailbox match mail_1 BP-7K3M-Q2XR --as reply \\\n      --due '2026-12-01 17:00' --reason 'they ask for the numbers'\n  breachpost mailbox match mail_1 BP-7K3M-Q2XR --order inform"
    )]
    Match(MatchArgs),
    /// Put a mail aside: you have read it and nothing more is to be done. Closes its question, if it asked one.
    #[command(after_help = "Examples:\n  breachpost mailbox done mail_1 --reason 'answered by telephone'")]
    Done {
        /// The mail; `mailbox tray` names those that wait.
        mail: MailId,
        /// Why nothing more is to be done; kept with the mail.
        #[arg(long, value_name = "WHY")]
        reason: String,
    },
}

/// What a person says about a mail.
#[derive(Debug, Args)]
pub struct MatchArgs {
    /// The mail; `mailbox tray` names those that wait.
    mail: MailId,
    /// A notice's reference (BP-7K3M-Q2XR), or a delivery (dlv_17).
    #[arg(value_name = "REFERENCE|DELIVERY", value_parser = target)]
    to: Target,
    /// What the mail is; else what it was understood to be, or a reply.
    #[arg(long = "as", value_enum, value_name = "KIND")]
    kind: Option<KindArg>,
    /// By when a reply must be answered: RFC 3339, or a local time of the authority's zone. Else three working days.
    #[arg(long, value_name = "TIME")]
    due: Option<String>,
    /// The mail orders you to inform the persons concerned (GDPR Art. 34(4)).
    #[arg(long, value_enum, value_name = "WHAT")]
    order: Option<OrderArg>,
    /// Why you say so; kept with the mail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OrderArg {
    /// To inform the persons concerned.
    Inform,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindArg {
    /// The authority confirms receipt.
    Acknowledgement,
    /// A person wrote; of an authority it opens a question with a due date.
    Reply,
    /// It came back: the recipient does not have it.
    Bounce,
    /// Delayed; their server goes on trying.
    Delay,
    /// Their server took it.
    Delivered,
    /// A machine answered.
    Autoreply,
    /// A feedback or other report.
    Report,
    Other,
}
impl From<KindArg> for ReceiptKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Acknowledgement => ReceiptKind::Acknowledgement,
            KindArg::Reply => ReceiptKind::Reply,
            KindArg::Bounce => ReceiptKind::Bounce,
            KindArg::Delay => ReceiptKind::Delay,
            KindArg::Delivered => ReceiptKind::Delivered,
            KindArg::Autoreply => ReceiptKind::Autoreply,
            KindArg::Report => ReceiptKind::Report,
            KindArg::Other => ReceiptKind::Other,
        }
    }
}

fn target(text: &str) -> Result<Target, String> {
    if let Ok(reference) = text.parse::<Reference>() {
        return Ok(Target::Notice(reference));
    }
    text.parse::<DeliveryId>()
        .map(Target::Delivery)
        .map_err(|_| "give a reference such as BP-7K3M-Q2XR or a delivery such as dlv_17".to_owned())
}

pub async fn run(command: MailboxCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        MailboxCommand::Classify(args) => classify::run(&args, context),
        MailboxCommand::Ingest { file } => {
            let office = context.office()?;
            let raw = files::read(&file, MAX_MAIL_BYTES as u64)?;
            let by = context.actor();
            // First what the mail server hands over: whatever is wrong with an earlier mail, this one must be stored.
            let ingested = intake::ingest(&office, &raw, "ingest", &by).await?;
            if let Err(error) = intake::catch_up(&office, &by).await {
                let why = anyhow::Error::from(error);
                context.out.note(&format!(
                    "An earlier mail is stored and could not be understood: {why:#}."
                ));
            }
            context.out.data(&ingested, || told(&ingested))?;
            let known = &ingested.understanding;
            // A notice that came back waits in no tray, and yet somebody must act: `status` says how.
            let came_back = known.kind == ReceiptKind::Bounce && known.notice.is_some();
            Ok(if known.in_tray || came_back {
                Exit::Person
            } else {
                Exit::Done
            })
        }
        MailboxCommand::Show { mail, raw: true, .. } => {
            let office = context.office()?;
            let (stored, _) = conversation::reopen(&office, mail).await?;
            context.out.bytes(
                &stored.raw,
                &serde_json::json!({ "mail": mail, "raw": String::from_utf8_lossy(&stored.raw) }),
            )?;
            Ok(Exit::Done)
        }
        MailboxCommand::Show { mail, save: folder, .. } => {
            let office = context.office()?;
            let (stored, opened) = conversation::reopen(&office, mail).await?;
            let saved = match folder {
                Some(folder) => save(&folder, &opened.attachments)?,
                None => Vec::new(),
            };
            let inquiry = conversation::inquiry_of(&office, mail).await?;
            let view = MailView::of(&stored, &opened, inquiry.as_ref(), saved);
            context.out.data(&view, || view.human())?;
            Ok(Exit::Done)
        }
        MailboxCommand::Tray => {
            let office = context.office()?;
            let tray = conversation::tray(&office).await?;
            context.out.data(&tray, || {
                if tray.is_empty() {
                    return "The tray is empty.\n".to_owned();
                }
                tray.iter().map(waiting).collect::<Vec<_>>().join("\n")
            })?;
            Ok(if tray.is_empty() { Exit::Done } else { Exit::Person })
        }
        MailboxCommand::Match(given) => {
            let office = context.office()?;
            let attach = attach_of(&office, given).await?;
            let attached = conversation::attach(&office, attach, &context.actor()).await?;
            context.out.data(&attached, || attached_as(&attached))?;
            Ok(Exit::Done)
        }
        MailboxCommand::Done { mail, reason } => {
            let office = context.office()?;
            let stored = conversation::done(&office, mail, &reason, &context.actor()).await?;
            context
                .out
                .data(&stored, || format!("{mail} is out of the tray: {}\n", &reason))?;
            Ok(Exit::Done)
        }
    }
}

async fn attach_of(office: &Office, given: MatchArgs) -> Result<Attach, Failure> {
    let due = match &given.due {
        None => None,
        Some(text) => Some(due(office, text, &given.to).await?),
    };
    Ok(Attach {
        mail: given.mail,
        to: given.to,
        kind: given.kind.map(Into::into),
        due,
        order: given.order.is_some(),
        reason: given.reason,
    })
}

/// A local time is the authority's.
async fn due(office: &Office, text: &str, to: &Target) -> Result<Time, Failure> {
    let zone = conversation::zone_of(office, to).await?;
    parse_aware(text, zone).map_err(|error| Failure::new(Exit::Usage, error))
}

/// One mail of the tray: what it is, why it waits, what to do.
fn waiting(line: &TrayLine) -> String {
    let about = match (&line.notice, line.campaign, line.delivery) {
        (Some(notice), _, _) => notice.to_string(),
        (None, Some(campaign), Some(delivery)) => format!("{campaign} ({delivery})"),
        _ => "belongs to nothing known".to_owned(),
    };
    let mut text = format!(
        "{}  {}  {}  {about}\n  why: {}\n",
        line.mail,
        line.received_at.format("%Y-%m-%d %H:%M UTC"),
        line.kind.map_or("?", |kind| kind.name()),
        &line.why
    );
    if !line.authenticity.is_empty() {
        text.push_str(&format!("  sender: {}\n", &line.authenticity));
    }
    if let Some(due) = line.due {
        text.push_str(&format!("  answer due: {}\n", due.format("%Y-%m-%d %H:%M UTC")));
    }
    text.push_str(&format!("  to do: {}\n", line.todo));
    for command in &line.commands {
        text.push_str(&format!("    {command}\n"));
    }
    text
}

fn attached_as(attached: &Attached) -> String {
    let to = match (&attached.notice, attached.delivery) {
        (Some(notice), _) => notice.to_string(),
        (None, Some(delivery)) => delivery.to_string(),
        (None, None) => "nothing".to_owned(),
    };
    let mut text = format!("{} belongs to {to} as {}\n", attached.mail, attached.kind.name());
    if let Some(inquiry) = &attached.inquiry {
        text.push_str(&format!("  {}\n", asked(inquiry)));
    }
    text
}

fn told(ingested: &Ingested) -> String {
    let understanding = &ingested.understanding;
    let mut text = format!(
        "{}: {} ({})\n",
        ingested.mail,
        understanding.kind.name(),
        understanding.why
    );
    if !ingested.new {
        text.push_str("  this mail had come before; nothing changed\n");
    }
    if let Some(notice) = &understanding.notice {
        text.push_str(&format!("  belongs to notice {notice}\n"));
    }
    if let (None, Some(delivery)) = (&understanding.notice, understanding.delivery) {
        text.push_str(&format!("  belongs to delivery {delivery}\n"));
    }
    if let Some(mark) = understanding.matched_by {
        text.push_str(&format!("  tied by: {}\n", mark.words()));
    }
    text.push_str(&format!("  sender: {}\n", understanding.authenticity.words()));
    if let Some(reference) = &understanding.authority_reference {
        text.push_str(&format!("  the authority's reference: {reference}\n"));
    }
    if let Some(signer) = &understanding.signed_by {
        text.push_str(&format!("  signed by the authority's certificate {signer}\n"));
    }
    if let (ReceiptKind::Bounce, Some(notice), false) =
        (understanding.kind, &understanding.notice, understanding.in_tray)
    {
        text.push_str(&format!("  what to do now: breachpost notice show {notice}\n"));
    }
    if understanding.in_tray {
        text.push_str(&format!(
            "  waits in the tray for a person: breachpost mailbox show {}\n",
            ingested.mail
        ));
    }
    text
}
