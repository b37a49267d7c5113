//! What follows from a mail once it is opened, classified and matched: what is booked, what opens a question, and what
//! waits in the tray for a person, with the reason. Pure: it looks nothing up and stores nothing.

use crate::directory::profile::Profile;
use crate::message::classify::Verdict;
use crate::message::open::{Opened, Protection, Signature};
use crate::message::report::{Recipient, Report};
use crate::model::Time;
use crate::model::delivery::DeliveryState;
use crate::model::id::MailId;
use crate::model::notice::Acknowledgement;
use crate::model::proof::Proof;
use crate::model::receipt::{Authenticity, ReceiptKind, ReportAction};
use crate::store::{Consequences, NewInquiry, NewReport, StoredDelivery, Understanding};

use super::matching::Match;

/// Of the other server's words, so much is kept.
const DIAGNOSTIC_CHARS: usize = 500;

/// All that is known of a mail when it is judged.
pub struct Facts<'a> {
    pub mail: MailId,
    pub opened: &'a Opened,
    pub report: Option<&'a Report>,
    pub verdict: Verdict,
    pub found: &'a Match,
    /// Of the notice's authority.
    pub profile: Option<&'a Profile>,
    /// The pinned certificate that signed it, where its signature is good.
    pub signed_by: Option<String>,
    pub authenticity: Authenticity,
    /// When an answer would be due, if it asks something.
    pub due: Time,
    pub order_hint: Option<String>,
    /// By what its text asks something.
    pub asks: Option<&'static str>,
    /// Its headers, or how its subject begins, say that a machine wrote it.
    pub by_machine: bool,
    /// By what it says that it was not read, and will not be.
    pub unread: Option<&'static str>,
    pub now: Time,
}

/// Decides what a mail does.
pub fn judge(facts: Facts<'_>) -> (Understanding, Consequences) {
    let mut why = facts.verdict.why.clone();
    let mut add = |words: &str| {
        why.push_str("; ");
        why.push_str(words);
    };
    let bad_signature = facts.opened.signature == Signature::Bad;
    if bad_signature {
        add("its OpenPGP signature is bad");
    }
    let closed = facts.opened.protection.closed();
    if let Some(closed) = closed.filter(|closed| !facts.verdict.why.contains(closed)) {
        add(&closed);
    }
    let mut kind = facts.verdict.kind;
    let mut consequences = Consequences::default();
    let mut in_tray = true;
    match (kind, facts.report) {
        (ReceiptKind::Acknowledgement, _) if bad_signature => kind = ReceiptKind::Reply,
        (ReceiptKind::Acknowledgement, _) if facts.authenticity.is_refuted() => {
            add("its sender is refuted, so it is not believed");
        }
        (ReceiptKind::Acknowledgement, _) => {
            consequences.acknowledgement = Some(acknowledgement(&facts));
            in_tray = wants_something(&facts).is_some_and(|what| {
                add(&what);
                true
            });
            if in_tray {
                consequences.inquiry = Some(NewInquiry {
                    due: facts.due,
                    order: false,
                });
            }
        }
        (ReceiptKind::Bounce | ReceiptKind::Delay | ReceiptKind::Delivered, Some(report)) => {
            match believed(report, facts.found) {
                Ok(reports) => {
                    in_tray = contradicts(&reports, facts.found.delivery.as_ref()).is_some_and(|doubt| {
                        add(doubt);
                        true
                    });
                    if !(in_tray && is_delivered(&reports)) {
                        consequences.reports = reports;
                    }
                }
                Err(doubt) => add(&format!("not believed: {doubt}")),
            }
        }
        (ReceiptKind::Reply, _) if facts.found.notice.is_some() && is_from_authority(&facts) => {
            if facts.authenticity.is_refuted() || bad_signature {
                add("who wrote it is refuted: ask the authority by telephone");
            } else {
                consequences.inquiry = Some(NewInquiry {
                    due: facts.due,
                    order: false,
                });
            }
        }
        // A holiday reply of a person we wrote to says nothing that anybody must act on, and there may be thousands.
        // Words alone make none: people write "as soon as possible" and "my case number is" as well.
        (ReceiptKind::Autoreply, _) if facts.found.notice.is_none() && facts.found.is_certain() => {
            in_tray = !facts.by_machine || facts.unread.is_some();
            match facts.unread {
                // Who was not reached has not been informed (GDPR Art. 34(1)).
                Some(phrase) => add(&format!(
                    "the message may not be read there (\u{201c}{phrase}\u{201d}): tell them another way"
                )),
                None if in_tray => add("nothing but its words says that a machine wrote it"),
                None => {}
            }
        }
        _ => {}
    }
    let acknowledged = consequences.acknowledgement.is_some();
    let understanding = Understanding {
        kind,
        notice: facts.found.notice.as_ref().map(|notice| notice.reference.clone()),
        why,
        in_tray,
        authority_reference: facts.verdict.authority_reference.filter(|_| acknowledged),
        signed_by: facts.signed_by,
        encrypted: facts.opened.protection == Protection::Encrypted,
        delivery: facts.found.delivery.as_ref().map(|delivery| delivery.id),
        matched_by: facts.found.tie.map(|tie| tie.by),
        certainty: facts.found.tie.map(|tie| tie.certainty),
        proposed: facts.found.proposed.clone(),
        authenticity: facts.authenticity,
        order_hint: facts.order_hint,
    };
    (understanding, consequences)
}

/// Beside the confirmation: what a person must not miss. What a machine writes ends with requests that it makes of everybody;
/// an order (GDPR Art. 34(4)) counts whoever wrote it.
fn wants_something(facts: &Facts<'_>) -> Option<String> {
    if facts.order_hint.is_some() {
        return Some("it may also order something: read it".to_owned());
    }
    let asks = facts.asks.filter(|_| !facts.by_machine)?;
    Some(format!("it also asks something (\u{201c}{asks}\u{201d}): read it"))
}

