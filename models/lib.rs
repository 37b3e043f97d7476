//! Models of what threads share in `src/byob`. The product's own source files are compiled here with
//! locks and channels of shuttle, which runs each test under thousands of schedules. A schedule in
//! which somebody waits for ever is a failure.
#![cfg(test)]

#[path = "../src/byob/handover.rs"]
mod handover;
mod handover_test;
#[path = "../src/byob/outbox.rs"]
mod outbox;
mod outbox_test;

/// Stands for `src/byob/sync.rs`.
mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

/// Tries many schedules: at random, and such as find rare ones with few switches.
fn every_schedule(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, 5_000);
    shuttle::check_pct(test, 5_000, 3);
}
