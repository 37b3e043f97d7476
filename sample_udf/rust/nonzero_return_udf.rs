//! Writes a response and exits with a failure.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::SampleRequest;
use roma_sample_udf::message::greeting;

/// No other failure has this exit code.
const FAILURE: u8 = 23;

fn main() -> ExitCode {
    let served = roma_udf::serve(|_: SampleRequest| greeting("I return a non-zero status!"));
    if served == ExitCode::SUCCESS {
        FAILURE.into()
    } else {
        served
    }
}
