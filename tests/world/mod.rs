//! What the journeys share: an installation in a scratch folder, the program run as a user runs it, and one way to wait.

pub mod campaign;
pub mod dsn;
pub mod gpg;
pub mod port;
pub mod relay;
pub mod screen;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use breachpost::message::key::{self, Algorithm};
use breachpost::model::{Clock, SystemClock};
use breachpost::secret::Secret;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use relay::Relay;

/// The authority of most journeys, and where it takes notices.
pub const AUTHORITY: &str = "lu-cnpd";
pub const AUTHORITY_ADDRESS: &str = "databreach@cnpd.lu";
/// Us.
pub const SENDER: &str = "breach@brasserie-kirchberg.example";
/// The sample record, as a person wrote it.
pub const BREACH: &str = include_str!("../data/breach-lu.yaml");
/// The relay's password, where it asks for one.
pub const RELAY_PASSWORD: &str = "relay-password-of-the-test";

/// Longer than anything takes that works; only what is broken waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks again and again until there is something, the one way in which tests wait; with a runtime, by `until_async.rs`.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub line: String,
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}
impl Ran {
    /// Insists on the exit status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }
    /// Standard output as the one JSON document it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
    /// Insists that a person is told all of these, on either stream.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stdout.contains(word) || self.stderr.contains(word),
                "`{word}` is missing: {self:#?}"
            );
        }
        self
    }
}

/// One installation, made by `init` with flags.
pub struct World {
    scratch: tempfile::TempDir,
    /// The first one entered.
    breach: OnceLock<String>,
}

impl World {
    /// An installation whose relay is this one, with a Maildir, and no authority's certificate yet.
    pub fn new(relay: &Relay) -> Self {
        let world = Self {
            scratch: tempfile::Builder::new().prefix("breachpost-test-").tempdir().unwrap(),
            breach: OnceLock::new(),
        };
        for folder in ["tmp", "new", "cur"] {
            fs::create_dir_all(world.maildir().join(folder)).unwrap();
        }
        let (url, maildir) = (relay.url(), format!("maildir:{}", world.maildir().display()));
        let password = world.private_file("relay.password", RELAY_PASSWORD.as_bytes());
        let mut line = vec![
            "init",
            "--organisation",
            "Brasserie du Kirchberg S.A.",
            "--country",
            "LU",
            "--language",
            "fr",
            "--contact-name",
            "Claire Weber",
            "--contact-email",
            "dpo@brasserie-kirchberg.example",
            "--contact-phone",
            "+352 621 000 111",
            "--sender",
            SENDER,
            "--relay",
            &url,
            "--mailbox",
            &maildir,
        ];
        if relay.is_protected() {
            line.extend(["--relay-password-file", &password]);
        }
        world.run(&line).exits(0);
        if relay.is_protected() {
            let ca_file = world.file("relay-ca.pem", relay.ca_pem().as_bytes());
            world.settle("#e.g. ca_file: keys/mail-ca.pem", &format!("ca_file: {ca_file}"));
        }
        world.settle(
            "#retry: { first_seconds: 60, max_seconds: 1800 }",
            "retry: { first_seconds: 1, max_seconds: 2 }",
        );
        world
    }

    /// The same, with a breach in the register and a certificate for the authority, ready to send.
    pub fn ready(relay: &Relay) -> Self {
        let world = Self::new(relay);
        world.import_certificate();
        world.open_breach(BREACH);
        world
    }

    /// Makes a certificate for the authority and pins it.
    pub fn import_certificate(&self) {
        let made = key::generate(
            "CNPD",
            AUTHORITY_ADDRESS,
            Algorithm::Ed25519,
            key::DEFAULT_VALIDITY,
            &Secret::new("only the authority knows"),
            SystemClock.now(),
        )
        .unwrap();
        self.pin(&made.public_armored, &made.fingerprint, &["--verified", "phone"])
            .exits(0);
    }

    /// Imports a certificate for the authority, by this fingerprint.
    pub fn pin(&self, certificate: &str, fingerprint: &str, more: &[&str]) -> Ran {
        let file = self.file("cnpd.asc", certificate.as_bytes());
        let line = [
            "authority",
            "cert",
            "import",
            AUTHORITY,
            &file,
            "--fingerprint",
            fingerprint,
        ];
        self.run(&[&line[..], more].concat())
    }

