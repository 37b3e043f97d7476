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
//! `code` is the name that the code was loaded with.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use crate::error::Error;
use crate::execution::Times;

/// The instruments of the executions of one piece of code, looked up once.
pub struct ExecutionMetrics {
    code: String,
    queue: Histogram,
    send: Histogram,
    run: Histogram,
    ok: Counter,
}

impl ExecutionMetrics {
    /// Looks up the instruments of the code with this name.
    #[must_use]
    pub fn new(code: &str) -> Self {
        let own = |name: &'static str| histogram!(name, "code" => code.to_owned());
        Self {
            queue: own("roma_queue_seconds"),
            send: own("roma_send_seconds"),
            run: own("roma_run_seconds"),
            ok: counter!("roma_executions_total", "code" => code.to_owned(), "result" => "ok"),
            code: code.to_owned(),
        }
    }

    /// Records an execution that was answered.
    pub fn answered(&self, times: Times) {
        self.queue.record(times.queue);
        self.send.record(times.send);
        self.run.record(times.run);
        self.ok.increment(1);
    }

    /// Records an execution that failed.
    pub fn failed(&self, error: &Error) {
        let labels = [
            ("code", self.code.clone()),
            ("result", error.name().to_owned()),
        ];
        counter!("roma_executions_total", &labels).increment(1);
    }
}

impl fmt::Debug for ExecutionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionMetrics")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// Records a call of a host function.
pub(crate) fn host_call(function: &str, result: &'static str, time: Duration) {
    let labels = [
        ("function", function.to_owned()),
        ("result", result.to_owned()),
    ];
    counter!("roma_host_calls_total", &labels).increment(1);
    histogram!("roma_host_call_seconds", "function" => function.to_owned()).record(time);
}
