//! `authority`: who must be told and how, and the certificates that were imported for them.

mod fetched;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::Context;
use super::files;
use super::output::{Exit, Failure, table};
use crate::directory::certificate::pretty_fingerprint;
use crate::directory::profile::{Expected, Profile, Purpose};
use crate::directory::{Directory, DirectoryError};
use crate::dispatch::desk::certificate::{self, PinView, Verified, Vouched};
use crate::model::plural::counted;

/// A certificate larger than this is none: a key with a few user ids takes some kilobytes.
const MAX_CERTIFICATE_BYTES: u64 = 1024 * 1024;

/// The directory of authorities.
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// All authorities: who takes sealed mail, who has a portal.
    #[command(after_help = "Examples:\n  breachpost authority list\n  breachpost authority list --json")]
    List,
    /// One authority with every fact and its source.
    #[command(after_help = "Examples:\n  breachpost authority show lu-cnpd")]
    Show {
        /// The authority's id; `authority list` names them.
        id: String,
    },
    /// Check the profiles, built-in and your own: what is wrong, what is old, what is not known.
    #[command(after_help = "Examples:\n  breachpost authority check\n  breachpost authority check lu-cnpd")]
    Check {
        /// Only this authority.
        id: Option<String>,
    },
    /// The authorities' OpenPGP certificates.
    #[command(subcommand)]
    Cert(CertCommand),
}

#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Import an authority's certificate after you have verified its fingerprint.
    #[command(after_help = "\
Examples:
  breachpost authority cert import lu-cnpd cnpd.asc \\
      --fingerprint '0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567' \\
      --verified phone")]
    Import {
        /// The authority's id; `authority list` names them.
        id: String,
        /// The certificate, armored or binary; - for standard input.
        file: PathBuf,
        /// The whole fingerprint, from another source than the file: read out on the telephone.
        #[arg(long, value_name = "FPR")]
        fingerprint: String,
        /// How the fingerprint was verified; shown in every preview.
        #[arg(long, value_enum, default_value_t = VerifiedArg::None)]
        verified: VerifiedArg,
        /// Accept a certificate that does not name the authority's address, with the reason.
        #[arg(long, value_name = "REASON")]
        accept_user_id: Option<String>,
        /// Keep an expired certificate: it cannot be used but by `notice send --override expired`.
        #[arg(long)]
        accept_expired: bool,
    },
    /// The imported certificate: fingerprint, user ids, expiry, how it was verified; beside it what was fetched.
    #[command(after_help = "Examples:\n  breachpost authority cert show lu-cnpd")]
    Show {
        /// The authority's id; `authority list` names them.
        id: String,
    },
    #[command(flatten)]
    Fetched(fetched::FetchedCommand),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum VerifiedArg {
    /// Read back over a telephone number that did not come with the certificate.
    Phone,
    /// The same in two independent sources.
    TwoSources,
    /// Seen on the authority's web site only.
    Website,
    /// Not verified.
    None,
}
impl From<VerifiedArg> for Verified {
    fn from(arg: VerifiedArg) -> Self {
        match arg {
            VerifiedArg::Phone => Verified::Phone,
            VerifiedArg::TwoSources => Verified::TwoSources,
            VerifiedArg::Website => Verified::Website,
            VerifiedArg::None => Verified::None,
        }
    }
}

pub async fn run(command: AuthorityCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        AuthorityCommand::List => list(context),
        AuthorityCommand::Show { id } => show(context, &id),
        AuthorityCommand::Check { id } => check(context, id.as_deref()).await,
        AuthorityCommand::Cert(CertCommand::Import {
            id,
            file,
            fingerprint,
            verified,
            accept_user_id,
            accept_expired,
        }) => {
            let bytes = files::read(&file, MAX_CERTIFICATE_BYTES)?;
            let office = context.office()?;
            let vouched = Vouched {
                fingerprint,
                verified: verified.into(),
                accepted_user_id: accept_user_id,
                accept_expired,
            };
            let pin = certificate::import(&office, &id, &bytes, vouched, &context.actor()).await?;
            if pin.verified == Verified::None.name() {
                context.out.note("note: the fingerprint is recorded as not verified; every preview will say so. Verify it by telephone and import again with --verified phone.");
            }
            context.out.data(&pin, || describe(&pin))?;
            Ok(Exit::Done)
        }
        AuthorityCommand::Cert(CertCommand::Show { id }) => {
            let office = context.office()?;
            fetched::show(context, &office, &id).await
        }
        AuthorityCommand::Cert(CertCommand::Fetched(command)) => fetched::run(command, context).await,
    }
}

