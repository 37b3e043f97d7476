//! The clock that traffic is paced by.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Tells the time and waits. Tests bring one of their own.
pub trait Clock: Clone + Send + Sync + 'static {
    /// A monotonic time.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Waits until a time, or not at all if that is over.
    fn sleep_until(&self, until: Instant) -> impl Future<Output = ()> + Send;
}

/// The machine's. The runtime's own timers tell milliseconds only.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Clock for Machine {
    async fn sleep_until(&self, until: Instant) {
        let left = until.saturating_duration_since(self.now());
        if left > Duration::ZERO {
            // It fails only where the runtime is about to end.
            let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
        }
    }
}
