//! What an operator sees: memory, limits in force, the debug log, external mode.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;
use roma_byob::{LibraryMount, LoadOptions, Mode, PoolLimits};

use common::processes::status_field;
use common::requests::assert_greets;
use common::sandboxes::sandbox_process;
use common::{GVISOR_STRICT, MINIMAL_STRICT, PATIENCE, TestBed, udf, workers};

/// The anonymous resident memory of this process, in bytes.
fn resident() -> u64 {
    let resident = status_field(Pid::this(), "RssAnon:").unwrap();
    let kibibytes = resident.strip_suffix(" kB").unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

#[test]
fn an_idle_worker_costs_the_host_little_memory() {
    const WORKERS: u32 = 400;
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        service.load(udf("sample_udf"), workers(1)).await.unwrap();
        let before = resident();
        let code = service
            .load(udf("sample_udf"), workers(WORKERS))
            .await
            .unwrap();
        while service.status(&code).unwrap().counts.ready < WORKERS as usize {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let image = fs::metadata(udf("sample_udf")).unwrap().len();
        let each = resident().saturating_sub(before + image) / u64::from(WORKERS);
        assert!(each < 64 * 1024, "{each} bytes for each worker");
        service.shutdown().await;
    });
}

#[test]
fn the_status_tells_whether_live_processes_share_a_file() {
    for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
        common::run(sandbox, async |bed: TestBed| {
            let folder = tempfile::tempdir().unwrap();
            let mount = LibraryMount::at(folder.path(), "/library");
            let service = bed.builder().start().await.unwrap();
            let with_library = bed.builder().library(mount).start().await.unwrap();
            let room_for_one = LoadOptions {
                program_copies: 1,
                ..workers(2)
            };
            for (service, options, expected) in [
                (&service, workers(2), true),
                (&service, room_for_one, false),
                (&with_library, workers(2), bed.is_gvisor()),
            ] {
                let code = service.load(udf("sample_udf"), options).await.unwrap();
                let in_force = service.status(&code).unwrap().in_force;
                assert_eq!(in_force.own_files, expected, "{in_force:?}");
                assert_greets(service, &code).await;
            }
            service.shutdown().await;
            with_library.shutdown().await;
        });
    }
}

#[test]
fn the_status_names_the_pool_limits_in_force() {
    for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
        common::run(sandbox, async |bed: TestBed| {
            let service = bed.service().await;
            let pool_limits = PoolLimits {
                memory: Some(1 << 30),
                ..Default::default()
            };
            let limited = LoadOptions {
                pool_limits,
                ..workers(1)
            };
            let limited = service.load(udf("sample_udf"), limited).await.unwrap();
            let plain = service.load(udf("sample_udf"), workers(1)).await.unwrap();
            let in_force = service.status(&limited).unwrap().in_force;
            assert!(
                !(in_force.pool_memory && bed.is_gvisor()),
                "pools in gVisor have no control groups"
            );
            assert!(
                !in_force.pool_processes && !in_force.pool_cpu,
                "limits that were not requested are in force"
            );
            assert!(!service.status(&plain).unwrap().in_force.pool_memory);
            assert_greets(&service, &limited).await;
            service.shutdown().await;
        });
    }
}

#[test]
fn external_mode_serves_requests() {
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.builder().mode(Mode::External).start().await.unwrap();
        assert_eq!((service.mode(), service.platform()), (Mode::External, None));
        let code = service.load(udf("sample_udf"), workers(2)).await.unwrap();
        assert_greets(&service, &code).await;
        service.shutdown().await;
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn gvisor_cannot_make_cpuid_trap() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let filters = |process| -> u32 {
            let count = status_field(process, "Seccomp_filters:").unwrap();
            count.parse().unwrap()
        };
        // One more than this process, whose own filters stay as they were.
        assert_eq!(filters(sandbox_process(&service)), filters(Pid::this()) + 1);
        service.shutdown().await;
    });
}

#[test]
fn the_debug_log_outlives_the_service() {
    common::run(GVISOR_STRICT, async |bed: TestBed| {
        let service = bed.builder().mode(Mode::GvisorDebug).start().await.unwrap();
        let code = service.load(udf("sample_udf"), workers(1)).await.unwrap();
        assert_greets(&service, &code).await;
        tokio::time::timeout(PATIENCE, service.shutdown())
            .await
            .unwrap();
        let mut left = fs::read_dir(bed.run_dir.path()).unwrap().flatten();
        let folder = left.next().unwrap().path();
        assert!(left.next().is_none() && folder.extension().unwrap() == "debug");
        assert!(
            any_file_contains(&folder, "/udf"),
            "the log does not name the program that ran"
        );
        fs::remove_dir_all(folder).unwrap();
    });
}

fn any_file_contains(folder: &Path, text: &str) -> bool {
    let files = fs::read_dir(folder).unwrap().flatten();
    files
        .map(|file| fs::read(file.path()).unwrap())
        .any(|content| String::from_utf8_lossy(&content).contains(text))
}
