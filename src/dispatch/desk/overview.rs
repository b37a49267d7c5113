//! Everything at a glance: clocks, notices, campaigns, tray; and whether something needs a person.

use serde::Serialize;

use crate::model::Time;
use crate::model::breach::{Record, RiskLevel, Status, When};
use crate::model::campaign::CampaignState;
use crate::model::delivery::HoldReason;
use crate::model::id::{BreachId, CampaignId, Reference};
use crate::model::notice::NoticeState;
use crate::model::plural::{counted, grouped, if_one};
use crate::model::receipt::ReportAction;
use crate::store::{StoredCampaign, Tally};

use super::DeskError;
use super::alert::{self, AlertView};
use super::breach::{self, BreachView, Clock};
use super::campaign::day::{self, DayFull};
use super::conversation::{self, InquiryView, TrayLine};
use super::notice::{self, NoticeView};
use crate::dispatch::campaign::check::Coverage;
use crate::dispatch::clerk;
use crate::dispatch::office::Office;

/// The state of the house.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    pub at: Time,
    pub daemon: bool,
    /// What the clerk has raised and is still so, the most urgent first.
    pub alerts: Vec<AlertView>,
    pub breaches: Vec<BreachLine>,
    pub notices: Vec<NoticeLine>,
    pub campaigns: Vec<CampaignLine>,
    /// The day's limit of messages to persons is reached, and a campaign that runs waits for it.
    pub day_full: Option<DayFull>,
    pub tray: Vec<TrayLine>,
    /// Questions of authorities that wait for an answer, the one due first first.
    pub inquiries: Vec<InquiryView>,
    /// Relays and mailboxes that do not work; for what lasts there is an alert too.
    pub troubles: Vec<Trouble>,
    /// What needs a person, most urgent first; each with a command where there is one.
    pub needs_person: Vec<Need>,
}
/// A breach of the register.
#[derive(Debug, Clone, Serialize)]
pub struct BreachLine {
    pub id: BreachId,
    pub title: String,
    /// None while nobody has recorded the awareness.
    pub clock: Option<Clock>,
    pub next_update_due: Option<When>,
    /// Whether a notice has left or was booked.
    pub notified: bool,
}
/// A notice, filed or kept as a draft.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeLine {
    pub reference: Reference,
    pub breach: BreachId,
    pub authority: String,
    pub state: NoticeState,
    /// What the state proves and what it does not.
    pub meaning: &'static str,
    /// What the authority calls it.
    pub authority_reference: Option<String>,
    pub next_attempt: Option<Time>,
}
/// A campaign, whatever its state.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignLine {
    pub id: CampaignId,
    pub breach: BreachId,
    pub state: String,
    #[serde(flatten)]
    pub tally: Tally,
    /// In persons, those told by post or telephone and the rows that cannot be used among them.
    pub coverage: Coverage,
}
/// A relay or mailbox that does not work now, as the daemon finds it in passing.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// The setting: `relay`, `mailbox`, `individuals.relay` or `individuals.mailbox`.
    pub what: String,
    pub since: Time,
    pub fault: String,
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
    // Of a copy, nothing goes on by itself: so it is shown.
    office.settle_identity().await?;
    let now = office.now();
    let daemon = office.daemon_runs();
    let notices = notice::list(office, None).await?;
    let mut needs = Vec::new();
    needs.extend(office.daemon_troubles().into_iter().map(|trouble| Need {
        text: format!("the daemon: {trouble}"),
        command: Some("breachpost doctor".to_owned()),
    }));
    let mut breaches = Vec::new();
    for view in breach::list(office).await? {
        let notified = notices
            .iter()
            .any(|notice| notice.breach == view.id && has_left(notice));
        needs.extend(breach_needs(&view, notified, now));
        breaches.push(BreachLine {
            id: view.id,
            title: view.title,
            clock: view.clock,
            next_update_due: view.next_update_due,
            notified,
        });
    }
    for view in &notices {
        // What the content-free mail announced has left since.
        let followed = |later: &NoticeView| {
            (later.breach, &later.authority) == (view.breach, &view.authority)
                && later.filed_at >= view.filed_at
                && has_left(later)
        };
        if view.is_stub() && notices.iter().any(followed) {
            continue;
        }
        needs.extend(match untold_passphrase(office, view).await? {
            Some(need) => Some(need),
            None => notice_need(office, view, daemon),
        });
    }
    let inquiries = conversation::open_inquiries(office).await?;
    needs.extend(inquiries.iter().map(inquiry_need));
    let tray = conversation::tray(office).await?;
    needs.extend(office.store.list_proposals().await?.into_iter().map(|proposal| Need {
        text: format!(
            "{}: a certificate was fetched on {} and waits for your decision",
            proposal.authority,
            proposal.fetched_at.format("%Y-%m-%d")
        ),
        command: Some(format!("breachpost authority cert show {}", proposal.authority)),
    }));
    if !tray.is_empty() {
        needs.push(Need {
            text: format!(
                "{} {} in the tray",
                counted(tray.len(), "received mail"),
                if_one(tray.len(), "waits", "wait")
            ),
            command: Some("breachpost mailbox tray".to_owned()),
        });
    }
    let (campaigns, day_full) = campaigns(office, daemon, &mut needs).await?;
    Ok(Overview {
        at: now,
        daemon,
        alerts: alert::list(office, false).await?,
        breaches,
        notices: notices.into_iter().map(NoticeLine::of).collect(),
        campaigns,
        day_full,
        tray,
        inquiries,
        troubles: troubles(office, now).await?,
        needs_person: needs,
    })
}

