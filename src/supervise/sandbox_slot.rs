//! Slots for sandboxes. Each slot replaces its sandbox when that dies, has grown or is old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::counter;
use roma_core::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::outer::OuterConfig;
use crate::renewal::Size;
use crate::sandbox::{InUse, Sandbox, blocking};

/// How long to wait after a sandbox could not be replaced.
const RETRY: Duration = Duration::from_secs(30);

/// The slots of one service. Dropping them stops the supervision; [`Slots::end`] ends the sandboxes.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Arc<SandboxSlot>>,
    _supervisors: JoinSet<()>,
}

impl Slots {
    /// Starts `count` sandboxes, all at once. If one of them does not start, all are ended.
    ///
    /// # Errors
    ///
    /// [`Error::SandboxStart`] says why one of them did not start.
    pub async fn start(config: &OuterConfig, count: u32) -> Result<Self, Error> {
        // One sandbox is renewed at a time, because the old and the new one take memory.
        let turn = Arc::new(Semaphore::new(1));
        let slots: Vec<_> = (0..count)
            .map(|_| SandboxSlot::new(config.clone(), Arc::clone(&turn)))
            .collect();
        let mut starts = JoinSet::new();
        for slot in &slots {
            let slot = Arc::clone(slot);
            starts.spawn(async move { Ok((slot.start().await?, slot)) });
        }
        let mut supervisors = JoinSet::new();
        while let Some(start) = starts.join_next().await {
            let start = start.unwrap_or(Err(Error::Internal("a sandbox's start panicked")));
            match start {
                Ok((sandbox, slot)) => drop(supervisors.spawn(slot.supervise(sandbox))),
                Err(error) => {
                    let end = move || end_slots(&slots.iter().collect::<Vec<_>>());
                    let _ = tokio::task::spawn_blocking(end).await;
                    return Err(error);
                }
            }
        }
        Ok(Self {
            slots,
            _supervisors: supervisors,
        })
    }

    /// Returns all slots.
    #[must_use]
    pub fn all(&self) -> &[Arc<SandboxSlot>] {
        &self.slots
    }

    /// Returns the ids of the processes of the sandboxes that run.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let processes = self.slots.iter().filter_map(|slot| slot.process());
        processes.collect()
    }

    /// Ends all sandboxes for good. Blocks, for about two seconds at most.
    pub fn end(&self) {
        Self::end_all([self]);
    }

    /// Ends all sandboxes of several services or pieces of code at once. Blocks like [`Slots::end`].
    pub fn end_all<'a>(all: impl IntoIterator<Item = &'a Self>) {
        let slots: Vec<_> = all.into_iter().flat_map(|slots| &slots.slots).collect();
        end_slots(&slots);
    }
}

fn end_slots(slots: &[&Arc<SandboxSlot>]) {
    slots.iter().for_each(|slot| slot.close());
    in_parallel(slots, |slot| slot.end());
}

/// Does something with all of them at once, because each may take its time; one after the other if there
/// are no threads.
fn in_parallel<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        for one in all {
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || work(one));
            if thread.is_err() {
                work(one);
            }
        }
    });
}

/// Ends a sandbox that another one has replaced, when nothing uses it any more.
async fn retire(sandbox: Arc<Sandbox>, turn: OwnedSemaphorePermit) {
    tokio::select! {
        cause = sandbox.watch() => tracing::error!(%cause, "a sandbox died that was being replaced"),
        () = sandbox.unused() => {
            let _ = blocking(move || sandbox.end()).await;
        }
    }
    drop(turn);
}

/// A place for one sandbox, which is replaced when it dies, has grown or is old.
#[derive(Debug)]
pub struct SandboxSlot {
    config: OuterConfig,
    /// The one that takes code.
    running: watch::Sender<Option<Arc<Sandbox>>>,
    /// All that may have processes: the one that takes code, one that is being started, and those that
    /// another one has replaced and that are still in use.
    made: Mutex<Vec<Weak<Sandbox>>>,
    /// The turn to renew a sandbox.
    turn: Arc<Semaphore>,
    closed: AtomicBool,
}

