//! The way through when a certificate cannot be used: each rung is taken only by a person's decision, and does what it
//! says; what is sealed to another certificate than the pinned one is held.

use breachpost::drill::receiver::{Act, Step};
use breachpost::message::open::{self, Signature};
use breachpost::model::{Clock, SystemClock};
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::serialize::SerializeInto;

use crate::certificates::{expired, made};
use crate::world::gpg::Gpg;
use crate::world::relay::Relay;
use crate::world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, World, text};

/// Words of the breach that must not be read on the way.
const SECRETS: [&str; 2] = ["payroll", "Weber"];

fn with(rung: &str) -> [&str; 4] {
    ["--override", rung, "--reason", "hour 71"]
}

fn assert_neutral(mail: &[u8]) {
    let readable = String::from_utf8_lossy(mail);
    for secret in SECRETS {
        assert!(!readable.contains(secret), "{secret} is readable");
    }
}

fn import(world: &World, certificate: &str, more: &[&str]) -> crate::world::Ran {
    let fingerprint = Cert::from_bytes(certificate.as_bytes()).unwrap().fingerprint().to_hex();
    world.pin(certificate, &fingerprint, more)
}

/// GnuPG ends with an error when it cannot check a signature.
fn knows_us(gpg: &Gpg, world: &World) {
    let ours = world.run(&["key", "export"]).exits(0).stdout;
    gpg.ok(&["--import"], ours.as_bytes());
}

#[test]
fn a_passphrase_told_by_telephone_opens_what_was_sent() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let sent = world.send(&with("passphrase")).exits(0).says(&["--call-sheet"]).json();
    assert_eq!(text(&sent["state"]), "handed");
    assert_eq!(text(&sent["protection"]["protection"]), "passphrase");
    let mail = &relay.taken(1)[0];
    assert_neutral(&mail.bytes);

    let reference = text(&sent["reference"]);
    let sheet = world.json(&["notice", "show", &reference, "--call-sheet"]);
    assert!(text(&sheet["call"]).starts_with("+352 26 10 60 1"), "{sheet}");
    let passphrase = text(&sheet["passphrase"]);
    let opened = open::open(&mail.bytes, None, &[], SystemClock.now());
    assert!(opened.text.contains(&reference) && opened.text.contains("+352 621 000 111"));
    let notice = opened
        .attachments
        .iter()
        .find(|file| file.name == "notice.txt.gpg")
        .unwrap();
    let gpg = Gpg::new(AUTHORITY_ADDRESS);
    knows_us(&gpg, &world);
    let read = gpg.ok(&["--passphrase", &passphrase, "--decrypt"], &notice.bytes);
    assert!(
        read.contains("export de la paie") || SECRETS.iter().all(|secret| read.contains(secret)),
        "{read}"
    );
    let shown = world.run(&["notice", "show", &reference]).exits(0);
    assert!(!shown.stdout.contains(&passphrase), "only the call sheet tells it");
    world
        .run(&["breach", "show", world.breach()])
        .says(&["passphrase: hour 71"]);

    // They cannot open it before somebody has called.
    world
        .run(&["status"])
        .exits(2)
        .says(&["told them the passphrase by telephone", "--call-sheet"]);
    world.run(&[
        "breach",
        "log",
        world.breach(),
        "--kind",
        "call",
        "--text",
        "told Mr Example",
    ]);
    let status = world.run(&["status"]);
    assert!(!status.stdout.contains("passphrase by telephone"), "{status:?}");
}

#[test]
fn a_stub_that_was_confirmed_is_no_notice_either() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let stub = text(&world.send(&with("stub")).json()["reference"]);
    let sheet = world.run(&["notice", "show", &stub, "--call-sheet"]).exits(0);
    assert!(
        sheet.stdout.contains("breachpost notice record") && !sheet.stdout.contains("notice ack"),
        "{sheet:?}"
    );
    world
        .run(&["notice", "ack", &stub, "--attested"])
        .exits(0)
        .says(&["does not have the notice yet"]);
    world
        .run(&["status"])
        .exits(2)
        .says(&["no authority has been told yet"]);
}

#[test]
fn a_stub_says_nothing_and_is_no_notice() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let stub = world.send(&with("stub")).json();
    assert_neutral(&relay.taken(1)[0].bytes);
    assert!(
        text(&stub["meaning"]).contains("does not have the notice yet"),
        "{stub}"
    );
    world
        .run(&["status"])
        .exits(2)
        .says(&["no authority has been told yet", "--call-sheet"]);
    // The notice that follows is the first one.
    world.import_certificate();
    let sent = world.send(&[]).exits(0).json();
    assert_eq!(
        (text(&sent["kind"]), text(&sent["state"])),
        ("complete".into(), "handed".into())
    );
    assert!(sent["prior"].is_null());
    let status = world.run(&["status"]);
    assert!(
        !status.stdout.contains("--call-sheet"),
        "the stub was followed: {status:?}"
    );
}