    /// Enters a record and returns its id.
    pub fn open_breach(&self, record: &str) -> String {
        let opened = self
            .run_with(&["breach", "open", "-", "--json"], record.as_bytes())
            .exits(0);
        let id = text(&opened.json()["id"]);
        self.breach.get_or_init(|| id.clone());
        id
    }
    /// The id of the first breach: it carries the year.
    pub fn breach(&self) -> &str {
        self.breach.get().expect("a breach was entered before")
    }
    /// Sends it to the usual authority, without asking, and with JSON.
    pub fn send(&self, more: &[&str]) -> Ran {
        let line = ["notice", "send", self.breach(), "--to", AUTHORITY, "--yes", "--json"];
        self.run(&[&line[..], more].concat())
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
    pub fn home(&self) -> PathBuf {
        self.scratch().join("home")
    }
    pub fn maildir(&self) -> PathBuf {
        self.scratch().join("Maildir")
    }

    /// Replaces text of config.yaml, which must stand there once.
    pub fn settle(&self, old: &str, new: &str) {
        let path = self.home().join("config.yaml");
        let config = fs::read_to_string(&path).unwrap();
        assert_eq!(config.matches(old).count(), 1, "{old}");
        fs::write(path, config.replace(old, new)).unwrap();
    }
    /// Gives campaigns settings of their own: the content of `individuals`.
    pub fn settle_individuals(&self, settings: &str) {
        let example = "#e.g. individuals: { sender: { address: \"info@example.lu\", verp: none }, \
                       relay: { url: \"smtps://bulk.example.lu:465\" } }";
        self.settle(example, &format!("individuals: {{ {settings} }}"));
    }
    /// Writes a file beside the home and returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.scratch().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
    /// The same for a secret: readable by its owner alone.
    pub fn private_file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.scratch().join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(&path).unwrap();
        file.write_all(bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
    /// Drops a mail into the Maildir as a mail server does: written aside, then moved.
    pub fn deliver(&self, name: &str, mail: &[u8]) {
        self.deliver_together(&[(name.to_owned(), mail.to_owned())]);
    }
    /// The same for several, which come at once: none is there long before the next.
    pub fn deliver_together(&self, mails: &[(String, Vec<u8>)]) {
        let aside = |name: &str| self.maildir().join("tmp").join(name);
        for (name, mail) in mails {
            fs::write(aside(name), mail).unwrap();
        }
        for (name, _) in mails {
            fs::rename(aside(name), self.maildir().join("new").join(name)).unwrap();
        }
    }

    /// The program on this home; standard streams are not set yet.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
        command
            .args(line)
            .current_dir(self.scratch())
            .env_remove("CREDENTIALS_DIRECTORY")
            .env("BREACHPOST_HOME", self.home());
        command
    }
    /// Runs a command with nothing on its standard input.
    pub fn run(&self, line: &[&str]) -> Ran {
        self.run_with(line, b"")
    }
    pub fn run_with(&self, line: &[&str], input: &[u8]) -> Ran {
        finish(self.command(line), input)
    }
    /// Runs a command that must succeed and print JSON.
    #[track_caller]
    pub fn json(&self, line: &[&str]) -> Value {
        let line: Vec<&str> = line.iter().copied().chain(["--json"]).collect();
        self.run(&line).exits(0).json()
    }
    /// Runs a command for somebody who sits at a terminal, types this and then ends the input (Ctrl-D).
    pub fn at_terminal(&self, mut command: Command, typed: &str) -> Ran {
        let line = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let (mut keyboard, screen) = screen::terminal(None);
        command
            .stdin(screen.try_clone().unwrap())
            .stderr(screen)
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        // With it go our copies of the terminal's other end, so that reading ends when the program does.
        drop(command);
        keyboard.write_all(format!("{typed}\u{4}").as_bytes()).unwrap();
        let mut shown = Vec::new();
        let output = std::thread::scope(|scope| {
            // The end of a terminal is an error (EIO), not an end of file.
            scope.spawn(|| keyboard.read_to_end(&mut shown));
            child.wait_with_output().unwrap()
        });
        Ran {
            line,
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&shown).into_owned(),
        }
    }
    /// Starts a command and lets it run.
    pub fn start(&self, line: &[&str]) -> Running {
        self.spawn(self.command(line))
    }
    fn spawn(&self, mut command: Command) -> Running {
        let log = self.scratch().join("log");
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Running { child, log }
    }
    /// Starts the daemon and waits until it has signed on.
    pub fn serve(&self) -> Running {
        self.serve_by(self.command(&["serve"]))
    }
    /// The same by a command that was changed.
    pub fn serve_by(&self, command: Command) -> Running {
        let mut daemon = self.spawn(command);
        until("the daemon runs", || {
            assert_eq!(daemon.ended(), None, "{}", daemon.log());
            (self.run(&["status", "--json"]).json()["daemon"] == true).then_some(())
        });
        daemon
    }

    /// One notice as `notice show` has it; its exit status says how it stands and is not looked at.
    pub fn notice(&self, reference: &str) -> Value {
        self.run(&["notice", "show", reference, "--json"]).json()
    }
    pub fn notices(&self) -> Vec<Value> {
        self.json(&["notice", "list"]).as_array().unwrap().clone()
    }
    /// Waits until a notice has come this far.
    pub fn until_notice(&self, reference: &str, state: &str) -> Value {
        until(&format!("{reference} is {state}"), || {
            Some(self.notice(reference)).filter(|notice| notice["state"] == state)
        })
    }
    /// Insists that the store can be read and its journal is whole.
    #[track_caller]
    pub fn is_intact(&self) {
        assert_eq!(self.json(&["journal", "verify"])["intact"], true);
    }
}

/// Lets every user of the system into a folder and read what it holds, whatever the umask: a server's own users must.
pub fn open_to_all(folder: &Path) {
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(folder, 0o755);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => open_to_all(&path),
            false => set(&path, 0o644),
        }
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command, input: &[u8]) -> Ran {
    let line = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // A program that needs no input closes the pipe early.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    Ran {
        line,
        // A signal counts as a status that nobody expects.
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}
impl Running {
    /// What it and others of this world have said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.code().unwrap_or(-1))
    }
    /// Waits for its end.
    pub fn wait(mut self) -> i32 {
        until("the command ends", || self.ended())
    }
    /// Asks it to end, as systemd does, and waits.
    pub fn stop(self) -> i32 {
        signal::kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.wait()
    }
    /// `kill -9`: it can do nothing about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The sample record with some of its text replaced, each of which must stand there.
pub fn breach_with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BREACH.to_owned(), |record, (old, new)| {
        assert!(record.contains(old), "{old}");
        record.replace(old, new)
    })
}
