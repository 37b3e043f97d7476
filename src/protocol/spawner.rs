//! Messages on a spawner connection. Each is one packet of exactly [`MESSAGE_BYTES`].
//!
//! The conversation, seen from the host:
//!
//! 1. The host sends `Load` on the control connection with this connection's other end attached.
//! 2. The spawner sends [`FromSpawner::Ready`] once, or [`FromSpawner::SetupFailed`] and ends. `Spawn`
//!    may be sent without waiting for it.
//! 3. For each [`ToSpawner::Spawn`] the host gets exactly one of [`FromSpawner::Failed`] and
//!    [`FromSpawner::Exited`]; before `Exited` also `Started` if the message asked for it. `Exited` is
//!    sent after the whole process tree of the worker has ended.
//! 4. EOF (in either direction) means that the spawner and all its workers have ended or are about to.

use roma_sandbox::launch::StartTimes;
use roma_sandbox::name::ExecutionName;
use roma_sandbox::step::StepFailure;
use roma_sandbox::wait::{Usage, WaitStatus};

use crate::ids::WorkerId;
use crate::wire::{DecodeError, Fixed, Sink, Source, bits};

/// Size of every message on a spawner connection.
pub const MESSAGE_BYTES: usize = 96;

/// Maximum number of live workers of one spawner; a `Spawn` beyond that fails with `EAGAIN`.
pub const MAX_LIVE: usize = 4096;

/// Host to spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToSpawner {
    /// Start a worker.
    ///
    /// Descriptors attached (`SCM_RIGHTS`), in this order: the worker's end of its data connection
    /// (becomes descriptor 3; must be in blocking mode); the write end of its log, a pipe or stream
    /// (becomes 1 and 2); the worker's end of its host function connection if
    /// [`Spawn::host_functions`] (becomes 4). The host closes its copies after sending.
    Spawn(Spawn),
    /// Kill the worker and everything that it started, at once. No descriptor attached. `Exited`
    /// follows. A worker that has exited or does not exist is ignored.
    Kill(WorkerId),
    /// Answer with `Pong`. No descriptor attached.
    Ping,
}

/// What [`ToSpawner::Spawn`] carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spawn {
    /// The new worker.
    pub worker: WorkerId,
    /// Its `argv[0]`.
    pub name: ExecutionName,
    /// A host function descriptor is attached.
    pub host_functions: bool,
    /// Send `Started` when the UDF has been executed. This is one more message for each worker: ask for
    /// it only if the UDF itself does not report that it is ready.
    pub report_start: bool,
}

impl Spawn {
    /// Returns the number of descriptors attached.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        2 + usize::from(self.host_functions)
    }
}

/// Spawner to host. No descriptor is ever attached; the host must not accept any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromSpawner {
    /// The pool's root is sealed and this spawner waits for `Spawn`.
    Ready(Ready),
    /// Setting up the pool (sent on spawner connection 0) or this spawner failed. The spawner ends.
    SetupFailed(StepFailure),
    /// The worker's program has been executed. Sent only if `Spawn` asked for it.
    Started(WorkerId, StartTimes),
    /// The worker could not be started; no process of it is left.
    Failed(WorkerId, StepFailure),
    /// The worker and everything that it started have ended.
    Exited(Exited),
    /// The answer to `Ping`.
    Pong,
}

/// What is in force in a pool, and how long its preparation took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Each worker runs under a user id that no other process has.
    pub own_user_ids: bool,
    /// No two live workers share a file of a library.
    pub own_libraries: bool,
    /// Control group limits in force: memory.
    pub memory_limit: bool,
    /// Control group limits in force: number of processes.
    pub processes_limit: bool,
    /// Control group limits in force: CPU time.
    pub cpu_limit: bool,
    /// Nanoseconds from the fork of the pool to this message.
    pub setup_nanos: u64,
    /// The part of `setup_nanos` spent on receiving, checking and writing the binary.
    pub receive_nanos: u64,
}

/// The end of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// The worker.
    pub worker: WorkerId,
    /// How it ended.
    pub status: WaitStatus,
    /// What it and all the processes that it started used.
    pub usage: Usage,
    /// How long its start took.
    pub start: StartTimes,
    /// Nanoseconds from the receipt of `Spawn` to the end.
    pub life_nanos: u64,
}

const SPAWN: u8 = 1;
const KILL: u8 = 2;
const PING: u8 = 3;
const READY: u8 = 17;
const SETUP_FAILED: u8 = 18;
const STARTED: u8 = 19;
const FAILED: u8 = 20;
const EXITED: u8 = 21;
const PONG: u8 = 22;

