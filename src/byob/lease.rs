//! A worker that belongs to one request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_protocol::WorkerId;

use crate::pool::Pool;
use crate::worker::Worker;

/// A worker that was taken from its pool. Dropped, the worker is killed.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    id: WorkerId,
    worker: Option<Worker>,
    over: bool,
}

impl Lease {
    pub(crate) fn new(pool: Arc<Pool>, id: WorkerId, worker: Worker) -> Self {
        Self {
            pool,
            id,
            worker: Some(worker),
            over: false,
        }
    }

    /// The worker said that it is ready.
    pub(crate) fn ready(&self, since: Instant) {
        self.pool.ready(self.id, since);
    }

    /// Takes the worker's connections. The lease goes on to stand for its life.
    pub(crate) fn worker(&mut self) -> Option<Worker> {
        self.worker.take()
    }

    /// The worker has answered: it may end by itself.
    pub(crate) fn answered(mut self, grace: Duration) {
        self.over = true;
        self.pool.release(self.id, Some(grace));
    }

    /// The worker got no request: somebody else may have it.
    pub(crate) fn give_back(mut self, worker: Worker) {
        self.over = true;
        self.pool.put_back(self.id, worker);
    }

    /// For the pool itself, which holds its own lock.
    pub(crate) fn into_parts(mut self) -> Option<(WorkerId, Worker)> {
        self.over = true;
        Some((self.id, self.worker.take()?))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.over {
            self.pool.release(self.id, None);
        }
    }
}
