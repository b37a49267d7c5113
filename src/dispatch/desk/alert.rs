//! What needs a person: list it, say that somebody knows, try out the channels.

use serde::Serialize;

use super::DeskError;
use crate::dispatch::clerk::{self, Channel, Sent, Words};
use crate::dispatch::office::Office;
use crate::model::alert::{Alert, Urgency};
use crate::model::id::{Actor, AlertId};
use crate::store::{StoreError, StoredAlert, Telling, TellingState};

/// The longest note of a person, in characters.
const NOTE_MOST: usize = 1000;
/// Ended alerts that a list shows.
const LIST_MOST: u32 = 200;

/// An alert as shown: what is stored, in words, and who was told.
#[derive(Debug, Clone, Serialize)]
pub struct AlertView {
    #[serde(flatten)]
    pub alert: Alert,
    pub urgency: Urgency,
    #[serde(flatten)]
    pub words: Words,
    pub told: Vec<TellingView>,
}
/// A telling, with the channel as the operator knows it.
#[derive(Debug, Clone, Serialize)]
pub struct TellingView {
    #[serde(flatten)]
    pub telling: Telling,
    /// The address or host; `None` when the channel is no longer configured.
    pub to: Option<String>,
}

impl AlertView {
    fn of(office: &Office, channels: &[Channel], stored: StoredAlert) -> Self {
        let shown = |id: &str| channels.iter().find(|channel| channel.id == id).map(Channel::shown);
        Self {
            words: clerk::words_of(office, &stored.alert.alarm),
            urgency: stored.alert.alarm.urgency(),
            told: stored
                .tellings
                .into_iter()
                .map(|telling| TellingView {
                    to: shown(&telling.channel),
                    telling,
                })
                .collect(),
            alert: stored.alert,
        }
    }
    /// Channels that took it, those that are still to take it, and those that were given up, over all rounds.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&TellingState) -> bool| self.told.iter().filter(|t| wanted(&t.telling.state)).count();
        (
            count(|state| matches!(state, TellingState::Sent { .. })),
            count(|state| matches!(state, TellingState::Due { .. } | TellingState::Leased { .. })),
            count(|state| matches!(state, TellingState::Failed { .. })),
        )
    }
}

/// The open ones, the most urgent first; with `all` those that ended too, newest first.
///
/// # Errors
/// The store fails.
pub async fn list(office: &Office, all: bool) -> Result<Vec<AlertView>, DeskError> {
    let stored = match all {
        true => office.store.list_alerts(LIST_MOST).await?,
        false => office.store.list_open_alerts().await?,
    };
    let channels = clerk::channels(office);
    let mut views: Vec<AlertView> = stored
        .into_iter()
        .map(|stored| AlertView::of(office, &channels, stored))
        .collect();
    if !all {
        // Stable: the oldest first among equals.
        views.sort_by_key(|view| (!view.alert.waits(), std::cmp::Reverse(view.urgency)));
    }
    Ok(views)
}

/// Books that a person has seen it: it is not repeated any more.
///
/// # Errors
/// No such alert, a note that is too long, or the store fails.
pub async fn acknowledge(office: &Office, id: AlertId, note: Option<&str>, by: &Actor) -> Result<Alert, DeskError> {
    if note.is_some_and(|note| note.chars().count() > NOTE_MOST) {
        return Err(DeskError::Refused(format!("a note has at most {NOTE_MOST} characters")));
    }
    match office.store.acknowledge_alert(id, note, by, office.now()).await {
        Err(StoreError::NotFound { .. }) => Err(DeskError::NoAlert(id)),
        other => Ok(other?),
    }
}

/// What came of trying out one channel.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    pub channel: String,
    /// The address or host.
    pub to: String,
    pub taken: bool,
    /// Why not.
    pub fault: Option<String>,
}

/// Sends a trial through every channel now.
pub async fn test(office: &Office) -> Vec<Trial> {
    let trials = clerk::test(office).await.into_iter().map(|(channel, sent)| Trial {
        to: channel.shown(),
        channel: channel.id,
        taken: sent == Sent::Taken,
        fault: match sent {
            Sent::Taken => None,
            Sent::NotNow(fault) | Sent::Never(fault) => Some(fault),
        },
    });
    trials.collect()
}
