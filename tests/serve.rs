//! The daemon as its surroundings see it: systemd's notify socket, signals, changed settings, a second daemon.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, mpsc};

use breachpost::drill::receiver::{Act, Step};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use world::relay::Relay;
use world::{Running, World, text, until};

/// systemd, as far as a service sees it.
struct Systemd(mpsc::Receiver<String>);

impl Systemd {
    /// Listens beside the home, and starts the daemon.
    fn start(world: &World) -> (Self, Running) {
        let socket = notify_socket(world);
        let (told, heard) = mpsc::channel();
        // On a thread of its own: the queue of such a socket is short, and no test shall depend on when it looks.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        let daemon = supervised(world);
        (Self(heard), daemon)
    }
    /// The next message that holds this line, or one that begins so; what comes before it is passed over.
    fn hears(&self, wanted: &str) -> Vec<String> {
        loop {
            let told = self.0.recv_timeout(world::PATIENCE);
            let told = told.unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let lines: Vec<String> = told.lines().map(str::to_owned).collect();
            if lines.iter().any(|line| line.starts_with(wanted)) {
                return lines;
            }
        }
    }
}

/// The supervisor's end of the line.
fn notify_socket(world: &World) -> UnixDatagram {
    let path = world.scratch().join("notify");
    let _ = std::fs::remove_file(&path);
    UnixDatagram::bind(path).unwrap()
}

/// A daemon with a supervisor, and a watchdog of a fifth of a second.
fn supervised(world: &World) -> Running {
    let mut command = world.command(&["serve"]);
    command
        .env("NOTIFY_SOCKET", world.scratch().join("notify"))
        .env("WATCHDOG_USEC", "200000");
    world.serve_by(command)
}

fn send(daemon: &Running, which: Signal) {
    signal::kill(Pid::from_raw(daemon.pid().cast_signed()), which).unwrap();
}

#[test]
fn systemd_is_told_of_readiness_life_and_the_end() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let (systemd, daemon) = Systemd::start(&world);
    systemd.hears("READY=1");
    systemd.hears("STATUS=sends what is queued");
    for _ in 0..5 {
        systemd.hears("WATCHDOG=1");
    }
    assert!(daemon.log().contains("ready"), "{}", daemon.log());
    assert_eq!(daemon.stop(), 0);
    systemd.hears("STOPPING=1");
    assert_eq!(world.run(&["status", "--json"]).json()["daemon"], false);
}

#[test]
fn a_supervisor_that_does_not_listen_keeps_nobody_from_working_or_stopping() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let socket = notify_socket(&world);
    let others = UnixDatagram::unbound().unwrap();
    others.set_nonblocking(true).unwrap();
    // As many messages as it takes: one more would wait for a reader.
    let fill = || while others.send_to(b"X=1", world.scratch().join("notify")).is_ok() {};
    fill();
    let daemon = supervised(&world);
    world.send(&["--wait"]).exits(0);

    // Once it listens again it hears what it needs to know, the readiness before all else.
    socket.set_read_timeout(Some(world::PATIENCE)).unwrap();
    let hears = || {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let own = || std::iter::repeat_with(hears).find(|told| !told.starts_with("X=1"));
    assert_eq!(own().unwrap(), "READY=1\n");
    assert!(own().unwrap().starts_with("STATUS=sends what is queued"));

    fill();
    assert_eq!(daemon.stop(), 0, "nobody reads");
}

