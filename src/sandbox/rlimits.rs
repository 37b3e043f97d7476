//! Resource limits.

use nix::errno::Errno;

use crate::guard::{Guard, stands};
use crate::limits::WorkerLimits;

/// One limit: which, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    resource: u32,
    value: u64,
}

impl Limit {
    /// Sets it for this process, soft and hard. Async-signal-safe.
    pub fn set(self) -> Result<(), Errno> {
        let limit = libc::rlimit64 {
            rlim_cur: self.value,
            rlim_max: self.value,
        };
        // SAFETY: the kernel reads one rlimit64 through a pointer to a live one; pid 0 is the caller.
        let result =
            unsafe { libc::syscall(libc::SYS_prlimit64, 0, self.resource, &raw const limit, 0) };
        Errno::result(result).map(drop)
    }

    /// As [`Self::set`], but a limit that this process already has below `value` stays.
    fn lower(self) -> Result<(), Errno> {
        // SAFETY: all bytes zero is a valid rlimit64, which is plain numbers.
        let mut now: libc::rlimit64 = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one rlimit64 through a pointer to a live one.
        let result =
            unsafe { libc::syscall(libc::SYS_prlimit64, 0, self.resource, 0, &raw mut now) };
        Errno::result(result)?;
        Self {
            value: self.value.min(now.rlim_max),
            ..self
        }
        .set()
    }
}

/// Limits that a spawner can bear itself: set once, inherited by every worker.
pub fn set_inherited(limits: &WorkerLimits) -> Result<(), Errno> {
    let inherited = [
        (libc::RLIMIT_CORE, Guard::LimitOfCore, Some(0)),
        (libc::RLIMIT_STACK, Guard::LimitOfStack, limits.stack),
        (libc::RLIMIT_FSIZE, Guard::LimitOfFileSize, limits.file_size),
    ];
    for (resource, guard, value) in inherited {
        if let Some(value) = value.filter(|_| stands(guard)) {
            Limit { resource, value }.lower()?;
        }
    }
    Ok(())
}

/// Limits that would hurt a spawner, which lives longer and has more of everything than its workers. To
/// be set in each of them.
#[must_use]
pub fn per_worker(limits: &WorkerLimits) -> Vec<Limit> {
    [
        (
            libc::RLIMIT_AS,
            Guard::LimitOfAddresses,
            limits.address_space,
        ),
        (libc::RLIMIT_DATA, Guard::LimitOfData, limits.data),
        (libc::RLIMIT_CPU, Guard::LimitOfTime, limits.cpu_seconds),
        (
            libc::RLIMIT_NPROC,
            Guard::LimitOfProcesses,
            limits.processes,
        ),
        (
            libc::RLIMIT_NOFILE,
            Guard::LimitOfDescriptors,
            limits.open_files,
        ),
    ]
    .into_iter()
    .filter(|(_, guard, _)| stands(*guard))
    .filter_map(|(resource, _, value)| value.map(|value| Limit { resource, value }))
    .collect()
}
