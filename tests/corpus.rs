//! The inputs kept from fuzzing (`fuzz/corpus`) and those that once broke something (`tests/corpus`), each through the
//! same reader as its fuzz target: `fuzz/readers.rs` says what must hold.

#[path = "../fuzz/readers.rs"]
mod readers;

use std::path::Path;

type Reader = fn(&[u8]);
const READERS: [(&str, Reader); 10] = [
    ("profile_yaml", readers::profile_yaml),
    ("breach_yaml", readers::breach_yaml),
    ("breach_json", readers::breach_json),
    ("smtp_reply", readers::smtp_reply),
    ("imap_response", readers::imap_response),
    ("recipients", readers::recipients),
    ("certificate", readers::certificate),
    ("config_yaml", readers::config_yaml),
    ("incoming_mail", readers::incoming_mail),
    ("classify", readers::classify),
];

#[test]
fn every_kept_input_is_read_without_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, read) in READERS {
        let mut inputs = 0;
        for folder in [
            root.join("fuzz/corpus").join(name),
            root.join("tests/corpus").join(name),
        ] {
            // Not every target has broken something yet.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                // Named before it is read: what hangs or panics must be known by name.
                println!("{}", path.display());
                read(&std::fs::read(&path).unwrap());
                inputs += 1;
            }
        }
        assert!(inputs > 1, "no inputs are kept for {name}");
    }
}

#[test]
fn every_fuzz_target_is_known_here() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    for entry in std::fs::read_dir(targets).unwrap() {
        let name = entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(
            READERS.iter().any(|(known, _)| *known == name),
            "{name} is not run here"
        );
    }
}
