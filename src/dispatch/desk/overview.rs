//! Everything at a glance: clocks, notices, campaigns, tray; and whether something needs a person.

use serde::Serialize;

use crate::model::Time;
use crate::model::breach::{Record, RiskLevel, Status, When};
use crate::model::id::{BreachId, CampaignId, MailId, Reference};
use crate::model::notice::NoticeState;
use crate::model::receipt::ReceiptKind;
use crate::store::Tally;

use super::DeskError;
use super::breach::{self, Clock};
use super::notice;
use crate::dispatch::office::Office;

/// The state of the house.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    pub at: Time,
    pub daemon: bool,
    pub breaches: Vec<BreachLine>,
    pub notices: Vec<NoticeLine>,
    pub campaigns: Vec<CampaignLine>,
    pub tray: Vec<TrayLine>,
    /// What needs a person, most urgent first; each with a command where there is one.
    pub needs_person: Vec<Need>,
}
#[derive(Debug, Clone, Serialize)]
pub struct BreachLine {
    pub id: BreachId,
    pub title: String,
    pub clock: Option<Clock>,
    pub next_update_due: Option<When>,
    /// Whether a notice has left or was booked.
    pub notified: bool,
}
#[derive(Debug, Clone, Serialize)]
pub struct NoticeLine {
    pub reference: Reference,
    pub breach: BreachId,
    pub authority: String,
    pub state: NoticeState,
    pub meaning: &'static str,
    pub authority_reference: Option<String>,
    pub next_attempt: Option<Time>,
}
#[derive(Debug, Clone, Serialize)]
pub struct CampaignLine {
    pub id: CampaignId,
    pub breach: BreachId,
    pub state: String,
    #[serde(flatten)]
    pub tally: Tally,
}
#[derive(Debug, Clone, Serialize)]
pub struct TrayLine {
    pub mail: MailId,
    pub received_at: Time,
    pub kind: Option<ReceiptKind>,
    pub notice: Option<Reference>,
    pub why: String,
}
/// One thing a person should do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    pub text: String,
    pub command: Option<String>,
}

/// Looks at everything once.
///
/// # Errors
/// The store fails.
pub async fn look(office: &Office) -> Result<Overview, DeskError> {
    let now = office.now();
    let notices = notice::list(office, None).await?;
    let mut needs = Vec::new();
    let mut breaches = Vec::new();
    for view in breach::list(office).await? {
        let left = |state| {
            matches!(
                state,
                NoticeState::Queued
                    | NoticeState::Handed
                    | NoticeState::Delivered
                    | NoticeState::Acknowledged
                    | NoticeState::InDoubt
            )
        };
        let notified = notices
            .iter()
            .any(|notice| notice.breach == view.id && left(notice.state) && !notice.is_stub());
        let excused = needs_no_notice(&view.record);
        if !notified && !excused {
            let left = view.clock.as_ref().map_or_else(
                || "when you became aware of it is not recorded".to_owned(),
                |clock| clock.left.clone(),
            );
            let to = view
                .record
                .cross_border
                .lead_authority
                .as_deref()
                .unwrap_or("AUTHORITY");
            needs.push(Need {
                text: format!("{}: no authority has been told yet; {left}", view.id),
                command: Some(format!("breachpost notice preview {} --to {to}", view.id)),
            });
        }
        if let Some(due) = view.next_update_due.filter(|due| due.day() <= now.date_naive()) {
            needs.push(Need {
                text: format!("{}: an update was promised for {}", view.id, due),
                command: None,
            });
        }
        breaches.push(BreachLine {
            id: view.id,
            title: view.title,
            clock: view.clock,
            next_update_due: view.next_update_due,
            notified,
        });
    }
    for view in &notices {
        if matches!(
            view.state,
            NoticeState::Draft | NoticeState::Held | NoticeState::InDoubt | NoticeState::Failed
        ) {
            needs.push(Need {
                text: format!("{} to {}: {}", view.reference, view.authority, view.state.meaning()),
                command: Some(format!("breachpost notice show {}", view.reference)),
            });
        }
        let deferred = view
            .attempts
            .last()
            .is_some_and(|attempt| attempt.outcome == "deferred");
        if view.state == NoticeState::Queued && (deferred || !office.daemon_runs()) {
            let why = if deferred {
                "the relay did not take it yet"
            } else {
                "queued, and no daemon runs"
            };
            needs.push(Need {
                text: format!("{} to {}: {why}", view.reference, view.authority),
                command: Some("breachpost serve".to_owned()),
            });
        }
    }
    let mut tray = Vec::new();
    for mail in office.store.list_tray().await? {
        let understanding = mail.understanding;
        tray.push(TrayLine {
            mail: mail.id,
            received_at: mail.received_at,
            kind: understanding.as_ref().map(|u| u.kind),
            notice: understanding.as_ref().and_then(|u| u.notice.clone()),
            why: understanding.map_or_else(|| "not understood yet".to_owned(), |u| u.why),
        });
    }
    if let Some(first) = tray.first() {
        needs.push(Need {
            text: format!("{} received mail(s) wait in the tray", tray.len()),
            command: Some(format!("breachpost mailbox show {}", first.mail)),
        });
    }
    let mut campaigns = Vec::new();
    for campaign in office.store.list_campaigns().await? {
        let tally = office.store.tally(campaign.id).await?;
        campaigns.push(CampaignLine {
            id: campaign.id,
            breach: campaign.breach,
            state: campaign.state,
            tally,
        });
    }
    Ok(Overview {
        at: now,
        daemon: office.daemon_runs(),
        breaches,
        notices: notices
            .into_iter()
            .map(|view| NoticeLine {
                reference: view.reference,
                breach: view.breach,
                authority: view.authority,
                state: view.state,
                meaning: view.meaning,
                authority_reference: view.authority_reference,
                next_attempt: view.next_attempt,
            })
            .collect(),
        campaigns,
        tray,
        needs_person: needs,
    })
}

/// No breach after all, closed, or unlikely to be a risk with the reason written down (GDPR Art. 33(1), recital 85).
fn needs_no_notice(record: &Record) -> bool {
    let unlikely = record.risk.level == RiskLevel::Unlikely && record.risk.rationale.is_some();
    unlikely || matches!(record.status, Status::NotABreach | Status::Closed)
}
