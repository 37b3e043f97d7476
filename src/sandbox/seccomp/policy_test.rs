use proptest::prelude::*;

use super::*;
use crate::gate::Gate;
use crate::seccomp::evaluator::{Call, evaluate};
use crate::seccomp::filter::{ARCHITECTURE, Instruction, LAST_KNOWN, compile};

const ALLOWED: u32 = SECCOMP_RET_ALLOW;
const DENIED: u32 = SECCOMP_RET_ERRNO | EPERM as u32;
const UNKNOWN: u32 = SECCOMP_RET_ERRNO | ENOSYS as u32;

fn program(policy: &Policy) -> (Vec<Instruction>, Gate) {
    let gate = Gate::random().expect("random numbers");
    (compile(policy, gate), gate)
}

fn both_levels() -> [Policy; 2] {
    [engine(), strict()]
}

fn answer(policy: &Policy, number: c_long, arguments: [u64; 6]) -> u32 {
    evaluate(&program(policy).0, &Call::new(number, arguments))
}

/// Returns the verdict of the policy's table, without the program.
fn expected(policy: &Policy, number: u32) -> Option<u32> {
    if number > LAST_KNOWN {
        return Some(UNKNOWN);
    }
    match policy
        .verdicts
        .get(&number)
        .copied()
        .unwrap_or(policy.known)
    {
        Verdict::Allow => Some(ALLOWED),
        Verdict::Errno(errno) => Some(SECCOMP_RET_ERRNO | errno as u32),
        Verdict::If(_) => None,
    }
}

#[test]
fn every_number_gets_the_verdict_of_its_table() {
    for policy in both_levels() {
        let (program, _) = program(&policy);
        for number in (0..2048).chain([0x4000_0000, 0x4000_0001, 0x4000_0200, u32::MAX]) {
            if let Some(verdict) = expected(&policy, number) {
                let call = Call::new(number.into(), [0; 6]);
                assert_eq!(evaluate(&program, &call), verdict, "system call {number}");
            }
        }
    }
}

#[test]
fn a_call_of_another_architecture_kills() {
    for policy in both_levels() {
        let (program, _) = program(&policy);
        for architecture in [0x4000_0003, 0x4000_0028, ARCHITECTURE ^ 0x8000_0000] {
            let call = Call {
                architecture,
                ..Call::new(SYS_getpid, [0; 6])
            };
            assert_eq!(evaluate(&program, &call), SECCOMP_RET_KILL_PROCESS);
        }
    }
}

#[test]
fn clone_into_a_namespace_needs_the_secret() {
    for policy in both_levels() {
        let (program, gate) = program(&policy);
        let clone = |flags: i32, tls: u64| {
            let mut arguments = [flags as u64, 0, 0, 0, 0, 0];
            arguments[CLONE_TLS] = tls;
            evaluate(&program, &Call::new(SYS_clone, arguments))
        };
        let thread =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS;
        assert_eq!(clone(SIGCHLD, 0), ALLOWED);
        assert_eq!(clone(thread, 0x7fff_0000), ALLOWED);
        for flag in [
            CLONE_NEWPID,
            CLONE_NEWNS,
            CLONE_NEWUTS,
            CLONE_NEWIPC,
            CLONE_NEWUSER,
            CLONE_NEWNET,
        ] {
            assert_eq!(clone(flag | SIGCHLD, 0), DENIED);
            assert_eq!(clone(flag | SIGCHLD, gate.secret() ^ 1), DENIED);
            assert_eq!(clone(flag | SIGCHLD, gate.secret() ^ (1 << 63)), DENIED);
            assert_eq!(clone(flag | SIGCHLD, gate.secret()), ALLOWED);
        }
    }
}

#[test]
fn calls_for_the_spawner_alone_need_the_secret() {
    for (policy, calls) in [
        (
            engine(),
            &[
                SYS_mount,
                SYS_unshare,
                SYS_chroot,
                SYS_setpgid,
                SYS_setresuid,
            ][..],
        ),
        (
            strict(),
            &[
                SYS_mount,
                SYS_unshare,
                SYS_chroot,
                SYS_setpgid,
                SYS_setresuid,
                SYS_recvmsg,
                SYS_dup3,
            ][..],
        ),
    ] {
        let (program, gate) = program(&policy);
        for &number in calls {
            assert_eq!(evaluate(&program, &Call::new(number, [0; 6])), DENIED);
            let arguments = [0, 0, 0, 0, 0, gate.secret()];
            assert_eq!(evaluate(&program, &Call::new(number, arguments)), ALLOWED);
        }
    }
}

