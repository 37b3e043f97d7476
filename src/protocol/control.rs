//! Messages on the control connection, the standard input of `run_workers`. Each is one packet of at
//! most [`MAX_MESSAGE_BYTES`].
//!
//! The conversation, seen from the host:
//!
//! 1. `run_workers` sends [`FromRunWorkers::Hello`] as soon as it accepts messages.
//! 2. The host sends [`ToRunWorkers::Load`] for each pool, and the binary, followed by its digest, on
//!    the code connection that is attached. From then on it talks to the pool's spawners
//!    ([`crate::spawner`]); `run_workers` is no longer involved. To delete a pool, the host closes its
//!    spawner connections.
//! 3. For each `Load` the host gets exactly one [`FromRunWorkers::PoolEnded`] after the last process
//!    of the pool has ended, or one [`FromRunWorkers::LoadRefused`] if the pool was not created.
//! 4. After a message that cannot be decoded, `run_workers` sends [`FromRunWorkers::Broken`], kills
//!    every pool and exits with a failure.
//! 5. The host closes the connection: `run_workers` kills every pool and exits with code 0.

use roma_sandbox::limits::{PoolLimits, WorkerLimits};
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::StepFailure;
use roma_sandbox::wait::WaitStatus;

use crate::ids::PoolId;
use crate::spawner::MAX_LIVE;
use crate::wire::{DecodeError, PROTOCOL_VERSION, Sink, Source, bits};

/// Maximum size of a message in either direction.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Maximum number of spawners of one pool.
pub const MAX_SPAWNERS: usize = 64;
/// Maximum number of library mounts, of environment entries and of further arguments of one pool.
pub const MAX_LIST: usize = 64;
/// Maximum length of a path, environment entry or argument.
pub const MAX_STRING_BYTES: usize = 4096;
/// Maximum size of a binary.
pub const MAX_BINARY_BYTES: u64 = 2 << 30;
/// Length of a binary's digest, which is BLAKE3.
pub const DIGEST_BYTES: usize = 32;

/// Host to `run_workers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToRunWorkers {
    /// Prepare a pool: a root that holds the binary, and `spawners` processes that start workers.
    ///
    /// Descriptors attached (`SCM_RIGHTS`): first one end of the code connection (a `SOCK_STREAM`),
    /// then `spawners` ends of spawner connections (`SOCK_SEQPACKET`), all in blocking mode. The host
    /// closes its copies after sending, writes exactly `binary_bytes` bytes of binary and then its
    /// digest ([`DIGEST_BYTES`] of BLAKE3) to the code connection, and closes it. The pool compares
    /// the digest with its own ([`Step::CheckDigest`](roma_sandbox::step::Step::CheckDigest)).
    Load(Box<Load>),
    /// Kill a pool that does not end by itself. A pool that has ended or does not exist is ignored.
    Kill(PoolId),
    /// Answer with `Pong`.
    Ping,
}

/// What [`ToRunWorkers::Load`] carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The new pool.
    pub pool: PoolId,
    /// Number of spawners; 1 to [`MAX_SPAWNERS`].
    pub spawners: u16,
    /// Most roots for the workers of one spawner; 1 to [`MAX_LIVE`]. No two live workers share a root,
    /// unless a spawner has more workers than this.
    pub roots: u32,
    /// Length of the binary without its digest; 1 to [`MAX_BINARY_BYTES`]. The digest follows the
    /// binary on the code connection, so that both ends can compute it while the binary is under way.
    pub binary_bytes: u64,
    /// Which system calls workers may use.
    pub filter: FilterLevel,
    /// Give each worker its own IPC namespace (the default). Otherwise the pool's workers share one
    /// and only a filter denies its use: refused together with [`FilterLevel::None`].
    pub private_ipc: bool,
    /// Mount `/proc` of the worker's own PID namespace, read-only.
    pub proc: bool,
    /// Mount a private `/tmp` of at most this many bytes.
    pub tmp_bytes: Option<u64>,
    /// Limits of each worker.
    pub worker_limits: WorkerLimits,
    /// Limits of the pool.
    pub pool_limits: PoolLimits,
    /// Folders or files of the outer sandbox that are mounted read-only for workers.
    pub libraries: Vec<LibraryMount>,
    /// The workers' environment, `NAME=value` each.
    pub environment: Vec<Vec<u8>>,
    /// The workers' arguments from `argv[2]` on.
    pub arguments: Vec<Vec<u8>>,
}

/// A folder or file that is mounted read-only for workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryMount {
    /// Its path as `run_workers` sees it; absolute.
    pub source: Vec<u8>,
    /// Its path as workers see it; absolute, not `/`, and neither `/udf`, `/tmp` or `/proc` nor below
    /// one of them.
    pub target: Vec<u8>,
}

