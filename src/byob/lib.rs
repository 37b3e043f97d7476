//! Roma BYOB ("bring your own binary"): runs other people's code on private data.
//!
//! A UDF is a binary that answers one protobuf request with one protobuf response. Every request
//! gets a fresh process that has seen no other request, inside two sandboxes: gVisor around all
//! processes of the service, and in it, around each process, namespaces, a read-only root, no
//! capability, no network and a system call filter.
//!
//! ```no_run
//! use roma_byob::{ExecuteOptions, LoadOptions, Service};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), roma_byob::Error> {
//! let service = Service::builder().start().await?;
//! let code = service.load("/opt/udfs/score", LoadOptions::with_workers(8)).await?;
//!
//! let mut execution = service.execute(&code, &b"a request"[..], ExecuteOptions::default());
//! match (&mut execution).await {
//!     Ok(response) => println!("{} bytes", response.len()),
//!     Err(error) => eprintln!("{:?} is to blame: {error}", error.fault()),
//! }
//! println!("{:#?}", execution.report().await);
//! # Ok(())
//! # }
//! ```
//!
//! The parts, from the outside in: [`Service`] and [`ServiceBuilder`]; [`LoadOptions`] for code,
//! [`ExecuteOptions`] and [`Execution`] for requests; [`Error`], which tells whose fault it is;
//! and host functions ([`HostCall`]), which UDFs may call. [`Service`]
//! implements [`roma_core::Engine`]. Metrics go through the `metrics` facade, events through
//! `tracing`.

mod binary;
mod builder;
mod host_calls;
mod in_flight;
mod options;
mod policy;
mod registry;
mod request;
mod service;

pub use binary::{BinaryError, check_binary};
pub use builder::ServiceBuilder;
pub use host_calls::wire as host_call_wire;
pub use options::{Binary, Limits, LoadOptions, Logs};
pub use roma_core::{
    Canceller, CodeStatus, CodeToken, ConfigError, Counts, Error, ExecuteOptions, Execution,
    ExecutionId, Exit, ExitStatus, Failure, Fault, GrpcCode, HostCall, HostCallError,
    HostCallLimits, InForce, LogTail, Metadata, Outcome, Report, ResponseError, SandboxFailure,
    Times, Usage, metrics, shown,
};
pub use roma_pool::Readiness;
pub use roma_sandbox::limits::PoolLimits;
pub use roma_sandbox::step::{Step, StepFailure};
pub use roma_supervise::{
    LibraryMount, Mode, Platform, Renewal, RunDirChoice, SyscallFilter, UnusableFolder,
    system_libraries,
};
pub use service::Service;
