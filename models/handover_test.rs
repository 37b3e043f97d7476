//! If a worker is handed to a request that times out at the same moment, exactly one of pool and request
//! has the worker afterwards.

use std::time::Instant;

use shuttle::{future, thread};
use tokio::sync::oneshot;
use tokio::time::{clear_triggers, trigger_timeouts};

use crate::every_schedule;
use crate::handover::{Missed, wait_until};

fn hand_over() {
    clear_triggers();
    let (waiter, waiting) = oneshot::channel();
    let clock = thread::spawn(|| trigger_timeouts(|_| true));
    let pool = thread::spawn(move || waiter.send("a worker").err());
    let got = future::block_on(wait_until(waiting, Instant::now()));
    let kept = pool.join().unwrap();
    clock.join().unwrap();
    assert_eq!(got.is_ok(), kept.is_none(), "{got:?}, {kept:?}");
}

fn give_up() {
    clear_triggers();
    let (waiter, waiting) = oneshot::channel::<()>();
    let clock = thread::spawn(|| trigger_timeouts(|_| true));
    let pool = thread::spawn(move || drop(waiter));
    let got = future::block_on(wait_until(waiting, Instant::now()));
    pool.join().unwrap();
    clock.join().unwrap();
    assert!(matches!(got, Err(Missed::SenderGone | Missed::TooLate)));
}

#[test]
fn a_worker_is_not_lost_when_its_request_times_out() {
    every_schedule(hand_over);
}

#[test]
fn a_dropped_sender_ends_the_wait_of_its_request() {
    every_schedule(give_up);
}
