//! What sealing costs beside its cryptography: a text rendered from its template and sealed by breachpost, against
//!
//! - bare calls of the OpenPGP library over the same bytes with the same keys, on one core (goal: at least 0.85 of its
//!   speed);
//! - what an operator's script does: one `gpg --sign --encrypt` process for each message, started by Python's
//!   `subprocess.run` (goal: at least 20 times as fast). GnuPG has all advantages such a script can give it: a home with two
//!   certificates and nothing else, its agent running, a signing key without a passphrase, no compression, no web
//!   of trust, one reader, and a text that is ready, where breachpost also renders it, encrypts to itself and writes the
//!   mail around it. Sending is left out on both sides. One message after the other on both sides first; then both on all
//!   cores; then breachpost as it runs, on all cores, beside the script as it runs, one process after the other;
//! - the same process started from here, without Python;
//! - the same with a passphrase on the signing key, held by the agent, which derives the key anew for each signature,
//!   where breachpost opens its key once.
//!
//! Measured in turn (A B A B), medians of the rounds, because the machine's speed drifts; beside the library by processor
//! time, since that goal is per core; beside gpg by the clock. Run with
//! `cargo bench --bench seal`; needs gpg and python3.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

use std::fs::Permissions;
use std::hint::black_box;
use std::io::Write;
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use breachpost::directory::certificate::{judge, read_one};
use breachpost::message::facts::{NoticeContext, NoticeFacts, PersonFacts, sample};
use breachpost::message::key::{self, Algorithm, OurKey};
use breachpost::message::mime::{Content, Headers, Mailbox};
use breachpost::message::seal::seal;
use breachpost::message::template::{Rendered, Templates};
use breachpost::model::breach::Record;
use breachpost::model::id::Reference;
use breachpost::model::notice::NoticeKind;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::cert::amalgamation::key::PrimaryKey;
use openpgp::crypto::Password;
use openpgp::parse::Parse;
use openpgp::serialize::SerializeInto;

#[path = "library/mod.rs"]
mod library;

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
    let signer = library::signer_of(secret, PASSPHRASE, now);
    let texts = Texts::new(now);
    let headers = headers(now);
    for (name, algorithm) in [("Cv25519", Algorithm::Ed25519), ("RSA 4096", Algorithm::Rsa4096)] {
        let certificate = generate(READER, algorithm, now).public_armored;
        let to = judge(&read_one(certificate.as_bytes()).unwrap(), None, now).unwrap();
        let own = judge(our.certificate(), None, now).unwrap();
        let sealed = |content: &Content| seal(content, &headers, &our, &to, now).unwrap();
        for text in &texts.all() {
            let content = (text.render)();
            let inner = sealed(&content).content;
            println!(
                "{}: {} bytes ({} with headers and certificate), Ed25519 -> {name} and self",
                text.name,
                content.text.len(),
                inner.len()
            );
            let rendering = cpu_ms(10 * MESSAGES, || drop(black_box((text.render)())), own_cpu);
            println!("  rendered alone      {:7.0} µs", rendering * 1000.0);
            let whole = || drop(black_box(sealed(&(text.render)())));
            against_library(&whole, &|| drop(black_box(sealed(&content))), &|| {
                drop(black_box(library::seal(&inner, &signer, &to, &own, now)))
            });
            if text.against_gpg {
                against_gpg(&whole, &inner, secret, &certificate);
            }
        }
    }
}

/// Something to seal.
struct Text<'a> {
    name: &'static str,
    render: Box<dyn Fn() -> Content + Sync + 'a>,
    against_gpg: bool,
}

/// What is sealed: the shortest notice that describes a breach, as it leaves in the first night, when nearly all is still
/// to follow; a long one, in which nothing is missing; and a message to one person, which has 4 KB.
struct Texts {
    templates: Templates,
    first: NoticeFacts,
    complete: NoticeFacts,
    person: PersonFacts,
}

impl Texts {
    fn new(now: Time) -> Self {
        let templates = Templates::load(None).unwrap();
        let labels = templates.labels("en").unwrap();
        let record = Record::read("first night", FIRST_NIGHT.as_bytes()).unwrap();
        let context = NoticeContext {
            reference: Reference::from_bits([7; 5]),
            kind: NoticeKind::Preliminary,
            sequence: 1,
            prior: Vec::new(),
            authority_name: "Commission nationale pour la protection des données".to_owned(),
            lead_authority_name: None,
            timezone: chrono_tz::Europe::Luxembourg,
            labels,
            filed_at: now,
            deadline: None,
            late: false,
            organisation: "Exemple S.A.".to_owned(),
            contact: None,
            key_fingerprint: None,
            attachments: Vec::new(),
            explanation: None,
            next_update_due: None,
        };
        Self {
            first: NoticeFacts::new(&record, &context),
            complete: sample::notice(NoticeKind::Complete, labels),
            person: PersonFacts {
                // All there is, as after a breach of everything: 4 KB.
                advice: labels.advice.iter().map(|advice| advice.text.clone()).collect(),
                ..sample::person(labels)
            },
            templates,
        }
    }

