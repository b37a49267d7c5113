//! `mailbox classify`: what a mail is, from its file alone. Nothing is stored, and no home is needed; where there is
//! one, its key opens what is sealed, and its overlays name the authorities.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::Context;
use super::super::files;
use super::super::output::{Exit, Failure};
use crate::config::{Config, Home};
use crate::directory::Directory;
use crate::directory::profile::Profile;
use crate::message::classify::{self, Marks, Verdict};
use crate::message::key::OurKey;
use crate::message::mime::Mailbox;
use crate::message::open::{self, MAX_MAIL_BYTES, Opened, Protection, Signature};
use crate::message::report::Recipient;
use crate::model::Time;
use crate::model::receipt::ReceiptKind;

/// Say what mails are, from their files alone: acknowledgement, delivered, delay, bounce, autoreply, reply, report, other.
///
/// Nothing is stored and no home is needed. Status 1 when a file cannot be read; the others are still classified.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  breachpost mailbox classify answer.eml
  breachpost mailbox classify answer.eml --json
  breachpost mailbox classify - < answer.eml")]
pub struct ClassifyArgs {
    /// Files with one mail each; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What is needed beside the mail itself.
struct Desk {
    key: Option<OurKey>,
    profiles: Vec<Profile>,
    now: Time,
}

/// Why one file gave no answer; the others go on.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read {file}")]
    Read {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{file} is empty: there is no mail in it")]
    Empty { file: String },
    #[error(
        "{file} is an mbox with {mails} mails; split it into one file for each, for example with `git mailsplit -oFOLDER {file}`"
    )]
    Mbox { file: String, mails: usize },
}

pub fn run(args: &ClassifyArgs, context: &Context) -> Result<Exit, Failure> {
    let desk = Desk::open(context)?;
    let mut exit = Exit::Done;
    for file in &args.files {
        let name = match file.as_path() == Path::new("-") {
            true => "-".to_owned(),
            false => file.display().to_string(),
        };
        match read(file) {
            Ok(raw) => {
                let seen = desk.classify(&raw);
                match context.out.json {
                    true => context.out.line(&seen.record(name))?,
                    false => context.out.data(&(), || seen.record(name).human())?,
                }
            }
            Err(error) => {
                exit = Exit::Ours;
                let mut text = format!("error: {error}");
                if let Some(because) = std::error::Error::source(&error) {
                    text.push_str(&format!("\nbecause: {because}"));
                }
                context.out.note(&text);
                if context.out.json {
                    context
                        .out
                        .line(&serde_json::json!({ "file": name, "error": error.to_string() }))?;
                }
            }
        }
    }
    Ok(exit)
}

/// One byte more than is ever looked at, so that a larger mail is known as such.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = files::name(path);
    let most = MAX_MAIL_BYTES as u64 + 1;
    let mut raw = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut raw)
    } else {
        std::fs::File::open(path).and_then(|found| found.take(most).read_to_end(&mut raw))
    };
    if let Err(source) = result {
        return Err(FileError::Read { file, source });
    }
    if raw.trim_ascii().is_empty() {
        return Err(FileError::Empty { file });
    }
    match open::mails_in_mbox(&raw) {
        0 | 1 => Ok(raw),
        mails => Err(FileError::Mbox { file, mails }),
    }
}

impl Desk {
    fn open(context: &Context) -> Result<Self, Failure> {
        let home = context.home_if_any()?;
        let overlay = home.as_ref().map(Home::authorities_dir);
        let profiles = Directory::load(overlay.as_deref())
            .and_then(|directory| directory.list())
            .map_err(|error| Failure::new(Exit::Ours, error))?;
        let now = context.clock.now();
        let key = home.and_then(|home| {
            let opened = our_key(&home, now);
            if let Err(why) = &opened {
                context
                    .out
                    .note(&format!("note: encrypted mail is not opened: {why:#}"));
            }
            opened.ok()
        });
        Ok(Self { key, profiles, now })
    }

    fn classify(&self, raw: &[u8]) -> Seen<'_> {
        // Certificates are pinned in the store, which is not asked: a signature by another is unknown here.
        let mail = open::open(raw, self.key.as_ref(), &[], self.now);
        let marks = classify::marks(&mail);
        let (verdict, authority) = classify::judge_alone(&mail, &marks, &self.profiles);
        Seen {
            mail,
            marks,
            verdict,
            authority,
        }
    }
}

