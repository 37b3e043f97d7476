//! Roma BYOB ("bring your own binary"): runs other people's code on private data.
//!
//! A UDF is a binary that answers one protobuf request with one protobuf response. Every request
//! gets a fresh process that has seen no other request, inside two sandboxes: gVisor around
//! all of the service's processes, and in it, for each process, namespaces, a read-only root, no capability, no
//! network and a system call filter.
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
//! [`ExecuteOptions`] and [`Execution`] for requests; [`Error`], which tells whose fault it is; and
//! host functions ([`HostCall`]) for what UDFs may ask of the integrator. Metrics go through the
//! `metrics` facade, events through `tracing`.

mod advice;
mod attempt;
mod banner;
mod book;
mod builder;
mod config;
mod engine;
mod error;
mod exchange;
mod execution;
mod exit;
mod grpc;
mod handover;
mod health;
mod host_calls;
mod host_functions;
mod image;
mod installed;
mod instance;
mod lease;
mod limit;
mod load;
mod log_capture;
pub mod metrics;
mod outbox;
mod outer;
#[doc(hidden)]
pub mod parsers;
mod place;
mod platform;
mod pool;
mod programs;
mod random;
mod reactor;
mod run;
mod sandbox;
mod seqpacket;
mod service;
mod spawner;
mod sync;
mod token;
mod traffic;
mod watchdog;
mod worker;

pub use book::Counts;
pub use builder::ServiceBuilder;
pub use config::{LibraryMount, Mode, Platform, SyscallFilter, system_libraries};
pub use error::{BinaryError, ConfigError, Error, Fault, ResponseError, SandboxFailure};
pub use execution::{Canceller, ExecuteOptions, Execution, Outcome, Report, Times};
pub use exit::{Exit, ExitStatus, Usage};
pub use grpc::GrpcCode;
pub use host_functions::{HostCall, HostCallError, HostCallLimits, Metadata};
pub use load::{Binary, InForce, Limits, LoadOptions, Logs, PoolLimits, Readiness};
pub use log_capture::LogTail;
pub use roma_sandbox::step::{Step, StepFailure};
pub use service::{CodeStatus, Service};
pub use token::{CodeToken, ExecutionId};
