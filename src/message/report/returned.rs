//! What a report gives back of the message it is about: as a part (RFC 6522 §3, RFC 6533 §6.3), or pasted into its text.

use mail_parser::HeaderName;

use super::super::open::{OUR_MESSAGE, Opened, header_fields, mailboxes, message_ids};
use super::super::part::{Entity, text_of_unknown_charset};
use super::super::token;
use super::prose;
use super::{Returned, fields};

/// How much of a returned message is searched for references of ours: they stand in its headers and on its first page.
const SEARCHED_BYTES: usize = 64 * 1024;
const TYPES: [&str; 6] = [
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/global-headers",
    "text/rfc822",
    "message/partial",
];

/// The returned message: the first part of its types, else any file that begins with mail headers, else what is pasted
/// into the text, else what we found inside a ciphertext of ours, which has lost its outer headers.
pub(super) fn find(mail: &Opened) -> Option<Returned> {
    let (ours, others): (Vec<_>, Vec<_>) = mail.attachments.iter().partition(|part| part.name == OUR_MESSAGE);
    let typed = others
        .iter()
        .find(|part| TYPES.contains(&part.media_type.as_str()))
        .or_else(|| others.iter().find(|part| begins_a_mail(&text_start(&part.bytes))));
    if let Some(part) = typed {
        return read(&part.bytes);
    }
    prose::pasted(mail)
        .and_then(|pasted| read(pasted.as_bytes()))
        .or_else(|| read(&ours.first()?.bytes))
}

/// Reads a message, or its headers alone. `None` if it has none.
pub(super) fn read(raw: &[u8]) -> Option<Returned> {
    let raw = raw.trim_ascii_start();
    let entity = Entity::parse(raw);
    let head = entity.head()?;
    let searched = &raw[..raw.len().min(SEARCHED_BYTES)];
    let headers = header_fields(head);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    Some(Returned {
        message_id: message_ids(head.header(HeaderName::MessageId)).into_iter().next(),
        references: token::references_in(&text_of_unknown_charset(searched)),
        from: mailboxes(head.from()),
        to: mailboxes(head.to()),
        subject: head.subject().unwrap_or_default().to_owned(),
        return_path: value("Return-Path").map(|path| {
            path.trim_matches(|c: char| c.is_whitespace() || "<>".contains(c))
                .to_owned()
        }),
        headers,
    })
}

fn text_start(bytes: &[u8]) -> String {
    text_of_unknown_charset(&bytes[..bytes.len().min(2000)])
}

/// Whether a text begins with the headers of a mail: some in a row, among them one that only mail has.
pub(super) fn begins_a_mail(text: &str) -> bool {
    let mut names = 0;
    let mut surely = false;
    for line in text.trim_start().lines().take(40) {
        if line.starts_with([' ', '\t']) && names > 0 {
            continue;
        }
        let Some((name, _)) = fields::field(line) else { break };
        names += 1;
        surely |= [
            "received",
            "return-path",
            "message-id",
            "mime-version",
            "x-mailer",
            "dkim-signature",
            "delivered-to",
        ]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    }
    names >= 2 && surely
}
