//! What the program costs when it has nothing to do: processor time of `--help` and of `status` on an empty home (goal: at
//! most 50 ms each), and the memory of an idle `serve` (goal: at most 40 MB). Run with `cargo bench --bench footprint`.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_breachpost");
const RUNS: usize = 21;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    for part in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(folder.path().join("Maildir").join(part)).unwrap();
    }
    let maildir = format!("maildir:{}", folder.path().join("Maildir").display());
    let mut init = program(&home);
    init.args([
        "init",
        "--organisation",
        "Bench S.A.",
        "--country",
        "LU",
        "--contact-name",
        "B",
    ])
    .args(["--contact-email", "b@bench.example", "--sender", "breach@bench.example"])
    .args(["--relay", "smtp://127.0.0.1:9?tls=none", "--mailbox", &maildir]);
    assert!(init.status().unwrap().success());
    program(&home).arg("status").status().unwrap();

    for (name, arguments) in [("--help", &["--help"][..]), ("status", &["status"])] {
        let mut times: Vec<f64> = (0..RUNS).map(|_| cpu_ms(program(&home).args(arguments))).collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{name:14} {:6.1} ms of processor time (median of {RUNS}, goal 50)",
            times[RUNS / 2]
        );
    }

    let mut daemon = program(&home).arg("serve").spawn().unwrap();
    let workers = home.join("workers");
    while std::fs::read_dir(&workers).map_or(0, Iterator::count) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Some rounds of looking for work and for mail.
    std::thread::sleep(Duration::from_secs(5));
    println!(
        "{:14} {:6.1} MB resident after 5 s (goal 40)",
        "idle serve",
        resident_mb(&daemon)
    );
    kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("--home")
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// User and system time of one run.
fn cpu_ms(command: &mut Command) -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1000.0
    };
    let before = used();
    command.status().unwrap();
    used() - before
}

fn resident_mb(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
