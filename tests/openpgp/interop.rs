//! Other people's OpenPGP programs open what we send and confirm our signature: rnp (its own library, also Thunderbird's),
//! sqop (Sequoia), gosop (GopenPGP) and pgpainless-cli (Bouncy Castle), for every kind of key and every form of mail.
//! GnuPG has a file of its own. Debian packages them all; tests/setup installs them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use breachpost::message::mime::Attachment;
use breachpost::message::seal::{self, check_signed, fresh_passphrase, seal_files, signed_mail};
use chrono::TimeDelta;
use sequoia_openpgp as openpgp;

use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::serialize::SerializeInto;
use openpgp::types::Features;
use openpgp::{Cert, Profile};

use crate::{OUR_KEY, armor_in, attached, checked, content, headers, now, signed_parts, usable};

/// A program and how it is spoken to.
struct Program {
    name: &'static str,
    /// Speaks the stateless OpenPGP command line; rnp has its own.
    stateless: bool,
    /// Debian 12's gosop writes whatever it decrypted as text: line feeds only, and no byte that is not UTF-8. That its
    /// verdict on the signature is good says that it decrypted the right bytes.
    writes_text: bool,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "rnp",
        stateless: false,
        writes_text: false,
    },
    Program {
        name: "sqop",
        stateless: true,
        writes_text: false,
    },
    Program {
        name: "gosop",
        stateless: true,
        writes_text: true,
    },
    Program {
        name: "pgpainless-cli",
        stateless: true,
        writes_text: false,
    },
];

/// What opens a message.
#[derive(Clone, Copy)]
enum With<'a> {
    Key(&'a [u8]),
    Passphrase(&'a str),
}

impl Program {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(self.name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{} cannot be started ({e}); run tests/setup", self.name));
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A program that refuses its input closes the pipe early.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        })
    }

    /// Decrypts `message` and demands our signature on it.
    fn open(&self, message: &[u8], with: With<'_>) -> Vec<u8> {
        let desk = Desk::new();
        if self.stateless {
            self.open_stateless(&desk, message, with)
        } else {
            self.open_by_rnp(&desk, message, with)
        }
    }

    /// The stateless OpenPGP command line; its draft renamed an option on the way.
    fn open_stateless(&self, desk: &Desk, message: &[u8], with: With<'_>) -> Vec<u8> {
        let help = self.run(&["decrypt", "--help"], b"");
        let help = [help.stdout, help.stderr].concat();
        let out = match String::from_utf8_lossy(&help).contains("verifications-out") {
            true => "--verifications-out",
            false => "--verify-out",
        };
        let verdict = desk.path("verdict");
        let out = format!("{out}={}", verdict.display());
        let certificate = desk.write("certificate", OUR_KEY.public_armored().as_bytes());
        let verify = format!("--verify-with={certificate}");
        let by = match with {
            With::Key(secret) => desk.write("key", secret),
            With::Passphrase(passphrase) => {
                format!("--with-password={}", desk.write("passphrase", passphrase.as_bytes()))
            }
        };
        let opened = self.run(&["decrypt", &out, &verify, &by], message);
        let errors = String::from_utf8_lossy(&opened.stderr);
        assert!(opened.status.success(), "{}: {errors}", self.name);
        let verdict = fs::read_to_string(verdict).unwrap().to_uppercase();
        assert!(
            verdict.contains(OUR_KEY.fingerprint()),
            "{}: {verdict} {errors}",
            self.name
        );
        opened.stdout
    }

    fn open_by_rnp(&self, desk: &Desk, message: &[u8], with: With<'_>) -> Vec<u8> {
        desk.import(OUR_KEY.public_armored().as_bytes());
        let passphrase = match with {
            With::Key(secret) => {
                desk.import(secret);
                ""
            }
            With::Passphrase(passphrase) => passphrase,
        };
        let input = desk.write("message", message);
        let output = desk.path("plain");
        let opened = self.run(
            &[
                "--homedir",
                &desk.home(),
                "--notty",
                "--password",
                passphrase,
                "--decrypt",
                &input,
                "--output",
                &output.display().to_string(),
            ],
            b"",
        );
        let told = told(&opened);
        assert!(
            opened.status.success() && told.contains("Good signature"),
            "rnp: {told}"
        );
        fs::read(output).unwrap()
    }

    /// Is `opened`, which the program wrote, what was sealed?
    fn wrote(&self, opened: &[u8], sealed: &[u8]) -> bool {
        match std::str::from_utf8(sealed) {
            _ if opened == sealed => true,
            Ok(text) => self.writes_text && opened == text.replace("\r\n", "\n").as_bytes(),
            Err(_) => self.writes_text && !opened.is_empty(),
        }
    }

    /// Does the program find our signature over `data` good?
    fn verifies(&self, data: &[u8], signature: &[u8]) -> bool {
        let desk = Desk::new();
        let signature = desk.write("data.asc", signature);
        if self.stateless {
            let certificate = desk.write("certificate", OUR_KEY.public_armored().as_bytes());
            return self.run(&["verify", &signature, &certificate], data).status.success();
        }
        desk.import(OUR_KEY.public_armored().as_bytes());
        let source = desk.write("data", data);
        let home = desk.home();
        let verified = self.run(
            &[
                "--homedir",
                &home,
                "--notty",
                "--verify",
                &signature,
                "--source",
                &source,
            ],
            b"",
        );
        verified.status.success() && told(&verified).contains("Good signature")
    }

    /// Can it read this secret key at all? Programs older than RFC 9580 know no version 6.
    fn knows(&self, secret: &[u8]) -> bool {
        match self.stateless {
            true => self.run(&["extract-cert"], secret).status.success(),
            false => Desk::new().try_import(secret).status.success(),
        }
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A folder of one run.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn home(&self) -> String {
        self.0.path().display().to_string()
    }
    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
    fn try_import(&self, key: &[u8]) -> Output {
        let file = self.write("import", key);
        Command::new("rnpkeys")
            .args(["--homedir", &self.home(), "--notty", "--import-keys", &file])
            .stdin(Stdio::null())
            .output()
            .expect("rnpkeys is installed; run tests/setup")
    }
    fn import(&self, key: &[u8]) {
        let done = self.try_import(key);
        assert!(done.status.success(), "rnpkeys: {}", told(&done));
    }
}

