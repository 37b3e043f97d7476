//! What an operator sees: metrics, memory, limits in force, the debug log, external mode.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use nix::unistd::Pid;
use roma_byob::{Error, ExecuteOptions, LoadOptions, Mode, PoolLimits};

use common::messages::hello;
use common::processes::status_field;
use common::requests::assert_greets;
use common::sandboxes::sandbox_process;
use common::{GVISOR_STRICT, MINIMAL_STRICT, PATIENCE, TestBed, patient, udf, workers};

/// The value of each counter and gauge and the number of samples of each histogram, by name and labels.
fn numbers(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let entries = snapshotter.snapshot().into_vec().into_iter();
    entries
        .map(|(key, _, _, value)| {
            let (_, key) = key.into_parts();
            let labels: String = key
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()))
                .collect();
            let number = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Gauge(value) => value.into_inner() as u64,
                DebugValue::Histogram(values) => values.len() as u64,
            };
            (format!("{}{labels}", key.name()), number)
        })
        .collect()
}

#[test]
fn metrics_count_executions_and_workers() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    common::run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let named = |name: &str| LoadOptions {
            name: name.into(),
            ..workers(1)
        };
        let good = service
            .load(udf("sample_udf"), named("good"))
            .await
            .unwrap();
        let slow = service.load(udf("pause_udf"), named("slow")).await.unwrap();
        for _ in 0..3 {
            assert_greets(&service, &good).await;
        }
        let short = ExecuteOptions {
            deadline: Duration::from_millis(50),
            ..patient()
        };
        let error = service.execute(&slow, hello(), short).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        service.shutdown().await;
    });
    let numbers = numbers(&snapshotter);
    let number = |key: &str| {
        *numbers
            .get(key)
            .unwrap_or_else(|| panic!("no metric {key} in {numbers:#?}"))
    };
    assert_eq!(number("roma_executions_total code=good result=ok"), 3);
    assert_eq!(number("roma_executions_total code=slow result=deadline"), 1);
    for histogram in [
        "roma_queue_seconds",
        "roma_send_seconds",
        "roma_run_seconds",
    ] {
        assert_eq!(number(&format!("{histogram} code=good")), 3);
    }
    assert!(number("roma_worker_starts_total code=good") >= 3);
    assert!(number("roma_worker_life_seconds code=good") >= 2);
    for step in ["clone", "setup", "exec"] {
        assert!(
            number(&format!(
                "roma_worker_start_step_seconds code=good step={step}"
            )) >= 2
        );
    }
    for stage in ["starting", "ready", "busy", "ending"] {
        assert_eq!(number(&format!("roma_workers code=good stage={stage}")), 0);
    }
}

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
