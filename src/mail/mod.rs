//! The wires: how sealed mail leaves. Carries bytes; knows nothing of breaches, templates, keys or the store.

pub mod fetch;
pub mod maildir;
pub mod smtp;
pub mod webhook;
