//! What the headers of foreign mail say: around it, and inside its protection.

use mail_parser::{Address, HeaderName, HeaderValue, Message};

use super::super::mime::Mailbox;
use super::super::part::{Entity, text_of_unknown_charset};
use super::Opened;
use crate::model::Time;

const MAX_HEADERS: usize = 1000;

/// A mail of which only the headers are read yet.
pub(super) fn outer_headers(entity: &Entity<'_>) -> Opened {
    let mut opened = Opened {
        content_type: entity.media_type(),
        report_type: entity.parameter("report-type").map(str::to_ascii_lowercase),
        ..Opened::default()
    };
    let Some(head) = entity.head() else {
        opened.defects.push("it has no headers".to_owned());
        return opened;
    };
    opened.headers = header_fields(head);
    opened.from = mailboxes(head.from());
    opened.to = mailboxes(head.to());
    opened.outer_subject = head.subject().unwrap_or_default().to_owned();
    opened.subject = opened.outer_subject.clone();
    opened.message_id = message_ids(head.header(HeaderName::MessageId)).into_iter().next();
    opened.in_reply_to = message_ids(head.header(HeaderName::InReplyTo));
    opened.references = message_ids(head.header(HeaderName::References));
    opened.date = head
        .date()
        .filter(|d| d.is_valid())
        .and_then(|d| Time::from_timestamp(d.to_timestamp(), 0));
    opened.auto_submitted = opened.header("Auto-Submitted").map(str::to_owned);
    opened.precedence = opened.header("Precedence").map(str::to_owned);
    opened.return_path = opened.header("Return-Path").map(|path| {
        path.trim_matches(|c: char| c.is_whitespace() || "<>".contains(c))
            .to_owned()
    });
    opened
}

/// The header fields in their order: unfolded, otherwise as they came.
pub(in crate::message) fn header_fields(head: &Message<'_>) -> Vec<(String, String)> {
    let fields = head.headers().iter().take(MAX_HEADERS).map(|header| {
        let (from, to) = (header.offset_start as usize, header.offset_end as usize);
        let raw = head.raw_message.get(from..to).unwrap_or_default();
        let value = text_of_unknown_charset(raw).replace(['\r', '\n'], "");
        (header.name.as_str().to_owned(), value.trim().to_owned())
    });
    fields.collect()
}

/// Control characters, which no address has, are left out: addresses are shown, compared and kept.
pub(in crate::message) fn mailboxes(addresses: Option<&Address<'_>>) -> Vec<Mailbox> {
    let Some(addresses) = addresses else { return Vec::new() };
    let clean = |address: &str| -> String { address.chars().filter(|c| !c.is_control()).collect() };
    addresses
        .iter()
        .filter_map(|a| Some(Mailbox::new(a.name(), &clean(a.address()?))))
        .filter(|mailbox| !mailbox.address.is_empty())
        .take(MAX_HEADERS)
        .collect()
}

pub(in crate::message) fn message_ids(value: Option<&HeaderValue<'_>>) -> Vec<String> {
    let ids: Vec<&str> = match value {
        Some(HeaderValue::Text(id)) => vec![id],
        Some(HeaderValue::TextList(ids)) => ids.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    ids.into_iter()
        .map(|id| format!("<{}>", id.trim_matches(['<', '>'])))
        .collect()
}

/// Headers that travelled inside the protection (RFC 9788).
pub(super) struct InnerHeaders {
    pub subject: Option<String>,
    pub message_id: Option<String>,
    pub in_reply_to: Vec<String>,
    pub references: Vec<String>,
}

pub(super) fn protected_headers(raw: &[u8]) -> Option<InnerHeaders> {
    let entity = Entity::parse(raw);
    if entity.parameter("hp").is_none() && entity.parameter("protected-headers").is_none() {
        return None;
    }
    let head = entity.head()?;
    Some(InnerHeaders {
        subject: head.subject().map(str::to_owned),
        message_id: message_ids(head.header(HeaderName::MessageId)).into_iter().next(),
        in_reply_to: message_ids(head.header(HeaderName::InReplyTo)),
        references: message_ids(head.header(HeaderName::References)),
    })
}
