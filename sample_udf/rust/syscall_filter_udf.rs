//! Tries system calls that a UDF does not need.

use std::process::ExitCode;

use libc::c_long;
use nix::errno::Errno;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{SampleRequest, SyscallOutcome, SyscallsResponse};
use roma_sample_udf::message::response;

/// A number that is no valid descriptor, process or object.
const NONE: c_long = -1;

/// A null pointer.
const NULL: c_long = 0;

/// An address that no process can use.
const NOWHERE: c_long = 1;

/// A flag that no system call takes.
const NO_SUCH_FLAG: c_long = 1;

/// A key of System V objects that nothing uses.
const UNUSED_KEY: c_long = 0x756e_7573;

/// Name, number and arguments of each call. If a call is allowed, the kernel refuses its arguments, if
/// possible for a reason other than permission. The exception is the creation of a socket.
#[rustfmt::skip]
const ATTEMPTS: &[(&str, c_long, &[c_long])] = &[
    // System V IPC.
    ("msgget", libc::SYS_msgget, &[UNUSED_KEY, 0]),
    ("msgsnd", libc::SYS_msgsnd, &[NONE, NULL, 0, 0]),
    ("msgrcv", libc::SYS_msgrcv, &[NONE, NULL, 0, 0, 0]),
    ("msgctl", libc::SYS_msgctl, &[NONE, libc::IPC_STAT as c_long, NULL]),
    ("semget", libc::SYS_semget, &[UNUSED_KEY, 0, 0]),
    ("semop", libc::SYS_semop, &[NONE, NULL, 1]),
    ("semtimedop", libc::SYS_semtimedop, &[NONE, NULL, 1, NULL]),
    ("semctl", libc::SYS_semctl, &[NONE, 0, libc::IPC_STAT as c_long, NULL]),
    ("shmget", libc::SYS_shmget, &[UNUSED_KEY, 0, 0]),
    ("shmat", libc::SYS_shmat, &[NONE, NULL, 0]),
    ("shmdt", libc::SYS_shmdt, &[NOWHERE]),
    ("shmctl", libc::SYS_shmctl, &[NONE, libc::IPC_STAT as c_long, NULL]),
    // POSIX message queues.
    ("mq_open", libc::SYS_mq_open, &[NULL, 0, 0, NULL]),
    // Sockets.
    ("socket:AF_UNIX", libc::SYS_socket, &[libc::AF_UNIX as c_long, libc::SOCK_STREAM as c_long, 0]),
    ("socket:AF_INET", libc::SYS_socket, &[libc::AF_INET as c_long, libc::SOCK_STREAM as c_long, 0]),
    ("socket:AF_INET6", libc::SYS_socket, &[libc::AF_INET6 as c_long, libc::SOCK_STREAM as c_long, 0]),
    ("socket:AF_NETLINK", libc::SYS_socket, &[libc::AF_NETLINK as c_long, libc::SOCK_RAW as c_long, 0]),
    ("socket:AF_PACKET", libc::SYS_socket, &[libc::AF_PACKET as c_long, libc::SOCK_RAW as c_long, 0]),
    ("socket:AF_VSOCK", libc::SYS_socket, &[libc::AF_VSOCK as c_long, libc::SOCK_STREAM as c_long, 0]),
    ("socket:AF_ALG", libc::SYS_socket, &[libc::AF_ALG as c_long, libc::SOCK_SEQPACKET as c_long, 0]),
    ("connect", libc::SYS_connect, &[NONE, NULL, 0]),
    ("bind", libc::SYS_bind, &[NONE, NULL, 0]),
    ("listen", libc::SYS_listen, &[NONE, 0]),
    ("sendmsg", libc::SYS_sendmsg, &[NONE, NULL, 0]),
    ("recvmsg", libc::SYS_recvmsg, &[NONE, NULL, 0]),
    // Descriptors of other processes.
    ("dup", libc::SYS_dup, &[NONE]),
    #[cfg(target_arch = "x86_64")]
    ("dup2", libc::SYS_dup2, &[NONE, NONE]),
    ("dup3", libc::SYS_dup3, &[NONE, NONE, NO_SUCH_FLAG]),
    ("pidfd_open", libc::SYS_pidfd_open, &[NONE, 0]),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, &[NONE, NONE, 0]),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, &[NONE, NULL, 0]),
    // Other processes.
    ("ptrace", libc::SYS_ptrace, &[libc::PTRACE_ATTACH as c_long, NONE, NULL, NULL]),
    ("process_vm_readv", libc::SYS_process_vm_readv, &[NONE, NULL, 1, NULL, 1, 0]),
    ("process_vm_writev", libc::SYS_process_vm_writev, &[NONE, NULL, 1, NULL, 1, 0]),
    ("kcmp", libc::SYS_kcmp, &[NONE, NONE, 0, 0, 0]),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, &[NONE, 0, NULL, 0]),
    ("perf_event_open", libc::SYS_perf_event_open, &[NULL, 0, NONE, NONE, 0]),
    // Namespaces and mounts.
    ("clone3", libc::SYS_clone3, &[NULL, 0]),
    ("unshare:CLONE_NEWUSER", libc::SYS_unshare, &[libc::CLONE_NEWUSER as c_long | NO_SUCH_FLAG]),
    ("unshare:CLONE_NEWNS", libc::SYS_unshare, &[libc::CLONE_NEWNS as c_long | NO_SUCH_FLAG]),
    ("setns", libc::SYS_setns, &[NONE, 0]),
    ("mount", libc::SYS_mount, &[NULL, NULL, NULL, 0, NULL]),
    ("umount2", libc::SYS_umount2, &[NULL, 0]),
    ("pivot_root", libc::SYS_pivot_root, &[NULL, NULL]),
    ("chroot", libc::SYS_chroot, &[NULL]),
    ("open_tree", libc::SYS_open_tree, &[NONE, NULL, NO_SUCH_FLAG << 30]),
    ("move_mount", libc::SYS_move_mount, &[NONE, NULL, NONE, NULL, NO_SUCH_FLAG << 30]),
    ("fsopen", libc::SYS_fsopen, &[NULL, 0]),
    ("mount_setattr", libc::SYS_mount_setattr, &[NONE, NULL, 0, NULL, 0]),
    ("mknodat", libc::SYS_mknodat, &[NONE, NULL, libc::S_IFCHR as c_long, 0]),
    ("quotactl", libc::SYS_quotactl, &[NONE, NULL, 0, NULL]),
    // Privileges.
    ("setuid", libc::SYS_setuid, &[NONE]),
    ("setgid", libc::SYS_setgid, &[NONE]),
    ("setgroups", libc::SYS_setgroups, &[NONE, NULL]),
    ("capset", libc::SYS_capset, &[NULL, NULL]),
    ("seccomp", libc::SYS_seccomp, &[NONE, 0, NULL]),
    ("prctl:PR_SET_SECCOMP", libc::SYS_prctl, &[libc::PR_SET_SECCOMP as c_long, NONE]),
    ("prctl:PR_SET_MM", libc::SYS_prctl, &[libc::PR_SET_MM as c_long, NONE, 0, 0, 0]),
    ("prctl:PR_SET_DUMPABLE", libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as c_long, NONE]),
    ("personality", libc::SYS_personality, &[0xffff_ffff]),
    // Keys.
    ("add_key", libc::SYS_add_key, &[NULL, NULL, NULL, 0, 0]),
    ("request_key", libc::SYS_request_key, &[NULL, NULL, NULL, 0]),
    ("keyctl", libc::SYS_keyctl, &[NONE]),
    // Calls that give access to large parts of the kernel.
    ("bpf", libc::SYS_bpf, &[NONE, NULL, 0]),
    ("io_uring_setup", libc::SYS_io_uring_setup, &[0, NULL]),
    ("userfaultfd", libc::SYS_userfaultfd, &[NO_SUCH_FLAG << 30]),
    ("memfd_create", libc::SYS_memfd_create, &[NULL, 0]),
    ("fanotify_init", libc::SYS_fanotify_init, &[NONE, 0]),
    ("inotify_init1", libc::SYS_inotify_init1, &[NONE]),
    ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, &[NULL, 0, 0]),
    ("execveat", libc::SYS_execveat, &[NONE, NULL, NULL, NULL, 0]),
    ("ioctl:TIOCSTI", libc::SYS_ioctl, &[NONE, libc::TIOCSTI as c_long, NULL]),
    // The machine.
    ("sethostname", libc::SYS_sethostname, &[NULL, NONE]),
    ("clock_settime", libc::SYS_clock_settime, &[libc::CLOCK_REALTIME as c_long, NULL]),
    ("adjtimex", libc::SYS_adjtimex, &[NULL]),
    ("init_module", libc::SYS_init_module, &[NULL, 0, NULL]),
    ("finit_module", libc::SYS_finit_module, &[NONE, NULL, 0]),
    ("delete_module", libc::SYS_delete_module, &[NULL, 0]),
    ("kexec_load", libc::SYS_kexec_load, &[0, 1 << 20, NULL, 0]),
    ("reboot", libc::SYS_reboot, &[0, 0, 0, NULL]),
    ("swapon", libc::SYS_swapon, &[NULL, 0]),
    ("swapoff", libc::SYS_swapoff, &[NULL]),
    ("acct", libc::SYS_acct, &[NOWHERE]),
    ("syslog", libc::SYS_syslog, &[NONE, NULL, 0]),
];

fn main() -> ExitCode {
    roma_udf::serve(|_: SampleRequest| {
        let outcomes = ATTEMPTS
            .iter()
            .map(|(name, number, arguments)| SyscallOutcome {
                name: (*name).into(),
                error_number: attempt(*number, arguments),
            });
        response(Outcome::Syscalls(SyscallsResponse {
            outcomes: outcomes.collect(),
        }))
    })
}

/// Returns 0 or the error number.
#[allow(unsafe_code)]
fn attempt(number: c_long, arguments: &[c_long]) -> i32 {
    let argument = |index| arguments.get(index).copied().unwrap_or_default();
    // SAFETY: no argument is an address that this process uses, so no call can read or write its
    // memory, and none of the calls ends or forks it.
    let result = unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    };
    match result {
        -1 => Errno::last_raw(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ATTEMPTS.iter().map(|(name, ..)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ATTEMPTS.len());
    }

    #[test]
    fn the_error_number_is_reported() {
        assert_eq!(attempt(libc::SYS_dup, &[NONE]), libc::EBADF);
        assert_eq!(attempt(libc::SYS_getpid, &[]), 0);
    }
}