    fn all(&self) -> [Text<'_>; 3] {
        let content = |rendered: Rendered| Content {
            subject: rendered.subject,
            text: rendered.text,
            html: None,
            attachments: Vec::new(),
            language: "en".to_owned(),
        };
        let notice = move |facts| content(self.templates.render_notice(facts).unwrap());
        let person = move |facts| content(self.templates.render_individual(facts).unwrap());
        [
            Text {
                name: "message to one person",
                render: Box::new(move || person(&self.person)),
                against_gpg: true,
            },
            Text {
                name: "first notice",
                render: Box::new(move || notice(&self.first)),
                against_gpg: false,
            },
            Text {
                name: "complete notice",
                render: Box::new(move || notice(&self.complete)),
                against_gpg: false,
            },
        ]
    }
}

const FIRST_NIGHT: &str = "
title: Payroll export sent to the wrong supplier
nature: [confidentiality]
summary: A payroll export was sent by e-mail to the wrong supplier.
consequences: { text: under investigation }
measures: { mitigation: The supplier was asked to delete the mail. }
contact: { name: Jo Exemple, email: dpo@exemple.example, phone: '+352 20 00 01' }
";

/// Rendering and sealing, and sealing alone, beside bare calls of the library; in turn, by processor time: what one core
/// does, whatever else the machine is doing.
fn against_library(whole: &dyn Fn(), sealing: &dyn Fn(), bare: &dyn Fn()) {
    let per_second = |work: &dyn Fn()| 1000.0 / cpu_ms(MESSAGES / 4, work, own_cpu);
    let mut rates = [Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..4 * ROUNDS {
        let (whole, sealing, bare) = (per_second(whole), per_second(sealing), per_second(bare));
        for (all, one) in rates
            .iter_mut()
            .zip([whole, sealing, bare, whole / bare, sealing / bare])
        {
            all.push(one);
        }
    }
    let [whole, sealing, bare, whole_to_bare, sealing_to_bare] = rates.map(median);
    println!("  rendered and sealed {whole:7.0} messages/s of one core");
    println!("  sealed alone        {sealing:7.0} messages/s");
    println!("  bare library        {bare:7.0} messages/s");
    println!(
        "  ratio               {whole_to_bare:7.2}  rendered and sealed (median of {} pairs, goal 0.85)",
        4 * ROUNDS
    );
    println!("  ratio               {sealing_to_bare:7.2}  sealed alone");
}

/// Rendering and sealing beside gpg, one after the other and on all cores.
fn against_gpg(whole: &(dyn Fn() + Sync), inner: &[u8], secret: &[u8], certificate: &str) {
    let gpg = Gpg::new(&unprotected(secret), certificate);
    let guarded = Gpg::new(secret, certificate);
    guarded.unlock();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let alone = || rate(MESSAGES, whole);
    let on_all = || rate_on(cores, MESSAGES, whole);
    let one_by_one = || gpg.rate_from_python(inner);
    type Measure<'a> = &'a dyn Fn() -> f64;
    let pairs: [(String, Measure<'_>, Measure<'_>); 5] = [
        ("one core; python starts gpg for each".to_owned(), &alone, &one_by_one),
        ("one core; gpg for each".to_owned(), &alone, &|| {
            rate(GPG_MESSAGES, || gpg.seal(inner))
        }),
        (
            "one core; gpg for each, passphrase on its key".to_owned(),
            &alone,
            &|| rate(GPG_MESSAGES / 4, || guarded.seal(inner)),
        ),
        (
            format!("{cores} cores; gpg for each, {cores} at a time"),
            &on_all,
            &|| rate_on(cores, GPG_MESSAGES, &|| gpg.seal(inner)),
        ),
        (
            format!("{cores} cores; python starts gpg for each, one by one"),
            &on_all,
            &one_by_one,
        ),
    ];
    println!("  beside gpg (goal 20):");
    for (name, ours, theirs) in pairs {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let (ours, theirs) = (ours(), theirs());
            for (all, one) in figures.iter_mut().zip([ours, theirs, ours / theirs]) {
                all.push(one);
            }
        }
        let [ours, theirs, ratio] = figures.map(median);
        println!("  ratio {ratio:7.1}  {ours:6.0} : {theirs:4.0} messages/s ({name})");
    }
    let ours = cpu_ms(MESSAGES, whole, own_cpu);
    let theirs = cpu_ms(GPG_MESSAGES, || gpg.seal(inner), || children_cpu() + gpg.agent_cpu());
    println!(
        "  processor time {ours:.2} ms a message, gpg with its agent {theirs:.2} ms: {:.1} times as much",
        theirs / ours
    );
}

/// Repetitions per second of all cores together.
fn rate_on(cores: usize, repetitions: usize, work: &(dyn Fn() + Sync)) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| (0..repetitions).for_each(|_| work()));
        }
    });
    (cores * repetitions) as f64 / start.elapsed().as_secs_f64()
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
