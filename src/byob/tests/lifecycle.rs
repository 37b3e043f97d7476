//! Starting and ending: several services, sandboxes that die, nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::time::Duration;

use common::messages::{greeting, hello};
use common::{PATIENCE, TestBed, in_every_sandbox, patient, udf, workers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getpgrp};
use roma_byob::{Error, Service};

/// The processes of this service's outer sandbox.
fn processes(bed: &TestBed, service: &Service) -> Vec<Pid> {
    let run_dir = bed.run_dir.path().to_string_lossy().into_owned();
    let named = |pid: &i32| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(&run_dir)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let program = service.sandbox_processes()[0] as i32;
    numbers
        .filter(|pid| *pid == program || named(pid))
        .map(Pid::from_raw)
        .collect()
}

async fn answers(service: &Service, code: &roma_byob::CodeToken) {
    let answer = service.execute(code, hello(), patient()).await.unwrap();
    assert_eq!(greeting(&answer), "Hello, world!");
}

/// A request may still meet what is dying; it is told that it can try again, and soon is answered.
async fn answers_again(service: &Service, code: &roma_byob::CodeToken) {
    while let Err(error) = service.execute(code, hello(), patient()).await {
        assert!(error.retryable(), "{error:?}");
    }
    answers(service, code).await;
}

in_every_sandbox! {
    async fn a_signal_to_the_hosts_group_spares_the_sandbox(bed: TestBed) {
        let service = bed.service().await;
        let sandbox = Pid::from_raw(service.sandbox_processes()[0] as i32);
        assert_ne!(getpgid(Some(sandbox)).unwrap(), getpgrp());
        service.shutdown().await;
    }

    async fn shutdown_ends_everything_even_what_hangs(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(4)).await.unwrap();
        let hung = tokio::spawn(service.execute(&code, hello(), patient()));
        while service.status(&code).unwrap().counts.busy == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::timeout(PATIENCE, service.shutdown()).await.unwrap();
        assert!(matches!(hung.await.unwrap(), Err(Error::ShutDown)));
        let error = service.execute(&code, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::ShutDown), "{error:?}");
        assert!(matches!(service.load(udf("echo_udf"), workers(1)).await, Err(Error::ShutDown)));
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 0);
    }

    async fn dropping_the_service_ends_everything(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(2)).await.unwrap();
        let mut execution = service.execute(&code, hello(), patient());
        let _ = tokio::time::timeout(Duration::from_millis(50), &mut execution).await;
        drop(service);
        assert!(matches!(execution.await, Err(Error::ShutDown)));
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 0);
    }

    async fn services_live_side_by_side(bed: TestBed) {
        let (one, two) = (bed.service().await, bed.service().await);
        let code_of_one = one.load(udf("sample_udf"), workers(1)).await.unwrap();
        let code_of_two = two.load(udf("sample_udf"), workers(1)).await.unwrap();
        let error = two.execute(&code_of_one, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::UnknownToken(_)));
        one.shutdown().await;
        answers(&two, &code_of_two).await;
        two.shutdown().await;
    }

    async fn a_sandbox_that_dies_is_replaced_with_all_that_was_in_it(bed: TestBed) {
        let service = bed.service().await;
        let sample = service.load(udf("sample_udf"), workers(2)).await.unwrap();
        let pause = service.load(udf("pause_udf"), workers(1)).await.unwrap();
        for _ in 0..2 {
            // A request whose worker is not ready yet would be served by the next sandbox.
            while service.status(&pause).unwrap().counts.ready == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let hung = tokio::spawn(service.execute(&pause, hello(), patient()));
            while service.status(&pause).unwrap().counts.busy == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            kill_sandbox(&bed, &service);
            let error = hung.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::SandboxDied(_)), "{error:?}");
            assert!(error.retryable());
            answers_again(&service, &sample).await;
        }
        service.shutdown().await;
    }

    async fn what_a_killed_service_left_is_cleared_away(bed: TestBed) {
        let stale = bed.run_dir.path().join("roma-1-2-3");
        fs::create_dir(&stale).unwrap();
        fs::write(stale.with_extension("lock"), "").unwrap();
        let service = bed.service().await;
        assert!(!stale.exists());
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 2);
        service.shutdown().await;
    }
}

/// Kills all processes of the outer sandbox at once.
fn kill_sandbox(bed: &TestBed, service: &Service) {
    for pid in processes(bed, service) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

#[test]
fn a_thousand_workers_of_one_code() {
    common::run(2, async |bed: TestBed| {
        let service = bed.service().await;
        let threads = fs::read_dir("/proc/self/task").unwrap().count();
        let code = service
            .load(udf("sample_udf"), workers(1000))
            .await
            .unwrap();
        while service.status(&code).unwrap().counts.ready < 1000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Some that block on files may come, none for each worker.
        assert!(fs::read_dir("/proc/self/task").unwrap().count() < threads + 100);
        answers(&service, &code).await;
        service.shutdown().await;
    });
}

#[test]
fn a_run_workers_that_does_not_start_is_told() {
    common::run(2, async |bed: TestBed| {
        let error = bed
            .builder()
            .run_workers("/bin/false")
            .start()
            .await
            .unwrap_err();
        assert!(matches!(error, Error::SandboxStart(_)), "{error:?}");
        assert!(error.to_string().contains("code 1"), "{error}");
    });
}

#[test]
fn a_runsc_that_does_not_work_is_told_with_what_it_says() {
    common::run(5, async |bed: TestBed| {
        let error = bed.builder().runsc("/bin/false").start().await.unwrap_err();
        assert!(matches!(error, Error::SandboxStart(_)), "{error:?}");
    });
}
