//! The workers of one piece of loaded code.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roma_core::deadline::after;
use roma_core::{CodeToken, Counts, Error, InForce};
use roma_io::Arrivals;
use roma_protocol::WorkerId;
use roma_sandbox::limits::PoolLimits;
use tokio::sync::{oneshot, watch};

use crate::lease::Lease;
use crate::metrics::PoolMetrics;
use crate::options::PoolOptions;
use crate::spawner::Spawner;
use crate::state::{PoolState, Sizes};
use crate::worker::{self, Record, Worker, WorkerEnd};

/// How often the deadlines of workers are checked.
const SWEEP_INTERVAL: Duration = Duration::from_millis(50);
/// How often a pool that is drained checks for requests in flight.
const DRAIN_CHECK: Duration = Duration::from_millis(5);

/// The workers of one piece of loaded code.
#[derive(Debug)]
pub struct Pool {
    pub(crate) token: CodeToken,
    pub(crate) options: PoolOptions,
    pub(crate) metrics: PoolMetrics,
    /// The workers that have not said yet that they are ready.
    pub(crate) arrivals: Arrivals,
    state: Mutex<State>,
    /// Why no request is taken any more.
    closed: watch::Sender<Option<Error>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) workers: PoolState<Worker, Record, oneshot::Sender<Lease>>,
    /// Empty while there is no sandbox to start workers in.
    spawners: Vec<Arc<Spawner>>,
    /// Those that start no more workers, but have some with a request.
    retired: Vec<Arc<Spawner>>,
    in_force: InForce,
    /// Why there are no spawners, once there were some.
    lost: Option<Error>,
    next_worker: u64,
    /// How long the last observed start took.
    pub(crate) typical_start: Duration,
}

/// How a pool is doing.
#[derive(Debug)]
pub struct Status {
    /// Its workers and requests.
    pub counts: Counts,
    /// How many workers were started so far.
    pub started: u64,
    /// Which limits hold.
    pub in_force: InForce,
    /// Why workers do not start, if they do not.
    pub failure: Option<Error>,
}

impl Pool {
    /// Returns a pool without workers. [`Deployments`](crate::Deployments) bring it into sandboxes.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] if this process can have no more descriptors.
    pub fn new(token: CodeToken, options: PoolOptions) -> Result<Self, Error> {
        let arrivals = Arrivals::new().map_err(|e| Error::host("watch workers", e))?;
        let sizes = Sizes {
            target: options.workers as usize,
            max_live: options.max_live as usize,
            max_waiting: options.max_waiting as usize,
        };
        let state = State {
            workers: PoolState::new(sizes),
            spawners: Vec::new(),
            retired: Vec::new(),
            in_force: InForce::default(),
            lost: None,
            next_worker: 0,
            typical_start: options.start_timeout,
        };
        let metrics = PoolMetrics::new(&options.name);
        Ok(Self {
            token,
            options,
            metrics,
            arrivals,
            state: Mutex::new(state),
            closed: watch::Sender::new(None),
        })
    }

    /// Returns the token of the code.
    #[must_use]
    pub fn token(&self) -> CodeToken {
        self.token
    }

    /// Returns the options of the pool.
    #[must_use]
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Starts workers with these spawners as well. If the pool was closed meanwhile, closes them.
    pub(crate) fn open(self: &Arc<Self>, spawners: &[Arc<Spawner>], in_force: InForce) {
        for limit in missing_limits(&self.options.limits, in_force) {
            tracing::warn!(code = %self.token, name = %self.options.name, limit, "this machine does not provide this limit of a pool");
        }
        if !in_force.own_files {
            tracing::warn!(code = %self.token, name = %self.options.name, "some live processes of this code share a file, through which they can signal to each other: for its program, raise `program_copies` or lower `max_live`; for libraries, use gVisor");
        }
        let mut state = self.lock();
        if self.closed().is_some() {
            spawners.iter().for_each(|spawner| spawner.close());
            return;
        }
        state.in_force = in_force;
        state.spawners.extend_from_slice(spawners);
        state.lost = None;
        self.pump(&mut state);
    }

