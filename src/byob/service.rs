//! The service: what an integrator holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use prost::Message;
use tokio::task::JoinSet;

use crate::banner;
use crate::book::Counts;
use crate::builder::ServiceBuilder;
use crate::config::{Mode, Platform, SyscallFilter};
use crate::engine::Engine;
use crate::error::{ConfigError, Error, ResponseError};
use crate::execution::{Canceller, ExecuteOptions, Execution, Outcome};
use crate::image::{self, Image};
use crate::load::{Binary, InForce, LoadOptions};
use crate::pool::Pool;
use crate::run::{Aftermath, Finished, Job};
use crate::token::CodeToken;

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
    engine: Arc<Engine>,
    number: u32,
    next_code: AtomicU32,
    /// Dropped, they end.
    _tasks: JoinSet<()>,
}

/// How one piece of loaded code is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CodeStatus {
    /// Its token.
    pub token: CodeToken,
    /// The name that it was loaded with.
    pub name: String,
    /// The SHA-256 of its binary.
    pub sha256: [u8; 32],
    /// Its workers and requests.
    pub counts: Counts,
    /// How many processes of it were started so far.
    pub started: u64,
    /// What holds for them beyond what holds everywhere.
    pub in_force: InForce,
    /// Why its workers do not start, if they do not: it is unhealthy then.
    pub failure: Option<Error>,
}

impl CodeStatus {
    /// Whether workers start as they should.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.failure.is_none()
    }
}

impl Service {
    /// Begins to set up a service.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }

    pub(crate) fn new(engine: Arc<Engine>, tasks: JoinSet<()>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let handle = Handle {
            engine,
            number,
            next_code: AtomicU32::new(1),
            _tasks: tasks,
        };
        Self {
            handle: Arc::new(handle),
        }
    }

    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.engine().config.mode
    }

    /// gVisor's platform in force; `None` without gVisor.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let config = &self.engine().config;
        config.mode.is_gvisor().then_some(config.platform)
    }

    /// The system call filter in force.
    #[must_use]
    pub fn syscall_filter(&self) -> SyscallFilter {
        self.engine().policy.filter
    }

    /// The process ids of the outer sandboxes' programs (`runsc`, or `run_workers` without gVisor), for
    /// whoever watches processes. One that is being restarted is missing, and all are after the shutdown.
    #[must_use]
    pub fn sandbox_processes(&self) -> Vec<u32> {
        self.engine().processes()
    }

    /// Loads a binary and waits until one process of it is ready. `binary` is a path, bytes, or the
    /// token of code that is loaded already, to load the same with other options.
    ///
    /// # Errors
    ///
    /// [`Error::Binary`] for what cannot run here, [`Error::StartCrashed`] and [`Error::NeverReady`]
    /// for what does not get ready (with what it printed), [`Error::PoolSetup`] where the sandbox
    /// fails. Nothing is loaded then.
    pub async fn load(
        &self,
        binary: impl Into<Binary>,
        options: LoadOptions,
    ) -> Result<CodeToken, Error> {
        options.check()?;
        if options.host_functions && self.engine().functions.is_empty() {
            return Err(ConfigError::LoadOption {
                option: "host_functions",
                reason: "this service has none",
            }
            .into());
        }
        let image = self.image(binary.into()).await?;
        let number = self.handle.next_code.fetch_add(1, Ordering::Relaxed);
        let token = CodeToken::new(self.handle.number, number);
        self.engine()
            .add(Arc::new(Pool::new(token, options, Arc::clone(&image))))
            .await?;
        // Nobody waits for it: whoever asks for the status finds it there.
        tokio::task::spawn_blocking(move || image.sha256());
        Ok(token)
    }

    async fn image(&self, binary: Binary) -> Result<Arc<Image>, Error> {
        if let Binary::SameAs(token) = binary {
            return Ok(Arc::clone(&self.engine().pool(token)?.image));
        }
        let libraries = self.engine().config.libraries.clone();
        let read = move || match binary {
            Binary::Path(path) => image::of_bytes(image::read(&path)?, &libraries),
            Binary::Bytes(bytes) => image::of_bytes(bytes, &libraries),
            Binary::SameAs(_) => image::of_bytes(Bytes::new(), &libraries),
        };
        let image = tokio::task::spawn_blocking(read).await;
        Ok(image.map_err(|e| Error::host("read a binary", std::io::Error::other(e)))??)
    }

    /// Ends the processes of this code and forgets it. Executions under way fail with
    /// [`Error::Deleted`]. What was loaded from its token lives on.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if there is no such code (any more).
    pub async fn delete(&self, token: &CodeToken) -> Result<(), Error> {
        self.engine().remove(*token).await
    }

    /// All code that is loaded.
    #[must_use]
    pub fn list(&self) -> Vec<CodeStatus> {
        self.engine()
            .all()
            .iter()
            .map(|pool| status_of(pool))
            .collect()
    }

    /// Whether there is such code. Cheap, unlike [`status`](Self::status).
    #[must_use]
    pub fn is_loaded(&self, token: &CodeToken) -> bool {
        self.engine().pool(*token).is_ok()
    }

    /// How this code is doing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if there is no such code.
    pub fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error> {
        Ok(status_of(&*self.engine().pool(*token)?))
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
        let request = request.into();
        let pool = self.engine().pool(*token);
        let functions = Arc::clone(&self.engine().functions);
        let traffic = Arc::clone(&self.engine().traffic);
        Execution::new(|canceller| async move {
            match pool {
                Ok(pool) => {
                    Job {
                        pool,
                        request,
                        options,
                        functions,
                        traffic,
                    }
                    .run(canceller)
                    .await
                }
                Err(error) => {
                    let aftermath = Aftermath::new(canceller.id(), request.len());
                    Finished {
                        result: Err(error),
                        aftermath,
                    }
                }
            }
        })
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
                R::decode(response).map_err(|e| Error::Response(ResponseError::Undecodable(e)))
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

    /// Ends everything that the service started: within two seconds nothing is left, whatever the
    /// UDFs do. Later calls fail with [`Error::ShutDown`].
    pub async fn shutdown(&self) {
        let engine = Arc::clone(self.engine());
        // If the runtime takes no more work, the last drop ends the service.
        let _ = tokio::task::spawn_blocking(move || engine.end()).await;
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.handle.engine
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.engine.end();
    }
}

fn status_of(pool: &Pool) -> CodeStatus {
    let status = pool.status();
    CodeStatus {
        token: pool.token,
        name: pool.options.name.clone(),
        sha256: pool.image.sha256(),
        counts: status.counts,
        started: status.started,
        in_force: status.in_force,
        failure: status.failure,
    }
}
