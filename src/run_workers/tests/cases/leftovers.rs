//! Nothing is left behind: no process, no mount, no control group.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use roma_sandbox::cgroup::Hierarchies;
use roma_sandbox::limits::PoolLimits;

use crate::host::{Host, Mode, Start, is_privileged};
use crate::{probe, run_workers, start};

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("a list of mounts")
}

/// Returns the descendants of `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let own = fs::read_to_string(path).unwrap_or_default();
    let own: Vec<u32> = own
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    own.iter()
        .copied()
        .chain(own.iter().flat_map(|pid| children_of(*pid)))
        .collect()
}

fn assert_gone(processes: &[u32]) {
    for pid in processes {
        assert!(
            !fs::exists(format!("/proc/{pid}")).expect("/proc"),
            "process {pid} is still there"
        );
    }
}

#[test]
fn no_process_or_mount_is_left_after_an_orderly_end() {
    let before = mounts();
    let mut host = start(Mode::Direct);
    let mut pool = host.load(probe(), |load| {
        load.spawners = 2;
        load.tmp_bytes = Some(1 << 20);
        load.proc = is_privileged(Mode::Direct);
    });
    let mut worker = pool.spawn();
    worker.await_ready();
    worker.send("hang");
    let processes = children_of(host.pid());
    assert!(processes.len() >= 4, "{processes:?}");
    assert!(host.end().success());
    assert_gone(&processes);
    assert_eq!(mounts(), before);
}

#[test]
fn no_process_is_left_after_run_workers_is_killed() {
    let mut host = start(Mode::Direct);
    let mut pool = host.load(probe(), |load| load.spawners = 2);
    let mut worker = pool.spawn();
    worker.await_ready();
    worker.send("hang");
    let processes = children_of(host.pid());
    host.kill();
    host.wait();
    // The kernel closes the connections when the last process has ended.
    assert_eq!(pool.receive(0), None);
    assert_eq!(pool.receive(1), None);
    assert_eq!(host.receive(), None);
    assert_gone_soon(&processes);
}

fn assert_gone_soon(processes: &[u32]) {
    let begun = std::time::Instant::now();
    let left = || {
        processes
            .iter()
            .any(|pid| fs::exists(format!("/proc/{pid}")).expect("/proc"))
    };
    while left() && begun.elapsed() < crate::host::PATIENCE {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_gone(processes);
}

#[test]
fn a_pool_of_a_thousand_workers_leaves_no_process() {
    let mut host = start(Mode::Direct);
    let mut pool = host.load(probe(), |_| {});
    let mut workers: Vec<_> = (0..1000).map(|_| pool.spawn()).collect();
    workers.iter_mut().for_each(|worker| worker.await_ready());
    let processes = children_of(host.pid());
    assert!(processes.len() >= 1000);
    drop(workers);
    (0..1000).for_each(|_| pool.await_exit());
    pool.spawners.clear();
    host.await_message();
    assert!(host.end().success());
    assert_gone(&processes);
}

#[test]
fn control_groups_exist_as_long_as_their_pool() {
    let limits = PoolLimits {
        memory: Some(256 << 20),
        processes: Some(60),
        cpu_millis: Some(1500),
    };
    let mut host = start(Mode::Direct);
    let mut pool = host.load(probe(), |load| load.pool_limits = limits);
    let ready = pool.ready[0];
    let name = format!("roma-{}-", host.pid());
    assert_eq!(
        groups(&name) > 0,
        ready.memory_limit || ready.processes_limit || ready.cpu_limit
    );
    if ready.processes_limit {
        let count: u32 = pool.answer("processes").parse().expect("a number");
        assert!((2..60).contains(&count), "{count}");
    }
    pool.spawners.clear();
    host.await_message();
    assert_eq!(groups(&name), 0);
    assert!(host.end().success());
}

#[test]
fn control_groups_are_removed_when_the_inner_process_dies() {
    let mut host = start(Mode::Direct);
    let limits = PoolLimits {
        processes: Some(60),
        ..PoolLimits::default()
    };
    let _pool = host.load(probe(), |load| load.pool_limits = limits);
    let name = format!("roma-{}-", host.pid());
    let inside = children_of(host.pid())[0] as i32;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(inside),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our own grandchild");
    assert!(!host.wait().success());
    assert_eq!(groups(&name), 0);
}

fn groups(prefix: &str) -> usize {
    let mut count = 0;
    Hierarchies::discover().for_each_group(|name| count += usize::from(name.starts_with(prefix)));
    count
}

#[test]
fn run_workers_works_without_privileges() {
    // Only root can change to another user. For any other user, this process has no privileges already.
    let user = nix::unistd::getuid().is_root().then_some(65_534);
    // User 65534 may have no access to the folder where the program was built.
    let name = format!("roma-test-{}-run_workers", std::process::id());
    let program = std::env::temp_dir().join(name);
    fs::copy(run_workers(), &program).expect("a copy");
    fs::set_permissions(&program, Permissions::from_mode(0o555)).expect("our own file");
    let start = Start {
        mode: Mode::Direct,
        program: &program,
        faults: "",
        user,
    };
    let host = Host::start_with(start);
    fs::remove_file(&program).expect("our own file");
    let mut host = host.expect("it starts");
    assert!(host.hello.rootless);
    let mut pool = host.load(probe(), |_| {});
    assert_eq!(pool.answer("files"), "/udf\n");
    assert!(
        pool.answer("capabilities")
            .starts_with("[0, 0, 0, 0, 0, 0] no_new_privs 1 seccomp 2")
    );
    assert!(pool.answer("identity").contains("pid 1 "));
    let mut pool = host.load(probe(), |load| load.tmp_bytes = Some(1 << 20));
    assert_eq!(pool.answer("write /tmp/x"), "written");
    assert!(host.end().success());
}
