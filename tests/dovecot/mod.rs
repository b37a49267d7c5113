//! Dovecot as it is used: an instance of our own on loopback, unprivileged where the test is, with TLS, passwords and
//! tokens, and Maildirs in a temporary folder. Needs dovecot-imapd, which tests/setup installs.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use breachpost::model::Time;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::world::{open_to_all, port, until};

pub const USER: &str = "breach";
pub const PASSWORD: &str = "correct horse é \"battery\"";
const TOKEN_KEY: &[u8] = b"a key that signs tokens, and only in tests";

/// A running instance; stopped when dropped.
pub struct Dovecot {
    folder: TempDir,
    pub port: u16,
    pub tls_port: u16,
}

impl Dovecot {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bp-dovecot").tempdir().unwrap();
        for name in ["run", "state", "mail", "keys/default/HS256"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let dovecot = Self {
            folder,
            port: port::free(),
            tls_port: port::free(),
        };
        let (uid, gid) = mail_owner();
        chown(dovecot.path("mail"), Some(uid), Some(gid)).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        dovecot.write("cert.pem", made.cert.pem().as_bytes());
        dovecot.write("key.pem", made.signing_key.serialize_pem().as_bytes());
        dovecot.write("keys/default/HS256/default", STANDARD.encode(TOKEN_KEY).as_bytes());
        dovecot.write("passwords", format!("{USER}:{{PLAIN}}{PASSWORD}\n").as_bytes());
        dovecot.write("oauth2.conf", dovecot.oauth2_conf().as_bytes());
        dovecot.write("dovecot.conf", dovecot.conf(uid, gid).as_bytes());
        open_to_all(dovecot.folder.path());
        dovecot.run("dovecot", &[]);
        dovecot.doveadm(&["mailbox", "status", "-u", USER, "messages", "INBOX"]);
        dovecot
    }

    fn conf(&self, uid: u32, gid: u32) -> String {
        let home = self.folder.path().display();
        let (port, tls_port) = (self.port, self.tls_port);
        // As root it uses users of its own, made by the package; else all runs as whoever runs the test.
        let users = match nix::unistd::geteuid().is_root() {
            true => String::new(),
            false => {
                let (user, group) = (name("-un"), name("-gn"));
                format!(
                    "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n"
                )
            }
        };
        format!(
            "protocols = imap
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
{users}auth_mechanisms = plain xoauth2
auth_failure_delay = 0
listen = 127.0.0.1
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_location = maildir:{home}/mail/%u
first_valid_uid = 0
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {home}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = {home}/passwords
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
"
        )
    }

    fn oauth2_conf(&self) -> String {
        format!(
            "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={}/keys/\nusername_attribute = sub\n",
            self.folder.path().display()
        )
    }

    /// Where the Maildirs are, one for each account, and the user and group they belong to: for a server that delivers.
    pub fn mail_folder(&self) -> (PathBuf, u32, u32) {
        let (uid, gid) = mail_owner();
        (self.path("mail"), uid, gid)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }
    /// The certificate that signs itself.
    pub fn ca_file(&self) -> PathBuf {
        self.path("cert.pem")
    }
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("dovecot.log")).unwrap_or_default()
    }

    /// A token (JWT, RFC 7519) that is good for so many seconds from `now`.
    pub fn token(&self, now: Time, seconds: i64) -> String {
        let now = now.timestamp();
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({ "sub": USER, "iat": now - 10, "exp": now + seconds });
        let signed = format!("{}.{}", part(json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN_KEY).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// Drops a mail into a folder as a mail server does: written aside, then moved. `wire_folder` is as it is named on
    /// disk, `INBOX` or in modified UTF-7.
    pub fn deliver(&self, wire_folder: &str, name: &str, mail: &[u8]) {
        self.deliver_at(wire_folder, name, mail, None);
    }
    /// The same for a mail that came in then.
    pub fn deliver_at(&self, wire_folder: &str, name: &str, mail: &[u8], at: Option<SystemTime>) {
        let folder = match wire_folder {
            "INBOX" => self.path("mail").join(USER),
            other => self.path("mail").join(USER).join(format!(".{other}")),
        };
        let (aside, place) = (folder.join("tmp").join(name), folder.join("new").join(name));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&aside)
            .unwrap();
        file.write_all(mail).unwrap();
        if let Some(at) = at {
            file.set_modified(at).unwrap();
        }
        let (uid, gid) = mail_owner();
        chown(&aside, Some(uid), Some(gid)).unwrap();
        fs::rename(aside, place).unwrap();
    }

    /// Runs Dovecot's own tool on this instance and returns what it says.
    pub fn doveadm(&self, arguments: &[&str]) -> String {
        self.run("doveadm", arguments)
    }
    /// UID, flags and size of each mail of a folder.
    pub fn mails(&self, folder: &str) -> String {
        self.doveadm(&["fetch", "-u", USER, "uid flags size.physical", "mailbox", folder, "all"])
    }

    pub fn stop(&self) {
        self.doveadm(&["stop"]);
        let gone = || (!self.path("run/master.pid").exists()).then_some(());
        until("Dovecot has stopped", gone);
    }
    pub fn start_again(&self) {
        self.run("dovecot", &[]);
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        // A file, not a pipe: the daemon keeps it open, and reading would wait for the daemon's end.
        let words = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new(program_path(program))
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(words.reopen().unwrap())
            .stderr(words.reopen().unwrap())
            .status()
            .unwrap_or_else(|error| panic!("cannot start {program} ({error}): run tests/setup"));
        let words = String::from_utf8_lossy(&fs::read(words.path()).unwrap()).into_owned();
        assert!(status.success(), "{program} {arguments:?}: {words}{}", self.log());
        words
    }
}
impl Drop for Dovecot {
    fn drop(&mut self) {
        // A failure here must not hide the one that brought us here.
        let _ = Command::new(program_path("doveadm"))
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .arg("stop")
            .output();
    }
}

/// Who owns the Maildirs: mail may not be read as root.
fn mail_owner() -> (u32, u32) {
    let number = |line: &[&str]| -> u32 {
        let output = Command::new("id").args(line).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    match nix::unistd::geteuid().is_root() {
        true => (number(&["-u", "nobody"]), number(&["-g", "nobody"])),
        false => (number(&["-u"]), number(&["-g"])),
    }
}

fn name(what: &str) -> String {
    let output = Command::new("id").arg(what).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Debian keeps servers where not every account looks.
fn program_path(program: &str) -> PathBuf {
    let usual = Path::new("/usr/sbin").join(program);
    if usual.exists() { usual } else { PathBuf::from(program) }
}
