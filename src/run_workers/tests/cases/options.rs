//! What a pool gets only if the load asks for it.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use roma_protocol::control::LibraryMount;
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::Step;

use crate::host::{Mode, is_privileged, read_message, write_message};
use crate::{in_every_mode, probe, start};

in_every_mode! {
    tmp_is_private_and_capped
    proc_shows_own_processes_only_and_namespaces_differ
    libraries_are_mounted_read_only
    output_goes_to_the_log_descriptor
    host_functions_are_on_descriptor_four
    several_spawners_share_one_root
    confinement_holds_with_every_option_on
}

fn tmp_is_private_and_capped(mode: Mode) {
    let mut host = start(mode);
    for filter in [FilterLevel::None, FilterLevel::Engine, FilterLevel::Strict] {
        let mut pool = host.load(probe(), |load| {
            load.tmp_bytes = Some(1 << 20);
            load.filter = filter;
        });
        assert_eq!(pool.answer("write /tmp/left-behind"), "written");
        assert_eq!(pool.answer("files"), "/tmp\n/udf\n");
        assert_eq!(
            pool.answer("fill /tmp/full"),
            format!("{} errno {}", 1 << 20, libc::ENOSPC)
        );
        assert!(pool.answer("write /new").starts_with("errno "));
        // Nor do two workers at the same time see each other's files.
        let (mut first, mut second) = (pool.spawn(), pool.spawn());
        first.await_ready();
        second.await_ready();
        assert_eq!(first.ask("write /tmp/mine"), "written");
        assert_eq!(second.ask("files"), "/tmp\n/udf\n");
    }
}

fn proc_shows_own_processes_only_and_namespaces_differ(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.proc = true);
    if !is_privileged(mode) {
        assert_eq!(pool.failure().step, Step::MountProc);
        return;
    }
    let mut seen = HashSet::new();
    // They are alive at the same time, because the numbers of namespaces are reused.
    let mut workers: Vec<_> = (0..4).map(|_| pool.spawn()).collect();
    workers.iter_mut().for_each(|worker| worker.await_ready());
    // Those that gVisor has too.
    for (worker, kind) in workers.iter_mut().zip(["pid", "pid", "user", "user"]) {
        let link = worker.ask(&format!("link /proc/self/ns/{kind}"));
        assert!(link.starts_with(kind), "{link}");
        assert!(
            mode != Mode::Direct || seen.insert(link),
            "shared namespaces: {seen:?}"
        );
    }
    (0..4).for_each(|_| pool.await_exit());
    let status = pool.answer("read /proc/self/status");
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{status}");
    }
    if mode == Mode::Direct {
        assert!(status.contains("CapAmb:\t0000000000000000"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Seccomp:\t2"), "{status}");
    }
    assert!(pool.answer("read /proc/2/status").starts_with("errno "));
    assert!(
        pool.answer("write /proc/sys/kernel/hostname")
            .starts_with("errno ")
    );
    assert_eq!(pool.answer("read /proc/self/uid_map"), "");
}

fn libraries_are_mounted_read_only(mode: Mode) {
    let mut host = start(mode);
    // A folder that exists in this mode.
    let source = match mode {
        Mode::Direct => b"/usr/lib".to_vec(),
        Mode::Gvisor(_) => b"/sys".to_vec(),
    };
    let mut pool = host.load(probe(), |load| {
        load.libraries = vec![LibraryMount {
            source,
            target: b"/lib/deep".to_vec(),
        }];
    });
    let files = pool.answer("files");
    assert!(files.contains("/lib/deep\n"), "{files}");
    assert!(pool.answer("write /lib/deep/new").starts_with("errno "));
    assert!(pool.answer("write /lib/new").starts_with("errno "));
}

fn output_goes_to_the_log_descriptor(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let mut worker = pool.spawn();
    worker.await_ready();
    assert_eq!(worker.ask("log something"), "");
    let mut text = String::new();
    worker.log.read_to_string(&mut text).expect("a text");
    assert_eq!(text, "out something\nerr something\n");
}

fn host_functions_are_on_descriptor_four(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let (mut functions, inside) = UnixStream::pair().expect("a pair");
    let mut worker = pool.spawn_on(0, |spawn| spawn.host_functions = true, &[inside.as_fd()]);
    drop(inside);
    worker.await_ready();
    worker.send("call_host question");
    assert_eq!(read_message(&mut functions), b"question");
    write_message(&mut functions, b"answer");
    assert_eq!(read_message(&mut worker.data), b"answer");
    pool.await_exit();
    let (_functions, inside) = UnixStream::pair().expect("a pair");
    let mut worker = pool.spawn_on(0, |spawn| spawn.host_functions = true, &[inside.as_fd()]);
    worker.await_ready();
    assert_eq!(worker.ask("descriptors"), "0 1 2 3 4");
}

fn several_spawners_share_one_root(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.spawners = 4);
    for spawner in 0..4 {
        let mut worker = pool.spawn_on(spawner, |_| {}, &[]);
        worker.await_ready();
        assert_eq!(worker.ask("files"), "/udf\n");
        assert_eq!(pool.exited(spawner).worker, worker.id);
    }
}

fn confinement_holds_with_every_option_on(mode: Mode) {
    let mut host = start(mode);
    for filter in [FilterLevel::None, FilterLevel::Engine, FilterLevel::Strict] {
        let mut pool = host.load(probe(), |load| {
            load.filter = filter;
            load.tmp_bytes = Some(1 << 20);
            load.proc = is_privileged(mode);
        });
        assert!(
            pool.answer("capabilities")
                .starts_with("[0, 0, 0, 0, 0, 0] no_new_privs 1 ")
        );
        assert!(pool.answer("identity").contains("pid 1 "));
        assert_eq!(pool.answer("descriptors"), "0 1 2 3");
        let unshare = format!("syscall {} {}", libc::SYS_unshare, libc::CLONE_NEWNS);
        assert_eq!(pool.answer(&unshare), "errno 1");
        assert!(pool.answer("write /new").starts_with("errno "));
    }
}
