//! Serves a request in one call.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::process::ExitCode;

use prost::Message;

use crate::{Connection, Error};

/// Serves this process's one request. Return the result from `main`.
pub fn serve<Request, Response>(handler: impl FnOnce(Request) -> Response) -> ExitCode
where
    Request: Message + Default,
    Response: Message,
{
    try_serve(|request| Ok::<_, Infallible>(handler(request)))
}

/// Serves this process's one request with code that can fail. Return the result from `main`.
///
/// A failure is written to standard error. The caller is told only that the UDF ended without a response.
pub fn try_serve<Request, Response, Failure>(
    handler: impl FnOnce(Request) -> Result<Response, Failure>,
) -> ExitCode
where
    Request: Message + Default,
    Response: Message,
    Failure: Into<Box<dyn StdError + Send + Sync>>,
{
    run(|connection| serve_on(connection, handler))
}

/// Takes the descriptor from the arguments and passes the connection to `body`, which performs the steps.
/// Errors are written to standard error and become [`exit_code`](crate::exit_code)s. Return the result
/// from `main`.
pub fn run(body: impl FnOnce(Connection) -> Result<(), Error>) -> ExitCode {
    match Connection::from_args().and_then(body) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", with_causes(&error));
            error.exit_code().into()
        }
    }
}

fn serve_on<Request, Response, Failure>(
    mut connection: Connection,
    handler: impl FnOnce(Request) -> Result<Response, Failure>,
) -> Result<(), Error>
where
    Request: Message + Default,
    Response: Message,
    Failure: Into<Box<dyn StdError + Send + Sync>>,
{
    connection.ready()?;
    let request = connection.read_request()?;
    let response = handler(request).map_err(Error::failed)?;
    connection.write_response(&response)
}

fn with_causes(error: &dyn StdError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::{READY, exit_code};

    /// Serves the bytes `written` and returns the outcome and all answered bytes. prost encodes a string as
    /// a message with that string in field 1.
    fn exchange(
        written: &[u8],
        handler: impl FnOnce(String) -> Result<String, &'static str> + Send,
    ) -> (Result<(), Error>, Vec<u8>) {
        let (mut caller, udf) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            let served = scope.spawn(|| serve_on(OwnedFd::from(udf).into(), handler));
            caller.write_all(written).unwrap();
            caller.shutdown(Shutdown::Write).unwrap();
            let mut answered = Vec::new();
            caller.read_to_end(&mut answered).unwrap();
            (served.join().unwrap(), answered)
        })
    }

    fn framed(message: &str) -> Vec<u8> {
        message.to_owned().encode_length_delimited_to_vec()
    }

    #[test]
    fn the_readiness_byte_comes_before_the_response() {
        for message in ["", "hello", &"x".repeat(1 << 20)] {
            let (outcome, answered) = exchange(&framed(message), Ok);
            outcome.unwrap();
            let expected = [&[READY], framed(message).as_slice()].concat();
            assert!(answered == expected);
        }
    }

    #[test]
    fn a_failure_gives_no_response() {
        let (outcome, answered) = exchange(&framed("hello"), |_| Err("out of ideas"));
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), exit_code::FAILED);
        assert!(with_causes(&error).ends_with(": out of ideas"), "{error}");
        assert_eq!(answered, [READY]);
    }

    #[test]
    fn a_bad_request_never_reaches_the_handler() {
        for (written, expected) in [
            (&b""[..], exit_code::NO_REQUEST),
            (b"\x05half", exit_code::BAD_REQUEST),
            (b"\x80\x80\x80\x80\x80", exit_code::BAD_REQUEST),
            (b"\xff\xff\xff\xff\x0f", exit_code::BAD_REQUEST),
            (b"\x02\xff\xff", exit_code::BAD_REQUEST),
        ] {
            let (outcome, answered) = exchange(written, |_| panic!("called"));
            assert_eq!(outcome.unwrap_err().exit_code(), expected, "{written:?}");
            assert_eq!(answered, [READY]);
        }
    }

    #[test]
    fn a_closed_connection_is_an_error_and_no_signal() {
        let (caller, udf) = UnixStream::pair().unwrap();
        drop(caller);
        let outcome = serve_on(OwnedFd::from(udf).into(), |request: String| {
            Ok::<_, Infallible>(request)
        });
        assert_eq!(outcome.unwrap_err().exit_code(), exit_code::IO);
    }

    #[test]
    fn raw_bytes_pass_unchanged() {
        let (mut caller, udf) = UnixStream::pair().unwrap();
        let mut connection = Connection::from(OwnedFd::from(udf)).with_request_limit(4);
        caller.write_all(b"\x04\0\xff\x80\x01").unwrap();
        let request = connection.read_request_bytes().unwrap();
        assert_eq!(request, b"\0\xff\x80\x01");
        connection.write_response_bytes(&request).unwrap();
        drop(connection);
        let mut answered = Vec::new();
        caller.read_to_end(&mut answered).unwrap();
        assert_eq!(answered, b"\x04\0\xff\x80\x01");
    }
}
