//! Postfix as it is used: an instance of our own on loopback with STARTTLS and a login, delivering to Maildirs in a
//! temporary folder. Needs the packages that tests/setup installs, and root, which Postfix asks for.

#[path = "../world/until_async.rs"]
pub mod until_async;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use breachpost::mail::smtp::{Connector, Relay};
use breachpost::secret::Secret;
use tempfile::TempDir;
use until_async::until_async;

use crate::world::{open_to_all, port};

pub const USER: &str = "breach@example.lu";
pub const PASSWORD: &str = "correct horse é";
pub const SIZE_LIMIT: usize = 100_000;
/// Tries again after a second, tells of a delay after one, and gives up after four; what cannot be delivered stands in
/// `transport`.
pub const IMPATIENT: &str = "transport_maps = texthash:HOME/transport
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
delay_warning_time = 1s
maximal_queue_lifetime = 4s
";

/// A running instance with its own configuration, queue and mailboxes; stopped when dropped.
pub struct Postfix {
    home: TempDir,
    pub port: u16,
    ca_pem: String,
}

impl Postfix {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With more settings, which take the place of those of the same name.
    pub fn start_with(settings: &str) -> Self {
        let home = tempfile::Builder::new().prefix("breachpost-postfix").tempdir().unwrap();
        for name in ["queue", "data", "mail", "sasl"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let (owner, group) = (id("-u", "postfix"), id("-g", "postfix"));
        for name in ["data", "mail"] {
            chown(home.path().join(name), Some(owner), Some(group)).unwrap();
        }
        let port = port::free();
        let ca_pem = write_certificate(home.path());
        write_accounts(home.path(), owner);
        let settings = settings.replace("HOME", &home.path().display().to_string());
        let main_cf = replaced(&main_cf(home.path(), owner, group), &settings);
        fs::write(home.path().join("main.cf"), main_cf).unwrap();
        fs::write(home.path().join("transport"), "").unwrap();
        fs::write(home.path().join("master.cf"), master_cf(port)).unwrap();
        open_to_all(home.path());
        let instance = Self { home, port, ca_pem };
        run(Command::new("postfix").arg("-c").arg(instance.home.path()).arg("start"));
        instance
    }

    /// With our account.
    pub fn url(&self) -> String {
        format!("smtp://{}@localhost:{}", USER.replace('@', "%40"), self.port)
    }
    /// The certificate that signs itself.
    pub fn ca_file(&self) -> PathBuf {
        let ca_file = self.home.path().join("ca.pem");
        fs::write(&ca_file, &self.ca_pem).unwrap();
        ca_file
    }
    pub fn connector(&self, password: &str) -> Connector {
        let mut relay = Relay::from_url(&self.url(), Some(Secret::new(password))).unwrap();
        relay.ca_file = Some(self.ca_file());
        Connector::new(relay).unwrap()
    }

    /// The mails of a mailbox, once there are `count`.
    pub async fn mails_of(&self, mailbox: &str, count: usize) -> Vec<String> {
        let folder = self.home.path().join("mail").join(mailbox).join("new");
        let files = || -> Vec<PathBuf> {
            let entries = fs::read_dir(&folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let what = || format!("{mailbox} has {count} mails, not {}\n{}", files().len(), self.log());
        let found = until_async(what, async || Some(files()).filter(|files| files.len() >= count)).await;
        found
            .iter()
            .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
            .collect()
    }

    /// Sends what goes to an address another way from now on.
    pub fn route(&self, line: &str) {
        fs::write(self.home.path().join("transport"), format!("{line}\n")).unwrap();
        run(Command::new("postfix").arg("-c").arg(self.home.path()).arg("reload"));
    }

    pub fn log(&self) -> String {
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
