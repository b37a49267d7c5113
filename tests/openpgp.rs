//! Sealed mail against GnuPG itself: what we seal, it reads; what it seals, we read. And a zoo of bad certificates.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use breachpost::directory::certificate::{self, CertificateError, Usable, judge, judge_despite_expiry, read_one};
use breachpost::message::key::{self, Algorithm, KeyError, OurKey};
use breachpost::message::mime::{Attachment, Content, Headers, Mailbox, clear_mail};
use breachpost::message::open::{Opened, Protection, Signature, open};
use breachpost::message::seal::{Flaw, SealError, Sealed, seal, self_check};
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use sequoia_openpgp as openpgp;

use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::{Serialize, SerializeInto};
use openpgp::types::{Features, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use openpgp::{Cert, Packet, Profile};

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

static OUR_KEY: LazyLock<OurKey> = LazyLock::new(|| {
    OurKey::load(OURS.secret_armored.expose().as_bytes(), &Secret::new(PASSPHRASE), now()).unwrap()
});

/// A GnuPG of its own: nothing of it touches the user's, and its agent ends with it.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Self {
        // Sockets need a short path.
        let home = tempfile::Builder::new()
            .prefix("bpg")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .unwrap();
        Self(home)
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home())
            .args(["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--status-fd", "2"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gpg 2.2 is installed");
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A gpg that refuses its input closes the pipe early.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (success, stdout, stderr) = self.run(arguments, input);
        assert!(success, "gpg {arguments:?}: {stderr}");
        stdout
    }

    fn make_key(&self, user_id: &str, primary: &str, sub: &str) -> Vec<u8> {
        self.ok(&["--quick-generate-key", user_id, primary, "cert,sign", "never"], b"");
        let listing = String::from_utf8(self.ok(&["--with-colons", "--list-keys", user_id], b"")).unwrap();
        let fingerprint = listing.lines().find_map(|l| l.strip_prefix("fpr:")).unwrap().trim_matches(':');
        self.ok(&["--quick-add-key", fingerprint, sub, "encr", "never"], b"");
        self.ok(&["--armor", "--export", user_id], b"")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home()).args(["--kill", "gpg-agent"]).status();
    }
}

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
                bytes: (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
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

/// What a mail program makes of the decrypted part.
fn assert_shows(inner: &[u8], wanted: &Content) {
    let message = MessageParser::default().parse(inner).unwrap();
    assert_eq!(message.subject().unwrap(), wanted.subject);
    assert_eq!(message.body_text(0).unwrap(), wanted.text);
    for (i, attachment) in wanted.attachments.iter().enumerate() {
        let part = message.attachment(u32::try_from(i).unwrap()).unwrap();
        assert_eq!(part.attachment_name().unwrap(), attachment.name);
        assert_eq!(part.contents(), attachment.bytes);
    }
}

#[test]
fn gnupg_reads_what_we_seal_and_we_read_its_answers() {
    let gpg = Gpg::new();
    gpg.ok(&["--import"], OUR_KEY.public_armored().as_bytes());
    for (user, primary, sub) in [
        ("rsa@aufsicht.example", "rsa4096", "rsa4096"),
        ("curve@aufsicht.example", "ed25519", "cv25519"),
        ("nist@aufsicht.example", "nistp256", "nistp256"),
    ] {
        let certificate = gpg.make_key(user, primary, sub);
        let cert = read_one(&certificate).unwrap();
        let to = judge(&cert, Some(user), now()).unwrap();
        let sealed = checked(&content(), &to);

        let (success, inner, status) = gpg.run(&["--decrypt"], &armor_in(&sealed.mail));
        assert!(success, "{status}");
        assert_eq!(inner, sealed.content, "{user}: byte for byte");
        assert!(status.contains(&format!("VALIDSIG {}", signing_subkey())), "{status}");
        assert!(status.contains(OUR_KEY.fingerprint()), "{status}");
        assert!(status.contains("GOODMDC") && status.contains("DECRYPTION_INFO 2 9"), "SEIPDv1, AES-256: {status}");
        assert_shows(&inner, &content());

        answer_from(&gpg, user, &cert);
    }
}

fn signing_subkey() -> String {
    let policy = StandardPolicy::new();
    let cert = OUR_KEY.certificate();
    let key = cert.keys().with_policy(&policy, SystemTime::from(now())).for_signing().next().unwrap();
    key.key().fingerprint().to_hex()
}

/// GnuPG's owner answers; as PGP/MIME, wrapped by a gateway, inline, and signed only.
fn answer_from(gpg: &Gpg, user: &str, cert: &Cert) {
    let mime = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nEingang bestätigt, Az. 12/34\r\n";
    let to = ["--armor", "--trust-model", "always", "--recipient", OUR_KEY.fingerprint(), "--local-user", user];
    let sealed = |what: &[u8]| {
        let arguments: Vec<&str> = to.iter().copied().chain(["--sign", "--encrypt"]).collect();
        String::from_utf8(gpg.ok(&arguments, what)).unwrap()
    };
    let head = format!("From: <{user}>\r\nTo: breach@example.lu\r\nSubject: Re: BP-7K3M-Q2XR\r\n");
    let parts = format!(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"e\"\r\n\r\n--e\r\n\
         Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--e\r\n\
         Content-Type: application/octet-stream\r\n\r\n{}\r\n--e--\r\n",
        sealed(mime.as_bytes())
    );
    let good = Signature::Good { fingerprint: cert.fingerprint().to_hex() };
    let wrapped = format!(
        "{head}Content-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n{parts}\r\n--w\r\nContent-Type: text/plain\r\n\r\nWARNING: external mail\r\n--w--\r\n"
    );
    let exchange = wrapped.replace("multipart/encrypted; protocol=\"application/pgp-encrypted\"", "multipart/mixed");
    let inline = format!("{head}\r\n{}", sealed("Eingang bestätigt, Az. 12/34\r\n".as_bytes()));
    for (shape, raw) in [
        ("PGP/MIME", format!("{head}{parts}")),
        ("line feeds only", format!("{head}{parts}").replace("\r\n", "\n")),
        ("gateway", wrapped),
        ("Exchange", exchange),
        ("inline", inline),
    ] {
        let opened = open(raw.as_bytes(), Some(&OUR_KEY), std::slice::from_ref(cert), now());
        assert_eq!(opened.protection, Protection::Encrypted, "{shape}: {opened:?}");
        assert_eq!(opened.signature, good, "{shape}");
        assert_eq!(opened.text, "Eingang bestätigt, Az. 12/34\r\n", "{shape}");
        let stranger = open(raw.as_bytes(), Some(&OUR_KEY), &[], now());
        assert!(matches!(stranger.signature, Signature::Unknown { issuer: Some(_) }), "{shape}: {stranger:?}");
        let closed = open(raw.as_bytes(), None, &[], now());
        assert!(matches!(closed.protection, Protection::Undecryptable(_)), "{shape}: {closed:?}");
    }

    let signature =
        String::from_utf8(gpg.ok(&["--armor", "--detach-sign", "--local-user", user], mime.as_bytes())).unwrap();
    let signed = format!(
        "{head}Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=s\r\n\r\n\
         --s\r\n{mime}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n{signature}\r\n--s--\r\n"
    );
    let clearsigned = String::from_utf8(gpg.ok(&["--clearsign", "--local-user", user], b"Az. 12/34\n")).unwrap();
    for (shape, raw, wanted) in [
        ("signed", signed.clone(), good.clone()),
        ("signed, line feeds only", signed.replace("\r\n", "\n"), good.clone()),
        ("cleartext signature", format!("{head}\r\n{clearsigned}"), good),
        ("changed", signed.replace("12/34", "12/35"), Signature::Bad),
    ] {
        let opened = open(raw.as_bytes(), Some(&OUR_KEY), std::slice::from_ref(cert), now());
        assert_eq!(opened.signature, wanted, "{shape}");
        assert_eq!(opened.protection, Protection::Clear, "{shape}");
        assert!(opened.text.contains("12/3"), "{shape}");
    }
}

#[test]
fn gnupg_imports_our_key_and_its_revocation() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Rsa4096] {
        let gpg = Gpg::new();
        let made = key::generate("Ä. Müller", "dpo@example.lu", algorithm, TimeDelta::days(30), &Secret::new(PASSPHRASE), now()).unwrap();
        gpg.ok(&["--import"], made.secret_armored.expose().as_bytes());
        // Signing needs the passphrase: so GnuPG understands how the secret is protected.
        let signed = gpg.ok(&["--passphrase", PASSPHRASE, "--local-user", &made.fingerprint, "--sign"], b"x");
        assert!(!signed.is_empty());
        gpg.ok(&["--import"], made.revocation_armored.expose().as_bytes());
        let listing = String::from_utf8(gpg.ok(&["--with-colons", "--list-keys"], b"")).unwrap();
        assert!(listing.lines().any(|l| l.starts_with("pub:r:")), "{listing}");
        assert!(!made.secret_armored.expose().contains("PUBLIC KEY BLOCK"));

        let ours = OurKey::load(made.secret_armored.expose().as_bytes(), &Secret::new(PASSPHRASE), now()).unwrap();
        assert_eq!(ours.signs_slowly(), algorithm == Algorithm::Rsa4096);
        let facts = ours.describe(now());
        assert_eq!(facts.user_ids, ["Ä. Müller <dpo@example.lu>"]);
        assert_eq!(facts.problems, Vec::<String>::new());
    }
}

