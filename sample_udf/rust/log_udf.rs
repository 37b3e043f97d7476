//! Writes the texts of the request to standard output and standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{LogResponse, SampleRequest};
use roma_sample_udf::message::{Unanswerable, response};
use roma_udf::{Connection, Error};

fn main() -> ExitCode {
    roma_udf::run(log)
}

fn log(mut connection: Connection) -> Result<(), Error> {
    connection.ready()?;
    let Some(Task::Log(request)) = connection.read_request::<SampleRequest>()?.task else {
        return Err(Error::failed(Unanswerable));
    };
    write(io::stdout(), &request.standard_output)?;
    write(io::stderr(), &request.standard_error)?;
    connection.write_response(&response(Outcome::Log(LogResponse {})))?;
    write(io::stderr(), &request.standard_error_after_response)
}

fn write(mut stream: impl Write, text: &str) -> Result<(), Error> {
    stream.write_all(text.as_bytes()).map_err(Error::failed)?;
    stream.flush().map_err(Error::failed)
}
