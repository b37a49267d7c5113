//! The limit of a day: said when it is reached, so that a campaign that stands still until tomorrow is understood.

use serde::Serialize;

use crate::dispatch::campaign::check::Coverage;
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::model::Time;
use crate::model::campaign::CampaignState;
use crate::model::plural::counted;

/// Persons wait because as many messages have left within 24 hours as may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayFull {
    /// `relay.pace.per_day`, or that of `individuals.relay`.
    pub setting: &'static str,
    pub per_day: u64,
    /// When it goes on.
    pub until: Time,
}
impl std::fmt::Display for DayFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            setting,
            per_day,
            until,
        } = self;
        let until = until.format("%Y-%m-%d %H:%M UTC");
        write!(
            f,
            "The limit of {} a day ({setting}) is reached: it goes on at {until}",
            counted(per_day, "message")
        )
    }
}

/// Whether the day is full for this campaign: only one that runs, and has somebody to write to, waits for it.
pub(in crate::dispatch::desk) async fn full_for(
    office: &Office,
    state: &CampaignState,
    coverage: &Coverage,
) -> Result<Option<DayFull>, DeskError> {
    let waits = coverage.pending > coverage.held || coverage.in_doubt > 0;
    if *state != CampaignState::Running || !waits {
        return Ok(None);
    }
    let Some(per_day) = office.config.relay_to_individuals().pace.per_day else {
        return Ok(None);
    };
    let setting = match office.config.individuals.relay {
        Some(_) => "individuals.relay.pace.per_day",
        None => "relay.pace.per_day",
    };
    let until = office.store.day_full_until(per_day, office.now()).await?;
    Ok(until.map(|until| DayFull {
        setting,
        per_day,
        until,
    }))
}
