//! Bytes in, bytes out, no I/O: writing, sealing and opening mail.
//!
//! [`mime`] writes mail, [`key`] is our OpenPGP key, [`seal`] signs and encrypts, [`open`] reads whatever came back.

mod header;
pub mod key;
pub mod mime;
pub mod open;
mod part;
mod pgp;
pub mod seal;
