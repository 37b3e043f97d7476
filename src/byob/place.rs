//! A place for an outer sandbox, where the next one comes when one dies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::Error;
use crate::health::Backoff;
use crate::metrics;
use crate::outer::OuterConfig;
use crate::sandbox::Sandbox;

/// A sandbox, or a pool, that lived so long is not part of a crash loop.
pub(crate) const STABLE: Duration = Duration::from_secs(10);

/// One of the places side by side that a service's workers are spread over.
#[derive(Debug)]
pub(crate) struct Place {
    config: OuterConfig,
    /// The one that takes code.
    sandbox: watch::Sender<Option<Arc<Sandbox>>>,
    /// The one that was made last, from before it is started.
    newest: Mutex<Option<Arc<Sandbox>>>,
    closed: AtomicBool,
}

impl Place {
    pub(crate) fn new(config: OuterConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            sandbox: watch::Sender::new(None),
            newest: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Starts a sandbox, unless the place is closed or becomes so meanwhile.
    pub(crate) async fn start(&self) -> Result<Arc<Sandbox>, Error> {
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

    /// Starts the next sandbox whenever one dies.
    pub(crate) async fn supervise(self: Arc<Self>, mut sandbox: Arc<Sandbox>) {
        let mut backoff = Backoff::default();
        loop {
            let since = Instant::now();
            let cause = sandbox.watch().await;
            if self.is_closed() {
                return;
            }
            self.sandbox.send_replace(None);
            metrics::sandbox_restarted();
            tracing::error!(%cause, "a sandbox died and is being restarted");
            if since.elapsed() > STABLE {
                backoff.success();
            }
            backoff.failure(Instant::now(), cause);
            match self.restart(&mut backoff).await {
                Some(next) => sandbox = next,
                None => return,
            }
        }
    }

    /// The next sandbox; `None` if there is to be none.
    async fn restart(&self, backoff: &mut Backoff) -> Option<Arc<Sandbox>> {
        loop {
            tokio::time::sleep(backoff.pause(Instant::now())).await;
            match self.start().await {
                Ok(sandbox) => return Some(sandbox),
                Err(_) if self.is_closed() => return None,
                Err(error) => {
                    tracing::error!(%error, "a sandbox does not start");
                    backoff.failure(Instant::now(), error);
                }
            }
        }
    }

    /// The sandbox that there is, or the next one; none once there will be no other.
    pub(crate) async fn sandbox(&self) -> Option<Arc<Sandbox>> {
        let mut sandbox = self.sandbox.subscribe();
        let change = sandbox.wait_for(|sandbox| sandbox.is_some() || self.is_closed());
        let sandbox = change.await.ok()?.clone();
        sandbox.filter(|_| !self.is_closed())
    }

    /// Whether there is a sandbox that takes code.
    pub(crate) fn is_up(&self) -> bool {
        self.sandbox.borrow().is_some()
    }

    /// The number of the sandbox's process, if there is one now.
    pub(crate) fn process(&self) -> Option<u32> {
        let sandbox = self.sandbox.borrow().clone();
        sandbox?.process()
    }

    /// There will be no other sandbox. What there is goes on until [`Place::end`].
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.sandbox.send_replace(None);
    }

    /// Ends what there is. Blocks, at most for about two seconds.
    pub(crate) fn end(&self) {
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
