//! How a request is to be executed.

use std::time::Duration;

use crate::metadata::Metadata;

/// How a request is to be executed. Start from `ExecuteOptions::default()`.
#[derive(Debug, Clone)]
pub struct ExecuteOptions {
    /// How long the request may wait for a ready worker. With zero it must be there already.
    pub queue_timeout: Duration,
    /// How long the UDF may take from the first byte of the request to the last of the response. With zero
    /// the execution fails with [`Error::Deadline`](crate::Error::Deadline) at once, and no process gets
    /// the request.
    pub deadline: Duration,
    /// What host functions learn about the request. The UDF does not.
    pub metadata: Metadata,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self {
            queue_timeout: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
            metadata: Metadata::default(),
        }
    }
}
