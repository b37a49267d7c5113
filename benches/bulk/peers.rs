//! What people use today, as far as it is set up: the scripts of `benches/peers`, each doing the same work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::UsageWho;

use crate::stage::{Run, measure};

/// The folder that `benches/peers/setup.sh` filled.
pub struct Peers(PathBuf);
impl Peers {
    pub fn find() -> Option<Self> {
        std::env::var_os("BREACHPOST_PEERS").map(|folder| Self(folder.into()))
    }

    pub fn nodemailer(&self, messages: usize, connections: usize, port: u16) -> Run {
        self.node("plain", messages, connections, port)
    }

    pub fn openpgpjs(&self, messages: usize, connections: usize, port: u16) -> Run {
        self.node("openpgpjs", messages, connections, port)
    }

    fn node(&self, mode: &str, messages: usize, connections: usize, port: u16) -> Run {
        let mut command = Command::new("node");
        command.current_dir(self.0.join("node")).args(["node_send.mjs", mode]);
        command.args([messages, connections, port.into()].map(|n| n.to_string()));
        self.run(messages, command.arg(&self.0))
    }

    pub fn python(&self, engine: &str, messages: usize, workers: usize, port: u16) -> Run {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/py_send.py");
        let mut command = Command::new(self.0.join("venv/bin/python"));
        command.arg(script).args(["--engine", engine]);
        command.args(["--count", &messages.to_string(), "--workers", &workers.to_string()]);
        command.args(["--port", &port.to_string()]).arg("--dir").arg(&self.0);
        self.run(messages, &mut command)
    }

    /// Rate by the script's own clock, which leaves out the interpreter's start.
    fn run(&self, messages: usize, command: &mut Command) -> Run {
        let mut printed = String::new();
        let agent_before = self.agent_micros();
        let run = measure(messages, UsageWho::RUSAGE_CHILDREN, || {
            let output = command.stderr(Stdio::inherit()).output().expect("the peer is set up");
            assert!(output.status.success(), "{command:?}");
            printed = String::from_utf8(output.stdout).unwrap();
        });
        let rate = printed
            .split_whitespace()
            .find_map(|word| word.strip_prefix("msgs_per_s="));
        Run {
            per_second: rate.and_then(|rate| rate.parse().ok()).expect("the peer says its rate"),
            cpu_micros: run.cpu_micros + (self.agent_micros() - agent_before) / messages as f64,
        }
    }

    /// Of the gpg-agent of their home, which is nobody's child; counted by the kernel in hundredths of a second.
    fn agent_micros(&self) -> f64 {
        let home = self.0.join("gnupg");
        let agents = Command::new("pgrep")
            .arg("-f")
            .arg(format!("gpg-agent --homedir {}", home.display()))
            .output();
        let agents = agents
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let ticks = agents.lines().filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let times = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2);
            Some(times.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>())
        });
        ticks.sum::<f64>() * 10_000.0
    }
}
