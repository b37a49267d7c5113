//! The home in trouble: not readable, a wrong key, a damaged store, two processes at once; and secrets stay secret.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::world::relay::Relay;
use crate::world::{AUTHORITY, RELAY_PASSWORD, Ran, World, finish, text};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_home_that_cannot_be_used_says_why() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let nowhere = world.scratch().join("nowhere");
    let at = |home: &Path| world.run(&["status", "--home", home.to_str().unwrap()]);
    at(&nowhere).exits(1).says(&["nowhere"]);
    at(Path::new(&world.file("a-file", b"x")))
        .exits(1)
        .says(&["is not a folder"]);
    at(&world.maildir())
        .exits(1)
        .says(&["there is no config.yaml in", "hint: breachpost init"]);

    let private = [
        (world.home(), 0o755, 0o700),
        (world.home().join("keys/store.key"), 0o644, 0o600),
    ];
    for (path, open, _) in &private {
        set_mode(path, *open);
    }
    world.run(&["status"]).exits(2);
    for (path, _, closed) in &private {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, *closed, "{} is closed to others", path.display());
    }
    world.is_intact();
}

/// Root may read everything, so somebody else must try.
#[test]
fn a_home_of_somebody_else_cannot_be_read() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    set_mode(world.scratch(), 0o755);
    let as_stranger = |line: &[&str]| -> Option<Ran> {
        let mut command = world.command(line);
        if nix::unistd::geteuid().is_root() {
            command.uid(65534);
        } else {
            set_mode(&world.home(), 0o000);
        }
        // Where the program itself lies out of a stranger's reach there is nothing to see.
        command.output().is_ok().then(|| finish(command, b""))
    };
    if let Some(ran) = as_stranger(&["status"]) {
        ran.exits(1).says(&["error:", "Permission denied"]);
    }
    set_mode(&world.home(), 0o700);
    world.is_intact();
}

#[test]
fn a_wrong_store_key_opens_nothing_and_harms_nothing() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.send(&[]).exits(0);
    let key = world.home().join("keys/store.key");
    let store = world.home().join("breachpost.db");
    let (right, bytes) = (fs::read(&key).unwrap(), fs::read(&store).unwrap());
    for (wrong, says) in [
        ("ab".repeat(32), "cannot be read with this store key"),
        ("not a key".to_owned(), "is not 64 hexadecimal digits"),
    ] {
        fs::write(&key, wrong).unwrap();
        world.run(&["status"]).exits(1).says(&[says]);
        world.send(&[]).exits(1).says(&[says]);
    }
    fs::remove_file(&key).unwrap();
    world
        .run(&["status"])
        .exits(1)
        .says(&["is there but its key", "is missing", "from your backup"]);
    assert!(!key.exists(), "no new key is made beside a store that it cannot open");

    fs::write(&key, right).unwrap();
    set_mode(&key, 0o600);
    assert_eq!(fs::read(&store).unwrap(), bytes, "the store is as it was");
    assert_eq!(world.notices().len(), 1);
    world.is_intact();
    assert_eq!(relay.mails().len(), 1);
}

#[test]
fn a_store_that_was_cut_short_is_named_and_never_used() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let store = world.home().join("breachpost.db");
    let whole = fs::read(&store).unwrap();
    for left in [0, 100, 4096, 8000, whole.len() / 2] {
        fs::write(&store, &whole[..left]).unwrap();
        let ran = world.send(&[]).exits(1).says(&["breachpost.db"]);
        assert!(
            ran.stderr.contains("cut short or damaged") || ran.stderr.contains("or is no store"),
            "{left}: {ran:?}"
        );
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
    fs::write(&store, &whole).unwrap();
    world.is_intact();
    assert!(world.notices().is_empty() && relay.connections() == 0);
}

/// `status` would say that nothing needs anybody.
#[test]
fn a_store_that_is_gone_is_not_replaced_by_an_empty_one() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.send(&[]).exits(0);
    let store = world.home().join("breachpost.db");
    let elsewhere = world.scratch().join("moved.db");
    fs::rename(&store, &elsewhere).unwrap();
    for line in [&["status"][..], &["serve", "--once"], &["breach", "list"]] {
        world
            .run(line)
            .exits(1)
            .says(&["breachpost.db is gone", "breachpost.db-mark", "from your backup"]);
    }
    let looked = world.run(&["doctor"]).exits(2).says(&["breachpost restore BACKUP"]);
    assert!(!looked.stdout.contains("do: mend"), "{looked:?}");
    assert!(!store.exists(), "nothing was made in its place");

    fs::rename(&elsewhere, &store).unwrap();
    assert_eq!(world.notices().len(), 1);
    world.is_intact();
}

