//! The exchange of a request and its response with a worker.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use roma_core::{Caller, Error, ExecutionId};
use roma_io::{Broken, Exchange, Outgoing};
use roma_pool::{End, Lease};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Request;
use super::trace::Trace;
use crate::host_calls;

impl Request {
    /// Sends the request to a worker and waits for the response.
    pub(super) async fn exchange(
        &self,
        lease: &mut Lease,
        outgoing: Outgoing,
        trace: &mut Trace,
    ) -> Result<Bytes, Error> {
        let _calls = self.serve_calls(lease, trace.report.id);
        let limit = self.options.deadline;
        match timeout(limit, self.send_and_receive(lease, outgoing, trace)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(broken)) => Err(self.explain(lease, broken).await),
            Err(_) => Err(Error::Deadline { limit }),
        }
    }

    async fn send_and_receive(
        &self,
        lease: &Lease,
        outgoing: Outgoing,
        trace: &mut Trace,
    ) -> Result<Bytes, Broken> {
        let worker = lease.worker();
        let max_response = self.code.options.max_response;
        let mut exchange = Exchange::new(worker.data.as_fd(), outgoing, max_response)?;
        let start = Instant::now();
        // The request first: asking for the worker's replacement takes as long as sending.
        exchange.send_some()?;
        self.code.pool.refill();
        unless_lost(exchange.until_sent(), &worker.end).await?;
        let times = &mut trace.report.times;
        times.send = start.elapsed();
        self.code.metrics.sent(times.send);
        if self.in_flight.may_spin() {
            exchange.spin_for_response()?;
        }
        let response = unless_lost(exchange.until_answered(), &worker.end).await?;
        times.run = start.elapsed() - times.send;
        self.code.metrics.answered(times.run);
        Ok(response)
    }

    /// Serves the worker's calls of host functions until the result is dropped.
    fn serve_calls(&self, lease: &mut Lease, execution: ExecutionId) -> Option<AbortOnDrop> {
        let socket = lease.worker_mut().calls.take()?;
        let caller = Caller {
            execution,
            code: self.code.pool.token(),
            metadata: self.options.metadata.clone(),
        };
        let calls = host_calls::serve(socket, Arc::clone(&self.functions), caller);
        Some(AbortOnDrop(tokio::spawn(calls)))
    }
}

/// Returns the result of a future, unless the worker is lost first: its connection may outlive it.
async fn unless_lost<T>(
    work: impl Future<Output = Result<T, Broken>>,
    end: &End,
) -> Result<T, Broken> {
    tokio::select! {
        biased;
        result = work => result,
        () = end.lost() => Err(Broken::Closed),
    }
}

/// A task that is aborted when this is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
