//! Counters, gauges and histograms, through the `metrics` facade: an exporter is the integrator's
//! choice, and without one they cost next to nothing. An exporter must be installed before the service is
//! started: instruments are looked up when code is loaded.
//!
//! `docs/metrics.md` lists all metrics, with their labels and what exactly they count.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};

use crate::error::Error;

/// The label of what its caller dropped before it was over.
const DROPPED: &str = "dropped";

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

    /// Records how long an execution waited until it had a ready worker.
    pub fn queued(&self, time: Duration) {
        self.queue.record(time);
    }

    /// Records how long it took to send a request.
    pub fn sent(&self, time: Duration) {
        self.send.record(time);
    }

    /// Records how long a response took once its request was sent.
    pub fn answered(&self, time: Duration) {
        self.run.record(time);
    }

    fn over(&self, result: &str) {
        count_execution(&self.code, result);
    }
}

impl fmt::Debug for ExecutionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionMetrics")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// One execution, which is counted exactly once: by its result, or as dropped by its caller.
#[derive(Debug)]
pub struct CountedExecution {
    metrics: Arc<ExecutionMetrics>,
    is_over: bool,
}

impl CountedExecution {
    /// Begins an execution.
    #[must_use]
    pub fn begin(metrics: &Arc<ExecutionMetrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            is_over: false,
        }
    }

    /// Counts the execution by its result.
    pub fn over<T>(mut self, result: &Result<T, Error>) {
        self.is_over = true;
        match result {
            Ok(_) => self.metrics.ok.increment(1),
            Err(error) => self.metrics.over(error.name()),
        }
    }
}

impl Drop for CountedExecution {
    fn drop(&mut self) {
        if !self.is_over {
            self.metrics.over(DROPPED);
        }
    }
}

/// Counts an execution for which there is no code.
pub fn refused(error: &Error) {
    count_execution("", error.name());
}

fn count_execution(code: &str, result: &str) {
    let labels = [("code", code.to_owned()), ("result", result.to_owned())];
    counter!("roma_executions_total", &labels).increment(1);
}

/// One call of a registered host function, which is counted exactly once: by its result, or as dropped
/// with its execution.
pub(crate) struct CountedCall<'a> {
    function: &'a str,
    since: Instant,
    result: &'static str,
}

impl<'a> CountedCall<'a> {
    pub(crate) fn begin(function: &'a str) -> Self {
        Self {
            function,
            since: Instant::now(),
            result: DROPPED,
        }
    }

    pub(crate) fn over<T, E>(mut self, result: &Result<T, E>) {
        self.result = if result.is_ok() { "ok" } else { "error" };
    }
}

impl Drop for CountedCall<'_> {
    fn drop(&mut self) {
        count_host_call(self.function, self.result);
        let time = self.since.elapsed();
        histogram!("roma_host_call_seconds", "function" => self.function.to_owned()).record(time);
    }
}

/// Counts a call of a function that is not registered. Its name comes from a UDF and is no label.
pub(crate) fn unknown_host_call() {
    count_host_call("", "unknown");
}

fn count_host_call(function: &str, result: &'static str) {
    let labels = [
        ("function", function.to_owned()),
        ("result", result.to_owned()),
    ];
    counter!("roma_host_calls_total", &labels).increment(1);
}
