//! The messages on the connection for host calls, and reading them.
//!
//! Both directions carry size-delimited protobuf messages:
//!
//! ```proto
//! message HostCallRequest { uint64 id = 1; string function = 2; bytes payload = 3; }
//! message HostCallResponse { uint64 id = 1; int32 code = 2; string error = 3; bytes payload = 4; }
//! ```
//!
//! The UDF chooses the ids; answers come in any order. A code other than 0 is a gRPC code. A violation
//! closes the connection and has no other effect.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// Room for the id, the name and the tags around a payload.
const OVERHEAD: usize = 1024;

/// A call of a host function.
#[derive(Clone, PartialEq, Message)]
pub struct HostCallRequest {
    /// Chosen by the UDF; the answer repeats it.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The name of the function.
    #[prost(string, tag = "2")]
    pub function: String,
    /// The argument.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
}

/// The answer to a call.
#[derive(Clone, PartialEq, Message)]
pub struct HostCallResponse {
    /// Chosen by the UDF; the answer repeats it.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// 0, or the gRPC code of a failure.
    #[prost(int32, tag = "2")]
    pub code: i32,
    /// What to tell about a failure.
    #[prost(string, tag = "3")]
    pub error: String,
    /// The result.
    #[prost(bytes = "bytes", tag = "4")]
    pub payload: Bytes,
}

/// Takes one whole request off the received bytes, if there is one.
///
/// # Errors
///
/// `InvalidData` if the bytes are not a request, or one with more than `max_request` bytes of payload.
pub fn take_request(
    received: &mut BytesMut,
    max_request: usize,
) -> io::Result<Option<HostCallRequest>> {
    let mut rest = &received[..];
    let Ok(length) = prost::decode_length_delimiter(&mut rest) else {
        return if received.len() < 10 {
            Ok(None)
        } else {
            Err(broken("length"))
        };
    };
    if length > max_request.saturating_add(OVERHEAD) {
        return Err(broken("size"));
    }
    if rest.len() < length {
        return Ok(None);
    }
    let prefix = received.len() - rest.len();
    received.advance(prefix);
    let body = received.split_to(length).freeze();
    HostCallRequest::decode(body)
        .map(Some)
        .map_err(|_| broken("message"))
}

pub(super) fn broken(what: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("invalid {what} of a host call"),
    )
}
