//! `mailbox`: mail that came in.

mod classify;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use super::files;
use super::output::{Exit, Failure, table};
use crate::dispatch::desk::overview;
use crate::dispatch::intake::{self, Ingested, MAX_MAIL_BYTES};
use crate::message::mime::Mailbox;
use crate::message::open::{Opened, Protection, Signature};
use crate::model::id::MailId;
use crate::store::StoredMail;

/// Mail that came in.
#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Take in one mail from a file or standard input: for a pipe or a `.forward`. The same mail twice is harmless.
    #[command(
        after_help = "Examples:\n  breachpost mailbox ingest answer.eml\n  breachpost mailbox ingest - < answer.eml"
    )]
    Ingest {
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    Classify(classify::ClassifyArgs),
    /// Show a mail, decrypted, with what is proven about its sender.
    #[command(after_help = "Examples:\n  breachpost mailbox show mail_1")]
    Show { mail: MailId },
    /// What waits for a person, and why; status 2 when anything does.
    #[command(after_help = "Examples:\n  breachpost mailbox tray")]
    Tray,
}

pub async fn run(command: MailboxCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        MailboxCommand::Classify(args) => classify::run(&args, context),
        MailboxCommand::Ingest { file } => {
            let office = context.office()?;
            let raw = files::read(&file, MAX_MAIL_BYTES as u64)?;
            let by = context.actor();
            intake::catch_up(&office, &by).await?;
            let ingested = intake::ingest(&office, &raw, "ingest", &by).await?;
            context.out.data(&ingested, || told(&ingested))?;
            Ok(if ingested.understanding.in_tray {
                Exit::Person
            } else {
                Exit::Done
            })
        }
        MailboxCommand::Show { mail } => {
            let office = context.office()?;
            let (stored, opened) = intake::reopen(&office, mail).await?;
            let view = MailView::of(&stored, &opened);
            context.out.data(&view, || view.human())?;
            Ok(Exit::Done)
        }
        MailboxCommand::Tray => {
            let office = context.office()?;
            let tray = overview::tray(&office).await?;
            context.out.data(&tray, || {
                if tray.is_empty() {
                    return "The tray is empty.\n".to_owned();
                }
                let rows: Vec<Vec<String>> = tray
                    .iter()
                    .map(|line| {
                        vec![
                            line.mail.to_string(),
                            line.received_at.format("%Y-%m-%d %H:%M UTC").to_string(),
                            line.kind.map_or("?", |kind| kind.name()).to_owned(),
                            line.notice.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                            line.why.clone(),
                        ]
                    })
                    .collect();
                table(&rows)
            })?;
            Ok(if tray.is_empty() { Exit::Done } else { Exit::Person })
        }
    }
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
    if let Some(reference) = &understanding.authority_reference {
        text.push_str(&format!("  the authority's reference: {reference}\n"));
    }
    if let Some(signer) = &understanding.signed_by {
        text.push_str(&format!("  signed by the authority's certificate {signer}\n"));
    }
    if understanding.in_tray {
        text.push_str(&format!(
            "  waits in the tray for a person: breachpost mailbox show {}\n",
            ingested.mail
        ));
    }
    text
}

#[derive(Serialize)]
struct MailView<'a> {
    #[serde(flatten)]
    stored: &'a StoredMail,
    from: Vec<String>,
    subject: &'a str,
    text: &'a str,
    attachments: Vec<&'a str>,
    authenticity: String,
}

impl<'a> MailView<'a> {
    fn of(stored: &'a StoredMail, opened: &'a Opened) -> Self {
        let protection = match &opened.protection {
            Protection::Clear => "not encrypted".to_owned(),
            Protection::Encrypted => "encrypted to us".to_owned(),
            Protection::Undecryptable(reason) => format!("encrypted, cannot be opened: {reason}"),
            Protection::SMime => "S/MIME, which is not opened here".to_owned(),
        };
        let signature = match &opened.signature {
            Signature::None => "not signed: its From address proves nothing".to_owned(),
            Signature::Good { fingerprint } => format!("good OpenPGP signature by {fingerprint}"),
            Signature::Unknown { .. } => "signed by a certificate that was not imported: proves nothing".to_owned(),
            Signature::Bad => "BAD OpenPGP signature: the content was changed".to_owned(),
        };
        Self {
            stored,
            from: opened.from.iter().map(Mailbox::shown).collect(),
            subject: &opened.subject,
            text: &opened.text,
            attachments: opened
                .attachments
                .iter()
                .map(|attachment| attachment.name.as_str())
                .collect(),
            authenticity: format!("{protection}; {signature}"),
        }
    }

    fn human(&self) -> String {
        let mut text = format!(
            "{}  received {}\nFrom: {}\nSubject: {}\nProtection: {}\n",
            self.stored.id,
            self.stored.received_at.format("%Y-%m-%d %H:%M UTC"),
            printable(&self.from.join(", ")),
            printable(self.subject),
            self.authenticity
        );
        if let Some(understanding) = &self.stored.understanding {
            text.push_str(&format!(
                "Understood as: {} ({})\n",
                understanding.kind.name(),
                understanding.why
            ));
        }
        for attachment in &self.attachments {
            text.push_str(&format!("Attachment: {}\n", printable(attachment)));
        }
        text.push_str(&format!("\n{}\n", printable(self.text)));
        text
    }
}

/// A stranger's text on our terminal: no control characters but line ends and tabs.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
