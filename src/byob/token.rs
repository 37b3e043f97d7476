//! Names for loaded code and for executions.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names code that a service has loaded. Cheap to clone; means nothing to another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeToken {
    service: u32,
    pool: u32,
}

impl CodeToken {
    pub(crate) fn new(service: u32, pool: u32) -> Self {
        Self { service, pool }
    }
}

impl fmt::Display for CodeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code-{}-{}", self.service, self.pool)
    }
}

/// Names one execution, for logs. The UDF never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId(u64);

impl ExecutionId {
    /// An id that no other execution of this process has.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "execution-{}", self.0)
    }
}
