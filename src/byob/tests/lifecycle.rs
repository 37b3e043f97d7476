//! Start and end of services: several services, sandboxes that die, leftovers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{getpgid, getpgrp};
use roma_byob::Error;

use common::messages::hello;
use common::requests::{assert_greets, assert_greets_again, until_busy, until_ready};
use common::sandboxes::{kill_all_processes, sandbox_process};
use common::{
    GVISOR_STRICT, MINIMAL_STRICT, PATIENCE, TestBed, in_every_sandbox, patient, udf, workers,
};

in_every_sandbox! {
    async fn the_sandbox_is_not_in_the_hosts_process_group(bed: TestBed) {
        let service = bed.service().await;
        assert_ne!(getpgid(Some(sandbox_process(&service))).unwrap(), getpgrp());
        service.shutdown().await;
    }

    async fn shutdown_ends_hung_udfs_and_leaves_no_files(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(4)).await.unwrap();
        let hung = tokio::spawn(service.execute(&code, hello(), patient()));
        until_busy(&service, &code).await;
        tokio::time::timeout(PATIENCE, service.shutdown()).await.unwrap();
        assert!(matches!(hung.await.unwrap(), Err(Error::ShutDown)));
        let error = service.execute(&code, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::ShutDown), "{error:?}");
        assert!(matches!(service.load(udf("echo_udf"), workers(1)).await, Err(Error::ShutDown)));
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 0);
    }

    async fn dropping_the_service_ends_hung_udfs_and_leaves_no_files(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(2)).await.unwrap();
        let mut execution = service.execute(&code, hello(), patient());
        let _ = tokio::time::timeout(Duration::from_millis(50), &mut execution).await;
        drop(service);
        assert!(matches!(execution.await, Err(Error::ShutDown)));
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 0);
    }

    async fn two_services_run_independently(bed: TestBed) {
        let (one, two) = (bed.service().await, bed.service().await);
        let code_of_one = one.load(udf("sample_udf"), workers(1)).await.unwrap();
        let code_of_two = two.load(udf("sample_udf"), workers(1)).await.unwrap();
        let error = two.execute(&code_of_one, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::UnknownToken(_)));
        one.shutdown().await;
        assert_greets(&two, &code_of_two).await;
        two.shutdown().await;
    }

    async fn a_dead_sandbox_is_replaced_with_its_loaded_code(bed: TestBed) {
        let service = bed.service().await;
        let sample = service.load(udf("sample_udf"), workers(2)).await.unwrap();
        let pause = service.load(udf("pause_udf"), workers(1)).await.unwrap();
        for _ in 0..2 {
            // A request that still waits for a worker would be served by the next sandbox.
            until_ready(&service, &pause, 1).await;
            let hung = tokio::spawn(service.execute(&pause, hello(), patient()));
            until_busy(&service, &pause).await;
            kill_all_processes(&bed, &service);
            let error = hung.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::SandboxDied(_)), "{error:?}");
            assert!(error.retryable());
            assert_greets_again(&service, &sample).await;
        }
        service.shutdown().await;
    }

    async fn files_of_a_killed_service_are_removed(bed: TestBed) {
        let stale = bed.run_dir.path().join("roma-1-2-3");
        fs::create_dir(&stale).unwrap();
        fs::write(stale.with_extension("lock"), "").unwrap();
        let service = bed.service().await;
        assert!(!stale.exists());
        assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 2);
        service.shutdown().await;
    }
}

#[test]
fn a_thousand_workers_need_few_threads() {
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let threads = fs::read_dir("/proc/self/task").unwrap().count();
        let code = service
            .load(udf("sample_udf"), workers(1000))
            .await
            .unwrap();
        while service.status(&code).unwrap().counts.ready < 1000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A few threads may be added for blocking calls on files, but not one for each worker.
        assert!(fs::read_dir("/proc/self/task").unwrap().count() < threads + 100);
        assert_greets(&service, &code).await;
        service.shutdown().await;
    });
}

#[test]
fn asking_for_the_sandbox_processes_all_the_time_does_not_end_them() {
    /// Longer than several of the service's own looks at its sandbox.
    const LONG: Duration = Duration::from_secs(1);
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let before = service.sandbox_processes();
        let asking = service.clone();
        let ask = move || {
            let since = Instant::now();
            while since.elapsed() < LONG {
                let _ = asking.sandbox_processes();
            }
        };
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(ask.clone())).collect();
        tokio::time::sleep(LONG).await;
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(service.sandbox_processes(), before);
        service.shutdown().await;
    });
}

#[test]
fn a_run_workers_that_fails_is_reported_with_its_exit_code() {
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
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
fn a_runsc_that_fails_is_a_start_error() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let error = bed.builder().runsc("/bin/false").start().await.unwrap_err();
        assert!(matches!(error, Error::SandboxStart(_)), "{error:?}");
    });
}
