//! GnuPG 2.2 itself: what we seal, it reads; what it seals and signs, we read; keys go both ways.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use breachpost::directory::certificate::{CertificateError, judge, read_one};
use breachpost::message::key::{self, Algorithm, KeyError, OurKey};
use breachpost::message::mime::Content;
use breachpost::message::open::{Protection, Signature, open};
use breachpost::secret::Secret;
use chrono::TimeDelta;
use mail_parser::{MessageParser, MimeHeaders};
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::policy::StandardPolicy;

use crate::{OUR_KEY, PASSPHRASE, armor_in, checked, content, now};

/// A GnuPG of its own: nothing of it touches the user's, and its agent ends with it.
pub struct Gpg(tempfile::TempDir);

impl Gpg {
    pub fn new() -> Self {
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

    pub fn run(&self, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home())
            .args([
                "--batch",
                "--yes",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
                "--status-fd",
                "2",
            ])
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
        (
            output.status.success(),
            output.stdout,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    pub fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (success, stdout, stderr) = self.run(arguments, input);
        assert!(success, "gpg {arguments:?}: {stderr}");
        stdout
    }

    pub fn make_key(&self, user_id: &str, primary: &str, sub: &str) -> Vec<u8> {
        self.ok(&["--quick-generate-key", user_id, primary, "cert,sign", "never"], b"");
        let listing = String::from_utf8(self.ok(&["--with-colons", "--list-keys", user_id], b"")).unwrap();
        let fingerprint = listing
            .lines()
            .find_map(|l| l.strip_prefix("fpr:"))
            .unwrap()
            .trim_matches(':');
        self.ok(&["--quick-add-key", fingerprint, sub, "encr", "never"], b"");
        self.ok(&["--armor", "--export", user_id], b"")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home())
            .args(["--kill", "gpg-agent"])
            .status();
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
        assert!(
            status.contains("GOODMDC") && status.contains("DECRYPTION_INFO 2 9"),
            "SEIPDv1, AES-256: {status}"
        );
        assert_shows(&inner, &content());

        answer_from(&gpg, user, &cert);
    }
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

fn signing_subkey() -> String {
    let policy = StandardPolicy::new();
    let cert = OUR_KEY.certificate();
    let key = cert
        .keys()
        .with_policy(&policy, SystemTime::from(now()))
        .for_signing()
        .next()
        .unwrap();
    key.key().fingerprint().to_hex()
}

/// GnuPG's owner answers; as PGP/MIME, wrapped by a gateway, inline, and signed only.
fn answer_from(gpg: &Gpg, user: &str, cert: &Cert) {
    let mime = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nEingang bestätigt, Az. 12/34\r\n";
    let to = [
        "--armor",
        "--trust-model",
        "always",
        "--recipient",
        OUR_KEY.fingerprint(),
        "--local-user",
        user,
    ];
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
    let good = Signature::Good {
        fingerprint: cert.fingerprint().to_hex(),
    };
    let wrapped = format!(
        "{head}Content-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n{parts}\r\n--w\r\nContent-Type: text/plain\r\n\r\nWARNING: external mail\r\n--w--\r\n"
    );
    let exchange = wrapped.replace(
        "multipart/encrypted; protocol=\"application/pgp-encrypted\"",
        "multipart/mixed",
    );
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
        assert!(
            matches!(stranger.signature, Signature::Unknown { issuer: Some(_) }),
            "{shape}: {stranger:?}"
        );
        let closed = open(raw.as_bytes(), None, &[], now());
        assert!(
            matches!(closed.protection, Protection::Undecryptable(_)),
            "{shape}: {closed:?}"
        );
    }

    let arguments = [
        "--trust-model",
        "always",
        "--encrypt",
        "--recipient",
        OUR_KEY.fingerprint(),
    ];
    let file = STANDARD.encode(gpg.ok(&arguments, b"%PDF"));
    let beside = format!(
        "{head}Content-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n\r\nSiehe Anlage\r\n--w\r\n\
         Content-Type: application/octet-stream; name=\"bescheid.pdf.gpg\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {file}\r\n--w--\r\n"
    );
    let opened = open(beside.as_bytes(), Some(&OUR_KEY), &[], now());
    assert_eq!(
        (opened.text.as_str(), opened.protection),
        ("Siehe Anlage", Protection::Clear)
    );
    assert_eq!(opened.attachments[0].name, "bescheid.pdf");
    assert_eq!(opened.attachments[0].bytes, b"%PDF");

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
        let made = key::generate(
            "Ä. Müller",
            "dpo@example.lu",
            algorithm,
            TimeDelta::days(30),
            &Secret::new(PASSPHRASE),
            now(),
        )
        .unwrap();
        gpg.ok(&["--import"], made.secret_armored.expose().as_bytes());
        // Signing needs the passphrase: so GnuPG understands how the secret is protected.
        let signed = gpg.ok(
            &["--passphrase", PASSPHRASE, "--local-user", &made.fingerprint, "--sign"],
            b"x",
        );
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
        &[
            "--passphrase",
            PASSPHRASE,
            "--quick-generate-key",
            "dpo@example.lu",
            "ed25519",
            "cert,sign",
            "never",
        ],
        b"",
    );
    let listing = String::from_utf8(gpg.ok(&["--with-colons", "--list-keys"], b"")).unwrap();
    let fingerprint = listing
        .lines()
        .find_map(|l| l.strip_prefix("fpr:"))
        .unwrap()
        .trim_matches(':')
        .to_owned();
    gpg.ok(
        &[
            "--passphrase",
            PASSPHRASE,
            "--quick-add-key",
            &fingerprint,
            "cv25519",
            "encr",
            "never",
        ],
        b"",
    );
    let secret = gpg.ok(&["--passphrase", PASSPHRASE, "--armor", "--export-secret-keys"], b"");
    let ours = OurKey::load(&secret, &Secret::new(PASSPHRASE), now()).unwrap();
    assert_eq!(ours.fingerprint(), fingerprint);
    assert_eq!(ours.expires(), None);
    let wrong = OurKey::load(&secret, &Secret::new("wrong"), now()).unwrap_err();
    assert!(matches!(wrong, KeyError::WrongPassphrase { .. }), "{wrong}");
}

#[test]
fn weak_algorithms_are_refused_whatever_the_library_thinks() {
    let gpg = Gpg::new();
    for (user, primary, sub) in [
        ("dsa@aufsicht.example", "dsa2048", "elg2048"),
        ("short@aufsicht.example", "rsa1024", "rsa1024"),
        ("elg@aufsicht.example", "rsa2048", "elg2048"),
    ] {
        let cert = read_one(&gpg.make_key(user, primary, sub)).unwrap();
        let error = judge(&cert, Some(user), now()).unwrap_err();
        assert!(matches!(error, CertificateError::Weak { .. }), "{user}: {error}");
    }
}
