//! The steps between a message and a running UDF. Each runs through [`run`], so that a failure names
//! its step and tests can make each step fail.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// One step between a message and a running UDF.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name = $code,)* }

        impl Step {
            /// Every step, in the order in which they happen.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns a short name: stable, lower case, usable as a metric's label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the step with this code, if there is one.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

steps! {
    // run_workers itself.
    /// run_workers enters namespaces of its own (only without an outer sandbox).
    Isolate = 1, "isolate";
    /// The message `Load` is checked.
    AcceptLoad = 2, "accept_load";
    /// The pool's first process is forked.
    ForkPool = 3, "fork_pool";
    /// The pool is placed in its control group.
    JoinCgroup = 4, "join_cgroup";

    // A pool, once.
    /// The pool leaves the namespaces of run_workers.
    Unshare = 16, "unshare";
    /// Mounts stop being shared with other namespaces.
    PrivateMounts = 17, "private_mounts";
    /// The new root, an empty file system in memory, is mounted.
    MountRoot = 18, "mount_root";
    /// The binary is received and written.
    ReceiveCode = 19, "receive_code";
    /// The binary's digest is compared.
    CheckDigest = 20, "check_digest";
    /// A library folder is mounted.
    MountLibrary = 21, "mount_library";
    /// `/dev/null` is opened for later.
    OpenNull = 22, "open_null";
    /// The file system for the roots of workers is mounted.
    MountRoots = 23, "mount_roots";
    /// The new root becomes `/`, the old one is detached.
    PivotRoot = 24, "pivot_root";
    /// The root is made read-only.
    SealRoot = 25, "seal_root";
    /// A further spawner is forked.
    ForkSpawner = 26, "fork_spawner";
    /// Limits that workers inherit are set.
    SetPoolLimits = 27, "set_pool_limits";
    /// Signals are blocked and can be read from a descriptor.
    PrepareSignals = 28, "prepare_signals";
    /// Capabilities are dropped.
    DropCapabilities = 29, "drop_capabilities";
    /// `no_new_privs` is set.
    NoNewPrivileges = 30, "no_new_privileges";
    /// The system call filter is installed.
    InstallFilter = 31, "install_filter";

    // A worker, each time.
    /// The message `Spawn` and its descriptors are checked.
    AcceptSpawn = 64, "accept_spawn";
    /// The spawner takes the worker's user id.
    SetUser = 65, "set_user";
    /// The root of a worker is created, when the first worker needs it.
    MakeRoot = 75, "make_root";
    /// The spawner enters the root of the worker.
    EnterRoot = 76, "enter_root";
    /// The process and its namespaces are created.
    Clone = 66, "clone";
    /// The worker's death is tied to its spawner's.
    DeathSignal = 67, "death_signal";
    /// Descriptors 0 to 4 are set up.
    PlaceDescriptors = 68, "place_descriptors";
    /// All other descriptors are closed.
    CloseDescriptors = 69, "close_descriptors";
    /// The private `/tmp` is mounted.
    MountTmp = 70, "mount_tmp";
    /// The private `/proc` is mounted.
    MountProc = 71, "mount_proc";
    /// The worker enters its own user namespace (only if `/tmp` or `/proc` were mounted before).
    UnshareUser = 72, "unshare_user";
    /// The worker makes its own root the only one that it can reach.
    ChangeRoot = 77, "change_root";
    /// Limits that the spawner itself must not have are set.
    SetWorkerLimits = 73, "set_worker_limits";
    /// The UDF is executed.
    Exec = 74, "exec";
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepFailure {
    /// The step.
    pub step: Step,
    /// The system's error number.
    pub errno: i32,
}

impl StepFailure {
    /// Creates the failure of a step.
    #[must_use]
    pub fn new(step: Step, errno: Errno) -> Self {
        Self {
            step,
            errno: errno as i32,
        }
    }
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = std::io::Error::from_raw_os_error(self.errno);
        write!(f, "step {} failed: {error}", self.step)
    }
}

static FAULTS: [AtomicI32; 256] = [const { AtomicI32::new(0) }; 256];

/// Makes a step fail from now on in this process and those forked from it. For tests: no shipped program
/// calls it.
pub fn provoke(step: Step, errno: Errno) {
    FAULTS[step as usize].store(errno as i32, Ordering::Relaxed);
}

/// Runs a step. Async-signal-safe if `action` is.
pub fn run<T>(step: Step, action: impl FnOnce() -> Result<T, Errno>) -> Result<T, StepFailure> {
    match FAULTS[step as usize].load(Ordering::Relaxed) {
        0 => action().map_err(|errno| StepFailure::new(step, errno)),
        errno => Err(StepFailure { step, errno }),
    }
}

/// Returns the error number of an I/O error; `EIO` if it has none.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_unique_name_and_a_code_that_decodes_to_it() {
        let mut names = std::collections::HashSet::new();
        for &step in Step::ALL {
            assert_eq!(Step::from_code(step as u8), Some(step));
            assert!(names.insert(step.name()), "{step} twice");
        }
        assert_eq!(Step::from_code(0), None);
    }
}
