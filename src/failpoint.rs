//! Places where a test lets the process die as in a power cut: around each commit and each write to the socket.
//! Bottom of the house: imports nothing, knows nothing of what happens there. A release build has none of it.

/// Set to `NAME:N`: the process ends when it comes by the place called NAME for the Nth time.
#[cfg(debug_assertions)]
const VARIABLE: &str = "BREACHPOST_DIE_AT";

/// Ends the process here if this is where it is to die: nothing is closed, flushed or unwound.
#[cfg(debug_assertions)]
pub fn pass(place: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CHOSEN: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let chosen = std::env::var(VARIABLE).ok()?;
        let (name, hit) = chosen.split_once(':')?;
        Some((name.to_owned(), hit.parse().ok()?))
    });
    static COME_BY: AtomicU32 = AtomicU32::new(0);
    if let Some((name, hit)) = &*CHOSEN
        && name == place
        && COME_BY.fetch_add(1, Ordering::SeqCst) + 1 == *hit
    {
        std::process::abort();
    }
}

/// Nothing: nobody can make a released program die.
#[cfg(not(debug_assertions))]
pub fn pass(_place: &str) {}
