//! `campaign preview`, `test`, `checklist` and `public-notice`: what it says, before it is said.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::cli::Context;
use crate::cli::output::{Exit, Failure, table};
use crate::cli::wording;
use crate::config::Encrypt;
use crate::dispatch::desk::campaign::{self, POINTS, Protection, Ready, Whose};
use crate::dispatch::office::Office;
use crate::message::template::{Audience, Severity};
use crate::model::address;
use crate::model::breach::Decision;
use crate::model::id::{BreachId, CampaignId};
use crate::model::plural::{counted, grouped, if_one};

/// An example of the file that --texts takes.
const TEXTS: &str = include_str!("../../../assets/texts.yaml");

/// Looking at a campaign.
#[derive(Debug, Subcommand)]
pub enum LookCommand {
    /// Show the message of one person, in their language or in another.
    #[command(
        after_help = "Examples:\n  breachpost campaign preview cmp_1\n  breachpost campaign preview cmp_1 --row 1 --lang fr \\\n      --html > message.html\n  breachpost campaign preview cmp_1 --language-unknown"
    )]
    Preview {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// The person at this address; else the first.
        #[arg(long, value_name = "ADDRESS", conflicts_with = "row")]
        person: Option<String>,
        /// The person with this number among those who can be written to.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        row: Option<u64>,
        /// In this language.
        #[arg(long, value_name = "LANG")]
        lang: Option<String>,
        /// As those get it whose language is not known.
        #[arg(long, conflicts_with = "lang")]
        language_unknown: bool,
        /// As the HTML page that goes beside the text.
        #[arg(long)]
        html: bool,
    },
    /// Send samples to a colleague: the first person's message in each language, marked as a test. Nobody is counted as
    /// informed by it.
    #[command(
        after_help = "Examples:\n  breachpost campaign test cmp_1 --to team@example.lu\n  breachpost campaign test cmp_1 --to team@example.lu --lang de --lang fr"
    )]
    Test {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// The colleague's address.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// Only in this language. May be repeated.
        #[arg(long, value_name = "LANG")]
        lang: Vec<String>,
    },
    /// What makes such a mail credible, and who has seen to it.
    #[command(
        after_help = "Examples:\n  breachpost campaign checklist cmp_1\n  breachpost campaign checklist cmp_1 --done telephone \\\n      --note 'ten colleagues until Friday'"
    )]
    Checklist {
        /// The campaign; `campaign list` names them.
        id: CampaignId,
        /// Tick this point off.
        #[arg(long, value_name = "NAME")]
        done: Option<String>,
        /// How it was seen to.
        #[arg(long, value_name = "TEXT", requires = "done")]
        note: Option<String>,
    },
    /// The text that tells everybody, for the website or a newspaper, where not every person can be told (GDPR Art.
    /// 34(3)(c)).
    #[command(
        after_help = "Examples:\n  breachpost campaign public-notice B-2026-001\n  breachpost campaign public-notice B-2026-001 --lang de --html > notice.html\n  breachpost campaign public-notice B-2026-001 --lang fr --texts texts.yaml"
    )]
    PublicNotice {
        /// The breach; `breach list` names them.
        breach: BreachId,
        /// Its language; else that of config.yaml.
        #[arg(long, value_name = "LANG")]
        lang: Option<String>,
        /// As an HTML page.
        #[arg(long)]
        html: bool,
        /// What you say in this language, in the place of the breach record's words: `breachpost campaign texts` prints an
        /// example.
        #[arg(long, value_name = "FILE")]
        texts: Option<PathBuf>,
    },
    /// Print an example of the file that --texts takes, to be changed: your own words in the persons' languages.
    #[command(after_help = "Examples:\n  breachpost campaign texts > my-texts.yaml")]
    Texts,
}

