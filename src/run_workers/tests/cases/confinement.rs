//! How every worker is confined, whatever the options.

use roma_sandbox::seccomp::FilterLevel;

use crate::host::{Mode, Pool};
use crate::{in_every_mode, probe, start};

in_every_mode! {
    each_request_has_a_process_of_its_own
    a_worker_has_no_capabilities_at_any_filter_level
    a_worker_has_four_descriptors
    the_root_holds_the_binary_and_nothing_else
    no_file_can_be_written
    a_worker_has_no_network
    namespaces_cannot_be_created_even_without_a_filter
    arguments_and_environment_are_as_documented
    a_worker_starts_with_default_signals
}

const LEVELS: [FilterLevel; 3] = [FilterLevel::None, FilterLevel::Engine, FilterLevel::Strict];

fn at_every_level(mode: Mode, check: impl Fn(FilterLevel, &mut Pool)) {
    let mut host = start(mode);
    for level in LEVELS {
        let mut pool = host.load(probe(), |load| load.filter = level);
        check(level, &mut pool);
    }
}

fn each_request_has_a_process_of_its_own(mode: Mode) {
    at_every_level(mode, |_, pool| {
        // Process 1 of its own PID namespace, each time; an unmapped user; a neutral host name.
        for _ in 0..3 {
            let identity = pool.answer("identity");
            assert_eq!(
                identity,
                "pid 1 parent 0 session 0 uid 65534 gid 65534 host roma"
            );
        }
        // Two workers at the same time are two processes.
        let (mut first, mut second) = (pool.spawn(), pool.spawn());
        first.await_ready();
        second.await_ready();
        assert!(first.ask("identity").starts_with("pid 1 "));
        assert!(second.ask("identity").starts_with("pid 1 "));
        let ended = [pool.exited(0).worker, pool.exited(0).worker];
        assert!(ended.contains(&first.id) && ended.contains(&second.id));
    });
}

fn a_worker_has_no_capabilities_at_any_filter_level(mode: Mode) {
    at_every_level(mode, |level, pool| {
        let seccomp = if level == FilterLevel::None { 0 } else { 2 };
        let expected = format!("[0, 0, 0, 0, 0, 0] no_new_privs 1 seccomp {seccomp}");
        assert_eq!(pool.answer("capabilities"), expected, "{level:?}");
    });
}

fn a_worker_has_four_descriptors(mode: Mode) {
    at_every_level(mode, |_, pool| {
        assert_eq!(pool.answer("descriptors"), "0 1 2 3")
    });
}

fn the_root_holds_the_binary_and_nothing_else(mode: Mode) {
    at_every_level(mode, |_, pool| assert_eq!(pool.answer("files"), "/udf\n"));
}

fn no_file_can_be_written(mode: Mode) {
    at_every_level(mode, |_, pool| {
        for path in ["/new", "/udf", "/tmp/new", "/dev/null", "/proc/self/mem"] {
            let answer = pool.answer(&format!("write {path}"));
            assert!(answer.starts_with("errno "), "{path}: {answer}");
        }
    });
}

fn a_worker_has_no_network(mode: Mode) {
    at_every_level(mode, |level, pool| {
        for family in [
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
            libc::AF_PACKET,
        ] {
            let socket = format!("syscall {} {family} {} 0", libc::SYS_socket, libc::SOCK_RAW);
            let answer = pool.answer(&socket);
            // Without a filter a netlink socket can be created. It reveals nothing.
            let harmless = level == FilterLevel::None && family == libc::AF_NETLINK;
            assert!(
                harmless || answer.starts_with("errno "),
                "{family}: {answer}"
            );
        }
    });
}

fn namespaces_cannot_be_created_even_without_a_filter(mode: Mode) {
    at_every_level(mode, |level, pool| {
        for flag in [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
        ] {
            let unshare = pool.answer(&format!("syscall {} {flag}", libc::SYS_unshare));
            assert_eq!(unshare, "errno 1");
            // gVisor does not require a mapped user here. What it allows stays inside gVisor.
            if level == FilterLevel::None && mode != Mode::Direct {
                continue;
            }
            let flags = flag | libc::SIGCHLD;
            let clone = pool.answer(&format!("syscall {} {flags} 0 0 0 0", libc::SYS_clone));
            assert_eq!(clone, "errno 1");
        }
    });
}

fn arguments_and_environment_are_as_documented(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    assert_eq!(
        pool.answer("arguments"),
        "07070707-0707-0707-0707-070707070707 3"
    );
    assert_eq!(pool.answer("environment"), "");
    let mut pool = host.load(probe(), |load| {
        load.environment = vec![b"A=1".to_vec(), b"B=x y".to_vec()];
        load.arguments = vec![b"more".to_vec()];
    });
    assert_eq!(
        pool.answer("arguments"),
        "07070707-0707-0707-0707-070707070707 3 more"
    );
    let environment = pool.answer("environment");
    assert!(
        environment.contains("A=1\n") && environment.contains("B=x y\n"),
        "{environment}"
    );
}

fn a_worker_starts_with_default_signals(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    assert_eq!(pool.answer("mask"), "blocked 0 sigchld 0");
}
