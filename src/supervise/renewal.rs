//! When a sandbox that works is replaced by a new one: it has grown, or it is old.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::memory;

/// How often a sandbox is measured.
const CHECK: Duration = Duration::from_secs(30);
/// By default a sandbox may have this part of the memory that there is.
const SHARE_OF_MEMORY: u64 = 2;

/// When a sandbox that works is replaced by a new one. No request is lost: those in flight end where they
/// are, and the old sandbox ends after them. `None` is no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// How old a sandbox becomes. By default a day.
    pub age: Option<Duration>,
    /// How much memory its processes have together, in bytes. By default half of what the machine or the
    /// container has.
    pub memory: Option<u64>,
    /// How many processes of the host it has. By default 4096.
    pub processes: Option<u32>,
    /// How long a sandbox is kept however large it is, for UDFs that need as much. By default ten minutes.
    pub least_age: Duration,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            age: Some(Duration::from_secs(24 * 60 * 60)),
            memory: memory::available().map(|bytes| bytes / SHARE_OF_MEMORY),
            processes: Some(4096),
            least_age: Duration::from_secs(10 * 60),
        }
    }
}

impl Renewal {
    /// Returns when to look next at a sandbox of this age.
    pub(crate) fn next_look(&self, age: Duration) -> Duration {
        let old = self.age.unwrap_or(Duration::MAX).saturating_sub(age);
        let look = match self.least_age.checked_sub(age) {
            Some(left) if !left.is_zero() => left,
            _ => CHECK,
        };
        look.min(old)
    }

    /// Returns why a sandbox is to be replaced, if it is.
    pub(crate) fn reason(&self, age: Duration, size: Size) -> Option<&'static str> {
        let exceeds = |bound: Option<u64>, value| bound.is_some_and(|bound| value > bound);
        if self.age.is_some_and(|bound| age >= bound) {
            Some("age")
        } else if age < self.least_age {
            None
        } else if exceeds(self.memory, size.memory) {
            Some("memory")
        } else if exceeds(self.processes.map(u64::from), size.processes) {
            Some("processes")
        } else {
            None
        }
    }
}

/// What a sandbox takes of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    processes: u64,
    memory: u64,
}

impl Size {
    /// Measures a process and all its descendants. What cannot be read counts as nothing.
    pub(crate) fn of(process: u32) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (parent, child) in fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let child = entry.ok()?.file_name().to_str()?.parse().ok()?;
                Some((parent(child)?, child))
            })
        {
            children.entry(parent).or_default().push(child);
        }
        let mut size = Self::default();
        let mut shared = 0;
        let mut left = vec![process];
        while let Some(process) = left.pop() {
            size.processes += 1;
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let bytes = |name| memory::field(&status, name).unwrap_or(0) * 1024;
            size.memory += bytes("RssAnon:");
            // The processes of gVisor share one file, which has the memory of all programs.
            shared = bytes("RssShmem:").max(shared);
            left.extend(children.remove(&process).unwrap_or_default());
        }
        size.memory += shared;
        size
    }
}

fn parent(of: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
    // The name of the program is in parentheses, and may have some of its own.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn renewal() -> Renewal {
        Renewal {
            age: Some(100 * SECOND),
            memory: Some(1000),
            processes: Some(10),
            least_age: 5 * SECOND,
        }
    }

    #[test]
    fn a_sandbox_is_replaced_for_the_bound_that_it_exceeds() {
        let small = Size {
            processes: 10,
            memory: 1000,
        };
        let crowded = Size {
            processes: 11,
            ..small
        };
        let large = Size {
            memory: 1001,
            ..small
        };
        let reason = |seconds, size| renewal().reason(seconds * SECOND, size);
        assert_eq!(reason(99, small), None);
        assert_eq!(reason(100, small), Some("age"));
        assert_eq!(reason(5, crowded), Some("processes"));
        assert_eq!(reason(5, large), Some("memory"));
        assert_eq!(reason(4, large), None, "kept for the least age");
    }

    #[test]
    fn a_sandbox_is_looked_at_at_its_least_age_then_regularly_and_when_it_is_old() {
        let next = |seconds| renewal().next_look(seconds * SECOND);
        assert_eq!(next(1), 4 * SECOND);
        assert_eq!(next(5), CHECK);
        assert_eq!(next(90), 10 * SECOND);
        assert_eq!(next(100), Duration::ZERO);
    }

    #[test]
    fn the_size_of_a_process_includes_its_children() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let after = Size::of(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        // Other tests start processes, too.
        assert!(after.processes > 1, "{after:?}");
        assert!(after.memory > 100_000, "{after:?}");
    }
}
