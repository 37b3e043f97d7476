//! A worker that belongs to one request.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use roma_core::Error;
use roma_io::{Broken, until_ready};
use roma_protocol::WorkerId;
use tokio::time::{timeout, timeout_at};

use crate::patience::Patience;
use crate::pool::Pool;
use crate::worker::{Worker, WorkerEnd};

/// How long a sandbox may take to report the end of a process that was killed.
const REAP_TIME: Duration = Duration::from_secs(2);

/// A worker that was taken from its pool. Dropping the lease kills the worker.
#[derive(Debug)]
pub struct Lease {
    // Dropped before the worker, whose connections must not close before it is killed.
    claim: Claim,
    worker: Worker,
}

/// Kills the worker when it is dropped, unless it was settled what becomes of it.
#[derive(Debug)]
struct Claim {
    pool: Arc<Pool>,
    id: WorkerId,
    settled: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            self.pool.release(self.id, None);
        }
    }
}

/// Why a worker is not ready.
#[derive(Debug)]
pub(crate) enum Unready {
    /// It ended, or took too long; another one may be ready.
    Failed(Error),
    /// No worker will be ready.
    NoOther(Error),
    /// The request has waited long enough. The worker may become ready yet.
    OutOfPatience,
}

impl Lease {
    pub(crate) fn new(pool: Arc<Pool>, id: WorkerId, worker: Worker) -> Self {
        let claim = Claim {
            pool,
            id,
            settled: false,
        };
        Self { claim, worker }
    }

    /// Returns the worker.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Returns the worker.
    pub fn worker_mut(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// The worker has served its only request: it has `grace` to end by itself.
    pub fn answered(mut self, grace: Duration) {
        self.claim.settled = true;
        self.claim.pool.release(self.claim.id, Some(grace));
    }

    /// The worker waits for its next request, or still for its first.
    pub fn give_back(self) {
        let pool = Arc::clone(&self.claim.pool);
        let (id, worker) = self.into_parts();
        pool.put_back(id, worker);
    }

    /// Returns the worker without anything that would kill it.
    pub(crate) fn into_parts(mut self) -> (WorkerId, Worker) {
        self.claim.settled = true;
        (self.claim.id, self.worker)
    }

    /// Waits for the end of the worker, which is killed after `grace`. Returns the end, and whether the
    /// worker was killed.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] if the sandbox does not report the end.
    pub async fn end(&mut self, grace: Duration) -> Result<(WorkerEnd, bool), Error> {
        if let Ok(end) = timeout(grace, self.worker.end.known()).await {
            return Ok((end.clone(), false));
        }
        self.claim.settled = true;
        self.claim.pool.release(self.claim.id, None);
        match timeout(REAP_TIME, self.worker.end.known()).await {
            Ok(end) => Ok((end.clone(), true)),
            Err(_) => Err(unreported()),
        }
    }

    /// Tells the pool that this worker became ready while the request waited for it.
    pub(crate) fn note_ready(&mut self) {
        let Claim { pool, id, .. } = &self.claim;
        pool.note_ready(*id, &mut self.worker);
    }

    /// Waits until the worker is ready.
    pub(crate) async fn until_ready(&mut self, patience: Patience) -> Result<(), Unready> {
        let deadline = self.claim.pool.start_deadline(self.worker.since);
        let until = deadline.min(patience.until);
        let ready = async {
            tokio::select! {
                biased;
                ready = until_ready(self.worker.data.as_fd()) => ready,
                () = self.worker.end.lost() => Err(Broken::Closed),
            }
        };
        match timeout_at(until.into(), ready).await {
            Ok(Ok(())) => {
                self.worker.ready = true;
                Ok(())
            }
            Ok(Err(Broken::Io(e))) => Err(Unready::NoOther(Error::host("read from a worker", e))),
            Ok(Err(Broken::Closed | Broken::Early | Broken::Frame(_))) => {
                Err(self.start_failed(false).await)
            }
            Err(_) if until == deadline => Err(self.start_failed(true).await),
            Err(_) => Err(Unready::OutOfPatience),
        }
    }

    /// Explains why the worker, which has ended or is `late`, was not ready.
    async fn start_failed(&mut self, late: bool) -> Unready {
        let grace = if late { Duration::ZERO } else { REAP_TIME };
        let end = match self.end(grace).await {
            Ok((end, _)) => end,
            Err(error) => return Unready::Failed(error),
        };
        let pool = &self.claim.pool;
        match end {
            WorkerEnd::Lost(error @ (Error::Deleted | Error::ShutDown)) => Unready::NoOther(error),
            WorkerEnd::Lost(error) => Unready::Failed(error),
            WorkerEnd::NotStarted(_) | WorkerEnd::Exited(_) => {
                let log_tail = self.worker.log.whole().await.text;
                let cause = pool.start_error(&end, late, log_tail);
                pool.start_failed(cause.clone());
                Unready::Failed(cause)
            }
        }
    }
}

/// Returns the error for a worker whose end the sandbox does not report.
fn unreported() -> Error {
    let cause = std::io::Error::other("the sandbox does not report the end of a worker");
    Error::host("learn how a worker ended", cause)
}
