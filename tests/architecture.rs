//! The house's plan, checked: rooms import downwards only, every file says what it is for, and no room is a drawer for
//! odds and ends.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import, besides itself; `*` for all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("failpoint", &[]),
    ("reading", &[]),
    ("model", &["reading"]),
    ("directory", &["model", "reading"]),
    ("message", &["directory", "model", "reading", "secret"]),
    ("store", &["failpoint", "model", "secret"]),
    ("mail", &["failpoint", "message", "model", "secret"]),
    ("config", &["reading", "secret", "model"]),
    (
        "dispatch",
        &[
            "config",
            "mail",
            "store",
            "message",
            "directory",
            "model",
            "reading",
            "secret",
        ],
    ),
    (
        "cli",
        &[
            "dispatch",
            "config",
            "drill",
            "store",
            "message",
            "directory",
            "model",
            "reading",
            "secret",
        ],
    ),
    ("drill", &["*"]),
];

/// One import: the file, the line, and the path after `crate::`, such as `model::id::Actor`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    file: PathBuf,
    line: usize,
    path: String,
}
impl Import {
    /// The room of the file that imports.
    fn from(&self) -> String {
        room_of(&self.file)
    }
    fn to(&self) -> &str {
        self.path.split("::").next().unwrap_or_default()
    }
}
impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "src/{}:{}: crate::{}", self.file.display(), self.line, self.path)
    }
}

/// The room that a path below `src/` belongs to: its first folder, or the file itself.
fn room_of(file: &Path) -> String {
    let first = Path::new(file.components().next().unwrap().as_os_str());
    first.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Every source file, with its path below `src/`.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// All paths that follow `crate::` in code, with groups (`crate::{a, b::{c, d}}`) taken apart.
fn imports_of(file: &Path, text: &str) -> BTreeSet<Import> {
    let mut found = BTreeSet::new();
    // Comments may name any room; their text is blanked, so that positions stay.
    let code: String = text
        .split_inclusive('\n')
        .map(|line| match line.trim_start().starts_with("//") {
            true => "\n",
            false => line,
        })
        .collect();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` belongs to a macro; `some_crate::` to another crate.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        for path in expand(&code[at + "crate::".len()..]) {
            found.insert(Import {
                file: file.to_owned(),
                line,
                path,
            });
        }
    }
    found
}

/// The paths that a `use` tree at the start of `text` names.
fn expand(text: &str) -> Vec<String> {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let (prefix, rest) = text.split_at(end);
    let Some(group) = rest
        .strip_prefix('{')
        .filter(|_| prefix.is_empty() || prefix.ends_with("::"))
    else {
        return vec![prefix.to_owned()];
    };
    let mut paths = Vec::new();
    let (mut depth, mut start) = (0_usize, 0_usize);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let part = group[start..at].trim();
                if !part.is_empty() {
                    paths.extend(expand(part).into_iter().map(|path| format!("{prefix}{path}")));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    paths
}

fn all_imports() -> Vec<Import> {
    sources()
        .iter()
        // The crate's root is the map of the rooms, and the program's starts the command line.
        .filter(|(file, _)| !["lib", "main"].contains(&room_of(file).as_str()))
        .flat_map(|(file, text)| imports_of(file, text))
        .collect()
}

/// Whether a path ends in a type or trait: `store::Store`, not `store::sqlite::open`.
fn names_a_type(path: &str) -> bool {
    path.split("::").any(|part| part.starts_with(char::is_uppercase))
}

fn fault(import: &Import) -> Option<&'static str> {
    let (from, to) = (import.from(), import.to());
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(room, _)| *room == from) else {
        return Some("its room is not on the plan: add it to MAY_IMPORT with the rooms it may know");
    };
    if to == from || to == "self" {
        return None;
    }
    if !allowed.contains(&to) && !allowed.contains(&"*") {
        return Some("this room may not know that one");
    }
    if from == "cli" && to == "store" && (import.path.starts_with("store::sqlite") || !names_a_type(&import.path)) {
        return Some("the command line takes the store's types only; dispatch opens and works it");
    }
    if to == "drill" && from != "cli" {
        return Some("the drill's outside world is for the command line only");
    }
    None
}

#[test]
fn imports_go_downwards_only() {
    let imports = all_imports();
    let faults: Vec<String> = imports
        .iter()
        .filter_map(|import| fault(import).map(|why| format!("{import}\n    {why}")))
        .collect();
    assert!(
        faults.is_empty(),
        "{} import(s) against the plan:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(
        imports.len() > 20,
        "too few imports found to trust this test: {}",
        imports.len()
    );
}

#[test]
fn every_room_is_on_the_plan() {
    let rooms: BTreeSet<String> = sources().iter().map(|(file, _)| room_of(file)).collect();
    for room in rooms.iter().filter(|room| !["lib", "main"].contains(&room.as_str())) {
        assert!(
            MAY_IMPORT.iter().any(|(known, _)| known == room),
            "src/{room} is not on the plan"
        );
        for drawer in ["util", "utils", "common", "core", "types", "helpers", "misc"] {
            assert_ne!(room, drawer, "a room is called by what it does");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let mute: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(file, _)| file)
        .collect();
    assert!(
        mute.is_empty(),
        "files that do not open with `//!` and their duty: {mute:?}"
    );
}

#[test]
fn no_lint_is_silenced_without_a_reason() {
    // Put together here, so that this file does not hold what it looks for.
    let silencers = [format!("#[{}(", "allow"), format!("#![{}(", "allow")];
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| silencers.iter().any(|silencer| text.contains(silencer)))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "use `#[expect(…, reason = …)]` in {silent:?}");
}

#[test]
fn this_test_can_read_imports() {
    let text = "use crate::model::{Time, id::{Actor, BreachId}, delivery::DeliveryState};\n\
                // crate::mail::smtp\n    /// [`crate::mail::imap`]\nlet x = crate::store::sqlite::open(path);\n\
                use crate::{\n    secret::Secret,\n    reading,\n};\n$crate::no; my_crate::no;\n";
    let found: Vec<(usize, String)> = imports_of(Path::new("cli/mod.rs"), text)
        .into_iter()
        .map(|import| (import.line, import.path))
        .collect();
    let expected = [
        (1, "model::Time"),
        (1, "model::delivery::DeliveryState"),
        (1, "model::id::Actor"),
        (1, "model::id::BreachId"),
        (4, "store::sqlite::open"),
        (5, "reading"),
        (5, "secret::Secret"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn this_test_finds_what_it_forbids() {
    for (file, path, allowed) in [
        ("model/id.rs", "model::Time", true),
        ("model/id.rs", "store::Store", false),
        ("reading/yaml.rs", "model::Time", false),
        ("message/seal.rs", "directory::Profile", true),
        ("message/seal.rs", "mail::smtp", false),
        ("dispatch/desk.rs", "store::sqlite::Sqlite", true),
        ("dispatch/desk.rs", "cli::output", false),
        ("dispatch/desk.rs", "drill::receiver", false),
        ("cli/notice.rs", "store::StoredBreach", true),
        ("cli/notice.rs", "store::sqlite::Sqlite", false),
        ("cli/notice.rs", "mail::smtp::Relay", false),
        ("cli/drill.rs", "drill::run", true),
        ("drill/mod.rs", "mail::smtp::Relay", true),
        ("util.rs", "model::Time", false),
    ] {
        let import = Import {
            file: file.into(),
            line: 1,
            path: path.to_owned(),
        };
        assert_eq!(fault(&import).is_none(), allowed, "{import}");
    }
}
