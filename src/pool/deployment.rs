//! Deployments: a pool in the sandbox slots that it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_core::{Error, SandboxFailure};
use roma_supervise::{Backoff, PoolCode, Prepared, Sandbox, SandboxSlot, Slots, unanswered};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::follow::Gone;
use crate::pool::Pool;
use crate::spawner::Spawner;

/// How long the end of a sandbox may be noticed after the end of a pool in it.
const SANDBOX_END_DELAY: Duration = Duration::from_millis(500);
/// How long a pool may take to end by itself when it is told to, and again when it is killed.
const ORDERLY_END: Duration = Duration::from_secs(1);
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
        while let Some(Some(sandbox)) = self.unless_closed(self.slot.sandbox()).await {
            let since = Instant::now();
            let cause = match sandbox.prepare(&self.code, self.spawners).await {
                Ok(prepared) => {
                    let ended = self.serve(&sandbox, prepared, || {
                        let _ = report(Ok(()));
                    });
                    ended.await
                }
                Err(error) => {
                    let _ = report(Err(error.clone()));
                    self.pool.lost(&[], &error);
                    error
                }
            };
            let pause = tokio::time::sleep(backoff.ended(since, cause.clone()));
            if self.unless_closed(pause).await.is_none() {
                return;
            }
            tracing::warn!(code = %self.pool.token(), %cause, "the code is being prepared again");
        }
    }

    /// Lets the pool start workers in a sandbox where it is prepared, until it is gone from there.
    /// Returns the cause.
    async fn serve(&self, sandbox: &Sandbox, prepared: Prepared, opened: impl FnOnce()) -> Error {
        let spawners = prepared.spawners.into_iter();
        let spawners: Vec<_> = spawners.map(|link| Arc::new(Spawner::new(link))).collect();
        self.pool.open(&spawners, prepared.in_force);
        opened();
        let cause = self.until_lost(&spawners, sandbox).await;
        self.pool.lost(&spawners, &cause);
        let mut ended = prepared.ended;
        if timeout(ORDERLY_END, &mut ended).await.is_err() {
            sandbox.kill(prepared.id).await;
            let _ = timeout(ORDERLY_END, ended).await;
        }
        cause
    }

    /// Waits until the pool is gone from a sandbox. Returns the cause.
    async fn until_lost(&self, spawners: &[Arc<Spawner>], sandbox: &Sandbox) -> Error {
        let gone = tokio::select! {
            gone = self.follow(spawners, sandbox.watchdog_limit()) => gone,
            // The connections of a sandbox that was killed may outlive it for a while.
            _ = sandbox.cause_of_death() => Gone::Ended,
        };
        match self.pool.closed() {
            Some(reason) => reason,
            None => cause_of_loss(sandbox, gone).await,
        }
    }

    /// Reads the messages of all spawners until the first one ends.
    async fn follow(&self, spawners: &[Arc<Spawner>], limit: Duration) -> Gone {
        let mut followers = JoinSet::new();
        for spawner in spawners {
            let (pool, spawner) = (Arc::clone(&self.pool), Arc::clone(spawner));
            followers.spawn(async move { pool.follow(&spawner, limit).await });
        }
        let first = followers.join_next().await.and_then(Result::ok);
        first.unwrap_or(Gone::Ended)
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
