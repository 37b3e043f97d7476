//! Reads a large request.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{PayloadReadResponse, SampleRequest};
use roma_sample_udf::message::{Unanswerable, response};

fn main() -> ExitCode {
    roma_udf::try_serve(|request: SampleRequest| {
        let Some(Task::PayloadRead(request)) = request.task else {
            return Err(Unanswerable);
        };
        let bytes = request.payloads.iter().flatten();
        Ok(response(Outcome::PayloadRead(PayloadReadResponse {
            size: request.payloads.iter().map(|it| it.len() as u64).sum(),
            byte_sum: bytes.map(|byte| u64::from(*byte)).sum(),
        })))
    })
}