    pub(crate) fn take(self: &Arc<Self>, state: &mut State, or_starting: bool) -> Option<Lease> {
        let by_byte = self.by_byte();
        let probe = |worker: &mut Worker| by_byte && worker.probe();
        let (id, mut worker) = state.workers.take(probe, or_starting && by_byte)?;
        self.note_ready_in(state, id, &mut worker);
        worker.ready |= !by_byte;
        if worker.ready {
            self.stop_diagnosing(state, id);
        }
        Some(Lease::new(Arc::clone(self), id, worker))
    }

    /// Starts the workers that are missing since one was taken, if few are left. Otherwise that can wait
    /// until the worker ends, or for the next sweep: starts compete with the request for the processor.
    pub fn refill(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.workers.is_low() {
            self.pump(&mut state);
        }
    }

    /// Hands workers to the requests that wait and starts what is missing.
    pub(crate) fn pump(self: &Arc<Self>, state: &mut State) {
        loop {
            self.hand_out(state);
            let now = Instant::now();
            let wanted = if state.spawners.is_empty() {
                0
            } else {
                state.workers.wanted(now)
            };
            for _ in 0..wanted {
                if let Err(error) = self.start_worker(state, now) {
                    self.note_start_failure(state, error);
                    return;
                }
            }
            // A worker that starts can be handed out at once, which makes room for another.
            if wanted == 0 || state.workers.queue().is_empty() {
                return;
            }
        }
    }

    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while !state.workers.queue().is_empty() {
            let Some(lease) = self.take(state, true) else {
                return;
            };
            let refused = match state.workers.queue().pop() {
                Some(waiter) => waiter.send(lease).err(),
                None => Some(lease),
            };
            if let Some(lease) = refused {
                // Not `Lease::give_back`, which takes the lock that is held here.
                let (id, worker) = lease.into_parts();
                self.put_back_in(state, id, worker);
            }
        }
    }

    fn start_worker(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), Error> {
        let id = WorkerId(state.next_worker);
        let turn = id.0 as usize % state.spawners.len();
        let diagnose = !state.workers.is_trusted();
        let spawner = &state.spawners[turn];
        let (worker, record) = worker::start(id, spawner, &self.options, diagnose)
            .and_then(|started| {
                self.arrivals
                    .add(started.0.data.as_fd(), id.0)
                    .map(|()| started)
            })
            .map_err(|e| Error::host("make a worker's connections", e))?;
        state.next_worker += 1;
        state
            .workers
            .add(id, worker, record, self.start_deadline(now));
        self.metrics.starts.increment(1);
        Ok(())
    }

    /// Notes that a worker which a request has became ready.
    pub(crate) fn note_ready(self: &Arc<Self>, id: WorkerId, worker: &mut Worker) {
        let mut state = self.lock();
        self.note_ready_in(&mut state, id, worker);
        state.workers.succeeded();
        self.pump(&mut state);
    }

    /// Without a readiness byte, it is the spawner that says when a worker is ready.
    fn note_ready_in(&self, state: &mut State, id: WorkerId, worker: &mut Worker) {
        if self.by_byte()
            && let Some(since) = worker.first_seen_ready()
        {
            self.note_start(state, id, since);
        }
    }

    pub(crate) fn stop_diagnosing(&self, state: &State, id: WorkerId) {
        if let Some(record) = state.workers.payload(id) {
            record.stop_diagnosing(&self.options);
        }
    }

    /// Takes a worker back for the next request.
    pub(crate) fn put_back(self: &Arc<Self>, id: WorkerId, worker: Worker) {
        let mut state = self.lock();
        self.put_back_in(&mut state, id, worker);
        self.pump(&mut state);
    }

    fn put_back_in(&self, state: &mut State, id: WorkerId, mut worker: Worker) {
        let due = self.start_deadline(worker.since);
        let ready = worker.ready;
        self.note_ready_in(state, id, &mut worker);
        if state.is_retired(id) {
            state.workers.ending(id, None);
            return kill(state, id);
        }
        state.workers.put_back(id, worker, ready, due);
        if !ready {
            // Its byte may have come while a request had it.
            self.probe(state, id);
        } else if !state.workers.is_trusted() {
            state.workers.succeeded();
        }
    }

    /// Notes that the request of a worker is over. It may end by itself within `grace`; without `grace`, it
    /// is killed now.
    pub(crate) fn release(self: &Arc<Self>, id: WorkerId, grace: Option<Duration>) {
        let mut state = self.lock();
        let due = grace.map(|grace| after(Instant::now(), grace));
        if grace.is_some() {
            state.workers.succeeded();
        }
        if state.workers.ending(id, due) && grace.is_none() {
            kill(&state, id);
        }
    }

    /// Returns why a worker that ended was not ready. A worker that was `late` was killed for it.
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

    /// Returns when a worker that was started at `since` must be ready.
    pub(crate) fn start_deadline(&self, since: Instant) -> Instant {
        after(since, self.options.start_timeout)
    }

    /// Notes that the worker of a request ended before it was ready.
    pub(crate) fn start_failed(self: &Arc<Self>, cause: Error) {
        let mut state = self.lock();
        self.note_start_failure(&mut state, cause);
        self.pump(&mut state);
    }

    pub(crate) fn note_start_failure(&self, state: &mut State, cause: Error) {
        tracing::debug!(code = %self.token, %cause, "a worker did not start");
        self.metrics.start_failed(&cause);
        let was_healthy = !state.workers.backoff().is_unhealthy();
        let now = Instant::now();
        if matches!(cause, Error::Host { .. } | Error::WorkerStart(_)) && cause.retryable() {
            state.workers.refused(now, cause.clone());
        }
        state.workers.start_failed(now, cause);
        if let (true, Some(cause)) = (was_healthy, state.workers.backoff().cause()) {
            tracing::warn!(code = %self.token, name = %self.options.name, %cause, "workers keep failing");
        }
    }

    /// Kills workers that take too long, and retries starts after a pause, again and again.
    pub(crate) async fn sweep_forever(self: Arc<Self>) {
        let mut clock = tokio::time::interval(SWEEP_INTERVAL);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            self.sweep();
        }
    }

    fn sweep(self: &Arc<Self>) {
        let mut state = self.lock();
        let now = Instant::now();
        self.look(&mut state);
        let by_byte = self.by_byte();
        for id in state
            .workers
            .overdue(now, |worker| by_byte && worker.probe())
        {
            kill(&state, id);
        }
        state.workers.queue().prune(oneshot::Sender::is_closed);
        state.workers.settle(now);
        self.pump(&mut state);
        self.metrics.counts(&state.workers.counts());
    }

    /// Starts no more workers with these spawners, and ends those of their workers that have no request.
    pub(crate) fn retire(self: &Arc<Self>, leaving: &[Arc<Spawner>]) {
        let mut state = self.lock();
        if self.closed().is_some() {
            return;
        }
        state
            .spawners
            .retain(|spawner| !is_one_of(spawner, leaving));
        state.retired.extend_from_slice(leaving);
        let of_leaving = |record: &Record| is_one_of(record.spawner(), leaving);
        for id in state.workers.retire(of_leaving) {
            kill(&state, id);
        }
        self.pump(&mut state);
    }

    /// Returns whether these spawners have workers.
    pub(crate) fn has_workers_of(&self, spawners: &[Arc<Spawner>]) -> bool {
        let of_them = |record: &Record| is_one_of(record.spawner(), spawners);
        self.lock().workers.has(of_them)
    }

    /// Removes spawners whose sandbox, or the pool in it, is gone. Requests in flight there fail; those
    /// that wait continue, with workers elsewhere if there are any.
    pub(crate) fn lost(self: &Arc<Self>, gone: &[Arc<Spawner>], reason: &Error) {
        gone.iter().for_each(|spawner| spawner.close());
        let mut state = self.lock();
        state.spawners.retain(|spawner| !is_one_of(spawner, gone));
        state.retired.retain(|spawner| !is_one_of(spawner, gone));
        for record in state
            .workers
            .drain(|record| is_one_of(record.spawner(), gone))
        {
            record.report(WorkerEnd::Lost(reason.clone()));
        }
        if state.spawners.is_empty() {
            state.lost = Some(reason.clone());
        }
        self.pump(&mut state);
    }

    /// Takes no more requests and ends those in flight, all with this reason.
    pub fn close(self: &Arc<Self>, reason: Error) {
        let spawners = {
            let mut state = self.lock();
            self.refuse_requests(&mut state, reason.clone());
            let mut spawners = std::mem::take(&mut state.spawners);
            spawners.append(&mut state.retired);
            spawners
        };
        self.lost(&spawners, &reason);
        self.metrics.counts(&Counts::default());
    }

    /// Takes no more requests, waits for up to `limit` until those in flight are over, and then ends the
    /// workers. Returns whether all requests were over in time.
    pub async fn drain(self: &Arc<Self>, reason: Error, limit: Duration) -> bool {
        self.refuse_requests(&mut self.lock(), reason.clone());
        let in_flight = || self.lock().workers.counts().busy > 0;
        let until = after(Instant::now(), limit);
        while in_flight() && Instant::now() < until {
            tokio::time::sleep(DRAIN_CHECK).await;
        }
        let is_drained = !in_flight();
        self.close(reason);
        is_drained
    }

    fn refuse_requests(&self, state: &mut State, reason: Error) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            closed.get_or_insert(reason);
            is_first
        });
        state.workers.queue().clear();
    }

    /// Returns how the pool is doing.
    pub fn status(&self) -> Status {
        let mut state = self.lock();
        self.look(&mut state);
        state.workers.queue().prune(oneshot::Sender::is_closed);
        Status {
            counts: state.workers.counts(),
            started: state.next_worker,
            in_force: state.in_force,
            failure: state.failure(),
        }
    }

    /// Returns why the pool takes no more requests, if it is closed.
    pub fn closed(&self) -> Option<Error> {
        self.closed.borrow().clone()
    }

    /// Waits until the pool is closed.
    pub(crate) async fn until_closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives as long as this pool.
        let _ = closed.wait_for(Option::is_some).await;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_retired(&self, id: WorkerId) -> bool {
        let record = self.workers.payload(id);
        record.is_some_and(|record| is_one_of(record.spawner(), &self.retired))
    }

    /// Returns why no worker starts, if that is so.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lost
            .as_ref()
            .or_else(|| self.workers.backoff().cause())
            .cloned()
    }
}

/// Returns the limits that were asked for and that this machine does not provide.
fn missing_limits(limits: &PoolLimits, in_force: InForce) -> Vec<&'static str> {
    [
        ("memory", limits.memory.is_some(), in_force.pool_memory),
        (
            "processes",
            limits.processes.is_some(),
            in_force.pool_processes,
        ),
        ("cpu_millis", limits.cpu_millis.is_some(), in_force.pool_cpu),
    ]
    .into_iter()
    .filter_map(|(name, wanted, given)| (wanted && !given).then_some(name))
    .collect()
}

fn is_one_of(spawner: &Arc<Spawner>, spawners: &[Arc<Spawner>]) -> bool {
    spawners.iter().any(|one| Arc::ptr_eq(one, spawner))
}

fn kill(state: &State, id: WorkerId) {
    if let Some(record) = state.workers.payload(id) {
        record.kill(id);
    }
}

#[cfg(test)]
#[path = "pool_test.rs"]
mod tests;