/// How each campaign stands, and the first limit of a day that is reached; what of them needs a person is added.
async fn campaigns(
    office: &Office,
    daemon: bool,
    needs: &mut Vec<Need>,
) -> Result<(Vec<CampaignLine>, Option<DayFull>), DeskError> {
    let (mut lines, mut day_full) = (Vec::new(), None);
    for campaign in office.store.list_campaigns().await? {
        let (rows, tally, told) = office.store.counted(campaign.id).await?;
        let coverage = Coverage::of(&rows, &tally, &told);
        needs.extend(campaign_need(office, &campaign, &coverage, daemon));
        if tally.held > 0 {
            needs.push(Need {
                text: format!(
                    "{}: the {} of {} could not be written",
                    campaign.id,
                    if_one(tally.held, "message", "messages"),
                    counted(tally.held, "person")
                ),
                command: Some(format!("breachpost campaign held {}", campaign.id)),
            });
        }
        if day_full.is_none() {
            day_full = day::full_for(office, &campaign.state, &coverage).await?;
        }
        lines.push(CampaignLine {
            coverage,
            id: campaign.id,
            breach: campaign.breach,
            state: campaign.state.name().to_owned(),
            tally,
        });
    }
    Ok((lines, day_full))
}

fn campaign_need(office: &Office, campaign: &StoredCampaign, coverage: &Coverage, daemon: bool) -> Option<Need> {
    let (id, waiting) = (campaign.id, coverage.pending);
    let wait = || format!("{} {}", counted(waiting, "person"), if_one(waiting, "waits", "wait"));
    let (text, command) = match &campaign.state {
        CampaignState::Paused { why, .. } => (
            format!("{id} is paused, and {}: {why}", wait()),
            format!("breachpost campaign resume {id}"),
        ),
        // In doubt and still running: they are to be tried again.
        CampaignState::Running if waiting + coverage.in_doubt > 0 && !office.somebody_works() => (
            format!(
                "{id} runs, but nothing sends it: {}, {} {} in doubt, and no daemon runs",
                wait(),
                grouped(coverage.in_doubt),
                if_one(coverage.in_doubt, "is", "are")
            ),
            format!("breachpost campaign start {id}"),
        ),
        CampaignState::Scheduled { at } if !daemon => (
            format!(
                "{id} starts at {}, but only if a daemon runs then",
                at.format("%Y-%m-%d %H:%M UTC")
            ),
            "breachpost serve".to_owned(),
        ),
        _ => return None,
    };
    Some(Need {
        text,
        command: Some(command),
    })
}

/// Which relays and mailboxes do not work.
async fn troubles(office: &Office, now: Time) -> Result<Vec<Trouble>, DeskError> {
    let notes = clerk::present_health(office, now).await?;
    let ways = ["relay", "individuals.relay", "mailbox", "individuals.mailbox"];
    let faulty = notes.into_iter().filter(|note| ways.contains(&note.what.as_str()));
    let trouble = faulty.filter_map(|note| {
        Some(Trouble {
            fault: note.fault?,
            what: note.what,
            since: note.since,
        })
    });
    Ok(trouble.collect())
}

/// Whether the authority has been told, or will be without anybody doing more.
fn has_left(notice: &NoticeView) -> bool {
    let under_way = matches!(
        notice.state,
        NoticeState::Queued
            | NoticeState::Handed
            | NoticeState::Delivered
            | NoticeState::Acknowledged
            | NoticeState::InDoubt
    );
    under_way && !notice.is_stub()
}

fn breach_needs(view: &BreachView, notified: bool, now: Time) -> Vec<Need> {
    let mut needs = Vec::new();
    if !notified && !needs_no_notice(&view.record) {
        let left = view.clock.as_ref().map_or_else(
            || "when you became aware of it is not recorded".to_owned(),
            |clock| clock.left.clone(),
        );
        needs.push(Need {
            text: format!("{}: no authority has been told yet; {left}", view.id),
            command: Some(view.next.clone()),
        });
    }
    if let Some(due) = view.next_update_due.filter(|due| due.day() <= now.date_naive()) {
        needs.push(Need {
            text: format!("{}: an update was promised for {due}", view.id),
            command: Some(format!("breachpost breach show {}", view.id)),
        });
    }
    needs
}

