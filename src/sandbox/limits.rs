//! Which limits a pool and each of its workers can have. [`crate::rlimits`] applies those of a worker,
//! [`crate::cgroup`] those of a pool.

/// Limits of one worker (POSIX resource limits). `None` keeps the limit of the sandbox itself. The core
/// file size is always 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerLimits {
    /// CPU time in seconds; the worker gets SIGKILL when it is used up.
    pub cpu_seconds: Option<u64>,
    /// Address space in bytes.
    pub address_space: Option<u64>,
    /// Data segment in bytes (heap and private writable mappings).
    pub data: Option<u64>,
    /// Stack in bytes.
    pub stack: Option<u64>,
    /// One more than the highest descriptor number that can be opened.
    pub open_files: Option<u64>,
    /// Size of any file that is written, in bytes.
    pub file_size: Option<u64>,
    /// Number of processes and threads of one request together, including the first.
    pub processes: Option<u64>,
}

/// Limits of a whole pool by control group. They are applied if the machine allows it;
/// [`crate::cgroup::InForce`] reports which are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLimits {
    /// Memory of all workers together, in bytes.
    pub memory: Option<u64>,
    /// Number of processes and threads of all workers together, including the spawners and one more of the
    /// pool's own.
    pub processes: Option<u64>,
    /// CPU time in thousandths of a core: at most [`MAX_CPU_MILLIS`](Self::MAX_CPU_MILLIS).
    pub cpu_millis: Option<u64>,
}

impl PoolLimits {
    /// The largest limit of CPU time: a thousand cores.
    pub const MAX_CPU_MILLIS: u64 = 1_000_000;

    /// Returns whether there is no limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
