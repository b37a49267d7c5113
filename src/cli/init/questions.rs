//! What `init` must know, and asking for it: every question beside the flag that answers it. Writes nothing.

use std::path::{Path, PathBuf};

use super::{Checked, InitArgs, InitError};
use crate::cli::ask::{AskError, Terminal};
use crate::config::{Address, BadValue, Config, Country, Home, Language, Line, MailboxUrl, RelayUrl};
use crate::model::breach::ContactKind;
use crate::secret::Secret;

/// Asks for what was not given, or notes the flag where nobody can be asked.
pub(super) struct Questions<'a> {
    terminal: Option<Terminal<'a>>,
    missing: Vec<&'static str>,
    asked: bool,
}
impl<'a> Questions<'a> {
    pub(super) fn new(terminal: Option<Terminal<'a>>) -> Self {
        Self {
            terminal,
            missing: Vec::new(),
            asked: false,
        }
    }
    /// The flags that nobody gave and nobody could be asked for.
    pub(super) fn missing(self) -> Vec<&'static str> {
        self.missing
    }
    /// What must be known; `None` is noted as missing.
    pub(super) fn need<T>(
        &mut self,
        flag: &'static str,
        given: Option<T>,
        ask: impl FnOnce(&mut Terminal<'a>) -> Result<T, AskError>,
    ) -> Result<Option<T>, AskError> {
        let found = self.may(given, |t| ask(t).map(Some))?;
        if found.is_none() {
            self.missing.push(flag);
        }
        Ok(found)
    }
    /// What may be left out.
    fn may<T>(
        &mut self,
        given: Option<T>,
        ask: impl FnOnce(&mut Terminal<'a>) -> Result<Option<T>, AskError>,
    ) -> Result<Option<T>, AskError> {
        match (given, &mut self.terminal) {
            (Some(given), _) => Ok(Some(given)),
            (None, Some(terminal)) => {
                self.asked = true;
                ask(terminal)
            }
            (None, None) => Ok(None),
        }
    }
    /// Shows what will be made, where anything was asked for.
    pub(super) fn agree(&mut self, home: &Home, config: &Config) -> Result<(), InitError> {
        let Some(terminal) = self.terminal.as_mut().filter(|_| self.asked) else {
            return Ok(());
        };
        terminal.say(&format!(
            "\n{} ({}), sending as {} over {}, in {}",
            config.organisation.name,
            config.organisation.country,
            config.sender.address,
            config.relay.url.host,
            home.root().display()
        ))?;
        if terminal.confirm("Make this home", true)? {
            Ok(())
        } else {
            Err(InitError::Declined)
        }
    }
}

/// An empty answer leaves a setting out.
fn if_any<T: std::str::FromStr<Err = BadValue>>(text: &str) -> Result<Option<T>, BadValue> {
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some)
    }
}

/// All that config.yaml is filled with.
pub(super) struct Answers {
    pub(super) organisation: Line,
    pub(super) country: Country,
    pub(super) languages: Vec<Language>,
    pub(super) contact: ContactAnswers,
    pub(super) sender: Address,
    pub(super) sender_name: Option<Line>,
    pub(super) relay: Checked<RelayUrl>,
    pub(super) relay_password: Option<Password>,
    pub(super) mailbox: Option<Checked<MailboxUrl>>,
    pub(super) mailbox_password: Option<Password>,
}
pub(super) struct ContactAnswers {
    pub(super) kind: ContactKind,
    pub(super) name: Line,
    pub(super) email: Option<Address>,
    pub(super) phone: Option<Line>,
    pub(super) postal: Option<Line>,
}
pub(super) enum Password {
    /// Absolute.
    File(PathBuf),
    Typed(Secret),
}

