//! One worker: a process that waits for a request, has one, or has had one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use roma_protocol::WorkerId;
use roma_protocol::spawner::{Exited, Spawn, ToSpawner};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::name::ExecutionName;
use roma_sandbox::step::StepFailure;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::exit::{Exit, ExitStatus, Usage};
use crate::load::{LoadOptions, Logs, Readiness};
use crate::log_capture::{LogCapture, log_pipe};
use crate::random::execution_name;
use crate::seqpacket::{recv_from, stream_pair};
use crate::spawner::Spawner;

/// How much of what a worker prints before it is ready is kept for errors.
const DIAGNOSTIC_BYTES: usize = 4 * 1024;

/// How a worker ended.
#[derive(Debug, Clone)]
pub(crate) enum WorkerEnd {
    /// It ran and is gone.
    Exited(Exit),
    /// It never ran.
    NotStarted(StepFailure),
    /// What it ran in is gone, for this reason.
    Lost(Error),
}

/// What whoever takes a worker gets.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its `argv[0]`.
    pub(crate) name: ExecutionName,
    /// The connection for its request and response.
    pub(crate) data: OwnedFd,
    /// The connection for its calls of host functions.
    pub(crate) calls: Option<OwnedFd>,
    pub(crate) log: LogCapture,
    pub(crate) end: oneshot::Receiver<WorkerEnd>,
    /// It has said that it is ready.
    pub(crate) ready: bool,
    pub(crate) since: Instant,
}

/// What is kept of a worker until its end is reported.
#[derive(Debug)]
pub(crate) struct Life {
    spawner: Arc<Spawner>,
    end: oneshot::Sender<WorkerEnd>,
    log: LogCapture,
}

/// Starts a worker: its connections are made here and their other ends sent inwards.
pub(crate) fn start(
    id: WorkerId,
    spawner: &Arc<Spawner>,
    options: &LoadOptions,
    diagnose: bool,
) -> std::io::Result<(Worker, Life)> {
    let (data, data_inside) = stream_pair()?;
    // A pipe of its own even where nothing is kept: no two workers may have an open file in common.
    let (ours, log_inside) = log_pipe()?;
    let log = LogCapture::start(ours, log_limit(options, diagnose))?;
    let mut inside = vec![data_inside, log_inside];
    let mut calls = None;
    if options.host_functions {
        let (ours, theirs) = stream_pair()?;
        calls = Some(ours);
        inside.push(theirs);
    }
    let name = execution_name();
    let (ended, end) = oneshot::channel();
    let spawn = Spawn {
        worker: id,
        name,
        host_functions: calls.is_some(),
        report_start: options.readiness == Readiness::None,
    };
    spawner.send(ToSpawner::Spawn(spawn), inside);
    let since = Instant::now();
    let life = Life {
        spawner: Arc::clone(spawner),
        end: ended,
        log: log.clone(),
    };
    Ok((
        Worker {
            name,
            data,
            calls,
            log,
            end,
            ready: false,
            since,
        },
        life,
    ))
}

/// How much is kept of what a worker prints.
fn log_limit(options: &LoadOptions, diagnose: bool) -> usize {
    match options.logs {
        Logs::Tail { max_bytes } => max_bytes,
        Logs::Off if diagnose => DIAGNOSTIC_BYTES,
        Logs::Off => 0,
    }
}

impl Worker {
    /// Whether it has said by now that it is ready. Never waits.
    pub(crate) fn probe(&mut self) -> bool {
        self.ready = self.ready || matches!(recv_from(self.data.as_fd(), &mut [0]), Ok(1));
        self.ready
    }
}

impl Life {
    /// Who started it.
    pub(crate) fn spawner(&self) -> &Arc<Spawner> {
        &self.spawner
    }

    /// Ends the worker and all that it started.
    pub(crate) fn kill(&self, id: WorkerId) {
        self.spawner.send(ToSpawner::Kill(id), Vec::new());
    }

    /// Tells whoever took the worker how it ended.
    pub(crate) fn report(self, end: WorkerEnd) {
        let _ = self.end.send(end);
    }

    /// From readiness on, output is private unless it was asked for.
    pub(crate) fn stop_diagnosing(&self, logs: Logs) {
        if logs == Logs::Off {
            self.log.stop_keeping();
        }
    }

    /// The end of what the worker printed.
    pub(crate) fn log_tail(&self) -> String {
        self.log.tail().text
    }
}

/// How long the steps of a start took, for metrics.
pub(crate) fn start_steps(times: &StartTimes) -> [(&'static str, u32); 3] {
    [
        ("clone", times.clone_nanos),
        ("setup", times.setup_nanos),
        ("exec", times.exec_nanos),
    ]
}

/// The end of a worker as its spawner reports it.
pub(crate) fn exit_of(exited: &Exited) -> Exit {
    use std::time::Duration;
    Exit {
        status: ExitStatus::from_wait_status(exited.status.0),
        usage: Usage {
            user_time: Duration::from_micros(exited.usage.user_micros),
            system_time: Duration::from_micros(exited.usage.system_micros),
            peak_memory: exited.usage.max_resident_bytes,
        },
    }
}
