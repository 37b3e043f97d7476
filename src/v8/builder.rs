//! Starting a service.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use roma_core::{CodeToken, ConfigError, Error, HostCallError, HostCallLimits};
use roma_pool::{Deployments, Pool, PoolOptions};
use roma_sandbox::limits::WorkerLimits;
use roma_sandbox::seccomp::FilterLevel;
use roma_supervise::{
    LibraryMount, Mode, Platform, PoolCode, SandboxOptions, Slots, banner, cores,
};

use crate::conversation::Listeners;
use crate::host::{Functions, HostValue, Line, ScriptCall};
use crate::service::{Limits, Service};

/// Where workers find V8's libraries and their loader: as in src/v8_worker/BUILD.bazel.
const LIBRARIES: &str = "/v8";
const MIB: u64 = 1 << 20;
/// The largest number of workers.
const MOST_WORKERS: u32 = 256;

/// What a service is to be like. Start from [`Service::builder`].
#[must_use = "a builder does nothing until it is started"]
pub struct ServiceBuilder {
    sandbox: SandboxOptions,
    functions: Functions,
    lines: Option<Arc<dyn Fn(Line) + Send + Sync>>,
    workers: u32,
    max_waiting: u32,
    limits: Limits,
    worker_program: Option<PathBuf>,
    runtime: Option<PathBuf>,
    error: Option<ConfigError>,
}

impl Default for ServiceBuilder {
    fn default() -> Self {
        Self {
            sandbox: SandboxOptions::default(),
            functions: Functions::default(),
            lines: None,
            workers: cores(),
            max_waiting: 1024,
            limits: Limits::default(),
            worker_program: None,
            runtime: None,
            error: None,
        }
    }
}

