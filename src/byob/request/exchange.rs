//! The exchange of a request and its response with a worker, and why there is no response.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use roma_core::{Caller, Error, ExecutionId, ExitStatus, ResponseError};
use roma_io::{Broken, Exchange, Outgoing};
use roma_pool::{End, Lease, WorkerEnd};
use roma_protocol::byob::frame::FrameError;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Request;
use super::trace::Trace;
use crate::host_calls;

const KILLED: ExitStatus = ExitStatus::Signal(nix::libc::SIGKILL);

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
        if self.in_flight.may_spin() {
            exchange.spin_for_response()?;
        }
        let response = unless_lost(exchange.until_answered(), &worker.end).await?;
        times.run = start.elapsed() - times.send;
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

    /// Returns why there is no response.
    async fn explain(&self, lease: &mut Lease, broken: Broken) -> Error {
        let defect = match broken {
            Broken::Io(error) => return Error::host("talk to a worker", error),
            Broken::Frame(error @ FrameError::Truncated { .. }) => Some(response_error(error)),
            Broken::Frame(error) => return Error::Response(response_error(error)),
            Broken::Closed => None,
        };
        // A connection that just ends is explained by the end of the process.
        let ended = lease.end(self.code.options.exit_grace).await;
        match (ended, defect) {
            (Ok((WorkerEnd::Lost(error), _)), _) => error,
            (_, Some(defect)) => Error::Response(defect),
            // It lived on until it was killed. One that only ended slowly has a status of its own.
            (Ok((WorkerEnd::Exited(exit), true)), None) if exit.status == KILLED => {
                Error::Response(ResponseError::Missing)
            }
            (Ok((WorkerEnd::Exited(exit), _)), None) => {
                let log_tail = lease.worker_mut().log.whole().await.text;
                Error::Died { exit, log_tail }
            }
            (Ok((WorkerEnd::NotStarted(failure), _)), None) => Error::WorkerStart(failure),
            (Err(error), None) => error,
        }
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

fn response_error(error: FrameError) -> ResponseError {
    match error {
        FrameError::Oversize { bytes, limit } => ResponseError::Oversize { size: bytes, limit },
        FrameError::MalformedLength | FrameError::OverlongLength => ResponseError::Malformed,
        FrameError::Trailing => ResponseError::Trailing,
        FrameError::Missing | FrameError::Truncated { .. } => ResponseError::Truncated,
    }
}

/// A task that is aborted when this is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_of_a_frame_is_a_response_error_of_its_own() {
        assert_eq!(
            response_error(FrameError::Truncated { missing: 1 }),
            ResponseError::Truncated
        );
        assert_eq!(
            response_error(FrameError::Trailing),
            ResponseError::Trailing
        );
        assert_eq!(
            response_error(FrameError::MalformedLength),
            ResponseError::Malformed
        );
        assert_eq!(
            response_error(FrameError::Oversize { bytes: 9, limit: 8 }),
            ResponseError::Oversize { size: 9, limit: 8 }
        );
    }
}
