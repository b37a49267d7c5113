//! Clear mail that we write, and foreign mail of every shape.

use breachpost::directory::certificate::read_one;
use breachpost::message::mime::{Attachment, Content, Mailbox, clear_mail};
use breachpost::message::open::{Opened, Protection, open};
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use sequoia_openpgp::serialize::SerializeInto;

use crate::{OUR_KEY, checked, headers, now, recipient_with, small, usable};

fn opened(raw: &str) -> Opened {
    open(raw.as_bytes(), Some(&OUR_KEY), &[], now())
}

#[test]
fn plain_mail_is_read_whatever_its_shape() {
    let nested = |depth: usize| {
        let mut raw = String::from("From: a@example.org\r\n");
        for i in 0..depth {
            raw.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"
            ));
        }
        raw + "Content-Type: text/plain\r\n\r\ndeep"
    };
    for (shape, raw, wanted) in [
        ("bare", "From: a@example.org\r\n\r\nhello".to_owned(), "hello"),
        ("html only", "Content-Type: text/html\r\n\r\n<p>a &amp; b</p><script>x</script>".to_owned(), "a & b"),
        (
            "alternative",
            "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--x\r\n\r\nplain\r\n--x--".to_owned(),
            "plain",
        ),
        ("nested", nested(10), "deep"),
        ("S/MIME", "Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nMII=".to_owned(), ""),
        ("no boundary", "Content-Type: multipart/mixed\r\n\r\ntext".to_owned(), "text"),
        ("mbox", "From a@b Sat Nov 21\r\nSubject: x\r\n\r\nhello".to_owned(), "hello"),
        ("nothing", String::new(), ""),
    ] {
        assert_eq!(opened(&raw).text.trim(), wanted, "{shape}");
    }
    let smime = opened("Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nMII=");
    assert_eq!((smime.protection, smime.attachments.len()), (Protection::SMime, 1));
    let deep = opened(&nested(100_000));
    assert!(!deep.defects.is_empty() && deep.text.is_empty());
    let many = format!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n{}",
        "--x\r\n\r\na\r\n".repeat(50_000)
    );
    assert!(opened(&many).text.len() < 10_000);
    let huge = format!("Subject: big\r\n\r\n{}", "x".repeat(33 * 1024 * 1024));
    let huge = opened(&huge);
    assert_eq!(
        (huge.subject.as_str(), huge.text.len(), huge.defects.len()),
        ("big", 0, 1)
    );
}

#[test]
fn headers_for_classification_are_all_there() {
    let raw = "Return-Path: <>\r\nFrom: =?utf-8?Q?Aufsicht_=C3=84?= <a@example.org>\r\nTo: b@example.org, C <c@example.org>\r\n\
               Subject: =?utf-8?Q?Best=C3=A4tigung?=\r\nMessage-ID: <1@example.org>\r\nIn-Reply-To: <2@example.org>\r\n\
               References: <3@example.org>\r\n <2@example.org>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\n\
               Auto-Submitted: auto-replied\r\nPrecedence: bulk\r\nX-Long: a\r\n b\r\n\
               Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n--r\r\n\r\nfailed\r\n\
               --r\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n\
               --r\r\nContent-Type: message/rfc822\r\n\r\nSubject: returned\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--r--\r\n";
    let opened = opened(raw);
    assert_eq!(opened.return_path.as_deref(), Some(""));
    assert_eq!(opened.from, [Mailbox::new(Some("Aufsicht Ä"), "a@example.org")]);
    assert_eq!(opened.to.len(), 2);
    assert_eq!(opened.subject, "Bestätigung");
    assert_eq!(opened.message_id.as_deref(), Some("<1@example.org>"));
    assert_eq!(opened.in_reply_to, ["<2@example.org>"]);
    assert_eq!(opened.references, ["<3@example.org>", "<2@example.org>"]);
    assert_eq!(opened.date.unwrap().to_rfc3339(), "2026-11-21T09:00:00+00:00");
    assert_eq!(opened.auto_submitted.as_deref(), Some("auto-replied"));
    assert_eq!(opened.precedence.as_deref(), Some("bulk"));
    assert_eq!(opened.header("x-long"), Some("a b"));
    assert_eq!(opened.content_type, "multipart/report");
    assert_eq!(opened.report_type.as_deref(), Some("delivery-status"));
    assert_eq!(opened.text, "failed");
    assert_eq!(opened.protection, Protection::Clear);
    let types: Vec<_> = opened.attachments.iter().map(|a| a.media_type.as_str()).collect();
    assert_eq!(types, ["message/delivery-status", "message/rfc822"]);
}

