//! The README's tour, run as it stands: its `sh` blocks in an empty folder against the built program, with a relay on
//! loopback in the place that the README itself names (`RELAY`), and its `text` blocks compared with what was printed.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use breachpost::drill::receiver::{Plan, Receiver};

/// The heading of the tour.
const TOUR: &str = "## Five minutes to a first sealed notice";

/// A fenced block of the tour.
struct Block {
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, tour) = readme.split_once(TOUR).unwrap();
    let tour = tour.split("\n## ").next().unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in tour.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(language), false) => {
                open = true;
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (None, true) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

/// A folder in which GnuPG's sockets find room; its agent ends with it.
struct Folder(tempfile::TempDir);
impl Folder {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("bpr")
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in("/tmp")
                .unwrap(),
        )
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn gnupg(&self) -> PathBuf {
        self.path().join("authority")
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.gnupg())
            .status();
    }
}

/// Words that depend on the day.
const DAYS: [&str; 9] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "CET", "CEST"];

/// What differs from run to run, and from one machine to the next, becomes `#`: whatever holds a digit, references,
/// groups of a fingerprint, the account, the day.
fn masked(line: &str) -> String {
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| {
            let hex = word.len() == 4 && word.bytes().all(|b| matches!(b, b'A'..=b'F'));
            let varies = hex
                || word.bytes().any(|b| b.is_ascii_digit())
                || word.starts_with("BP-")
                || word.starts_with("os:")
                || DAYS.contains(&word);
            if varies { "#" } else { word }
        })
        .collect();
    words.join(" ")
}

/// Runs all blocks as one script, as a reader types them into one shell.
fn run(folder: &Folder, relay: &str) -> String {
    let script: String = blocks()
        .iter()
        .filter(|block| block.language == "sh")
        .map(|block| block.text.as_str())
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_breachpost")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["120", "bash", "-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("RELAY", relay)
        .env_remove("BREACHPOST_HOME")
        .env_remove("BREACHPOST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n--- printed\n{printed}\n--- notes\n{notes}",
        output.status
    );
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_runs_and_prints_what_it_says() {
    let receiver = Receiver::start(Plan::clear()).await.unwrap();
    let (folder, relay) = (Folder::new(), receiver.url());
    let (folder, printed) = tokio::task::spawn_blocking(move || {
        let printed = run(&folder, &relay);
        (folder, printed)
    })
    .await
    .unwrap();

    let seen: Vec<String> = printed.lines().map(masked).collect();
    for block in blocks().iter().filter(|block| block.language == "text") {
        for line in block.text.lines() {
            assert!(
                seen.contains(&masked(line)),
                "the README shows a line that was not printed: {line}\n{printed}"
            );
        }
    }

    // And what left can be read by the authority, and by nobody else on the way.
    let mails = receiver.mails();
    assert_eq!(mails.len(), 3, "one notice and two persons, one message each");
    assert!(mails.iter().all(|mail| mail.recipients.len() == 1));
    let sent = &mails[0].bytes;
    assert!(!String::from_utf8_lossy(sent).contains("payroll"));
    let file = folder.path().join("sent.eml");
    fs::write(&file, sent).unwrap();
    let read = Command::new("gpg")
        .args(["--batch", "--quiet", "--decrypt"])
        .arg(&file)
        .env("GNUPGHOME", folder.gnupg())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&read.stdout).contains("A payroll export was attached"),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
}
