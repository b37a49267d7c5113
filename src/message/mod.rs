//! Bytes in, bytes out, no I/O: writing, sealing and opening mail, and understanding what came back.
//!
//! [`facts`] and [`template`] make the text, [`mime`] writes mail, [`key`] is our OpenPGP key, [`seal`] signs and
//! encrypts, [`open`] reads whatever came back, [`report`] reads what machines report about it, [`classify`] says what it
//! is, [`token`] ties it to what was sent, [`authenticity`] says what is proven about its sender; [`passage`] says what
//! the way changed, for a [`rehearsal`].

mod alike;
pub mod authenticity;
mod automatic;
pub mod classify;
pub mod facts;
mod header;
pub mod key;
pub mod letter;
pub mod mime;
pub mod open;
pub mod order;
mod part;
pub mod passage;
mod pgp;
pub mod phrases;
mod quote;
pub mod rehearsal;
pub mod report;
pub mod seal;
pub mod template;
pub mod token;
