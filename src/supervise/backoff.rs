//! Pauses between attempts to start something that keeps failing.

use std::time::{Duration, Instant};

use roma_core::Error;

/// How many failures in a row are retried at once. The next one counts as a crash loop.
const FREE_FAILURES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a worker must have been ready to count as well started.
const STEADY: Duration = Duration::from_secs(1);

/// How long a sandbox, or a pool in it, must have lived not to be part of a crash loop.
pub const STABLE: Duration = Duration::from_secs(10);

/// Counts failures in a row and sets the pauses between attempts.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    retry_at: Option<Instant>,
    last: Option<Instant>,
    cause: Option<Error>,
}

impl Backoff {
    /// Forgets all failures: something started well.
    pub fn success(&mut self) {
        *self = Self::default();
    }

    /// Notes that something which began at `since` has ended, for this cause, and returns how long to
    /// wait before the next attempt.
    pub fn ended(&mut self, since: Instant, cause: Error) -> Duration {
        let now = Instant::now();
        if now.saturating_duration_since(since) > STABLE {
            self.success();
        }
        self.failure(now, cause);
        self.pause(now)
    }

    /// Notes that something failed to start.
    pub fn failure(&mut self, now: Instant, cause: Error) {
        self.failures = self.failures.saturating_add(1);
        self.cause = Some(cause);
        self.last = Some(now);
        if let Some(doublings) = self.failures.checked_sub(FREE_FAILURES + 1) {
            self.retry_at = Some(now + pause(doublings));
        }
    }

    /// Returns whether something that is ready since `ready_since` proves the crash loop over. It must
    /// have become ready after the last failure, and been ready for a while.
    #[must_use]
    pub fn is_over(&self, ready_since: Instant, now: Instant) -> bool {
        self.last.is_some_and(|last| ready_since >= last)
            && now.saturating_duration_since(ready_since) >= STEADY
    }

    /// Returns whether this is a crash loop.
    #[must_use]
    pub fn is_unhealthy(&self) -> bool {
        self.failures > FREE_FAILURES
    }

    /// Returns the last cause, if this is a crash loop.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_ref().filter(|_| self.is_unhealthy())
    }

    /// Returns whether an attempt may be made now.
    #[must_use]
    pub fn may_try(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// Returns how long to wait before the next attempt.
    #[must_use]
    pub fn pause(&self, now: Instant) -> Duration {
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
    fn a_crash_loop_ends_with_a_worker_that_became_ready_later_and_stayed_ready() {
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
