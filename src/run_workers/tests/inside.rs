//! What holds inside the sandbox, tested by a UDF that tries to break it: directly and inside gVisor, at
//! every filter level.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

#[path = "../testing/host.rs"]
mod host;
mod cases {
    pub mod confinement;
    pub mod endings;
    pub mod filters;
    pub mod leftovers;
    pub mod limits;
    pub mod loading;
    pub mod options;
}

use std::path::Path;

use host::{Host, Mode};

/// The UDF that does what its request says.
fn probe() -> &'static [u8] {
    static PROBE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    PROBE.get_or_init(|| std::fs::read(env!("CARGO_BIN_EXE_probe_udf")).expect("the probe"))
}

fn run_workers() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_run_workers"))
}

fn run_workers_with_faults() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_run_workers_with_faults"))
}

fn start(mode: Mode) -> Host {
    Host::start(mode, run_workers())
}

/// Makes each of these functions a test in every mode.
macro_rules! in_every_mode {
    ($($name:ident)*) => {
        mod direct {
            $(#[test] fn $name() { super::$name($crate::host::Mode::Direct); })*
        }
        mod gvisor_systrap {
            $(#[test] fn $name() { super::$name($crate::host::Mode::Gvisor("systrap")); })*
        }
        mod gvisor_ptrace {
            $(#[test] fn $name() { super::$name($crate::host::Mode::Gvisor("ptrace")); })*
        }
    };
}
use in_every_mode;
