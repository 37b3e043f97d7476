//! What to load and how to run it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::error::ConfigError;
use crate::token::CodeToken;

/// Where the bytes of a UDF come from.
#[derive(Debug, Clone)]
pub enum Binary {
    /// A file on the host, read once.
    Path(PathBuf),
    /// The bytes themselves.
    Bytes(Bytes),
    /// The same bytes as code that is loaded already. What is loaded this way lives on when the
    /// original is deleted.
    SameAs(CodeToken),
}

impl From<&Path> for Binary {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<PathBuf> for Binary {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&PathBuf> for Binary {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&str> for Binary {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<CodeToken> for Binary {
    fn from(token: CodeToken) -> Self {
        Self::SameAs(token)
    }
}

/// How a UDF says that it waits for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// It writes one byte (any) before it reads the request.
    #[default]
    Byte,
    /// It says nothing: the older protocol. A started process counts as ready.
    None,
}

/// What happens to what a UDF prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logs {
    /// Nothing of it leaves the sandbox once the UDF is ready. The default.
    #[default]
    Off,
    /// The last `max_bytes` of standard output and error come with each execution's report.
    /// Whoever reads them sees what the UDF makes of private data.
    Tail {
        /// How much is kept for each execution.
        max_bytes: usize,
    },
}

/// What one process of a UDF may use. `None` leaves the kernel's own bound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Processor time of all its threads, rounded up to whole seconds. Beyond it the kernel ends the
    /// process. gVisor's counts the time for which a thread wants a processor, whether it has one or not:
    /// leave room for that if threads are many or the machine is busy.
    pub cpu_time: Option<Duration>,
    /// Address space in bytes (`RLIMIT_AS`). Runtimes that reserve much, such as Go's, need much.
    pub address_space: Option<u64>,
    /// Heap and private writable mappings in bytes (`RLIMIT_DATA`).
    pub data: Option<u64>,
    /// Open descriptors.
    pub open_files: u32,
    /// The size of a file it writes, in bytes. There is nothing to write to without `private_tmp`.
    pub file_size: Option<u64>,
    /// Processes and threads.
    pub processes: u32,
    /// The main thread's stack, in bytes.
    pub stack: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_time: None,
            address_space: None,
            data: None,
            open_files: 256,
            file_size: None,
            processes: 256,
            stack: 8 << 20,
        }
    }
}

/// What all processes of one piece of code may use together. Control groups hold it, where the
/// machine has any that this process may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolLimits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processor time in thousandths of a core.
    pub cpu_millis: Option<u64>,
}

/// What holds for the processes of one piece of code, beyond what holds everywhere. What was not asked
/// for is not in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InForce {
    /// Each process runs as a user that nobody else is.
    pub own_user_ids: bool,
    /// [`PoolLimits::memory`].
    pub pool_memory: bool,
    /// [`PoolLimits::processes`].
    pub pool_processes: bool,
    /// [`PoolLimits::cpu_millis`].
    pub pool_cpu: bool,
}

impl PoolLimits {
    /// What was asked for and this machine does not give.
    pub(crate) fn missing(self, in_force: InForce) -> Vec<&'static str> {
        [
            ("memory", self.memory.is_some() && !in_force.pool_memory),
            (
                "processes",
                self.processes.is_some() && !in_force.pool_processes,
            ),
            (
                "cpu_millis",
                self.cpu_millis.is_some() && !in_force.pool_cpu,
            ),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect()
    }

    pub(crate) fn to_protocol(self) -> roma_sandbox::limits::PoolLimits {
        let Self {
            memory,
            processes,
            cpu_millis,
        } = self;
        roma_sandbox::limits::PoolLimits {
            memory,
            processes,
            cpu_millis,
        }
    }
}

