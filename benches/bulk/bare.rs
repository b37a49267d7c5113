//! What anybody would write with the OpenPGP library at hand: sign and encrypt the same bytes to each person and to ourselves,
//! on two threads, and drop the result. Keys are read and judged before the clock runs, the bytes are ready.

use std::io::Write as _;
use std::path::Path;

use breachpost::directory::certificate::{Usable, judge, read_one};
use breachpost::message::key::{self, Algorithm, OurKey};
use breachpost::message::mime::{Content, Headers, Mailbox};
use breachpost::message::seal::seal;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use nix::sys::resource::UsageWho;
use sequoia_openpgp as openpgp;

use openpgp::crypto::KeyPair;

use crate::library;
use crate::stage::{Run, measure};

const THREADS: usize = 2;
const PASSPHRASE: &str = "bench";

/// A list in which everybody has a key of their own; gives the certificates.
pub fn write_list(path: &Path, persons: usize) -> Vec<String> {
    let mut certificates = vec![String::new(); persons];
    std::thread::scope(|scope| {
        for (part, chunk) in certificates.chunks_mut(persons.div_ceil(THREADS)).enumerate() {
            let first = part * persons.div_ceil(THREADS);
            scope.spawn(move || {
                for (n, certificate) in chunk.iter_mut().enumerate() {
                    *certificate = certificate_of(&address(first + n));
                }
            });
        }
    });
    let mut list = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(list, "email,name,language,certificate").unwrap();
    for (n, certificate) in certificates.iter().enumerate() {
        writeln!(list, "{},Person {n},fr,\"{certificate}\"", address(n)).unwrap();
    }
    list.flush().unwrap();
    certificates
}

fn address(n: usize) -> String {
    format!("person{n}@provider{}.example", n % 500)
}

/// Curve25519, without a secret part.
fn certificate_of(address: &str) -> String {
    let (certificate, _) = openpgp::cert::CertBuilder::general_purpose(Some(address))
        .set_cipher_suite(openpgp::cert::CipherSuite::Cv25519)
        .generate()
        .unwrap();
    let armored =
        openpgp::serialize::SerializeInto::to_vec(&certificate.strip_secret_key_material().armored()).unwrap();
    String::from_utf8(armored).unwrap()
}

/// All that the loop needs.
pub struct Bare {
    bytes: Vec<u8>,
    readers: Vec<Usable>,
    ours: Usable,
    signer: KeyPair,
    now: Time,
}
impl Bare {
    pub fn new(certificates: &[String], text: String) -> Self {
        let now = SystemClock.now();
        let secret = Secret::new(PASSPHRASE);
        let ours = key::generate(
            "Bench",
            "breach@bench.example",
            Algorithm::Ed25519,
            key::DEFAULT_VALIDITY,
            &secret,
            now,
        );
        let ours = ours.unwrap();
        let usable = |armored: &str| judge(&read_one(armored.as_bytes()).unwrap(), None, now).unwrap();
        let secret_key = ours.secret_armored.expose().as_bytes();
        let our = OurKey::load(secret_key, &secret, now).unwrap();
        let sealed = seal(&content(text), &headers(now), &our, &usable(&certificates[0]), now).unwrap();
        Self {
            bytes: sealed.content,
            readers: certificates.iter().map(|armored| usable(armored)).collect(),
            ours: usable(&ours.public_armored),
            signer: library::signer_of(ours.secret_armored.expose().as_bytes(), PASSPHRASE, now),
            now,
        }
    }

    pub fn run(&self, messages: usize) -> Run {
        measure(messages, UsageWho::RUSAGE_SELF, || {
            std::thread::scope(|scope| {
                for readers in self.readers[..messages].chunks(messages.div_ceil(THREADS)) {
                    scope.spawn(|| {
                        readers.iter().for_each(|to| {
                            drop(std::hint::black_box(library::seal(
                                &self.bytes,
                                &self.signer,
                                to,
                                &self.ours,
                                self.now,
                            )))
                        })
                    });
                }
            });
        })
    }
}

fn content(text: String) -> Content {
    Content {
        subject: "A breach of your personal data".to_owned(),
        text,
        html: None,
        attachments: Vec::new(),
        language: "fr".to_owned(),
    }
}

fn headers(now: Time) -> Headers {
    Headers {
        from: Mailbox::new(Some("Bench S.A."), "breach@bench.example"),
        reply_to: None,
        to: Mailbox::new(Some("Person 0"), "person0@provider0.example"),
        outer_subject: "Encrypted message".to_owned(),
        message_id: "<1@bench.example>".to_owned(),
        date: now,
        in_reply_to: None,
        references: Vec::new(),
        extra: Vec::new(),
    }
}
