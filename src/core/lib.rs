//! What every engine of Roma is: the trait [`Engine`], and the types that its calls take and return.
//!
//! A server, or anything else that works with more than one kind of engine, depends on this crate
//! alone. `roma-byob` implements the trait for binaries.

pub mod deadline;
mod engine;
mod error;
mod execution;
mod exit;
mod failure;
mod future;
mod grpc;
#[cfg(feature = "tonic")]
mod grpc_status;
mod host_functions;
mod metadata;
pub mod metrics;
mod shown;
mod status;
mod token;

pub use engine::{Code, Engine};
pub use error::{ConfigError, Error, ResponseError, SandboxFailure};
pub use execution::{
    Canceller, ExecuteOptions, Execution, Finished, LogTail, Outcome, Report, Times,
};
pub use exit::{Exit, ExitStatus, Usage};
pub use failure::{Failure, Fault};
pub use future::BoxFuture;
pub use grpc::GrpcCode;
pub use host_functions::{Caller, HostCall, HostCallError, HostCallLimits, HostFunctions};
pub use metadata::Metadata;
pub use shown::shown;
pub use status::{CodeStatus, Counts, InForce};
pub use token::{CodeToken, ExecutionId, InvalidToken};
