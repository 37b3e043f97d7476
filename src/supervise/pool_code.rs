//! The code of one pool and how it is to run.

use bytes::Bytes;
use roma_sandbox::limits::{PoolLimits, WorkerLimits};
use roma_sandbox::seccomp::FilterLevel;

/// The code of one pool and how its workers are to run, as far as the sandbox has to know.
#[derive(Debug, Clone, Default)]
pub struct PoolCode {
    /// The program.
    pub bytes: Bytes,
    /// Which system calls workers may make.
    pub filter: FilterLevel,
    /// Whether each worker has an IPC namespace of its own.
    pub private_ipc: bool,
    /// Whether workers see `/proc` of their own PID namespace.
    pub proc: bool,
    /// The size of a private `/tmp`, if workers have one.
    pub tmp_bytes: Option<u64>,
    /// Limits of each worker.
    pub worker_limits: WorkerLimits,
    /// Limits of all workers together.
    pub pool_limits: PoolLimits,
    /// The environment, `NAME=value` each.
    pub environment: Vec<Vec<u8>>,
    /// Arguments after the two that every worker gets.
    pub arguments: Vec<Vec<u8>>,
}
