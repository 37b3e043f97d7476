//! Every step of setting up goes through here, so that each can be named when it fails, and so that
//! tests can make each fail.

use nix::errno::Errno;
use roma_protocol::step::{Step, StepFailure};
use std::sync::atomic::{AtomicI32, Ordering};

static FAULTS: [AtomicI32; 256] = [const { AtomicI32::new(0) }; 256];

/// Makes a step fail from now on in this process and those forked from it. For tests: nothing in the
/// shipped programs calls it.
pub fn provoke(step: Step, errno: Errno) {
    FAULTS[step as usize].store(errno as i32, Ordering::Relaxed);
}

/// Takes a step. Async-signal-safe if `action` is.
pub fn take<T>(step: Step, action: impl FnOnce() -> Result<T, Errno>) -> Result<T, StepFailure> {
    match FAULTS[step as usize].load(Ordering::Relaxed) {
        0 => action().map_err(|errno| failure(step, errno)),
        errno => Err(StepFailure { step, errno }),
    }
}

/// Names the step that failed.
#[must_use]
pub fn failure(step: Step, errno: Errno) -> StepFailure {
    StepFailure {
        step,
        errno: errno as i32,
    }
}

/// The error number of an I/O error; EIO where it has none.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
