//! One worker: a process that waits for a request, has one, or has had one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_core::{Error, Exit, ExitStatus, Usage};
use roma_io::stream::{self, try_recv};
use roma_protocol::WorkerId;
use roma_protocol::spawner::{Exited, Spawn, ToSpawner};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::name::ExecutionName;
use roma_sandbox::step::StepFailure;
use roma_supervise::LogCapture;
use tokio::sync::SetOnce;

use crate::headroom;
use crate::options::{PoolOptions, Readiness};
use crate::random::execution_name;
use crate::spawner::Spawner;

/// How much of the output of a worker is kept until it is ready, to explain a failed start.
const DIAGNOSTIC_BYTES: usize = 4 * 1024;

/// How a worker ended.
#[derive(Debug, Clone)]
pub enum WorkerEnd {
    /// It ran and is gone.
    Exited(Exit),
    /// It never ran.
    NotStarted(StepFailure),
    /// The sandbox or the pool that it ran in is gone, for this reason.
    Lost(Error),
}

/// The end of a worker, which outlives the worker. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct End(Arc<SetOnce<WorkerEnd>>);

impl End {
    /// Waits until the worker has ended.
    pub async fn known(&self) -> &WorkerEnd {
        self.0.wait().await
    }

    /// Waits until the worker is lost with its sandbox or its pool. Does not return for a worker that
    /// ends in another way, which its connection tells.
    pub async fn lost(&self) {
        match self.known().await {
            WorkerEnd::Lost(_) => {}
            WorkerEnd::Exited(_) | WorkerEnd::NotStarted(_) => std::future::pending().await,
        }
    }

    fn set(&self, end: WorkerEnd) {
        // An end that is known already stays.
        let _ = self.0.set(end);
    }
}

/// A worker, as its lease owns it.
#[derive(Debug)]
pub struct Worker {
    /// Its `argv[0]`.
    pub name: ExecutionName,
    /// The connection for requests and responses.
    pub data: OwnedFd,
    /// The connection for calls to the host, if the pool has them.
    pub calls: Option<OwnedFd>,
    /// Its output.
    pub log: LogCapture,
    /// Its end.
    pub end: End,
    /// Whether it has reported that it is ready.
    pub ready: bool,
    /// When it was started.
    pub since: Instant,
    /// Whether its start was recorded.
    is_recorded: bool,
}

/// What the pool keeps of a worker until its end is reported.
#[derive(Debug)]
pub(crate) struct Record {
    spawner: Arc<Spawner>,
    end: End,
    log: LogCapture,
}

/// Starts a worker: makes its connections and sends their other ends to the spawner.
pub(crate) fn start(
    id: WorkerId,
    spawner: &Arc<Spawner>,
    options: &PoolOptions,
    diagnose: bool,
) -> io::Result<(Worker, Record)> {
    let (data, data_inside) = stream::pair()?;
    // A pipe of its own even if nothing is kept: no two workers may have an open file in common.
    let (output, output_inside) = stream::pipe()?;
    let log = LogCapture::start(output, log_limit(options, diagnose))?;
    let mut inside = vec![data_inside, output_inside];
    let mut calls = None;
    if options.host_calls {
        let (ours, theirs) = stream::pair()?;
        calls = Some(ours);
        inside.push(theirs);
    }
    headroom::check(&inside)?;
    let name = execution_name();
    let spawn = Spawn {
        worker: id,
        name,
        host_functions: calls.is_some(),
        report_start: options.readiness == Readiness::None,
    };
    spawner.send(ToSpawner::Spawn(spawn), inside);
    let end = End::default();
    let record = Record {
        spawner: Arc::clone(spawner),
        end: end.clone(),
        log: log.clone(),
    };
    let worker = Worker {
        name,
        data,
        calls,
        log,
        end,
        ready: false,
        since: Instant::now(),
        is_recorded: false,
    };
    Ok((worker, record))
}

fn log_limit(options: &PoolOptions, diagnose: bool) -> usize {
    match options.log_bytes {
        0 if diagnose => DIAGNOSTIC_BYTES,
        bytes => bytes,
    }
}

impl Worker {
    /// Returns whether it has reported by now that it is ready. Never waits.
    pub(crate) fn probe(&mut self) -> bool {
        self.ready = self.ready || matches!(try_recv(self.data.as_fd(), &mut [0]), Ok(1));
        self.ready
    }

    /// Returns since when it was being started, if it is ready and this is the first call since then.
    pub(crate) fn first_seen_ready(&mut self) -> Option<Instant> {
        let is_first = self.ready && !self.is_recorded;
        self.is_recorded |= self.ready;
        is_first.then_some(self.since)
    }
}

impl Record {
    pub(crate) fn spawner(&self) -> &Arc<Spawner> {
        &self.spawner
    }

    /// Kills the worker and everything that it started.
    pub(crate) fn kill(&self, id: WorkerId) {
        self.spawner.send(ToSpawner::Kill(id), Vec::new());
    }

    /// Publishes how the worker ended.
    pub(crate) fn report(&self, end: WorkerEnd) {
        self.end.set(end);
    }

    /// From readiness on, output is private unless it was asked for.
    pub(crate) fn stop_diagnosing(&self, options: &PoolOptions) {
        if options.log_bytes == 0 {
            self.log.stop_keeping();
        }
    }

    /// Returns the end of the worker's output.
    pub(crate) fn log_tail(&self) -> String {
        self.log.tail().text
    }
}

impl Drop for Record {
    /// A pool that is dropped takes its workers along: their leases must not wait for ever.
    fn drop(&mut self) {
        self.end.set(WorkerEnd::Lost(Error::ShutDown));
    }
}

/// Returns how long each step of a start took, in nanoseconds: clone, setup, exec.
pub(crate) fn start_steps(times: &StartTimes) -> [u32; 3] {
    [times.clone_nanos, times.setup_nanos, times.exec_nanos]
}

/// Returns the end of a worker as its spawner reports it.
pub(crate) fn exit_of(exited: &Exited) -> Exit {
    Exit {
        status: ExitStatus::from_wait_status(exited.status.0),
        usage: Usage {
            user_time: Duration::from_micros(exited.usage.user_micros),
            system_time: Duration::from_micros(exited.usage.system_micros),
            peak_memory: exited.usage.max_resident_bytes,
        },
    }
}
