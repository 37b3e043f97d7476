//! Deployments: a pool in the sandbox slots that it has.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_core::{Error, SandboxFailure};
use roma_protocol::PoolId;
use roma_sandbox::step::StepFailure;
use roma_supervise::{Backoff, InUse, PoolCode, Prepared, Sandbox, SandboxSlot, Slots, unanswered};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::follow::Gone;
use crate::pool::Pool;
use crate::spawner::Spawner;

/// How long the end of a sandbox may be noticed after the end of a pool in it.
const SANDBOX_END_DELAY: Duration = Duration::from_millis(500);
/// How long a pool may take to end by itself when it is told to, and again when it is killed.
const ORDERLY_END: Duration = Duration::from_secs(1);
/// How often a pool that leaves a sandbox checks for workers there.
const LEAVE_CHECK: Duration = Duration::from_millis(20);
/// How long a load that has succeeded in one slot waits for the others.
const CATCH_UP: Duration = Duration::from_secs(1);

type Results = mpsc::UnboundedReceiver<Result<(), Error>>;

/// The deployments of one pool: one for each sandbox slot that it has. Dropping them closes the pool.
#[derive(Debug)]
pub struct Deployments {
    pool: Arc<Pool>,
    tasks: JoinSet<()>,
    _watchers: JoinSet<()>,
}

/// The first preparation of a pool in its slots.
#[derive(Debug)]
pub struct Preparation {
    results: Results,
    slots: usize,
}

impl Deployments {
    /// Begins to deploy a pool with `spawners` spawners, spread evenly over the slots. A pool with
    /// fewer spawners than there are slots has only some of the slots, beginning at another one for
    /// each pool.
    #[must_use]
    pub fn start(
        slots: &Slots,
        pool: &Arc<Pool>,
        code: PoolCode,
        spawners: u32,
    ) -> (Self, Preparation) {
        let code = Arc::new(code);
        let chosen = choose(slots.all(), pool, spawners);
        // A slot whose sandbox is being restarted follows later, unless there is no other.
        let awaited = match chosen.iter().filter(|(slot, _)| slot.is_up()).count() {
            0 => chosen.len(),
            up => up,
        };
        let (prepared, results) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for (slot, spawners) in chosen {
            let deployment = Deployment {
                slot: Arc::clone(slot),
                pool: Arc::clone(pool),
                code: Arc::clone(&code),
                spawners,
            };
            tasks.spawn(deployment.run(prepared.clone()));
        }
        let mut watchers = JoinSet::new();
        watchers.spawn(Arc::clone(pool).sweep_forever());
        watchers.spawn(Arc::clone(pool).follow_readiness());
        let deployments = Self {
            pool: Arc::clone(pool),
            tasks,
            _watchers: watchers,
        };
        let preparation = Preparation {
            results,
            slots: awaited,
        };
        (deployments, preparation)
    }

    /// Closes the pool and waits until nothing of it is left in any sandbox, for a few seconds at most.
    pub async fn end(mut self, reason: Error) {
        self.pool.close(reason);
        let until = Instant::now() + ORDERLY_END * 2;
        while let Ok(Some(_)) = timeout_at(until.into(), self.tasks.join_next()).await {}
    }
}

impl Drop for Deployments {
    fn drop(&mut self) {
        self.pool.close(Error::ShutDown);
        // Each task ends its pool in an orderly way; the sandboxes' end ends them at the latest.
        self.tasks.detach_all();
    }
}

impl Preparation {
    /// Waits until the pool is prepared. One slot that succeeds is enough; the others have a moment to
    /// catch up, so that the first workers are spread over all.
    ///
    /// # Errors
    ///
    /// The error of the last slot, if all failed; [`Error::ShutDown`] if the slots were closed.
    pub async fn done(mut self) -> Result<(), Error> {
        let mut all = Err(Error::ShutDown);
        for _ in 0..self.slots {
            let next = match all {
                Ok(()) => timeout(CATCH_UP, self.results.recv()).await.ok().flatten(),
                Err(_) => self.results.recv().await,
            };
            let Some(one) = next else { break };
            all = all.or(one);
        }
        all
    }
}

/// Returns the slots of a pool, each with the number of spawners there.
fn choose<'a>(
    slots: &'a [Arc<SandboxSlot>],
    pool: &Pool,
    spawners: u32,
) -> Vec<(&'a Arc<SandboxSlot>, u32)> {
    let count = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let spawners = spawners.min(pool.options().max_live);
    let first = pool.token().number() as usize % slots.len();
    let rotated = slots[first..].iter().chain(&slots[..first]);
    (0..spawners.min(count))
        .zip(rotated)
        .map(|(at, slot)| (slot, (spawners - at).div_ceil(spawners.min(count))))
        .collect()
}

/// One pool in one slot.
struct Deployment {
    slot: Arc<SandboxSlot>,
    pool: Arc<Pool>,
    code: Arc<PoolCode>,
    spawners: u32,
}

