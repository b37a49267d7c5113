//! `notice`: preview, send, seal, book and show what authorities are told.

mod book;
mod bundle;
mod preview;
mod rehearse;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;

use self::book::{AckArgs, RecordArgs};
use self::preview::Preview;
pub use self::told::asked;
use self::told::{human, row, sheet};
use super::ask::Terminal;
use super::output::{Exit, Failure, table};
use super::{Context, files};
use crate::dispatch::courier::{Courier, Scope};
use crate::dispatch::desk::notice::{self, NoticeRequest, NoticeView, Plan, Prepared};
use crate::dispatch::office::Office;
use crate::dispatch::worker::Worker;
use crate::dispatch::worker::WorkerKind;
use crate::message::mime::Attachment;
use crate::model::delivery::HoldReason;
use crate::model::id::{BreachId, DeliveryId, MailId, Reference};
use crate::model::notice::{Decision, NoticeKind, NoticeState, Protection, Rung};

/// A proof file or attachment read into memory; the sealed mail's own limit is checked before filing.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// What a person writes in an answer; longer texts are files to attach.
const MAX_WORDS_BYTES: u64 = 256 * 1024;
/// How long `--wait` follows a delivery that a daemon carries.
const WAIT: TimeDelta = TimeDelta::minutes(15);
const WAIT_STEP: std::time::Duration = std::time::Duration::from_millis(250);

/// Notices to authorities (GDPR Art. 33).
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Show exactly what would be sent, to whom, how it is protected, and the deadline. Sends nothing.
    #[command(
        after_help = "Examples:\n  breachpost notice preview B-2026-001 --to lu-cnpd\n  breachpost notice preview B-2026-001 --to lu-cnpd --lang fr \\\n      --kind preliminary"
    )]
    Preview(WhatArgs),
    /// Render, seal, check, queue and deliver a notice. Asks first; status 2 when a person is needed.
    #[command(
        after_help = "Examples:\n  breachpost notice send B-2026-001 --to lu-cnpd\n  breachpost notice send B-2026-001 --to lu-cnpd \\\n      --attach report.pdf --yes --json\n  breachpost notice send B-2026-001 --to lu-cnpd --kind answer \\\n      --in-reply-to mail_1 --text-file answer.txt"
    )]
    Send(SendArgs),
    /// Rehearse on the real path: the same notice sealed to your own key, through the relay to your own mailbox, and
    /// compared with what arrives. No authority gets anything. Status 2 when something is to be done.
    #[command(
        after_help = "Examples:\n  breachpost notice test B-2026-001 --yes --timeout 1\n  breachpost notice test B-2026-001 --to lu-cnpd --attach report.pdf \\\n      --yes --timeout 1 --json"
    )]
    Test(rehearse::TestArgs),
    /// Seal a notice into files, to be handed over in another way. Needs no relay.
    #[command(
        after_help = "Examples:\n  breachpost notice seal B-2026-001 --to lu-cnpd -o sealed\n  breachpost notice seal B-2026-001 --to lu-cnpd -o for-the-phone \\\n      --override passphrase --reason 'no certificate to be had'"
    )]
    Seal {
        #[command(flatten)]
        what: WhatArgs,
        /// A folder that does not exist yet or is empty.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Book a notice that went by portal, form, telephone, post or hand.
    #[command(
        after_help = "Examples:\n  breachpost notice record B-2026-001 --to be-apd-gba --channel portal \\\n      --reference DBN-2026-123 --proof confirmation.pdf"
    )]
    Record(RecordArgs),
    /// Book an acknowledgement that you hold in your hand: a letter, a call, a portal's page.
    #[command(
        after_help = "Examples:\n  breachpost notice ack BP-7K3M-Q2XR --attested --reference 2026/1234 \\\n      --proof letter.pdf"
    )]
    Ack(AckArgs),
    /// All notices, or those of one breach.
    #[command(after_help = "Examples:\n  breachpost notice list\n  breachpost notice list B-2026-001 --json")]
    List {
        /// Only those about this breach.
        breach: Option<BreachId>,
    },
    /// One notice: how far it has got, what that proves, every attempt.
    #[command(
        after_help = "Examples:\n  breachpost notice show BP-7K3M-Q2XR\n  breachpost notice show BP-7K3M-Q2XR --content"
    )]
    Show(ShowArgs),
    /// Try a held, failed, doubtful or waiting notice again: now, or with the daemon's next round.
    #[command(after_help = "Examples:\n  breachpost notice retry BP-7K3M-Q2XR")]
    Retry {
        /// The notice; `notice list` names them.
        reference: Reference,
    },
    /// As the second person, let a notice go that waits for your approval (`approval.notice: two_persons`).
    #[command(after_help = "Examples:\n  breachpost notice approve BP-7K3M-Q2XR --token-file anna.token")]
    Approve {
        /// The notice; `notice list` names them.
        reference: Reference,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Call off a draft or a notice that has not been handed over.
    #[command(after_help = "Examples:\n  breachpost notice withdraw BP-7K3M-Q2XR")]
    Withdraw {
        /// The notice; `notice list` names them.
        reference: Reference,
    },
}

