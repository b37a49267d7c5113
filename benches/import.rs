//! What it costs to bring in a list: `campaign create` for 1,000,000 rows, read, judged, deduplicated and stored, against a
//! bare loop that inserts the same persons into an equal table (encrypted, WAL, synchronous, unique key, 5,000 rows in a
//! transaction), in turn (goal: at least 0.4 of its rate); and the memory at 10,000 and at 1,000,000 rows (goal: at most
//! 64 MiB, growth below 10 %). Run with `cargo bench --bench import`.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several benches, each of which needs a part")]
mod stage;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use breachpost::model::recipient::PersonKey;
use nix::sys::resource::{UsageWho, getrusage};
use rusqlite::{Connection, params};

use stage::Scene;

const ROWS: usize = 1_000_000;
const FEW_ROWS: usize = 10_000;
const CHUNK: usize = 5_000;
const PAIRS: usize = 3;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (folder.path().join("few.csv"), folder.path().join("many.csv"));
    write_list(&few, FEW_ROWS);
    write_list(&many, ROWS);

    ours(folder.path(), "few", &few);
    let little = peak_mib();
    let mut ratios = Vec::new();
    for pair in 1..=PAIRS {
        let ours = ROWS as f64 / ours(folder.path(), &format!("pair-{pair}"), &many);
        let bare = ROWS as f64 / bare(&folder.path().join(format!("bare-{pair}.db")));
        println!(
            "pair {pair}: {ours:8.0} rows/s imported, {bare:8.0} rows/s by the bare loop: {:.2}",
            ours / bare
        );
        ratios.push(ours / bare);
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio, median of {PAIRS}: {:.2} (goal 0.4)", ratios[PAIRS / 2]);
    let much = peak_mib();
    println!("peak memory: {little:.1} MiB at {FEW_ROWS} rows, {much:.1} MiB at {ROWS} (goal 64, growth below 10 %)");
}

/// Persons in no order, as a customer system exports them by name.
fn address(row: usize) -> String {
    let mixed = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("person.{mixed:016x}@provider{}.example", mixed % 500)
}

fn write_list(path: &Path, rows: usize) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(b"email,first_name,last_name,language,country,data,postcode,city\n")
        .unwrap();
    for row in 0..rows {
        let address = address(row);
        writeln!(
            file,
            "{address},Zoë,Weber {row},fr,LU,\"name, bank account\",{},Wiltz",
            row % 10_000
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// Seconds of the whole command on a fresh home.
fn ours(folder: &Path, name: &str, list: &Path) -> f64 {
    let scene = Scene::new(folder.join(name), 9);
    let begun = Instant::now();
    scene.campaign(list);
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&scene.path).unwrap();
    seconds
}

/// Seconds of inserting the same persons, ready in memory a chunk at a time, without reading or judging anything.
fn bare(path: &Path) -> f64 {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!(
        "PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256; PRAGMA key = \"x'{}'\"",
        "07".repeat(32)
    ))
    .unwrap();
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         CREATE TABLE persons (id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, person BLOB NOT NULL, address TEXT NOT NULL,
            domain TEXT NOT NULL, language TEXT NOT NULL, country TEXT, flags INTEGER NOT NULL, fields TEXT NOT NULL,
            UNIQUE (campaign, person)) STRICT;",
    )
    .unwrap();
    let mut seconds = 0.0;
    for first in (0..ROWS).step_by(CHUNK) {
        let rows: Vec<_> = (first..first + CHUNK)
            .map(|row| {
                let (address, name) = (address(row), format!("Zoë Weber {row}"));
                let fields = format!(
                    "{{\"city\":[\"Wiltz\"],\"data\":[\"basic_identity\",\"financial\"],\"first_name\":[\"Zoë\"],\
                     \"last_name\":[\"Weber {row}\"],\"name\":[\"{name}\"],\"postcode\":[\"{}\"]}}",
                    row % 10_000
                );
                (PersonKey::of_name(&address, &name), address, fields)
            })
            .collect();
        let begun = Instant::now();
        conn.execute_batch("BEGIN").unwrap();
        let sql = "INSERT INTO persons (campaign, person, address, domain, language, country, flags, fields)
             VALUES (1, ?1, ?2, ?3, 'fr', 'LU', 0, ?4)";
        let mut insert = conn.prepare_cached(sql).unwrap();
        for (key, address, fields) in &rows {
            let domain = address.rsplit_once('@').unwrap().1;
            insert.execute(params![key.0, address, domain, fields]).unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
        seconds += begun.elapsed().as_secs_f64();
    }
    seconds
}

/// Of the largest of our children so far.
fn peak_mib() -> f64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() as f64 / 1024.0
}
