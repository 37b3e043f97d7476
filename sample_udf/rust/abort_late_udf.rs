//! Crashes after its response is written.

use std::process::{ExitCode, abort};

use roma_sample_proto::roma::sample::SampleRequest;
use roma_sample_udf::message::greeting;

fn main() -> ExitCode {
    roma_udf::run(|mut connection| {
        connection.ready()?;
        connection.read_request::<SampleRequest>()?;
        connection.write_response(&greeting("I am a crashing UDF!"))?;
        abort();
    })
}
