//! How a piece of loaded code is doing.

use crate::error::Error;
use crate::token::CodeToken;

/// How many workers and requests there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that are not known to be ready yet.
    pub starting: usize,
    /// Processes that wait for a request.
    pub ready: usize,
    /// Processes that have one.
    pub busy: usize,
    /// Processes that have answered or were killed, but are not gone yet.
    pub ending: usize,
    /// Requests that wait for a process.
    pub waiting: usize,
}

impl Counts {
    /// Returns the number of processes in all stages.
    #[must_use]
    pub fn live(&self) -> usize {
        self.starting + self.ready + self.busy + self.ending
    }
}

/// Which guards and limits hold for the processes of one piece of code, beyond those that hold
/// everywhere. A limit that was not asked for is not in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InForce {
    /// Each process runs as a user of its own.
    pub own_user_ids: bool,
    /// No two live processes share a file. Those that share one can signal to each other. They share the
    /// program if there is no room for a copy for each, and libraries where there is no gVisor.
    pub own_files: bool,
    /// The limit of memory for all processes together.
    pub pool_memory: bool,
    /// The limit of processes and threads.
    pub pool_processes: bool,
    /// The limit of processor time.
    pub pool_cpu: bool,
}

/// How one piece of loaded code is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CodeStatus {
    /// Its token.
    pub token: CodeToken,
    /// The name that it was loaded with.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its workers and requests.
    pub counts: Counts,
    /// How many processes of it were started so far.
    pub started: u64,
    /// Which limits hold for them.
    pub in_force: InForce,
    /// Why its workers do not start, if they do not: it is unhealthy then.
    pub failure: Option<Error>,
}

impl CodeStatus {
    /// Returns the status of code that has no workers yet.
    #[must_use]
    pub fn new(token: CodeToken, name: impl Into<String>, sha256: [u8; 32]) -> Self {
        Self {
            token,
            name: name.into(),
            sha256,
            counts: Counts::default(),
            started: 0,
            in_force: InForce::default(),
            failure: None,
        }
    }

    /// Returns whether workers start as they should.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.failure.is_none()
    }
}
