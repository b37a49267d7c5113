//! The way in: raw bytes are stored before anything is understood, then opened, classified, tied to what was sent
//! ([`matching`]), judged ([`booking`]) and booked in one transaction. What is not clear waits in the tray for a person;
//! nothing is marked, moved or deleted in the mailbox, and nothing is ever answered from here.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;

use crate::config::{Config, Line, Mailbox, MailboxUrl};
use crate::directory::certificate;
use crate::directory::profile::Profile;
use crate::message::open::{self, Opened, Protection, Signature};
use crate::message::phrases::Sense;
use crate::message::rehearsal::Bearing;
use crate::message::{authenticity, classify, order};
use crate::model::Time;
use crate::model::delivery::DeliveryState;
use crate::model::holidays::Calendar;
use crate::model::id::{Actor, MailId};
use crate::model::inquiry;
use crate::model::receipt::{Authenticity, Checked, Means, ReceiptKind};
use crate::store::{Consequences, StoreError, StoredDelivery, StoredMail, Understanding};

use super::booking::{self, Facts};
use super::causes::{chain, mistake};
use super::matching::Match;
use super::office::{Office, OfficeError};
use super::{checkpoint, dkim, matching, rehearsal, worker};

/// The largest mail taken in. Authorities' answers are small; a larger one is refused with its size.
pub const MAX_MAIL_BYTES: usize = 32 * 1024 * 1024;

/// How often, and how many times, it is looked whether a message that is reported of has left the wire: ten seconds, where
/// a commit on a busy disk takes one.
const OUTCOME_LOOK_EVERY: Duration = Duration::from_millis(50);
const OUTCOME_LOOKS: u32 = 200;

/// The mail could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("the mail is {size} bytes; at most {MAX_MAIL_BYTES} are taken in")]
    TooLarge { size: usize },
    #[error("there is no mail: the input is empty")]
    Empty,
    #[error("there is no mail {0}")]
    NoMail(MailId),
    #[error("a mail hits a mistake in breachpost, please report it: {0}")]
    Panic(&'static str),
}
impl From<StoreError> for IntakeError {
    fn from(source: StoreError) -> Self {
        OfficeError::from(source).into()
    }
}

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ingested {
    pub mail: MailId,
    /// False when the same bytes had come before.
    pub new: bool,
    #[serde(flatten)]
    pub understanding: Understanding,
}

/// Stores a mail and understands it. The same mail twice is harmless: the first understanding is returned.
///
/// # Errors
/// Too large, empty, or the store fails. Once stored, a mail is never lost: what a crash leaves unread is read by the
/// next [`catch_up`].
pub async fn ingest(office: &Office, raw: &[u8], source: &str, by: &Actor) -> Result<Ingested, IntakeError> {
    if raw.is_empty() {
        return Err(IntakeError::Empty);
    }
    if raw.len() > MAX_MAIL_BYTES {
        return Err(IntakeError::TooLarge { size: raw.len() });
    }
    let (mail, new) = office.store.add_mail(raw, source, office.now()).await?;
    if !new
        && let Some(StoredMail {
            understanding: Some(understanding),
            ..
        }) = office.store.find_mail(mail).await?
    {
        return Ok(Ingested {
            mail,
            new,
            understanding,
        });
    }
    let understanding = understand(office, mail, raw, source, by).await?;
    tracing::info!(
        mail = %mail,
        kind = understanding.kind.name(),
        notice = understanding.notice.as_ref().map(tracing::field::display),
        in_tray = understanding.in_tray,
        "took in a mail"
    );
    Ok(Ingested {
        mail,
        new,
        understanding,
    })
}

