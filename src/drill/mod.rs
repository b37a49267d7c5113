//! The outside world on loopback, and the rehearsal of the whole main job against it. Imported by the command line only;
//! the tests use the receiver too.

pub mod authority;
mod bounce;
mod campaign;
mod letters;
mod notice;
pub mod people;
pub mod play;
mod reader;
pub mod receiver;
pub mod stage;