fn reader(suite: CipherSuite, profile: Profile) -> Cert {
    let (cert, _) = CertBuilder::new()
        .set_profile(profile)
        .unwrap()
        .set_cipher_suite(suite)
        .set_features(Features::sequoia())
        .unwrap()
        .set_creation_time(SystemTime::from(now() - TimeDelta::days(100)))
        .add_userid("Aufsicht <meldung@aufsicht.example>")
        .add_transport_encryption_subkey()
        .generate()
        .unwrap();
    cert
}

#[test]
fn other_programs_open_both_layouts_with_every_kind_of_key() {
    let content = content();
    for (kind, suite, profile) in [
        ("RSA 4096", CipherSuite::RSA4k, Profile::RFC4880),
        ("Cv25519", CipherSuite::Cv25519, Profile::RFC4880),
        ("NIST P-256", CipherSuite::P256, Profile::RFC4880),
        ("version 6, X25519", CipherSuite::Cv25519, Profile::RFC9580),
    ] {
        let key = reader(suite, profile);
        let secret = key.as_tsk().armored().to_vec().unwrap();
        let to = usable(&key.strip_secret_key_material().armored().to_vec().unwrap());
        let mail = checked(&content, &to);
        let files = seal_files(&content, "Cover\n", &headers(), &OUR_KEY, &to, now()).unwrap();
        seal::self_check(&files, &content, &OUR_KEY, &to).unwrap();
        for program in PROGRAMS {
            if profile == Profile::RFC9580 && !program.knows(&secret) {
                println!("{} here does not know version 6 keys", program.name);
                continue;
            }
            let inner = program.open(&armor_in(&mail.mail), With::Key(&secret));
            assert!(program.wrote(&inner, &mail.content), "{} {kind}", program.name);
            opens_all(&program, &files.mail, With::Key(&secret), kind);
        }
    }
}

/// Opens every file of a mail in the files layout and compares it with what was sealed.
fn opens_all(program: &Program, mail: &[u8], with: With<'_>, kind: &str) {
    let files = attached(mail);
    let wanted = content().attachments;
    assert_eq!(
        files.len(),
        wanted.len() + 2,
        "the notice, its attachments, our certificate"
    );
    let open = |file: &Attachment| program.open(&file.bytes, with);
    let notice = String::from_utf8(open(&files[0])).unwrap().replace("\r\n", "\n");
    for present in [content().subject, content().text.replace("\r\n", "\n")] {
        assert!(notice.contains(&present), "{} {kind}", program.name);
    }
    for (file, wanted) in files[1..].iter().zip(&wanted) {
        let opened = open(file);
        assert!(
            program.wrote(&opened, &wanted.bytes),
            "{} {kind} {}",
            program.name,
            file.name
        );
        assert!(notice.contains(&wanted.name), "{kind}");
    }
}

#[test]
fn other_programs_open_with_the_passphrase() {
    let passphrase = fresh_passphrase();
    let sealed = seal_files(&content(), "Cover\n", &headers(), &OUR_KEY, &passphrase, now()).unwrap();
    seal::self_check(&sealed, &content(), &OUR_KEY, &passphrase).unwrap();
    for program in PROGRAMS {
        opens_all(
            &program,
            &sealed.mail,
            With::Passphrase(passphrase.expose()),
            "passphrase",
        );
    }
}

#[test]
fn other_programs_verify_signed_mail() {
    let signed = signed_mail(&content(), &headers(), &OUR_KEY, now()).unwrap();
    check_signed(&signed, &content(), &OUR_KEY).unwrap();
    let (data, signature) = signed_parts(&signed.mail);
    assert!(data == signed.content);
    let changed = String::from_utf8(data.clone()).unwrap().replacen("Sehr", "Wenig", 1);
    for program in PROGRAMS {
        assert!(program.verifies(&data, &signature), "{}", program.name);
        assert!(!program.verifies(changed.as_bytes(), &signature), "{}", program.name);
    }
}

/// Each program must be there: a test that quietly leaves one out proves nothing.
#[test]
fn the_programs_are_installed() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    for program in PROGRAMS {
        assert!(found(program.name), "{} is missing; run tests/setup", program.name);
    }
}
