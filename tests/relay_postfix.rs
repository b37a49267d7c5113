//! The SMTP client against a real relay: an own instance of Postfix on loopback with STARTTLS and a login, delivering to
//! Maildirs in a temporary folder. Needs the packages that tests/setup installs, and root, which Postfix asks for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use breachpost::mail::smtp::{Connection, Connector, Mail, Notify, Relay};
use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use breachpost::secret::Secret;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use world::{AUTHORITY_ADDRESS, World, text};

const USER: &str = "breach@example.lu";
const PASSWORD: &str = "correct horse é";
const SIZE_LIMIT: usize = 100_000;

/// A running instance with its own configuration, queue and mailboxes; stopped when dropped.
struct Postfix {
    home: TempDir,
    port: u16,
    ca_pem: String,
}

impl Postfix {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With more settings, which take the place of those of the same name.
    fn start_with(settings: &str) -> Self {
        let home = tempfile::Builder::new().prefix("breachpost-postfix").tempdir().unwrap();
        // Postfix's own users must be able to pass through.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["queue", "data", "mail", "sasl"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let (owner, group) = (id("-u", "postfix"), id("-g", "postfix"));
        for name in ["data", "mail"] {
            chown(home.path().join(name), Some(owner), Some(group)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ca_pem = write_certificate(home.path());
        write_accounts(home.path(), owner);
        let settings = settings.replace("HOME", &home.path().display().to_string());
        let main_cf = replaced(&main_cf(home.path(), owner, group), &settings);
        fs::write(home.path().join("main.cf"), main_cf).unwrap();
        fs::write(home.path().join("transport"), "").unwrap();
        fs::write(home.path().join("master.cf"), master_cf(port)).unwrap();
        let instance = Self { home, port, ca_pem };
        run(Command::new("postfix").arg("-c").arg(instance.home.path()).arg("start"));
        instance
    }

    fn connector(&self, password: &str) -> Connector {
        let ca_file = self.home.path().join("ca.pem");
        fs::write(&ca_file, &self.ca_pem).unwrap();
        let url = format!("smtp://{}@localhost:{}", USER.replace('@', "%40"), self.port);
        let mut relay = Relay::from_url(&url, Some(Secret::new(password))).unwrap();
        relay.ca_file = Some(ca_file);
        Connector::new(relay).unwrap()
    }

    /// The mails of a mailbox, once there are `count`.
    async fn mails_of(&self, mailbox: &str, count: usize) -> Vec<String> {
        let folder = self.home.path().join("mail").join(mailbox).join("new");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let files: Vec<PathBuf> = fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .map(|f| f.unwrap().path())
                .collect();
            if files.len() >= count {
                return files
                    .iter()
                    .map(|f| String::from_utf8_lossy(&fs::read(f).unwrap()).into_owned())
                    .collect();
            }
            assert!(
                Instant::now() < end,
                "{mailbox} has {} mails\n{}",
                files.len(),
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends what goes to an address another way from now on.
    fn route(&self, line: &str) {
        fs::write(self.home.path().join("transport"), format!("{line}\n")).unwrap();
        run(Command::new("postfix").arg("-c").arg(self.home.path()).arg("reload"));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("postfix.log")).unwrap_or_default()
    }
}
impl Drop for Postfix {
    fn drop(&mut self) {
        // A failure here must not hide the one that brought us here.
        let _ = Command::new("postfix")
            .arg("-c")
            .arg(self.home.path())
            .arg("stop")
            .output();
    }
}

fn run(command: &mut Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot start {program} ({e}): run tests/setup"));
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(
        output.status.success(),
        "{program} failed; run tests/setup as root, and this test too: {words}"
    );
    words.into_owned()
}

/// A number of a user of the system.
fn id(which: &str, user: &str) -> u32 {
    run(Command::new("id").args([which, user])).trim().parse().unwrap()
}

fn write_certificate(home: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    fs::write(
        home.join("tls.pem"),
        format!("{}{pem}", made.signing_key.serialize_pem()),
    )
    .unwrap();
    pem
}

/// One account for the Cyrus SASL library that Debian's Postfix uses.
fn write_accounts(home: &Path, owner: u32) {
    let database = home.join("sasl/accounts.db");
    let mut add = Command::new("saslpasswd2");
    add.args(["-p", "-c", "-u", "example.lu", "-f"])
        .arg(&database)
        .arg("breach");
    add.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = add
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start saslpasswd2 ({e}): run tests/setup"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    chown(&database, Some(owner), None).unwrap();
    let settings = format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {}\n",
        database.display()
    );
    fs::write(home.join("sasl/smtpd.conf"), settings).unwrap();
}

/// Settings with others in the place of those of the same name. Given twice, Postfix would warn of each, and its logger,
/// which waits for itself then, would never begin.
fn replaced(settings: &str, others: &str) -> String {
    let name = |line: &str| line.split(" =").next().unwrap_or_default().to_owned();
    let new: Vec<String> = others.lines().filter(|line| !line.is_empty()).map(name).collect();
    let kept = settings.lines().filter(|line| !new.contains(&name(line)));
    kept.chain(others.lines()).map(|line| format!("{line}\n")).collect()
}

fn main_cf(home: &Path, owner: u32, group: u32) -> String {
    let home = home.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
myhostname = mx.authority.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = authority.example, example.lu
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = inline:{{ dpo@authority.example=dpo/, breach@example.lu=breach/ }}
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{group}
virtual_minimum_uid = 1
message_size_limit = {SIZE_LIMIT}
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {home}/tls.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = {home}/sasl
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
"
    )
}

/// The services one local delivery needs, none of them in a chroot.
fn master_cf(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}

fn mail<'a>(recipient: &'a str, bytes: &'a [u8]) -> Mail<'a> {
    Mail {
        envelope_from: USER,
        recipient,
        bytes,
        envid: Some("BP-7K3M-Q2XR"),
        notify: Notify::ALL,
    }
}

#[tokio::test]
async fn a_real_relay_takes_delivers_refuses_and_reports() {
    let postfix = Postfix::start();
    let connector = postfix.connector(PASSWORD);
    let mut connection = Connection::open(&connector)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", postfix.log()));
    let offered = connection.capabilities().clone();
    assert!(
        offered.pipelining && offered.dsn && offered.eight_bit_mime && offered.smtp_utf8,
        "{offered:?}"
    );
    assert_eq!(offered.size, Some(SIZE_LIMIT as u64));
    assert_eq!(connection.tls_facts().unwrap().server_name, "localhost");

    let bytes = "From: breach@example.lu\r\nTo: dpo@authority.example\r\nMessage-ID: <1@example.lu>\r\n\
                 Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: BP-7K3M-Q2XR\r\n\r\n.\r\n..\r\nGrüße\r\n.end\r\n";
    let accepted = connection.carry(&mail("dpo@authority.example", bytes.as_bytes())).await;
    let Outcome::Accepted { reply, tls: Some(tls) } = &accepted else {
        panic!("{accepted:?}\n{}", postfix.log())
    };
    assert_eq!((reply.code, reply.enhanced.as_deref()), (250, Some("2.0.0")));
    assert!(tls.version.starts_with("TLSv1."));

    // Postfix refuses at RCPT; the connection goes on.
    let refused = connection
        .carry(&mail("nobody@authority.example", bytes.as_bytes()))
        .await;
    let Outcome::Refused {
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause: FaultCause::Reply(reply),
        },
    } = &refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!((reply.code, reply.enhanced.as_deref()), (550, Some("5.1.1")));
    let large = format!("{}{}", bytes, "0123456789\r\n".repeat(SIZE_LIMIT / 12));
    let unfit = connection.carry(&mail("dpo@authority.example", large.as_bytes())).await;
    assert!(
        matches!(&unfit, Outcome::Refused { fault } if fault.step == SmtpStep::Prepare),
        "{unfit:?}"
    );
    let again = connection.carry(&mail("dpo@authority.example", bytes.as_bytes())).await;
    assert_eq!(again.name(), "accepted", "{again:?}");
    assert!(connection.reusable());
    connection.quit().await;

