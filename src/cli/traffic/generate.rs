//! Traffic in an open loop: calls begin when they are due, even if earlier calls are still in flight,
//! and their times count from when they were due. A slow service therefore shows in the times instead
//! of in the rate.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clock::Clock;
use super::statistics::Times;

/// The most calls in flight, so that an overload does not exhaust this machine.
const MOST_UNDER_WAY: u64 = 100_000;

/// The schedule of calls.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// From one burst to the next.
    pub interval: Duration,
    /// Calls that are due at the same moment.
    pub burst: u32,
    /// The number of bursts; if `None`, as many as fit into `time`.
    pub bursts: Option<u64>,
    pub time: Option<Duration>,
}

/// The times of one call, as the service measured them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer {
    pub wait: Duration,
    pub run: Duration,
}

/// The result of a measurement.
#[derive(Debug, Default)]
pub struct Measured {
    pub elapsed: Duration,
    pub bursts: u64,
    /// Bursts that began after the next one was due.
    pub late: u64,
    pub failures: u64,
    pub first_failure: Option<String>,
    /// To begin all calls of a burst.
    pub creation: Times,
    /// From when a burst was due to the end of its last call.
    pub processing: Times,
    /// From when a call was due to its answer.
    pub invocation: Times,
    /// Part of `invocation`: until a worker was ready.
    pub wait: Times,
    /// Part of `invocation`: until the worker had responded.
    pub run: Times,
}

/// The progress of a run.
#[derive(Debug, Default)]
pub struct Progress {
    pub begun: AtomicU64,
    pub ended: AtomicU64,
    pub failed: AtomicU64,
}

impl Plan {
    fn is_over(&self, number: u64, since: Duration) -> bool {
        self.bursts.is_some_and(|bursts| number >= bursts)
            || self.time.is_some_and(|time| since >= time)
    }
}

impl Progress {
    fn under_way(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }
}

impl Measured {
    pub fn invocations(&self) -> u64 {
        self.invocation.count() + self.failures
    }

    pub fn late_percent(&self) -> f64 {
        percent(self.late, self.bursts)
    }

    pub fn failure_percent(&self) -> f64 {
        percent(self.failures, self.invocations())
    }

    fn add(&mut self, burst: Burst) {
        self.processing.record(burst.took);
        for (took, answer) in burst.calls {
            match answer {
                Ok(answer) => {
                    self.invocation.record(took);
                    self.wait.record(answer.wait);
                    self.run.record(answer.run);
                }
                Err(failure) => {
                    self.failures += 1;
                    self.first_failure.get_or_insert(failure);
                }
            }
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

type Ended = (Duration, Result<Answer, String>);

/// A burst that is over.
struct Burst {
    took: Duration,
    calls: Vec<Ended>,
}

/// Sends calls as planned, and waits for all responses.
pub async fn generate<C, F, A>(
    clock: &C,
    plan: &Plan,
    progress: &Arc<Progress>,
    call: F,
) -> Measured
where
    C: Clock,
    F: Fn() -> A,
    A: Future<Output = Result<Answer, String>> + Send + 'static,
{
    let start = clock.now();
    let mut due = start;
    let mut under_way = JoinSet::new();
    let mut measured = Measured::default();
    while !plan.is_over(measured.bursts, due - start) {
        clock.sleep_until(due).await;
        let begun = clock.now();
        measured.bursts += 1;
        measured.late += u64::from(begun.saturating_duration_since(due) >= plan.interval);
        let mut calls = JoinSet::new();
        for _ in 0..plan.burst {
            calls.spawn(timed(clock.clone(), due, Arc::clone(progress), call()));
        }
        under_way.spawn(gather(clock.clone(), due, calls));
        measured.creation.record(clock.now() - begun);
        while let Some(Ok(burst)) = under_way.try_join_next() {
            measured.add(burst);
        }
        due += plan.interval;
    }
    while let Some(burst) = under_way.join_next().await {
        measured.add(burst.unwrap_or_else(|_| lost(plan)));
    }
    measured.elapsed = clock.now() - start;
    measured
}

async fn timed(
    clock: impl Clock,
    due: Instant,
    progress: Arc<Progress>,
    call: impl Future<Output = Result<Answer, String>>,
) -> Ended {
    let answer = if progress.under_way() < MOST_UNDER_WAY {
        progress.begun.fetch_add(1, Ordering::Relaxed);
        let answer = call.await;
        progress.ended.fetch_add(1, Ordering::Relaxed);
        answer
    } else {
        Err(format!("{MOST_UNDER_WAY} calls were under way already"))
    };
    if answer.is_err() {
        progress.failed.fetch_add(1, Ordering::Relaxed);
    }
    (clock.now() - due, answer)
}

async fn gather(clock: impl Clock, due: Instant, mut calls: JoinSet<Ended>) -> Burst {
    let mut ended = Vec::with_capacity(calls.len());
    while let Some(call) = calls.join_next().await {
        ended.push(call.unwrap_or_else(|error| (Duration::ZERO, Err(error.to_string()))));
    }
    Burst {
        took: clock.now() - due,
        calls: ended,
    }
}

/// The result of a burst whose task panicked.
fn lost(plan: &Plan) -> Burst {
    let call = || (Duration::ZERO, Err("the call was abandoned".to_owned()));
    Burst {
        took: Duration::ZERO,
        calls: (0..plan.burst).map(|_| call()).collect(),
    }
}

#[cfg(test)]
#[path = "generate_test.rs"]
mod tests;
