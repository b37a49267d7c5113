//! `notice`: preview, send, book and show what authorities are told.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::ask::Terminal;
use super::output::{Exit, Failure, table};
use super::{Context, files};
use crate::directory::certificate::pretty_fingerprint;
use crate::dispatch::courier::{Courier, Scope};
use crate::dispatch::desk::notice::{self, NoticeRequest, NoticeView, Prepared, Record};
use crate::dispatch::office::Office;
use crate::dispatch::worker::Worker;
use crate::dispatch::worker::WorkerKind;
use crate::message::mime::Attachment;
use crate::model::id::{BreachId, Reference};
use crate::model::notice::{NoticeChannel, NoticeKind, NoticeState};
use crate::model::proof::Proof;
use crate::model::time::parse_aware;

/// A proof file or attachment read into memory; the sealed mail's own limit is checked before filing.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// How long `--wait` follows a delivery that a daemon carries.
const WAIT: TimeDelta = TimeDelta::minutes(15);
const WAIT_STEP: std::time::Duration = std::time::Duration::from_millis(250);

/// Notices to authorities (GDPR Art. 33).
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Show exactly what would be sent, to whom, how it is protected, and the deadline. Sends nothing.
    #[command(
        after_help = "Examples:\n  breachpost notice preview B-2026-001 --to lu-cnpd\n  breachpost notice preview B-2026-001 --to lu-cnpd --lang fr --kind preliminary"
    )]
    Preview(WhatArgs),
    /// Render, seal, check, queue and deliver a notice. Asks first; status 2 when a person is needed.
    #[command(
        after_help = "Examples:\n  breachpost notice send B-2026-001 --to lu-cnpd\n  breachpost notice send B-2026-001 --to lu-cnpd --attach report.pdf --yes --json"
    )]
    Send {
        #[command(flatten)]
        what: WhatArgs,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// With a daemon running: follow until the first answer of the relay.
        #[arg(long)]
        wait: bool,
    },
    /// Book a notice that went by portal, form, telephone, post or hand.
    #[command(
        after_help = "Examples:\n  breachpost notice record B-2026-001 --to be-apd-gba --channel portal --reference DBN-2026-123 --proof confirmation.pdf"
    )]
    Record {
        breach: BreachId,
        #[arg(long = "to", value_name = "AUTHORITY")]
        authority: String,
        #[arg(long, value_enum)]
        channel: ChannelArg,
        /// The number that the authority or the portal gave.
        #[arg(long, value_name = "NUMBER")]
        reference: Option<String>,
        #[arg(long, value_enum)]
        kind: Option<KindArg>,
        /// When it was handed over: RFC 3339, or a local time of the authority's zone; now if left out.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// What was said or filed.
        #[arg(long)]
        note: Option<String>,
        /// A file that proves it.
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// Book an acknowledgement that you hold in your hand: a letter, a call, a portal's page.
    #[command(
        after_help = "Examples:\n  breachpost notice ack BP-7K3M-Q2XR --attested --reference 2026/1234 --proof letter.pdf"
    )]
    Ack {
        reference: Reference,
        /// You attest that the authority confirmed receipt.
        #[arg(long, required = true)]
        attested: bool,
        /// The authority's own number.
        #[arg(long = "reference", value_name = "NUMBER")]
        authority_reference: Option<String>,
        /// A file that proves it.
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// All notices, or those of one breach.
    #[command(after_help = "Examples:\n  breachpost notice list\n  breachpost notice list B-2026-001 --json")]
    List { breach: Option<BreachId> },
    /// One notice: how far it has got, what that proves, every attempt.
    #[command(
        after_help = "Examples:\n  breachpost notice show BP-7K3M-Q2XR\n  breachpost notice show BP-7K3M-Q2XR --content"
    )]
    Show {
        reference: Reference,
        /// Print the plain content as it was sealed (a MIME entity).
        #[arg(long)]
        content: bool,
    },
    /// Call off a draft or a notice that has not been handed over.
    #[command(after_help = "Examples:\n  breachpost notice withdraw BP-7K3M-Q2XR")]
    Withdraw { reference: Reference },
}