#[test]
fn clear_text_leaves_only_where_a_profile_with_a_source_allows_it_and_a_person_types_so() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    world
        .send(&with("tls"))
        .exits(2)
        .says(&["must be written to encrypted"]);
    assert!(relay.mails().is_empty());

    let profile = include_str!("../../authorities/lu-cnpd.yaml");
    let lax = profile.replace(
        "seal: required",
        "seal: when_usable\nseal_source: a letter of the authority, invented\n# was:",
    );
    std::fs::write(world.home().join("authorities/lu-cnpd.yaml"), lax).unwrap();
    world.send(&with("tls")).exits(64).says(&["--confirm-clear lu-cnpd"]);
    assert!(relay.mails().is_empty());
    let sent = world
        .send(&[&with("tls")[..], &["--confirm-clear", "lu-cnpd"]].concat())
        .exits(0)
        .json();
    assert_eq!(text(&sent["protection"]["protection"]), "signed_clear");
    let ours = world.run(&["key", "export"]).exits(0).stdout;
    let ours = Cert::from_bytes(ours.as_bytes()).unwrap();
    let opened = open::open(&relay.taken(1)[0].bytes, None, &[ours], SystemClock.now());
    assert!(
        matches!(opened.signature, Signature::Good { .. }),
        "{:?}",
        opened.signature
    );
}

#[test]
fn an_expired_certificate_is_kept_and_used_only_by_decision() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let certificate = expired();
    import(&world, &certificate, &[]).exits(2).says(&["--accept-expired"]);
    import(&world, &certificate, &["--accept-expired"])
        .exits(0)
        .says(&["CANNOT BE USED NOW"]);
    world
        .send(&[])
        .exits(2)
        .says(&["expired", "--override expired --reason WHY"]);
    assert!(relay.mails().is_empty());
    let sent = world.send(&with("expired")).exits(0).json();
    assert_eq!(text(&sent["protection"]["protection"]), "pgp_mime");
    assert_neutral(&relay.taken(1)[0].bytes);
    world
        .run(&["breach", "show", world.breach()])
        .says(&["expired: hour 71"]);
    world.is_intact();
}

#[test]
fn a_changed_pin_or_a_revocation_holds_what_has_not_left() {
    let first = made(1, 100);
    let revocation = sequoia_openpgp::Packet::from_bytes(first.revocation_armored.expose()).unwrap();
    let cert = Cert::from_bytes(first.public_armored.as_bytes()).unwrap();
    let (revoked, _) = cert.insert_packets(revocation).unwrap();
    let revoked = String::from_utf8(revoked.armored().to_vec().unwrap()).unwrap();
    for (next, status) in [(made(1, 100).public_armored, 0), (revoked, 2)] {
        let relay = Relay::troubled(Step::Rcpt, Act::reply("451 4.7.1 later"), 1);
        let world = World::new(&relay);
        world.open_breach(BREACH);
        import(&world, &first.public_armored, &["--verified", "phone"]).exits(0);
        let queued = world.send(&[]).exits(2).json();
        assert_eq!(text(&queued["state"]), "queued");
        let reference = text(&queued["reference"]);

        import(&world, &next, &["--verified", "phone"]).exits(status);
        assert_eq!(text(&world.notice(&reference)["state"]), "held");
        world.run(&["serve", "--once"]).exits(0);
        assert!(relay.mails().is_empty(), "what is held does not leave by itself");
        world.run(&["status"]).exits(2).says(&["waits for a person's decision"]);
        // A person may still decide that it goes out as it is.
        let sent = world.json(&["notice", "retry", &reference]);
        assert_eq!(text(&sent["state"]), "handed");
        world.is_intact();
    }
}

#[test]
fn sealed_files_are_carried_by_hand_and_booked_under_the_same_reference() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let gpg = Gpg::new(AUTHORITY_ADDRESS);
    knows_us(&gpg, &world);
    let theirs = gpg.ok(&["--armor", "--export", AUTHORITY_ADDRESS], b"");
    import(&world, &theirs, &["--verified", "phone"]).exits(0);
    let folder = world.scratch().join("sealed");
    let line = ["notice", "seal", world.breach(), "--to", AUTHORITY, "-o"];
    let sealed = world.json(&[&line[..], &[folder.to_str().unwrap()]].concat());
    let file = std::fs::read(folder.join("notice.txt.gpg")).unwrap();
    let read = gpg.ok(&["--decrypt"], &file);
    assert!(read.contains(&text(&sealed["reference"])), "{read}");
    assert_neutral(&std::fs::read(folder.join("cover.txt")).unwrap());
    assert!(relay.mails().is_empty() && relay.connections() == 0);
    world
        .run(&[&line[..], &[folder.to_str().unwrap()]].concat())
        .exits(64)
        .says(&["is not empty"]);

    let booked = [
        "notice",
        "record",
        world.breach(),
        "--to",
        AUTHORITY,
        "--channel",
        "hand",
    ];
    let booked = world.json(&booked);
    assert_eq!(booked["reference"], sealed["reference"]);
    assert_eq!(text(&booked["state"]), "handed");
    world.run(&["status"]).exits(0);
}
