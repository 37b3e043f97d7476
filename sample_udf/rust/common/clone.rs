//! Attempts to create a process.

use roma_sample_proto::roma::sample::{CloneRequest, CloneResponse};

use crate::message::Unanswerable;

/// The flags that a request may have: others would share this process's memory with the new one.
const NAMESPACES: i32 = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// Makes one clone system call and ends the created process.
pub fn answer(request: &CloneRequest) -> Result<CloneResponse, Unanswerable> {
    match i32::try_from(request.namespace_flags) {
        Ok(flags) if flags & !NAMESPACES == 0 => Ok(CloneResponse {
            error_number: clone_and_exit(flags),
        }),
        _ => Err(Unanswerable),
    }
}

/// Returns 0 or the error number.
#[allow(unsafe_code)]
fn clone_and_exit(namespaces: i32) -> i32 {
    let flags = i64::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and a stack this is a fork: the new process has a copy of all memory
    // and does nothing but exit, which needs no lock that another thread could have held. The other
    // arguments are unused with these flags.
    let process = unsafe {
        let process = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if process == 0 {
            libc::_exit(0);
        }
        process
    };
    match i32::try_from(process) {
        Ok(process) if process > 0 => {
            reap(process);
            0
        }
        _ => nix::errno::Errno::last_raw(),
    }
}

/// If waiting is forbidden, the process remains until this one ends, which is soon.
fn reap(process: i32) {
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(process), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_child_can_be_created_without_a_sandbox() {
        let response = answer(&CloneRequest::default()).unwrap();
        assert_eq!(response.error_number, 0);
    }

    #[test]
    fn flags_other_than_namespaces_are_refused() {
        for flags in [libc::CLONE_VM as u64, 1 << 32, 17] {
            let request = CloneRequest {
                namespace_flags: flags,
            };
            assert!(answer(&request).is_err(), "{flags:#x}");
        }
    }
}