/// A key exported by GnuPG, with its own protection of the secret, is loaded.
#[test]
fn a_key_made_by_gnupg_can_be_ours() {
    let gpg = Gpg::new();
    gpg.ok(
        &["--passphrase", PASSPHRASE, "--quick-generate-key", "dpo@example.lu", "ed25519", "cert,sign", "never"],
        b"",
    );
    let listing = String::from_utf8(gpg.ok(&["--with-colons", "--list-keys"], b"")).unwrap();
    let fingerprint = listing.lines().find_map(|l| l.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
    gpg.ok(&["--passphrase", PASSPHRASE, "--quick-add-key", &fingerprint, "cv25519", "encr", "never"], b"");
    let secret = gpg.ok(&["--passphrase", PASSPHRASE, "--armor", "--export-secret-keys"], b"");
    let ours = OurKey::load(&secret, &Secret::new(PASSPHRASE), now()).unwrap();
    assert_eq!(ours.fingerprint(), fingerprint);
    assert_eq!(ours.expires(), None);
    let wrong = OurKey::load(&secret, &Secret::new("wrong"), now()).unwrap_err();
    assert!(matches!(wrong, KeyError::WrongPassphrase { .. }), "{wrong}");
}

#[test]
fn readers_that_announce_newer_formats_still_get_seipdv1() {
    for profile in [Profile::RFC4880, Profile::RFC9580] {
        let (secret, _) = recipient_with(|b| b.set_profile(profile).unwrap().set_features(Features::sequoia()).unwrap());
        let to = usable(&secret.clone().strip_secret_key_material().armored().to_vec().unwrap());
        let sealed = checked(&small(), &to);
        let inner = decrypt_as(&secret, &armor_in(&sealed.mail));
        assert_eq!(inner, sealed.content);
    }
}

/// The reader's side, by the bare library.
fn decrypt_as(secret: &Cert, armored: &[u8]) -> Vec<u8> {
    use openpgp::parse::stream::{DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper};
    struct Reader<'a>(&'a Cert);
    impl VerificationHelper for Reader<'_> {
        fn get_certs(&mut self, _: &[openpgp::KeyHandle]) -> openpgp::Result<Vec<Cert>> {
            Ok(vec![OUR_KEY.certificate().clone()])
        }
        fn check(&mut self, _: MessageStructure<'_>) -> openpgp::Result<()> {
            Ok(())
        }
    }
    impl DecryptionHelper for Reader<'_> {
        fn decrypt(
            &mut self,
            pkesks: &[openpgp::packet::PKESK],
            _: &[openpgp::packet::SKESK],
            algorithm: Option<openpgp::types::SymmetricAlgorithm>,
            decrypt: &mut dyn FnMut(Option<openpgp::types::SymmetricAlgorithm>, &openpgp::crypto::SessionKey) -> bool,
        ) -> openpgp::Result<Option<Cert>> {
            for key in self.0.keys().secret() {
                let mut pair = key.key().clone().into_keypair()?;
                for pkesk in pkesks {
                    if pkesk.decrypt(&mut pair, algorithm).is_some_and(|(a, s)| decrypt(a, &s)) {
                        return Ok(Some(self.0.clone()));
                    }
                }
            }
            panic!("not encrypted to the reader")
        }
    }
    let policy = StandardPolicy::new();
    let mut plain = Vec::new();
    let mut decryptor = DecryptorBuilder::from_bytes(armored)
        .unwrap()
        .with_policy(&policy, SystemTime::from(now()), Reader(secret))
        .unwrap();
    std::io::copy(&mut decryptor, &mut plain).unwrap();
    plain
}

