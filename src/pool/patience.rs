//! How long a request waits for a worker.

use std::time::{Duration, Instant};

use roma_core::deadline::after;

/// Since when a request waits for a worker, and until when it may.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The begin of the waiting.
    pub since: Instant,
    /// The end of it.
    pub until: Instant,
}

impl Patience {
    /// Begins to wait now, for up to `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let since = Instant::now();
        Self {
            since,
            until: after(since, limit),
        }
    }

    /// Returns how long the request may still wait.
    #[must_use]
    pub fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}
