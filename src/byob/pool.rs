//! The workers of one piece of loaded code.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roma_protocol::WorkerId;
use roma_protocol::spawner::{Exited, FromSpawner, ToSpawner};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::step::StepFailure;
use tokio::sync::{oneshot, watch};

use crate::book::{Book, Counts, Sizes, Stage};
use crate::error::Error;
use crate::handover::{Missed, wait_until};
use crate::image::Image;
use crate::lease::Lease;
use crate::limit::after;
use crate::load::{InForce, LoadOptions, Logs, Readiness};
use crate::metrics::PoolMetrics;
use crate::spawner::Spawner;
use crate::token::CodeToken;
use crate::watchdog::{Turn, Watchdog};
use crate::worker::{self, Life, Worker, WorkerEnd};

/// One piece of loaded code and its workers.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) token: CodeToken,
    pub(crate) options: LoadOptions,
    pub(crate) image: Arc<Image>,
    pub(crate) metrics: PoolMetrics,
    state: Mutex<State>,
    closing: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    book: Book<Worker, Life, oneshot::Sender<Lease>>,
    /// Empty while there is no sandbox to start workers in.
    spawners: Vec<Arc<Spawner>>,
    in_force: InForce,
    /// Why there are none, once there were some.
    lost: Option<Error>,
    next_worker: u64,
    /// How long the last start took that somebody watched.
    typical_start: Duration,
    /// Why no request is taken any more.
    closed: Option<Error>,
}

/// Why nothing more is to be heard of a spawner.
#[derive(Debug)]
pub(crate) enum Gone {
    Failed(StepFailure),
    Ended,
    Silent,
}

/// How a pool is doing.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) counts: Counts,
    /// How many workers were started so far.
    pub(crate) started: u64,
    pub(crate) in_force: InForce,
    /// Why workers do not start, where they do not.
    pub(crate) failure: Option<Error>,
}

impl Pool {
    pub(crate) fn new(token: CodeToken, options: LoadOptions, image: Arc<Image>) -> Self {
        let sizes = Sizes {
            target: options.workers as usize,
            max_live: options.effective_max_live() as usize,
            max_waiting: options.max_waiting as usize,
        };
        let state = State {
            book: Book::new(sizes),
            spawners: Vec::new(),
            in_force: InForce::default(),
            lost: None,
            next_worker: 0,
            typical_start: options.start_timeout,
            closed: None,
        };
        let metrics = PoolMetrics::new(&options.name);
        Self {
            token,
            options,
            image,
            metrics,
            state: Mutex::new(state),
            closing: watch::Sender::new(false),
        }
    }

    /// A sandbox is there: workers can be started in it. A pool that was closed while it was prepared
    /// ends at once.
    pub(crate) fn open(self: &Arc<Self>, spawners: &[Arc<Spawner>], in_force: InForce) {
        for limit in self.options.pool_limits.missing(in_force) {
            tracing::warn!(code = %self.token, name = %self.options.name, limit, "this machine does not give this pool limit");
        }
        let mut state = self.lock();
        if state.closed.is_some() {
            spawners.iter().for_each(|spawner| spawner.close());
            return;
        }
        state.in_force = in_force;
        state.spawners.extend_from_slice(spawners);
        state.lost = None;
        self.pump(&mut state);
    }

