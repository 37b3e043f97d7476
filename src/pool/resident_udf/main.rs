//! A program that serves many requests over one connection, for the tests of roma-pool. It answers each
//! with the number of the request and the request itself.

use std::process::{ExitCode, abort};

use roma_udf::{Connection, Error};

fn main() -> ExitCode {
    roma_udf::run(serve)
}

fn serve(mut connection: Connection) -> Result<(), Error> {
    connection.ready()?;
    for number in 1_u64.. {
        let request = connection.read_request_bytes()?;
        match request.as_slice() {
            b"abort" => abort(),
            b"sleep" => std::thread::sleep(std::time::Duration::from_millis(300)),
            b"hang" => loop {
                std::thread::park();
            },
            _ => {}
        }
        let answer = [number.to_string().as_bytes(), b" ", &request].concat();
        connection.write_response_bytes(&answer)?;
    }
    Ok(())
}
