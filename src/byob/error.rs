//! What can go wrong, whose fault it is and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roma_protocol::frame::FrameError;
use roma_sandbox::step::{Step, StepFailure};

use crate::advice;
use crate::exit::Exit;
use crate::grpc::GrpcCode;
use crate::token::CodeToken;

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The code that called this library: fix the call.
    Caller,
    /// The untrusted binary: tell its developer.
    Udf,
    /// One of the sandboxes or what they need of the machine: tell the operator.
    Sandbox,
    /// This process or its machine: out of descriptors, memory and the like.
    Host,
}

impl Fault {
    /// A short lower-case name, fit for a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Udf => "udf",
            Self::Sandbox => "sandbox",
            Self::Host => "host",
        }
    }
}

/// Everything that this library's calls can fail with.
///
/// ```
/// use roma_byob::{Error, Fault};
///
/// fn answer(error: &Error) -> i32 {
///     if error.retryable() {
///         // Back off and send the request again.
///     }
///     if error.fault() == Fault::Udf {
///         if let Some(log) = error.log_tail() {
///             eprintln!("the UDF said: {log}");
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

    /// The binary cannot run in this sandbox, whoever asks.
    #[error(transparent)]
    Binary(#[from] BinaryError),

    /// This service has not loaded such code, or has deleted it.
    #[error("{0} is not loaded in this service")]
    UnknownToken(CodeToken),

    /// The request is larger than the code's `max_request`.
    #[error("a request of {size} bytes is larger than the {limit} allowed")]
    RequestTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The size that is allowed.
        limit: usize,
    },

    /// As many requests wait for a worker as may.
    #[error("{limit} requests already wait for a worker of this code")]
    QueueFull {
        /// How many may wait.
        limit: u32,
    },

    /// No worker got free within the queue timeout.
    #[error("no worker was free within {waited:?}{}", because(cause))]
    NoWorker {
        /// How long the request waited.
        waited: Duration,
        /// Why workers do not start, where they do not.
        cause: Option<Box<Error>>,
    },

    /// The execution was cancelled.
    #[error("the execution was cancelled")]
    Cancelled,

    /// The code was deleted before the execution ended.
    #[error("the code was deleted before the execution ended")]
    Deleted,

    /// The service was shut down.
    #[error("the service was shut down")]
    ShutDown,

    /// The UDF did not say in time that it is ready.
    #[error("the UDF was not ready within {limit:?}{}", said(log_tail))]
    NeverReady {
        /// How long it had.
        limit: Duration,
        /// The end of what it printed.
        log_tail: String,
    },

    /// The UDF ended before it was ready.
    #[error("the UDF {exit} before it was ready{}", said(log_tail))]
    StartCrashed {
        /// How it ended.
        exit: Exit,
        /// The end of what it printed.
        log_tail: String,
    },

    /// The UDF took longer than the execution's deadline; it was ended.
    #[error("the UDF did not answer within {limit:?} and was ended")]
    Deadline {
        /// How long it had.
        limit: Duration,
    },

    /// The UDF ended without a response.
    #[error("the UDF {exit} without a response{}", said(log_tail))]
    Died {
        /// How it ended.
        exit: Exit,
        /// The end of what it printed, where logs are on.
        log_tail: String,
    },

    /// What the UDF sent is not one well-formed response.
    #[error("bad response from the UDF: {0}")]
    Response(ResponseError),

    /// A worker could not be started: the failing step and its error number.
    #[error("cannot start a worker: {0}")]
    WorkerStart(StepFailure),

    /// The code's root could not be prepared inside the sandbox.
    #[error("cannot prepare the code inside the sandbox: {}{}", .0, advice::on(.0))]
    PoolSetup(StepFailure),

    /// The outer sandbox could not be started.
    #[error("cannot start the sandbox: {}{}", .0, advice::on(.0))]
    SandboxStart(Arc<SandboxFailure>),

    /// The outer sandbox ended, and with it what ran in it. It is being restarted.
    #[error("the sandbox ended: {0}")]
    SandboxDied(Arc<SandboxFailure>),

    /// The operating system refused something to this process.
    #[error("cannot {doing}: {source}")]
    Host {
        /// What was to be done.
        doing: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

/// Why the outer sandbox could not start or did not live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}{}", exit.map(|e| format!(" (it {e})")).unwrap_or_default(), said(log_tail))]
pub struct SandboxFailure {
    /// What happened, in words.
    pub what: String,
    /// The step that failed inside, where one is known.
    pub step: Option<StepFailure>,
    /// How its process ended.
    pub exit: Option<crate::exit::ExitStatus>,
    /// The end of what it printed.
    pub log_tail: String,
}

impl SandboxFailure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            step: None,
            exit: None,
            log_tail: String::new(),
        }
    }
}

