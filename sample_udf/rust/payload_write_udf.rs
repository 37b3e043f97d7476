//! Writes a large response.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{PayloadWriteResponse, SampleRequest};
use roma_sample_udf::message::{Unanswerable, response};

fn main() -> ExitCode {
    roma_udf::try_serve(|request: SampleRequest| {
        let Some(Task::PayloadWrite(request)) = request.task else {
            return Err(Unanswerable);
        };
        let payload = || (0..request.element_size).map(|index| index as u8).collect();
        Ok(response(Outcome::PayloadWrite(PayloadWriteResponse {
            payloads: (0..request.element_count).map(|_| payload()).collect(),
        })))
    })
}
