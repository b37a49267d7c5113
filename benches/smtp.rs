//! How fast one connection hands over ready-made mail, against `smtp-source`, the load generator of Postfix, and with
//! the same `smtp-sink` at the other end. Both run in turn, because a machine's clock drifts; what counts is the ratio and
//! the CPU time of a message. Run with `cargo bench --bench smtp`; needs the packages that tests/setup installs.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run stops")]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use breachpost::mail::smtp::{Connection, Connector, Mail, Notify, Relay};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

const MESSAGES: u32 = 20_000;
const PAIRS: usize = 7;
const MESSAGE_BYTES: usize = 4096;
/// The plain path has to keep at least this share of the rate of `smtp-source`.
const GOAL: f64 = 0.5;

/// One run of one sender.
struct Run {
    per_second: f64,
    cpu_micros: f64,
}

fn main() {
    let sink = Sink::start();
    let message = message();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms up and does not count.
    for pair in 0..=PAIRS {
        let (a, b) = (carry_all(sink.port, &message), smtp_source(sink.port));
        println!(
            "{pair}: breachpost {:>6.0}/s {:>5.1} us CPU   smtp-source {:>6.0}/s {:>5.1} us CPU   ratio {:.2}",
            a.per_second,
            a.cpu_micros,
            b.per_second,
            b.cpu_micros,
            a.per_second / b.per_second
        );
        if pair > 0 {
            ours.push(a);
            theirs.push(b);
        }
    }
    let ratio = median(ours.iter().zip(&theirs).map(|(a, b)| a.per_second / b.per_second));
    println!(
        "median of {PAIRS}: breachpost {:.0}/s {:.1} us CPU, smtp-source {:.0}/s {:.1} us CPU, ratio {ratio:.2} (goal {GOAL})",
        median(ours.iter().map(|r| r.per_second)),
        median(ours.iter().map(|r| r.cpu_micros)),
        median(theirs.iter().map(|r| r.per_second)),
        median(theirs.iter().map(|r| r.cpu_micros)),
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn carry_all(port: u16, message: &[u8]) -> Run {
    let relay = Relay::from_url(&format!("smtp://127.0.0.1:{port}?tls=none"), None).unwrap();
    let connector = Connector::new(relay).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    measure(UsageWho::RUSAGE_SELF, || {
        runtime.block_on(async {
            let mut connection = Connection::open(&connector).await.unwrap();
            for n in 0..MESSAGES {
                let recipient = format!("person{n}@example.org");
                let mail = Mail {
                    envelope_from: "breach@example.lu",
                    recipient: &recipient,
                    bytes: message,
                    envid: Some("BP-7K3M-Q2XR"),
                    notify: Notify::TROUBLE,
                };
                let outcome = connection.carry(&mail).await;
                assert_eq!(outcome.name(), "accepted", "{outcome:?}");
            }
            connection.quit().await;
        });
    })
}

fn smtp_source(port: u16) -> Run {
    measure(UsageWho::RUSAGE_CHILDREN, || {
        let status = Command::new("smtp-source")
            .args([
                "-d",
                "-s",
                "1",
                "-l",
                &MESSAGE_BYTES.to_string(),
                "-m",
                &MESSAGES.to_string(),
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
    })
}

fn measure(who: UsageWho, work: impl FnOnce()) -> Run {
    let (begin, cpu_before) = (Instant::now(), cpu(who));
    work();
    let (wall, cpu_after) = (begin.elapsed(), cpu(who));
    Run {
        per_second: f64::from(MESSAGES) / wall.as_secs_f64(),
        cpu_micros: (cpu_after - cpu_before).as_secs_f64() * 1e6 / f64::from(MESSAGES),
    }
}

/// User and system time.
fn cpu(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let of = |t: TimeVal| Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap());
    of(usage.user_time()) + of(usage.system_time())
}

fn message() -> Vec<u8> {
    let mut bytes = b"From: breach@example.lu\r\nTo: person@example.org\r\nSubject: BP-7K3M-Q2XR\r\n\r\n".to_vec();
    let line = [b"abcdefgh".repeat(9).as_slice(), b"\r\n"].concat();
    while bytes.len() + line.len() <= MESSAGE_BYTES {
        bytes.extend_from_slice(&line);
    }
    bytes
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
