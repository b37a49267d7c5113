//! The one way in which tests wait for a program or a server; those with a runtime.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// As for tests without a runtime.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks again and again until there is something; says what for, when there never is.
pub async fn until_async<T>(what: impl Fn() -> String, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} until {}", what());
        sleep(LOOK_EVERY).await;
    }
}
