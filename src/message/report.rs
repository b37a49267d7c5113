//! What a machine reports about mail that was sent: delivery status notifications (RFC 3464, RFC 6533), what older and
//! stranger servers write instead, feedback reports (RFC 5965) and disposition notifications (RFC 8098).
//!
//! Certified mail of Italy has receipts of its own (`certified`). Structure decides first: the fields of a machine-readable part, wherever it stands and however it is labelled. Only
//! where there is none is the text read, by the shapes in `prose` and the words in `words.yaml`. A report that a person
//! forwards is no report. Which delivery it is about is found elsewhere.

mod address;
pub(super) mod certified;
mod code;
mod fields;
mod prose;
mod returned;

use std::fmt;

use serde::Serialize;

use super::automatic;
use super::mime::Mailbox;
use super::open::Opened;
use super::part::text_of_unknown_charset;
use super::phrases::{Found, Sense};
use crate::model::Time;
use crate::model::id::Reference;
use crate::model::receipt::ReceiptKind;

use fields::Status;

pub use address::normalised as normalised_address;

/// Of a report that speaks of more, only the first are kept: what we send has one recipient.
const MOST_RECIPIENTS: usize = 1000;

/// What kind of report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// At least one recipient will not get it.
    Bounce,
    /// Not delivered yet; the server goes on trying.
    Delay,
    /// Delivered, or handed to a server that sends no notifications.
    Delivered,
    /// Somebody complained, or a check failed (RFC 5965, RFC 6591).
    Feedback,
    /// Read, deleted, processed (RFC 8098).
    Disposition,
    /// Certified mail on its way: it was accepted, or taken over, and nothing has arrived yet.
    Passage,
    /// A periodic report about a domain's mail (RFC 7489 §7.2, RFC 8460).
    Aggregate,
}
impl ReportKind {
    /// The kind of receipt it is.
    pub fn receipt(self) -> ReceiptKind {
        match self {
            ReportKind::Bounce => ReceiptKind::Bounce,
            ReportKind::Delay => ReceiptKind::Delay,
            ReportKind::Delivered => ReceiptKind::Delivered,
            ReportKind::Feedback | ReportKind::Disposition | ReportKind::Passage | ReportKind::Aggregate => {
                ReceiptKind::Report
            }
        }
    }
}

/// What the server did for one recipient (RFC 3464 §2.3.3). The order is that of the news, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
}
impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }
    fn kind(self) -> ReportKind {
        match self {
            Action::Failed => ReportKind::Bounce,
            Action::Delayed => ReportKind::Delay,
            Action::Delivered | Action::Relayed | Action::Expanded => ReportKind::Delivered,
        }
    }
    /// The class of status (RFC 3463 §2) that goes with it.
    fn class(self) -> char {
        match self {
            Action::Failed => '5',
            Action::Delayed => '4',
            _ => '2',
        }
    }
}

/// One recipient, as reported.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// Where it was to be delivered in the end: the Final-Recipient, else the Original-Recipient; bare.
    pub address: String,
    /// As the sender gave it, where the report says so: ORCPT, or the alias it was expanded from.
    pub original: Option<String>,
    pub action: Action,
    /// RFC 3463, such as `5.1.1`: the field, or what the diagnostic says where that says more.
    pub status: String,
    /// The other server's words on one line, without the type before them.
    pub diagnostic: Option<String>,
    /// The server that refused, without the type.
    pub remote_mta: Option<String>,
}
impl fmt::Debug for Recipient {
    /// Masked: addresses are personal data, and diagnostics quote them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("action", &self.action)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What came back of the message that the report is about: its headers, and references of ours in its text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// With angle brackets.
    pub message_id: Option<String>,
    /// References of ours in its headers and text.
    pub references: Vec<Reference>,
    pub from: Vec<Mailbox>,
    pub to: Vec<Mailbox>,
    pub subject: String,
    /// Without angle brackets: where a token of ours may stand.
    pub return_path: Option<String>,
    /// All its headers in their order, unfolded.
    pub headers: Vec<(String, String)>,
}
impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned")
            .field("message_id", &self.message_id)
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}
impl Returned {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A report, as far as it could be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    pub kind: ReportKind,
    /// Empty for feedback, dispositions and aggregates.
    pub recipients: Vec<Recipient>,
    /// Our ENVID, decoded (RFC 3464 §2.2.1).
    pub envelope_id: Option<String>,
    /// Without the type.
    pub reporting_mta: Option<String>,
    /// When the reporting server got the message.
    pub arrived: Option<Time>,
    /// When delivery was last tried, the latest of all recipients.
    pub last_attempt: Option<Time>,
    /// What the report gives back of the message. A disposition's Original-Message-ID stands here too.
    pub returned: Option<Returned>,
    /// Feedback: who complained. A disposition: whose mailbox it is. Bare addresses.
    pub about: Vec<String>,
    /// The feedback's type (`abuse`), or what became of the mail (`displayed`, `deleted`, `processed`).
    pub manner: Option<String>,
    /// Read from text alone, without a machine-readable part: a person may have to look.
    pub from_text: bool,
    /// A machine-readable part, the sender, the null path or a header says that a server wrote it, and not its words alone.
    pub by_server: bool,
}
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("kind", &self.kind)
            .field("recipients", &self.recipients)
            .field("envelope_id", &self.envelope_id)
            .field("returned", &self.returned)
            .field("from_text", &self.from_text)
            .finish_non_exhaustive()
    }
}
impl Report {
    fn of(kind: ReportKind) -> Self {
        Self {
            kind,
            recipients: Vec::new(),
            envelope_id: None,
            reporting_mta: None,
            arrived: None,
            last_attempt: None,
            returned: None,
            about: Vec::new(),
            manner: None,
            from_text: false,
            by_server: true,
        }
    }