#[test]
fn changed_settings_are_taken_while_notices_wait_and_wrong_ones_are_not() {
    let busy = Relay::troubled(Step::Rcpt, Act::reply("451 4.7.1 later"), u32::MAX);
    let sound = Relay::sound();
    let world = World::ready(&busy);
    let (systemd, daemon) = Systemd::start(&world);
    systemd.hears("READY=1");
    let references: Vec<String> = (0..3).map(|_| text(&world.send(&[]).json()["reference"])).collect();
    let reload = || {
        send(&daemon, Signal::SIGHUP);
        let told = systemd.hears("RELOADING=1");
        assert!(told.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{told:?}");
        systemd.hears("READY=1");
        systemd.hears("STATUS=")[0].clone()
    };

    // A typing mistake, a broken profile, a broken template: each is named, and the old ones stay in force.
    world.settle("\nsender:", "\nsendr:");
    let status = reload();
    assert!(
        status.contains("config.yaml") && status.contains("old ones stay in force"),
        "{status}"
    );
    world.run(&["status", "--json"]);
    world.settle("\nsendr:", "\nsender:");
    for (file, content) in [
        ("authorities/lu-cnpd.yaml", "id: lu-cnpd\nnames: 7\n"),
        ("templates/authority/fr.hbs", "{{#if}}"),
    ] {
        let path = world.home().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let status = reload();
        assert!(status.contains(file), "{file}: {status}");
        std::fs::remove_file(path).unwrap();
        world
            .run(&["status"])
            .exits(2)
            .says(&["the daemon: the changed settings were not taken", file]);
    }
    assert!(sound.mails().is_empty() && busy.mails().is_empty());

    world.settle(&busy.url(), &sound.url());
    let status = reload();
    assert!(status.contains("sends what is queued"), "{status}");
    for reference in &references {
        world.until_notice(reference, "handed");
    }
    assert_eq!(sound.taken(3).len(), 3);
    let said = world.run(&["status"]).stdout;
    assert!(!said.contains("the daemon:"), "{said}");

    // What cannot change while it runs is said, too.
    world.settle("#store: \"sqlite:breachpost.db\"", "store: sqlite:other.db");
    let status = reload();
    assert!(status.contains("restart"), "{status}");
    assert_eq!(daemon.stop(), 0);
    assert_eq!((sound.mails().len(), busy.mails().len()), (3, 0), "each once");
}

/// A relay that takes its time over the reply to the final dot.
struct Slow {
    url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}
#[derive(Default)]
struct State {
    waiting: u32,
    released: bool,
}

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}?tls=none", listener.local_addr().unwrap());
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                // The other side may hang up at any time.
                std::thread::spawn(move || drop(Self::session(stream, &shared)));
            }
        });
        Self { url, state }
    }

    fn session(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        stream.write_all(b"220 slow.example\r\n")?;
        while let Some(line) = lines.next().transpose()? {
            let reply: &[u8] = match line.split(' ').next().unwrap_or_default() {
                "QUIT" => b"221 bye\r\n",
                "DATA" => {
                    stream.write_all(b"354 go\r\n")?;
                    while lines.next().transpose()?.is_some_and(|line| line != ".") {}
                    let mut now = state.0.lock().unwrap();
                    now.waiting += 1;
                    drop(state.1.wait_while(now, |now| !now.released).unwrap());
                    b"250 taken\r\n"
                }
                _ => b"250 ok\r\n",
            };
            stream.write_all(reply)?;
        }
        Ok(())
    }

    /// Waits until a message lies there unanswered.
    fn holds_one(&self) {
        until("the relay holds a message", || {
            (self.state.0.lock().unwrap().waiting > 0).then_some(())
        });
    }
    fn answer(&self) {
        self.state.0.lock().unwrap().released = true;
        self.state.1.notify_all();
    }
}

/// A daemon with one message at the slow relay and more behind it, over one connection.
fn halfway(slow: &Slow) -> (World, Running, Vec<String>) {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world.settle(&relay.url(), &slow.url);
    world.settle("\n  #connections: 8", "\n  connections: 1");
    let daemon = world.serve();
    let references = (0..3).map(|_| text(&world.send(&[]).json()["reference"])).collect();
    slow.holds_one();
    (world, daemon, references)
}

