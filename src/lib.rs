//! breachpost: the encrypted notification dispatcher for personal-data breaches (GDPR Art. 33 and 34).
//!
//! # The house, from the ground up; imports go only downwards
//!
//! - [`secret`], [`reading`], `failpoint`: a secret that cannot be printed; the one place where YAML and JSON are read;
//!   where tests let the process die.
//! - [`model`]: the nouns and their states. No I/O, no async, no clock of its own.
//! - [`directory`]: profiles of authorities; certificates judged.
//! - [`message`]: bytes in, bytes out: templates, MIME, OpenPGP, understanding what came back.
//! - [`store`]: what is kept, by noun; SQLite, encrypted at rest.
//! - [`config`]: settings, the home, the places of secrets.
//! - [`mail`]: the wires: SMTP, IMAP, Maildir, webhooks, HTTPS for key files.
//! - [`dispatch`]: the only room where mail and store meet: the desk's verbs, courier, intake, clerk, daemon.
//! - [`cli`]: the command line. [`drill`]: the outside world on loopback, to rehearse against.
//!
//! # Three journeys
//!
//! **A notice to an authority.** [`dispatch::desk::notice::prepare`] renders and looks everything up;
//! [`dispatch::desk::notice::file`] seals, checks its own output and stores notice, sealed bytes, delivery and journal
//! entry in one transaction. [`dispatch::courier`] claims the delivery under a lease, commits `on_wire`, carries it, and
//! commits the outcome with its attempt. A break after the final dot is in doubt: tried again under the same Message-ID.
//!
//! **Letters to individuals.** [`dispatch::campaign::import`] adds one delivery per person; the rows are the queue. They
//! are rendered when claimed, and every connection's last outcome and next `on_wire` share one commit.
//!
//! **An acknowledgement.** [`dispatch::intake`] stores the raw bytes first. [`message::open`] decrypts and verifies,
//! [`message::classify`] says what it is, and the reference or the Message-ID ties it to its notice. What is not clear
//! waits in the tray for a person.

pub mod cli;
pub mod config;
pub mod directory;
pub mod dispatch;
pub mod drill;
mod failpoint;
pub mod mail;
pub mod message;
pub mod model;
pub mod reading;
pub mod secret;
pub mod store;
