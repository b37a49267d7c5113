//! The nouns of the trade and their states: no I/O, no async, no clock of its own.
//! Knows nothing of SQL, SMTP, OpenPGP or templates.

pub mod address;
pub mod alert;
pub mod blame;
pub mod breach;
pub mod campaign;
pub mod delivery;
pub mod holidays;
pub mod id;
pub mod inquiry;
pub mod notice;
pub mod pace;
pub mod plural;
pub mod proof;
pub mod receipt;
pub mod recipient;
pub mod time;

/// An instant. Stored and compared in UTC; shown in the zone that matters to the reader.
pub type Time = chrono::DateTime<chrono::Utc>;

/// Where the present comes from. Passed as an argument everywhere, so that tests move it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
}

/// The operating system's clock: the one place that reads it.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the system's clock is read"
    )]
    fn now(&self) -> Time {
        chrono::Utc::now()
    }
}
