//! Preventing that the instruction `CPUID` traps.
//!
//! On processors that support it, gVisor makes `CPUID` trap and emulates it, at the cost of a system call
//! each time. A program that is linked with glibc executes it about seventy times before its `main`,
//! more often than it makes system calls. gVisor works without the trap on processors that lack it, so
//! nothing depends on it: `/proc/cpuinfo` and `RDTSCP` reveal the same information.

use nix::errno::Errno;

use super::filter::{ARGUMENTS, EQUAL, Instruction, NUMBER, allow, fail, instruction, load};
use crate::caps::{self, Capability};

/// The operation of `arch_prctl(2)` that enables or disables the trap.
const ARCH_SET_CPUID: u32 = 0x1012;

/// Makes the kernel answer this thread, and all processes that it will start, that `CPUID` cannot trap.
/// This cannot be undone: call it in a thread that does nothing else.
pub fn leave_to_processor() -> Result<(), Errno> {
    if !caps::effective()?.has(Capability::SysAdmin) {
        caps::set_no_new_privileges()?;
    }
    super::install(&program())
}

fn program() -> Vec<Instruction> {
    vec![
        load(NUMBER),
        instruction(EQUAL, libc::SYS_arch_prctl as u32, 0, 3),
        load(ARGUMENTS),
        instruction(EQUAL, ARCH_SET_CPUID, 0, 1),
        fail(libc::ENODEV),
        allow(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::evaluator::{Call, evaluate};
    use super::*;

    #[test]
    fn only_the_operation_that_enables_the_trap_is_refused() {
        const ARCH_SET_FS: u64 = 0x1002;
        let answer =
            |number, first| evaluate(&program(), &Call::new(number, [first, 0, 0, 0, 0, 0]));
        let refused = libc::SECCOMP_RET_ERRNO | libc::ENODEV as u32;
        let operation = u64::from(ARCH_SET_CPUID);
        assert_eq!(answer(libc::SYS_arch_prctl, operation), refused);
        let allowed = libc::SECCOMP_RET_ALLOW;
        assert_eq!(answer(libc::SYS_arch_prctl, ARCH_SET_FS), allowed);
        assert_eq!(answer(libc::SYS_read, operation), allowed);
    }

    #[test]
    fn the_filter_applies_to_a_thread_and_the_processes_that_it_starts() {
        let statuses = std::thread::spawn(|| {
            leave_to_processor().unwrap();
            let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let started = std::process::Command::new("cat")
                .arg("/proc/self/status")
                .output()
                .unwrap();
            [own, String::from_utf8(started.stdout).unwrap()]
        });
        let filters = |status: &str| -> Option<u32> {
            let line = status.lines().find(|it| it.starts_with("Seccomp_filters:"));
            line?.split_whitespace().last()?.parse().ok()
        };
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let own = filters(&own).unwrap();
        for status in statuses.join().unwrap() {
            assert_eq!(filters(&status), Some(own + 1), "{status}");
        }
    }
}
