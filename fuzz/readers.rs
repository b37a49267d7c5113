//! What is done with bytes that a stranger wrote, and what must hold of the result. One function for each fuzz target;
//! `tests/corpus.rs` runs the kept inputs through the same functions with any toolchain. None may panic, hang, or take
//! memory without bound; what is taken must be whole and printable.

use std::sync::LazyLock;

use breachpost::config::Config;
use breachpost::directory::{Directory, Profile, certificate};
use breachpost::mail::{imap, smtp};
use breachpost::message::key::{self, OurKey};
use breachpost::message::passage::{self, Content};
use breachpost::message::token::TokenKey;
use breachpost::message::{authenticity, classify, open};
use breachpost::model::Time;
use breachpost::model::breach::Record;
use breachpost::model::recipient::{self, Columns, Understood};
use breachpost::reading;
use breachpost::reading::table::{Options, Table};
use breachpost::secret::Secret;

/// Fixed, so that an input means the same on every day.
fn now() -> Time {
    Time::from_timestamp(1_795_000_000, 0).expect("a valid instant")
}

/// An overlay of the operator's: read, checked, and asked everything that a notice asks of it.
pub fn profile_yaml(bytes: &[u8]) {
    let Ok(profile) = reading::yaml::<Profile>("profile.yaml", bytes) else {
        return;
    };
    if profile.validate().is_err() {
        return;
    }
    assert!(!profile.name("en").is_empty(), "a checked profile has a name");
    let _ = (
        profile.timezone(),
        profile.ways(),
        profile.ack_senders(),
        profile.calendar_name(),
    );
    let _ = profile.sender_matches("somebody@authority.example");
    let _ = profile.acknowledgement.pattern();
}

/// A record as a person writes it.
pub fn breach_yaml(bytes: &[u8]) {
    breach("breach.yaml", bytes);
}

/// A record as a program writes it.
pub fn breach_json(bytes: &[u8]) {
    breach("breach.json", bytes);
}

/// What was taken is stored as JSON: it must be read again, and be the same.
fn breach(origin: &str, bytes: &[u8]) {
    let Ok(record) = Record::read(origin, bytes) else {
        return;
    };
    let stored = serde_json::to_vec(&record).expect("a record can be written");
    let again = Record::read("stored.json", &stored).expect("a stored record can be read");
    assert_eq!(serde_json::to_vec(&again).expect("a record can be written"), stored);
    let _ = (record.blockers(), record.gaps(now(), None), record.strict_deadline());
}

/// A list of persons: whatever it is, each pass finds the same rows, and no cell that is taken can break a header.
pub fn recipients(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
    std::io::Write::write_all(&mut file, bytes).expect("a scratch file takes the input");
    let Ok(table) = Table::open(file.path(), &Options::default()) else {
        return;
    };
    let mut rows = table.rows().expect("it could be read before");
    let mut count = 0;
    let columns = Columns::of(table.columns(), &[]).ok();
    for row in &mut rows {
        let row = row.expect("it could be read before");
        count += 1;
        assert_eq!(row.cells.len(), table.columns().len());
        let Some(Understood::Usable(person)) = columns.as_ref().map(|columns| recipient::understand(columns, &row))
        else {
            continue;
        };
        let name = person.fields.first("name").unwrap_or_default();
        assert!(!name.chars().chain(person.address.chars()).any(char::is_control));
    }
    assert_eq!((count, rows.sha256()), (table.row_count(), table.sha256()));
}

/// The relay's answers.
pub fn smtp_reply(bytes: &[u8]) {
    let Ok(Some(reply)) = smtp::read_reply(bytes) else {
        return;
    };
    assert!(reply.used <= bytes.len());
    assert!((200..600).contains(&reply.kept.code));
    assert!(reply.kept.text.chars().all(|c| c == '\n' || !c.is_control()));
    let again = smtp::read_reply(&reply.canonical)
        .expect("what we hand on is SMTP")
        .expect("and whole");
    assert_eq!((again.kept.code, again.used), (reply.kept.code, reply.canonical.len()));
}

/// What the mailbox's server says, response for response; a limit below the largest input of the fuzzer.
pub fn imap_response(bytes: &[u8]) {
    const LIMIT: usize = 10_000;
    let mut rest = bytes;
    while let Ok(Some(found)) = imap::read_response(rest, LIMIT) {
        assert!(found.used > 0 && found.used <= rest.len().min(LIMIT));
        let cut = imap::read_response(&rest[..found.used - 1], LIMIT);
        assert!(
            matches!(cut, Ok(None)),
            "a whole response was found in a part of it: {cut:?}"
        );
        rest = &rest[found.used..];
    }
}

/// `authority cert import`.
pub fn certificate(bytes: &[u8]) {
    let Ok(cert) = certificate::read_one(bytes) else {
        return;
    };
    let facts = certificate::describe(&cert, now());
    assert!(facts.fingerprint.len() >= 40);
    certificate::check_fingerprint(&cert, &facts.fingerprint).expect("its own fingerprint fits");
    if let Ok(usable) = certificate::judge(&cert, None, now()) {
        assert!(
            !usable.keys().is_empty(),
            "a usable certificate has a key to encrypt to"
        );
    }
    let _ = certificate::judge_despite_expiry(&cert, Some("databreach@authority.example"), now());
}

