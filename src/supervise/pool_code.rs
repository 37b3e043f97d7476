//! The code of one pool and how it is to run.

use bytes::Bytes;
use roma_protocol::spawner::MAX_LIVE;
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
    /// How many workers may live at once.
    pub max_live: u32,
    /// How much memory copies of the program may take in each sandbox, in bytes.
    pub copies: u64,
}

impl PoolCode {
    /// Returns how many roots each of `spawners` spawners of one sandbox may make: each takes a copy of
    /// the program.
    pub(crate) fn roots(&self, spawners: usize) -> u32 {
        let one = (self.bytes.len() as u64).max(1);
        let all = self.copies / one / (spawners as u64).max(1);
        let most = u64::from(self.max_live).clamp(1, MAX_LIVE as u64);
        all.clamp(1, most) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(bytes: usize, max_live: u32, copies: u64, spawners: usize) -> u32 {
        let code = PoolCode {
            bytes: vec![0; bytes].into(),
            max_live,
            copies,
            ..PoolCode::default()
        };
        code.roots(spawners)
    }

    #[test]
    fn each_spawner_may_have_a_root_for_each_live_worker_within_the_memory_for_copies() {
        assert_eq!(roots(10, 16, 1_000, 2), 16);
        assert_eq!(roots(100, 16, 1_000, 2), 5);
        assert_eq!(roots(100, u32::MAX, u64::MAX, 1), MAX_LIVE as u32);
        assert_eq!(roots(10_000, 16, 1_000, 2), 1);
    }
}
