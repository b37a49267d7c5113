//! What the program says about itself holds: every example in every help text runs as it stands, every hint and next
//! step is a command line, and `--json` prints JSON for every command.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use breachpost::cli::Cli;
use clap::{CommandFactory, Parser};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use world::relay::Relay;
use world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, Ran, World, breach_with, finish, text, until};

/// The words of every command that does something: `["notice", "send"]`.
fn commands() -> Vec<Vec<String>> {
    fn collect(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        for sub in below {
            let path: Vec<String> = path.iter().cloned().chain([sub.get_name().to_owned()]).collect();
            if sub.get_subcommands().next().is_none() {
                all.push(path.clone());
            }
            collect(sub, &path, all);
        }
    }
    let mut all = Vec::new();
    collect(&Cli::command(), &[], &mut all);
    all
}

/// The examples of a help text, as a narrow terminal shows it: joined where a backslash continues them, without the
/// remark that some have beside them.
fn examples(path: &[String]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breachpost"));
    command.args(path).arg("--help").env("COLUMNS", "80");
    let help = finish(command, b"").exits(0).stdout;
    let (_, listed) = help.split_once("\nExamples:\n").unwrap_or((&help, ""));
    let listed = listed.replace("\\\n      ", "");
    let without_remark = |line: &str| line.trim_start().split("  ").next().unwrap().to_owned();
    listed
        .lines()
        .filter(|line| !line.is_empty())
        .map(without_remark)
        .collect()
}

/// A home in which the examples can succeed, with every file that they name, and the means to make theirs of ours.
struct Scene {
    world: World,
    reference: String,
    fingerprint: String,
}

impl Scene {
    fn new(relay: &Relay) -> Self {
        let world = World::ready(relay);
        let sent = world.send(&[]).exits(0).json();
        let reference = text(&sent["reference"]);
        let mail = format!("From: <anna@cnpd.lu>\r\nSubject: Re: {reference}\r\n\r\nHow many persons?\r\n");
        let record: Value = world.json(&["breach", "show", world.breach(), "--record"]);
        for (name, bytes) in [
            ("breach.yaml", BREACH.as_bytes()),
            ("breach.json", record.to_string().as_bytes()),
            ("answer.eml", mail.as_bytes()),
            ("answer.txt", b"Four hundred and twelve."),
            (
                "customers.csv",
                b"email,Kontakt,Name\nx@example.lu,anna@example.lu,Anna\ny@example.lu,nowhere,Bob\n",
            ),
            ("patients.csv", b"email,name\npaul@example.lu,Paul\n"),
            (
                "texts.yaml",
                b"discreet: { sender: Data protection office, contact: { phone: '+352 1' } }\nstacked: [de, fr]\n",
            ),
            ("corrected.csv", b"email,name\nbob@example.lu,Bob\n"),
            ("letters-sent.csv", b"person\ndlv_2\n"),
            ("unreached.csv", b"person,email,name\nbad_1,lea@example.lu,Lea\n"),
            ("report.pdf", b"%PDF-1.7"),
            ("confirmation.pdf", b"%PDF-1.7"),
            ("letter.pdf", b"%PDF-1.7"),
        ] {
            world.file(name, bytes);
        }
        world.run(&["mailbox", "ingest", "answer.eml"]).exits(2);
        let first = ["campaign", "create", world.breach(), "--recipients", "corrected.csv"];
        world.run(&first).exits(0);
        let token = world.scratch().join("anna.token").to_str().unwrap().to_owned();
        world.run(&["user", "add", "anna", "--output", &token]).exits(0);
        let backup = world.scratch().join("backup-monday").to_str().unwrap().to_owned();
        world.run(&["backup", "-o", &backup]).exits(0);
        let fingerprint = text(&world.json(&["authority", "cert", "show", AUTHORITY])["fingerprint"]);
        Self {
            world,
            reference,
            fingerprint,
        }
    }

    /// The same line, about our breach, our notice and our certificate.
    fn ours(&self, line: &str) -> String {
        line.replace("B-2026-001", self.world.breach())
            .replace("BP-7K3M-Q2XR", &self.reference)
            .replace("0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567", &self.fingerprint)
    }

    /// A shell in the scratch folder that finds our program by its name.
    fn shell(&self, line: &str) -> Command {
        let folder = Path::new(env!("CARGO_BIN_EXE_breachpost")).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(self.world.scratch())
            .env("PATH", path)
            .env("HOME", self.world.scratch())
            .env("GNUPGHOME", self.world.scratch())
            .env("BREACHPOST_HOME", self.world.home());
        shell
    }

    /// A breach that nobody was told of in time makes `alert_1`.
    fn raise_an_alert(&self) {
        self.world.open_breach(BREACH);
        self.world.run(&["serve", "--once"]).exits(0);
    }

    /// Runs a line for somebody at a terminal who answers no question.
    fn run(&self, line: &str) -> Ran {
        self.world.at_terminal(self.shell(line), "")
    }