    /// In words, for the reason of a verdict.
    pub fn shown(&self) -> String {
        match self.kind {
            ReportKind::Feedback => format!("a feedback report: {}", self.manner.as_deref().unwrap_or("no type")),
            ReportKind::Disposition => {
                format!(
                    "a disposition notification: {}",
                    self.manner.as_deref().unwrap_or("no type")
                )
            }
            ReportKind::Passage => format!(
                "certified mail on its way ({}): that it arrived is not said",
                self.manner.as_deref().unwrap_or_default()
            ),
            ReportKind::Aggregate => "a periodic report about a domain's mail".to_owned(),
            ReportKind::Bounce | ReportKind::Delay | ReportKind::Delivered => {
                let what = if self.from_text {
                    "a server's words about a delivery"
                } else {
                    "a delivery status notification"
                };
                let actions: Vec<String> = self
                    .recipients
                    .iter()
                    .take(3)
                    .map(|recipient| format!("{} {}", recipient.action.name(), recipient.status))
                    .collect();
                match actions.is_empty() {
                    true => format!("{what}: {}, recipient not named", self.kind.receipt().name()),
                    false => format!("{what}: {}", actions.join(", ")),
                }
            }
        }
    }
}

/// Reads the report that a mail is; `None` if it is none. `words` are the phrases found in its subject and text.
pub fn read(mail: &Opened, words: &Found) -> Option<Report> {
    if automatic::forwarded(mail, words) {
        return None;
    }
    certified::read(mail)
        .or_else(|| passed_on(mail))
        .or_else(|| feedback(mail))
        .or_else(|| disposition(mail))
        .or_else(|| aggregate(mail))
        .or_else(|| delivery(mail, words))
        .or_else(|| prose::read(mail, words))
        .or_else(|| read_receipt(mail, words))
}

/// A report that a server hands on as a whole: a mail within its mail, and not a word of a person's.
fn passed_on(mail: &Opened) -> Option<Report> {
    let [only] = mail.attachments.as_slice() else {
        return None;
    };
    let handed_on = only.media_type == "message/rfc822" && mail.text.trim().is_empty() && mail.report_type.is_none();
    if !handed_on || !prose::from_server(mail) {
        return None;
    }
    let inside = super::open::open(&only.bytes, None, &[], Time::UNIX_EPOCH);
    let is_report = inside.report_type.is_some() || status_of(&inside).is_some();
    let words = Found::read(&inside.subject, &inside.text);
    is_report.then(|| delivery(&inside, &words)).flatten()
}

/// The text of the first part of a type that ends so, or of a report that says so.
fn part_text(mail: &Opened, ends: &[&str]) -> Option<String> {
    let part = mail
        .attachments
        .iter()
        .find(|part| ends.iter().any(|end| part.media_type.ends_with(end)))?;
    Some(text_of_unknown_charset(&part.bytes))
}

