//! Why a call failed, as a status for callers in C and C++.

use roma_byob::{Error, GrpcCode};

/// A failure. Its code is a number of `absl::StatusCode` and of gRPC.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) code: GrpcCode,
    pub(crate) message: String,
    /// A short name of the kind of failure: it distinguishes failures with the same code.
    pub(crate) cause: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) retryable: bool,
}

impl Status {
    /// The caller passed an invalid argument.
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

    /// The token to load from names no code.
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
            message: message(&error),
            cause: error.name(),
            fault: error.fault().name(),
            retryable: error.retryable(),
        }
    }
}

fn message(error: &Error) -> String {
    match error.advice() {
        None => error.to_string(),
        Some(advice) => format!("{error}\nTo fix it: {advice}"),
    }
}

/// Returns the code of an error. C++ integrators switch on the codes of the C++ system, so an error that
/// exists there has the same code here. Other errors have their usual code.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roma_byob::ResponseError;

    use super::*;

    #[test]
    fn errors_of_the_cpp_system_keep_its_codes() {
        let limit = Duration::from_secs(1);
        let log_tail = String::new();
        for (error, code) in [
            (Error::NeverReady { limit, log_tail }, GrpcCode::Internal),
            (
                Error::NoWorker {
                    waited: limit,
                    cause: Some(Box::new(Error::ShutDown)),
                },
                GrpcCode::DeadlineExceeded,
            ),
            (Error::Deleted, GrpcCode::Unavailable),
            (
                Error::Response(ResponseError::Malformed),
                GrpcCode::Unavailable,
            ),
        ] {
            assert_ne!(error.grpc_code(), code, "{error} needs no rule");
            assert_eq!(Status::from(error).code, code);
        }
    }

    #[test]
    fn other_errors_have_their_usual_codes() {
        let limit = Duration::from_secs(1);
        for error in [
            Error::Deadline { limit },
            Error::QueueFull { limit: 1 },
            Error::RequestTooLarge { size: 2, limit: 1 },
            Error::ShutDown,
        ] {
            let status = Status::from(error.clone());
            assert_eq!(status.code, error.grpc_code());
            assert_eq!(status.cause, error.name());
            assert_eq!(status.retryable, error.retryable());
        }
    }
}
