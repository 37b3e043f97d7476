//! What can go wrong, whose fault it is and what to do about it.

mod advice;
mod config;
mod response;
mod sandbox;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use roma_sandbox::step::{Step, StepFailure};

use crate::exit::Exit;
use crate::failure::{Failure, Fault};
use crate::grpc::GrpcCode;
use crate::shown::shown;
use crate::token::{CodeToken, InvalidToken};

pub use config::ConfigError;
pub use response::ResponseError;
pub use sandbox::SandboxFailure;

/// Everything that the calls of an engine can fail with.
///
/// The text of an error may contain what a UDF printed, made fit to be [`shown`]. The fields and
/// [`Error::log_tail`] have it as the UDF printed it.
///
/// ```
/// use roma_core::{Error, Fault, shown};
///
/// fn answer(error: &Error) -> i32 {
///     if error.retryable() {
///         // Back off and send the request again.
///     }
///     if error.fault() == Fault::Udf {
///         if let Some(log) = error.log_tail() {
///             eprintln!("the UDF printed: {}", shown(log));
///         }
///     }
///     error.grpc_code() as i32
/// }
/// # assert_eq!(answer(&Error::Cancelled), 1);
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option, or a combination of options, is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// A failure that only one kind of engine has, such as a binary for another machine.
    /// [`Error::engine_failure`] returns it by its type.
    #[error("{}", shown(&.0.to_string()))]
    Engine(Arc<dyn Failure>),

    /// This service has not loaded such code, or has deleted it.
    #[error("{0} is not loaded in this service")]
    UnknownToken(CodeToken),

    /// The request is larger than the code accepts.
    #[error("the request has {size} bytes, more than the {limit} allowed")]
    RequestTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The size that is allowed.
        limit: usize,
    },

    /// The queue of requests that wait for a worker is full.
    #[error("{limit} requests already wait for a worker of this code")]
    QueueFull {
        /// How many may wait.
        limit: u32,
    },

    /// No worker became free within the queue timeout.
    #[error("no worker was free within {waited:?}{}", because(cause))]
    NoWorker {
        /// How long the request waited.
        waited: Duration,
        /// Why workers do not start, if they do not.
        cause: Option<Box<Error>>,
    },

    /// The execution was cancelled.
    #[error("the execution was cancelled")]
    Cancelled,

    /// The code was deleted before the execution ended.
    #[error("the code was deleted before the execution ended")]
    Deleted,

    /// The service was shut down. Another replica can serve the request.
    #[error("the service was shut down")]
    ShutDown,

    /// The UDF did not report in time that it is ready.
    #[error("the UDF was not ready within {limit:?}{}", output_ends_with(log_tail))]
    NeverReady {
        /// How long it had.
        limit: Duration,
        /// The end of its output, as it printed it.
        log_tail: String,
    },

    /// The UDF ended before it was ready.
    #[error("the UDF {exit} before it was ready{}", output_ends_with(log_tail))]
    StartCrashed {
        /// How it ended.
        exit: Exit,
        /// The end of its output, as it printed it.
        log_tail: String,
    },

    /// The UDF took longer than the deadline of the execution; it was ended. With a limit of zero, which
    /// is the caller's fault, no UDF was asked.
    #[error("{}", missed(*limit))]
    Deadline {
        /// How long it had.
        limit: Duration,
    },

    /// The UDF ended without a response.
    #[error("the UDF {exit} without a response{}", output_ends_with(log_tail))]
    Died {
        /// How it ended.
        exit: Exit,
        /// The end of its output, if logs are on.
        log_tail: String,
    },

    /// The UDF sent something other than one well-formed response.
    #[error("bad response from the UDF: {0}")]
    Response(ResponseError),

    /// A worker could not be started: the failing step and its error number. If the kernel does not take
    /// the binary for a program, that is the UDF's fault.
    #[error("cannot start a worker: {}{}", .0, if_no_program(*.0))]
    WorkerStart(StepFailure),

    /// The code could not be prepared inside the sandbox.
    #[error("cannot prepare the code inside the sandbox: {0}")]
    PoolSetup(StepFailure),

    /// The outer sandbox could not be started. [`Error::advice`] may know a remedy.
    #[error("cannot start the sandbox: {0}")]
    SandboxStart(Arc<SandboxFailure>),

    /// The outer sandbox ended, and with it everything that ran in it. It is being restarted.
    #[error("the sandbox ended: {0}")]
    SandboxDied(Arc<SandboxFailure>),

    /// The operating system refused something to this process.
    #[error("cannot {doing}: {cause}")]
    Host {
        /// What was to be done.
        doing: &'static str,
        /// The system's error.
        cause: Arc<io::Error>,
    },

    /// A defect of Roma. Please report it.
    #[error("internal error, please report it: {0}")]
    Internal(&'static str),
}

