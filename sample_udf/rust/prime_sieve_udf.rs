//! Finds prime numbers.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::SampleRequest;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_udf::message::{Unanswerable, response};
use roma_sample_udf::prime_sieve;

fn main() -> ExitCode {
    roma_udf::try_serve(|request: SampleRequest| match request.task {
        Some(Task::PrimeSieve(request)) => Ok(response(Outcome::PrimeSieve(prime_sieve::answer(
            &request,
        )?))),
        _ => Err(Unanswerable),
    })
}
