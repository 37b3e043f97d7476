//! Takes a request and never answers.

use std::process::ExitCode;

use nix::unistd::pause;
use roma_sample_proto::roma::sample::SampleRequest;

fn main() -> ExitCode {
    roma_udf::run(|mut connection| {
        connection.ready()?;
        connection.read_request::<SampleRequest>()?;
        loop {
            pause();
        }
    })
}
