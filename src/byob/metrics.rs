//! Counters, gauges and histograms, through the `metrics` facade: an exporter is the integrator's
//! choice, and without one they cost next to nothing.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | `roma_executions_total` | counter | `code`, `result` | executions by result (`ok`, or the error's name) |
//! | `roma_queue_seconds` | histogram | `code` | waiting for a ready worker |
//! | `roma_send_seconds` | histogram | `code` | sending the request |
//! | `roma_run_seconds` | histogram | `code` | from the request's last byte to the response's |
//! | `roma_worker_starts_total` | counter | `code` | workers asked for |
//! | `roma_worker_start_failures_total` | counter | `code`, `cause` | workers that did not get ready |
//! | `roma_worker_start_seconds` | histogram | `code` | from asking for a worker to its readiness |
//! | `roma_worker_start_step_seconds` | histogram | `code`, `step` | steps of a start (clone, setup, exec) |
//! | `roma_worker_life_seconds` | histogram | `code` | whole lives of workers |
//! | `roma_worker_cpu_seconds` | histogram | `code` | processor time of workers |
//! | `roma_workers` | gauge | `code`, `stage` | workers by stage (starting, ready, busy, ending) |
//! | `roma_waiting_requests` | gauge | `code` | requests that wait for a worker |
//! | `roma_sandbox_restarts_total` | counter | | outer sandboxes that died and were replaced |
//! | `roma_host_calls_total` | counter | `function`, `result` | calls of host functions |
//! | `roma_host_call_seconds` | histogram | `function` | their time |
//!
//! `code` is [`LoadOptions::name`](crate::LoadOptions::name).

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use roma_protocol::spawner::Exited;

use crate::book::Counts;
use crate::error::Error;
use crate::worker::{exit_of, start_steps};

/// The instruments of one pool, looked up once.
pub(crate) struct PoolMetrics {
    code: String,
    pub(crate) starts: Counter,
    pub(crate) start_time: Histogram,
    queue: Histogram,
    send: Histogram,
    run: Histogram,
    ok: Counter,
    steps: [Histogram; 3],
    life: Histogram,
    cpu: Histogram,
    stages: [Gauge; 4],
    waiting: Gauge,
}

impl PoolMetrics {
    pub(crate) fn new(code: &str) -> Self {
        let own = |name: &'static str| histogram!(name, "code" => code.to_owned());
        let step = |step: &'static str| histogram!("roma_worker_start_step_seconds", "code" => code.to_owned(), "step" => step);
        let stage = |stage: &'static str| gauge!("roma_workers", "code" => code.to_owned(), "stage" => stage);
        Self {
            starts: counter!("roma_worker_starts_total", "code" => code.to_owned()),
            start_time: own("roma_worker_start_seconds"),
            queue: own("roma_queue_seconds"),
            send: own("roma_send_seconds"),
            run: own("roma_run_seconds"),
            ok: counter!("roma_executions_total", "code" => code.to_owned(), "result" => "ok"),
            steps: ["clone", "setup", "exec"].map(step),
            life: own("roma_worker_life_seconds"),
            cpu: own("roma_worker_cpu_seconds"),
            stages: ["starting", "ready", "busy", "ending"].map(stage),
            waiting: gauge!("roma_waiting_requests", "code" => code.to_owned()),
            code: code.to_owned(),
        }
    }

    pub(crate) fn answered(&self, queue: Duration, send: Duration, run: Duration) {
        self.queue.record(queue);
        self.send.record(send);
        self.run.record(run);
        self.ok.increment(1);
    }

    pub(crate) fn failed(&self, error: &Error) {
        let labels = [
            ("code", self.code.clone()),
            ("result", error.name().to_owned()),
        ];
        counter!("roma_executions_total", &labels).increment(1);
    }

    pub(crate) fn start_failed(&self, cause: &Error) {
        let labels = [
            ("code", self.code.clone()),
            ("cause", cause.name().to_owned()),
        ];
        counter!("roma_worker_start_failures_total", &labels).increment(1);
    }

    pub(crate) fn exited(&self, exited: &Exited) {
        for (histogram, (_, nanos)) in self.steps.iter().zip(start_steps(&exited.start)) {
            histogram.record(Duration::from_nanos(nanos.into()));
        }
        self.life.record(Duration::from_nanos(exited.life_nanos));
        self.cpu.record(exit_of(exited).usage.cpu_time());
    }

    pub(crate) fn counts(&self, counts: &Counts) {
        let stages = [counts.starting, counts.ready, counts.busy, counts.ending];
        for (gauge, count) in self.stages.iter().zip(stages) {
            gauge.set(count as f64);
        }
        self.waiting.set(counts.waiting as f64);
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

pub(crate) fn sandbox_restarted() {
    counter!("roma_sandbox_restarts_total").increment(1);
}

pub(crate) fn host_call(function: &str, result: &'static str, time: Duration) {
    let labels = [
        ("function", function.to_owned()),
        ("result", result.to_owned()),
    ];
    counter!("roma_host_calls_total", &labels).increment(1);
    histogram!("roma_host_call_seconds", "function" => function.to_owned()).record(time);
}
