//! The options of a pool.

use std::time::Duration;

use roma_sandbox::limits::PoolLimits;

/// How a UDF reports that it waits for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// It writes one byte (any) before it reads the request.
    #[default]
    Byte,
    /// It writes nothing: the older protocol. A process counts as ready once it is started.
    None,
}

/// The options of a pool.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// A name for logs and metrics.
    pub name: String,
    /// How many workers wait ready for requests.
    pub workers: u32,
    /// How many workers may live at once: waiting, with a request, and ending. With as many as
    /// `workers`, a worker that has a request is not replaced meanwhile.
    pub max_live: u32,
    /// How many requests may wait for a worker.
    pub max_waiting: u32,
    /// How a worker reports that it is ready.
    pub readiness: Readiness,
    /// How long a worker may take to become ready.
    pub start_timeout: Duration,
    /// How much of the output of a worker is kept. With 0, output is kept only until the worker is
    /// ready, to explain a failed start.
    pub log_bytes: usize,
    /// Whether each worker has a second connection, for calls to the host.
    pub host_calls: bool,
    /// The limits that were asked for, to warn of those that this machine does not provide.
    pub limits: PoolLimits,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            workers: 2,
            max_live: 4,
            max_waiting: 1024,
            readiness: Readiness::default(),
            start_timeout: Duration::from_secs(10),
            log_bytes: 0,
            host_calls: false,
            limits: PoolLimits::default(),
        }
    }
}