/// How code is to be loaded. Start from `LoadOptions::default()`.
///
/// ```
/// use roma_byob::{LoadOptions, Logs};
///
/// let options = LoadOptions { workers: 8, logs: Logs::Tail { max_bytes: 4096 }, ..Default::default() };
/// assert_eq!(options.effective_max_live(), 16);
/// ```
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// A name for logs and metrics. It becomes a metric label: keep the number of names small.
    pub name: String,
    /// How many processes wait ready for requests.
    pub workers: u32,
    /// How many processes may live at once, waiting, running and ending. By default twice `workers`.
    pub max_live: Option<u32>,
    /// How many requests may wait for a worker; more are refused at once.
    pub max_waiting: u32,
    /// How many processes start workers, spread over the gVisor sandboxes. By default what suits the
    /// machine. With fewer of them than sandboxes, this code is in as many sandboxes only.
    pub spawners: Option<u32>,
    /// How the UDF says that it is ready.
    pub readiness: Readiness,
    /// How long a process may take to get ready.
    pub start_timeout: Duration,
    /// How long a process may take to end by itself after its response.
    pub exit_grace: Duration,
    /// What happens to what the UDF prints.
    pub logs: Logs,
    /// What each process may use.
    pub limits: Limits,
    /// What all processes may use together.
    pub pool_limits: PoolLimits,
    /// The UDF's whole environment. By default it is empty.
    pub env: Vec<(String, String)>,
    /// Arguments after the documented two.
    pub args: Vec<String>,
    /// The largest response, in bytes.
    pub max_response: usize,
    /// The largest request, in bytes.
    pub max_request: usize,
    /// A private `/tmp` of this many bytes for each execution. By default no file can be written.
    pub private_tmp: Option<u64>,
    /// Whether UDFs see `/proc` (of their own PID namespace). Some runtimes need it. Without gVisor
    /// only a service that runs as root can give it.
    pub proc: bool,
    /// Whether UDFs get descriptor 4, to call the service's host functions.
    pub host_functions: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            workers: 2,
            max_live: None,
            max_waiting: 1024,
            spawners: None,
            readiness: Readiness::default(),
            start_timeout: Duration::from_secs(10),
            exit_grace: Duration::from_millis(500),
            logs: Logs::default(),
            limits: Limits::default(),
            pool_limits: PoolLimits::default(),
            env: Vec::new(),
            args: Vec::new(),
            max_response: 64 << 20,
            max_request: 64 << 20,
            private_tmp: None,
            proc: false,
            host_functions: false,
        }
    }
}

impl From<u32> for LoadOptions {
    /// Options for so many ready processes.
    fn from(workers: u32) -> Self {
        Self::with_workers(workers)
    }
}

impl LoadOptions {
    /// Options for `workers` ready processes.
    #[must_use]
    pub fn with_workers(workers: u32) -> Self {
        Self {
            workers,
            ..Self::default()
        }
    }

    /// The same, but what the UDF prints is kept for each execution's report: the last 64 KiB, unless
    /// they say otherwise already.
    #[must_use]
    pub fn keeping_logs(mut self) -> Self {
        if self.logs == Logs::Off {
            self.logs = Logs::Tail {
                max_bytes: 64 * 1024,
            };
        }
        self
    }

    /// The same, but the UDF may call the service's host functions.
    #[must_use]
    pub fn calling_host(self) -> Self {
        Self {
            host_functions: true,
            ..self
        }
    }

    /// The ceiling of live processes that these options give.
    #[must_use]
    pub fn effective_max_live(&self) -> u32 {
        self.max_live
            .unwrap_or_else(|| self.workers.saturating_mul(2).max(self.workers + 2))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |option, reason| Err(ConfigError::LoadOption { option, reason });
        if self.workers == 0 {
            return wrong("workers", "at least one must be ready");
        }
        if self.effective_max_live() < self.workers {
            return wrong("max_live", "it must not be less than `workers`");
        }
        if self.spawners == Some(0) {
            return wrong("spawners", "at least one must start workers");
        }
        if self.start_timeout.is_zero() {
            return wrong("start_timeout", "a process needs some time to start");
        }
        if self.max_response == 0 {
            return wrong("max_response", "no response could ever be accepted");
        }
        if matches!(self.logs, Logs::Tail { max_bytes: 0 }) {
            return wrong("logs", "use `Logs::Off` to keep nothing");
        }
        if self.env.iter().any(|(name, value)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        }) {
            return wrong(
                "env",
                "a name must not be empty or hold `=`, and nothing may hold NUL",
            );
        }
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return wrong("args", "an argument must not hold NUL");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut LoadOptions)) -> &'static str {
        let mut options = LoadOptions::default();
        change(&mut options);
        match options.check() {
            Err(ConfigError::LoadOption { option, .. }) => option,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_accepted() {
        LoadOptions::default().check().unwrap();
    }

    #[test]
    fn wrong_options_are_refused_by_name() {
        assert_eq!(refused(|o| o.workers = 0), "workers");
        assert_eq!(refused(|o| o.max_live = Some(1)), "max_live");
        assert_eq!(refused(|o| o.spawners = Some(0)), "spawners");
        assert_eq!(
            refused(|o| o.start_timeout = Duration::ZERO),
            "start_timeout"
        );
        assert_eq!(refused(|o| o.max_response = 0), "max_response");
        assert_eq!(refused(|o| o.logs = Logs::Tail { max_bytes: 0 }), "logs");
        assert_eq!(
            refused(|o| o.env = vec![("A=B".into(), String::new())]),
            "env"
        );
        assert_eq!(refused(|o| o.args = vec!["a\0b".into()]), "args");
    }

    #[test]
    fn there_is_room_for_replacements_by_default() {
        assert_eq!(LoadOptions::with_workers(1).effective_max_live(), 3);
        assert_eq!(LoadOptions::with_workers(100).effective_max_live(), 200);
    }
}
