//! Why a call failed, as callers in C and C++ hear of it.

use roma_byob::{Error, GrpcCode};

/// A failure. Its code is a number of `absl::StatusCode` and of gRPC.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) code: GrpcCode,
    pub(crate) message: String,
    /// A short name of the kind of failure: it tells apart what shares a code.
    pub(crate) cause: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) retryable: bool,
}

impl Status {
    /// The caller passed something that no call takes.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            code: GrpcCode::InvalidArgument,
            message: message.into(),
            cause: "argument",
            fault: "caller",
            retryable: false,
        }
    }

    /// A bug of this library.
    pub(crate) fn broken() -> Self {
        Self {
            code: GrpcCode::Internal,
            message: "the library panicked; standard error has the reason".to_owned(),
            cause: "panic",
            fault: "host",
            retryable: false,
        }
    }

    /// What is to be loaded from a token is not there.
    pub(crate) fn not_loaded(self) -> Self {
        Self {
            code: GrpcCode::FailedPrecondition,
            ..self
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self {
            code: code(&error),
            message: error.to_string(),
            cause: error.name(),
            fault: error.fault().name(),
            retryable: error.retryable(),
        }
    }
}

/// Integrators in C++ have code that switches on the codes of the C++ system: what can go wrong there has
/// the same code here. What only this library has to tell has the code that it has everywhere.
fn code(error: &Error) -> GrpcCode {
    match error {
        Error::UnknownToken(_) => GrpcCode::InvalidArgument,
        Error::NoWorker { .. } => GrpcCode::DeadlineExceeded,
        Error::NeverReady { .. } | Error::StartCrashed { .. } => GrpcCode::Internal,
        Error::Cancelled | Error::Deleted | Error::Died { .. } | Error::Response(_) => {
            GrpcCode::Unavailable
        }
        other => other.grpc_code(),
    }
}
