//! What applies to all code of a service.

use roma_supervise::SyscallFilter;

/// What applies to all code of a service.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) filter: SyscallFilter,
    pub(crate) private_ipc: bool,
    /// How many spawners code has by default.
    pub(crate) spawners: u32,
}
