//! The service: the handle of an integrator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use prost::Message;
use roma_core::metrics::{self, CountedExecution};
use roma_core::{
    BoxFuture, Canceller, Code, CodeStatus, CodeToken, ConfigError, Engine, Error, ExecuteOptions,
    Execution, Outcome, ResponseError,
};
use roma_supervise::{Mode, Platform, SyscallFilter, banner};

use crate::binary::{self, Image};
use crate::options::{Binary, LoadOptions};
use crate::registry::{Loaded, Registry};
use crate::request::{self, Request};

/// Runs other people's binaries, a fresh sandboxed process for each request.
///
/// Cheap to clone. When the last clone is dropped, everything that it started ends; that blocks for
/// a moment (at most about two seconds), so in async code prefer [`Service::shutdown`].
///
/// ```no_run
/// use roma_byob::{ExecuteOptions, LoadOptions, Service};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), roma_byob::Error> {
/// let service = Service::builder().start().await?;
/// let code = service.load("/opt/udfs/score", LoadOptions::with_workers(8)).await?;
/// let response = service.execute(&code, &b"a request"[..], ExecuteOptions::default()).await?;
/// println!("{} bytes", response.len());
/// service.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Service {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    registry: Arc<Registry>,
    number: u32,
    next_code: AtomicU32,
}