/// What to send and to whom.
#[derive(Debug, Args)]
pub struct WhatArgs {
    /// The breach's number in the register, such as B-2026-001.
    breach: BreachId,
    /// The authority's id, such as lu-cnpd.
    #[arg(long = "to", value_name = "AUTHORITY")]
    authority: String,
    /// The kind; else complete or, when something is missing, preliminary for the first, and supplementary for later ones.
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// The language; else the authority's.
    #[arg(long, value_name = "LANG")]
    lang: Option<String>,
    /// A file to attach, sealed with the notice. May be given several times.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// What changed, why it is withdrawn, or the answer: stands at the head of the notice.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindArg {
    Preliminary,
    Supplementary,
    Complete,
    Amendment,
    Withdrawal,
    Answer,
}
impl From<KindArg> for NoticeKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Preliminary => NoticeKind::Preliminary,
            KindArg::Supplementary => NoticeKind::Supplementary,
            KindArg::Complete => NoticeKind::Complete,
            KindArg::Amendment => NoticeKind::Amendment,
            KindArg::Withdrawal => NoticeKind::Withdrawal,
            KindArg::Answer => NoticeKind::Answer,
        }
    }
}
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ChannelArg {
    Portal,
    Webform,
    Phone,
    Post,
    Hand,
    /// Sent with another mail program.
    Email,
}
impl From<ChannelArg> for NoticeChannel {
    fn from(channel: ChannelArg) -> Self {
        match channel {
            ChannelArg::Portal => NoticeChannel::Portal,
            ChannelArg::Webform => NoticeChannel::Webform,
            ChannelArg::Phone => NoticeChannel::Phone,
            ChannelArg::Post => NoticeChannel::Post,
            ChannelArg::Hand => NoticeChannel::Hand,
            ChannelArg::Email => NoticeChannel::Email,
        }
    }
}

pub async fn run(command: NoticeCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        NoticeCommand::Preview(what) => {
            let prepared = notice::prepare(&office, request(what)?).await?;
            let preview = Preview::of(&prepared);
            context.out.data(&preview, || preview.human())?;
            Ok(if preview.unusable.is_some() {
                Exit::Person
            } else {
                Exit::Done
            })
        }
        NoticeCommand::Send { what, yes, wait } => send(&office, context, what, yes, wait).await,
        NoticeCommand::Record {
            breach,
            authority,
            channel,
            reference,
            kind,
            at,
            note,
            proof,
        } => {
            let at = match at {
                None => None,
                Some(text) => {
                    let zone = office
                        .directory
                        .find(&authority)
                        .map_or(chrono_tz::UTC, |profile| profile.timezone());
                    Some(parse_aware(&text, zone).map_err(|error| Failure::new(Exit::Usage, error))?)
                }
            };
            let record = Record {
                breach,
                authority,
                channel: channel.into(),
                kind: kind.map(Into::into),
                outside_reference: reference,
                note,
                at,
                proof_file: proof_file(proof)?,
            };
            let view = notice::record(&office, record, &context.actor()).await?;
            context.out.data(&view, || human(&view))?;
            Ok(Exit::Done)
        }
        NoticeCommand::Ack {
            reference,
            attested: _,
            authority_reference,
            proof,
        } => {
            let proof = proof_file(proof)?;
            let view = notice::attest(&office, &reference, authority_reference, proof, &context.actor()).await?;
            context.out.data(&view, || human(&view))?;
            Ok(Exit::Done)
        }
        NoticeCommand::List { breach } => {
            let views = notice::list(&office, breach).await?;
            context.out.data(&views, || {
                if views.is_empty() {
                    return "No notices.\n".to_owned();
                }
                let rows: Vec<Vec<String>> = views.iter().map(row).collect();
                table(&rows)
            })?;
            Ok(Exit::Done)
        }
        NoticeCommand::Show {
            reference,
            content: true,
        } => {
            let content = notice::content(&office, &reference).await?;
            let text = String::from_utf8_lossy(&content).into_owned();
            context
                .out
                .data(&serde_json::json!({ "reference": reference, "content": text }), || {
                    text.clone()
                })?;
            Ok(Exit::Done)
        }
        NoticeCommand::Show {
            reference,
            content: false,
        } => {
            let view = notice::show(&office, &reference).await?;
            context.out.data(&view, || human(&view))?;
            Ok(status(&view, false))
        }
        NoticeCommand::Withdraw { reference } => {
            let view = notice::withdraw(&office, &reference, &context.actor()).await?;
            context.out.data(&view, || human(&view))?;
            Ok(Exit::Done)
        }
    }
}

