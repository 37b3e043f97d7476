//! The data connection of a UDF.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prost::Message;

use crate::descriptors::take_descriptor;
use crate::{Error, frame};

/// The byte that reports that the UDF is ready. Its value has no meaning.
pub const READY: u8 = 1;

/// The default limit for the size of a request.
pub const DEFAULT_REQUEST_LIMIT: usize = 64 << 20;

/// The descriptor that a UDF serves. The steps, in this order: [`ready`](Self::ready),
/// [`read_request`](Self::read_request), [`write_response`](Self::write_response).
///
/// [`serve`](crate::serve) performs all of them. Use this for UDFs that do something in between:
///
/// ```no_run
/// # #[derive(Clone, PartialEq, prost::Message)]
/// # struct Request {}
/// # #[derive(Clone, PartialEq, prost::Message)]
/// # struct Response {}
/// # struct Model;
/// # impl Model {
/// #     fn load() -> Model { Model }
/// #     fn answer(&self, _: Request) -> Response { Response {} }
/// #     fn count_answer(&self) {}
/// # }
/// fn main() -> std::process::ExitCode {
///     roma_udf::run(|connection| {
///         let mut connection = connection.with_request_limit(1 << 20);
///         let model = Model::load();
///         connection.ready()?;
///         let response = model.answer(connection.read_request()?);
///         connection.write_response(&response)?;
///         model.count_answer();
///         Ok(())
///     })
/// }
/// ```
#[derive(Debug)]
pub struct Connection {
    stream: File,
    request_limit: usize,
}

impl Connection {
    /// Takes the descriptor that the process's first argument names. This works once in a process.
    pub fn from_args() -> Result<Self, Error> {
        take_descriptor().map(|stream| OwnedFd::from(stream).into())
    }

    /// Accepts requests of up to `limit` bytes instead of [`DEFAULT_REQUEST_LIMIT`].
    #[must_use]
    pub fn with_request_limit(self, limit: usize) -> Self {
        Self {
            request_limit: limit,
            ..self
        }
    }

    /// Reports that this process is ready. A request may come from now on, and its time counts.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.write("the readiness byte", &[READY])
    }

    /// Waits for the request.
    pub fn read_request<M: Message + Default>(&mut self) -> Result<M, Error> {
        Ok(M::decode(self.read_request_bytes()?.as_slice())?)
    }

    /// Waits for the request and returns it encoded.
    pub fn read_request_bytes(&mut self) -> Result<Vec<u8>, Error> {
        Ok(frame::read(&mut self.stream, self.request_limit)?)
    }

    /// Writes the response.
    pub fn write_response(&mut self, response: &impl Message) -> Result<(), Error> {
        self.write("the response", &response.encode_length_delimited_to_vec())
    }

    /// Writes a response that is already encoded.
    pub fn write_response_bytes(&mut self, response: &[u8]) -> Result<(), Error> {
        self.write("the response", &frame::framed(response))
    }

    fn write(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .map_err(|source| Error::Write { what, source })
    }
}

impl From<OwnedFd> for Connection {
    fn from(descriptor: OwnedFd) -> Self {
        Self {
            stream: descriptor.into(),
            request_limit: DEFAULT_REQUEST_LIMIT,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
