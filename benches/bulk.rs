//! A whole campaign: the program with its durable ledger renders a letter for each person and hands it to a relay
//! (`smtp-sink`), in turn with `smtp-source -d -s 8` of Postfix, which repeats one ready message and keeps nothing (goal: at
//! least half of its rate). Says the processor time of a message and the peak of memory. Plain text: sealing is measured by
//! `--bench seal`. Run with `cargo bench --bench bulk`, for 10,000 persons; with `-- --million` also once for 1,000,000
//! (goal: memory grows by less than 10 %). Needs the packages that tests/setup installs.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use breachpost::config::Home;
use breachpost::dispatch::campaign::Letter;
use breachpost::dispatch::office::Office;
use breachpost::model::SystemClock;
use breachpost::model::id::{Actor, CampaignId};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_breachpost");
const PERSONS: usize = 10_000;
const MANY_PERSONS: usize = 1_000_000;
const PAIRS: usize = 5;
const MESSAGE_BYTES: usize = 4096;
const GOAL: f64 = 0.5;

/// One run of one sender.
struct Run {
    per_second: f64,
    cpu_micros: f64,
    peak_mib: f64,
}

fn main() {
    let sink = Sink::start();
    let mut ratios = Vec::new();
    for pair in 1..=PAIRS {
        let (ours, theirs) = (campaign(sink.port, PERSONS), smtp_source(sink.port));
        let ratio = ours.per_second / theirs.per_second;
        println!(
            "{pair}: {}   smtp-source {:>6.0}/s {:>5.1} us CPU   ratio {ratio:.2}",
            told(&ours),
            theirs.per_second,
            theirs.cpu_micros
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio, median of {PAIRS}: {:.2} (goal {GOAL})", ratios[PAIRS / 2]);
    if std::env::args().any(|argument| argument == "--million") {
        println!("{MANY_PERSONS} persons: {}", told(&campaign(sink.port, MANY_PERSONS)));
    }
}

fn told(run: &Run) -> String {
    format!(
        "breachpost {:>6.0}/s {:>5.1} us CPU {:>4.1} MiB",
        run.per_second, run.cpu_micros, run.peak_mib
    )
}

/// One courier from start to end; the list was imported before.
fn campaign(port: u16, persons: usize) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let program = |line: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(&home).args(line);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let relay = format!("smtp://127.0.0.1:{port}?tls=none");
    let mut init = vec![
        "init",
        "--organisation",
        "Bench S.A.",
        "--country",
        "LU",
        "--contact-name",
        "B",
    ];
    init.extend([
        "--contact-email",
        "b@bench.example",
        "--sender",
        "breach@bench.example",
        "--relay",
        &relay,
    ]);
    assert!(program(&init).output().unwrap().status.success());
    let record = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/breach-lu.yaml");
    let breach = id_of(program(&["breach", "open", record, "--json"]));
    let list = folder.path().join("persons.csv");
    std::fs::write(&list, rows(persons)).unwrap();
    let created = program(&[
        "campaign",
        "create",
        &breach,
        "--json",
        "--recipients",
        list.to_str().unwrap(),
    ]);
    let id: CampaignId = id_of(created).parse().unwrap();
    start(&home, id);

    let (begun, cpu_before) = (Instant::now(), cpu());
    let mut courier = program(&["serve", "--once"]).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", courier.id());
    let mut peak_kib = 0;
    while courier.try_wait().unwrap().is_none() {
        peak_kib = peak_kib.max(high_water(&status));
        std::thread::sleep(Duration::from_millis(10));
    }
    let (wall, cpu_after) = (begun.elapsed(), cpu());
    let office = Office::open(Home::at(&home).unwrap(), Arc::new(SystemClock)).unwrap();
    let tally = runtime().block_on(office.store.tally(id)).unwrap();
    assert_eq!(tally.handed, persons as u64, "{tally:?}");
    Run {
        per_second: persons as f64 / wall.as_secs_f64(),
        cpu_micros: (cpu_after - cpu_before).as_secs_f64() * 1e6 / persons as f64,
        peak_mib: peak_kib as f64 / 1024.0,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn start(home: &Path, id: CampaignId) {
    let office = Office::open(Home::at(home).unwrap(), Arc::new(SystemClock)).unwrap();
    let by = Actor::Os("bench".to_owned());
    runtime().block_on(async {
        let (store, now) = (&office.store, office.now());
        let letter = Letter::of(&office, id).await.unwrap();
        let hash = letter.digest(&office, id).await.unwrap();
        store.approve_campaign(id, &hash, 1, &by, now).await.unwrap();
        store.start(id, &by, now).await.unwrap();
    });
}

fn id_of(mut command: Command) -> String {
    let output = command.output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

fn rows(persons: usize) -> String {
    let mut list = "email,name,language\n".to_owned();
    for n in 0..persons {
        writeln!(list, "person{n}@provider{}.example,Person {n},fr", n % 500).unwrap();
    }
    list
}

/// KiB; 0 once the process is gone.
fn high_water(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn smtp_source(port: u16) -> Run {
    let (begun, cpu_before) = (Instant::now(), cpu());
    let status = Command::new("smtp-source")
        .args([
            "-d",
            "-s",
            "8",
            "-l",
            &MESSAGE_BYTES.to_string(),
            "-m",
            &PERSONS.to_string(),
        ])
        .args([
            "-f",
            "breach@example.lu",
            "-t",
            "person@example.org",
            &format!("127.0.0.1:{port}"),
        ])
        .status()
        .expect("smtp-source is there: run tests/setup");
    assert!(status.success());
    let (wall, cpu_after) = (begun.elapsed(), cpu());
    Run {
        per_second: PERSONS as f64 / wall.as_secs_f64(),
        cpu_micros: (cpu_after - cpu_before).as_secs_f64() * 1e6 / PERSONS as f64,
        peak_mib: 0.0,
    }
}

/// User and system time of our children that have ended.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let of = |t: TimeVal| Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap());
    of(usage.user_time()) + of(usage.system_time())
}

/// A running `smtp-sink`, stopped when dropped.
struct Sink {
    process: Child,
    port: u16,
}
impl Sink {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("smtp-sink");
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "nobody"]); // it insists
        }
        let process = command
            .args([&format!("127.0.0.1:{port}"), "100"])
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
