//! What the server behind the relay makes of a mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use breachpost::drill::receiver::TakenMail;
use breachpost::model::{Clock as _, SystemClock};

use crate::world::SENDER;

/// What the server behind the relay makes of a mail: the mails it delivers.
pub type Server = fn(&TakenMail) -> Vec<String>;

/// As a server keeps it: its own headers on top, lines with LF.
pub fn stamped(mail: &str, copy: usize) -> String {
    let now = SystemClock.now().to_rfc2822();
    format!("Return-Path: <{SENDER}>\r\nReceived: from relay.example by mx.example with ESMTP id {copy}; {now} (UTC)\r\n{mail}")
        .replace("\r\n", "\n")
}

pub fn text_of(mail: &TakenMail) -> String {
    String::from_utf8(mail.bytes.clone()).unwrap()
}

/// The boundary of a mail's outermost multipart.
fn boundary(mail: &str) -> &str {
    let (_, rest) = mail.split_once("boundary=\"").unwrap();
    rest.split_once('"').unwrap().0
}
/// The outer headers without those that describe the body, and the body.
fn halves(mail: &str) -> (String, &str) {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let (head, _) = head.split_once("MIME-Version").unwrap();
    (head.to_owned(), body)
}
fn armor(mail: &str) -> &str {
    const END: &str = "-----END PGP MESSAGE-----";
    let from = mail.find("-----BEGIN PGP MESSAGE-----").unwrap();
    &mail[from..mail.find(END).unwrap() + END.len()]
}

pub fn unchanged(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail)]
}
pub fn lost(_: &TakenMail) -> Vec<String> {
    Vec::new()
}
pub fn twice(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail), text_of(mail)]
}
pub fn tagged(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail).replacen("Subject: ", "Subject: [EXTERN] ", 1)]
}
pub fn retitled(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail).replacen("Subject: Encrypted message (rehearsal)", "Subject: [Secure]", 1)]
}
pub fn anonymous(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let lines = mail.split_inclusive("\r\n").map(|line| match line.split_once(':') {
        Some(("Message-ID", _)) => "Message-ID: <01020194@relay.example>\r\n".to_owned(),
        Some(("X-Breachpost-Rehearsal", _)) => String::new(),
        _ => line.to_owned(),
    });
    vec![lines.collect()]
}
/// A third part inside multipart/encrypted.
pub fn with_disclaimer(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let end = format!("--{}--", boundary(&mail));
    let part = format!(
        "--{}\r\nContent-Type: text/plain\r\n\r\nConfidential!\r\n{end}",
        boundary(&mail)
    );
    vec![mail.replace(&end, &part)]
}
pub fn with_footer_behind(mail: &TakenMail) -> Vec<String> {
    vec![text_of(mail) + "\r\nThis e-mail is confidential.\r\n"]
}
pub fn wrapped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let (head, body) = halves(&mail);
    vec![format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"w\"\r\n\r\n--w\r\nContent-Type: \
         multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"{}\"\r\n\r\n{body}\r\n--w\r\n\
         Content-Type: text/plain\r\n\r\nConfidential!\r\n--w--\r\n",
        boundary(&mail)
    )]
}
/// What Exchange is known for.
pub fn taken_apart(mail: &TakenMail) -> Vec<String> {
    vec![
        text_of(mail)
            .replace("multipart/encrypted;\r\n", "multipart/mixed;\r\n")
            .replace("multipart/encrypted; ", "multipart/mixed; "),
    ]
}
pub fn reordered(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let line = format!("--{}", boundary(&mail));
    let pieces: Vec<&str> = mail.split(&line).collect();
    let [head, version, message, end] = pieces.as_slice() else {
        panic!("{mail}")
    };
    vec![[*head, &line, *message, &line, *version, &line, *end].concat()]
}
pub fn rewrapped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let old = armor(&mail);
    let lines: Vec<&str> = old.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let (sum, data): (Vec<&str>, Vec<&str>) = lines[1..lines.len() - 1].iter().partition(|line| line.starts_with('='));
    let data = data.concat();
    let wrapped: Vec<&str> = data
        .as_bytes()
        .chunks(48)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let new = [&[first, ""], &wrapped[..], &sum[..], &[last]].concat().join("\r\n");
    vec![mail.replace(old, &new)]
}
pub fn re_encoded(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let encoded = BASE64.encode(armor(&mail));
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let (before, after) = mail.split_once(armor(&mail)).unwrap();
    let before = before.trim_end();
    vec![format!(
        "{before}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}{after}",
        lines.join("\r\n")
    )]
}
pub fn stripped(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    vec![mail.replace(armor(&mail), "The attachment was removed by your administrator.")]
}
pub fn damaged(mail: &TakenMail) -> Vec<String> {
    let mail = text_of(mail);
    let old = armor(&mail);
    let middle = old.len() / 2;
    let new = format!("{}{}{}", &old[..middle], "AAAAAAAA", &old[middle + 8..]);
    vec![mail.replace(old, &new)]
}
/// Takes the mail and sends it back later.
pub fn bounced(mail: &TakenMail) -> Vec<String> {
    let sent = text_of(mail);
    let (head, _) = sent.split_once("\r\n\r\n").unwrap();
    vec![format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: {SENDER}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"r\"\r\n\r\n\
         --r\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
         Final-Recipient: rfc822; {SENDER}\r\nAction: failed\r\nStatus: 5.7.1\r\n\
         Diagnostic-Code: smtp; 550 5.7.1 encrypted mail is not allowed\r\n\r\n\
         --r\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--r--\r\n"
    )]
}
/// Delivers, and reports that it did.
pub fn with_report(mail: &TakenMail) -> Vec<String> {
    let report = bounced(mail).remove(0);
    let report = report
        .replace("failed", "delivered")
        .replace("Status: 5.7.1", "Status: 2.0.0");
    let report = report.replace("550 5.7.1 encrypted mail is not allowed", "250 2.0.0 Ok");
    vec![text_of(mail), report]
}
pub fn without_plus(mail: &TakenMail) -> Vec<String> {
    if mail.recipients[0].address.contains('+') {
        return Vec::new();
    }
    unchanged(mail)
}

pub fn vouched(mail: &TakenMail) -> Vec<String> {
    vec![format!(
        "Authentication-Results: mx.example; spf=pass smtp.mailfrom={SENDER};\r\n dkim=pass \
         header.d=brasserie-kirchberg.example; dmarc=pass header.from=brasserie-kirchberg.example\r\n{}",
        text_of(mail)
    )]
}
/// A provider signs with its own domain.
pub fn unvouched(mail: &TakenMail) -> Vec<String> {
    vec![format!(
        "Authentication-Results: mx.example; spf=pass smtp.mailfrom=bounce@provider.example;\r\n dkim=pass \
         header.d=provider.example; dmarc=fail header.from=brasserie-kirchberg.example\r\n{}",
        text_of(mail)
    )]
}
