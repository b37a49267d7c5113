//! The program dies, the disk is full, read-only or cut short, others race it: nothing that was promised is lost, nothing
//! is sent twice without saying so, and what is wrong is said.
//!
//! Each case runs the real program as a child on a copy of one scratch home. `BREACHPOST_LONG=1` adds other relays.
//! A release build has no failpoints and therefore none of the deaths.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::print_stdout, reason = "what each death led to is for a person to read")]

#[expect(dead_code, reason = "the tests of the relay's faults use more of it")]
mod scratch;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::checkpoint;
use breachpost::dispatch::desk::notice::{self, NoticeView};
use breachpost::dispatch::office::Office;
use breachpost::drill::authority;
use breachpost::drill::receiver::{Act, Plan, Receiver, Step, Trouble};
use breachpost::model::id::BreachId;
use breachpost::model::notice::NoticeState;
use breachpost::model::{Clock, SystemClock};
use tempfile::TempDir;

use scratch::{LATER, PASSWORD, Scratch, TestClock, USER, assert_intact, assert_wire_says_nothing, carry, sound};

/// A relay, and a home beside it with an open breach, ready to be copied.
struct Bed {
    scratch: Scratch,
    receiver: Receiver,
    /// Takes the receiver's place for those who come after.
    sound: Receiver,
    breach: BreachId,
    copies: TempDir,
}

impl Bed {
    async fn new(plan: Plan) -> Self {
        let receiver = Receiver::start(plan).await.unwrap();
        let scratch = Scratch::over(&receiver, SystemClock.now()).await;
        let breach = scratch.open_breach().await;
        // From here on it is the authority's clock: it reads what the children write later.
        scratch.clock.advance(LATER);
        Self {
            scratch,
            receiver,
            sound: Receiver::start(sound()).await.unwrap(),
            breach,
            copies: TempDir::new().unwrap(),
        }
    }

    /// A fresh copy of the home. The store may be open: nobody writes to it.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.copies.path().join(name);
        copy_folder(self.scratch.office.home.root(), &to);
        to
    }

    fn send(&self, home: &Path) -> Command {
        let mut command = program(home);
        command.args([
            "notice",
            "send",
            &self.breach.to_string(),
            "--to",
            authority::ID,
            "--yes",
            "--json",
        ]);
        command
    }

    /// The home as the next process finds it.
    fn open(&self, home: &Path, clock: Arc<TestClock>) -> Office {
        Office::open(Home::at(home).unwrap(), clock).unwrap()
    }

    /// Whatever happened before: after the next run the authority has the one notice, and all that is said about it holds.
    async fn recovers(&self, home: &Path, named: &str) -> (NoticeView, usize) {
        let clock = TestClock::at(SystemClock.now());
        let office = self.open(home, clock.clone());
        let office = self.scratch.redirect(office, &self.sound, self.sound.ca_pem());
        if notice::list(&office, None).await.unwrap().is_empty() {
            // Nothing had been promised. The operator does it again.
            let output = run(self.send(home)).await;
            assert!(
                matches!(output.status.code(), Some(0 | 2)),
                "{named}: {}",
                said(&output)
            );
        }
        // Finds what the dead left behind, and waits as after any failed try.
        for _ in 0..2 {
            clock.advance(LATER);
            carry(&office).await.unwrap();
        }
        let notices = notice::list(&office, None).await.unwrap();
        let [view] = notices.as_slice() else {
            panic!("{named}: one notice, not {}", notices.len())
        };
        assert_eq!(view.state, NoticeState::Handed, "{named}");
        assert_wire_says_nothing(&self.receiver);
        let taken = [self.receiver.mails(), self.sound.mails()].concat();
        let copies = self.scratch.copies(view, &taken).await;
        assert!(
            copies == 1 || (copies == 2 && view.possibly_twice),
            "{named}: {copies} copies"
        );
        assert_intact(&office).await;
        (view.clone(), copies)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
    command.arg("--home").arg(home).stdin(Stdio::null());
    command
}

/// Runs a child without keeping the receiver from answering it.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[cfg(debug_assertions)]
mod deaths {
    //! Dies at every commit and every write to the socket, before and after it, one after the other.

    use super::*;

    const PLACES: [&str; 4] = ["before_commit", "after_commit", "before_write", "after_write"];

