//! What to load and how to run it.

mod bounds;
mod json;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use roma_core::CodeToken;
use roma_pool::{PoolOptions, Readiness};
use roma_sandbox::limits::{PoolLimits, WorkerLimits};
use roma_supervise::PoolCode;

use crate::policy::Policy;

/// Where the bytes of a UDF come from.
#[derive(Debug, Clone)]
pub enum Binary {
    /// A file on the host, read once.
    Path(PathBuf),
    /// The bytes themselves.
    Bytes(Bytes),
    /// The bytes of code that is loaded already. Deleting the original does not affect the copy.
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

/// What happens to the output of a UDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logs {
    /// Nothing of it leaves the sandbox once the UDF is ready. The default.
    #[default]
    Off,
    /// The last `max_bytes` of standard output and error come with each execution's report. They may
    /// contain private data.
    Tail {
        /// How much is kept for each execution: 1 to [`LoadOptions::MAX_LOG_BYTES`].
        max_bytes: usize,
    },
}

/// What one process of a UDF may use. `None` leaves the kernel's own bound. Bytes go up to
/// [`MAX_BYTES`](Limits::MAX_BYTES).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Processor time of all its threads, rounded up to whole seconds. Beyond it the kernel ends the
    /// process; at most [`MAX_CPU_TIME`](Self::MAX_CPU_TIME). gVisor counts the time for which a thread is runnable, whether it runs or not: allow
    /// more if there are many threads or the machine is busy.
    pub cpu_time: Option<Duration>,
    /// Address space in bytes (`RLIMIT_AS`). Runtimes that reserve much, such as Go's, need much.
    pub address_space: Option<u64>,
    /// Heap and private writable mappings in bytes (`RLIMIT_DATA`). By default a quarter of the memory
    /// that the machine or the container has. A stock runsc counts only the heap.
    pub data: Option<u64>,
    /// Open descriptors, up to [`MAX_OPEN_FILES`](Self::MAX_OPEN_FILES).
    pub open_files: u32,
    /// The size of a file it writes, in bytes. There is nothing to write to without `private_tmp`.
    pub file_size: Option<u64>,
    /// Processes and threads: 1 to [`MAX_PROCESSES`](Self::MAX_PROCESSES).
    pub processes: u32,
    /// The main thread's stack, in bytes.
    pub stack: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_time: None,
            address_space: None,
            data: roma_supervise::memory::default_limit(),
            open_files: 256,
            file_size: None,
            processes: 64,
            stack: 8 << 20,
        }
    }
}

impl Limits {
    fn to_worker_limits(&self) -> WorkerLimits {
        WorkerLimits {
            cpu_seconds: self.cpu_time.map(|time| time.as_secs_f64().ceil() as u64),
            address_space: self.address_space,
            data: self.data,
            stack: Some(self.stack),
            open_files: Some(self.open_files.into()),
            file_size: self.file_size,
            processes: Some(self.processes.into()),
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
    /// How many processes wait ready for requests: 1 to [`MAX_WORKERS`](Self::MAX_WORKERS).
    pub workers: u32,
    /// How many processes may live at once, waiting, running and ending: from `workers` up to
    /// [`MAX_WORKERS`](Self::MAX_WORKERS). By default twice `workers`.
    pub max_live: Option<u32>,
    /// How many requests may wait for a worker; more are refused at once. At most
    /// [`MAX_WAITING`](Self::MAX_WAITING).
    pub max_waiting: u32,
    /// How many processes start workers, spread over the gVisor sandboxes. The default suits the machine.
    /// With fewer of them than sandboxes, this code is only in as many sandboxes. 1 to
    /// [`MAX_SPAWNERS`](Self::MAX_SPAWNERS).
    pub spawners: Option<u32>,
    /// How the UDF reports that it is ready.
    pub readiness: Readiness,
    /// How long a process may take to become ready: any time but zero.
    pub start_timeout: Duration,
    /// How long a process may take to end by itself after its response: any time.
    pub exit_grace: Duration,
    /// What happens to the output of the UDF.
    pub logs: Logs,
    /// Limits of each process.
    pub limits: Limits,
    /// Limits of all processes together. Control groups enforce them, if the machine has any that this
    /// process may use.
    pub pool_limits: PoolLimits,
    /// The UDF's whole environment. By default it is empty. See [`MAX_TEXTS`](Self::MAX_TEXTS).
    pub env: Vec<(String, String)>,
    /// Arguments after the documented two. See [`MAX_TEXTS`](Self::MAX_TEXTS).
    pub args: Vec<String>,
    /// The largest response, in bytes: 1 to [`MAX_MESSAGE_BYTES`](Self::MAX_MESSAGE_BYTES).
    pub max_response: usize,
    /// The largest request, in bytes: at most [`MAX_MESSAGE_BYTES`](Self::MAX_MESSAGE_BYTES).
    pub max_request: usize,
    /// A private `/tmp` of this many bytes for each execution: 1 to
    /// [`MAX_PRIVATE_TMP`](Self::MAX_PRIVATE_TMP). By default no file can be written.
    pub private_tmp: Option<u64>,
    /// Whether UDFs see `/proc` (of their own PID namespace). Some runtimes need it. Without gVisor
    /// only a service that runs as root can provide it.
    pub proc: bool,
    /// Whether UDFs get descriptor 4, to call the service's host functions.
    pub host_functions: bool,
    /// Whether this code gets a gVisor of its own, which no other code shares. What stops or fills that
    /// sandbox then harms no other code. It takes some tens of megabytes and a longer load. Only in
    /// gVisor mode.
    pub own_sandbox: bool,
    /// How much memory copies of the program may take in each sandbox, in bytes. Each live process has a
    /// copy of its own, because processes that share a file can signal to each other. If there is not
    /// room for as many as `max_live`, some share one: [`InForce::own_files`](crate::InForce) tells.
    pub program_copies: u64,
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
            own_sandbox: false,
            program_copies: 1 << 30,
        }
    }
}

