//! One communication about a breach to many individuals (GDPR Art. 34): its states and the moves between them. Knows
//! nothing of its persons, whose deliveries have states of their own.

use serde::{Deserialize, Serialize};

use super::Time;
use super::delivery::IllegalMove;
use super::id::Actor;

/// The state of a campaign. The data of a state lives in its variant; final are `Finished` and `Cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CampaignState {
    /// A list comes in. Entered when it begins, left when it has ended; an import that was cut off stays here until the
    /// same command goes on.
    Importing,
    /// Nothing is sent; content and lists may change. Entered from importing, and by an edit of what was approved.
    Draft,
    /// Exactly the content with this digest may be sent. Left by a start, or by an edit, which voids it.
    Approved {
        /// Lower-case hex SHA-256.
        hash: String,
        by: Vec<Actor>,
    },
    /// Starts by itself at this time.
    Scheduled { at: Time },
    /// Persons are due. Left when the last of them has been tried, or by a person.
    Running,
    /// Nothing more is claimed until a person resumes it.
    Paused {
        why: String,
        /// When it was to start: it was stopped before that, so nobody has been written to and it may be changed. None
        /// once it has begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts: Option<Time>,
    },
    /// All have been tried; late bounces are awaited.
    Settling { until: Time },
    /// Nothing more is awaited.
    Finished,
    /// Called off; who had not been written to by then never is.
    Cancelled,
}

/// What can happen to a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignEvent {
    /// A list begins to come in.
    ListBegun,
    ListEnded,
    /// Content changed.
    Edited,
    /// As many persons as are needed have agreed to the content with this digest.
    Approved {
        hash: String,
        by: Vec<Actor>,
    },
    Schedule {
        at: Time,
    },
    /// Now; one that runs already goes on.
    Start,
    Pause {
        why: String,
    },
    /// One that has not begun waits for its time again, if that is still to come.
    Resume {
        now: Time,
    },
    Cancel,
    /// Every delivery is final.
    Settle {
        until: Time,
    },
    Finish,
}

impl CampaignState {
    /// The state's name as in JSON and in the store.
    pub fn name(&self) -> &'static str {
        match self {
            CampaignState::Importing => "importing",
            CampaignState::Draft => "draft",
            CampaignState::Approved { .. } => "approved",
            CampaignState::Scheduled { .. } => "scheduled",
            CampaignState::Running => "running",
            CampaignState::Paused { .. } => "paused",
            CampaignState::Settling { .. } => "settling",
            CampaignState::Finished => "finished",
            CampaignState::Cancelled => "cancelled",
        }
    }

    /// Whether persons may have been written to already, so that content and lists are fixed.
    pub fn has_begun(&self) -> bool {
        matches!(
            self,
            CampaignState::Running
                | CampaignState::Paused { starts: None, .. }
                | CampaignState::Settling { .. }
                | CampaignState::Finished
                | CampaignState::Cancelled
        )
    }

    /// The only way from one state to the next.
    ///
    /// # Errors
    /// [`IllegalMove`] when the event does not fit the state; nothing has changed then.
    pub fn on(self, event: CampaignEvent) -> Result<Self, IllegalMove> {
        use CampaignEvent as E;
        use CampaignState as S;
        let illegal = IllegalMove {
            state: self.name(),
            event: event.name(),
        };
        Ok(match (self, event) {
            (before, E::ListBegun) if !before.has_begun() => S::Importing,
            (S::Importing, E::ListEnded) => S::Draft,
            (S::Draft | S::Approved { .. } | S::Scheduled { .. } | S::Paused { starts: Some(_), .. }, E::Edited) => {
                S::Draft
            }
            (S::Draft | S::Approved { .. } | S::Paused { starts: Some(_), .. }, E::Approved { hash, by }) => {
                S::Approved { hash, by }
            }
            (S::Approved { .. } | S::Scheduled { .. } | S::Paused { starts: Some(_), .. }, E::Schedule { at }) => {
                S::Scheduled { at }
            }
            (S::Approved { .. } | S::Scheduled { .. } | S::Running, E::Start) => S::Running,
            (S::Scheduled { at }, E::Pause { why }) => S::Paused { why, starts: Some(at) },
            (S::Running, E::Pause { why }) => S::Paused { why, starts: None },
            // Who pauses twice finds out why it was paused first.
            (paused @ S::Paused { .. }, E::Pause { .. }) => paused,
            (S::Paused { starts: Some(at), .. }, E::Resume { now }) if at > now => S::Scheduled { at },
            (S::Paused { .. } | S::Running, E::Resume { .. }) => S::Running,
            (
                S::Importing
                | S::Draft
                | S::Approved { .. }
                | S::Scheduled { .. }
                | S::Running
                | S::Paused { .. }
                | S::Cancelled,
                E::Cancel,
            ) => S::Cancelled,
            (S::Running | S::Settling { .. }, E::Settle { until }) => S::Settling { until },
            (S::Running | S::Settling { .. } | S::Finished, E::Finish) => S::Finished,
            _ => return Err(illegal),
        })
    }
}
impl CampaignEvent {
    fn name(&self) -> &'static str {
        match self {
            CampaignEvent::ListBegun => "list begun",
            CampaignEvent::ListEnded => "list ended",
            CampaignEvent::Edited => "edited",
            CampaignEvent::Approved { .. } => "approved",
            CampaignEvent::Schedule { .. } => "schedule",
            CampaignEvent::Start => "start",
            CampaignEvent::Pause { .. } => "pause",
            CampaignEvent::Resume { .. } => "resume",
            CampaignEvent::Cancel => "cancel",
            CampaignEvent::Settle { .. } => "settle",
            CampaignEvent::Finish => "finish",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CampaignEvent as E, CampaignState as S};
    use crate::model::Time;
    use crate::model::id::Actor;

