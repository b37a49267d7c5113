//! What the benches of the wire and of campaigns share: a sink for mail, a home to send from, and what a run took.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub per_second: f64,
    /// User and system time of a message.
    pub cpu_micros: f64,
}

/// Runs `work`, which handles `messages`; processor time is that of our children that ended meanwhile, or our own.
pub fn measure(messages: usize, who: UsageWho, work: impl FnOnce()) -> Run {
    let (begun, before) = (Instant::now(), cpu_micros(who));
    work();
    Run {
        per_second: messages as f64 / begun.elapsed().as_secs_f64(),
        cpu_micros: (cpu_micros(who) - before) / messages as f64,
    }
}

pub fn cpu_micros(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// `smtp-source`, the load generator of Postfix: one ready message again and again, over connections that it keeps.
pub fn smtp_source(port: u16, sessions: usize, messages: usize, bytes: usize) -> Run {
    let number = |n: usize| n.to_string();
    measure(messages, UsageWho::RUSAGE_CHILDREN, || {
        let status = Command::new("smtp-source")
            .args([
                "-d",
                "-s",
                &number(sessions),
                "-l",
                &number(bytes),
                "-m",
                &number(messages),
            ])
            .args(["-f", "breach@example.lu", "-t", "person@example.org"])
            .arg(format!("127.0.0.1:{port}"))
            .status()
            .expect("smtp-source is there: run tests/setup");
        assert!(status.success());
    })
}

/// A running `smtp-sink`, stopped when dropped.
pub struct Sink {
    process: Child,
    pub port: u16,
}
impl Sink {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("smtp-sink");
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "nobody"]); // it insists
        }
        let process = command
            .args([&format!("127.0.0.1:{port}"), "1024"])
            .spawn()
            .expect("smtp-sink is there: run tests/setup");
        let sink = Self { process, port };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "smtp-sink does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        sink
    }
}
impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A home with one breach, for one run.
pub struct Scene {
    pub path: PathBuf,
    pub breach: String,
}
impl Scene {
    /// Made by the program itself; its relay is a sink on loopback.
    pub fn new(path: PathBuf, relay_port: u16) -> Self {
        let scene = Self {
            path,
            breach: String::new(),
        };
        let relay = format!("smtp://127.0.0.1:{relay_port}?tls=none");
        scene.run(&[
            "init",
            "--organisation",
            "Bench S.A.",
            "--country",
            "LU",
            "--contact-name",
            "B",
            "--contact-email",
            "b@bench.example",
            "--sender",
            "breach@bench.example",
            "--relay",
            &relay,
        ]);
        let record = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/breach-lu.yaml");
        let breach = scene.id(&["breach", "open", record, "--json"]);
        Self { breach, ..scene }
    }

    pub fn program(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
        command.arg("--home").arg(&self.path).args(line);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn run(&self, line: &[&str]) {
        assert!(self.program(line).status().unwrap().success(), "{line:?}");
    }

    /// The `id` that a command prints.
    pub fn id(&self, line: &[&str]) -> String {
        let output = self.program(line).stdout(Stdio::piped()).output().unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        found["id"].as_str().unwrap().to_owned()
    }

    /// A campaign with this list, which is read now.
    pub fn campaign(&self, list: &Path) -> String {
        self.id(&[
            "campaign",
            "create",
            &self.breach,
            "--json",
            "--recipients",
            list.to_str().unwrap(),
        ])
    }
}

/// What a command that succeeds prints.
pub fn output_of(mut command: Command) -> Vec<u8> {
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}
