//! What every failure can tell: whose fault it is, whether to retry, how to report it.

use std::error::Error;

use crate::grpc::GrpcCode;

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

/// What every failure of an engine can tell. A server needs no more to answer for it.
pub trait Failure: Error + Send + Sync + 'static {
    /// Returns whose fault it is.
    fn fault(&self) -> Fault;

    /// Returns whether the same call may succeed later, or at another replica, without any change.
    fn retryable(&self) -> bool {
        false
    }

    /// Returns the code for a gRPC server to answer with.
    fn grpc_code(&self) -> GrpcCode;

    /// Returns a short, stable, lower-case name of the kind of failure, fit for a metric's label.
    fn name(&self) -> &'static str;
}