/// RFC 3464: by its own type, or a part or text that holds its fields whatever it is called.
fn delivery(mail: &Opened, words: &Found) -> Option<Report> {
    let says_so = mail.report_type.as_deref() == Some("delivery-status");
    let status = status_of(mail);
    if status.is_none() && !says_so {
        return None;
    }
    let status = status.unwrap_or_default();
    let mut report = Report::of(ReportKind::Bounce);
    report.returned = returned::find(mail);
    let told = prose::recipients(mail, report.returned.as_ref(), prose::kind_of(mail, words));
    for group in status.recipients.iter().take(MOST_RECIPIENTS) {
        report
            .recipients
            .extend(recipient(group, &status, &told, report.returned.as_ref()));
    }
    if report.recipients.is_empty() {
        report.recipients.clone_from(&told);
    }
    let worst = report.recipients.iter().map(|recipient| recipient.action).min();
    report.kind = worst.map_or_else(|| prose::kind(words), Action::kind);
    report.last_attempt = status.recipients.iter().filter_map(|group| group.last_attempt).max();
    report.envelope_id = status.envelope_id;
    report.reporting_mta = status.reporting_mta;
    report.arrived = status.arrived;
    Some(report)
}

/// The machine-readable part: by its type; else any part, and last the text, that holds the fields.
fn status_of(mail: &Opened) -> Option<Status> {
    let by_type = ["/delivery-status", "/global-delivery-status"];
    let named = |media_type: &str| by_type.iter().any(|end| media_type.ends_with(end));
    let mut found: Option<Status> = None;
    for part in mail.attachments.iter().filter(|part| named(&part.media_type)) {
        let status = Status::read(&text_of_unknown_charset(&part.bytes));
        match &mut found {
            // Some servers write one part for each recipient.
            Some(first) => first.recipients.extend(status.recipients),
            None => found = Some(status),
        }
    }
    if found.is_some() {
        return found;
    }
    let unnamed = mail
        .attachments
        .iter()
        .filter(|part| !part.media_type.starts_with("message/") && part.media_type != "text/rfc822-headers")
        .filter(|part| fields::looks_like_status(&part.bytes))
        .map(|part| Status::read(&text_of_unknown_charset(&part.bytes)));
    let in_text = || {
        let text = prose::notification(mail);
        fields::looks_like_status(text.as_bytes()).then(|| Status::read(fields::from_first_field(&text)))
    };
    unnamed
        .into_iter()
        .find(|status| !status.recipients.is_empty())
        .or_else(in_text)
        .filter(|status| !status.recipients.is_empty())
}

/// One group of fields, completed by what the text and the returned message tell.
fn recipient(
    group: &fields::Group,
    status: &Status,
    told: &[Recipient],
    returned: Option<&Returned>,
) -> Option<Recipient> {
    let known = [
        &group.final_recipient,
        &group.original_recipient,
        &group.actual_recipient,
    ];
    let addresses: Vec<String> = known
        .into_iter()
        .flatten()
        .map(|raw| address::normalised(raw))
        .collect();
    let only = || match told {
        [only] => Some(only.address.clone()),
        _ => match returned?.to.as_slice() {
            [only] => Some(only.address.clone()),
            _ => None,
        },
    };
    let address = addresses
        .iter()
        .find(|address| address.contains('@'))
        .or(addresses.iter().find(|address| !address.is_empty()))
        .cloned()
        .or_else(only)?;
    let in_text = told.iter().find(|told| told.address.eq_ignore_ascii_case(&address));
    let said = group.status.as_deref().or(status.status.as_deref());
    let field = said.and_then(code::enhanced);
    let action = group
        .action
        .as_deref()
        .or(status.action.as_deref())
        .and_then(fields::action)
        .or_else(|| code::action_of(field.as_deref()?))
        .or(in_text.map(|told| told.action))
        .unwrap_or(Action::Failed);
    let diagnostic = group
        .diagnostic
        .clone()
        .or_else(|| in_text.and_then(|told| told.diagnostic.clone()));
    let spoken = diagnostic.as_deref().unwrap_or_default();
    let contradicts = |field: &String| action == Action::Failed && field.starts_with('2');
    let status = match field.filter(|field| !contradicts(field)) {
        Some(field) if code::says_something(&field) => field,
        // X.0.0 names only the class; the other server's words may say more.
        Some(field) => code::enhanced_of_class(spoken, field.chars().next())
            .or_else(|| {
                Some(code::derive(spoken, action)).filter(|derived| derived.chars().next() == field.chars().next())
            })
            .unwrap_or(field),
        None => code::derive(spoken, action),
    };
    Some(Recipient {
        original: group
            .original_recipient
            .as_deref()
            .map(address::normalised)
            .filter(|original| !original.is_empty()),
        address,
        action,
        status,
        diagnostic,
        remote_mta: group.remote_mta.clone(),
    })
}