/// What is wrong with a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The UDF closed its connection without a word, and lived on.
    #[error("it is missing, although the UDF did not end")]
    Missing,
    /// The UDF closed its connection in the middle of the response.
    #[error("it is truncated")]
    Truncated,
    /// It is larger than the code's `max_response`.
    #[error("its {size} bytes are more than the {limit} allowed")]
    Oversize {
        /// The size that it announces.
        size: u64,
        /// The size that is allowed.
        limit: u64,
    },
    /// Its length is not a well-formed varint.
    #[error("its length is malformed")]
    Malformed,
    /// Bytes follow it.
    #[error("bytes follow it")]
    Trailing,
    /// It is whole, but not the message that the caller expects.
    #[error("it is not the expected message: {0}")]
    Undecodable(#[from] prost::DecodeError),
}

impl From<FrameError> for ResponseError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Oversize { bytes, limit } => Self::Oversize { size: bytes, limit },
            FrameError::MalformedLength | FrameError::OverlongLength => Self::Malformed,
            FrameError::Trailing => Self::Trailing,
            FrameError::Missing | FrameError::Truncated { .. } => Self::Truncated,
        }
    }
}

/// Why an option is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An option's text names none of its values.
    #[error("`{value}` is no {option}; use one of: {allowed}")]
    UnknownValue {
        /// The option.
        option: &'static str,
        /// The text.
        value: String,
        /// The values that there are.
        allowed: &'static str,
    },
    /// Two options contradict each other.
    #[error("{first} and {second} do not go together: {reason}")]
    Conflict {
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A library mount cannot work.
    #[error("cannot mount {}: {reason}", path.display())]
    LibraryMount {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// Two library mounts would hide each other.
    #[error("{} and {} would both be mounted at {}", first.display(), second.display(), target.display())]
    MountClash {
        /// Where both would go.
        target: PathBuf,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// An option of the service is refused.
    #[error("option `{option}`: {reason}")]
    ServiceOption {
        /// Its name.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A load option is refused.
    #[error("load option `{option}`: {reason}")]
    LoadOption {
        /// Its name.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The file with which container layers name their programs cannot be used.
    #[error("cannot use {} of the container layers: {reason}", path.display())]
    Layers {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder for the service's files cannot be used.
    #[error(
        "cannot use the run directory {}: {reason}; make it a folder of this user that can be written \
         to (in a container a tmpfs), or name another with ROMA_RUN_DIR or ServiceBuilder::run_dir",
        path.display()
    )]
    RunDirectory {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A program that the service needs is missing.
    #[error("cannot find {program}: {hint}")]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// What to do.
        hint: String,
    },
    /// A program is named and not there.
    #[error("cannot find {program}: {} is not a file", path.display())]
    NoSuchProgram {
        /// The program.
        program: &'static str,
        /// Where it was said to be.
        path: PathBuf,
    },
    /// A host function is registered twice or has no name.
    #[error("host function `{0}` has no name or is registered twice")]
    HostFunction(String),
}

/// Why a binary is refused before it ever runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is a folder, a device or the like.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file lacks the permission to execute.
    #[error("{} is not executable; try: chmod +x", .0.display())]
    NotExecutable(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It has no bytes, or more than a sandbox takes.
    #[error("a binary of {0} bytes cannot be loaded")]
    Size(u64),
    /// It is not an executable of this kind of machine, or a script whose interpreter is missing.
    #[error("{0}")]
    Unsuitable(String),
    /// It needs shared libraries that the sandbox does not have.
    #[error(
        "the binary needs {} inside the sandbox; link it statically or add library mounts that \
         hold them",
        .0.join(", ")
    )]
    MissingLibraries(Vec<String>),
}

fn said(log_tail: &str) -> String {
    match log_tail.trim_end() {
        "" => String::new(),
        text => format!("; its output ends with:\n{text}"),
    }
}

fn because(cause: &Option<Box<Error>>) -> String {
    cause.as_ref().map(|e| format!(": {e}")).unwrap_or_default()
}

impl Error {
    pub(crate) fn host(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Host {
            doing,
            source: Arc::new(source.into()),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Config(_)
            | Self::UnknownToken(_)
            | Self::RequestTooLarge { .. }
            | Self::Cancelled
            | Self::Deleted
            | Self::ShutDown => Fault::Caller,
            Self::NoWorker {
                cause: Some(cause), ..
            } => cause.fault(),
            // A full queue is a matter of sizing, which is the caller's.
            Self::QueueFull { .. } | Self::NoWorker { .. } => Fault::Caller,
            Self::Binary(_)
            | Self::NeverReady { .. }
            | Self::StartCrashed { .. }
            | Self::Deadline { .. }
            | Self::Died { .. }
            | Self::Response(_) => Fault::Udf,
            Self::WorkerStart(_)
            | Self::PoolSetup(_)
            | Self::SandboxStart(_)
            | Self::SandboxDied(_) => Fault::Sandbox,
            Self::Host { .. } => Fault::Host,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::QueueFull { .. } | Self::SandboxDied(_) | Self::Host { .. } => true,
            Self::NoWorker { cause, .. } => cause.as_ref().is_none_or(|cause| cause.retryable()),
            Self::WorkerStart(failure) | Self::PoolSetup(failure) => is_shortage(failure.errno),
            _ => false,
        }
    }

    /// The step that failed inside the sandbox.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.step_failure().map(|failure| failure.step)
    }

    /// The operating system's error number.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Host { source, .. } => source.raw_os_error(),
            _ => self.step_failure().map(|failure| failure.errno),
        }
    }

    /// How the UDF's process ended, with what it used.
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

    /// The end of what the process printed that failed, unless that is nothing.
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

    /// The code for a gRPC server to answer with.
    #[must_use]
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Binary(BinaryError::Missing(_)) | Self::UnknownToken(_) => GrpcCode::NotFound,
            Self::Config(_) | Self::Binary(_) | Self::RequestTooLarge { .. } => {
                GrpcCode::InvalidArgument
            }
            Self::QueueFull { .. } => GrpcCode::ResourceExhausted,
            Self::NoWorker { cause: None, .. } => GrpcCode::ResourceExhausted,
            Self::NoWorker { cause: Some(_), .. } => GrpcCode::Unavailable,
            Self::Cancelled => GrpcCode::Cancelled,
            Self::Deleted => GrpcCode::Aborted,
            Self::NeverReady { .. } | Self::StartCrashed { .. } => GrpcCode::FailedPrecondition,
            Self::Deadline { .. } => GrpcCode::DeadlineExceeded,
            Self::Died { .. } | Self::Response(_) | Self::Host { .. } => GrpcCode::Internal,
            Self::WorkerStart(_) | Self::PoolSetup(_) => GrpcCode::Internal,
            Self::ShutDown | Self::SandboxStart(_) | Self::SandboxDied(_) => GrpcCode::Unavailable,
        }
    }

    /// A short, stable, lower-case name of the kind of failure, fit for a metric's label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Binary(_) => "binary",
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
            Self::SandboxDied(_) => "sandbox_died",
            Self::Host { .. } => "host",
        }
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

