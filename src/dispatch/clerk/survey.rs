//! A look around the house for the clerk: store, settings, directory, disk and clock become a
//! [`Snapshot`](super::conditions::Snapshot). Judges nothing but what only a look can tell: a full disk, mail that waits,
//! a clock that was set back.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::conditions::{BreachFacts, KeyFacts, NoticeFacts, Snapshot};
use crate::directory::certificate::{self, CertificateFacts};
use crate::directory::profile::{AuthorityKind, Expected, Profile};
use crate::dispatch::checkup::{self, LOW_DISK_BYTES};
use crate::dispatch::desk::overview::needs_no_notice;
use crate::dispatch::office::{Office, OfficeError};
use crate::model::Time;
use crate::model::breach::Record;
use crate::model::campaign::CampaignState;
use crate::model::notice::{Notice, NoticeState, Protection};
use crate::store::{HealthNote, Pin, StoredBreach};

/// Mail may wait this long for a person before the person is reminded.
const TRAY_PATIENCE: TimeDelta = TimeDelta::hours(4);
/// Whoever is put off for longer than a day may have to be told another way (GDPR Art. 34: without undue delay).
const WAITS_PATIENCE: TimeDelta = TimeDelta::hours(24);
/// A campaign that nobody touches for so long was forgotten.
const CAMPAIGN_PATIENCE: TimeDelta = TimeDelta::days(30);
/// Clocks of two machines differ by seconds; more than this moves deadlines and certificates.
pub(super) const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(2);
/// Entries of the journal that are looked at: a clock that was set back is noticed until as many were written since.
const JOURNAL_ENTRIES: u32 = 100;

