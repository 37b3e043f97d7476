//! Which system calls each level allows.
//!
//! There are three kinds of calls: allowed ones (some only with certain arguments), forbidden ones
//! (`EPERM`), and unknown ones (`ENOSYS`, so that a C library falls back to an older call instead of
//! giving up).

use std::collections::BTreeMap;

use libc::*;

use super::filter::{Policy, Test, Verdict};
use crate::guard::{Guard, is_enabled};

/// Denies what could harm or would let requests communicate; allows the rest.
pub(super) fn engine() -> Policy {
    let mut verdicts = BTreeMap::new();
    forbid(&mut verdicts);
    if is_enabled(Guard::FilterOfArguments) {
        set(&mut verdicts, CONDITIONAL, ());
        set(&mut verdicts, ENGINE_ONLY_CONDITIONAL, ());
    }
    Policy {
        verdicts,
        known: Verdict::Allow,
    }
}

/// Allows what computing a response needs; denies the rest.
pub(super) fn strict() -> Policy {
    let mut verdicts = BTreeMap::new();
    if !is_enabled(Guard::FilterOfStrictLevel) {
        return engine();
    }
    forbid(&mut verdicts);
    set(&mut verdicts, STRICTLY_FORBIDDEN, Verdict::Errno(EPERM));
    set(
        &mut verdicts,
        LEGACY_STRICTLY_FORBIDDEN,
        Verdict::Errno(EPERM),
    );
    set(&mut verdicts, NEEDED, Verdict::Allow);
    set(&mut verdicts, LEGACY_NEEDED, Verdict::Allow);
    set(&mut verdicts, CONDITIONAL, ());
    set(&mut verdicts, STRICT_ONLY_CONDITIONAL, ());
    Policy {
        verdicts,
        known: Verdict::Errno(ENOSYS),
    }
}

fn forbid(verdicts: &mut BTreeMap<u32, Verdict>) {
    for (guard, calls) in FORBIDDEN {
        if is_enabled(*guard) {
            set(verdicts, calls, Verdict::Errno(EPERM));
        }
    }
}

/// An entry of a list of calls that has one verdict for all calls or one for each.
trait Entry<V> {
    fn entry(&self, common: V) -> (c_long, Verdict);
}

impl Entry<Verdict> for c_long {
    fn entry(&self, common: Verdict) -> (c_long, Verdict) {
        (*self, common)
    }
}

impl Entry<()> for (c_long, Verdict) {
    fn entry(&self, (): ()) -> (c_long, Verdict) {
        *self
    }
}

fn set<V: Copy, E: Entry<V>>(verdicts: &mut BTreeMap<u32, Verdict>, calls: &[E], common: V) {
    for call in calls {
        let (number, verdict) = call.entry(common);
        verdicts.insert(number as u32, verdict);
    }
}

const NAMESPACES: u32 = (CLONE_NEWPID
    | CLONE_NEWNS
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWNET
    | CLONE_NEWCGROUP
    // CLONE_NEWTIME; in clone's flags it is part of the exit signal.
    | 0x80) as u32;

/// The command of `fcntl` that watches a folder.
const F_NOTIFY: u32 = 1026;
/// The commands of `fcntl` that store a value in a file or in an open file.
const F_SET_RW_HINT: u32 = 1036;
const F_SET_FILE_RW_HINT: u32 = 1038;

/// The flag of `preadv2` that tells whether a page is in the kernel's cache.
const RWF_NOWAIT: u32 = 8;
/// The command of `ioctl` that opens the file of a socket.
const SIOCUNIXFILE: u32 = 0x89e0;

/// Advice on memory that changes more than the caller's own mappings: how pages of a file are kept, which a later
/// request with the same root can tell by its page faults, and what is shared with others or swapped out.
const ADVICE_THAT_STAYS: &[u32] = &[
    MADV_MERGEABLE as u32,
    MADV_HUGEPAGE as u32,
    MADV_COLD as u32,
    MADV_PAGEOUT as u32,
    MADV_COLLAPSE as u32,
];

