//! The only room where mail and store meet: the verbs of the desk, and the loops that carry out and take in.

pub mod backup;
pub mod booking;
pub mod campaign;
pub mod causes;
pub mod checkpoint;
pub mod checkup;
pub mod clerk;
pub mod courier;
pub mod daemon;
pub mod desk;
pub mod dkim;
pub mod intake;
mod login;
pub mod matching;
pub mod office;
pub mod rehearsal;
pub mod retention;
pub mod watch;
pub mod worker;
