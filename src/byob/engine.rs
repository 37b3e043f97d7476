//! Keeps the sandboxes and the pools in them alive.
//!
//! One task for each place restarts the sandbox there when it dies, one looks after every pool's clocks,
//! and one for each pool and each place that it has prepares it in whatever sandbox is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{timeout, timeout_at};

use crate::error::{Error, SandboxFailure};
use crate::health::Backoff;
use crate::host_functions::HostFunctions;
use crate::outer::OuterConfig;
use crate::place::{Place, STABLE};
use crate::pool::{Gone, Pool};
use crate::sandbox::{PoolPolicy, Prepared, Sandbox, silent};
use crate::spawner::Spawner;
use crate::token::CodeToken;
use crate::traffic::Traffic;

/// How often the clocks of pools are looked at.
const SWEEP: Duration = Duration::from_millis(50);
/// How long the news of a sandbox's death may come after a pool's.
const DEATH_NEWS: Duration = Duration::from_millis(500);
/// How long a pool may take to end by itself when it is told to, and then when it is killed.
const ORDERLY_END: Duration = Duration::from_secs(1);
/// How long a load that has succeeded in one place waits for the others.
const CATCH_UP: Duration = Duration::from_secs(1);

/// What a service consists of.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: OuterConfig,
    pub(crate) policy: PoolPolicy,
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) traffic: Arc<Traffic>,
    places: Vec<Arc<Place>>,
    pools: RwLock<BTreeMap<CodeToken, Kept>>,
    closed: AtomicBool,
}

#[derive(Debug, Clone)]
struct Kept {
    pool: Arc<Pool>,
    stays: Vec<Stay>,
}

/// A pool's stay in one place.
#[derive(Debug, Clone)]
struct Stay {
    keeper: AbortHandle,
    ended: watch::Receiver<bool>,
}

