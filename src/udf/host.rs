//! Calls of the functions that the server team provides.
//!
//! Both directions carry protobuf messages, each after its length as a varint. The caller chooses the
//! ids; an answer has the id of its call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use prost::{DecodeError, Message};

use crate::connection::DEFAULT_REQUEST_LIMIT;
use crate::descriptors::take_host_descriptor;
use crate::frame::{self, FrameError};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// This process has no descriptor 4 for calls: the code was loaded without host functions.
    #[error("the host offers no functions to this code")]
    NotOffered,

    /// The descriptor was already taken.
    #[error("this process has already taken its connection to the host")]
    AlreadyTaken,

    /// The host refused the call, or the function failed.
    #[error("the host answered with code {code}: {message}")]
    Refused {
        /// A gRPC status code.
        code: i32,
        /// The host's error message.
        message: String,
    },

    /// The connection broke. The host closes it if a call is too large or if there are too many calls.
    #[error("the connection to the host broke")]
    Broken(#[source] io::Error),

    /// The result is not the expected message.
    #[error("the result of the host's function is not the expected message")]
    Malformed(#[from] DecodeError),
}

/// The connection on which a UDF calls functions of its host, one at a time.
///
/// The host answers calls once this process has its request: an earlier call waits for it.
#[derive(Debug)]
pub struct Host {
    stream: File,
    calls: u64,
}

impl Host {
    /// Takes the connection, which is descriptor 4. This works once in a process.
    ///
    /// Call this before the process opens other sockets: one of them could have number 4 and would be taken
    /// for the host.
    pub fn connect() -> Result<Self, HostError> {
        take_host_descriptor().map(|stream| OwnedFd::from(stream).into())
    }

    /// Calls a function whose argument and result are messages.
    pub fn call<R: Message + Default>(
        &mut self,
        function: &str,
        argument: &impl Message,
    ) -> Result<R, HostError> {
        let result = self.call_bytes(function, argument.encode_to_vec())?;
        Ok(R::decode(result.as_slice())?)
    }

    /// Calls a function whose argument and result are bytes.
    pub fn call_bytes(
        &mut self,
        function: &str,
        argument: impl Into<Vec<u8>>,
    ) -> Result<Vec<u8>, HostError> {
        self.calls += 1;
        let call = HostCallRequest {
            id: self.calls,
            function: function.to_owned(),
            payload: argument.into(),
        };
        let written = self
            .stream
            .write_all(&call.encode_length_delimited_to_vec());
        written.map_err(HostError::Broken)?;
        self.result_of(call.id)
    }

    fn result_of(&mut self, id: u64) -> Result<Vec<u8>, HostError> {
        let answer = frame::read(&mut self.stream, DEFAULT_REQUEST_LIMIT).map_err(broken)?;
        let answer = HostCallResponse::decode(answer.as_slice()).map_err(out_of_step)?;
        if answer.id != id {
            return Err(out_of_step("the answer belongs to another call"));
        }
        match answer.code {
            0 => Ok(answer.payload),
            code => Err(HostError::Refused {
                code,
                message: answer.error,
            }),
        }
    }
}

impl From<OwnedFd> for Host {
    fn from(descriptor: OwnedFd) -> Self {
        Self {
            stream: descriptor.into(),
            calls: 0,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct HostCallRequest {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    function: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct HostCallResponse {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int32, tag = "2")]
    code: i32,
    #[prost(string, tag = "3")]
    error: String,
    #[prost(bytes = "vec", tag = "4")]
    payload: Vec<u8>,
}

fn broken(error: FrameError) -> HostError {
    match error {
        FrameError::Read(error) => HostError::Broken(error),
        FrameError::Ended | FrameError::Truncated => {
            HostError::Broken(io::ErrorKind::UnexpectedEof.into())
        }
        FrameError::InvalidLength => out_of_step("the answer's length is not valid"),
        FrameError::TooLarge { .. } => out_of_step("the answer is too large"),
    }
}

fn out_of_step(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HostError {
    HostError::Broken(io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn answer(id: u64, payload: &str) -> HostCallResponse {
        HostCallResponse {
            id,
            payload: payload.into(),
            ..Default::default()
        }
    }

    /// A host that has sent all answers before the first call.
    fn host(answers: &[HostCallResponse]) -> (UnixStream, Host) {
        let (mut host, udf) = UnixStream::pair().unwrap();
        for answer in answers {
            let frame = answer.encode_length_delimited_to_vec();
            host.write_all(&frame).unwrap();
        }
        (host, OwnedFd::from(udf).into())
    }

    #[test]
    fn a_call_sends_function_and_payload_and_returns_the_result() {
        let (mut other_end, mut host) = host(&[answer(1, "found")]);
        assert_eq!(host.call_bytes("find", "me").unwrap(), b"found");
        let call = frame::read(&mut other_end, 100).unwrap();
        let call = HostCallRequest::decode(call.as_slice()).unwrap();
        assert_eq!((call.id, call.function.as_str()), (1, "find"));
        assert_eq!(call.payload, b"me");
    }

    #[test]
    fn a_refusal_is_an_error_with_its_code() {
        let refusal = HostCallResponse {
            code: 9,
            error: "not today".into(),
            ..answer(1, "")
        };
        let (_other_end, mut host) = host(&[refusal]);
        let error = host.call_bytes("find", "me").unwrap_err();
        assert!(
            matches!(&error, HostError::Refused { code: 9, message } if message == "not today"),
            "{error}"
        );
    }

    #[test]
    fn a_closed_connection_to_the_host_is_an_error_and_no_signal() {
        let (other_end, mut host) = host(&[]);
        drop(other_end);
        let error = host.call_bytes("find", "me").unwrap_err();
        assert!(matches!(error, HostError::Broken(_)), "{error}");
    }

    #[test]
    fn an_answer_to_another_call_is_refused() {
        let (_other_end, mut host) = host(&[answer(2, "found")]);
        let error = host.call_bytes("find", "me").unwrap_err();
        assert!(matches!(error, HostError::Broken(_)), "{error}");
    }

    #[test]
    fn a_result_that_is_another_message_is_refused() {
        let (_other_end, mut host) = host(&[answer(1, "\u{1}")]);
        let error = host.call::<String>("find", &()).unwrap_err();
        assert!(matches!(error, HostError::Malformed(_)), "{error}");
    }
}
