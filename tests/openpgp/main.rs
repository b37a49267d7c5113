//! Sealed mail from both sides: what GnuPG and other programs make of it, what the check before sending finds, what is made of the mail
//! that comes back, and a zoo of bad certificates.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod certificates;
mod gnupg;
mod interop;
mod layouts;
mod reading;
mod sealing;

use std::sync::LazyLock;
use std::time::SystemTime;

use breachpost::directory::certificate::{Usable, judge, read_one};
use breachpost::message::key::{self, Algorithm, OurKey};
use breachpost::message::mime::{Attachment, Content, Headers, Mailbox};
use breachpost::message::seal::{Sealed, seal, self_check};
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders};
use sequoia_openpgp as openpgp;

use openpgp::cert::CertBuilder;
use openpgp::{Cert, Profile};

const PASSPHRASE: &str = "correct horse";

/// GnuPG makes its keys and signatures by the real time.
fn now() -> Time {
    SystemClock.now()
}

static OURS: LazyLock<key::Generated> = LazyLock::new(|| {
    key::generate(
        "Example DPO",
        "breach@example.lu",
        Algorithm::Ed25519,
        key::DEFAULT_VALIDITY,
        &Secret::new(PASSPHRASE),
        now(),
    )
    .unwrap()
});

static OUR_KEY: LazyLock<OurKey> =
    LazyLock::new(|| OurKey::load(OURS.secret_armored.expose().as_bytes(), &Secret::new(PASSPHRASE), now()).unwrap());

fn content() -> Content {
    let long_line = "Sehr lange Zeile mit Umlauten äöüß € und = Zeichen. ".repeat(40);
    Content {
        subject: "Meldung einer Verletzung nach Art. 33 DSGVO – Müller & Söhne, Vorfall vom 3. März".to_owned(),
        text: format!("Guten Tag\r\n\r\n{long_line}\r\n.\r\nFrom hier \r\n\tEnde ohne Zeilenende"),
        html: None,
        attachments: vec![
            Attachment {
                name: "Anhang – Übersicht.pdf".to_owned(),
                media_type: "application/pdf".to_owned(),
                bytes: b"%PDF-1.7\r\n\0\xff".to_vec(),
            },
            Attachment {
                name: "large.bin".to_owned(),
                media_type: "application/octet-stream".to_owned(),
                bytes: (0..3_000_000u32)
                    .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect(),
            },
        ],
        language: "de".to_owned(),
    }
}

fn small() -> Content {
    Content {
        text: "Grüße\r\n".to_owned(),
        attachments: Vec::new(),
        ..content()
    }
}

fn headers() -> Headers {
    Headers {
        from: Mailbox::new(Some("Müller, Datenschutz"), "breach@example.lu"),
        reply_to: Some(Mailbox::new(None, "breach@example.lu")),
        to: Mailbox::new(Some("Aufsicht"), "meldung@aufsicht.example"),
        outer_subject: "BP-7K3M-Q2XR".to_owned(),
        message_id: "<bp.7k3mq2xr@example.lu>".to_owned(),
        date: now(),
        in_reply_to: None,
        references: vec!["<first@example.lu>".to_owned(), "<second@example.lu>".to_owned()],
        extra: vec![("X-Reference".to_owned(), "BP-7K3M-Q2XR".to_owned())],
    }
}

fn usable(certificate: &[u8]) -> Usable {
    judge(&read_one(certificate).unwrap(), None, now()).unwrap()
}

fn checked(content: &Content, to: &Usable) -> Sealed {
    let sealed = seal(content, &headers(), &OUR_KEY, to, now()).unwrap();
    self_check(&sealed, content, &OUR_KEY, to).unwrap();
    sealed
}

fn armor_in(mail: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(mail).unwrap();
    let from = text.find("-----BEGIN PGP MESSAGE-----").unwrap();
    let end = "-----END PGP MESSAGE-----";
    text.as_bytes()[from..text.find(end).unwrap() + end.len()].to_vec()
}

/// The files of a mail, as a mail program saves them.
fn attached(mail: &[u8]) -> Vec<Attachment> {
    let message = MessageParser::default().parse(mail).unwrap();
    message
        .attachments()
        .map(|part| Attachment {
            name: part.attachment_name().unwrap().to_owned(),
            media_type: String::new(),
            bytes: part.contents().to_vec(),
        })
        .collect()
}

/// What is signed in a multipart/signed, and the signature (RFC 3156 §5).
fn signed_parts(mail: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let text = std::str::from_utf8(mail).unwrap();
    let after = |text: &str, mark: &str| text.find(mark).unwrap() + mark.len();
    let boundary = &text[after(text, "boundary=\"")..];
    let line = format!("\r\n--{}\r\n", &boundary[..boundary.find('"').unwrap()]);
    let (_, rest) = text.split_once(&line).unwrap();
    let (data, signature) = rest.split_once(&line).unwrap();
    let armor = signature.find("-----BEGIN").unwrap();
    let end = after(signature, "-----END PGP SIGNATURE-----");
    (data.as_bytes().to_vec(), signature.as_bytes()[armor..end].to_vec())
}

fn recipient_with(
    change: impl FnOnce(CertBuilder<'static>) -> CertBuilder<'static>,
) -> (Cert, openpgp::packet::Signature) {
    let builder = CertBuilder::new()
        .set_profile(Profile::RFC4880)
        .unwrap()
        .set_creation_time(SystemTime::from(now() - TimeDelta::days(100)))
        .add_userid("Aufsicht <meldung@aufsicht.example>");
    change(builder.add_transport_encryption_subkey()).generate().unwrap()
}
