//! Keeps the sandbox and the pools in it alive.
//!
//! One task restarts the sandbox when it dies, one looks after every pool's clocks, and one for each
//! pool prepares it in whatever sandbox there is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::error::{Error, SandboxFailure};
use crate::health::Backoff;
use crate::host_functions::HostFunctions;
use crate::metrics;
use crate::outer::OuterConfig;
use crate::pool::{Gone, Pool};
use crate::sandbox::{PoolPolicy, Prepared, Sandbox, silent};
use crate::token::CodeToken;

/// How often the clocks of pools are looked at.
const SWEEP: Duration = Duration::from_millis(50);
/// A sandbox, or a pool, that lived so long is not part of a crash loop.
const STABLE: Duration = Duration::from_secs(10);
/// How long the news of a sandbox's death may come after a pool's.
const DEATH_NEWS: Duration = Duration::from_millis(500);
/// How long a pool may take to end by itself when it is told to, and then when it is killed.
const ORDERLY_END: Duration = Duration::from_secs(1);

/// What a service consists of.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: OuterConfig,
    pub(crate) policy: PoolPolicy,
    pub(crate) functions: Arc<HostFunctions>,
    /// The one that takes code.
    sandbox: watch::Sender<Option<Arc<Sandbox>>>,
    /// The one that was made last, from before it is started.
    newest: Mutex<Option<Arc<Sandbox>>>,
    pools: RwLock<BTreeMap<CodeToken, Kept>>,
    closed: AtomicBool,
}

#[derive(Debug, Clone)]
struct Kept {
    pool: Arc<Pool>,
    keeper: AbortHandle,
    ended: watch::Receiver<bool>,
}

impl Engine {
    /// Starts the sandbox. Returns the tasks that keep it alive with it.
    pub(crate) async fn start(
        config: OuterConfig,
        policy: PoolPolicy,
        functions: HostFunctions,
    ) -> Result<(Arc<Self>, JoinSet<()>), Error> {
        let engine = Arc::new(Self {
            config,
            policy,
            functions: Arc::new(functions),
            sandbox: watch::Sender::new(None),
            newest: Mutex::default(),
            pools: RwLock::default(),
            closed: AtomicBool::new(false),
        });
        let sandbox = engine.start_sandbox().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(supervise(Arc::clone(&engine), sandbox));
        tasks.spawn(sweep(Arc::clone(&engine)));
        Ok((engine, tasks))
    }

    /// Starts a sandbox, unless everything has ended or does so meanwhile.
    async fn start_sandbox(&self) -> Result<Arc<Sandbox>, Error> {
        let sandbox = Sandbox::new(&self.config)?;
        // Known before it starts, so that `end` finds it however far it has got.
        *self.newest() = Some(Arc::clone(&sandbox));
        if self.is_closed() {
            return Err(Error::ShutDown);
        }
        sandbox.start().await?;
        self.sandbox.send_replace(Some(Arc::clone(&sandbox)));
        Ok(sandbox)
    }

    /// Prepares a pool and waits until one of its workers was ready. The pool is there afterwards
    /// only if that went well.
    pub(crate) async fn add(self: &Arc<Self>, pool: Arc<Pool>) -> Result<(), Error> {
        let (prepared, is_prepared) = oneshot::channel();
        let (gone, ended) = watch::channel(false);
        let keeper = tokio::spawn(keep(Arc::clone(self), Arc::clone(&pool), prepared, gone));
        let kept = Kept {
            pool: Arc::clone(&pool),
            keeper: keeper.abort_handle(),
            ended,
        };
        self.write().insert(pool.token, kept);
        let guard = RemoveOnDrop {
            engine: self,
            token: Some(pool.token),
        };
        is_prepared.await.unwrap_or(Err(Error::ShutDown))?;
        self.rehearse(pool).await?;
        guard.keep();
        Ok(())
    }

    async fn rehearse(&self, pool: Arc<Pool>) -> Result<(), Error> {
        let queue_timeout = pool.options.start_timeout.saturating_mul(2);
        let options = crate::ExecuteOptions {
            queue_timeout,
            ..Default::default()
        };
        let functions = Arc::clone(&self.functions);
        crate::run::Job {
            pool,
            request: bytes::Bytes::new(),
            options,
            functions,
        }
        .rehearse()
        .await
    }

    pub(crate) fn pool(&self, token: CodeToken) -> Result<Arc<Pool>, Error> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        match pools.get(&token) {
            Some(kept) => Ok(Arc::clone(&kept.pool)),
            None if self.is_closed() => Err(Error::ShutDown),
            None => Err(Error::UnknownToken(token)),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Pool>> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().map(|kept| Arc::clone(&kept.pool)).collect()
    }

    /// Ends a pool. Waits until nothing of it is left.
    pub(crate) async fn remove(&self, token: CodeToken) -> Result<(), Error> {
        let mut ended = self.discard(token)?;
        let _ = timeout(ORDERLY_END * 2, ended.wait_for(|ended| *ended)).await;
        Ok(())
    }

    fn discard(&self, token: CodeToken) -> Result<watch::Receiver<bool>, Error> {
        let kept = self
            .write()
            .remove(&token)
            .ok_or(Error::UnknownToken(token))?;
        kept.pool.close(Error::Deleted);
        Ok(kept.ended)
    }

    /// Ends everything. Blocks, at most for about two seconds.
    pub(crate) fn end(&self) {
        self.closed.store(true, Ordering::Release);
        for kept in std::mem::take(&mut *self.write()).into_values() {
            kept.keeper.abort();
            kept.pool.close(Error::ShutDown);
        }
        self.sandbox.send_replace(None);
        let newest = self.newest().clone();
        if let Some(sandbox) = newest {
            sandbox.end();
        }
    }

