//! How many workers the machine has room for, learnt from what it refuses.

use std::time::Instant;

use roma_core::Error;
use roma_supervise::Backoff;

/// What is known of the room for workers. Requests that are answered do not end a shortage, unlike a crash
/// loop: workers that live say nothing about room for more.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// How many workers lived when another one was refused.
    ceiling: Option<usize>,
    backoff: Backoff,
}

impl Shortage {
    /// Notes that the machine refused a worker while `live` others lived.
    pub(crate) fn refused(&mut self, live: usize, now: Instant, cause: Error) {
        self.ceiling = Some(self.ceiling.map_or(live, |ceiling| ceiling.min(live)));
        self.backoff.failure(now, cause);
    }

    /// Notes that so many workers have started and live.
    pub(crate) fn started(&mut self, count: impl FnOnce() -> usize) {
        if self.ceiling.is_some_and(|ceiling| count() > ceiling) {
            *self = Self::default();
        }
    }

    /// Returns how many workers may live: after a pause, one more is tried.
    pub(crate) fn most(&self, now: Instant) -> usize {
        let one_more = usize::from(self.backoff.may_try(now));
        self.ceiling
            .map_or(usize::MAX, |ceiling| ceiling.saturating_add(one_more))
    }
}
