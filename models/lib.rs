//! Models of the state that threads share in `src/io` and `src/pool`. The product's source files are
//! compiled here with the locks and channels of shuttle, which runs each test under thousands of schedules.
//! A schedule in which a thread waits forever fails the test.
#![cfg(test)]

#[path = "../src/pool/handover.rs"]
mod handover;
mod handover_test;
#[path = "../src/io/outbox.rs"]
mod outbox;
mod outbox_test;

/// Replaces `src/io/sync.rs`.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
}

/// Tests random schedules, and schedules with few switches, which find rare errors.
fn every_schedule(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, 5_000);
    shuttle::check_pct(test, 5_000, 3);
}
