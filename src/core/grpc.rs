//! Status codes of gRPC, without depending on a gRPC library.

/// A gRPC status code. `code as i32` is its number on the wire, which every gRPC library takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum GrpcCode {
    /// The caller cancelled.
    Cancelled = 1,
    /// The caller sent something that cannot work.
    InvalidArgument = 3,
    /// A deadline passed.
    DeadlineExceeded = 4,
    /// The named thing does not exist.
    NotFound = 5,
    /// There is too much load; back off and retry.
    ResourceExhausted = 8,
    /// The state of the system does not allow the call; retrying alone will not help.
    FailedPrecondition = 9,
    /// Something else ended the call before it was complete.
    Aborted = 10,
    /// The UDF or this library broke its contract.
    Internal = 13,
    /// Not available at the moment; retry.
    Unavailable = 14,
}

#[cfg(feature = "tonic")]
impl From<GrpcCode> for tonic::Code {
    fn from(code: GrpcCode) -> Self {
        Self::from_i32(code as i32)
    }
}

/// The status that a gRPC server answers with: the code and the text of the error.
#[cfg(feature = "tonic")]
impl From<crate::Error> for tonic::Status {
    fn from(error: crate::Error) -> Self {
        Self::new(error.grpc_code().into(), error.to_string())
    }
}

#[cfg(all(test, feature = "tonic"))]
mod tests {
    use std::time::Duration;

    use tonic::{Code, Status};

    use crate::Error;

    #[test]
    fn an_error_becomes_the_status_with_its_code_and_text() {
        let limit = Duration::from_secs(1);
        for (error, code) in [
            (Error::Cancelled, Code::Cancelled),
            (Error::Deadline { limit }, Code::DeadlineExceeded),
            (Error::QueueFull { limit: 1 }, Code::ResourceExhausted),
            (Error::ShutDown, Code::Unavailable),
            (Error::Internal("a test"), Code::Internal),
        ] {
            let text = error.to_string();
            let status = Status::from(error);
            assert_eq!((status.code(), status.message()), (code, text.as_str()));
        }
    }
}
