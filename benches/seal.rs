//! What sealing costs beside its cryptography: a 4 KB notice sealed by breachpost, against bare calls of the OpenPGP
//! library over the same bytes with the same keys (goal: at least 0.85 of its speed), and against one `gpg --sign
//! --encrypt` process per message (goal: at least 20 times as fast). Measured in turn (A B A B), medians of the rounds,
//! because the machine's speed drifts. Run with `cargo bench --bench seal`.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

use std::fs::Permissions;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use breachpost::directory::certificate::{Usable, judge, read_one};
use breachpost::message::key::{self, Algorithm, OurKey};
use breachpost::message::mime::{Content, Headers, Mailbox};
use breachpost::message::seal::seal;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::cert::amalgamation::key::PrimaryKey;
use openpgp::crypto::{KeyPair, Password};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient, Signer};
use openpgp::types::{Features, SymmetricAlgorithm};

const PASSPHRASE: &str = "bench";
const ROUNDS: usize = 9;
const MESSAGES: usize = 400;
const GPG_MESSAGES: usize = 40;

fn main() {
    let now = SystemClock.now();
    let ours = generate(Algorithm::Ed25519, now);
    let secret = ours.secret_armored.expose().as_bytes();
    let our = OurKey::load(secret, &Secret::new(PASSPHRASE), now).unwrap();
    let signer = signer_of(secret, now);
    for (name, algorithm) in [("Cv25519", Algorithm::Ed25519), ("RSA 4096", Algorithm::Rsa4096)] {
        let certificate = generate(algorithm, now).public_armored;
        let to = judge(&read_one(certificate.as_bytes()).unwrap(), None, now).unwrap();
        let own = judge(our.certificate(), None, now).unwrap();
        let (content, headers) = (content(), headers(now));
        let inner = seal(&content, &headers, &our, &to, now).unwrap().content;
        println!(
            "4 KB notice ({} bytes with headers and certificate), Ed25519 -> {name} and self",
            inner.len()
        );

        let mut rates = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let sealed = rate(MESSAGES, || {
                drop(black_box(seal(&content, &headers, &our, &to, now).unwrap()))
            });
            let bare = rate(MESSAGES, || drop(black_box(bare(&inner, &signer, &to, &own, now))));
            rates.0.push(sealed);
            rates.1.push(bare);
            rates.2.push(sealed / bare);
        }
        println!("  breachpost      {:8.0} messages/s", median(rates.0.clone()));
        println!("  bare library    {:8.0} messages/s", median(rates.1));
        println!(
            "  ratio           {:8.2}  (median of {ROUNDS} pairs, goal 0.85)",
            median(rates.2)
        );

        let gpg = Gpg::new(&unprotected(secret), &certificate);
        let mut ratios = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let sealed = rate(MESSAGES, || {
                drop(black_box(seal(&content, &headers, &our, &to, now).unwrap()))
            });
            let process = rate(GPG_MESSAGES, || gpg.seal(&inner, to.fingerprint(), our.fingerprint()));
            let bare = rate(MESSAGES, || drop(black_box(bare(&inner, &signer, &to, &own, now))));
            ratios.0.push(process);
            ratios.1.push(sealed / process);
            ratios.2.push(bare / process);
        }
        println!("  gpg per message {:8.0} messages/s", median(ratios.0));
        println!(
            "  ratio           {:8.1}  (median of {ROUNDS} pairs, goal 20)",
            median(ratios.1)
        );
        println!(
            "  library's ratio {:8.1}  (what is possible with these keys)",
            median(ratios.2)
        );
    }
}

fn generate(algorithm: Algorithm, now: Time) -> key::Generated {
    let passphrase = Secret::new(PASSPHRASE);
    key::generate(
        "Bench",
        "bench@example.lu",
        algorithm,
        key::DEFAULT_VALIDITY,
        &passphrase,
        now,
    )
    .unwrap()
}