impl From<u32> for LoadOptions {
    /// Options for this many ready processes.
    fn from(workers: u32) -> Self {
        Self::with_workers(workers)
    }
}

impl LoadOptions {
    /// Returns options for `workers` ready processes.
    #[must_use]
    pub fn with_workers(workers: u32) -> Self {
        Self {
            workers,
            ..Self::default()
        }
    }

    /// Keeps the output of the UDF for each execution's report: the last 64 KiB, unless logs are on
    /// already.
    #[must_use]
    pub fn keeping_logs(mut self) -> Self {
        if self.logs == Logs::Off {
            self.logs = Logs::Tail {
                max_bytes: 64 * 1024,
            };
        }
        self
    }

    /// Lets the UDF call the service's host functions.
    #[must_use]
    pub fn calling_host(self) -> Self {
        Self {
            host_functions: true,
            ..self
        }
    }

    /// Returns the maximum of live processes.
    #[must_use]
    pub fn effective_max_live(&self) -> u32 {
        let workers = self.workers;
        let more = workers.saturating_mul(2).max(workers.saturating_add(2));
        let by_default = more.min(Self::MAX_WORKERS).max(workers);
        self.max_live.unwrap_or(by_default)
    }

    /// Returns the options of the pool.
    pub(crate) fn to_pool_options(&self) -> PoolOptions {
        PoolOptions {
            name: self.name.clone(),
            workers: self.workers,
            max_live: self.effective_max_live(),
            max_waiting: self.max_waiting,
            readiness: self.readiness,
            start_timeout: self.start_timeout,
            log_bytes: match self.logs {
                Logs::Off => 0,
                Logs::Tail { max_bytes } => max_bytes,
            },
            host_calls: self.host_functions,
            limits: self.pool_limits,
        }
    }

    /// Returns what the sandbox has to know of the code.
    pub(crate) fn to_pool_code(&self, bytes: Bytes, policy: &Policy) -> PoolCode {
        let bytes_of = |text: &String| text.clone().into_bytes();
        let entry = |(name, value): &(String, String)| format!("{name}={value}").into_bytes();
        PoolCode {
            bytes,
            filter: policy.filter.into(),
            private_ipc: policy.private_ipc,
            proc: self.proc,
            tmp_bytes: self.private_tmp,
            worker_limits: self.limits.to_worker_limits(),
            pool_limits: self.pool_limits,
            environment: self.env.iter().map(entry).collect(),
            arguments: self.args.iter().map(bytes_of).collect(),
            max_live: self.effective_max_live(),
            copies: self.program_copies,
        }
    }
}

#[cfg(test)]
mod tests {
    use roma_core::ConfigError;

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
}