#[test]
fn told_to_stop_it_finishes_what_is_on_the_wire_and_gives_the_rest_back() {
    let slow = Slow::start();
    let (world, daemon, references) = halfway(&slow);
    send(&daemon, Signal::SIGTERM);
    until("it says so", || daemon.log().contains("stopping").then_some(()));
    slow.answer();
    assert_eq!(daemon.wait(), 0);
    let states: Vec<String> = references
        .iter()
        .map(|reference| text(&world.notice(reference)["state"]))
        .collect();
    assert_eq!(
        states.iter().filter(|state| *state == "handed").count(),
        1,
        "{states:?}"
    );
    assert_eq!(
        states.iter().filter(|state| *state == "queued").count(),
        2,
        "{states:?}"
    );
    for reference in &references {
        let notice = world.notice(reference);
        assert_eq!(notice["possibly_twice"], false, "{notice}");
    }
    assert_eq!(slow.state.0.lock().unwrap().waiting, 1);
    world.is_intact();
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_a_doubt() {
    let slow = Slow::start();
    let (world, daemon, references) = halfway(&slow);
    send(&daemon, Signal::SIGTERM);
    until("it says so", || daemon.log().contains("stopping").then_some(()));
    send(&daemon, Signal::SIGINT);
    assert_eq!(daemon.wait(), 1);
    slow.answer();
    let daemon = world.serve();
    for reference in &references {
        world.until_notice(reference, "handed");
    }
    assert_eq!(daemon.stop(), 0);
    let twice = references
        .iter()
        .filter(|reference| world.notice(reference)["possibly_twice"] == true);
    assert_eq!(twice.count(), 1, "the one on the wire, and no other");
    world.is_intact();
}

#[test]
fn it_refuses_to_start_half_configured() {
    let relay = Relay::sound();
    for (file, wrong, words) in [
        ("keys/sender.pass", Some("wrong"), "passphrase"),
        ("../Maildir/new", None, "Maildir"),
    ] {
        let world = World::ready(&relay);
        let path = world.home().join(file);
        match wrong {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_dir(&path).unwrap(),
        }
        world.run(&["serve"]).exits(1).says(&["error:", words]);
        assert_eq!(world.run(&["status", "--json"]).json()["daemon"], false);
    }
}

#[test]
fn a_key_that_signs_slowly_is_named_before_the_campaign() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    let says = "messages to many people are sealed some fifty times slower than with Ed25519";
    let daemon = world.serve();
    assert!(!daemon.log().contains(says));
    assert_eq!(daemon.stop(), 0);
    for file in std::fs::read_dir(world.home().join("keys")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "asc") {
            std::fs::remove_file(path).unwrap();
        }
    }
    world.run(&["key", "generate", "--rsa4096"]).exits(0);
    world.run(&["doctor"]).says(&[says, "use an Ed25519 key"]);
    let daemon = world.serve();
    assert!(daemon.log().contains(says), "{}", daemon.log());
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_ways_of_campaigns_are_watched_like_the_others() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let secret = world.private_file("secret", b"of the test");
    let own = |file: &str| {
        format!(
            "sender: {{ address: info@brasserie.example }}, relay: {{ url: \"smtp://info@localhost:1\", \
             password: {{ file: {file} }} }}, mailbox: {{ url: \"imap://info@127.0.0.1:1\", password: {{ file: {secret} }} }}"
        )
    };
    // Campaigns that cannot log in must not be found out about in the night.
    let missing = own("keys/missing");
    world.settle_individuals(&missing);
    world.run(&["serve"]).exits(1).says(&["error:", "keys/missing"]);

    world.settle(&missing, &own(&secret));
    let daemon = world.serve();
    let troubles = until("the daemon has looked", || {
        let status = world.run(&["status", "--json"]).json();
        let troubles = status["troubles"].as_array().unwrap().clone();
        (!troubles.is_empty()).then_some(troubles)
    });
    let what: Vec<&Value> = troubles.iter().map(|trouble| &trouble["what"]).collect();
    assert_eq!(what, ["individuals.mailbox"], "{troubles:?}");
    world
        .run(&["status"])
        .says(&["Does not work", "individuals.mailbox since", "cannot be read"]);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn two_daemons_and_a_command_on_one_home_do_nothing_twice() {
    const MANY: usize = 50;
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let daemons = [world.serve(), world.serve()];
    let mail = |n: usize| format!("From: <someone@else.example>\r\nSubject: question {n}\r\n\r\nHow many? {n}\r\n");
    std::thread::scope(|scope| {
        scope.spawn(|| (0..MANY).for_each(|n| world.deliver(&format!("mail{n}"), mail(n).as_bytes())));
        scope.spawn(|| {
            // The same mails by a pipe of the mail server, at the same time.
            for n in (0..MANY).rev().step_by(3) {
                world.run_with(&["mailbox", "ingest"], mail(n).as_bytes()).exits(2);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| (0..MANY / 2).for_each(|_| assert!([0, 2].contains(&world.send(&[]).status))));
        }
    });
    let notices = world.notices();
    assert_eq!(notices.len(), MANY);
    for notice in &notices {
        world.until_notice(&text(&notice["reference"]), "handed");
    }
    let tray = until("every mail is in the tray", || {
        let tray = world.run(&["mailbox", "tray", "--json"]).json();
        Some(tray).filter(|tray| tray.as_array().unwrap().len() >= MANY)
    });
    assert_eq!(tray.as_array().unwrap().len(), MANY);
    let taken = relay.taken(MANY);
    let ids: BTreeSet<String> = taken.iter().map(|mail| message_id(&mail.bytes)).collect();
    assert_eq!((taken.len(), ids.len()), (MANY, MANY));
    for daemon in daemons {
        assert_eq!(daemon.stop(), 0);
    }
    for notice in world.notices() {
        assert_eq!(notice["attempts"].as_array().unwrap().len(), 1, "{notice}");
        assert_eq!(notice["possibly_twice"], false);
    }
    world.is_intact();
}

fn message_id(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail);
    let line = text.lines().find(|line| line.to_lowercase().starts_with("message-id:"));
    line.unwrap().to_owned()
}

/// The unit that is shipped says what the program does.
#[test]
fn the_unit_file_is_one_that_systemd_takes() {
    let unit = include_str!("../docs/systemd/breachpost.service");
    for line in [
        "Type=notify-reload",
        "Restart=on-failure",
        "WatchdogSec=",
        "LoadCredential=",
        "ProtectSystem=strict",
        "StateDirectory=breachpost",
        "NoNewPrivileges=yes",
        "TimeoutStopSec=11min",
    ] {
        assert!(unit.lines().any(|found| found.starts_with(line)), "{line}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/systemd/breachpost.service");
    // Where systemd is at hand, it has the last word; that the program is not installed is no fault of the unit.
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", path]).output() else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("Unknown") || line.contains("Failed to parse"))
        // Before systemd 253; the unit says what to write then.
        .filter(|line| !line.ends_with("ignoring: notify-reload"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
