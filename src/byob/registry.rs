//! The code that a service has loaded, and the sandboxes in which it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use roma_core::metrics::ExecutionMetrics;
use roma_core::{CodeStatus, CodeToken, Error, HostFunctions};
use roma_pool::{Deployments, Pool};
use roma_supervise::{OuterConfig, Slots};

use crate::binary::Image;
use crate::in_flight::InFlight;
use crate::options::{LoadOptions, Logs};
use crate::policy::Policy;

/// One piece of loaded code.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) pool: Arc<Pool>,
    pub(crate) options: LoadOptions,
    pub(crate) image: Arc<Image>,
    pub(crate) metrics: Arc<ExecutionMetrics>,
}

impl Loaded {
    pub(crate) fn new(
        token: CodeToken,
        options: LoadOptions,
        image: Arc<Image>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            pool: Arc::new(Pool::new(token, options.to_pool_options())?),
            metrics: Arc::new(ExecutionMetrics::new(&options.name)),
            options,
            image,
        }))
    }

    /// Returns whether the output of the UDF may leave the sandbox.
    pub(crate) fn keeps_logs(&self) -> bool {
        self.options.logs != Logs::Off
    }

    pub(crate) fn status(&self) -> CodeStatus {
        let status = self.pool.status();
        let sha256 = self.image.sha256();
        let mut code = CodeStatus::new(self.pool.token(), self.options.name.clone(), sha256);
        code.counts = status.counts;
        code.started = status.started;
        code.in_force = status.in_force;
        code.failure = status.failure;
        code
    }
}

#[derive(Debug)]
struct Entry {
    code: Arc<Loaded>,
    deployments: Deployments,
    /// The sandbox of this code alone, if it has one.
    own: Option<Slots>,
}

impl Entry {
    /// Waits until nothing of the code is left.
    async fn end(self) {
        self.deployments.end(Error::Deleted).await;
        if let Some(own) = self.own {
            let _ = tokio::task::spawn_blocking(move || own.end()).await;
        }
    }
}

/// The loaded code of one service, and what all of it shares.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) config: OuterConfig,
    pub(crate) policy: Policy,
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) in_flight: Arc<InFlight>,
    slots: Slots,
    entries: RwLock<BTreeMap<CodeToken, Entry>>,
    closed: AtomicBool,
}

impl Registry {
    pub(crate) fn new(
        config: OuterConfig,
        slots: Slots,
        policy: Policy,
        functions: HostFunctions,
    ) -> Self {
        Self {
            in_flight: InFlight::new(config.mode),
            config,
            policy,
            functions: Arc::new(functions),
            slots,
            entries: RwLock::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Adds code and waits until one of its workers was ready. The code is removed if that fails.
    pub(crate) async fn add(&self, code: Arc<Loaded>) -> Result<(), Error> {
        let pool = Arc::clone(&code.pool);
        let bytes = code.image.bytes.clone();
        let spawners = code.options.spawners.unwrap_or(self.policy.spawners);
        let pool_code = code.options.to_pool_code(bytes, &self.policy);
        let own = match code.options.own_sandbox {
            true => Some(Slots::start(&self.config, 1).await?),
            false => None,
        };
        let slots = own.as_ref().unwrap_or(&self.slots);
        let (deployments, preparation) = Deployments::start(slots, &pool, pool_code, spawners);
        {
            let mut entries = self.write();
            if self.is_closed() {
                end_in_background(own);
                return Err(Error::ShutDown);
            }
            let entry = Entry {
                code,
                deployments,
                own,
            };
            entries.insert(pool.token(), entry);
        }
        let guard = RemoveOnDrop {
            registry: self,
            token: pool.token(),
            is_armed: true,
        };
        preparation.done().await?;
        pool.until_first_ready().await?;
        guard.disarm();
        Ok(())
    }

    pub(crate) fn get(&self, token: CodeToken) -> Result<Arc<Loaded>, Error> {
        match self.read().get(&token) {
            Some(entry) => Ok(Arc::clone(&entry.code)),
            None if self.is_closed() => Err(Error::ShutDown),
            None => Err(Error::UnknownToken(token)),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Loaded>> {
        let entries = self.read();
        entries
            .values()
            .map(|entry| Arc::clone(&entry.code))
            .collect()
    }

    /// Removes code and waits until nothing of it is left.
    pub(crate) async fn remove(&self, token: CodeToken) -> Result<(), Error> {
        let entry = self.write().remove(&token);
        let entry = entry.ok_or(Error::UnknownToken(token))?;
        entry.end().await;
        Ok(())
    }

    /// Ends everything. Blocks, for about two seconds at most.
    pub(crate) fn end(&self) {
        let entries = {
            let mut entries = self.write();
            self.closed.store(true, Ordering::Release);
            std::mem::take(&mut *entries)
        };
        for entry in entries.values() {
            entry.code.pool.close(Error::ShutDown);
        }
        let own = entries.values().filter_map(|entry| entry.own.as_ref());
        Slots::end_all(own.chain([&self.slots]));
    }

    /// Returns the ids of the processes of the sandboxes that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut processes = self.slots.processes();
        let entries = self.read();
        let own = entries.values().filter_map(|entry| entry.own.as_ref());
        processes.extend(own.flat_map(Slots::processes));
        processes
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<CodeToken, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<CodeToken, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes code whose load fails or is dropped.
struct RemoveOnDrop<'a> {
    registry: &'a Registry,
    token: CodeToken,
    is_armed: bool,
}

impl RemoveOnDrop<'_> {
    fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        if self.is_armed
            && let Some(entry) = self.registry.write().remove(&self.token)
        {
            entry.code.pool.close(Error::Deleted);
            end_in_background(entry.own);
        }
    }
}

/// Ends the sandbox of one piece of code, which takes a while, without waiting for it.
fn end_in_background(own: Option<Slots>) {
    if let Some(own) = own {
        // Without a thread, it ends when the last task that uses it does.
        let _ = std::thread::Builder::new().spawn(move || own.end());
    }
}