#[test]
fn nobody_is_sent_to_a_backup_or_a_new_key_for_a_passphrase() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.send(&[]).exits(0);
    let place = world.home().join("keys/sender.pass");
    let right = fs::read(&place).unwrap();
    fs::remove_file(&place).unwrap();
    let gone = world.run(&["doctor"]).exits(2);
    fs::write(&place, b"wrong").unwrap();
    let wrong = world.run(&["doctor"]).exits(2);
    for looked in [gone, wrong] {
        let looked = looked.says(&["key.passphrase", "see to the key first"]);
        for frightening in ["restore the home", "key generate"] {
            assert!(!looked.stdout.contains(frightening), "{frightening}: {looked:?}");
        }
    }
    fs::write(&place, right).unwrap();
    world.is_intact();
}

fn message_ids(relay: &Relay) -> HashSet<String> {
    let mails = relay.mails();
    mails
        .iter()
        .map(|mail| {
            let parsed = mail_parser::MessageParser::default().parse(&mail.bytes).unwrap();
            parsed.message_id().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn commands_at_the_same_time_send_each_notice_once() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let sent: Vec<Ran> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4).map(|_| scope.spawn(|| world.send(&[]))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let references: HashSet<String> = sent
        .into_iter()
        .map(|ran| text(&ran.exits(0).json()["reference"]))
        .collect();
    assert_eq!(references.len(), 4);
    assert_eq!((relay.mails().len(), message_ids(&relay).len()), (4, 4));
    let mut sequences: Vec<u64> = world
        .notices()
        .iter()
        .map(|notice| notice["sequence"].as_u64().unwrap())
        .collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [1, 2, 3, 4]);
    world.is_intact();
}

#[test]
fn two_daemons_and_commands_share_the_work_without_doing_it_twice() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let daemons = [world.serve(), world.serve()];
    let references: Vec<String> = (0..6)
        .map(|_| text(&world.send(&[]).exits(0).json()["reference"]))
        .collect();
    for reference in &references {
        let notice = world.until_notice(reference, "handed");
        assert_eq!(notice["attempts"].as_array().unwrap().len(), 1, "{notice}");
        assert_eq!(notice["possibly_twice"], false);
    }
    for daemon in daemons {
        assert_eq!(daemon.stop(), 0);
    }
    assert_eq!((relay.mails().len(), message_ids(&relay).len()), (6, 6));
    world.is_intact();
}

#[test]
fn secrets_stay_secret() {
    let relay = Relay::protected();
    let world = World::ready(&relay);
    let read = |name: &str| fs::read_to_string(world.home().join(name)).unwrap().trim().to_owned();
    let mut secrets = vec![
        read("keys/sender.pass"),
        read("keys/store.key"),
        RELAY_PASSWORD.to_owned(),
    ];
    // As AUTH PLAIN and LOGIN write it.
    secrets.push(base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("\0breach\0{RELAY_PASSWORD}"),
    ));
    secrets.push("PGP PRIVATE KEY".to_owned());

    let mut daemon = world.command(&["serve"]);
    daemon.env("BREACHPOST_LOG", "trace");
    let daemon = world.serve_by(daemon);
    let command_line = fs::read_to_string(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    let sent = world.send(&["--wait"]);
    let mut said = vec![command_line, format!("{sent:?}")];
    for line in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["status", "--json"],
        &["key", "show", "--json"],
        &["key", "export"],
        &["authority", "cert", "show", AUTHORITY, "--json"],
        &["notice", "show", &text(&world.notices()[0]["reference"]), "--json"],
        &["journal", "verify", "--json"],
    ] {
        said.push(format!("{:?}", world.run(line)));
    }
    said.push(daemon.log());
    assert_eq!(daemon.stop(), 0);
    for (number, secret) in secrets.iter().enumerate() {
        for text in &said {
            assert!(!text.contains(secret), "secret {number} in {text}");
        }
        assert!(
            !relay.clear_wire().windows(secret.len()).any(|w| w == secret.as_bytes()),
            "secret {number} on the wire"
        );
    }
    let log = said.last().unwrap();
    for personal in ["Payroll", "Claire Weber", "dpo@"] {
        assert!(!log.contains(personal), "{personal} in the log: {log}");
    }
    let store = fs::read(world.home().join("breachpost.db")).unwrap();
    for clear in ["SQLite format 3", "Payroll", "cnpd"] {
        assert!(
            !store.windows(clear.len()).any(|w| w == clear.as_bytes()),
            "{clear} in the store"
        );
    }
}