impl Service {
    pub(crate) fn new(registry: Registry) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let handle = Handle {
            registry: Arc::new(registry),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            next_code: AtomicU32::new(1),
        };
        Self {
            handle: Arc::new(handle),
        }
    }

    /// Returns the mode in force.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.registry().config.mode
    }

    /// Returns gVisor's platform in force; `None` without gVisor.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let config = &self.registry().config;
        config.mode.is_gvisor().then_some(config.platform)
    }

    /// Returns the system call filter in force.
    #[must_use]
    pub fn syscall_filter(&self) -> SyscallFilter {
        self.registry().policy.filter
    }

    /// Returns the process ids of the programs of the outer sandboxes (`runsc`, or `run_workers` without
    /// gVisor), for monitoring. One that is being restarted is missing; after the shutdown all are.
    #[must_use]
    pub fn sandbox_processes(&self) -> Vec<u32> {
        self.registry().processes()
    }

    /// Loads a binary and waits until one process of it is ready. `binary` is a path, bytes, or the token
    /// of loaded code, to load the same with other options.
    ///
    /// # Errors
    ///
    /// [`BinaryError`](crate::BinaryError) in [`Error::Engine`] for a binary that cannot run here,
    /// [`Error::StartCrashed`] and [`Error::NeverReady`] for one that does not become ready (with its
    /// output), [`Error::PoolSetup`] if the sandbox fails. Nothing is loaded then.
    pub async fn load(
        &self,
        binary: impl Into<Binary>,
        options: LoadOptions,
    ) -> Result<CodeToken, Error> {
        options.check()?;
        if options.host_functions && self.registry().functions.is_empty() {
            return Err(ConfigError::LoadOption {
                option: "host_functions",
                reason: "this service has none",
            }
            .into());
        }
        if options.own_sandbox && !self.registry().config.mode.is_gvisor() {
            return Err(ConfigError::LoadOption {
                option: "own_sandbox",
                reason: "only a service in gVisor mode makes sandboxes",
            }
            .into());
        }
        let image = self.image(binary.into()).await?;
        let number = self.handle.next_code.fetch_add(1, Ordering::Relaxed);
        let token = CodeToken::new(self.handle.number, number);
        let code = Loaded::new(token, options, Arc::clone(&image))?;
        self.registry().add(code).await?;
        // Not waited for: it is only there sooner for the first status.
        tokio::task::spawn_blocking(move || image.sha256());
        Ok(token)
    }

    async fn image(&self, binary: Binary) -> Result<Arc<Image>, Error> {
        if let Binary::SameAs(token) = binary {
            return Ok(Arc::clone(&self.registry().get(token)?.image));
        }
        let libraries = self.registry().config.libraries.clone();
        let read = move || match binary {
            Binary::Path(path) => Image::new(binary::read(&path)?, &libraries),
            Binary::Bytes(bytes) => Image::new(bytes, &libraries),
            Binary::SameAs(_) => Image::new(Bytes::new(), &libraries),
        };
        let image = tokio::task::spawn_blocking(read).await;
        Ok(image.map_err(|e| Error::host("read a binary", std::io::Error::other(e)))??)
    }

    /// Ends the processes of this code and forgets it. Executions under way fail with
    /// [`Error::Deleted`]. Code that was loaded from its token is not affected.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if there is no such code.
    pub async fn delete(&self, token: &CodeToken) -> Result<(), Error> {
        self.registry().remove(*token).await
    }

    /// Returns the status of all code that is loaded.
    #[must_use]
    pub fn list(&self) -> Vec<CodeStatus> {
        let all = self.registry().all();
        all.iter().map(|code| code.status()).collect()
    }

    /// Returns whether there is such code. Cheap, unlike [`status`](Self::status).
    #[must_use]
    pub fn is_loaded(&self, token: &CodeToken) -> bool {
        self.registry().get(*token).is_ok()
    }

    /// Returns how this code is doing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if there is no such code.
    pub fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error> {
        Ok(self.registry().get(*token)?.status())
    }

    /// Executes a request, as bytes, in a fresh process.
    pub fn execute(
        &self,
        token: &CodeToken,
        request: impl Into<Bytes>,
        options: ExecuteOptions,
    ) -> Execution {
        if self.mode() == Mode::Minimal {
            banner::warn_of_execution();
        }
        let payload = request.into();
        let code = self.registry().get(*token);
        let code = match code {
            Ok(code) => code,
            Err(error) => {
                metrics::refused(&error);
                return Execution::new(|canceller| async move {
                    request::refuse(&canceller, payload.len(), error)
                });
            }
        };
        let request = Request {
            // From here on, because an execution that is never awaited was dropped, too.
            counted: CountedExecution::begin(&code.metrics),
            code,
            payload,
            options,
            functions: Arc::clone(&self.registry().functions),
            in_flight: Arc::clone(&self.registry().in_flight),
        };
        Execution::new(|canceller| request.run(canceller))
    }

    /// Executes a request that is a protobuf message, answered by another.
    ///
    /// ```no_run
    /// # #[derive(Clone, PartialEq, prost::Message)]
    /// # struct EchoRequest { #[prost(string, tag = "1")] message: String }
    /// # #[derive(Clone, PartialEq, prost::Message)]
    /// # struct EchoResponse { #[prost(string, tag = "1")] message: String }
    /// # async fn example(service: roma_byob::Service, code: roma_byob::CodeToken) -> Result<(), roma_byob::Error> {
    /// let request = EchoRequest { message: "hello".into() };
    /// let response: EchoResponse = service.call(&code, &request, Default::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<R: Message + Default>(
        &self,
        token: &CodeToken,
        request: &impl Message,
        options: ExecuteOptions,
    ) -> Execution<R> {
        self.execute(token, request.encode_to_vec(), options)
            .decoded(|response| {
                R::decode(response)
                    .map_err(|e| Error::Response(ResponseError::Undecodable(e.to_string())))
            })
    }

    /// Executes a request in the background. `callback` is called once, when the process is gone, on
    /// a task of its own: it may take its time.
    pub fn execute_with_callback(
        &self,
        token: &CodeToken,
        request: impl Into<Bytes>,
        options: ExecuteOptions,
        callback: impl FnOnce(Outcome) + Send + 'static,
    ) -> Canceller {
        let execution = self.execute(token, request, options);
        let canceller = execution.canceller();
        tokio::spawn(async move { callback(execution.outcome().await) });
        canceller
    }

    /// Ends everything that the service started. Within two seconds nothing is left, whatever the UDFs
    /// do. Later calls fail with [`Error::ShutDown`].
    pub async fn shutdown(&self) {
        let registry = Arc::clone(self.registry());
        // If the runtime takes no more work, the last drop ends the service.
        let _ = tokio::task::spawn_blocking(move || registry.end()).await;
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.handle.registry
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.registry.end();
    }
}

impl Engine for Service {
    fn kind(&self) -> &'static str {
        "byob"
    }

    fn load(&self, code: Code) -> BoxFuture<'_, Result<CodeToken, Error>> {
        Box::pin(async move {
            let options = LoadOptions::from_json(&code.name, &code.options)?;
            self.load(code.bytes, options).await
        })
    }

    fn execute(&self, token: &CodeToken, request: Bytes, options: ExecuteOptions) -> Execution {
        self.execute(token, request, options)
    }

    fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error> {
        self.status(token)
    }

    fn list(&self) -> Vec<CodeStatus> {
        self.list()
    }

    fn delete(&self, token: &CodeToken) -> BoxFuture<'_, Result<(), Error>> {
        let token = *token;
        Box::pin(async move { self.delete(&token).await })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shutdown())
    }
}
