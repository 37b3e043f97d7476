//! How workers, spawners, pools and `run_workers` end, and what is reported about it.

use std::io::Read;

use roma_protocol::control::FromRunWorkers;
use roma_protocol::spawner::{FromSpawner, ToSpawner};
use roma_sandbox::step::Step;

use crate::host::{Mode, Pool, Started};
use crate::{in_every_mode, probe, start};

in_every_mode! {
    exit_codes_and_signals_are_reported
    usage_is_reported
    a_hung_process_tree_is_killed_at_once
    killing_an_exited_worker_is_ignored
    the_end_of_a_spawner_ends_its_workers
    the_end_of_the_control_connection_ends_everything
    the_end_of_a_pool_is_reported
    a_start_is_reported_if_requested
    a_worker_id_in_use_is_refused
    a_spawn_with_a_missing_descriptor_is_refused
}

fn exit_codes_and_signals_are_reported(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    for code in [0, 1, 42, 255] {
        let (_, exited) = pool.ask(&format!("exit {code}"));
        assert_eq!(
            (exited.status.code(), exited.status.signal()),
            (Some(code), None)
        );
    }
    let (_, exited) = pool.ask("fault now");
    assert_eq!(
        (exited.status.code(), exited.status.signal()),
        (None, Some(libc::SIGSEGV as u8))
    );
}

fn usage_is_reported(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let (_, exited) = pool.ask("burn 300");
    let cpu = exited.usage.user_micros + exited.usage.system_micros;
    assert!(cpu > 20_000, "{exited:?}");
    assert!(exited.life_nanos > 300_000_000, "{exited:?}");
    assert!(
        exited.start.clone_nanos > 0 && exited.start.exec_nanos > 0,
        "{exited:?}"
    );
    let (_, exited) = pool.ask("touch_memory 50000000");
    assert!(
        mode != Mode::Direct || exited.usage.max_resident_bytes > 50_000_000,
        "{exited:?}"
    );
}

fn hang(pool: &mut Pool) -> Started {
    let mut worker = pool.spawn();
    worker.await_ready();
    worker.send("hang");
    // Time to start its children. The test also holds if it is killed earlier.
    std::thread::sleep(std::time::Duration::from_millis(100));
    worker
}

/// Waits for the end of the data connection, which every process of a worker holds: it ends with the last
/// of them.
fn assert_gone(worker: &mut Started) {
    assert_eq!(
        worker
            .data
            .read(&mut [0])
            .expect("the end of the connection"),
        0
    );
}

fn a_hung_process_tree_is_killed_at_once(mode: Mode) {
    let mut host = start(mode);
    for filter in [roma_sandbox::seccomp::FilterLevel::None, Default::default()] {
        let mut pool = host.load(probe(), |load| load.filter = filter);
        let mut worker = hang(&mut pool);
        pool.kill(&worker);
        let exited = pool.exited(0);
        assert_eq!(
            (exited.worker, exited.status.signal()),
            (worker.id, Some(9))
        );
        assert_gone(&mut worker);
        assert_eq!(pool.answer("echo again"), "again");
    }
}

fn killing_an_exited_worker_is_ignored(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let mut worker = pool.spawn();
    worker.await_ready();
    assert_eq!(worker.ask("echo x"), "x");
    let exited = pool.exited(0);
    assert_eq!(exited.worker, worker.id);
    pool.kill(&worker);
    assert_eq!(pool.answer("echo again"), "again");
}

fn the_end_of_a_spawner_ends_its_workers(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.spawners = 2);
    let mut mine = pool.spawn_on(1, |_| {}, &[]);
    mine.await_ready();
    mine.send("hang");
    let mut other = pool.spawn();
    other.await_ready();
    drop(pool.spawners.pop());
    assert_gone(&mut mine);
    assert_eq!(other.ask("echo still here"), "still here");
    assert_eq!(pool.exited(0).worker, other.id);
}

fn the_end_of_a_pool_is_reported(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.spawners = 3);
    let mut workers = [hang(&mut pool), hang(&mut pool)];
    let id = pool.id;
    pool.spawners.clear();
    let ended = host.receive();
    assert!(
        matches!(ended, Some(FromRunWorkers::PoolEnded(which, _)) if which == id),
        "{ended:?}"
    );
    workers.iter_mut().for_each(assert_gone);
}

fn the_end_of_the_control_connection_ends_everything(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |load| load.spawners = 2);
    let mut workers = [hang(&mut pool), hang(&mut pool)];
    assert_eq!(host.end().code(), Some(0));
    workers.iter_mut().for_each(assert_gone);
    assert_eq!(pool.receive(0), None);
    assert_eq!(pool.receive(1), None);
}

fn a_start_is_reported_if_requested(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let mut worker = pool.spawn_on(0, |spawn| spawn.report_start = true, &[]);
    let message = pool.receive(0);
    assert!(
        matches!(message, Some(FromSpawner::Started(id, _)) if id == worker.id),
        "{message:?}"
    );
    worker.await_ready();
    assert_eq!(worker.ask("echo x"), "x");
    assert_eq!(pool.exited(0).worker, worker.id);
}

fn a_worker_id_in_use_is_refused(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let mut first = pool.spawn();
    first.await_ready();
    let second = pool.spawn_on(0, |spawn| spawn.worker = first.id, &[]);
    assert_refused(&pool, &second, libc::EEXIST);
    assert_eq!(first.ask("echo x"), "x");
}

fn a_spawn_with_a_missing_descriptor_is_refused(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    let worker = pool.spawn_on(0, |spawn| spawn.host_functions = true, &[]);
    assert_refused(&pool, &worker, libc::EBADF);
    pool.send(0, ToSpawner::Kill(worker.id), &[]);
    assert_eq!(pool.answer("echo again"), "again");
}

fn assert_refused(pool: &Pool, worker: &Started, errno: i32) {
    let Some(FromSpawner::Failed(id, failure)) = pool.receive(0) else {
        panic!("not refused")
    };
    assert_eq!(
        (id, failure.step, failure.errno),
        (worker.id, Step::AcceptSpawn, errno)
    );
}
