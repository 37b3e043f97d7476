//! One request's talk with one worker.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_protocol::frame::FrameError;
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};

use crate::error::{Error, ResponseError};
use crate::exchange::{Broken, Exchange};
use crate::exit::ExitStatus;
use crate::host_calls::{self, CallContext};
use crate::lease::Lease;
use crate::log_capture::LogCapture;
use crate::run::{Aftermath, Job, Patience};
use crate::token::ExecutionId;
use crate::worker::{Worker, WorkerEnd};

/// How long a sandbox may take to report the end of a process that was killed.
const REAP_TIME: Duration = Duration::from_secs(2);

const KILLED: ExitStatus = ExitStatus::Signal(nix::libc::SIGKILL);

/// Why a worker did not answer.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// It never was ready for the request, so another one may have it.
    NotReady(Error),
    /// The request has failed.
    Failed(Error),
}

impl From<Error> for Unserved {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A request and the worker that may answer it.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    job: &'a Job,
    id: ExecutionId,
    aftermath: &'a mut Aftermath,
    lease: Option<Lease>,
    exchange: Exchange,
    log: LogCapture,
    calls: Option<std::os::fd::OwnedFd>,
    name: roma_sandbox::name::ExecutionName,
    started: Instant,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        job: &'a Job,
        id: ExecutionId,
        mut lease: Lease,
        aftermath: &'a mut Aftermath,
    ) -> Result<Self, Error> {
        let Worker {
            name,
            data,
            calls,
            log,
            end,
            ready,
            since,
        } = lease.worker().ok_or(Error::ShutDown)?;
        let max_response = job.pool.options.max_response;
        let exchange = Exchange::new(data, job.request.clone(), max_response, ready)
            .map_err(|e| Error::host("use a worker's connection", e))?;
        let kept = job.pool.keeps_logs().then(|| log.clone());
        aftermath.follow(name.to_string(), end, kept);
        let lease = Some(lease);
        Ok(Self {
            job,
            id,
            aftermath,
            lease,
            exchange,
            log,
            calls,
            name,
            started: since,
        })
    }

    /// Gets the worker ready, sends it the request and waits for its response.
    pub(crate) async fn run(mut self, patience: Patience) -> Result<Bytes, Unserved> {
        if !self.exchange.is_ready() {
            self.until_ready(patience).await?;
            if let Some(lease) = &self.lease {
                lease.ready(self.started);
            }
        }
        self.aftermath.report.times.queue = patience.since.elapsed();
        let _calls = self.serve_calls();
        let limit = self.job.options.deadline;
        let response = match timeout(limit, self.converse()).await {
            Ok(Ok(response)) => response,
            Ok(Err(broken)) => return Err(self.explain(broken).await.into()),
            Err(_) => return Err(Error::Deadline { limit }.into()),
        };
        if let Some(lease) = self.lease.take() {
            lease.answered(self.job.pool.options.exit_grace);
        }
        Ok(response)
    }

    /// Gets the worker ready and gives it back as it is.
    pub(crate) async fn rehearse(mut self, patience: Patience) -> Result<(), Unserved> {
        if !self.exchange.is_ready() {
            self.until_ready(patience).await?;
        }
        self.give_back();
        Ok(())
    }

    async fn until_ready(&mut self, patience: Patience) -> Result<(), Unserved> {
        let left = patience.until.saturating_duration_since(Instant::now());
        if self.job.pool.sends_early(left) {
            self.exchange
                .send_some()
                .map_err(|e| Error::host("send a request", e))?;
        }
        self.job.pool.refill();
        let deadline = self.job.pool.start_deadline(self.started);
        let until = deadline.min(patience.until);
        let ready = unless_lost(self.exchange.until_ready(), self.aftermath);
        match timeout_at(until.into(), ready).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Broken::Io(e))) => Err(Error::host("read from a worker", e).into()),
            Ok(Err(_)) => Err(self.not_ready(false).await),
            Err(_) if until == deadline => Err(self.not_ready(true).await),
            Err(_) => {
                self.give_back();
                Err(Error::NoWorker {
                    waited: patience.since.elapsed(),
                    cause: None,
                }
                .into())
            }
        }
    }

    /// The worker has ended, or is to be ended because it is late.
    async fn not_ready(&mut self, late: bool) -> Unserved {
        let pool = &self.job.pool;
        let end = self
            .wait_for_end(if late { Duration::ZERO } else { REAP_TIME })
            .await;
        let cause = match end {
            Some(WorkerEnd::Lost(error @ (Error::Deleted | Error::ShutDown))) => {
                return Unserved::Failed(error);
            }
            Some(end @ WorkerEnd::Lost(_)) => pool.start_error(&end, late, String::new()),
            Some(end) => {
                let log_tail = self.log_tail().await;
                let cause = pool.start_error(&end, late, log_tail);
                pool.start_failed(cause.clone());
                cause
            }
            None => unreported(),
        };
        Unserved::NotReady(cause)
    }

    /// Somebody else may have the worker, unless it has the request already.
    fn give_back(&mut self) {
        let Some(data) = self.exchange.take_unused() else {
            return;
        };
        let (Some(lease), Some(end)) = (self.lease.take(), self.aftermath.unfollow()) else {
            return;
        };
        lease.give_back(Worker {
            name: self.name,
            data,
            calls: self.calls.take(),
            log: self.log.clone(),
            end,
            ready: self.exchange.is_ready(),
            since: self.started,
        });
    }

    async fn converse(&mut self) -> Result<Bytes, Broken> {
        let start = Instant::now();
        // The request first: to ask for the worker's replacement takes as long as to send.
        self.exchange.send_some()?;
        self.job.pool.refill();
        unless_lost(self.exchange.until_sent(), self.aftermath).await?;
        let times = &mut self.aftermath.report.times;
        times.send = start.elapsed();
        if self.job.traffic.may_hurry() {
            self.exchange.look_out()?;
        }
        let response = unless_lost(self.exchange.until_answered(), self.aftermath).await?;
        let times = &mut self.aftermath.report.times;
        times.run = start.elapsed() - times.send;
        Ok(response)
    }

    /// Answers the worker's calls of host functions while the result of this lives.
    fn serve_calls(&mut self) -> Option<AbortOnDrop> {
        let socket = self.calls.take()?;
        let context = CallContext {
            functions: self.job.functions.clone(),
            execution: self.id,
            code: self.job.pool.token,
            metadata: self.job.options.metadata.clone(),
        };
        Some(AbortOnDrop(tokio::spawn(host_calls::serve(
            socket, context,
        ))))
    }

    /// Why there is no response.
    async fn explain(&mut self, broken: Broken) -> Error {
        let defect = match broken {
            Broken::Io(error) => return Error::host("talk to a worker", error),
            Broken::Frame(error @ FrameError::Truncated { .. }) => Some(error.into()),
            Broken::Frame(error) => return Error::Response(error.into()),
            Broken::Closed => None,
        };
        // A connection that just ends is explained by the end of the process.
        let grace = self.job.pool.options.exit_grace;
        let end = self.wait_for_end(grace).await;
        match (end, defect) {
            (Some(WorkerEnd::Lost(error)), _) => error,
            (_, Some(defect)) => Error::Response(defect),
            // It lived on until it was killed. One that was only slow to end says how it did.
            (Some(WorkerEnd::Exited(exit)), None)
                if self.lease.is_none() && exit.status == KILLED =>
            {
                Error::Response(ResponseError::Missing)
            }
            (Some(WorkerEnd::Exited(exit)), None) => {
                let log_tail = self.log_tail().await;
                Error::Died { exit, log_tail }
            }
            (Some(WorkerEnd::NotStarted(failure)), None) => Error::WorkerStart(failure),
            (None, None) => unreported(),
        }
    }

    /// Waits for the worker's end, and kills it if that takes longer than `grace`.
    async fn wait_for_end(&mut self, grace: Duration) -> Option<WorkerEnd> {
        if let Ok(end) = timeout(grace, self.aftermath.end()).await {
            return end;
        }
        self.lease = None;
        timeout(REAP_TIME, self.aftermath.end())
            .await
            .ok()
            .flatten()
    }

    async fn log_tail(&mut self) -> String {
        self.log.whole().await.text
    }
}

/// What the worker says, unless it is lost first: its connection may outlive it.
async fn unless_lost<T>(
    work: impl Future<Output = Result<T, Broken>>,
    aftermath: &mut Aftermath,
) -> Result<T, Broken> {
    tokio::select! {
        biased;
        result = work => result,
        () = aftermath.lost() => Err(Broken::Closed),
    }
}

/// The sandbox owes an answer about a worker's end.
fn unreported() -> Error {
    let source = std::io::Error::other("the sandbox does not report the end of a worker");
    Error::host("learn how a worker ended", source)
}

/// A task that lives as long as this.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
