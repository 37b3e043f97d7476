//! Notices who stands still. An open connection does not tell: whoever holds its other end may be
//! stopped, or stuck in a kernel.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::limit::after;

/// How often somebody is asked until the silence is too long. More than once, because what stood still
/// for a while may have been the machine.
const QUESTIONS: u32 = 4;

/// Looks after one peer.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Duration,
    due: Instant,
    unanswered: u32,
}

/// What it is time for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ask the peer whether it is there.
    Ask,
    /// It has been silent for too long.
    GiveUp,
}

impl Watchdog {
    /// For a peer that may be silent for so long.
    pub(crate) fn new(limit: Duration) -> Self {
        let mut watchdog = Self {
            limit,
            due: Instant::now(),
            unanswered: 0,
        };
        watchdog.rest();
        watchdog
    }

    /// The peer said something.
    pub(crate) fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// Waits until there is something to do.
    pub(crate) async fn turn(&mut self) -> Turn {
        sleep_until(self.due.into()).await;
        self.rest();
        if self.unanswered == QUESTIONS {
            return Turn::GiveUp;
        }
        self.unanswered += 1;
        Turn::Ask
    }

    fn rest(&mut self) {
        self.due = after(Instant::now(), self.limit / QUESTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_answers_is_asked_for_ever_and_who_does_not_is_given_up() {
        let mut watchdog = Watchdog::new(Duration::from_millis(8));
        for _ in 0..3 * QUESTIONS {
            assert_eq!(watchdog.turn().await, Turn::Ask);
            watchdog.heard();
        }
        for _ in 0..QUESTIONS {
            assert_eq!(watchdog.turn().await, Turn::Ask);
        }
        assert_eq!(watchdog.turn().await, Turn::GiveUp);
    }
}
