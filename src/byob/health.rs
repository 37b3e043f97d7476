//! When to start workers again after some would not start.

use std::time::{Duration, Instant};

use crate::error::Error;

/// So many failures in a row are retried at once; the next makes the pool unhealthy.
const FREE_FAILURES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What has been ready for so long did start well.
const STEADY: Duration = Duration::from_secs(1);

/// Counts failures in a row and sets the pauses between attempts.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    retry_at: Option<Instant>,
    last: Option<Instant>,
    cause: Option<Error>,
}

impl Backoff {
    /// Something started well: everything is forgotten.
    pub(crate) fn success(&mut self) {
        *self = Self::default();
    }

    /// Something failed to start.
    pub(crate) fn failure(&mut self, now: Instant, cause: Error) {
        self.failures = self.failures.saturating_add(1);
        self.cause = Some(cause);
        self.last = Some(now);
        if let Some(doublings) = self.failures.checked_sub(FREE_FAILURES + 1) {
            self.retry_at = Some(now + pause(doublings));
        }
    }

    /// Whether something that is ready since then shows that nothing fails any more. What was ready
    /// before the last failure shows nothing.
    pub(crate) fn is_over(&self, ready_since: Instant, now: Instant) -> bool {
        self.last.is_some_and(|last| ready_since >= last)
            && now.saturating_duration_since(ready_since) >= STEADY
    }

    /// Whether failures go on and on.
    pub(crate) fn is_unhealthy(&self) -> bool {
        self.failures > FREE_FAILURES
    }

    /// Why, if so.
    pub(crate) fn cause(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.is_unhealthy())
    }

    /// Whether an attempt may be made now.
    pub(crate) fn may_try(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// The pause that is to be kept before the next attempt.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        self.retry_at
            .map(|at| at.saturating_duration_since(now))
            .unwrap_or_default()
    }
}

fn pause(doublings: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << doublings.min(10))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..FREE_FAILURES {
            backoff.failure(now, Error::Cancelled);
            assert!(backoff.may_try(now) && !backoff.is_unhealthy());
        }
        backoff.failure(now, Error::Cancelled);
        assert!(!backoff.may_try(now) && backoff.is_unhealthy());
        assert!(backoff.cause().is_some());
        assert!(backoff.may_try(now + FIRST_PAUSE));
        for _ in 0..100 {
            backoff.failure(now, Error::Cancelled);
        }
        assert_eq!(backoff.pause(now), LONGEST_PAUSE);
        backoff.success();
        assert!(backoff.may_try(now) && !backoff.is_unhealthy() && backoff.cause().is_none());
    }

    #[test]
    fn only_what_got_ready_after_the_last_failure_and_stayed_so_ends_it() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failure(now + STEADY, Error::Cancelled);
        assert!(
            !backoff.is_over(now, now + STEADY * 10),
            "it was there before"
        );
        assert!(
            !backoff.is_over(now + STEADY, now + STEADY),
            "it may still die"
        );
        assert!(backoff.is_over(now + STEADY, now + STEADY * 2));
    }
}
