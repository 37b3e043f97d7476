//! How a service is set up.

use std::future::Future;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::banner;
use crate::config::{LibraryMount, Mode, Platform, SyscallFilter, check_mounts};
use crate::engine::Engine;
use crate::error::{ConfigError, Error};
use crate::grpc::GrpcCode;
use crate::host_functions::{HostCall, HostCallError, HostCallLimits, HostFunctions};
use crate::installed;
use crate::instance;
use crate::outer::{self, OuterConfig};
use crate::platform;
use crate::programs::{self, Programs};
use crate::sandbox::PoolPolicy;
use crate::service::Service;

/// Below that a watchdog would bite whoever only waits for a processor.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// How many gVisor sandboxes there may be.
const SANDBOXES: RangeInclusive<u32> = 1..=64;

/// Sets up a [`Service`]. What is not said is at its safe default.
///
/// ```no_run
/// use roma_byob::{HostCall, LibraryMount, Mode, Service, SyscallFilter};
///
/// # async fn example() -> Result<(), roma_byob::Error> {
/// let service = Service::builder()
///     .mode(Mode::Gvisor)
///     .syscall_filter(SyscallFilter::Engine)
///     .library(LibraryMount::at("/opt/models", "/models"))
///     .host_function("lookup", |call: HostCall| async move { Ok(call.payload) })
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct ServiceBuilder {
    mode: Mode,
    platform: Platform,
    filter: SyscallFilter,
    private_ipc: bool,
    libraries: Vec<LibraryMount>,
    memory: Option<u64>,
    sandboxes: Option<u32>,
    silence: Duration,
    run_dir: Option<PathBuf>,
    programs: Programs,
    functions: HostFunctions,
    error: Option<ConfigError>,
    environment: bool,
    banner: bool,
}

impl Default for ServiceBuilder {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            platform: Platform::default(),
            filter: SyscallFilter::default(),
            private_ipc: true,
            libraries: Vec::new(),
            memory: None,
            sandboxes: None,
            silence: Duration::from_secs(10),
            run_dir: None,
            programs: Programs::default(),
            functions: HostFunctions::default(),
            error: None,
            environment: true,
            banner: true,
        }
    }
}