    fn at() -> Time {
        Time::UNIX_EPOCH
    }
    fn approved() -> S {
        S::Approved {
            hash: "aa".into(),
            by: vec![Actor::User("anna".into())],
        }
    }
    fn states() -> Vec<S> {
        vec![
            S::Importing,
            S::Draft,
            approved(),
            S::Scheduled { at: at() },
            S::Running,
            S::Paused {
                why: "asked".into(),
                starts: None,
            },
            S::Paused {
                why: "asked".into(),
                starts: Some(at()),
            },
            S::Settling { until: at() },
            S::Finished,
            S::Cancelled,
        ]
    }
    fn events() -> Vec<E> {
        vec![
            E::ListBegun,
            E::ListEnded,
            E::Edited,
            E::Approved {
                hash: "aa".into(),
                by: vec![Actor::User("anna".into())],
            },
            E::Schedule { at: at() },
            E::Start,
            E::Pause { why: "later".into() },
            E::Resume { now: at() },
            E::Cancel,
            E::Settle { until: at() },
            E::Finish,
        ]
    }

    /// Every state with every event: the name of what follows, or nothing.
    #[test]
    fn the_whole_table() {
        // list begun, list ended, edited, approved, schedule, start, pause, resume, cancel, settle, finish
        let table = "
            importing  importing draft - - - - - - cancelled - -
            draft      importing - draft approved - - - - cancelled - -
            approved   importing - draft approved scheduled running - - cancelled - -
            scheduled  importing - draft - scheduled running paused - cancelled - -
            running    - - - - - running paused running cancelled settling finished
            paused     - - - - - - paused running cancelled - -
            paused     importing - draft approved scheduled - paused running cancelled - -
            settling   - - - - - - - - - settling finished
            finished   - - - - - - - - - - finished
            cancelled  - - - - - - - - cancelled - -";
        let lines: Vec<Vec<&str>> = table.trim().lines().map(|l| l.split_whitespace().collect()).collect();
        for (state, line) in states().into_iter().zip(lines) {
            assert_eq!(state.name(), line[0]);
            for (event, wanted) in events().into_iter().zip(&line[1..]) {
                let next = state.clone().on(event.clone());
                let name = next.as_ref().map_or("-", S::name);
                assert_eq!(&name, wanted, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn what_was_stopped_before_its_time_waits_for_it_again() {
        let time = |seconds| at() + chrono::TimeDelta::seconds(seconds);
        let paused = S::Scheduled { at: time(9) }
            .on(E::Pause { why: "asked".into() })
            .unwrap();
        assert!(!paused.has_begun());
        let resumed = |now| paused.clone().on(E::Resume { now }).unwrap();
        assert_eq!(resumed(time(8)), S::Scheduled { at: time(9) });
        assert_eq!(resumed(time(9)), S::Running);
    }

    proptest! {
        #[test]
        fn nothing_runs_without_an_approval_and_an_end_is_an_end(moves in prop::collection::vec(0..11_usize, 0..40)) {
            let mut state = S::Importing;
            let mut approved = false;
            for place in moves {
                let event = events().swap_remove(place);
                let before = state.clone();
                let Ok(next) = state.clone().on(event.clone()) else { continue };
                approved = match event {
                    E::Approved { .. } => true,
                    E::Edited | E::ListBegun => false,
                    _ => approved,
                };
                prop_assert!(next != S::Running || approved, "{before:?} on {event:?}");
                if matches!(before, S::Finished | S::Cancelled) {
                    prop_assert_eq!(&before, &next);
                }
                if before.has_begun() {
                    prop_assert!(next.has_begun(), "{before:?} on {event:?}");
                }
                state = next;
            }
        }
    }
}
