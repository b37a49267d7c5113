//! `notice test`: the rehearsal on the real path.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::attachments;
use crate::cli::Context;
use crate::cli::ask::Terminal;
use crate::cli::output::{Exit, Failure};
use crate::directory::certificate::pretty_fingerprint;
use crate::dispatch::desk::notice::{self, NoticeRequest, Prepared};
use crate::dispatch::desk::{DeskError, breach};
use crate::dispatch::office::Office;
use crate::dispatch::rehearsal::{self, Rehearsal};
use crate::message::passage::{Content, Harm};
use crate::model::id::BreachId;
use crate::model::plural::{counted, if_one};

/// What to rehearse.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The breach's number in the register, such as B-2026-001.
    breach: BreachId,
    /// The authority whose notice is rehearsed; it gets nothing. Else the breach's lead authority, else your country's.
    #[arg(long = "to", value_name = "AUTHORITY")]
    authority: Option<String>,
    /// The language; else the authority's.
    #[arg(long, value_name = "LANG")]
    lang: Option<String>,
    /// A file to attach, sealed with the notice. May be given several times.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// How long to wait for the mail to come back.
    #[arg(long, value_name = "SECONDS", default_value_t = rehearsal::USUAL_WAIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub async fn run(office: &Office, context: &Context, args: TestArgs) -> Result<Exit, Failure> {
    let authority = match args.authority {
        Some(authority) => authority,
        None => usual_authority(office, args.breach).await?,
    };
    let request = NoticeRequest {
        breach: args.breach,
        authority,
        kind: None,
        language: args.lang,
        attachments: attachments(&args.attach)?,
        explanation: None,
        in_reply_to: None,
        decision: None,
    };
    let prepared = notice::prepare(office, request).await?;
    confirm(office, context, &prepared, args.yes).await?;
    context.out.note(&format!(
        "Sent to ourselves; waiting at most {} s for it to come back.",
        args.timeout
    ));
    let wait = Duration::from_secs(args.timeout);
    let rehearsal = rehearsal::of_notice(office, &prepared, wait, &context.actor()).await?;
    context.out.data(&rehearsal, || human(&rehearsal))?;
    Ok(if rehearsal.ok { Exit::Done } else { Exit::Person })
}

async fn usual_authority(office: &Office, id: BreachId) -> Result<String, Failure> {
    let found = breach::find(office, id).await?;
    let lead = found.record.cross_border.lead_authority.clone();
    lead.or_else(|| office.own_authority())
        .ok_or_else(|| Failure::usage("say whose notice to rehearse: --to AUTHORITY").hint("breachpost authority list"))
}

/// Says what leaves and to whom, and asks.
async fn confirm(office: &Office, context: &Context, prepared: &Prepared, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let Some(mut terminal) = Terminal::find().filter(|_| context.out.interactive()) else {
        return Err(Failure::usage("nobody can be asked here: add --yes"));
    };
    let our = office.our_key().await.map_err(DeskError::from)?;
    context.out.note(&format!(
        "The real notice about {} for {} is sent, encrypted to your own key alone ({}),\n\
         through the relay {} to your own address {}.\n\
         No authority gets it, and it is no notice.",
        prepared.breach,
        prepared.profile.id,
        pretty_fingerprint(our.fingerprint()),
        office.config.relay.url.host,
        office.config.sender.address,
    ));
    match terminal
        .confirm("Send it to yourself now?", true)
        .map_err(|error| Failure::new(Exit::Person, error))?
    {
        true => Ok(()),
        false => Err(Failure::person("nothing was sent, as you wished")),
    }
}

fn human(rehearsal: &Rehearsal) -> String {
    let mut text = format!(
        "{}  {}\n",
        if rehearsal.ok { "good" } else { "BAD " },
        rehearsal.summary
    );
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:10}  {value}\n"));
    if let (Some(breach), Some(authority)) = (rehearsal.breach, &rehearsal.authority) {
        line("notice", format!("{breach} for {authority}, which got nothing"));
    }
    let protection = rehearsal
        .relay
        .tls
        .as_ref()
        .map_or("in clear text on loopback", |tls| tls.version.as_str());
    let taken = match (&rehearsal.relay.reply, &rehearsal.relay.fault) {
        (Some(reply), _) => format!("relay said {reply}, {protection}"),
        (None, Some(fault)) => format!("not taken {fault}"),
        (None, None) => "not tried".to_owned(),
    };
    line(
        "sent",
        format!("{} bytes to {}: {taken}", rehearsal.size_bytes, rehearsal.sent_to),
    );
    if let (Some(after), Some(hops)) = (rehearsal.round_trip_ms, rehearsal.hops) {
        let copies = match rehearsal.copies {
            1 => String::new(),
            copies => format!(", {}", counted(copies, "copy")),
        };
        let seconds = f64::from(u32::try_from(after).unwrap_or(u32::MAX)) / 1000.0;
        line(
            "back",
            format!(
                "after {seconds:.1} s, {} left {} mark{copies}",
                counted(hops, "server") + if_one(hops, " has", " have"),
                if_one(hops, "its", "their")
            ),
        );
    }
    if let Some(content) = &rehearsal.content {
        let content = match content {
            Content::Identical => "byte for byte what was sealed",
            Content::Different => "NOT what was sealed",
            Content::Unreadable => "cannot be opened",
            Content::Missing => "missing",
        };
        let signature = if rehearsal.signature_good { "good" } else { "NOT good" };
        line("content", format!("{content}; our signature is {signature}"));
    }
    for change in &rehearsal.changes {
        let harm = match change.harm {
            Harm::Harmless => "harmless",
            Harm::Risky => "RISKY",
            Harm::Fatal => "FATAL",
        };
        line("changed", format!("{harm}: {}", change.text));
    }
    if rehearsal.auto_reply {
        line(
            "note",
            "the mailbox answers by itself: an authority may get an automatic reply".to_owned(),
        );
    }
    for step in &rehearsal.todo {
        line("do", step.clone());
    }
    text
}
