//! A worker that is handed to a request at the moment in which the request gives up belongs to one of
//! the two, never to neither.

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
fn a_worker_is_not_lost_when_the_request_gives_up() {
    every_schedule(hand_over);
}

#[test]
fn a_request_learns_that_the_sender_is_gone() {
    every_schedule(give_up);
}