fn acknowledgement(facts: &Facts<'_>) -> Acknowledgement {
    Acknowledgement {
        at: facts.now,
        proof: proof(facts.mail, facts.signed_by.clone()),
        authority_reference: facts.verdict.authority_reference.clone(),
        mail: Some(facts.mail),
    }
}

/// What a mail proves that is tied to its notice by itself.
pub fn proof(mail: MailId, signed_by: Option<String>) -> Proof {
    match signed_by {
        Some(by) => Proof::Signed { by, mail },
        None => Proof::Threaded { mail },
    }
}

fn is_from_authority(facts: &Facts<'_>) -> bool {
    let senders = &facts.opened.from;
    let known = |profile: &Profile| senders.iter().all(|sender| profile.sender_matches(&sender.address));
    !senders.is_empty() && facts.profile.is_some_and(known)
}

/// What a report says of the delivery, if it can only be about that: anybody may write a report about anything.
fn believed(report: &Report, found: &Match) -> Result<Vec<NewReport>, String> {
    let Some(delivery) = &found.delivery else {
        return Err("it names no message that was sent from here".to_owned());
    };
    if !has_left(delivery) {
        return Err(format!(
            "{} has never left, so nothing can be reported of it",
            delivery.id
        ));
    }
    if !found.is_certain() {
        return Err("it carries neither our token nor our Message-ID, only what a stranger may know".to_owned());
    }
    if !report.by_server {
        return Err("nothing but its words says that a mail server wrote it".to_owned());
    }
    // Whose address was erased is known by the token alone.
    let sole = delivery.recipient.is_empty() && report.recipients.len() == 1;
    let ours: Vec<&Recipient> = report
        .recipients
        .iter()
        .filter(|recipient| sole || is_ours(recipient, delivery))
        .collect();
    if !ours.is_empty() {
        return Ok(ours.into_iter().map(new_report).collect());
    }
    let by_token = found
        .tie
        .is_some_and(|tie| tie.by == crate::model::receipt::Mark::ReturnPath);
    if report.recipients.is_empty() && report.kind.receipt() == ReceiptKind::Bounce && by_token {
        // The token in the return path names the one recipient itself.
        return Ok(vec![NewReport {
            action: ReportAction::Failed,
            status: None,
            diagnostic: None,
        }]);
    }
    Err(match report.recipients.is_empty() {
        true => "it names no recipient".to_owned(),
        false => "the recipient it names is not the one we wrote to".to_owned(),
    })
}

/// Whether a copy has left, or may have.
fn has_left(delivery: &StoredDelivery) -> bool {
    let left = ["accepted", "in_doubt", "recovered"];
    delivery.attempts.iter().any(|attempt| left.contains(&attempt.outcome.as_str()))
        // A report may overtake the outcome.
        || matches!(delivery.state, DeliveryState::OnWire { .. })
}

/// The recipient as we gave it (ORCPT), or as it was in the end.
fn is_ours(recipient: &Recipient, delivery: &StoredDelivery) -> bool {
    let ours = normal(&delivery.recipient);
    recipient
        .original
        .iter()
        .chain([&recipient.address])
        .any(|address| normal(address) == ours)
}

/// Servers change the case of addresses, and write the domain in either form.
fn normal(address: &str) -> String {
    match address.trim().rsplit_once('@') {
        Some((local, domain)) => {
            let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_ascii_lowercase());
            format!("{}@{domain}", local.to_lowercase())
        }
        None => address.to_lowercase(),
    }
}

/// What a report says of one delivery and one action, for a person who has matched it.
pub fn about(report: &Report, delivery: &StoredDelivery, action: ReportAction) -> Option<NewReport> {
    let ours = |recipient: &&Recipient| is_ours(recipient, delivery) || report.recipients.len() == 1;
    let reports = report.recipients.iter().filter(ours).map(new_report);
    reports.into_iter().find(|report| report.action == action)
}

fn new_report(recipient: &Recipient) -> NewReport {
    use crate::message::report::Action;
    let clipped = |text: &String| text.chars().take(DIAGNOSTIC_CHARS).collect();
    NewReport {
        action: match recipient.action {
            Action::Failed => ReportAction::Failed,
            Action::Delayed => ReportAction::Delayed,
            Action::Delivered => ReportAction::Delivered,
            Action::Relayed => ReportAction::Relayed,
            Action::Expanded => ReportAction::Expanded,
        },
        status: Some(recipient.status.clone()).filter(|status| !status.is_empty()),
        diagnostic: recipient.diagnostic.as_ref().map(clipped),
    }
}

fn is_delivered(reports: &[NewReport]) -> bool {
    reports.iter().any(|report| report.action == ReportAction::Delivered)
}

/// Why a person should look although the report is believed: it does not go with what was known before.
fn contradicts(reports: &[NewReport], delivery: Option<&StoredDelivery>) -> Option<&'static str> {
    let failed = reports.iter().any(|report| report.action == ReportAction::Failed);
    match &delivery?.state {
        DeliveryState::Confirmed { .. } if failed => {
            Some("yet receipt was confirmed before, which stands: find out who did not get it")
        }
        DeliveryState::Failed { .. } if is_delivered(reports) => {
            Some("yet it was returned before: ask them whether they have it")
        }
        DeliveryState::Ready { .. } | DeliveryState::Leased { .. } | DeliveryState::OnWire { .. } if failed => {
            Some("and another try is under way")
        }
        _ => None,
    }
}