#[test]
fn two_filters_have_two_secrets() {
    let policy = strict();
    assert_ne!(program(&policy).0, program(&policy).0);
}

#[test]
fn only_unix_sockets_are_allowed_and_none_gets_a_name() {
    for policy in both_levels() {
        for call in [SYS_socket, SYS_socketpair] {
            assert_eq!(
                answer(&policy, call, [AF_UNIX as u64, 0, 0, 0, 0, 0]),
                ALLOWED
            );
            for family in [AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG] {
                assert_eq!(
                    answer(&policy, call, [family as u64, 0, 0, 0, 0, 0]),
                    DENIED
                );
            }
        }
        for call in [SYS_bind, SYS_connect, SYS_listen] {
            assert_eq!(answer(&policy, call, [0; 6]), DENIED);
        }
        let option = |name: i32| [3, SOL_SOCKET as u64, name as u64, 0, 0, 0];
        assert_eq!(answer(&policy, SYS_setsockopt, option(SO_PASSCRED)), DENIED);
        assert_eq!(answer(&policy, SYS_setsockopt, option(SO_RCVBUF)), ALLOWED);
    }
}

#[test]
fn arguments_are_compared_as_the_kernel_reads_them() {
    // The kernel takes an int: the upper bits must not hide the value from the filter.
    let hidden = AF_INET as u64 | 1 << 40;
    let plain = AF_UNIX as u64 | 1 << 40;
    for policy in both_levels() {
        assert_eq!(answer(&policy, SYS_socket, [hidden, 0, 0, 0, 0, 0]), DENIED);
        assert_eq!(answer(&policy, SYS_socket, [plain, 0, 0, 0, 0, 0]), ALLOWED);
    }
}

#[test]
fn locks_watches_leases_and_hints_on_files_are_denied() {
    for policy in both_levels() {
        for call in [SYS_flock, SYS_inotify_init1, SYS_inotify_add_watch] {
            assert_eq!(answer(&policy, call, [0; 6]), DENIED);
        }
        let command = |value| [3, value as u64, 0, 0, 0, 0];
        assert_eq!(answer(&policy, SYS_fcntl, command(F_GETFL)), ALLOWED);
        assert_eq!(answer(&policy, SYS_fcntl, command(F_SETLK)), ALLOWED);
        assert_eq!(answer(&policy, SYS_fcntl, command(F_SETLEASE)), DENIED);
        for note in [F_NOTIFY, F_SET_RW_HINT, F_SET_FILE_RW_HINT] {
            assert_eq!(answer(&policy, SYS_fcntl, command(note as i32)), DENIED);
        }
    }
}

#[test]
fn nothing_that_counts_or_shows_what_others_do_is_allowed() {
    for policy in both_levels() {
        let option = |name: u32| [3, SOL_SOCKET as u64, name.into(), 0, 0, 0];
        let get = |name| answer(&policy, SYS_getsockopt, option(name));
        assert_eq!(get(SO_ERROR as u32), ALLOWED);
        assert_eq!(get(SO_TYPE as u32), ALLOWED);
        for name in SOCKET_OPTIONS_OF_OTHERS {
            assert_eq!(get(*name), DENIED, "option {name}");
        }
        let flags = |flags: u64| answer(&policy, SYS_preadv2, [3, 0, 0, 0, 0, flags]);
        assert_eq!(flags(0), ALLOWED);
        assert_eq!(flags(RWF_NOWAIT.into()), DENIED);
        let pidfd = [(SIGCHLD | CLONE_PIDFD) as u64, 0, 0, 0, 0, 0];
        assert_eq!(answer(&policy, SYS_clone, pidfd), DENIED);
        for call in [SYS_fadvise64, SYS_readahead, SYS_CACHESTAT, SYS_pidfd_open] {
            assert_eq!(answer(&policy, call, [0; 6]), DENIED);
        }
        let advice = |advice: u32| answer(&policy, SYS_madvise, [0, 0, advice.into(), 0, 0, 0]);
        assert_eq!(advice(MADV_DONTNEED as u32), ALLOWED);
        assert_eq!(advice(MADV_NOHUGEPAGE as u32), ALLOWED);
        for stays in ADVICE_THAT_STAYS {
            assert_eq!(advice(*stays), DENIED, "advice {stays}");
        }
        let file_of_socket = [3, SIOCUNIXFILE.into(), 0, 0, 0, 0];
        assert_eq!(answer(&policy, SYS_ioctl, file_of_socket), DENIED);
    }
}

