//! Loads that are refused, and steps that fail.

use std::os::fd::AsFd;

use roma_protocol::PoolId;
use roma_protocol::control::{FromRunWorkers, LibraryMount, ToRunWorkers};
use roma_protocol::spawner::FromSpawner;
use roma_sandbox::Errno;
use roma_sandbox::fdpass::packet_pair;
use roma_sandbox::step::{Step, StepFailure};

use crate::host::{Host, Mode, Start, is_privileged, plain_load, with_digest};
use crate::{in_every_mode, probe, run_workers_with_faults, start};

in_every_mode! {
    a_binary_with_another_digest_is_refused
    a_binary_cut_short_is_refused
    a_missing_library_is_refused
    a_file_that_is_not_a_program_fails_at_exec
    a_malformed_message_ends_run_workers
    a_load_without_descriptors_is_refused
    steps_of_run_workers_itself_can_fail
    every_step_of_a_pool_can_fail
    every_step_of_a_worker_can_fail
}

fn a_binary_with_another_digest_is_refused(mode: Mode) {
    let mut host = start(mode);
    let mut code = with_digest(probe());
    code[0] ^= 1;
    let refused = host.send_load(plain_load(PoolId(1), probe()), &code).err();
    assert_eq!(
        refused,
        Some(StepFailure::new(Step::CheckDigest, Errno::EBADMSG))
    );
    assert_ended(&host);
    assert_eq!(host.load(probe(), |_| {}).answer("echo x"), "x");
}

fn a_binary_cut_short_is_refused(mode: Mode) {
    let mut host = start(mode);
    let load = plain_load(PoolId(1), probe());
    let refused = host.send_load(load, &probe()[1..]).err();
    assert_eq!(
        refused,
        Some(StepFailure::new(Step::ReceiveCode, Errno::ENODATA))
    );
    assert_ended(&host);
}

fn a_missing_library_is_refused(mode: Mode) {
    let mut host = start(mode);
    let library = LibraryMount {
        source: b"/no/such".to_vec(),
        target: b"/lib".to_vec(),
    };
    let refused = host
        .try_load(probe(), |load| load.libraries = vec![library])
        .err();
    assert_eq!(
        refused,
        Some(StepFailure::new(Step::MountLibrary, Errno::ENOENT))
    );
    assert_ended(&host);
}

fn a_file_that_is_not_a_program_fails_at_exec(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(b"no program", |_| {});
    for _ in 0..3 {
        let worker = pool.spawn();
        let failure = StepFailure::new(Step::Exec, Errno::ENOEXEC);
        assert_eq!(
            pool.receive(0),
            Some(FromSpawner::Failed(worker.id, failure))
        );
    }
}

fn a_malformed_message_ends_run_workers(mode: Mode) {
    let mut host = start(mode);
    let mut pool = host.load(probe(), |_| {});
    host.send_control(b"nonsense", &[]);
    let failure = StepFailure::new(Step::AcceptLoad, Errno::EPROTO);
    assert_eq!(host.receive(), Some(FromRunWorkers::Broken(failure)));
    assert!(!host.wait().success());
    assert_eq!(pool.receive(0), None);
    pool.spawners.clear();
}

fn a_load_without_descriptors_is_refused(mode: Mode) {
    let mut host = start(mode);
    let load = plain_load(PoolId(9), probe());
    host.send_control(&ToRunWorkers::Load(Box::new(load)).encode(), &[]);
    let failure = StepFailure::new(Step::AcceptLoad, Errno::EBADF);
    let refused = FromRunWorkers::LoadRefused(PoolId(9), failure);
    assert_eq!(host.receive(), Some(refused));
    assert_eq!(host.load(probe(), |_| {}).answer("echo x"), "x");
}

fn assert_ended(host: &Host) {
    let ended = host.receive();
    assert!(
        matches!(ended, Some(FromRunWorkers::PoolEnded(..))),
        "{ended:?}"
    );
}

fn with_fault(mode: Mode, step: Step) -> Host {
    try_with_fault(mode, step).expect("it starts")
}

fn try_with_fault(mode: Mode, step: Step) -> Result<Host, StepFailure> {
    let faults = format!("{step}={}", libc::EIO);
    let program = run_workers_with_faults();
    Host::start_with(Start {
        mode,
        program,
        faults: &faults,
        user: None,
    })
}

fn steps_of_run_workers_itself_can_fail(mode: Mode) {
    // It creates the outer namespaces only without gVisor.
    let isolates = matches!(mode, Mode::Direct).then_some(Step::Isolate);
    for step in isolates.into_iter().chain([Step::PrepareSignals]) {
        let failure = StepFailure::new(step, Errno::EIO);
        assert_eq!(try_with_fault(mode, step).err(), Some(failure));
    }
    let step = Step::ForkPool;
    let mut host = with_fault(mode, step);
    let load = plain_load(roma_protocol::PoolId(9), probe());
    let (code, spawner) = (
        packet_pair().expect("a pair"),
        packet_pair().expect("a pair"),
    );
    let inside = [code.1.as_fd(), spawner.1.as_fd()];
    host.send_control(&ToRunWorkers::Load(Box::new(load)).encode(), &inside);
    let failure = StepFailure::new(step, Errno::EIO);
    let refused = FromRunWorkers::LoadRefused(roma_protocol::PoolId(9), failure);
    assert_eq!(host.receive(), Some(refused));
    assert!(host.end().success());
}

fn every_step_of_a_pool_can_fail(mode: Mode) {
    for step in [
        Step::JoinCgroup,
        Step::Unshare,
        Step::PrivateMounts,
        Step::MountRoot,
        Step::ReceiveCode,
        Step::CheckDigest,
        Step::OpenNull,
        Step::MountRoots,
        Step::PivotRoot,
        Step::SealRoot,
        Step::MountLibrary,
        Step::ForkSpawner,
        Step::SetPoolLimits,
        Step::DropCapabilities,
        Step::NoNewPrivileges,
        Step::InstallFilter,
    ] {
        let mut host = with_fault(mode, step);
        let refused = host.try_load(probe(), |load| load.spawners = 2).err();
        assert_eq!(refused, Some(StepFailure::new(step, Errno::EIO)));
        assert_ended(&host);
        assert!(host.end().success());
    }
}

fn every_step_of_a_worker_can_fail(mode: Mode) {
    for step in [
        Step::AcceptSpawn,
        Step::SetUser,
        Step::MakeRoot,
        Step::EnterRoot,
        Step::Clone,
        Step::DeathSignal,
        Step::PlaceDescriptors,
        Step::CloseDescriptors,
        Step::MountTmp,
        Step::MountProc,
        Step::UnshareUser,
        Step::ChangeRoot,
        Step::SetWorkerLimits,
        Step::Exec,
    ] {
        let needs_privileges = matches!(step, Step::MountProc | Step::SetUser);
        if needs_privileges && !is_privileged(mode) {
            continue;
        }
        let mut host = with_fault(mode, step);
        let pool = host.try_load(probe(), |load| {
            load.tmp_bytes = Some(1 << 20);
            load.proc = is_privileged(mode);
        });
        let failure = StepFailure::new(step, Errno::EIO);
        match pool {
            // A step of the pool as well.
            Err(refused) => assert_eq!(refused, failure),
            Ok(mut pool) => {
                let worker = pool.spawn();
                assert_eq!(
                    pool.receive(0),
                    Some(FromSpawner::Failed(worker.id, failure))
                );
            }
        }
    }
}