async fn send(office: &Office, context: &Context, what: WhatArgs, yes: bool, wait: bool) -> Result<Exit, Failure> {
    let out = context.out;
    let prepared = notice::prepare(office, request(what)?).await?;
    if prepared.certificate.is_ok() && !yes {
        let Some(mut terminal) = Terminal::find().filter(|_| out.interactive()) else {
            return Err(Failure::usage(
                "nobody can be asked here: look at `notice preview` and add --yes",
            ));
        };
        out.note(&Preview::of(&prepared).human());
        let sure = terminal
            .confirm("Send this now?", false)
            .map_err(|error| Failure::new(Exit::Person, error))?;
        if !sure {
            out.note("Nothing was sent.");
            return Ok(Exit::Person);
        }
    }
    for warning in prepared
        .warnings
        .iter()
        .map(String::as_str)
        .chain(prepared.gaps.iter().map(|gap| gap.text))
    {
        out.note(&format!("warning: {warning}"));
    }
    // What cannot work is found before anything is filed: the relay's settings, or a running daemon.
    let mine: Option<(Worker, Arc<Courier>)> = if office.daemon_runs() {
        None
    } else {
        let worker = office.sign_on(WorkerKind::Command).await?;
        let courier = Arc::new(Courier::new(office, &worker)?);
        Some((worker, courier))
    };
    let filed = notice::file(office, prepared, &context.actor()).await?;
    let delivery = filed.delivery.expect("a filed notice by e-mail has a delivery");
    let left_to_daemon = mine.is_none();
    let view = match mine {
        Some((worker, courier)) => {
            courier.run(Scope::Once(delivery), CancellationToken::new()).await?;
            drop(worker);
            notice::show(office, &filed.reference).await?
        }
        None if wait => follow(office, &filed.reference).await?,
        None => filed,
    };
    out.data(&view, || human(&view))?;
    if view.state == NoticeState::Queued && !left_to_daemon {
        out.note("The notice is safe in the queue. It goes on with: breachpost serve");
    }
    Ok(status(&view, left_to_daemon && !wait))
}

/// Waits for the first answer to what a daemon carries.
async fn follow(office: &Office, reference: &Reference) -> Result<NoticeView, Failure> {
    let end = office.now() + WAIT;
    loop {
        let view = notice::show(office, reference).await?;
        if !view.attempts.is_empty() || office.now() > end {
            return Ok(view);
        }
        tokio::time::sleep(WAIT_STEP).await;
    }
}

/// 0 when it is out of our hands, or a live daemon has it; 2 when a person is needed.
fn status(view: &NoticeView, daemon_has_it: bool) -> Exit {
    match view.state {
        NoticeState::Handed | NoticeState::Delivered | NoticeState::Acknowledged | NoticeState::Withdrawn => Exit::Done,
        NoticeState::Queued if daemon_has_it => Exit::Done,
        _ => Exit::Person,
    }
}

