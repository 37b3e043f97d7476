//! The service: the handle of an integrator.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_core::{
    BoxFuture, Caller, Canceller, CodeToken, ConfigError, Error, ExecuteOptions, Execution,
    Finished, Report, Times,
};
use roma_pool::{Deployments, Patience, Pool, Preparation};
use roma_supervise::{Mode, Slots, banner};
use roma_v8_protocol::Load;

use crate::builder::ServiceBuilder;
use crate::catalog::{Catalog, Loaded};
use crate::code::CodeObject;
use crate::conversation::{self, Listeners};
use crate::failure::{Cause, ScriptError};
use crate::invocation::Invocation;

/// How long code may take to load, and to wait for a worker before.
const LOAD_TIME: Duration = Duration::from_secs(10);

/// The smallest heap that V8 starts with.
const SMALLEST_HEAP: u64 = 4 << 20;

/// What code may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The heap of each piece of code in each worker, in bytes. `None` is V8's own limit.
    pub heap: Option<u64>,
    /// All array buffers of such a heap together, in bytes.
    pub array_buffers: u64,
    /// The largest request, in bytes.
    pub max_request: usize,
    /// The largest response, in bytes.
    pub max_response: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heap: Some(128 << 20),
            array_buffers: 128 << 20,
            max_request: 64 << 20,
            max_response: 64 << 20,
        }
    }
}

impl Limits {
    /// The largest heap, and the most bytes of array buffers: 16 GiB.
    pub const MAX_MEMORY: u64 = 16 << 30;
    /// The largest request and response: 1 GiB.
    pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

    /// Refuses numbers that cannot be, by name.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let (memory, message) = (Self::MAX_MEMORY, Self::MAX_MESSAGE_BYTES as u64);
        for (option, value, most) in [
            ("limits.heap", self.heap.unwrap_or(0), memory),
            ("limits.array_buffers", self.array_buffers, memory),
            ("limits.max_request", self.max_request as u64, message),
            ("limits.max_response", self.max_response as u64, message),
        ] {
            ConfigError::at_most(option, value, most, "no code needs as much")?;
        }
        match self.heap {
            Some(heap) if heap < SMALLEST_HEAP => Err(ConfigError::ServiceOption {
                option: "limits.heap",
                reason: "V8 does not start with less than 4 MiB",
            }),
            _ => Ok(()),
        }
    }
}

/// Runs other people's JavaScript and WebAssembly, each request in a context of its own.
///
/// Cheap to clone. When the last clone is dropped, everything that it started ends.
#[derive(Debug, Clone)]
pub struct Service {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    slots: Slots,
    pool: Arc<Pool>,
    deployments: Mutex<Option<Deployments>>,
    catalog: Catalog,
    listeners: Listeners,
    functions: Vec<String>,
    limits: Limits,
    mode: Mode,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.pool.close(Error::ShutDown);
        self.slots.end();
    }
}

impl Service {
    /// Returns a builder with the defaults.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }

    pub(crate) fn new(
        slots: Slots,
        pool: Arc<Pool>,
        deployments: Deployments,
        listeners: Listeners,
        functions: Vec<String>,
        limits: Limits,
        mode: Mode,
    ) -> Self {
        let handle = Handle {
            slots,
            pool,
            deployments: Mutex::new(Some(deployments)),
            catalog: Catalog::default(),
            listeners,
            functions,
            limits,
            mode,
        };
        Self {
            handle: Arc::new(handle),
        }
    }

    pub(crate) async fn until_ready(&self, preparation: Preparation) -> Result<(), Error> {
        preparation.done().await?;
        self.handle.pool.until_first_ready().await
    }

    /// Loads code, in place of that of the same version. One worker tries it; the others get it when they are
    /// asked for it first. Calls that have begun end with the code that they began with.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what cannot be code, a [`ScriptError`] in [`Error::Engine`] for code that does not
    /// compile or throws, [`Error::Deadline`] for code that takes too long. What was loaded before stays then.
    pub async fn load(&self, code: CodeObject) -> Result<(), Error> {
        code.check()?;
        let Handle {
            pool,
            catalog,
            listeners,
            limits,
            functions,
            ..
        } = &*self.handle;
        let load = Load {
            code: catalog.number(),
            script: code.js,
            wasm: code.wasm.into(),
            wasm_name: code.wasm_array_name,
            functions: functions.clone(),
            heap: limits.heap.unwrap_or(0),
            array_buffers: limits.array_buffers,
            deadline_micros: micros(LOAD_TIME),
        };
        let patience = Patience::new(LOAD_TIME);
        let (mut lease, _) = pool.acquire_ready(patience, |_| Ok(())).await?;
        pool.refill();
        let reported = conversation::load(&mut lease, &load, LOAD_TIME, listeners).await?;
        lease.give_back();
        reported?;
        catalog.insert(code.version, load);
        Ok(())
    }