impl ServiceBuilder {
    /// What encloses the engine. The environment variable `DISABLE_GVISOR=true` turns the modes
    /// with gVisor into [`Mode::Minimal`].
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// How gVisor intercepts system calls.
    pub fn platform(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    /// Which system calls UDFs may make.
    pub fn syscall_filter(self, filter: SyscallFilter) -> Self {
        Self { filter, ..self }
    }

    /// Whether each execution has System V and POSIX IPC of its own (the default). Without, only a
    /// system call filter keeps executions of the same code from leaving messages for each other.
    pub fn private_ipc(self, private_ipc: bool) -> Self {
        Self {
            private_ipc,
            ..self
        }
    }

    /// A folder that UDFs may read.
    pub fn library(mut self, mount: impl Into<LibraryMount>) -> Self {
        self.libraries.push(mount.into());
        self
    }

    /// Folders that UDFs may read, such as [`system_libraries`](crate::system_libraries).
    pub fn libraries(mut self, mounts: impl IntoIterator<Item = LibraryMount>) -> Self {
        self.libraries.extend(mounts);
        self
    }

    /// How many gVisor sandboxes the workers are spread over: by default one for each core, up to four.
    /// One alone is a single kernel that makes all processes, and cannot keep several cores busy
    /// with that. If one dies, the requests in the others go on. Each takes some 20 MB of memory, and
    /// has a copy of the binaries.
    pub fn sandboxes(self, count: u32) -> Self {
        Self {
            sandboxes: Some(count),
            ..self
        }
    }

    /// A bound on the address space of each gVisor sandbox, in bytes.
    pub fn memory_limit(self, bytes: u64) -> Self {
        Self {
            memory: Some(bytes),
            ..self
        }
    }

    /// How long each sandbox, and each process in it that starts workers, may be silent when it is asked
    /// whether it is there: 10 seconds by default, and no less than one. Then it is replaced, like one
    /// that died.
    pub fn watchdog(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Where the service keeps its files while it runs. By default `$ROMA_RUN_DIR`, where the container
    /// layers say, or below `$XDG_RUNTIME_DIR`, `/run/roma` or the temporary folder.
    pub fn run_dir(self, path: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: Some(path.into()),
            ..self
        }
    }

    /// The program `run_workers`. By default `$ROMA_RUN_WORKERS`, or where the container layers say, or
    /// beside this program, or in `$PATH`.
    pub fn run_workers(mut self, path: impl Into<PathBuf>) -> Self {
        self.programs.run_workers = Some(path.into());
        self
    }

    /// gVisor's program `runsc`. By default `$ROMA_RUNSC`, or where the container layers say, or beside
    /// this program, or in `$PATH`.
    pub fn runsc(mut self, path: impl Into<PathBuf>) -> Self {
        self.programs.runsc = Some(path.into());
        self
    }

    /// Whether `DISABLE_GVISOR` counts (it does by default).
    pub fn obey_environment(self, environment: bool) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// Whether a service without gVisor says so in a banner on standard error (it does by default).
    /// Only for tools whose purpose is to say such things themselves.
    #[doc(hidden)]
    pub fn banner(self, banner: bool) -> Self {
        Self { banner, ..self }
    }

    /// Where the program `run_workers` is.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingProgram`] says where it could be, [`ConfigError::NoSuchProgram`] where it is not.
    pub fn find_run_workers(&self) -> Result<PathBuf, ConfigError> {
        self.programs.find_run_workers()
    }

    /// Where gVisor's program `runsc` is.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingProgram`] says where it could be, [`ConfigError::NoSuchProgram`] where it is not.
    pub fn find_runsc(&self) -> Result<PathBuf, ConfigError> {
        self.programs.find_runsc()
    }

    /// A function that UDFs may call by name, if their code is loaded with
    /// [`LoadOptions::host_functions`](crate::LoadOptions::host_functions).
    pub fn host_function<F, A>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(HostCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Bytes, HostCallError>> + Send + 'static,
    {
        if let Err(error) = self.functions.register(name.into(), handler) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// As [`Self::host_function`], for a function whose argument and result are protobuf messages.
    ///
    /// An argument that is another message is the UDF's fault, and never reaches the handler.
    pub fn host_call<Q, R, F, A>(self, name: impl Into<String>, handler: F) -> Self
    where
        Q: Message + Default,
        R: Message,
        F: Fn(Q, HostCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R, HostCallError>> + Send + 'static,
    {
        self.host_function(name, move |call| {
            let answer = Q::decode(call.payload.clone()).map(|argument| handler(argument, call));
            async move {
                match answer {
                    Ok(answer) => Ok(answer.await?.encode_to_vec().into()),
                    Err(error) => Err(HostCallError::new(
                        GrpcCode::InvalidArgument,
                        format!("the argument is not the expected message: {error}"),
                    )),
                }
            }
        })
    }

    /// What calls of host functions may take.
    pub fn host_call_limits(mut self, limits: HostCallLimits) -> Self {
        self.functions.limits = limits;
        self
    }

    /// Checks everything, starts the sandboxes and waits until they take code.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names an option, or two, that cannot be; [`Error::SandboxStart`] tells why
    /// one of them did not come up, with what it printed.
    pub async fn start(mut self) -> Result<Service, Error> {
        self.apply_environment();
        self.check()?;
        let mut config = self.outer_config()?;
        clear_stale(&config);
        config.platform = platform::resolve(&config).await?;
        let mode = config.mode;
        if mode == Mode::Minimal {
            warn_loudly(self.banner);
        }
        let sandboxes = match mode.is_gvisor() {
            true => self.sandboxes.unwrap_or_else(default_sandboxes),
            false => 1,
        };
        let policy = PoolPolicy {
            filter: self.filter,
            private_ipc: self.private_ipc,
            spawners: default_spawners().max(sandboxes),
        };
        let (engine, tasks) = Engine::start(config, sandboxes, policy, self.functions).await?;
        match mode {
            Mode::Gvisor | Mode::GvisorDebug => tracing::info!("{}", banner::GVISOR_ENABLED),
            Mode::External => tracing::info!("the outer sandbox is not this service's own"),
            Mode::Minimal => {}
        }
        Ok(Service::new(engine, tasks))
    }

    /// Starts another program where `run_workers` would run, in the same sandbox, to measure what
    /// the sandbox itself costs. The program gets a `SOCK_SEQPACKET` as its standard input, whose
    /// other end is returned.
    #[doc(hidden)]
    pub async fn launch_instead(
        mut self,
        program: PathBuf,
    ) -> Result<(crate::outer::Outer, std::os::fd::OwnedFd), Error> {
        self.apply_environment();
        self.check()?;
        let mut config = self.outer_config()?;
        config.platform = platform::resolve(&config).await?;
        config.run_workers = program;
        let (ours, theirs) =
            roma_sandbox::fdpass::packet_pair().map_err(|e| Error::host("make a connection", e))?;
        let outer = outer::Outer::launch(&config, theirs)
            .map_err(|e| Error::host("launch a sandbox", e))?;
        Ok((outer, ours))
    }

    fn apply_environment(&mut self) {
        let value = std::env::var(banner::DISABLE_VARIABLE).ok();
        if self.environment && self.mode.is_gvisor() && banner::gvisor_disabled_by(value.as_deref())
        {
            self.mode = Mode::Minimal;
            self.platform = Platform::Auto;
            self.memory = None;
            self.sandboxes = None;
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.silence < SHORTEST_SILENCE {
            return Err(ConfigError::ServiceOption {
                option: "watchdog",
                reason: "a machine may stand still for that long by itself; allow a second or more",
            });
        }
        if self
            .sandboxes
            .is_some_and(|count| !SANDBOXES.contains(&count))
        {
            return Err(ConfigError::ServiceOption {
                option: "sandboxes",
                reason: "there may be 1 to 64; more than there are cores gain nothing",
            });
        }
        let conflict = |first, second, reason| {
            Err(ConfigError::Conflict {
                first,
                second,
                reason,
            })
        };
        if !self.private_ipc && self.filter == SyscallFilter::None {
            return conflict(
                "private_ipc(false)",
                "syscall_filter(None)",
                "either IPC namespaces or a filter must keep executions from leaving messages",
            );
        }
        if !self.mode.is_gvisor() && self.platform != Platform::Auto {
            return conflict(
                "platform",
                "mode without gVisor",
                "only gVisor has platforms",
            );
        }
        if !self.mode.is_gvisor() && self.memory.is_some() {
            return conflict(
                "memory_limit",
                "mode without gVisor",
                "there is no outer sandbox to limit; use the limits of LoadOptions",
            );
        }
        if !self.mode.is_gvisor() && self.sandboxes.is_some() {
            return conflict(
                "sandboxes",
                "mode without gVisor",
                "only gVisor's sandboxes are made by the service",
            );
        }
        check_mounts(&self.libraries)
    }

    fn find_run_dir(&self) -> Result<PathBuf, ConfigError> {
        let named = || {
            let folder = std::env::var_os("ROMA_RUN_DIR")?;
            (!folder.is_empty()).then(|| PathBuf::from(folder))
        };
        if let Some(folder) = self.run_dir.clone().or_else(named) {
            return Ok(folder);
        }
        let installed = installed::find()?.map(|installed| installed.run_dir);
        Ok(installed.unwrap_or_else(instance::default_run_dir))
    }

    fn outer_config(&self) -> Result<OuterConfig, ConfigError> {
        let run_dir = programs::absolute(self.find_run_dir()?);
        instance::check_run_dir(&run_dir).map_err(|e| ConfigError::RunDirectory {
            path: run_dir.clone(),
            reason: e.to_string(),
        })?;
        let runsc = match self.mode.is_gvisor() {
            true => self.programs.find_runsc()?,
            false => PathBuf::new(),
        };
        Ok(OuterConfig {
            mode: self.mode,
            platform: self.platform,
            run_dir,
            run_workers: self.programs.find_run_workers()?,
            runsc,
            libraries: self.libraries.clone(),
            memory: self.memory,
            silence: self.silence,
        })
    }
}

fn clear_stale(config: &OuterConfig) {
    let end =
        |folder: &std::path::Path, name: &str| outer::end_container(&config.runsc, folder, name);
    let cleared = instance::clear_stale(&config.run_dir, end);
    if cleared > 0 {
        tracing::info!(cleared, "cleared away what services left that were killed");
    }
}

/// Says what does not isolate.
fn warn_loudly(banner: bool) {
    if banner {
        eprintln!("{}", banner::GVISOR_DISABLED);
    }
    tracing::warn!("{}", banner::EXECUTION_WARNING);
}

/// A spawner starts one worker after the other, and waits while one is executed: one alone would leave
/// a core idle, and more than a few gain nothing.
fn default_spawners() -> u32 {
    cores().clamp(2, 4)
}

/// One sandbox cannot keep more than a core busy with making processes. More than a few are memory that
/// nobody asked for.
fn default_sandboxes() -> u32 {
    cores().min(4)
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: ServiceBuilder) -> String {
        builder.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_go_together() {
        ServiceBuilder::default().check().unwrap();
    }

    #[test]
    fn wrong_combinations_are_refused_with_the_reason() {
        let new = ServiceBuilder::default;
        let text = refused(new().private_ipc(false).syscall_filter(SyscallFilter::None));
        assert!(text.contains("IPC namespaces"), "{text}");
        let text = refused(new().mode(Mode::Minimal).platform(Platform::Ptrace));
        assert!(text.contains("only gVisor has platforms"), "{text}");
        let text = refused(new().mode(Mode::External).memory_limit(1));
        assert!(text.contains("LoadOptions"), "{text}");
        let text = refused(new().mode(Mode::Minimal).sandboxes(2));
        assert!(text.contains("only gVisor"), "{text}");
        for count in [0, 65] {
            let text = refused(new().sandboxes(count));
            assert!(text.contains("1 to 64"), "{text}");
        }
        let text = refused(new().watchdog(Duration::ZERO));
        assert!(
            text.contains("watchdog") && text.contains("a second"),
            "{text}"
        );
        let text = refused(new().library("/no/such/folder"));
        assert!(text.contains("/no/such/folder"), "{text}");
    }

    #[test]
    fn a_host_function_has_one_handler() {
        let handler = |call: HostCall| async move { Ok(call.payload) };
        let twice = ServiceBuilder::default()
            .host_function("f", handler)
            .host_function("f", handler);
        assert!(refused(twice).contains("`f`"));
    }
}
