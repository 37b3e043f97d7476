//! The memory of the container runs out: the process of this test and its sandboxes are in a control group
//! with little of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use roma_byob::{CodeToken, Error, Fault, Limits, LoadOptions, Service};
use roma_sandbox::cgroup::Hierarchies;

use common::requests::assert_echoes_again;
use common::{GVISOR_STRICT, MINIMAL_STRICT, TestBed, patient, run, udf, workers};

/// What the container of these tests has: enough for a service with one sandbox.
const CONTAINER_BYTES: u64 = 700 << 20;

/// A control group for memory that this process is in while this lives.
struct Container {
    group: PathBuf,
    parent: PathBuf,
}

impl Container {
    /// Enters the group, if the machine has control groups for memory that this user may make.
    fn enter() -> Option<Self> {
        let parent = Hierarchies::discover().memory()?.to_owned();
        let group = parent.join(format!("roma-test-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let container = Self { group, parent };
        let limits = ["memory.limit_in_bytes", "memory.max"].map(|name| container.group.join(name));
        let limit = limits.iter().find(|path| path.exists())?;
        fs::write(limit, CONTAINER_BYTES.to_string()).ok()?;
        fs::write(container.group.join("cgroup.procs"), "0").ok()?;
        Some(container)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::write(self.parent.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&self.group);
    }
}

async fn load(service: &Service, limits: Limits) -> CodeToken {
    let options = LoadOptions {
        limits,
        ..workers(1)
    };
    service.load(udf("misbehaving_udf"), options).await.unwrap()
}

fn without_a_limit_of_memory() -> Limits {
    let mut limits = Limits::default();
    limits.data = None;
    limits
}

async fn hoard(service: &Service, code: &CodeToken) -> Error {
    let answer = service.execute(code, "hoard", patient()).await;
    answer.unwrap_err()
}

/// With default limits the container never runs out of memory: the UDF does.
async fn a_hungry_udf_with_default_limits_harms_nobody_else(bed: TestBed) {
    let service = bed.service().await;
    let hungry = load(&service, Limits::default()).await;
    let neighbour = load(&service, Limits::default()).await;
    let sandbox = service.sandbox_processes();
    for _ in 0..3 {
        let error = hoard(&service, &hungry).await;
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        common::requests::assert_echoes(&service, &neighbour).await;
    }
    assert_eq!(service.sandbox_processes(), sandbox);
    service.shutdown().await;
}

/// Without limits the kernel ends a process: that of the UDF, or all of gVisor. Either way it is the UDF's
/// fault, and the service goes on.
async fn a_hungry_udf_without_limits_is_to_blame(bed: TestBed) {
    let service = bed.service().await;
    let hungry = load(&service, without_a_limit_of_memory()).await;
    let neighbour = load(&service, Limits::default()).await;
    for _ in 0..3 {
        let error = hoard(&service, &hungry).await;
        assert_eq!(error.fault(), Fault::Udf, "{error:?}");
        assert!(!error.retryable(), "{error:?}");
        if let Error::SandboxDied(failure) = &error {
            assert!(failure.out_of_memory && bed.is_gvisor(), "{error:?}");
            assert_eq!(error.name(), "out_of_memory");
        }
        assert_echoes_again(&service, &neighbour).await;
        assert_echoes_again(&service, &hungry).await;
    }
    service.shutdown().await;
}

// One test, because it changes the control group of the whole process.
#[test]
fn the_memory_of_a_container_is_used_up_only_without_limits_and_by_the_udfs_fault() {
    let Some(_container) = Container::enter() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "this machine has no control groups for memory"
        );
        return;
    };
    for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
        run(sandbox, a_hungry_udf_with_default_limits_harms_nobody_else);
        run(sandbox, a_hungry_udf_without_limits_is_to_blame);
    }
}