impl ServiceBuilder {
    /// The outer sandbox. By default gVisor.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.sandbox.mode = mode;
        self
    }

    /// gVisor's platform. By default the fastest that works.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.sandbox.platform = platform;
        self
    }

    /// How many gVisor sandboxes share the work. By default one for each core, up to four.
    pub fn sandboxes(mut self, count: u32) -> Self {
        self.sandbox.sandboxes = Some(count);
        self
    }

    /// The folder for the files of the service.
    pub fn run_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.run_dir = Some(path.into());
        self
    }

    /// The program `run_workers`. By default $ROMA_RUN_WORKERS, beside this program, or in $PATH.
    pub fn run_workers(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.programs.run_workers = Some(path.into());
        self
    }

    /// gVisor's program `runsc`. By default $ROMA_RUNSC, beside this program, or in $PATH.
    pub fn runsc(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.programs.runsc = Some(path.into());
        self
    }

    /// The program `v8_worker`. By default $ROMA_V8_WORKER.
    pub fn v8_worker(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker_program = Some(path.into());
        self
    }

    /// The folder with V8's libraries and their loader. By default $ROMA_V8_RUNTIME.
    pub fn v8_runtime(mut self, folder: impl Into<PathBuf>) -> Self {
        self.runtime = Some(folder.into());
        self
    }

    /// Whether `DISABLE_GVISOR` counts.
    pub fn obey_environment(mut self, obey: bool) -> Self {
        self.sandbox.obey_environment = obey;
        self
    }

    /// Whether a service without gVisor says so in a banner on standard error (it does by default).
    pub fn banner(mut self, banner: bool) -> Self {
        self.sandbox.banner = banner;
        self
    }

    /// How many processes run code, 1 to 256. By default one for each core. Each runs one request at a time.
    pub fn workers(mut self, count: u32) -> Self {
        self.workers = count;
        self
    }

    /// How many requests may wait for a worker. By default 1024.
    pub fn max_waiting(mut self, count: u32) -> Self {
        self.max_waiting = count;
        self
    }

    /// What code may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A function that scripts call by its name, which may have dots: `a.b.c`.
    pub fn host_function<F, A>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(ScriptCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<HostValue, HostCallError>> + Send + 'static,
    {
        if let Err(error) = self.functions.register(name.into(), handler) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Limits of the calls of host functions.
    pub fn host_call_limits(mut self, limits: HostCallLimits) -> Self {
        self.functions.all.limits = limits;
        self
    }

    /// What happens to each line that scripts print. By default nothing.
    pub fn on_line(mut self, handler: impl Fn(Line) + Send + Sync + 'static) -> Self {
        self.lines = Some(Arc::new(handler));
        self
    }

    /// Checks everything, starts the sandboxes and waits until a worker is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names an option that cannot be; [`Error::SandboxStart`] tells why a sandbox did not
    /// start, and [`Error::StartCrashed`] why a worker did not.
    pub async fn start(mut self) -> Result<Service, Error> {
        self.check()?;
        let program = named(self.worker_program.take(), "ROMA_V8_WORKER", "v8_worker")?;
        let runtime = named(self.runtime.take(), "ROMA_V8_RUNTIME", "V8's libraries")?;
        self.sandbox.libraries = vec![LibraryMount::at(runtime, LIBRARIES)];
        let read = tokio::task::spawn_blocking(move || std::fs::read(program)).await;
        let bytes = read
            .unwrap_or_else(|e| Err(std::io::Error::other(e)))
            .map_err(|e| Error::host("read v8_worker", e))?;
        let config = self.sandbox.resolve().await?;
        let sandboxes = self.sandbox.sandbox_count();
        let slots = Slots::start(&config, sandboxes).await?;
        banner::announce(&config, self.sandbox.banner);
        let pool = Arc::new(Pool::new(CodeToken::new(0, 0), self.pool_options())?);
        let code = self.pool_code(bytes);
        let (deployments, preparation) =
            Deployments::start(&slots, &pool, code, sandboxes.min(self.workers));
        let listeners = Listeners {
            functions: Arc::new(self.functions.all),
            lines: self.lines,
            most_bytes: self.limits.max_response + MIB as usize,
        };
        let service = Service::new(
            slots,
            pool,
            deployments,
            listeners,
            self.functions.names,
            self.limits,
            config.mode,
        );
        service.until_ready(preparation).await?;
        Ok(service)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !(1..=MOST_WORKERS).contains(&self.workers) {
            return Err(ConfigError::ServiceOption {
                option: "workers",
                reason: "there may be 1 to 256",
            });
        }
        self.limits.check()?;
        self.functions.all.limits.check()
    }

    fn pool_options(&self) -> PoolOptions {
        PoolOptions {
            name: "v8".to_owned(),
            workers: self.workers,
            max_live: self.workers + 1,
            max_waiting: self.max_waiting,
            log_bytes: 4096,
            ..PoolOptions::default()
        }
    }

    fn pool_code(&self, bytes: Vec<u8>) -> PoolCode {
        let heap = self.limits.heap.unwrap_or(0) + self.limits.array_buffers;
        PoolCode {
            bytes: bytes.into(),
            filter: FilterLevel::Strict,
            private_ipc: true,
            worker_limits: WorkerLimits {
                // Several pieces of code have a heap each in one process, and V8 itself takes some.
                data: self.limits.heap.map(|_| 8 * heap + 512 * MIB),
                processes: Some(16),
                open_files: Some(64),
                ..WorkerLimits::default()
            },
            max_live: self.workers + 1,
            copies: 1 << 30,
            ..PoolCode::default()
        }
    }
}

fn named(
    given: Option<PathBuf>,
    variable: &'static str,
    program: &'static str,
) -> Result<PathBuf, ConfigError> {
    let path = given.or_else(|| std::env::var_os(variable).map(PathBuf::from));
    let Some(path) = path else {
        let hint = format!(
            "build //src/v8_worker and //third_party/v8:runtime, and name it with {variable}"
        );
        return Err(ConfigError::MissingProgram { program, hint });
    };
    match path.exists() {
        true => Ok(std::path::absolute(&path).unwrap_or(path)),
        false => Err(ConfigError::NoSuchProgram { program, path }),
    }
}