/// `run_workers` to host. No descriptor is ever attached; the host must not accept any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromRunWorkers {
    /// Sent once, first. Decoding fails with [`DecodeError::Version`] if the peer speaks another
    /// version.
    Hello(Hello),
    /// The pool was not created: its descriptors were refused, or the fork failed.
    LoadRefused(PoolId, StepFailure),
    /// The pool has ended, with every process in it. The status is that of its first process.
    PoolEnded(PoolId, WaitStatus),
    /// `run_workers` exits: it could not set itself up, or a message was malformed.
    Broken(StepFailure),
    /// The answer to `Ping`.
    Pong,
}

/// How `run_workers` was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// It runs without privileges and gained its own in a user namespace.
    pub rootless: bool,
    /// It isolated itself, because there is no outer sandbox.
    pub isolated: bool,
    /// Nanoseconds from its start to this message.
    pub start_nanos: u64,
}

const LOAD: u8 = 1;
const KILL: u8 = 2;
const PING: u8 = 3;
const HELLO: u8 = 17;
const LOAD_REFUSED: u8 = 18;
const POOL_ENDED: u8 = 19;
const BROKEN: u8 = 20;
const PONG: u8 = 21;

impl ToRunWorkers {
    /// Encodes the message. [`Self::decode`] checks whether it is valid.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        match self {
            Self::Load(load) => {
                out.u8(LOAD);
                encode_load(&mut out, load);
            }
            Self::Kill(pool) => {
                out.u8(KILL);
                out.u64(pool.0);
            }
            Self::Ping => out.u8(PING),
        }
        out
    }

    /// Decodes and checks one whole packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Source(packet);
        let message = match fields.u8()? {
            LOAD => Self::Load(Box::new(decode_load(&mut fields)?)),
            KILL => Self::Kill(PoolId(fields.u64()?)),
            PING => Self::Ping,
            other => return Err(DecodeError::UnknownMessage(other)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl FromRunWorkers {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match self {
            Self::Hello(hello) => {
                out.u8(HELLO);
                out.u16(PROTOCOL_VERSION);
                out.u8(bits([hello.rootless, hello.isolated]));
                out.u64(hello.start_nanos);
            }
            Self::LoadRefused(pool, failure) => {
                out.u8(LOAD_REFUSED);
                out.u64(pool.0);
                out.failure(failure);
            }
            Self::PoolEnded(pool, status) => {
                out.u8(POOL_ENDED);
                out.u64(pool.0);
                out.i32(status.0);
            }
            Self::Broken(failure) => {
                out.u8(BROKEN);
                out.failure(failure);
            }
            Self::Pong => out.u8(PONG),
        }
        out
    }

    /// Decodes one whole packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Source(packet);
        let message = match fields.u8()? {
            HELLO => Self::Hello(decode_hello(&mut fields)?),
            LOAD_REFUSED => Self::LoadRefused(PoolId(fields.u64()?), fields.failure()?),
            POOL_ENDED => Self::PoolEnded(PoolId(fields.u64()?), WaitStatus(fields.i32()?)),
            BROKEN => Self::Broken(fields.failure()?),
            PONG => Self::Pong,
            other => return Err(DecodeError::UnknownMessage(other)),
        };
        fields.end()?;
        Ok(message)
    }
}

fn filter_code(level: FilterLevel) -> u8 {
    match level {
        FilterLevel::None => 0,
        FilterLevel::Engine => 1,
        FilterLevel::Strict => 2,
    }
}

fn filter_from_code(code: u8) -> Result<FilterLevel, DecodeError> {
    match code {
        0 => Ok(FilterLevel::None),
        1 => Ok(FilterLevel::Engine),
        2 => Ok(FilterLevel::Strict),
        other => Err(DecodeError::UnknownFilter(other)),
    }
}