fn our_key(home: &Home, now: Time) -> anyhow::Result<OurKey> {
    let config = Config::load(home)?;
    let bytes = std::fs::read(home.resolve(&config.key.file))?;
    Ok(OurKey::load(&bytes, &config.key.passphrase.read(home)?, now)?)
}

/// A mail with all that was found.
struct Seen<'d> {
    mail: Opened,
    marks: Marks,
    verdict: Verdict,
    authority: Option<&'d Profile>,
}

impl Seen<'_> {
    fn record(&self, file: String) -> Record<'_> {
        let report = self.marks.report.as_ref();
        let returned = report.and_then(|report| report.returned.as_ref());
        Record {
            file,
            kind: self.verdict.kind,
            recipients: report.map_or(&[], |report| &report.recipients),
            reference: self.marks.references.first().map(|reference| reference.as_str()),
            in_reply_to: self.mail.in_reply_to.first().map(String::as_str),
            why: &self.verdict.why,
            from: self.mail.from.iter().map(Mailbox::shown).collect(),
            subject: &self.mail.subject,
            message_id: self.mail.message_id.as_deref(),
            date: self.mail.date,
            authority: self.authority.map(|profile| profile.id.as_str()),
            authority_reference: self.verdict.authority_reference.as_deref(),
            automatic: self.marks.automatic || self.marks.answers_by_machine || report.is_some(),
            protection: match &self.mail.protection {
                Protection::Clear => "clear",
                Protection::Encrypted => "encrypted",
                Protection::Undecryptable(_) => "undecryptable",
                Protection::SMime => "smime",
            },
            signature: match &self.mail.signature {
                Signature::None => "none",
                Signature::Good { .. } => "good",
                Signature::Unknown { .. } => "unknown",
                Signature::Bad => "bad",
            },
            envelope_id: report.and_then(|report| report.envelope_id.as_deref()),
            reporting_mta: report.and_then(|report| report.reporting_mta.as_deref()),
            returned_message_id: returned.and_then(|returned| returned.message_id.as_deref()),
            about: report.map_or(&[], |report| &report.about),
            manner: report.and_then(|report| report.manner.as_deref()),
            defects: &self.mail.defects,
        }
    }
}

/// One line of the output (design: the command line, `mailbox classify`).
#[derive(Serialize)]
struct Record<'a> {
    file: String,
    kind: ReceiptKind,
    recipients: &'a [Recipient],
    reference: Option<&'a str>,
    in_reply_to: Option<&'a str>,
    why: &'a str,
    from: Vec<String>,
    subject: &'a str,
    message_id: Option<&'a str>,
    date: Option<Time>,
    /// Whose sender it comes from; proves nothing.
    authority: Option<&'a str>,
    authority_reference: Option<&'a str>,
    automatic: bool,
    protection: &'static str,
    signature: &'static str,
    envelope_id: Option<&'a str>,
    reporting_mta: Option<&'a str>,
    returned_message_id: Option<&'a str>,
    /// Of feedback or a disposition: whose it is.
    about: &'a [String],
    manner: Option<&'a str>,
    defects: &'a [String],
}

impl Record<'_> {
    fn human(&self) -> String {
        let mut text = format!("{}: {}\n  {}\n", self.file, self.kind.name(), self.why);
        let mut line = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                text.push_str(&format!("  {name}: {}\n", value.replace(['\r', '\n'], " ")));
            }
        };
        line("from", Some(&self.from.join(", ")));
        line("subject", Some(self.subject));
        for recipient in self.recipients {
            let diagnostic = recipient.diagnostic.as_deref().map(|said| format!(": {said}"));
            let told = format!(
                "{} {} {}{}",
                recipient.address,
                recipient.action.name(),
                recipient.status,
                diagnostic.unwrap_or_default()
            );
            line("recipient", Some(&told));
        }
        line("reference", self.reference);
        line("authority", self.authority);
        line("the authority's reference", self.authority_reference);
        line("answers", self.in_reply_to);
        line("about our message", self.returned_message_id);
        line("envelope id", self.envelope_id);
        line("about", Some(&self.about.join(", ")));
        line(
            "protection",
            Some(self.protection).filter(|protection| *protection != "clear"),
        );
        for defect in self.defects {
            line("odd", Some(defect));
        }
        text.push('\n');
        text
    }
}
