//! The wires: how sealed mail leaves and how answers are fetched. Carries bytes; knows nothing of breaches, templates,
//! keys or the store.

pub mod fetch;
pub mod imap;
pub mod login;
pub mod maildir;
pub mod smtp;
mod socket;
pub mod tls;
pub mod webhook;
