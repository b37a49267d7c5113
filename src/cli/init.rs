//! `breachpost init`: makes a home, from flags, by asking, or both. Writes config.yaml last, so that a folder that holds
//! one is complete; run again, it finishes what was left half-way. Makes no OpenPGP key itself: it is handed how.

mod questions;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::ask::{AskError, Terminal};
use crate::config::{
    self, Address, BadValue, Config, ConfigError, Country, Filling, Home, Language, Line, MailboxUrl, RelayUrl,
    SecretSource,
};
use crate::model::breach::ContactKind;
use crate::secret::Secret;
use questions::{Answers, Password, Questions, gather};

/// Where the key, its passphrase and a typed relay password go: as the default file names them.
const KEY_FILE: &str = "keys/sender.asc";
const PASSPHRASE_FILE: &str = "keys/sender.pass";
const RELAY_PASSWORD_FILE: &str = "keys/relay.password";

/// What may be in a folder that becomes a home: what an earlier, interrupted run leaves.
const OURS: [&str; 5] = ["config.yaml", "keys", "authorities", "templates", "workers"];

/// Make an installation: settings, our OpenPGP key, the key of the store. On a terminal, asks for what no flag says.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  breachpost init --home ~/breachpost\n  breachpost init --home ~/breachpost --organisation 'Example S.A.' \\\n      --country LU --contact-name 'Dana Officer' \\\n      --contact-email dpo@example.lu --sender breach@example.lu \\\n      --relay 'smtp://127.0.0.1:25?tls=none'"
)]
pub struct InitArgs {
    /// Name of the organisation that notifies
    #[arg(long, value_name = "NAME")]
    pub organisation: Option<Line>,
    /// Its country, two letters
    #[arg(long, value_name = "CODE")]
    pub country: Option<Country>,
    /// Language it writes in, preferred first; may be repeated [default: en]
    #[arg(long, value_name = "CODE")]
    pub language: Vec<Language>,
    /// Whom the authority may ask: the data protection officer (dpo) or somebody else (other) [default: dpo]
    #[arg(long, value_name = "KIND", value_parser = contact_kind)]
    pub contact_kind: Option<ContactKind>,
    /// That person's name
    #[arg(long, value_name = "NAME")]
    pub contact_name: Option<Line>,
    /// That person's e-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub contact_email: Option<Address>,
    /// That person's telephone number
    #[arg(long, value_name = "NUMBER")]
    pub contact_phone: Option<Line>,
    /// That person's postal address, on one line
    #[arg(long, value_name = "TEXT")]
    pub contact_postal: Option<Line>,
    /// The monitored address that notices come from
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<Address>,
    /// The name beside it [default: the organisation's]
    #[arg(long, value_name = "NAME")]
    pub sender_name: Option<Line>,
    /// The mail server: smtps://USER@HOST:465, smtp://USER@HOST:587 or smtp://127.0.0.1:25?tls=none
    #[arg(long, value_name = "URL", value_parser = Checked::<RelayUrl>::read)]
    pub relay: Option<Checked<RelayUrl>>,
    /// File that holds the mail server's password, readable by you alone
    #[arg(long, value_name = "FILE")]
    pub relay_password_file: Option<PathBuf>,
    /// Where answers are read: imaps://USER@HOST, imap://USER@HOST or maildir:PATH [default: none, mails come in by
    /// `mailbox ingest`]
    #[arg(long, value_name = "URL", value_parser = Checked::<MailboxUrl>::read)]
    pub mailbox: Option<Checked<MailboxUrl>>,
    /// File that holds the mailbox's password, for imaps:// and imap://
    #[arg(long, value_name = "FILE")]
    pub mailbox_password_file: Option<PathBuf>,
}

fn contact_kind(text: &str) -> Result<ContactKind, String> {
    [ContactKind::Dpo, ContactKind::Other]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| "write dpo or other".to_owned())
}

/// A url as it was written, and what it means.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    text: String,
    url: T,
}
impl<T: std::str::FromStr<Err = BadValue>> Checked<T> {
    fn read(text: &str) -> Result<Self, BadValue> {
        Ok(Self {
            url: text.parse()?,
            text: text.to_owned(),
        })
    }
}

