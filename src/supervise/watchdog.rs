//! Notices peers that hang. An open connection is no proof of life: the process at its other end may be
//! stopped, or stuck in a kernel.

use std::time::{Duration, Instant};

use roma_core::deadline::after;
use tokio::time::sleep_until;

/// How often a peer is asked before it is given up. More than once, because it may have been the
/// machine that stopped for a while.
const QUESTIONS: u32 = 4;

/// Watches one peer.
#[derive(Debug)]
pub struct Watchdog {
    limit: Duration,
    due_at: Instant,
    unanswered: u32,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask the peer for a sign of life.
    Ask,
    /// Give the peer up: it has not answered for too long.
    GiveUp,
}

impl Watchdog {
    /// Watches a peer that may be silent for `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let mut watchdog = Self {
            limit,
            due_at: Instant::now(),
            unanswered: 0,
        };
        watchdog.schedule();
        watchdog
    }

    /// To be called for each message of the peer.
    pub fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// Waits until something is due.
    pub async fn due(&mut self) -> Due {
        sleep_until(self.due_at.into()).await;
        self.schedule();
        if self.unanswered == QUESTIONS {
            return Due::GiveUp;
        }
        self.unanswered += 1;
        Due::Ask
    }

    fn schedule(&mut self) {
        self.due_at = after(Instant::now(), self.limit / QUESTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_is_given_up_only_if_it_does_not_answer() {
        let mut watchdog = Watchdog::new(Duration::from_millis(8));
        for _ in 0..3 * QUESTIONS {
            assert_eq!(watchdog.due().await, Due::Ask);
            watchdog.heard();
        }
        for _ in 0..QUESTIONS {
            assert_eq!(watchdog.due().await, Due::Ask);
        }
        assert_eq!(watchdog.due().await, Due::GiveUp);
    }
}
