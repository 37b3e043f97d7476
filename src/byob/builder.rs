//! Setting up a service.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use roma_core::{
    ConfigError, Error, GrpcCode, HostCall, HostCallError, HostCallLimits, HostFunctions,
};
use roma_supervise::{
    LibraryMount, Mode, Platform, Renewal, RunDirChoice, SandboxOptions, Slots, SyscallFilter,
    banner, cores,
};

use crate::policy::Policy;
use crate::registry::Registry;
use crate::service::Service;

/// Sets up a [`Service`]. Options that are not given have safe defaults.
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
    sandbox: SandboxOptions,
    filter: SyscallFilter,
    private_ipc: bool,
    functions: HostFunctions,
    error: Option<ConfigError>,
}

impl Service {
    /// Returns a builder with safe defaults.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }
}

impl Default for ServiceBuilder {
    fn default() -> Self {
        Self {
            sandbox: SandboxOptions::default(),
            filter: SyscallFilter::default(),
            private_ipc: true,
            functions: HostFunctions::default(),
            error: None,
        }
    }
}

impl ServiceBuilder {
    /// What encloses the engine. The environment variable `DISABLE_GVISOR=true` turns the modes
    /// with gVisor into [`Mode::Minimal`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.sandbox.mode = mode;
        self
    }

    /// How gVisor intercepts system calls.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.sandbox.platform = platform;
        self
    }

    /// Which system calls UDFs may make.
    pub fn syscall_filter(self, filter: SyscallFilter) -> Self {
        Self { filter, ..self }
    }

    /// Whether each execution has System V and POSIX IPC of its own (the default). If not, only a
    /// system call filter keeps executions of the same code from leaving messages for each other.
    pub fn private_ipc(self, private_ipc: bool) -> Self {
        Self {
            private_ipc,
            ..self
        }
    }

    /// A folder that UDFs may read.
    pub fn library(mut self, mount: impl Into<LibraryMount>) -> Self {
        self.sandbox.libraries.push(mount.into());
        self
    }

    /// Folders that UDFs may read, such as [`system_libraries`](crate::system_libraries).
    pub fn libraries(mut self, mounts: impl IntoIterator<Item = LibraryMount>) -> Self {
        self.sandbox.libraries.extend(mounts);
        self
    }

    /// How many gVisor sandboxes the workers are spread over: by default one for each core, up to four.
    /// A single one is one kernel that makes all processes, and cannot keep several cores busy with
    /// that. If one dies, requests in the others are not affected. Each takes about 20 MB of memory, and
    /// has a copy of the binaries.
    pub fn sandboxes(mut self, count: u32) -> Self {
        self.sandbox.sandboxes = Some(count);
        self
    }

    /// A bound on the address space of each gVisor sandbox, in bytes.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.sandbox.memory = Some(bytes);
        self
    }

    /// How long each sandbox, and each process in it that starts workers, may fail to answer a question
    /// of the watchdog: 10 seconds by default, and no less than one. After that it is replaced, like one
    /// that died.
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.sandbox.watchdog = limit;
        self
    }

    /// When a sandbox that works is replaced by a new one, because it has grown or is old.
    pub fn renewal(mut self, renewal: Renewal) -> Self {
        self.sandbox.renewal = renewal;
        self
    }

    /// The folder for the files of the running service, by default `$ROMA_RUN_DIR`. In the modes with
    /// gVisor it must not be mounted noexec.
    ///
    /// If neither names one, it is the first of these that is writable, belongs to this user alone and
    /// is not mounted noexec: the folder of the container layers, `$XDG_RUNTIME_DIR/roma`, for root
    /// `/run/roma` and `/var/lib/roma`, a folder in that for temporary files, and one in the user's cache.
    pub fn run_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.run_dir = Some(path.into());
        self
    }

    /// The program `run_workers`. By default `$ROMA_RUN_WORKERS`, the one of the container layers, or
    /// one beside this program or in `$PATH`.
    pub fn run_workers(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.programs.run_workers = Some(path.into());
        self
    }

    /// gVisor's program `runsc`. By default `$ROMA_RUNSC`, the one of the container layers, or one beside
    /// this program or in `$PATH`.
    pub fn runsc(mut self, path: impl Into<PathBuf>) -> Self {
        self.sandbox.programs.runsc = Some(path.into());
        self
    }

    /// Whether `DISABLE_GVISOR` counts (it does by default).
    pub fn obey_environment(mut self, obey: bool) -> Self {
        self.sandbox.obey_environment = obey;
        self
    }

    /// Whether a service without gVisor says so in a banner on standard error (it does by default).
    /// For programs that print such a warning themselves.
    pub fn banner(mut self, banner: bool) -> Self {
        self.sandbox.banner = banner;
        self
    }

    /// Returns the path of the program `run_workers`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingProgram`] lists where it could be; [`ConfigError::NoSuchProgram`] names the
    /// path that is wrong.
    pub fn find_run_workers(&self) -> Result<PathBuf, ConfigError> {
        self.sandbox.programs.find_run_workers()
    }

    /// Returns the path of gVisor's program `runsc`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingProgram`] lists where it could be; [`ConfigError::NoSuchProgram`] names the
    /// path that is wrong.
    pub fn find_runsc(&self) -> Result<PathBuf, ConfigError> {
        self.sandbox.programs.find_runsc()
    }

    /// Chooses the run directory as a start would, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ConfigError::RunDirectory`] for a folder that was named, [`ConfigError::NoRunDirectory`] if none
    /// was named and none of the defaults can be used.
    pub fn choose_run_dir(&self) -> Result<RunDirChoice, ConfigError> {
        self.sandbox.choose_run_dir()
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
    /// An argument that cannot be decoded is the UDF's fault, and does not reach the handler.
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

    /// Limits of the calls of host functions.
    pub fn host_call_limits(mut self, limits: HostCallLimits) -> Self {
        self.functions.limits = limits;
        self
    }

    /// Checks everything, starts the sandboxes and waits until they take code.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names an option, or two, that cannot be; [`Error::SandboxStart`] tells why one
    /// of the sandboxes did not start, with its output.
    pub async fn start(mut self) -> Result<Service, Error> {
        self.check()?;
        let config = self.sandbox.resolve().await?;
        let sandboxes = self.sandbox.sandbox_count();
        let slots = Slots::start(&config, sandboxes).await?;
        let policy = Policy {
            filter: self.filter,
            private_ipc: self.private_ipc,
            spawners: default_spawners().max(sandboxes),
        };
        banner::announce(&config, self.sandbox.banner);
        let registry = Registry::new(config, slots, policy, self.functions);
        Ok(Service::new(registry))
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.functions.limits.check()?;
        if !self.private_ipc && self.filter == SyscallFilter::None {
            return Err(ConfigError::Conflict {
                first: "private_ipc(false)",
                second: "syscall_filter(None)",
                reason: "either IPC namespaces or a filter must keep executions from leaving messages",
            });
        }
        Ok(())
    }

    /// Returns the options of the sandboxes, for programs that start a sandbox without a service.
    pub fn into_sandbox_options(self) -> SandboxOptions {
        self.sandbox
    }
}

/// A spawner starts one worker after the other, and waits while one is executed: one alone would leave
/// a core idle, and more than a few gain nothing.
fn default_spawners() -> u32 {
    cores().clamp(2, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: ServiceBuilder) -> String {
        builder.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_can_be_combined() {
        ServiceBuilder::default().check().unwrap();
    }

    #[test]
    fn a_shared_ipc_namespace_without_a_filter_is_refused() {
        let builder = ServiceBuilder::default().private_ipc(false);
        let text = refused(builder.syscall_filter(SyscallFilter::None));
        assert!(text.contains("IPC namespaces"), "{text}");
    }

    #[test]
    fn options_of_sandboxes_are_passed_on() {
        let builder = ServiceBuilder::default()
            .watchdog(Duration::ZERO)
            .sandboxes(3);
        let options = builder.into_sandbox_options();
        assert_eq!(options.sandboxes, Some(3));
        assert!(options.check().is_err(), "the watchdog");
    }

    #[test]
    fn a_second_host_function_of_the_same_name_is_refused() {
        let handler = |call: HostCall| async move { Ok(call.payload) };
        let twice = ServiceBuilder::default()
            .host_function("f", handler)
            .host_function("f", handler);
        assert!(refused(twice).contains("`f`"));
    }
}
