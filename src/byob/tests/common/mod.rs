//! What the suites share: programs and UDFs, sandboxes to test in, options, and helpers.
#![allow(
    dead_code,
    clippy::expect_used,
    unused_imports,
    unused_macros,
    reason = "each suite is a crate of its own that uses a part of this; a test fails by panicking"
)]

pub mod attacked_host;
pub mod messages;
pub mod processes;
pub mod requests;
pub mod sandboxes;
pub mod traces;
pub mod trick_table;
pub mod tricks;
pub mod waiting;
pub mod weakened;

use std::path::PathBuf;
use std::time::Duration;

use roma_byob::{
    ExecuteOptions, LoadOptions, Mode, Platform, Service, ServiceBuilder, SyscallFilter,
};
use tempfile::TempDir;

pub use waiting::{block_until, until};

/// Long enough for any machine: these tests bound hangs, never speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The sandboxes in which every promise must hold.
pub const SANDBOXES: [(Mode, SyscallFilter); 6] = [
    (Mode::Minimal, SyscallFilter::None),
    (Mode::Minimal, SyscallFilter::Engine),
    (Mode::Minimal, SyscallFilter::Strict),
    (Mode::Gvisor, SyscallFilter::None),
    (Mode::Gvisor, SyscallFilter::Engine),
    (Mode::Gvisor, SyscallFilter::Strict),
];

/// An index into [`SANDBOXES`].
pub const MINIMAL_STRICT: usize = 2;
/// An index into [`SANDBOXES`].
pub const GVISOR_STRICT: usize = 5;

/// Makes a test for each of [`SANDBOXES`].
macro_rules! in_every_sandbox {
    ($($(#[$meta:meta])* async fn $name:ident($bed:ident: TestBed) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;
            use crate::common::{TestBed, run};

            async fn test($bed: TestBed) $body

            #[test]
            fn minimal_none() { run(0, test) }
            #[test]
            fn minimal_engine() { run(1, test) }
            #[test]
            fn minimal_strict() { run(2, test) }
            #[test]
            fn gvisor_none() { run(3, test) }
            #[test]
            fn gvisor_engine() { run(4, test) }
            #[test]
            fn gvisor_strict() { run(5, test) }
        }
    )*};
}
#[allow(unused_imports, reason = "the program `guards` has no tests")]
pub(crate) use in_every_sandbox;

/// The sandbox of a test, and a run folder that must be empty when the test ends.
pub struct TestBed {
    pub mode: Mode,
    pub filter: SyscallFilter,
    pub run_dir: TempDir,
}

/// The runtime of a test.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs a test in one of [`SANDBOXES`] and checks that it leaves no files.
pub fn run<F: Future<Output = ()>>(sandbox: usize, test: impl FnOnce(TestBed) -> F) {
    run_for(PATIENCE * 2, sandbox, test);
}

/// As [`run`], for a test that takes up to `time` if it does not hang.
pub fn run_for<F: Future<Output = ()>>(
    time: Duration,
    sandbox: usize,
    test: impl FnOnce(TestBed) -> F,
) {
    let (mode, filter) = SANDBOXES[sandbox];
    let run_dir = tempfile::tempdir().unwrap();
    let path = run_dir.path().to_owned();
    let runtime = runtime();
    runtime.block_on(async {
        let bed = TestBed {
            mode,
            filter,
            run_dir,
        };
        tokio::time::timeout(time, test(bed))
            .await
            .expect("the test hangs");
    });
    drop(runtime);
    assert!(
        !path.exists() || path.read_dir().unwrap().next().is_none(),
        "left files in {path:?}"
    );
}

impl TestBed {
    /// Starts a service in this sandbox.
    pub async fn service(&self) -> Service {
        self.builder().start().await.unwrap()
    }

    pub fn builder(&self) -> ServiceBuilder {
        let builder = Service::builder()
            .mode(self.mode)
            .syscall_filter(self.filter)
            .run_dir(self.run_dir.path())
            .run_workers(program("ROMA_RUN_WORKERS"))
            .obey_environment(false);
        match self.mode.is_gvisor() {
            // The platform is named, because measuring takes seconds where no result can be stored.
            // There is one sandbox, so that a test knows which one it kills.
            true => builder
                .sandboxes(1)
                .platform(platform())
                .runsc(program("ROMA_RUNSC")),
            false => builder,
        }
    }

    /// Two sandboxes in gVisor; minimal mode has only one.
    pub fn builder_of_two_sandboxes(&self) -> ServiceBuilder {
        match self.is_gvisor() {
            true => self.builder().sandboxes(2),
            false => self.builder(),
        }
    }

    pub fn is_gvisor(&self) -> bool {
        self.mode.is_gvisor()
    }

    /// The run folder, as it stands in command lines.
    pub fn run_dir_text(&self) -> String {
        self.run_dir.path().to_string_lossy().into_owned()
    }
}

/// Whether the tests run as root. What an ordinary user may create depends on the machine.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// gVisor's platform: that of ROMA_TEST_PLATFORM, or systrap.
fn platform() -> Platform {
    let named = std::env::var("ROMA_TEST_PLATFORM");
    named.map_or(Platform::Systrap, |name| name.parse().unwrap())
}

/// The program that an environment variable names. Bazel builds it and sets the variable.
pub fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set; it must name a program that Bazel builds")
    });
    let path = std::path::absolute(path).unwrap();
    assert!(
        path.is_file(),
        "{variable} names {path:?}, which is not a file"
    );
    path
}

/// The path of a UDF, by name.
pub fn udf(name: &str) -> PathBuf {
    let folders = std::env::var("ROMA_TEST_UDFS")
        .expect("ROMA_TEST_UDFS must list the folders of the UDFs, separated by `:`");
    let mut paths = folders
        .split(':')
        .map(|folder| std::path::absolute(folder).unwrap().join(name));
    paths
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("there is no UDF {name:?} in {folders:?}"))
}

/// Load options for `count` workers, which may be slow to start.
pub fn workers(count: u32) -> LoadOptions {
    LoadOptions {
        start_timeout: PATIENCE,
        ..LoadOptions::with_workers(count)
    }
}

/// Execute options that do not fail because the machine is slow.
pub fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..Default::default()
    }
}
