//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

use super::PATIENCE;

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until a condition holds, without blocking the service.
pub async fn until(condition: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("timed out waiting until {condition}"));
}

/// Blocks this thread until a condition holds.
pub fn block_until(condition: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(
            since.elapsed() < PATIENCE,
            "timed out waiting until {condition}"
        );
        std::thread::sleep(PAUSE);
    }
}