impl From<InvalidToken> for Error {
    fn from(error: InvalidToken) -> Self {
        Self::Config(error.into())
    }
}

/// A suffix for messages, if there was any output.
fn output_ends_with(log_tail: &str) -> String {
    match log_tail.trim_end() {
        "" => String::new(),
        text => format!("; its output ends with:\n{}", shown(text)),
    }
}

/// A suffix for messages, if the kernel refused the binary itself.
fn if_no_program(failure: StepFailure) -> &'static str {
    match is_no_program(failure) {
        true => "; the binary is damaged, or not a program for this system",
        false => "",
    }
}

fn missed(limit: Duration) -> String {
    match limit.is_zero() {
        true => "the deadline left no time: no UDF was asked".to_owned(),
        false => format!("the UDF did not answer within {limit:?} and was ended"),
    }
}

fn because(cause: &Option<Box<Error>>) -> String {
    cause.as_ref().map(|e| format!(": {e}")).unwrap_or_default()
}

impl Error {
    /// Returns an error for what the operating system refused to this process.
    pub fn host(doing: &'static str, cause: impl Into<io::Error>) -> Self {
        Self::Host {
            doing,
            cause: Arc::new(cause.into()),
        }
    }

    /// Returns whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Config(_)
            | Self::UnknownToken(_)
            | Self::RequestTooLarge { .. }
            | Self::Cancelled
            | Self::Deleted
            | Self::ShutDown => Fault::Caller,
            Self::Engine(failure) => failure.fault(),
            Self::NoWorker {
                cause: Some(cause), ..
            } => cause.fault(),
            Self::Deadline { limit } if limit.is_zero() => Fault::Caller,
            // A full queue is a matter of sizing, which is the caller's.
            Self::QueueFull { .. } | Self::NoWorker { .. } => Fault::Caller,
            Self::NeverReady { .. }
            | Self::StartCrashed { .. }
            | Self::Deadline { .. }
            | Self::Died { .. }
            | Self::Response(_) => Fault::Udf,
            Self::SandboxDied(failure) if failure.out_of_memory => Fault::Udf,
            Self::WorkerStart(failure) if is_no_program(*failure) => Fault::Udf,
            Self::WorkerStart(_)
            | Self::PoolSetup(_)
            | Self::SandboxStart(_)
            | Self::SandboxDied(_) => Fault::Sandbox,
            Self::Host { .. } | Self::Internal(_) => Fault::Host,
        }
    }

    /// Returns whether the same call may succeed later, or at another replica, without any change.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            // One of the requests took the memory, and would do so again.
            Self::SandboxDied(failure) => !failure.out_of_memory,
            Self::QueueFull { .. } | Self::ShutDown | Self::Host { .. } => true,
            Self::Engine(failure) => failure.retryable(),
            Self::NoWorker { cause, .. } => cause.as_ref().is_none_or(|cause| cause.retryable()),
            Self::WorkerStart(failure) | Self::PoolSetup(failure) => is_shortage(failure.errno),
            _ => false,
        }
    }

    /// Returns the code for a gRPC server to answer with.
    #[must_use]
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Engine(failure) => failure.grpc_code(),
            Self::UnknownToken(_) => GrpcCode::NotFound,
            Self::Config(_) | Self::RequestTooLarge { .. } => GrpcCode::InvalidArgument,
            Self::QueueFull { .. } => GrpcCode::ResourceExhausted,
            Self::NoWorker { cause: None, .. } => GrpcCode::ResourceExhausted,
            Self::NoWorker { cause: Some(_), .. } => GrpcCode::Unavailable,
            Self::Cancelled => GrpcCode::Cancelled,
            Self::Deleted => GrpcCode::Aborted,
            Self::NeverReady { .. } | Self::StartCrashed { .. } => GrpcCode::FailedPrecondition,
            Self::WorkerStart(failure) if is_no_program(*failure) => GrpcCode::FailedPrecondition,
            Self::Deadline { .. } => GrpcCode::DeadlineExceeded,
            Self::Died { .. } | Self::Response(_) => GrpcCode::Internal,
            Self::Host { .. } | Self::Internal(_) => GrpcCode::Internal,
            Self::WorkerStart(_) | Self::PoolSetup(_) => GrpcCode::Internal,
            Self::SandboxDied(failure) if failure.out_of_memory => GrpcCode::ResourceExhausted,
            Self::ShutDown | Self::SandboxStart(_) | Self::SandboxDied(_) => GrpcCode::Unavailable,
        }
    }

    /// Returns a short, stable, lower-case name of the kind of failure, fit for a metric's label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Engine(failure) => failure.name(),
            Self::UnknownToken(_) => "unknown_token",
            Self::RequestTooLarge { .. } => "request_too_large",
            Self::QueueFull { .. } => "queue_full",
            Self::NoWorker { .. } => "no_worker",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
            Self::ShutDown => "shut_down",
            Self::NeverReady { .. } => "never_ready",
            Self::StartCrashed { .. } => "start_crashed",
            Self::Deadline { .. } => "deadline",
            Self::Died { .. } => "died",
            Self::Response(_) => "response",
            Self::WorkerStart(_) => "worker_start",
            Self::PoolSetup(_) => "pool_setup",
            Self::SandboxStart(_) => "sandbox_start",
            Self::SandboxDied(failure) if failure.out_of_memory => "out_of_memory",
            Self::SandboxDied(_) => "sandbox_died",
            Self::Host { .. } => "host",
            Self::Internal(_) => "internal",
        }
    }

    /// Returns the failure of a particular engine, if this is one of type `T`.
    #[must_use]
    pub fn engine_failure<T: Failure>(&self) -> Option<&T> {
        match self {
            Self::Engine(failure) => {
                let failure: &(dyn std::error::Error + 'static) = failure.as_ref();
                failure.downcast_ref()
            }
            _ => None,
        }
    }

    /// Returns what would fix a sandbox that does not start, if the cause is known.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::PoolSetup(step) => advice::on_step(*step),
            Self::SandboxStart(failure) => advice::on_start(failure),
            _ => None,
        }
    }

    /// Returns the step that failed inside the sandbox.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.step_failure().map(|failure| failure.step)
    }

    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Host { cause, .. } => cause.raw_os_error(),
            _ => self.step_failure().map(|failure| failure.errno),
        }
    }

    /// Returns how the process of the UDF ended, and what it used.
    #[must_use]
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            Self::StartCrashed { exit, .. } | Self::Died { exit, .. } => Some(exit),
            Self::NoWorker {
                cause: Some(cause), ..
            } => cause.exit(),
            _ => None,
        }
    }

    /// Returns the end of the output of the process that failed, if there is any, as the process printed
    /// it: escape it with [`shown`] before a person sees it.
    #[must_use]
    pub fn log_tail(&self) -> Option<&str> {
        let tail = match self {
            Self::NeverReady { log_tail, .. }
            | Self::StartCrashed { log_tail, .. }
            | Self::Died { log_tail, .. } => log_tail,
            Self::SandboxStart(failure) | Self::SandboxDied(failure) => &failure.log_tail,
            Self::NoWorker {
                cause: Some(cause), ..
            } => return cause.log_tail(),
            _ => return None,
        };
        (!tail.is_empty()).then_some(tail)
    }

    fn step_failure(&self) -> Option<StepFailure> {
        match self {
            Self::WorkerStart(failure) | Self::PoolSetup(failure) => Some(*failure),
            Self::SandboxStart(failure) | Self::SandboxDied(failure) => failure.step,
            Self::NoWorker {
                cause: Some(cause), ..
            } => cause.step_failure(),
            _ => None,
        }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }

    fn retryable(&self) -> bool {
        self.retryable()
    }

    fn grpc_code(&self) -> GrpcCode {
        self.grpc_code()
    }

    fn name(&self) -> &'static str {
        self.name()
    }
}

/// Returns whether a kernel read the binary and does not execute it for what is in it. gVisor tells that
/// by an error where Linux often kills the process.
fn is_no_program(failure: StepFailure) -> bool {
    use nix::libc::{EINVAL, ELIBBAD, ELOOP, ENOEXEC};
    failure.step == Step::Exec && matches!(failure.errno, ENOEXEC | EINVAL | ELIBBAD | ELOOP)
}

/// Returns whether an error number says that something is short now and may not be later.
fn is_shortage(errno: i32) -> bool {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC};
    matches!(errno, EAGAIN | EMFILE | ENFILE | ENOMEM | ENOSPC)
}

#[cfg(test)]
#[path = "error_test.rs"]
mod tests;