fn recipient_with(change: impl FnOnce(CertBuilder<'static>) -> CertBuilder<'static>) -> (Cert, openpgp::packet::Signature) {
    let builder = CertBuilder::new()
        .set_profile(Profile::RFC4880)
        .unwrap()
        .set_creation_time(SystemTime::from(now() - TimeDelta::days(100)))
        .add_userid("Aufsicht <meldung@aufsicht.example>");
    change(builder.add_transport_encryption_subkey()).generate().unwrap()
}

#[test]
fn a_sealed_mail_tells_nothing_outside() {
    let (secret, _) = recipient_with(|b| b);
    let sealed = checked(&content(), &usable(&secret.strip_secret_key_material().to_vec().unwrap()));
    let mail = std::str::from_utf8(&sealed.mail).unwrap();
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(head.contains("\r\nSubject: BP-7K3M-Q2XR\r\n"), "{head}");
    for absent in ["Art. 33", "Verletzung", "Auto-Submitted", "Precedence"] {
        assert!(!mail.contains(absent), "{absent}");
    }
    assert!(mail.is_ascii() && mail.ends_with("\r\n") && !mail.replace("\r\n", "").contains(['\r', '\n']));
    assert!(mail.lines().all(|line| line.len() <= 78));
    let inner = std::str::from_utf8(&sealed.content).unwrap();
    assert!(inner.is_ascii() && inner.lines().all(|line| line.len() <= 78));
    for present in [
        "protected-headers=\"v1\"",
        "hp=\"cipher\"",
        "HP-Outer: Subject: BP-7K3M-Q2XR\r\n",
        "HP-Outer: Message-ID: <bp.7k3mq2xr@example.lu>\r\n",
        "Message-ID: <bp.7k3mq2xr@example.lu>\r\n",
        "application/pgp-keys",
        "Content-Language: de\r\n",
    ] {
        assert!(inner.contains(present), "{present}");
    }
}

#[test]
fn the_check_finds_whatever_was_changed() {
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    let (other, _) = recipient_with(|b| b);
    let other = usable(&other.strip_secret_key_material().to_vec().unwrap());
    let content = small();
    let good = checked(&content, &to);
    let flaw = |sealed: &Sealed, content: &Content| match self_check(sealed, content, &OUR_KEY, &to) {
        Err(SealError::Check(flaw)) => flaw,
        other => panic!("{other:?}"),
    };
    let with_packets = |change: &dyn Fn(Vec<Packet>) -> Vec<Packet>| {
        let packets = change(openpgp::PacketPile::from_bytes(&armor_in(&good.mail)).unwrap().into_children().collect());
        let mut bytes = Vec::new();
        {
            let mut writer = openpgp::armor::Writer::new(&mut bytes, openpgp::armor::Kind::Message).unwrap();
            for packet in packets {
                packet.serialize(&mut writer).unwrap();
            }
            writer.finalize().unwrap();
        }
        let armored = String::from_utf8(bytes).unwrap().trim_end().replace('\n', "\r\n");
        let mail = String::from_utf8(good.mail.clone()).unwrap();
        let mail = mail.replace(std::str::from_utf8(&armor_in(&good.mail)).unwrap(), &armored).into_bytes();
        Sealed { mail, ..good.clone() }
    };
    assert_eq!(self_check(&with_packets(&|p| p), &content, &OUR_KEY, &to).map_err(|e| e.to_string()), Ok(()));

    let dropped = with_packets(&|p| p.into_iter().skip(1).collect());
    assert!(matches!(flaw(&dropped, &content), Flaw::Recipients { .. }));
    let for_another = seal(&content, &headers(), &OUR_KEY, &other, now()).unwrap();
    assert!(matches!(flaw(&for_another, &content), Flaw::Recipients { .. }));
    let headless = with_packets(&|p| p.into_iter().take(2).collect());
    assert_eq!(flaw(&headless, &content), Flaw::NoCiphertext);
    let marked = with_packets(&|mut p| {
        p.insert(0, openpgp::packet::Marker::default().into());
        p
    });
    assert!(matches!(flaw(&marked, &content), Flaw::StrangePacket { .. }));
    let beside = with_packets(&|mut p| {
        let mut literal = openpgp::packet::Literal::new(openpgp::types::DataFormat::Binary);
        literal.set_body(b"in clear".to_vec());
        p.push(literal.into());
        p
    });
    assert!(matches!(flaw(&beside, &content), Flaw::StrangePacket { .. }));

    let armor = armor_in(&good.mail);
    let at = good.mail.windows(armor.len()).position(|w| w == armor).unwrap();
    for offset in [200, armor.len() / 2, armor.len() - 60] {
        let mut mail = good.mail.clone();
        let spot = (at + offset..).find(|i| mail[*i].is_ascii_alphanumeric()).unwrap();
        mail[spot] = if mail[spot] == b'A' { b'B' } else { b'A' };
        flaw(&Sealed { mail, ..good.clone() }, &content);
    }
    let emptied = Sealed {
        mail: [&good.mail[..at], b"\r\n", &good.mail[at + armor.len()..]].concat(),
        ..good.clone()
    };
    assert_eq!(flaw(&emptied, &content), Flaw::NoCiphertext);

    let mut another = content.clone();
    another.text.push_str("more");
    assert_eq!(flaw(&good, &another), Flaw::Content { what: "text" });
    let swapped = Sealed { content: seal(&another, &headers(), &OUR_KEY, &to, now()).unwrap().content, ..good.clone() };
    assert!(matches!(flaw(&swapped, &another), Flaw::Content { .. } | Flaw::Undecryptable { .. }));
    let renamed = Content { subject: "Something else".to_owned(), ..content.clone() };
    assert_eq!(flaw(&good, &renamed), Flaw::Content { what: "subject" });
    let added = Content { attachments: self::content().attachments, ..content.clone() };
    assert_eq!(flaw(&good, &added), Flaw::Content { what: "attachments" });
    let digest = Sealed { content_sha256: "00".repeat(32), ..good.clone() };
    assert_eq!(flaw(&digest, &content), Flaw::Content { what: "digest" });

    let telling = Headers { outer_subject: format!("Re: {}", content.subject), ..headers() };
    let leaking = seal(&content, &telling, &OUR_KEY, &to, now()).unwrap();
    assert_eq!(flaw(&leaking, &content), Flaw::SubjectInClear { header: "Subject".to_owned() });
    let clear = Sealed { mail: clear_mail(&content, &headers()).unwrap(), ..good };
    assert_eq!(flaw(&clear, &content), Flaw::NotPgpMime);
}

#[test]
fn no_header_value_can_begin_a_header_of_its_own() {
    let evil = "x\r\nBcc: everybody@example.org";
    let cases: Vec<(&str, Box<dyn Fn(&mut Content, &mut Headers)>)> = vec![
        ("Subject", Box::new(|c, _| c.subject = evil.into())),
        ("Subject", Box::new(|_, h| h.outer_subject = evil.into())),
        ("From", Box::new(|_, h| h.from.name = Some(evil.into()))),
        ("From", Box::new(|_, h| h.from.address = format!("{evil}@example.org"))),
        ("Reply-To", Box::new(|_, h| h.reply_to = Some(Mailbox::new(Some("a\0b"), "a@example.org")))),
        ("To", Box::new(|_, h| h.to.address = "a@example.org\nBcc: b@example.org".into())),
        ("To", Box::new(|_, h| h.to.address = "a@example.org>, <b@example.org".into())),
        ("Message-ID", Box::new(|_, h| h.message_id = format!("<{evil}>"))),
        ("Message-ID", Box::new(|_, h| h.message_id = "no brackets@example.org".into())),
        ("In-Reply-To", Box::new(|_, h| h.in_reply_to = Some("<a@b>\r\n\r\nbody".into()))),
        ("References", Box::new(|_, h| h.references.push("<a@b>\rX: y".into()))),
        ("X-Note", Box::new(|_, h| h.extra.push(("X-Note".into(), evil.into())))),
        ("X-Note\\r", Box::new(|_, h| h.extra.push(("X-Note\r\nBcc".into(), "x".into())))),
        ("Bcc", Box::new(|_, h| h.extra.push(("Bcc".into(), "a@example.org".into())))),
        ("Content-Type", Box::new(|_, h| h.extra.push(("Content-Type".into(), "text/html".into())))),
        ("language", Box::new(|c, _| c.language = "de\r\nX: y".into())),
        ("Content-Type", Box::new(|c, _| c.attachments[0].name = "a\r\nb".into())),
        ("media type", Box::new(|c, _| c.attachments[0].media_type = "text/plain\r\nX: y".into())),
        ("media type", Box::new(|c, _| c.attachments[0].media_type = "message/rfc822".into())),
    ];
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    for (named, change) in cases {
        let (mut content, mut headers) = (content(), headers());
        change(&mut content, &mut headers);
        let text = clear_mail(&content, &headers).map(|m| String::from_utf8(m).unwrap());
        // The outer subject of a clear mail is not used; the sealed one refuses it.
        if let Err(refused) = &text {
            let name = named.split('\\').next().unwrap();
            assert!(refused.to_string().contains(name), "{named}: {refused}");
            assert!(!refused.to_string().contains("example.org"), "{refused}");
        } else {
            assert_eq!(named, "Subject", "{named} was taken");
        }
        assert!(matches!(seal(&content, &headers, &OUR_KEY, &to, now()), Err(SealError::Mime(_))), "{named}");
    }
}

#[test]
fn bad_certificates_each_have_their_own_error() {
    let now = now();
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let (secret, revocation) = recipient_with(|b| b);
    let public = secret.clone().strip_secret_key_material();
    let (second, _) = recipient_with(|b| b);
    let two = [public.to_vec().unwrap(), second.strip_secret_key_material().to_vec().unwrap()].concat();
    let armored = public.armored().to_vec().unwrap();

    for (wanted, bytes) in [
        ("empty", b"  \r\n".to_vec()),
        ("web page", b"<!DOCTYPE html><html>key</html>".to_vec()),
        ("X.509", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec()),
        ("damaged", armored[..armored.len() / 2].to_vec()),
        ("damaged", b"hello".to_vec()),
        ("secret key", secret.as_tsk().armored().to_vec().unwrap()),
        ("2 certificates", two),
    ] {
        let error = read_one(&bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }

    let judged = |cert: &Cert| judge(cert, Some("MELDUNG@aufsicht.example"), now).unwrap_err();
    let revoked = public.clone().insert_packets(vec![Packet::from(revocation)]).unwrap().0;
    assert!(matches!(judged(&revoked), CertificateError::Revoked { .. }));
    assert!(matches!(judge_despite_expiry(&revoked, None, now), Err(CertificateError::Revoked { .. })));

    let (expired, _) = recipient_with(|b| b.set_validity_period(days(10)));
    let CertificateError::Expired { what, on, .. } = judged(&expired) else { panic!() };
    assert_eq!((what, (on - (now - TimeDelta::days(90))).num_hours()), ("certificate", 0));
    assert_eq!(judge_despite_expiry(&expired, None, now).unwrap().keys().len(), 1);

    let bare = || {
        CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .unwrap()
            .set_creation_time(SystemTime::from(now - TimeDelta::days(100)))
            .add_userid("Aufsicht <meldung@aufsicht.example>")
    };
    let encryption = KeyFlags::empty().set_transport_encryption();
    let (subkey_expired, _) = bare().add_subkey(encryption.clone(), days(10), None).generate().unwrap();
    assert!(matches!(judged(&subkey_expired), CertificateError::Expired { what: "encryption subkey", .. }));
    assert!(judge_despite_expiry(&subkey_expired, None, now).is_ok());
    let (signing_only, _) = bare().add_signing_subkey().generate().unwrap();
    assert!(matches!(judged(&signing_only), CertificateError::NoEncryptionKey { .. }));
    let (later, _) = bare()
        .set_creation_time(SystemTime::from(now + TimeDelta::days(2)))
        .add_transport_encryption_subkey()
        .generate()
        .unwrap();
    assert!(matches!(judged(&later), CertificateError::NotYetValid { .. }));
    assert!(matches!(
        judge(&public, Some("other@aufsicht.example"), now),
        Err(CertificateError::NoSuchAddress { .. })
    ));
    assert!(matches!(judged(&sha1_bound(&public, &secret)), CertificateError::Weak { .. }));
    let subkey_revoked = revoke_subkeys(&secret);
    assert!(matches!(judged(&subkey_revoked), CertificateError::NoEncryptionKey { .. }));

    let good = judge(&public, Some("MELDUNG@AUFSICHT.example"), now).unwrap();
    assert_eq!(good.expires(), None);
    let facts = certificate::describe(&public, now);
    assert_eq!((facts.problems.len(), facts.version), (0, 4));
    assert_eq!(facts.expiry, "does not expire, which is fine");
    assert_eq!(facts.subkeys[0].uses, ["encryption"]);
    assert_eq!(certificate::describe(&revoked, now).problems.len(), 1);
}

/// The same certificate, held together by SHA-1 only.
fn sha1_bound(public: &Cert, secret: &Cert) -> Cert {
    let mut signer = secret.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let at = SystemTime::from(now() - TimeDelta::days(99));
    let primary = Packet::from(public.primary_key().key().clone());
    let id = public.userids().next().unwrap().userid().clone();
    let signature = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(HashAlgorithm::SHA1)
        .set_signature_creation_time(at)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_transport_encryption())
        .unwrap()
        .sign_userid_binding(&mut signer, None, &id)
        .unwrap();
    Cert::from_packets([primary, id.into(), signature.into()].into_iter()).unwrap()
}

fn revoke_subkeys(secret: &Cert) -> Cert {
    let mut signer = secret.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let revocations: Vec<Packet> = secret
        .keys()
        .subkeys()
        .map(|key| {
            openpgp::cert::SubkeyRevocationBuilder::new()
                .set_reason_for_revocation(ReasonForRevocation::KeyRetired, b"retired")
                .unwrap()
                .set_signature_creation_time(SystemTime::from(now() - TimeDelta::days(1)))
                .unwrap()
                .build(&mut signer, secret, key.key(), None)
                .unwrap()
                .into()
        })
        .collect();
    secret.clone().strip_secret_key_material().insert_packets(revocations).unwrap().0
}

#[test]
fn weak_algorithms_are_refused_whatever_the_library_thinks() {
    let gpg = Gpg::new();
    for (user, primary, sub) in
        [("dsa@aufsicht.example", "dsa2048", "elg2048"), ("short@aufsicht.example", "rsa1024", "rsa1024"), ("elg@aufsicht.example", "rsa2048", "elg2048")]
    {
        let cert = read_one(&gpg.make_key(user, primary, sub)).unwrap();
        let error = judge(&cert, Some(user), now()).unwrap_err();
        assert!(matches!(error, CertificateError::Weak { .. }), "{user}: {error}");
    }
}

#[test]
fn fingerprints_as_people_give_them() {
    let (secret, _) = recipient_with(|b| b);
    let cert = secret.strip_secret_key_material();
    let hex = cert.fingerprint().to_hex();
    let pretty = certificate::pretty_fingerprint(&hex);
    for given in [hex.clone(), hex.to_lowercase(), pretty.clone(), format!(" 0x{hex}\n"), pretty.replace(' ', ":")] {
        certificate::check_fingerprint(&cert, &given).unwrap();
    }
    let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    for (given, wanted) in [
        (hex[24..].to_owned(), "key id"),
        (hex[32..].to_owned(), "key id"),
        (hex[1..].to_owned(), "no fingerprint"),
        ("Ä".repeat(40), "no fingerprint"),
        (String::new(), "no fingerprint"),
        ("0".repeat(40), "by telephone"),
        (subkey, "subkey"),
    ] {
        let error = certificate::check_fingerprint(&cert, &given).unwrap_err().to_string();
        assert!(error.contains(wanted), "{given}: {error}");
    }
}

#[test]
fn our_key_is_refused_with_the_reason() {
    let passphrase = Secret::new(PASSPHRASE);
    let now = now();
    let secret = OURS.secret_armored.expose().as_bytes();
    let short = key::generate("", "dpo@example.lu", Algorithm::Ed25519, TimeDelta::days(1), &passphrase, now).unwrap();
    let of = |change: &dyn Fn(CertBuilder<'static>) -> CertBuilder<'static>| {
        let builder = CertBuilder::new().add_userid("<dpo@example.lu>").set_cipher_suite(CipherSuite::Cv25519);
        change(builder).generate().unwrap().0.as_tsk().to_vec().unwrap()
    };
    let no_signing = of(&|b| b.set_primary_key_flags(KeyFlags::empty().set_certification()).add_transport_encryption_subkey());
    let no_encryption = of(&|b| b.add_signing_subkey());
    for (wanted, bytes, passphrase, at) in [
        ("no OpenPGP key", b"nonsense".as_slice(), &passphrase, now),
        ("no OpenPGP key", b"", &passphrase, now),
        ("public certificate", OURS.public_armored.as_bytes(), &passphrase, now),
        ("holds 2 keys", &[no_signing.as_slice(), &no_encryption].concat(), &passphrase, now),
        ("passphrase", secret, &Secret::new("wrong"), now),
        ("expired", short.secret_armored.expose().as_bytes(), &passphrase, now + TimeDelta::days(2)),
        ("clock", secret, &passphrase, now - TimeDelta::days(2)),
        ("no valid signing", &no_signing, &passphrase, now + TimeDelta::days(1)),
        ("no valid encryption", &no_encryption, &passphrase, now + TimeDelta::days(1)),
    ] {
        let error = OurKey::load(bytes, passphrase, at).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let ours = OurKey::load(short.secret_armored.expose().as_bytes(), &passphrase, now).unwrap();
    let (reader, _) = recipient_with(|b| b);
    let to = usable(&reader.strip_secret_key_material().to_vec().unwrap());
    let late = seal(&small(), &headers(), &ours, &to, now + TimeDelta::days(2));
    assert!(matches!(late, Err(SealError::Key(KeyError::Expired { .. }))));
    assert!(!format!("{ours:?}").contains("secret"));
    assert!(key::generate("a", "b@c\n", Algorithm::Ed25519, TimeDelta::days(1), &passphrase, now).is_err());
    assert!(key::generate("a", "b@c", Algorithm::Ed25519, TimeDelta::days(1), &Secret::new(""), now).is_err());
}

#[test]
fn checkpoints_are_signed_and_verified() {
    let certificate = OUR_KEY.public_armored().as_bytes();
    let signature = OUR_KEY.sign_detached(b"length 7, head abc", now()).unwrap();
    let verify = |certificate: &[u8], data: &[u8], signature: &[u8], at| key::verify_detached(certificate, data, signature, at);
    assert_eq!(verify(certificate, b"length 7, head abc", signature.as_bytes(), now()).unwrap(), OUR_KEY.fingerprint());
    // Years later, when the key has long expired, an old checkpoint still counts.
    let later = now() + TimeDelta::days(4000);
    assert!(verify(certificate, b"length 7, head abc", signature.as_bytes(), later).is_ok());
    let (other, _) = recipient_with(|b| b.add_signing_subkey());
    let other = other.strip_secret_key_material().to_vec().unwrap();
    assert!(verify(certificate, b"length 6, head abc", signature.as_bytes(), now()).is_err());
    assert!(verify(&other, b"length 7, head abc", signature.as_bytes(), now()).is_err());
    assert!(verify(certificate, b"length 7, head abc", b"", now()).is_err());
    assert!(verify(certificate, b"length 7, head abc", certificate, now()).is_err());
}

fn opened(raw: &str) -> Opened {
    open(raw.as_bytes(), Some(&OUR_KEY), &[], now())
}

#[test]
fn plain_mail_is_read_whatever_its_shape() {
    let nested = |depth: usize| {
        let mut raw = String::from("From: a@example.org\r\n");
        for i in 0..depth {
            raw.push_str(&format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"));
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
    let deep = opened(&nested(100_000));
    assert!(!deep.defects.is_empty() && deep.text.is_empty());
    let many = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}", "--x\r\n\r\na\r\n".repeat(50_000));
    assert!(opened(&many).text.len() < 10_000);
    let huge = format!("Subject: big\r\n\r\n{}", "x".repeat(33 * 1024 * 1024));
    let huge = opened(&huge);
    assert_eq!((huge.subject.as_str(), huge.text.len(), huge.defects.len()), ("big", 0, 1));
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

/// A stranger wraps our own sealed mail: nothing he adds is shown as if it had been encrypted or signed.
#[test]
fn text_around_an_encrypted_part_is_not_believed() {
    let (secret, _) = recipient_with(|b| b);
    let sealed = checked(&small(), &usable(&secret.strip_secret_key_material().to_vec().unwrap()));
    let mail = String::from_utf8(sealed.mail).unwrap();
    let wrapped = format!(
        "From: x@example.org\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n\r\nWe confirm everything\r\n--w\r\n{mail}\r\n--w--\r\n"
    );
    let opened = opened(&wrapped);
    assert_eq!(opened.text, "Grüße\r\n");
    assert_eq!(opened.protection, Protection::Encrypted);
    assert_eq!(opened.subject, small().subject);
    assert_eq!(opened.defects, ["parts outside the signed or encrypted part were left out"]);
}

#[test]
fn clear_mail_has_text_first() {
    let content = Content { html: Some("<p>Grüße</p>".to_owned()), ..small() };
    let mut headers = headers();
    headers.extra.push(("Auto-Submitted".to_owned(), "auto-generated".to_owned()));
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
    assert_eq!((to.name(), to.address()), (Some("Jürgen \"J\" Groß"), Some("jg@xn--bcher-kva.example")));
    assert!(text.contains("Auto-Submitted: auto-generated\r\n") && text.contains("Content-Language: de\r\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back(text in "(?s)[a-zäöü€=. \t\r\nF\u{0}-\u{1f}–😀]{0,400}", subject in "[ -~äöü€😀]{0,200}", file in prop::collection::vec(any::<u8>(), 0..300), name in "[ -~äöü€😀]{1,80}") {
        let content = Content {
            subject: subject.trim().to_owned(),
            text: text.clone(),
            html: None,
            attachments: vec![Attachment { name: name.clone(), media_type: "application/x-test".to_owned(), bytes: file.clone() }],
            language: "en".to_owned(),
        };
        let mail = clear_mail(&content, &headers()).unwrap();
        let lines = std::str::from_utf8(&mail).unwrap();
        prop_assert!(lines.is_ascii() && lines.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
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
    fn garbage_never_panics(raw in prop::collection::vec(any::<u8>(), 0..600), shaped in "(?s)(Content-Type: (multipart/(mixed|signed|encrypted|alternative); boundary=b|text/html; charset=[a-z0-9-]{0,9}|message/rfc822)\r?\n|--b(--)?\r?\n|\r?\n|-----BEGIN PGP (SIGNED )?MESSAGE-----\n|<[a-z/!-]{0,9}>?|&[#x0-9a-zä]{0,8};|[ -~ä]{0,20}){0,30}") {
        open(&raw, Some(&OUR_KEY), &[], now());
        open(shaped.as_bytes(), Some(&OUR_KEY), &[], now());
        let _ = read_one(&raw);
        let _ = read_one(shaped.as_bytes());
    }
}
