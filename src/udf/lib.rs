//! A library for UDFs in Rust, which serve one request per process.
//!
//! A UDF is a program that is started once for each request. Its first argument is the decimal
//! number of an open descriptor. It writes one byte there when it is ready, reads one request,
//! writes one response and exits. Request and response are protobuf messages, each after its length
//! as a varint. [`serve`] does all of this:
//!
//! ```no_run
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct EchoRequest { #[prost(bytes = "vec", tag = "1")] message: Vec<u8> }
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct EchoResponse { #[prost(bytes = "vec", tag = "1")] message: Vec<u8> }
//! fn main() -> std::process::ExitCode {
//!     roma_udf::serve(|request: EchoRequest| EchoResponse {
//!         message: request.message,
//!     })
//! }
//! ```
//!
//! Code before `serve` runs before the request exists, so its time does not count for the request.
//! [`try_serve`] is for code that can fail. A UDF that needs more control, such as raw bytes or work
//! after the response, calls the steps of a [`Connection`] itself; [`run`] provides one and turns errors
//! into exit codes.
//!
//! # Functions of the host
//!
//! If the server team provides functions, a UDF calls them by name through a [`Host`]:
//!
//! ```no_run
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct Id { #[prost(uint64, tag = "1")] id: u64 }
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct Profile { #[prost(string, tag = "1")] name: String }
//! fn main() -> std::process::ExitCode {
//!     roma_udf::try_serve(|request: Id| {
//!         Host::connect()?.call::<Profile>("shop.Profiles/Find", &request)
//!     })
//! }
//! # use roma_udf::Host;
//! ```
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | the response was written |
//! | [`exit_code::USAGE`] | the first argument is not the number of an open descriptor |
//! | [`exit_code::BAD_REQUEST`] | the request is truncated, too large or not the expected message |
//! | [`exit_code::NO_REQUEST`] | the connection was closed before any request came |
//! | [`exit_code::FAILED`] | the UDF's own code returned an error; the error is on standard error |
//! | [`exit_code::IO`] | reading or writing failed |
//! | 101 | the UDF's own code panicked (as in any Rust program) |

mod connection;
mod descriptors;
mod error;
pub mod exit_code;
mod frame;
mod host;
mod serve;

pub use connection::{Connection, DEFAULT_REQUEST_LIMIT, READY};
pub use error::Error;
pub use host::{Host, HostError};
pub use serve::{run, serve, try_serve};

/// Reads one message of at most `limit` bytes from any stream, as [`Connection::read_request_bytes`] does
/// from that of a request.
///
/// # Errors
///
/// The [`Error`] of a stream that ends early, or whose message is too large or not well-formed.
pub fn read_message(stream: &mut impl std::io::Read, limit: usize) -> Result<Vec<u8>, Error> {
    Ok(frame::read(stream, limit)?)
}
