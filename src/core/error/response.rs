//! What can be wrong with a response.

use crate::shown::shown;

/// What is wrong with a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The UDF closed its connection without a response, and did not end.
    #[error("it is missing, although the UDF did not end")]
    Missing,
    /// The UDF sent it, or other bytes, before any of the request was sent to it.
    #[error("it was there before the request")]
    Early,
    /// The UDF closed its connection in the middle of the response.
    #[error("it is truncated")]
    Truncated,
    /// It is larger than the code's `max_response`.
    #[error("its {size} bytes are more than the {limit} allowed")]
    Oversize {
        /// The size that it announces.
        size: u64,
        /// The size that is allowed.
        limit: u64,
    },
    /// Its length is not a well-formed varint.
    #[error("its length is malformed")]
    Malformed,
    /// Bytes follow it.
    #[error("bytes follow it")]
    Trailing,
    /// It is whole, but not the message that the caller expects.
    #[error("it is not the expected message: {}", shown(.0))]
    Undecodable(String),
}
