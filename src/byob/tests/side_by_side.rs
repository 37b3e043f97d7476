//! Several gVisor sandboxes that share a service's work.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use roma_byob::{CodeToken, Error, LoadOptions, Service, ServiceBuilder};
use tempfile::TempDir;

use common::requests::{Running, assert_echoes, start_hung_request};
use common::sandboxes::{kill_sandbox, processes_in_run_dir};
use common::{GVISOR_STRICT, TestBed, program, udf, until, workers};

/// Starts hung requests that have all `count` workers: half in each sandbox, because workers are
/// started in turn.
async fn start_hung_requests(service: &Service, code: &CodeToken, count: usize) -> Vec<Running> {
    let ready = || service.status(code).unwrap().counts.ready;
    until("all workers are ready", || ready() == count).await;
    let mut requests = Vec::new();
    for _ in 0..count {
        requests.push(start_hung_request(service, code).await);
    }
    requests
}

async fn until_both_sandboxes_run(service: &Service) {
    let running = || service.sandbox_processes().len();
    until("both sandboxes run", || running() == 2).await;
}

#[test]
fn a_dead_sandbox_fails_only_its_own_requests() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        for victim in 0..2 {
            let service = bed.builder_of_two_sandboxes().start().await.unwrap();
            let a_spawner_in_each = LoadOptions {
                spawners: Some(2),
                ..workers(4)
            };
            let code = service
                .load(udf("misbehaving_udf"), a_spawner_in_each)
                .await;
            let code = code.unwrap();
            let requests = start_hung_requests(&service, &code, 4).await;
            kill_sandbox(&service, victim).await;
            let ended = || requests.iter().filter(|one| one.is_finished()).count();
            until("the requests of the dead sandbox end", || ended() >= 2).await;
            assert_echoes(&service, &code).await;
            until_both_sandboxes_run(&service).await;
            assert_eq!(ended(), 2, "requests in the other sandbox ended too");
            for request in requests {
                if request.is_finished() {
                    let error = request.await.unwrap().unwrap_err();
                    assert!(matches!(error, Error::SandboxDied(_)), "{error:?}");
                    assert!(error.retryable());
                } else {
                    request.abort();
                }
            }
            service.shutdown().await;
        }
    });
}

#[test]
fn code_in_a_sandbox_of_its_own_loses_it_without_harm_to_other_code() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.builder_of_two_sandboxes().start().await.unwrap();
        let others = service.load(udf("misbehaving_udf"), workers(2)).await;
        let others = others.unwrap();
        let shared = service.sandbox_processes();
        let alone = LoadOptions {
            own_sandbox: true,
            ..workers(2)
        };
        let code = service.load(udf("misbehaving_udf"), alone).await.unwrap();
        let own = service.sandbox_processes();
        let own: Vec<_> = own.into_iter().filter(|it| !shared.contains(it)).collect();
        assert_eq!(own.len(), 1, "one sandbox more");
        let lost = start_hung_request(&service, &code).await;
        let kept = start_hung_request(&service, &others).await;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(own[0] as i32),
            nix::sys::signal::SIGKILL,
        )
        .unwrap();
        let error = lost.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::SandboxDied(_)), "{error:?}");
        assert!(!kept.is_finished(), "a request of other code ended");
        assert_echoes(&service, &others).await;
        assert_echoes(&service, &code).await;
        service.delete(&code).await.unwrap();
        let left = || service.sandbox_processes();
        assert_eq!(left(), shared, "the sandbox is gone with its code");
        kept.abort();
        service.shutdown().await;
    });
}

#[test]
fn code_that_does_not_load_leaves_no_sandbox_of_its_own() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.builder_of_two_sandboxes().start().await.unwrap();
        let before = processes_in_run_dir(&bed).count();
        let alone = LoadOptions {
            own_sandbox: true,
            args: vec!["crash".into()],
            ..workers(1)
        };
        let load = service.load(udf("misbehaving_udf"), alone).await;
        assert!(matches!(load, Err(Error::StartCrashed { .. })), "{load:?}");
        let left = || processes_in_run_dir(&bed).count();
        until("its sandbox is gone", || left() == before).await;
        assert_eq!(service.sandbox_processes().len(), 2);
        service.shutdown().await;
    });
}

