//! How a notice is told to a person.

use crate::cli::output::ladder_lines;
use crate::directory::certificate::pretty_fingerprint;
use crate::dispatch::desk::conversation::InquiryView;
use crate::dispatch::desk::notice::{CallSheet, NoticeView};
use crate::model::notice::{NoticeState, Protection};
use crate::model::proof::Proof;

/// One line of the list.
pub fn row(view: &NoticeView) -> Vec<String> {
    vec![
        view.reference.to_string(),
        view.breach.to_string(),
        view.authority.clone(),
        view.kind.name().to_owned(),
        view.channel.name().to_owned(),
        view.state.name().to_owned(),
        view.authority_reference.clone().unwrap_or_default(),
    ]
}

/// All that is known of one notice.
pub fn human(view: &NoticeView) -> String {
    let mut text = format!(
        "{}  {} notice {} about {} to {} ({})\n  {}: {}\n",
        view.reference,
        view.kind.name(),
        view.sequence,
        view.breach,
        view.authority,
        view.channel.name(),
        view.state.name(),
        view.meaning
    );
    if let Some(protection) = &view.protection {
        text.push_str(&format!("  protection: {}\n", protected_by(protection)));
    }
    if let Some(why) = &view.held {
        text.push_str(&format!("  held: {}\n", why.words()));
    }
    if let Some(reason) = &view.draft_reason {
        text.push_str(&format!("  why: {reason}\n"));
    }
    if let Some(theirs) = &view.authority_reference {
        text.push_str(&format!("  the authority's reference: {theirs}\n"));
    }
    if let Some(acknowledgement) = &view.acknowledgement {
        text.push_str(&format!(
            "  proof: {}, {}\n",
            acknowledgement.at.format("%Y-%m-%d %H:%M UTC"),
            proven_by(&acknowledgement.proof)
        ));
    }
    if let Some(prior) = &view.prior {
        text.push_str(&format!("  continues {prior}\n"));
    }
    if view.possibly_twice {
        text.push_str("  may have arrived twice: a connection broke after the message had been sent\n");
    }
    for attempt in &view.attempts {
        let words = attempt.words();
        let tls = attempt
            .tls
            .as_ref()
            .map_or_else(String::new, |tls| format!(" ({} {})", tls.version, tls.cipher));
        text.push_str(&format!(
            "  {}  {}  {words}{tls}\n",
            attempt.at.format("%Y-%m-%d %H:%M:%S UTC"),
            attempt.outcome
        ));
    }
    if let Some(next) = view
        .next_attempt
        .filter(|_| view.state == NoticeState::Queued && !view.attempts.is_empty())
    {
        text.push_str(&format!("  next attempt at {}\n", next.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    text.push_str(&came_back(view));
    if let Some(ladder) = &view.ladder {
        text.push_str(&format!("\n{}\n", ladder_lines(ladder).join("\n")));
    }
    text
}

/// What came back after it had left: reports, mails, questions.
fn came_back(view: &NoticeView) -> String {
    let mut text = String::new();
    if let Some(mail) = view.answers {
        text.push_str(&format!("  answers {mail}\n"));
    }
    for report in &view.reports {
        let words = [report.status.as_deref(), report.diagnostic.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        text.push_str(&format!(
            "  {}  reported {} in {}: {}\n",
            report.at.format("%Y-%m-%d %H:%M:%S UTC"),
            report.action.name(),
            report.mail,
            &words.join(" ")
        ));
    }
    for mail in &view.mails {
        text.push_str(&format!(
            "  {}  {} {}{}\n",
            mail.received_at.format("%Y-%m-%d %H:%M:%S UTC"),
            mail.mail,
            mail.kind.map_or("not understood yet", |kind| kind.name()),
            if mail.in_tray { ", waits in the tray" } else { "" }
        ));
    }
    for inquiry in &view.inquiries {
        text.push_str(&format!("  {}\n", asked(inquiry)));
    }
    text
}

/// A question in one or two lines.
pub fn asked(view: &InquiryView) -> String {
    let inquiry = &view.inquiry;
    let what = match inquiry.order {
        true => "orders you to inform the persons concerned (GDPR Art. 34(4))",
        false => "asks a question",
    };
    let head = format!(
        "{} {what} in {} about {}",
        inquiry.authority, inquiry.mail, inquiry.notice
    );
    match &inquiry.closed {
        None => format!(
            "{head}; answer due {} ({})\n      {}",
            inquiry.due.format("%Y-%m-%d %H:%M UTC"),
            view.left,
            view.command
        ),
        Some(closed) => {
            let how = match (&closed.answer, &closed.reason) {
                (Some(answer), _) => format!("answered by {answer}"),
                (None, Some(reason)) => format!("closed by {}: {}", closed.by, reason),
                (None, None) => format!("closed by {}", closed.by),
            };
            format!("{head}; {how} on {}", closed.at.format("%Y-%m-%d %H:%M UTC"))
        }
    }
}

/// The call sheet, to lie beside the telephone.
pub fn sheet(call: &CallSheet) -> String {
    let mut text = format!("CALL SHEET  {}  {}\n\n", call.reference, call.authority);
    text.push_str(&format!(
        "Call      {}\n",
        call.call.as_deref().unwrap_or("no number is known; look on their site")
    ));
    text.push_str(&format!("Caller    {}\n\nRead out\n", call.caller));
    for line in &call.say {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(passphrase) = &call.passphrase {
        text.push_str(&format!(
            "\nPassphrase, by telephone only (capitals, with its hyphens; no letter I, L, O or U in it)\n  {passphrase}\n"
        ));
    }
    text.push_str("\nWrite down\n");
    for line in &call.note {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// What the acknowledgement rests on, as far as it goes: a From address proves nothing.
fn proven_by(proof: &Proof) -> String {
    match proof {
        Proof::Signed { by, mail } => {
            format!("in {mail}, signed by their certificate {}", pretty_fingerprint(by))
        }
        Proof::Threaded { mail } => format!(
            "in {mail}, which answers our mail but is not signed: who wrote it is not proven (breachpost mailbox show {mail})"
        ),
        Proof::DsnDelivered { mail } => format!("their server's delivery report {mail}"),
        Proof::Attested {
            by,
            file_sha256: Some(digest),
        } => format!("attested by {by}, proof file SHA-256 {digest}"),
        Proof::Attested { by, file_sha256: None } => format!("attested by {by}, without a proof file"),
    }
}

fn protected_by(protection: &Protection) -> String {
    match protection {
        Protection::PgpMime {
            recipient, verified, ..
        } => {
            format!(
                "PGP/MIME to {} (fingerprint verified: {verified})",
                pretty_fingerprint(recipient)
            )
        }
        Protection::EncryptedFiles {
            recipient, verified, ..
        } => {
            format!(
                "encrypted files to {} (fingerprint verified: {verified})",
                pretty_fingerprint(recipient)
            )
        }
        Protection::Passphrase { .. } => "files encrypted with a passphrase, told by telephone".to_owned(),
        Protection::Stub => "a content-free mail only".to_owned(),
        Protection::SignedClear { source, .. } => format!("signed clear text over TLS, allowed by: {source}"),
        Protection::Outside => "not sent by breachpost".to_owned(),
    }
}
