//! Certified mail of Italy (PEC, `posta elettronica certificata`; decree of 2 November 2005, technical rules): what a
//! provider says of a message in the header `X-Ricevuta`, and about whom in the file `daticert.xml`. Its signature is
//! S/MIME and not checked: like any report it counts by our Message-ID and our recipient.

use super::super::open::Opened;
use super::super::part::{Entity, text_of_unknown_charset};
use super::{Action, MOST_RECIPIENTS, Recipient, Report, ReportKind, address, code, returned};

/// What is read of `daticert.xml`, and of a message that was carried.
const READ_BYTES: usize = 64 * 1024;
const DIAGNOSTIC_CHARS: usize = 500;

/// What a receipt says. Of one that was accepted, or taken over by the next provider, nothing has arrived yet.
fn said(receipt: &str) -> Option<ReportKind> {
    Some(match receipt {
        "avvenuta-consegna" => ReportKind::Delivered,
        "non-accettazione" | "errore-consegna" | "mancata-consegna" | "rilevazione-virus" => ReportKind::Bounce,
        "preavviso-errore-consegna" => ReportKind::Delay,
        "accettazione" | "presa-in-carico" => ReportKind::Passage,
        _ => return None,
    })
}

/// Reads a receipt; `None` if the mail is none.
pub(super) fn read(mail: &Opened) -> Option<Report> {
    let receipt = mail.header("X-Ricevuta")?.trim().to_ascii_lowercase();
    let mut report = Report::of(said(&receipt)?);
    report.manner = Some(receipt);
    report.returned = returned::find(mail);
    if let Some(id) = mail.header("X-Riferimento-Message-ID") {
        let id = format!("<{}>", id.trim_matches(['<', '>', ' ']));
        report.returned.get_or_insert_default().message_id = Some(id);
    }
    let action = match report.kind {
        ReportKind::Delivered => Action::Delivered,
        ReportKind::Delay => Action::Delayed,
        ReportKind::Bounce => Action::Failed,
        _ => return Some(report),
    };
    let facts = facts(mail).unwrap_or_default();
    let diagnostic = fields(&facts, "errore-esteso").into_iter().next();
    let diagnostic: Option<String> = diagnostic.map(|words| words.chars().take(DIAGNOSTIC_CHARS).collect());
    // Of several recipients, each receipt is about one; the others are named all the same.
    let mut about = fields(&facts, "consegna");
    if about.is_empty() {
        about = fields(&facts, "destinatari");
    }
    let about = about.iter().map(|raw| address::normalised(raw));
    let about = about.filter(|address| address.contains('@')).take(MOST_RECIPIENTS);
    report.recipients = about
        .map(|address| Recipient {
            address,
            original: None,
            action,
            status: code::derive(diagnostic.as_deref().unwrap_or_default(), action),
            diagnostic: diagnostic.clone(),
            remote_mta: None,
        })
        .collect();
    Some(report)
}

/// Of a message that came by certified mail (`X-Trasporto`): the Message-IDs that it answers itself, newest first. The
/// envelope around it, which the provider writes, answers nothing.
pub(in crate::message) fn answers(mail: &Opened) -> Vec<String> {
    let carried = mail.header("X-Trasporto").map(str::trim);
    if !carried.is_some_and(|how| how.eq_ignore_ascii_case("posta-certificata")) {
        return Vec::new();
    }
    let message = mail.attachments.iter().find(|part| part.media_type == "message/rfc822");
    let Some(message) = message else { return Vec::new() };
    let start = &message.bytes[..message.bytes.len().min(READ_BYTES)];
    let entity = Entity::parse(start);
    let Some(head) = entity.head() else { return Vec::new() };
    let ids = |name| super::super::open::message_ids(head.header(name));
    let mut answers = ids(mail_parser::HeaderName::InReplyTo);
    answers.extend(ids(mail_parser::HeaderName::References).into_iter().rev());
    answers
}

fn facts(mail: &Opened) -> Option<String> {
    let mut texts = mail.attachments.iter().map(|part| {
        let start = &part.bytes[..part.bytes.len().min(READ_BYTES)];
        text_of_unknown_charset(start)
    });
    texts.find(|text| text.contains("<postacert"))
}

/// The texts of all elements of this name, which hold no others: no more of XML is needed here.
fn fields(facts: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = facts;
    let (begin, end) = (format!("<{name}"), format!("</{name}>"));
    while let Some(at) = rest.find(&begin) {
        rest = &rest[at + begin.len()..];
        // `<consegnato>` is another one.
        if !rest.starts_with(|c: char| c == '>' || c.is_whitespace()) {
            continue;
        }
        let Some((_, inside)) = rest.split_once('>') else { break };
        let Some((value, after)) = inside.split_once(&end) else {
            break;
        };
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        if !plain.is_empty() && found.len() < MOST_RECIPIENTS {
            found.push(plain);
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_receipt_are_read() {
        let facts = "<postacert tipo=\"avvenuta-consegna\"><destinatari tipo=\"certificato\">a@pec.example</destinatari>\n\
                     <destinatari tipo=\"esterno\"> b@example.org\n</destinatari><consegnato>x</consegnato>\
                     <consegna>a@pec.example</consegna><errore-esteso>5.1.1 &lt;a&gt; &amp;</errore-esteso>";
        for (name, wanted) in [
            ("destinatari", &["a@pec.example", "b@example.org"][..]),
            ("consegna", &["a@pec.example"]),
            ("errore-esteso", &["5.1.1 <a> &"]),
            ("msgid", &[]),
        ] {
            assert_eq!(fields(facts, name), wanted, "{name}");
        }
        for cut in ["<consegna", "<consegna>", "<consegna>a@b", "<consegna</consegna>"] {
            assert!(fields(cut, "consegna").is_empty(), "{cut}");
        }
    }
}
