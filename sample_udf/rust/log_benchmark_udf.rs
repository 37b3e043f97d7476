//! Writes many lines to standard error.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    LogBenchmarkRequest, LogBenchmarkResponse, SampleRequest, SampleResponse,
};
use roma_sample_udf::message::{Unanswerable, response};

fn main() -> ExitCode {
    roma_udf::try_serve(answer)
}

fn answer(request: SampleRequest) -> Result<SampleResponse, Box<dyn Error + Send + Sync>> {
    let Some(Task::LogBenchmark(request)) = request.task else {
        return Err(Unanswerable.into());
    };
    let line = line(&request);
    let mut standard_error = io::stderr().lock();
    for _ in 0..request.lines {
        standard_error.write_all(&line)?;
    }
    Ok(response(Outcome::LogBenchmark(LogBenchmarkResponse {
        size: request.lines * u64::from(request.line_length),
    })))
}

fn line(request: &LogBenchmarkRequest) -> Vec<u8> {
    let mut line = vec![b'x'; request.line_length as usize];
    if let Some(last) = line.last_mut() {
        *last = b'\n';
    }
    line
}