    /// The number of the outer sandbox's process, if there is one now.
    pub(crate) fn process(&self) -> Option<u32> {
        self.sandbox.borrow().as_ref()?.process()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The sandbox that there is, or the next one; none once there will be no other.
    async fn sandbox(&self) -> Option<Arc<Sandbox>> {
        let mut sandbox = self.sandbox.subscribe();
        let change = sandbox.wait_for(|sandbox| sandbox.is_some() || self.is_closed());
        let sandbox = change.await.ok()?.clone();
        sandbox.filter(|_| !self.is_closed())
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<Arc<Sandbox>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<CodeToken, Kept>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that fails, or that nobody waits for any more, leaves nothing.
struct RemoveOnDrop<'a> {
    engine: &'a Engine,
    token: Option<CodeToken>,
}

impl RemoveOnDrop<'_> {
    fn keep(mut self) {
        self.token = None;
    }
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let _ = self.engine.discard(token);
        }
    }
}

/// Restarts the sandbox whenever it dies.
async fn supervise(engine: Arc<Engine>, mut sandbox: Arc<Sandbox>) {
    let mut backoff = Backoff::default();
    loop {
        let since = Instant::now();
        let cause = sandbox.watch().await;
        if engine.is_closed() {
            return;
        }
        engine.sandbox.send_replace(None);
        metrics::sandbox_restarted();
        tracing::error!(%cause, "the sandbox died and is being restarted");
        if since.elapsed() > STABLE {
            backoff.success();
        }
        backoff.failure(Instant::now(), cause);
        match restart(&engine, &mut backoff).await {
            Some(next) => sandbox = next,
            None => return,
        }
    }
}

/// The next sandbox; `None` if there is to be none.
async fn restart(engine: &Engine, backoff: &mut Backoff) -> Option<Arc<Sandbox>> {
    loop {
        tokio::time::sleep(backoff.pause(Instant::now())).await;
        match engine.start_sandbox().await {
            Ok(sandbox) => return Some(sandbox),
            Err(_) if engine.is_closed() => return None,
            Err(error) => {
                tracing::error!(%error, "the sandbox does not start");
                backoff.failure(Instant::now(), error);
            }
        }
    }
}

/// Looks at the clocks of all pools.
async fn sweep(engine: Arc<Engine>) {
    let mut clock = tokio::time::interval(SWEEP);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for pool in engine.all() {
            pool.sweep();
        }
    }
}

/// Prepares one pool in each sandbox that there will be, and listens to its spawners.
async fn keep(
    engine: Arc<Engine>,
    pool: Arc<Pool>,
    prepared: oneshot::Sender<Result<(), Error>>,
    gone: watch::Sender<bool>,
) {
    let mut first = Some(prepared);
    let mut backoff = Backoff::default();
    while let Some(sandbox) = engine.sandbox().await {
        if pool.closed().is_some() {
            break;
        }
        let since = Instant::now();
        let cause = match sandbox.prepare(&pool, &engine.policy).await {
            Err(error) => {
                pool.lost(&error);
                error
            }
            Ok(Prepared {
                spawners,
                in_force,
                id,
                mut ended,
            }) => {
                pool.open(spawners.clone(), in_force);
                if let Some(first) = first.take() {
                    let _ = first.send(Ok(()));
                }
                let cause = until_lost(&pool, spawners, &sandbox).await;
                pool.lost(&cause);
                if timeout(ORDERLY_END, &mut ended).await.is_err() {
                    sandbox.kill(id).await;
                    let _ = timeout(ORDERLY_END, ended).await;
                }
                cause
            }
        };
        if let Some(first) = first.take() {
            let _ = first.send(Err(cause));
            break;
        }
        if pool.closed().is_some() {
            break;
        }
        if since.elapsed() > STABLE {
            backoff.success();
        }
        tracing::warn!(code = %pool.token, %cause, "the code is being prepared again");
        backoff.failure(Instant::now(), cause);
        tokio::time::sleep(backoff.pause(Instant::now())).await;
    }
    gone.send_replace(true);
}

/// Listens to a pool until it is gone. Returns why.
async fn until_lost(
    pool: &Arc<Pool>,
    spawners: Vec<Arc<crate::spawner::Spawner>>,
    sandbox: &Sandbox,
) -> Error {
    let gone = tokio::select! {
        gone = follow(pool, spawners, sandbox.silence()) => gone,
        // The connections of a sandbox that was killed may outlive it for a while.
        _ = sandbox.cause_of_death() => Gone::Ended,
    };
    match pool.closed() {
        Some(reason) => reason,
        None => cause_of_loss(sandbox, gone).await,
    }
}

/// Listens to all spawners of a pool until the first ends.
async fn follow(
    pool: &Arc<Pool>,
    spawners: Vec<Arc<crate::spawner::Spawner>>,
    silence: Duration,
) -> Gone {
    let mut followers = JoinSet::new();
    for spawner in spawners {
        let pool = Arc::clone(pool);
        followers.spawn(async move { pool.follow(&spawner, silence).await });
    }
    let first = followers.join_next().await.and_then(Result::ok);
    first.unwrap_or(Gone::Ended)
}

/// A pool usually goes with its sandbox, whose end explains more.
async fn cause_of_loss(sandbox: &Sandbox, gone: Gone) -> Error {
    if let Ok(cause) = timeout(DEATH_NEWS, sandbox.cause_of_death()).await {
        return cause;
    }
    let failure = match gone {
        Gone::Failed(failure) => return Error::PoolSetup(failure),
        Gone::Ended => SandboxFailure::new("the processes that start workers ended"),
        Gone::Silent => silent("a process that starts workers", sandbox.silence()),
    };
    Error::SandboxDied(Arc::new(failure))
}