/// What is needed to make the organisation's OpenPGP key.
#[derive(Debug)]
pub struct KeyRequest {
    /// User id: name and address.
    pub name: String,
    pub address: String,
    pub passphrase: Secret,
    /// Where the armored key goes. One that is there from an interrupted run is kept.
    pub file: PathBuf,
}

/// What was made, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitReport {
    pub home: PathBuf,
    pub config: PathBuf,
    /// Of our new OpenPGP key, upper-case hex.
    pub key_fingerprint: String,
    pub next_steps: Vec<NextStep>,
}
/// A command and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextStep {
    pub what: &'static str,
    pub command: String,
}
impl std::fmt::Display for InitReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "home         {}", self.home.display())?;
        writeln!(f, "settings     {}", self.config.display())?;
        writeln!(f, "OpenPGP key  {}", self.key_fingerprint)?;
        writeln!(
            f,
            "\nBack up the folder keys/ now: without it neither answers nor the store can be read.\n\nNext:"
        )?;
        for step in &self.next_steps {
            writeln!(f, "  {}\n      {}", step.what, step.command)?;
        }
        Ok(())
    }
}

/// No home was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Wrong usage: exit status 64.
    #[error("there is no terminal to ask at, so these flags are needed: {}", missing.join(" "))]
    Missing { missing: Vec<&'static str> },
    #[error("{} exists already and says something else; edit it, or choose another folder", path.display())]
    Exists { path: PathBuf },
    #[error("the folder {} is not empty (it holds {found}); choose a new one", path.display())]
    NotEmpty { path: PathBuf, found: String },
    #[error("left half-way: nothing was written")]
    Stopped(#[source] AskError),
    #[error("left at your wish: nothing was written")]
    Declined,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot make the OpenPGP key; run the same command again once that is mended")]
    Key(#[source] anyhow::Error),
}
impl From<AskError> for InitError {
    fn from(error: AskError) -> Self {
        InitError::Stopped(error)
    }
}
/// Makes a home at `folder` (`--home`; else `$BREACHPOST_HOME`, else asked for). `make_key` makes the key, or reads the
/// one already there, and returns its fingerprint.
///
/// # Errors
/// [`InitError`]. Up to the last question nothing is written; what is written before an error is completed by the same
/// command.
pub fn run(
    args: InitArgs,
    folder: Option<&Path>,
    terminal: Option<Terminal<'_>>,
    make_key: impl FnOnce(&KeyRequest) -> anyhow::Result<String>,
) -> Result<InitReport, InitError> {
    let mut questions = Questions::new(terminal);
    let folder = questions.need("--home DIR", Home::named(folder), |t| {
        t.say("This makes the folder of one breachpost installation: settings, keys, and the encrypted store.\n")?;
        t.ask("Folder", Some("breachpost"), |text| {
            Ok::<_, BadValue>(PathBuf::from(text))
        })
    })?;
    let home = folder.as_deref().map(Home::at).transpose()?;
    if let Some(home) = &home {
        check_place(home)?;
        let complete = args.organisation.is_some() && args.sender.is_some() && args.relay.is_some();
        if home.config_path().exists() && !complete {
            return Err(InitError::Exists {
                path: home.config_path(),
            });
        }
    }
    let answers = gather(args, &mut questions)?;
    let (Some(home), Some(answers)) = (home, answers) else {
        return Err(InitError::Missing {
            missing: questions.missing(),
        });
    };

    let text = config_text(&home, &answers);
    let path = home.config_path();
    let config = Config::parse(&path.display().to_string(), text.as_bytes())?;
    for place in [&answers.relay_password, &answers.mailbox_password]
        .into_iter()
        .flatten()
    {
        if let Password::File(path) = place {
            // Now, rather than at the first notice.
            SecretSource::File(path.clone()).read(&home)?;
        }
    }
    questions.agree(&home, &config)?;
    write_home(&home, &config, &answers, &text, make_key)
}

/// A folder that is there already must be empty, or hold nothing but what a home holds.
fn check_place(home: &Home) -> Result<(), InitError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: home.root().to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(home.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error).into()),
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        let is_ours = OURS.contains(&name.as_str()) || name.starts_with(config::UNFINISHED);
        if !is_ours && !home.config_path().exists() {
            return Err(InitError::NotEmpty {
                path: home.root().to_owned(),
                found: name.escape_debug().to_string(),
            });
        }
    }
    Ok(())
}