    fn doomed(mut command: Command, place: &str, hit: u32) -> Command {
        command.env("BREACHPOST_DIE_AT", format!("{place}:{hit}"));
        command
    }

    /// Every place and hit until the program comes through alive. Returns how many deaths that were.
    async fn die_everywhere(bed: &Bed, name: &str) -> u32 {
        let mut deaths = 0;
        for place in PLACES {
            for hit in 1.. {
                let named = format!("{name}, {place} {hit}");
                let home = bed.copy(&named);
                let output = run(doomed(bed.send(&home), place, hit)).await;
                if let Some(code) = output.status.code() {
                    assert!([0, 2].contains(&code), "{named}: {}", said(&output));
                    break;
                }
                deaths += 1;
                let (view, copies) = bed.recovers(&home, &named).await;
                let outcomes: Vec<&str> = view.attempts.iter().map(|a| a.outcome.as_str()).collect();
                let twice = if view.possibly_twice { ", possibly twice" } else { "" };
                println!("{named:<40}  {:<24}  {copies} sent{twice}", outcomes.join(", "));
                // What a doubt is for: a death while it was on the wire, and no other.
                assert_eq!(
                    view.possibly_twice,
                    outcomes.contains(&"recovered") || outcomes.contains(&"in_doubt"),
                    "{named}"
                );
            }
        }
        deaths
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn at_every_commit_and_every_write() {
        let bed = Bed::new(sound()).await;
        let deaths = die_everywhere(&bed, "STARTTLS").await;
        assert!(deaths > 20, "only {deaths}: are the failpoints in place?");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn at_other_relays_too() {
        if std::env::var_os("BREACHPOST_LONG").is_none() {
            return;
        }
        let mut in_turn = sound();
        in_turn.offers.pipelining = false;
        let trouble = |step, act| sound().with(Trouble::at(step, act));
        for (name, plan) in [
            ("smtps", Plan::implicit().with_account(USER, PASSWORD)),
            ("no pipelining", in_turn),
            ("deferred", trouble(Step::Rcpt, Act::reply("451 4.7.1 later"))),
            ("late no", trouble(Step::FinalDot, Act::reply("451 4.7.1 later"))),
            ("line cut", trouble(Step::Taken, Act::Close)),
        ] {
            die_everywhere(&Bed::new(plan).await, name).await;
        }
    }

    /// Found by the daemon, not by a second command.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn and_the_daemon_goes_on() {
        let bed = Bed::new(sound()).await;
        // The commit after the claim: on the wire, and nothing said yet. Which one that is may differ from run to run, for
        // those that wait together share one.
        let mut hit = 0;
        let home = loop {
            hit += 1;
            let home = bed.copy(&format!("look {hit}"));
            let output = run(doomed(bed.send(&home), "after_commit", hit)).await;
            assert_eq!(output.status.code(), None, "never on the wire");
            let office = bed.open(&home, TestClock::at(SystemClock.now()));
            let holders = office.store.lease_holders().await.unwrap();
            let views = notice::list(&office, None).await.unwrap();
            if let (false, Some(delivery)) = (holders.is_empty(), views.first().and_then(|v| v.delivery)) {
                let found = office.store.find_delivery(delivery).await.unwrap().unwrap();
                if found.state.name() == "on_wire" {
                    break home;
                }
            }
        };
        let before = bed.receiver.mails().len();
        let mut daemon = program(&home).arg("serve").stderr(Stdio::null()).spawn().unwrap();
        bed.receiver.wait_for(before + 1).await;
        let pid = nix::unistd::Pid::from_raw(daemon.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = tokio::task::spawn_blocking(move || daemon.wait().unwrap())
            .await
            .unwrap();
        assert_eq!(status.code(), Some(0));
        let (view, copies) = bed.recovers(&home, "daemon").await;
        assert!(view.possibly_twice && copies == 1);
    }
}

/// Several commands at once on one home: each sends its own notice, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_race_on_one_home() {
    let bed = Bed::new(sound()).await;
    let home = bed.copy("race");
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(tokio::spawn(run(bed.send(&home))));
    }
    for one in running {
        let output = one.await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let office = bed.open(&home, TestClock::at(SystemClock.now()));
    let views = notice::list(&office, None).await.unwrap();
    assert_eq!(views.len(), 4);
    for view in &views {
        assert_eq!((view.state, view.possibly_twice), (NoticeState::Handed, false));
        assert_eq!(bed.scratch.copies(view, &bed.receiver.mails()).await, 1);
    }
    assert_intact(&office).await;
}

/// What a failed command must have said, whatever it was: an exit status of its own, and why in words.
fn assert_clear(output: &Output, words: &[&str], named: &str) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(1), "{named}: {text}");
    assert!(
        text.starts_with("error: ") || text.contains("\nerror: "),
        "{named}: {text}"
    );
    assert!(words.iter().any(|word| text.contains(word)), "{named}: {text}");
    assert!(!text.contains("panicked"), "{named}: {text}");
}

