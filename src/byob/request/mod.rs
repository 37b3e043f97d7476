//! One request: takes a worker, exchanges request and response with it, explains failures.

mod exchange;
mod no_response;
mod trace;

use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use roma_core::metrics::CountedExecution;
use roma_core::{Canceller, Error, ExecuteOptions, Finished, HostFunctions};
use roma_io::{Outgoing, has_begun_to_answer};
use roma_pool::{Lease, Patience, Worker};

use crate::in_flight::InFlight;
use crate::registry::Loaded;
use trace::Trace;

/// A request to execute.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) counted: CountedExecution,
    pub(crate) code: Arc<Loaded>,
    pub(crate) payload: Bytes,
    pub(crate) options: ExecuteOptions,
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) in_flight: Arc<InFlight>,
}

/// Returns the outcome of a request for which there is no code.
pub(crate) fn refuse(canceller: &Canceller, request_bytes: usize, error: Error) -> Finished {
    Trace::new(canceller.id(), request_bytes).finish(Err(error))
}

impl Request {
    /// Executes the request. Dropping the future ends its worker.
    pub(crate) async fn run(self, canceller: Canceller) -> Finished {
        let _guard = self.in_flight.enter();
        let mut trace = Trace::new(canceller.id(), self.payload.len());
        let result = tokio::select! {
            biased;
            () = canceller.cancelled() => Err(Error::Cancelled),
            result = self.execute(&mut trace) => result,
        };
        self.counted.over(&result);
        trace.finish(result)
    }

    async fn execute(&self, trace: &mut Trace) -> Result<Bytes, Error> {
        let limit = self.code.options.max_request;
        if self.payload.len() > limit {
            return Err(Error::RequestTooLarge {
                size: self.payload.len(),
                limit,
            });
        }
        let limit = self.options.deadline;
        if limit.is_zero() {
            // A worker that got it could win the race against no time at all.
            return Err(Error::Deadline { limit });
        }
        let patience = Patience::new(self.options.queue_timeout);
        let (mut lease, outgoing) = self.acquire(patience, trace).await?;
        trace.report.times.queue = patience.since.elapsed();
        self.code.metrics.queued(trace.report.times.queue);
        let response = self.exchange(&mut lease, outgoing, trace).await?;
        lease.answered(self.code.options.exit_grace);
        Ok(response)
    }

    /// Takes a ready worker, which may have some of the request already.
    async fn acquire(
        &self,
        patience: Patience,
        trace: &mut Trace,
    ) -> Result<(Lease, Outgoing), Error> {
        let keeps_logs = self.code.keeps_logs();
        let send_early = |worker: &Worker| {
            trace.follow(worker, keeps_logs);
            let mut outgoing = Outgoing::new(self.payload.clone());
            // One that answers already gets nothing: the exchange with it fails.
            if !has_begun_to_answer(worker.data.as_fd(), worker.ready)? {
                outgoing.send_some(worker.data.as_fd())?;
            }
            Ok(outgoing)
        };
        let (lease, outgoing) = self.code.pool.acquire_ready(patience, send_early).await?;
        trace.follow(lease.worker(), keeps_logs);
        let outgoing = outgoing.unwrap_or_else(|| Outgoing::new(self.payload.clone()));
        Ok((lease, outgoing))
    }
}