/// A stranger wraps our own sealed mail: nothing he adds is shown as if it had been encrypted or signed, and nothing of ours
/// as if he had said it.
#[test]
fn text_around_an_encrypted_part_is_not_believed() {
    let (secret, _) = recipient_with(|b| b);
    let sealed = checked(&small(), &usable(&secret.strip_secret_key_material().to_vec().unwrap()));
    let mail = String::from_utf8(sealed.mail).unwrap();
    let wrapped = format!(
        "From: x@example.org\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n\r\nWe confirm everything\r\n--w\r\n{mail}\r\n--w--\r\n"
    );
    let opened = opened(&wrapped);
    assert_eq!(opened.text, "We confirm everything");
    assert_eq!(opened.protection, Protection::Clear);
    assert_eq!(opened.subject, "");
    let names: Vec<_> = opened.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["our-own-message.eml"]);
}

#[test]
fn clear_mail_has_text_first() {
    let content = Content {
        html: Some("<p>Grüße</p>".to_owned()),
        ..small()
    };
    let mut headers = headers();
    headers
        .extra
        .push(("Auto-Submitted".to_owned(), "auto-generated".to_owned()));
    headers.to = Mailbox::new(Some("Jürgen \"J\" Groß"), "jg@bücher.example");
    let mail = clear_mail(&content, &headers).unwrap();
    let text = std::str::from_utf8(&mail).unwrap();
    assert!(text.is_ascii() && text.lines().all(|l| l.len() <= 78), "{text}");
    assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap());
    let message = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(message.subject().unwrap(), content.subject);
    assert_eq!(message.body_text(0).unwrap(), content.text);
    assert_eq!(message.body_html(0).unwrap(), "<p>Grüße</p>");
    let to = message.to().unwrap().first().unwrap();
    assert_eq!(
        (to.name(), to.address()),
        (Some("Jürgen \"J\" Groß"), Some("jg@xn--bcher-kva.example"))
    );
    assert!(text.contains("Auto-Submitted: auto-generated\r\n") && text.contains("Content-Language: de\r\n"));
}

/// What foreign mail is made of, in any order.
const SHAPED: &str = "(?s)(Content-Type: (multipart/(mixed|signed|encrypted|alternative); boundary=b|text/(html|plain); \
    charset=(utf-(7|8|16)|iso-(8859-(1|15)|2022-jp)|windows-125[0-9]|big5|[a-z0-9-]{0,9})|message/rfc822)\r?\n|Subject: =[?](utf-(7|16)|iso-2022-jp)[?][BQ][?][ -~ä]{0,9}[?]=\r?\n|\
    Content-Transfer-Encoding: (base64|quoted-printable)\r?\n|From: [ -~ä]{0,20}\r?\n|--b(--)?\r?\n|\r?\n|-----BEGIN PGP (SIGNED )?MESSAGE-----\n|\
    <[a-z/!-]{0,9}>?|&[#x0-9a-zä]{0,8};|[ -~ä]{0,20}){0,30}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back(
        text in "(?s)[a-zäöü€=. \t\r\nF\u{0}-\u{1f}–😀]{0,400}",
        subject in "[ -~äöü€😀]{0,200}",
        file in prop::collection::vec(any::<u8>(), 0..300),
        name in "[ -~äöü€😀]{1,80}",
    ) {
        let content = Content {
            subject: subject.trim().to_owned(),
            text: text.clone(),
            html: None,
            attachments: vec![Attachment {
                name: name.clone(),
                media_type: "application/x-test".to_owned(),
                bytes: file.clone(),
            }],
            language: "en".to_owned(),
        };
        let mail = clear_mail(&content, &headers()).unwrap();
        let lines = std::str::from_utf8(&mail).unwrap();
        prop_assert!(lines.is_ascii());
        prop_assert!(lines.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
        let canonical = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let message = MessageParser::default().parse(&mail).unwrap();
        prop_assert_eq!(message.body_text(0).unwrap(), canonical.as_str());
        prop_assert_eq!(message.subject().unwrap_or_default(), content.subject.as_str());
        prop_assert_eq!(message.attachment(0).unwrap().contents(), file.as_slice());
        prop_assert_eq!(message.attachment(0).unwrap().attachment_name().unwrap(), name.as_str());
        let opened = open(&mail, None, &[], now());
        prop_assert_eq!(opened.text, canonical);
        prop_assert_eq!(&opened.attachments[0].bytes, &file);
    }

    #[test]
    fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..600), shaped in SHAPED) {
        for bytes in [raw.as_slice(), shaped.as_bytes()] {
            open(bytes, Some(&OUR_KEY), &[], now());
            let _ = read_one(bytes);
        }
    }
}
