//! How fast one connection hands over ready-made mail, against `smtp-source`, the load generator of Postfix, and with
//! the same `smtp-sink` at the other end. Both run in turn, because a machine's clock drifts; what counts is the ratio and
//! the CPU time of a message. Run with `cargo bench --bench smtp`; needs the packages that tests/setup installs.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run stops")]

#[expect(dead_code, reason = "shared by several benches, each of which needs a part")]
mod stage;

use breachpost::mail::smtp::{Connection, Connector, Mail, Notify, Relay};
use nix::sys::resource::UsageWho;

use stage::{Run, Sink, measure, median, smtp_source};

const MESSAGES: u32 = 20_000;
const PAIRS: usize = 7;
const MESSAGE_BYTES: usize = 4096;
/// The plain path has to keep at least this share of the rate of `smtp-source`.
const GOAL: f64 = 0.5;

fn main() {
    let sink = Sink::start();
    let message = message();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms up and does not count.
    for pair in 0..=PAIRS {
        let (a, b) = (
            carry_all(sink.port, &message),
            smtp_source(sink.port, 1, MESSAGES as usize, MESSAGE_BYTES),
        );
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

fn carry_all(port: u16, message: &[u8]) -> Run {
    let relay = Relay::from_url(&format!("smtp://127.0.0.1:{port}?tls=none"), None).unwrap();
    let connector = Connector::new(relay).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    measure(MESSAGES as usize, UsageWho::RUSAGE_SELF, || {
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

fn message() -> Vec<u8> {
    let mut bytes = b"From: breach@example.lu\r\nTo: person@example.org\r\nSubject: BP-7K3M-Q2XR\r\n\r\n".to_vec();
    let line = [b"abcdefgh".repeat(9).as_slice(), b"\r\n"].concat();
    while bytes.len() + line.len() <= MESSAGE_BYTES {
        bytes.extend_from_slice(&line);
    }
    bytes
}