/// RFC 5965.
fn feedback(mail: &Opened) -> Option<Report> {
    let text = part_text(mail, &["/feedback-report"]).or_else(|| {
        let by_head = mail.report_type.as_deref() == Some("feedback-report");
        let first = mail.text.lines().any(|line| has_field(line, "feedback-type"));
        (by_head || (first && mail.text.lines().any(|line| has_field(line, "user-agent")))).then(|| mail.text.clone())
    })?;
    let lines = fields::unfolded(&text);
    let all = |name: &'static str| {
        lines
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    };
    let mut report = Report::of(ReportKind::Feedback);
    report.manner = all("feedback-type").next().map(|value| value.to_ascii_lowercase());
    report.about = all("original-rcpt-to")
        .chain(all("removal-recipient"))
        .map(address::normalised)
        .filter(|address| address.contains('@'))
        .collect();
    report.about.dedup();
    report.envelope_id = all("original-envelope-id").next().map(address::unxtext);
    report.reporting_mta = all("reporting-mta").next().map(fields::without_type);
    report.arrived = all("arrival-date").chain(all("received-date")).find_map(fields::date);
    report.returned = returned::find(mail);
    Some(report)
}

/// RFC 8098 §3.2.
fn disposition(mail: &Opened) -> Option<Report> {
    let ends = ["/disposition-notification", "/global-disposition-notification"];
    let text = part_text(mail, &ends).or_else(|| {
        let says_so = mail.report_type.as_deref() == Some("disposition-notification");
        let in_part = mail.attachments.iter().map(|part| text_of_unknown_charset(&part.bytes));
        let has_fields = |text: &String| text.lines().any(|line| has_field(line, "disposition"));
        says_so.then(|| {
            in_part
                .into_iter()
                .find(has_fields)
                .unwrap_or_else(|| mail.text.clone())
        })
    })?;
    let lines = fields::unfolded(&text);
    let field = |name: &str| lines.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let mut report = Report::of(ReportKind::Disposition);
    // disposition-mode ";" disposition-type [ "/" modifiers ]
    report.manner = field("disposition").map(|value| {
        let manner = value.rsplit(';').next().unwrap_or(value);
        manner.split('/').next().unwrap_or(manner).trim().to_ascii_lowercase()
    });
    report.about = ["final-recipient", "original-recipient"]
        .into_iter()
        .filter_map(field)
        .map(address::normalised)
        .filter(|address| address.contains('@'))
        .take(1)
        .collect();
    report.returned = returned::find(mail);
    if let Some(id) = field("original-message-id") {
        let returned = report.returned.get_or_insert_default();
        returned
            .message_id
            .get_or_insert_with(|| format!("<{}>", id.trim_matches(['<', '>', ' '])));
    }
    Some(report)
}

/// RFC 7489 §7.2.1.1 fixes the subject of a report on DMARC; RFC 8460 §5.3 the type of one on TLS.
fn aggregate(mail: &Opened) -> Option<Report> {
    let subject = mail.subject.trim_start().to_ascii_lowercase();
    let dmarc = subject.starts_with("report domain:") && subject.contains("submitter:");
    let tls = mail.report_type.as_deref() == Some("tlsrpt") || mail.header("TLS-Report-Domain").is_some();
    (dmarc || tls).then(|| Report::of(ReportKind::Aggregate))
}

/// Older clients write a read receipt as plain text; only the subject's words and the text's together make one.
fn read_receipt(mail: &Opened, words: &Found) -> Option<Report> {
    let said = words.in_subject(Sense::ReadSubject).is_some() && words.find(Sense::ReadReceipt).is_some();
    said.then(|| {
        let mut report = Report::of(ReportKind::Disposition);
        report.manner = Some("displayed".to_owned());
        report.from_text = true;
        report.returned = returned::find(mail);
        report
    })
}

fn has_field(line: &str, name: &str) -> bool {
    line.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
        && line[name.len()..].trim_start().starts_with(':')
}