fn request(what: WhatArgs) -> Result<NoticeRequest, Failure> {
    let mut attachments = Vec::new();
    for path in &what.attach {
        let name = files::file_name(path)?;
        attachments.push(Attachment {
            media_type: media_type(&name).to_owned(),
            bytes: files::read(path, MAX_FILE_BYTES)?,
            name,
        });
    }
    Ok(NoticeRequest {
        breach: what.breach,
        authority: what.authority,
        kind: what.kind.map(Into::into),
        language: what.lang,
        attachments,
        explanation: what.text,
    })
}

fn proof_file(path: Option<PathBuf>) -> Result<Option<(String, Vec<u8>)>, Failure> {
    path.map(|path| Ok((files::file_name(&path)?, files::read(&path, MAX_FILE_BYTES)?)))
        .transpose()
}

/// By the ending; what we do not know travels as plain bytes.
fn media_type(name: &str) -> &'static str {
    match name
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "json" => "application/json",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        _ => "application/octet-stream",
    }
}

/// What a preview shows: exactly what would leave.
#[derive(Serialize)]
struct Preview<'a> {
    reference: &'a Reference,
    breach: BreachId,
    authority: &'a str,
    authority_name: &'a str,
    kind: NoticeKind,
    language: &'a str,
    from: String,
    to: String,
    /// What everybody on the way can read.
    outer_subject: &'a str,
    /// Only the reader who can decrypt sees it.
    subject: &'a str,
    text: &'a str,
    attachments: Vec<AttachmentLine<'a>>,
    protection: String,
    recipient_fingerprint: Option<&'a str>,
    verified: Option<&'a str>,
    /// Why it cannot be sealed now.
    unusable: Option<String>,
    deadline: Option<&'a str>,
    left: Option<&'a str>,
    late: bool,
    warnings: Vec<String>,
}
#[derive(Serialize)]
struct AttachmentLine<'a> {
    name: &'a str,
    media_type: &'a str,
    size_bytes: usize,
}

impl<'a> Preview<'a> {
    fn of(prepared: &'a Prepared) -> Self {
        let (protection, pin, unusable) = match &prepared.certificate {
            Ok((pin, _)) => (
                format!(
                    "signed and encrypted with OpenPGP to {} (fingerprint verified: {}) and to ourselves",
                    pretty_fingerprint(&pin.fingerprint),
                    pin.verified
                ),
                Some(pin),
                None,
            ),
            Err(trouble) => {
                let mut why = trouble.to_string();
                if let Some(source) = std::error::Error::source(trouble) {
                    why.push_str(&format!(": {source}"));
                }
                ("CANNOT BE SEALED, so it cannot be sent".to_owned(), None, Some(why))
            }
        };
        let mut warnings = prepared.warnings.clone();
        warnings.extend(
            prepared
                .gaps
                .iter()
                .map(|gap| format!("{} ({})", gap.text, gap.article)),
        );
        Self {
            reference: &prepared.reference,
            breach: prepared.breach,
            authority: &prepared.profile.id,
            authority_name: prepared.profile.name("en"),
            kind: prepared.kind,
            language: &prepared.language,
            from: prepared.headers.from.shown(),
            to: prepared.headers.to.shown(),
            outer_subject: &prepared.headers.outer_subject,
            subject: &prepared.content.subject,
            text: &prepared.content.text,
            attachments: prepared
                .content
                .attachments
                .iter()
                .map(|a| AttachmentLine {
                    name: &a.name,
                    media_type: &a.media_type,
                    size_bytes: a.bytes.len(),
                })
                .collect(),
            protection,
            recipient_fingerprint: pin.map(|pin| pin.fingerprint.as_str()),
            verified: pin.map(|pin| pin.verified.as_str()),
            unusable,
            deadline: prepared.clock.as_ref().map(|clock| clock.strict_local.as_str()),
            left: prepared.clock.as_ref().map(|clock| clock.left.as_str()),
            late: prepared.clock.as_ref().is_some_and(|clock| clock.late),
            warnings,
        }
    }

