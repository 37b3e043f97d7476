//! Errors between start and response.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;

use crate::exit_code;
use crate::frame::FrameError;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no argument.
    #[error("the first argument must be the descriptor to serve, and there is none")]
    NoArgument,

    /// The argument is not a number, or that of a standard stream.
    #[error("{argument:?} is not the decimal number of a descriptor above 2")]
    InvalidDescriptor {
        /// The argument.
        argument: OsString,
    },

    /// The argument is a number, but not that of an open descriptor.
    #[error("descriptor {descriptor} is not open")]
    NotOpen {
        /// The number.
        descriptor: RawFd,
        /// The system's error.
        source: io::Error,
    },

    /// The descriptor was already taken from the arguments.
    #[error("this process has already taken its descriptor")]
    AlreadyTaken,

    /// The connection was closed before any request came.
    #[error("the connection was closed before any request came")]
    NoRequest,

    /// The connection was closed in the middle of the request.
    #[error("the connection was closed in the middle of the request")]
    Truncated,

    /// The request's length is not a valid varint.
    #[error("the request's length is not a varint of at most five bytes")]
    InvalidLength,

    /// The request is longer than this UDF accepts.
    #[error("the request has {length} bytes, but at most {limit} are accepted")]
    TooLarge {
        /// The length of the request.
        length: u64,
        /// The limit in force.
        limit: usize,
    },

    /// The request is not the expected message.
    #[error("the request is not the expected message")]
    Malformed(#[from] prost::DecodeError),

    /// The UDF's own code failed.
    #[error("the request could not be answered")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),

    /// The descriptor could not be read.
    #[error("cannot read the request")]
    Read(#[source] io::Error),

    /// The descriptor could not be written.
    #[error("cannot write {what}")]
    Write {
        /// What was to be written.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// Returns the error for a failure of the UDF's own code.
    pub fn failed(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Failed(reason.into())
    }

    /// Returns the exit code for this error: one of [`exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NoArgument
            | Error::InvalidDescriptor { .. }
            | Error::NotOpen { .. }
            | Error::AlreadyTaken => exit_code::USAGE,
            Error::Truncated
            | Error::InvalidLength
            | Error::TooLarge { .. }
            | Error::Malformed(_) => exit_code::BAD_REQUEST,
            Error::NoRequest => exit_code::NO_REQUEST,
            Error::Failed(_) => exit_code::FAILED,
            Error::Read(_) | Error::Write { .. } => exit_code::IO,
        }
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Ended => Error::NoRequest,
            FrameError::Truncated => Error::Truncated,
            FrameError::InvalidLength => Error::InvalidLength,
            FrameError::TooLarge { length, limit } => Error::TooLarge { length, limit },
            FrameError::Read(source) => Error::Read(source),
        }
    }
}
