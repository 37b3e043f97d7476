//! Leaving the instruction `CPUID` to the processor.
//!
//! On processors that can do so, gVisor has `CPUID` trap and answers it itself, at the price of a system
//! call each time. A program that is linked with glibc executes it about seventy times before its
//! `main`, more often than it makes system calls. Where the processor has no such trap gVisor does
//! without, so nothing depends on it: what the answers tell, `/proc/cpuinfo` and `RDTSCP` tell too.

use nix::errno::Errno;

use super::filter::{ARGUMENTS, EQUAL, Instruction, NUMBER, allow, fail, instruction, load};
use crate::caps::{self, Capability};

/// The operation of `arch_prctl(2)` that makes `CPUID` trap, or no longer.
const ARCH_SET_CPUID: u32 = 0x1012;

/// Has the kernel say to this thread, and to all that it will start, that `CPUID` cannot be made to trap.
/// For good: to be called by a thread that is there for nothing else.
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
    fn only_the_trap_is_not_to_be_had() {
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
    fn a_thread_and_what_it_starts_cannot_have_the_trap() {
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