/// Repetitions per second.
fn rate(repetitions: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repetitions {
        work();
    }
    repetitions as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn signer_of(secret: &[u8], now: Time) -> KeyPair {
    let policy = StandardPolicy::new();
    let cert = openpgp::Cert::from_bytes(secret).unwrap();
    let keys = cert
        .keys()
        .secret()
        .with_policy(&policy, SystemTime::from(now))
        .for_signing();
    let key = keys.last().unwrap().key().clone();
    key.decrypt_secret(&Password::from(PASSPHRASE))
        .unwrap()
        .into_keypair()
        .unwrap()
}

/// Our key without a passphrase, for GnuPG: unlocking it for each message would measure nothing but the key derivation.
fn unprotected(secret: &[u8]) -> Vec<u8> {
    let cert = openpgp::Cert::from_bytes(secret).unwrap();
    let open = cert.keys().secret().map(|key| {
        let open = key.key().clone().decrypt_secret(&Password::from(PASSPHRASE)).unwrap();
        match key.primary() {
            true => Packet::from(open.role_into_primary()),
            false => Packet::from(open.role_into_subordinate()),
        }
    });
    let open: Vec<Packet> = open.collect();
    cert.insert_packets(open).unwrap().0.as_tsk().to_vec().unwrap()
}

/// What anybody would write with the library at hand.
fn bare(plain: &[u8], signer: &KeyPair, to: &Usable, own: &Usable, now: Time) -> Vec<u8> {
    let mut armored = Vec::new();
    let recipients = to.keys().iter().chain(own.keys());
    let recipients = recipients.map(|key| Recipient::new(Features::empty(), key.key_handle(), key));
    let message = Armorer::new(Message::new(&mut armored)).build().unwrap();
    let message = Encryptor::for_recipients(message, recipients)
        .symmetric_algo(SymmetricAlgorithm::AES256)
        .build()
        .unwrap();
    let message = Signer::new(message, signer.clone())
        .unwrap()
        .creation_time(SystemTime::from(now))
        .build()
        .unwrap();
    let mut message = LiteralWriter::new(message).build().unwrap();
    message.write_all(plain).unwrap();
    message.finalize().unwrap();
    armored
}

fn content() -> Content {
    let sentence = "Am 3. März wurde festgestellt, dass Unbefugte Zugriff auf Kundendaten hatten. ";
    Content {
        subject: "Meldung einer Verletzung des Schutzes personenbezogener Daten".to_owned(),
        text: sentence.repeat(4096 / sentence.len() + 1),
        html: None,
        attachments: Vec::new(),
        language: "de".to_owned(),
    }
}

fn headers(now: Time) -> Headers {
    Headers {
        from: Mailbox::new(Some("Datenschutz"), "breach@example.lu"),
        reply_to: None,
        to: Mailbox::new(None, "meldung@aufsicht.example"),
        outer_subject: "BP-7K3M-Q2XR".to_owned(),
        message_id: "<bp.7k3mq2xr@example.lu>".to_owned(),
        date: now,
        in_reply_to: None,
        references: Vec::new(),
        extra: Vec::new(),
    }
}

/// GnuPG with a home of its own; its agent ends with it.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new(secret: &[u8], certificate: &str) -> Self {
        let permissions = Permissions::from_mode(0o700);
        let gpg = Self(
            tempfile::Builder::new()
                .prefix("bpg")
                .permissions(permissions)
                .tempdir_in("/tmp")
                .unwrap(),
        );
        gpg.run(&["--import"], secret);
        gpg.run(&["--import"], certificate.as_bytes());
        gpg
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn seal(&self, plain: &[u8], to: &str, from: &str) {
        let arguments = [
            "--sign",
            "--encrypt",
            "--armor",
            "--trust-model",
            "always",
            "--compress-algo",
            "none",
        ];
        let people = ["--recipient", to, "--recipient", from, "--local-user", from];
        self.run(&[arguments.as_slice(), &people].concat(), plain);
    }

    fn run(&self, arguments: &[&str], input: &[u8]) {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home())
            .args([
                "--batch",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                PASSPHRASE,
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gpg is installed");
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success(), "gpg {arguments:?}");
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        let _ = kill
            .arg("--homedir")
            .arg(self.home())
            .args(["--kill", "gpg-agent"])
            .status();
    }
}
