//! Status codes of gRPC, without depending on a gRPC library.

/// A gRPC status code. `code as i32` is its number on the wire, which every gRPC library takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum GrpcCode {
    /// The caller cancelled.
    Cancelled = 1,
    /// The caller sent something that can never work.
    InvalidArgument = 3,
    /// A deadline passed.
    DeadlineExceeded = 4,
    /// What was named does not exist.
    NotFound = 5,
    /// Too much is going on; back off and retry.
    ResourceExhausted = 8,
    /// The state of the system does not allow the call; retrying alone will not help.
    FailedPrecondition = 9,
    /// Something else ended the call half-way.
    Aborted = 10,
    /// A broken promise: of the UDF, or of this library.
    Internal = 13,
    /// Gone for now; retry.
    Unavailable = 14,
}
