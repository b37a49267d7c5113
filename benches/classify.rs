//! How fast mail is understood: opened, marked and judged, on one core, over the corpus in `tests/data/mail`. Goal: at
//! least 2,000 mails per second, and memory that does not grow. Run with `cargo bench --bench classify`.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

use std::path::Path;
use std::time::{Duration, Instant};

use breachpost::directory::Directory;
use breachpost::message::{classify, open};
use breachpost::model::Time;

const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail");
    let mails: Vec<Vec<u8>> = std::fs::read_dir(root)
        .unwrap()
        .filter(|group| group.as_ref().unwrap().path().is_dir())
        .flat_map(|group| std::fs::read_dir(group.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let bytes: usize = mails.iter().map(Vec::len).sum();
    println!("{} mails, {} bytes on average", mails.len(), bytes / mails.len());
    let profiles = Directory::load(None).unwrap().list().unwrap();
    let now = Time::from_timestamp(1_795_000_000, 0).unwrap();
    for round in 1..=ROUNDS {
        let begun = Instant::now();
        let mut understood = 0_usize;
        while begun.elapsed() < ROUND {
            for raw in &mails {
                let mail = open::open(raw, None, &[], now);
                let marks = classify::marks(&mail);
                let verdict = classify::judge_alone(&mail, &marks, &profiles);
                assert!(!verdict.0.why.is_empty());
                understood += 1;
            }
        }
        let per_second = understood as f64 / begun.elapsed().as_secs_f64();
        println!(
            "round {round}: {per_second:8.0} mails/s on one core (goal 2,000), {:5.1} MB resident",
            resident_mb()
        );
    }
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
