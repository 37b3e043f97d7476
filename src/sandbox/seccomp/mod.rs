//! The system call filter: built as a small range tree, installed once in each spawner, inherited by
//! every worker. `policy` lists the calls, `filter` compiles the list.

// The instruction exists only on x86.
#[cfg(target_arch = "x86_64")]
pub mod cpuid;
#[cfg(test)]
mod evaluator;
mod filter;
mod policy;

use nix::errno::Errno;

use crate::gate::Gate;

pub use filter::{Instruction, Test, Verdict};

/// Which system calls a worker may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FilterLevel {
    /// No filter. Namespaces, dropped capabilities and `no_new_privs` still apply.
    None,
    /// Denies what is dangerous and what only the set-up needs; allows the rest.
    Engine,
    /// Allows what computing a response needs; denies the rest.
    #[default]
    Strict,
}

/// Builds the filter of a level. Returns `None` if the level has no filter.
#[must_use]
pub fn build(level: FilterLevel, gate: Gate) -> Option<Vec<Instruction>> {
    policy(level).map(|policy| filter::compile(&policy, gate))
}

/// Returns whether the filter of a level denies a system call to UDFs, with some arguments or with any.
#[must_use]
pub fn may_deny(level: FilterLevel, number: u32) -> bool {
    policy(level).is_some_and(|policy| policy.may_deny(number))
}

fn policy(level: FilterLevel) -> Option<filter::Policy> {
    match level {
        FilterLevel::None => None,
        FilterLevel::Engine => Some(policy::engine()),
        FilterLevel::Strict => Some(policy::strict()),
    }
}

/// Installs a filter in this process and all that it will start. It cannot be removed. Needs
/// `no_new_privs`.
pub fn install(program: &[Instruction]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `Instruction` is laid out as sock_filter; the kernel copies the program and does not
    // write to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    Errno::result(result).map(drop)
}
