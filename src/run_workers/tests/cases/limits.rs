//! Limits of each worker.

use roma_sandbox::limits::WorkerLimits;

use crate::host::Mode;
use crate::{in_every_mode, probe, start};

in_every_mode! {
    limits_are_set_soft_and_hard
    cpu_time_is_limited
    memory_is_limited
    processes_are_limited_for_each_request_alone
}

fn limits_are_set_soft_and_hard(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| {
        load.worker_limits = WorkerLimits {
            cpu_seconds: Some(5),
            address_space: Some(1 << 30),
            data: Some(1 << 29),
            stack: Some(1 << 20),
            open_files: Some(16),
            file_size: Some(4096),
            processes: Some(7),
        };
    });
    for (resource, expected) in [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_CPU, 5),
        (libc::RLIMIT_AS, 1 << 30),
        (libc::RLIMIT_DATA, 1 << 29),
        (libc::RLIMIT_STACK, 1 << 20),
        (libc::RLIMIT_NOFILE, 16),
        (libc::RLIMIT_FSIZE, 4096),
        (libc::RLIMIT_NPROC, 7),
    ] {
        let limit = pool.answer(&format!("limit {resource}"));
        assert_eq!(
            limit,
            format!("0 {expected} {expected}"),
            "resource {resource}"
        );
    }
}

fn cpu_time_is_limited(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.worker_limits.cpu_seconds = Some(1));
    let mut worker = pool.spawn();
    worker.await_ready();
    worker.send("burn 60000");
    assert_eq!(pool.exited(0).status.signal(), Some(libc::SIGKILL as u8));
}

fn memory_is_limited(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| {
        load.worker_limits.address_space = Some(100 << 20)
    });
    assert_eq!(pool.answer("touch_memory 500000000"), "refused");
    assert!(pool.answer("touch_memory 1000000").starts_with("touched "));
}

fn processes_are_limited_for_each_request_alone(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.worker_limits.processes = Some(10));
    let mut workers: Vec<_> = (0..3).map(|_| pool.spawn()).collect();
    workers.iter_mut().for_each(|worker| worker.await_ready());
    // All at the same time: none counts against another.
    workers
        .iter_mut()
        .for_each(|worker| worker.send("processes"));
    for worker in &mut workers {
        let count = crate::host::read_message(&mut worker.data);
        assert_eq!(String::from_utf8_lossy(&count), "10");
    }
}
