//! Whole campaigns: the program with its durable ledger writes a letter to each person of a list (in clear, or signed and
//! encrypted to the person's own key and to ours) and hands it to a relay (`smtp-sink`), as `campaign start` does it. Beside
//! it, in turn (A B A B) because a machine's speed drifts:
//!
//! - in clear: `smtp-source -d -s 8` of Postfix, which repeats one ready message and keeps nothing (goal: half its rate), and
//!   nodemailer (8 times its rate, a tenth of its processor time);
//! - sealed: a bare loop of the OpenPGP library on two threads, over the same texts with the same keys, which sends nothing
//!   and keeps nothing (0.8 of its rate); one `gpg` for each message with Python (15 times), openpgp.js with nodemailer (5),
//!   pysequoia with Python (4);
//! - 10,000 and 1,000,000 persons: memory (64 MiB, growth below 10 %) and processor time of a message (equal within 10 %).
//!
//! `cargo bench --bench bulk` needs the packages that tests/setup installs; the peers are measured where `BREACHPOST_PEERS`
//! names the folder that `benches/peers/setup.sh` made. `-- --million` adds the large lists. `benches/table` does it all.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

#[path = "../library/mod.rs"]
mod library;
#[path = "../stage/mod.rs"]
mod stage;

mod bare;
mod campaign;
mod peers;

use campaign::{Campaign, Many};
use peers::Peers;
use stage::{Run, Sink, median, smtp_source};

const PAIRS: usize = 5;
const PERSONS: usize = 10_000;
/// Of the rows beside others, who measure without their start: so ours must not count for much.
const PERSONS_BESIDE: usize = 50_000;
/// As many as the peer has.
const MANY_CONNECTIONS: usize = 64;
const MANY_PERSONS: usize = 1_000_000;
const MESSAGE_BYTES: usize = 4096;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start();
    let peers = Peers::find();
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    println!("| what | breachpost | beside it | ratio of rates | goal | processor time: ours / theirs |");
    println!("|---|---|---|---|---|---|");
    if !asked("--sealed") {
        in_clear(&sink, folder.path(), peers.as_ref());
    }
    if !asked("--clear") {
        sealed(&sink, folder.path(), peers.as_ref());
    }
    if asked("--million") {
        many(&sink, folder.path());
    }
}

fn in_clear(sink: &Sink, folder: &std::path::Path, peers: Option<&Peers>) {
    let list = folder.join("clear.csv");
    campaign::write_list(&list, PERSONS_BESIDE);
    let ours = || Campaign::new(folder, &list, sink.port).send(PERSONS_BESIDE).run;
    let (bytes, _) = Campaign::new(folder, &list, sink.port).example();
    beside(
        &format!("in clear, {bytes} bytes"),
        "`smtp-source -d -s 8`",
        0.5,
        &ours,
        &|| smtp_source(sink.port, 8, PERSONS_BESIDE, MESSAGE_BYTES),
    );
    if let Some(peers) = peers {
        let ours = || {
            let campaign = Campaign::new(folder, &list, sink.port).over(MANY_CONNECTIONS);
            campaign.send(PERSONS_BESIDE).run
        };
        beside(
            "in clear, 64 connections",
            "nodemailer, 64 connections",
            8.0,
            &ours,
            &|| peers.nodemailer(5_000, MANY_CONNECTIONS, sink.port),
        );
    }
}

fn sealed(sink: &Sink, folder: &std::path::Path, peers: Option<&Peers>) {
    let list = folder.join("sealed.csv");
    let certificates = bare::write_list(&list, PERSONS_BESIDE);
    let ours = || Campaign::new(folder, &list, sink.port).send(PERSONS_BESIDE).run;
    let (bytes, text) = Campaign::new(folder, &list, sink.port).example();
    let bare = bare::Bare::new(&certificates, text);
    let what = format!("sealed, {bytes} bytes");
    beside(&what, "the bare library on 2 threads", 0.8, &ours, &|| {
        bare.run(PERSONS_BESIDE)
    });
    if let Some(peers) = peers {
        beside("sealed", "Python with gpg, 4 workers", 15.0, &ours, &|| {
            peers.python("gpg", 400, 4, sink.port)
        });
        beside(
            "sealed",
            "nodemailer with openpgp.js, 8 connections",
            5.0,
            &ours,
            &|| peers.openpgpjs(1_000, 8, sink.port),
        );
        beside("sealed", "Python with pysequoia, 2 processes", 4.0, &ours, &|| {
            peers.python("pysequoia", 3_000, 2, sink.port)
        });
    }
}

/// One row of the table: medians of the pairs.
fn beside(what: &str, name: &str, goal: f64, ours: &dyn Fn() -> Run, theirs: &dyn Fn() -> Run) {
    let pairs: Vec<(Run, Run)> = (0..PAIRS).map(|_| (ours(), theirs())).collect();
    let ours = |figure: fn(&Run) -> f64| median(pairs.iter().map(|(ours, _)| figure(ours)));
    let theirs = |figure: fn(&Run) -> f64| median(pairs.iter().map(|(_, theirs)| figure(theirs)));
    let rate: fn(&Run) -> f64 = |run| run.per_second;
    let cpu: fn(&Run) -> f64 = |run| run.cpu_micros;
    let ratios: Vec<f64> = pairs.iter().map(|(a, b)| a.per_second / b.per_second).collect();
    let (least, most) = ratios
        .iter()
        .fold((f64::MAX, 0.0_f64), |(l, m), r| (l.min(*r), m.max(*r)));
    println!(
        "| {what} | {:.0}/s | {name}: {:.0}/s | {:.2} ({least:.2} to {most:.2}) | {goal} | {:.0} / {:.0} µs |",
        ours(rate),
        theirs(rate),
        median(ratios),
        ours(cpu),
        theirs(cpu),
    );
}

fn many(sink: &Sink, folder: &std::path::Path) {
    let sent = |persons| {
        let list = folder.join(format!("{persons}.csv"));
        campaign::write_list(&list, persons);
        Campaign::new(folder, &list, sink.port).send(persons)
    };
    let few = median_run((0..3).map(|_| sent(PERSONS)).collect());
    let many = sent(MANY_PERSONS);
    println!();
    println!("| persons | messages/s | processor time | peak memory |");
    println!("|---|---|---|---|");
    for (persons, sent) in [(PERSONS, &few), (MANY_PERSONS, &many)] {
        println!(
            "| {persons} | {:.0} | {:.1} µs | {:.1} MiB |",
            sent.run.per_second, sent.run.cpu_micros, sent.peak_mib
        );
    }
}

fn median_run(mut runs: Vec<Many>) -> Many {
    runs.sort_by(|a, b| a.run.cpu_micros.total_cmp(&b.run.cpu_micros));
    runs.swap_remove(runs.len() / 2)
}