/// A folder on a file system of its own; unmounted when dropped.
struct Mount(PathBuf);
impl Mount {
    /// `None` where we may not mount, and whoever runs the tests knows it: `BREACHPOST_NO_MOUNT` is set.
    fn tmpfs(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mount = Self(at);
        let mounted = mount.mount(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
        assert!(
            mounted || std::env::var_os("BREACHPOST_NO_MOUNT").is_some(),
            "no file system may be mounted here; set BREACHPOST_NO_MOUNT=1 to leave out what needs one"
        );
        mounted.then_some(mount)
    }
    fn mount(&self, arguments: &[&str]) -> bool {
        let status = Command::new("mount")
            .args(arguments)
            .arg(&self.0)
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
    fn remount(&self, option: &str) {
        assert!(self.mount(&["-o", &format!("remount,{option}")]), "{option}");
    }
}
impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failing test may still have files open. What cannot be unmounted was not mounted.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .stderr(Stdio::null())
            .status();
    }
}

/// The disk is full at every point of a notice's life: as much room as is left, the command fails later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let bed = Bed::new(sound()).await;
    let mut failures = 0;
    for room_kib in (0..).step_by(16) {
        let named = format!("{room_kib} KiB left");
        let Some(disk) = Mount::tmpfs(bed.copies.path().join(&named)) else {
            return;
        };
        let home = disk.0.join("home");
        copy_folder(bed.scratch.office.home.root(), &home);
        let used = nix::sys::statvfs::statvfs(&disk.0).unwrap();
        let used_kib = (used.blocks() - used.blocks_free()) * used.fragment_size() / 1024;
        disk.remount(&format!("size={}k", used_kib + room_kib));
        let output = run(bed.send(&home)).await;
        disk.remount("size=64m");
        let through = output.status.success();
        if !through {
            failures += 1;
            assert_clear(&output, &["full", "No space left"], &named);
        }
        bed.recovers(&home, &named).await;
        if through {
            break;
        }
    }
    assert!(failures > 3, "the disk was never full");
}

/// The same without any right to mount: no file may grow beyond a limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow() {
    let bed = Bed::new(sound()).await;
    let mut failures = 0;
    // In units of 512 bytes (POSIX); the signal that comes with the limit is ignored, as a full disk sends none.
    for limit in (0..).step_by(64) {
        let named = format!("limit of {limit}");
        let home = bed.copy(&named);
        let send = bed.send(&home);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &limit.to_string()])
            .arg(send.get_program())
            .args(send.get_args());
        let output = run(limited).await;
        let through = output.status.success();
        if !through {
            failures += 1;
            assert_clear(&output, &["disk I/O error", "full", "too large"], &named);
        }
        bed.recovers(&home, &named).await;
        if through {
            break;
        }
    }
    assert!(failures > 2, "the limit was never reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk() {
    let bed = Bed::new(sound()).await;
    let Some(disk) = Mount::tmpfs(bed.copies.path().join("read-only")) else {
        return;
    };
    let home = disk.0.join("home");
    copy_folder(bed.scratch.office.home.root(), &home);
    disk.remount("ro");
    for arguments in [&["notice", "list"][..], &["status"], &["journal", "verify"]] {
        let mut command = program(&home);
        command.args(arguments);
        let output = run(command).await;
        // Looking may work without writing; where it does not, it says why.
        if !matches!(output.status.code(), Some(0 | 2)) {
            assert_clear(&output, &["read-only", "Read-only", "readonly"], arguments[0]);
        }
    }
    assert_clear(
        &run(bed.send(&home)).await,
        &["read-only", "Read-only", "readonly"],
        "send",
    );
    disk.remount("rw");
    let (view, copies) = bed.recovers(&home, "read-only").await;
    assert!(!view.possibly_twice && copies == 1);
}