/// `config.yaml`.
pub fn config_yaml(bytes: &[u8]) {
    if let Ok(config) = Config::parse("config.yaml", bytes) {
        let _ = (config.fallback_language(), config.name_of(&config.sender));
        let _ = config.relay_to_individuals().retry.policy(None).wait(u32::MAX, 1.0);
    }
}

static OUR_KEY: LazyLock<OurKey> = LazyLock::new(|| {
    let passphrase = Secret::new("fuzz");
    let made = key::generate(
        "Fuzz",
        "breach@company.example",
        key::Algorithm::Ed25519,
        key::DEFAULT_VALIDITY,
        &passphrase,
        now(),
    )
    .expect("a key can be made");
    OurKey::load(made.secret_armored.expose().as_bytes(), &passphrase, now()).expect("our own key can be read")
});
static AUTHORITY: LazyLock<Profile> = LazyLock::new(|| {
    Directory::load(None)
        .and_then(|directory| directory.find("lu-cnpd"))
        .expect("built in")
});

/// What our mail server calls itself in the seeds.
const OUR_SERVER: &str = "mx.company.example";
static TOKENS: LazyLock<TokenKey> = LazyLock::new(|| TokenKey::new([7; 32].into()));
/// A mail as we send it, but for what is in its ciphertext.
const SENT: &[u8] = b"From: <breach@company.example>\r\nTo: <databreach@authority.example>\r\nSubject: ...\r\n\
    Message-ID: <1@company.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=b;\r\n \
    protocol=\"application/pgp-encrypted\"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\
    \r\n--b\r\nContent-Type: application/octet-stream; name=encrypted.asc\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\
    \r\nyxR0AAAAAABoZWxsbyBvdXRzaWRlcg==\r\n-----END PGP MESSAGE-----\r\n\r\n--b--\r\n";

/// What lies in the mailbox: opened and classified, as if tied to a notice and as if not; and whatever is asked of it
/// then: who proves it, what its ids name, and whether it is a mail of ours that came back.
pub fn incoming_mail(bytes: &[u8]) {
    let opened = open::open(bytes, Some(&OUR_KEY), &[], now());
    let marks = classify::marks(&opened);
    for profile in [None, Some(&*AUTHORITY)] {
        assert!(!classify::judge(&opened, &marks, profile).why.is_empty());
    }

    let said = authenticity::said_by_our_server(&opened, OUR_SERVER);
    if authenticity::by_our_server(&opened, OUR_SERVER).is_some() {
        assert!(said.is_some_and(|said| !said.is_empty()), "it decided by what it said");
        assert!(authenticity::from_domain(&opened).is_some(), "and about somebody");
    }
    let ids = opened.in_reply_to.iter().chain(&opened.references);
    for id in ids.chain(&opened.message_id) {
        let _ = TOKENS.read_message_id(id);
    }
    let addresses = opened.to.iter().chain(&opened.from).map(|mailbox| &mailbox.address);
    for address in addresses.chain(&opened.return_path) {
        let _ = TOKENS.read_address(address);
    }
    let unchanged = passage::compare(bytes, bytes, &OUR_KEY, now());
    assert_ne!(unchanged.content, Content::Different, "{unchanged:?}");
    let changed = passage::compare(SENT, bytes, &OUR_KEY, now());
    assert!(changed.content == Content::Identical || !changed.changes.is_empty());
    if passage::carries(SENT, bytes) {
        assert_ne!(changed.content, Content::Missing, "{changed:?}");
    }
}

/// The report in a mail: what is kept of it is bounded, clean, and the same when read again.
pub fn classify(bytes: &[u8]) {
    let opened = open::open(bytes, None, &[], now());
    let marks = classify::marks(&opened);
    let (verdict, authority) = classify::judge_alone(&opened, &marks, std::slice::from_ref(&*AUTHORITY));
    assert!(!verdict.why.is_empty());
    assert!(authority.is_some() || verdict.authority_reference.is_none());
    let Some(report) = &marks.report else { return };
    assert_eq!(verdict.kind, report.kind.receipt());
    assert!(report.recipients.len() <= 1000);
    for recipient in &report.recipients {
        let one_line = |text: &str| !text.chars().any(char::is_control);
        assert!(!recipient.address.is_empty() && one_line(&recipient.address));
        assert!(
            recipient
                .diagnostic
                .as_deref()
                .is_none_or(|said| one_line(said) && said.len() <= 1000)
        );
        let status: Vec<&str> = recipient.status.split('.').collect();
        assert!(
            status.len() == 3 && status.iter().all(|part| part.len() <= 3),
            "{}",
            recipient.status
        );
    }
    assert_eq!(classify::marks(&opened), marks);
}
