//! What the processes of a request count together, and its text for the answer.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::kernel;

/// Counters on a page that all processes share, unless a call unmaps it. They are in this order: processes,
/// calls begun, leaks, the owner and the finder of the last leak, rounds begun, then calls by result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally(&'static [AtomicU64; 512]);

const PROCESSES: usize = 0;
const BEGUN: usize = 1;
const LEAKS: usize = 2;
const OWNER: usize = 3;
const FINDER: usize = 4;
const ROUNDS: usize = 5;
/// Success, and then each error number.
const RESULTS: usize = 6;
/// Higher error numbers are counted as this one.
const HIGHEST_ERROR: usize = 134;

impl Tally {
    /// Makes a tally that processes started later share.
    pub(crate) fn shared() -> Option<Self> {
        kernel::shared_page().map(Self)
    }

    /// Lets the processes of a round go, so that all make calls at the same time.
    pub(crate) fn begin_round(self, round: u64) {
        self.0[ROUNDS].store(round + 1, Ordering::Relaxed);
    }

    pub(crate) fn wait_for_round(self, round: u64) {
        while self.get(ROUNDS) <= round {
            sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn process(self) {
        self.add(PROCESSES);
    }

    pub(crate) fn begin(self) {
        self.add(BEGUN);
    }

    pub(crate) fn result(self, result: Result<usize, i32>) {
        let error = result.err().and_then(|error| usize::try_from(error).ok());
        self.add(RESULTS + error.unwrap_or(0).min(HIGHEST_ERROR));
    }

    /// Counts a mark of another request, which was found after this call.
    pub(crate) fn leak(self, owner: u64, number: i64) {
        self.0[OWNER].store(owner, Ordering::Relaxed);
        self.0[FINDER].store(number as u64, Ordering::Relaxed);
        self.add(LEAKS);
    }

    fn add(self, counter: usize) {
        self.0[counter].fetch_add(1, Ordering::Relaxed);
    }

    fn get(self, counter: usize) -> u64 {
        self.0[counter].load(Ordering::Relaxed)
    }
}

/// As `processes=8 calls=400 leaks=0 0=150 1=200`, where numbers are error numbers, and 0 is success.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processes, calls) = (self.get(PROCESSES), self.get(BEGUN));
        let leaks = self.get(LEAKS);
        write!(f, "processes={processes} calls={calls} leaks={leaks}")?;
        if leaks > 0 {
            let (owner, finder) = (self.get(OWNER), self.get(FINDER) as i64);
            write!(f, " owner={owner} finder={finder}")?;
        }
        for error in 0..=HIGHEST_ERROR {
            match self.get(RESULTS + error) {
                0 => {}
                count => write!(f, " {error}={count}")?,
            }
        }
        Ok(())
    }
}