    let (_, body) = bytes.split_once("\r\n\r\n").unwrap();
    for arrived in postfix.mails_of("dpo", 2).await {
        // A Maildir holds lines with LF alone.
        assert!(
            arrived.ends_with(&format!("\n\n{}", body.replace("\r\n", "\n"))),
            "{arrived}"
        );
        assert!(arrived.contains("ESMTPSA"), "neither TLS nor login in: {arrived}");
    }
    // The report of success comes back to the return path with what we asked for (RFC 3464).
    for report in postfix.mails_of("breach", 2).await {
        for line in [
            "Original-Envelope-Id: BP-7K3M-Q2XR",
            "Original-Recipient: rfc822;dpo@authority.example",
            "Action: delivered",
        ] {
            assert!(report.contains(line), "{report}");
        }
    }

    let fault = Connection::open(&postfix.connector("wrong")).await.unwrap_err();
    assert!(
        matches!(&fault, Fault { step: SmtpStep::Auth, cause: FaultCause::Reply(r) } if r.code == 535),
        "{fault}"
    );
}

/// Clear text for those on this machine, both ends of the conversation, and a delay that is told of after a second.
const BOTH_ENDS: &str = "
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = cnpd.lu, brasserie-kirchberg.example
virtual_mailbox_maps = inline:{ databreach@cnpd.lu=dpo/, breach@brasserie-kirchberg.example=breach/ }
recipient_delimiter = +
transport_maps = texthash:HOME/transport
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
delay_warning_time = 1s
maximal_queue_lifetime = 4s
";

