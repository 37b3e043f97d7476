//! From a request to its response: finds a worker, talks to it, explains what went wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::attempt::{Attempt, Unserved};
use crate::error::Error;
use crate::execution::{Canceller, ExecuteOptions, Report, Times};
use crate::host_functions::HostFunctions;
use crate::limit::after;
use crate::log_capture::LogCapture;
use crate::pool::Pool;
use crate::token::ExecutionId;
use crate::traffic::Traffic;
use crate::worker::WorkerEnd;

/// So many workers may die under a request before they are ready until it is the request's failure.
const MOST_STARTS: usize = 3;

/// Since when a request waits for a worker, and until when it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        let since = Instant::now();
        Self {
            since,
            until: after(since, limit),
        }
    }
}

/// What there is to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) pool: Arc<Pool>,
    pub(crate) request: Bytes,
    pub(crate) options: ExecuteOptions,
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) traffic: Arc<Traffic>,
}

/// What came of it.
pub(crate) struct Finished {
    pub(crate) result: Result<Bytes, Error>,
    pub(crate) aftermath: Aftermath,
}

/// What is left to wait for when the response is there.
#[derive(Debug)]
pub(crate) struct Aftermath {
    pub(crate) report: Report,
    end: End,
    log: Option<LogCapture>,
}

#[derive(Debug)]
enum End {
    None,
    Awaited(oneshot::Receiver<WorkerEnd>),
    Known(WorkerEnd),
}

impl Aftermath {
    pub(crate) fn new(id: ExecutionId, request_bytes: usize) -> Self {
        let report = Report {
            id,
            worker: None,
            exit: None,
            times: Times::default(),
            request_bytes,
            response_bytes: 0,
            logs: None,
        };
        Self {
            report,
            end: End::None,
            log: None,
        }
    }

    /// Waits for the end of the process and of its output.
    pub(crate) async fn report(mut self) -> Report {
        if let Some(WorkerEnd::Exited(exit)) = self.end().await {
            self.report.exit = Some(exit);
        }
        if let Some(log) = &mut self.log {
            self.report.logs = Some(log.whole().await);
        }
        self.report
    }

    /// The process that this is about from here on.
    pub(crate) fn follow(
        &mut self,
        name: String,
        end: oneshot::Receiver<WorkerEnd>,
        log: Option<LogCapture>,
    ) {
        self.report.worker = Some(name);
        self.end = End::Awaited(end);
        self.log = log;
    }

    /// Nobody has the process any more.
    pub(crate) fn unfollow(&mut self) -> Option<oneshot::Receiver<WorkerEnd>> {
        self.report.worker = None;
        self.log = None;
        match std::mem::replace(&mut self.end, End::None) {
            End::Awaited(end) => Some(end),
            _ => None,
        }
    }

    /// Waits until the process is lost with its sandbox or its pool. A process that ends in another
    /// way tells so by its connection.
    pub(crate) async fn lost(&mut self) {
        match self.end().await {
            Some(WorkerEnd::Lost(_)) => {}
            _ => std::future::pending().await,
        }
    }

    /// Waits for the end of the process; `None` if it will never be known.
    pub(crate) async fn end(&mut self) -> Option<WorkerEnd> {
        if let End::Awaited(end) = &mut self.end {
            self.end = match end.await {
                Ok(end) => End::Known(end),
                Err(_) => End::None,
            };
        }
        match &self.end {
            End::Known(end) => Some(end.clone()),
            _ => None,
        }
    }
}

impl Job {
    /// Executes the request. What was begun when this future is dropped is ended.
    pub(crate) async fn run(self, canceller: Canceller) -> Finished {
        let _passage = self.traffic.enter();
        let mut aftermath = Aftermath::new(canceller.id(), self.request.len());
        let result = tokio::select! {
            biased;
            () = canceller.cancelled() => Err(Error::Cancelled),
            result = self.attempts(canceller.id(), &mut aftermath) => result,
        };
        let metrics = &self.pool.metrics;
        match &result {
            Ok(response) => {
                aftermath.report.response_bytes = response.len();
                let Times { queue, send, run } = aftermath.report.times;
                metrics.answered(queue, send, run);
            }
            Err(error) => metrics.failed(error),
        }
        Finished { result, aftermath }
    }

    /// Waits until some worker is ready, to learn whether any ever will be.
    pub(crate) async fn rehearse(&self) -> Result<(), Error> {
        let patience = Patience::new(self.options.queue_timeout);
        for attempt in 1.. {
            let id = ExecutionId::next();
            let mut aftermath = Aftermath::new(id, 0);
            let lease = self.pool.acquire(patience.since, patience.until).await?;
            match Attempt::new(self, id, lease, &mut aftermath)?
                .rehearse(patience)
                .await
            {
                Err(Unserved::NotReady(cause @ Error::NeverReady { .. })) => return Err(cause),
                Err(Unserved::NotReady(cause)) if attempt >= MOST_STARTS => return Err(cause),
                Err(Unserved::NotReady(_)) => {}
                Err(Unserved::Failed(error)) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(())
    }

    async fn attempts(&self, id: ExecutionId, aftermath: &mut Aftermath) -> Result<Bytes, Error> {
        let limit = self.pool.options.max_request;
        if self.request.len() > limit {
            return Err(Error::RequestTooLarge {
                size: self.request.len(),
                limit,
            });
        }
        let patience = Patience::new(self.options.queue_timeout);
        for attempt in 1.. {
            let lease = self.pool.acquire(patience.since, patience.until).await?;
            match Attempt::new(self, id, lease, aftermath)?
                .run(patience)
                .await
            {
                Err(Unserved::NotReady(cause)) if attempt >= MOST_STARTS => return Err(cause),
                Err(Unserved::NotReady(_)) => {}
                Err(Unserved::Failed(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        Err(Error::ShutDown)
    }
}
