//! What reads bytes that a UDF or its developer wrote, for `src/fuzzing` and nobody else: no promise
//! is made about it.

use std::io;
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use roma_protocol::frame::FrameError;

use crate::config::LibraryMount;
use crate::error::BinaryError;
use crate::exchange::{Broken, Exchange};
use crate::{host_calls, image};

/// A call of a host function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCallRequest {
    /// Chosen by the UDF.
    pub id: u64,
    /// The function's name.
    pub function: String,
    /// The argument.
    pub payload: Bytes,
}

/// Takes one whole call off what has come.
pub fn take_host_call(
    received: &mut BytesMut,
    max_request: usize,
) -> io::Result<Option<HostCallRequest>> {
    let request = host_calls::take_request(received, max_request)?;
    Ok(request.map(|request| HostCallRequest {
        id: request.id,
        function: request.function,
        payload: request.payload,
    }))
}

/// Whether a binary could run.
pub fn check_binary(bytes: Bytes, libraries: &[LibraryMount]) -> Result<(), BinaryError> {
    image::of_bytes(bytes, libraries).map(drop)
}

/// The conversation with a worker: readiness, an empty request, the response.
pub async fn converse(data: OwnedFd, max_response: usize) -> Result<Bytes, FrameError> {
    let talk = async {
        let mut exchange = Exchange::new(data, Bytes::new(), max_response, false)?;
        exchange.until_ready().await?;
        exchange.until_sent().await?;
        exchange.until_answered().await
    };
    talk.await.map_err(|broken: Broken| match broken {
        Broken::Frame(error) => error,
        Broken::Closed | Broken::Io(_) => FrameError::Missing,
    })
}