impl ToSpawner {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> [u8; MESSAGE_BYTES] {
        let mut out = Fixed::new();
        match self {
            Self::Spawn(spawn) => {
                out.u8(SPAWN);
                out.u8(bits([spawn.host_functions, spawn.report_start]));
                out.u64(spawn.worker.0);
                out.put(&spawn.name.0);
            }
            Self::Kill(worker) => {
                out.u8(KILL);
                out.u64(worker.0);
            }
            Self::Ping => out.u8(PING),
        }
        out.bytes
    }

    /// Decodes one whole packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = open(packet)?;
        let message = match fields.u8()? {
            SPAWN => Self::Spawn(decode_spawn(&mut fields)?),
            KILL => Self::Kill(WorkerId(fields.u64()?)),
            PING => Self::Ping,
            other => return Err(DecodeError::UnknownMessage(other)),
        };
        fields.padding()?;
        Ok(message)
    }
}

impl FromSpawner {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> [u8; MESSAGE_BYTES] {
        let mut out = Fixed::new();
        match self {
            Self::Ready(ready) => {
                out.u8(READY);
                out.u8(bits([
                    ready.own_user_ids,
                    ready.own_libraries,
                    ready.memory_limit,
                    ready.processes_limit,
                    ready.cpu_limit,
                ]));
                out.u64(ready.setup_nanos);
                out.u64(ready.receive_nanos);
            }
            Self::SetupFailed(failure) => {
                out.u8(SETUP_FAILED);
                out.failure(failure);
            }
            Self::Started(worker, times) => {
                out.u8(STARTED);
                out.u64(worker.0);
                encode_times(&mut out, times);
            }
            Self::Failed(worker, failure) => {
                out.u8(FAILED);
                out.u64(worker.0);
                out.failure(failure);
            }
            Self::Exited(exited) => {
                out.u8(EXITED);
                encode_exited(&mut out, exited);
            }
            Self::Pong => out.u8(PONG),
        }
        out.bytes
    }

    /// Decodes one whole packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = open(packet)?;
        let message = match fields.u8()? {
            READY => Self::Ready(decode_ready(&mut fields)?),
            SETUP_FAILED => Self::SetupFailed(fields.failure()?),
            STARTED => Self::Started(WorkerId(fields.u64()?), decode_times(&mut fields)?),
            FAILED => Self::Failed(WorkerId(fields.u64()?), fields.failure()?),
            EXITED => Self::Exited(decode_exited(&mut fields)?),
            PONG => Self::Pong,
            other => return Err(DecodeError::UnknownMessage(other)),
        };
        fields.padding()?;
        Ok(message)
    }
}

fn open(packet: &[u8]) -> Result<Source<'_>, DecodeError> {
    match packet.len().checked_sub(MESSAGE_BYTES) {
        Some(0) => Ok(Source(packet)),
        Some(more) => Err(DecodeError::Trailing(more)),
        None => Err(DecodeError::Truncated),
    }
}

fn decode_spawn(fields: &mut Source<'_>) -> Result<Spawn, DecodeError> {
    let [host_functions, report_start] = fields.flags()?;
    Ok(Spawn {
        worker: WorkerId(fields.u64()?),
        name: ExecutionName(fields.array()?),
        host_functions,
        report_start,
    })
}

fn decode_ready(fields: &mut Source<'_>) -> Result<Ready, DecodeError> {
    let [
        own_user_ids,
        own_libraries,
        memory_limit,
        processes_limit,
        cpu_limit,
    ] = fields.flags()?;
    Ok(Ready {
        own_user_ids,
        own_libraries,
        memory_limit,
        processes_limit,
        cpu_limit,
        setup_nanos: fields.u64()?,
        receive_nanos: fields.u64()?,
    })
}

fn encode_times(out: &mut impl Sink, times: &StartTimes) {
    out.u32(times.clone_nanos);
    out.u32(times.setup_nanos);
    out.u32(times.exec_nanos);
}

fn decode_times(fields: &mut Source<'_>) -> Result<StartTimes, DecodeError> {
    Ok(StartTimes {
        clone_nanos: fields.u32()?,
        setup_nanos: fields.u32()?,
        exec_nanos: fields.u32()?,
    })
}

fn encode_exited(out: &mut impl Sink, exited: &Exited) {
    out.u64(exited.worker.0);
    out.i32(exited.status.0);
    out.u64(exited.usage.user_micros);
    out.u64(exited.usage.system_micros);
    out.u64(exited.usage.max_resident_bytes);
    encode_times(out, &exited.start);
    out.u64(exited.life_nanos);
}

fn decode_exited(fields: &mut Source<'_>) -> Result<Exited, DecodeError> {
    Ok(Exited {
        worker: WorkerId(fields.u64()?),
        status: WaitStatus(fields.i32()?),
        usage: Usage {
            user_micros: fields.u64()?,
            system_micros: fields.u64()?,
            max_resident_bytes: fields.u64()?,
        },
        start: decode_times(fields)?,
        life_nanos: fields.u64()?,
    })
}

#[cfg(test)]
#[path = "spawner_test.rs"]
mod tests;
