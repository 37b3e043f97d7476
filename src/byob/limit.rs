//! Deadlines that cannot overflow: a caller may ask for any patience.

use std::time::{Duration, Instant};

/// Longer than any service runs.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment so long after another.
pub(crate) fn after(since: Instant, limit: Duration) -> Instant {
    since + limit.min(FOREVER)
}
