//! The instruments of one pool. `docs/metrics.md` lists their names and meanings.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use roma_core::{Counts, Error};
use roma_protocol::spawner::Exited;

use crate::worker::{exit_of, start_steps};

/// The instruments of one pool, looked up once.
pub(crate) struct PoolMetrics {
    code: String,
    pub(crate) starts: Counter,
    pub(crate) start_time: Histogram,
    steps: [Histogram; 3],
    life: Histogram,
    cpu: Histogram,
    stages: [Gauge; 4],
    waiting: Gauge,
    /// What this pool has added to the gauges, which it shares with all pools of the same name.
    added: Mutex<[usize; 5]>,
}

impl PoolMetrics {
    pub(crate) fn new(code: &str) -> Self {
        let own = |name: &'static str| histogram!(name, "code" => code.to_owned());
        let step = |step: &'static str| histogram!("roma_worker_start_step_seconds", "code" => code.to_owned(), "step" => step);
        let stage = |stage: &'static str| gauge!("roma_workers", "code" => code.to_owned(), "stage" => stage);
        Self {
            starts: counter!("roma_worker_starts_total", "code" => code.to_owned()),
            start_time: own("roma_worker_start_seconds"),
            steps: ["clone", "setup", "exec"].map(step),
            life: own("roma_worker_life_seconds"),
            cpu: own("roma_worker_cpu_seconds"),
            stages: ["starting", "ready", "busy", "ending"].map(stage),
            waiting: gauge!("roma_waiting_requests", "code" => code.to_owned()),
            added: Mutex::default(),
            code: code.to_owned(),
        }
    }

    pub(crate) fn start_failed(&self, cause: &Error) {
        let labels = [
            ("code", self.code.clone()),
            ("cause", cause.name().to_owned()),
        ];
        counter!("roma_worker_start_failures_total", &labels).increment(1);
    }

    pub(crate) fn exited(&self, exited: &Exited) {
        for (histogram, nanos) in self.steps.iter().zip(start_steps(&exited.start)) {
            histogram.record(Duration::from_nanos(nanos.into()));
        }
        self.life.record(Duration::from_nanos(exited.life_nanos));
        self.cpu.record(exit_of(exited).usage.cpu_time());
    }

    pub(crate) fn counts(&self, counts: &Counts) {
        let Counts {
            starting,
            ready,
            busy,
            ending,
            waiting,
        } = *counts;
        let now = [starting, ready, busy, ending, waiting];
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = self.stages.iter().chain([&self.waiting]);
        for (gauge, (before, now)) in gauges.zip(added.iter().zip(now)) {
            match now.checked_sub(*before) {
                Some(more) => gauge.increment(more as f64),
                None => gauge.decrement((before - now) as f64),
            }
        }
        *added = now;
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
