//! Slots for sandboxes. Each slot restarts its sandbox when that dies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::counter;
use roma_core::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::outer::OuterConfig;
use crate::sandbox::Sandbox;

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
        let slots: Vec<_> = (0..count)
            .map(|_| SandboxSlot::new(config.clone()))
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
    // In parallel, because each may take its time; one after the other if there are no threads.
    std::thread::scope(|scope| {
        for slot in slots {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || slot.end());
            if thread.is_err() {
                slot.end();
            }
        }
    });
}

/// A place for one sandbox, which is replaced when it dies.
#[derive(Debug)]
pub struct SandboxSlot {
    config: OuterConfig,
    /// The one that takes code.
    running: watch::Sender<Option<Arc<Sandbox>>>,
    /// The one that was made last, from before it is started.
    newest: Mutex<Option<Arc<Sandbox>>>,
    closed: AtomicBool,
}

impl SandboxSlot {
    fn new(config: OuterConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            running: watch::Sender::new(None),
            newest: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Starts a sandbox, unless the slot is closed or is closed meanwhile.
    async fn start(&self) -> Result<Arc<Sandbox>, Error> {
        let sandbox = Sandbox::new(&self.config)?;
        // Stored before it starts, so that `end` finds it at any stage.
        *self.newest() = Some(Arc::clone(&sandbox));
        if self.is_closed() {
            return Err(Error::ShutDown);
        }
        sandbox.start().await?;
        self.running.send_replace(Some(Arc::clone(&sandbox)));
        Ok(sandbox)
    }

    /// Starts the next sandbox whenever one dies.
    async fn supervise(self: Arc<Self>, mut sandbox: Arc<Sandbox>) {
        let mut backoff = Backoff::default();
        loop {
            let since = Instant::now();
            let cause = sandbox.watch().await;
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
    pub async fn sandbox(&self) -> Option<Arc<Sandbox>> {
        let mut running = self.running.subscribe();
        let change = running.wait_for(|sandbox| sandbox.is_some() || self.is_closed());
        let sandbox = change.await.ok()?.clone();
        sandbox.filter(|_| !self.is_closed())
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

    /// Ends the current sandbox. Blocks, for about two seconds at most.
    fn end(&self) {
        self.close();
        let newest = self.newest().clone();
        if let Some(sandbox) = newest {
            sandbox.end();
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn newest(&self) -> MutexGuard<'_, Option<Arc<Sandbox>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
