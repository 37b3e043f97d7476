//! Where benchmarks run.

use std::fmt;

use roma_byob::{Mode, SyscallFilter};

/// Where a benchmark runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub mode: Mode,
    pub filter: SyscallFilter,
}

impl Place {
    /// Returns the number of the mode in names; 3 was a mode that no longer exists.
    pub fn number(self) -> u8 {
        match self.mode {
            Mode::Gvisor => 0,
            Mode::Minimal => 1,
            Mode::GvisorDebug => 2,
            Mode::External => 4,
        }
    }

    /// Returns the part of names without a mode that tells the place; empty for gVisor and `strict`.
    pub fn suffix(self, says_mode: bool) -> String {
        let mut suffix = String::new();
        if !says_mode && self.mode != Mode::Gvisor {
            suffix += &format!("/mode:{}", self.number());
        }
        if self.filter != SyscallFilter::Strict {
            suffix += &format!("/filter:{}", self.filter);
        }
        suffix
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.mode, self.filter)
    }
}
