//! A worker that is handed to a request in the moment in which the request gives up belongs to one of
//! the two, and never to nobody.

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
    assert!(matches!(got, Err(Missed::GivenUp | Missed::TooLate)));
}

#[test]
fn nothing_is_lost_in_the_moment_of_giving_up() {
    every_schedule(hand_over);
}

#[test]
fn who_waits_for_nobody_is_told() {
    every_schedule(give_up);
}
