//! A round: processes that make calls, and their end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::kernel::{block_signals, close, exit, fork, kill_all_others, reap};
use crate::plan::Plan;
use crate::storm;
use crate::tally::Tally;

/// How long the processes of a round may take. What hangs is ended then.
const TIME: Duration = Duration::from_millis(200);
/// Connections to the service: requests, and functions of the host.
const CONNECTIONS: [usize; 2] = [3, 4];

/// Starts processes, waits until they have ended, and ends what they left.
pub(crate) fn play(plan: &Plan, round: u64, tally: Tally) {
    // Those that they send to this process, which has to answer.
    block_signals(u64::MAX);
    for number in 0..plan.processes {
        if fork() == Ok(true) {
            block_signals(0);
            if !plan.connection {
                CONNECTIONS.into_iter().for_each(close);
            }
            tally.wait_for_round(round);
            storm::rage(plan, plan.seed ^ (round << 32) ^ (number << 48), tally);
            exit();
        }
    }
    tally.begin_round(round);
    let since = Instant::now();
    while since.elapsed() < TIME && reap_ended().is_ok() {
        sleep(Duration::from_millis(1));
    }
    // This is the first process of its namespace: these are all processes of the request.
    kill_all_others();
    while reap(0).is_ok() {}
}

/// Reaps what has ended. An error if no process is left.
fn reap_ended() -> Result<(), i32> {
    while reap(libc::WNOHANG)? {}
    Ok(())
}