fn notice_need(office: &Office, view: &NoticeView, daemon: bool) -> Option<Need> {
    let last_fault = view.attempts.last().and_then(|attempt| attempt.fault.as_ref());
    let (why, command) = match view.state {
        NoticeState::Draft => (
            view.draft_reason.clone().unwrap_or_else(|| view.meaning.to_owned()),
            format!("breachpost notice preview {} --to {}", view.breach, view.authority),
        ),
        NoticeState::Held if view.held == Some(HoldReason::Approval) => (
            view.meaning.to_owned(),
            format!("breachpost notice approve {}", view.reference),
        ),
        NoticeState::Failed => (why_failed(view), format!("breachpost notice show {}", view.reference)),
        NoticeState::Held | NoticeState::InDoubt => (
            view.meaning.to_owned(),
            format!("breachpost notice show {}", view.reference),
        ),
        NoticeState::Queued if last_fault.is_some() => (
            format!(
                "not handed over yet: {}",
                last_fault.map(ToString::to_string).unwrap_or_default()
            ),
            format!("breachpost notice show {}", view.reference),
        ),
        NoticeState::Queued if !daemon => ("queued, and no daemon runs".to_owned(), "breachpost serve".to_owned()),
        NoticeState::Handed | NoticeState::Delivered if view.is_stub() => (
            view.meaning.to_owned(),
            format!("breachpost notice show {} --call-sheet", view.reference),
        ),
        NoticeState::Handed | NoticeState::Delivered => overdue(office, view).map(|hours| {
            let text = format!("no acknowledgement {} after it left; call them", counted(hours, "hour"));
            (text, format!("breachpost notice show {} --call-sheet", view.reference))
        })?,
        _ => return None,
    };
    Some(Need {
        text: format!("{} to {}: {why}", view.reference, view.authority),
        command: Some(command),
    })
}

/// They have the files and cannot open them: nobody has logged a call about the breach since these were filed.
async fn untold_passphrase(office: &Office, view: &NoticeView) -> Result<Option<Need>, DeskError> {
    let there = matches!(view.state, NoticeState::Handed | NoticeState::Delivered);
    if !there || !view.needs_passphrase() {
        return Ok(None);
    }
    let timeline = breach::timeline(office, view.breach).await?;
    let called = timeline
        .iter()
        .any(|line| line.kind == breach::CALL && line.at >= view.filed_at);
    Ok((!called).then(|| Need {
        text: format!(
            "{} to {}: they cannot open it before you have told them the passphrase by telephone, and logged the call",
            view.reference, view.authority
        ),
        command: Some(format!("breachpost notice show {} --call-sheet", view.reference)),
    }))
}

fn inquiry_need(view: &InquiryView) -> Need {
    let inquiry = &view.inquiry;
    let what = match inquiry.order {
        true => "ORDERS you to inform the persons concerned (GDPR Art. 34(4))",
        false => "asks a question",
    };
    Need {
        text: format!(
            "{}: {} {what} in {} about {}; answer due {}, {}",
            inquiry.breach,
            inquiry.authority,
            inquiry.mail,
            inquiry.notice,
            inquiry.due.format("%Y-%m-%d %H:%M UTC"),
            view.left
        ),
        command: Some(format!("breachpost mailbox show {}", inquiry.mail)),
    }
}

/// Why it failed: what came back last, else the refusal.
fn why_failed(view: &NoticeView) -> String {
    let returned = view
        .reports
        .iter()
        .rev()
        .find(|report| report.action == ReportAction::Failed);
    let refused = view.attempts.last().and_then(|attempt| attempt.fault.as_ref());
    let why = match (returned, refused) {
        (Some(report), _) => [report.status.clone(), report.diagnostic.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        (None, Some(fault)) => fault.to_string(),
        (None, None) => String::new(),
    };
    match why.is_empty() {
        true => view.meaning.to_owned(),
        false => format!("{} ({why})", view.meaning),
    }
}

/// Hours since it left, where the authority is known to acknowledge within a time that has passed.
fn overdue(office: &Office, view: &NoticeView) -> Option<i64> {
    let profile = office.directory.find(&view.authority).ok()?;
    let within = profile.acknowledgement.within_hours?;
    let since = view.attempts.last().map_or(view.filed_at, |attempt| attempt.at);
    let hours = (office.now() - since).num_hours();
    (hours >= i64::from(within)).then_some(hours)
}

impl NoticeLine {
    fn of(view: NoticeView) -> Self {
        Self {
            reference: view.reference,
            breach: view.breach,
            authority: view.authority,
            state: view.state,
            meaning: view.meaning,
            authority_reference: view.authority_reference,
            next_attempt: view.next_attempt,
        }
    }
}

/// No breach after all, closed, or unlikely to be a risk with the reason written down (GDPR Art. 33(1), recital 85).
pub(in crate::dispatch) fn needs_no_notice(record: &Record) -> bool {
    let unlikely = record.risk.level == RiskLevel::Unlikely && record.risk.rationale.is_some();
    unlikely || matches!(record.status, Status::NotABreach | Status::Closed)
}