/// What is left of a home whose store was cut or changed on the disk: an error, or a finding that names the journal, or,
/// where nothing that counts was touched, the same as before.
async fn verdict(home: &Path) -> Result<Vec<String>, String> {
    let chain = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        text
    };
    let clock: Arc<dyn Clock> = TestClock::at(SystemClock.now() + LATER);
    let office = Office::open(Home::at(home).unwrap(), clock).map_err(|e| chain(&e))?;
    let audit = checkpoint::audit(&office).await.map_err(|e| chain(&e))?;
    notice::list(&office, None).await.map_err(|e| chain(&e))?;
    Ok(audit.findings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_cut_short_or_damaged() {
    let bed = Bed::new(sound()).await;
    let home = bed.copy("whole");
    assert_eq!(run(bed.send(&home)).await.status.code(), Some(0));
    assert_eq!(verdict(&home).await, Ok(Vec::new()));
    let store = home.join("breachpost.db");
    let whole = std::fs::read(&store).unwrap();
    let page = 4096;
    assert!(whole.len().is_multiple_of(page) && !home.join("breachpost.db-wal").exists());

    for length in (0..whole.len())
        .step_by(page)
        .chain([1, whole.len() - 1, whole.len() - page / 2])
    {
        std::fs::write(&store, &whole[..length]).unwrap();
        let found = verdict(&home).await;
        let why = found.expect_err("a cut store must not open");
        assert!(
            why.contains("breachpost.db") && (why.contains("cut short or damaged") || why.contains("no store")),
            "{length}: {why}"
        );
    }
    let mut harmless = 0;
    for start in (0..whole.len()).step_by(page) {
        let mut damaged = whole.clone();
        damaged[start + page / 3] ^= 1;
        std::fs::write(&store, &damaged).unwrap();
        match verdict(&home).await {
            Err(why) => assert!(
                why.contains("damaged") || why.contains("no store"),
                "page {}: {why}",
                start / page + 1
            ),
            Ok(findings) if findings.is_empty() => harmless += 1,
            Ok(findings) => assert!(findings.iter().any(|f| f.contains("entry")), "{findings:?}"),
        }
    }
    assert!(harmless < whole.len() / page, "damage is never noticed");
    std::fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    let mut verify = program(&home);
    verify.args(["journal", "verify"]);
    assert_clear(&run(verify).await, &["cut short or damaged"], "journal verify");
}

/// The power went while the checkpoint outside the store was written: the rest of the line is no forgery, and the next
/// checkpoint stands on a line of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_half_written() {
    let bed = Bed::new(sound()).await;
    let home = bed.copy("half");
    let outside = Home::at(&home).unwrap().checkpoints_path();
    for _ in 0..2 {
        assert_eq!(run(bed.send(&home)).await.status.code(), Some(0));
        assert_eq!(verdict(&home).await, Ok(Vec::new()));
        let mut text = std::fs::read(&outside).unwrap();
        assert!(text.ends_with(b"}\n"));
        text.extend_from_slice(b"{\"length\":12,\"he");
        std::fs::write(&outside, text).unwrap();
        assert_eq!(verdict(&home).await, Ok(Vec::new()));
    }
    std::fs::write(&outside, "{\"length\":12}\n").unwrap();
    assert!(
        verdict(&home)
            .await
            .unwrap()
            .iter()
            .any(|finding| finding.contains("is no checkpoint"))
    );
}

/// The newest entries still lie in the log beside the store. Without it the store opens, and is older than it was: the
/// checkpoint outside tells.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_taken_away() {
    let bed = Bed::new(sound()).await;
    // The last that dies, dies behind its last commit: the checkpoint of the accepted notice.
    let mut died = None;
    for hit in 1.. {
        let trial = bed.copy(&format!("trial {hit}"));
        let mut command = bed.send(&trial);
        command.env("BREACHPOST_DIE_AT", format!("after_commit:{hit}"));
        if run(command).await.status.code().is_some() {
            break;
        }
        died = Some(trial);
    }
    let home = died.unwrap();
    let log = home.join("breachpost.db-wal");
    std::fs::write(&log, "").unwrap();
    let mut verify = program(&home);
    verify.args(["journal", "verify"]);
    let output = run(verify).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}{}", said(&output));
    assert!(text.contains("its end was cut off"), "{text}");
}
