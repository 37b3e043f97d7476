//! What each filter level allows a real process.

use roma_sandbox::seccomp::FilterLevel;

use crate::host::Mode;
use crate::{in_every_mode, probe, start};

in_every_mode! {
    calls_that_could_connect_two_requests_are_denied
    the_sandbox_cannot_be_changed
    dup_is_denied_only_at_the_strict_level
    dangerous_arguments_are_denied
    a_worker_can_fork_under_a_filter
}

const FILTERED: [FilterLevel; 2] = [FilterLevel::Engine, FilterLevel::Strict];

fn each(mode: Mode, calls: &[(i64, &str)], expected: &str) {
    let mut host = start(mode);
    for level in FILTERED {
        let mut pool = host.load(probe(), |load| load.filter = level);
        for (call, arguments) in calls {
            let answer = pool.answer(format!("syscall {call} {arguments}").trim_end());
            assert_eq!(answer, expected, "system call {call} at {level:?}");
        }
    }
}

fn calls_that_could_connect_two_requests_are_denied(mode: Mode) {
    let calls = [
        (libc::SYS_msgget, "1 512"),
        (libc::SYS_semget, "1 1 512"),
        (libc::SYS_shmget, "1 4096 512"),
        (libc::SYS_mq_open, "0 0 0 0"),
        (libc::SYS_bind, "3 0 0"),
        (libc::SYS_connect, "3 0 0"),
        (libc::SYS_keyctl, "0 0 0"),
    ];
    each(mode, &calls, "errno 1");
}

fn the_sandbox_cannot_be_changed(mode: Mode) {
    let calls = [
        (libc::SYS_mount, "0 0 0 0 0"),
        (libc::SYS_umount2, "0 0"),
        (libc::SYS_pivot_root, "0 0"),
        (libc::SYS_chroot, "0"),
        (libc::SYS_setns, "3 0"),
        (libc::SYS_ptrace, "0 0 0 0"),
        (libc::SYS_bpf, "0 0 0"),
        (libc::SYS_io_uring_setup, "1 0"),
        (libc::SYS_userfaultfd, "0"),
        (libc::SYS_setresuid, "0 0 0"),
        (libc::SYS_capset, "0 0"),
    ];
    each(mode, &calls, "errno 1");
}

fn dup_is_denied_only_at_the_strict_level(mode: Mode) {
    let mut host = start(mode);
    let dup = format!("syscall {} 3", libc::SYS_dup);
    let dup3 = format!("syscall {} 3 9 0", libc::SYS_dup3);
    let unknown = "syscall 999";
    let mut answers = |level| {
        let mut pool = host.load(probe(), |load| load.filter = level);
        [&dup, &dup3, unknown].map(|call| pool.answer(call))
    };
    assert_eq!(
        answers(FilterLevel::None),
        ["result 4", "result 9", "errno 38"]
    );
    assert_eq!(
        answers(FilterLevel::Engine),
        ["result 4", "result 9", "errno 38"]
    );
    assert_eq!(
        answers(FilterLevel::Strict),
        ["errno 1", "errno 1", "errno 38"]
    );
}

fn dangerous_arguments_are_denied(mode: Mode) {
    let new_user = libc::CLONE_NEWUSER | libc::SIGCHLD;
    let calls = [
        // With a wrong secret.
        (libc::SYS_clone, &*format!("{new_user} 0 0 1 1")),
        (
            libc::SYS_unshare,
            &*format!("{} 0 0 0 0 1", libc::CLONE_NEWUSER),
        ),
        (libc::SYS_ioctl, &*format!("0 {} 0", libc::TIOCSTI)),
        (libc::SYS_prctl, &*format!("{} 0 0 0 0", libc::PR_SET_MM)),
        (libc::SYS_prlimit64, "2 7 0 0"),
        (libc::SYS_personality, "262144"),
        (
            libc::SYS_setsockopt,
            &*format!("3 {} {} 0 4", libc::SOL_SOCKET, libc::SO_PASSCRED),
        ),
    ];
    each(mode, &calls, "errno 1");
}

fn a_worker_can_fork_under_a_filter(mode: Mode) {
    let mut host = start(mode);
    for level in FILTERED {
        let mut pool = host.load(probe(), |load| load.filter = level);
        let fork = format!("syscall {} {} 0 0 0 0", libc::SYS_clone, libc::SIGCHLD);
        assert!(pool.answer(&fork).starts_with("result "));
    }
}
