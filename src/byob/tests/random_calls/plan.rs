//! How many requests are sent, and what each asks for.

use std::env::var;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;

/// The requests that are sent at the same time.
const BATCH: usize = 4;
/// The batches that are sent unless the environment says for how long.
const BATCHES: usize = 2;

/// What a run sends.
pub struct Plan {
    pub seed: u64,
    /// How long new batches are sent, instead of a fixed number of them.
    duration: Option<Duration>,
}

/// What one request asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub seed: u64,
    /// Whether its first process makes calls, so that it often does not come to answer.
    pub first_process: bool,
    pub text: String,
}

impl Plan {
    pub fn from_environment() -> Self {
        let number = |name: &str| var(name).ok().map(|text| text.parse::<u64>().unwrap());
        Self {
            seed: number("ROMA_RANDOM_CALLS_SEED")
                .unwrap_or_else(|| RandomState::new().hash_one(0)),
            duration: number("ROMA_RANDOM_CALLS_SECONDS").map(Duration::from_secs),
        }
    }

    /// How long a run may take before it counts as hung.
    pub fn time(&self) -> Duration {
        self.duration.unwrap_or_default() + PATIENCE * 3
    }

    pub fn batches(&self) -> impl Iterator<Item = Vec<Request>> {
        let began = Instant::now();
        let goes_on = move |batch: usize| match self.duration {
            Some(duration) => began.elapsed() < duration,
            None => batch < BATCHES,
        };
        let request = |number: usize| Request::new(mixed(self.seed, number as u64));
        (0..)
            .take_while(move |batch| goes_on(*batch))
            .map(move |batch| (0..BATCH).map(|one| request(batch * BATCH + one)).collect())
    }
}

impl Request {
    fn new(seed: u64) -> Self {
        let pick = |what: u64, from: &[u64]| from[(mixed(seed, what) % from.len() as u64) as usize];
        let first_process = pick(0, &[1, 0, 0, 0, 0, 0, 0, 0]);
        let connection = pick(1, &[1, 0, 0, 0]);
        let rounds = pick(2, &[2, 4, 8]);
        let processes = pick(3, &[1, 2, 4, 8]);
        let threads = pick(4, &[1, 4, 8]);
        let calls = pick(5, &[100, 400, 2000]);
        Self {
            seed,
            first_process: first_process == 1,
            text: format!(
                "seed={seed} rounds={rounds} processes={processes} threads={threads} calls={calls} \
                 connection={connection} first_process={first_process}"
            ),
        }
    }
}

/// A number that depends on two others.
fn mixed(one: u64, other: u64) -> u64 {
    let number =
        (one ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 32)
}