impl SandboxSlot {
    fn new(config: OuterConfig, turn: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            config,
            running: watch::Sender::new(None),
            made: Mutex::default(),
            turn,
            closed: AtomicBool::new(false),
        })
    }

    /// Starts a sandbox, unless the slot is closed or is closed meanwhile.
    async fn start(&self) -> Result<Arc<Sandbox>, Error> {
        let sandbox = Sandbox::new(&self.config)?;
        // Stored before it starts, so that `end` finds it at any stage.
        {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.retain(|sandbox| sandbox.strong_count() > 0);
            made.push(Arc::downgrade(&sandbox));
        }
        if self.is_closed() {
            return Err(Error::ShutDown);
        }
        sandbox.start().await?;
        self.running.send_replace(Some(Arc::clone(&sandbox)));
        Ok(sandbox)
    }

    /// Starts the next sandbox whenever one dies, has grown or is old.
    async fn supervise(self: Arc<Self>, mut sandbox: Arc<Sandbox>) {
        let mut backoff = Backoff::default();
        loop {
            let since = Instant::now();
            let cause = tokio::select! {
                biased;
                cause = sandbox.watch() => cause,
                (next, turn) = self.renewed(&sandbox, since) => {
                    let old = std::mem::replace(&mut sandbox, next);
                    tokio::spawn(retire(old, turn));
                    continue;
                }
            };
            if self.is_closed() {
                return;
            }
            self.running.send_replace(None);
            counter!("roma_sandbox_restarts_total").increment(1);
            tracing::error!(%cause, "a sandbox died and is being restarted");
            tokio::time::sleep(backoff.ended(since, cause)).await;
            match self.restart(&mut backoff).await {
                Some(next) => sandbox = next,
                None => return,
            }
        }
    }

    /// Waits until a sandbox has grown or is old. Returns another one that has taken its place.
    async fn renewed(
        &self,
        sandbox: &Sandbox,
        since: Instant,
    ) -> (Arc<Sandbox>, OwnedSemaphorePermit) {
        loop {
            let reason = self.overgrown(sandbox, since).await;
            let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.start().await {
                Ok(next) => {
                    counter!("roma_sandbox_renewals_total", "reason" => reason).increment(1);
                    tracing::info!(reason, "a sandbox is replaced");
                    return (next, turn);
                }
                Err(error) => {
                    tracing::warn!(reason, %error, "no other sandbox could be started to replace one");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Waits until a sandbox has grown or is old, and returns the reason to replace it.
    async fn overgrown(&self, sandbox: &Sandbox, since: Instant) -> &'static str {
        let renewal = &self.config.renewal;
        loop {
            tokio::time::sleep(renewal.next_look(since.elapsed())).await;
            let process = sandbox.process();
            let size = blocking(move || process.map(Size::of).unwrap_or_default()).await;
            if let Some(reason) = renewal.reason(since.elapsed(), size.unwrap_or_default()) {
                return reason;
            }
        }
    }

    /// Returns the next sandbox, or `None` if the slot is closed.
    async fn restart(&self, backoff: &mut Backoff) -> Option<Arc<Sandbox>> {
        loop {
            match self.start().await {
                Ok(sandbox) => return Some(sandbox),
                Err(_) if self.is_closed() => return None,
                Err(error) => {
                    tracing::error!(%error, "a sandbox does not start");
                    tokio::time::sleep(backoff.ended(Instant::now(), error)).await;
                }
            }
        }
    }

    /// Waits for a sandbox that takes code. Returns `None` once the slot is closed.
    pub async fn sandbox(&self) -> Option<InUse> {
        let mut running = self.running.subscribe();
        let change = running.wait_for(|sandbox| sandbox.is_some() || self.is_closed());
        // Kept before another one can take its place.
        let sandbox = change.await.ok()?.as_ref().map(Sandbox::keep);
        sandbox.filter(|_| !self.is_closed())
    }

    /// Waits until another sandbox than this one takes code.
    pub async fn replaced(&self, sandbox: &Arc<Sandbox>) {
        let mut running = self.running.subscribe();
        let is_other = |other: &Option<Arc<Sandbox>>| {
            other
                .as_ref()
                .is_some_and(|other| !Arc::ptr_eq(other, sandbox))
        };
        if running.wait_for(is_other).await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns whether there is a sandbox that takes code.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.running.borrow().is_some()
    }

    fn process(&self) -> Option<u32> {
        let sandbox = self.running.borrow().clone();
        sandbox?.process()
    }

    /// Starts no further sandbox. The current one runs until [`SandboxSlot::end`].
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.running.send_replace(None);
    }

    /// Ends the sandboxes. Blocks, for about two seconds at most.
    fn end(&self) {
        self.close();
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let made: Vec<_> = made.iter().filter_map(Weak::upgrade).collect();
        in_parallel(&made, |sandbox| sandbox.end());
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