    fn human(&self) -> String {
        let mut text = format!(
            "To          {} <{}> ({})\nFrom        {}\nNotice      {}, {}, language {}\nDeadline    {}\nProtection  {}\n",
            self.authority_name,
            self.to,
            self.authority,
            self.from,
            self.kind.name(),
            self.reference,
            self.language,
            match (self.deadline, self.left) {
                (Some(deadline), Some(left)) => format!("{deadline} ({left})"),
                _ => "unknown: when you became aware is not recorded".to_owned(),
            },
            self.protection
        );
        if let Some(why) = &self.unusable {
            text.push_str(&format!("            {why}\n"));
        }
        text.push_str(&format!(
            "On the way  everybody sees only this subject: {}\n",
            self.outer_subject
        ));
        for attachment in &self.attachments {
            text.push_str(&format!(
                "Attached    {} ({}, {} bytes)\n",
                attachment.name, attachment.media_type, attachment.size_bytes
            ));
        }
        for warning in &self.warnings {
            text.push_str(&format!("Warning     {warning}\n"));
        }
        text.push_str(&format!("\nSubject: {}\n\n{}\n", self.subject, self.text.trim_end()));
        text
    }
}

/// What the acknowledgement rests on, as far as it goes: a From address proves nothing.
fn proven_by(proof: &Proof) -> String {
    match proof {
        Proof::Signed { by, mail } => {
            format!("in {mail}, signed by their certificate {}", pretty_fingerprint(by))
        }
        Proof::Threaded { mail } => format!(
            "in {mail}, which answers our mail but is not signed: who wrote it is not proven (breachpost mailbox show {mail})"
        ),
        Proof::DsnDelivered { mail } => format!("their server's delivery report {mail}"),
        Proof::Attested {
            by,
            file_sha256: Some(digest),
        } => format!("attested by {by}, proof file SHA-256 {digest}"),
        Proof::Attested { by, file_sha256: None } => format!("attested by {by}, without a proof file"),
    }
}

fn row(view: &NoticeView) -> Vec<String> {
    vec![
        view.reference.to_string(),
        view.breach.to_string(),
        view.authority.clone(),
        view.kind.name().to_owned(),
        view.channel.name().to_owned(),
        view.state.name().to_owned(),
        view.authority_reference.clone().unwrap_or_default(),
    ]
}

fn human(view: &NoticeView) -> String {
    let mut text = format!(
        "{}  {} notice {} about {} to {} ({})\n  {}: {}\n",
        view.reference,
        view.kind.name(),
        view.sequence,
        view.breach,
        view.authority,
        view.channel.name(),
        view.state.name(),
        view.meaning
    );
    if let Some(reason) = &view.draft_reason {
        text.push_str(&format!("  why: {reason}\n"));
    }
    if let Some(theirs) = &view.authority_reference {
        text.push_str(&format!("  the authority's reference: {theirs}\n"));
    }
    if let Some(acknowledgement) = &view.acknowledgement {
        text.push_str(&format!(
            "  proof: {}, {}\n",
            acknowledgement.at.format("%Y-%m-%d %H:%M UTC"),
            proven_by(&acknowledgement.proof)
        ));
    }
    if let Some(prior) = &view.prior {
        text.push_str(&format!("  continues {prior}\n"));
    }
    if view.possibly_twice {
        text.push_str("  may have arrived twice: a connection broke after the message had been sent\n");
    }
    for attempt in &view.attempts {
        let words = match (&attempt.reply, &attempt.fault) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(fault)) => fault.to_string(),
            (None, None) => String::new(),
        };
        let tls = attempt
            .tls
            .as_ref()
            .map_or_else(String::new, |tls| format!(" ({} {})", tls.version, tls.cipher));
        text.push_str(&format!(
            "  {}  {}  {words}{tls}\n",
            attempt.at.format("%Y-%m-%d %H:%M:%S UTC"),
            attempt.outcome
        ));
    }
    if let Some(next) = view
        .next_attempt
        .filter(|_| view.state == NoticeState::Queued && !view.attempts.is_empty())
    {
        text.push_str(&format!("  next attempt at {}\n", next.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    text
}