pub async fn run(command: LookCommand, office: &Office, context: &Context) -> Result<Exit, Failure> {
    match command {
        LookCommand::Preview {
            id,
            person,
            row,
            lang,
            language_unknown,
            html,
        } => {
            let lang = if language_unknown { Some(String::new()) } else { lang };
            let whose = match (person, row) {
                (Some(address), _) => Whose::Address(address),
                (None, Some(row)) => Whose::Row(row),
                (None, None) => Whose::First,
            };
            let shown = campaign::preview(office, id, &whose, lang.as_deref()).await?;
            context.out.data(&shown, || match html {
                true => shown.html.clone(),
                false => format!("From: {}\nSubject: {}\n\n{}", shown.from, shown.subject, shown.text),
            })?;
            Ok(Exit::Done)
        }
        LookCommand::Test { id, to, lang } => {
            must_be_an_address(&to)?;
            let tested = campaign::test(office, id, &to, &lang, &context.actor()).await?;
            context.out.data(&tested, || {
                let rows: Vec<Vec<String>> = tested
                    .iter()
                    .map(|sample| vec![sample.language.clone(), sample.outcome.to_owned(), sample.reply.clone()])
                    .collect();
                let way = tested.first().map(|sample| {
                    format!(
                        "From {}, through {}, bounces to {}: the way of the campaign's own messages\n",
                        sample.from, sample.relay, sample.return_path
                    )
                });
                way.unwrap_or_default() + &table(&rows)
            })?;
            let all = tested.iter().all(|sample| sample.outcome == "accepted");
            Ok(if all { Exit::Done } else { Exit::Person })
        }
        LookCommand::Checklist { id, done, note } => {
            if let Some(name) = done {
                campaign::check_off(office, id, &name, note.as_deref(), &context.actor()).await?;
            }
            let ready = campaign::ready(office, id).await?;
            context.out.data(&ready.checklist, || checklist(&ready))?;
            Ok(Exit::Done)
        }
        LookCommand::Texts => {
            context.out.data(&json!({ "texts": TEXTS }), || TEXTS.to_owned())?;
            Ok(Exit::Done)
        }
        LookCommand::PublicNotice {
            breach,
            lang,
            html,
            texts,
        } => {
            if let Some(lang) = &lang {
                must_be_public(office, lang)?;
            }
            let wording = wording::read(texts.as_deref(), false, false, office)?;
            let (filled, findings) = campaign::public_notice(office, breach, lang.as_deref(), wording).await?;
            for finding in findings {
                context.out.note(&format!("{}: {finding}", finding.severity.name()));
            }
            let said = filled.rendered();
            let facts = json!({
                "breach": breach, "language": filled.language, "subject": said.subject, "text": said.text,
                "html": filled.html(),
            });
            context.out.data(&facts, || match html {
                true => filled.html(),
                false => format!("{}\n\n{}", said.subject, said.text),
            })?;
            Ok(Exit::Done)
        }
    }
}

/// What was mistyped is wrong usage, and no answer about a person.
pub(super) fn must_be_an_address(given: &str) -> Result<(), Failure> {
    match given.contains('@') && address::on_the_wire(given).is_ok() {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "`{}` is no e-mail address",
            crate::reading::shown(given)
        ))),
    }
}

/// A language that was asked for by name is not replaced by another.
fn must_be_public(office: &Office, language: &str) -> Result<(), Failure> {
    let known = office.templates.languages(Audience::Public);
    match known.contains(&language) {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "there is no public notice in `{}`; there is: {}",
            crate::reading::shown(language),
            known.join(", ")
        ))),
    }
}

fn checklist(ready: &Ready) -> String {
    let mut rows = Vec::new();
    for point in &ready.checklist {
        let done = match &point.done {
            Some(done) => format!("done, {} by {}", done.at.format("%Y-%m-%d %H:%M UTC"), done.by),
            None => "open".to_owned(),
        };
        let note = point
            .done
            .as_ref()
            .and_then(|done| done.note.clone())
            .unwrap_or_default();
        rows.push(vec![format!("  {}", point.name), done, point.text.to_owned(), note]);
    }
    table(&rows)
}

