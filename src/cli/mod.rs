//! The command line: one file per command, each thin over the desk. Parses arguments, asks, prints; decides nothing.

mod alert;
mod ask;
mod authority;
mod backup;
mod breach;
mod breach_questions;
mod campaign;
mod clock;
mod doctor;
mod drill;
mod erase;
mod files;
mod init;
mod journal;
mod key;
mod letters;
mod mailbox;
mod notice;
pub mod output;
mod serve;
mod status;
mod templates;
mod user;
mod wording;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{Home, SecretSource};
use crate::dispatch::desk::people;
use crate::dispatch::office::Office;
use crate::model::id::Actor;
use crate::model::{Clock, SystemClock};
use init::InitError;
use output::{Exit, Failure, Out};

/// The encrypted notification dispatcher for personal-data breaches.
///
/// Tells the supervisory authority within 72 hours (GDPR Art. 33), sealed with OpenPGP, and proves that it did.
#[derive(Debug, Parser)]
#[command(
    name = "breachpost",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
Examples:
  breachpost drill                     rehearse everything, nothing to configure
  breachpost init --home ~/breachpost  set up an installation
  breachpost clock '2026-11-18 10:20' --authority lu-cnpd")]
pub struct Cli {
    /// The folder of the installation; else $BREACHPOST_HOME, else the current folder if it holds config.yaml.
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// A private file with your token (`user add`): what is done is booked under your name. Else $BREACHPOST_TOKEN_FILE,
    /// else the account of the operating system.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print one JSON document (or one object per line where the output is a stream).
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Drill(drill::DrillArgs),
    Init(Box<init::InitArgs>),
    Doctor(doctor::DoctorArgs),
    Serve(serve::ServeArgs),
    Status(status::StatusArgs),
    Clock(clock::ClockArgs),
    #[command(subcommand)]
    Authority(authority::AuthorityCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Breach(breach::BreachCommand),
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    #[command(subcommand)]
    Campaign(campaign::CampaignCommand),
    #[command(subcommand)]
    Mailbox(mailbox::MailboxCommand),
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Token(user::TokenCommand),
}

/// What every command is given.
pub struct Context {
    pub out: Out,
    home: Option<PathBuf>,
    actor: Actor,
    pub clock: Arc<dyn Clock>,
}
impl Context {
    /// The home that was named, or the one we stand in.
    ///
    /// # Errors
    /// There is none.
    pub fn home(&self) -> Result<Home, Failure> {
        Ok(Home::find(self.home.as_deref())?)
    }
    /// The home, if there is one: for commands that also work without.
    ///
    /// # Errors
    /// One was named and cannot be used.
    pub fn home_if_any(&self) -> Result<Option<Home>, Failure> {
        match Home::find(self.home.as_deref()) {
            Ok(home) => Ok(Some(home)),
            Err(crate::config::ConfigError::NoHome) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    /// Opens the installation.
    ///
    /// # Errors
    /// Settings or a store that cannot be used.
    pub fn office(&self) -> Result<Office, Failure> {
        Ok(Office::open(self.home()?, Arc::clone(&self.clock))?)
    }
    /// Who runs this command: the person whose token was given, else the account of the operating system.
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// # Errors
    /// A token was given that cannot be read, or is nobody's.
    async fn identify(&mut self, token_file: Option<PathBuf>) -> Result<(), Failure> {
        let Some(path) = token_file.or_else(|| std::env::var_os("BREACHPOST_TOKEN_FILE").map(PathBuf::from)) else {
            return Ok(());
        };
        let home = self.home()?;
        let token = SecretSource::File(std::path::absolute(path).map_err(Failure::from)?).read(&home)?;
        self.actor = people::identify(&self.office()?, &token).await?;
        Ok(())
    }
}

fn os_account() -> Actor {
    let uid = nix::unistd::Uid::effective();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    Actor::Os(name.unwrap_or_else(|| format!("uid {uid}")))
}

/// How long a command that has done its work waits for threads that nobody waits for any more.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// One thread for the connections, or one for every two cores: they only move bytes. What takes time (letters, seals, the
/// store) has threads of its own, and each thread that is woken for nothing takes a core from them.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(1))
        .enable_all()
        .build()
}

/// Runs one command line; the status is the process's.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
                let message = error.render().to_string();
                // As of every other error: what is wrong, without the label that a person sees.
                let message = message.trim_start_matches("error: ").trim_end();
                let document = serde_json::json!({ "error": { "message": message } });
                // The status says it too.
                let _ = Out { json: true }.data(&document, String::new);
            }
            return ExitCode::from(if error.use_stderr() {
                Exit::Usage as u8
            } else {
                Exit::Done as u8
            });
        }
    };
    let mut context = Context {
        out: Out { json: cli.json },
        home: cli.home,
        actor: os_account(),
        clock: Arc::new(SystemClock),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            context.out.failure(&Failure::from(error));
            return ExitCode::from(Exit::Ours as u8);
        }
    };
    let run = async {
        context.identify(cli.token_file).await?;
        dispatch(cli.command, &context).await
    };
    let status = match runtime.block_on(run) {
        Ok(exit) => exit,
        Err(failure) => {
            context.out.failure(&failure);
            failure.exit
        }
    };
    // Whatever waits for a name server or a disk that does not answer has nothing left to do.
    runtime.shutdown_timeout(LAST_WAIT);
    ExitCode::from(status as u8)
}

/// `init`: the questions and files are `init`'s, the key is made as by `key generate`.
fn init_home(args: init::InitArgs, context: &Context) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let terminal = ask::Terminal::find().filter(|_| context.out.interactive());
    let report = init::run(args, context.home.as_deref(), terminal, |request| {
        key::for_new_home(request, now)
    })
    .map_err(|error| {
        let exit = match &error {
            InitError::Missing { .. } => Exit::Usage,
            InitError::Stopped(_) | InitError::Declined => Exit::Person,
            _ => Exit::Ours,
        };
        Failure::new(exit, error)
    })?;
    context.out.data(&report, || report.to_string())?;
    Ok(Exit::Done)
}

async fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Drill(args) => drill::run(args, context).await,
        Command::Init(args) => init_home(*args, context),
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Serve(args) => serve::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Clock(args) => clock::run(&args, context),
        Command::Authority(command) => authority::run(command, context).await,
        Command::Key(command) => key::run(command, context),
        Command::Breach(command) => breach::run(command, context).await,
        Command::Notice(command) => notice::run(command, context).await,
        Command::Campaign(command) => campaign::run(command, context).await,
        Command::Mailbox(command) => mailbox::run(command, context).await,
        Command::Alert(command) => alert::run(command, context).await,
        Command::Journal(command) => journal::run(command, context).await,
        Command::Templates(command) => templates::run(command, context),
        Command::Backup(args) => backup::make(args, context).await,
        Command::Restore(args) => backup::restore(&args, context).await,
        Command::User(command) => user::run(command, context).await,
        Command::Token(command) => user::run_token(command, context).await,
    }
}
