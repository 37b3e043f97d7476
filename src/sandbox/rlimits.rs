//! Applying the resource limits of workers.

use nix::errno::Errno;

use crate::guard::{Guard, is_enabled};
use crate::limits::WorkerLimits;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    resource: u32,
    value: u64,
}

impl Limit {
    /// Sets the limit for this process, soft and hard. Async-signal-safe.
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

    /// Like [`Self::set`], but keeps a lower limit that this process already has.
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

/// Sets the limits that a spawner can have itself. Every worker inherits them.
pub fn set_inherited(limits: &WorkerLimits) -> Result<(), Errno> {
    let inherited = [
        (libc::RLIMIT_CORE, Guard::LimitOfCore, Some(0)),
        (libc::RLIMIT_STACK, Guard::LimitOfStack, limits.stack),
        (libc::RLIMIT_FSIZE, Guard::LimitOfFileSize, limits.file_size),
    ];
    for (resource, guard, value) in inherited {
        if let Some(value) = value.filter(|_| is_enabled(guard)) {
            Limit { resource, value }.lower()?;
        }
    }
    Ok(())
}

/// How many signals and timers, and bytes in POSIX queues, a worker may have if they count together with
/// those of other workers.
const SHARED_SIGNALS: u64 = 256;
const SHARED_QUEUE_BYTES: u64 = 64 << 10;

/// Returns the limits to set in each worker. They would be too low for a spawner, which lives longer and
/// uses more of everything. Without users of their own (`own_users`), workers have one budget of signals,
/// timers and queues together: a limit of each keeps it from being used up.
#[must_use]
pub fn per_worker(limits: &WorkerLimits, own_users: bool) -> Vec<Limit> {
    let shared = |value| (!own_users).then_some(value);
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
        (
            libc::RLIMIT_SIGPENDING,
            Guard::LimitOfSignals,
            shared(SHARED_SIGNALS),
        ),
        (
            libc::RLIMIT_MSGQUEUE,
            Guard::LimitOfSignals,
            shared(SHARED_QUEUE_BYTES),
        ),
    ]
    .into_iter()
    .filter(|(_, guard, _)| is_enabled(*guard))
    .filter_map(|(resource, _, value)| value.map(|value| Limit { resource, value }))
    .collect()
}