    /// Starts the daemon by this line, and ends it.
    fn serve(&self, line: &str) {
        let mut shell = self.shell(line);
        shell.process_group(0);
        let daemon = self.world.serve_by(shell);
        let group = Pid::from_raw(daemon.pid().cast_signed());
        signal::killpg(group, Signal::SIGTERM).unwrap();
        until("the daemon has ended", || {
            (self.world.run(&["status", "--json"]).json()["daemon"] == false).then_some(())
        });
    }
}

#[test]
fn every_example_of_every_help_runs() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    scene.raise_an_alert();
    let mut lines = examples(&[]);
    for path in commands() {
        let own = examples(&path);
        assert!(!own.is_empty(), "{path:?} has no example");
        let name = format!("breachpost {}", path.join(" "));
        assert!(own.iter().all(|line| line.contains(&name)), "{own:?}");
        lines.extend(own);
    }
    let (drills, lines): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| line.contains("post drill"));
    std::thread::scope(|scope| {
        for drill in &drills {
            scope.spawn(|| scene.run(drill).exits(0));
        }
    });
    for line in &lines {
        let line = scene.ours(line);
        if line.ends_with("serve") {
            scene.serve(&line);
            continue;
        }
        let ran = scene.run(&line);
        // Two is an answer too: there is a key already, something waits in the tray, nobody said yes.
        assert!([0, 2].contains(&ran.status), "{line}: {ran:#?}");
    }
    assert!(lines.len() > 40, "{lines:?}");
    scene.world.is_intact();
}

/// A command line as the shell takes it apart; redirections are the shell's and go.
fn words(scene: &Scene, line: &str) -> Vec<String> {
    let show = format!("breachpost() {{ for word; do printf '%s\\0' \"$word\" >&3; done; }}; {line}");
    let shell = scene.shell(&format!("exec 3>words; {show}"));
    finish(shell, b"").exits(0);
    let words = fs::read_to_string(scene.world.scratch().join("words")).unwrap();
    words.split_terminator('\0').map(str::to_owned).collect()
}

fn parses(scene: &Scene, line: &str) {
    if line.starts_with("chmod ") {
        return;
    }
    assert!(line.starts_with("breachpost "), "no command: {line}");
    let words = ["breachpost".to_owned()].into_iter().chain(words(scene, line));
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("`{line}`: {error}");
    }
}

