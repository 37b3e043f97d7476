//! What is known of an execution while it runs, for its report.

use bytes::Bytes;
use roma_core::{Error, ExecutionId, Finished, Report};
use roma_pool::{End, Worker, WorkerEnd};
use roma_supervise::LogCapture;

/// What is known of an execution while it runs. It outlives an execution that is cancelled.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) report: Report,
    end: Option<End>,
    log: Option<LogCapture>,
}

impl Trace {
    pub(super) fn new(id: ExecutionId, request_bytes: usize) -> Self {
        Self {
            report: Report::new(id, request_bytes),
            end: None,
            log: None,
        }
    }

    /// Notes which worker has the request.
    pub(super) fn follow(&mut self, worker: &Worker, keeps_logs: bool) {
        self.report.worker = Some(worker.name.to_string());
        self.end = Some(worker.end.clone());
        self.log = keeps_logs.then(|| worker.log.clone());
    }

    /// Ends with this result. The report waits for the end of the process and of its output.
    pub(super) fn finish(mut self, result: Result<Bytes, Error>) -> Finished {
        self.report.response_bytes = result.as_ref().map_or(0, Bytes::len);
        Finished {
            result,
            times: self.report.times,
            report: Box::pin(self.complete()),
        }
    }

    async fn complete(mut self) -> Report {
        if let Some(end) = self.end
            && let WorkerEnd::Exited(exit) = end.known().await
        {
            self.report.exit = Some(*exit);
        }
        if let Some(mut log) = self.log {
            self.report.logs = Some(log.whole().await);
        }
        self.report
    }
}