fn directory(context: &Context) -> Result<Directory, Failure> {
    let overlay = context.home_if_any()?.map(|home| home.authorities_dir());
    Directory::load(overlay.as_deref()).map_err(|error| Failure::new(Exit::Ours, error))
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let profiles = directory(context)?
        .list()
        .map_err(|error| Failure::new(Exit::Ours, error))?;
    context.out.data(&profiles, || {
        let head = ["ID", "", "AUTHORITY", "SEALED MAIL TO", "PORTAL OR FORM", "KEY"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for profile in &profiles {
            let key = match &profile.openpgp {
                Some(key) if key.fingerprint().is_some() => "fingerprint published",
                Some(_) => "offered",
                None => "-",
            };
            rows.push(vec![
                profile.id.clone(),
                profile.country.clone(),
                profile.name("en").to_owned(),
                profile
                    .breach_email()
                    .map_or_else(|| "-".to_owned(), |channel| channel.value.clone()),
                if profile.portal().is_some() { "yes" } else { "-" }.to_owned(),
                key.to_owned(),
            ]);
        }
        let mut text = table(&rows);
        text.push_str(
            "\n-  no source that we know names one. All facts with their sources: breachpost authority show ID\n",
        );
        text
    })?;
    Ok(Exit::Done)
}

fn show(context: &Context, id: &str) -> Result<Exit, Failure> {
    let profile = directory(context)?
        .find(id)
        .map_err(|error| Failure::new(Exit::Usage, error).hint("breachpost authority list"))?;
    context.out.data(&profile, || portrait(&profile))?;
    Ok(Exit::Done)
}

/// What is to be said of one profile, and of the certificate imported for it.
#[derive(Serialize)]
struct Checked {
    authority: String,
    problems: Vec<String>,
    findings: Vec<String>,
    certificate: Option<PinView>,
    /// Until the certificate expires; `None` without one, or when it never does.
    days_left: Option<i64>,
}

async fn check(context: &Context, id: Option<&str>) -> Result<Exit, Failure> {
    let directory = directory(context)?;
    // Certificates are looked at where there is an installation.
    let office = match context.home_if_any()? {
        Some(_) => Some(context.office()?),
        None => None,
    };
    let now = context.clock.now();
    let ids = id.map_or_else(|| directory.ids(), |id| vec![id.to_owned()]);
    let mut checked = Vec::new();
    for id in ids {
        let (problems, findings) = match directory.find(&id) {
            Ok(profile) => (Vec::new(), profile.findings(now)),
            Err(error @ DirectoryError::Unknown { .. }) => {
                return Err(Failure::new(Exit::Usage, error).hint("breachpost authority list"));
            }
            Err(error) => (vec![error.to_string()], Vec::new()),
        };
        let certificate = match &office {
            Some(office) if problems.is_empty() => certificate::show(office, &id).await?,
            _ => None,
        };
        let expires = certificate.as_ref().and_then(|pin| pin.facts.expires);
        checked.push(Checked {
            authority: id,
            problems,
            findings,
            days_left: expires.map(|expires| (expires - now).num_days()),
            certificate,
        });
    }
    let unusable = |checked: &Checked| checked.certificate.as_ref().is_some_and(|pin| pin.unusable.is_some());
    let broken = checked
        .iter()
        .any(|checked| !checked.problems.is_empty() || unusable(checked));
    context
        .out
        .data(&checked, || checked.iter().map(Checked::human).collect())?;
    Ok(if broken { Exit::Person } else { Exit::Done })
}

impl Checked {
    fn human(&self) -> String {
        let mut text = format!("{}\n", self.authority);
        for problem in &self.problems {
            text.push_str(&format!("  WRONG: {problem}\n"));
        }
        if let Some(pin) = &self.certificate {
            let state = match (&pin.unusable, self.days_left) {
                (Some(why), _) => format!("CANNOT BE USED NOW: {why}"),
                (None, Some(days)) => format!("can be used, {} left, verified: {}", counted(days, "day"), pin.verified),
                (None, None) => format!("can be used, never expires, verified: {}", pin.verified),
            };
            text.push_str(&format!("  certificate: {state}\n"));
        }
        for finding in &self.findings {
            text.push_str(&format!("  - {finding}\n"));
        }
        if self.problems.is_empty() && self.findings.is_empty() && self.certificate.is_none() {
            text.push_str("  good\n");
        }
        text
    }
}

fn portrait(profile: &Profile) -> String {
    let mut text = format!("{} ({})\n", profile.name("en"), profile.id);
    for (language, name) in &profile.names {
        text.push_str(&format!("  {language}: {name}\n"));
    }
    text.push_str(&format!(
        "  country {}, zone {}, languages {}\n",
        profile.country,
        profile.timezone,
        profile.languages.join(", ")
    ));
    let sections = [
        (Purpose::Breach, "How to tell them about a breach"),
        (Purpose::General, "General contact (never for a notice)"),
    ];
    for (purpose, title) in sections {
        let channels: Vec<_> = profile
            .channels
            .iter()
            .filter(|channel| channel.purpose == purpose)
            .collect();
        if channels.is_empty() {
            if purpose == Purpose::Breach {
                text.push_str("\nHow to tell them about a breach\n  not known; ask them by telephone\n");
            }
            continue;
        }
        text.push_str(&format!("\n{title}\n"));
        for channel in channels {
            text.push_str(&format!("  {:8} {}\n", channel.kind.name(), channel.value));
            if let Some(hours) = &channel.hours {
                text.push_str(&format!("           hours: {hours}\n"));
            }
            if let Some(accepts) = &channel.accepts {
                text.push_str(&format!("           {accepts}\n"));
            }
            text.push_str(&format!(
                "           {}: {}\n",
                channel.confidence.name(),
                channel.source
            ));
        }
    }
    text.push_str("\nOpenPGP key\n");
    match &profile.openpgp {
        None => text.push_str("  no public source names one; ask for it by telephone\n"),
        Some(key) => {
            if let Some(url) = &key.url {
                text.push_str(&format!("  offered at {url}\n"));
            }
            match key.fingerprint() {
                Some(fingerprint) => text.push_str(&format!(
                    "  published fingerprint {} (a hint for you to verify, never trusted by itself)\n",
                    pretty_fingerprint(&fingerprint)
                )),
                None => text
                    .push_str("  no fingerprint is published: read it back by telephone before you import the key\n"),
            }
            text.push_str(&format!("  {}: {}\n", key.confidence.name(), key.source));
        }
    }
    let expected = match profile.acknowledgement.expected {
        Expected::Yes => "they acknowledge receipt",
        Expected::No => "they send no acknowledgement",
        Expected::Unknown => "whether they acknowledge receipt is not known",
    };
    text.push_str(&format!(
        "\nAcknowledgement\n  {expected}; recognised from {}\n",
        profile.ack_senders().join(", ")
    ));
    if let Some(notes) = &profile.notes {
        text.push_str(&format!("\nNotes\n  {}\n", notes.trim_end().replace('\n', "\n  ")));
    }
    match &profile.checked {
        Some(checked) => text.push_str(&format!("\nChecked by {} on {}\n", checked.by, checked.on)),
        None => text.push_str("\nNot checked by a person against the live pages yet.\n"),
    }
    text
}

fn describe(pin: &PinView) -> String {
    let facts = &pin.facts;
    let mut text = format!(
        "Certificate of {}\n  fingerprint  {}\n  verified     {} (by {}, {})\n",
        pin.authority,
        pretty_fingerprint(&pin.fingerprint),
        pin.verified,
        pin.imported_by,
        pin.imported_at.format("%Y-%m-%d %H:%M UTC")
    );
    for user_id in &facts.user_ids {
        text.push_str(&format!("  user id      {user_id}\n"));
    }
    if let Some(reason) = &pin.accepted_user_id {
        text.push_str(&format!("  accepted     without the authority's address: {reason}\n"));
    }
    text.push_str(&format!("  algorithm    {}\n", facts.algorithm));
    text.push_str(&match facts.expires {
        Some(expires) => format!("  expires      {}\n", expires.format("%Y-%m-%d %H:%M UTC")),
        None => "  expires      never (that is fine)\n".to_owned(),
    });
    match &pin.unusable {
        Some(why) => text.push_str(&format!("  CANNOT BE USED NOW: {why}\n")),
        None => text.push_str("  can be used now\n"),
    }
    text
}