    /// Forgets code. Returns whether it was loaded. Calls that have begun go on.
    #[must_use]
    pub fn delete(&self, version: &str) -> bool {
        self.handle.catalog.remove(version)
    }

    /// Calls a handler in a context that no other call has. The response is JSON, or bytes if the handler returns
    /// a view of an array buffer.
    ///
    /// # Errors
    ///
    /// When awaited: a [`ScriptError`] in [`Error::Engine`] for what the code does wrong, and the errors of every
    /// engine: [`Error::Deadline`], [`Error::Cancelled`], [`Error::Died`], [`Error::QueueFull`] and so on.
    pub fn execute(&self, invocation: Invocation, options: ExecuteOptions) -> Execution {
        let service = self.clone();
        Execution::new(move |canceller: Canceller| async move {
            let mut report = Report::new(canceller.id(), invocation.size());
            let result = tokio::select! {
                biased;
                () = canceller.cancelled() => Err(Error::Cancelled),
                result = service.call(invocation, options, &canceller, &mut report.times) => result,
            };
            report.response_bytes = result.as_ref().map_or(0, Bytes::len);
            let times = report.times;
            let report: BoxFuture<'static, Report> = Box::pin(std::future::ready(report));
            Finished {
                result,
                times,
                report,
            }
        })
    }

    async fn call(
        &self,
        invocation: Invocation,
        options: ExecuteOptions,
        canceller: &Canceller,
        times: &mut Times,
    ) -> Result<Bytes, Error> {
        let Handle {
            pool,
            listeners,
            mode,
            ..
        } = &*self.handle;
        let loaded = self.find(&invocation)?;
        let limit = options.deadline;
        if limit.is_zero() {
            // A worker that got it could win the race against no time at all.
            return Err(Error::Deadline { limit });
        }
        if *mode == Mode::Minimal {
            banner::warn_of_execution();
        }
        let patience = Patience::new(options.queue_timeout);
        let (mut lease, _) = pool.acquire_ready(patience, |_| Ok(())).await?;
        pool.refill();
        times.queue = patience.since.elapsed();
        let caller = Caller {
            execution: canceller.id(),
            code: CodeToken::new(0, 0),
            metadata: options.metadata,
        };
        let call = invocation.into_call(loaded.load.code, micros(limit));
        let began = Instant::now();
        let reported =
            conversation::call(&mut lease, &loaded.load, call, limit, listeners, &caller).await;
        times.run = began.elapsed();
        let reported = reported?;
        lease.give_back();
        reported
    }

    fn find(&self, invocation: &Invocation) -> Result<Arc<Loaded>, Error> {
        let (size, limit) = (invocation.size(), self.handle.limits.max_request);
        if size > limit {
            return Err(Error::RequestTooLarge { size, limit });
        }
        let found = self.handle.catalog.get(&invocation.version);
        found.ok_or_else(|| ScriptError::error(Cause::NotLoaded, ""))
    }

    /// Returns the process ids of the programs of the outer sandboxes, for monitoring.
    #[must_use]
    pub fn sandbox_processes(&self) -> Vec<u32> {
        self.handle.slots.processes()
    }

    /// Ends everything that the service started. Later calls fail with [`Error::ShutDown`].
    pub async fn shutdown(&self) {
        let deployments = self
            .handle
            .deployments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(deployments) = deployments {
            deployments.end(Error::ShutDown).await;
        }
        let handle = Arc::clone(&self.handle);
        let _ = tokio::task::spawn_blocking(move || handle.slots.end()).await;
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_accepted_up_to_their_maximum_and_refused_above() {
        let check = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check()
        };
        check(|l| l.heap = None).unwrap();
        check(|l| (l.heap, l.array_buffers) = (Some(16 << 30), 16 << 30)).unwrap();
        check(|l| (l.max_request, l.max_response) = (1 << 30, 0)).unwrap();
        check(|l| l.heap = Some((4 << 20) - 1)).unwrap_err();
        check(|l| l.heap = Some(u64::MAX)).unwrap_err();
        check(|l| l.array_buffers = u64::MAX).unwrap_err();
        check(|l| l.max_request = usize::MAX).unwrap_err();
        check(|l| l.max_response = (1 << 30) + 1).unwrap_err();
    }
}