/// Looks at everything once, and notes what it finds of disk, tray and clock.
///
/// # Errors
/// The store fails.
pub(super) async fn survey(office: &Office, channels: &[String], now: Time) -> Result<Snapshot, OfficeError> {
    note_tray(office, now).await?;
    note_clock(office, now).await?;
    note_disk(office, now).await?;
    let (mut notices, mut profiles) = (Vec::new(), Profiles::default());
    for notice in office.store.list_notices(None).await? {
        notices.extend(notice_facts(office, &mut profiles, notice).await?);
    }
    let own = office.own_authority();
    let breaches = office.store.list_breaches().await?;
    let campaigns = office.store.list_campaigns().await?;
    let (mut paused, mut held, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
    for campaign in campaigns {
        let id = campaign.id;
        match campaign.state {
            CampaignState::Paused { .. } => paused.push(id),
            CampaignState::Running => {}
            _ => continue,
        }
        let waits = office.store.unattended(id, now - WAITS_PATIENCE).await?;
        held.extend(waits.held.then_some(id));
        put_off.extend(waits.put_off.then_some(id));
    }
    let unfinished = office.store.list_unattended(now - CAMPAIGN_PATIENCE).await?;
    Ok(Snapshot {
        remind_hours_before: office.config.alerts.remind_hours_before.clone(),
        zone: office.zone(),
        breaches: breaches
            .iter()
            .filter_map(|stored| breach_facts(own.as_ref(), stored))
            .collect(),
        notices,
        inquiries: office.store.list_inquiries(true).await?,
        keys: keys(office, now).await?,
        health: health(office, channels).await?,
        paused,
        held,
        put_off,
        unfinished,
    })
}

/// A record that is not understood costs its own alarms, and nobody else's.
fn breach_facts(own_authority: Option<&String>, stored: &StoredBreach) -> Option<BreachFacts> {
    let record: Record = match serde_json::from_value(stored.record.clone()) {
        Ok(record) => record,
        Err(_) => {
            tracing::error!(breach = %stored.id, "the record cannot be understood, so its deadline is not watched");
            return None;
        }
    };
    let lead = record.cross_border.lead_authority.clone();
    let needed = !needs_no_notice(&record);
    Some(BreachFacts {
        id: stored.id,
        authority: lead.or_else(|| own_authority.cloned()),
        deadline: record.strict_deadline().filter(|_| needed),
        update_due: record.next_update_due.map(|when| when.day()),
    })
}

/// Profiles by their ids, each read once in a look; `None` for one that is not there or cannot be used.
#[derive(Default)]
struct Profiles(HashMap<String, Option<Profile>>);
impl Profiles {
    fn find(&mut self, office: &Office, id: &str) -> Option<&Profile> {
        let read = || office.directory.find(id).ok();
        self.0.entry(id.to_owned()).or_insert_with(read).as_ref()
    }
}

async fn notice_facts(
    office: &Office,
    profiles: &mut Profiles,
    notice: Notice,
) -> Result<Option<NoticeFacts>, OfficeError> {
    // What was acknowledged or called off needs no look at its delivery.
    let settled = notice.acknowledgement.is_some() || notice.withdrawn_at.is_some();
    let delivery = match notice.delivery.filter(|_| !settled) {
        Some(id) => office.store.find_delivery(id).await?,
        None => None,
    };
    let state = notice.state(delivery.as_ref().map(|delivery| &delivery.state));
    if matches!(state, NoticeState::Draft | NoticeState::Withdrawn) {
        return Ok(None);
    }
    let profile = profiles.find(office, &notice.authority);
    let acknowledgement = profile.map(|profile| &profile.acknowledgement);
    Ok(Some(NoticeFacts {
        state,
        supervisory: profile.is_none_or(|p| p.kind == AuthorityKind::Supervisory),
        acknowledged_within: acknowledgement
            .and_then(|ack| ack.within_hours)
            .map(|hours| TimeDelta::hours(i64::from(hours))),
        acknowledgement: acknowledgement.map_or(Expected::Unknown, |ack| ack.expected),
        stub: matches!(notice.protection, Some(Protection::Stub)),
        sealed_to: match notice.protection {
            Some(Protection::PgpMime { recipient, .. } | Protection::EncryptedFiles { recipient, .. }) => {
                Some(recipient)
            }
            _ => None,
        },
        tried_at: delivery
            .as_ref()
            .and_then(|delivery| delivery.attempts.last())
            .map(|attempt| attempt.at),
        delivery: delivery.map(|delivery| delivery.state),
        reference: notice.reference,
        breach: notice.breach,
        authority: notice.authority,
        sequence: notice.sequence,
        kind: notice.kind,
        filed_at: notice.filed_at,
    }))
}

/// The pinned certificates and our key.
async fn keys(office: &Office, now: Time) -> Result<Vec<KeyFacts>, OfficeError> {
    let facts = move |pin: Pin| {
        let Ok(cert) = certificate::read_one(&pin.certificate) else {
            tracing::error!(authority = pin.authority, "the pinned certificate cannot be read");
            return None;
        };
        Some(KeyFacts {
            expires: ends(&certificate::describe(&cert, now)),
            authority: Some(pin.authority),
            fingerprint: pin.fingerprint,
        })
    };
    let pins = office.store.list_pins().await?;
    // Each signature of each is verified, at every look: no connection waits for that.
    let judged = tokio::task::spawn_blocking(move || pins.into_iter().filter_map(facts).collect::<Vec<_>>());
    let mut keys = judged.await.expect("looking at certificates does not panic");
    // A key that cannot be opened stops the daemon at its start, and is `doctor`'s to explain.
    if let Ok(our) = office.our_key().await {
        keys.push(KeyFacts {
            authority: None,
            fingerprint: our.fingerprint().to_owned(),
            expires: our.expires(),
        });
    }
    Ok(keys)
}

/// When nothing can be encrypted to it any more: the end of the certificate or of its last encryption key.
fn ends(facts: &CertificateFacts) -> Option<Time> {
    let encrypts = |uses: &[&str]| uses.contains(&"encryption");
    let keys = facts.subkeys.iter().filter(|key| !key.revoked && encrypts(&key.uses));
    // `None` is never, and later than any end.
    let last = keys.map(|key| key.expires.unwrap_or(Time::MAX_UTC)).max();
    let ends = last
        .unwrap_or(Time::MAX_UTC)
        .min(facts.expires.unwrap_or(Time::MAX_UTC));
    (ends < Time::MAX_UTC).then_some(ends)
}

/// What was noted of things that are still in use, and not so long ago that it says nothing of now.
pub(super) async fn health(office: &Office, channels: &[String]) -> Result<Vec<HealthNote>, OfficeError> {
    let mut notes = office.store.list_health().await?;
    notes.retain(|note| match note.what.as_str() {
        "mailbox" => office.config.mailbox.is_some(),
        "individuals.mailbox" => office.config.individuals.mailbox.is_some(),
        "individuals.relay" => office.config.individuals.relay.is_some(),
        what if what.contains(':') && !what.starts_with("clock") => channels.iter().any(|id| id == what),
        _ => true,
    });
    Ok(notes)
}

async fn note_disk(office: &Office, now: Time) -> Result<(), OfficeError> {
    // What cannot be found out is `doctor`'s to tell.
    let Ok(free) = checkup::free_bytes(&office.home) else {
        return Ok(());
    };
    let low = (free < LOW_DISK_BYTES).then_some("less than 500 MB free");
    Ok(office.store.note_health("disk", low, now).await?)
}

async fn note_tray(office: &Office, now: Time) -> Result<(), OfficeError> {
    let since = office.store.tray_waits_since().await?;
    let waits = since.is_some_and(|since| now - since >= TRAY_PATIENCE);
    let fault = waits.then_some("mail has waited for hours");
    Ok(office.store.note_health("tray", fault, now).await?)
}

/// The journal's entries are in the order in which they were written: one that is later than now was written under
/// another clock. (The other half, a clock that is wrong from the start, shows in the dates of webhook answers.)
async fn note_clock(office: &Office, now: Time) -> Result<(), OfficeError> {
    let (length, _) = office.store.journal_head().await?;
    let from = length.saturating_sub(u64::from(JOURNAL_ENTRIES));
    let entries = office.store.list_journal(from, JOURNAL_ENTRIES).await?;
    let latest = entries.iter().map(|entry| entry.at).max();
    let fault = latest
        .filter(|latest| *latest > now + CLOCK_TOLERANCE)
        .map(|_| "the clock was set back, or was ahead before");
    Ok(office.store.note_health("clock", fault, now).await?)
}
