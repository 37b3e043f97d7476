//! What every worker is confined to, whatever the options.

use roma_sandbox::seccomp::FilterLevel;

use crate::host::{Mode, Pool};
use crate::{in_every_mode, probe, start};

in_every_mode! {
    each_request_has_a_process_of_its_own
    no_capabilities_at_any_level
    only_four_descriptors
    the_root_holds_the_binary_and_nothing_else
    nothing_can_be_written
    no_network
    no_user_namespace_even_without_a_filter
    arguments_and_environment_are_as_documented
    signals_are_as_at_a_fresh_start
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
        // Number 1 of a PID namespace of its own, each time; nobody; a host without a name.
        for _ in 0..3 {
            let identity = pool.answer("identity");
            assert_eq!(
                identity,
                "pid 1 parent 0 session 0 uid 65534 gid 65534 host roma"
            );
        }
        // Two that live at once are not one.
        let (mut first, mut second) = (pool.spawn(), pool.spawn());
        first.await_ready();
        second.await_ready();
        assert!(first.ask("identity").starts_with("pid 1 "));
        assert!(second.ask("identity").starts_with("pid 1 "));
        let ended = [pool.exited(0).worker, pool.exited(0).worker];
        assert!(ended.contains(&first.id) && ended.contains(&second.id));
    });
}

fn no_capabilities_at_any_level(mode: Mode) {
    at_every_level(mode, |level, pool| {
        let seccomp = if level == FilterLevel::None { 0 } else { 2 };
        let expected = format!("[0, 0, 0, 0, 0, 0] no_new_privs 1 seccomp {seccomp}");
        assert_eq!(pool.answer("capabilities"), expected, "{level:?}");
    });
}

fn only_four_descriptors(mode: Mode) {
    at_every_level(mode, |_, pool| {
        assert_eq!(pool.answer("descriptors"), "0 1 2 3")
    });
}

fn the_root_holds_the_binary_and_nothing_else(mode: Mode) {
    at_every_level(mode, |_, pool| assert_eq!(pool.answer("files"), "/udf\n"));
}

fn nothing_can_be_written(mode: Mode) {
    at_every_level(mode, |_, pool| {
        for path in ["/new", "/udf", "/tmp/new", "/dev/null", "/proc/self/mem"] {
            let answer = pool.answer(&format!("write {path}"));
            assert!(answer.starts_with("errno "), "{path}: {answer}");
        }
    });
}

fn no_network(mode: Mode) {
    at_every_level(mode, |level, pool| {
        for family in [
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
            libc::AF_PACKET,
        ] {
            let socket = format!("syscall {} {family} {} 0", libc::SYS_socket, libc::SOCK_RAW);
            let answer = pool.answer(&socket);
            // Without a filter a socket for asking the kernel may be had; it has nothing to tell.
            let harmless = level == FilterLevel::None && family == libc::AF_NETLINK;
            assert!(
                harmless || answer.starts_with("errno "),
                "{family}: {answer}"
            );
        }
    });
}

fn no_user_namespace_even_without_a_filter(mode: Mode) {
    at_every_level(mode, |level, pool| {
        for flag in [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
        ] {
            let unshare = pool.answer(&format!("syscall {} {flag}", libc::SYS_unshare));
            assert_eq!(unshare, "errno 1");
            // gVisor asks for no mapped user here. What it lets through ends at its own walls.
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

fn signals_are_as_at_a_fresh_start(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    assert_eq!(pool.answer("mask"), "blocked 0 sigchld 0");
}