/// Whether an error number says that something is short now and may not be later.
fn is_shortage(errno: i32) -> bool {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC};
    matches!(errno, EAGAIN | EMFILE | ENFILE | ENOMEM | ENOSPC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{ExitStatus, Usage};

    fn crash() -> Error {
        let exit = Exit {
            status: ExitStatus::Signal(11),
            usage: Usage::default(),
        };
        Error::StartCrashed {
            exit,
            log_tail: "no model\n".into(),
        }
    }

    #[test]
    fn a_missing_worker_passes_its_cause_on() {
        let error = Error::NoWorker {
            waited: Duration::ZERO,
            cause: Some(Box::new(crash())),
        };
        assert_eq!(error.fault(), Fault::Udf);
        assert!(!error.retryable());
        assert_eq!(error.log_tail(), Some("no model\n"));
        assert_eq!(error.exit().unwrap().status, ExitStatus::Signal(11));
        assert_eq!(error.grpc_code(), GrpcCode::Unavailable);
        let text = error.to_string();
        assert!(
            text.contains("SIGSEGV") && text.contains("no model"),
            "{text}"
        );
    }

    #[test]
    fn a_busy_pool_may_be_asked_again() {
        let error = Error::NoWorker {
            waited: Duration::from_secs(1),
            cause: None,
        };
        assert!(error.retryable());
        assert_eq!(error.grpc_code(), GrpcCode::ResourceExhausted);
    }

    #[test]
    fn steps_tell_their_number() {
        let error = Error::WorkerStart(StepFailure {
            step: Step::Clone,
            errno: nix::libc::EAGAIN,
        });
        assert_eq!(
            (error.step(), error.errno()),
            (Some(Step::Clone), Some(nix::libc::EAGAIN))
        );
        assert!(error.retryable());
        let error = Error::WorkerStart(StepFailure {
            step: Step::Exec,
            errno: nix::libc::EACCES,
        });
        assert!(!error.retryable());
        assert_eq!(error.fault(), Fault::Sandbox);
    }

    #[test]
    fn every_defect_of_a_response_is_its_own() {
        let of = |frame| ResponseError::from(frame);
        assert_eq!(
            of(FrameError::Truncated { missing: 1 }),
            ResponseError::Truncated
        );
        assert_eq!(of(FrameError::Trailing), ResponseError::Trailing);
        assert_eq!(of(FrameError::MalformedLength), ResponseError::Malformed);
        assert_eq!(
            of(FrameError::Oversize { bytes: 9, limit: 8 }),
            ResponseError::Oversize { size: 9, limit: 8 }
        );
    }
}
