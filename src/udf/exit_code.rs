//! How a UDF that uses this crate tells by its exit code what went wrong. The numbers are those of
//! the BSD convention (`sysexits.h`) that come closest.

/// The first argument is not the number of an open descriptor.
pub const USAGE: u8 = 64;

/// The request is truncated, too large or not the expected message.
pub const BAD_REQUEST: u8 = 65;

/// The connection was closed before any request came: this process is not needed any more.
pub const NO_REQUEST: u8 = 69;

/// The UDF's own code returned an error.
pub const FAILED: u8 = 70;

/// Reading or writing failed.
pub const IO: u8 = 74;
