//! How long an acknowledgement takes from its arrival in a mailbox (Dovecot, IDLE) until its notice is acknowledged (goal:
//! under 2 s), and what memory the daemon needs with few and with many mails in the folder. Run with
//! `cargo bench --bench mailbox`; needs the packages that tests/setup installs.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

#[expect(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/dovecot/mod.rs"]
mod dovecot;
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/world/mod.rs"]
mod world;

use std::time::{Duration, Instant, SystemTime};

use dovecot::{Dovecot, PASSWORD, USER};
use world::relay::Relay;
use world::{AUTHORITY, Running, SENDER, World, text, until};

const RUNS: usize = 7;
const GOAL: Duration = Duration::from_secs(2);
/// Mails in the folder that are older than the home, and mails that are new.
const SIZES: [(usize, usize); 3] = [(0, 20), (1000, 20), (20_000, 20)];

fn main() {
    for (old, new) in SIZES {
        let dovecot = Dovecot::start();
        fill(&dovecot, old, new);
        let relay = Relay::sound();
        let world = home(&relay, &dovecot);
        let started = Instant::now();
        let daemon = world.serve();
        until("all new mail is taken in", || {
            let tray = world.run(&["mailbox", "tray", "--json"]).json();
            (tray.as_array().map_or(0, Vec::len) >= new).then_some(())
        });
        let first = started.elapsed();
        let mut waits: Vec<Duration> = (0..RUNS).map(|n| acknowledged(&world, &dovecot, n)).collect();
        waits.sort();
        println!(
            "{old:6} old and {new} new mails: read after {:.1} s, {:.1} MB resident; arrival to acknowledged: median {} ms, \
             longest {} ms of {RUNS} (goal {} ms)",
            first.as_secs_f64(),
            resident_mb(&daemon),
            waits[RUNS / 2].as_millis(),
            waits[RUNS - 1].as_millis(),
            GOAL.as_millis()
        );
        assert_eq!(daemon.stop(), 0);
    }
}

fn fill(dovecot: &Dovecot, old: usize, new: usize) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    for n in 0..old + new {
        let mail = format!(
            "From: <somebody{n}@elsewhere.example>\nTo: <{SENDER}>\nSubject: question {n}\n\
             Message-ID: <{n}@elsewhere.example>\n\n{}\n",
            "Who are you?\n".repeat(100)
        );
        let at = (n < old).then_some(long_ago);
        dovecot.deliver_at("INBOX", &format!("{n:06}.mail"), mail.as_bytes(), at);
    }
    // So that the server has numbered them before anybody reads.
    dovecot.doveadm(&["mailbox", "status", "-u", USER, "messages", "INBOX"]);
}

fn home(relay: &Relay, dovecot: &Dovecot) -> World {
    let world = World::ready(relay);
    let password = world.private_file("mailbox.password", PASSWORD.as_bytes());
    world.settle(
        &format!("{{ url: \"maildir:{}\" }}", world.maildir().display()),
        &format!(
            "{{ url: \"imaps://{USER}@localhost:{}\", password: {{ file: {password} }}, tls: {{ ca_file: {} }} }}",
            dovecot.tls_port,
            dovecot.ca_file().display()
        ),
    );
    world
}

/// From the acknowledgement's arrival until the notice shows it.
fn acknowledged(world: &World, dovecot: &Dovecot, n: usize) -> Duration {
    let notice = world.json(&["notice", "send", world.breach(), "--to", AUTHORITY, "--yes", "--wait"]);
    let reference = text(&notice["reference"]);
    let answer = format!(
        "From: <databreach@mail.cnpd.lu>\nTo: <{SENDER}>\nSubject: Acknowledgement of receipt\n\
         Message-ID: <ack{n}@cnpd.example>\nIn-Reply-To: {}\n\nWe acknowledge receipt of your notification.\n",
        text(&notice["message_id"])
    );
    let arrived = Instant::now();
    dovecot.deliver("INBOX", &format!("{n}.ack"), answer.as_bytes());
    world.until_notice(&reference, "acknowledged");
    arrived.elapsed()
}

fn resident_mb(daemon: &Running) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
