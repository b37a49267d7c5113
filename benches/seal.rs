//! What sealing costs beside its cryptography: a notice rendered from its template and sealed by breachpost, against
//!
//! - bare calls of the OpenPGP library over the same bytes with the same keys (goal: at least 0.85 of its speed);
//! - what an operator's script does: one `gpg --sign --encrypt` process for each message, started by Python's
//!   `subprocess.run` (goal: at least 20 times as fast). GnuPG has all advantages such a script can give it: a home with two
//!   certificates and nothing else, its agent running, a signing key without a passphrase, no compression, no web
//!   of trust, one reader, and a text that is ready, where breachpost also renders it, encrypts to itself and writes the
//!   mail around it. Sending is left out on both sides;
//! - the same process started from here, without Python (told, no goal);
//! - the same with a passphrase on the signing key, held by the agent (told, no goal): the agent derives the key anew for
//!   each signature, where breachpost opens its key once.
//!
//! Measured in turn (A B A B), medians of the rounds, because the machine's speed drifts. Run with
//! `cargo bench --bench seal`; needs gpg and python3.
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
use breachpost::message::facts::sample;
use breachpost::message::key::{self, Algorithm, OurKey};
use breachpost::message::mime::{Content, Headers, Mailbox};
use breachpost::message::seal::seal;
use breachpost::message::template::Templates;
use breachpost::model::notice::NoticeKind;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
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
const SIGNER: &str = "signer@example.org";
const READER: &str = "reader@example.net";
const ROUNDS: usize = 9;
const MESSAGES: usize = 400;
const GPG_MESSAGES: usize = 40;

fn main() {
    let now = SystemClock.now();
    let ours = generate(SIGNER, Algorithm::Ed25519, now);
    let secret = ours.secret_armored.expose().as_bytes();
    let our = OurKey::load(secret, &Secret::new(PASSPHRASE), now).unwrap();
    let signer = signer_of(secret, now);
    for (name, algorithm) in [("Cv25519", Algorithm::Ed25519), ("RSA 4096", Algorithm::Rsa4096)] {
        let certificate = generate(READER, algorithm, now).public_armored;
        let to = judge(&read_one(certificate.as_bytes()).unwrap(), None, now).unwrap();
        let own = judge(our.certificate(), None, now).unwrap();
        let headers = headers(now);
        let templates = Templates::load(None).unwrap();
        let facts = sample::notice(NoticeKind::Complete, templates.labels("en").unwrap());
        let notice = || {
            let rendered = templates.render_notice(&facts).unwrap();
            let content = Content {
                subject: rendered.subject,
                text: rendered.text,
                html: None,
                attachments: Vec::new(),
                language: "en".to_owned(),
            };
            let length = content.text.len();
            (seal(&content, &headers, &our, &to, now).unwrap(), length)
        };
        let (sealed, length) = notice();
        let inner = sealed.content;
        println!(
            "notice of {length} bytes ({} with headers and certificate), Ed25519 -> {name} and self",
            inner.len()
        );

        let mut rates = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let sealed = rate(MESSAGES, || drop(black_box(notice())));
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
        let guarded = Gpg::new(secret, &certificate);
        guarded.unlock();
        let peers: [(&str, &dyn Fn() -> f64); 3] = [
            ("python + gpg", &|| gpg.rate_from_python(&inner)),
            ("gpg alone", &|| rate(GPG_MESSAGES, || gpg.seal(&inner))),
            ("gpg, passphrase", &|| rate(GPG_MESSAGES, || guarded.seal(&inner))),
        ];
        for (peer, measure) in peers {
            let mut figures = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let sealed = rate(MESSAGES, || drop(black_box(notice())));
                let process = measure();
                figures.0.push(process);
                figures.1.push(sealed / process);
            }
            if peer == "python + gpg" {
                let (ours, theirs) = (
                    cpu_ms(MESSAGES, || drop(black_box(notice())), own_cpu),
                    cpu_ms(
                        1,
                        || _ = gpg.rate_from_python(&inner),
                        || children_cpu() + gpg.agent_cpu(),
                    ),
                );
                let theirs = theirs / GPG_MESSAGES as f64;
                println!(
                    "  processor time  {ours:8.2} ms a message, {peer} with its agent {theirs:.2} ms: {:.1} times as much",
                    theirs / ours
                );
            }
            let goal = if peer == "python + gpg" { ", goal 20" } else { "" };
            println!("  {peer:15} {:8.0} messages/s", median(figures.0));
            println!(
                "  ratio           {:8.1}  (median of {ROUNDS} pairs{goal})",
                median(figures.1)
            );
        }
    }
}