/// How the messages travel, for a person.
fn protection(id: CampaignId, protection: &Protection) -> String {
    let Protection { encrypted, clear, .. } = protection;
    let mut text = match (protection.encrypt, encrypted) {
        (Encrypt::Required, _) => format!(
            "\nEncrypted: {}, each to the person's own certificate",
            grouped(encrypted)
        ),
        (_, 0) => "\nNo message is encrypted".to_owned(),
        _ => format!(
            "\nEncrypted: {}, each to the person's own certificate; {} {} not",
            grouped(encrypted),
            grouped(clear),
            if_one(clear, "is", "are")
        ),
    };
    let left_out = protection.not_written_to;
    if left_out > 0 {
        text.push_str(&format!(
            "; {} {} no certificate that can be used and {} NOT written to",
            counted(left_out, "person"),
            if_one(left_out, "has", "have"),
            if_one(left_out, "is", "are")
        ));
    }
    text.push_str(&format!(" (campaign.encrypt: {})\n", protection.encrypt.name()));
    let ended = protection.certificate_ended;
    if ended > 0 {
        text.push_str(&format!(
            "{} {} a certificate that has ended since the list was imported: their {} for your decision \
             (breachpost campaign held {id}), or bring in a list with a later one\n",
            counted(ended, "person"),
            if_one(ended, "has", "have"),
            if_one(ended, "message waits", "messages wait")
        ));
    }
    let ending = protection.certificate_ends_soon;
    if ending > 0 {
        text.push_str(&format!(
            "{} of the certificates {} before the run does\n",
            grouped(ending),
            if_one(ending, "ends", "end")
        ));
    }
    if protection.settings_have_changed {
        text.push_str(&format!(
            "config.yaml says otherwise by now; to take it in: breachpost campaign update {id}\n"
        ));
    }
    text
}

/// What is to be known before a start, for a person.
pub fn readiness(id: CampaignId, ready: &Ready) -> String {
    let mut text = String::new();
    match ready.decision {
        Decision::Pending | Decision::NotRequired => text.push_str(&format!(
            "\nThe decision to tell the persons is missing (now: {}): breachpost breach decide {} inform --rationale 'WHY'\n",
            ready.decision.name(),
            ready.breach
        )),
        _ => {}
    }
    if ready.record_has_changed {
        text.push_str(&format!(
            "\nThe breach record has changed since; to take it in: breachpost campaign update {id}\n"
        ));
    }
    if ready.told_before > 0 {
        text.push_str(&format!(
            "\n{} a second message: {} whom another campaign about {} has told, or may have told\n",
            if_one(ready.told_before, "Gets", "Get"),
            counted(ready.told_before, "person"),
            ready.breach
        ));
    }
    text.push_str(&format!("\nFrom: {}\n", ready.from));
    text.push_str(&protection(id, &ready.protection));
    let worth: Vec<_> = ready
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .collect();
    if !worth.is_empty() {
        text.push_str("\nIn the messages:\n");
        for finding in worth {
            text.push_str(&format!("  {}: {finding}\n", finding.severity.name()));
        }
    }
    if let Some(estimate) = &ready.estimate {
        text.push_str(&format!(
            "\nStarted now, {} {} at about {} ({} decides)\n",
            counted(estimate.messages, "message"),
            if_one(estimate.messages, "ends", "end"),
            estimate.ends.format("%Y-%m-%d %H:%M UTC"),
            estimate.bound_by
        ));
    }
    let open = ready.checklist.iter().filter(|point| point.done.is_none()).count();
    if open > 0 {
        text.push_str(&format!(
            "\nBefore you start ({open} of {} open; tick off: breachpost campaign checklist {id} --done NAME):\n{}",
            POINTS.len(),
            checklist(ready)
        ));
    }
    text
}