/// The default file with the answers in their places.
fn config_text(home: &Home, answers: &Answers) -> String {
    let mut file = Filling::default();
    file.text("organisation.name", answers.organisation.as_str());
    file.text("organisation.country", answers.country.as_str());
    let languages: Vec<String> = answers.languages.iter().map(|l| config::quoted(l.as_str())).collect();
    file.yaml("organisation.languages", &format!("[{}]", languages.join(", ")));
    let contact = &answers.contact;
    file.yaml("organisation.contact.kind", contact.kind.name());
    file.text("organisation.contact.name", contact.name.as_str());
    match &contact.email {
        Some(email) => file.text("organisation.contact.email", email.as_str()),
        None => file.without("organisation.contact.email"),
    }
    for (path, value) in [
        ("organisation.contact.phone", &contact.phone),
        ("organisation.contact.postal", &contact.postal),
        ("sender.name", &answers.sender_name),
    ] {
        if let Some(value) = value {
            file.text(path, value.as_str());
        }
    }
    file.text("sender.address", answers.sender.as_str());
    file.text("relay.url", &answers.relay.text);
    match &answers.relay_password {
        Some(password) => file.yaml("relay.password", &password.yaml(home)),
        None => file.without("relay.password"),
    }
    if let Some(mailbox) = &answers.mailbox {
        let password = answers.mailbox_password.as_ref();
        let password = password.map_or(String::new(), |p| format!(", password: {}", p.yaml(home)));
        file.yaml(
            "mailbox",
            &format!("{{ url: {}{password} }}", config::quoted(&mailbox.text)),
        );
    }
    file.finish()
}
impl Password {
    /// A file inside the home is named relative to it, so that the home can be moved.
    fn yaml(&self, home: &Home) -> String {
        let path = match self {
            Password::Typed(_) => PathBuf::from(RELAY_PASSWORD_FILE),
            Password::File(path) => path.strip_prefix(home.root()).unwrap_or(path).to_path_buf(),
        };
        format!("{{ file: {} }}", config::quoted(&path.to_string_lossy()))
    }
}

fn write_home(
    home: &Home,
    config: &Config,
    answers: &Answers,
    text: &str,
    make_key: impl FnOnce(&KeyRequest) -> anyhow::Result<String>,
) -> Result<InitReport, InitError> {
    let path = home.config_path();
    // A finished home is left alone, but for pieces that an interrupted run left out.
    if path.exists() && std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        return Err(InitError::Exists { path });
    }
    config::make_private_folder(home.root())?;
    home.make_private()?;
    for folder in [home.keys_dir(), home.authorities_dir(), home.templates_dir()] {
        config::make_private_folder(&folder)?;
    }
    let passphrase = config::random_hex();
    config::write_new_private(&home.resolve(PASSPHRASE_FILE), &format!("{}\n", passphrase.expose()))?;
    if let Some(Password::Typed(password)) = &answers.relay_password {
        config::replace_private(&home.resolve(RELAY_PASSWORD_FILE), &format!("{}\n", password.expose()))?;
    }
    config.store_key(home, true)?;
    let key_fingerprint = make_key(&KeyRequest {
        name: config.name_of(&config.sender).to_owned(),
        address: config.sender.address.to_string(),
        passphrase: config.key.passphrase(home)?,
        file: home.resolve(KEY_FILE),
    })
    .map_err(InitError::Key)?;
    config::write_new_private(&path, text)?;
    Ok(InitReport {
        next_steps: next_steps(home),
        home: home.root().to_owned(),
        config: path,
        key_fingerprint,
    })
}

fn next_steps(home: &Home) -> Vec<NextStep> {
    let at_home = |command: &str| format!("breachpost {command} --home {}", config::shell_word(home.root()));
    vec![
        NextStep {
            what: "check settings, keys and mail server",
            command: at_home("doctor"),
        },
        NextStep {
            what: "see which authorities are known, and whose certificate is still to be verified",
            command: at_home("authority list"),
        },
        NextStep {
            what: "rehearse the whole job on this machine, without sending anything",
            command: "breachpost drill".to_owned(),
        },
    ]
}