/// What to send, and what was answered beforehand.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    asked: Asked,
}

/// What the person said about sending.
#[derive(Debug, Args)]
pub struct Asked {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// With a daemon running: follow until the first answer of the relay.
    #[arg(long)]
    wait: bool,
    /// With --override tls: the authority's id once more, because the notice leaves in clear text.
    #[arg(long, value_name = "AUTHORITY")]
    confirm_clear: Option<String>,
}

/// Which notice, and what of it.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The notice; `notice list` names them.
    reference: Reference,
    /// Print the plain content as it was sealed (a MIME entity).
    #[arg(long)]
    content: bool,
    /// Print what the person who telephones needs: the number, what to read out, what to note.
    #[arg(long, conflicts_with = "content")]
    call_sheet: bool,
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
    /// The same from a file, or from standard input for `-`.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
    /// The authority's mail that this answers: it goes into that thread, and closes its question once handed over.
    #[arg(long, value_name = "MAIL")]
    in_reply_to: Option<MailId>,
    /// A rung of the ladder, when the certificate cannot be used; journalled with --reason.
    #[arg(long = "override", value_enum, value_name = "RUNG", requires = "reason")]
    rung: Option<RungArg>,
    /// Why.
    #[arg(long, value_name = "TEXT", requires = "rung")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RungArg {
    /// Encrypt to the expired certificate all the same.
    Expired,
    /// Encrypt to the certificate whose fingerprint was not verified.
    Unverified,
    /// Encrypt with a passphrase, which you tell by telephone.
    Passphrase,
    /// Send a content-free mail that asks them to call; hand the notice over in another way.
    Stub,
    /// Send signed clear text over TLS, where the profile allows it.
    Tls,
}
impl From<RungArg> for Rung {
    fn from(rung: RungArg) -> Self {
        match rung {
            RungArg::Expired => Rung::Expired,
            RungArg::Unverified => Rung::Unverified,
            RungArg::Passphrase => Rung::Passphrase,
            RungArg::Stub => Rung::Stub,
            RungArg::Tls => Rung::Tls,
        }
    }
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
pub async fn run(command: NoticeCommand, context: &Context) -> Result<Exit, Failure> {
    let office = context.office()?;
    match command {
        NoticeCommand::Preview(what) => {
            let prepared = notice::prepare(&office, request(what)?).await?;
            let preview = Preview::of(&prepared, office.now());
            context.out.data(&preview, || preview.human())?;
            Ok(if preview.unusable.is_some() {
                Exit::Person
            } else {
                Exit::Done
            })
        }
        NoticeCommand::Send(args) => send(&office, context, args).await,
        NoticeCommand::Test(args) => rehearse::run(&office, context, args).await,
        NoticeCommand::Seal { what, output } => {
            bundle::free_folder(&output)?;
            let prepared = notice::prepare(&office, request(what)?).await?;
            let sealed = notice::seal_loose(&office, prepared, &context.actor()).await?;
            let sealed = bundle::write(&output, &sealed)?;
            context.out.data(&sealed, || sealed.human())?;
            Ok(Exit::Done)
        }
        NoticeCommand::Record(args) => book::record(&office, context, args).await,
        NoticeCommand::Ack(args) => book::acknowledged(&office, context, args).await,
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
        NoticeCommand::Show(args) => show(&office, context, args).await,
        NoticeCommand::Retry { reference } => {
            let view = notice::retry(&office, &reference, &context.actor()).await?;
            carry_on(&office, context, view).await
        }
        NoticeCommand::Approve { reference, yes } => {
            let waiting = notice::show(&office, &reference).await?;
            confirm_approval(context, &waiting, yes)?;
            let view = notice::approve(&office, &reference, &context.actor()).await?;
            carry_on(&office, context, view).await
        }
        NoticeCommand::Withdraw { reference } => {
            let view = notice::withdraw(&office, &reference, &context.actor()).await?;
            context.out.data(&view, || human(&view))?;
            Ok(Exit::Done)
        }
    }
}

/// One notice: all of it, its content, or the call sheet.
async fn show(office: &Office, context: &Context, args: ShowArgs) -> Result<Exit, Failure> {
    let ShowArgs {
        reference,
        content,
        call_sheet,
    } = args;
    if content {
        let content = notice::content(office, &reference).await?;
        let text = String::from_utf8_lossy(&content).into_owned();
        let document = serde_json::json!({ "reference": reference, "content": text });
        context.out.data(&document, || text.clone())?;
        return Ok(Exit::Done);
    }
    if call_sheet {
        let call = notice::call_sheet(office, &reference).await?;
        context.out.data(&call, || sheet(&call))?;
        return Ok(Exit::Done);
    }
    let view = notice::show(office, &reference).await?;
    context.out.data(&view, || human(&view))?;
    Ok(status(&view, false))
}

/// Carries what has just become ready, unless a daemon does, and tells how it stands.
async fn carry_on(office: &Office, context: &Context, mut view: NoticeView) -> Result<Exit, Failure> {
    let daemon = office.daemon_runs();
    if let (false, Some(delivery)) = (daemon, view.delivery) {
        Foreground::ready(office).await?.carry(delivery).await?;
        view = notice::show(office, &view.reference).await?;
    }
    context.out.data(&view, || human(&view))?;
    Ok(status(&view, daemon))
}

/// Shows what waits and asks, unless that was answered on the command line.
fn confirm_approval(context: &Context, waiting: &NoticeView, yes: bool) -> Result<(), Failure> {
    if yes || waiting.held.is_none() {
        return Ok(());
    }
    let Some(mut terminal) = Terminal::find().filter(|_| context.out.interactive()) else {
        let reference = &waiting.reference;
        return Err(Failure::usage(format!(
            "nobody can be asked here: read `notice show {reference} --content` and add --yes"
        )));
    };
    context.out.note(&human(waiting));
    match terminal
        .confirm("Approve it as it is, and send it now?", false)
        .map_err(|error| Failure::new(Exit::Person, error))?
    {
        true => Ok(()),
        false => Err(Failure::person("nothing was approved, as you wished")),
    }
}

async fn send(office: &Office, context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let SendArgs { what, asked } = args;
    let out = context.out;
    let prepared = notice::prepare(office, request(what)?).await?;
    confirm(context, &prepared, &asked)?;
    for warning in prepared
        .warnings
        .iter()
        .map(String::as_str)
        .chain(prepared.gaps.iter().map(|gap| gap.text))
    {
        out.note(&format!("warning: {warning}"));
    }
    // What cannot work is found before anything is filed: the relay's settings, or a running daemon.
    let mine = match office.daemon_runs() {
        true => None,
        false => Some(Foreground::ready(office).await?),
    };
    let filed = notice::file(office, prepared, &context.actor()).await?;
    let delivery = filed.delivery.expect("a filed notice by e-mail has a delivery");
    let left_to_daemon = mine.is_none();
    let view = match mine {
        _ if filed.held.is_some() => filed,
        Some(foreground) => {
            foreground.carry(delivery).await?;
            notice::show(office, &filed.reference).await?
        }
        None if asked.wait => follow(office, &filed.reference).await?,
        None => filed,
    };
    out.data(&view, || human(&view))?;
    if view.held == Some(HoldReason::Approval) {
        out.note(&format!(
            "A second person sends it, with a token of their own: breachpost notice approve {} --token-file FILE",
            view.reference
        ));
        return Ok(Exit::Person);
    }
    if matches!(view.protection, Some(Protection::Passphrase { .. } | Protection::Stub)) {
        out.note(&format!(
            "Now call them: breachpost notice show {} --call-sheet",
            view.reference
        ));
    }
    if view.state == NoticeState::Queued && !left_to_daemon {
        out.note("The notice is safe in the queue. It goes on with: breachpost serve");
    }
    Ok(status(&view, left_to_daemon && !asked.wait))
}

/// A courier of this command's own, where no daemon runs.
struct Foreground {
    courier: Arc<Courier>,
    /// Its lock says that we live; freed when the delivery has been tried.
    _worker: Worker,
}
impl Foreground {
    /// # Errors
    /// The relay's settings cannot be used, or nobody may sign on here.
    async fn ready(office: &Office) -> Result<Self, Failure> {
        let worker = office.sign_on(WorkerKind::Command).await?;
        let courier = Arc::new(Courier::new(office, &worker)?);
        Ok(Self {
            courier,
            _worker: worker,
        })
    }
    /// Tries one delivery once.
    async fn carry(self, delivery: DeliveryId) -> Result<(), Failure> {
        Ok(self
            .courier
            .run(Scope::Once(delivery), CancellationToken::new())
            .await?)
    }
}

/// Shows what will be sent and asks, unless that was answered on the command line. Clear text wants the authority's id typed.
fn confirm(context: &Context, prepared: &Prepared, asked: &Asked) -> Result<(), Failure> {
    let out = context.out;
    let Ok(plan) = &prepared.plan else {
        // Nothing to ask: it cannot be sent, and filing says why.
        return Ok(());
    };
    let clear = matches!(**plan, Plan::SignedClear { .. });
    let id = &prepared.profile.id;
    let confirmed = asked.confirm_clear.as_ref() == Some(id);
    if asked.yes && (!clear || confirmed) {
        return Ok(());
    }
    let Some(mut terminal) = Terminal::find().filter(|_| out.interactive()) else {
        let flags = if clear {
            format!("--yes --confirm-clear {id}")
        } else {
            "--yes".to_owned()
        };
        return Err(Failure::usage(format!(
            "nobody can be asked here: look at `notice preview` and add {flags}"
        )));
    };
    out.note(&Preview::of(prepared, context.clock.now()).human());
    let sure = if clear {
        let question = format!("This leaves in CLEAR TEXT. Type {id} to send it");
        terminal.ask(&question, Some(""), |text| Ok::<_, String>(text == id))
    } else {
        terminal.confirm("Send this now?", false)
    };
    match sure.map_err(|error| Failure::new(Exit::Person, error))? {
        true => Ok(()),
        false => Err(Failure::person("nothing was sent, as you wished")),
    }
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
    Ok(NoticeRequest {
        breach: what.breach,
        authority: what.authority,
        kind: what.kind.map(Into::into),
        language: what.lang,
        attachments: attachments(&what.attach)?,
        explanation: match what.text_file {
            Some(path) => Some(words(&path)?),
            None => what.text,
        },
        in_reply_to: what.in_reply_to,
        decision: what.rung.zip(what.reason).map(|(rung, reason)| Decision {
            rung: rung.into(),
            reason,
        }),
    })
}

fn attachments(paths: &[PathBuf]) -> Result<Vec<Attachment>, Failure> {
    let read = |path: &PathBuf| {
        let name = files::file_name(path)?;
        Ok(Attachment {
            media_type: media_type(&name).to_owned(),
            bytes: files::read(path, MAX_FILE_BYTES)?,
            name,
        })
    };
    paths.iter().map(read).collect()
}

/// The operator's words; empty ones are a mistake.
fn words(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(files::read(path, MAX_WORDS_BYTES)?)
        .map_err(|_| Failure::usage(format!("{} is no UTF-8 text", files::name(path))))?;
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{} is empty", files::name(path))));
    }
    Ok(text.replace("\r\n", "\n").trim().to_owned())
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