/// Options of sockets that say something of the peer, or that count all sockets of the machine.
const SOCKET_OPTIONS_OF_OTHERS: &[u32] = &[
    SO_PEERCRED as u32,
    SO_PEERNAME as u32,
    SO_PEERSEC as u32,
    SO_MEMINFO as u32,
    SO_COOKIE as u32,
    SO_PEERGROUPS as u32,
    71, // SO_NETNS_COOKIE
    77, // SO_PEERPIDFD
];

// Newer than the C library's list, and the same on every architecture.
const SYS_CACHESTAT: c_long = 451;
const SYS_STATMOUNT: c_long = 457;
const SYS_LISTMOUNT: c_long = 458;

/// The argument of clone that carries the TLS pointer, which the kernel ignores without `CLONE_SETTLS`.
#[cfg(target_arch = "x86_64")]
const CLONE_TLS: usize = 4;
#[cfg(target_arch = "aarch64")]
const CLONE_TLS: usize = 3;

/// A register that no system call with fewer than six arguments uses.
const UNUSED: usize = 5;

const GATED: Verdict = Verdict::If(&[Test::Gate(UNUSED)]);

/// At both levels: allowed only with certain arguments, or only to the spawner.
const CONDITIONAL: &[(c_long, Verdict)] = &[
    (
        SYS_clone,
        // The inode number of a pidfd counts the processes of the machine.
        Verdict::If(&[
            Test::NoBits(0, NAMESPACES | CLONE_PIDFD as u32),
            Test::Gate(CLONE_TLS),
        ]),
    ),
    // Its arguments are in memory, where no filter can see them. C libraries fall back to clone.
    (SYS_clone3, Verdict::Errno(ENOSYS)),
    (SYS_mount, GATED),
    (SYS_unshare, GATED),
    (SYS_chroot, GATED),
    (SYS_setpgid, GATED),
    (SYS_setresuid, GATED),
    (
        SYS_socket,
        Verdict::If(&[Test::OneOf(0, &[AF_UNIX as u32])]),
    ),
    (
        SYS_socketpair,
        Verdict::If(&[Test::OneOf(0, &[AF_UNIX as u32])]),
    ),
    // SO_PASSCRED and similar options give a socket a name without bind.
    (
        SYS_setsockopt,
        Verdict::If(&[Test::NoneOf(
            2,
            &[SO_PASSCRED as u32, SO_PASSSEC as u32, 76],
        )]),
    ),
    (
        SYS_getsockopt,
        Verdict::If(&[Test::NoneOf(2, SOCKET_OPTIONS_OF_OTHERS)]),
    ),
    (
        SYS_madvise,
        Verdict::If(&[Test::NoneOf(2, ADVICE_THAT_STAYS)]),
    ),
    (SYS_preadv2, Verdict::If(&[Test::NoBits(5, RWF_NOWAIT)])),
    // Record locks are allowed: each worker has files of its own. Leases, watches and hints that are
    // stored in a file are denied.
    (
        SYS_fcntl,
        Verdict::If(&[Test::NoneOf(
            1,
            &[
                F_SETLEASE as u32,
                F_NOTIFY,
                F_SET_RW_HINT,
                F_SET_FILE_RW_HINT,
            ],
        )]),
    ),
    // Only the caller's own limits.
    (SYS_prlimit64, Verdict::If(&[Test::OneOf(0, &[0])])),
    // Only querying, and plain Linux: ADDR_NO_RANDOMIZE and the like make exploits easier.
    (
        SYS_personality,
        Verdict::If(&[Test::OneOf(0, &[0, u32::MAX])]),
    ),
];

const ENGINE_ONLY_CONDITIONAL: &[(c_long, Verdict)] = &[
    // Writing input to terminals, and the kernel's consoles.
    (
        SYS_ioctl,
        Verdict::If(&[Test::NoneOf(
            1,
            &[
                TIOCSTI as u32,
                TIOCLINUX as u32,
                TIOCCONS as u32,
                SIOCUNIXFILE,
            ],
        )]),
    ),
    (
        SYS_prctl,
        Verdict::If(&[Test::NoneOf(
            0,
            &[
                PR_SET_MM as u32,
                PR_SET_PTRACER as u32,
                PR_SET_SECCOMP as u32,
            ],
        )]),
    ),
];