/// `None` when something is missing; `questions` knows what.
pub(super) fn gather(args: InitArgs, questions: &mut Questions<'_>) -> Result<Option<Answers>, InitError> {
    let organisation = questions.need("--organisation NAME", args.organisation, |t| {
        t.say("\nThe organisation that notifies, as the authority knows it.")?;
        t.ask("Organisation", None, str::parse)
    })?;
    let country = questions.need("--country CODE", args.country, |t| {
        t.ask("Country, two letters", None, str::parse)
    })?;
    let languages = match args.language {
        given if !given.is_empty() => given,
        _ => {
            let read = |text: &str| {
                text.split([',', ' '])
                    .filter(|l| !l.is_empty())
                    .map(str::parse)
                    .collect()
            };
            let asked = questions.may(None, |t| {
                t.say("Languages you write in, preferred first, such as: fr, de, en")?;
                t.ask("Languages", Some("en"), read).map(Some)
            })?;
            match asked {
                Some(languages) => languages,
                None => vec!["en".parse().expect("`en` is a language code")],
            }
        }
    };
    let contact = gather_contact(
        questions,
        args.contact_kind,
        args.contact_name,
        args.contact_email,
        args.contact_phone,
        args.contact_postal,
    )?;
    let sender = questions.need("--sender ADDRESS", args.sender, |t| {
        t.say("\nThe address that notices come from. Acknowledgements come back to it: it must be read.")?;
        t.ask("Sender address", None, str::parse)
    })?;
    let sender_name = questions.may(args.sender_name, |t| {
        t.ask("Name beside it; the organisation's unless given", Some(""), if_any)
    })?;
    let (relay, relay_password) = gather_relay(questions, args.relay, args.relay_password_file)?;
    let mailbox = questions.may(args.mailbox, |t| {
        t.say(
            "\nWhere answers are read; nothing is marked as read, moved or deleted there:\n  \
             imaps://USER@HOST  a mailbox on a server (TLS)\n  \
             imap://USER@HOST   the same with STARTTLS, required\n  \
             maildir:PATH       a folder on this machine\n\
             Leave it empty if your mail server pipes them to `breachpost mailbox ingest`.",
        )?;
        t.ask("Mailbox", Some(""), |text| match text {
            "" => Ok(None),
            text => Checked::read(text).map(Some),
        })
    })?;
    let mailbox_password = match &mailbox {
        Some(mailbox) if matches!(mailbox.url, MailboxUrl::Imap(_)) => questions.need(
            "--mailbox-password-file FILE",
            args.mailbox_password_file.map(from_file),
            |t| t.ask("File that holds the mailbox's password", None, password_file),
        )?,
        _ => args.mailbox_password_file.map(from_file),
    };
    let (Some(organisation), Some(country), Some(contact), Some(sender), Some(relay)) =
        (organisation, country, contact, sender, relay)
    else {
        return Ok(None);
    };
    Ok(questions.missing.is_empty().then_some(Answers {
        organisation,
        country,
        languages,
        contact,
        sender,
        sender_name,
        relay,
        relay_password,
        mailbox,
        mailbox_password,
    }))
}

fn gather_contact(
    questions: &mut Questions<'_>,
    kind: Option<ContactKind>,
    name: Option<Line>,
    email: Option<Address>,
    phone: Option<Line>,
    postal: Option<Line>,
) -> Result<Option<ContactAnswers>, InitError> {
    const KINDS: [(&str, &str); 2] = [
        ("dpo", "the data protection officer"),
        ("other", "another contact point"),
    ];
    let kind = questions.may(kind, |t| {
        t.say("\nWhom the authority may ask about a breach (GDPR Art. 33(3)(b)).")?;
        let chosen = t.ask_choice("Kind of contact", &KINDS, 0)?;
        Ok(Some([ContactKind::Dpo, ContactKind::Other][chosen]))
    })?;
    let name = questions.need("--contact-name NAME", name, |t| {
        t.ask("Contact's name", None, str::parse)
    })?;
    // Off a terminal either will do: both flags are named only when neither was given.
    let email = if phone.is_some() {
        questions.may(email, |t| t.ask("Contact's e-mail address", Some(""), if_any))?
    } else {
        questions.need("--contact-email ADDRESS", email, |t| {
            t.ask("Contact's e-mail address", None, str::parse)
        })?
    };
    let phone = questions.may(phone, |t| t.ask("Contact's telephone number", Some(""), if_any))?;
    let postal = questions.may(postal, |t| {
        t.ask("Contact's postal address, on one line", Some(""), if_any)
    })?;
    Ok(name.map(|name| ContactAnswers {
        kind: kind.unwrap_or(ContactKind::Dpo),
        name,
        email,
        phone,
        postal,
    }))
}

fn gather_relay(
    questions: &mut Questions<'_>,
    relay: Option<Checked<RelayUrl>>,
    password_file: Option<PathBuf>,
) -> Result<(Option<Checked<RelayUrl>>, Option<Password>), InitError> {
    let relay = questions.need("--relay URL", relay, |t| {
        t.say(
            "\nThe mail server that takes what is sent:\n  \
             smtps://USER@HOST:465         TLS from the first byte (preferred)\n  \
             smtp://USER@HOST:587          STARTTLS, required\n  \
             smtp://127.0.0.1:25?tls=none  a server on this machine\n\
             Leave USER@ out where it asks for no login.",
        )?;
        t.ask("Mail server", None, Checked::read)
    })?;
    let password = match &relay {
        Some(relay) if relay.url.user.is_some() => {
            questions.need("--relay-password-file FILE", password_file.map(from_file), |t| {
                t.ask_secret("Its password").map(Password::Typed)
            })?
        }
        _ => password_file.map(from_file),
    };
    Ok((relay, password))
}

/// A path of a flag starts at the current folder, one of config.yaml at the home.
fn from_file(path: PathBuf) -> Password {
    Password::File(std::path::absolute(&path).unwrap_or(path))
}

fn password_file(text: &str) -> Result<Password, String> {
    if Path::new(text).is_file() {
        Ok(from_file(PathBuf::from(text)))
    } else {
        Err(format!("there is no file `{}`", text.escape_debug()))
    }
}
