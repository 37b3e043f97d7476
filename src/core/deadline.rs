//! Deadlines that cannot overflow: a caller may give any duration.

use std::time::{Duration, Instant};

/// Longer than any service runs.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Returns the moment that is `limit` after `since`.
#[must_use]
pub fn after(since: Instant, limit: Duration) -> Instant {
    since + limit.min(FOREVER)
}
