//! Taking a worker for a request.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_core::Error;
use tokio::sync::oneshot;

use crate::handover::{Missed, wait_until};
use crate::lease::{Lease, Unready};
use crate::options::Readiness;
use crate::patience::Patience;
use crate::pool::{Pool, State};
use crate::worker::Worker;

/// How many workers may fail to start under one request until the request fails.
const MOST_STARTS: usize = 3;

/// A worker that is ready.
struct Acquired<S> {
    lease: Lease,
    /// What was sent to it before it was ready.
    sent: Option<S>,
    /// Whether it was not ready when it was taken.
    was_awaited: bool,
}

impl Pool {
    /// Takes a ready worker for a request. Workers that fail to start are replaced by others a few
    /// times. A worker that is still starting may get the request before it is ready, which saves a
    /// round trip: `send_early` sends some of it, and what it returns comes with the lease if it was
    /// this worker that became ready.
    ///
    /// The caller calls [`Pool::refill`] as soon as the worker has the request.
    ///
    /// # Errors
    ///
    /// [`Error::QueueFull`], [`Error::NoWorker`], the reason why the pool is closed, or why workers do
    /// not start.
    pub async fn acquire_ready<S>(
        self: &Arc<Self>,
        patience: Patience,
        mut send_early: impl FnMut(&Worker) -> io::Result<S>,
    ) -> Result<(Lease, Option<S>), Error> {
        let begin = |worker: &Worker| {
            let sends = self.sends_early(patience.left());
            let sent = sends.then(|| send_early(worker)).transpose();
            self.refill();
            sent.map_err(|e| Error::host("send a request", e))
        };
        let any_cause = |_: &Error| true;
        let Acquired {
            mut lease,
            sent,
            was_awaited,
        } = self.acquire_with(patience, begin, any_cause).await?;
        if was_awaited {
            lease.note_ready();
        }
        Ok((lease, sent))
    }

    /// Waits until some worker is ready, to learn whether any ever will be.
    ///
    /// # Errors
    ///
    /// As for [`Pool::acquire_ready`]. A worker that takes too long is not replaced.
    pub async fn until_first_ready(self: &Arc<Self>) -> Result<(), Error> {
        let patience = Patience::new(self.options.start_timeout.saturating_mul(2));
        let nothing = |_: &Worker| Ok(None::<()>);
        let crashes = |cause: &Error| !matches!(cause, Error::NeverReady { .. });
        let acquired = self.acquire_with(patience, nothing, crashes).await?;
        acquired.lease.give_back();
        Ok(())
    }

    /// Takes workers until one is ready. Calls `begin` with each that is not ready yet; takes another one
    /// if that fails for a cause that `may_retry`.
    async fn acquire_with<S>(
        self: &Arc<Self>,
        patience: Patience,
        mut begin: impl FnMut(&Worker) -> Result<Option<S>, Error>,
        may_retry: impl Fn(&Error) -> bool,
    ) -> Result<Acquired<S>, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut lease = self.acquire(patience).await?;
            if lease.worker().ready {
                return Ok(Acquired {
                    lease,
                    sent: None,
                    was_awaited: false,
                });
            }
            let sent = begin(lease.worker())?;
            match lease.until_ready(patience).await {
                Ok(()) => {
                    return Ok(Acquired {
                        lease,
                        sent,
                        was_awaited: true,
                    });
                }
                Err(Unready::Failed(cause)) if attempt < MOST_STARTS && may_retry(&cause) => {}
                Err(Unready::Failed(error) | Unready::NoOther(error)) => return Err(error),
                Err(Unready::OutOfPatience) => {
                    if sent.is_none() {
                        lease.give_back();
                    }
                    return Err(Error::NoWorker {
                        waited: patience.since.elapsed(),
                        cause: None,
                    });
                }
            }
        }
    }

    /// Takes a worker, ready or starting.
    pub(crate) async fn acquire(self: &Arc<Self>, patience: Patience) -> Result<Lease, Error> {
        let Patience { since, until } = patience;
        let may_wait = until > Instant::now();
        let waiting = {
            let mut state = self.lock();
            if let Some(reason) = self.closed() {
                return Err(reason);
            }
            if state.workers.queue().is_empty()
                && let Some(lease) = self.take(&mut state, may_wait)
            {
                return Ok(lease);
            }
            if !may_wait {
                return Err(no_worker(&state, since));
            }
            let (waiter, waiting) = oneshot::channel();
            if state
                .workers
                .queue()
                .push(waiter, oneshot::Sender::is_closed)
                .is_err()
            {
                return Err(Error::QueueFull {
                    limit: self.options.max_waiting,
                });
            }
            self.pump(&mut state);
            waiting
        };
        wait_until(waiting, until)
            .await
            .map_err(|missed| match missed {
                Missed::SenderGone => self
                    .closed()
                    .unwrap_or(Error::Internal("an open pool dropped a waiting request")),
                Missed::TooLate => no_worker(&self.lock(), since),
            })
    }

    /// Returns whether to send a request to a worker before that is ready: it saves a round trip, but the
    /// worker is lost if the request runs out of patience first.
    fn sends_early(&self, time_left: Duration) -> bool {
        self.options.readiness == Readiness::Byte
            && time_left > self.lock().typical_start.saturating_mul(20)
    }
}

fn no_worker(state: &State, since: Instant) -> Error {
    Error::NoWorker {
        waited: since.elapsed(),
        cause: state.failure().map(Box::new),
    }
}