#[tokio::test]
async fn the_reports_of_a_real_server_move_our_notices() {
    let postfix = Postfix::start_with(BOTH_ENDS);
    // Only to make the home; its place is taken by Postfix.
    let (world, unused) = tokio::task::spawn_blocking(|| {
        let unused = world::relay::Relay::sound();
        (World::ready(&unused), unused)
    })
    .await
    .unwrap();
    world.settle(&unused.url(), &format!("smtp://127.0.0.1:{}?tls=none", postfix.port));
    let mut seen = Vec::new();
    let delivered = [("delivered", "2.0.0", "delivered", "envelope_id")];
    take_reports(&world, &postfix, &mut seen, &delivered).await;

    // Their server does not answer: first a warning, in the end it comes back.
    world.settle("#verp: none", "verp: plus");
    postfix.route(&format!("{AUTHORITY_ADDRESS} smtp:[127.0.0.1]:1"));
    let reports = [
        ("delayed", "4.4.1", "handed", "return_path"),
        ("failed", "4.4.1", "failed", "return_path"),
    ];
    take_reports(&world, &postfix, &mut seen, &reports).await;
    world.is_intact();
    tokio::task::spawn_blocking(move || drop(unused)).await.unwrap();
}

/// Sends a notice and takes in what is reported of it: action, status, the notice's state then, and by which mark it was
/// tied. `seen` holds the reports that have come so far.
async fn take_reports(world: &World, postfix: &Postfix, seen: &mut Vec<String>, expected: &[(&str, &str, &str, &str)]) {
    let sent = world.send(&[]).exits(0).json();
    assert_eq!(sent["state"], "handed", "{}", postfix.log());
    let reference = text(&sent["reference"]);
    for (number, (action, status, state, mark)) in expected.iter().enumerate() {
        let mails = postfix.mails_of("breach", seen.len() + 1).await;
        let report = mails.into_iter().find(|mail| !seen.contains(mail)).unwrap();
        for line in [
            &format!("Action: {action}"),
            &format!("Original-Recipient: rfc822;{AUTHORITY_ADDRESS}"),
        ] {
            assert!(report.contains(line), "{report}");
        }
        let ingest = world.run_with(&["mailbox", "ingest", "-", "--json"], report.as_bytes());
        let ingested = ingest.json();
        assert_eq!(ingested["notice"], reference, "{ingested}");
        let tied = (&ingested["matched_by"], &ingested["in_tray"]);
        assert_eq!(tied, (&(*mark).into(), &false.into()), "{report}");
        let shown = world.notice(&reference);
        assert_eq!(shown["state"], *state, "{shown}");
        let kept = &shown["reports"][number];
        assert_eq!(
            (&kept["action"], &kept["status"]),
            (&(*action).into(), &(*status).into())
        );
        seen.push(report);
    }
}