/// Understands what was stored and not read before a crash. Returns how many. One that cannot be understood is named in the
/// log, and keeps no other waiting.
///
/// # Errors
/// Why the first of those could not be, or the store fails.
pub async fn catch_up(office: &Office, by: &Actor) -> Result<usize, IntakeError> {
    let (mut understood, mut first_error) = (0, None);
    for id in office.store.list_unread().await? {
        let (office, by) = (office.clone(), by.clone());
        // In a task of its own: strangers write mail, and one that hits a mistake of ours must not keep the others unread.
        let work = async move {
            let mail = office.store.find_mail(id).await?.ok_or(IntakeError::NoMail(id))?;
            understand(&office, id, &mail.raw, &mail.source, &by).await
        };
        let done = tokio::spawn(work).await;
        match done.unwrap_or_else(|panic| Err(IntakeError::Panic(mistake(panic)))) {
            Ok(_) => understood += 1,
            Err(error) => {
                tracing::error!(mail = %id, error = chain(&error), "a stored mail could not be understood");
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(understood), Err)
}

/// Opens a stored mail again, for showing it.
///
/// # Errors
/// No such mail, or the store fails.
pub async fn reopen(office: &Office, id: MailId) -> Result<(StoredMail, Opened), IntakeError> {
    let mail = office.store.find_mail(id).await?.ok_or(IntakeError::NoMail(id))?;
    let opened = open_mail(office, &mail.raw).await?;
    Ok((mail, opened))
}

async fn open_mail(office: &Office, raw: &[u8]) -> Result<Opened, IntakeError> {
    opened_and(office, raw, |opened| opened).await
}

/// Opens a mail and looks into it. Both on a thread of their own: what 32 MB hold takes as long as the sender likes, and
/// nobody's connection waits for it.
async fn opened_and<T: Send + 'static>(
    office: &Office,
    raw: &[u8],
    look: impl FnOnce(Opened) -> T + Send + 'static,
) -> Result<T, IntakeError> {
    let pins = office.store.list_pins().await?;
    let our = match office.our_key().await {
        Ok(our) => Some(our),
        Err(error) => {
            tracing::warn!(error = chain(&error), "encrypted mail cannot be opened without our key");
            None
        }
    };
    let (raw, now) = (raw.to_vec(), office.now());
    let work = move || {
        // A pin that cannot be read any more verifies nothing; `doctor` names it.
        let pinned = pins.iter().flat_map(|pin| certificate::read_one(&pin.certificate));
        let pinned: Vec<_> = pinned.collect();
        look(open::open(&raw, our.as_deref(), &pinned, now))
    };
    let done = tokio::task::spawn_blocking(work);
    Ok(done.await.expect("opening a mail does not panic"))
}

async fn understand(
    office: &Office,
    id: MailId,
    raw: &[u8],
    source: &str,
    by: &Actor,
) -> Result<Understanding, IntakeError> {
    let marked = |opened| {
        let marks = classify::marks(&opened);
        (opened, marks)
    };
    let (opened, marks) = opened_and(office, raw, marked).await?;
    let now = office.now();
    if let Some(bearing) = rehearsal::recognise(office, &opened, &marks).await {
        return book_rehearsal(office, id, &opened, bearing, by).await;
    }
    let mut found = matching::find(office, &opened, &marks, now).await?;
    if marks.report.is_some() {
        await_outcome(office, &mut found).await?;
    }
    let profile = found
        .notice
        .as_ref()
        .and_then(|notice| office.directory.find(&notice.authority).ok());
    let signed_by = signer(office, &opened, profile.as_ref()).await?;
    let (understanding, consequences) = booking::judge(Facts {
        mail: id,
        report: marks.report.as_ref(),
        verdict: classify::judge(&opened, &marks, profile.as_ref()),
        authenticity: authenticity_of(office, raw, source, &opened, signed_by.as_deref()).await,
        asks: marks.asks,
        by_machine: marks.automatic,
        unread: marks
            .words
            .find(Sense::Gone)
            .or_else(|| marks.words.find(Sense::Challenge)),
        due: due(profile.as_ref(), now),
        order_hint: order::hint(&opened.text).map(str::to_owned),
        opened: &opened,
        found: &found,
        profile: profile.as_ref(),
        signed_by,
        now,
    });
    let acknowledged = consequences.acknowledgement.is_some();
    let urgent = understanding.in_tray || !consequences.reports.is_empty();
    office
        .store
        .understood(id, understanding.clone(), consequences, by, now)
        .await?;
    if urgent {
        office.nudge();
    }
    if acknowledged && let Err(error) = checkpoint::write(office).await {
        tracing::error!(error = chain(&error), "the journal's checkpoint could not be written");
    }
    Ok(understanding)
}

/// A server that knows at once may report of a message before the relay's answer to it is stored. While whoever sends it
/// is at work, that takes a moment: the report waits for it, else a bounce would find nothing that it can move.
async fn await_outcome(office: &Office, found: &mut Match) -> Result<(), IntakeError> {
    for _ in 0..OUTCOME_LOOKS {
        let Some(StoredDelivery { id, state, .. }) = &found.delivery else {
            break;
        };
        let DeliveryState::OnWire { by, .. } = state else { break };
        if !worker::is_alive(&office.home.workers_dir(), *by) {
            break;
        }
        tokio::time::sleep(OUTCOME_LOOK_EVERY).await;
        found.delivery = office.store.find_delivery(*id).await?;
    }
    Ok(())
}

/// A mail of our own rehearsals belongs to no notice and waits for nobody.
async fn book_rehearsal(
    office: &Office,
    id: MailId,
    opened: &Opened,
    bearing: Bearing,
    by: &Actor,
) -> Result<Understanding, IntakeError> {
    let understanding = Understanding {
        kind: ReceiptKind::Other,
        notice: None,
        why: rehearsal::why(bearing).to_owned(),
        in_tray: false,
        authority_reference: None,
        signed_by: None,
        encrypted: opened.protection == Protection::Encrypted,
        delivery: None,
        matched_by: None,
        certainty: None,
        proposed: Vec::new(),
        authenticity: Authenticity::default(),
        order_hint: None,
    };
    let (nothing, now) = (Consequences::default(), office.now());
    office
        .store
        .understood(id, understanding.clone(), nothing, by, now)
        .await?;
    Ok(understanding)
}

/// When an answer to this authority is due, if nobody has read otherwise in its mail.
pub fn due(profile: Option<&Profile>, now: Time) -> Time {
    let zone = profile.map_or(chrono_tz::UTC, Profile::timezone);
    let calendar = profile.and_then(Profile::calendar_name).and_then(Calendar::named);
    inquiry::usual_due(now, zone, calendar.as_ref())
}

/// What is proven about the sender: by OpenPGP, else by the word of the mail server of the mailbox it came from, else by
/// DKIM.
pub async fn authenticity_of(
    office: &Office,
    raw: &[u8],
    source: &str,
    opened: &Opened,
    signed_by: Option<&str>,
) -> Authenticity {
    let from = authenticity::from_domain(opened);
    if signed_by.is_some() {
        return Authenticity {
            by: Means::Openpgp,
            result: Checked::Passed,
            domain: from,
            note: None,
        };
    }
    let (trusted, verify_dkim) = trust(&office.config, source);
    if let Some(verdict) = trusted.and_then(|trusted| authenticity::by_our_server(opened, trusted.as_str())) {
        return verdict;
    }
    match from {
        Some(from) if verify_dkim => {
            let (raw, names) = (raw.to_vec(), Arc::clone(&office.names));
            let handle = Handle::current();
            // The digest of 32 MB takes a while, and another for each signature: on a thread that waits for the answers too.
            let check = move || handle.block_on(dkim::check(&raw, &from, names.as_ref()));
            let checked = tokio::task::spawn_blocking(check);
            checked.await.expect("checking a signature does not panic")
        }
        _ => Authenticity::default(),
    }
}

/// Whose verdict is believed about mail from this position, and whether DKIM keys may be asked for. A server strips only
/// forged verdicts under its own name: what came from another mailbox may carry any. Which of two Maildirs a mail lay in
/// is not known later, and so is believed only what holds for both; a pipe counts as the mailbox of notices.
fn trust<'c>(config: &'c Config, source: &str) -> (Option<&'c Line>, bool) {
    let main = config.mailbox.as_ref();
    let own = config.individuals.mailbox.as_ref().or(main);
    let is_from = |mailbox: &&Mailbox| match &mailbox.url {
        MailboxUrl::Imap(url) => source.starts_with(&format!("imap:{}/", url.account())),
        MailboxUrl::Maildir(_) => source.starts_with("maildir:"),
    };
    let mut from: Vec<&Mailbox> = [main, own].into_iter().flatten().filter(is_from).collect();
    if from.is_empty() {
        from.extend(main);
    }
    let trusted = from.first().and_then(|mailbox| mailbox.trusted_authserv_id.as_ref());
    let agreed = trusted.filter(|_| {
        from.iter()
            .all(|mailbox| mailbox.trusted_authserv_id.as_ref() == trusted)
    });
    (agreed, from.iter().all(|mailbox| mailbox.verify_dkim))
}

