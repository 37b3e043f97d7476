//! The clock that paces traffic.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// A clock, which tests replace.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Returns the monotonic time.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Waits until a time, or returns at once if it is past.
    fn sleep_until(&self, until: Instant) -> impl Future<Output = ()> + Send;
}

/// The machine's clock. The runtime's own timers have a resolution of milliseconds only.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Clock for Machine {
    async fn sleep_until(&self, until: Instant) {
        let left = until.saturating_duration_since(self.now());
        if left > Duration::ZERO {
            // It fails only if the runtime is shutting down.
            let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
        }
    }
}
