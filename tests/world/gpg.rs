//! The authority of a test as it is in the world: GnuPG with a key of its own, which decrypts, verifies and answers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Ran, SENDER, finish};

/// A GnuPG home with one secret key: nothing of it touches the user's, and its agent ends with it.
pub struct Gpg {
    home: tempfile::TempDir,
    user: &'static str,
    pub fingerprint: String,
    /// The public certificate, armored.
    pub certificate: String,
}

impl Gpg {
    /// A fresh Ed25519 and Cv25519 key for this address.
    pub fn new(user: &'static str) -> Self {
        // The agent's socket needs a short path.
        let home = tempfile::Builder::new()
            .prefix("bpg")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .unwrap();
        let mut gpg = Self {
            home,
            user,
            fingerprint: String::new(),
            certificate: String::new(),
        };
        gpg.ok(&["--quick-generate-key", user, "ed25519", "cert,sign", "1y"], b"");
        let listing = gpg.ok(&["--with-colons", "--list-keys", user], b"");
        let line = listing.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
        gpg.fingerprint = line.trim_matches(':').to_owned();
        gpg.ok(&["--quick-add-key", &gpg.fingerprint, "cv25519", "encr", "1y"], b"");
        gpg.certificate = gpg.ok(&["--armor", "--export", user], b"");
        gpg
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs gpg; its status lines come on standard error.
    pub fn run(&self, line: &[&str], input: &[u8]) -> Ran {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home()).args([
            "--batch",
            "--yes",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            "--status-fd",
            "2",
            "--trust-model",
            "always",
        ]);
        command.args(line);
        finish(command, input)
    }
    pub fn ok(&self, line: &[&str], input: &[u8]) -> String {
        self.run(line, input).exits(0).stdout
    }

    /// Decrypts the PGP/MIME of a mail: the content, and what gpg says of its signature.
    pub fn decrypt(&self, mail: &str) -> (String, String) {
        const END: &str = "-----END PGP MESSAGE-----";
        let start = mail.find("-----BEGIN PGP MESSAGE-----").unwrap();
        let end = mail.find(END).unwrap() + END.len();
        let ran = self.run(&["--decrypt"], &mail.as_bytes()[start..end]).exits(0);
        (ran.stdout, ran.stderr)
    }

    /// A PGP/MIME mail (RFC 3156) with this content, signed by us and encrypted to the sender of breachpost.
    pub fn sealed_mail(&self, headers: &str, content: &str) -> String {
        let arguments = ["--armor", "--local-user", self.user, "--recipient", SENDER];
        let line: Vec<&str> = arguments.into_iter().chain(["--sign", "--encrypt"]).collect();
        let sealed = self.ok(&line, content.as_bytes());
        format!(
            "{headers}MIME-Version: 1.0\r\n\
             Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"e\"\r\n\r\n\
             --e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\
             --e\r\nContent-Type: application/octet-stream\r\n\r\n{sealed}\r\n--e--\r\n"
        )
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home())
            .args(["--kill", "gpg-agent"])
            .status();
    }
}