    /// Takes a worker for a request that has waited since `since` and may wait until `until`. Whoever
    /// gets one calls [`Pool::refill`] as soon as it has the request.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        since: Instant,
        until: Instant,
    ) -> Result<Lease, Error> {
        let patient = until > Instant::now();
        let waiting = {
            let mut state = self.lock();
            if let Some(reason) = &state.closed {
                return Err(reason.clone());
            }
            if !state.book.has_waiters()
                && let Some(lease) = self.take(&mut state, patient)
            {
                return Ok(lease);
            }
            if !patient {
                return Err(self.no_worker(&state, since));
            }
            let (waiter, waiting) = oneshot::channel();
            if state
                .book
                .enqueue(waiter, oneshot::Sender::is_closed)
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
                Missed::GivenUp => self.lock().closed.clone().unwrap_or(Error::ShutDown),
                Missed::TooLate => self.no_worker(&self.lock(), since),
            })
    }

    fn no_worker(&self, state: &State, since: Instant) -> Error {
        Error::NoWorker {
            waited: since.elapsed(),
            cause: state.failure().map(Box::new),
        }
    }

    fn take(self: &Arc<Self>, state: &mut State, or_starting: bool) -> Option<Lease> {
        let by_byte = self.options.readiness == Readiness::Byte;
        let probe = |worker: &mut Worker| by_byte && worker.probe();
        let (id, mut worker) = state.book.take(probe, or_starting && by_byte)?;
        worker.ready |= !by_byte;
        if worker.ready {
            self.stop_diagnosing(state, id);
        }
        Some(Lease::new(Arc::clone(self), id, worker))
    }

    /// Starts what is missing since a worker was taken, if little is left. Otherwise that can wait until
    /// the worker ends, or for the next sweep: starts would compete with the request for the processor.
    pub(crate) fn refill(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.book.is_low() {
            self.pump(&mut state);
        }
    }

    /// Hands workers to the requests that wait and starts what is missing.
    fn pump(self: &Arc<Self>, state: &mut State) {
        loop {
            self.hand_out(state);
            let now = Instant::now();
            let wanted = if state.spawners.is_empty() {
                0
            } else {
                state.book.wanted(now)
            };
            for _ in 0..wanted {
                if let Err(error) = self.start_worker(state, now) {
                    state.book.start_failed(now, error);
                    return;
                }
            }
            // A worker that starts can be handed out at once, which makes room for another.
            if wanted == 0 || !state.book.has_waiters() {
                return;
            }
        }
    }

    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while state.book.has_waiters() {
            let Some(lease) = self.take(state, true) else {
                return;
            };
            let refused = match state.book.next_waiter() {
                Some(waiter) => waiter.send(lease).err(),
                None => Some(lease),
            };
            if let Some((id, worker)) = refused.and_then(Lease::into_parts) {
                self.put_back_in(state, id, worker);
            }
        }
    }

    fn start_worker(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), Error> {
        let id = WorkerId(state.next_worker);
        state.next_worker += 1;
        let turn = id.0 as usize % state.spawners.len();
        let diagnose = !state.book.is_trusted();
        let spawner = &state.spawners[turn];
        let (worker, life) = worker::start(id, spawner, &self.options, diagnose)
            .map_err(|e| Error::host("make a worker's connections", e))?;
        state.book.add(id, worker, life, self.start_deadline(now));
        self.metrics.starts.increment(1);
        Ok(())
    }

    /// A worker said that it is ready.
    pub(crate) fn ready(self: &Arc<Self>, id: WorkerId, since: Instant) {
        let mut state = self.lock();
        self.note_ready(&mut state, id, since);
        self.pump(&mut state);
    }

    fn note_ready(&self, state: &mut State, id: WorkerId, since: Instant) {
        state.book.ready(id);
        state.book.succeeded();
        self.note_start(state, id, since);
    }

    fn note_start(&self, state: &mut State, id: WorkerId, since: Instant) {
        state.typical_start = since.elapsed();
        self.metrics.start_time.record(state.typical_start);
        self.stop_diagnosing(state, id);
    }

    fn stop_diagnosing(&self, state: &State, id: WorkerId) {
        if let Some(life) = state.book.payload(id) {
            life.stop_diagnosing(self.options.logs);
        }
    }

    /// Takes a worker back that got no request.
    pub(crate) fn put_back(self: &Arc<Self>, id: WorkerId, worker: Worker) {
        let mut state = self.lock();
        self.put_back_in(&mut state, id, worker);
        self.pump(&mut state);
    }

    fn put_back_in(&self, state: &mut State, id: WorkerId, worker: Worker) {
        let due = self.start_deadline(worker.since);
        let (ready, since) = (worker.ready, worker.since);
        state.book.put_back(id, worker, ready, due);
        if ready && !state.book.is_trusted() {
            self.note_ready(state, id, since);
        }
    }

    /// A worker's request is over. It may end by itself within `grace`; without, it is killed now.
    pub(crate) fn release(self: &Arc<Self>, id: WorkerId, grace: Option<Duration>) {
        let mut state = self.lock();
        let due = grace.map(|grace| after(Instant::now(), grace));
        if grace.is_some() {
            state.book.succeeded();
        }
        if state.book.ending(id, due) && grace.is_none() {
            kill(&state, id);
        }
    }

    /// Reads from one spawner until it is gone, or silent for so long. Returns why.
    pub(crate) async fn follow(self: &Arc<Self>, spawner: &Spawner, silence: Duration) -> Gone {
        let mut watchdog = Watchdog::new(silence);
        loop {
            let next = tokio::select! {
                biased;
                next = spawner.next() => next,
                turn = watchdog.turn() => match turn {
                    Turn::Ask => {
                        spawner.send(ToSpawner::Ping, Vec::new());
                        continue;
                    }
                    Turn::GiveUp => return Gone::Silent,
                },
            };
            watchdog.heard();
            match next {
                Ok(Some(FromSpawner::Ready(_) | FromSpawner::Pong)) => {}
                Ok(Some(FromSpawner::SetupFailed(failure))) => return Gone::Failed(failure),
                Ok(Some(FromSpawner::Started(id, times))) => self.started(id, &times),
                Ok(Some(FromSpawner::Failed(id, failure))) => {
                    self.ended(id, WorkerEnd::NotStarted(failure));
                }
                Ok(Some(FromSpawner::Exited(exited))) => self.exited(&exited),
                Ok(None) => return Gone::Ended,
                Err(error) => {
                    tracing::warn!(code = %self.token, %error, "a spawner does not keep to the protocol");
                    return Gone::Ended;
                }
            }
        }
    }

    fn started(self: &Arc<Self>, id: WorkerId, times: &StartTimes) {
        let nanos: u32 = worker::start_steps(times)
            .iter()
            .map(|(_, nanos)| nanos)
            .sum();
        let since = Instant::now() - Duration::from_nanos(nanos.into());
        let mut state = self.lock();
        state.book.ready(id);
        self.note_start(&mut state, id, since);
        self.pump(&mut state);
    }

    fn exited(self: &Arc<Self>, exited: &Exited) {
        self.metrics.exited(exited);
        self.ended(exited.worker, WorkerEnd::Exited(worker::exit_of(exited)));
    }

    fn ended(self: &Arc<Self>, id: WorkerId, end: WorkerEnd) {
        let mut state = self.lock();
        let Some(ended) = state.book.ended(id) else {
            return;
        };
        // What ends with a request in its hands is the request's business.
        if matches!(ended.stage, Stage::Starting | Stage::Ready) {
            let late = ended.idle.is_some_and(|worker| {
                !worker.ready && self.start_deadline(worker.since) <= Instant::now()
            });
            let cause = self.start_error(&end, late, ended.payload.log_tail());
            self.note_start_failure(&mut state, cause);
        }
        ended.payload.report(end);
        self.pump(&mut state);
    }

    /// Why a worker that ended was not ready. A worker that was `late` was killed for it.
    pub(crate) fn start_error(&self, end: &WorkerEnd, late: bool, log_tail: String) -> Error {
        match end {
            WorkerEnd::Lost(error) => error.clone(),
            WorkerEnd::NotStarted(failure) => Error::WorkerStart(*failure),
            WorkerEnd::Exited(_) if late => Error::NeverReady {
                limit: self.options.start_timeout,
                log_tail,
            },
            WorkerEnd::Exited(exit) => Error::StartCrashed {
                exit: *exit,
                log_tail,
            },
        }
    }

    /// By when a worker that was started at `since` must be ready.
    pub(crate) fn start_deadline(&self, since: Instant) -> Instant {
        after(since, self.options.start_timeout)
    }

    /// Whether a request may be sent to a worker before it says that it is ready: that saves a round
    /// trip, but the worker is lost if the request runs out of patience first.
    pub(crate) fn sends_early(&self, patience: Duration) -> bool {
        self.options.readiness == Readiness::Byte
            && patience > self.lock().typical_start.saturating_mul(20)
    }

    /// A request found its worker dead before it was ready.
    pub(crate) fn start_failed(self: &Arc<Self>, cause: Error) {
        let mut state = self.lock();
        self.note_start_failure(&mut state, cause);
        self.pump(&mut state);
    }

    fn note_start_failure(&self, state: &mut State, cause: Error) {
        tracing::debug!(code = %self.token, %cause, "a worker did not start");
        self.metrics.start_failed(&cause);
        let was_healthy = !state.book.backoff().is_unhealthy();
        state.book.start_failed(Instant::now(), cause);
        if let (true, Some(cause)) = (was_healthy, state.book.backoff().cause()) {
            tracing::warn!(code = %self.token, name = %self.options.name, %cause, "workers keep failing");
        }
    }

    /// Kills what takes too long and retries what had to pause. To be called now and then.
    pub(crate) fn sweep(self: &Arc<Self>) {
        let mut state = self.lock();
        let now = Instant::now();
        let by_byte = self.options.readiness == Readiness::Byte;
        for id in state.book.overdue(now, |worker| by_byte && worker.probe()) {
            kill(&state, id);
        }
        if by_byte && !state.book.is_trusted() {
            state.book.refresh(Worker::probe);
        }
        state.book.settle(now);
        self.pump(&mut state);
        self.metrics.counts(&state.book.counts());
    }

    /// The sandbox of these spawners, or the pool in it, is gone. Requests that were in it fail; those
    /// that wait go on, with workers elsewhere if there are any.
    pub(crate) fn lost(self: &Arc<Self>, gone: &[Arc<Spawner>], reason: &Error) {
        let is_gone = |spawner: &Arc<Spawner>| gone.iter().any(|one| Arc::ptr_eq(one, spawner));
        gone.iter().for_each(|spawner| spawner.close());
        let mut state = self.lock();
        state.spawners.retain(|spawner| !is_gone(spawner));
        for life in state.book.drain(|life| is_gone(life.spawner())) {
            life.report(WorkerEnd::Lost(reason.clone()));
        }
        if state.spawners.is_empty() {
            state.lost = Some(reason.clone());
        }
        self.pump(&mut state);
    }

    /// Takes no more requests and ends those that there are, for this reason.
    pub(crate) fn close(self: &Arc<Self>, reason: Error) {
        let mut state = self.lock();
        state.closed.get_or_insert(reason.clone());
        state.book.drop_waiters();
        let spawners = std::mem::take(&mut state.spawners);
        drop(state);
        self.closing.send_replace(true);
        self.lost(&spawners, &reason);
        self.metrics.counts(&Counts::default());
    }

    pub(crate) fn status(&self) -> Status {
        let mut state = self.lock();
        if self.options.readiness == Readiness::Byte {
            state.book.refresh(Worker::probe);
        }
        Status {
            counts: state.book.counts(),
            started: state.next_worker,
            in_force: state.in_force,
            failure: state.failure(),
        }
    }

    /// Why it takes no more requests, if so.
    pub(crate) fn closed(&self) -> Option<Error> {
        self.lock().closed.clone()
    }

    /// Waits until it takes no more requests.
    pub(crate) async fn until_closed(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as this pool.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Whether what the UDF prints may leave the sandbox.
    pub(crate) fn keeps_logs(&self) -> bool {
        self.options.logs != Logs::Off
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why no worker starts, if so.
    fn failure(&self) -> Option<Error> {
        self.lost
            .as_ref()
            .or_else(|| self.book.backoff().cause())
            .cloned()
    }
}

fn kill(state: &State, id: WorkerId) {
    if let Some(life) = state.book.payload(id) {
        life.kill(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;
    use crate::seqpacket::Seqpacket;

    #[tokio::test]
    async fn code_that_was_deleted_while_it_was_prepared_starts_nothing() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let image = image::of_bytes(program.into(), &crate::system_libraries()).unwrap();
        let pool = Pool::new(CodeToken::new(1, 1), LoadOptions::default(), image);
        let pool = Arc::new(pool);
        let (link, theirs) = Seqpacket::pair().unwrap();
        pool.close(Error::Deleted);
        pool.open(&[Arc::new(Spawner::new(link))], InForce::default());
        assert_eq!(nix::unistd::read(&theirs, &mut [0; 256]), Ok(0), "closed");
        assert_eq!(pool.status().started, 0);
    }
}
