//! What is known of an execution when it is over.

use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::exit::Exit;
use crate::token::ExecutionId;

/// How long the stages of an execution took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Until a worker was ready for it.
    pub queue: Duration,
    /// From there until the whole request was sent.
    pub send: Duration,
    /// From there until the whole response was there.
    pub run: Duration,
}

impl Times {
    /// Returns the sum of all stages.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.queue + self.send + self.run
    }
}

/// What is known of an execution once its process is gone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Which execution.
    pub id: ExecutionId,
    /// The process's `argv[0]`, to find it in traces of the sandbox. `None` if it never got one.
    pub worker: Option<String>,
    /// How the process ended and what it used. `None` if there was none, or it was lost.
    pub exit: Option<Exit>,
    /// How long each stage took; zero for those that were not reached.
    pub times: Times,
    /// The size of the request.
    pub request_bytes: usize,
    /// The size of the response; 0 without one.
    pub response_bytes: usize,
    /// What the process printed, if the code was loaded with logs.
    pub logs: Option<LogTail>,
}

impl Report {
    /// Returns the report of an execution of which nothing is known yet.
    #[must_use]
    pub fn new(id: ExecutionId, request_bytes: usize) -> Self {
        Self {
            id,
            worker: None,
            exit: None,
            times: Times::default(),
            request_bytes,
            response_bytes: 0,
            logs: None,
        }
    }
}

/// The captured output of one execution, as the UDF printed it: escape it with
/// [`shown`](crate::shown) before a person sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The last bytes; invalid UTF-8 is replaced.
    pub text: String,
    /// How many bytes before them were dropped.
    pub dropped: u64,
}

/// The result of an execution and its report.
#[derive(Debug)]
pub struct Outcome<T = Bytes> {
    /// The response.
    pub result: Result<T, Error>,
    /// What it took.
    pub report: Report,
}