impl Deployment {
    /// Prepares the pool in each sandbox that the slot has, until the pool or the slot is closed.
    /// Reports the result of the first preparation.
    async fn run(self, prepared: mpsc::UnboundedSender<Result<(), Error>>) {
        let mut first = Some(prepared);
        let mut report = |result| first.take().map(|prepared| prepared.send(result));
        let mut backoff = Backoff::default();
        let mut tenancies = JoinSet::new();
        // When this is replaced, the tenancy before it has to leave.
        let mut stays = None;
        while let Some(Some(sandbox)) = self.unless_closed(self.slot.sandbox()).await {
            let since = Instant::now();
            let cause = match sandbox.prepare(&self.code, self.spawners).await {
                Ok(prepared) => {
                    let (stay, leave) = oneshot::channel();
                    let current = Arc::clone(&sandbox);
                    let tenancy = Tenancy::begin(&self.pool, sandbox, prepared);
                    tenancies.spawn(tenancy.run(leave));
                    stays.replace(stay);
                    let _ = report(Ok(()));
                    match self.until_lost(&current, &mut tenancies).await {
                        Some(cause) => cause,
                        None => continue,
                    }
                }
                Err(error) => {
                    let _ = report(Err(error.clone()));
                    self.pool.lost(&[], &error);
                    error
                }
            };
            let pause = tokio::time::sleep(backoff.ended(since, cause.clone()));
            if self.unless_closed(pause).await.is_none() {
                break;
            }
            tracing::warn!(code = %self.pool.token(), %cause, "the code is being prepared again");
        }
        while tenancies.join_next().await.is_some() {}
    }

    /// Waits until the pool is gone from a sandbox, and returns the cause, or `None` if the slot has
    /// another sandbox by then.
    async fn until_lost(
        &self,
        sandbox: &Arc<Sandbox>,
        tenancies: &mut JoinSet<(Arc<Sandbox>, Error)>,
    ) -> Option<Error> {
        loop {
            tokio::select! {
                Some(ended) = tenancies.join_next() => match ended {
                    Ok((of, cause)) if Arc::ptr_eq(&of, sandbox) => return Some(cause),
                    Ok(_) => {}
                    Err(_) => return Some(Error::Internal("the use of a sandbox panicked")),
                },
                () = self.slot.replaced(sandbox) => return None,
            }
        }
    }

    /// Returns the result of a future, or `None` if the pool is closed first.
    async fn unless_closed<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.pool.until_closed() => None,
            result = future => Some(result),
        }
    }
}

/// One pool in one sandbox.
struct Tenancy {
    pool: Arc<Pool>,
    sandbox: InUse,
    spawners: Vec<Arc<Spawner>>,
    id: PoolId,
    ended: oneshot::Receiver<Option<StepFailure>>,
}

impl Tenancy {
    /// Lets the pool start workers in a sandbox where it is prepared.
    fn begin(pool: &Arc<Pool>, sandbox: InUse, prepared: Prepared) -> Self {
        let spawners = prepared.spawners.into_iter();
        let spawners: Vec<_> = spawners.map(|link| Arc::new(Spawner::new(link))).collect();
        pool.open(&spawners, prepared.in_force);
        Self {
            pool: Arc::clone(pool),
            sandbox,
            spawners,
            id: prepared.id,
            ended: prepared.ended,
        }
    }

    /// Follows the pool in this sandbox until it is gone from here. Returns the sandbox and the cause. Once
    /// `leave` is resolved, the pool leaves as soon as the requests in flight here are over.
    async fn run(mut self, leave: oneshot::Receiver<Infallible>) -> (Arc<Sandbox>, Error) {
        let cause = tokio::select! {
            cause = self.until_lost() => cause,
            () = self.until_left(leave) => Error::Internal("a request was left in an old sandbox"),
        };
        self.pool.lost(&self.spawners, &cause);
        if timeout(ORDERLY_END, &mut self.ended).await.is_err() {
            self.sandbox.kill(self.id).await;
            let _ = timeout(ORDERLY_END, self.ended).await;
        }
        (Arc::clone(&self.sandbox), cause)
    }

    /// Waits until the pool is to leave, and then until it has no workers here.
    async fn until_left(&self, leave: oneshot::Receiver<Infallible>) {
        let _ = leave.await;
        self.pool.retire(&self.spawners);
        while self.pool.has_workers_of(&self.spawners) {
            tokio::time::sleep(LEAVE_CHECK).await;
        }
    }

    /// Waits until the pool is gone from the sandbox. Returns the cause.
    async fn until_lost(&self) -> Error {
        let gone = tokio::select! {
            gone = self.follow() => gone,
            // The connections of a sandbox that was killed may outlive it for a while.
            _ = self.sandbox.cause_of_death() => Gone::Ended,
        };
        match self.pool.closed() {
            Some(reason) => reason,
            None => cause_of_loss(&self.sandbox, gone).await,
        }
    }

    /// Reads the messages of all spawners until the first one ends.
    async fn follow(&self) -> Gone {
        let limit = self.sandbox.watchdog_limit();
        let mut followers = JoinSet::new();
        for spawner in &self.spawners {
            let (pool, spawner) = (Arc::clone(&self.pool), Arc::clone(spawner));
            followers.spawn(async move { pool.follow(&spawner, limit).await });
        }
        let first = followers.join_next().await.and_then(Result::ok);
        first.unwrap_or(Gone::Ended)
    }
}

/// Returns why a pool is gone. Usually its sandbox died, whose end explains more.
async fn cause_of_loss(sandbox: &Sandbox, gone: Gone) -> Error {
    if let Ok(cause) = timeout(SANDBOX_END_DELAY, sandbox.cause_of_death()).await {
        return cause;
    }
    let failure = match gone {
        Gone::Failed(failure) => return Error::PoolSetup(failure),
        Gone::Ended => SandboxFailure::new("the processes that start workers ended"),
        Gone::Unanswered => unanswered("a process that starts workers", sandbox.watchdog_limit()),
    };
    Error::SandboxDied(Arc::new(failure))
}
