//! What a mail server sends back days after it has taken a message: a delivery status notification (RFC 3464), to the
//! return path that the message carried.

use crate::model::Time;

use super::receiver::TakenMail;

/// Who reports.
const SERVER: &str = "mx.people.example";

/// The report that this mail could not be delivered after all, as the mailbox gets it.
pub fn undeliverable(mail: &TakenMail, now: Time) -> Vec<u8> {
    let path = &mail.envelope_from;
    let recipient = mail.recipients.first();
    let address = recipient.map_or("", |recipient| recipient.address.as_str());
    let parameter = |of: &[String], name: &str| {
        let found = of.iter().find_map(|given| given.strip_prefix(name));
        found.map(str::to_owned)
    };
    let envelope_id = parameter(&mail.from_parameters, "ENVID=")
        .map_or_else(String::new, |id| format!("Original-Envelope-Id: {id}\r\n"));
    let original = recipient
        .and_then(|recipient| parameter(&recipient.parameters, "ORCPT="))
        .map_or_else(String::new, |original| format!("Original-Recipient: {original}\r\n"));
    let text = String::from_utf8_lossy(&mail.bytes);
    let headers = text.split_once("\r\n\r\n").map_or("", |(headers, _)| headers);
    let date = now.to_rfc2822();
    format!(
        "Return-Path: <>\r\nDelivered-To: {path}\r\nDate: {date}\r\nFrom: Mail Delivery System <MAILER-DAEMON@{SERVER}>\r\n\
         To: {path}\r\nSubject: Undelivered mail returned to sender\r\nMessage-ID: <{date_id}.{local}@{SERVER}>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_report\"\r\n\r\n\
         --=_report\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is the mail system at {SERVER}.\r\n\r\n\
         Your message was taken, but could not be delivered within two days: the mailbox of <{address}> is closed.\r\n\r\n\
         --=_report\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {SERVER}\r\n{envelope_id}Arrival-Date: {date}\r\n\r\n\
         Final-Recipient: rfc822; {address}\r\n{original}Action: failed\r\nStatus: 5.2.1\r\n\
         Diagnostic-Code: smtp; 550 5.2.1 the mailbox is closed\r\n\r\n\
         --=_report\r\nContent-Type: text/rfc822-headers\r\n\r\n{headers}\r\n\r\n--=_report--\r\n",
        date_id = now.timestamp_micros(),
        local = address.split('@').next().unwrap_or_default(),
    )
    .into_bytes()
}
