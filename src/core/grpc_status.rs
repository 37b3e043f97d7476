//! Errors as the status of a gRPC server.

use crate::error::Error;
use crate::grpc::GrpcCode;

impl From<GrpcCode> for tonic::Code {
    fn from(code: GrpcCode) -> Self {
        Self::from_i32(code as i32)
    }
}

/// The status that a gRPC server answers with: the code and the text of the error.
impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Self::new(error.grpc_code().into(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::{Code, Status};

    use super::*;

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