#[test]
fn input_cannot_be_written_to_a_terminal() {
    for policy in both_levels() {
        assert_eq!(answer(&policy, SYS_ioctl, [0, TIOCSTI, 0, 0, 0, 0]), DENIED);
        assert_eq!(
            answer(&policy, SYS_ioctl, [0, TIOCLINUX, 0, 0, 0, 0]),
            DENIED
        );
        assert_eq!(
            answer(&policy, SYS_ioctl, [0, FIONREAD, 0, 0, 0, 0]),
            ALLOWED
        );
    }
    let unlisted = [0, 0x1234, 0, 0, 0, 0];
    assert_eq!(answer(&engine(), SYS_ioctl, unlisted), ALLOWED);
    assert_eq!(answer(&strict(), SYS_ioctl, unlisted), DENIED);
}

#[test]
fn only_own_limits_and_the_plain_personality_are_allowed() {
    for policy in both_levels() {
        assert_eq!(answer(&policy, SYS_prlimit64, [0, 7, 0, 0, 0, 0]), ALLOWED);
        assert_eq!(answer(&policy, SYS_prlimit64, [1, 7, 0, 0, 0, 0]), DENIED);
        assert_eq!(
            answer(&policy, SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]),
            ALLOWED
        );
        assert_eq!(
            answer(&policy, SYS_personality, [0x4_0000, 0, 0, 0, 0, 0]),
            DENIED
        );
    }
}

#[test]
fn prctl_is_filtered_by_its_option() {
    let option = |value: i32| [value as u64, 0, 0, 0, 0, 0];
    for policy in both_levels() {
        assert_eq!(answer(&policy, SYS_prctl, option(PR_SET_NAME)), ALLOWED);
        assert_eq!(answer(&policy, SYS_prctl, option(PR_SET_MM)), DENIED);
        assert_eq!(answer(&policy, SYS_prctl, option(PR_SET_PTRACER)), DENIED);
    }
    assert_eq!(
        answer(&engine(), SYS_prctl, option(PR_SET_KEEPCAPS)),
        ALLOWED
    );
    assert_eq!(
        answer(&strict(), SYS_prctl, option(PR_SET_KEEPCAPS)),
        DENIED
    );
}

#[test]
fn engine_and_strict_differ_in_calls_that_only_strict_denies() {
    for (call, engine_answer, strict_answer) in [
        (SYS_read, ALLOWED, ALLOWED),
        (SYS_execve, ALLOWED, ALLOWED),
        (SYS_clone3, UNKNOWN, UNKNOWN),
        (SYS_dup, ALLOWED, DENIED),
        (SYS_setsid, DENIED, DENIED),
        (SYS_sendmsg, ALLOWED, DENIED),
        (SYS_openat2, ALLOWED, UNKNOWN),
        (SYS_ptrace, DENIED, DENIED),
        (SYS_bpf, DENIED, DENIED),
        (SYS_io_uring_setup, DENIED, DENIED),
        (SYS_shmget, DENIED, DENIED),
    ] {
        assert_eq!(
            answer(&engine(), call, [0; 6]),
            engine_answer,
            "engine, {call}"
        );
        assert_eq!(
            answer(&strict(), call, [0; 6]),
            strict_answer,
            "strict, {call}"
        );
    }
}

#[test]
fn no_call_is_listed_twice() {
    let mut seen = std::collections::HashSet::new();
    let lists = [
        STRICTLY_FORBIDDEN,
        LEGACY_STRICTLY_FORBIDDEN,
        NEEDED,
        LEGACY_NEEDED,
    ];
    let conditional = CONDITIONAL
        .iter()
        .chain(STRICT_ONLY_CONDITIONAL)
        .map(|(call, _)| call);
    let forbidden = FORBIDDEN.iter().flat_map(|(_, calls)| *calls);
    let listed = lists.into_iter().flatten();
    for call in listed.chain(forbidden).chain(conditional) {
        assert!(seen.insert(*call), "system call {call} is listed twice");
    }
}

#[test]
fn a_program_has_less_than_700_instructions() {
    for policy in both_levels() {
        let (program, _) = program(&policy);
        assert!(program.len() < 700, "{} instructions", program.len());
    }
}

proptest! {
    #[test]
    fn arguments_do_not_change_an_unconditional_verdict(
        number in 0u32..=LAST_KNOWN,
        arguments in any::<[u64; 6]>(),
    ) {
        for policy in both_levels() {
            if let Some(verdict) = expected(&policy, number) {
                prop_assert_eq!(answer(&policy, number.into(), arguments), verdict);
            }
        }
    }
}