fn decode_hello(fields: &mut Source<'_>) -> Result<Hello, DecodeError> {
    match fields.u16()? {
        PROTOCOL_VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    let [rootless, isolated] = fields.flags()?;
    Ok(Hello {
        rootless,
        isolated,
        start_nanos: fields.u64()?,
    })
}

fn encode_load(out: &mut Vec<u8>, load: &Load) {
    out.u16(PROTOCOL_VERSION);
    out.u64(load.pool.0);
    out.u16(load.spawners);
    out.u32(load.roots);
    out.u64(load.binary_bytes);
    out.u8(filter_code(load.filter));
    out.u8(bits([load.private_ipc, load.proc]));
    out.optional(load.tmp_bytes);
    encode_worker_limits(out, &load.worker_limits);
    encode_pool_limits(out, &load.pool_limits);
    out.u16(length(load.libraries.len()));
    for mount in &load.libraries {
        encode_string(out, &mount.source);
        encode_string(out, &mount.target);
    }
    encode_strings(out, &load.environment);
    encode_strings(out, &load.arguments);
}

fn decode_load(fields: &mut Source<'_>) -> Result<Load, DecodeError> {
    match fields.u16()? {
        PROTOCOL_VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    let pool = PoolId(fields.u64()?);
    let spawners = in_range(fields.u16()?.into(), 1, MAX_SPAWNERS as u64)? as u16;
    let roots = in_range(fields.u32()?.into(), 1, MAX_LIVE as u64)? as u32;
    let binary_bytes = in_range(fields.u64()?, 1, MAX_BINARY_BYTES)?;
    let filter = filter_from_code(fields.u8()?)?;
    let [private_ipc, proc] = fields.flags()?;
    let load = Load {
        pool,
        spawners,
        roots,
        binary_bytes,
        filter,
        private_ipc,
        proc,
        tmp_bytes: fields.optional()?,
        worker_limits: decode_worker_limits(fields)?,
        pool_limits: decode_pool_limits(fields)?,
        libraries: decode_libraries(fields)?,
        environment: decode_strings(fields)?,
        arguments: decode_strings(fields)?,
    };
    if load.filter == FilterLevel::None && !load.private_ipc {
        return Err(DecodeError::SharedIpcUnfiltered);
    }
    if !load
        .environment
        .iter()
        .all(|entry| is_environment_entry(entry))
    {
        return Err(DecodeError::Environment);
    }
    Ok(load)
}

fn encode_worker_limits(out: &mut Vec<u8>, limits: &WorkerLimits) {
    out.optional(limits.cpu_seconds);
    out.optional(limits.address_space);
    out.optional(limits.data);
    out.optional(limits.stack);
    out.optional(limits.open_files);
    out.optional(limits.file_size);
    out.optional(limits.processes);
}

fn decode_worker_limits(fields: &mut Source<'_>) -> Result<WorkerLimits, DecodeError> {
    Ok(WorkerLimits {
        cpu_seconds: fields.optional()?,
        address_space: fields.optional()?,
        data: fields.optional()?,
        stack: fields.optional()?,
        open_files: fields.optional()?,
        file_size: fields.optional()?,
        processes: fields.optional()?,
    })
}

fn encode_pool_limits(out: &mut Vec<u8>, limits: &PoolLimits) {
    out.optional(limits.memory);
    out.optional(limits.processes);
    out.optional(limits.cpu_millis);
}

fn decode_pool_limits(fields: &mut Source<'_>) -> Result<PoolLimits, DecodeError> {
    Ok(PoolLimits {
        memory: fields.optional()?,
        processes: fields.optional()?,
        cpu_millis: fields.optional()?,
    })
}

fn decode_libraries(fields: &mut Source<'_>) -> Result<Vec<LibraryMount>, DecodeError> {
    let mut mounts = Vec::new();
    for _ in 0..list_length(fields)? {
        let source = decode_path(fields)?;
        let target = decode_path(fields)?;
        let reserved: [&[u8]; 3] = [b"/udf", b"/tmp", b"/proc"];
        if target == b"/" || reserved.iter().any(|path| is_within(&target, path)) {
            return Err(DecodeError::Path);
        }
        mounts.push(LibraryMount { source, target });
    }
    Ok(mounts)
}

fn is_within(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn decode_path(fields: &mut Source<'_>) -> Result<Vec<u8>, DecodeError> {
    let path = decode_string(fields)?;
    let parts = path.strip_prefix(b"/").ok_or(DecodeError::Path)?;
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    if path == b"/" || parts.split(|byte| *byte == b'/').all(plain) {
        Ok(path)
    } else {
        Err(DecodeError::Path)
    }
}

fn is_environment_entry(entry: &[u8]) -> bool {
    entry
        .iter()
        .position(|byte| *byte == b'=')
        .is_some_and(|at| at > 0)
}

fn encode_strings(out: &mut Vec<u8>, strings: &[Vec<u8>]) {
    out.u16(length(strings.len()));
    for string in strings {
        encode_string(out, string);
    }
}

fn decode_strings(fields: &mut Source<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    (0..list_length(fields)?)
        .map(|_| decode_string(fields))
        .collect()
}

fn encode_string(out: &mut Vec<u8>, string: &[u8]) {
    out.u16(length(string.len()));
    out.put(&string[..string.len().min(usize::from(u16::MAX))]);
}

fn decode_string(fields: &mut Source<'_>) -> Result<Vec<u8>, DecodeError> {
    let count = usize::from(fields.u16()?);
    if count > MAX_STRING_BYTES {
        return Err(DecodeError::TooLong(count));
    }
    let string = fields.bytes(count)?;
    if string.contains(&0) {
        Err(DecodeError::Nul)
    } else {
        Ok(string.to_vec())
    }
}

fn list_length(fields: &mut Source<'_>) -> Result<usize, DecodeError> {
    let count = usize::from(fields.u16()?);
    if count > MAX_LIST {
        Err(DecodeError::TooLong(count))
    } else {
        Ok(count)
    }
}

// A length beyond u16 exceeds every maximum, and still does after it is capped.
fn length(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn in_range(value: u64, least: u64, most: u64) -> Result<u64, DecodeError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(DecodeError::OutOfRange(value))
    }
}

#[cfg(test)]
#[path = "control_test.rs"]
mod tests;