#[test]
fn a_sandbox_of_its_own_is_refused_without_gvisor() {
    common::run(common::MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.builder().start().await.unwrap();
        let alone = LoadOptions {
            own_sandbox: true,
            ..workers(1)
        };
        let error = service
            .load(udf("misbehaving_udf"), alone)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("own_sandbox"), "{error}");
        service.shutdown().await;
    });
}

#[test]
fn code_is_loaded_used_and_deleted_while_a_sandbox_restarts() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.builder_of_two_sandboxes().start().await.unwrap();
        for victim in [0, 1, 0] {
            until_both_sandboxes_run(&service).await;
            kill_sandbox(&service, victim).await;
            let code = service.load(udf("misbehaving_udf"), workers(4)).await;
            let code = code.unwrap();
            assert_echoes(&service, &code).await;
            service.delete(&code).await.unwrap();
        }
        assert!(service.list().is_empty());
        service.shutdown().await;
    });
}

#[test]
fn a_pool_of_one_worker_uses_only_one_sandbox() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.builder_of_two_sandboxes().start().await.unwrap();
        let one_worker = LoadOptions {
            max_live: Some(1),
            ..workers(1)
        };
        let mut codes = Vec::new();
        for _ in 0..2 {
            let code = service
                .load(udf("misbehaving_udf"), one_worker.clone())
                .await;
            codes.push(code.unwrap());
        }
        let mut requests = Vec::new();
        for code in &codes {
            requests.extend(start_hung_requests(&service, code, 1).await);
        }
        kill_sandbox(&service, 0).await;
        let ended = || requests.iter().filter(|one| one.is_finished()).count();
        until("a request ends", || ended() > 0).await;
        until_both_sandboxes_run(&service).await;
        assert_eq!(ended(), 1, "both requests were in one sandbox");
        service.shutdown().await;
    });
}

/// A service with two sandboxes, and a runsc that refuses to start another sandbox after the given
/// number. The runsc and what it counts are in the folder.
fn with_runsc_that_starts(sandboxes: u32, bed: &TestBed) -> (ServiceBuilder, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("runsc");
    let numbers: Vec<_> = (0..sandboxes).map(|number| number.to_string()).collect();
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *\" run \"*)\n\
         for n in {numbers}; do mkdir {folder}/$n 2>/dev/null && exec {runsc} \"$@\"; done\n\
         echo limit of the test >&2; exit 1 ;;\nesac\nexec {runsc} \"$@\"\n",
        numbers = numbers.join(" "),
        folder = folder.path().display(),
        runsc = program("ROMA_RUNSC").display(),
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    (bed.builder_of_two_sandboxes().runsc(script), folder)
}

#[test]
fn code_is_loaded_used_and_deleted_while_a_sandbox_stays_away() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let (builder, _folder) = with_runsc_that_starts(2, &bed);
        let service = builder.start().await.unwrap();
        let early = service.load(udf("misbehaving_udf"), workers(2)).await;
        let early = early.unwrap();
        kill_sandbox(&service, 0).await;
        let late = service.load(udf("misbehaving_udf"), workers(2)).await;
        let late = late.unwrap();
        for code in [early, late] {
            for _ in 0..4 {
                assert_echoes(&service, &code).await;
            }
            assert!(service.status(&code).unwrap().is_healthy());
            service.delete(&code).await.unwrap();
        }
        assert_eq!(service.sandbox_processes().len(), 1);
        service.shutdown().await;
    });
}

#[test]
fn a_start_that_fails_for_one_sandbox_leaves_no_process() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let (builder, _folder) = with_runsc_that_starts(1, &bed);
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, Error::SandboxStart(_)), "{error:?}");
        assert!(error.to_string().contains("limit of the test"), "{error}");
        let all_ended = || processes_in_run_dir(&bed).next().is_none();
        until("no process is left", all_ended).await;
    });
}