/// Every string under one of these names.
fn commands_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| commands_in(value, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(line) if ["command", "hint"].contains(&name.as_str()) => found.push(line.clone()),
                    _ => commands_in(value, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_argument_says_what_it_is() {
    fn without_help(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let silent = command.get_arguments().filter(|argument| argument.get_help().is_none());
        found.extend(silent.map(|argument| format!("{path} {}", argument.get_id())));
        for below in command.get_subcommands() {
            without_help(below, &format!("{path} {}", below.get_name()), found);
        }
    }
    let mut found = Vec::new();
    without_help(&Cli::command(), "breachpost", &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_hint_and_next_step_is_a_command_line() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    let world = &scene.world;
    let breach = world.breach();
    let second = world.open_breach(&breach_with(&[("title: Payroll", "title: Another")]));
    let nowhere = world.scratch().join("it's nowhere");
    fs::create_dir(&nowhere).unwrap();
    let nowhere = nowhere.to_str().unwrap();
    let other = world.scratch().join("other home");
    let mut said = Vec::new();
    for line in [
        vec!["status", "--home", nowhere],
        vec!["status"],
        vec!["breach", "show", "B-2020-099"],
        vec!["breach", "open", "answer.eml"],
        vec!["breach", "open"],
        vec!["notice", "show", "BP-0000-0000"],
        vec!["notice", "send", breach, "--to", "nobody", "--yes"],
        vec!["notice", "send", breach, "--to", "be-apd-gba", "--yes"],
        vec!["notice", "send", &second, "--to", "gr-hdpa", "--yes"],
        vec!["notice", "withdraw", &scene.reference],
        vec!["authority", "show", "nobody"],
        vec!["authority", "check", "nobody"],
        vec!["authority", "cert", "show", "be-apd-gba"],
        vec!["clock", "2026-11-18 10:20", "--authority", "nobody"],
        vec!["templates", "show", "authority", "xx"],
        vec!["campaign", "check", "cmp_99"],
        vec![
            "campaign",
            "create",
            breach,
            "--recipients",
            "customers.csv",
            "--map",
            "email=Kontact",
        ],
        vec!["key", "generate"],
        vec![
            "init",
            "--home",
            other.to_str().unwrap(),
            "--organisation",
            "Example",
            "--country",
            "LU",
            "--contact-name",
            "Dana",
            "--contact-email",
            "dpo@example.lu",
            "--sender",
            "breach@example.lu",
            "--relay",
            "smtp://127.0.0.1:25?tls=none",
        ],
    ] {
        let ran = world.run(&[&line[..], &["--json"]].concat());
        assert!(!ran.stdout.is_empty(), "{ran:?}");
        commands_in(&ran.json(), &mut said);
        for printed in ran.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")) {
            assert!(
                said.iter().any(|line| line == printed),
                "the same hint in JSON: {ran:?}"
            );
        }
    }
    for line in [vec!["breach", "show", breach], vec!["breach", "list"]] {
        world.run(&line).exits(0);
    }
    assert!(said.len() > 20, "{said:#?}");
    for line in &said {
        parses(&scene, line);
    }
}

#[test]
fn json_is_one_document_for_every_command() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    scene.raise_an_alert();
    let lines = [
        "drill --individuals 1",
        "init --home again --organisation E --country LU --contact-name D --contact-email d@example.lu \
         --sender b@example.lu --relay smtp://127.0.0.1:25?tls=none",
        "doctor --deep --timeout 1",
        "status",
        "clock 2026-11-18T10:20:00Z --authority lu-cnpd",
        "authority list",
        "authority show lu-cnpd",
        "authority check",
        "authority cert import lu-cnpd cnpd.asc --fingerprint FINGERPRINT",
        "authority cert show lu-cnpd",
        "authority cert fetch lu-cnpd",
        "authority cert approve lu-cnpd",
        "authority cert refuse lu-cnpd --reason x",
        "key generate",
        "key import cnpd.asc",
        "key export",
        "key show",
        "breach open breach.yaml",
        "breach list",
        "breach show B-2026-001",
        "breach update B-2026-001 breach.yaml",
        "breach log B-2026-001 --kind note --text x",
        "breach decide B-2026-001 inform --rationale x",
        "breach template",
        "notice preview B-2026-001 --to lu-cnpd",
        "notice send B-2026-001 --to lu-cnpd --yes",
        "notice test B-2026-001 --yes --timeout 1",
        "notice seal B-2026-001 --to lu-cnpd -o sealed",
        "notice record B-2026-001 --to lu-cnpd --channel phone",
        "notice ack BP-7K3M-Q2XR --attested",
        "notice list",
        "notice show BP-7K3M-Q2XR",
        "notice retry BP-7K3M-Q2XR",
        "notice approve BP-7K3M-Q2XR --yes",
        "notice withdraw BP-7K3M-Q2XR",
        "campaign create B-2026-001 --recipients customers.csv --map email=Kontakt",
        "campaign add cmp_1 --recipients customers.csv --map email=Kontakt",
        "campaign list",
        "campaign check cmp_1",
        "campaign preview cmp_1",
        "campaign test cmp_1 --to team@example.lu",
        "campaign checklist cmp_1",
        "campaign public-notice B-2026-001",
        "campaign texts",
        "campaign update cmp_1",
        "campaign approve cmp_1 --yes",
        "campaign start cmp_1 --yes",
        "campaign pause cmp_1 --reason x",
        "campaign resume cmp_1",
        "campaign retry cmp_1",
        "campaign status cmp_1",
        "campaign report cmp_1",
        "campaign find anna@example.lu",
        "campaign unreached cmp_1",
        "campaign record cmp_1 --channel post --file letters-sent.csv",
        "campaign cancel cmp_1 --yes",
        "campaign held cmp_1",
        "campaign letters cmp_1 -o letters.pdf",
        "campaign erase cmp_1 --yes",
        "campaign forget-hashes cmp_1 --yes",
        "mailbox ingest answer.eml",
        "mailbox classify answer.eml",
        "mailbox show mail_1",
        "mailbox tray",
        "mailbox match mail_1 BP-7K3M-Q2XR",
        "mailbox done mail_1 --reason x",
        "alert list --all",
        "alert ack alert_1",
        "alert test",
        "journal verify",
        "templates list",
        "templates check",
        "templates show authority en",
        "user add bob",
        "user list",
        "user disable bob",
        "token renew bob",
        "token check",
        "backup -o backup-sunday",
        "restore backup-monday --home restored-too",
    ];
    for line in lines {
        let line = scene.ours(line).replace("FINGERPRINT", &scene.fingerprint);
        let words: Vec<&str> = line.split_whitespace().chain(["--json"]).collect();
        let ran = scene.world.run(&words);
        assert!([0, 2].contains(&ran.status), "{ran:#?}");
        assert!(ran.json().is_object() || ran.json().is_array(), "{ran:#?}");
        assert!(
            !ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'),
            "no colours off a terminal"
        );
    }
    let tried: BTreeSet<Vec<String>> = commands()
        .into_iter()
        .filter(|path| {
            lines
                .iter()
                .any(|line| format!("{line} ").starts_with(&format!("{} ", path.join(" "))))
        })
        .collect();
    let all: BTreeSet<Vec<String>> = commands().into_iter().filter(|path| path != &["serve"]).collect();
    assert_eq!(tried, all, "a new command belongs in the list above");
    assert_eq!(relay.mails()[0].recipients[0].address, AUTHORITY_ADDRESS);
}
