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