fn generate(address: &str, algorithm: Algorithm, now: Time) -> key::Generated {
    let passphrase = Secret::new(PASSPHRASE);
    key::generate("Bench", address, algorithm, key::DEFAULT_VALIDITY, &passphrase, now).unwrap()
}

/// Repetitions per second.
fn rate(repetitions: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repetitions {
        work();
    }
    repetitions as f64 / start.elapsed().as_secs_f64()
}

/// Processor time of one repetition in milliseconds, as `used` counts it.
fn cpu_ms(repetitions: usize, mut work: impl FnMut(), used: impl Fn() -> f64) -> f64 {
    let before = used();
    for _ in 0..repetitions {
        work();
    }
    (used() - before) / repetitions as f64
}

fn own_cpu() -> f64 {
    usage_ms(UsageWho::RUSAGE_SELF)
}

/// Of processes that have ended.
fn children_cpu() -> f64 {
    usage_ms(UsageWho::RUSAGE_CHILDREN)
}

fn usage_ms(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1000.0
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

/// Our key without a passphrase, as scripts use it with GnuPG.
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
        gpg.import(secret);
        gpg.import(certificate.as_bytes());
        gpg
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    /// The command of the operator's script.
    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home()).args([
            "--batch",
            "--quiet",
            "--trust-model",
            "always",
            "--armor",
            "--sign",
            "--encrypt",
            "--local-user",
            SIGNER,
            "--recipient",
            READER,
            "--compress-algo",
            "none",
        ]);
        command
    }

    fn seal(&self, plain: &[u8]) {
        feed(&mut self.command(), plain);
    }

    /// Messages per second of a Python loop around the same command; the interpreter's start is not counted.
    fn rate_from_python(&self, plain: &[u8]) -> f64 {
        const SCRIPT: &str = "\
import subprocess, sys, time
count, command, part = int(sys.argv[1]), sys.argv[2:], sys.stdin.buffer.read()
start = time.perf_counter()
for _ in range(count):
    subprocess.run(command, input=part, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
print(count / (time.perf_counter() - start))
";
        let command = self.command();
        let mut python = Command::new("python3");
        python.arg("-c").arg(SCRIPT).arg(GPG_MESSAGES.to_string());
        python.arg(command.get_program()).args(command.get_args());
        String::from_utf8(feed(&mut python, plain))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Processor time of the agent in milliseconds; the kernel counts it in ticks of 10.
    fn agent_cpu(&self) -> f64 {
        let mut ask = Command::new("gpg-connect-agent");
        ask.arg("--homedir").arg(self.home()).args(["getinfo pid", "/bye"]);
        let answer = String::from_utf8(feed(&mut ask, b"")).unwrap();
        let pid = answer.lines().find_map(|line| line.strip_prefix("D ")).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let ticks: f64 = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|n| n.parse::<f64>().unwrap())
            .sum();
        ticks * 10.0
    }

    /// Lets the agent learn the passphrase, as a first signature of the day does.
    fn unlock(&self) {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home()).args([
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            PASSPHRASE,
            "--local-user",
            SIGNER,
            "--sign",
        ]);
        feed(&mut command, b"x");
    }

    fn import(&self, key: &[u8]) {
        feed(
            Command::new("gpg")
                .arg("--homedir")
                .arg(self.home())
                .args(["--batch", "--quiet", "--import"]),
            key,
        );
    }
}

/// Runs a command to its good end, and gives what it wrote.
fn feed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gpg and python3 are installed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
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
