//! What can go wrong between start and response.

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
        /// The argument as it was given.
        argument: OsString,
    },

    /// The argument is a number, but nothing is open there.
    #[error("descriptor {descriptor} is not open")]
    NotOpen {
        /// The number.
        descriptor: RawFd,
        /// What the system said.
        source: io::Error,
    },

    /// The descriptor was taken from the arguments before.
    #[error("this process has taken its descriptor already")]
    AlreadyTaken,

    /// The connection was closed before any request came.
    #[error("the connection was closed before any request came")]
    NoRequest,

    /// The connection was closed in the middle of the request.
    #[error("the connection was closed in the middle of the request")]
    Truncated,

    /// The request's length has more digits than any length can have.
    #[error("the request's length is not a varint of at most five bytes")]
    InvalidLength,

    /// The request is longer than this UDF accepts.
    #[error("the request has {length} bytes, but at most {limit} are accepted")]
    TooLarge {
        /// The length that the request claims.
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
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The UDF's own code failed for this reason.
    pub fn failed(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Failed(reason.into())
    }

    /// The code that the process should exit with: one of [`exit_code`].
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
