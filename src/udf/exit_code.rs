//! Exit codes of UDFs that use this crate. The numbers are the closest ones of the BSD convention
//! (`sysexits.h`).

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
