//! What mail is understood as: the corpus in `tests/data/mail`, each file with its expected result beside it, as stored
//! and with CRLF; mail that tries to break the reader; and `mailbox classify` as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use breachpost::directory::Directory;
use breachpost::directory::profile::Profile;
use breachpost::message::classify::{self, Marks, Verdict};
use breachpost::message::key::{self, OurKey};
use breachpost::message::open::{self, Opened, Protection};
use breachpost::model::receipt::ReceiptKind;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::stream::{Armorer, Compressor, Encryptor, LiteralWriter, Message};
use sequoia_openpgp::types::CompressionAlgorithm;
use serde_json::{Value, json};

use world::{Ran, finish};

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| Directory::load(None).unwrap().list().unwrap());

fn now() -> Time {
    Time::from_timestamp(1_795_000_000, 0).unwrap()
}

/// Opened, marked and judged, as `mailbox classify` does it.
fn understand(raw: &[u8]) -> (Opened, Marks, Verdict, Option<&'static Profile>) {
    let mail = open::open(raw, None, &[], now());
    let marks = classify::marks(&mail);
    let (verdict, authority) = classify::judge_alone(&mail, &marks, &PROFILES);
    (mail, marks, verdict, authority)
}

/// The result in the words of the command's record, with what only the library says.
fn record(raw: &[u8]) -> Value {
    let (mail, marks, verdict, authority) = understand(raw);
    let report = marks.report.as_ref();
    let returned = report.and_then(|report| report.returned.as_ref());
    json!({
        "kind": verdict.kind,
        "why": verdict.why,
        "recipients": report.map(|report| report.recipients.clone()).unwrap_or_default(),
        "reference": marks.references.first(),
        "in_reply_to": mail.in_reply_to.first(),
        "authority": authority.map(|profile| profile.id.clone()),
        "authority_reference": verdict.authority_reference,
        "automatic": marks.automatic || marks.answers_by_machine || report.is_some(),
        "envelope_id": report.and_then(|report| report.envelope_id.clone()),
        "reporting_mta": report.and_then(|report| report.reporting_mta.clone()),
        "returned_message_id": returned.and_then(|returned| returned.message_id.clone()),
        "about": report.map(|report| report.about.clone()).unwrap_or_default(),
        "manner": report.and_then(|report| report.manner.clone()),
    })
}

/// Fields of an expectation that are not asserted: why it is so, and what a good reader would also find.
const HINTS: [&str; 6] = [
    "note",
    "kind_also",
    "status_preferred",
    "recipients_preferred",
    "original_message_id",
    "original_recipient",
];

/// Where what is expected and what came out differ. Only what the expectation names counts.
fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut differs = Vec::new();
    for (name, wanted) in expected.as_object().unwrap() {
        let found = &got[name];
        let fits = match name.as_str() {
            hint if HINTS.contains(&hint) => true,
            "kind" => {
                let also = expected["kind_also"].as_array().cloned().unwrap_or_default();
                found == wanted || also.contains(found)
            }
            "recipients" => same_recipients(wanted, found),
            _ => found == wanted,
        };
        if !fits {
            differs.push(format!("{name}: expected {wanted}, got {found}"));
        }
    }
    differs
}

/// The same ones in any order, each with the fields that are named.
fn same_recipients(wanted: &Value, found: &Value) -> bool {
    let (wanted, found) = (wanted.as_array().unwrap(), found.as_array().unwrap());
    let is_there = |one: &Value| {
        found.iter().any(|other| {
            one.as_object()
                .unwrap()
                .iter()
                .all(|(name, value)| other[name] == *value)
        })
    };
    wanted.len() == found.len() && wanted.iter().all(is_there)
}

fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail");
    let mut mails: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .filter(|group| group.as_ref().unwrap().path().is_dir())
        .flat_map(|group| fs::read_dir(group.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    mails.sort();
    mails
}

/// Lone line feeds become CRLF: how the same mail comes over the wire.
fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 30);
    for (i, byte) in raw.iter().enumerate() {
        if *byte == b'\n' && (i == 0 || raw[i - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

#[test]
fn every_mail_of_the_corpus_is_understood() {
    let mut wrong = Vec::new();
    let mails = corpus();
    assert!(mails.len() >= 120, "{} mails", mails.len());
    for path in &mails {
        let expected: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let raw = fs::read(path).unwrap();
        for (form, raw) in [("", raw.clone()), (" with CRLF", with_crlf(&raw))] {
            let got = record(&raw);
            let differs = differences(&expected, &got);
            if !differs.is_empty() {
                wrong.push(format!(
                    "{}{form} ({})\n    {}",
                    path.display(),
                    got["why"],
                    differs.join("\n    ")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        mails.len() * 2,
        wrong.join("\n")
    );
}

/// Nothing that a stranger writes may hold up the next mail: the slowest takes a moment, in an unoptimised build too.
fn understood_soon(what: &str, raw: &[u8]) -> Verdict {
    let before = Instant::now();
    let (mail, .., verdict, _) = understand(raw);
    // Not a measurement: a limit that is missed by a factor, or not at all.
    assert!(before.elapsed().as_secs() < 30, "{what} took {:?}", before.elapsed());
    assert!(mail.text.len() <= 64 * 1024 * 1024, "{what}");
    verdict
}

#[test]
fn mail_of_50_mb_is_judged_by_its_headers() {
    let mut raw = b"From: a@example.org\nSubject: Re: x\nX-Failed-Recipients: b@example.org\n\n".to_vec();
    raw.resize(50 * 1024 * 1024, b'x');
    let (mail, .., verdict, _) = understand(&raw);
    assert_eq!(verdict.kind, ReceiptKind::Bounce);
    assert!(
        mail.text.is_empty() && mail.defects[0].contains("only the headers"),
        "{:?}",
        mail.defects
    );
}

#[test]
fn many_parts_and_deep_nesting_are_cut_off() {
    let head = "From: a@example.org\nSubject: Re: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n";
    let part = "--B\nContent-Type: text/plain\n\nHello\n";
    let many = format!("{head}{}--B--\n", part.repeat(10_000));
    let (mail, .., verdict, _) = understand(many.as_bytes());
    assert_eq!(verdict.kind, ReceiptKind::Reply);
    assert!(mail.text.matches("Hello").count() < 2000);

    let mut deep = String::from("From: a@example.org\nSubject: Re: x\n");
    for depth in 0..100 {
        deep.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=B{depth}\n\n--B{depth}\n"
        ));
    }
    deep.push_str("Content-Type: text/plain\n\nHello\n");
    let (mail, .., verdict, _) = understand(deep.as_bytes());
    assert_eq!(verdict.kind, ReceiptKind::Reply);
    assert!(
        mail.defects.iter().any(|defect| defect.contains("nested")),
        "{:?}",
        mail.defects
    );
}

#[test]
fn huge_headers_and_lines_are_bounded() {
    let long = "x".repeat(1 << 20);
    let addresses = "a@example.org, ".repeat(70_000);
    let words = "=?utf-8?B?w6Q=?= ".repeat(60_000);
    let ids = "<a@example.org> ".repeat(60_000);
    let recipients = "Final-Recipient: rfc822; a@example.org\nAction: failed\nStatus: 5.1.1\n\n".repeat(20_000);
    let table = [
        (
            "subject",
            format!("From: a@example.org\nSubject: Re: {long}\n\nHello\n"),
        ),
        (
            "header",
            format!("From: a@example.org\nX-Long: {long}\nSubject: Re: x\n\nHello\n"),
        ),
        (
            "folded",
            format!(
                "From: a@example.org\nSubject: Re: {}\n\nHello\n",
                "x\n ".repeat(300_000)
            ),
        ),
        (
            "to",
            format!("From: a@example.org\nSubject: Re: x\nTo: {addresses}b@example.org\n\nHello\n"),
        ),
        ("words", format!("From: a@example.org\nSubject: Re: {words}\n\nHello\n")),
        (
            "ids",
            format!("From: a@example.org\nSubject: Re: x\nReferences: {ids}\n\nHello\n"),
        ),
        (
            "headers",
            format!(
                "From: a@example.org\nSubject: Re: x\n{}\nHello\n",
                "X-A: b\n".repeat(100_000)
            ),
        ),
        (
            "line",
            format!(
                "From: a@example.org\nSubject: Re: x\n\n{}\n",
                "a@b.example ".repeat(400_000)
            ),
        ),
        (
            "quotes",
            format!("From: a@example.org\nSubject: Re: x\n\n{}\n", "> x\n".repeat(400_000)),
        ),
        (
            "brackets",
            format!(
                "From: {}a@example.org\nSubject: Re: x\n\nHello\n",
                "(<\"".repeat(100_000)
            ),
        ),
        (
            "html",
            format!(
                "From: a@example.org\nSubject: Re: x\nContent-Type: text/html\n\n{}",
                "<p><b".repeat(400_000)
            ),
        ),
        (
            "status",
            format!(
                "From: <>\nSubject: x\nContent-Type: multipart/report; report-type=delivery-status; boundary=B\n\n--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n{recipients}--B--\n"
            ),
        ),
        (
            "prose",
            format!(
                "From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail\n\ncould not be delivered\n{}",
                "<a@example.org>:\n550 5.1.1 no\n".repeat(50_000)
            ),
        ),
        (
            "codes",
            format!(
                "From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail\n\n{}",
                "5.1.".repeat(400_000)
            ),
        ),
        (
            "ats",
            format!(
                "From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail\n\n{}",
                "@".repeat(1_000_000)
            ),
        ),
    ];
    for (what, raw) in table {
        understood_soon(what, raw.as_bytes());
    }
}

#[test]
fn a_mail_cut_anywhere_is_understood_somehow() {
    for path in corpus().iter().filter(|path| path.to_string_lossy().contains("rfc/")) {
        let raw = fs::read(path).unwrap();
        for end in (0..raw.len()).step_by(37) {
            assert!(!understand(&raw[..end]).2.why.is_empty());
        }
    }
}

#[test]
fn a_mail_damaged_anywhere_is_understood_somehow() {
    // A fixed sequence, so that what fails fails again.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let pieces: [&[u8]; 12] = [
        b"\n",
        b"\r\n\r\n",
        b":",
        b"--",
        b"@",
        b"<",
        b"\0",
        b"\xff\xc3",
        b"=?utf-8?B?",
        b"550 5.1.1",
        "\u{e9}".as_bytes(),
        b"\x1b[2J",
    ];
    for path in corpus() {
        let raw = fs::read(&path).unwrap();
        for _ in 0..4 {
            let mut damaged = raw.clone();
            for _ in 0..8 {
                let at = next(damaged.len());
                let end = (at + next(40)).min(damaged.len());
                damaged.splice(at..end, pieces[next(pieces.len())].iter().copied());
            }
            let (_, marks, verdict, _) = understand(&damaged);
            assert!(!verdict.why.is_empty());
            for recipient in marks.report.iter().flat_map(|report| &report.recipients) {
                let said = format!("{} {:?}", recipient.address, recipient.diagnostic);
                assert!(!said.chars().any(char::is_control), "{}: {said:?}", path.display());
            }
        }
    }
}

/// 100 MB of nothing in some hundred kilobytes, sealed to us.
fn bomb(our: &OurKey) -> Vec<u8> {
    let policy = StandardPolicy::new();
    let keys = our
        .certificate()
        .keys()
        .with_policy(&policy, None)
        .for_transport_encryption();
    let mut armored = Vec::new();
    let message = Armorer::new(Message::new(&mut armored)).build().unwrap();
    let message = Encryptor::for_recipients(message, keys).build().unwrap();
    let message = Compressor::new(message)
        .algo(CompressionAlgorithm::Zlib)
        .build()
        .unwrap();
    let mut message = LiteralWriter::new(message).build().unwrap();
    for _ in 0..100 {
        message.write_all(&[b' '; 1 << 20]).unwrap();
    }
    message.finalize().unwrap();
    armored
}

#[test]
fn a_zip_bomb_in_an_encrypted_mail_stays_closed() {
    let passphrase = Secret::new("bomb");
    let real = SystemClock.now();
    let address = "breach@company.example";
    let made = key::generate(
        "Us",
        address,
        key::Algorithm::Ed25519,
        key::DEFAULT_VALIDITY,
        &passphrase,
        real,
    )
    .unwrap();
    let our = OurKey::load(made.secret_armored.expose().as_bytes(), &passphrase, real).unwrap();
    let armored = bomb(&our);
    assert!(armored.len() < 1 << 20, "{}", armored.len());
    let mut raw = b"From: a@example.org\nSubject: Re: x\nContent-Type: multipart/encrypted; boundary=B;\n protocol=\"application/pgp-encrypted\"\n\n--B\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--B\nContent-Type: application/octet-stream\n\n".to_vec();
    raw.extend_from_slice(&armored);
    raw.extend_from_slice(b"\n--B--\n");
    let mail = open::open(&raw, Some(&our), &[], real);
    match &mail.protection {
        Protection::Undecryptable(why) => assert!(why.contains("larger"), "{why}"),
        other => panic!("{other:?}"),
    }
    let verdict = classify::judge_alone(&mail, &classify::marks(&mail), &PROFILES).0;
    assert_eq!(verdict.kind, ReceiptKind::Reply);
}

/// `mailbox classify` in a folder without a home.
fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
    command
        .args(["mailbox", "classify"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("BREACHPOST_HOME");
    finish(command, input)
}

#[test]
fn the_command_needs_no_home_and_goes_on_after_a_file_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail");
    let bounce = data.join("rfc/failed.eml");
    let mbox =
        "From a@b Wed Nov 18 11:02:10 2026\nSubject: a\n\nx\n\nFrom a@b Wed Nov 18 11:02:11 2026\nSubject: b\n\ny\n";
    fs::write(folder.path().join("two.mbox"), mbox).unwrap();
    fs::write(folder.path().join("empty.eml"), "").unwrap();
    let bounce = bounce.to_str().unwrap();
    let ran = run(
        folder.path(),
        &["--json", "missing.eml", "two.mbox", "empty.eml", bounce],
        b"",
    )
    .exits(1);
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["file"], "missing.eml");
    assert!(lines[1]["error"].as_str().unwrap().contains("2 mails"), "{}", lines[1]);
    assert!(lines[2]["error"].as_str().unwrap().contains("empty"), "{}", lines[2]);
    assert_eq!(lines[3]["kind"], "bounce");
    assert_eq!(lines[3]["recipients"][0]["status"], "5.1.1");
    assert!(fs::read_dir(folder.path()).unwrap().count() == 2, "nothing is written");

    let human = run(folder.path(), &[bounce], b"").exits(0).stdout;
    for part in ["bounce\n", "anna@example.org failed 5.1.1", "BP-7K3M-Q2XR"] {
        assert!(human.contains(part), "{human}");
    }
    let piped = run(folder.path(), &["-", "--json"], &fs::read(bounce).unwrap()).exits(0);
    assert_eq!(piped.json()["file"], "-");
    run(folder.path(), &[], b"").exits(64);
}