const STRICT_ONLY_CONDITIONAL: &[(c_long, Verdict)] = &[
    (
        SYS_ioctl,
        Verdict::If(&[Test::OneOf(
            1,
            &[
                FIONREAD as u32,
                FIONBIO as u32,
                FIOCLEX as u32,
                FIONCLEX as u32,
                TCGETS as u32,
                TIOCGWINSZ as u32,
            ],
        )]),
    ),
    (
        SYS_prctl,
        Verdict::If(&[Test::OneOf(
            0,
            &[
                PR_SET_NAME as u32,
                PR_GET_NAME as u32,
                PR_SET_PDEATHSIG as u32,
                PR_GET_PDEATHSIG as u32,
                PR_GET_DUMPABLE as u32,
                PR_SET_DUMPABLE as u32,
                // A process without capabilities can only query and clear.
                PR_CAP_AMBIENT as u32,
                PR_GET_NO_NEW_PRIVS as u32,
                PR_GET_SECCOMP as u32,
                PR_CAPBSET_READ as u32,
                PR_SET_VMA as u32,
                PR_SET_THP_DISABLE as u32,
                PR_GET_THP_DISABLE as u32,
                PR_SET_TIMERSLACK as u32,
                PR_GET_TIMERSLACK as u32,
            ],
        )]),
    ),
    (SYS_recvmsg, GATED),
    (SYS_dup3, GATED),
];

/// At both levels: forbidden, grouped by guard.
const FORBIDDEN: &[(Guard, &[c_long])] = &[
    (Guard::FilterOfSandbox, SANDBOX),
    (Guard::FilterOfIdentity, IDENTITY),
    (Guard::FilterOfProcesses, OTHER_PROCESSES),
    (Guard::FilterOfKernelDoors, KERNEL_DOORS),
    (Guard::FilterOfMachine, MACHINE),
    (Guard::FilterOfMeetingPlaces, MEETING_PLACES),
    (Guard::FilterOfSandbox, LEGACY_SANDBOX),
    (Guard::FilterOfKernelDoors, LEGACY_KERNEL_DOORS),
    (Guard::FilterOfMeetingPlaces, LEGACY_MEETING_PLACES),
];

/// The sandbox itself: mounts, roots, namespaces, devices.
#[rustfmt::skip]
const SANDBOX: &[c_long] = &[
    SYS_setns, SYS_umount2, SYS_pivot_root, SYS_fsopen, SYS_fsconfig, SYS_fsmount,
    SYS_fspick, SYS_open_tree, SYS_move_mount, SYS_mount_setattr, SYS_open_by_handle_at,
    SYS_name_to_handle_at, SYS_mknodat, SYS_capset, SYS_quotactl, SYS_quotactl_fd,
];

/// The identity of a process.
#[rustfmt::skip]
const IDENTITY: &[c_long] = &[
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
    SYS_setgroups,
];

/// What reaches into other processes.
#[rustfmt::skip]
const OTHER_PROCESSES: &[c_long] = &[
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise,
    SYS_process_mrelease, SYS_pidfd_getfd, SYS_kcmp, SYS_move_pages, SYS_migrate_pages,
    // Several sessions that start below others at once can stop gVisor's kernel.
    SYS_setsid,
];

/// Large kernel interfaces that computing does not need.
#[rustfmt::skip]
const KERNEL_DOORS: &[c_long] = &[
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_fanotify_init,
    SYS_fanotify_mark, SYS_vmsplice, SYS_lookup_dcookie, SYS_io_setup, SYS_io_submit,
];

/// What changes the whole machine.
#[rustfmt::skip]
const MACHINE: &[c_long] = &[
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
    SYS_clock_adjtime, SYS_syslog, SYS_sethostname, SYS_setdomainname, SYS_vhangup,
];

