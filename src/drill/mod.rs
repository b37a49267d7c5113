//! The outside world on loopback, for rehearsals and tests. Nothing here is used when real mail leaves.

pub mod receiver;