impl Engine {
    /// Starts so many sandboxes. Returns the tasks that keep them alive with it.
    pub(crate) async fn start(
        config: OuterConfig,
        sandboxes: u32,
        policy: PoolPolicy,
        functions: HostFunctions,
    ) -> Result<(Arc<Self>, JoinSet<()>), Error> {
        let places = (0..sandboxes).map(|_| Place::new(config.clone()));
        let traffic = Traffic::new(config.mode);
        let engine = Arc::new(Self {
            places: places.collect(),
            config,
            policy,
            functions: Arc::new(functions),
            traffic,
            pools: RwLock::default(),
            closed: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        for (place, sandbox) in engine.start_all().await? {
            tasks.spawn(place.supervise(sandbox));
        }
        tasks.spawn(sweep(Arc::clone(&engine)));
        Ok((engine, tasks))
    }

    /// Starts a sandbox in each place, all at once. If one does not start, none is left.
    async fn start_all(self: &Arc<Self>) -> Result<Vec<(Arc<Place>, Arc<Sandbox>)>, Error> {
        let mut starts = JoinSet::new();
        for place in &self.places {
            let place = Arc::clone(place);
            starts.spawn(async move {
                let sandbox = place.start().await?;
                Ok((place, sandbox))
            });
        }
        let mut started = Vec::new();
        while let Some(start) = starts.join_next().await {
            match start.unwrap_or(Err(Error::ShutDown)) {
                Ok(one) => started.push(one),
                Err(error) => {
                    let engine = Arc::clone(self);
                    let _ = tokio::task::spawn_blocking(move || engine.end()).await;
                    return Err(error);
                }
            }
        }
        Ok(started)
    }

    /// Prepares a pool and waits until one of its workers was ready. The pool is there afterwards
    /// only if that went well.
    pub(crate) async fn add(self: &Arc<Self>, pool: Arc<Pool>) -> Result<(), Error> {
        let places = self.places_of(&pool);
        // One whose sandbox is being restarted joins in later, unless there is no other.
        let awaited = match places.iter().filter(|(place, _)| place.is_up()).count() {
            0 => places.len(),
            up => up,
        };
        let (prepared, preparations) = mpsc::unbounded_channel();
        let mut stays = Vec::new();
        for (place, spawners) in places {
            let (gone, ended) = watch::channel(false);
            let keeper = keep(
                Arc::clone(self),
                Arc::clone(place),
                (Arc::clone(&pool), spawners),
                prepared.clone(),
                gone,
            );
            let keeper = tokio::spawn(keeper).abort_handle();
            stays.push(Stay { keeper, ended });
        }
        let kept = Kept {
            pool: Arc::clone(&pool),
            stays,
        };
        self.write().insert(pool.token, kept);
        let guard = RemoveOnDrop {
            engine: self,
            token: Some(pool.token),
        };
        drop(prepared);
        until_prepared(preparations, awaited).await?;
        self.rehearse(pool).await?;
        guard.keep();
        Ok(())
    }

    /// Where a pool's spawners are, and how many of them: spread evenly, and beginning at another place
    /// for each pool, because small ones have not one for each.
    fn places_of(&self, pool: &Pool) -> Vec<(&Arc<Place>, u32)> {
        let count = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let wanted = pool.options.spawners.unwrap_or(self.policy.spawners);
        let wanted = wanted.min(pool.options.effective_max_live());
        let first = pool.token.number() as usize % self.places.len();
        let places = self.places[first..].iter().chain(&self.places[..first]);
        (0..wanted.min(count))
            .zip(places)
            .map(|(at, place)| (place, (wanted - at).div_ceil(wanted.min(count))))
            .collect()
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
            traffic: Arc::clone(&self.traffic),
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
        let until = Instant::now() + ORDERLY_END * 2;
        for mut stay in self.discard(token)? {
            let _ = timeout_at(until.into(), stay.ended.wait_for(|ended| *ended)).await;
        }
        Ok(())
    }

    fn discard(&self, token: CodeToken) -> Result<Vec<Stay>, Error> {
        let kept = self
            .write()
            .remove(&token)
            .ok_or(Error::UnknownToken(token))?;
        kept.pool.close(Error::Deleted);
        Ok(kept.stays)
    }

    /// Ends everything. Blocks, at most for about two seconds.
    pub(crate) fn end(&self) {
        self.closed.store(true, Ordering::Release);
        for kept in std::mem::take(&mut *self.write()).into_values() {
            kept.stays.iter().for_each(|stay| stay.keeper.abort());
            kept.pool.close(Error::ShutDown);
        }
        self.places.iter().for_each(|place| place.close());
        // Side by side, because each may take its time; one after the other where there is no thread
        // to be had.
        std::thread::scope(|scope| {
            for place in &self.places {
                let thread = std::thread::Builder::new().spawn_scoped(scope, || place.end());
                if thread.is_err() {
                    place.end();
                }
            }
        });
    }

    /// The numbers of the outer sandboxes' processes, of those that there are now.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.places
            .iter()
            .filter_map(|place| place.process())
            .collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<CodeToken, Kept>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for what comes of preparing a pool in so many places. One that takes it is enough; the others
/// have a moment to catch up, so that the first workers are spread over all.
async fn until_prepared(
    mut preparations: mpsc::UnboundedReceiver<Result<(), Error>>,
    places: usize,
) -> Result<(), Error> {
    let mut all = Err(Error::ShutDown);
    for _ in 0..places {
        let next = match all {
            Ok(()) => timeout(CATCH_UP, preparations.recv()).await.ok().flatten(),
            Err(_) => preparations.recv().await,
        };
        let Some(one) = next else { break };
        all = all.or(one);
    }
    all
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

/// Prepares one pool in each sandbox that there will be in one place, and listens to its spawners there.
async fn keep(
    engine: Arc<Engine>,
    place: Arc<Place>,
    (pool, spawners): (Arc<Pool>, u32),
    prepared: mpsc::UnboundedSender<Result<(), Error>>,
    gone: watch::Sender<bool>,
) {
    let mut first = Some(prepared);
    let mut tell = |result| first.take().map(|prepared| prepared.send(result));
    let mut backoff = Backoff::default();
    while let Some(Some(sandbox)) = unless_closed(&pool, place.sandbox()).await {
        let since = Instant::now();
        let cause = match sandbox.prepare(&pool, &engine.policy, spawners).await {
            Err(error) => {
                let _ = tell(Err(error.clone()));
                pool.lost(&[], &error);
                error
            }
            Ok(Prepared {
                spawners,
                in_force,
                id,
                mut ended,
            }) => {
                pool.open(&spawners, in_force);
                let _ = tell(Ok(()));
                let cause = until_lost(&pool, &spawners, &sandbox).await;
                pool.lost(&spawners, &cause);
                if timeout(ORDERLY_END, &mut ended).await.is_err() {
                    sandbox.kill(id).await;
                    let _ = timeout(ORDERLY_END, ended).await;
                }
                cause
            }
        };
        if since.elapsed() > STABLE {
            backoff.success();
        }
        backoff.failure(Instant::now(), cause.clone());
        let pause = tokio::time::sleep(backoff.pause(Instant::now()));
        if unless_closed(&pool, pause).await.is_none() {
            break;
        }
        tracing::warn!(code = %pool.token, %cause, "the code is being prepared again");
    }
    gone.send_replace(true);
}

/// What comes of it; `None` if the pool is closed before, or is already.
async fn unless_closed<T>(pool: &Pool, what: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = pool.until_closed() => None,
        outcome = what => Some(outcome),
    }
}

/// Listens to a pool in one sandbox until it is gone from there. Returns why.
async fn until_lost(pool: &Arc<Pool>, spawners: &[Arc<Spawner>], sandbox: &Sandbox) -> Error {
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

/// Listens to all spawners of a pool in one sandbox until the first ends.
async fn follow(pool: &Arc<Pool>, spawners: &[Arc<Spawner>], silence: Duration) -> Gone {
    let mut followers = JoinSet::new();
    for spawner in spawners {
        let (pool, spawner) = (Arc::clone(pool), Arc::clone(spawner));
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
