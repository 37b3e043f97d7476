//! Shared test code: services with the programs that Bazel built.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roma_byob::{ExecuteOptions, Platform, Service, ServiceBuilder};

/// A bound for hangs, not for speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the program that a variable names.
pub fn program(variable: &str) -> PathBuf {
    std::path::absolute(std::env::var_os(variable).unwrap()).unwrap()
}

/// Returns the programs that a variable names, separated by colons.
pub fn programs(variable: &str) -> Vec<PathBuf> {
    let names = std::env::var(variable).unwrap();
    let paths = names.split(':').map(std::path::absolute);
    paths.map(Result::unwrap).collect()
}

/// Returns a service without gVisor.
pub fn minimal(folder: &Path) -> ServiceBuilder {
    Service::builder()
        .run_dir(folder)
        .run_workers(program("ROMA_RUN_WORKERS"))
        .obey_environment(false)
}

/// Returns a service in gVisor.
pub fn gvisor(folder: &Path) -> ServiceBuilder {
    minimal(folder)
        .runsc(program("ROMA_RUNSC"))
        .platform(Platform::Systrap)
}

/// Options for a busy machine.
pub fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..Default::default()
    }
}