/// The fingerprint of a good signature, when it is by the certificate pinned for this authority.
pub async fn signer(
    office: &Office,
    opened: &Opened,
    profile: Option<&Profile>,
) -> Result<Option<String>, IntakeError> {
    let (Signature::Good { fingerprint }, Some(profile)) = (&opened.signature, profile) else {
        return Ok(None);
    };
    let pin = office.store.find_pin(&profile.id).await?;
    Ok(pin
        .filter(|pin| pin.fingerprint == *fingerprint)
        .map(|pin| pin.fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mailbox: &str, individuals: &str) -> Config {
        let text = format!(
            "organisation: {{ name: Example S.A., country: LU }}
sender: {{ address: breach@example.lu }}
key: {{ file: keys/sender.asc, passphrase: {{ env: PASSPHRASE }} }}
relay: {{ url: \"smtp://127.0.0.1:2525?tls=none\" }}
mailbox: {{ {mailbox}, trusted_authserv_id: main.example }}
{individuals}
"
        );
        Config::parse("config.yaml", text.as_bytes()).unwrap()
    }

    #[test]
    fn the_verdict_of_a_server_counts_for_its_own_mailbox() {
        let password = "password: { env: PASSWORD }";
        let imap = format!("url: \"imaps://breach@mail.example.lu\", {password}");
        let imap = imap.as_str();
        let folder = "url: \"maildir:Maildir\"";
        let own = |url: &str, more: &str| format!("individuals: {{ mailbox: {{ url: \"{url}\", {more} }} }}");
        let bulk = own(
            "imaps://info@bulk.example",
            &format!("{password}, trusted_authserv_id: bulk.example"),
        );
        let silent = own("imaps://info@bulk.example", &format!("{password}, verify_dkim: false"));
        let maildir = own("maildir:Persons", "verify_dkim: false");
        let agreeing = own("maildir:Persons", "trusted_authserv_id: main.example");
        let ours = "imap:breach@mail.example.lu:993/INBOX/1/7";
        let theirs = "imap:info@bulk.example:993/INBOX/1/7";
        for (mailbox, individuals, source, expected) in [
            (imap, "", ours, (Some("main.example"), true)),
            (imap, bulk.as_str(), ours, (Some("main.example"), true)),
            (imap, &bulk, theirs, (Some("bulk.example"), true)),
            (imap, &silent, theirs, (None, false)),
            (imap, &silent, "ingest", (Some("main.example"), true)),
            (imap, &maildir, "maildir:1.a.host", (None, false)),
            (imap, &maildir, ours, (Some("main.example"), true)),
            (folder, &silent, "maildir:1.a.host", (Some("main.example"), true)),
            (folder, &maildir, "maildir:1.a.host", (None, false)),
            (folder, &agreeing, "maildir:1.a.host", (Some("main.example"), true)),
        ] {
            let config = config(mailbox, individuals);
            let (trusted, verify_dkim) = trust(&config, source);
            let found = (trusted.map(Line::as_str), verify_dkim);
            assert_eq!(found, expected, "{mailbox} {individuals} {source}");
        }
    }
}
