//! How a test waits whose clock is paused.

use std::time::Duration;

use breachpost::dispatch::office::Office;
use tokio::runtime::Handle;

/// Looks again and again until there is something, where tokio's clock is paused: a second of it passes between two
/// looks, and the store, whose threads know no such clock, does what it was asked to meanwhile.
pub async fn until_paused<T>(
    office: &Office,
    what: impl Fn() -> String,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    for _ in 0..10_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // One way through each of the store's threads; a blocking task holds the clock.
        let (office, runtime) = (office.clone(), Handle::current());
        let through = move || {
            runtime.block_on(async {
                office.store.note_health("test", None, office.now()).await.unwrap();
                office.store.list_health().await.unwrap();
            });
        };
        tokio::task::spawn_blocking(through).await.unwrap();
    }
    panic!("waited for ever: {}", what());
}
