//! `breachpost init`: makes a home, from flags, by asking, or both. Writes config.yaml last, so that a folder that holds
//! one is complete; run again, it finishes what was left half-way. Makes no OpenPGP key itself: it is handed how.

mod questions;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Proof;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }
    fn args(line: &[&str]) -> InitArgs {
        Line::try_parse_from(["init"].iter().chain(line)).unwrap().args
    }
    /// All that is needed off a terminal.
    const ENOUGH: [&str; 12] = [
        "--organisation",
        "Brasserie \"du\" Kirchberg: #1",
        "--country",
        "lu",
        "--contact-name",
        "Claire Weber",
        "--contact-email",
        "dpo@example.lu",
        "--sender",
        "breach@example.lu",
        "--relay",
        "smtp://127.0.0.1:2525?tls=none",
    ];
    /// Stands in for the OpenPGP room: a file, and a fingerprint that shows what was asked for.
    fn make_key(request: &KeyRequest) -> anyhow::Result<String> {
        anyhow::ensure!(request.passphrase.expose().len() == 64, "passphrase");
        config::write_new_private(&request.file, "key\n")?;
        Ok(format!("{} <{}>", request.name, request.address))
    }
    fn by_flags(folder: &Path, line: &[&str]) -> Result<InitReport, InitError> {
        run(args(line), Some(folder), None, make_key)
    }
    fn by_asking(folder: &Path, line: &[&str], answers: &str) -> (Result<InitReport, InitError>, String) {
        let mut shown = Vec::new();
        let terminal = Terminal::over(answers.as_bytes(), &mut shown);
        let result = run(args(line), Some(folder), Some(terminal), make_key);
        (result, String::from_utf8(shown).unwrap())
    }
    fn modes(home: &Path) -> Vec<(String, u32)> {
        use std::os::unix::fs::PermissionsExt as _;
        ["", "config.yaml", "keys", "keys/sender.pass", "keys/store.key"]
            .iter()
            .map(|name| {
                (
                    name.to_string(),
                    home.join(name).metadata().unwrap().permissions().mode() & 0o777,
                )
            })
            .collect()
    }
    fn config_of(home: &Path) -> Config {
        Config::load(&Home::at(home).unwrap()).unwrap()
    }

    #[test]
    fn flags_alone_make_a_home_that_loads_and_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("new/home");
        let report = by_flags(&folder, &ENOUGH).unwrap();
        assert_eq!(report.config, folder.join("config.yaml"));
        assert_eq!(
            report.key_fingerprint,
            "Brasserie \"du\" Kirchberg: #1 <breach@example.lu>"
        );
        assert!(
            report
                .next_steps
                .iter()
                .any(|step| step.command == format!("breachpost doctor --home {}", folder.display()))
        );

        let config = config_of(&folder);
        assert_eq!(config.organisation.name.as_str(), "Brasserie \"du\" Kirchberg: #1");
        assert_eq!(config.organisation.country.as_str(), "LU");
        assert!(config.relay.password.is_none() && config.mailbox.is_none());
        for (name, mode) in modes(&folder) {
            let private = if ["", "keys"].contains(&name.as_str()) {
                0o700
            } else {
                0o600
            };
            assert_eq!(mode, private, "{name}");
        }
        let text = std::fs::read_to_string(folder.join("config.yaml")).unwrap();
        assert!(!text.contains("Example S.A.\"\n  # Country") && text.contains("# How to read this file"));
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        let password = scratch.path().join("password");
        config::write_new_private(&password, "hunter2\n").unwrap();
        let file = password.to_str().unwrap();
        let mut line = ENOUGH.to_vec();
        line[11] = "smtps://breach@example.lu@mail.example.lu";
        line.extend([
            "--relay-password-file",
            file,
            "--language",
            "fr",
            "--language",
            "de",
            "--sender-name",
            "Données",
        ]);
        line.extend([
            "--contact-kind",
            "other",
            "--contact-phone",
            "+352 1",
            "--contact-postal",
            "12, rue: x",
        ]);
        line.extend(["--mailbox", "imaps://a@h.lu", "--mailbox-password-file", file]);
        by_flags(&folder, &line).unwrap();

        let config = config_of(&folder);
        let home = Home::at(&folder).unwrap();
        let Some((user, Proof::Password(secret))) = config.relay.login(&home).unwrap() else {
            panic!("the relay has a password");
        };
        assert_eq!((user.as_str(), secret.expose()), ("breach@example.lu", "hunter2"));
        let languages: Vec<&str> = config.organisation.languages.iter().map(Language::as_str).collect();
        assert_eq!(languages, ["fr", "de"]);
        let contact = config.organisation.contact.clone().unwrap();
        assert_eq!(
            (contact.kind, contact.phone.unwrap().as_str()),
            (ContactKind::Other, "+352 1")
        );
        assert_eq!(contact.postal.unwrap().as_str(), "12, rue: x");
        assert_eq!(config.name_of(&config.sender), "Données");
        assert!(config.mailbox.unwrap().password.is_some());
    }

    #[test]
    fn off_a_terminal_all_missing_flags_are_named_at_once_and_nothing_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        let error = by_flags(&folder, &["--country", "LU", "--relay", "smtps://anna@h.lu"]).unwrap_err();
        assert!(matches!(error, InitError::Missing { .. }));
        let text = error.to_string();
        for flag in [
            "--organisation NAME",
            "--contact-name NAME",
            "--contact-email ADDRESS",
            "--sender ADDRESS",
            "--relay-password-file FILE",
        ] {
            assert!(text.contains(flag), "{text}");
        }
        assert!(!text.contains("--country") && !text.contains("--relay URL"), "{text}");
        assert!(!folder.exists());
    }

    #[test]
    fn on_a_terminal_what_is_missing_is_asked_and_bad_answers_again() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        // Organisation is given; country is wrong once, languages, contact…, then the relay with its password.
        let answers = "Luxembourg\nLU\nfr, de\n1\nClaire Weber\nclaire\nclaire@example.lu\n\n\nbreach@example.lu\n\n\
                       smtp://mail.example.lu?tls=none\nsmtps://breach@mail.example.lu\nhunter2\n\nyes\n";
        let (report, shown) = by_asking(&folder, &["--organisation", "Example"], answers);
        report.unwrap();
        assert!(shown.contains("`Luxembourg` is not a country code"), "{shown}");
        assert!(
            shown.contains("exactly one @") && shown.contains("loopback only"),
            "{shown}"
        );
        assert!(
            !shown.contains("hunter2") && !shown.contains("Organisation:"),
            "{shown}"
        );
        let config = config_of(&folder);
        let (_, secret) = config.relay.login(&Home::at(&folder).unwrap()).unwrap().unwrap();
        assert!(matches!(secret, Proof::Password(secret) if secret.expose() == "hunter2"));
        assert_eq!(config.fallback_language().as_str(), "fr");
    }

    #[test]
    fn leaving_at_any_question_writes_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        let all = "Example\nLU\nen\n1\nClaire\nc@example.lu\n\n\nb@example.lu\n\nsmtp://localhost?tls=none\n\nno\n";
        for lines in 0..all.lines().count() {
            let some: String = all.lines().take(lines).map(|line| format!("{line}\n")).collect();
            let (result, _) = by_asking(&folder, &[], &some);
            assert!(
                matches!(result, Err(InitError::Stopped(AskError::Ended))),
                "{lines}: {result:?}"
            );
        }
        assert!(matches!(by_asking(&folder, &[], all).0, Err(InitError::Declined)));
        assert!(!folder.exists());
    }

    #[test]
    fn an_interrupted_run_is_finished_by_the_same_command() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        let failed = run(args(&ENOUGH), Some(&folder), None, |_| anyhow::bail!("no randomness"));
        assert!(matches!(failed, Err(InitError::Key(_))));
        assert!(!folder.join("config.yaml").exists());
        let kept = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let before = (kept("keys/sender.pass"), kept("keys/store.key"));
        let first = by_flags(&folder, &ENOUGH).unwrap();
        assert_eq!((kept("keys/sender.pass"), kept("keys/store.key")), before);
        assert_eq!(by_flags(&folder, &ENOUGH).unwrap(), first, "the same intent once more");
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("home");
        by_flags(&folder, &ENOUGH).unwrap();
        let text = std::fs::read(folder.join("config.yaml")).unwrap();
        let mut other = ENOUGH;
        other[1] = "Somebody else";
        assert!(matches!(by_flags(&folder, &other), Err(InitError::Exists { .. })));
        let (result, shown) = by_asking(&folder, &[], "x\n");
        assert!(matches!(result, Err(InitError::Exists { .. })), "{result:?}");
        assert_eq!(shown, "", "refused before the first question");
        assert_eq!(std::fs::read(folder.join("config.yaml")).unwrap(), text);

        let foreign = scratch.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("letter.txt"), "x").unwrap();
        assert!(matches!(by_flags(&foreign, &ENOUGH), Err(InitError::NotEmpty { found, .. }) if found == "letter.txt"));
    }

    #[test]
    fn a_password_file_that_others_may_read_is_refused_now() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let password = scratch.path().join("password");
        std::fs::write(&password, "hunter2").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut line = ENOUGH.to_vec();
        line[11] = "smtps://anna@h.lu";
        line.extend(["--relay-password-file", password.to_str().unwrap()]);
        let folder = scratch.path().join("home");
        let error = by_flags(&folder, &line).unwrap_err();
        assert!(
            matches!(&error, InitError::Config(ConfigError::NotPrivate { .. })),
            "{error}"
        );
        assert!(!folder.exists());
    }
}