/// How two requests could communicate: locks and watches on files, System V IPC, POSIX queues, names of
/// sockets; what is in the kernel's cache of a library; counters of the whole machine.
#[rustfmt::skip]
const MEETING_PLACES: &[c_long] = &[
    SYS_flock, SYS_inotify_init1, SYS_inotify_add_watch,
    SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_semget, SYS_semop, SYS_semctl,
    SYS_semtimedop, SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_mq_open, SYS_mq_unlink,
    SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify, SYS_mq_getsetattr, SYS_bind, SYS_connect,
    SYS_listen, SYS_fadvise64, SYS_readahead, SYS_CACHESTAT, SYS_pidfd_open, SYS_STATMOUNT,
    SYS_LISTMOUNT,
];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
const LEGACY_SANDBOX: &[c_long] = &[SYS_mknod];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_SANDBOX: &[c_long] = &[];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
const LEGACY_KERNEL_DOORS: &[c_long] = &[
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
    SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_KERNEL_DOORS: &[c_long] = &[];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
const LEGACY_MEETING_PLACES: &[c_long] = &[SYS_inotify_init];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_MEETING_PLACES: &[c_long] = &[];

/// At the strict level also: calls that exist and work, but are not for UDFs. `EPERM` says so; `ENOSYS`
/// would be wrong.
#[rustfmt::skip]
const STRICTLY_FORBIDDEN: &[c_long] = &[
    SYS_accept, SYS_accept4, SYS_sendmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_dup, SYS_seccomp,
    SYS_setpriority, SYS_ioprio_set, SYS_sched_setaffinity,
    SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr, SYS_fchmod, SYS_fchmodat,
    SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_memfd_create,
    SYS_memfd_secret, SYS_pidfd_send_signal, SYS_splice, SYS_tee, SYS_mlockall,
    SYS_mbind, SYS_set_mempolicy, SYS_sync, SYS_syncfs,
    SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const LEGACY_STRICTLY_FORBIDDEN: &[c_long] = &[
    SYS_dup2, SYS_chmod, SYS_chown, SYS_lchown,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_STRICTLY_FORBIDDEN: &[c_long] = &[];

/// At the strict level: what computing a response needs.
#[rustfmt::skip]
const NEEDED: &[c_long] = &[
    // Bytes.
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
    SYS_pwritev2, SYS_lseek, SYS_close, SYS_close_range, SYS_sendfile,
    SYS_copy_file_range, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
    // Files: the root is read-only, there may be a private /tmp.
    SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statfs, SYS_fstatfs, SYS_statx, SYS_faccessat,
    SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_mkdirat,
    SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_truncate, SYS_utimensat, SYS_umask,
    SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
    // Memory.
    SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_msync, SYS_mincore,
    SYS_mlock, SYS_mlock2, SYS_munlock, SYS_munlockall, SYS_membarrier, SYS_get_mempolicy,
    SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect,
    // Own processes and threads.
    SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill,
    SYS_tgkill, SYS_futex, SYS_futex_waitv, SYS_set_robust_list, SYS_get_robust_list,
    SYS_set_tid_address, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getscheduler,
    SYS_sched_getparam, SYS_sched_getattr, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
    SYS_sched_rr_get_interval, SYS_getcpu,
    // Identity and system information.
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getpgid, SYS_getsid, SYS_getuid, SYS_geteuid, SYS_getgid,
    SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_capget, SYS_getrlimit,
    SYS_getrusage, SYS_getpriority, SYS_ioprio_get, SYS_times, SYS_sysinfo, SYS_uname, SYS_getrandom,
    // Time.
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_setitimer, SYS_getitimer,
    // Signals.
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_signalfd4, SYS_restart_syscall,
    // Waiting.
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2,
    SYS_eventfd2, SYS_pipe2,
    // Connected pairs.
    SYS_sendto, SYS_recvfrom, SYS_shutdown, SYS_getsockname, SYS_getpeername,
];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const LEGACY_NEEDED: &[c_long] = &[
    SYS_arch_prctl, SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink,
    SYS_getdents, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_renameat, SYS_link, SYS_symlink,
    SYS_utime, SYS_utimes, SYS_futimesat, SYS_fork, SYS_vfork, SYS_getpgrp, SYS_alarm, SYS_pause,
    SYS_time, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd,
    SYS_pipe,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_NEEDED: &[c_long] = &[];

#[cfg(test)]
#[path = "policy_test.rs"]
mod tests;
