//! The engine for JavaScript and WebAssembly.
//!
//! A service keeps a few sandboxed processes with V8, and gives each request a context of its own in one of them.
//! [`ServiceBuilder`] starts a [`Service`]; [`Service::load`] takes a [`CodeObject`], and [`Service::execute`] an
//! [`Invocation`] of one of its handlers. Scripts call the host functions of the builder by their names.
//!
//! ```no_run
//! use roma_v8::{CodeObject, ExecuteOptions, Invocation, Service};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), roma_v8::Error> {
//! let service = Service::builder().workers(2).start().await?;
//! let code = "function Handler(input) { return 'Hello world! ' + JSON.stringify(input) }";
//! service.load(CodeObject::script("v1", code)).await?;
//! let greeting = Invocation::new("v1", "Handler").input(r#""Foobar""#);
//! let answer = service.execute(greeting, ExecuteOptions::default()).await?;
//! assert_eq!(answer.as_ref(), br#""Hello world! \"Foobar\"""#);
//! service.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod catalog;
mod code;
mod conversation;
mod failure;
mod frames;
mod host;
mod invocation;
mod service;

pub use builder::ServiceBuilder;
pub use code::CodeObject;
pub use failure::{Cause, ScriptError};
pub use host::{HostValue, Line, ScriptCall, Severity};
pub use invocation::Invocation;
pub use roma_core::{
    ConfigError, Error, ExecuteOptions, Execution, Failure, Fault, GrpcCode, HostCallError,
    HostCallLimits, Metadata, Outcome, Report,
};
pub use roma_supervise::{Mode, Platform};
pub use service::{Limits, Service};

/// The examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/v8/index.md")]
struct Examples;
