//! How a worker process ended and what it used.

use std::fmt;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called `exit` (or returned from `main`) with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// Reads the status word of `wait(2)`.
    #[must_use]
    pub fn from_wait_status(raw: i32) -> Self {
        match raw & 0x7f {
            0 => Self::Code((raw >> 8) & 0xff),
            signal => Self::Signal(signal),
        }
    }

    /// Returns whether the exit code is 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// Returns the exit code, unless a signal ended the process.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) => None,
        }
    }

    /// Returns the signal that ended the process, if one did.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Code(_) => None,
            Self::Signal(signal) => Some(signal),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "was ended by {name}"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
        }
    }
}

/// What a process used, as the kernel that ran it counted: gVisor's counts a thread that waits for a
/// processor as if it had one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user mode.
    pub user_time: Duration,
    /// Processor time in the kernel (in gVisor: in its own kernel).
    pub system_time: Duration,
    /// The largest resident set, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// Returns the sum of user and system time.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.user_time + self.system_time
    }
}

/// The end of a worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its code or signal.
    pub status: ExitStatus,
    /// What it used.
    pub usage: Usage,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {:?} of CPU time and at most {} KiB of memory",
            self.status,
            self.usage.cpu_time(),
            self.usage.peak_memory / 1024
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_status_tells_codes_from_signals() {
        assert_eq!(ExitStatus::from_wait_status(0), ExitStatus::Code(0));
        assert_eq!(ExitStatus::from_wait_status(0xff00), ExitStatus::Code(255));
        assert_eq!(ExitStatus::from_wait_status(9), ExitStatus::Signal(9));
        // 0x80 marks a core dump, which changes nothing about the signal.
        assert_eq!(ExitStatus::from_wait_status(0x86), ExitStatus::Signal(6));
    }

    #[test]
    fn signals_are_named() {
        assert_eq!(ExitStatus::Signal(11).to_string(), "was ended by SIGSEGV");
        assert_eq!(ExitStatus::Signal(40).to_string(), "was ended by signal 40");
        assert_eq!(ExitStatus::Code(3).to_string(), "exited with code 3");
    }
}
